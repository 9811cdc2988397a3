"""What the worker does by the clock: expiring coupons, releasing holds, forgetting what is no longer needed.

Nothing depends on a sweep being on time: rules look at the times themselves, so a coupon past its end can't
be used whether or not it has been swept. Sweeps keep the stored states tidy and the tables small. Each
round is a short transaction that skips rows somebody else has locked, so any number of workers may run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.coupons.actions import expire_due, forget_holds, forget_till_requests, release_holds
from tearline.db import Database, transaction
from tearline.jobs.chores import Chore
from tearline.members.sign_in import forget_codes
from tearline.merchants.idempotency import forget_answers
from tearline.merchants.sessions import forget_ended_sessions
from tearline.notices.queue import forget_notices
from tearline.pools.importing import release_stalled
from tearline.waitingroom.upkeep import forget_calls, forget_entries, forget_samples, forget_solutions

ROWS_PER_ROUND = 2_000


@dataclass(frozen=True, slots=True)
class Sweep:
    """One kind of sweeping.

    Attributes:
        every_seconds: between sweeps.
        step: one round: does at most ``ROWS_PER_ROUND`` rows and answers how many.
    """

    name: str
    every_seconds: float
    step: Callable[[AsyncConnection, datetime], Awaitable[int]]


SWEEPS = (
    Sweep("holds_released", 5, lambda tx, now: release_holds(tx, now, ROWS_PER_ROUND)),
    Sweep("coupons_expired", 60, lambda tx, now: expire_due(tx, now, ROWS_PER_ROUND)),
    Sweep("code_files_released", 30, release_stalled),
    Sweep(
        "sign_in_codes_forgotten",
        600,
        lambda tx, now: forget_codes(tx, created_before=now - timedelta(days=2), most=ROWS_PER_ROUND),
    ),
    Sweep(
        "notices_forgotten",
        600,
        lambda tx, now: forget_notices(tx, created_before=now - timedelta(days=30), most=ROWS_PER_ROUND),
    ),
    Sweep(
        "till_requests_forgotten",
        3600,
        lambda tx, now: forget_till_requests(
            tx, created_before=now - timedelta(days=90), most=ROWS_PER_ROUND
        ),
    ),
    Sweep(
        "holds_forgotten",
        3600,
        lambda tx, now: forget_holds(tx, created_before=now - timedelta(days=90), most=ROWS_PER_ROUND),
    ),
    Sweep(
        "proofs_of_work_forgotten",
        600,
        lambda tx, now: forget_solutions(tx, expired_before=now - timedelta(hours=1), most=ROWS_PER_ROUND),
    ),
    Sweep(
        "room_samples_forgotten",
        3600,
        lambda tx, now: forget_samples(tx, taken_before=now - timedelta(days=30), most=ROWS_PER_ROUND),
    ),
    Sweep(
        "room_entries_forgotten",
        3600,
        lambda tx, now: forget_entries(tx, came_before=now - timedelta(days=30), most=ROWS_PER_ROUND),
    ),
    Sweep(
        "room_calls_forgotten",
        3600,
        lambda tx, now: forget_calls(tx, called_before=now - timedelta(days=30), most=ROWS_PER_ROUND),
    ),
    Sweep("sessions_forgotten", 3600, forget_ended_sessions),
    Sweep("answers_forgotten", 3600, lambda tx, now: forget_answers(tx, now - timedelta(days=30))),
)


async def sweep_once(database: Database, sweep: Sweep, now: datetime) -> int:
    """Rounds until one finds less than it may take; answers how many rows were changed."""
    total = 0
    while True:
        async with transaction(database) as tx:
            changed = await sweep.step(tx, now)
        total += changed
        if changed < ROWS_PER_ROUND:
            return total


def sweep_chores(database: Database) -> list[Chore]:
    """All sweeps."""
    return [Chore(sweep.name, sweep.every_seconds, partial(sweep_once, database, sweep)) for sweep in SWEEPS]
