"""The demo's waiting room before the campaign to come: scheduled, and tried out with the staff some hours ago."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.cli.demo.campaigns_data import CAMPAIGNS
from tearline.cli.demo.definitions import Made, starts_at
from tearline.cli.demo.members import copy_rows
from tearline.cli.demo.shapes import TIME_ZONE, texts
from tearline.core.admission import DELAY_BUCKETS, Call, Response
from tearline.core.roles import Actor
from tearline.core.rooms import RoomDraft
from tearline.waitingroom.actions import create_room, move_room, turn_dial
from tearline.waitingroom.model import RoomState

CAMPAIGN = "LANTERN-NIGHTS"
MADE_AGO = timedelta(days=2)
TRIED_AGO = timedelta(hours=4)

DIAL = 2_000
FIRST_DIAL, SECOND_DIAL = 60, 90
SECOND_DIAL_AFTER = timedelta(minutes=6)
PEOPLE = 240
NO_SHOW_SHARE = 0.08
TRIAL = timedelta(minutes=25)
_STEP = timedelta(seconds=5)

NAMES = texts("Lantern Nights, the first evening", "花燈夜首晚", "花灯之夜首晚", "คืนแห่งโคมไฟ คืนแรก")
MESSAGES = texts(
    "Welcome. The order is drawn when the lanterns are lit; until then everyone is equal, so there is no hurry.",
    "歡迎。亮燈時以抽籤定次序，在此之前人人平等，毋須趕。",
    "欢迎。亮灯时抽签决定次序，在此之前人人平等，不用赶。",
    "ยินดีต้อนรับ ลำดับจะจับสลากเมื่อโคมไฟสว่าง ก่อนหน้านั้นทุกคนเท่าเทียมกัน ไม่ต้องรีบ",
)


@dataclass(slots=True)
class _Trial:
    """What happened while the room was tried out."""

    calls: list[tuple[int, Call]] = field(default_factory=list)
    """By the first of their places."""
    stays: dict[int, tuple[datetime, datetime]] = field(default_factory=dict)
    """From when to when somebody was inside, by place."""
    samples: list[tuple[datetime, int, int, int, int, int]] = field(default_factory=list)
    """At what time: inside, waiting, called, entered, the dial."""

    def inside(self, at: datetime) -> int:
        """How many are inside, or on their way."""
        return sum(1 for _entered, left in self.stays.values() if left > at)


async def make_rooms(tx: AsyncConnection, actor: Actor, made: Made, random: Random, now: datetime) -> None:
    """Make the room, and what happened in it."""
    seed = next(seed for seed in CAMPAIGNS if seed.code == CAMPAIGN)
    opens_at = starts_at(seed, now)
    draft = RoomDraft(
        code=CAMPAIGN,
        names=NAMES,
        messages=MESSAGES,
        time_zone=TIME_ZONE,
        gathers_at=opens_at - timedelta(minutes=30),
        starts_at=opens_at,
        ends_at=opens_at + timedelta(hours=12),
        max_active=FIRST_DIAL,
        campaign_ids=(made.campaigns[CAMPAIGN],),
    )
    room_id = await create_room(tx, actor, draft, now - MADE_AGO)
    of_room = RoomState.room_id == room_id
    begun = now - TRIED_AGO
    await move_room(tx, actor, room_id, "gathering", begun - timedelta(minutes=10))
    await tx.execute(update(RoomState).where(of_room).values(joined=PEOPLE))
    await move_room(tx, actor, room_id, "queueing", begun)
    await turn_dial(
        tx, actor, room_id, max_active=SECOND_DIAL, per_minute=None, now=begun + SECOND_DIAL_AFTER
    )
    await move_room(tx, actor, room_id, "ended", begun + TRIAL)
    await move_room(tx, actor, room_id, "closed", begun + TRIAL + timedelta(minutes=2))
    await turn_dial(tx, actor, room_id, max_active=DIAL, per_minute=None, now=begun + timedelta(hours=1))

    trial = _tried(begun, random)
    response = Response()
    for _first, call in trial.calls:
        response = response.with_settled(call)
    missed = sum(call.missing for _first, call in trial.calls)
    await tx.execute(
        update(RoomState)
        .where(of_room)
        .values(
            called=PEOPLE,
            lapsed=PEOPLE,
            entered=len(trial.stays),
            no_shows=missed,
            response=msgspec.to_builtins(response),
        )
    )
    await copy_rows(
        tx,
        "room_call",
        ("room_id", "round", "first", "size", "called_at", "came"),
        ((room_id, 1, first, call.size, call.called_at, list(call.came)) for first, call in trial.calls),
    )
    session = timedelta(seconds=draft.session_seconds)
    await copy_rows(
        tx,
        "room_entry",
        (
            "room_id",
            "round",
            "place",
            "exchange_key",
            "came_at",
            "entered_at",
            "expires_at",
            "ended_at",
            "ended_by",
        ),
        (
            (room_id, 1, place, f"demo-{place}", entered, entered, entered + session, left, "left")
            for place, (entered, left) in trial.stays.items()
        ),
    )
    stock = sum(prize.inventory for prize in seed.prizes)
    await copy_rows(
        tx,
        "room_sample",
        ("room_id", "at", "inside", "waiting", "called", "entered", "max_active", "no_shows", "stock_left"),
        ((room_id, *sample, 0, stock) for sample in trial.samples),
    )  # fmt: skip


def _tried(begun: datetime, random: Random) -> _Trial:
    trial, called, at = _Trial(), 0, begun
    while at < begun + TRIAL:
        dial = FIRST_DIAL if at < begun + SECOND_DIAL_AFTER else SECOND_DIAL
        size = min(PEOPLE - called, dial - trial.inside(at))
        coming = [place for place in range(called, called + size) if random.random() >= NO_SHOW_SHARE]
        for place in coming:
            entered = at + timedelta(seconds=random.uniform(2, 14))
            trial.stays[place] = (entered, entered + timedelta(seconds=random.uniform(140, 420)))
        if size > 0:
            # All of them come in the first part of their grace time.
            call = Call(size, at, (len(coming), *(0,) * (DELAY_BUCKETS - 1)))
            trial.calls.append((called, call))
            called += size
        came = [left for entered, left in trial.stays.values() if entered <= at]
        inside = sum(1 for left in came if left > at)
        trial.samples.append((at, inside, PEOPLE - called, called, len(came), dial))
        at += _STEP
    return trial
