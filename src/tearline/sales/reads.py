"""Questions about sales: what members may see and buy, their orders, the operator's lists, and vouchers by code.

Figures are in ``sales.figures``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, null, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from tearline.campaigns.model import Campaign
from tearline.campaigns.reads import guarded_stock as claim_stock
from tearline.core import codes
from tearline.core.audience import Audience, audience_from_json
from tearline.core.campaigns import WindowState, window_state
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.sales import SaleItemDraft, left_of
from tearline.core.texts import is_storable
from tearline.coupons.model import Coupon, CouponCode
from tearline.db import LocalisedText
from tearline.members.model import Member
from tearline.merchants.model import AnySelect, Merchant
from tearline.offers.model import Offer
from tearline.offers.reads import Ticket, tickets
from tearline.pools.model import CodePool, PartnerCode
from tearline.sales.model import OrderLookup, Payment, Purchase, SaleItem, Voucher, VoucherOrder
from tearline.waitingroom.controller import Stock

MOST_FOUND = 50


# Sales and items


@dataclass(frozen=True, slots=True)
class ItemView:
    """One voucher that a sale sells, with its counts.

    Attributes:
        left: how many can still be ordered, by its quantity, its pool and its offer's limit.
        pool_id: None when its codes come from us.
    """

    id: UUID
    position: int
    ticket: Ticket
    draft: SaleItemDraft
    currency: str
    reserved: int
    sold: int
    left: int
    pool_id: UUID | None

    @property
    def price(self) -> int:
        """In minor units, of one voucher."""
        return self.draft.price

    @property
    def face_value(self) -> int:
        """What one voucher is worth at the merchant."""
        return self.draft.face_value


@dataclass(frozen=True, slots=True)
class SalePage:
    """What anyone may see of a sale."""

    id: UUID
    code: str
    names: LocalisedText
    descriptions: LocalisedText
    rules: LocalisedText
    image: str | None
    edge: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    is_paused: bool
    window: WindowState
    audience: Audience
    items: tuple[ItemView, ...]

    @property
    def left(self) -> int:
        """Over all items."""
        return sum(item.left for item in self.items)

    @property
    def is_open(self) -> bool:
        """Whether an order can succeed now."""
        return self.window == "running" and not self.is_paused and self.left > 0


async def sale_page(connection: AsyncConnection, code: str, now: datetime) -> SalePage:
    """The public side of a sale; drafts, archived ones and other campaigns are ``not_found``."""
    pages = await _pages(connection, Campaign.code == code.strip().upper(), now, 1)
    if not pages:
        raise Refusal("not_found")
    return pages[0]


async def sale_pages(connection: AsyncConnection, now: datetime, *, maximum: int = 50) -> list[SalePage]:
    """Sales that run or are still to come, those that end or start soonest first."""
    pages = await _pages(connection, Campaign.ends_at > now, now, maximum)
    return sorted(pages, key=lambda page: (page.window != "running", page.starts_at, page.ends_at))


async def _pages(
    connection: AsyncConnection, condition: ColumnElement[bool], now: datetime, maximum: int
) -> list[SalePage]:
    query = (
        select(Campaign.__table__)
        .where(Campaign.kind == "sale", Campaign.state.in_(("live", "paused")), condition)
        .order_by(Campaign.ends_at)
        .limit(maximum)
    )
    rows = list(await connection.execute(query))
    items = await _items(connection, [row.id for row in rows])
    return [
        SalePage(
            id=row.id,
            code=row.code,
            names=row.names,
            descriptions=row.descriptions,
            rules=row.rules,
            image=row.image,
            edge=row.edge,
            time_zone=row.time_zone,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            is_paused=row.state == "paused",
            window=window_state(row.starts_at, row.ends_at, now),
            audience=audience_from_json(row.audience),
            items=tuple(items.get(row.id, ())),
        )
        for row in rows
    ]


async def items_of(connection: AsyncConnection, campaign_id: UUID) -> list[ItemView]:
    """What a sale sells, in order."""
    return (await _items(connection, [campaign_id])).get(campaign_id, [])


async def item_rows(connection: AsyncConnection, campaign_ids: Sequence[UUID]) -> list[Row[Any]]:
    """What some sales sell, without its offers' faces, sale by sale in order; for ``left_in`` and counting."""
    other = SaleItem.__table__.alias("other")
    reserved = select(func.sum(other.c.reserved)).where(other.c.offer_id == SaleItem.offer_id)
    query = (
        select(
            SaleItem.__table__,
            Campaign.state.label("campaign_state"),
            CodePool.id.label("pool_id"),
            CodePool.available,
            (Offer.issue_limit - Offer.issued - reserved.scalar_subquery()).label("issue_left"),
        )
        .join(Campaign, Campaign.id == SaleItem.campaign_id)
        .join(Offer, Offer.id == SaleItem.offer_id)
        .outerjoin(CodePool, CodePool.offer_id == SaleItem.offer_id)
        .where(SaleItem.campaign_id.in_(campaign_ids))
        .order_by(SaleItem.campaign_id, SaleItem.position)
    )
    return list(await connection.execute(query))


def left_in(row: Row[Any]) -> int:
    """How many can still be ordered of the item in this row of ``item_rows``."""
    quantity_left = None if row.quantity is None else row.quantity - row.reserved - row.sold
    issue_left = None if row.issue_left is None else int(row.issue_left)
    return left_of(quantity_left, row.available, issue_left) or 0


def item_draft_of(row: Row[Any]) -> SaleItemDraft:
    """What a person decided about the item in this row; ``dataclasses.replace`` it to change a part."""
    return SaleItemDraft(**{field.name: getattr(row, field.name) for field in fields(SaleItemDraft)})


async def _items(connection: AsyncConnection, campaign_ids: Sequence[UUID]) -> dict[UUID, list[ItemView]]:
    rows = await item_rows(connection, campaign_ids)
    drawn = await tickets(connection, {row.offer_id for row in rows})
    items: dict[UUID, list[ItemView]] = {}
    for row in rows:
        items.setdefault(row.campaign_id, []).append(
            ItemView(
                id=row.id,
                position=row.position,
                ticket=drawn[row.offer_id],
                draft=item_draft_of(row),
                currency=row.currency,
                reserved=row.reserved,
                sold=row.sold,
                left=left_in(row),
                pool_id=row.pool_id,
            )
        )
    return items


async def bought_by(connection: AsyncConnection, member_id: UUID, campaign_id: UUID) -> dict[UUID, int]:
    """How many vouchers of each item one member has bought or is buying; items without any are left out."""
    query = select(Purchase.item_id, Purchase.bought).where(
        Purchase.member_id == member_id, Purchase.campaign_id == campaign_id, Purchase.bought > 0
    )
    return {row.item_id: row.bought for row in await connection.execute(query)}


async def guarded_stock(connection: AsyncConnection, campaign_ids: Sequence[UUID]) -> Stock:
    """What these campaigns still have to give or to sell, as a waiting room counts it; only live ones have any."""
    claimed = await claim_stock(connection, campaign_ids)
    rows = await item_rows(connection, campaign_ids)
    left = sum(left_in(row) for row in rows if row.campaign_state == "live")
    taken = sum(row.reserved + row.sold for row in rows)
    return Stock(left=claimed.left + left, claimed=claimed.claimed + taken)


# Orders


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order, with its sale and offer by name, its last payment, and what it delivered.

    Attributes:
        payment_state: of the last payment that was begun; None before any.
        payment_address: where the member pays it.
        coupon_ids: of a paid order, in the order of issue.
    """

    id: UUID
    number: str
    member_id: UUID
    campaign_id: UUID
    campaign_code: str
    campaign_names: LocalisedText
    time_zone: str
    item_id: UUID
    offer_id: UUID
    offer_names: LocalisedText
    merchant_id: UUID | None
    merchant_names: LocalisedText | None
    pool_id: UUID | None
    quantity: int
    unit_price: int
    face_value: int
    amount: int
    commission: int
    currency: str
    state: str
    reserved_until: datetime
    created_at: datetime
    paid_at: datetime | None
    released_at: datetime | None
    release_reason: str | None
    refunded_at: datetime | None
    payment_id: UUID | None
    payment_provider: str | None
    payment_state: str | None
    payment_address: str | None
    coupon_ids: tuple[UUID, ...] = ()


_Column = ColumnElement[Any] | InstrumentedAttribute[Any]
_ORDER_COLUMNS: tuple[_Column, ...] = (
    VoucherOrder.id,
    VoucherOrder.number,
    VoucherOrder.member_id,
    VoucherOrder.campaign_id,
    Campaign.code.label("campaign_code"),
    Campaign.names.label("campaign_names"),
    Campaign.time_zone,
    VoucherOrder.item_id,
    VoucherOrder.offer_id,
    Offer.names.label("offer_names"),
    VoucherOrder.merchant_id,
    Merchant.names.label("merchant_names"),
    VoucherOrder.pool_id,
    VoucherOrder.quantity,
    VoucherOrder.unit_price,
    VoucherOrder.face_value,
    VoucherOrder.amount,
    VoucherOrder.commission,
    VoucherOrder.currency,
    VoucherOrder.state,
    VoucherOrder.reserved_until,
    VoucherOrder.created_at,
    VoucherOrder.paid_at,
    VoucherOrder.released_at,
    VoucherOrder.release_reason,
    VoucherOrder.refunded_at,
)


def _named_orders(*more: _Column) -> Select[Any]:
    return (
        select(*_ORDER_COLUMNS, *more)
        .select_from(VoucherOrder)
        .join(Campaign, Campaign.id == VoucherOrder.campaign_id)
        .join(Offer, Offer.id == VoucherOrder.offer_id)
        .outerjoin(Merchant, Merchant.id == VoucherOrder.merchant_id)
    )


def _orders_of(member_id: UUID) -> Select[Any]:
    """A member's orders, each with its last payment."""
    last = (
        select(Payment.id, Payment.provider, Payment.state, Payment.address)
        .where(Payment.order_id == VoucherOrder.id)
        .order_by(Payment.id.desc())
        .limit(1)
        .lateral("last_payment")
    )
    query = _named_orders(
        last.c.id.label("payment_id"),
        last.c.provider.label("payment_provider"),
        last.c.state.label("payment_state"),
        last.c.address.label("payment_address"),
    )
    return query.outerjoin(last, true()).where(VoucherOrder.member_id == member_id)


async def order_of(connection: AsyncConnection, member_id: UUID, order_id: UUID) -> OrderView:
    """One order of this member; ``not_found``, also for an order of somebody else."""
    query = _orders_of(member_id).where(VoucherOrder.id == order_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    coupons = select(Coupon.id).where(Coupon.member_id == member_id, Coupon.order_id == order_id)
    coupon_ids = tuple(await connection.scalars(coupons.order_by(Coupon.id)))
    return OrderView(**row._mapping, coupon_ids=coupon_ids)


async def member_orders(
    connection: AsyncConnection, member_id: UUID, *, maximum: int = 50
) -> list[OrderView]:
    """A member's last orders, newest first, without what they delivered."""
    query = _orders_of(member_id).order_by(VoucherOrder.id.desc()).limit(maximum)
    return [OrderView(**row._mapping) for row in await connection.execute(query)]


async def order_known(connection: AsyncConnection, member_id: UUID, idempotency_key: str) -> bool:
    """Whether this member has made an order with this key."""
    query = select(VoucherOrder.id).where(
        VoucherOrder.member_id == member_id, VoucherOrder.idempotency_key == idempotency_key
    )
    return (await connection.execute(query)).one_or_none() is not None


async def member_of_order(connection: AsyncConnection, order_id: UUID) -> UUID:
    """Whose order it is; refused as ``not_found``."""
    found = await connection.scalar(select(OrderLookup.member_id).where(OrderLookup.order_id == order_id))
    if found is None:
        raise Refusal("not_found")
    return found


def orders(actor: Actor, *, campaign_id: UUID | None = None) -> Select[Any]:
    """Orders for a list, not yet ordered: the columns of ``OrderView`` up to ``refunded_at``, and ``member_phone``.

    A merchant's staff see orders of their own vouchers only, and no phone number.
    """
    actor.require("sales.read")
    phone: _Column = Member.phone if actor.merchant_id is None else null()
    query = _named_orders(phone.label("member_phone"))
    query = query.join(Member, Member.id == VoucherOrder.member_id)
    if actor.merchant_id is not None:
        query = query.where(VoucherOrder.merchant_id == actor.merchant_id)
    return query if campaign_id is None else query.where(VoucherOrder.campaign_id == campaign_id)


# Vouchers


@dataclass(frozen=True, slots=True)
class FoundVoucher:
    """A sold coupon that somebody looked up.

    Attributes:
        code: ours.
        partner_code: None when it has only ours.
    """

    coupon_id: UUID
    code: str
    partner_code: str | None
    state: str
    valid_from: datetime
    valid_until: datetime
    member_id: UUID
    order_id: UUID
    number: str
    order_state: str
    paid_at: datetime | None
    campaign_id: UUID
    offer_id: UUID
    offer_names: LocalisedText
    merchant_id: UUID | None
    merchant_names: LocalisedText | None
    used_at: datetime | None


async def find_voucher(connection: AsyncConnection, actor: Actor, text: str) -> list[FoundVoucher]:
    """Sold vouchers by the partner's code, by our own code, or by their order's number.

    More than one where partners have the same code, and for an order of several. A merchant's staff find only
    their own merchant's.
    """
    actor.require("sales.read")
    text = text.strip()
    if not text or len(text) > 200 or not is_storable(text):
        return []
    ours = codes.normalise(text)
    by_partner = select(PartnerCode.member_id, PartnerCode.coupon_id).where(
        PartnerCode.code == text, PartnerCode.coupon_id.is_not(None)
    )
    by_code = select(CouponCode.member_id, CouponCode.coupon_id).where(CouponCode.code == ours)
    by_number = (
        select(Coupon.member_id, Coupon.id)
        .join(
            OrderLookup,
            and_(OrderLookup.member_id == Coupon.member_id, OrderLookup.order_id == Coupon.order_id),
        )
        .where(OrderLookup.number == ours)
    )
    found = by_partner.union(by_code, by_number).subquery("found")
    is_it = and_(Coupon.member_id == found.c.member_id, Coupon.id == found.c.coupon_id)
    rows = await connection.execute(_sold_vouchers(actor).join(found, is_it).limit(MOST_FOUND))
    return [FoundVoucher(**row._mapping) for row in rows]


async def vouchers_of_order(
    connection: AsyncConnection, actor: Actor, member_id: UUID, order_id: UUID
) -> list[FoundVoucher]:
    """What an order delivered; of another merchant's, nothing to a merchant's staff."""
    of_order = _sold_vouchers(actor).where(VoucherOrder.member_id == member_id, VoucherOrder.id == order_id)
    return [FoundVoucher(**row._mapping) for row in await connection.execute(of_order)]


def _sold_vouchers(actor: Actor) -> AnySelect:
    """The vouchers that the actor may see, with the columns of ``FoundVoucher``."""
    actor.require("sales.read")
    query = (
        select(
            Coupon.id.label("coupon_id"),
            Coupon.code,
            Voucher.code.label("partner_code"),
            Coupon.state,
            Coupon.valid_from,
            Coupon.valid_until,
            Coupon.member_id,
            VoucherOrder.id.label("order_id"),
            VoucherOrder.number,
            VoucherOrder.state.label("order_state"),
            VoucherOrder.paid_at,
            VoucherOrder.campaign_id,
            VoucherOrder.offer_id,
            Offer.names.label("offer_names"),
            VoucherOrder.merchant_id,
            Merchant.names.label("merchant_names"),
            Voucher.used_at,
        )
        .select_from(Coupon)
        .join(
            VoucherOrder,
            and_(VoucherOrder.member_id == Coupon.member_id, VoucherOrder.id == Coupon.order_id),
        )
        .join(Offer, Offer.id == Coupon.offer_id)
        .outerjoin(Merchant, Merchant.id == VoucherOrder.merchant_id)
        .outerjoin(Voucher, and_(Voucher.member_id == Coupon.member_id, Voucher.coupon_id == Coupon.id))
        .order_by(VoucherOrder.merchant_id, Coupon.id)
    )
    return query if actor.merchant_id is None else query.where(VoucherOrder.merchant_id == actor.merchant_id)


async def find_orders(connection: AsyncConnection, actor: Actor, text: str) -> list[Any]:
    """Orders by their number, in whatever state, with the columns of ``orders``."""
    if not is_storable(text):
        return []
    number = codes.normalise(text)
    owner = select(OrderLookup.member_id, OrderLookup.order_id).where(OrderLookup.number == number)
    place = owner.subquery("place")
    is_it = and_(VoucherOrder.member_id == place.c.member_id, VoucherOrder.id == place.c.order_id)
    return list(await connection.execute(orders(actor).join(place, is_it)))


async def payments_of_order(connection: AsyncConnection, order_id: UUID) -> list[Any]:
    """Every payment that was begun for an order, the first one first."""
    query = select(Payment.__table__).where(Payment.order_id == order_id).order_by(Payment.id)
    return list(await connection.execute(query))
