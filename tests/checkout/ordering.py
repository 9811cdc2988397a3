"""What tests of orders share: each step in a transaction of its own, as the faces do it."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, insert

from tearline.checkout.actions import cancel_order, pay_order, place_order
from tearline.checkout.quoting import PricedCart, quote_cart
from tearline.checkout.reads import OrderView, order_by_number
from tearline.checkout.refunding import refund_order
from tearline.checkout.requests import CartRequest
from tearline.core.refunds import EVERYTHING, Wish
from tearline.core.refusal import Refusal
from tearline.core.roles import KEY_SCOPES, SYSTEM, Actor
from tearline.coupons.actions import expire_due, release_holds, void_coupon
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import Store
from tests.cart_worlds import CartWorld
from tests.counters import Counter
from tests.counters import desk as redemption_desk

TABLES = (
    "cart_order", "cart_order_lookup", "cart_order_coupon", "cart_refund", "coupon_hold", "redemption", "reversal",
    "settlement_entry", "audit_entry",
)  # fmt: skip


async def quoted(world: CartWorld, request: CartRequest, **more: Any) -> PricedCart:
    """A quote as of the world's now."""
    async with world.database.connection() as connection:
        return await quote_cart(connection, request, world.book, world.now, **more)


async def placed(world: CartWorld, request: CartRequest | None = None, **more: Any) -> str:
    """Order a cart; answers the order's number."""
    request = request or world.cart()
    async with transaction(world.database) as tx:
        return (await place_order(tx, request, world.book, more.pop("now", world.now), **more)).number


async def paid(world: CartWorld, number: str, actor: Actor = SYSTEM, **more: Any) -> None:
    """Pay an order; the platform collects unless said otherwise."""
    async with transaction(world.database) as tx:
        await pay_order(tx, actor, number, **{"collected_by": "platform", "now": world.now, **more})


async def cancelled(world: CartWorld, number: str, actor: Actor = SYSTEM, **more: Any) -> None:
    """Give an order up."""
    async with transaction(world.database) as tx:
        await cancel_order(tx, actor, number, more.get("now", world.now))


async def refunded(world: CartWorld, number: str, wish: Wish = EVERYTHING, **more: Any) -> UUID:
    """Refund some of an order."""
    actor = more.pop("actor", SYSTEM)
    async with transaction(world.database) as tx:
        return await refund_order(tx, actor, number, wish, more.pop("now", world.now), **more)


async def bought(world: CartWorld, request: CartRequest | None = None, **more: Any) -> str:
    """Order a cart and pay it."""
    number = await placed(world, request, **more)
    await paid(world, number)
    return number


async def seen(world: CartWorld, number: str, now: datetime | None = None) -> OrderView:
    """An order as the operator sees it."""
    async with world.database.connection() as connection:
        return await order_by_number(connection, SYSTEM, number, now or world.now)


async def refusal(work: Awaitable[Any]) -> Refusal:
    """The refusal that something ends with."""
    with pytest.raises(Refusal) as raised:
        await work
    return raised.value


async def why(work: Awaitable[Any]) -> str:
    """The reason of it."""
    return (await refusal(work)).reason


async def counts(world: CartWorld) -> dict[str, int]:
    """How many rows there are of what orders write."""
    return {table: await world.one(f"SELECT count(*) FROM {table}") for table in TABLES}


async def code_of(world: CartWorld, coupon_id: UUID) -> str:
    """A coupon's code."""
    return str(await world.one("SELECT code FROM coupon WHERE id = :id", id=coupon_id))


async def given(world: CartWorld, coupon_id: UUID, *lines: Any, **more: Any) -> CartRequest:
    """A cart that names one coupon by its code."""
    return world.cart(*lines, codes=(await code_of(world, coupon_id),), choose="given", **more)


async def counter(world: CartWorld, merchant_id: UUID | None = None) -> Counter:
    """A till of a new store of the noodle shop's, unless said otherwise."""
    merchant_id, store_id = merchant_id or world.noodles, await store(world, merchant_id)
    till = Actor("key", new_id(), "Till", KEY_SCOPES["merchant"], merchant_id)
    return Counter(redemption_desk(world.database, now=world.now), till, store_id)


async def store(world: CartWorld, merchant_id: UUID | None = None) -> UUID:
    """A store of the noodle shop's, unless said otherwise."""
    id_ = new_id()
    values = {"names": {"en": "A store"}, "created_at": datetime.now(UTC), "code": id_.hex[-8:]}
    async with transaction(world.database) as tx:
        await tx.execute(insert(Store).values(id=id_, merchant_id=merchant_id or world.noodles, **values))
    return id_


async def swept(world: CartWorld, now: datetime) -> None:
    """The worker passes."""
    async with transaction(world.database) as tx:
        await release_holds(tx, now, 1_000)
        await expire_due(tx, now, 1_000)


async def voided(world: CartWorld, coupon_id: UUID) -> None:
    """The operator cancels a coupon of the first member."""
    async with transaction(world.database) as tx:
        await void_coupon(tx, SYSTEM, world.member, coupon_id, reason="a mistake", now=world.now)


def later(world: CartWorld, minutes: float) -> datetime:
    """So many minutes after the world's now."""
    return world.now + timedelta(minutes=minutes)


def shop(merchant_id: UUID) -> Actor:
    """The key of a merchant's own shop."""
    return Actor("key", new_id(), "Shop", KEY_SCOPES["merchant"], merchant_id)


class Statements:
    """Counts the statements that a database is sent."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine.sync_engine
        self.count = 0

    def _more(self, *_: Any) -> None:
        self.count += 1

    async def __aenter__(self) -> Statements:
        event.listen(self._engine, "before_cursor_execute", self._more)
        return self

    async def __aexit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._more)
