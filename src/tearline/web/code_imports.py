"""Beginning the import of a file of codes, as every face does: it goes on after the answer."""

from __future__ import annotations

import asyncio
from uuid import UUID

from tearline.core.pools import CodeRule
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.pools.importing import import_file
from tearline.web.services import Services

_BEGUN_SECONDS = 2.0
"""How long the answer waits for an import to begin; a short one is over by then."""


async def begin_import(
    services: Services, actor: Actor, file_id: UUID, *, rule: CodeRule, column: int, has_heading: bool
) -> None:
    """Begin an import, and wait until it is under way.

    Raises:
        Refusal: as ``import_file``, when it can't begin or was over at once.
    """
    begun = asyncio.Event()
    task = services.background.start(
        f"import of {file_id}",
        import_file(
            services.database,
            actor,
            file_id,
            rule=rule,
            column=column,
            has_heading=has_heading,
            report=lambda _done, _total: begun.set(),
            clock=services.clock,
        ),
    )
    first = asyncio.ensure_future(begun.wait())
    await asyncio.wait({task, first}, timeout=_BEGUN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    first.cancel()
    if not task.done():
        await asyncio.wait({task}, timeout=_BEGUN_SECONDS / 4)
    if task.done() and isinstance(error := task.exception(), Refusal):
        raise error
