"""Kills in the middle of a storm of orders, payments and releases: what was answered stands, and nothing is twice.

Two real processes that sell, and an embedded PostgreSQL of the test's own. Buyers and the payment provider do what
they should: they repeat what they asked until they are answered.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import psycopg
import pytest

from tearline.db import Database, new_id
from tearline.db.embedded import EmbeddedServer
from tearline.insight.audit import run_audit
from tests.faults.test_kills import own_server
from tests.sale_worlds import Sale, make_sale

__all__ = ["own_server"]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

CLIENTS = 24
ORDERS = 600
KILL_AFTER = 150
CODES = 1_100
"""Fewer than are asked for: some of those who pay late get their money back."""


class Seller:
    """One process that sells: vouchers, unless told otherwise."""

    def __init__(self, url: str, directory: Path, number: int, module: str = "tests.faults.seller") -> None:
        self.socket = directory / f"seller-{number}"
        self._command = [sys.executable, "-m", module, url, str(self.socket)]
        self._log = directory / f"seller-{number}.log"

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL: it gets to say nothing."""
        self.process.kill()
        self.process.wait(10)


@dataclass
class Storm:
    """Buyers who order, and then pay, let it expire, or pay too late, each step until it is answered."""

    sellers: list[Seller]
    sale: Sale
    orders: dict[int, str] = field(default_factory=dict)
    """By number, once answered."""
    settled: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    contradictions: list[str] = field(default_factory=list)
    repeats: int = 0
    paid: dict[int, tuple[UUID, int]] = field(default_factory=dict)

    async def run(self) -> None:
        self._numbers = iter(range(ORDERS))
        await asyncio.gather(*(self._client(client) for client in range(CLIENTS)))

    async def reached(self, count: int) -> None:
        while len(self.settled) < count:
            await asyncio.sleep(0.005)

    async def _client(self, client: int) -> None:
        for number in self._numbers:
            await self._buy(number, client)

    async def _buy(self, number: int, client: int) -> None:
        taken = await self.order(number, client)
        if taken is None:
            return
        if number % 3:
            await self.settle(number, client)
        if number % 3 != 1:  # late, or after it was paid: then it is left as it is
            await self.ask(client, "release", number, order=self.orders[number])
        if number % 3 == 0:
            await self.settle(number, client)

    async def order(self, number: int, client: int) -> dict[str, Any] | None:
        values = {"item": str(self.sale.items[0]), "quantity": 1 + number % 4, "key": f"storm-{number}"}
        taken = await self.ask(client, "order", number, **values)
        if "refused" in taken:
            assert taken["refused"] in ("sold_out", "fewer_left"), taken
            self.refused.add(number)
            return None
        if self.orders.setdefault(number, taken["order"]) != taken["order"]:
            self.contradictions.append(f"order {number}")
        self.paid.setdefault(number, (new_id(), taken["amount"]))
        return taken

    async def settle(self, number: int, client: int) -> dict[str, Any]:
        payment_id, amount = self.paid[number]
        values = {"order": self.orders[number], "payment": str(payment_id), "amount": amount}
        said = await self.ask(client, "pay", number, **values)
        outcome = said["state"], tuple(said["coupons"])
        if self.settled.setdefault(number, outcome) != outcome:
            self.contradictions.append(f"payment {number}: {self.settled[number]} and then {outcome}")
        return said

    async def ask(self, client: int, act: str, number: int, **values: Any) -> dict[str, Any]:
        """Ask until there is an answer, of whichever process answers."""
        member = self.sale.members[number % len(self.sale.members)]
        line = json.dumps({"act": act, "sale": self.sale.code, "member": str(member), **values}) + "\n"
        for turn in range(10_000):
            seller = self.sellers[(client + turn) % len(self.sellers)]
            said = await talk(seller.socket, line)
            if said is not None and said.get("refused") != "unavailable":
                return said
            self.repeats += 1
            await asyncio.sleep(0.02)
        raise TimeoutError


async def talk(socket: Path, line: str) -> dict[str, Any] | None:
    """One question and its answer; None when the process is gone."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
        try:
            writer.write(line.encode())
            said = await reader.readline()
        finally:
            writer.close()
    except (ConnectionError, FileNotFoundError):
        return None
    return json.loads(said) if said else None


@asynccontextmanager
async def storm(server: EmbeddedServer, directory: Path) -> AsyncIterator[Storm]:
    async with Database(server.url) as database:
        sale = await make_sale(database, codes=(CODES,), members=50)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # the world itself is to survive even the negative control
    sellers = [Seller(server.url, directory, number) for number in range(2)]
    for seller in sellers:
        seller.start()
    try:
        yield Storm(sellers, sale)
    finally:
        for seller in sellers:
            seller.kill()


Outcomes = dict[int, tuple[str, tuple[str, ...]]]


def settled_in(url: str) -> Outcomes:
    """What the database says has become of the payments, by number of the order."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("""
            SELECT o.idempotency_key, p.state, array_remove(array_agg(c.id::text ORDER BY c.id), NULL)
            FROM voucher_order o JOIN payment p ON p.order_id = o.id AND p.state <> 'begun'
            LEFT JOIN coupon c ON c.member_id = o.member_id AND c.order_id = o.id
            GROUP BY 1, 2""").fetchall()
    return {int(key.removeprefix("storm-")): (state, tuple(coupons)) for key, state, coupons in rows}


async def assert_nothing_lost(raging: Storm, url: str) -> None:
    """Every answer stands, nothing is there twice, and repeating gets the first answer."""
    assert raging.contradictions == []
    assert raging.settled == settled_in(url)
    assert len(raging.orders) + len(raging.refused) == ORDERS
    assert Counter(state for state, _ in raging.settled.values())["paid"] > KILL_AFTER
    with psycopg.connect(url) as connection:
        counts = connection.execute(
            "SELECT count(*), count(DISTINCT (pool_id, position)), count(DISTINCT coupon_id) FROM voucher"
        ).fetchone()
    delivered = sum(len(coupons) for _state, coupons in raging.settled.values())
    assert counts == (delivered, delivered, delivered)
    async with Database(url) as database, database.connection() as connection:
        assert [finding for finding in await run_audit(connection) if finding.breaches] == []
    for number in list(raging.orders)[::11]:
        again = await raging.order(number, 0)
        assert again is not None
        assert again["replayed"]
        assert (await raging.settle(number, 1))["replayed"]
    assert raging.contradictions == []


async def test_the_processes_that_sell_are_killed(own_server: EmbeddedServer, tmp_path: Path) -> None:
    async with storm(own_server, tmp_path) as raging:
        running = asyncio.create_task(raging.run())
        for times in (1, 2):
            await raging.reached(KILL_AFTER * times)
            for seller in raging.sellers:
                seller.kill()
            answered = dict(raging.settled)
            assert answered.items() <= settled_in(own_server.url).items()
            assert len(raging.orders) < ORDERS, "the kill came too late to mean anything"
            for seller in raging.sellers:
                seller.start()
        await running
        assert raging.repeats, "nobody noticed the kill"
        await assert_nothing_lost(raging, own_server.url)


async def kill_postgres(server: EmbeddedServer, raging: Storm) -> Outcomes:
    """SIGKILL to the postmaster and all of its backends; returns what had been answered by then."""
    await raging.reached(KILL_AFTER)
    assert server.pid is not None
    postmaster = psutil.Process(server.pid)
    backends = postmaster.children(recursive=True)
    for one in [postmaster, *backends]:
        one.send_signal(signal.SIGSTOP)  # so that none of them writes anything between the kills
    answered = dict(raging.settled)
    for one in [postmaster, *backends]:
        one.kill()
    while server.is_running():  # a signal takes its time
        await asyncio.sleep(0.005)
    assert len(raging.orders) < ORDERS, "the kill came too late to mean anything"
    await asyncio.to_thread(server.start)
    return answered


async def test_postgresql_is_killed(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """The processes that sell stay; they reconnect by themselves, and run the batches in doubt again."""
    async with storm(own_server, tmp_path) as raging:
        running = asyncio.create_task(raging.run())
        answered = await kill_postgres(own_server, raging)
        assert answered.items() <= settled_in(own_server.url).items()
        await running
        await assert_nothing_lost(raging, own_server.url)


@pytest.mark.parametrize(
    "own_server", [{"synchronous_commit": "off", "wal_writer_delay": "10s"}], indirect=True
)
async def test_without_durable_commits_the_same_kill_loses_sales(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    """The negative control: with commits that are not flushed, answered payments are gone after the kill."""
    async with storm(own_server, tmp_path) as raging:
        running = asyncio.create_task(raging.run())
        answered = await kill_postgres(own_server, raging)
        lost = answered.items() - settled_in(own_server.url).items()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert lost
