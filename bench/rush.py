"""The whole day: a crowd gathers, is drawn into a line, let in by its turn, claims, and leaves, until all is gone.

Everything goes over HTTP to a gate process and a web process as they are shipped.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from bench.claims import prepare
from bench.crowd import CAME_AND_WENT, LATE, NEAR, POLL_SCALE, SERVED, Crowd, Day, Visitor
from bench.installation import Postgres, Web, make_database, web
from bench.visitors import Client, Seen
from tearline.core.admission import door_limit
from tearline.db import Database, transaction
from tearline.insight.audit import run_audit
from tearline.waitingroom.actions import move_room
from tests.rooms import ACTOR, make_room
from tests.worlds import World

GRACE_SECONDS = 60
"""A quarter of the usual time to come in, as the polls are four times as frequent."""
SESSION_SECONDS = 30
_POLLERS = 64

FULL = Day(visitors=100_000, stock=50_000, inside=2_000, gather_seconds=40, stay=(4.0, 8.0))
QUICK = Day(visitors=400, stock=200, inside=100, gather_seconds=2, stay=(0.2, 0.6), connections=32)


def rush(console: Console, database_server: Postgres, *, quick: bool) -> dict[str, Any]:
    """Let a day happen, look at the books afterwards, print, and return the figures."""
    day = QUICK if quick else FULL
    url = make_database(database_server, "bench_rush")
    world, tokens = prepare(
        url, day.visitors, inventories=(day.stock,), bundle=(1,), campaign={"limit_per_member": 1}
    )
    room_id = asyncio.run(_make_room(url, world, day))
    gc.collect()
    gc.disable()  # a hundred thousand visitors are walked through again and again otherwise
    try:
        with web(url) as shop, web(url, kind="gate") as gate, console.status("gathering") as status:
            crowd, samples, opened_at = uvloop.run(_live(url, day, room_id, tokens, gate, shop, status))
            memory = {"gate": gate.memory_mb()[0], "web": shop.memory_mb()[0]}
    finally:
        gc.enable()
    books = _books(url, crowd)
    audit = asyncio.run(_audit(url))
    figures = _figures(day, crowd, samples, books, audit, opened_at)
    figures["memory_mb"] = memory
    _show(console, day, crowd, figures)
    return figures


async def _make_room(url: str, world: World, day: Day) -> UUID:
    async with Database(url) as database:
        return await make_room(
            database,
            datetime.now(UTC),
            max_active=day.inside,
            session_seconds=SESSION_SECONDS,
            grace_seconds=GRACE_SECONDS,
            claim_ends_session=True,
            campaign_ids=[world.campaign_id],
        )


async def _live(
    url: str, day: Day, room_id: UUID, tokens: Sequence[str], gate: Web, shop: Web, status: Any
) -> tuple[Crowd, list[tuple[float, int, int, int]], float]:
    seen = Seen()
    clients = [
        Client(url, connections, seen)
        for url, connections in (
            (gate.url, day.connections),
            (gate.url, _POLLERS),
            (gate.url, day.connections),
            (shop.url, day.connections),
        )
    ]
    for client in clients:
        await client.open()
    crowd = Crowd(day, *clients, seen, tokens)
    samples: list[tuple[float, int, int, int]] = []
    async with Database(url) as database:

        async def move(state: str) -> None:
            async with transaction(database) as tx:
                await move_room(tx, ACTOR, room_id, state, datetime.now(UTC))

        await move("gathering")
        opened_at = time.time()
        chores = [
            asyncio.create_task(crowd.share_polls()),
            asyncio.create_task(_watch(url, room_id, crowd, samples, status)),
        ]
        late = round(day.visitors * LATE)
        early = [
            asyncio.create_task(Visitor(crowd, number).visit(day.gather_seconds * random.random()))
            for number in range(late, day.visitors)
        ]
        # The start is when all these have their tickets, so that a slow machine holds the same day.
        while len(crowd.numbers) + crowd.ends.total() < len(early) and not any(one.done() for one in chores):
            await asyncio.sleep(0.1)
        await move("queueing")
        visits = early + [
            asyncio.create_task(Visitor(crowd, number).visit(day.gather_seconds * random.random() / 2))
            for number in range(late)
        ]
        everybody = asyncio.ensure_future(asyncio.gather(*visits))
        await asyncio.wait([everybody, *chores], return_when=asyncio.FIRST_COMPLETED)
        for task in (everybody, *chores):
            if task.done():
                # A chore ends only by failing, and then the day has not been watched.
                await task
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        for client in clients:
            client.close()
    return crowd, samples, opened_at


async def _watch(
    url: str, room_id: UUID, crowd: Crowd, samples: list[tuple[float, int, int, int]], status: Any
) -> None:
    """Four times a second: when, how many are inside and at the door, what is left."""
    statement = "SELECT inside, at_door, coalesce(stock_left, -1), called FROM room_state WHERE room_id = %s"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            row = await (await connection.execute(statement, (room_id,))).fetchone()
            assert row is not None
            inside, at_door, left, called = row
            samples.append((time.time(), inside, at_door, left))
            status.update(
                f"{len(crowd.numbers):,} came · {called:,} called · {inside:,} inside · {left:,} left"
                f" · {crowd.ends.total():,} done"
            )
            for client in (crowd.entrance, crowd.poller, crowd.door, crowd.shop):
                client.give_up_the_overdue()
            await asyncio.sleep(0.25)


# Who leaves at the moment at which another enters was inside before.
_MOST_INSIDE = """
SELECT coalesce(max(inside), 0) FROM (
    SELECT sum(step) OVER (ORDER BY at, step ROWS UNBOUNDED PRECEDING) AS inside FROM (
        SELECT entered_at AS at, 1 AS step FROM room_entry WHERE entered_at IS NOT NULL
        UNION ALL
        SELECT ended_at, -1 FROM room_entry WHERE entered_at IS NOT NULL AND ended_at IS NOT NULL) AS steps
) AS counted
"""


def _books(url: str, crowd: Crowd) -> dict[str, Any]:
    """What the database has of the day, beside what the visitors were told."""
    with psycopg.connect(url) as connection:
        claims = connection.execute(
            "SELECT id, member_id, extract(epoch FROM claimed_at) FROM claim"
        ).fetchall()
        coupons = connection.execute("SELECT count(*), count(DISTINCT code) FROM coupon").fetchone()
        room = connection.execute(
            "SELECT joined, entered, no_shows, extract(epoch FROM started_at) FROM room_state"
        ).fetchone()
        most_inside = connection.execute(_MOST_INSIDE).fetchone()
    assert coupons is not None and room is not None and most_inside is not None
    written = {row[0] for row in claims}
    return {
        "claims": len(claims),
        "claiming_members": len({row[1] for row in claims}),
        "coupons": coupons[0],
        "codes": coupons[1],
        "claims_told_but_not_written": len(crowd.claims - written),
        "claims_written_but_not_told": len(written - crowd.claims),
        "last_claim_at": float(max((row[2] for row in claims), default=0)),
        "joined": room[0],
        "entered": room[1],
        "no_shows": room[2],
        "started_at": float(room[3]),
        "most_inside": int(most_inside[0]),
    }


async def _audit(url: str) -> int:
    async with Database(url) as database, database.connection() as connection:
        return sum(finding.breaches for finding in await run_audit(connection))


def _figures(
    day: Day,
    crowd: Crowd,
    samples: list[tuple[float, int, int, int]],
    books: dict[str, Any],
    audit_breaches: int,
    opened_at: float,
) -> dict[str, Any]:
    # Until the last coupons were in the hands of those inside, there were always enough who waited.
    steady = [
        inside for at, inside, _, left in samples if at > books["started_at"] + 10 and left > day.inside
    ]
    most_inside = max(books["most_inside"], *(inside for _, inside, _, _ in samples))
    lost = day.visitors - sum(crowd.ends[end] for end in SERVED | CAME_AND_WENT)
    lost += books["claims_told_but_not_written"] + books["claims_written_but_not_told"]
    lost += crowd.changed_tickets + crowd.changed_claims + day.visitors - len(crowd.numbers)
    oversold = max(0, books["claims"] - day.stock, books["coupons"] - day.stock) + audit_breaches
    oversold += books["coupons"] - books["codes"] + books["claims"] - books["claiming_members"]
    oversold += max(0, most_inside - door_limit(day.inside))
    seen = crowd.seen
    return {
        "visitors": day.visitors,
        "stock": day.stock,
        "max_active": day.inside,
        "rush_seconds": round(books["last_claim_at"] - opened_at, 1),
        "from_start_to_sold_out_seconds": round(books["last_claim_at"] - books["started_at"], 1),
        "rush_lost": lost,
        "rush_errors": seen.errors.total() + crowd.unexpected.total(),
        "rush_oversold": oversold,
        "errors": {**seen.errors, **crowd.unexpected},
        "ends": dict(crowd.ends.most_common()),
        "books": {**books, "audit_breaches": audit_breaches},
        "most_inside": most_inside,
        "door_limit": door_limit(day.inside),
        "utilisation": round(sum(steady) / len(steady) / day.inside, 3) if steady else None,
        "answers": {what: len(seconds) for what, seconds in seen.seconds.items()},
        "p50_ms": {what: seen.milliseconds(what, 0.5) for what in seen.seconds},
        "p99_ms": {what: seen.milliseconds(what, 0.99) for what in seen.seconds},
    }


def _show(console: Console, day: Day, crowd: Crowd, figures: dict[str, Any]) -> None:
    table = Table(
        title=f"a day: {day.visitors:,} visitors, {day.stock:,} coupons, {day.inside:,} inside at a time"
    )
    for column in ("what", "answers", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, answers in figures["answers"].items():
        table.add_row(
            what, f"{answers:,}", f"{figures['p50_ms'][what]:.1f}", f"{figures['p99_ms'][what]:.1f}"
        )
    console.print(table)
    for end, count in figures["ends"].items():
        console.print(f"  {count:>7,} {end}", highlight=False)
    for error, count in figures["errors"].items():
        console.print(f"  [red]{count:>7,} {error}", highlight=False)
    used = figures["utilisation"]
    console.print(
        f"Sold out [bold]{figures['rush_seconds']:.0f} s[/] after gathering began,"
        f" {figures['from_start_to_sold_out_seconds']:.0f} s after the start;"
        f" never more than {figures['most_inside']:,} inside (limit {figures['door_limit']:,}),"
        f" {'–' if used is None else f'{used:.1%}'} of the places used while people waited."
    )
    console.print(
        f"[dim]{day.connections} connections each for joins, for the door and for claims stand for all visitors."
        f" Whoever has {NEAR:,} or more ahead reads one shared poller's copy, as a CDN's; pauses between polls are"
        f" {POLL_SCALE:g} of what the document says; somebody who comes stays {day.stay[0]:g} to {day.stay[1]:g} s."
    )
