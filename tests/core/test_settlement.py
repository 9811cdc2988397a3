"""Who owes whom: postings of payments, refunds and adjustments, and what they come to."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from tearline.core.cart import Parcel
from tearline.core.offers import AmountOff, CartRules, FreeShipping, Funding, PercentOff
from tearline.core.orders import POINTS, FrozenOrder
from tearline.core.refunds import EVERYTHING, Remaining, Wish
from tearline.core.settlement import (
    ACCOUNTS,
    Entry,
    adjustment_entries,
    payable,
    payment_entries,
    refund_entries,
)
from tests.core.carts import BOOKS, NOODLES, cart, line, right
from tests.core.orders import given_back, order_of, sums_of

FIRST, SECOND = UUID(int=1), UUID(int=2)
A_BOWL = line("bowl", 6_000)
A_NOVEL = line("novel", 3_000, merchant=BOOKS)


def balanced(entries: list[Entry]) -> list[Entry]:
    """Entries of which each posting sums to zero, holds no empty side, and is one merchant's."""
    sums: Counter[int] = Counter()
    for entry in entries:
        sums[entry.posting] += entry.amount
    assert not any(sums.values())
    assert all(entry.amount and entry.account in ACCOUNTS for entry in entries)
    assert len({(entry.posting, entry.merchant_id) for entry in entries}) == len(sums)
    return entries


def two_rights() -> FrozenOrder:
    """30 off the noodles, shared; then 10 % of everything by the platform, and 9.00 of points; shipping free."""
    of = cart(A_BOWL, A_NOVEL, parcels=(Parcel(NOODLES, 1_200),), points=900)
    return order_of(
        of,
        right("a", AmountOff(3_000), NOODLES, funding=Funding(5_000, 5_000)),
        right("b", PercentOff(1_000)),
        right("c", FreeShipping(), NOODLES),
    )


def test_a_payment_is_one_posting_for_each_line_and_parcel() -> None:
    order = two_rights()
    assert balanced(payment_entries(order)) == [
        Entry(0, "customer", NOODLES, 2_250, "bowl"),
        Entry(0, "platform", NOODLES, 1_500, "bowl", FIRST),
        Entry(0, "merchant_discount", NOODLES, 1_500, "bowl", FIRST),
        Entry(0, "platform", NOODLES, 300, "bowl", SECOND),
        Entry(0, "platform", NOODLES, 450, "bowl"),
        Entry(0, "merchant", NOODLES, -6_000, "bowl"),
        Entry(1, "customer", BOOKS, 2_250, "novel"),
        Entry(1, "platform", BOOKS, 300, "novel", SECOND),
        Entry(1, "platform", BOOKS, 450, "novel"),
        Entry(1, "merchant", BOOKS, -3_000, "novel"),
        Entry(2, "merchant_discount", NOODLES, 1_200, None, UUID(int=3)),
        Entry(2, "merchant", NOODLES, -1_200),
    ]


def test_a_platform_coupon_over_two_merchants_is_one_use() -> None:
    """The order holds it once; its discount is split over both, each at its merchant, as one offer's."""
    order = two_rights()
    assert [one.key for one in order.rights] == ["a", "b", "c"]
    holding = [part.key for part in order.lines for share in part.shares if share.right == 1]
    assert holding == ["bowl", "novel"]
    of_offer = [one for one in payment_entries(order) if one.offer_id == SECOND]
    assert [(one.merchant_id, one.amount) for one in of_offer] == [(NOODLES, 300), (BOOKS, 300)]
    first, remaining = given_back(order, Remaining.of(order), Wish({"novel": 1}))
    second, _nothing = given_back(order, remaining, EVERYTHING)
    assert (first.undone, second.undone) == ((), (0, 1, 2)), "and undone once, when both are back"


def test_points_are_borne_by_the_platform_and_by_no_offer() -> None:
    order = two_rights()
    shares = [line.shares[-1] for line in order.lines]
    assert all(share.right == POINTS and share.units == share.platform for share in shares)


@pytest.mark.parametrize(("is_included", "paid", "sold"), [(True, 900, -1_000), (False, 1_080, -1_180)])
def test_tax_on_top_is_paid_to_the_merchant(is_included: bool, paid: int, sold: int) -> None:
    of = cart(line("bowl", 1_000, tax_basis_points=2_000), prices_include_tax=is_included)
    order = order_of(of, right("a", AmountOff(100)))
    payment = balanced(payment_entries(order))
    assert payment == [
        Entry(0, "customer", NOODLES, paid, "bowl"),
        Entry(0, "platform", NOODLES, 100, "bowl", FIRST),
        Entry(0, "merchant", NOODLES, sold, "bowl"),
    ]
    one, _nothing = given_back(order, Remaining.of(order), EVERYTHING)
    assert balanced(refund_entries(order, one)) == [
        Entry(0, entry.account, NOODLES, -entry.amount, "bowl", entry.offer_id) for entry in payment
    ]


def test_a_refund_is_the_mirror_of_its_units() -> None:
    of = cart(line("bowl", 1_000, 3, tax_basis_points=500), prices_include_tax=False)
    order = order_of(of, right("a", AmountOff(1_000), funding=Funding(5_000, 5_000)))
    one, _remaining = given_back(order, Remaining.of(order), Wish({"bowl": 1}))
    assert balanced(refund_entries(order, one)) == [
        Entry(0, "customer", NOODLES, -699, "bowl"),
        Entry(0, "platform", NOODLES, -167, "bowl", FIRST),
        Entry(0, "merchant_discount", NOODLES, -167, "bowl", FIRST),
        Entry(0, "merchant", NOODLES, 1_033, "bowl"),
    ]


def test_what_is_taken_back_is_posted_where_it_makes_units_dearer() -> None:
    """The books come back; 20 off both from 80 is no longer earned by the noodles, which cost so much more."""
    rules = CartRules(refund_below_threshold="recompute")
    order = order_of(
        cart(A_BOWL, A_NOVEL),
        right("a", AmountOff(1_800), minimum_spend=8_000, rules=rules, funding=Funding(7_500, 2_500)),
    )
    one, remaining = given_back(order, Remaining.of(order), Wish({"novel": 1}))
    assert balanced(refund_entries(order, one)) == [
        Entry(0, "customer", NOODLES, 1_200, "bowl"),
        Entry(0, "platform", NOODLES, -900, "bowl", FIRST),
        Entry(0, "merchant_discount", NOODLES, -300, "bowl", FIRST),
        Entry(1, "customer", BOOKS, -2_400, "novel"),
        Entry(1, "platform", BOOKS, -450, "novel", FIRST),
        Entry(1, "merchant_discount", BOOKS, -150, "novel", FIRST),
        Entry(1, "merchant", BOOKS, 3_000, "novel"),
    ]
    rest, _nothing = given_back(order, remaining, EVERYTHING)
    entries = [*payment_entries(order), *refund_entries(order, one), *refund_entries(order, rest)]
    assert not any(sums_of(entries).values())


def test_what_is_free_is_not_posted() -> None:
    order = order_of(cart(line("sample", 0), A_BOWL, parcels=(Parcel(NOODLES, 0),)))
    assert {one.posting for one in balanced(payment_entries(order))} == {1}
    one, _nothing = given_back(order, Remaining.of(order), EVERYTHING)
    assert [entry.amount for entry in balanced(refund_entries(order, one))] == [-6_000, 6_000]


@pytest.mark.parametrize(("collected_by", "owed"), [("platform", 9_500), ("merchant", 500), (None, 500)])
def test_the_platform_owes_what_it_collected_and_what_it_bears(collected_by: str | None, owed: int) -> None:
    sums = {"customer": 9_000, "platform": 500, "merchant_discount": 500, "merchant": -10_000}
    assert payable(sums, collected_by) == owed
    assert payable({}, collected_by) == 0


def test_an_adjustment_changes_what_the_platform_owes() -> None:
    assert balanced(adjustment_entries(NOODLES, 700)) == [
        Entry(0, "platform", NOODLES, 700),
        Entry(0, "merchant", NOODLES, -700),
    ]
    less = {entry.account: entry.amount for entry in adjustment_entries(NOODLES, -700)}
    assert payable(less, None) == -700
    assert adjustment_entries(NOODLES, 0) == []
