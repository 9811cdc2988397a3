"""Statements that both kinds of connection can run: SQLAlchemy's within a transaction, raw ones where it is quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from psycopg.rows import namedtuple_row
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from tearline.db.engine import HotConnection

AnyConnection: TypeAlias = AsyncConnection | HotConnection


class Statement:
    """A statement that is made once, with its values named; its rows are named tuples.

    Sent raw it costs the process a fraction of what it costs by way of SQLAlchemy, and means the same.

    Args:
        meaning: of columns whose values the driver itself makes what they are, as it does with all of ours.
    """

    def __init__(self, meaning: ClauseElement) -> None:
        assert isinstance(meaning, Executable)
        self._meaning = meaning
        self._sql = str(
            meaning.compile(dialect=PGDialect_psycopg())  # type: ignore[no-untyped-call]
        ).encode()

    async def rows(self, connection: AnyConnection, **values: Any) -> Sequence[Any]:
        """All rows of its answer."""
        if isinstance(connection, AsyncConnection):
            return (await connection.execute(self._meaning, values)).all()
        cursor = connection.cursor(binary=True, row_factory=namedtuple_row)
        return await (await cursor.execute(self._sql, values)).fetchall()

    async def row(self, connection: AnyConnection, **values: Any) -> Any:
        """The one row of its answer, or None."""
        rows = await self.rows(connection, **values)
        assert len(rows) <= 1, "a statement about one thing"
        return rows[0] if rows else None
