"""What waiting costs: polls beside a bare 'hello', joins beside ``nextval``, memory, and a whole day at the gate."""

from __future__ import annotations

import asyncio
import statistics
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from bench.comparison import print_expectations
from bench.installation import Postgres, Web, make_database, postgres, web, yardstick
from bench.load import Load, repeat
from bench.rush import rush
from tearline.db import Database, transaction
from tearline.waitingroom.actions import move_room
from tearline.waitingroom.joins import MAXIMUM_GROUP, JoinDesk
from tests.rooms import ACTOR, CODE, make_room

CONNECTIONS_POLLING = 64
CONNECTIONS_JOINING = 256
POOL_SIZES = (1, 2, 4, 8, 16)
# A number that is given out is never given out again after a crash: PostgreSQL logs 32 numbers ahead, so that
# only every 32nd nextval waits for the disk. The second statement makes each of them wait.
NEXTVAL = "SELECT nextval('bench_number')"
NEXTVAL_FLUSHED = "SELECT nextval('bench_number'), pg_logical_emit_message(true, '', '')"
FEW, MANY, MANY_OVER_HTTP = 1_000, 1_000_000, 100_000
EXPECTED = {
    "polls_to_hello": (">=", 0.7),
    "joins_to_nextval": (">=", 1.5),
    "memory_growth_mb": ("<=", 10),
    "rush_lost": ("<=", 0),
    "rush_errors": ("<=", 0),
    "rush_oversold": ("<=", 0),
}


def run(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures."""
    seconds = 1 if quick else 3
    turns = 1 if quick else 5
    figures: dict[str, Any] = {"seconds_a_run": seconds}
    with postgres() as database_server:
        url = make_database(database_server, "bench_gate")
        asyncio.run(_make_rooms(url))
        figures["polls"] = _polls(console, url, seconds, turns)
        figures["joins"] = _joins(console, url, seconds, turns, (4,) if quick else POOL_SIZES)
        many, over_http = (20_000, 5_000) if quick else (MANY, MANY_OVER_HTTP)
        figures["memory"] = _memory(console, database_server, seconds, many, over_http)
        figures["rush"] = rush(console, database_server, quick=quick)
    for part, names in (
        ("polls", ("polls_per_second", "hello_per_second", "polls_to_hello")),
        ("joins", ("joins_per_second", "nextval_per_second", "joins_to_nextval")),
        ("memory", ("memory_growth_mb",)),
        ("rush", ("rush_seconds", "rush_lost", "rush_errors", "rush_oversold")),
    ):
        figures |= {name: figures[part].pop(name) for name in names}
    print_expectations(console, figures, EXPECTED)
    return figures


async def _make_rooms(url: str) -> None:
    """A room that people queue in, and one whose document stays the same."""
    now = datetime.now(UTC)
    async with Database(url) as database:
        await make_room(database, now, "queueing", max_active=0)
        await make_room(database, now, "closed", code="STILL")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE bench_number CACHE 1")


def _in_turns(
    loads: dict[str, Callable[[], Load]], turns: int, console: Console
) -> tuple[dict[str, list[Load]], dict[str, float]]:
    """Each load once a turn, so that the machine's drift hits all alike; the first turn warms up.

    Returns:
        What was seen, and the median rates.
    """
    seen: dict[str, list[Load]] = {name: [] for name in loads}
    order = list(loads)
    for turn in range(turns + 1):
        # Whoever goes later finds the machine as the others left it, so they take turns at that too.
        for name in order if turn % 2 else reversed(order):
            load = loads[name]()
            if load.refused or load.broken:
                console.print(f"[red]{name}: {load.refused} refused, {load.broken} broken")
            if turn:
                seen[name].append(load)
    rates = {
        name: statistics.median(load.granted_per_second for load in of_name) for name, of_name in seen.items()
    }
    return seen, rates


def _ratio(seen: dict[str, list[Load]], name: str, yardstick_name: str) -> float:
    """The median over the turns of one rate by the other."""
    pairs = zip(seen[name], seen[yardstick_name], strict=True)
    return round(statistics.median(a.granted_per_second / b.granted_per_second for a, b in pairs), 2)


def _table(console: Console, title: str, seen: dict[str, list[Load]], base: str) -> None:
    table = Table(title=title)
    for column in ("what", "a second", "ratio", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=column == "what")
    for name, loads in seen.items():
        table.add_row(
            name,
            f"{statistics.median(load.granted_per_second for load in loads):,.0f}",
            f"{_ratio(seen, name, base):.2f}",
            f"{statistics.median(load.p50_ms for load in loads):.1f}",
            f"{statistics.median(load.p99_ms for load in loads):.1f}",
        )
    console.print(table)


def _polls(console: Console, url: str, seconds: int, turns: int) -> dict[str, Any]:
    """The room's document beside a bare 'hello' on a server of the same settings."""
    with web(url, kind="gate") as gate, yardstick("Hello") as hello:
        # Its controller has ticked by then: from here on the document changes once a second.
        time.sleep(2)
        with urllib.request.urlopen(f"{gate.url}/gate/{CODE}/room.json") as answer:
            size = len(answer.read())
        with urllib.request.urlopen(f"{gate.url}/gate/STILL/room.json") as answer:
            unchanged = {"If-None-Match": answer.headers["etag"]}

        def get(address: str, headers: dict[str, str] | None = None) -> Load:
            return repeat(address, connections=CONNECTIONS_POLLING, seconds=seconds, headers=headers)

        seen, rates = _in_turns(
            {
                "bare hello": lambda: get(f"{hello.url}/"),
                "poll, whole document": lambda: get(f"{gate.url}/gate/{CODE}/room.json"),
                "poll, not modified": lambda: get(f"{gate.url}/gate/STILL/room.json", unchanged),
            },
            turns,
            console,
        )
    _table(console, "polls a second, one process each", seen, "bare hello")
    console.print(f"[dim]polls_to_hello is of whole documents ({size} bytes, new every second) by wrk")
    return {
        "polls_per_second": round(rates["poll, whole document"]),
        "hello_per_second": round(rates["bare hello"]),
        "polls_to_hello": _ratio(seen, "poll, whole document", "bare hello"),
        "not_modified_per_second": round(rates["poll, not modified"]),
        "not_modified_to_hello": _ratio(seen, "poll, not modified", "bare hello"),
        "document_bytes": size,
    }


def _joins(console: Console, url: str, seconds: int, turns: int, pools: tuple[int, ...]) -> dict[str, Any]:
    """Tickets beside numbers of a sequence, one at a time, by a handler that does nothing else."""
    statements = {"nextval": NEXTVAL, "nextval, each flushed": NEXTVAL_FLUSHED}
    by_pool = {
        name: {pool: _numbers_at_pool(url, statement, pool, seconds) for pool in pools}
        for name, statement in statements.items()
    }
    best = {name: max(rates, key=rates.__getitem__) for name, rates in by_pool.items()}
    with ExitStack() as stack:
        gate = stack.enter_context(web(url, kind="gate"))
        numbers = {
            name: stack.enter_context(_numbers(url, statement, best[name]))
            for name, statement in statements.items()
        }
        time.sleep(2)
        seen, rates = _in_turns(
            {
                **{name: lambda one=one: _join(f"{one.url}/", seconds) for name, one in numbers.items()},
                "join": lambda: _join(f"{gate.url}/gate/{CODE}/joins", seconds),
            },
            turns,
            console,
        )
    base = max(statements, key=rates.__getitem__)
    _table(console, "joins a second, one process each", seen, base)
    console.print(
        f"[dim]A join is durable, signed, and answered with cookies. The yardstick's bare handler runs one statement"
        f" a request, from the pool that serves it best ({best['nextval']} and {best['nextval, each flushed']}"
        f" connections); joins_to_nextval is against the faster one of the two."
    )
    return {
        "joins_per_second": round(rates["join"]),
        "nextval_per_second": round(rates[base]),
        "joins_to_nextval": _ratio(seen, "join", base),
        "nextval_flushed_per_second": round(rates["nextval, each flushed"]),
        "joins_to_nextval_flushed": _ratio(seen, "join", "nextval, each flushed"),
        "nextval_by_pool": by_pool,
    }


def _numbers(url: str, statement: str, pool: int) -> Any:
    return yardstick("Numbers", BENCH_DATABASE_URL=url, BENCH_STATEMENT=statement, BENCH_POOL=str(pool))


def _numbers_at_pool(url: str, statement: str, pool: int, seconds: int) -> int:
    with _numbers(url, statement, pool) as numbers:
        _join(f"{numbers.url}/", 1)
        return round(_join(f"{numbers.url}/", seconds).granted_per_second)


def _join(address: str, seconds: float) -> Load:
    json_body = {"Content-Type": "application/json"}
    return repeat(
        address,
        connections=CONNECTIONS_JOINING,
        seconds=seconds,
        method="POST",
        headers=json_body,
        body="{}",
    )


def _memory(
    console: Console, database_server: Postgres, seconds: int, many: int, over_http: int
) -> dict[str, Any]:
    """What a gate process holds with few and with many people waiting, after the same traffic."""
    url = make_database(database_server, "bench_memory")
    room_id, _ = asyncio.run(_make_memory_rooms(url))
    with web(url, kind="gate") as gate:
        time.sleep(2)
        # What the process needs for this many connections at once, it has from here on.
        for _ in range(2):
            _join(f"{gate.url}/gate/WARM/joins", seconds)
            _poll_from_many(gate, seconds)
        asyncio.run(_fill(url, room_id, FEW))
        few = _settled_memory(gate, seconds)
        while _joined(url, room_id) < over_http:
            _join(f"{gate.url}/gate/{CODE}/joins", seconds)
        joined_over_http = _joined(url, room_id) - FEW
        asyncio.run(_fill(url, room_id, many))
        gathered = _settled_memory(gate, seconds)
        asyncio.run(_start(url, room_id))
        drawn = _settled_memory(gate, seconds)
        waiting = _joined(url, room_id)
    growth = round(max(gathered, drawn) - few, 1)
    console.print(
        f"The gate process holds {few:.1f} MB with {FEW:,} people waiting, {gathered:.1f} MB with {waiting:,}, and"
        f" {drawn:.1f} MB after their draw: [bold]{growth:+.1f} MB[/]"
    )
    console.print(
        f"[dim]Unique set size. {joined_over_http:,} of the joins came over HTTP through this process, the others"
        f" through a join desk of another one; {CONNECTIONS_JOINING} connections polled before each reading."
    )
    return {
        "memory_growth_mb": growth,
        "with_few_mb": few,
        "with_many_mb": gathered,
        "with_many_drawn_mb": drawn,
        "few": FEW,
        "many": waiting,
        "joined_over_http": joined_over_http,
    }


async def _make_memory_rooms(url: str) -> tuple[UUID, UUID]:
    now = datetime.now(UTC)
    async with Database(url) as database:
        room_id = await make_room(database, now, "gathering", max_active=0)
        return room_id, await make_room(database, now, "gathering", max_active=0, code="WARM")


async def _start(url: str, room_id: UUID) -> None:
    async with Database(url) as database, transaction(database) as tx:
        await move_room(tx, ACTOR, room_id, "queueing", datetime.now(UTC))


async def _fill(url: str, room_id: UUID, until: int) -> None:
    """Have people join until there are so many."""
    async with Database(url) as database:
        desk = JoinDesk(database)
        missing = until - _joined(url, room_id)
        while missing > 0:
            size = min(missing, MAXIMUM_GROUP)
            await asyncio.gather(*(desk.join(room_id) for _ in range(size)))
            missing -= size


def _joined(url: str, room_id: UUID) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT joined FROM room_state WHERE room_id = %s", (room_id,)).fetchone()
    assert row is not None
    return int(row[0])


def _poll_from_many(gate: Web, seconds: float) -> None:
    repeat(f"{gate.url}/gate/{CODE}/room.json", connections=CONNECTIONS_JOINING, seconds=seconds)


def _settled_memory(gate: Web, seconds: float) -> float:
    """The gate process's own memory after many polled, in MB; the watch has read the room anew by then."""
    time.sleep(1.5)
    _poll_from_many(gate, seconds)
    time.sleep(1.5)
    return gate.memory_mb()[0]
