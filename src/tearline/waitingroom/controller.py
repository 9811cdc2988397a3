"""The controller: once a second it follows the schedule, frees places, and calls further into the line.

Every web and gate process has one; a lease on the room's row lets one of them work, and another take over
when it has not been renewed. Nothing depends on the lease but saved work: a tick holds the room's lock and
goes by the time since the last tick, so two that tick at the same moment call no more than one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.admission import (
    LEAVING_WINDOW,
    Call,
    Line,
    Response,
    call_further,
    expected_to_leave,
    lead_time,
    settle_calls,
)
from tearline.core.rooms import ADMITTING, HOLDING, scheduled_state
from tearline.db import Database, is_connection_lost, new_id, transaction
from tearline.db.patience import pause
from tearline.waitingroom.model import Room, RoomCall, RoomCampaign, RoomEntry, RoomSample, RoomState
from tearline.waitingroom.rounds import change_state, locked_state, record_call

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
LEASE_SECONDS = 3.0
"""A controller that has not renewed its lease for so long is taken to be dead."""
SAMPLE_SECONDS = 5
_SLOW_WINDOW = timedelta(minutes=5)
_FAST_WINDOW = timedelta(minutes=1)
_FIRST_CALL = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Stock:
    """What guarded campaigns still have to give, and how many claims they have granted."""

    left: int
    claimed: int


StockReader: TypeAlias = Callable[[AsyncConnection, Sequence[UUID]], Awaitable[Stock]]
"""Answers the stock of some campaigns; the rooms themselves know nothing of prizes."""

# The server's clock: processes on several machines need not agree on the time. A room is due while something
# can happen in it by itself.
_LEASE = text(
    """
UPDATE room_state AS s SET controller = :me, controller_until = now() + :seconds * interval '1 second'
FROM room AS r
WHERE r.id = s.room_id AND (s.controller = :me OR s.controller_until IS NULL OR s.controller_until < now())
  AND (s.state IN ('gathering', 'open', 'queueing') OR s.inside + s.at_door > 0
       OR r.gathers_at > s.changed_at OR r.starts_at > s.changed_at)
RETURNING s.room_id
"""
)


async def rooms_to_control(tx: AsyncConnection, me: UUID) -> list[UUID]:
    """Take or renew the lease of every room that nobody else controls; answers those that are now ours."""
    return [row.room_id for row in await tx.execute(_LEASE, {"me": me, "seconds": LEASE_SECONDS})]


async def control_rooms(
    database: Database,
    stock_of: StockReader,
    stopping: asyncio.Event,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Tick the rooms that this process controls, once a second until ``stopping`` is set.

    An absent database is waited for.
    """
    me = new_id()
    while not stopping.is_set():
        started = time.monotonic()
        try:
            async with transaction(database) as tx:
                room_ids = await rooms_to_control(tx, me)
        except Exception as error:
            _warn(error)
            room_ids = []
        for room_id in room_ids:
            try:
                async with transaction(database) as tx:
                    await tick(tx, room_id, clock(), stock_of)
            except Exception as error:
                # A room that can't be ticked must not stop the clock of the others.
                _warn(error, room_id)
        await pause(stopping, TICK_SECONDS - (time.monotonic() - started))


def _warn(error: Exception, room_id: UUID | None = None) -> None:
    log.warning("room_not_controlled", room=room_id, exc_info=None if is_connection_lost(error) else error)


async def tick(tx: AsyncConnection, room_id: UUID, now: datetime, stock_of: StockReader) -> None:
    """One second of a room's life. Safe to do more often, less often, and by two at once."""
    row = await locked_state(tx, room_id)
    room = (await tx.execute(select(Room.__table__).where(Room.id == room_id))).one()
    target = scheduled_state(row.state, row.changed_at, room.gathers_at, room.starts_at, room.ends_at, now)
    if target != row.state:
        await change_state(tx, row, target, now)
        row = await locked_state(tx, room_id)
    values: dict[str, Any] = {"ticked_at": now}
    values |= await _stock(tx, row, stock_of)
    line = await _free_places(tx, row, room, now)
    if row.state == "open" and room.queues_when_full and line.inside >= room.max_active:
        await change_state(tx, row, "queueing", now)
        row = await locked_state(tx, room_id)
        line.called, line.calls = row.called, await _calls(tx, row)
    since_last = now - row.ticked_at if row.ticked_at else timedelta(seconds=1)
    is_calling = row.state == "queueing" and not row.is_paused
    if is_calling and call_further(line, now, min(since_last, timedelta(seconds=10))):
        await record_call(tx, row, *list(line.calls.items())[-1])
    if row.state in ADMITTING:
        values |= await _rates(tx, row, now)
    values |= {
        name: getattr(line, name)
        for name in ("inside", "at_door", "called", "lapsed", "no_shows", "allowance")
    }
    values["response"] = msgspec.to_builtins(line.response)
    if row.state != "closed" and (
        row.sampled_at is None or (now - row.sampled_at).total_seconds() >= SAMPLE_SECONDS
    ):
        values["sampled_at"] = now
        await _sample(tx, row, room, values, now)
    await tx.execute(update(RoomState).where(RoomState.room_id == room_id).values(**values))


async def _stock(tx: AsyncConnection, row: Row[Any], stock_of: StockReader) -> dict[str, Any]:
    campaigns = await tx.execute(select(RoomCampaign.campaign_id).where(RoomCampaign.room_id == row.room_id))
    campaign_ids = list(campaigns.scalars())
    if not campaign_ids:
        return {"stock_left": None}
    stock = await stock_of(tx, campaign_ids)
    before = stock.claimed if row.claimed_before is None else row.claimed_before
    return {
        "stock_left": stock.left,
        "claimed_before": before,
        # A campaign that is taken out of the room takes its claims with it.
        "stock_taken": max(0, stock.claimed - before),
    }


async def _free_places(tx: AsyncConnection, row: Row[Any], room: Row[Any], now: datetime) -> Line:
    """The line, after those whose time is over have gone: from inside, from the door, and of the called."""
    of_round = (RoomEntry.room_id == row.room_id, RoomEntry.round == row.round, RoomEntry.ended_at.is_(None))
    grace = timedelta(seconds=room.grace_seconds)
    expired = await tx.execute(
        update(RoomEntry)
        .where(*of_round, RoomEntry.entered_at.is_not(None), RoomEntry.expires_at <= now)
        .values(ended_at=now, ended_by="expired")
    )
    gone = await tx.execute(
        update(RoomEntry)
        .where(*of_round, RoomEntry.entered_at.is_(None), RoomEntry.came_at <= now - grace)
        .values(ended_at=now, ended_by="gone")
    )
    line = Line(
        max_active=room.max_active,
        per_minute=room.per_minute,
        grace=grace,
        joined=row.joined,
        called=row.called,
        lapsed=row.lapsed,
        inside=row.inside - expired.rowcount,
        at_door=row.at_door - gone.rowcount,
        no_shows=row.no_shows,
        allowance=row.allowance,
        response=msgspec.convert(row.response, Response),
        calls=await _calls(tx, row),
    )
    settle_calls(line, now)
    line.leaving = await _leaving(tx, row, line, now)
    return line


async def _leaving(tx: AsyncConnection, row: Row[Any], line: Line, now: datetime) -> float:
    """How many of those inside will have left when somebody called now comes."""
    of_round = (RoomEntry.room_id == row.room_id, RoomEntry.round == row.round)
    lead = lead_time(line.response, line.grace, line.max_active)
    ending = select(func.count()).where(
        *of_round,
        RoomEntry.ended_at.is_(None),
        RoomEntry.entered_at.is_not(None),
        RoomEntry.expires_at <= now + lead,
    )
    left_lately = select(func.count()).where(
        *of_round,
        RoomEntry.ended_at > now - LEAVING_WINDOW,
        RoomEntry.entered_at.is_not(None),
        RoomEntry.ended_by.in_(("left", "finished")),
    )
    counted = (await tx.execute(select(ending.scalar_subquery(), left_lately.scalar_subquery()))).one()
    return expected_to_leave(counted[0], counted[1], lead)


async def _calls(tx: AsyncConnection, row: Row[Any]) -> dict[int, Call]:
    """Calls whose grace time is not over, by the first of their places."""
    calls = await tx.execute(
        select(RoomCall.first, RoomCall.size, RoomCall.called_at, RoomCall.came)
        .where(RoomCall.room_id == row.room_id, RoomCall.round == row.round, RoomCall.first >= row.lapsed)
        .order_by(RoomCall.first)
    )
    return {call.first: Call(call.size, call.called_at, tuple(call.came)) for call in calls}


async def _rates(tx: AsyncConnection, row: Row[Any], now: datetime) -> dict[str, float | None]:
    """The rates of calls lately. What fills the room at the start says nothing about what follows."""
    if row.started_at is None or now - row.started_at < _FAST_WINDOW + _FIRST_CALL:
        return {"slow_per_minute": None, "fast_per_minute": None}
    begin = max(now - _SLOW_WINDOW, row.started_at + _FIRST_CALL)
    recent = RoomCall.called_at > now - _FAST_WINDOW
    over_all, lately = (
        await tx.execute(
            select(func.sum(RoomCall.size), func.sum(RoomCall.size).filter(recent)).where(
                RoomCall.room_id == row.room_id, RoomCall.round == row.round, RoomCall.called_at > begin
            )
        )
    ).one()
    rates = (float(over_all or 0) / ((now - begin) / timedelta(minutes=1)), float(lately or 0))
    return {"slow_per_minute": min(rates) or None, "fast_per_minute": max(rates) or None}


async def _sample(
    tx: AsyncConnection, row: Row[Any], room: Row[Any], values: dict[str, Any], now: datetime
) -> None:
    await tx.execute(
        insert(RoomSample).values(
            room_id=row.room_id,
            at=now,
            inside=values["inside"],
            waiting=row.joined - values["called"] if row.state in HOLDING else 0,
            called=values["called"],
            entered=row.entered,
            no_shows=values["no_shows"],
            max_active=room.max_active,
            stock_left=values["stock_left"],
        )
    )
