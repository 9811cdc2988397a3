"""Tables of merchants, stores, staff, sessions, API keys, the audit log and remembered answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Row, Select, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base, LocalisedText

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of whatever columns."""

AnySelect: TypeAlias = Select[*tuple[Any, ...]]
"""A question of whatever columns, for a list to filter, sort and page."""


class Merchant(Base):
    """A business on the platform."""

    __tablename__ = "merchant"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    """Short name in URLs and files, lower case."""
    names: Mapped[LocalisedText]
    descriptions: Mapped[LocalisedText] = mapped_column(server_default=text("'{}'"))
    kind: Mapped[str]
    """``retail``, ``dining``, ``theme_park``, ``attraction`` or ``service``."""
    edge: Mapped[str] = mapped_column(server_default="teal")
    """The merchant's colour along its tickets' edge, a name of the palette."""
    image: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="active")
    created_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("kind IN ('retail','dining','theme_park','attraction','service')", name="kind"),
        CheckConstraint("state IN ('active','suspended')", name="state"),
    )


class Store(Base):
    """One of a merchant's places of sale."""

    __tablename__ = "store"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    code: Mapped[str]
    names: Mapped[LocalisedText]
    addresses: Mapped[LocalisedText] = mapped_column(server_default=text("'{}'"))
    district: Mapped[str | None]
    phone: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="active")
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("merchant_id", "code"),
        CheckConstraint("state IN ('active','closed')", name="state"),
    )


class Staff(Base):
    """A person who works for the operator (no merchant) or for a merchant, with a role."""

    __tablename__ = "staff"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID | None] = mapped_column(ForeignKey("merchant.id"))
    store_id: Mapped[UUID | None] = mapped_column(ForeignKey("store.id"))
    """The store a cashier works at; None when the cashier chooses at sign-in."""
    email: Mapped[str] = mapped_column(unique=True)
    """Lower case."""
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    totp_secret: Mapped[str | None]
    totp_new_secret: Mapped[str | None]
    """A secret that an authenticator app has been shown but not yet confirmed with a code."""
    language: Mapped[str] = mapped_column(server_default="en")
    state: Mapped[str] = mapped_column(server_default="active")
    failed_sign_ins: Mapped[int] = mapped_column(server_default="0")
    locked_until: Mapped[datetime | None]
    totp_last_step: Mapped[int | None]
    """The time step of the last accepted TOTP code: a code is good once."""
    created_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint(
            "(merchant_id IS NULL AND role IN ('owner','editor','finance','auditor'))"
            " OR (merchant_id IS NOT NULL AND role IN ('manager','cashier'))",
            name="role",
        ),
        CheckConstraint("state IN ('active','disabled')", name="state"),
        Index("ix_staff_merchant_id", "merchant_id"),
    )


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A member of staff as others may see it: without what signs in."""

    id: UUID
    merchant_id: UUID | None
    store_id: UUID | None
    email: str
    name: str
    role: str
    language: str
    state: str
    has_totp: bool
    locked_until: datetime | None
    created_at: datetime


class StaffSession(Base):
    """A signed-in browser of a staff member; the cookie holds a random token, the table its SHA-256."""

    __tablename__ = "staff_session"
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    store_id: Mapped[UUID | None] = mapped_column(ForeignKey("store.id"))
    """The store that the cashier chose for this session."""
    totp_pending: Mapped[bool]
    """True between the password and the TOTP code: such a session may do nothing else."""
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    """The end unless the session is used before: idle time counted, never past its longest life."""
    address: Mapped[str]
    user_agent: Mapped[str]
    __table_args__ = (Index("ix_staff_session_staff_id", "staff_id"),)


class RecoveryCode(Base):
    """A code that signs in once in place of the authenticator app's; used up, its row is gone."""

    __tablename__ = "recovery_code"
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """SHA-256; the code has 80 random bits, so that a slow hash would add nothing."""
    created_at: Mapped[datetime]


class ApiKey(Base):
    """A key for the API, shown once, stored as SHA-256; of the operator, or of one merchant."""

    __tablename__ = "api_key"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID | None] = mapped_column(ForeignKey("merchant.id"))
    name: Mapped[str]
    prefix: Mapped[str]
    """The first characters, shown in lists so that a person recognises the key."""
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Base):
    """One act of staff or of an API key: who, what, before, after. Appended, never edited."""

    __tablename__ = "audit_entry"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_kind: Mapped[str]
    """``staff``, ``key``, ``command`` (the tearline command) or ``system``."""
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str]
    merchant_id: Mapped[UUID | None]
    """The merchant whose matter it is; None for the operator's own."""
    action: Mapped[str]
    """Such as ``offer.created`` or ``prize.inventory_raised``."""
    subject_kind: Mapped[str]
    subject_id: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    __table_args__ = (
        Index("ix_audit_entry_subject", "subject_kind", "subject_id", "id"),
        Index("ix_audit_entry_merchant_id", "merchant_id", "id"),
    )


class RememberedAnswer(Base):
    """The first answer to a back-office write with an Idempotency-Key, for its repeats."""

    __tablename__ = "remembered_answer"
    caller: Mapped[str] = mapped_column(primary_key=True)
    """Who asked: ``key:<id>`` or ``member:<id>``; one caller's keys never meet another's."""
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of method, path and body: the same key with another request is refused."""
    status: Mapped[int]
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
