"""Coupons that orders of carts hold or have used: what counters, wallets, lists and the audit make of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.coupons import reads
from tearline.coupons.actions import forget_holds, release_holds
from tearline.db import Database, new_id, transaction
from tearline.insight.reads import merchant_day
from tearline.offers.model import Offer
from tests.counters import (
    Counter,
    assert_clean,
    desk,
    person,
    reason,
    till,
    till_and_coupon,
    world_with_coupons,
)
from tests.held_by_orders import ORDER_NUMBER, hold_for_order, use_in_order

pytestmark = pytest.mark.anyio

SECRET = b"the key that signs, 32 bytes long"


async def test_every_counter_is_told_that_an_order_keeps_the_coupon(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    await hold_for_order(database, coupon.member_id, coupon.id)
    cashier = Counter(desk(database), person(world), world.store_id, "cashier")
    # Neither the till, who is nobody, nor a person takes it for a hold of their own.
    for one in (counter, cashier):
        assert await reason(one.prepare(coupon.code)) == "held_elsewhere"
        assert await reason(one.redeem(text=coupon.code)) == "held_elsewhere"
    look = await cashier.desk.look(cashier.actor, world.store_id, coupon.code, way="cashier")
    assert look.state == "held"
    assert look.refusal is not None and look.refusal.reason == "held_elsewhere"
    await assert_clean(database)


@pytest.mark.parametrize("is_known", [False, True])
async def test_an_orders_hold_is_no_counters_to_use_or_give_up(database: Database, is_known: bool) -> None:
    world, coupon, counter = await till_and_coupon(database)
    merchant_id = world.merchant_id if is_known else None
    hold_id, _order = await hold_for_order(database, coupon.member_id, coupon.id, merchant_id=merchant_id)
    assert await reason(counter.redeem(hold_id=hold_id)) == "not_found"
    assert await reason(counter.release(hold_id)) == "not_found"
    at_store = person(world, store_id=world.store_id)
    operator = Actor("staff", new_id(), "Olga", PERMISSIONS["owner"])
    async with database.connection() as connection:
        for actor in (at_store, operator):
            with pytest.raises(Refusal, match="not_found"):
                await reads.preparation(connection, actor, hold_id, datetime.now(UTC))


async def test_an_orders_hold_ends_like_any_other(database: Database) -> None:
    _world, coupon, counter = await till_and_coupon(database)
    hold_id, _order = await hold_for_order(database, coupon.member_id, coupon.id, minutes=-1)
    async with transaction(database) as tx:
        assert await release_holds(tx, datetime.now(UTC), 10) == 1
        assert await forget_holds(tx, created_before=datetime.now(UTC) + timedelta(days=1)) == 1
    assert await reason(counter.redeem(hold_id=hold_id)) == "not_found"
    assert (await counter.redeem(text=coupon.code)).state == "redeemed"


async def test_the_wallet_knows_for_which_order(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 3)
    kept, over, at_counter = coupons
    _hold, order_id = await hold_for_order(database, kept.member_id, kept.id)
    await hold_for_order(database, over.member_id, over.id, minutes=-1)
    await Counter(desk(database), till(world), world.store_id).prepare(at_counter.code)
    now = datetime.now(UTC)
    async with database.connection() as connection:
        held = (await reads.wallet(connection, kept.member_id, "held", now)).coupons
        usable = (await reads.wallet(connection, kept.member_id, "usable", now)).coupons
    assert {one.id: one.held_for_order_id for one in held} == {kept.id: order_id, at_counter.id: None}
    # Kept too long is not kept, whether or not the sweeper has passed.
    assert [(one.id, one.held_for_order_id) for one in usable] == [(over.id, None)]


async def test_what_an_order_used_has_no_store(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 2)
    in_order, at_counter = coupons
    redemption_id, order_id = await use_in_order(
        database,
        in_order.member_id,
        in_order.id,
        offer_id=in_order.offer_id,
        merchant_id=world.merchant_id,
        campaign_id=world.campaign_id,
    )
    counter = Counter(desk(database), till(world), world.store_id)
    await counter.redeem(text=at_counter.code)
    manager, cashier = person(world, "manager"), person(world, store_id=world.store_id)
    operator = Actor("staff", new_id(), "Olga", PERMISSIONS["owner"])
    now = datetime.now(UTC)
    async with database.connection() as connection:
        for actor in (manager, operator):
            row = await reads.redemption(connection, actor, redemption_id)
            assert (row.way, row.verified, row.order_id) == ("checkout", "order", order_id)
            assert (row.store_id, row.store_names, row.request_number) == (None, None, ORDER_NUMBER)
            listed = (await connection.execute(reads.redemptions_list(actor))).all()
            assert len(listed) == 2
        # A cashier sees what was done at their store.
        listed = (await connection.execute(reads.redemptions_list(cashier))).all()
        assert [row.coupon_id for row in listed] == [at_counter.id]
        use = await reads.use_of(connection, in_order.member_id, in_order.id)
        assert use is not None and use.merchant_names == {"en": "Harbour Books"}
        assert (use.store_names, use.order_id, use.request_number) == (None, order_id, ORDER_NUMBER)
        here = await reads.use_at_merchant(connection, world.merchant_id, in_order.code)
        assert here is not None
        assert (here.redemption_id, here.store_id, here.staff_name) == (redemption_id, None, None)
        found = await reads.coupon_for_staff(connection, operator, in_order.member_id, in_order.id, now)
        assert [row.redemption_id for row in found.redemptions] == [redemption_id]
        day = await merchant_day(connection, manager, world.merchant_id, time_zone="UTC", now=now)
        assert day.redemptions == sum(store.redemptions for store in day.stores) == 2
        assert {store.store_id: store.names for store in day.stores} == {
            None: None,
            world.store_id: {"en": "Central"},
        }
    await assert_clean(database)
    # Only a refund of the order undoes it: no counter knows of it.
    assert await reason(counter.reverse(redemption_id)) == "not_found"
    assert await reason(counter.redeem(text=in_order.code)) == "already_redeemed"


async def test_a_coupon_of_the_platform_is_used_at_no_one_merchant(database: Database) -> None:
    world, coupons = await world_with_coupons(database)
    async with transaction(database) as tx:
        await tx.execute(update(Offer).values(issuer="platform", merchant_id=None))
    coupon = coupons[0]
    redemption_id, order_id = await use_in_order(
        database, coupon.member_id, coupon.id, offer_id=coupon.offer_id, merchant_id=None
    )
    operator = Actor("staff", new_id(), "Olga", PERMISSIONS["owner"])
    async with database.connection() as connection:
        use = await reads.use_of(connection, coupon.member_id, coupon.id)
        assert use is not None and (use.merchant_names, use.order_id) == (None, order_id)
        row = await reads.redemption(connection, operator, redemption_id)
        assert (row.merchant_id, row.store_id) == (None, None)
        manager = person(world, "manager")
        assert (await connection.execute(reads.redemptions_list(manager))).all() == []
        assert await reads.use_at_merchant(connection, world.merchant_id, coupon.code) is None
    await assert_clean(database)
