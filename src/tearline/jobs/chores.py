"""Work that is done again and again by the clock, whatever it is: how often, and what happens when it can't be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from tearline.core.refusal import Refusal
from tearline.db import is_connection_lost, is_retryable
from tearline.db.patience import pause

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """One kind of work.

    Attributes:
        name: says in the log what was done.
        every_seconds: between one time and the next.
        step: does all that is due at a time; answers how much it was. Any number of workers may be at it.
    """

    name: str
    every_seconds: float
    step: Callable[[datetime], Awaitable[int]]


async def do_forever(chore: Chore, stopping: asyncio.Event) -> None:
    """Do a chore by the clock until ``stopping`` is set; an absent database is waited for."""
    while not stopping.is_set():
        try:
            done = await chore.step(datetime.now(UTC))
            if done:
                log.info(chore.name, done=done)
        except Exception as error:
            is_busy = isinstance(error, Refusal) and error.reason == "unavailable"
            if not (is_busy or is_connection_lost(error) or is_retryable(error)):
                raise
            log.warning("chore_postponed", chore=chore.name, error=type(error).__name__)
        await pause(stopping, chore.every_seconds)
