"""Tables of waiting rooms: what the operator sets, the one hot row of each, calls, entries and samples."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base, LocalisedText


class Room(Base):
    """A waiting room as the operator sets it up. What happens in it stands in ``RoomState``."""

    __tablename__ = "room"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    """Upper case letters, digits and hyphens; stands in the room's address."""
    names: Mapped[LocalisedText]
    messages: Mapped[LocalisedText] = mapped_column(server_default=text("'{}'"))
    """What the operator tells those who wait; empty for nothing."""
    time_zone: Mapped[str]
    gathers_at: Mapped[datetime | None]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    max_active: Mapped[int]
    """The dial: how many people may be inside."""
    per_minute: Mapped[int | None]
    """How many places are called in a minute at the most."""
    session_seconds: Mapped[int] = mapped_column(server_default="1800")
    grace_seconds: Mapped[int] = mapped_column(server_default="120")
    """How long a called place stays free for whoever was called."""
    queues_when_full: Mapped[bool] = mapped_column(server_default=text("true"))
    """An open room begins to queue by itself when those inside reach ``max_active``."""
    late_may_enter: Mapped[bool] = mapped_column(server_default=text("false"))
    claim_ends_session: Mapped[bool] = mapped_column(server_default=text("false"))
    proof_of_work: Mapped[bool] = mapped_column(server_default=text("false"))
    joins_per_network: Mapped[int | None]
    """Joins in a minute from one address range (an IPv4 /24, an IPv6 /56)."""
    sites: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    """Origins of other sites that the room guards, such as ``https://shop.example``."""
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("max_active >= 0", name="max_active"),
        CheckConstraint("session_seconds > 0 AND grace_seconds > 0", name="times"),
    )


class RoomCampaign(Base):
    """A campaign that a room guards. A campaign has one room at the most."""

    __tablename__ = "room_campaign"
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"), primary_key=True)
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id"), index=True)


class RoomPage(Base):
    """A page of ours that a room guards, with all below it. A page has one room at the most."""

    __tablename__ = "room_page"
    path: Mapped[str] = mapped_column(primary_key=True)
    """Such as ``/wallet``; ``/`` is the home page alone."""
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id"), index=True)


class RoomState(Base):
    """What happens in a room: its one hot row, the lock of joins, entries and calls."""

    __tablename__ = "room_state"
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id"), primary_key=True)
    state: Mapped[str] = mapped_column(server_default="closed")
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    """Nobody further is called; those inside and those called go on."""
    round: Mapped[int] = mapped_column(server_default="0")
    """Raised whenever the room opens anew; tickets of an earlier round are worth nothing."""
    seed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of this round's draw; public once the round has started."""
    gathered: Mapped[int] = mapped_column(server_default="0")
    """How many came before the start: the places that were drawn."""
    joined: Mapped[int] = mapped_column(server_default="0")
    """Tickets given out in this round; the next ticket's number."""
    called: Mapped[int] = mapped_column(server_default="0")
    """Places below this have been called."""
    lapsed: Mapped[int] = mapped_column(server_default="0")
    """Places below this were called and their grace time is over."""
    inside: Mapped[int] = mapped_column(server_default="0")
    at_door: Mapped[int] = mapped_column(server_default="0")
    entered: Mapped[int] = mapped_column(server_default="0")
    """Entries of this round, bypassing ones included."""
    no_shows: Mapped[int] = mapped_column(server_default="0")
    allowance: Mapped[float] = mapped_column(Double, server_default="0")
    """Calls that the rate allows and that were not made yet."""
    response: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """``core.admission.Response`` as JSON."""
    stock_left: Mapped[int | None]
    """What the guarded campaigns still have to give; None when the room guards none."""
    stock_taken: Mapped[int] = mapped_column(server_default="0")
    """Claims of the guarded campaigns since the round began."""
    claimed_before: Mapped[int | None]
    """Claims of the guarded campaigns when the round began; None until they have been counted."""
    slow_per_minute: Mapped[float | None] = mapped_column(Double)
    fast_per_minute: Mapped[float | None] = mapped_column(Double)
    """The least and the greatest rate of calls measured lately; None while unknown."""
    changed_at: Mapped[datetime]
    """When the state or the schedule was last set: earlier moments of the schedule are past."""
    started_at: Mapped[datetime | None]
    """When the round began to let people in."""
    ticked_at: Mapped[datetime | None]
    sampled_at: Mapped[datetime | None]
    controller: Mapped[UUID | None]
    """The process that raises the called number, and until when it is taken to be alive."""
    controller_until: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("state IN ('closed','gathering','open','queueing','ended')", name="state"),
        CheckConstraint("lapsed <= called AND called <= joined", name="called"),
        CheckConstraint("inside >= 0 AND at_door >= 0", name="counts"),
    )


class RoomCall(Base):
    """Places called at one moment. Kept while their grace time runs and as the record of the round."""

    __tablename__ = "room_call"
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    first: Mapped[int] = mapped_column(primary_key=True)
    """The first of the places."""
    size: Mapped[int]
    called_at: Mapped[datetime]
    came: Mapped[list[int]]
    """How many came in each part of the grace time."""
    __table_args__ = (Index("ix_room_call_called_at", "room_id", "round", "called_at"),)


class RoomEntry(Base):
    """Somebody who came to the door with a called ticket, and what became of it."""

    __tablename__ = "room_entry"
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    """The place in line; below zero for those who came by a bypass link."""
    exchange_key: Mapped[str]
    """The idempotency key of the exchange: the same browser gets the same pass, a copied ticket none."""
    member_id: Mapped[UUID | None]
    """Whom the pass serves: the first member who uses it."""
    came_at: Mapped[datetime]
    entered_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    """``left``, ``finished``, ``expired``, ``gone`` (from the door) or ``closed``."""
    __table_args__ = (
        Index(
            "ix_room_entry_expiry",
            "room_id",
            "round",
            "expires_at",
            postgresql_where=text("ended_at IS NULL AND entered_at IS NOT NULL"),
        ),
        Index(
            "ix_room_entry_door",
            "room_id",
            "round",
            "came_at",
            postgresql_where=text("ended_at IS NULL AND entered_at IS NULL"),
        ),
        Index("ix_room_entry_ended", "room_id", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )


class RoomBypass(Base):
    """A link by which staff, or somebody who can't wait in line, enter at once."""

    __tablename__ = "room_bypass"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id"), index=True)
    name: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    uses_left: Mapped[int]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    __table_args__ = (CheckConstraint("uses_left >= 0", name="uses_left"),)


class RoomSample(Base):
    """What the board's plots are drawn from: the room's numbers, every few seconds."""

    __tablename__ = "room_sample"
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    inside: Mapped[int]
    waiting: Mapped[int]
    called: Mapped[int]
    entered: Mapped[int]
    no_shows: Mapped[int]
    max_active: Mapped[int]
    stock_left: Mapped[int | None]


class RoomSolution(Base):
    """A proof of work that was used to join: each is good for once."""

    __tablename__ = "room_solution"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
