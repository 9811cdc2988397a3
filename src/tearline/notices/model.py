"""The table of what goes out: one row for each message, written in the transaction that wants it sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base


class Notice(Base):
    """One message to one recipient on one channel."""

    __tablename__ = "notice"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str]
    """``sms``, ``whatsapp`` or ``voice``."""
    recipient: Mapped[str]
    """A phone number in E.164."""
    language: Mapped[str]
    template: Mapped[str]
    """Name of the wording, such as ``sign_in_code``."""
    values: Mapped[dict[str, Any]]
    """What the wording is filled with; emptied once sent, since it may hold a one-time code."""
    state: Mapped[str] = mapped_column(server_default="queued")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime]
    """When it is to be tried; while it is ``sending``, when its sender's lease on it ends."""
    provider: Mapped[str | None]
    provider_reference: Mapped[str | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    """After this the message is of no use and is not sent any more."""
    __table_args__ = (
        CheckConstraint("state IN ('queued','sending','sent','failed')", name="state"),
        CheckConstraint("channel IN ('sms','whatsapp','voice')", name="channel"),
        # What is still to be sent is a small part of the table: its index must not grow with history.
        Index(
            "ix_notice_due",
            "channel",
            "next_attempt_at",
            postgresql_where=text("state IN ('queued','sending')"),
        ),
        Index("ix_notice_expiring", "expires_at", postgresql_where=text("state IN ('queued','sending')")),
    )
