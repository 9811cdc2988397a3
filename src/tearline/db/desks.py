"""What all desks share: a queue for each campaign or room, patience with the database, and failing alone.

A desk takes requests one by one and commits them in groups (``db.groupcommit``). Every request may come again and is
known by what it carries, so a batch that may not have been committed is simply run again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.db.engine import Database
from tearline.db.groupcommit import GroupCommit
from tearline.db.patience import patiently
from tearline.db.problems import is_connection_lost

log = structlog.get_logger(__name__)

Observer = Callable[[int, float], None]
"""Told the size of each committed batch and the seconds it took."""


class Waiting(Protocol):
    """A request that is waited for."""

    @property
    def deadline(self) -> float:
        """Of ``time.monotonic()``: until then it may wait for the database to come back."""


Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item", bound=Waiting)
Answer = TypeVar("Answer")
Definition = TypeVar("Definition")


async def run_batch(
    run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | BaseException]]],
    batch: Sequence[Item],
    *,
    what: str,
    observe: Observer,
    collisions: Collection[str] = (),
) -> Sequence[Answer | BaseException]:
    """Run a batch until it is committed, or its patience is at an end; answers the outcome of each request.

    A batch that can't be committed as a whole is run request by request: a bad one must not fail the others.

    Args:
        run: commits a batch.
        what: names the desk in the log.
        collisions: constraints whose violation another try mends, such as that of a code that was drawn before.

    Raises:
        Refusal: ``unavailable`` when the database stays away.
    """
    started = time.monotonic()
    deadline = min(request.deadline for request in batch)
    try:
        answers = await patiently(lambda: run(batch), deadline, what=what, collisions=collisions)
    except Refusal:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [error]
        log.error("batch_failed", desk=what, requests=len(batch), exc_info=error)
        outcomes: list[Answer | BaseException] = []
        for request in batch:
            outcomes += await run_batch(run, [request], what=what, observe=observe, collisions=collisions)
        return outcomes
    observe(len(batch), time.monotonic() - started)
    return answers


class Queues(Generic[Key, Item, Answer]):
    """A group commit of its own for each key, such as a room: what has one lock has one queue.

    Args:
        process: as of ``GroupCommit``, with the key.
    """

    def __init__(
        self,
        process: Callable[[Key, Sequence[Item]], Awaitable[Sequence[Answer | BaseException]]],
        *,
        maximum_batch: int = 256,
        maximum_waiting: int = 20_000,
    ) -> None:
        self._process = process
        self._maximum_batch = maximum_batch
        self._maximum_waiting = maximum_waiting
        self._queues: dict[Key, GroupCommit[Item, Answer]] = {}

    async def submit(self, key: Key, request: Item) -> Answer:
        """The answer to a request, once its batch has committed.

        Raises:
            Refusal: ``unavailable`` when too many wait already; and whatever the outcome is.
        """
        queue = self._queues.get(key)
        if queue is None:

            async def process(batch: Sequence[Item]) -> Sequence[Answer | BaseException]:
                return await self._process(key, batch)

            queue = self._queues[key] = GroupCommit(
                process, maximum_batch=self._maximum_batch, maximum_waiting=self._maximum_waiting
            )
        try:
            return await queue.submit(request)
        except OverflowError:
            raise Refusal("unavailable") from None

    async def drain(self) -> None:
        """Wait until every request taken so far has been answered."""
        for queue in list(self._queues.values()):
            await queue.drain()


class StaleDefinition(Exception):  # noqa: N818 - a signal to load the definition again, never shown
    """The locked rows have other versions than the definition in memory."""


class DefinitionQueues(Generic[Definition, Item, Answer]):
    """Queues of a desk that keeps definitions in memory, such as a campaign with its prizes, by code.

    Args:
        load: reads a definition; None when there is none by that code.
        run: commits a batch by a definition; raises ``StaleDefinition`` when a locked row shows another version.
        what, observe, collisions: as of ``run_batch``.
        maximum_batch, maximum_waiting: as of ``GroupCommit``.
    """

    def __init__(
        self,
        database: Database,
        load: Callable[[AsyncConnection, str], Awaitable[Definition | None]],
        run: Callable[[Definition, Sequence[Item]], Awaitable[Sequence[Answer | BaseException]]],
        *,
        what: str,
        observe: Observer,
        collisions: Collection[str],
        maximum_batch: int,
        maximum_waiting: int = 20_000,
    ) -> None:
        self._database = database
        self._load_one = load
        self._run = run
        self._what = what
        self._observe = observe
        self._collisions = collisions
        self._definitions: dict[str, Definition] = {}
        self._opening: dict[str, asyncio.Task[Definition]] = {}
        self._queues: Queues[str, Item, Answer] = Queues(
            self._process, maximum_batch=maximum_batch, maximum_waiting=maximum_waiting
        )

    async def submit(self, code: str, request: Item) -> Answer:
        """The answer to a request, once its batch has committed.

        Raises:
            Refusal: ``not_found`` for an unknown code, ``unavailable``; and whatever the outcome is.
        """
        if code not in self._definitions:
            await self._open(code)
        return await self._queues.submit(code, request)

    async def drain(self) -> None:
        """Wait until every request taken so far has been answered."""
        await self._queues.drain()

    async def _open(self, code: str) -> None:
        # A rush on a fresh process: the first request loads the definition, the others wait for that.
        opening = self._opening.get(code)
        if opening is None:
            opening = self._opening[code] = asyncio.create_task(self._load(code))
            opening.add_done_callback(lambda _task: self._opening.pop(code, None))
        await asyncio.shield(opening)

    async def _load(self, code: str) -> Definition:
        try:
            async with self._database.connection() as connection:
                definition = await self._load_one(connection, code)
        except Exception as error:
            if is_connection_lost(error):
                raise Refusal("unavailable") from error
            raise
        if definition is None:
            raise Refusal("not_found")
        self._definitions[code] = definition
        return definition

    async def _process(self, code: str, batch: Sequence[Item]) -> Sequence[Answer | BaseException]:
        async def run(requests: Sequence[Item]) -> Sequence[Answer | BaseException]:
            definition = self._definitions[code]
            while True:
                try:
                    return await self._run(definition, requests)
                except StaleDefinition:
                    definition = await self._load(code)

        return await run_batch(
            run, batch, what=self._what, observe=self._observe, collisions=self._collisions
        )
