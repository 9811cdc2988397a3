"""Tables of issued coupons, their codes, redemptions and reversals, and tills' request numbers.

Member-side history carries ``member_id`` first in its keys and has no foreign keys, so that it can be
distributed by member; a coupon's code is looked up in its own small table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base


class Coupon(Base):
    """One issued right, in one member's wallet."""

    __tablename__ = "coupon"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    offer_id: Mapped[UUID]
    campaign_id: Mapped[UUID | None]
    claim_id: Mapped[UUID | None]
    order_id: Mapped[UUID | None]
    """The order that it was bought with."""
    code: Mapped[str]
    state: Mapped[str]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    """The first instant at which it can no longer be used."""
    issued_at: Mapped[datetime]
    hold_id: Mapped[UUID | None]
    held_until: Mapped[datetime | None]
    """A hold past this time counts as none, whether or not the sweeper has passed."""
    changed_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("state IN ('open','sold','held','redeemed','expired','void')", name="state"),
        CheckConstraint("(state = 'held') = (hold_id IS NOT NULL AND held_until IS NOT NULL)", name="hold"),
        # Both hold only what is still to be done, so they don't grow with history.
        Index("ix_coupon_held", "held_until", postgresql_where=text("state = 'held'")),
        Index("ix_coupon_open", "valid_until", postgresql_where=text("state = 'open'")),
    )


class CouponCode(Base):
    """Whose coupon a code is."""

    __tablename__ = "coupon_code"
    code: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[UUID]
    coupon_id: Mapped[UUID]


class CouponHold(Base):
    """A preparation, or an order that is not paid: for whom which coupon was kept. Appended, never edited.

    Whether it is still in force stands on the coupon, whose ``hold_id`` names it.
    """

    __tablename__ = "coupon_hold"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    member_id: Mapped[UUID]
    coupon_id: Mapped[UUID]
    merchant_id: Mapped[UUID | None]
    store_id: Mapped[UUID | None]
    """None for an order."""
    staff_id: Mapped[UUID | None]
    api_key_id: Mapped[UUID | None]
    verified: Mapped[str]
    """How the coupon was read then: ``rotating`` or ``code``; ``order`` for an order."""
    order_id: Mapped[UUID | None]
    """The order of a cart that keeps it."""
    held_at: Mapped[datetime]


class Redemption(Base):
    """The use of a coupon. Appended, never edited; a reversal is a row of its own."""

    __tablename__ = "redemption"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    coupon_id: Mapped[UUID]
    offer_id: Mapped[UUID]
    campaign_id: Mapped[UUID | None]
    merchant_id: Mapped[UUID | None]
    """None for a coupon of the platform that an order of a cart used: perhaps at several merchants, but once."""
    store_id: Mapped[UUID | None]
    """None for an order of a cart."""
    staff_id: Mapped[UUID | None]
    api_key_id: Mapped[UUID | None]
    request_number: Mapped[str]
    """The counter's, or the number of the order."""
    way: Mapped[str]
    """``cashier``, ``till`` or ``checkout``."""
    verified: Mapped[str]
    """How the coupon was read: its ``rotating`` QR code, or its ``code`` alone, typed or read aloud; or by an
    ``order``."""
    redeemed_at: Mapped[datetime]
    order_id: Mapped[UUID | None]
    """The order of a cart that used it."""
    __table_args__ = (
        CheckConstraint("way IN ('cashier','till','checkout')", name="way"),
        CheckConstraint("verified IN ('rotating','code','order')", name="verified"),
        CheckConstraint("(way = 'checkout') = (order_id IS NOT NULL)", name="order"),
        CheckConstraint(
            "way = 'checkout' OR (merchant_id IS NOT NULL AND store_id IS NOT NULL)", name="counter"
        ),
        Index("ix_redemption_coupon", "member_id", "coupon_id"),
        Index("ix_redemption_merchant", "merchant_id", "redeemed_at"),
        Index("ix_redemption_campaign", "campaign_id", "redeemed_at"),
    )


class Reversal(Base):
    """The undoing of one redemption; there is at most one."""

    __tablename__ = "reversal"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    redemption_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    coupon_id: Mapped[UUID]
    merchant_id: Mapped[UUID | None]
    """As of the redemption."""
    staff_id: Mapped[UUID | None]
    api_key_id: Mapped[UUID | None]
    request_number: Mapped[str]
    reason: Mapped[str | None]
    reversed_at: Mapped[datetime]


class TillRequest(Base):
    """A request number of a merchant's till or cashier, with the first answer that it got."""

    __tablename__ = "till_request"
    merchant_id: Mapped[UUID] = mapped_column(primary_key=True)
    request_number: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    # Rows come in this order, so an insert touches the index's last page only.
    __table_args__ = (Index("ix_till_request_created_at", "created_at"),)


class RedemptionLookup(Base):
    """Whose redemption an id is, for reversing it without naming the member."""

    __tablename__ = "redemption_lookup"
    redemption_id: Mapped[UUID] = mapped_column(primary_key=True)
    member_id: Mapped[UUID]
    merchant_id: Mapped[UUID]
