"""Tables of carts that were ordered: orders, their coupons, refunds, and the entries of settlement.

Orders are member-side history: their keys begin with the member, which is ``GUEST`` where nobody was named.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base

GUEST = UUID(int=0)
"""Stands for the member of an order that nobody signed in for."""


class CartOrder(Base):
    """A priced cart whose coupons are held until it is paid, cancelled, or out of time."""

    __tablename__ = "cart_order"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    """For people: ten characters of Crockford's base32."""
    merchant_id: Mapped[UUID | None]
    """Whose shop sent it; None for the operator's, which may hold lines of many merchants."""
    merchant_ids: Mapped[list[UUID]]
    """Whose lines it has."""
    reference: Mapped[str | None]
    """The shop's own name for it."""
    currency: Mapped[str]
    state: Mapped[str]
    """``open``, ``paid`` or ``cancelled``; an open one past its time has expired, which is not stored."""
    list_total: Mapped[int]
    """Minor units of lines and shipping before any discount, as shown."""
    discount: Mapped[int]
    """Minor units that rights take off."""
    points: Mapped[int]
    """Minor units that are paid with points."""
    tax: Mapped[int]
    """Minor units of tax: within the total where prices include it, else added to them."""
    total: Mapped[int]
    """Minor units to be paid."""
    priced: Mapped[dict[str, Any]]
    """``core.orders.FrozenOrder`` as JSON (see ``checkout.stored``): never changed."""
    remaining: Mapped[dict[str, Any]]
    """``core.refunds.Remaining`` as JSON: what refunds have left of it."""
    idempotency_key: Mapped[str | None]
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of the cart that the key came with."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    """Until just before when its coupons are held."""
    paid_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    collected_by: Mapped[str | None]
    """Who took the money: ``platform``, or ``merchant``, each for its own lines."""
    payment_reference: Mapped[str | None]
    refunded: Mapped[int]
    """Minor units paid back so far."""
    __table_args__ = (
        CheckConstraint("state IN ('open','paid','cancelled')", name="state"),
        CheckConstraint("collected_by IN ('platform','merchant')", name="collected_by"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL AND collected_by IS NOT NULL)", name="paid"),
        CheckConstraint("refunded BETWEEN 0 AND total", name="refunded"),
        UniqueConstraint("member_id", "idempotency_key"),
        Index("ix_cart_order_created_at", "created_at", "id"),
        # A shop looks for an order whose answer it lost: by its own name for it, or among its last ones.
        Index("ix_cart_order_id", "id"),
        Index("ix_cart_order_merchant", "merchant_id", "id"),
        # Few of many orders.
        Index("ix_cart_order_unpaid", "id", postgresql_where=text("state <> 'paid'")),
        Index("ix_cart_order_reference", "reference", "id"),
        Index("ix_cart_order_merchant_ids", "merchant_ids", postgresql_using="gin"),
    )


class CartOrderLookup(Base):
    """Whose order a number is."""

    __tablename__ = "cart_order_lookup"
    number: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[UUID]
    order_id: Mapped[UUID]


class CartOrderCoupon(Base):
    """A coupon that an order uses: its holder need not be who orders."""

    __tablename__ = "cart_order_coupon"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    coupon_id: Mapped[UUID] = mapped_column(primary_key=True)
    holder_id: Mapped[UUID]
    """The member in whose wallet the coupon is."""
    hold_id: Mapped[UUID]
    """By which it is kept until the order is paid."""
    redemption_id: Mapped[UUID | None]
    outcome: Mapped[str | None]
    """What a refund made of it: ``returned``, ``reissued`` or ``forfeited``; None while it is used."""
    __table_args__ = (
        CheckConstraint("outcome IN ('returned','reissued','forfeited')", name="outcome"),
        Index("ix_cart_order_coupon_coupon", "holder_id", "coupon_id"),
    )


class CartRefund(Base):
    """One refund of an order. Appended, never edited."""

    __tablename__ = "cart_refund"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    amount: Mapped[int]
    """Minor units paid back."""
    points: Mapped[int]
    """Minor units given back as points."""
    tax: Mapped[int]
    """Minor units of tax in the amount."""
    returned: Mapped[dict[str, Any]]
    """``core.refunds.Refund`` as JSON: which units, at what."""
    reason: Mapped[str | None]
    by_name: Mapped[str]
    idempotency_key: Mapped[str | None]
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("member_id", "order_id", "idempotency_key"),)


class SettlementEntry(Base):
    """One side of a posting: the entries of a posting sum to zero. Appended, never edited."""

    __tablename__ = "settlement_entry"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    posting_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str]
    """Why: ``payment``, ``refund`` or ``adjustment``."""
    account: Mapped[str]
    """One of ``core.settlement.ACCOUNTS``."""
    merchant_id: Mapped[UUID]
    """Between whom and the platform the posting is."""
    amount: Mapped[int]
    """Minor units; debits are positive, credits negative."""
    currency: Mapped[str]
    collected_by: Mapped[str | None]
    order_id: Mapped[UUID | None]
    member_id: Mapped[UUID | None]
    refund_id: Mapped[UUID | None]
    line_key: Mapped[str | None]
    """Of the order; None for shipping and for adjustments."""
    offer_id: Mapped[UUID | None]
    """Of a discount."""
    note: Mapped[str | None]
    by_name: Mapped[str | None]
    occurred_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("kind IN ('payment','refund','adjustment')", name="kind"),
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_settlement_entry_merchant", "merchant_id", "occurred_at"),
        # What was booked last is listed, of a merchant that did little among many that do much, too.
        Index("ix_settlement_entry_list", "merchant_id", "id"),
        Index(
            "ix_settlement_entry_adjustment",
            "merchant_id",
            "id",
            postgresql_where=text("kind = 'adjustment'"),
        ),
        Index("ix_settlement_entry_order", "order_id"),
    )
