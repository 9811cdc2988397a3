"""Tables of members, their plans, tiers and groups, and of one-time codes for signing in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base, LocalisedText


class Plan(Base):
    """A membership card, such as 'City Pass'."""

    __tablename__ = "plan"
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[LocalisedText]


class Tier(Base):
    """A step within a plan, such as Gold; known outside its plan as ``plan:tier``."""

    __tablename__ = "tier"
    plan: Mapped[str] = mapped_column(ForeignKey("plan.code"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[LocalisedText]
    rank: Mapped[int]
    __table_args__ = (UniqueConstraint("plan", "rank"),)


class MemberGroup(Base):
    """A named set of members that staff keep, such as 'Hotel partners'. Tags are free words."""

    __tablename__ = "member_group"
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[LocalisedText]


class Member(Base):
    """A person who holds coupons."""

    __tablename__ = "member"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    phone: Mapped[str]
    """E.164. Unique through ``member_phone``."""
    name: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default="en")
    plan: Mapped[str | None]
    tier: Mapped[str | None]
    groups: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    epoch: Mapped[int] = mapped_column(server_default="1")
    """Carried in the member's token; raising it ends every session of the member at the next write."""
    state: Mapped[str] = mapped_column(server_default="active")
    created_at: Mapped[datetime]
    last_signed_in_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("state IN ('active','blocked')", name="state"),
        Index("ix_member_created_at", "created_at", "id"),
        Index("ix_member_groups", "groups", postgresql_using="gin"),
        Index("ix_member_tags", "tags", postgresql_using="gin"),
        Index("ix_member_plan", "plan", "tier"),
    )


class MemberPhone(Base):
    """Who has a phone number: the one place where a number is unique."""

    __tablename__ = "member_phone"
    phone: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[UUID]


class SignInCode(Base):
    """A one-time code that was asked for. The code itself is not here, only its keyed hash."""

    __tablename__ = "sign_in_code"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    phone: Mapped[str]
    channel: Mapped[str]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    tries_left: Mapped[int]
    address: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    replaced_at: Mapped[datetime | None]
    """A newer code for the same phone makes the older ones worthless."""
    __table_args__ = (
        Index("ix_sign_in_code_phone", "phone", "created_at"),
        Index("ix_sign_in_code_address", "address", "created_at"),
    )


class SignInPhone(Base):
    """The codes that a phone number asked for in a row: what the resend delay goes by."""

    __tablename__ = "sign_in_phone"
    phone: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int]
    last_requested_at: Mapped[datetime | None]
    notice_id: Mapped[UUID | None]
    """The message with the last code, to be withdrawn when a newer code replaces it."""
    __table_args__ = (Index("ix_sign_in_phone_last_requested_at", "last_requested_at"),)
