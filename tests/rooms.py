"""Waiting rooms for tests: a room with its desks, and a clock that the test moves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update

from tearline.core.refusal import Refusal
from tearline.core.roles import command_actor
from tearline.core.rooms import RoomDraft
from tearline.db import Database, transaction
from tearline.waitingroom import actions
from tearline.waitingroom.controller import Stock, tick
from tearline.waitingroom.doordesk import DoorDesk
from tearline.waitingroom.joins import JoinDesk
from tearline.waitingroom.model import RoomState
from tearline.waitingroom.tokens import Pass, Ticket

ACTOR = command_actor("tests")
START = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
CODE = "HALL-1"


def room_draft(**changes: Any) -> RoomDraft:
    """A room for ten people, with a minute to come in."""
    values = {
        "code": CODE,
        "names": {"en": "Winter hall", "zh-Hant": "冬日大廳"},
        "time_zone": "Asia/Hong_Kong",
        "max_active": 10,
        "grace_seconds": 60,
        "session_seconds": 1800,
    }
    return RoomDraft(**{**values, **changes})


async def make_room(database: Database, now: datetime, state: str = "closed", **changes: Any) -> UUID:
    """A room in some state; its id."""
    async with transaction(database) as tx:
        room_id = await actions.create_room(tx, ACTOR, room_draft(**changes), now)
        if state != "closed":
            await actions.move_room(tx, ACTOR, room_id, state, now)
    return room_id


@dataclass
class Hall:
    """One room, the desks of one process, and time that stands still until the test moves it."""

    database: Database
    room_id: UUID
    now: datetime = START
    stock: Stock = field(default_factory=lambda: Stock(0, 0))

    def __post_init__(self) -> None:
        self.joins = JoinDesk(self.database, clock=lambda: self.now)
        self.door = DoorDesk(self.database, clock=lambda: self.now)

    async def pass_time(self, seconds: float, *, ticks: bool = True) -> None:
        """Let time go on, a tick a second."""
        if not ticks:
            self.now += timedelta(seconds=seconds)
            return
        for _ in range(round(seconds)):
            self.now += timedelta(seconds=1)
            await self.tick()

    async def tick(self) -> None:
        """One tick of a controller."""

        async def stock_of(*_: Any) -> Stock:
            return self.stock

        async with transaction(self.database) as tx:
            await tick(tx, self.room_id, self.now, stock_of)

    async def move(self, state: str) -> None:
        """Bring the room to a state by hand."""
        async with transaction(self.database) as tx:
            await actions.move_room(tx, ACTOR, self.room_id, state, self.now)

    async def join(self, count: int) -> list[Ticket]:
        """So many visitors join, one after the other."""
        return [await self.joins.join(self.room_id) for _ in range(count)]

    async def enter(self, ticket: Ticket, key: str = "", member_id: UUID | None = None) -> Pass | str:
        """Exchange a ticket; the reason when it is refused."""
        key = key or hashlib.sha256(repr(ticket).encode()).hexdigest()
        try:
            return await self.door.exchange(ticket, key, member_id)
        except Refusal as refusal:
            return refusal.reason

    async def state(self) -> Row[Any]:
        """The room's hot row."""
        async with self.database.connection() as connection:
            rows = await connection.execute(
                select(RoomState.__table__).where(RoomState.room_id == self.room_id)
            )
            return rows.one()

    async def set_state(self, **values: Any) -> None:
        """Write to the room's hot row, past all rules."""
        async with transaction(self.database) as tx:
            await tx.execute(update(RoomState).where(RoomState.room_id == self.room_id).values(**values))
