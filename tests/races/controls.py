"""What the negative controls of races share: whether a storm breaks a rule is chance, so it has several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy import text

from tearline.db import Database, transaction

ATTEMPTS = 10


async def assert_breaks(database: Database, storm: Callable[[], Awaitable[bool]]) -> None:
    """The storm, which answers whether its rule held, breaks it within a few attempts."""
    for _attempt in range(ATTEMPTS):
        if not await storm():
            return
        await _empty(database)
    raise AssertionError("the storm never broke the rule, so it proves nothing")


async def _empty(database: Database) -> None:
    tables = text(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    )
    async with transaction(database) as tx:
        names = ", ".join(await tx.scalars(tables))
        await tx.execute(text(f"TRUNCATE {names} CASCADE"))
