"""The second half of a batch of the sale desk: decide request by request, and write what was decided, set-wise."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from tearline.core.codes import make_codes
from tearline.core.refusal import Refusal
from tearline.core.sales import (
    NUMBER_LENGTH,
    RESERVATION_LASTS,
    commission_of,
    decide_order,
    delivers_in_time,
    delivers_late,
    order_number,
)
from tearline.db import new_id
from tearline.db.arrays import array, columns, ids
from tearline.db.engine import HotConnection
from tearline.sales import desk_sql as sql
from tearline.sales.definitions import Definition
from tearline.sales.desk_state import (
    Answer,
    Decided,
    NewOrder,
    Order,
    OrderAnswer,
    OrderRequest,
    Payment,
    Released,
    ReleaseRequest,
    Request,
    Settled,
    SettleRequest,
    State,
)

NOTICE_LASTS = timedelta(days=1)
"""For how long a message about an order is worth sending."""


class Batch:
    """The decisions of one batch, taken in the order of arrival."""

    def __init__(self, definition: Definition, state: State, now: datetime) -> None:
        self._definition = definition
        self._state = state
        self._now = now
        self._made_here: dict[tuple[UUID, str], OrderAnswer] = {}
        self.decided = Decided()

    def decide(self, requests: Sequence[Request]) -> list[Answer | BaseException]:
        """The outcome of each request."""
        return [self._outcome(place, request) for place, request in enumerate(requests)]

    def _outcome(self, place: int, request: Request) -> Answer | BaseException:
        try:
            if isinstance(request, OrderRequest):
                return self._order(request, self._state.replays.get(place))
            if isinstance(request, SettleRequest):
                return self._settle(request)
            return self._release(request)
        except Refusal as refusal:
            return refusal

    def _order(self, request: OrderRequest, replay: OrderAnswer | None) -> OrderAnswer:
        definition, now = self._definition, self._now
        member = self._state.members.get(request.member_id)
        key = request.member_id, request.idempotency_key
        first = replay or self._made_here.get(key)
        if first is not None:
            # Only a valid session is shown what it was given.
            if member is None or member.buyer.epoch != request.epoch:
                raise Refusal("session_ended")
            if (first.campaign_id, first.item_id, first.quantity) != (
                definition.id,
                request.item_id,
                request.quantity,
            ):
                raise Refusal("idempotency_key_reused")
            return first if replay is not None else msgspec.structs.replace(first, replayed=True)
        item = self._state.items.get(request.item_id)
        if item is None:
            raise Refusal("not_found")
        no = decide_order(
            item.definition.rules,
            self._state.stock_of(item, now),
            None if member is None else member.buyer,
            request.epoch,
            request.quantity,
            state=definition.state,
            starts_at=definition.starts_at,
            ends_at=definition.ends_at,
            now=now,
        )
        if no is not None:
            details: dict[str, Any] = dict(no.details)
            raise Refusal(no.reason, **details)
        pool = self._state.pools.get(item.definition.offer_id)
        positions = (
            [] if pool is None else pool.reserve(request.quantity, request.order_id, request.member_id)
        )
        item.count(reserved=request.quantity)
        answer = OrderAnswer(
            order_id=request.order_id,
            number=order_number(secrets.token_bytes(NUMBER_LENGTH)),
            campaign_id=definition.id,
            item_id=request.item_id,
            quantity=request.quantity,
            amount=request.quantity * item.definition.price,
            currency=item.definition.currency,
            state="reserved",
            reserved_until=now + RESERVATION_LASTS,
            replayed=False,
        )
        self._made_here[key] = answer
        pool_id = None if pool is None else pool.id
        self.decided.taken.append(NewOrder(request, item, pool_id, positions, answer))
        return answer

    def _settle(self, request: SettleRequest) -> Settled:
        order = self._order_of(request)
        payment = self._state.payments.get(request.payment_id)
        if payment is None or payment.order_id != order.id:
            raise Refusal("not_found")
        if payment.state == "paid":
            return Settled("paid", order.coupon_ids, True)
        if payment.state in ("refund_due", "refunded"):
            return Settled("refund_due", [], True)
        payment.charge = request.charge
        payment.is_changed = True
        if self._deliver(order):
            payment.state = "paid"
            return Settled("paid", order.coupon_ids, False)
        payment.state = "refund_due"
        return Settled("refund_due", [], False)

    def _deliver(self, order: Order) -> bool:
        """Sell an order's vouchers if that is possible; when it is not, the order becomes ``refund_due``.

        False, too, for an order that another payment has paid: that one is left as it is.
        """
        if order.state not in ("reserved", "released"):
            return False
        item = self._state.items[order.item_id]
        pool = self._state.pools[order.offer_id] if order.pool_id is not None else None
        buyer = self._state.members[order.member_id].buyer
        order.is_changed = True
        if order.state == "reserved":
            issue_left = self._state.offers[order.offer_id].issue_left
            can_deliver = delivers_in_time(item.definition.is_of_use(self._now), issue_left, order.quantity)
        else:
            can_deliver = delivers_late(self._state.stock_of(item, self._now), order.quantity)
            # An order of codes of ours stays one, should the offer have been given a pool meanwhile.
            if can_deliver:
                if pool is not None:
                    order.positions = pool.reserve(order.quantity, order.id, order.member_id)
                item.count(reserved=order.quantity)
                buyer.add(item.definition.rules.id, order.quantity)
        if not can_deliver:
            if order.state == "reserved":
                self._free(order)
            order.state = "refund_due"
            self.decided.refused.append(order)
            return False
        order.coupon_ids = [new_id() for _ in range(order.quantity)]
        if pool is not None:
            pool.sell(order.positions, order.id, order.member_id, order.coupon_ids)
        item.count(reserved=-order.quantity, sold=order.quantity)
        offer = self._state.offers[order.offer_id]
        if offer.issue_left is not None:
            offer.issue_left -= order.quantity
        order.state = "paid"
        self.decided.sold.append(order)
        return True

    def _release(self, request: ReleaseRequest) -> Released:
        order = self._order_of(request)
        if order.state != "reserved":
            return Released(order.state, True)
        self._free(order)
        order.state, order.release_reason, order.is_changed = "released", request.reason, True
        return Released("released", False)

    def _free(self, order: Order) -> None:
        """Give back what a reserved order keeps."""
        if order.pool_id is not None:
            self._state.pools[order.offer_id].give_back(order.positions)
            order.positions = []
        self._state.items[order.item_id].count(reserved=-order.quantity)
        self._state.members[order.member_id].buyer.add(order.item_id, -order.quantity)

    def _order_of(self, request: SettleRequest | ReleaseRequest) -> Order:
        order = self._state.orders.get((request.member_id, request.order_id))
        if order is None:
            raise Refusal("not_found")
        return order


async def write(
    connection: HotConnection,
    definition: Definition,
    state: State,
    decided: Decided,
    now: datetime,
    *,
    notice_channel: str | None,
    wallet_address: str,
) -> None:
    """Write what was decided; the transaction's commit follows in the same round trip."""
    if decided.taken:
        await _write_taken(connection, definition, decided.taken, now)
    if decided.sold:
        await _write_sold(connection, definition, state, decided.sold, now)
    changed = [order for order in state.orders.values() if order.is_changed]
    if changed:
        rows = (
            (order.member_id, order.id, order.state, order.release_reason, _positions(order.positions))
            for order in changed
        )
        await connection.execute(sql.CHANGE_ORDERS, (now, now, *columns(rows)))
    payments = [payment for payment in state.payments.values() if payment.is_changed]
    if payments:
        await _write_payments(connection, payments, now)
    if not (decided.taken or changed):
        return
    await _write_codes(connection, state)
    await _write_counts(connection, definition, state, decided, changed)
    if notice_channel is not None:
        await _write_notices(connection, state, decided, now, notice_channel, wallet_address)


async def _write_taken(
    connection: HotConnection, definition: Definition, taken: Sequence[NewOrder], now: datetime
) -> None:
    rows = []
    for one in taken:
        item, answer = one.item.definition, one.answer
        rows.append(
            (
                one.request.member_id,
                answer.order_id,
                answer.number,
                answer.item_id,
                item.offer_id,
                item.merchant_id,
                one.pool_id,
                answer.quantity,
                item.price,
                item.face_value,
                answer.amount,
                commission_of(answer.amount, item.commission_basis_points),
                answer.currency,
                one.request.idempotency_key,
                _positions(one.positions),
            )
        )
    parameters = (definition.id, now, taken[0].answer.reserved_until, *columns(rows))
    await connection.execute(sql.INSERT_ORDERS, parameters)
    lookups = (
        ids(one.answer.order_id for one in taken),
        array(one.answer.number for one in taken),
        ids(one.request.member_id for one in taken),
    )
    await connection.execute(sql.INSERT_LOOKUPS, lookups)


async def _write_sold(
    connection: HotConnection, definition: Definition, state: State, sold: Sequence[Order], now: datetime
) -> None:
    """The coupons of orders that were paid, each with a code of ours, and the partner's codes that are theirs."""
    each = [(order, coupon_id) for order in sold for coupon_id in order.coupon_ids]
    codes = make_codes(len(each), secrets.token_bytes)
    windows = {
        item.offer_id: tuple(moment.isoformat() for moment in item.window(now))
        for item in definition.items.values()
    }
    member_ids = ids(order.member_id for order, _ in each)
    coupon_ids = ids(coupon_id for _, coupon_id in each)
    coupons = (
        member_ids,
        coupon_ids,
        ids(order.offer_id for order, _ in each),
        ids(order.id for order, _ in each),
        array(codes),
        array("open" if order.pool_id is None else "sold" for order, _ in each),
        array(windows[order.offer_id][0] for order, _ in each),
        array(windows[order.offer_id][1] for order, _ in each),
    )
    await connection.execute(sql.INSERT_COUPONS, (definition.id, now, now, *coupons))
    await connection.execute(sql.INSERT_CODES, (array(codes), member_ids, coupon_ids))
    vouchers = [
        (order.member_id, coupon_id, order.id, order.pool_id, position)
        for order in sold
        if order.pool_id is not None
        for coupon_id, position in zip(order.coupon_ids, order.positions, strict=True)
    ]
    if vouchers:
        await connection.execute(sql.INSERT_VOUCHERS, columns(vouchers))
    vouchers_sold, revenue, commission = Counter[UUID](), Counter[UUID](), Counter[UUID]()
    issued, holdings = Counter[UUID](), Counter[tuple[UUID, UUID]]()
    for order in sold:
        vouchers_sold[order.item_id] += order.quantity
        revenue[order.item_id] += order.amount
        commission[order.item_id] += order.commission
        issued[order.offer_id] += order.quantity
        if state.items[order.item_id].definition.rules.offer_limit_per_member is not None:
            holdings[order.member_id, order.offer_id] += order.quantity
    hour = now.replace(minute=0, second=0, microsecond=0)
    sums = (
        array(counts[item_id] for item_id in vouchers_sold) for counts in (vouchers_sold, revenue, commission)
    )
    await connection.execute(sql.COUNT_HOUR, (hour, definition.id, ids(vouchers_sold), *sums))
    await connection.execute(sql.COUNT_OFFERS, (ids(issued), array(issued.values())))
    if holdings:
        rows = ((member_id, offer_id, quantity) for (member_id, offer_id), quantity in holdings.items())
        await connection.execute(sql.COUNT_HOLDINGS, columns(rows))


async def _write_payments(connection: HotConnection, payments: Sequence[Payment], now: datetime) -> None:
    rows = ((payment.id, payment.state, payment.charge) for payment in payments)
    await connection.execute(sql.CHANGE_PAYMENTS, (now, now, *columns(rows)))


async def _write_codes(connection: HotConnection, state: State) -> None:
    pools = list(state.pools.values())
    changes = [
        (pool.id, position, change.state, change.order_id, change.member_id, change.coupon_id)
        for pool in pools
        for position, change in pool.changes.items()
    ]
    if changes:
        await connection.execute(sql.CHANGE_CODES, columns(changes))
    taken = [(pool.id, position) for pool in pools for position in pool.taken_returned]
    if taken:
        await connection.execute(sql.TAKE_RETURNED, columns(taken))
    given_back = [(pool.id, position) for pool in pools for position in pool.given_back]
    if given_back:
        await connection.execute(sql.GIVE_BACK, columns(given_back))


async def _write_counts(
    connection: HotConnection,
    definition: Definition,
    state: State,
    decided: Decided,
    changed: Sequence[Order],
) -> None:
    """Raise and lower the counters that limits, stock and figures are read from."""
    bought = {(one.request.member_id, one.answer.item_id) for one in decided.taken}
    bought |= {(order.member_id, order.item_id) for order in changed}
    purchases = [
        (member_id, item_id, state.members[member_id].buyer.bought.get(item_id, 0))
        for member_id, item_id in bought
    ]
    await connection.execute(sql.CHANGE_PURCHASES, (definition.id, *columns(purchases)))
    items = [
        (item_id, item.more_reserved, item.more_sold)
        for item_id, item in state.items.items()
        if item.more_reserved or item.more_sold
    ]
    if items:
        await connection.execute(sql.COUNT_ITEMS, columns(items))
    pools = [
        (pool.id, pool.more_available, pool.more_reserved, pool.more_sold, pool.next_position)
        for pool in state.pools.values()
        if pool.changes
    ]
    if pools:
        await connection.execute(sql.COUNT_POOLS, columns(pools))


async def _write_notices(
    connection: HotConnection,
    state: State,
    decided: Decided,
    now: datetime,
    channel: str,
    wallet_address: str,
) -> None:
    """Tell the members that their vouchers are there, or that their money goes back."""
    rows = []
    told = [(order, "vouchers_delivered") for order in decided.sold]
    told += [(order, "order_refunded") for order in decided.refused]
    for order, template in told:
        member = state.members[order.member_id]
        values = {"number": order.number, "quantity": order.quantity, "address": wallet_address}
        encoded = msgspec.json.encode(values).decode()
        rows.append((new_id(), member.phone, member.language, template, encoded))
    if rows:
        parameters = (channel, now, now, now + NOTICE_LASTS, *columns(rows))
        await connection.execute(sql.INSERT_NOTICES, parameters)


def _positions(positions: Sequence[int]) -> str:
    return array(positions)
