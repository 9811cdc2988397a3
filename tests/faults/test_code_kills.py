"""Kills in the middle of an import of partner codes and of a hand-back: all of it is there afterwards, or nothing.

The work is done by processes of its own. They are stopped at a chosen point by a lock that the test holds, and
killed there; what they leave behind is looked at, and the same work is done again by another process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psutil
import psycopg
import pytest

from tearline.db import Database, transaction
from tearline.db.embedded import EmbeddedServer
from tearline.pools.handback import hand_back_file
from tearline.pools.importing import STALLED_AFTER, import_file, release_stalled
from tests.faults.test_kills import own_server
from tests.pools.support import ACTOR, RULE, PoolWorld, bring, code_number, make_pool
from tests.worlds import NOW

__all__ = ["own_server"]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

ROWS = 20_000
CODES = [code_number(number) for number in range(ROWS)]
HAND_BACK = """
import asyncio, sys
from uuid import UUID
from tearline.db import Database, transaction
from tearline.pools.handback import hand_back
from tests.pools.support import ACTOR
from tests.worlds import NOW

async def work():
    async with Database(sys.argv[1]) as database:
        async with transaction(database) as tx:
            made = await hand_back(tx, ACTOR, UUID(sys.argv[2]), campaign_id=None, now=NOW)
        print(made, flush=True)

asyncio.run(work())
"""
# What an import would be that commits before it has counted: the negative control.
CARELESS_IMPORT = """
from tearline.pools import importing

add = importing._Import._add

async def careless(self, tx):
    added = await add(self, tx)
    await (await importing.raw_connection(tx)).commit()
    return added

importing._Import._add = careless

from tearline.cli import main
main()
"""
IMPORT = "from tearline.cli import main; main()"

# Where a process is stopped: statements whose locks it meets there.
STAGED = "SELECT id FROM merchant FOR NO KEY UPDATE"
ADDED = "SELECT id FROM code_pool FOR NO KEY UPDATE"
COUNTED = "LOCK TABLE audit_entry IN EXCLUSIVE MODE"
WITHDRAWN = "LOCK TABLE hand_back IN EXCLUSIVE MODE"


@contextmanager
def process(script: str, url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Python that runs this, and is killed at the end of the block at the latest."""
    environment = {**os.environ, "TEARLINE_DATABASE_URL": url, "NO_COLOR": "1"}
    started = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=environment, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate()


async def waiting_for_a_lock(connection: psycopg.AsyncConnection, running: subprocess.Popen[str]) -> None:
    """Return as soon as somebody waits for a lock in this database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not (await (await connection.execute(query)).fetchone())[0]:
        assert running.poll() is None, running.stderr.read()[-3000:]
        await asyncio.sleep(0.01)


async def being_imported(connection: psycopg.AsyncConnection, running: subprocess.Popen[str]) -> None:
    """Return as soon as a file is being imported: its arrival has been put down then."""
    query = "SELECT count(*) FROM code_file WHERE state = 'importing'"
    while not (await (await connection.execute(query)).fetchone())[0]:
        assert running.poll() is None, running.stderr.read()[-3000:]
        await asyncio.sleep(0.002)


@asynccontextmanager
async def stopped_at(url: str, point: str, running: subprocess.Popen[str]) -> AsyncIterator[None]:
    """Inside the block, the process waits at this point; the lock is released at the end."""
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as watching,
        await psycopg.AsyncConnection.connect(url) as holding,
    ):
        if point == COUNTED and "import" in running.args:
            await being_imported(watching, running)
        await holding.execute(point)
        await waiting_for_a_lock(watching, running)
        yield
        await holding.rollback()


async def alone(url: str) -> None:
    """Return once nobody else is connected: PostgreSQL has noticed that the process is dead."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while (await (await connection.execute(query)).fetchone())[0]:
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Books:
    """What the tables say, each counted on its own."""

    codes: int
    available: int
    withdrawn: int
    pool: tuple[int, int, int, int]
    """Size, available, withdrawn, next position."""
    outcomes: int
    hand_backs: int
    states: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether the counters are those of the rows."""
        return self.pool[:3] == (self.codes, self.available, self.withdrawn)


def books(url: str) -> Books:
    with psycopg.connect(url) as connection:

        def one(query: str) -> tuple[int, ...]:
            row = connection.execute(query).fetchone()
            assert row is not None
            return row

        codes, available, withdrawn = one(
            "SELECT count(*), count(*) FILTER (WHERE state = 'available'),"
            " count(*) FILTER (WHERE state = 'withdrawn') FROM partner_code"
        )
        return Books(
            codes,
            available,
            withdrawn,
            one("SELECT size, available, withdrawn, next_position FROM code_pool"),
            one("SELECT count(*) FROM code_file_row")[0],
            one("SELECT count(*) FROM hand_back")[0],
            [row[0] for row in connection.execute("SELECT state FROM code_file ORDER BY id").fetchall()],
        )


async def make_list(url: str, directory: Path) -> tuple[PoolWorld, Path]:
    """An empty pool, and a file for it with a duplicate and an invalid row at its end."""
    async with Database(url) as database:
        world = await make_pool(database)
    path = directory / "codes.csv"
    path.write_text("\n".join([*CODES, CODES[0], "4.91111E+19", ""]))
    return world, path


@pytest.mark.parametrize("point", [STAGED, ADDED, COUNTED], ids=["staged", "added", "counted"])
async def test_a_killed_import_leaves_nothing_and_can_be_done_again(
    database_url: str, tmp_path: Path, point: str
) -> None:
    world, path = await make_list(database_url, tmp_path)
    arguments = ("codes", "import", str(world.pool_id), str(path), "--yes")
    with process(IMPORT, database_url, *arguments) as running:
        async with stopped_at(database_url, point, running):
            running.send_signal(signal.SIGKILL)
            running.wait()
    await alone(database_url)
    left = books(database_url)
    assert (left.codes, left.pool, left.outcomes, left.states) == (0, (0, 0, 0, 0), 0, ["importing"])
    with process(IMPORT, database_url, *arguments) as again:
        output, errors = await asyncio.to_thread(again.communicate, timeout=60)
    assert again.returncode == 0, errors
    assert f"{ROWS:,}" in output
    done = books(database_url)
    assert done.is_whole
    assert (done.codes, done.outcomes, done.states) == (ROWS, 2, ["importing", "imported"])
    # The file of the killed one can still be imported, once it counts as dead; it adds nothing now.
    async with Database(database_url) as database:
        with psycopg.connect(database_url) as connection:
            row = connection.execute("SELECT id FROM code_file WHERE state = 'importing'").fetchone()
        assert row is not None
        later = datetime.now(UTC) + 2 * STALLED_AFTER
        async with transaction(database) as tx:
            assert await release_stalled(tx, later) == 1
        outcome = await import_file(
            database, ACTOR, row[0], rule=RULE, column=0, has_heading=False, clock=lambda: later
        )
    assert (outcome.added, outcome.held, outcome.duplicate, outcome.invalid) == (0, ROWS, 1, 1)
    assert books(database_url).codes == ROWS


async def test_an_import_that_commits_too_early_is_found_half_done(database_url: str, tmp_path: Path) -> None:
    """The negative control: the same kill at the same point."""
    world, path = await make_list(database_url, tmp_path)
    arguments = ("codes", "import", str(world.pool_id), str(path), "--yes")
    with process(CARELESS_IMPORT, database_url, *arguments) as running:
        async with stopped_at(database_url, ADDED, running):
            running.send_signal(signal.SIGKILL)
            running.wait()
    await alone(database_url)
    assert not books(database_url).is_whole


async def test_a_killed_upload_is_no_file(database_url: str, tmp_path: Path) -> None:
    world, path = await make_list(database_url, tmp_path)
    parts = "LOCK TABLE code_file_part IN EXCLUSIVE MODE"
    with process(IMPORT, database_url, "codes", "import", str(world.pool_id), str(path), "--yes") as running:
        async with stopped_at(database_url, parts, running):
            running.send_signal(signal.SIGKILL)
            running.wait()
    await alone(database_url)
    assert books(database_url).states == ["uploading"]
    async with Database(database_url) as database, transaction(database) as tx:
        assert await release_stalled(tx, datetime.now(UTC) + timedelta(days=2)) == 1
    assert books(database_url).states == ["failed"]


async def test_postgresql_is_killed_during_an_import(own_server: EmbeddedServer, tmp_path: Path) -> None:
    world, path = await make_list(own_server.url, tmp_path)
    arguments = ("codes", "import", str(world.pool_id), str(path), "--yes")
    with process(IMPORT, own_server.url, *arguments) as running:
        with pytest.raises(psycopg.OperationalError):
            async with stopped_at(own_server.url, ADDED, running):
                await kill_postgres(own_server)
        _output, errors = await asyncio.to_thread(running.communicate, timeout=60)
    assert running.returncode == 2, errors
    await asyncio.to_thread(own_server.start)
    left = books(own_server.url)
    assert (left.codes, left.pool, left.outcomes) == (0, (0, 0, 0, 0), 0)
    with process(IMPORT, own_server.url, *arguments) as again:
        _output, errors = await asyncio.to_thread(again.communicate, timeout=60)
    assert again.returncode == 0, errors
    done = books(own_server.url)
    assert done.is_whole
    assert done.codes == ROWS


async def kill_postgres(server: EmbeddedServer) -> None:
    """SIGKILL to the postmaster and all of its backends, none of which writes anything in between."""
    assert server.pid is not None
    postmaster = psutil.Process(server.pid)
    everyone = [postmaster, *postmaster.children(recursive=True)]
    for one in everyone:
        one.send_signal(signal.SIGSTOP)
    for one in everyone:
        one.kill()
    while server.is_running():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("point", [ADDED, WITHDRAWN, COUNTED], ids=["begun", "withdrawn", "written"])
async def test_a_killed_hand_back_withdraws_nothing(database_url: str, point: str) -> None:
    async with Database(database_url) as database:
        world = await make_pool(database)
        await bring(database, world.pool_id, CODES[:2_000])
    with process(HAND_BACK, database_url, database_url, str(world.pool_id)) as running:
        async with stopped_at(database_url, point, running):
            running.send_signal(signal.SIGKILL)
            running.wait()
    await alone(database_url)
    left = books(database_url)
    assert left.is_whole
    assert (left.available, left.withdrawn, left.hand_backs) == (2_000, 0, 0)
    with process(HAND_BACK, database_url, database_url, str(world.pool_id)) as again:
        output, errors = await asyncio.to_thread(again.communicate, timeout=60)
    assert again.returncode == 0, errors
    done = books(database_url)
    assert done.is_whole
    assert (done.available, done.withdrawn, done.hand_backs) == (0, 2_000, 1)
    assert await listed_in(database_url, UUID(output.strip())) == CODES[:2_000]


async def listed_in(url: str, hand_back_id: UUID) -> list[str]:
    async with Database(url) as database:
        chunks = hand_back_file(database, ACTOR, hand_back_id, "csv", NOW)
        content = b"".join([chunk async for chunk in chunks]).decode("utf-8-sig")
    lines = content.split("\r\n")
    return lines[lines.index("Code") + 1 : -1]


async def test_a_hand_back_that_was_answered_outlives_postgresql(own_server: EmbeddedServer) -> None:
    async with Database(own_server.url) as database:
        world = await make_pool(database)
        await bring(database, world.pool_id, CODES[:2_000])
    with process(HAND_BACK, own_server.url, own_server.url, str(world.pool_id)) as running:
        assert running.stdout is not None
        answer = await asyncio.to_thread(running.stdout.readline)
        await kill_postgres(own_server)
    await asyncio.to_thread(own_server.start)
    left = books(own_server.url)
    assert left.is_whole
    assert (left.available, left.withdrawn, left.hand_backs) == (0, 2_000, 1)
    assert await listed_in(own_server.url, UUID(answer.strip())) == CODES[:2_000]
