"""Fixtures that every test can use: one embedded PostgreSQL a session, a clean migrated database a test.

Every test may commit for real, and change the schema.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import sql
from pytest_httpserver import HTTPServer
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.cli.demo import seed
from tearline.db import Database, transaction
from tearline.db.embedded import EmbeddedServer
from tearline.merchants import passwords
from tests.databases import CleanDatabases

# A test on a busy machine takes as long as it takes.
hypothesis.settings.register_profile("tearline", deadline=None)
hypothesis.settings.load_profile("tearline")
# As in a web process: the collector need not walk again and again what stays to the end.
gc.set_threshold(20_000, 20, 20)


@dataclass(frozen=True)
class Seeded:
    """A database with the demo's data, the API keys that were made with them, and what was reported meanwhile."""

    name: str
    url: str
    keys: dict[str, str]
    reports: list[tuple[str, int, int]]


NOTHING_IS_KILLED = {"fsync": "off", "full_page_writes": "off"}
"""Of the session's server, which nobody kills: those that are killed are servers of their tests' own, as installed."""


def pytest_collection_finish() -> None:
    """All is imported, and all tests are known."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def installed_hasher() -> Iterator[PasswordHasher]:
    """What hashes passwords in an installation. In tests they take no time, so that hundreds of people can sign in."""
    installed = passwords.HASHER
    passwords.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield installed
    passwords.HASHER = installed


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL server of this test session's own."""
    directory = Path(tempfile.mkdtemp(prefix="tearline-test-"))
    settings = {"shared_buffers": "128MB", "max_connections": "300", **NOTHING_IS_KILLED}
    embedded = EmbeddedServer(directory, settings=settings)
    embedded.start()
    try:
        _let_in_quickly(embedded.url)
        yield embedded
    finally:
        embedded.erase()
        shutil.rmtree(directory, ignore_errors=True)


def _let_in_quickly(url: str) -> None:
    """To reckon the proof of the password takes longer than all else about a connection, and tests open thousands."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SET scram_iterations = 1")
        role, password = sql.Identifier(admin.info.user), sql.Literal(admin.info.password)
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))


@pytest.fixture(scope="session")
def databases(server: EmbeddedServer) -> CleanDatabases:
    """The databases of the session's server that tests use one after the other."""
    return CleanDatabases(server)


@pytest.fixture(scope="session")
def seeded(databases: CleanDatabases, installed_hasher: PasswordHasher) -> Seeded:
    """The demo's data, made once, which takes seconds. Tests only read them; who writes takes a copy."""
    name = databases.take()
    reports: list[tuple[str, int, int]] = []

    async def fill() -> dict[str, str]:
        async with Database(databases.url_of(name)) as database:
            return await seed(database, lambda *report: reports.append(report))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", installed_hasher)
        keys = asyncio.run(fill())
    return Seeded(name, databases.url_of(name), keys, reports)


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
