"""Fixtures that every test can use: one embedded PostgreSQL a session, a clean migrated database a test.

Every test may commit for real, and change the schema.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.db import Database, transaction
from tearline.db.embedded import EmbeddedServer
from tests.databases import CleanDatabases

# A test on a busy machine takes as long as it takes.
hypothesis.settings.register_profile("tearline", deadline=None)
hypothesis.settings.load_profile("tearline")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL server of this test session's own."""
    directory = Path(tempfile.mkdtemp(prefix="tearline-test-"))
    embedded = EmbeddedServer(directory, settings={"shared_buffers": "128MB", "max_connections": "300"})
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.erase()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(server: EmbeddedServer) -> CleanDatabases:
    """The databases of the session's server that tests use one after the other."""
    return CleanDatabases(server)


@pytest.fixture(scope="session")
def make_httpserver() -> Iterator[HTTPServer]:
    """The server behind ``httpserver``: it answers several requests at a time, as third parties do."""
    with HTTPServer(threaded=True) as running:
        yield running


@pytest.fixture
def database_url(databases: CleanDatabases) -> Iterator[str]:
    """Address of a migrated database without rows, which is this test's own."""
    name = databases.take()
    yield databases.url_of(name)
    databases.give_back(name)


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
