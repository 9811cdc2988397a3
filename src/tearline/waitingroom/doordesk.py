"""The door: tickets are exchanged for passes, passes are bound to members, and people leave.

Requests that come while one group is being committed form the next. A group is one transaction under the
lock of the room's row; ``core.door`` decides visitor by visitor. Everything here may be asked again: the
same exchange key gets the same pass, so a group whose commit is in doubt is simply run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from tearline.core import door as core
from tearline.core.admission import Call
from tearline.core.keys import KEY_SENTENCE, is_good_key
from tearline.core.refusal import Refusal
from tearline.db import Database
from tearline.db.arrays import quoted_array
from tearline.db.desks import Queues, run_batch
from tearline.db.engine import HotConnection
from tearline.waitingroom import door_sql as sql
from tearline.waitingroom.tokens import Pass, Ticket

RETRY_AT_DOOR_SECONDS = 3


@dataclass(frozen=True, slots=True)
class _Exchange:
    ticket: Ticket
    exchange_key: str
    member_id: UUID | None
    deadline: float


@dataclass(frozen=True, slots=True)
class _Binding:
    held: Pass
    member_id: UUID
    deadline: float


@dataclass(frozen=True, slots=True)
class _Departure:
    held: Pass
    how: str
    deadline: float


_Request: TypeAlias = _Exchange | _Binding | _Departure


class DoorDesk:
    """Exchanges, bindings and departures of all rooms, for one process; several processes may run one each.

    Args:
        clock: the present time, aware.
        patience_seconds: how long somebody may wait for the database to come back before being answered
            with ``unavailable``.
        observe_batch: told the size of each committed group and the seconds it took.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_seconds: float = 5.0,
        maximum_batch: int = 256,
        observe_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._observe_batch = observe_batch
        self._queues: Queues[UUID, _Request, Pass] = Queues(self._process, maximum_batch=maximum_batch)

    async def exchange(self, ticket: Ticket, exchange_key: str, member_id: UUID | None) -> Pass:
        """The pass for a called ticket; the same again for the same key.

        Args:
            ticket: verified.
            exchange_key: chosen by the visitor's browser or app, the same for each repeat.
            member_id: whom the pass shall serve; None when that is not known yet.

        Raises:
            Refusal: ``not_called``, ``turn_missed``, ``room_full`` (at the door: ask again in a few
                seconds), ``ticket_used``, ``pass_ended``, ``wrong_ticket`` (also of an earlier round),
                ``room_closed``, ``room_ended``, ``invalid``, ``unavailable``.
        """
        if not is_good_key(exchange_key):
            raise Refusal("invalid", fields={"exchange_key": KEY_SENTENCE})
        return await self._queues.submit(
            ticket.room_id, _Exchange(ticket, exchange_key, member_id, self._deadline())
        )

    async def bind(self, held: Pass, member_id: UUID) -> Pass:
        """The pass in the name of the member who uses it; the first one keeps it.

        Raises:
            Refusal: ``pass_taken``, ``pass_ended``, ``pass_required``, ``unavailable``.
        """
        return await self._queues.submit(held.room_id, _Binding(held, member_id, self._deadline()))

    async def leave(self, held: Pass, how: str = "left") -> None:
        """Give a place back; leaving twice does no harm.

        Args:
            how: ``left``, or ``finished`` when a claim ended the session.

        Raises:
            Refusal: ``unavailable``.
        """
        await self._queues.submit(held.room_id, _Departure(held, how, self._deadline()))

    async def drain(self) -> None:
        """Wait until everyone who came so far has been answered."""
        await self._queues.drain()

    def _deadline(self) -> float:
        return time.monotonic() + self._patience_seconds

    async def _process(self, room_id: UUID, batch: Sequence[_Request]) -> Sequence[Pass | BaseException]:
        return await run_batch(
            lambda requests: self._run_batch(room_id, requests),
            batch,
            what="door",
            observe=self._observe_batch,
        )

    async def _run_batch(self, room_id: UUID, batch: Sequence[_Request]) -> Sequence[Pass | BaseException]:
        pool = await self._database.hot_pool()
        async with pool.connection() as connection, connection.pipeline(), connection.transaction():
            # Read after the lock was asked for: under it, time only goes on.
            door = await load_door(connection, room_id)
            now = self._clock()
            places = [_place_of(door, request) for request in batch]
            entries = await _load_entries(connection, room_id, door.round, places)
            answers: list[Pass | BaseException] = []
            changed: dict[int, core.Entry] = {}
            for request, place in zip(batch, places, strict=True):
                outcome = _decide(
                    door, entries.get(place) if place is not None else None, request, place, now
                )
                if isinstance(outcome, core.Entry) and place is not None and outcome != entries.get(place):
                    entries[place] = changed[place] = outcome
                answers.append(_answer(room_id, door.round, place, request, outcome))
            if changed:
                await _write(connection, room_id, door, changed)
        return answers


def _place_of(door: core.Door, request: _Request) -> int | None:
    """The place in line; None for a ticket or pass of another round, or a number that was never given out."""
    if isinstance(request, _Exchange):
        ticket = request.ticket
        is_ours = ticket.round == door.round and ticket.number < door.joined
        return door.place_of(ticket.number) if is_ours else None
    return request.held.place if request.held.round == door.round else None


def _decide(
    door: core.Door, entry: core.Entry | None, request: _Request, place: int | None, now: datetime
) -> core.Entry | str | None:
    match request:
        case _Exchange(_ticket, exchange_key, member_id):
            if place is None:
                return "wrong_ticket"
            return core.come(door, entry, place, exchange_key, member_id, now)
        case _Binding(_held, member_id):
            return core.bound(entry, member_id, now)
        case _Departure(_held, how):
            return core.leave(door, entry, how, now)


def _answer(
    room_id: UUID, round_: int, place: int | None, request: _Request, outcome: core.Entry | str | None
) -> Pass | BaseException:
    if isinstance(request, _Departure):
        return request.held
    if isinstance(outcome, str):
        return _refusal(outcome)
    assert outcome is not None and place is not None, "only a departure leaves nothing to answer"
    if outcome.entered_at is None or outcome.expires_at is None:
        return _refusal("room_full")
    return Pass(room_id, round_, place, outcome.member_id, outcome.entered_at, outcome.expires_at)


def _refusal(reason: str) -> Refusal:
    if reason == "room_full":
        return Refusal(reason, retry_after_seconds=RETRY_AT_DOOR_SECONDS)
    return Refusal(reason)


async def load_door(connection: HotConnection, room_id: UUID) -> core.Door:
    """Take the room's lock and read what its decisions depend on."""
    locked = await connection.execute(sql.LOCK, (room_id,))
    settings = await connection.execute(sql.SETTINGS, (room_id,))
    calls = await connection.execute(sql.CALLS, {"room": room_id})
    state, round_, seed, gathered, joined, called, lapsed, inside, at_door = await _only(locked)
    max_active, session_seconds, grace_seconds, queues_when_full, late_may_enter = await _only(settings)
    return core.Door(
        state=state,
        round=round_,
        seed=seed,
        gathered=gathered,
        joined=joined,
        called=called,
        lapsed=lapsed,
        inside=inside,
        at_door=at_door,
        max_active=max_active,
        session=timedelta(seconds=session_seconds),
        grace=timedelta(seconds=grace_seconds),
        queues_when_full=queues_when_full,
        late_may_enter=late_may_enter,
        calls={
            first: Call(size, called_at, tuple(came))
            for first, size, called_at, came in await calls.fetchall()
        },
    )


async def _only(cursor: AsyncCursor[TupleRow]) -> TupleRow:
    row = await cursor.fetchone()
    if row is None:
        raise Refusal("not_found")
    return row


async def _load_entries(
    connection: HotConnection, room_id: UUID, round_: int, places: Sequence[int | None]
) -> dict[int, core.Entry]:
    asked = quoted_array({place for place in places if place is not None})
    rows = await connection.execute(sql.ENTRIES, (asked, room_id, round_))
    return {place: core.Entry(*columns) for place, *columns in await rows.fetchall()}


async def _write(
    connection: HotConnection, room_id: UUID, door: core.Door, changed: dict[int, core.Entry]
) -> None:
    entries = list(changed.values())
    columns = (
        quoted_array(changed),
        quoted_array(entry.exchange_key for entry in entries),
        quoted_array(entry.came_at for entry in entries),
        quoted_array(entry.member_id for entry in entries),
        quoted_array(entry.entered_at for entry in entries),
        quoted_array(entry.expires_at for entry in entries),
        quoted_array(entry.ended_at for entry in entries),
        quoted_array(entry.ended_by for entry in entries),
    )
    await connection.execute(sql.PUT_ENTRIES, (room_id, door.round, *columns))
    for (first, bucket), count in door.arrivals.items():
        # PostgreSQL counts an array's elements from 1.
        await connection.execute(
            sql.COUNT_ARRIVALS, (bucket + 1, bucket + 1, count, room_id, door.round, first)
        )
    await connection.execute(sql.PUT_COUNTS, (door.inside, door.at_door, door.entered, room_id))
