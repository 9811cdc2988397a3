"""An order of a cart from its quote to its last refund, against a real database."""

from __future__ import annotations

import pytest

from tearline.core.refunds import Wish
from tests.cart_worlds import TENTH_OFF, CartWorld
from tests.checkout.ordering import paid, placed, refunded, seen, why

pytestmark = pytest.mark.anyio


async def test_from_the_cart_to_the_last_refund(world: CartWorld) -> None:
    mine = await world.coupon(await world.offer(world.noodles))
    theirs = await world.coupon(await world.offer(benefit=TENTH_OFF, funding_platform_basis_points=5_000))
    lines = world.line("a", 10_000, 2), world.line("b", 5_000, merchant_id=world.books)
    number = await placed(world, world.cart(*lines, parcels=(world.parcel(1_200),)))
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
    assert await why(refunded(world, number)) == "nothing_to_refund"
    await world.audited()
