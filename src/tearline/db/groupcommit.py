"""Group commit: requests that arrive while one batch is being committed form the next batch.

There is no timer. An idle desk takes a single request at once; a busy one takes whatever gathered while
it was busy, so batches grow with the load and the database sees a few large transactions instead of many
small ones. Nothing is answered before its batch has committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Item, Answer]):
    """Hands waiting items to ``process`` in batches, one batch at a time, first come first served.

    Args:
        process: commits a batch and returns one outcome for each item, in the same order. An outcome
            that is an exception is raised to that item's submitter alone. When ``process`` itself raises,
            every submitter of the batch gets that exception.
        maximum_batch: items in a batch at the most.
        maximum_waiting: items that may wait; one more is turned away with ``OverflowError``, because a
            queue without an end only moves the failure into the future.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | BaseException]]],
        *,
        maximum_batch: int = 256,
        maximum_waiting: int = 20_000,
    ) -> None:
        self._process = process
        self._maximum_batch = maximum_batch
        self._maximum_waiting = maximum_waiting
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """True when nothing waits and nothing is being committed."""
        return self._runner is None

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """Queue an item; the future is done once the item's batch has committed (or failed)."""
        if len(self._waiting) >= self._maximum_waiting:
            raise OverflowError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future))
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        return future

    async def drain(self) -> None:
        """Wait until everything submitted so far has been answered."""
        while self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        try:
            # One turn of the loop lets every request that arrived in the same turn join the first batch.
            await asyncio.sleep(0)
            while self._waiting:
                taken = min(len(self._waiting), self._maximum_batch)
                batch = [self._waiting.popleft() for _ in range(taken)]
                await self._answer(batch)
        finally:
            self._runner = None

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            outcomes = await self._process([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            # A submitter that went away (a closed connection) has cancelled its future; its item stands.
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
