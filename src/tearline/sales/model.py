"""Tables of sold vouchers: what a sale sells, orders, payments and the news about them.

Orders and vouchers are member-side history: their keys begin with the member.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base


class SaleItem(Base):
    """One voucher that a sale sells: ``core.sales.SaleItemDraft``, and its counts."""

    __tablename__ = "sale_item"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"))
    position: Mapped[int]
    offer_id: Mapped[UUID] = mapped_column(ForeignKey("offer.id"), index=True)
    currency: Mapped[str]
    """The offer's."""
    price: Mapped[int]
    face_value: Mapped[int]
    quantity: Mapped[int | None]
    limit_per_member: Mapped[int | None]
    limit_per_order: Mapped[int]
    commission_basis_points: Mapped[int]
    reserved: Mapped[int] = mapped_column(server_default="0")
    sold: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (
        UniqueConstraint("campaign_id", "position"),
        UniqueConstraint("campaign_id", "offer_id"),
        CheckConstraint("reserved >= 0 AND sold >= 0", name="counts"),
        CheckConstraint("quantity IS NULL OR reserved + sold <= quantity", name="quantity"),
    )


class Purchase(Base):
    """What one member has bought of one item, or is buying: what the limit per member is checked against."""

    __tablename__ = "purchase"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    item_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    bought: Mapped[int]
    __table_args__ = (CheckConstraint("bought >= 0", name="bought"),)


class VoucherOrder(Base):
    """A member's order of vouchers of one kind."""

    __tablename__ = "voucher_order"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    """For people: ten characters of Crockford's base32."""
    campaign_id: Mapped[UUID]
    item_id: Mapped[UUID]
    offer_id: Mapped[UUID]
    merchant_id: Mapped[UUID | None]
    pool_id: Mapped[UUID | None]
    quantity: Mapped[int]
    unit_price: Mapped[int]
    face_value: Mapped[int]
    amount: Mapped[int]
    commission: Mapped[int]
    """The platform's part of the amount; the rest is the partner's."""
    currency: Mapped[str]
    state: Mapped[str]
    """One of ``core.sales.ORDER_STATES``."""
    positions: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    """Of its codes in the pool, while it has any; empty for codes of ours."""
    idempotency_key: Mapped[str]
    reserved_until: Mapped[datetime]
    created_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    release_reason: Mapped[str | None]
    """``expired``, ``failed`` or ``cancelled``."""
    refunded_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("member_id", "idempotency_key"),
        CheckConstraint("state IN ('reserved','paid','released','refund_due','refunded')", name="state"),
        CheckConstraint("release_reason IN ('expired','failed','cancelled')", name="release_reason"),
        # Only what is still to be done, so that it does not grow with history.
        Index("ix_voucher_order_reserved", "reserved_until", postgresql_where=text("state = 'reserved'")),
        Index("ix_voucher_order_refund_due", "created_at", postgresql_where=text("state = 'refund_due'")),
        Index("ix_voucher_order_campaign", "campaign_id", "created_at"),
        # Support lists the newest of all sales.
        Index("ix_voucher_order_created_at", "created_at", "id"),
        Index("ix_voucher_order_merchant", "merchant_id", "paid_at", postgresql_where=text("state = 'paid'")),
    )


class OrderLookup(Base):
    """Whose order a number, or an id, is."""

    __tablename__ = "order_lookup"
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    member_id: Mapped[UUID]


class Voucher(Base):
    """A sold coupon that has a partner's code: which one."""

    __tablename__ = "voucher"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    coupon_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID]
    pool_id: Mapped[UUID]
    position: Mapped[int]
    merchant_id: Mapped[UUID]
    code: Mapped[str]
    """The partner's code, as the member is shown it."""
    used_at: Mapped[datetime | None]
    """When the partner says that it was used."""
    use_reported_at: Mapped[datetime | None]
    use_place: Mapped[str | None]


class Payment(Base):
    """A payment of an order at a provider. An order has one at a time."""

    __tablename__ = "payment"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(index=True)
    member_id: Mapped[UUID]
    provider: Mapped[str]
    reference: Mapped[str | None]
    """The provider's name for it; None until the provider has answered."""
    charge: Mapped[str | None]
    """The provider's name for what was paid, by which it is paid back."""
    address: Mapped[str | None]
    """Where the member pays."""
    amount: Mapped[int]
    currency: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    refund_reference: Mapped[str | None]
    refund_tries: Mapped[int]
    refund_after: Mapped[datetime | None]
    """When to try again to pay it back."""
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        CheckConstraint("state IN ('begun','paid','failed','expired','refund_due','refunded')", name="state"),
        Index("ix_payment_refund_due", "refund_after", postgresql_where=text("state = 'refund_due'")),
        Index("ix_payment_begun", "expires_at", postgresql_where=text("state = 'begun'")),
    )


class PaymentEvent(Base):
    """One piece of news from a provider, kept so that the same news twice does nothing twice."""

    __tablename__ = "payment_event"
    provider: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    reference: Mapped[str | None]
    body: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
    outcome: Mapped[str]
    """What was done: ``delivered``, ``released``, ``refund_due``, ``refunded``, ``nothing`` or ``unknown``."""


class SaleHour(Base):
    """Sales of an item in one hour: kept as counters, so that figures cost the same at any age."""

    __tablename__ = "sale_hour"
    item_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    vouchers: Mapped[int]
    revenue: Mapped[int]
    commission: Mapped[int]
    __table_args__ = (Index("ix_sale_hour_campaign_id", "campaign_id", "hour"),)
