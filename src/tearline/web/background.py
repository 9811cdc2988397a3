"""Work that goes on after its request was answered, such as the import of a million codes.

It lives in the process that began it. What it leaves behind when that process dies is the work's own to say: an
import is rolled back whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from tearline.core.refusal import Refusal

log = structlog.get_logger(__name__)


class BackgroundWork:
    """The work of one process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let some work go on by itself. Its refusals are expected; any other failure is logged.

        Args:
            name: for the log.
        """
        task = asyncio.create_task(work, name=name)
        # The event loop keeps no hold of its tasks.
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Break off what still goes on, and wait until it has tidied up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, Refusal):
            log.error("background work failed", work=task.get_name(), exc_info=error)
