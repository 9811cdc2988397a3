"""One database, its two ways in: SQLAlchemy connections for the back office, raw ones for the hot lane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

# The hot lane's statements name rows by key, a batch at a time. A plan that was made while the tables were small
# would read them from end to end, and it is kept with the prepared statement while they grow; so only plans
# that go by index are allowed, whatever the statistics say, and they can then be kept for good.
HOT_SETTINGS = (
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
    "SET plan_cache_mode = force_generic_plan",
    "SET lock_timeout = '5s'",
)

HotConnection: TypeAlias = psycopg.AsyncConnection[TupleRow]


class Database:
    """Handle on one PostgreSQL database for one process and event loop.

    Args:
        url: ``postgresql://user:password@host:port/name``.
        pool_size: back-office connections kept open.
        hot_pool_size: raw connections of the hot lane, as many for its desks as for what it only reads; few, because a
            batch needs only one at a time and PostgreSQL loses throughput with many.
    """

    def __init__(self, url: str, *, pool_size: int = 5, hot_pool_size: int = 4) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=5,
            pool_pre_ping=True,
            pool_timeout=10,
        )
        self._hot_pool_size = hot_pool_size
        self._hot_pool: AsyncConnectionPool[HotConnection] | None = None
        self._reading_pool: AsyncConnectionPool[HotConnection] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; whatever it did is rolled back."""
        async with self.engine.connect() as connection:
            yield connection

    async def hot_pool(self) -> AsyncConnectionPool[HotConnection]:
        """The pool of raw psycopg connections, opened at first use; it reconnects by itself."""
        if self._hot_pool is None:
            self._hot_pool = self._raw_pool()
            await self._hot_pool.open()
        return self._hot_pool

    @asynccontextmanager
    async def hot_reading(self) -> AsyncIterator[HotConnection]:
        """A raw connection for an answer that only reads; each statement sees what is committed when it begins.

        It is of a pool of its own: however many read, no desk waits for them.
        """
        if self._reading_pool is None:
            self._reading_pool = self._raw_pool()
            await self._reading_pool.open()
        async with self._reading_pool.connection() as connection:
            yield connection

    def _raw_pool(self) -> AsyncConnectionPool[HotConnection]:
        return AsyncConnectionPool(
            self.url,
            min_size=1,
            max_size=self._hot_pool_size,
            open=False,
            timeout=5.0,
            reconnect_timeout=2.0,
            check=_check_connection,
            configure=_configure_hot,
            kwargs={"autocommit": True, "prepare_threshold": 1},
        )

    async def close(self) -> None:
        """Close all connections."""
        for pool in (self._hot_pool, self._reading_pool):
            if pool is not None:
                await pool.close()
        self._hot_pool = self._reading_pool = None
        await self.engine.dispose()

    async def __aenter__(self) -> Database:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()


async def _configure_hot(connection: HotConnection) -> None:
    for setting in HOT_SETTINGS:
        await connection.execute(setting.encode())


async def _check_connection(connection: HotConnection) -> None:
    # Costs no round trip: a dropped server closes the socket, which libpq notices when it reads.
    if connection.pgconn.status != psycopg.pq.ConnStatus.OK:
        raise psycopg.OperationalError("the connection is closed")


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[AsyncConnection]:
    """One READ COMMITTED transaction: committed when the block ends, rolled back when it raises."""
    async with database.engine.begin() as tx:
        yield tx
