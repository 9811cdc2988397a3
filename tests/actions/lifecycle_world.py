"""What random histories are made of: the terms of a campaign, claims and requests, and the place they meet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from tearline.campaigns.model import Prize, PrizeOffer
from tearline.core.roles import PERMISSIONS, Actor
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import Merchant, Store
from tearline.offers.model import Offer
from tearline.tables import metadata
from tests.actions.lifecycle import BUNDLES, Terms
from tests.counters import person, till
from tests.worlds import World, make_world

START = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
"""Half an hour before midnight in Hong Kong, where the day is another than in UTC from then on."""
MINUTE, HOUR, DAY, MOMENT = (
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(microseconds=1),
)
MEMBERS = 3
FIRST, SECOND, UNKNOWN = "password0", "PASSWORD1", "OPEN SESAME"
PASSWORDS = {FIRST: 0, SECOND: 1, UNKNOWN: None}
"""The prize that each opens."""
OPERATOR = Actor("staff", new_id(), "Olga", PERMISSIONS["owner"])


@dataclass(frozen=True)
class Try:
    """One claim that is tried. Keys are few, so that they meet again; None is one never used before."""

    member: int
    password: str
    key: int | None = None
    is_signed_out: bool = False


@dataclass(frozen=True)
class Ask:
    """One request that is made at a counter; ``which`` counts back from the newest coupon, hold or redemption."""

    action: str
    who: str
    which: int = 0
    store: int = 0
    number: int | None = None


def limits(*values: int | None) -> st.SearchStrategy[int | None]:
    """One of some limits; None is listed again where another limit should often stand alone."""
    return st.sampled_from([None, *values])


newest = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])
"""Counts back from what happened last, which has most still before it."""

people = st.sampled_from(["till", "cashier", "manager", "cashier", "till", "cashier", "rival"])

some_terms = st.builds(
    Terms,
    inventories=st.tuples(st.integers(2, 5), st.integers(1, 4)),
    prize_limits=st.tuples(limits(None, 3, 2), limits(None, 2, 1)),
    limit=limits(None, 4, 3),
    daily_limit=limits(1, 2),
    issue_limits=st.tuples(limits(None, 3, 4), limits(None, 6, 7)),
    offer_limits=st.tuples(limits(None, 2, 1), limits(None, 4, 3)),
    campaign=st.sampled_from(
        [
            *[(START - HOUR, START + 5 * DAY)] * 3,
            (START - HOUR, START + 2 * DAY),
            (START - HOUR, START + DAY),
            (START + MINUTE, START + 3 * DAY),
        ]
    ),
    fixed=st.sampled_from(
        [
            *[(START - HOUR, START + 9 * DAY)] * 3,
            (START - HOUR, START + 26 * HOUR),
            (START - HOUR, START + 3 * MINUTE),
            (START + 2 * MINUTE, START + 2 * DAY),
        ]
    ),
    starts_after_days=st.sampled_from([0, 0, 1]),
    days=st.integers(0, 1),
)
tries = st.builds(
    Try,
    member=st.integers(0, MEMBERS - 1),
    password=st.sampled_from([FIRST, FIRST, SECOND, SECOND, FIRST, SECOND, UNKNOWN]),
    key=st.sampled_from([None, None, None, None, 1, 2]),
    is_signed_out=st.sampled_from([False] * 7 + [True]),
)
asks = st.builds(
    Ask,
    action=st.sampled_from(["redeem", "prepare", "redeem_hold", "reverse", "prepare", "release"]),
    who=people,
    which=newest,
    store=st.sampled_from([0, 0, 0, 1]),
    number=st.sampled_from([None, None, None, None, 1, 2]),
)
processes = st.integers(0, 1)
"""Which of two processes is asked: each has desks of its own, and remembers definitions of its own."""


@dataclass(frozen=True)
class Place:
    """What was made, and those who act in it; the last store is the rival's."""

    world: World
    stores: list[UUID]
    actors: dict[str, Actor]


async def make_place(database: Database, terms: Terms) -> Place:
    """A world on these terms, in place of whatever the database held."""
    async with transaction(database) as tx:
        # Much faster than a fresh database, and than TRUNCATE, for so few rows.
        for table in reversed(metadata.sorted_tables):
            await tx.execute(delete(table))
    world = await make_world(
        database,
        members=MEMBERS,
        inventories=terms.inventories,
        bundle=tuple(BUNDLES[0].values()),
        campaign={
            "starts_at": terms.campaign[0],
            "ends_at": terms.campaign[1],
            "limit_per_member": terms.limit,
            "limit_per_member_per_day": terms.daily_limit,
        },
    )
    rival_id, stores = new_id(), [world.store_id, new_id(), new_id()]
    fixed = {"kind": "fixed", "starts_at": terms.fixed[0].isoformat(), "ends_at": terms.fixed[1].isoformat()}
    counted = {
        "kind": "days_after_claim",
        "days": terms.days,
        "starts_after_days": terms.starts_after_days,
    }
    async with transaction(database) as tx:
        second = PrizeOffer.prize_id == world.prizes[1]
        await tx.execute(delete(PrizeOffer).where(second, PrizeOffer.offer_id == world.offers[0]))
        await tx.execute(update(PrizeOffer).where(second).values(quantity=BUNDLES[1][1]))
        for prize_id, limit in zip(world.prizes, terms.prize_limits, strict=True):
            await tx.execute(update(Prize).where(Prize.id == prize_id).values(limit_per_member=limit))
        for position, offer_id in enumerate(world.offers):
            values = {
                "issue_limit": terms.issue_limits[position],
                "limit_per_member": terms.offer_limits[position],
                "validity": {"period": (fixed, counted)[position]},
            }
            await tx.execute(update(Offer).where(Offer.id == offer_id).values(**values))
        names = {"en": "Peak Tea"}
        rival = {"id": rival_id, "code": "peak", "names": names, "kind": "dining", "created_at": START}
        await tx.execute(insert(Merchant).values(rival))
        for store_id, owner_id in zip(stores[1:], (world.merchant_id, rival_id), strict=True):
            row = {"id": store_id, "merchant_id": owner_id, "code": store_id.hex, "names": names}
            await tx.execute(insert(Store).values(**row, created_at=START))
    actors = {
        "till": till(world),
        "cashier": person(world),
        "manager": person(world, "manager"),
        "rival": till(world, merchant_id=rival_id),
    }
    return Place(world, stores, actors)
