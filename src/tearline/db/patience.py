"""Doing something again: while the database is away and somebody will wait for it, or by the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TypeVar

import structlog

from tearline.core.refusal import Refusal
from tearline.db.problems import is_connection_lost, is_retryable, violated_constraint

Answer = TypeVar("Answer")
log = structlog.get_logger(__name__)

_SHORTEST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5


async def patiently(
    work: Callable[[], Awaitable[Answer]], deadline: float, *, what: str, collisions: Collection[str] = ()
) -> Answer:
    """The answer of ``work``, which is begun again when the server went away or a lock ran in a circle.

    Args:
        work: may have been committed when it fails: doing it again must do no harm.
        deadline: of ``time.monotonic()``; later than that it is not begun again.
        what: names the work in the log.
        collisions: constraints whose violation another try mends.

    Raises:
        Refusal: ``unavailable`` when the deadline has come.
    """
    pause_seconds = _SHORTEST_PAUSE_SECONDS
    while True:
        try:
            return await work()
        except Exception as error:
            if not (
                is_retryable(error) or is_connection_lost(error) or violated_constraint(error) in collisions
            ):
                raise
            if time.monotonic() + pause_seconds > deadline:
                log.warning("unavailable", what=what, error=str(error))
                raise Refusal("unavailable") from error
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait for so long, a tenth of a second at least, or until ``stopping`` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), max(0.1, seconds))
