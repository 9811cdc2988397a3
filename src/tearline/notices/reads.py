"""Questions about what is waiting to be sent and what went out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.db import Database
from tearline.notices.messages import CHANNELS
from tearline.notices.model import Notice

AnySelect: TypeAlias = Select[*tuple[Any, ...]]

BEHIND_AFTER_SECONDS = 15.0
# One recipient whose messages keep failing does not put a channel behind.
_LATE_RETRIES_BEHIND = 3


@dataclass(frozen=True, slots=True)
class QueueState:
    """How one channel is doing."""

    waiting: int
    oldest_seconds: float
    """Age of the oldest message that is still of use and not sent; 0 when nothing waits."""
    behind: bool
    """True when members should rather choose another channel."""


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message that the demo kept instead of sending it."""

    id: UUID
    channel: str
    recipient: str
    language: str
    text: str
    sent_at: datetime


async def queue_state(
    connection: AsyncConnection, now: datetime, *, behind_after_seconds: float = BEHIND_AFTER_SECONDS
) -> dict[str, QueueState]:
    """The state of every channel. Its cost depends on what waits, not on what was ever sent."""
    rows = await connection.execute(waiting_statement(now, behind_after_seconds))
    states = dict.fromkeys(CHANNELS, QueueState(0, 0.0, False))
    for row in rows:
        states[row.channel] = QueueState(
            waiting=row.waiting,
            oldest_seconds=max(0.0, (now - row.oldest).total_seconds()),
            behind=row.late_untried > 0 or row.late >= _LATE_RETRIES_BEHIND,
        )
    return states


def waiting_statement(now: datetime, behind_after_seconds: float) -> AnySelect:
    """The question behind ``queue_state``."""
    late = Notice.created_at < now - timedelta(seconds=behind_after_seconds)
    return (
        select(
            Notice.channel,
            func.count().label("waiting"),
            func.min(Notice.created_at).label("oldest"),
            func.count().filter(late, Notice.attempts == 0).label("late_untried"),
            func.count().filter(late).label("late"),
        )
        # Literal, as the partial index has it: with parameters PostgreSQL could not tell that it fits.
        .where(text("notice.state IN ('queued', 'sending')"), Notice.expires_at > now)
        .group_by(Notice.channel)
    )


async def outbox(connection: AsyncConnection, limit: int = 50) -> list[OutboxMessage]:
    """The newest messages of the provider ``outbox``, for the demo's page."""
    rows = await connection.execute(
        select(
            Notice.id,
            Notice.channel,
            Notice.recipient,
            Notice.language,
            Notice.provider_reference,
            Notice.sent_at,
        )
        .where(Notice.provider == "outbox", Notice.state == "sent")
        .order_by(Notice.id.desc())
        .limit(limit)
    )
    return [
        OutboxMessage(
            row.id, row.channel, row.recipient, row.language, row.provider_reference or "", row.sent_at
        )
        for row in rows
        if row.sent_at is not None
    ]


class QueueWatch:
    """The queues' state, asked for at most once in ``max_age_seconds`` however many pages want it."""

    def __init__(self, database: Database, *, max_age_seconds: float = 2.0) -> None:
        self._database = database
        self._max_age = timedelta(seconds=max_age_seconds)
        self._states: Mapping[str, QueueState] = {}
        self._read_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def states(self, now: datetime) -> Mapping[str, QueueState]:
        """The state of every channel, at most ``max_age_seconds`` old."""
        async with self._lock:
            if self._read_at is None or not timedelta(0) <= now - self._read_at < self._max_age:
                async with self._database.connection() as connection:
                    self._states = await queue_state(connection, now)
                self._read_at = now
            return self._states
