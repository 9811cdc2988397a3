"""Kills in the middle of a storm of claims: what was answered 'yes' is there afterwards, and nothing twice.

Real processes: ``tearline serve`` with two workers over HTTP, and an embedded PostgreSQL of the test's own.
Clients do what clients should: repeat with the same key until they are answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import psycopg
import pytest

from tearline.db import Database
from tearline.db.embedded import EmbeddedServer
from tearline.db.migrate import upgrade
from tearline.insight.audit import run_audit
from tearline.members.tokens import MemberTokens
from tests.worlds import World, make_world

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

SECRET = "a-secret-for-tests-of-forty-characters-x"
CLIENTS = 24
CLAIMS = 1_200
KILL_AFTER = 300
CLAIMED = 201
REPLAYED = 200


@pytest.fixture
def own_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A PostgreSQL server that the test may kill; its database is migrated."""
    embedded = EmbeddedServer(tmp_path / "postgres", settings=getattr(request, "param", {}))
    embedded.start()
    try:
        upgrade(embedded.url)
        yield embedded
    finally:
        embedded.erase()


@dataclass
class Serving:
    """``tearline serve``, or another command that serves, as a process of its own."""

    url: str
    environment: dict[str, str]
    log: Path
    arguments: tuple[str, ...] = ("serve",)
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        command = [str(Path(sys.executable).with_name("tearline")), *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        async with httpx.AsyncClient(verify=False) as client:
            for _ in range(300):
                try:
                    if (await client.get(self.url + "/readyz")).is_success:
                        return
                except httpx.TransportError:
                    pass
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                await asyncio.sleep(0.1)
        raise TimeoutError

    def kill_everything(self) -> None:
        """SIGKILL to the supervising process and to each of its workers: nothing gets to say goodbye."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        for one in [parent, *parent.children(recursive=True)]:
            one.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@asynccontextmanager
async def serving(database_url: str, directory: Path) -> AsyncIterator[Serving]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DATABASE_URL": database_url, "SECRET_KEY": SECRET, "PORT": str(port), "PROCESSES": "2"}
    environment = {**os.environ, **{f"TEARLINE_{name}": value for name, value in settings.items()}}
    running = Serving(f"http://127.0.0.1:{port}", environment, directory / "serve.log")
    await running.start()
    try:
        yield running
    finally:
        running.stop()


@dataclass
class Storm:
    """Clients that claim, each claim with a key of its own, until every key has its answer."""

    url: str
    world: World
    answers: dict[int, UUID] = field(default_factory=dict)
    """The first 'yes' by number of the claim."""
    contradictions: list[str] = field(default_factory=list)
    repeats: int = 0

    def __post_init__(self) -> None:
        tokens = MemberTokens([SECRET.encode()])
        now = datetime.now(UTC)
        self._tokens = [tokens.issue(member, 1, now) for member in self.world.members]
        self._numbers = iter(range(CLAIMS))

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    async def reached(self, count: int) -> None:
        while len(self.answers) < count:
            await asyncio.sleep(0.005)

    async def _client(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=20, verify=False) as client:
            for number in self._numbers:
                await self.until_answered(client, number)

    async def until_answered(self, client: httpx.AsyncClient, number: int) -> int:
        """Claim number ``number`` until it is granted; returns the status of the granting answer."""
        headers = {
            "Authorization": f"Bearer {self._tokens[number % len(self._tokens)]}",
            "Idempotency-Key": f"storm-{number}",
        }
        path = f"/api/v1/campaigns/{self.world.campaign_code}/claims"
        while True:
            try:
                response = await client.post(path, json={"password": "password0"}, headers=headers)
            except httpx.TransportError:
                self.repeats += 1
                await asyncio.sleep(0.05)
                continue
            if response.status_code in (CLAIMED, REPLAYED):
                claim_id = UUID(response.json()["claim_id"])
                if self.answers.setdefault(number, claim_id) != claim_id:
                    self.contradictions.append(f"{number}: {self.answers[number]} and then {claim_id}")
                return response.status_code
            assert response.status_code == 503, response.text
            self.repeats += 1
            await asyncio.sleep(0.05)


def claims_in(url: str) -> dict[int, UUID]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT idempotency_key, id FROM claim").fetchall()
    assert len({key for key, _ in rows}) == len(rows)
    return {int(key.removeprefix("storm-")): claim_id for key, claim_id in rows}


async def assert_nothing_lost(storm: Storm, url: str) -> None:
    """Every 'yes' is there, nothing is there twice, and repeating gets the first answer."""
    assert storm.contradictions == []
    assert storm.answers == claims_in(url)
    assert len(storm.answers) == CLAIMS
    async with Database(url) as database, database.connection() as connection:
        assert [finding for finding in await run_audit(connection) if finding.breaches] == []
    async with httpx.AsyncClient(base_url=storm.url, timeout=20) as client:
        statuses = [await storm.until_answered(client, number) for number in range(0, CLAIMS, 7)]
    assert set(statuses) == {REPLAYED}
    assert storm.contradictions == []


async def make_storm(url: str, server: EmbeddedServer) -> Storm:
    async with Database(server.url) as database:
        world = await make_world(database, members=200, inventories=(1_000_000,))
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # the world itself is to survive even the negative control
    return Storm(url, world)


async def test_the_application_is_killed(own_server: EmbeddedServer, tmp_path: Path) -> None:
    async with serving(own_server.url, tmp_path) as running:
        storm = await make_storm(running.url, own_server)
        raging = asyncio.create_task(storm.run())
        await storm.reached(KILL_AFTER)
        running.kill_everything()
        answered = dict(storm.answers)
        assert answered.items() <= claims_in(own_server.url).items()
        assert len(answered) < CLAIMS, "the kill came too late to mean anything"
        await running.start()
        await raging
        assert storm.repeats, "nobody noticed the kill"
        await assert_nothing_lost(storm, own_server.url)


async def kill_postgres(server: EmbeddedServer, storm: Storm) -> dict[int, UUID]:
    """SIGKILL to the postmaster and all of its backends; returns what had been answered by then."""
    await storm.reached(KILL_AFTER)
    assert server.pid is not None
    postmaster = psutil.Process(server.pid)
    backends = postmaster.children(recursive=True)
    for one in [postmaster, *backends]:
        one.send_signal(signal.SIGSTOP)  # so that none of them writes anything between the kills
    answered = dict(storm.answers)
    for one in [postmaster, *backends]:
        one.kill()
    while server.is_running():  # a signal takes its time
        await asyncio.sleep(0.005)
    assert len(answered) < CLAIMS, "the kill came too late to mean anything"
    await asyncio.to_thread(server.start)
    return answered


async def test_postgresql_is_killed(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """The application stays; it reconnects by itself, and runs the batches in doubt again."""
    async with serving(own_server.url, tmp_path) as running:
        storm = await make_storm(running.url, own_server)
        raging = asyncio.create_task(storm.run())
        answered = await kill_postgres(own_server, storm)
        assert answered.items() <= claims_in(own_server.url).items()
        await raging
        await assert_nothing_lost(storm, own_server.url)


@pytest.mark.parametrize(
    "own_server", [{"synchronous_commit": "off", "wal_writer_delay": "10s"}], indirect=True
)
async def test_without_durable_commits_the_same_kill_loses_claims(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    """The negative control: with commits that are not flushed, answered claims are gone after the kill."""
    async with serving(own_server.url, tmp_path) as running:
        storm = await make_storm(running.url, own_server)
        raging = asyncio.create_task(storm.run())
        answered = await kill_postgres(own_server, storm)
        lost = answered.items() - claims_in(own_server.url).items()
        raging.cancel()
        await asyncio.gather(raging, return_exceptions=True)
    assert lost
