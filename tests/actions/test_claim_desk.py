"""The claim desk against a real database: what it writes, replays and refuses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.definitions import Definition, load_definition
from tearline.campaigns.desk import ClaimAnswer, ClaimDesk
from tearline.campaigns.model import Campaign, Claim, ClaimHour, Participation, Prize
from tearline.core.refusal import Refusal
from tearline.coupons.model import Coupon, CouponCode
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.members.model import Member
from tearline.offers.model import Offer, OfferHolding
from tests.worlds import World, copy_campaign, make_world

pytestmark = pytest.mark.anyio


async def claim(
    desk: ClaimDesk, world: World, member: int = 0, key: str | None = None, **changes
) -> ClaimAnswer:
    values = {
        "campaign_code": world.campaign_code,
        "member_id": world.members[member],
        "epoch": 1,
        "password": "password0",
        "idempotency_key": key or new_id().hex,
        **changes,
    }
    return await desk.claim(**values)


async def reason(*args, **changes) -> str:
    with pytest.raises(Refusal) as refused:
        await claim(*args, **changes)
    return refused.value.reason


async def assert_clean(database: Database) -> None:
    async with database.connection() as connection:
        assert [finding for finding in await run_audit(connection) if finding.breaches] == []


async def test_a_claim_issues_its_whole_bundle(database: Database) -> None:
    world = await make_world(database, bundle=(2, 1))
    answer = await claim(ClaimDesk(database), world)
    assert not answer.replayed
    assert [coupon.offer_id for coupon in answer.coupons] == [
        world.offers[0],
        world.offers[0],
        world.offers[1],
    ]
    async with database.connection() as connection:
        coupons = (await connection.execute(select(Coupon).order_by(Coupon.id))).all()
        assert [(c.id, c.code, c.offer_id, c.claim_id) for c in coupons] == [
            (c.id, c.code, c.offer_id, answer.claim_id) for c in answer.coupons
        ]
        assert {c.state for c in coupons} == {"open"}
        assert len((await connection.execute(select(CouponCode))).all()) == 3
        prize = (await connection.execute(select(Prize))).one()
        assert (prize.inventory, prize.claimed) == (10, 1)
        issued = (await connection.execute(select(Offer.issued).order_by(Offer.id))).scalars().all()
        assert issued == [2, 1]
        assert (await connection.execute(select(ClaimHour.claims))).scalar_one() == 1
    await assert_clean(database)


async def test_the_same_key_gets_the_first_answer(database: Database) -> None:
    world = await make_world(database)
    desk = ClaimDesk(database)
    first = await claim(desk, world, key="k")
    again = await claim(desk, world, key="k")
    assert again.replayed
    assert (again.claim_id, again.coupons, again.claimed_at) == (
        first.claim_id,
        first.coupons,
        first.claimed_at,
    )
    # From another process, and after the campaign was paused: what was given stays given.
    async with transaction(database) as tx:
        await tx.execute(update(Campaign).values(state="paused", version=2))
    assert (await claim(ClaimDesk(database), world, key="k")).claim_id == first.claim_id
    # Within one batch.
    async with transaction(database) as tx:
        await tx.execute(update(Campaign).values(state="live", version=3))
    answers = await asyncio.gather(*(claim(desk, world, 1, key="same") for _ in range(5)))
    assert len({answer.claim_id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False, True, True, True, True]
    await assert_clean(database)


async def test_a_key_stands_for_one_request_of_one_member(database: Database) -> None:
    world = await make_world(database, inventories=(10, 10))
    desk = ClaimDesk(database)
    first = await claim(desk, world, key="k")
    assert await reason(desk, world, key="k", password="password1") == "idempotency_key_reused"
    assert (await claim(desk, world, 1, key="k")).claim_id != first.claim_id
    assert await reason(desk, world, key="k", epoch=7) == "session_ended"


@pytest.mark.parametrize("key", ["", "x" * 129, "a\0b", "schlüssel", "a\nb"])
async def test_a_strange_key_is_refused_before_it_meets_others(database: Database, key: str) -> None:
    world = await make_world(database)
    desk = ClaimDesk(database)
    with pytest.raises(Refusal) as refused:
        await desk.claim(world.campaign_code, world.members[0], 1, "password0", key)
    assert refused.value.reason == "invalid"


async def test_each_refusal_carries_its_reason_and_changes_nothing(database: Database) -> None:
    world = await make_world(database, campaign={"audience": {"none_of": ["tag:blocked-here"]}})
    desk = ClaimDesk(database)
    async with transaction(database) as tx:
        await tx.execute(update(Member).where(Member.id == world.members[1]).values(state="blocked"))
        await tx.execute(update(Member).where(Member.id == world.members[2]).values(tags=["blocked-here"]))
    assert await reason(desk, world, password="nonsense") == "wrong_password"
    assert await reason(desk, world, password="x" * 100_000) == "wrong_password"
    assert await reason(desk, world, epoch=2) == "session_ended"
    assert await reason(desk, world, member_id=new_id()) == "session_ended"
    assert await reason(desk, world, 1) == "member_blocked"
    assert await reason(desk, world, 2) == "not_in_audience"
    assert await reason(desk, world, campaign_code="NO-SUCH") == "not_found"
    async with database.connection() as connection:
        assert (await connection.execute(select(func.count()).select_from(Claim))).scalar_one() == 0
        assert (await connection.execute(select(func.count()).select_from(Participation))).scalar_one() == 0


async def test_a_changed_campaign_is_seen_by_the_next_claim(database: Database) -> None:
    """Every change of the definition raises the version; the desk's copy is then loaded again."""
    world = await make_world(database)
    desk = ClaimDesk(database)
    await claim(desk, world)
    for state, expected in (("paused", "paused"), ("archived", "not_found"), ("draft", "not_found")):
        async with transaction(database) as tx:
            await tx.execute(update(Campaign).values(state=state, version=Campaign.version + 1))
        assert await reason(desk, world, 1) == expected
    async with transaction(database) as tx:
        await tx.execute(update(Campaign).values(state="live", version=Campaign.version + 1))
    await claim(desk, world, 1)


async def test_a_changed_offer_is_seen_by_the_next_claim(database: Database) -> None:
    world = await make_world(database, bundle=(1,))
    desk = ClaimDesk(database)
    assert (await claim(desk, world)).coupons[0].valid_until.year == 2036
    until_2030 = {"kind": "fixed", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}
    async with transaction(database) as tx:
        await tx.execute(update(Offer).values(validity={"period": until_2030}, version=Offer.version + 1))
    assert (await claim(desk, world, 1)).coupons[0].valid_until.year == 2030


async def test_limits_per_member_prize_day_and_offer(database: Database) -> None:
    clock = [datetime(2026, 11, 22, 15, 59, tzinfo=UTC)]  # 23:59 in Hong Kong
    world = await make_world(
        database,
        inventories=(50, 50),
        bundle=(1,),
        campaign={"limit_per_member": 4, "limit_per_member_per_day": 2},
        prize={"limit_per_member": 3},
        offer={"limit_per_member": 3},
    )
    desk = ClaimDesk(database, clock=lambda: clock[0])
    for _ in range(2):
        await claim(desk, world)
    assert await reason(desk, world) == "daily_limit_reached"
    clock[0] += timedelta(minutes=1)  # midnight in Hong Kong
    await claim(desk, world)
    assert await reason(desk, world) == "prize_limit_reached"
    assert await reason(desk, world, password="password1") == "offer_member_limit_reached"
    async with transaction(database) as tx:
        await tx.execute(update(Offer).values(limit_per_member=9))
    await claim(desk, world, password="password1")
    assert await reason(desk, world, password="password1") == "member_limit_reached"
    async with database.connection() as connection:
        assert (await connection.execute(select(OfferHolding.issued))).scalar_one() == 4
    await assert_clean(database)


async def test_an_offers_own_issue_limit_holds_all_or_nothing(database: Database) -> None:
    world = await make_world(database, bundle=(1, 2))
    async with transaction(database) as tx:
        await tx.execute(update(Offer).where(Offer.id == world.offers[1]).values(issue_limit=3))
    desk = ClaimDesk(database)
    await claim(desk, world)
    assert await reason(desk, world, 1) == "sold_out"
    async with database.connection() as connection:
        issued = dict((await connection.execute(select(Offer.id, Offer.issued))).all())
    assert issued == {world.offers[0]: 1, world.offers[1]: 2}
    await assert_clean(database)


async def test_a_long_queue_turns_people_away_instead_of_growing(database: Database) -> None:
    world = await make_world(database)
    desk = ClaimDesk(database, maximum_waiting=3)
    await claim(desk, world)
    outcomes = await asyncio.gather(*(claim(desk, world, 1) for _ in range(6)), return_exceptions=True)
    assert [o.reason for o in outcomes if isinstance(o, Refusal)] == ["unavailable"] * 3


async def test_a_rush_on_a_fresh_desk_loads_the_campaign_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(database, inventories=(5000,))
    loads: list[str] = []

    async def counted(connection: AsyncConnection, code: str) -> Definition | None:
        loads.append(code)
        return await load_definition(connection, code)

    monkeypatch.setattr("tearline.campaigns.desk.load_definition", counted)
    desk = ClaimDesk(database)
    answers = await asyncio.gather(*(claim(desk, world, number % 4) for number in range(2000)))
    assert len(answers) == 2000
    assert loads == [world.campaign_code]
    assert await reason(desk, world, campaign_code="NO-SUCH") == "not_found"
    assert await reason(desk, world, campaign_code="NO-SUCH") == "not_found"


async def test_one_key_in_two_campaigns_at_once_is_one_claim(database: Database) -> None:
    """The key's uniqueness spans campaigns, their locks do not: the second batch collides and is run again."""
    world = await make_world(database)
    async with transaction(database) as tx:
        await copy_campaign(tx, "OTHER")
    first, second = ClaimDesk(database), ClaimDesk(database)
    for round_ in range(10):
        outcomes = await asyncio.gather(
            claim(first, world, key=f"k{round_}"),
            claim(second, world, key=f"k{round_}", campaign_code="OTHER"),
            claim(second, world, 1, campaign_code="OTHER"),
            return_exceptions=True,
        )
        refused = [outcome for outcome in outcomes if not isinstance(outcome, ClaimAnswer)]
        assert [getattr(outcome, "reason", outcome) for outcome in refused] == ["idempotency_key_reused"]
        async with transaction(database) as tx:
            await tx.execute(update(Prize).values(inventory=Prize.inventory + 10))
    await assert_clean(database)
