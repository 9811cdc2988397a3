"""Fixtures that every test can use: one embedded PostgreSQL a session, a fresh migrated database a test.

A database is made from a migrated template, which takes some 60 ms, so every test may commit for real. It is copied
through the log: the other strategy of PostgreSQL asks for a checkpoint each time, and takes four times as long.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.db import Database, transaction
from tearline.db.embedded import EmbeddedServer
from tearline.db.migrate import upgrade

TEMPLATE = "tearline_template"

# A test on a busy machine takes as long as it takes.
hypothesis.settings.register_profile("tearline", deadline=None)
hypothesis.settings.load_profile("tearline")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL server of this test session's own, its template database migrated."""
    directory = Path(tempfile.mkdtemp(prefix="tearline-test-"))
    embedded = EmbeddedServer(directory, settings={"shared_buffers": "128MB", "max_connections": "300"})
    embedded.start()
    try:
        with psycopg.connect(embedded.url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {TEMPLATE}")
        upgrade(url_of(embedded, TEMPLATE))
        yield embedded
    finally:
        embedded.erase()
        shutil.rmtree(directory, ignore_errors=True)


def url_of(server: EmbeddedServer, name: str) -> str:
    """Address of another database on the same server."""
    return server.url.rsplit("/", 1)[0] + "/" + name


def drop_database(server: EmbeddedServer, name: str) -> None:
    """Drop a database; an autovacuum worker that is in it belongs to nobody we are, and leaves when asked."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        for _attempt in range(50):
            try:
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            except psycopg.errors.InsufficientPrivilege:
                time.sleep(0.1)
            else:
                return
    raise AssertionError(f"{name} could not be dropped")


@pytest.fixture
def database_url(server: EmbeddedServer) -> Iterator[str]:
    """Address of a fresh, migrated database that is dropped after the test."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield url_of(server, name)
    drop_database(server, name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A handle on the fresh database."""
    async with Database(database_url) as handle:
        yield handle


@pytest.fixture
async def tx(database: Database) -> AsyncIterator[AsyncConnection]:
    """An open transaction on the fresh database."""
    async with transaction(database) as connection:
        yield connection
