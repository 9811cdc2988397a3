"""The rules of sales: what an item may be, whether an order is taken, and what is said of the future."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core import codes
from tearline.core.sales import (
    ITEM_EDITABLE,
    ORDER_STATES,
    ORDER_TRANSITIONS,
    Buyer,
    ItemRules,
    ItemStock,
    SaleItemDraft,
    check_item,
    commission_of,
    decide_order,
    delivers_in_time,
    delivers_late,
    expected_sold_out,
    left_of,
    order_number,
)

NOW = datetime(2026, 6, 27, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = ItemRules(uuid4(), limit_per_member=4, limit_per_order=3)
GOOD = SaleItemDraft(uuid4(), price=26_500, face_value=30_000, quantity=100)


def stock(**changes: Any) -> ItemStock:
    values = {"quantity_left": 10, "codes_left": 10, "issue_left": None, "can_be_issued": True, **changes}
    return ItemStock(**values)


def buyer(**changes: Any) -> Buyer:
    return Buyer(**{"epoch": 1, "is_active": True, "is_in_audience": True, **changes})


def why_not(quantity: int = 1, **changes: Any) -> str | None:
    values: dict[str, Any] = {
        "rules": RULES,
        "stock": stock(),
        "buyer": buyer(),
        "epoch": 1,
        "state": "live",
        "starts_at": NOW - DAY,
        "ends_at": NOW + DAY,
        "now": NOW,
        **changes,
    }
    asked = [values.pop(name) for name in ("rules", "stock", "buyer", "epoch")]
    no = decide_order(*asked, quantity, **values)
    return None if no is None else no.reason


def test_an_order_charges_the_stock_and_the_buyer() -> None:
    left, member = stock(issue_left=7), buyer()
    assert why_not(3, stock=left, buyer=member) is None
    assert (left.quantity_left, left.codes_left, left.issue_left) == (7, 7, 4)
    assert member.bought == {RULES.id: 3}
    assert why_not(2, stock=left, buyer=member) == "order_too_large"
    assert why_not(1, stock=left, buyer=member) is None
    assert why_not(1, stock=left, buyer=member) == "purchase_limit_reached"
    assert (left.quantity_left, member.bought) == (6, {RULES.id: 4})


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("session_ended", {"buyer": None}),
        ("session_ended", {"epoch": 2}),
        ("member_blocked", {"buyer": buyer(is_active=False)}),
        ("not_started", {"starts_at": NOW + timedelta(seconds=1)}),
        ("not_started", {"state": "draft"}),
        ("ended", {"ends_at": NOW}),
        ("ended", {"state": "archived"}),
        ("paused", {"state": "paused"}),
        ("not_in_audience", {"buyer": buyer(is_in_audience=False)}),
        ("order_too_large", {"quantity": 4}),
        ("purchase_limit_reached", {"buyer": buyer(bought={RULES.id: 4})}),
        ("order_too_large", {"quantity": 2, "buyer": buyer(bought={RULES.id: 3})}),
        ("sold_out", {"stock": stock(codes_left=0)}),
        ("sold_out", {"stock": stock(quantity_left=0)}),
        ("sold_out", {"stock": stock(issue_left=-1)}),
        ("sold_out", {"stock": stock(can_be_issued=False)}),
        ("fewer_left", {"quantity": 3, "stock": stock(codes_left=2)}),
        (
            "offer_member_limit_reached",
            {"rules": replace(RULES, offer_limit_per_member=5), "buyer": buyer(held={RULES.id: 5})},
        ),
    ],
)
def test_each_no_has_its_reason_and_takes_nothing(reason: str, changes: dict[str, Any]) -> None:
    before = changes.get("stock", stock())
    left = replace(before)
    assert why_not(**{**changes, "stock": left}) == reason
    assert left == before


def test_a_stock_without_any_bound_has_no_end() -> None:
    assert left_of(None, None) is None
    assert left_of(3, None, -2) == 0
    endless = stock(quantity_left=None, codes_left=None)
    assert why_not(3, stock=endless) is None
    assert endless.left is None


def test_an_offers_limit_is_for_the_whole_order() -> None:
    rules = replace(RULES, offer_limit_per_member=5)
    assert why_not(3, rules=rules, buyer=buyer(held={RULES.id: 3})) == "offer_member_limit_reached"
    assert why_not(2, rules=rules, buyer=buyer(held={RULES.id: 3})) is None


def test_a_payment_in_time_is_delivered_down_to_the_last_one() -> None:
    assert delivers_in_time(True, 10, 10) and delivers_in_time(True, None, 10)
    assert not delivers_in_time(True, 9, 10)
    assert not delivers_in_time(False, None, 1)


def test_a_late_payment_is_delivered_while_there_is_something() -> None:
    assert delivers_late(stock(), 10)
    assert not delivers_late(stock(), 11)
    assert not delivers_late(stock(can_be_issued=False), 1)


def test_a_good_item_has_no_problems_and_each_bad_one_its_field() -> None:
    assert check_item(GOOD, has_pool=False) == {}
    assert check_item(replace(GOOD, quantity=None), has_pool=True) == {}
    bad: list[tuple[str, dict[str, Any]]] = [
        ("price", {"price": 0}),
        ("price", {"price": 30_001}),
        ("face_value", {"face_value": 0}),
        ("quantity", {"quantity": None}),
        ("quantity", {"quantity": 0}),
        ("limit_per_member", {"limit_per_member": 0}),
        ("limit_per_order", {"limit_per_order": 21}),
        ("limit_per_order", {"limit_per_order": 0}),
        ("commission_basis_points", {"commission_basis_points": 10_001}),
        ("commission_basis_points", {"commission_basis_points": -1}),
    ]
    for field, changes in bad:
        assert set(check_item(replace(GOOD, **changes), has_pool=False)) == {field}


@given(st.integers(0, 10**12), st.integers(0, 10_000))
def test_a_commission_is_a_part_of_the_amount_rounded_to_the_nearest_unit(amount: int, share: int) -> None:
    commission = commission_of(amount, share)
    assert 0 <= commission <= amount
    assert abs(commission * 10_000 - amount * share) <= 5_000


def test_order_numbers_are_ten_characters_that_can_be_typed_back() -> None:
    number = order_number(secrets.token_bytes(10))
    assert len(number) == 10
    assert codes.normalise(f" {number[:5].lower()}-{number[5:].lower()} ") == number


def test_every_order_ends_paid_released_or_refunded() -> None:
    assert set(ORDER_TRANSITIONS) == set(ORDER_STATES)
    assert all(targets <= set(ORDER_STATES) for targets in ORDER_TRANSITIONS.values())
    assert ORDER_TRANSITIONS["paid"] == frozenset()


def test_a_price_never_changes_while_members_buy() -> None:
    assert ITEM_EDITABLE["live"].isdisjoint(
        {"price", "face_value", "commission_basis_points", "offer_id", "add"}
    )
    assert ITEM_EDITABLE["live"] < ITEM_EDITABLE["paused"] < ITEM_EDITABLE["draft"]


def test_the_time_of_running_out_goes_by_what_was_sold_lately() -> None:
    assert expected_sold_out(0, 10, DAY, NOW) == NOW
    assert expected_sold_out(5, 0, DAY, NOW) is None
    assert expected_sold_out(24, 48, DAY, NOW) == NOW + DAY / 2
    assert expected_sold_out(10**9, 1, DAY, NOW) is None
