"""The worker that sends what is queued. Any number of them may run, on any number of machines.

A sender picks due notices in one statement that also marks them as its own for a while (the lease: the
notice's ``next_attempt_at``). A sender that dies leaves its notices to be picked again when their leases
end, so a message is sent at least once, and twice only when a sender died between the provider's answer
and its own record of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolExhaustedError

from tearline.core.delivery import (
    FailureKind,
    GiveUp,
    RetryPolicy,
    after_failure,
    provider_index,
)
from tearline.db import Database, is_connection_lost, is_retryable, transaction
from tearline.db.groupcommit import GroupCommit
from tearline.notices.circuit import Circuit
from tearline.notices.messages import Message, Provider, ProviderFailure, Sent
from tearline.notices.outcomes import Outcome, write_outcomes

log = structlog.get_logger(__name__)

# One condition finds both what waits and what a died sender left behind: a lease is a time like a delay is.
_PICK = text(
    """
    WITH due AS (
        SELECT id FROM notice
        WHERE channel = :channel AND state IN ('queued', 'sending')
            AND next_attempt_at <= :now AND expires_at > :now
        ORDER BY next_attempt_at
        LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE notice SET state = 'sending', attempts = attempts + 1, next_attempt_at = :lease_until
    FROM due WHERE notice.id = due.id
    RETURNING notice.id, notice.channel, notice.recipient, notice.language, notice.template, notice."values",
        notice.attempts, notice.expires_at
    """
)

_EXPIRE = text(
    """
    WITH stale AS (
        SELECT id FROM notice
        WHERE state IN ('queued', 'sending') AND expires_at <= :now
            -- One that is being sent right now is its sender's to finish.
            AND (state = 'queued' OR next_attempt_at <= :now)
        ORDER BY expires_at
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    )
    UPDATE notice SET state = 'failed', error = COALESCE(error || '; ', '') || 'expired', "values" = '{}'
    FROM stale WHERE notice.id = stale.id
    """
)


@dataclass(frozen=True, slots=True)
class SenderTimes:
    """How long the sender waits for what, in seconds."""

    poll: float = 0.2
    """Between looks at an empty queue."""
    send: float = 20.0
    """For one provider to take one message."""
    lease: float = 60.0
    """After this a notice whose sender has not been heard of is picked again."""
    sweep: float = 2.0
    """Between sweeps of what has expired."""
    database_pause: float = 1.0
    """Before the database is tried again after it went away."""

    def __post_init__(self) -> None:
        if self.lease < 2 * self.send:
            raise ValueError("a lease must outlast two sends, or messages go out twice")


@dataclass(frozen=True, slots=True)
class _Attempt:
    message: Message
    number: int
    """From 1; also the proof, when the outcome is written, that the lease is still ours."""
    expires_at: datetime
    lease_until: datetime


@dataclass(slots=True)
class Lane:
    """One provider of one channel, with what is known of its health."""

    provider: Provider
    circuit: Circuit
    slots: asyncio.Semaphore
    in_flight: int = 0


@dataclass(slots=True)
class _Channel:
    name: str
    lanes: list[Lane]
    in_flight: set[asyncio.Task[None]] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def room(self, now: datetime) -> int:
        """How many more may be picked: what the first usable provider can take at once."""
        most = sum(lane.provider.most_at_once for lane in self.lanes) - len(self.in_flight)
        for lane in self.lanes:
            if lane.circuit.allows(now):
                # A circuit that is being tried out gets one message.
                free = 1 if lane.circuit.state != "closed" else lane.provider.most_at_once - lane.in_flight
                return max(0, min(free, most))
        return 0


class NoticeSender:
    """Sends what is queued until it is stopped.

    Args:
        providers: the providers of each channel, in order of preference; a channel without any is left alone.
        clock: the present time, aware; replaced in tests only.
        spread: a random number from 0 to 1.
    """

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Sequence[Provider]],
        *,
        policy: RetryPolicy | None = None,
        times: SenderTimes | None = None,
        new_circuit: Callable[[], Circuit] = Circuit,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._policy = policy or RetryPolicy()
        self._times = times or SenderTimes()
        self._clock = clock
        self._spread = spread
        self._is_stopping = False
        self._outcomes: GroupCommit[Outcome, None] = GroupCommit(self._write)
        self._channels = [
            _Channel(
                name,
                [
                    Lane(provider, new_circuit(), asyncio.Semaphore(provider.most_at_once))
                    for provider in channel_providers
                ],
            )
            for name, channel_providers in providers.items()
            if channel_providers
        ]

    def circuits(self) -> dict[tuple[str, str], str]:
        """State of each circuit, by channel and provider: for metrics and the health page."""
        return {
            (channel.name, lane.provider.name): lane.circuit.state
            for channel in self._channels
            for lane in channel.lanes
        }

    async def run(self) -> None:
        """Send until ``stop`` is called, then finish what was begun. Cancelling leaves that to the leases."""
        try:
            async with asyncio.TaskGroup() as group:
                for channel in self._channels:
                    group.create_task(self._forever(partial(self._serve, channel)))
                group.create_task(self._forever(self._sweep))
            for channel in self._channels:
                if channel.in_flight:
                    await asyncio.wait(channel.in_flight)
            await self._outcomes.drain()
        finally:
            for channel in self._channels:
                for task in channel.in_flight:
                    task.cancel()

    def stop(self) -> None:
        """Pick nothing more; ``run`` returns when everything under way has its outcome."""
        self._is_stopping = True
        for channel in self._channels:
            channel.wake.set()

    async def close(self) -> None:
        """Close the providers' connections."""
        for provider in {
            id(lane.provider): lane.provider for c in self._channels for lane in c.lanes
        }.values():
            await provider.close()

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while not self._is_stopping:
            try:
                await step()
            except Exception as error:
                if not _database_is_away(error):
                    raise
                log.warning("the database is away; notices wait", error=type(error).__name__)
                await asyncio.sleep(self._times.database_pause)

    async def _sweep(self) -> None:
        async with transaction(self._database) as tx:
            await tx.execute(_EXPIRE, {"now": self._clock()})
        # Short naps: stopping must not wait for the next sweep.
        for _ in range(max(1, int(self._times.sweep / self._times.poll))):
            if self._is_stopping:
                return
            await asyncio.sleep(self._times.poll)

    async def _serve(self, channel: _Channel) -> None:
        channel.wake.clear()
        now = self._clock()
        if room := channel.room(now):
            async with transaction(self._database) as tx:
                lease_until = now + timedelta(seconds=self._times.lease)
                picked = (
                    await tx.execute(
                        _PICK, {"channel": channel.name, "now": now, "most": room, "lease_until": lease_until}
                    )
                ).all()
            for row in picked:
                message = Message(row.id, row.channel, row.recipient, row.language, row.template, row[5], 0.0)
                attempt = _Attempt(message, row.attempts, row.expires_at, lease_until)
                task = asyncio.create_task(self._attempt(channel, attempt))
                channel.in_flight.add(task)
                task.add_done_callback(partial(_finished, channel))
        # A message that is done wakes us: in a rush nobody waits for the poll.
        try:
            async with asyncio.timeout(self._times.poll):
                await channel.wake.wait()
        except TimeoutError:
            return

    async def _attempt(self, channel: _Channel, attempt: _Attempt) -> None:
        lane = self._lane(channel, attempt.number)
        if lane is None:
            # The circuits opened between picking and now: nobody was asked, so nobody failed.
            await self._put_back(attempt, channel.lanes[0])
            return
        async with lane.slots:
            now = self._clock()
            if now + timedelta(seconds=self._times.send) > attempt.lease_until or now >= attempt.expires_at:
                # So late that another sender may have it already, or that nobody wants it any more.
                return
            if not lane.circuit.allows(now):
                await self._put_back(attempt, lane)
                return
            lane.circuit.begin()
            lane.in_flight += 1
            try:
                useful_seconds = (attempt.expires_at - now).total_seconds()
                result = await self._send(
                    lane.provider, replace(attempt.message, useful_seconds=useful_seconds)
                )
            except BaseException:
                lane.circuit.abandoned()
                raise
            finally:
                lane.in_flight -= 1
        await self._record(attempt, lane, len(channel.lanes), result)

    def _lane(self, channel: _Channel, attempt_number: int) -> Lane | None:
        """The provider whose turn it is, or the next one that is usable."""
        now = self._clock()
        first = provider_index(attempt_number, len(channel.lanes), self._policy)
        turn = channel.lanes[first:] + channel.lanes[:first]
        return next((lane for lane in turn if lane.circuit.allows(now)), None)

    async def _send(self, provider: Provider, message: Message) -> Sent | ProviderFailure:
        try:
            async with asyncio.timeout(self._times.send):
                return await provider.send(message)
        except ProviderFailure as failure:
            return failure
        except TimeoutError:
            return ProviderFailure(FailureKind.TEMPORARY, "took too long")
        except Exception as error:
            # A mistake in an adapter must not stop the other messages.
            log.exception("a provider's adapter failed", provider=provider.name)
            return ProviderFailure(FailureKind.REFUSED, f"adapter: {type(error).__name__}")

    async def _record(
        self, attempt: _Attempt, lane: Lane, provider_count: int, result: Sent | ProviderFailure
    ) -> None:
        now = self._clock()
        id_, number, name = attempt.message.id, attempt.number, lane.provider.name
        if isinstance(result, Sent):
            lane.circuit.succeeded()
            await self._outcomes.submit(
                Outcome(id_, number, "sent", number, name, reference=result.reference, sent_at=now)
            )
            return
        _judge(lane.circuit, result, now)
        failure = str(result)[:500]
        log.warning(
            "a notice was not taken", notice_id=str(id_), provider=name, attempt=number, failure=failure
        )
        following = after_failure(
            result.kind,
            number,
            provider_count=provider_count,
            policy=self._policy,
            now=now,
            expires_at=attempt.expires_at,
            retry_after_seconds=result.retry_after_seconds,
            spread=self._spread(),
        )
        if isinstance(following, GiveUp):
            error = f"{failure} ({following.reason})"
            outcome = Outcome(id_, number, "failed", number, name, error=error)
        else:
            outcome = Outcome(
                id_, number, "queued", following.attempts, name, next_attempt_at=following.at, error=failure
            )
        await self._outcomes.submit(outcome)

    async def _put_back(self, attempt: _Attempt, lane: Lane) -> None:
        at = self._clock() + timedelta(seconds=self._policy.first_delay_seconds)
        # The attempt stays counted: the count is also what tells a late writer that the message has moved on.
        await self._outcomes.submit(
            Outcome(
                attempt.message.id,
                attempt.number,
                "queued",
                attempt.number,
                lane.provider.name,
                next_attempt_at=at,
            )
        )

    async def _write(self, outcomes: Sequence[Outcome]) -> Sequence[None]:
        """Write a batch, however long the database is away: what was sent must not be sent again."""
        while True:
            try:
                async with transaction(self._database) as tx:
                    await write_outcomes(tx, outcomes)
                return [None] * len(outcomes)
            except Exception as error:
                if not _database_is_away(error):
                    raise
                await asyncio.sleep(self._times.database_pause)


def _judge(circuit: Circuit, failure: ProviderFailure, now: datetime) -> None:
    """What a failure says about the provider."""
    match failure.kind:
        case FailureKind.RECIPIENT:
            circuit.succeeded()
        case FailureKind.REFUSED:
            # It answered, but whether it works in general is not known.
            circuit.abandoned()
        case FailureKind.THROTTLED:
            circuit.paused(now + timedelta(seconds=max(failure.retry_after_seconds or 0.0, 1.0)))
        case FailureKind.CREDENTIALS:
            circuit.failed(now, at_once=True)
        case FailureKind.TEMPORARY:
            circuit.failed(now)


def _database_is_away(error: Exception) -> bool:
    return is_connection_lost(error) or is_retryable(error) or isinstance(error, PoolExhaustedError)


def _finished(channel: _Channel, task: asyncio.Task[None]) -> None:
    channel.in_flight.discard(task)
    channel.wake.set()
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("an attempt to send failed unexpectedly; its lease will end", error=repr(error))
