"""Orders of carts: priced, kept, paid, cancelled, refunded; each against a real database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tearline.checkout.actions import pay_order, place_order, refund_order
from tearline.checkout.reads import OrderView, order_by_number
from tearline.core.refunds import EVERYTHING, Wish
from tearline.core.refusal import Refusal
from tearline.core.roles import SYSTEM
from tearline.db import Database, transaction
from tests.cart_worlds import TENTH_OFF, CartWorld, make_cart_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database: Database) -> CartWorld:
    return await make_cart_world(database)


async def placed(world: CartWorld, *lines: Any, cart: dict[str, Any] | None = None, **more: Any) -> str:
    async with transaction(world.database) as tx:
        return (
            await place_order(tx, world.cart(*lines, **(cart or {})), world.book, world.now, **more)
        ).number


async def paid(world: CartWorld, number: str, **more: Any) -> None:
    values = {"collected_by": "platform", "now": world.now, **more}
    async with transaction(world.database) as tx:
        await pay_order(tx, SYSTEM, number, **values)


async def refunded(world: CartWorld, number: str, wish: Wish = EVERYTHING, **more: Any) -> UUID:
    async with transaction(world.database) as tx:
        return await refund_order(tx, SYSTEM, number, wish, more.pop("now", world.now), **more)


async def seen(world: CartWorld, number: str, after: timedelta = timedelta(0)) -> OrderView:
    async with world.database.connection() as connection:
        return await order_by_number(connection, SYSTEM, number, world.now + after)


async def refusal(work: Any) -> str:
    with pytest.raises(Refusal) as raised:
        await work
    return raised.value.reason


async def test_from_the_cart_to_the_last_refund(world: CartWorld) -> None:
    mine = await world.coupon(await world.offer(world.noodles))
    theirs = await world.coupon(await world.offer(benefit=TENTH_OFF, funding_platform_basis_points=5_000))
    number = await placed(
        world,
        world.line("a", 10_000, 2),
        world.line("b", 5_000, merchant_id=world.books),
        cart={"parcels": (world.parcel(1_200),)},
    )
    order = await seen(world, number)
    assert (order.state, order.total) == ("open", 20_000 + 5_000 - 2_000 - 2_300 + 1_200)
    assert {await world.state_of(mine), await world.state_of(theirs)} == {"held"}
    await world.audited()

    await paid(world, number)
    assert {await world.state_of(mine), await world.state_of(theirs)} == {"redeemed"}
    assert (await seen(world, number)).state == "paid"
    await world.audited()

    await refunded(world, number, Wish(lines={"a": 1}))
    order = await seen(world, number)
    assert order.refunds[0].amount == 8_100
    assert {one.outcome for one in order.coupons} == {None}
    await refunded(world, number, Wish(lines={"a": 1}, parcels=(world.noodles,)))
    order = await seen(world, number)
    assert order.refunds[1].amount == 8_100 + 1_200
    assert await world.state_of(mine) == "open"
    assert await world.state_of(theirs) == "redeemed"
    await refunded(world, number)
    order = await seen(world, number)
    assert order.refunded == order.total
    assert not order.can_be_refunded
    assert await world.state_of(theirs) == "open"
    assert (
        await world.rows(
            "SELECT account FROM settlement_entry GROUP BY merchant_id, account HAVING sum(amount) <> 0"
        )
        == []
    )
    assert await refusal(refunded(world, number)) == "nothing_to_refund"
    await world.audited()
