"""Refunds of orders: what is given back, what becomes of the coupons, and what stays as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tearline.checkout.reads import orders_list
from tearline.checkout.refunding import refund_order
from tearline.core.refunds import EVERYTHING, Wish
from tearline.core.roles import SYSTEM
from tearline.db import transaction
from tests.cart_worlds import TENTH_OFF, CartWorld
from tests.checkout.ordering import (
    bought,
    code_of,
    counts,
    given,
    later,
    paid,
    placed,
    quoted,
    refunded,
    refusal,
    seen,
    shop,
    swept,
    why,
)

pytestmark = pytest.mark.anyio
DAY = 24 * 60


async def balances(world: CartWorld) -> list[tuple[Any, ...]]:
    """What stands on the accounts of settlement."""
    return [
        tuple(row)
        for row in await world.rows("""
            SELECT merchant_id, account, sum(amount) FROM settlement_entry GROUP BY 1, 2 HAVING sum(amount) <> 0""")
    ]


async def outcome(world: CartWorld, number: str) -> str | None:
    """What became of the order's only coupon."""
    [coupon] = (await seen(world, number)).coupons
    return coupon.outcome


# What becomes of the coupon


async def test_a_coupon_comes_back_and_can_be_used_again(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    number = await bought(world)
    await refunded(world, number)
    assert (await outcome(world, number), await world.state_of(coupon)) == ("returned", "open")
    again = await bought(world)
    assert (await seen(world, again)).total == 8_000
    await refunded(world, again)
    assert await world.one("SELECT count(*) FROM reversal") == 2
    assert await balances(world) == []
    await world.audited()


async def test_a_coupon_that_has_run_out_meanwhile_is_forfeited(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer(), valid_until=later(world, DAY))
    number = await bought(world)
    await refunded(world, number, now=later(world, DAY))
    assert (await outcome(world, number), await world.state_of(coupon)) == ("forfeited", "redeemed")
    assert await balances(world) == []
    await world.audited()


async def test_a_coupon_is_given_anew_for_some_days(world: CartWorld) -> None:
    rules = {"refund_coupon": "reissue", "reissue_days": 7}
    coupon = await world.coupon(
        await world.offer(cart_rules=rules, time_zone="UTC"), valid_until=later(world, DAY)
    )
    number = await bought(world)
    back_at = later(world, 30 * DAY)
    await refunded(world, number, now=back_at)
    assert (await outcome(world, number), await world.state_of(coupon)) == ("reissued", "open")
    until = await world.one("SELECT valid_until FROM coupon WHERE id = :id", id=coupon)
    assert (until.date() - back_at.date()).days == 8  # until the end of the seventh day after today
    await swept(world, later(world, 36 * DAY))
    assert await world.state_of(coupon) == "open"
    await world.audited()


async def test_a_coupon_is_forfeited_where_its_offer_says_so(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer(cart_rules={"refund_coupon": "forfeit"}))
    number = await bought(world)
    await refunded(world, number)
    assert (await outcome(world, number), await world.state_of(coupon)) == ("forfeited", "redeemed")
    await world.audited()


async def test_a_coupon_that_was_cancelled_meanwhile_stays_cancelled(world: CartWorld) -> None:
    """The operator cannot cancel what was used; should it ever be, nothing brings it back."""
    coupon = await world.coupon(await world.offer())
    number = await bought(world)
    await world.rows_changed("UPDATE coupon SET state = 'void'")
    await refunded(world, number)
    assert (await outcome(world, number), await world.state_of(coupon)) == ("forfeited", "void")


async def test_a_coupon_stands_while_anything_of_its_discount_stands(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    number = await bought(world, world.cart(world.line("a", 5_000, 4)))
    for _ in range(3):
        await refunded(world, number, Wish({"a": 1}))
        assert (await outcome(world, number), await world.state_of(coupon)) == (None, "redeemed")
    await refunded(world, number, Wish({"a": 1}))
    assert (await outcome(world, number), await world.state_of(coupon)) == ("returned", "open")
    assert [one.amount for one in (await seen(world, number)).refunds] == [4_500] * 4
    await world.audited()


async def test_what_a_guest_gives_back_comes_back_to_whose_coupon_it_was(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer(), world.members[1])
    number = await bought(world, await given(world, coupon, member_id=None))
    await refunded(world, number)
    assert await world.state_of(coupon) == "open"
    assert (await quoted(world, world.cart(member_id=world.members[1]))).total == 8_000
    await world.audited()


# Minimum spends


async def test_what_remains_keeps_its_discount(world: CartWorld) -> None:
    await world.coupon(await world.offer(minimum_spend=15_000))
    number = await bought(world, world.cart(world.line("a", 10_000, 2)))
    await refunded(world, number, Wish({"a": 1}))
    assert (await seen(world, number)).refunded == 9_000
    await refunded(world, number)
    assert (await seen(world, number)).refunded == 18_000
    assert await balances(world) == []
    await world.audited()


async def test_what_remains_loses_its_discount_where_the_offer_says_so(world: CartWorld) -> None:
    coupon = await world.coupon(
        await world.offer(minimum_spend=15_000, cart_rules={"refund_below_threshold": "recompute"})
    )
    number = await bought(world, world.cart(world.line("a", 10_000, 2)))
    await refunded(world, number, Wish({"a": 1}))
    order = await seen(world, number)
    assert (order.refunded, order.refunds[0].returned.reclaimed) == (8_000, 1_000)
    # Nothing stands of it any more, so it is its member's again.
    assert await world.state_of(coupon) == "open"
    await bought(world, await given(world, coupon, world.line("b", 15_000)))
    await refunded(world, number)
    assert (await seen(world, number)).refunded == 18_000
    assert await world.state_of(coupon) == "redeemed"
    await world.audited()


# How much


async def test_no_more_is_given_back_than_was_bought(world: CartWorld) -> None:
    number = await bought(world, world.cart(world.line("a", 1_000, 3), parcels=(world.parcel(500),)))
    await refunded(world, number, Wish({"a": 2}))
    before = await counts(world)
    refused = await refusal(refunded(world, number, Wish({"a": 2})))
    assert (refused.reason, refused.details) == ("refund_too_large", {"line": "a", "left": "1"})
    assert await why(refunded(world, number, Wish({"b": 1}))) == "not_found"
    assert await why(refunded(world, number, Wish({"a": 0}))) == "invalid"
    assert await why(refunded(world, number, Wish(parcels=(world.books,)))) == "not_found"
    await refunded(world, number, Wish(parcels=(world.noodles,)))
    assert await why(refunded(world, number, Wish(parcels=(world.noodles,)))) == "refund_too_large"
    assert (await counts(world))["cart_refund"] == before["cart_refund"] + 1
    await refunded(world, number)
    assert await why(refunded(world, number)) == "nothing_to_refund"
    order = await seen(world, number)
    assert (order.refunded, order.can_be_refunded) == (order.total, False)
    assert await balances(world) == []
    await world.audited()


async def test_only_what_was_paid_is_given_back(world: CartWorld) -> None:
    number = await placed(world)
    assert await why(refunded(world, number)) == "order_not_paid"
    await paid(world, number)
    assert await why(refunded(world, number, actor=shop(world.books))) == "not_found"
    assert await why(refunded(world, "nothing")) == "not_found"
    assert list((await refusal(refunded(world, number, reason="x" * 501))).fields) == ["reason"]


async def test_the_same_key_is_the_same_refund(world: CartWorld) -> None:
    number = await bought(
        world, world.cart(world.line("a", 1_000, 3), world.line("b", 5), parcels=(world.parcel(9),))
    )
    first = await refunded(world, number, Wish({"a": 1, "b": 0}), idempotency_key="one")
    assert await refunded(world, number, Wish({"a": 1}), idempotency_key="one") == first
    for other in (Wish({"a": 2}), Wish({"b": 1}), Wish({"a": 1}, (world.noodles,)), EVERYTHING):
        assert await why(refunded(world, number, other, idempotency_key="one")) == "idempotency_key_reused"
    second = await refunded(world, number, Wish(parcels=(world.noodles,)), idempotency_key="two")
    assert await refunded(world, number, Wish(parcels=(world.noodles,)), idempotency_key="two") == second
    last = await refunded(world, number, idempotency_key="rest")
    assert await refunded(world, number, idempotency_key="rest") == last
    # A key is of one order.
    assert await refunded(world, await bought(world), idempotency_key="one") != first
    assert (await seen(world, number)).refunded == 3_014
    await world.audited()


@pytest.mark.parametrize("is_included", [True, False])
async def test_whatever_the_steps_all_that_was_paid_comes_back(world: CartWorld, is_included: bool) -> None:
    recompute = {"refund_below_threshold": "recompute"}
    await world.coupon(await world.offer(world.noodles, minimum_spend=9_000, cart_rules=recompute))
    await world.coupon(
        await world.offer(benefit=TENTH_OFF, funding_platform_basis_points=3_333, cart_rules=recompute)
    )
    await world.coupon(await world.offer(benefit={"kind": "free_shipping", "cap": 1_000}))
    number = await bought(
        world,
        world.cart(
            world.line("a", 3_333, 3, tax_basis_points=825),
            world.line("b", 1, 7, merchant_id=world.books, tax_basis_points=10_000),
            parcels=(world.parcel(1_201), world.parcel(3, world.books)),
            points=1_111,
            prices_include_tax=is_included,
        ),
    )
    wishes = (
        Wish({"a": 1, "b": 3}), Wish(parcels=(world.books,)), Wish({"b": 1}), Wish({"a": 1}, (world.noodles,)),
    )  # fmt: skip
    for wish in wishes:
        await refunded(world, number, wish)
        await world.audited()
    await refunded(world, number)
    order = await seen(world, number)
    assert order.refunded == order.total
    assert sum(one.tax for one in order.refunds) == order.frozen.tax
    assert sum(one.points for one in order.refunds) == order.frozen.points == 1_111
    assert await balances(world) == []
    assert {one.outcome for one in order.coupons} == {"returned"}
    await world.audited()


# Sizes


async def test_what_is_kept_of_an_order_does_not_grow_with_its_refunds(world: CartWorld) -> None:
    await world.coupon(
        await world.offer(
            benefit={"kind": "amount_off", "amount": 333, "every": True},
            minimum_spend=1_000,
            funding_platform_basis_points=3_333,
            cart_rules={"refund_below_threshold": "recompute"},
        )
    )
    number = await bought(world, world.cart(world.line("a", 777, 10_000, tax_basis_points=825)))
    async with transaction(world.database) as tx:
        for step in range(1, 61):
            await refund_order(tx, SYSTEM, number, Wish({"a": step}), world.now)
    assert await world.one("SELECT pg_column_size(remaining::text) FROM cart_order") < 4_000
    await refunded(world, number)
    order = await seen(world, number)
    assert order.refunded == order.total
    await world.audited()


async def test_the_largest_amounts_are_kept_exactly(world: CartWorld) -> None:
    await world.coupon(await world.offer(benefit={"kind": "percent_off", "basis_points": 1}))
    most = 10**12 - 1
    number = await bought(
        world, world.cart(world.line("a", most, tax_basis_points=10_000), prices_include_tax=False)
    )
    order = await seen(world, number)
    assert order.total == 2 * (most - 10**8)
    await refunded(world, number)
    assert (await seen(world, number)).refunded == order.total
    await world.audited()
    for lines in ([world.line("a", 10**12 + 1)], [world.line("a", 10**12), world.line("b", 1)]):
        assert await why(placed(world, world.cart(*lines))) == "invalid"
    assert await why(placed(world, world.cart(world.line("a", 10**9, 10_000)))) == "invalid"


async def test_lists_of_orders_tell_what_was_refunded(world: CartWorld) -> None:
    number = await bought(world)
    await refunded(world, number)
    async with world.database.connection() as connection:
        [row] = (await connection.execute(orders_list(SYSTEM, world.now))).all()
    assert (row.number, row.order_state, row.refunded) == (number, "paid", 10_000)


async def test_codes_of_a_refunded_coupon_work_again(world: CartWorld) -> None:
    coupon = await world.coupon(await world.offer())
    await refunded(world, await bought(world))
    again = world.cart(codes=(await code_of(world, coupon),), choose="given")
    assert (await seen(world, await bought(world, again))).total == 8_000
    await world.audited()
