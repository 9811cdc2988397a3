"""Joins, exchanges and departures that race: over several desks with connections of their own.

Each rule is run twice: with the room's lock it must hold, and without it (the negative control) the same storm
must break it, which shows that the test can fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from tearline.core import draw
from tearline.core.admission import door_limit
from tearline.core.refusal import Refusal
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.waitingroom import door_sql, doordesk
from tearline.waitingroom.doordesk import DoorDesk
from tearline.waitingroom.joins import JoinDesk
from tearline.waitingroom.tokens import Pass, Ticket
from tests.rooms import START, Hall, make_room

pytestmark = pytest.mark.anyio

DESKS = 4
STORM = 64


@asynccontextmanager
async def doors(url: str) -> AsyncIterator[list[DoorDesk]]:
    """Several doors that share nothing but the database, as those of several processes do."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(Database(url, hot_pool_size=2)) for _ in range(DESKS)]
        for database in databases:
            await database.hot_pool()
        yield [DoorDesk(database, clock=lambda: START, maximum_batch=4) for database in databases]


async def called_hall(database: Database, tickets: int, max_active: int) -> tuple[Hall, list[Ticket]]:
    """A room in which every ticket has been called, however many may be inside."""
    hall = Hall(database, await make_room(database, START, "queueing", max_active=1))
    made = await hall.join(tickets)
    await hall.tick()
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE room_call SET size = :size"), {"size": tickets})
        await tx.execute(text("UPDATE room_state SET called = :size"), {"size": tickets})
        await tx.execute(text("UPDATE room SET max_active = :most"), {"most": max_active})
    return hall, made


@pytest.fixture(params=[True, False], ids=["locked", "control"])
def is_locked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the door takes the room's lock. Either way it lingers between reading and writing."""
    load = doordesk._load_entries

    async def lingering(*arguments: Any) -> Any:
        entries = await load(*arguments)
        await asyncio.sleep(0.01)
        return entries

    monkeypatch.setattr(doordesk, "_load_entries", lingering)
    if not request.param:
        monkeypatch.setattr(door_sql, "LOCK", door_sql.LOCK.replace("FOR NO KEY UPDATE", ""))
    return bool(request.param)


async def is_clean(database: Database) -> bool:
    async with database.connection() as connection:
        return not [finding for finding in await run_audit(connection) if finding.breaches]


async def test_no_more_enter_than_there_is_room_for(
    database: Database, database_url: str, is_locked: bool
) -> None:
    _hall, tickets = await called_hall(database, STORM, max_active=10)
    async with doors(database_url) as made:
        outcomes = await asyncio.gather(
            *(made[n % DESKS].exchange(ticket, f"key-{n}", None) for n, ticket in enumerate(tickets)),
            return_exceptions=True,
        )
    inside = sum(isinstance(outcome, Pass) for outcome in outcomes)
    if is_locked:
        assert inside == door_limit(10)
        assert await is_clean(database)
    else:
        assert inside > door_limit(10) or not await is_clean(database)


async def test_a_ticket_exchanged_64_times_gives_one_pass(
    database: Database, database_url: str, is_locked: bool
) -> None:
    hall, (ticket, *_) = await called_hall(database, 4, max_active=100)
    async with doors(database_url) as made:
        outcomes = await asyncio.gather(
            *(made[n % DESKS].exchange(ticket, f"browser-{n}", None) for n in range(STORM)),
            return_exceptions=True,
        )
    passes = [outcome for outcome in outcomes if isinstance(outcome, Pass)]
    if is_locked:
        assert len(passes) == 1
        assert (await hall.state()).inside == 1
    else:
        assert len(passes) > 1 or not await is_clean(database)


async def test_a_pass_serves_one_member(database: Database, database_url: str, is_locked: bool) -> None:
    _hall, (ticket, *_) = await called_hall(database, 4, max_active=100)
    async with doors(database_url) as made:
        held = await made[0].exchange(ticket, "browser", None)
        outcomes = await asyncio.gather(
            *(made[n % DESKS].bind(held, new_id()) for n in range(STORM)), return_exceptions=True
        )
    served = sum(isinstance(outcome, Pass) for outcome in outcomes)
    assert served == 1 if is_locked else served > 1


async def test_leaving_often_frees_one_place(database: Database, database_url: str, is_locked: bool) -> None:
    hall, tickets = await called_hall(database, 4, max_active=100)
    async with doors(database_url) as made:
        held = [await made[0].exchange(ticket, f"k{n}", None) for n, ticket in enumerate(tickets)]
        await asyncio.gather(
            *(made[n % DESKS].leave(held[n % 2]) for n in range(STORM)), return_exceptions=True
        )
    if is_locked:
        assert (await hall.state()).inside == 2
        assert await is_clean(database)
    else:
        assert (await hall.state()).inside != 2 or not await is_clean(database)


async def test_every_visitor_gets_a_number_of_their_own(database: Database, database_url: str) -> None:
    hall = Hall(database, await make_room(database, START, "gathering"))
    async with AsyncExitStack() as stack:
        desks = [
            JoinDesk(await stack.enter_async_context(Database(database_url, hot_pool_size=2)))
            for _ in range(DESKS)
        ]
        tickets = await asyncio.gather(*(desks[n % DESKS].join(hall.room_id) for n in range(1_000)))
    assert sorted(ticket.number for ticket in tickets) == list(range(1_000))
    assert (await hall.state()).joined == 1_000


async def test_the_start_divides_those_who_gathered_from_those_who_came_later(
    database: Database, database_url: str
) -> None:
    """Nobody who was told to wait for the draw is left out of it, and nobody who came after it is in it."""
    hall = Hall(database, await make_room(database, START, "gathering"))
    tickets: list[Ticket] = []
    some_have_joined = asyncio.Event()

    async def visitors(desk: JoinDesk) -> None:
        for _ in range(40):
            tickets.append(await desk.join(hall.room_id))
            if len(tickets) == 400:
                some_have_joined.set()

    async with AsyncExitStack() as stack:
        desks = [
            JoinDesk(await stack.enter_async_context(Database(database_url, hot_pool_size=2)))
            for _ in range(DESKS)
        ]
        joining = asyncio.gather(*(visitors(desks[n % DESKS]) for n in range(50)))
        await some_have_joined.wait()
        await hall.move("queueing")
        await joining
    state = await hall.state()
    assert 0 < state.gathered < state.joined == 2_000
    places = [_place(state, ticket.number) for ticket in tickets]
    assert sorted(places) == list(range(2_000))


def _place(state: object, number: int) -> int:

    gathered, seed = state.gathered, state.seed  # type: ignore[attr-defined]
    return draw.place(seed, number, gathered) if number < gathered else number


async def test_the_dial_turned_in_a_rush_is_kept(database: Database, database_url: str) -> None:
    hall, tickets = await called_hall(database, STORM, max_active=40)
    async with doors(database_url) as made:

        async def turn() -> None:
            async with transaction(database) as tx:
                await tx.execute(text("UPDATE room SET max_active = 20"))

        outcomes = await asyncio.gather(
            *(made[n % DESKS].exchange(ticket, f"key-{n}", None) for n, ticket in enumerate(tickets)),
            turn(),
            return_exceptions=True,
        )
    inside = sum(isinstance(outcome, Pass) for outcome in outcomes)
    assert inside <= door_limit(40)
    assert (await hall.state()).inside == inside
    assert all(outcome is None or isinstance(outcome, Pass | Refusal) for outcome in outcomes)
    assert await is_clean(database)
