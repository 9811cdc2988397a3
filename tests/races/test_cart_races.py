"""Orders of carts that race: many connections, committing for real.

Each rule is run twice. With the locks it must hold; without them (the negative control) the same storm must break it,
which shows that the test can fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select, text

from tearline.checkout import actions, refunding
from tearline.checkout.actions import cancel_order, pay_order, place_order
from tearline.checkout.model import CartOrder, CartOrderLookup
from tearline.checkout.refunding import refund_order
from tearline.core.codes import display
from tearline.core.refunds import Wish
from tearline.core.refusal import Refusal
from tearline.core.roles import SYSTEM, Actor
from tearline.coupons import for_orders
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import Store
from tests.cart_worlds import CartWorld, make_cart_world
from tests.counters import desk as till_desk
from tests.races.controls import assert_breaks
from tests.worlds import NOW

pytestmark = pytest.mark.anyio

STORM = 16


@pytest.fixture
async def many(database_url: str) -> AsyncIterator[Database]:
    """A connection for everybody."""
    async with Database(database_url, pool_size=STORM) as database:
        yield database


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the same actions without their locks, and with the pause that a busy machine makes."""
    real_load = actions.load
    monkeypatch.setattr(for_orders, "_ORDERED", for_orders._QUOTED)
    monkeypatch.setattr(
        for_orders, "_OF_ORDER", for_orders._OF_ORDER.replace("FOR NO KEY UPDATE OF coupon", "")
    )

    async def slow_load(*arguments: Any, **more: Any) -> Any:
        loaded = await real_load(*arguments, **more)
        await asyncio.sleep(0.03)
        return loaded

    async def lock_nobody(*_: Any) -> str:
        return "active"

    async def look_at_order(tx: Any, _actor: Actor, number: str) -> Any:
        found = select(CartOrderLookup.order_id).where(CartOrderLookup.number == number)
        rows = await tx.execute(select(CartOrder.__table__).where(CartOrder.id.in_(found)))
        await asyncio.sleep(0.03)
        return rows.one()

    monkeypatch.setattr(actions, "load", slow_load)
    monkeypatch.setattr(actions, "_lock_member", lock_nobody)
    monkeypatch.setattr(actions, "lock_order", look_at_order)
    monkeypatch.setattr(refunding, "lock_order", look_at_order)


async def drop_constraints(database: Database) -> None:
    """The last net below the locks."""
    async with transaction(database) as tx:
        await tx.execute(
            text("ALTER TABLE cart_order DROP CONSTRAINT IF EXISTS uq_cart_order_member_id_idempotency_key")
        )
        await tx.execute(text("ALTER TABLE cart_order DROP CONSTRAINT IF EXISTS ck_cart_order_refunded"))


async def at_once(work: Sequence[Awaitable[Any]]) -> list[Any]:
    """What became of each; a fault is raised."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
            raise AssertionError(outcome) from outcome
    return outcomes


def done(outcomes: Sequence[Any]) -> int:
    return sum(not isinstance(outcome, Refusal) for outcome in outcomes)


def why_not(outcomes: Sequence[Any]) -> set[str]:
    return {outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)}


async def place(world: CartWorld, request: Any, **more: Any) -> str:
    async with transaction(world.database) as tx:
        return (await place_order(tx, request, world.book, world.now, **more)).number


async def within(
    world: CartWorld, action: Callable[..., Awaitable[Any]], *arguments: Any, **more: Any
) -> Any:
    async with transaction(world.database) as tx:
        return await action(tx, SYSTEM, *arguments, **more)


async def code_of(world: CartWorld, coupon_id: Any) -> str:
    return str(await world.one("SELECT code FROM coupon WHERE id = :id", id=coupon_id))


async def one_coupon_in_many_orders(database: Database) -> bool:
    """Everybody names the same coupon: one order has it."""
    world = await make_cart_world(database, members=STORM)
    coupon = await world.coupon(await world.offer())
    code = await code_of(world, coupon)
    outcomes = await at_once(
        [place(world, world.cart(member_id=one, codes=(code,), choose="given")) for one in world.members]
    )
    uses = await world.one("SELECT count(*) FROM cart_order_coupon")
    return done(outcomes) == uses == 1 and why_not(outcomes) == {"held_elsewhere"}


async def the_till_or_the_order(database: Database) -> bool:
    """A coupon that is read at a counter and named in carts at the same moment is used once."""
    world = await make_cart_world(database, members=STORM)
    store = new_id()
    async with transaction(database) as tx:
        await tx.execute(
            Store.__table__.insert().values(
                id=store, merchant_id=world.noodles, code="main", names={"en": "Main"}, created_at=NOW
            )
        )
    till = Actor("key", new_id(), "till", frozenset({"redeem"}), world.noodles)
    desk = till_desk(database)
    held = True
    for number in range(4):
        coupon = await world.coupon(await world.offer(world.noodles))
        code = await code_of(world, coupon)
        carts = [
            place(world, world.cart(member_id=one, codes=(code,), choose="given"))
            for one in world.members[:4]
        ]
        outcomes = await at_once(
            [*carts, desk.redeem(till, store, f"till-{number}", way="till", text=display(code))]
        )
        held = held and done(outcomes) == 1
    return held


async def paid_or_cancelled(database: Database) -> bool:
    """Whoever comes second is told what has become of the order."""
    world = await make_cart_world(database)
    offer, held = await world.offer(), True
    for _ in range(4):
        coupon = await world.coupon(offer)
        number = await place(world, world.cart())
        outcomes = await at_once(
            [
                within(world, pay_order, number, world.now, collected_by="platform"),
                within(world, cancel_order, number, world.now),
            ]
        )
        order = await world.one("SELECT state FROM cart_order WHERE number = :number", number=number)
        expected = {"paid": ("redeemed", {"order_paid"}), "cancelled": ("open", {"order_cancelled"})}[order]
        held = held and done(outcomes) == 1 and (await world.state_of(coupon), why_not(outcomes)) == expected
        if order == "cancelled":
            await within(world, cancel_order, number, world.now)
            async with transaction(database) as tx:
                await tx.execute(text("UPDATE coupon SET state = 'void' WHERE state = 'open'"))
    return held


async def paid_once(database: Database) -> bool:
    """News of a payment comes many times at once: the coupon is used once, and booked once."""
    world = await make_cart_world(database)
    await world.coupon(await world.offer())
    number = await place(world, world.cart())
    await at_once(
        [within(world, pay_order, number, world.now, collected_by="platform") for _ in range(STORM)]
    )
    uses = await world.one("SELECT count(*) FROM redemption")
    booked = await world.one("SELECT sum(amount) FROM settlement_entry WHERE account = 'customer'")
    return uses == 1 and booked == 8_000


async def refunded_once(database: Database) -> bool:
    """The same two units are asked for by many at once: no more is given back than was ordered."""
    world = await make_cart_world(database)
    number = await place(world, world.cart(world.line("a", 1_000, 5)))
    await within(world, pay_order, number, world.now, collected_by="platform")
    outcomes = await at_once(
        [within(world, refund_order, number, Wish({"a": 2}), world.now) for _ in range(STORM)]
    )
    given = await world.one("SELECT sum(amount) FROM cart_refund")
    written = await world.one("SELECT refunded FROM cart_order")
    return done(outcomes) == 2 and given == written == 4_000 and why_not(outcomes) == {"refund_too_large"}


async def one_order_for_a_key(database: Database) -> bool:
    """The same form, sent many times at once."""
    world = await make_cart_world(database)
    await at_once([place(world, world.cart(), idempotency_key="form-1") for _ in range(STORM)])
    return bool(await world.one("SELECT count(*) FROM cart_order") == 1)


async def one_first_order(database: Database) -> bool:
    """A member orders in many windows at once: one of the orders is the first."""
    world = await make_cart_world(database)
    await world.offer(world.noodles, automatic=True, cart_rules={"first_order_only": True})
    await at_once([place(world, world.cart()) for _ in range(STORM)])
    return bool(await world.one("SELECT count(*) FROM cart_order WHERE discount > 0") == 1)


RULES = [
    one_coupon_in_many_orders,
    the_till_or_the_order,
    paid_or_cancelled,
    paid_once,
    refunded_once,
    one_order_for_a_key,
    one_first_order,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_the_rule_holds_in_a_storm(rule: Callable[[Database], Awaitable[bool]], many: Database) -> None:
    assert await rule(many)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_without_the_locks_the_same_storm_breaks_it(
    rule: Callable[[Database], Awaitable[bool]], many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    await drop_constraints(many)

    async def storm() -> bool:
        try:
            return await rule(many)
        except (AssertionError, KeyError):
            # Such as a row that a key finds twice.
            return False

    await assert_breaks(many, storm)


async def test_orders_that_name_the_same_coupons_in_another_order_do_not_wait_in_a_circle(
    many: Database,
) -> None:
    world = await make_cart_world(many, members=STORM)
    codes = [await code_of(world, await world.coupon(await world.offer())) for _ in range(6)]
    outcomes = await at_once(
        [
            place(world, world.cart(member_id=one, codes=tuple(codes if number % 2 else reversed(codes))))
            for number, one in enumerate(world.members)
        ]
    )
    assert done(outcomes) == STORM
    assert await world.one("SELECT count(*) FROM cart_order_coupon") == 6
    await world.audited()
