"""The whole day: a crowd gathers, is drawn into a line, let in by its turn, claims, and leaves, until all is gone.

Everything goes over HTTP to a gate process and a web process as they are shipped. Visitors are coroutines that
share a few hundred connections. Those near the front poll the gate themselves, as often as the room's document
says (in the scale of this short day); those far from it read the copy of one shared poller, as they would a
CDN's. Some reload, some never come, some leave without claiming, some just walk away, some repeat a claim.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from bench.claims import prepare
from bench.installation import Postgres, Web, make_database, web
from bench.visitors import Answer, Client, Seen
from tearline.core import draw
from tearline.core.admission import door_limit
from tearline.db import Database, transaction
from tearline.insight.audit import run_audit
from tearline.waitingroom.actions import move_room
from tests.rooms import ACTOR, CODE, make_room
from tests.worlds import World

NEAR = 1_000
"""With fewer people ahead a visitor polls the gate itself."""
POLL_SCALE = 0.25
"""Pauses between polls are shorter by this: a session that lasts half an hour lasts seconds here."""
JITTER = 0.2
GRACE_SECONDS = 15
SESSION_SECONDS = 30
TRIES = 5

LATE, NO_SHOW, LEAVES, WALKS_AWAY = 0.05, 0.05, 0.03, 0.01
RELOADS, REPEATS, SIGNED_IN_AT_THE_DOOR = 0.05, 0.02, 0.5

SERVED = frozenset({"claimed", "sold out, told by the document", "sold out, told at the claim", "no-show"})
"""Ends of a visit where nobody was lost; those who got in and did not claim are the other two."""
CAME_AND_WENT = frozenset({"left without claiming", "walked away"})


@dataclass(frozen=True)
class Day:
    """How large a day, and how long people stay inside, in seconds."""

    visitors: int
    stock: int
    inside: int
    gather_seconds: float
    stay: tuple[float, float]
    connections: int = 256


FULL = Day(visitors=100_000, stock=50_000, inside=2_000, gather_seconds=40, stay=(1.0, 3.0))
QUICK = Day(visitors=1_000, stock=500, inside=100, gather_seconds=2, stay=(0.2, 0.6), connections=32)


class Stock(msgspec.Struct):
    """What is left, as the room's document has it."""

    left: int


class Drawn(msgspec.Struct):
    """The draw, as the room's document has it."""

    seed: str | None


class Room(msgspec.Struct):
    """What a visitor reads of the room's document."""

    state: str
    round: int
    gathered: int
    called: int
    lapsed: int
    stock: Stock | None
    draw: Drawn
    polls: list[tuple[int | None, int]]

    @property
    def is_sold_out(self) -> bool:
        """Whether the document says that nothing is left."""
        return self.stock is not None and self.stock.left == 0

    def pause(self, place: int) -> float:
        """Seconds until the next poll of somebody at this place."""
        ahead = place - self.called
        usual = next(seconds for fewer, seconds in self.polls if fewer is None or ahead < fewer)
        return usual * POLL_SCALE * random.uniform(1 - JITTER, 1 + JITTER)


_read_room = msgspec.json.Decoder(Room).decode


@dataclass
class Crowd:
    """What all visitors of a day share, and what became of them."""

    day: Day
    gate: Client
    shop: Client
    seen: Seen
    tokens: Sequence[str]
    ends: Counter[str] = field(default_factory=Counter)
    numbers: set[int] = field(default_factory=set)
    changed_tickets: int = 0
    claims: set[UUID] = field(default_factory=set)
    changed_claims: int = 0
    unexpected: Counter[str] = field(default_factory=Counter)
    room: Room | None = None
    etag: bytes = b""
    has_started: asyncio.Event = field(default_factory=asyncio.Event)
    far: list[tuple[int, int, asyncio.Event]] = field(default_factory=list)

    async def share_polls(self) -> None:
        """Keep the shared copy fresh: one poll a second, as its Cache-Control allows. Tells those it concerns."""
        while True:
            room = await self.poll("shared poll")
            if room.draw.seed is not None:
                self.has_started.set()
            while self.far and (self.far[0][0] < room.called + NEAR or room.is_sold_out):
                heapq.heappop(self.far)[2].set()
            await asyncio.sleep(1)

    async def poll(self, what: str = "poll") -> Room:
        """The room's document, asked of the gate."""
        headers = {"if-none-match": self.etag.decode()} if self.etag else {}
        answer = await self.gate.ask(what, "GET", f"/gate/{CODE}/room.json", headers)
        if answer is not None and answer.status == 200:
            self.room, self.etag = _read_room(answer.body), answer.etag
        assert self.room is not None, "the room's document is not to be had"
        return self.room

    async def come_near(self, place: int) -> Room:
        """Wait, by the shared copy, until few are ahead or nothing is left; then until the next poll is due."""
        assert self.room is not None
        if place >= self.room.called + NEAR and not self.room.is_sold_out:
            told = asyncio.Event()
            heapq.heappush(self.far, (place, id(told), told))
            await told.wait()
        await asyncio.sleep(random.random() * self.room.pause(place))
        return self.room


class Visitor:
    """One visitor's day."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._name = f"visitor-{number}"
        self._member = {"authorization": f"Bearer {crowd.tokens[number]}"}

    async def visit(self, arrives_at: float, starts_at: float) -> None:
        """Come, and be done one way or another."""
        await asyncio.sleep(max(0.0, arrives_at - time.monotonic()))
        try:
            end = await self._visit()
        except Exception as error:
            end = f"lost: {error!r}"
        self._crowd.ends[end] += 1

    async def _visit(self) -> str:
        crowd = self._crowd
        ticket, number = await self._join()
        await crowd.has_started.wait()
        assert crowd.room is not None
        if random.random() < NO_SHOW:
            return "no-show"
        await asyncio.sleep(random.random() * crowd.room.pause(10**9))
        room, place = crowd.room, number
        assert room.draw.seed is not None
        if number < room.gathered:
            place = draw.place(bytes.fromhex(room.draw.seed), number, room.gathered)
        room = await crowd.come_near(place)
        while place >= room.called:
            if room.is_sold_out:
                return "sold out, told by the document"
            await asyncio.sleep(room.pause(place))
            room = await crowd.poll()
        held = await self._enter(ticket)
        if held is None:
            return "sold out, told by the document"
        await asyncio.sleep(random.uniform(*crowd.day.stay))
        fate = random.random()
        if fate < WALKS_AWAY:
            return "walked away"
        is_claimed = fate >= WALKS_AWAY + LEAVES and await self._claim(held)
        if not is_claimed:
            bearer = {"authorization": f"Bearer {held}"}
            await self._post(crowd.gate, "departure", f"/gate/{CODE}/departures", bearer, {}, (204,))
        if fate < WALKS_AWAY + LEAVES:
            return "left without claiming"
        return "claimed" if is_claimed else "sold out, told at the claim"

    async def _join(self) -> tuple[str, int]:
        crowd, path = self._crowd, f"/gate/{CODE}/joins"
        answer = await self._post(crowd.gate, "join", path, {}, {}, (200,))
        joined = json.loads(answer.body)
        ticket, number = str(joined["ticket"]), int(joined["number"])
        crowd.numbers.add(number)
        if random.random() < RELOADS:
            bearer = {"authorization": f"Bearer {ticket}"}
            again = await self._post(crowd.gate, "reload", path, bearer, {}, (200,))
            crowd.changed_tickets += json.loads(again.body)["number"] != number
        return ticket, number

    async def _enter(self, ticket: str) -> str | None:
        """The pass; None when everything is gone before there was room."""
        crowd = self._crowd
        headers = {"authorization": f"Bearer {ticket}"}
        if random.random() < SIGNED_IN_AT_THE_DOOR:
            headers["tearline-member"] = self._member["authorization"]
        while True:
            answer = await self._post(
                crowd.gate,
                "exchange",
                f"/gate/{CODE}/passes",
                headers,
                {"exchange_key": self._name},
                (200, 409),
            )
            content = json.loads(answer.body)
            if answer.status == 200:
                return str(content["pass"])
            if content["reason"] != "room_full":
                raise LookupError(content["reason"])
            if crowd.room is not None and crowd.room.is_sold_out:
                return None
            await asyncio.sleep(content["retry_after_seconds"])

    async def _claim(self, held: str) -> bool:
        crowd = self._crowd
        headers = {**self._member, "tearline-pass": held, "idempotency-key": self._name}
        path, body = "/api/v1/campaigns/WINTER-1/claims", {"password": "PASSWORD0"}
        answer = await self._post(crowd.shop, "claim", path, headers, body, (201, 200, 409))
        content = json.loads(answer.body)
        if answer.status == 409:
            if content["reason"] != "sold_out":
                raise LookupError(content["reason"])
            return False
        crowd.claims.add(UUID(content["claim_id"]))
        if random.random() < REPEATS:
            again = await self._post(crowd.shop, "repeated claim", path, headers, body, (200,))
            crowd.changed_claims += json.loads(again.body)["claim_id"] != content["claim_id"]
        return True

    async def _post(
        self,
        client: Client,
        what: str,
        path: str,
        headers: dict[str, str],
        body: Any,
        expected: tuple[int, ...],
    ) -> Answer:
        """An expected answer, asked for again after an error, as any client would."""
        for attempt in range(TRIES):
            answer = await client.ask(what, "POST", path, headers, msgspec.json.encode(body))
            if answer is None:
                await asyncio.sleep(1 + attempt)
            elif answer.status in expected:
                return answer
            else:
                self._crowd.unexpected[f"{what}: {answer.status}"] += 1
                raise LookupError(f"{what}: {answer.status} {answer.body[:200]!r}")
        raise LookupError(f"{what}: no answer")


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
    clients = Client(gate.url, day.connections, seen), Client(shop.url, day.connections, seen)
    for client in clients:
        await client.open()
    crowd = Crowd(day, *clients, seen, tokens)
    samples: list[tuple[float, int, int, int]] = []
    async with Database(url) as database:

        async def move(state: str) -> None:
            async with transaction(database) as tx:
                await move_room(tx, ACTOR, room_id, state, datetime.now(UTC))

        await move("gathering")
        opened_at, began = time.time(), time.monotonic()
        starts_at = began + day.gather_seconds
        chores = [
            asyncio.create_task(crowd.share_polls()),
            asyncio.create_task(_watch(url, room_id, crowd, samples, status)),
        ]
        visits = [
            asyncio.create_task(Visitor(crowd, number).visit(_arrival(day, began), starts_at))
            for number in range(day.visitors)
        ]
        await asyncio.sleep(starts_at - time.monotonic())
        await move("queueing")
        await asyncio.wait(visits)
        for chore in chores:
            chore.cancel()
        for outcome in await asyncio.gather(*chores, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                raise RuntimeError("the day was not watched to its end") from outcome
        for client in clients:
            client.close()
    return crowd, samples, opened_at


def _arrival(day: Day, began: float) -> float:
    """Most come while the room gathers, a few after the start."""
    if random.random() < LATE:
        return began + day.gather_seconds * random.uniform(1.0, 1.5)
    return began + day.gather_seconds * random.random()


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
            for client in (crowd.gate, crowd.shop):
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
    most_inside = max(books["most_inside"], max(inside for _, inside, _, _ in samples))
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
        f"[dim]{day.connections} connections to the gate and as many to the web process stand for all visitors."
        f" Whoever has {NEAR:,} or more ahead reads one shared poller's copy, as a CDN's; pauses between polls are"
        f" {POLL_SCALE:g} of what the document says; somebody who comes stays {day.stay[0]:g} to {day.stay[1]:g} s."
    )
