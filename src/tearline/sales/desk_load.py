"""The first half of a batch of the sale desk: take the locks, and read all that the decisions depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from tearline.core.audience import marks_of
from tearline.core.sales import Buyer
from tearline.core.taking import Pool
from tearline.db.arrays import array, ids, quoted_array
from tearline.db.desks import StaleDefinition
from tearline.db.engine import HotConnection
from tearline.sales import desk_sql as sql
from tearline.sales.definitions import Definition
from tearline.sales.desk_state import (
    Item,
    Member,
    Offer,
    Order,
    OrderAnswer,
    OrderRequest,
    Payment,
    ReleaseRequest,
    Request,
    SettleRequest,
    State,
)

_STRETCH = 64
"""Codes that are looked at beyond those wanted: some may be void."""
_GROWTH = 16
_ANSWER = (
    "order_id", "number", "campaign_id", "item_id", "quantity", "amount", "currency", "state", "reserved_until",
)  # fmt: skip
"""The columns of ``REPLAYS`` after the first."""


async def load(connection: HotConnection, definition: Definition, batch: Sequence[Request]) -> State:
    """Take the batch's locks and load its state, in one round trip as a rule.

    Raises:
        StaleDefinition: nothing may be decided by this definition.
    """
    orders = [request for request in batch if isinstance(request, OrderRequest)]
    wanted = _wanted(definition, orders)
    # All is asked before the first answer is read: it travels together.
    stock = await _ask_stock(connection, definition)
    people = await _ask_people(connection, definition, batch)
    known = await _ask_known(connection, definition, batch)
    codes = await _ask_codes(connection, wanted, 0, _stretch(wanted)) if wanted else None
    state = State({}, {}, {}, {}, {}, {}, {})
    await _read_stock(state, definition, stock)
    await _read_people(state, definition, people)
    await _read_known(state, batch, known)
    await _load_coupons(connection, state)
    if codes is not None:
        await _read_codes(state, codes)
    if total := _with_late(state, batch, wanted):
        await _find_more_codes(connection, state, total)
    return state


_Cursor: TypeAlias = AsyncCursor[TupleRow]


async def _rows(cursor: _Cursor | None) -> list[tuple[Any, ...]]:
    return [] if cursor is None else await cursor.fetchall()


async def _ask_stock(connection: HotConnection, definition: Definition) -> list[_Cursor | None]:
    """Take the locks of the sale, its pools and its offers."""
    offer_ids = ids(sorted({item.offer_id for item in definition.items.values()}))
    limited = [item.offer_id for item in definition.items.values() if item.has_issue_limit]
    elsewhere = (ids(limited), definition.id)
    return [
        await connection.execute(sql.LOCK_CAMPAIGN, (definition.id,)),
        await connection.execute(sql.ITEMS, (definition.id,)),
        await connection.execute(sql.LOCK_POOLS, (offer_ids,)),
        await connection.execute(sql.LOCK_OFFERS, (offer_ids,)),
        await connection.execute(sql.RESERVED_ELSEWHERE, elsewhere) if limited else None,
    ]


async def _read_stock(state: State, definition: Definition, asked: Sequence[_Cursor | None]) -> None:
    campaign, items, pools, offers, elsewhere = asked
    if [row[0] for row in await _rows(campaign)] != [definition.version]:
        raise StaleDefinition
    for item_id, quantity, reserved, sold in await _rows(items):
        state.items[item_id] = Item(definition.items[item_id], quantity, reserved, sold)
    for offer_id, pool_id, available, next_position, size in await _rows(pools):
        state.pools[offer_id] = Pool(pool_id, available, next_position, size)
    versions = {item.offer_id: item.offer_version for item in definition.items.values()}
    for offer_id, version, is_active, issue_left in await _rows(offers):
        if versions[offer_id] != version:
            raise StaleDefinition
        state.offers[offer_id] = Offer(is_active, issue_left)
    for offer_id, reserved in await _rows(elsewhere):
        state.offers[offer_id].reserved_elsewhere = reserved


async def _ask_people(
    connection: HotConnection, definition: Definition, batch: Sequence[Request]
) -> list[_Cursor | None]:
    """Ask for the members, what they have bought, and what they hold of offers with a limit per member."""
    member_ids = ids({request.member_id for request in batch})
    held = ids(_held(definition))
    is_limited = bool(_held(definition))
    return [
        await connection.execute(sql.MEMBERS, (member_ids,)),
        await connection.execute(sql.PURCHASES, (member_ids, ids(definition.items))),
        await connection.execute(sql.HOLDINGS, (member_ids, held) * 2) if is_limited else None,
    ]


def _held(definition: Definition) -> dict[UUID, UUID]:
    """The items whose offers have a limit per member, by offer."""
    return {
        item.offer_id: item_id
        for item_id, item in definition.items.items()
        if item.rules.offer_limit_per_member is not None
    }


async def _read_people(state: State, definition: Definition, asked: Sequence[_Cursor | None]) -> None:
    people, purchases, holdings = asked
    audience, held = definition.audience, _held(definition)
    for member_id, epoch, is_active, phone, language, *marks in await _rows(people):
        belongs = audience.is_everyone or audience.includes(marks_of(*marks))
        state.members[member_id] = Member(Buyer(epoch, is_active, belongs), phone, language)
    for member_id, item_id, bought in await _rows(purchases):
        state.members[member_id].buyer.bought[item_id] = bought
    for member_id, offer_id, quantity in await _rows(holdings):
        buyer = state.members[member_id].buyer
        buyer.held[held[offer_id]] = buyer.held.get(held[offer_id], 0) + quantity


async def _ask_known(
    connection: HotConnection, definition: Definition, batch: Sequence[Request]
) -> list[_Cursor | None]:
    """Take the locks of the orders and payments that the batch is about, and ask for its repeated orders."""
    known = [request for request in batch if not isinstance(request, OrderRequest)]
    payment_ids = {request.payment_id for request in known if isinstance(request, SettleRequest)}
    new = [request for request in batch if isinstance(request, OrderRequest)]
    asked = (ids(one.member_id for one in known), ids(one.order_id for one in known), definition.id)
    keys = (
        ids(request.member_id for request in new),
        quoted_array(request.idempotency_key for request in new),
    )
    return [
        await connection.execute(sql.LOCK_ORDERS, asked) if known else None,
        await connection.execute(sql.LOCK_PAYMENTS, (ids(payment_ids),)) if payment_ids else None,
        await connection.execute(sql.REPLAYS, keys) if new else None,
    ]


async def _read_known(state: State, batch: Sequence[Request], asked: Sequence[_Cursor | None]) -> None:
    made, payments, replays = asked
    for row in await _rows(made):
        state.orders[row[0], row[1]] = Order(*row)
    for row in await _rows(payments):
        state.payments[row[0]] = Payment(*row)
    new = [(place, request) for place, request in enumerate(batch) if isinstance(request, OrderRequest)]
    for ordinal, *columns in await _rows(replays):
        place, request = new[ordinal - 1]
        answer = dict(zip(_ANSWER, columns, strict=True))
        state.replays[place] = OrderAnswer(**answer, replayed=answer["order_id"] != request.order_id)


def _wanted(definition: Definition, orders: Sequence[OrderRequest]) -> dict[UUID, int]:
    """How many codes the orders may take at the most, by offer."""
    wanted: dict[UUID, int] = {}
    for request in orders:
        item = definition.items.get(request.item_id)
        if item is not None and request.quantity <= item.rules.limit_per_order:
            wanted[item.offer_id] = wanted.get(item.offer_id, 0) + request.quantity
    return wanted


def _with_late(state: State, batch: Sequence[Request], wanted: Mapping[UUID, int]) -> dict[UUID, int]:
    """The same, with what orders may take that are paid after they were released, or in the same batch."""
    released = {request.order_id for request in batch if isinstance(request, ReleaseRequest)}
    total = dict(wanted)
    for request in batch:
        if isinstance(request, SettleRequest):
            order = state.orders.get((request.member_id, request.order_id))
            if order is not None and (order.state == "released" or order.id in released):
                total[order.offer_id] = total.get(order.offer_id, 0) + order.quantity
    return total


async def _load_coupons(connection: HotConnection, state: State) -> None:
    """The coupons of orders that are paid already: what a repeated settlement is answered."""
    paid = {order.id: order for order in state.orders.values() if order.state == "paid"}
    if not paid:
        return
    found = await connection.execute(
        sql.BOUGHT_COUPONS, (ids({order.member_id for order in paid.values()}), ids(paid))
    )
    for order_id, coupon_id in await found.fetchall():
        paid[order_id].coupon_ids.append(coupon_id)


async def _ask_codes(
    connection: HotConnection, wanted: Mapping[UUID, int], since: int, before: int
) -> tuple[_Cursor, _Cursor]:
    """Ask for free codes by offer: those that came back, and the next ones of a stretch."""
    asked = (ids(wanted), array(wanted.values()))
    returned = await connection.execute(sql.RETURNED, asked)
    return returned, await connection.execute(sql.FRESH, (*asked, since, before))


def _stretch(wanted: Mapping[UUID, int]) -> int:
    return max(wanted.values()) + _STRETCH


async def _read_codes(state: State, codes: tuple[_Cursor, _Cursor]) -> None:
    for offer_id, position in await codes[0].fetchall():
        state.pools[offer_id].returned.append(position)
    for offer_id, position in await codes[1].fetchall():
        state.pools[offer_id].fresh.append(position)


async def _find_more_codes(connection: HotConnection, state: State, wanted: Mapping[UUID, int]) -> None:
    """Look further for as many free codes as are wanted, or all there are."""
    since, before = 0, _stretch(wanted)
    while True:
        # Many codes beside one another may be withdrawn or void.
        short = {
            offer_id: quantity
            for offer_id, quantity in wanted.items()
            if (pool := state.pools.get(offer_id)) is not None
            and len(pool.returned) + len(pool.fresh) < min(quantity, pool.available)
            and (since == 0 or pool.next_position + since < pool.size)
        }
        if not short:
            return
        codes = await _ask_codes(connection, short, since, before)
        for offer_id in short:
            state.pools[offer_id].returned.clear()
            if since == 0:
                state.pools[offer_id].fresh.clear()
        await _read_codes(state, codes)
        since, before = before, before * _GROWTH
