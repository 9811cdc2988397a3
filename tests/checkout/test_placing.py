"""Placing orders: what is kept and for how long, what an order is refused for, and who may ask for what."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update

from tearline.checkout.actions import HOLD_LASTS, LONGEST_HOLD, place_order
from tearline.core.codes import make_code
from tearline.coupons.for_orders import MOST_COUPONS
from tearline.db import new_id, transaction
from tearline.members.model import Member
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tests.cart_worlds import TENTH_OFF, CartWorld
from tests.checkout.ordering import (
    Statements,
    bought,
    cancelled,
    code_of,
    counter,
    counts,
    given,
    later,
    placed,
    quoted,
    refusal,
    seen,
    store,
    why,
)

pytestmark = pytest.mark.anyio

MANY_COUPONS = text("""
    INSERT INTO coupon (member_id, id, offer_id, code, state, valid_from, valid_until, issued_at, changed_at)
    SELECT :member, gen_random_uuid(), :offer, lpad(number::text, 13, '0'), 'open', :now, :until, :now, :now
    FROM generate_series(1, :others) AS number
""")


# What is kept


async def test_coupons_are_held_until_the_order_expires(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    unused = await world.coupon(await world.offer(minimum_spend=50_000))
    await placed(world)
    [row] = await world.rows("SELECT state, held_until FROM coupon WHERE id = :id", id=coupon)
    assert (row.state, row.held_until) == ("held", world.now + HOLD_LASTS)
    assert await world.one("SELECT expires_at FROM cart_order") == world.now + HOLD_LASTS
    assert await world.state_of(unused) == "open"
    await world.audited()


@pytest.mark.parametrize("lasts", [timedelta(0), timedelta(seconds=-1), LONGEST_HOLD + timedelta(seconds=1)])
async def test_nobody_keeps_coupons_for_ever(world: CartWorld, lasts: timedelta) -> None:
    assert "hold_seconds" in (await refusal(placed(world, hold_lasts=lasts))).fields


async def test_another_price_than_was_shown_keeps_nothing(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    before = await counts(world)
    refused = await refusal(placed(world, expected_total=7_999))
    assert (refused.reason, refused.details) == ("price_changed", {"total": 8_000, "currency": "HKD"})
    assert await counts(world) == before
    assert await world.state_of(coupon) == "open"
    await placed(world, expected_total=8_000)
    await world.audited()


async def test_a_quote_writes_nothing(world: CartWorld) -> None:
    await world.coupon(await world.offer())
    before = await counts(world)
    assert (await quoted(world, world.cart())).total == 8_000
    assert await counts(world) == before


async def test_members_who_are_blocked_or_unknown_order_nothing(world: CartWorld) -> None:
    async with transaction(world.database) as tx:
        await tx.execute(update(Member).where(Member.id == world.member).values(state="blocked"))
    assert await why(placed(world)) == "member_blocked"
    assert await why(placed(world, world.cart(member_id=new_id()))) == "not_found"
    assert await world.one("SELECT count(*) FROM cart_order") == 0


async def test_the_same_key_is_the_same_order(world: CartWorld) -> None:
    await world.coupon(await world.offer())
    number = await placed(world, idempotency_key="one")
    async with transaction(world.database) as tx:
        again = await place_order(tx, world.cart(), world.book, world.now, idempotency_key="one")
    assert (again.number, again.is_replay) == (number, True)
    assert await why(placed(world, world.cart(points=1), idempotency_key="one")) == "idempotency_key_reused"
    # A key is a member's own.
    other = await placed(world, world.cart(member_id=world.members[1]), idempotency_key="one")
    assert other != number
    assert await world.one("SELECT count(*) FROM cart_order") == 2
    await world.audited()


# A coupon that an order names, and cannot have


ELSEWHERE = {"includes": {"products": ["something else"]}}
NEVER = {"period": {"kind": "fixed", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2036-01-01T00:00:00Z"}}
UNUSABLE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("already_redeemed", {}, {"state": "redeemed"}),
    ("coupon_void", {}, {"state": "void"}),
    ("expired", {}, {"state": "expired"}),
    ("expired", {}, {"valid_until": timedelta(0)}),
    ("not_valid_yet", {}, {"valid_from": timedelta(seconds=1)}),
    ("not_valid_now", {"validity": {**NEVER, "weekdays": ["another day"]}}, {}),
    ("other_store", {"store_ids": [UUID(int=7)]}, {}),
    ("not_applicable", {"redeem_by": ["cashier", "till"]}, {}),
    ("not_applicable", {}, {"state": "sold"}),
    ("minimum_not_reached", {"minimum_spend": 10_001}, {}),
    ("nothing_in_scope", {"scope": ELSEWHERE}, {}),
    ("excluded_lines", {"scope": {"excludes": {"brands": ["b"]}}, "cart_rules": {"excluded_lines": "block"}}, {}),
    ("first_order_only", {"cart_rules": {"first_order_only": True}}, {}),
    ("other_currency", {"currency": "JPY"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "offer", "coupon"), UNUSABLE, ids=[one[0] for one in UNUSABLE])
async def test_a_named_coupon_that_is_unusable_refuses_the_order(
    world: CartWorld, reason: str, offer: dict[str, Any], coupon: dict[str, Any]
) -> None:
    if "weekdays" in offer.get("validity", {}):
        offer = {**offer, "validity": {**offer["validity"], "weekdays": [world.now.isoweekday() % 7 + 1]}}
        offer["time_zone"] = "UTC"
    coupon = {key: world.now + value if key.startswith("valid") else value for key, value in coupon.items()}
    if reason == "first_order_only":
        await placed(world)
    mine = await world.coupon(await world.offer(**offer), **coupon)
    before = await counts(world)
    lines = [world.line("a", 10_000), world.line("b", 0, brand="b")]
    for named in (
        await given(world, mine, *lines),
        world.cart(*lines, coupon_ids=(mine,), choose="given"),
    ):
        refused = await refusal(placed(world, named))
        assert (refused.reason, refused.details) == (reason, {"coupon": str(mine)})
    assert await counts(world) == before
    # Of the member's own, the best are taken: what cannot be used is left.
    assert (await seen(world, await placed(world, world.cart(*lines)))).total == 10_000
    if coupon.get("state") not in ("redeemed", "sold"):  # of which there would be more to write down
        await world.audited()


async def test_a_named_coupon_that_another_keeps(world: CartWorld) -> None:
    mine = await world.coupon(await world.offer(world.noodles))
    number = await placed(world)
    assert await why(placed(world, await given(world, mine, member_id=world.members[1]))) == "held_elsewhere"
    await cancelled(world, number)
    till = await counter(world)
    await till.prepare(await code_of(world, mine))
    assert await why(placed(world, await given(world, mine))) == "held_elsewhere"
    # A preparation ends by itself.
    await placed(world, await given(world, mine), now=later(world, 5))
    await world.audited()


async def test_named_coupons_that_do_not_go_together(world: CartWorld) -> None:
    first, second = [await world.coupon(await world.offer()) for _ in range(2)]
    both = world.cart(coupon_ids=(first, second), choose="given")
    refused = await refusal(placed(world, both))
    assert (refused.reason, refused.details["coupon"]) == ("not_combinable", str(second))
    assert {await world.state_of(first), await world.state_of(second)} == {"open"}


async def test_all_codes_that_are_none_are_told_before_anything_else(world: CartWorld) -> None:
    used = await world.coupon(await world.offer(), state="redeemed")
    wrong = make_code(secrets.token_bytes)
    named = (await code_of(world, used), wrong, "NONSENSE")
    for choose in ("given", "best"):
        refused = await refusal(placed(world, world.cart(codes=named, choose=choose)))
        assert refused.reason == "code_not_recognised"
        assert refused.details == {"coupon": wrong, "coupons": [wrong, "NONSENSE"]}
    # Ids are of one's own wallet.
    theirs = await world.coupon(await world.offer(), world.members[1])
    refused = await refusal(placed(world, world.cart(coupon_ids=(theirs,), choose="given")))
    assert refused.reason == "code_not_recognised"


async def test_a_guest_with_a_code_uses_somebodys_coupon(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    number = await bought(world, await given(world, coupon, member_id=None))
    order = await seen(world, number)
    assert (order.member_id, order.total, order.coupons[0].holder_id) == (None, 8_000, world.member)
    assert await world.state_of(coupon) == "redeemed"
    # Without a member there is no wallet to look into.
    await world.coupon(await world.offer())
    assert (await quoted(world, world.cart(member_id=None))).total == 10_000
    await world.audited()


async def test_one_coupon_named_in_every_way_is_used_once(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    code = await code_of(world, coupon)
    request = world.cart(codes=(code, code), coupon_ids=(coupon, coupon), choose="given")
    assert (await seen(world, await placed(world, request))).total == 8_000
    assert await world.one("SELECT count(*) FROM coupon_hold") == 1
    await world.audited()


# Promotions


def window(world: CartWorld, begins: float, ends: float, **more: Any) -> dict[str, Any]:
    times = {"starts_at": later(world, begins).isoformat(), "ends_at": later(world, ends).isoformat()}
    return {"period": {"kind": "fixed", **times}, **more}


async def test_promotions_apply_by_themselves_while_they_run(world: CartWorld) -> None:
    promotion = await world.offer(
        world.noodles, automatic=True, validity=window(world, 0, 60), time_zone="UTC"
    )
    for minutes, total in ((-1, 10_000), (0, 8_000), (59, 8_000), (60, 10_000)):
        number = await placed(world, now=later(world, minutes))
        assert (await seen(world, number)).total == total
    # Nobody is told of what is over, or not yet begun.
    quote = (await quoted(world, world.cart(member_id=None))).quote
    assert [one.right.key for one in quote.applied] == [str(promotion)]
    world.now = later(world, 61)
    assert (await quoted(world, world.cart(member_id=None))).loaded.rights == ()
    # It is the noodle shop's own.
    assert (await quoted(world, world.cart(world.line("a", 10_000, merchant_id=world.books)))).total == 10_000
    await world.audited()


async def test_promotions_keep_to_their_hours_days_and_stores(world: CartWorld) -> None:
    minute = world.now.hour * 60 + world.now.minute
    closed = {"from_minute": (minute + 60) % 1440, "to_minute": (minute + 120) % 1440 or 1440}
    tomorrow = world.now.isoweekday() % 7 + 1
    only_here = await store(world)
    for more in (
        {"validity": window(world, -60, 60, hours=[closed])},
        {"validity": window(world, -60, 60, weekdays=[tomorrow])},
        {"store_ids": [only_here]},
    ):
        await world.offer(world.noodles, automatic=True, time_zone="UTC", **more)
    assert (await quoted(world, world.cart())).total == 10_000
    assert (await quoted(world, world.cart(store_id=only_here))).total == 8_000


@pytest.mark.parametrize("state", ["draft", "archived"])
async def test_promotions_that_are_not_active_do_not_apply(world: CartWorld, state: str) -> None:
    await world.offer(world.noodles, automatic=True, state=state)
    assert (await quoted(world, world.cart())).total == 10_000


async def test_a_merchant_who_is_suspended_sells_nothing(world: CartWorld) -> None:
    await world.offer(world.noodles, automatic=True)
    async with transaction(world.database) as tx:
        await tx.execute(update(Merchant).where(Merchant.id == world.noodles).values(state="suspended"))
    assert "lines.0.merchant_id" in (await refusal(placed(world))).fields


async def test_an_offer_that_changes_between_two_quotes_is_seen(world: CartWorld) -> None:
    offer = await world.offer(world.noodles, automatic=True)
    assert (await quoted(world, world.cart())).total == 8_000
    async with transaction(world.database) as tx:
        changes = {"benefit": TENTH_OFF, "benefit_kind": "percent_off", "version": Offer.version + 1}
        await tx.execute(update(Offer).where(Offer.id == offer).values(**changes))
    assert (await quoted(world, world.cart())).total == 9_000


# What it costs to ask


@pytest.mark.parametrize(("others", "is_best"), [(MOST_COUPONS - 2, True), (MOST_COUPONS, False)])
async def test_where_a_wallet_is_too_large_the_best_is_not_promised(
    world: CartWorld, others: int, is_best: bool
) -> None:
    small, great = await world.offer(), await world.offer(benefit=TENTH_OFF, minimum_spend=1)
    last = later(world, 10**6)
    await world.coupon(great, valid_until=last)
    many = {
        "member": world.member,
        "offer": small,
        "others": others,
        "now": world.now,
        "until": later(world, 99),
    }
    async with transaction(world.database) as tx:
        await tx.execute(MANY_COUPONS, many)
    quote = (await quoted(world, world.cart(world.line("a", 100_000)))).quote
    # A tenth of 1,000.00 is more than 20.00, where it is looked at.
    assert (quote.saving, quote.is_best) == ((10_000, True) if is_best else (2_000, False))


async def test_a_quote_takes_the_same_statements_whatever_it_is_about(world: CartWorld) -> None:
    async def statements(lines: int) -> int:
        merchants = world.noodles, world.books
        some = [world.line(f"line-{n}", 1_000, merchant_id=merchants[n % 2]) for n in range(lines)]
        await quoted(world, world.cart(*some))  # from now on the offers are known
        async with Statements(world.database) as counted:
            await quoted(world, world.cart(*some))
        return counted.count

    few = await statements(1)
    for number in range(20):
        await world.coupon(await world.offer(world.noodles if number % 2 else None))
        await world.offer(world.books, automatic=True)
    assert await statements(60) == few
    assert few <= 3
