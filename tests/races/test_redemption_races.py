"""Races at the counter, with real commits over two desks, each with a negative control.

A negative control runs the same race against a variant that is broken on purpose (it looks first and locks
later, or lacks a constraint) and shows that the race would have been lost: a test that can't fail proves
nothing. The desks wait for each other at the worst moment, so that the race takes place every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.coupons import actions
from tearline.coupons import desk_sql as sql
from tearline.coupons.counter import CounterAnswer, CounterRequest, Loaded
from tearline.coupons.desk import RedemptionDesk
from tearline.coupons.desk_batch import load
from tearline.coupons.model import Coupon, CouponHold, Redemption, Reversal
from tearline.db import Database, new_id, transaction
from tearline.db.engine import HotConnection
from tearline.insight.audit import run_audit
from tests.counters import Issued, desk, person, till, world_with_coupons
from tests.worlds import World

pytestmark = pytest.mark.anyio

OPERATOR = Actor("staff", new_id(), "Olga", PERMISSIONS["owner"])
MEETING_SECONDS = 0.5
"""How long one desk waits for the other: a desk that is kept out by a lock never comes."""


class RacingDesk(RedemptionDesk):
    """The desk, with places where two of them wait for each other, so that the race is always a close one."""

    coupons_statement = sql.LOCK_COUPONS
    meets_before_reading = False
    meets_before_writing = False
    meeting: asyncio.Barrier

    async def _load(self, connection: HotConnection, batch: Sequence[CounterRequest]) -> Loaded:
        if self.meets_before_reading:
            await self._meet()
        loaded = await load(connection, batch, self._offers, coupons_statement=self.coupons_statement)
        if self.meets_before_writing:
            await self._meet()
        return loaded

    async def _meet(self) -> None:
        with suppress(TimeoutError, asyncio.BrokenBarrierError):
            async with asyncio.timeout(MEETING_SECONDS):
                await self.meeting.wait()


class SlowDesk(RacingDesk):
    """The desk as it is, but that a moment passes between finding a coupon and locking it."""

    meets_before_reading = True
    coupons_statement = sql.LOCK_COUPONS.replace(
        ") AS asked\n",
        ") AS asked CROSS JOIN LATERAL (SELECT pg_sleep(0.05), asked.member_id AS of) AS pause\n",
    )


class LingeringDesk(RacingDesk):
    """The desk as it is, but that both have read before either writes, unless a lock keeps one out."""

    meets_before_writing = True


class UnlockedDesk(LingeringDesk):
    """Broken on purpose: it looks first and writes later, without a lock."""

    coupons_statement = sql.READ_COUPONS


@pytest.fixture
async def second_database(database_url: str) -> AsyncIterator[Database]:
    """The same database, as another process would open it."""
    async with Database(database_url) as handle:
        yield handle


Databases = tuple[Database, Database]


@pytest.fixture
async def both(database: Database, second_database: Database) -> Databases:
    """The handles of two processes on one database, their connections made, so that a race starts evenly."""
    for handle in (database, second_database):
        await (await handle.hot_pool()).wait()
        async with handle.connection() as connection:
            await connection.execute(text("SELECT 1"))
    return database, second_database


def desks(both: Databases, *kinds: type[RacingDesk], **values: Any) -> list[RedemptionDesk]:
    """Two desks that meet: of one kind, or of two."""
    meeting = asyncio.Barrier(2)
    made = []
    for handle, kind in zip(both, kinds * 2, strict=False):
        made.append(desk(handle, kind=kind, **values))
        made[-1].meeting = meeting
    return made


async def outcomes(waiting: Sequence[Awaitable[CounterAnswer]]) -> tuple[list[CounterAnswer], list[str]]:
    """The answers and the reasons of the refusals; any other error fails the test."""
    answers: list[CounterAnswer] = []
    reasons: list[str] = []
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(outcome, Refusal):
            reasons.append(outcome.reason)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            answers.append(outcome)
    return answers, reasons


async def count(database: Database, table: Any) -> int:
    async with database.connection() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def is_clean(database: Database) -> bool:
    async with database.connection() as connection:
        return not any(finding.breaches for finding in await run_audit(connection))


async def execute(database: Database, statement: str) -> None:
    async with transaction(database) as tx:
        await tx.execute(text(statement))


# One coupon, 64 tills


async def sixty_four_tills(both: Databases, kind: type[RacingDesk]) -> tuple[list[CounterAnswer], list[str]]:
    world, coupons = await world_with_coupons(both[0])
    pair = desks(both, kind)
    return await outcomes(
        [
            pair[number % 2].redeem(
                till(world), world.store_id, f"till-{number}", way="till", text=coupons[0].code
            )
            for number in range(64)
        ]
    )


@pytest.mark.parametrize("kind", [RacingDesk, SlowDesk, LingeringDesk])
async def test_one_coupon_is_redeemed_once_by_64_tills(both: Databases, kind: type[RacingDesk]) -> None:
    answers, reasons = await sixty_four_tills(both, kind)
    assert len(answers) == 1
    assert reasons == ["already_redeemed"] * 63
    assert await count(both[0], Redemption.__table__) == 1
    assert await is_clean(both[0])


async def test_control_without_the_lock_it_is_redeemed_twice(both: Databases) -> None:
    answers, _reasons = await sixty_four_tills(both, UnlockedDesk)
    assert len(answers) == 2
    assert not await is_clean(both[0])


# The same request number


async def one_number(both: Databases, kind: type[RacingDesk]) -> list[CounterAnswer]:
    world, coupons = await world_with_coupons(both[0])
    pair, actor = desks(both, kind), till(world)
    answers, reasons = await outcomes(
        [
            pair[number % 2].redeem(actor, world.store_id, "7", way="till", text=coupons[0].code)
            for number in range(16)
        ]
    )
    assert reasons == []
    return answers


@pytest.mark.parametrize("kind", [RacingDesk, SlowDesk, LingeringDesk])
async def test_the_same_number_in_parallel_has_one_effect(both: Databases, kind: type[RacingDesk]) -> None:
    answers = await one_number(both, kind)
    assert len({answer.id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 15
    assert await count(both[0], Redemption.__table__) == 1
    assert await is_clean(both[0])


async def test_control_without_lock_and_key_the_same_number_redeems_twice(both: Databases) -> None:
    await execute(both[0], "ALTER TABLE till_request DROP CONSTRAINT pk_till_request")
    answers = await one_number(both, UnlockedDesk)
    assert len({answer.id for answer in answers}) == 2
    assert not await is_clean(both[0])


async def one_number_for_two_coupons(both: Databases) -> tuple[list[CounterAnswer], list[str]]:
    world, coupons = await world_with_coupons(both[0], 2)
    actor = till(world)
    return await outcomes(
        [
            one.redeem(actor, world.store_id, "7", way="till", text=coupon.code)
            for one, coupon in zip(desks(both, LingeringDesk), coupons, strict=True)
        ]
    )


async def test_the_same_number_for_two_coupons_redeems_one(both: Databases) -> None:
    """They take different locks; the number's key decides, and the batch that lost is run again."""
    answers, reasons = await one_number_for_two_coupons(both)
    assert len(answers) == 1
    assert reasons == ["idempotency_key_reused"]
    assert await count(both[0], Redemption.__table__) == 1
    assert await is_clean(both[0])


async def test_control_without_the_key_the_same_number_redeems_two_coupons(both: Databases) -> None:
    await execute(both[0], "ALTER TABLE till_request DROP CONSTRAINT pk_till_request")
    answers, _reasons = await one_number_for_two_coupons(both)
    assert len(answers) == 2


# Prepare against prepare


async def two_preparations(both: Databases, kind: type[RacingDesk]) -> tuple[list[CounterAnswer], list[str]]:
    world, coupons = await world_with_coupons(both[0])
    pair = desks(both, kind)
    return await outcomes(
        [
            pair[number % 2].prepare(
                person(world), world.store_id, coupons[0].code, f"p-{number}", way="cashier"
            )
            for number in range(16)
        ]
    )


@pytest.mark.parametrize("kind", [RacingDesk, SlowDesk, LingeringDesk])
async def test_a_coupon_is_held_for_one(both: Databases, kind: type[RacingDesk]) -> None:
    answers, reasons = await two_preparations(both, kind)
    assert len(answers) == 1
    assert reasons == ["held_elsewhere"] * 15
    assert await count(both[0], CouponHold.__table__) == 1


async def test_control_without_the_lock_it_is_held_for_two(both: Databases) -> None:
    answers, _reasons = await two_preparations(both, UnlockedDesk)
    assert len(answers) == 2


# Redeem against void


async def void(database: Database, coupon: Issued) -> None:
    async with transaction(database) as tx:
        await actions.void_coupon(
            tx, OPERATOR, coupon.member_id, coupon.id, reason="a race", now=datetime.now(UTC)
        )
        await tx.execute(text("SELECT pg_sleep(0.02)"))


async def broken_void(database: Database, coupon: Issued) -> None:
    """Broken on purpose: checks the state, and writes a moment later."""
    async with transaction(database) as tx:
        state = await tx.scalar(select(Coupon.state).where(Coupon.id == coupon.id))
        if state != "open":
            raise Refusal("already_redeemed")
        await tx.execute(text("SELECT pg_sleep(0.3)"))
        await tx.execute(
            update(Coupon)
            .where(Coupon.member_id == coupon.member_id, Coupon.id == coupon.id)
            .values(state="void", hold_id=None, held_until=None)
        )


async def redeem_and_void(
    both: Databases, voiding: Callable[[Database, Issued], Awaitable[None]], rounds: int
) -> list[int]:
    """How many of the two succeeded, coupon by coupon."""
    world, coupons = await world_with_coupons(both[0], rounds)
    counter = desk(both[0])
    successes: list[int] = []
    for coupon in coupons:
        redeeming = counter.redeem(till(world), world.store_id, new_id().hex, way="till", text=coupon.code)
        pair = await asyncio.gather(redeeming, voiding(both[1], coupon), return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, CounterAnswer | Refusal) for outcome in pair), pair
        successes.append(sum(not isinstance(outcome, Refusal) for outcome in pair))
    return successes


async def test_a_coupon_is_either_redeemed_or_voided(both: Databases) -> None:
    assert await redeem_and_void(both, void, 12) == [1] * 12
    assert await is_clean(both[0])


async def test_control_a_void_that_checks_first_voids_what_was_redeemed(both: Databases) -> None:
    assert 2 in await redeem_and_void(both, broken_void, 3)
    assert not await is_clean(both[0])


# Redeem against the sweeper


async def broken_sweep(database: Database, now: datetime) -> None:
    """Broken on purpose: finds what is due, and marks it a moment later."""
    async with transaction(database) as tx:
        due = select(Coupon.id).where(Coupon.state == "open", Coupon.valid_until <= now)
        ids = list((await tx.execute(due)).scalars())
        await tx.execute(text("SELECT pg_sleep(0.3)"))
        await tx.execute(update(Coupon).where(Coupon.id.in_(ids)).values(state="expired"))


async def sweep(database: Database, now: datetime) -> None:
    async with transaction(database) as tx:
        await actions.expire_due(tx, now, 1000)
        await tx.execute(text("SELECT pg_sleep(0.02)"))


async def redeem_and_sweep(
    both: Databases, sweeping: Callable[[Database, datetime], Awaitable[None]]
) -> tuple[list[CounterAnswer], list[str]]:
    """Redeem, as one whose clock is a moment behind, coupons that the sweeper is just expiring."""
    world, coupons = await world_with_coupons(both[0], 20)
    ending = datetime.now(UTC)
    async with transaction(both[0]) as tx:
        await tx.execute(update(Coupon).values(valid_until=ending))
    counter = desk(both[0], now=ending - timedelta(microseconds=1), maximum_batch=1)
    redeeming = [
        counter.redeem(till(world), world.store_id, new_id().hex, way="till", text=coupon.code)
        for coupon in coupons
    ]
    _swept, found = await asyncio.gather(sweeping(both[1], ending), outcomes(redeeming))
    return found


async def test_a_coupon_is_either_redeemed_or_expired(both: Databases) -> None:
    answers, reasons = await redeem_and_sweep(both, sweep)
    assert set(reasons) <= {"expired"}
    async with both[0].connection() as connection:
        query = select(Coupon.state, func.count().label("coupons")).group_by(Coupon.state)
        states = {row.state: row.coupons for row in await connection.execute(query)}
    # What the sweeper met locked, it left.
    assert states.get("redeemed", 0) == len(answers)
    assert states.get("expired", 0) == len(reasons)
    assert await is_clean(both[0])


async def test_control_a_sweeper_that_looks_first_expires_what_was_redeemed(both: Databases) -> None:
    answers, _reasons = await redeem_and_sweep(both, broken_sweep)
    assert answers
    assert not await is_clean(both[0])


# Reverse against reverse


async def two_reversals(both: Databases, kind: type[RacingDesk]) -> tuple[list[CounterAnswer], list[str]]:
    world, coupons = await world_with_coupons(both[0])
    actor = till(world)
    done = await desk(both[0]).redeem(actor, world.store_id, "r", way="till", text=coupons[0].code)
    pair = desks(both, kind)
    return await outcomes([pair[number % 2].reverse(actor, done.id, f"u-{number}") for number in range(16)])


@pytest.mark.parametrize("kind", [RacingDesk, SlowDesk, LingeringDesk])
async def test_a_redemption_is_undone_once(both: Databases, kind: type[RacingDesk]) -> None:
    answers, reasons = await two_reversals(both, kind)
    assert len(answers) == 1
    assert reasons == ["already_reversed"] * 15
    assert await count(both[0], Reversal.__table__) == 1
    assert await is_clean(both[0])


async def test_control_without_lock_and_key_it_is_undone_twice(both: Databases) -> None:
    await execute(both[0], "ALTER TABLE reversal DROP CONSTRAINT pk_reversal")
    answers, _reasons = await two_reversals(both, UnlockedDesk)
    assert len(answers) == 2


# Many coupons at once: no two desks wait for each other


def _locking_slowly(direction: str) -> str:
    ordered = sql.LOCK_COUPONS.replace(
        "ORDER BY member_id, coupon_id", f"ORDER BY member_id {direction}, coupon_id {direction}"
    )
    return f"SELECT locked.*, pg_sleep(0.02) FROM ({ordered}) AS locked"


class SlowLocking(RacingDesk):
    """The desk as it is, but that a moment passes between one lock and the next."""

    meets_before_reading = True
    coupons_statement = _locking_slowly("ASC")


class OppositeLocking(SlowLocking):
    """Broken on purpose: takes its locks in the opposite order."""

    coupons_statement = _locking_slowly("DESC")


async def opposite_baskets(
    both: Databases, *kinds: type[RacingDesk]
) -> tuple[list[CounterAnswer], list[str]]:
    """Two tills redeem the same coupons, one of them in the opposite order."""
    world, coupons = await world_with_coupons(both[0], 10)
    # Without patience a batch that met a deadlock is not run again, but answered with 'unavailable'.
    first, second = desks(both, *kinds, patience_seconds=0)
    return await outcomes(
        [
            *(redeem(first, world, coupon) for coupon in coupons),
            *(redeem(second, world, coupon) for coupon in reversed(coupons)),
        ]
    )


def redeem(one: RedemptionDesk, world: World, coupon: Issued) -> Awaitable[CounterAnswer]:
    return one.redeem(till(world), world.store_id, new_id().hex, way="till", text=coupon.code)


async def test_desks_lock_in_one_order_and_never_deadlock(both: Databases) -> None:
    answers, reasons = await opposite_baskets(both, SlowLocking)
    assert len(answers) == 10
    assert reasons == ["already_redeemed"] * 10
    assert await is_clean(both[0])


async def test_control_in_opposite_orders_they_deadlock(both: Databases) -> None:
    _answers, reasons = await opposite_baskets(both, SlowLocking, OppositeLocking)
    assert "unavailable" in reasons
