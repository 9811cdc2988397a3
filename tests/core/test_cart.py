"""Which rights apply to a cart and which don't, rule by rule, with numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tearline.core.cart import Cart, Parcel, Right
from tearline.core.choosing import choose
from tearline.core.offers import (
    AmountOff,
    CartRules,
    FixedPrice,
    FreeShipping,
    PercentOff,
    Scope,
    Selection,
    Step,
)
from tearline.core.pricing import price
from tests.core.carts import BOOKS, NOODLES, NOW, cart, line, right

TEN_OFF = AmountOff(1_000)
A_BOWL = line("bowl", 5_000, categories=("food",), brand="Lok")
A_CUP = line("cup", 3_000, categories=("drink", "tea"), brand="Mei")
A_NOVEL = line("novel", 8_000, merchant=BOOKS)


def outcome(of: Cart, one: Right) -> tuple[int, str | None]:
    """What a right by itself saves, and why not."""
    quote = choose(of, [one], NOW)
    return quote.saving, quote.skipped[0].reason if quote.skipped else None


@pytest.mark.parametrize(
    ("scope", "saving"),
    [
        (Scope(), 1_600),
        (Scope(Selection(products=("bowl",))), 500),
        (Scope(Selection(categories=("tea",))), 300),
        (Scope(Selection(brands=("Mei",))), 300),
        (Scope(Selection(merchants=(BOOKS,))), 800),
        (Scope(Selection(products=("bowl",), brands=("Mei",))), 800),
        (Scope(excludes=Selection(categories=("food",))), 1_100),
        (Scope(Selection(merchants=(NOODLES,)), Selection(brands=("Mei",))), 500),
    ],
)
def test_a_right_touches_the_lines_in_its_scope(scope: Scope, saving: int) -> None:
    assert outcome(cart(A_BOWL, A_CUP, A_NOVEL), right("a", PercentOff(1_000), scope=scope)) == (saving, None)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"valid_until": NOW}, "expired"),
        ({"valid_until": NOW + timedelta(seconds=1)}, None),
        ({"valid_from": NOW}, None),
        ({"valid_from": NOW + timedelta(seconds=1)}, "not_valid_yet"),
        ({"currency": "THB"}, "other_currency"),
        ({"scope": Scope(Selection(products=("nothing",)))}, "nothing_in_scope"),
        ({"rules": CartRules(first_order_only=True)}, "first_order_only"),
        ({"rules": CartRules(excluded_lines="block")}, None),
        (
            {
                "rules": CartRules(excluded_lines="block"),
                "scope": Scope(excludes=Selection(products=("cup",))),
            },
            "excluded_lines",
        ),
        ({"minimum_spend": 8_000}, None),
        ({"minimum_spend": 8_001}, "minimum_not_reached"),
    ],
)
def test_why_a_right_does_not_apply(more: dict[str, Any], reason: str | None) -> None:
    saving = 0 if reason else 1_000
    assert outcome(cart(A_BOWL, A_CUP), right("a", TEN_OFF, **more)) == (saving, reason)


def test_what_is_missing_is_said() -> None:
    quote = price(cart(A_BOWL), [right("a", TEN_OFF, minimum_spend=6_500)], NOW)
    assert [(one.reason, one.missing) for one in quote.skipped] == [("minimum_not_reached", 1_500)]


def test_a_merchants_right_is_for_its_own_lines_and_blocked_by_them_alone() -> None:
    blocking = CartRules(excluded_lines="block")
    assert outcome(cart(A_BOWL, A_NOVEL), right("a", PercentOff(1_000), NOODLES, rules=blocking)) == (
        500,
        None,
    )
    assert outcome(cart(A_NOVEL), right("a", TEN_OFF, NOODLES)) == (0, "nothing_in_scope")


def test_a_step_begins_at_its_threshold() -> None:
    steps = AmountOff(1_000, (Step(5_000, 2_000),))
    assert outcome(cart(line("bowl", 4_999)), right("a", steps)) == (1_000, None)
    assert outcome(cart(line("bowl", 5_000)), right("a", steps)) == (2_000, None)


def test_a_fixed_price_is_for_the_dearest_units() -> None:
    of = cart(line("one", 900, product="tea"), line("two", 1_500, 2, product="tea"), line("three", 150))
    quote = choose(of, [right("a", FixedPrice(150, "tea", 2))], NOW)
    assert [one.units for one in quote.lines] == [((900, 1),), ((150, 2),), ((150, 1),)]


def test_a_fixed_price_is_for_the_dearest_units_however_few_they_are() -> None:
    of = cart(line("one", 900, 3, product="tea"), line("two", 1_500, product="tea"))
    quote = choose(of, [right("a", FixedPrice(150, "tea", 2))], NOW)
    assert [one.units for one in quote.lines] == [((150, 1), (900, 2)), ((150, 1),)]


def test_a_right_that_finds_nothing_left_says_so() -> None:
    some = [right("all", AmountOff(5_000), NOODLES), right("late", TEN_OFF, minimum_spend=5_000)]
    quote = price(cart(A_BOWL), some, NOW)
    assert [(one.right.key, one.reason, one.missing) for one in quote.skipped] == [
        ("late", "nothing_left", None)
    ]


def test_coupons_of_one_offer_are_used_one_at_a_time_the_first_to_run_out_first() -> None:
    group = [CartRules(stacking_group=name) for name in "ab"]
    some = [
        right("late", TEN_OFF, offer="ten", rules=group[0], valid_until=NOW + timedelta(days=2)),
        right("soon", TEN_OFF, offer="ten", rules=group[1], valid_until=NOW + timedelta(days=1)),
    ]
    for quote, key in ((choose(cart(A_BOWL), some, NOW), "soon"), (price(cart(A_BOWL), some, NOW), "late")):
        assert [one.right.key for one in quote.applied] == [key]
        assert [one.reason for one in quote.skipped] == ["not_combinable"]


@pytest.mark.parametrize(("region", "saving"), [("HK", 1_200), ("TH", 0), (None, 0)])
def test_free_shipping_is_for_its_regions(region: str | None, saving: int) -> None:
    of = cart(A_BOWL, parcels=(Parcel(NOODLES, 1_200),), region=region)
    reason = None if saving else "nothing_in_scope"
    assert outcome(of, right("a", FreeShipping(regions=("HK", "MO")))) == (saving, reason)


def test_free_shipping_may_ask_for_what_is_left() -> None:
    """30 off would leave less than the 40 that free shipping of 35 asks for: shipping is worth more."""
    of = cart(A_BOWL, parcels=(Parcel(NOODLES, 3_500),))
    left = CartRules(threshold_base="after_earlier")
    some = [
        right("a", AmountOff(3_000), NOODLES),
        right("free", FreeShipping(), minimum_spend=4_000, rules=left),
    ]
    quote = choose(of, some, NOW)
    assert (quote.saving, [one.right.key for one in quote.applied]) == (3_500, ["free"])
    at_list = [some[0], right("free", FreeShipping(), minimum_spend=4_000)]
    assert choose(of, at_list, NOW).saving == 6_500


def test_what_costs_the_fixed_price_already_is_left_alone() -> None:
    assert outcome(cart(A_BOWL), right("a", FixedPrice(5_000, "bowl"))) == (0, "nothing_left")


def test_a_fixed_price_is_for_the_dearest_unit_of_a_line_whose_units_cost_differently() -> None:
    """0.02 off three units leaves 9.99, 9.99 and 10.00: the last one comes down to 5.00."""
    some = [right("a", AmountOff(2), NOODLES), right("b", FixedPrice(500, "bowl"))]
    quote = price(cart(line("bowl", 1_000, 3)), some, NOW)
    assert (quote.lines[0].units, quote.lines[0].list_total) == (((999, 2), (500, 1)), 3_000)


def test_a_single_minor_unit_can_be_paid_with_points() -> None:
    quote = price(cart(A_BOWL, points=1), [], NOW)
    assert (quote.points, quote.total) == (1, 4_999)


def test_an_exclusive_promotion_and_a_coupon_exclude_each_other_whichever_is_named_first() -> None:
    alone = right("alone", TEN_OFF, NOODLES, is_promotion=True, rules=CartRules(exclusive=True))
    other = right("other", TEN_OFF, BOOKS, is_promotion=True)
    coupon = right("coupon", TEN_OFF)
    of = cart(A_BOWL, A_NOVEL)
    for named in ((alone, other, coupon), (coupon, other, alone)):
        quote = price(of, named, NOW)
        assert {one.right.key for one in quote.applied} == {named[0].key, "other"}
