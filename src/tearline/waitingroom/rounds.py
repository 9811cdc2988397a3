"""How a room goes from one state to another: rounds begin, draws are made, and nothing of the last one counts."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core import rooms as core
from tearline.core.admission import DELAY_BUCKETS, Call
from tearline.core.draw import SEED_BYTES
from tearline.core.refusal import Refusal
from tearline.waitingroom.model import RoomCall, RoomEntry, RoomState


async def locked_state(tx: AsyncConnection, room_id: UUID) -> Row[Any]:
    """The room's hot row, locked.

    Raises:
        Refusal: ``not_found``.
    """
    row = (
        await tx.execute(
            select(RoomState.__table__).where(RoomState.room_id == room_id).with_for_update(key_share=True)
        )
    ).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return row


async def change_state(
    tx: AsyncConnection,
    row: Row[Any],
    target: str,
    now: datetime,
    draw_seed: Callable[[int], bytes] = secrets.token_bytes,
) -> None:
    """Bring a room whose row is locked to another state.

    Raises:
        Refusal: ``not_editable`` when that state does not follow from the present one.
    """
    if target not in core.TRANSITIONS[row.state]:
        raise Refusal("not_editable")
    values: dict[str, Any] = {"state": target, "is_paused": False, "changed_at": now}
    if core.begins_round(row.state, target):
        values |= {
            "round": row.round + 1,
            "seed": draw_seed(SEED_BYTES),
            "gathered": 0,
            "joined": 0,
            "called": 0,
            "lapsed": 0,
            "entered": 0,
            # The passes of the last round end with it.
            "inside": 0,
            "at_door": 0,
            "no_shows": 0,
            "allowance": 0.0,
            "stock_taken": 0,
            "claimed_before": None,
            "slow_per_minute": None,
            "fast_per_minute": None,
            "started_at": None,
        }
    if (row.state, target) == ("open", "queueing"):
        values["called"] = await _call_who_came(tx, row, now)
    if core.starts(row.state, target):
        values["started_at"] = now
        if row.state == "gathering":
            # The draw: from here on the seed is public, and each of these places follows from it.
            values["gathered"] = row.joined
    await tx.execute(update(RoomState).where(RoomState.room_id == row.room_id).values(**values))


async def record_call(tx: AsyncConnection, row: Row[Any], first: int, call: Call) -> None:
    """Keep what was called: places from ``first`` on."""
    await tx.execute(
        insert(RoomCall).values(
            room_id=row.room_id,
            round=row.round,
            first=first,
            size=call.size,
            called_at=call.called_at,
            came=list(call.came),
        )
    )


async def _call_who_came(tx: AsyncConnection, row: Row[Any], now: datetime) -> int:
    """An open room begins to queue: all up to the last who has come count as called, and everyone after waits."""
    last, came = (
        await tx.execute(
            select(func.max(RoomEntry.place), func.count()).where(
                RoomEntry.room_id == row.room_id,
                RoomEntry.round == row.round,
                RoomEntry.place >= row.called,
            )
        )
    ).one()
    if came == 0:
        return int(row.called)
    call = Call(last + 1 - row.called, now, (came, *(0,) * (DELAY_BUCKETS - 1)))
    await record_call(tx, row, row.called, call)
    return int(last) + 1
