"""Tables of campaigns, prizes and claims."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base, LocalisedText


class Campaign(Base):
    """One way of giving coupons out. Its row is the lock of the claim desk."""

    __tablename__ = "campaign"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    """Upper case letters, digits and hyphens; stands in the campaign's address."""
    kind: Mapped[str]
    names: Mapped[LocalisedText]
    descriptions: Mapped[LocalisedText] = mapped_column(server_default=text("'{}'"))
    rules: Mapped[LocalisedText] = mapped_column(server_default=text("'{}'"))
    image: Mapped[str | None]
    edge: Mapped[str] = mapped_column(server_default="vermilion")
    state: Mapped[str] = mapped_column(server_default="draft")
    time_zone: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    audience: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """``core.audience.Audience`` as JSON; empty for everyone."""
    limit_per_member: Mapped[int | None]
    limit_per_member_per_day: Mapped[int | None]
    version: Mapped[int] = mapped_column(server_default="1")
    """Raised by every change of the definition; tells a process that its cached copy is stale."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("kind IN ('password','sale')", name="kind"),
        CheckConstraint("state IN ('draft','live','paused','archived')", name="state"),
        CheckConstraint("starts_at < ends_at", name="window"),
    )


class Prize(Base):
    """A bundle of offers with its own inventory; in a password campaign each password opens one."""

    __tablename__ = "prize"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"))
    position: Mapped[int]
    names: Mapped[LocalisedText]
    password: Mapped[str]
    """As the operator typed it."""
    password_key: Mapped[str]
    """As it is compared: see ``core.passwords``."""
    inventory: Mapped[int]
    """How many may be claimed in all. Can only be raised."""
    claimed: Mapped[int] = mapped_column(server_default="0")
    limit_per_member: Mapped[int | None]
    __table_args__ = (
        UniqueConstraint("campaign_id", "password_key"),
        UniqueConstraint("campaign_id", "position"),
        CheckConstraint("claimed BETWEEN 0 AND inventory", name="inventory"),
    )


class PrizeOffer(Base):
    """One offer in a prize's bundle, and how many coupons of it a claim issues."""

    __tablename__ = "prize_offer"
    prize_id: Mapped[UUID] = mapped_column(ForeignKey("prize.id"), primary_key=True)
    offer_id: Mapped[UUID] = mapped_column(ForeignKey("offer.id"), primary_key=True)
    quantity: Mapped[int]
    __table_args__ = (CheckConstraint("quantity BETWEEN 1 AND 20", name="quantity"),)


class Claim(Base):
    """A member's successful taking of a prize. Appended, never edited."""

    __tablename__ = "claim"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    prize_id: Mapped[UUID]
    idempotency_key: Mapped[str]
    claimed_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("member_id", "idempotency_key"),)


class Participation(Base):
    """What one member has claimed of one prize so far: the counters that the limits are checked against."""

    __tablename__ = "participation"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    prize_id: Mapped[UUID] = mapped_column(primary_key=True)
    claimed: Mapped[int]
    day: Mapped[date]
    """The day, in the campaign's time zone, that ``claimed_on_day`` counts."""
    claimed_on_day: Mapped[int]


class ClaimHour(Base):
    """Claims of a prize in one hour: kept as a counter, so that figures cost the same at any age."""

    __tablename__ = "claim_hour"
    prize_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    claims: Mapped[int]
    __table_args__ = (Index("ix_claim_hour_campaign_id", "campaign_id", "hour"),)
