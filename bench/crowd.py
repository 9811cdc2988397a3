"""The visitors of a whole day: how they come, wait, enter, claim and go, and what became of them.

Visitors are coroutines that share a few hundred connections. Those near the front poll the gate themselves, as
often as the room's document says (in the scale of this short day); those far from it read the copy of one shared
poller, as they would a CDN's. Some reload, some never come, some leave without claiming, some just walk away,
some repeat a claim.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from bench.visitors import Answer, Client, Seen
from tearline.core import draw
from tests.rooms import CODE

NEAR = 1_000
"""With fewer people ahead a visitor polls the gate itself."""
POLL_SCALE = 0.25
"""Pauses between polls are shorter by this: a session that lasts half an hour lasts seconds here."""
JITTER = 0.2
TRIES = 5

LATE, NO_SHOW, LEAVES, WALKS_AWAY = 0.05, 0.05, 0.03, 0.01
RELOADS, REPEATS, SIGNED_IN_AT_THE_DOOR = 0.05, 0.02, 0.5

TIME_UP = "time inside was up"
SERVED = frozenset({"claimed", "sold out, told by the document", "sold out, told at the claim", "no-show"})
"""Ends of a visit where nobody was lost; those who got in and did not claim are the other three."""
CAME_AND_WENT = frozenset({"left without claiming", "walked away", TIME_UP})


@dataclass(frozen=True)
class Day:
    """How large a day, and how long people stay inside, in seconds."""

    visitors: int
    stock: int
    inside: int
    gather_seconds: float
    stay: tuple[float, float]
    connections: int = 256


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
    entrance: Client
    poller: Client
    door: Client
    """These three are of the gate. Nobody's exchange waits behind another's join, as each has a browser."""
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
        answer = await self.poller.ask(what, "GET", f"/gate/{CODE}/room.json", headers)
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

    async def visit(self, after_seconds: float) -> None:
        """Come after a while, and be done one way or another."""
        await asyncio.sleep(after_seconds)
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
        claimed = "left without claiming"
        if fate >= WALKS_AWAY + LEAVES:
            claimed = await self._claim(held)
        if claimed != "claimed":
            # Whoever claims has left by that.
            bearer = {"authorization": f"Bearer {held}"}
            await self._post(crowd.door, "departure", f"/gate/{CODE}/departures", bearer, {}, (204, 403))
        return claimed

    async def _join(self) -> tuple[str, int]:
        crowd, path = self._crowd, f"/gate/{CODE}/joins"
        answer = await self._post(crowd.entrance, "join", path, {}, {}, (200,))
        joined = json.loads(answer.body)
        ticket, number = str(joined["ticket"]), int(joined["number"])
        crowd.numbers.add(number)
        if random.random() < RELOADS:
            bearer = {"authorization": f"Bearer {ticket}"}
            again = await self._post(crowd.entrance, "reload", path, bearer, {}, (200,))
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
                crowd.door,
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

    async def _claim(self, held: str) -> str:
        crowd = self._crowd
        headers = {**self._member, "tearline-pass": held, "idempotency-key": self._name}
        path, body = "/api/v1/campaigns/WINTER-1/claims", {"password": "PASSWORD0"}
        answer = await self._post(crowd.shop, "claim", path, headers, body, (201, 200, 403, 409))
        content = json.loads(answer.body)
        if answer.status in (403, 409):
            refusals = {"sold_out": "sold out, told at the claim", "pass_ended": TIME_UP}
            return refusals[content["reason"]]
        crowd.claims.add(UUID(content["claim_id"]))
        if random.random() < REPEATS:
            again = await self._post(crowd.shop, "repeated claim", path, headers, body, (200,))
            crowd.changed_claims += json.loads(again.body)["claim_id"] != content["claim_id"]
        return "claimed"

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
                reason = json.loads(answer.body).get("reason")
                self._crowd.unexpected[f"{what}: {answer.status} {reason}"] += 1
                raise LookupError(f"{what}: {reason}")
        raise LookupError(f"{what}: no answer")
