"""Figures of a campaign and of a merchant's day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign, ClaimHour, Prize
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor, command_actor
from tearline.coupons.model import Redemption, Reversal
from tearline.db import Database, new_id, transaction
from tearline.insight import reads
from tests.worlds import World, make_world

pytestmark = pytest.mark.anyio

READER = command_actor("reader")
START = datetime(2026, 6, 10, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def world_of(database: Database, **changes: Any) -> World:
    window = {"starts_at": START, "ends_at": START + 4 * HOUR, **changes}
    return await make_world(database, members=1, inventories=(100, 50), campaign=window)


async def redeem(
    tx: AsyncConnection, world: World, offer: int, at: datetime, *, undone: bool = False
) -> None:
    row = {
        "member_id": world.members[0],
        "id": new_id(),
        "coupon_id": new_id(),
        "offer_id": world.offers[offer],
        "campaign_id": world.campaign_id,
        "merchant_id": world.merchant_id,
        "store_id": world.store_id,
        "way": "cashier",
        "verified": "rotating",
        "request_number": new_id().hex,
        "redeemed_at": at,
    }
    await tx.execute(insert(Redemption).values(row))
    if undone:
        reversal = {
            "member_id": row["member_id"],
            "redemption_id": row["id"],
            "id": new_id(),
            "coupon_id": row["coupon_id"],
            "merchant_id": world.merchant_id,
            "request_number": new_id().hex,
            "reversed_at": at + timedelta(minutes=5),
        }
        await tx.execute(insert(Reversal).values(reversal))


async def claimed(tx: AsyncConnection, world: World, prize: int, hour: datetime, claims: int) -> None:
    row = {"prize_id": world.prizes[prize], "hour": hour, "campaign_id": world.campaign_id, "claims": claims}
    await tx.execute(insert(ClaimHour).values(row))
    counted = update(Prize).where(Prize.id == world.prizes[prize])
    await tx.execute(counted.values(claimed=Prize.claimed + claims))


def hours_of(figures: reads.CampaignFigures) -> list[tuple[str, int, int]]:
    return [(f"{hour.hour:%d %H:%M}", hour.claims, hour.redemptions) for hour in figures.hours]


async def test_a_campaigns_figures(database: Database) -> None:
    world = await world_of(database)
    first, second = world.prizes
    async with transaction(database) as tx:
        await claimed(tx, world, 0, START, 40)
        await claimed(tx, world, 1, START, 2)
        await claimed(tx, world, 0, START + 2 * HOUR, 1)
        await redeem(tx, world, 0, START + HOUR + timedelta(minutes=59))
        await redeem(tx, world, 0, START + 2 * HOUR)
        await redeem(tx, world, 1, START + 2 * HOUR, undone=True)
        figures = await reads.campaign_figures(tx, READER, world.campaign_id, START + 3 * HOUR + HOUR / 2)
    assert (figures.inventory, figures.claimed, figures.left) == (150, 43, 107)
    assert (figures.redemptions, figures.reversals) == (2, 1)
    # Hours are Hong Kong's, and the one in which nothing happened is there.
    assert hours_of(figures) == [
        ("10 10:00", 42, 0),
        ("10 11:00", 0, 1),
        ("10 12:00", 1, 1),
        ("10 13:00", 0, 0),
    ]
    assert figures.hours[0].claims_by_prize == {first: 40, second: 2}
    assert figures.hours[1].claims_by_prize == {first: 0, second: 0}
    by_offer: dict[UUID, tuple[int, int]] = {
        offer.offer_id: (offer.redemptions, offer.reversals) for offer in figures.offers
    }
    assert by_offer == {world.offers[0]: (2, 0), world.offers[1]: (0, 1)}
    assert [(prize.claimed, prize.left) for prize in figures.prizes] == [(41, 59), (2, 48)]


async def test_hours_end_with_the_campaign_or_with_the_last_use(database: Database) -> None:
    world = await world_of(database)
    async with transaction(database) as tx:
        before = await reads.campaign_figures(tx, READER, world.campaign_id, START - HOUR)
        assert before.hours == ()
        long_after = START + timedelta(days=100)
        figures = await reads.campaign_figures(tx, READER, world.campaign_id, long_after)
        assert [hour for hour, _claims, _used in hours_of(figures)] == [
            "10 10:00",
            "10 11:00",
            "10 12:00",
            "10 13:00",
        ]
        await redeem(tx, world, 0, START + 6 * HOUR)
        await redeem(tx, world, 0, START + timedelta(days=50))
        figures = await reads.campaign_figures(tx, READER, world.campaign_id, long_after)
        assert hours_of(figures)[-1] == ("10 16:00", 0, 1)
        assert figures.redemptions == 2
        longer = update(Campaign).values(ends_at=START + timedelta(days=90))
        await tx.execute(longer)
        figures = await reads.campaign_figures(tx, READER, world.campaign_id, START + timedelta(days=60))
        assert len(figures.hours) == 14 * 24 + 1


async def test_hours_are_counted_once_when_clocks_change(database: Database) -> None:
    start = datetime(2026, 10, 24, 23, tzinfo=UTC)
    world = await world_of(database, time_zone="Europe/Berlin", starts_at=start, ends_at=start + 4 * HOUR)
    async with transaction(database) as tx:
        await claimed(tx, world, 0, start + HOUR, 1)
        await claimed(tx, world, 0, start + 2 * HOUR, 2)
        figures = await reads.campaign_figures(tx, READER, world.campaign_id, start + 4 * HOUR)
    shown = [("25 01:00", 0, 0), ("25 02:00", 1, 0), ("25 02:00", 2, 0), ("25 03:00", 0, 0)]
    assert hours_of(figures) == shown


async def test_figures_are_for_those_who_may(database: Database) -> None:
    world = await world_of(database)
    manager = Actor("staff", None, "m", PERMISSIONS["manager"], world.merchant_id)
    stranger = Actor("staff", None, "s", PERMISSIONS["manager"], new_id())
    async with database.connection() as connection:
        for actor, campaign_id, reason in (
            (manager, world.campaign_id, "not_allowed"),
            (READER, new_id(), "not_found"),
        ):
            with pytest.raises(Refusal) as refused:
                await reads.campaign_figures(connection, actor, campaign_id, START)
            assert refused.value.reason == reason
        with pytest.raises(Refusal) as refused:
            await reads.merchant_day(connection, stranger, world.merchant_id, time_zone="UTC", now=START)
        assert refused.value.reason == "not_found"


async def test_a_merchants_day(database: Database) -> None:
    world = await world_of(database)
    manager = Actor("staff", None, "m", PERMISSIONS["manager"], world.merchant_id)
    midnight = datetime(2026, 6, 9, 16, tzinfo=UTC)
    async with transaction(database) as tx:
        await redeem(tx, world, 0, midnight - timedelta(microseconds=1))
        await redeem(tx, world, 0, midnight)
        await redeem(tx, world, 1, midnight + 2 * HOUR)
        await redeem(tx, world, 1, midnight + 2 * HOUR, undone=True)
        now = midnight + 3 * HOUR - timedelta(seconds=1)
        zone = "Asia/Hong_Kong"
        day = await reads.merchant_day(tx, manager, world.merchant_id, time_zone=zone, now=now)
        elsewhere = await reads.merchant_day(
            tx, manager, world.merchant_id, time_zone=zone, now=now, store_id=new_id()
        )
    assert (day.day, day.redemptions, day.reversals) == (date(2026, 6, 10), 2, 1)
    assert [(f"{hour:%H:%M}", count) for hour, count in day.hours] == [
        ("00:00", 1),
        ("01:00", 0),
        ("02:00", 1),
    ]
    assert [(store.store_id, store.redemptions) for store in day.stores] == [(world.store_id, 2)]
    assert {offer.offer_id: offer.redemptions for offer in day.offers} == {
        world.offers[0]: 1,
        world.offers[1]: 1,
    }
    assert (elsewhere.redemptions, elsewhere.stores) == (0, ())
