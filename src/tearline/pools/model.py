"""Tables of partner codes: the pools, their codes, and the files by which they came.

A pool's codes lie at positions that follow one another. Those from ``next_position`` on have never been given
out, so the next ones are found by arithmetic, whatever the number of codes and of transactions; those that
came back from orders that were not paid are in ``ReturnedCode``, a table that stays small.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base


class CodePool(Base):
    """The codes that a partner uploads for one offer. Its row is the lock of whoever takes or brings codes."""

    __tablename__ = "code_pool"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    offer_id: Mapped[UUID] = mapped_column(ForeignKey("offer.id"), unique=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"), index=True)
    """The partner: the offer's merchant, which can't change while there is a pool."""
    symbology: Mapped[str] = mapped_column(server_default="text")
    """One of ``core.pools.SYMBOLOGIES``."""
    rule: Mapped[dict[str, Any] | None]
    """``core.pools.CodeRule`` as JSON; None until the first file was confirmed."""
    low_stock: Mapped[int | None]
    """Staff are warned when fewer are available; None for never."""
    size: Mapped[int] = mapped_column(server_default="0")
    """Codes ever added; the position of the next one."""
    next_position: Mapped[int] = mapped_column(server_default="0")
    """Codes before this have been taken at least once, or were passed by."""
    available: Mapped[int] = mapped_column(server_default="0")
    reserved: Mapped[int] = mapped_column(server_default="0")
    sold: Mapped[int] = mapped_column(server_default="0")
    withdrawn: Mapped[int] = mapped_column(server_default="0")
    void: Mapped[int] = mapped_column(server_default="0")
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("size = available + reserved + sold + withdrawn + void", name="conservation"),
        CheckConstraint(
            "available >= 0 AND reserved >= 0 AND sold >= 0 AND withdrawn >= 0 AND void >= 0", name="counts"
        ),
        CheckConstraint("next_position BETWEEN 0 AND size", name="next_position"),
    )


class PartnerCode(Base):
    """One code of a partner. The same code may well be another partner's, too."""

    __tablename__ = "partner_code"
    pool_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    merchant_id: Mapped[UUID]
    code: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="available")
    """``available``, ``reserved``, ``sold``; ``withdrawn`` (handed back) and ``void`` for good."""
    order_id: Mapped[UUID | None]
    """The order that has reserved or bought it."""
    member_id: Mapped[UUID | None]
    coupon_id: Mapped[UUID | None]
    """Once sold: the coupon that it was sold as."""
    hand_back_id: Mapped[UUID | None]
    __table_args__ = (
        # The code comes first: a code is looked up without knowing whose it is.
        UniqueConstraint("code", "merchant_id"),
        CheckConstraint("state IN ('available','reserved','sold','withdrawn','void')", name="state"),
        CheckConstraint("(state = 'sold') <= (coupon_id IS NOT NULL)", name="coupon"),
        # Room on each page for the changed row, so that a sale need not touch the indexes.
        {"postgresql_with": {"fillfactor": "85"}},
    )


class ReturnedCode(Base):
    """A code before its pool's ``next_position`` that is available again."""

    __tablename__ = "returned_code"
    pool_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)


class CodeFile(Base):
    """A file that somebody uploaded, and what became of it."""

    __tablename__ = "code_file"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    pool_id: Mapped[UUID] = mapped_column(ForeignKey("code_pool.id"), index=True)
    name: Mapped[str]
    size_bytes: Mapped[int]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the content."""
    state: Mapped[str] = mapped_column(server_default="uploading")
    """``uploading``, ``uploaded`` (waits to be confirmed), ``importing``, ``imported``, ``failed``, ``discarded``."""
    problem: Mapped[str | None]
    """Of a failed one: a reason of ``core.refusal``."""
    source: Mapped[str]
    """``console``, ``merchant`` (its own pages), ``api`` or ``command``."""
    by_name: Mapped[str]
    """Whoever uploaded it."""
    column_number: Mapped[int] = mapped_column(server_default="0")
    """Which column holds the codes, from 0."""
    has_heading: Mapped[bool] = mapped_column(server_default=text("false"))
    rows: Mapped[int] = mapped_column(server_default="0")
    """Rows with something in them, the heading not among them; while importing, how many were read."""
    added: Mapped[int] = mapped_column(server_default="0")
    duplicate: Mapped[int] = mapped_column(server_default="0")
    held: Mapped[int] = mapped_column(server_default="0")
    invalid: Mapped[int] = mapped_column(server_default="0")
    first_position: Mapped[int | None]
    """The added codes have the positions from here on, in the order of the file."""
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """When the import last gave a sign of life."""
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint(
            "state IN ('uploading','uploaded','importing','imported','failed','discarded')", name="state"
        ),
        CheckConstraint("source IN ('console','merchant','api','command')", name="source"),
        CheckConstraint("state <> 'imported' OR rows = added + duplicate + held + invalid", name="outcomes"),
    )


class CodeFilePart(Base):
    """A piece of an uploaded file, kept until it has been imported or discarded."""

    __tablename__ = "code_file_part"
    file_id: Mapped[UUID] = mapped_column(ForeignKey("code_file.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class CodeFileRow(Base):
    """A row of a file that was not added, and why. The rows that are not here were added, in their order."""

    __tablename__ = "code_file_row"
    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    """From 1, as the file counts its rows that have something in them."""
    code: Mapped[str]
    outcome: Mapped[str]
    reason: Mapped[str | None]
    """Of an invalid one: a key of ``core.pools.PROBLEMS``."""
    __table_args__ = (
        CheckConstraint("outcome IN ('duplicate','held','invalid')", name="outcome"),
        Index("ix_code_file_row_outcome", "file_id", "outcome", "number"),
    )


class HandBack(Base):
    """Unsold codes that were handed back to their partner: the act, and the file's contents by their digest."""

    __tablename__ = "hand_back"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    pool_id: Mapped[UUID] = mapped_column(ForeignKey("code_pool.id"), index=True)
    campaign_id: Mapped[UUID | None]
    codes: Mapped[int]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the codes in their order, each with a line feed: the file says the same ones for ever."""
    by_name: Mapped[str]
    made_at: Mapped[datetime]
    fetched_at: Mapped[datetime | None]
    """When the file was first downloaded."""
