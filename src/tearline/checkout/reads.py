"""Questions about orders of carts and their refunds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, case, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.model import GUEST, CartOrder, CartOrderCoupon, CartOrderLookup, CartRefund
from tearline.checkout.stored import order_from, refund_from, remaining_from
from tearline.core.codes import normalise
from tearline.core.orders import FrozenOrder
from tearline.core.refunds import Refund, Remaining
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.coupons.model import Coupon
from tearline.db import LocalisedText
from tearline.members.model import Member
from tearline.merchants.model import AnyRow, AnySelect
from tearline.offers.model import Offer


@dataclass(frozen=True, slots=True)
class OrderCoupon:
    """A coupon, or a promotion, that an order uses.

    Attributes:
        coupon_id, code: None for a promotion.
        outcome: what a refund made of the coupon: ``returned``, ``reissued``, ``forfeited``; None while it is used.
        holder_id: the member in whose wallet the coupon is.
    """

    key: str
    offer_id: UUID
    offer_code: str
    offer_names: LocalisedText
    coupon_id: UUID | None = None
    code: str | None = None
    outcome: str | None = None
    holder_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RefundView:
    """One refund of an order."""

    id: UUID
    amount: int
    points: int
    tax: int
    reason: str | None
    by_name: str
    created_at: datetime
    returned: Refund


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with all that became of it.

    Attributes:
        member_id: None for a guest's.
        merchant_id: whose shop took it; None for the operator's.
        state: ``open``, ``paid``, ``cancelled``, or ``expired``: open, and out of time.
        coupons: in the order of its rights.
    """

    id: UUID
    number: str
    member_id: UUID | None
    merchant_id: UUID | None
    reference: str | None
    currency: str
    state: str
    total: int
    refunded: int
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    collected_by: str | None
    payment_reference: str | None
    frozen: FrozenOrder
    remaining: Remaining
    coupons: tuple[OrderCoupon, ...]
    refunds: tuple[RefundView, ...]

    @property
    def can_be_refunded(self) -> bool:
        """Whether anything is left to give back."""
        return self.state == "paid" and not self.remaining.is_empty


def state_at(now: datetime) -> ColumnElement[str]:
    """An order's state as it counts at a moment."""
    return case((_is_late(now), literal("expired")), else_=CartOrder.state)


def is_in_state(state: str, now: datetime) -> ColumnElement[bool]:
    """Whether an order's state at a moment is this one, so that an index can tell."""
    if state == "expired":
        return _is_late(now)
    is_it = CartOrder.state == state
    return and_(is_it, CartOrder.expires_at > now) if state == "open" else is_it


def _is_late(now: datetime) -> ColumnElement[bool]:
    return and_(CartOrder.state == "open", CartOrder.expires_at <= now)


async def order_by_number(connection: AsyncConnection, actor: Actor, number: str, now: datetime) -> OrderView:
    """An order by its number, typed in any manner.

    Raises:
        Refusal: ``not_found``, also for one of another merchant's shop.
    """
    return await _seen_by(connection, actor, number, now)


async def order_with_refund(
    connection: AsyncConnection, actor: Actor, number: str, refund_id: UUID, now: datetime
) -> OrderView:
    """An order with no more than one of its refunds.

    Raises:
        Refusal: as ``order_by_number``.
    """
    return await _seen_by(connection, actor, number, now, refund_id)


async def _seen_by(
    connection: AsyncConnection, actor: Actor, number: str, now: datetime, refund_id: UUID | None = None
) -> OrderView:
    row = await _row(connection, CartOrderLookup.number == normalise(number))
    actor.require_merchant(row.merchant_id)
    order = await _view(connection, row, now, refund_id)
    if actor.merchant_id is None:
        return order
    # Who has a code can use the coupon without its member, once it is free again.
    return replace(order, coupons=tuple(replace(one, code=None) for one in order.coupons))


async def order_of_member(
    connection: AsyncConnection, member_id: UUID, number: str, now: datetime
) -> OrderView:
    """A member's own order by its number.

    Raises:
        Refusal: ``not_found``.
    """
    row = await _row(connection, CartOrderLookup.number == normalise(number))
    if row.member_id != member_id:
        raise Refusal("not_found")
    return await _view(connection, row, now)


def orders_list(actor: Actor, now: datetime) -> AnySelect:
    """Orders for a list, not yet ordered; a merchant's actor sees those of its own shop.

    Columns: id, number, member_id, merchant_id, reference, currency, order_state, list_total, discount, points, tax,
    total, refunded, created_at, expires_at, paid_at, cancelled_at, collected_by, phone.
    """
    actor.require("orders.read")
    query = select(
        CartOrder.id, CartOrder.number, CartOrder.member_id, CartOrder.merchant_id, CartOrder.reference,
        CartOrder.currency, state_at(now).label("order_state"), CartOrder.list_total, CartOrder.discount,
        CartOrder.points, CartOrder.tax, CartOrder.total, CartOrder.refunded, CartOrder.created_at,
        CartOrder.expires_at, CartOrder.paid_at, CartOrder.cancelled_at, CartOrder.collected_by, Member.phone,
    ).outerjoin(Member, Member.id == CartOrder.member_id)  # fmt: skip
    return query if actor.merchant_id is None else query.where(CartOrder.merchant_id == actor.merchant_id)


async def member_orders(
    connection: AsyncConnection,
    member_id: UUID,
    now: datetime,
    *,
    reference: str | None = None,
    limit: int = 50,
) -> Sequence[AnyRow]:
    """A member's orders, newest first: number, order_state, total, refunded, currency, created_at.

    Args:
        reference: only those of which the shop's own name is this.
    """
    query = (
        select(
            CartOrder.number,
            state_at(now).label("order_state"),
            CartOrder.total,
            CartOrder.refunded,
            CartOrder.currency,
            CartOrder.created_at,
        )
        .where(CartOrder.member_id == member_id)
        .order_by(CartOrder.id.desc())
        .limit(limit)
    )
    if reference is not None:
        query = query.where(CartOrder.reference == reference)
    return (await connection.execute(query)).all()


async def number_by_key(connection: AsyncConnection, member_id: UUID, idempotency_key: str) -> str | None:
    """The number of the member's order that was placed with a key; None when none was."""
    number: str | None = await connection.scalar(
        select(CartOrder.number).where(
            CartOrder.member_id == member_id, CartOrder.idempotency_key == idempotency_key
        )
    )
    return number


async def _row(connection: AsyncConnection, which: ColumnElement[bool]) -> Row[Any]:
    query = (
        select(CartOrder.__table__)
        .join(
            CartOrderLookup,
            and_(CartOrderLookup.member_id == CartOrder.member_id, CartOrderLookup.order_id == CartOrder.id),
        )
        .where(which)
    )
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return row


async def _view(
    connection: AsyncConnection, row: Row[Any], now: datetime, refund_id: UUID | None = None
) -> OrderView:
    frozen = order_from(row.priced)
    is_late = row.state == "open" and row.expires_at <= now
    return OrderView(
        id=row.id,
        number=row.number,
        member_id=None if row.member_id == GUEST else row.member_id,
        merchant_id=row.merchant_id,
        reference=row.reference,
        currency=row.currency,
        state="expired" if is_late else row.state,
        total=row.total,
        refunded=row.refunded,
        created_at=row.created_at,
        expires_at=row.expires_at,
        paid_at=row.paid_at,
        cancelled_at=row.cancelled_at,
        collected_by=row.collected_by,
        payment_reference=row.payment_reference,
        frozen=frozen,
        remaining=remaining_from(row.remaining),
        coupons=await _coupons(connection, row, frozen),
        refunds=await _refunds(connection, row, refund_id),
    )


async def _coupons(
    connection: AsyncConnection, row: Row[Any], frozen: FrozenOrder
) -> tuple[OrderCoupon, ...]:
    if not frozen.rights:
        return ()
    found = await connection.execute(
        select(CartOrderCoupon.coupon_id, CartOrderCoupon.outcome, CartOrderCoupon.holder_id, Coupon.code)
        .join(Coupon, and_(Coupon.member_id == CartOrderCoupon.holder_id, Coupon.id == CartOrderCoupon.coupon_id))
        .where(CartOrderCoupon.member_id == row.member_id, CartOrderCoupon.order_id == row.id)
    )  # fmt: skip
    coupons = {str(one.coupon_id): one for one in found}
    named = await connection.execute(
        select(Offer.id, Offer.code, Offer.names).where(Offer.id.in_({one.offer_id for one in frozen.rights}))
    )
    offers = {one.id: one for one in named}
    views = []
    for right in frozen.rights:
        offer, coupon = offers[right.offer_id], coupons.get(right.key)
        views.append(
            OrderCoupon(
                right.key,
                right.offer_id,
                offer.code,
                offer.names,
                coupon.coupon_id if coupon else None,
                coupon.code if coupon else None,
                coupon.outcome if coupon else None,
                coupon.holder_id if coupon else None,
            )
        )
    return tuple(views)


async def _refunds(
    connection: AsyncConnection, row: Row[Any], refund_id: UUID | None
) -> tuple[RefundView, ...]:
    query = (
        select(CartRefund.__table__)
        .where(CartRefund.member_id == row.member_id, CartRefund.order_id == row.id)
        .order_by(CartRefund.id)
    )
    found = await connection.execute(query if refund_id is None else query.where(CartRefund.id == refund_id))
    return tuple(
        RefundView(
            one.id, one.amount, one.points, one.tax, one.reason, one.by_name, one.created_at,
            refund_from(one.returned),
        )
        for one in found
    )  # fmt: skip
