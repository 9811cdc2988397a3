"""The coupon library: one row for each offer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base, LocalisedText


class Offer(Base):
    """What a coupon gives, where, when, to whom, and who pays.

    ``benefit``, ``scope``, ``cart_rules`` and ``validity`` hold the values of ``core.offers`` as JSON (see
    ``offers.stored``). That module says what they mean, ``core.offer_checks`` refuses what makes no sense.
    """

    __tablename__ = "offer"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    merchant_id: Mapped[UUID | None] = mapped_column(ForeignKey("merchant.id"))
    """None for an offer of the platform, usable at the merchants of its scope."""
    issuer: Mapped[str]
    names: Mapped[LocalisedText]
    summaries: Mapped[LocalisedText] = mapped_column(server_default=text("'{}'"))
    terms: Mapped[LocalisedText] = mapped_column(server_default=text("'{}'"))
    image: Mapped[str | None]
    benefit_kind: Mapped[str]
    currency: Mapped[str]
    benefit: Mapped[dict[str, Any]]
    minimum_spend: Mapped[int] = mapped_column(server_default="0")
    """Minor units of ``currency``; 0 for none."""
    scope: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    cart_rules: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """``core.offers.CartRules`` as JSON: combining, excluded lines, the threshold's base, refunds."""
    funding_platform_basis_points: Mapped[int]
    """The platform's share of the discount, in hundredths of a percent; the merchant bears the rest."""
    validity: Mapped[dict[str, Any]]
    time_zone: Mapped[str]
    issue_limit: Mapped[int | None]
    limit_per_member: Mapped[int | None]
    issued: Mapped[int] = mapped_column(server_default="0")
    redeem_by: Mapped[list[str]]
    """Ways of redeeming that are allowed: ``cashier``, ``till``, ``checkout``."""
    store_ids: Mapped[list[UUID]] = mapped_column(server_default=text("'{}'"))
    """The stores where it can be used; empty for all of its merchants' stores."""
    automatic: Mapped[bool] = mapped_column(server_default=text("false"))
    """A promotion of the merchant: it applies to carts by itself, and no coupons of it are given out."""
    state: Mapped[str] = mapped_column(server_default="draft")
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("issuer IN ('platform','merchant')", name="issuer"),
        CheckConstraint("issuer = 'platform' OR merchant_id IS NOT NULL", name="merchant"),
        CheckConstraint("state IN ('draft','active','archived')", name="state"),
        CheckConstraint("funding_platform_basis_points BETWEEN 0 AND 10000", name="funding"),
        CheckConstraint("issue_limit IS NULL OR issued <= issue_limit", name="issue_limit"),
        CheckConstraint("issued >= 0", name="issued"),
        # Nobody holds a coupon of what applies by itself.
        CheckConstraint("NOT automatic OR (issuer = 'merchant' AND issued = 0)", name="automatic"),
        Index("ix_offer_merchant_id", "merchant_id"),
        Index("ix_offer_automatic", "merchant_id", postgresql_where=text("automatic AND state = 'active'")),
    )


class OfferHolding(Base):
    """How many coupons of an offer one member was ever issued; kept for offers with a limit per member."""

    __tablename__ = "offer_holding"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    offer_id: Mapped[UUID] = mapped_column(primary_key=True)
    issued: Mapped[int]
