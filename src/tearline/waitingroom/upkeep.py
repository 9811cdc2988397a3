"""Forgetting what rooms need no longer: solutions that would not be accepted anyway, old samples, past rounds."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Delete, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.waitingroom.model import RoomCall, RoomEntry, RoomSample, RoomSolution, RoomState


async def forget_solutions(tx: AsyncConnection, *, expired_before: datetime, most: int) -> int:
    """Delete up to ``most`` proofs of work that have expired; answers how many."""
    old = select(RoomSolution.digest).where(RoomSolution.expires_at < expired_before).limit(most)
    return await _run(tx, delete(RoomSolution).where(RoomSolution.digest.in_(old)))


async def forget_samples(tx: AsyncConnection, *, taken_before: datetime, most: int) -> int:
    """Delete up to ``most`` samples that are older than this; answers how many."""
    key = tuple_(RoomSample.room_id, RoomSample.at)
    old = select(RoomSample.room_id, RoomSample.at).where(RoomSample.at < taken_before).limit(most)
    return await _run(tx, delete(RoomSample).where(key.in_(old)))


async def forget_entries(tx: AsyncConnection, *, came_before: datetime, most: int) -> int:
    """Delete up to ``most`` entries of past rounds that are older than this; answers how many."""
    key = tuple_(RoomEntry.room_id, RoomEntry.round, RoomEntry.place)
    old = (
        select(RoomEntry.room_id, RoomEntry.round, RoomEntry.place)
        .join(RoomState, RoomState.room_id == RoomEntry.room_id)
        .where(RoomEntry.round < RoomState.round, RoomEntry.came_at < came_before)
        .limit(most)
    )
    return await _run(tx, delete(RoomEntry).where(key.in_(old)))


async def forget_calls(tx: AsyncConnection, *, called_before: datetime, most: int) -> int:
    """Delete up to ``most`` calls of past rounds that are older than this; answers how many."""
    key = tuple_(RoomCall.room_id, RoomCall.round, RoomCall.first)
    old = (
        select(RoomCall.room_id, RoomCall.round, RoomCall.first)
        .join(RoomState, RoomState.room_id == RoomCall.room_id)
        .where(RoomCall.round < RoomState.round, RoomCall.called_at < called_before)
        .limit(most)
    )
    return await _run(tx, delete(RoomCall).where(key.in_(old)))


async def _run(tx: AsyncConnection, statement: Delete) -> int:
    return (await tx.execute(statement)).rowcount
