"""Refunds with numbers: what comes back, what remains, and what becomes of the coupons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tearline.core.cart import Parcel
from tearline.core.offers import (
    AmountOff,
    CartRules,
    FreeShipping,
    Funding,
    Gift,
    PercentOff,
    Scope,
    Selection,
    Step,
)
from tearline.core.orders import POINTS, FrozenOrder, FrozenShare
from tearline.core.redemption import No
from tearline.core.refunds import (
    EVERYTHING,
    Refund,
    RefundPart,
    Remaining,
    Reversed,
    Wish,
    coupon_outcome,
    refund,
)
from tests.core.carts import BOOKS, NOODLES, NOW, TEA, cart, line, right
from tests.core.orders import given_back, order_of, units_of

RECOMPUTE = CartRules(refund_below_threshold="recompute")
LEFT = replace(RECOMPUTE, threshold_base="after_earlier")
HALF = Funding(5_000, 5_000)


def steps(order: FrozenOrder, *wishes: Wish) -> list[Refund]:
    """Refunds one after another."""
    remaining, found = Remaining.of(order), []
    for wish in wishes:
        one, remaining = given_back(order, remaining, wish)
        found.append(one)
    return found


def amounts(order: FrozenOrder, *keys: str) -> list[int]:
    """What single units give back, one after another."""
    return [one.amount for one in steps(order, *(Wish({key: 1}) for key in keys))]


# The field's failures


def test_a_refund_goes_by_what_was_frozen() -> None:
    """150 and 60 less 20 %: others gave 108 back for the first."""
    order = order_of(cart(line("a", 15_000), line("b", 6_000)), right("r", PercentOff(2_000)))
    assert amounts(order, "a", "b") == [12_000, 4_800]
    assert amounts(order, "b", "a") == [4_800, 12_000]


def test_no_line_takes_a_remainder() -> None:
    """20 lines of 1.00 with 0.30 off: elsewhere the last one cost 1.08."""
    keys = [f"{place}" for place in range(20)]
    order = order_of(cart(*(line(key, 100) for key in keys)), right("r", AmountOff(30)))
    assert amounts(order, *keys) == [98] * 10 + [99] * 10


def test_a_tiny_last_line_gives_back_no_less_than_nothing() -> None:
    order = order_of(cart(line("a", 333), line("b", 333), line("c", 1)), right("r", AmountOff(600)))
    assert amounts(order, "c", "a", "b") == [0, 33, 34]


@pytest.mark.parametrize("policy", ["keep", "recompute"])
def test_the_survivors_get_no_greater_discount(policy: Any) -> None:
    """Half of it is cancelled: the other half keeps its 10 of 20 off, instead of getting all 20."""
    order = order_of(
        cart(line("a", 10_000), line("b", 10_000)),
        right("r", AmountOff(2_000), minimum_spend=5_000, rules=CartRules(refund_below_threshold=policy)),
    )
    assert amounts(order, "a", "b") == [9_000, 9_000]


# What comes back, and what does not


def test_units_come_back_from_the_front_and_the_last_one_sweeps() -> None:
    order = order_of(cart(line("a", 1_000, 3)), right("r", AmountOff(1_000)))
    assert amounts(order, "a", "a", "a") == [666, 667, 667]
    assert [one.amount for one in steps(order, Wish({"a": 2}), EVERYTHING)] == [1_333, 667]


def test_all_that_a_refund_says() -> None:
    of = cart(
        line("a", 6_000, 2, tax_basis_points=1_000),
        line("b", 3_000, merchant=BOOKS),
        parcels=(Parcel(NOODLES, 1_200), Parcel(BOOKS, 500)),
        points=900,
    )
    order = order_of(
        of,
        right("m", AmountOff(6_000), NOODLES, funding=HALF),
        right("p", PercentOff(1_000)),
        right("s", FreeShipping(1_000), NOODLES),
    )
    one, remaining = given_back(order, Remaining.of(order), Wish({"a": 1, "b": 0}, (NOODLES,)))
    # The bowls cost 60.00 less 30.00 each, less a tenth, less 3.00 of points; 24.00 hold 2.18 of tax.
    part = RefundPart(
        0, 1, 6_000, 2_400, 218, 0, (Reversed(0, 1_500, 1_500), Reversed(1, 300, 0), Reversed(POINTS, 300, 0))
    )
    shipping = RefundPart(0, 1, 1_200, 200, 0, 0, (Reversed(2, 0, 1_000),))
    assert one == Refund(2_600, 300, 218, 0, (part,), (shipping,), (2,))
    assert [left.quantity for left in remaining.lines] == [1, 1]
    assert [left.quantity for left in remaining.parcels] == [0, 1]
    assert remaining.lines[0].units == ((2_400, 1),)
    assert remaining.lines[0].shares[1] == FrozenShare(1, ((300, 1),), ((300, 1),))
    rest, nothing = given_back(order, remaining, EVERYTHING)
    assert (rest.amount, rest.points, rest.tax, rest.undone) == (2_400 + 2_400 + 500, 600, 218, (0, 1))
    assert nothing.is_empty and not remaining.is_empty


def test_tax_on_top_is_given_back_with_its_unit() -> None:
    of = cart(line("a", 33, 3, tax_basis_points=500), prices_include_tax=False)
    found = steps(order_of(of), Wish({"a": 1}), Wish({"a": 1}), EVERYTHING)
    assert [(one.amount, one.tax) for one in found] == [(35, 2), (35, 2), (34, 1)]


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        (Wish({"a": 4}), No("refund_too_large", {"line": "a", "left": "3"})),
        (Wish({"b": 1, "a": 9}), No("refund_too_large", {"line": "a", "left": "3"})),
        (Wish({"c": 1}), No("not_found", {"line": "c"})),
        (Wish(parcels=(TEA,)), No("not_found", {"merchant_id": str(TEA)})),
        (Wish(parcels=(BOOKS,)), No("refund_too_large", {"merchant_id": str(BOOKS), "left": "0"})),
        (Wish({"a": 0}), No("nothing_to_refund")),
        (Wish(), No("nothing_to_refund")),
    ],
)
def test_what_cannot_be_given_back(wish: Wish, answer: No) -> None:
    of = cart(
        line("a", 100, 3), line("b", 100, merchant=BOOKS), parcels=(Parcel(NOODLES, 500), Parcel(BOOKS, 0))
    )
    order = order_of(of)
    assert refund(order, Remaining.of(order), wish) == answer


def test_all_parcels_of_a_merchant_come_back_together() -> None:
    order = order_of(cart(line("a", 100), parcels=(Parcel(NOODLES, 0), Parcel(NOODLES, 500))))
    one, remaining = given_back(order, Remaining.of(order), Wish(parcels=(NOODLES,)))
    assert (one.amount, [left.quantity for left in remaining.parcels]) == (500, [0, 0])


def test_nothing_is_given_back_twice() -> None:
    order = order_of(cart(line("a", 100, 3), parcels=(Parcel(NOODLES, 500),)))
    _one, remaining = given_back(order, Remaining.of(order), Wish({"a": 2}, (NOODLES, NOODLES)))
    assert refund(order, remaining, Wish({"a": 2})) == No("refund_too_large", {"line": "a", "left": "1"})
    no = refund(order, remaining, Wish(parcels=(NOODLES,)))
    assert no == No("refund_too_large", {"merchant_id": str(NOODLES), "left": "0"})
    one, remaining = given_back(order, remaining, EVERYTHING)
    assert one.amount == 100
    assert refund(order, remaining, EVERYTHING) == No("nothing_to_refund")


def test_what_is_left_can_be_stored_as_json() -> None:
    of = cart(line("a", 1_000, 3, tax_basis_points=700), parcels=(Parcel(NOODLES, 500),), points=100)
    order = order_of(of, right("r", AmountOff(1_000), funding=HALF))
    one, remaining = given_back(order, Remaining.of(order), Wish({"a": 1}))
    assert msgspec.json.decode(msgspec.json.encode(remaining), type=Remaining) == remaining
    assert msgspec.json.decode(msgspec.json.encode(one), type=Refund) == one


# Falling below a minimum


def test_a_discount_that_is_no_longer_earned_is_taken_out_of_the_refund() -> None:
    """20 off 110: 10.91 and 9.09. Without the second, the first costs its 60 again."""
    of = cart(line("a", 6_000), line("b", 5_000))
    order = order_of(
        of, right("r", AmountOff(2_000), minimum_spend=10_000, rules=RECOMPUTE, funding=Funding(2_500, 7_500))
    )
    one, remaining = given_back(order, Remaining.of(order), Wish({"b": 1}))
    assert (one.amount, one.reclaimed, one.undone) == (3_000, 1_091, (0,))
    assert [(part.quantity, part.amount, part.reclaimed) for part in one.lines] == [
        (0, -1_091, 1_091),
        (1, 4_091, 0),
    ]
    assert sum(share.platform for part in one.lines for share in part.reversed) == 500
    assert remaining.lines[0].units == ((6_000, 1),)
    rest, _nothing = given_back(order, remaining, EVERYTHING)
    assert (rest.amount, rest.undone) == (6_000, ())


def test_what_the_refund_cannot_pay_stands() -> None:
    of = cart(line("a", 9_000), line("b", 1_000), line("c", 200, is_discountable=False))
    order = order_of(of, right("r", AmountOff(5_000), minimum_spend=10_000, rules=RECOMPUTE))
    found = steps(order, Wish({"b": 1}), Wish({"c": 1}), EVERYTHING)
    # 45.00 would be due; 5.00 and then 2.00 are there to be taken.
    assert [(one.amount, one.reclaimed) for one in found] == [(0, 500), (0, 200), (5_200, 0)]
    assert [one.undone for one in found] == [(), (), (0,)]


@pytest.mark.parametrize(
    ("benefit", "minimum", "given", "reclaimed"),
    [
        (AmountOff(1_000, (Step(20_000, 3_000),)), 10_000, 1, 1_500 - 1_000),
        (AmountOff(1_000, (Step(20_000, 3_000),)), 10_001, 1, 1_500),
        (AmountOff(1_000, (Step(20_000, 1_500),)), 10_000, 1, 0),
        (AmountOff(600, every=True), 4_000, 1, 1_500 - 1_200),
        (AmountOff(600, every=True, times=2), 4_000, 1, 0),
        (PercentOff(1_000), 10_000, 1, 0),
        (PercentOff(1_000), 10_001, 1, 1_000),
        (PercentOff(1_000), 0, 1, 0),
        (AmountOff(300), 0, 1, 0),
    ],
)
def test_what_remains_keeps_what_it_still_earns(
    benefit: Any, minimum: int, given: int, reclaimed: int
) -> None:
    order = order_of(cart(line("a", 10_000, 2)), right("r", benefit, minimum_spend=minimum, rules=RECOMPUTE))
    one, _remaining = given_back(order, Remaining.of(order), Wish({"a": given}))
    assert one.reclaimed == reclaimed


def test_a_minimum_is_of_the_lines_in_its_scope() -> None:
    of = cart(line("a", 6_000), line("b", 5_000), line("c", 9_000, brand="Lok"))
    scope = Scope(excludes=Selection(brands=("Lok",)))
    order = order_of(of, right("r", AmountOff(1_100), minimum_spend=10_000, rules=RECOMPUTE, scope=scope))
    assert [one.reclaimed for one in steps(order, Wish({"c": 1}), Wish({"b": 1}))] == [0, 600]


@pytest.mark.parametrize(
    ("rules", "minimum", "reclaimed"),
    [(LEFT, 6_000, 0), (LEFT, 6_001, 1_200), (RECOMPUTE, 10_000, 0), (RECOMPUTE, 10_001, 1_200)],
)
def test_a_minimum_is_of_list_prices_or_of_what_earlier_rights_leave(
    rules: CartRules, minimum: int, reclaimed: int
) -> None:
    """40 off the bowls leave 60 of each; shipping and points come later and do not count."""
    of = cart(line("a", 10_000, 2), parcels=(Parcel(NOODLES, 1_000),), points=1_000)
    order = order_of(
        of,
        right("m", AmountOff(8_000), NOODLES),
        right("p", PercentOff(2_000), minimum_spend=minimum, rules=rules),
        right("s", FreeShipping()),
    )
    assert steps(order, Wish({"a": 1}))[0].reclaimed == reclaimed


@pytest.mark.parametrize(("minimum", "reclaimed"), [(4_400, 0), (4_401, 1_000)])
def test_points_and_all_rights_come_before_free_shipping(minimum: int, reclaimed: int) -> None:
    of = cart(line("a", 10_000, 2), parcels=(Parcel(NOODLES, 1_000),), points=800)
    order = order_of(
        of,
        right("m", AmountOff(8_000), NOODLES),
        right("p", PercentOff(2_000)),
        right("s", FreeShipping(), minimum_spend=minimum, rules=LEFT),
    )
    one = steps(order, Wish({"a": 1}))[0]
    assert one.reclaimed == reclaimed
    assert [part.reclaimed for part in one.parcels] == ([reclaimed] if reclaimed else [])


def test_what_an_earlier_right_gives_up_counts_for_a_later_one() -> None:
    """Without the 40 off, what remains costs 100 again, and earns its fifth."""
    order = order_of(
        cart(line("a", 10_000, 2)),
        right("m", AmountOff(8_000), NOODLES, minimum_spend=15_000, rules=RECOMPUTE),
        right("p", PercentOff(2_000), minimum_spend=10_000, rules=LEFT),
    )
    one = steps(order, Wish({"a": 1}))[0]
    assert (one.amount, one.reclaimed, one.undone) == (4_800 - 4_000, 4_000, (0,))


def test_what_is_taken_back_is_split_over_units_and_payers_as_they_bear_it() -> None:
    of = cart(line("a", 3_000, 2), line("b", 1_001), line("c", 5_000))
    order = order_of(of, right("r", AmountOff(2_401), minimum_spend=12_000, rules=RECOMPUTE, funding=HALF))
    one, remaining = given_back(order, Remaining.of(order), Wish({"c": 1}))
    assert one.reclaimed == sum(share.amount for part in one.lines[:2] for share in part.reversed)
    assert [left.units for left in remaining.lines[:2]] == [((3_000, 2),), ((1_001, 1),)]
    assert sum(share.platform for part in one.lines for share in part.reversed) == 1_201


def test_a_part_that_is_taken_back_is_split_in_proportion() -> None:
    """20.00 stand on four units, 15.00 of it the platform's; the 1.00 that b gives back is taken."""
    order = order_of(
        cart(line("a", 1_000, 4), line("b", 200)),
        right("r", AmountOff(2_100), minimum_spend=4_200, rules=RECOMPUTE, funding=Funding(7_500, 2_500)),
    )
    one, remaining = given_back(order, Remaining.of(order), Wish({"b": 1}))
    assert (one.amount, one.reclaimed) == (0, 100)
    assert one.lines[0].reversed == (Reversed(0, 75, 25),)
    assert remaining.lines[0].units == ((526, 1), (525, 2), (524, 1))
    share = remaining.lines[0].shares[0]
    assert (units_of(share.units), units_of(share.platform)) == ([474, 475, 475, 476], [356, 356, 356, 357])


def test_what_is_taken_back_takes_its_tax_along() -> None:
    of = cart(line("a", 12_000, tax_basis_points=2_000), line("b", 6_000, tax_basis_points=500))
    order = order_of(of, right("r", AmountOff(3_000), minimum_spend=15_000, rules=RECOMPUTE))
    # 120 less 20 holds 16.67 of tax, 60 less 10 holds 2.38; the 20 taken back hold 3.33.
    assert [sum(tax * count for tax, count in part.tax) for part in order.lines] == [1_667, 238]
    one, rest = steps(order, Wish({"b": 1}), EVERYTHING)
    assert (one.amount, one.tax, one.reclaimed) == (3_000, 238 - 333, 2_000)
    assert [(part.amount, part.tax) for part in one.lines] == [(-2_000, -333), (5_000, 238)]
    assert (rest.amount, rest.tax) == (12_000, 2_000)


def test_tax_on_top_of_what_is_taken_back_is_taken_too() -> None:
    of = cart(line("a", 10_000, tax_basis_points=2_000), line("b", 5_000), prices_include_tax=False)
    order = order_of(of, right("r", AmountOff(3_000), minimum_spend=15_000, rules=RECOMPUTE))
    one, rest = steps(order, Wish({"b": 1}), EVERYTHING)
    assert (one.amount, one.tax, one.reclaimed) == (4_000 - 2_000 - 400, -400, 2_000)
    assert (rest.amount, rest.tax) == (12_000, 2_000)


@pytest.mark.parametrize(
    ("basis_points", "amount", "reclaimed"),
    [(1_000, 0, 1_000), (10_000, 0, 550), (0, 0, 1_100), (700, 0, 1_028)],
)
def test_a_refund_pays_for_the_tax_on_top_as_well(basis_points: int, amount: int, reclaimed: int) -> None:
    """11.00 come back: that is 10.00 with a tenth of tax on top."""
    of = cart(
        line("a", 18_000, tax_basis_points=basis_points),
        line("b", 2_000),
        prices_include_tax=False,
    )
    order = order_of(of, right("r", AmountOff(9_000), minimum_spend=20_000, rules=RECOMPUTE))
    one, _rest = steps(order, Wish({"b": 1}), EVERYTHING)
    assert (one.amount, one.reclaimed) == (amount, reclaimed)


# What becomes of coupons


def test_a_gift_is_undone_when_all_units_in_its_scope_are_back() -> None:
    of = cart(line("a", 1_000, 2), line("b", 1_000), line("c", 1_000, brand="Lok"))
    scope = Scope(excludes=Selection(brands=("Lok",)))
    order = order_of(of, right("g", Gift({"en": "A bag"}), scope=scope, minimum_spend=2_000, rules=RECOMPUTE))
    assert order.rights[0].lines == (0, 1)
    found = steps(order, Wish({"a": 2}), Wish({"b": 1}), Wish({"c": 1}))
    assert [one.undone for one in found] == [(), (0,), ()]


def test_a_right_is_undone_when_nothing_stands_of_it_any_more() -> None:
    """Of the second line it took nothing: the coupon does not wait for that to come back."""
    order = order_of(
        cart(line("a", 1_000), line("b", 0)), right("r", AmountOff(100)), right("m", AmountOff(50), NOODLES)
    )
    assert [one.undone for one in steps(order, Wish({"a": 1}), EVERYTHING)] == [(0, 1), ()]


HONG_KONG = "Asia/Hong_Kong"
EVENING = datetime(2026, 11, 23, 15, 59, tzinfo=UTC)
"""A minute before midnight in Hong Kong."""


@pytest.mark.parametrize(
    ("rules", "valid_for", "expected"),
    [
        (CartRules(), timedelta(seconds=1), ("returned", None)),
        (CartRules(), timedelta(0), ("forfeited", None)),
        (CartRules(refund_coupon="forfeit"), timedelta(days=9), ("forfeited", None)),
        (
            CartRules(refund_coupon="reissue", reissue_days=1),
            timedelta(days=-9),
            ("reissued", datetime(2026, 11, 24, 16, tzinfo=UTC)),
        ),
        (
            CartRules(refund_coupon="reissue", reissue_days=1),
            timedelta(days=1, minutes=1),
            ("reissued", datetime(2026, 11, 24, 16, tzinfo=UTC)),
        ),
        (
            CartRules(refund_coupon="reissue", reissue_days=1),
            timedelta(days=9),
            ("reissued", EVENING + timedelta(days=9)),
        ),
    ],
)
def test_what_becomes_of_a_coupon(
    rules: CartRules, valid_for: timedelta, expected: tuple[str, datetime | None]
) -> None:
    assert coupon_outcome(rules, EVENING + valid_for, EVENING, HONG_KONG) == expected


def test_the_day_of_a_new_coupon_is_counted_in_the_offers_time_zone() -> None:
    rules = CartRules(refund_coupon="reissue", reissue_days=2)
    for moment, day in ((EVENING, 25), (EVENING + timedelta(minutes=1), 26)):
        found = coupon_outcome(rules, NOW, moment, HONG_KONG)
        assert found == ("reissued", datetime(2026, 11, day, 16, tzinfo=UTC))
