"""Questions about waiting rooms: for the console's lists, the operator's board, and the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Integer, Result, Row, Select, case, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from tearline.core.admission import Response, estimated_wait
from tearline.core.draw import commitment
from tearline.core.refusal import Refusal
from tearline.core.rooms import HOLDING, RoomDraft
from tearline.merchants.model import AuditEntry
from tearline.waitingroom.model import (
    Room,
    RoomBypass,
    RoomCall,
    RoomCampaign,
    RoomPage,
    RoomSample,
    RoomState,
)

_OF_ROOM = [column for column in RoomState.__table__.columns if column.name != "room_id"]

WAITING = case((RoomState.state.in_(sorted(HOLDING)), RoomState.joined - RoomState.called), else_=0)
"""Places in line that have not been called; in the other states nobody waits."""

_COMING = (
    select(
        func.coalesce(
            func.sum(
                RoomCall.size
                - select(func.sum(func.unnest(RoomCall.came).column_valued("part", joins_implicitly=True)))
                .correlate(RoomCall)
                .scalar_subquery()
            ),
            0,
        ).cast(Integer)
    )
    .where(
        RoomCall.room_id == RoomState.room_id,
        RoomCall.round == RoomState.round,
        RoomCall.first >= RoomState.lapsed,
    )
    .correlate(RoomState)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Board:
    """A room and what happens in it at this moment.

    Attributes:
        waiting: places in line that have not been called.
        coming: called, not come yet, and still in their grace time.
        no_show_share: of those called; None while unknown.
        changed_at: when the state or the schedule was last set.
        seed: of this round's draw; see ``revealed_seed`` for who may know it.
    """

    id: UUID
    version: int
    draft: RoomDraft
    state: str
    is_paused: bool
    round: int
    joined: int
    gathered: int
    called: int
    lapsed: int
    inside: int
    at_door: int
    waiting: int
    coming: int
    entered: int
    no_shows: int
    no_show_share: float | None
    stock_left: int | None
    stock_taken: int
    slow_per_minute: float | None
    fast_per_minute: float | None
    changed_at: datetime
    started_at: datetime | None
    ticked_at: datetime | None
    seed: bytes | None = field(repr=False)

    @property
    def commitment(self) -> str | None:
        """What was published of this round's seed before the start; None before the first round."""
        return commitment(self.seed) if self.seed else None

    @property
    def revealed_seed(self) -> str | None:
        """The seed in hexadecimal, once the round has started: everyone may know it then."""
        return self.seed.hex() if self.seed and self.started_at else None

    @property
    def draining(self) -> tuple[timedelta, timedelta] | None:
        """How long until everyone who waits has been called, at least and at most.

        At the rates measured lately; None while they are unknown, and when nobody is being called.
        """
        if self.state != "queueing":
            return None
        wait = estimated_wait(self.waiting, self.slow_per_minute, self.fast_per_minute)
        return None if wait is None else (wait.least, wait.most)


def rooms() -> Select[Any]:
    """Every room with its state, newest first; for lists that filter, sort and page."""
    return (
        select(Room.__table__, *_OF_ROOM, WAITING.label("waiting"))
        .join(RoomState, RoomState.room_id == Room.id)
        .order_by(Room.id.desc())
    )


async def room_draft_of(connection: AsyncConnection, row: Row[Any]) -> RoomDraft:
    """What was decided about a room, from its row."""
    campaigns = await connection.scalars(
        select(RoomCampaign.campaign_id)
        .where(RoomCampaign.room_id == row.id)
        .order_by(RoomCampaign.campaign_id)
    )
    pages = await connection.scalars(
        select(RoomPage.path).where(RoomPage.room_id == row.id).order_by(RoomPage.path)
    )
    guarded: dict[str, Any] = {
        "campaign_ids": tuple(campaigns),
        "pages": tuple(pages),
        "sites": tuple(row.sites),
    }
    names = [field.name for field in fields(RoomDraft) if field.name not in guarded]
    return RoomDraft(**{name: getattr(row, name) for name in names}, **guarded)


async def board(connection: AsyncConnection, room_id: UUID) -> Board:
    """A room and what happens in it.

    Raises:
        Refusal: ``not_found``.
    """
    statement = rooms().add_columns(_COMING.label("coming")).where(Room.id == room_id)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    names = {field.name for field in fields(Board)} - {"id", "version", "draft", "no_show_share"}
    return Board(
        id=row.id,
        version=row.version,
        draft=await room_draft_of(connection, row),
        no_show_share=msgspec.convert(row.response, Response).no_show_share,
        **{name: getattr(row, name) for name in names},
    )


async def room_id_of(connection: AsyncConnection, code: str) -> UUID:
    """The id of the room with this code, in whatever case it is written.

    Raises:
        Refusal: ``not_found``.
    """
    room_id = await connection.scalar(select(Room.id).where(Room.code == code.upper()))
    if room_id is None:
        raise Refusal("not_found")
    return room_id


async def guards(connection: AsyncConnection) -> dict[UUID, Row[Any]]:
    """Of each guarded campaign its room: ``id``, ``code``, ``names``, ``state``."""
    rows: Result[Any] = await connection.execute(
        select(RoomCampaign.campaign_id, Room.id, Room.code, Room.names, RoomState.state)
        .join(Room, Room.id == RoomCampaign.room_id)
        .join(RoomState, RoomState.room_id == Room.id)
    )
    return {row.campaign_id: row for row in rows}


@dataclass(frozen=True, slots=True)
class DialTurn:
    """One turn of a room's dial: what it changed of ``max_active`` and ``per_minute``."""

    at: datetime
    who: str
    before: dict[str, int | None]
    after: dict[str, int | None]


async def dial_turns(connection: AsyncConnection, room_id: UUID, *, most: int = 20) -> Sequence[DialTurn]:
    """Who set how many people may be inside, newest first, as the audit log has it."""
    names = ("max_active", "per_minute")
    rows = await connection.execute(
        select(AuditEntry.at, AuditEntry.actor_name, AuditEntry.before, AuditEntry.after)
        .where(
            AuditEntry.subject_id == str(room_id),
            AuditEntry.action.in_(("room.created", "room.changed", "room.dial_turned")),
            AuditEntry.after.has_any(postgresql.array(names)),
        )
        .order_by(AuditEntry.id.desc())
        .limit(most)
    )
    return [
        DialTurn(
            at=row.at,
            who=row.actor_name,
            before={name: row.before[name] for name in names if name in (row.before or {})},
            after={name: row.after[name] for name in names if name in row.after},
        )
        for row in rows
    ]


async def samples(
    connection: AsyncConnection, room_id: UUID, since: datetime, *, most: int = 360
) -> Sequence[Row[Any]]:
    """The room's numbers over time, oldest first, thinned to ``most`` at the most."""
    rows = list(
        await connection.execute(
            select(RoomSample.__table__)
            .where(RoomSample.room_id == room_id, RoomSample.at >= since)
            .order_by(RoomSample.at)
        )
    )
    step = -(-len(rows) // most) or 1
    # Counted from the end: the newest is always among them.
    return rows[::-step][::-1]


def bypasses_list(room_id: UUID) -> Select[Any]:
    """The room's bypass links, newest first, without their tokens."""
    shown: tuple[InstrumentedAttribute[Any], ...] = (
        RoomBypass.id,
        RoomBypass.name,
        RoomBypass.uses_left,
        RoomBypass.expires_at,
        RoomBypass.created_at,
    )
    return select(*shown).where(RoomBypass.room_id == room_id).order_by(RoomBypass.id.desc())


async def bypasses(connection: AsyncConnection, room_id: UUID) -> Sequence[Row[Any]]:
    """The room's bypass links, newest first, without their tokens."""
    return list(await connection.execute(bypasses_list(room_id)))
