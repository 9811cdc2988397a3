"""Messages in the queue, providers that keep what they were given, and a sender at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from tearline.core.delivery import RetryPolicy
from tearline.db import Database, transaction
from tearline.notices.messages import Message, Provider, ProviderFailure, Sent
from tearline.notices.model import Notice
from tearline.notices.queue import enqueue
from tearline.notices.sender import NoticeSender, SenderTimes

FAST = SenderTimes(poll=0.01, send=5, lease=30, sweep=0.02, database_pause=0.05)

SOON = RetryPolicy(first_delay_seconds=0.01)


class Recorder:
    """A provider in this process that keeps what it was given."""

    def __init__(
        self, name: str = "recorder", *, most_at_once: int = 20, answer_seconds: float = 0.0
    ) -> None:
        self.name = name
        self.most_at_once = most_at_once
        self.answer_seconds = answer_seconds
        self.sent: list[UUID] = []
        self.at_once = 0
        self.most_seen_at_once = 0
        self.failures: list[ProviderFailure] = []
        self.failure: ProviderFailure | None = None

    async def send(self, message: Message) -> Sent:
        self.at_once += 1
        self.most_seen_at_once = max(self.most_seen_at_once, self.at_once)
        try:
            await asyncio.sleep(self.answer_seconds)
            self.sent.append(message.id)
            if self.failures:
                raise self.failures.pop(0)
            if self.failure is not None:
                raise self.failure
            return Sent(f"{self.name}-{len(self.sent)}")
        finally:
            self.at_once -= 1

    async def close(self) -> None: ...


async def put(
    database: Database,
    count: int = 1,
    *,
    channel: str = "sms",
    expires_after_seconds: float = 300,
    now: datetime | None = None,
) -> list[UUID]:
    now = now or datetime.now(UTC)
    async with transaction(database) as tx:
        return [
            await enqueue(
                tx,
                channel=channel,
                recipient=f"+85251{position:06d}",
                language="en",
                template="sign_in_code",
                values={"code": "012345", "minutes": 5},
                expires_at=now + timedelta(seconds=expires_after_seconds),
                now=now,
            )
            for position in range(count)
        ]


async def notice(database: Database, notice_id: UUID) -> Any:
    async with database.connection() as connection:
        return (await connection.execute(select(*Notice.__table__.c).where(Notice.id == notice_id))).one()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_done(database: Database, ids: Sequence[UUID]) -> list[Any]:
    async def done() -> bool:
        async with database.connection() as connection:
            open_states = Notice.state.in_(("queued", "sending"))
            return (await connection.execute(select(Notice.id).where(open_states).limit(1))).first() is None

    await until(done)
    return [await notice(database, id_) for id_ in ids]


@asynccontextmanager
async def sending(
    database: Database, providers: Mapping[str, Sequence[Provider]] | Sequence[Provider], **changes: Any
) -> AsyncIterator[NoticeSender]:
    by_channel = providers if isinstance(providers, Mapping) else {"sms": providers}
    sender = NoticeSender(database, by_channel, **{"policy": SOON, "times": FAST, **changes})
    running = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        sender.stop()
        async with asyncio.timeout(10):
            await running
        await sender.close()
