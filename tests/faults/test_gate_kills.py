"""Kills while a crowd waits: tickets stay good, nobody is admitted twice, and control goes on within seconds.

Two real gates (``tearline gate``) on one PostgreSQL; the one that controls the room is killed with SIGKILL.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tearline.core.admission import door_limit
from tearline.db import Database
from tearline.db.embedded import EmbeddedServer
from tearline.insight.audit import run_audit
from tests.faults.test_kills import SECRET, Serving, own_server
from tests.rooms import CODE, Hall, make_room

__all__ = ["own_server"]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

VISITORS = 120
MAX_ACTIVE = 20
TAKING_OVER_SECONDS = 5.0


@asynccontextmanager
async def gate(database_url: str, log: Path) -> AsyncIterator[Serving]:
    """One ``tearline gate`` with one process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DATABASE_URL": database_url, "SECRET_KEY": SECRET, "PORT": str(port), "PROCESSES": "1"}
    environment = {**os.environ, **{f"TEARLINE_{name}": value for name, value in settings.items()}}
    running = Serving(f"http://127.0.0.1:{port}", environment, log, arguments=("gate",))
    await running.start()
    try:
        yield running
    finally:
        running.stop()


@dataclass
class Crowd:
    """Visitors who join, wait, enter, stay a moment and leave, asking again whenever a gate does not answer."""

    urls: list[str]
    tickets: dict[int, str] = field(default_factory=dict)
    passes: dict[int, set[str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    most_inside: int = 0

    async def visit(self, number: int) -> None:
        # To read the certificates of this world's authorities takes longer than all that a visitor asks.
        async with httpx.AsyncClient(timeout=10, verify=False) as http:
            joined = await self._until_answered(http, number, "joins", {}, None)
            self.tickets[number] = ticket = joined.json()["ticket"]
            body = {"exchange_key": f"visitor-{number}"}
            while True:
                answer = await self._until_answered(http, number, "passes", body, ticket)
                if answer.status_code == 200:
                    break
                if answer.json()["reason"] not in ("not_called", "room_full"):
                    self.refused.append(answer.text)
                    return
                await asyncio.sleep(0.4)
            # Asked again, as somebody does whose answer was lost, at whichever gate.
            again = await self._until_answered(http, number + 1, "passes", body, ticket)
            self.passes[number] = {answer.json()["pass"], again.json()["pass"]}
            await asyncio.sleep(0.3)
            await self._until_answered(http, number, "departures", {}, answer.json()["pass"])

    async def _until_answered(
        self, http: httpx.AsyncClient, turn: int, name: str, body: dict[str, str], token: str | None
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        while True:
            url = self.urls[turn % len(self.urls)]
            turn += 1
            try:
                answer = await http.post(f"{url}/gate/{CODE}/{name}", json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.05)

    async def watch(self, hall: Hall) -> None:
        """Look at the number inside, until cancelled."""
        while True:
            self.most_inside = max(self.most_inside, (await hall.state()).inside)
            await asyncio.sleep(0.02)

    async def reached(self, count: int) -> None:
        while len(self.passes) < count:
            await asyncio.sleep(0.01)


async def test_the_controlling_gate_is_killed(own_server: EmbeddedServer, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(own_server.url))
        hall = Hall(database, await make_room(database, datetime.now(UTC), "queueing", max_active=MAX_ACTIVE))
        first = await stack.enter_async_context(gate(own_server.url, tmp_path / "first.log"))
        await until(lambda state: state.controller is not None, hall)
        controller = (await hall.state()).controller
        second = await stack.enter_async_context(gate(own_server.url, tmp_path / "second.log"))
        crowd = Crowd([first.url, second.url])
        storm = asyncio.gather(*(crowd.visit(number) for number in range(VISITORS)))
        watching = asyncio.create_task(crowd.watch(hall))
        await crowd.reached(VISITORS // 4)

        assert (await hall.state()).controller == controller
        first.kill_everything()
        called = (await hall.state()).called
        assert called < VISITORS, "somebody still waits"
        killed_at = time.monotonic()
        await until(lambda state: state.controller != controller and state.called > called, hall)
        assert time.monotonic() - killed_at < TAKING_OVER_SECONDS

        await first.start()
        await asyncio.wait_for(storm, 90)
        watching.cancel()
        assert crowd.refused == []
        assert len(crowd.passes) == len(set(crowd.tickets.values())) == VISITORS, "no ticket was lost"
        assert all(len(tokens) == 1 for tokens in crowd.passes.values()), "nobody was admitted twice"
        assert 0 < crowd.most_inside <= door_limit(MAX_ACTIVE)
        async with database.connection() as connection:
            assert [one for one in await run_audit(connection) if one.breaches] == []
        state = await hall.state()
        assert (state.inside, state.entered) == (0, VISITORS)


async def test_while_the_database_is_away_people_wait_on(own_server: EmbeddedServer, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(own_server.url))
        hall = Hall(database, await make_room(database, datetime.now(UTC), "queueing", max_active=1))
        one = await stack.enter_async_context(gate(own_server.url, tmp_path / "gate.log"))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"{one.url}/gate/{CODE}", timeout=20)
        )
        tickets = []
        for _ in range(2):
            tickets.append((await http.post("/joins", json={})).json()["ticket"])
            http.cookies.clear()
        await until(lambda state: state.called == 1, hall)
        await asyncio.sleep(1.5)
        before = (await http.get("/room.json")).json()
        own_server.stop()
        while_away = await http.get("/room.json")
        assert (while_away.status_code, while_away.json()["called"]) == (200, before["called"])
        waiting = await http.get("/ticket", headers={"authorization": f"Bearer {tickets[1]}"})
        assert waiting.json()["status"] == "waiting"
        refused = await http.post(
            "/passes", json={"exchange_key": "k"}, headers={"authorization": f"Bearer {tickets[0]}"}
        )
        assert (refused.status_code, refused.json()["reason"]) == (503, "unavailable")
        own_server.start()
        for _ in range(100):
            answer = await http.post(
                "/passes", json={"exchange_key": "k"}, headers={"authorization": f"Bearer {tickets[0]}"}
            )
            if answer.status_code == 200:
                break
            await asyncio.sleep(0.1)
        assert answer.status_code == 200, answer.text


async def until(holds: Callable[[Any], bool], hall: Hall) -> None:
    """Wait until something is so of the room's state."""
    async with asyncio.timeout(20):
        while not holds(await hall.state()):
            await asyncio.sleep(0.05)
