"""Claims that race: many at once, over several desks with connections of their own, committing for real.

Each rule is run twice. With the locks it must hold; without them (the negative control) the same storm
must break it, which shows that the test can fail.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import func, select, text, update

from tearline.campaigns import desk_sql
from tearline.campaigns.desk import ClaimAnswer, ClaimDesk
from tearline.campaigns.model import Claim, Prize
from tearline.core.refusal import Refusal
from tearline.coupons.model import Coupon
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.offers.model import Offer
from tests.races.controls import assert_breaks
from tests.worlds import World, copy_campaign, make_world

pytestmark = pytest.mark.anyio

DESKS = 4
STORM = 64


@asynccontextmanager
async def desks(url: str) -> AsyncIterator[list[ClaimDesk]]:
    """Several desks that share nothing but the database, as those of several processes do."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(Database(url, hot_pool_size=2)) for _ in range(DESKS)]
        # Small batches, so that the storm is many transactions rather than one for each desk.
        made = [ClaimDesk(database, maximum_batch=4) for database in databases]
        for database in databases:
            await database.hot_pool()
        yield made


async def storm(
    url: str,
    world: World,
    member_of: Callable[[int], int],
    *,
    key_of: Callable[[int], str] | None = None,
    **changes,
) -> list[ClaimAnswer | BaseException]:
    """``STORM`` claims at once, spread over the desks."""
    async with desks(url) as made:
        return await asyncio.gather(
            *(
                made[number % DESKS].claim(
                    world.campaign_code,
                    world.members[member_of(number)],
                    1,
                    changes.get("password", "password0"),
                    key_of(number) if key_of else new_id().hex,
                )
                for number in range(STORM)
            ),
            return_exceptions=True,
        )


def granted(outcomes: list[ClaimAnswer | BaseException]) -> list[ClaimAnswer]:
    for outcome in outcomes:
        if not isinstance(outcome, ClaimAnswer | Refusal):
            raise AssertionError(outcome) from outcome
    return [outcome for outcome in outcomes if isinstance(outcome, ClaimAnswer)]


def reasons(outcomes: list[ClaimAnswer | BaseException]) -> Counter[str]:
    return Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Refusal))


async def count(database: Database, what: type) -> int:
    async with database.connection() as connection:
        return (await connection.execute(select(func.count()).select_from(what))).scalar_one()


async def assert_clean(database: Database) -> None:
    async with database.connection() as connection:
        assert [finding for finding in await run_audit(connection) if finding.breaches] == []


async def without_locks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the same desk, reading without its locks and without the last net of constraints."""
    monkeypatch.setattr(desk_sql, "LOCK_CAMPAIGN", desk_sql.LOCK_CAMPAIGN.replace(" FOR NO KEY UPDATE", ""))
    monkeypatch.setattr(desk_sql, "LOCK_OFFERS", desk_sql.LOCK_OFFERS.replace(" FOR NO KEY UPDATE", ""))
    # The pause between reading and writing that a loaded machine makes by itself.
    paused = desk_sql.INSERT_CLAIMS.replace("FROM unnest", "FROM (SELECT pg_sleep(0.02)) AS pause, unnest")
    monkeypatch.setattr(desk_sql, "INSERT_CLAIMS", paused)
    async with transaction(database) as tx:
        await tx.execute(text("ALTER TABLE prize DROP CONSTRAINT ck_prize_inventory"))
        await tx.execute(text("ALTER TABLE offer DROP CONSTRAINT ck_offer_issue_limit"))


Rule = Callable[[Database, str], Awaitable[bool]]


async def stock_of_one(database: Database, url: str) -> bool:
    """Stock 1, 64 members at once: one coupon."""
    world = await make_world(database, members=STORM, inventories=(1,), bundle=(1,))
    outcomes = await storm(url, world, lambda number: number)
    holds = len(granted(outcomes)) == 1 == await count(database, Claim) == await count(database, Coupon)
    return holds and reasons(outcomes) == {"sold_out": STORM - 1}


async def limit_in_total(database: Database, url: str) -> bool:
    """Three claims a member in all, one member 64 times at once: three."""
    world = await make_world(database, inventories=(1000,), bundle=(1,), campaign={"limit_per_member": 3})
    outcomes = await storm(url, world, lambda number: 0)
    return len(granted(outcomes)) == 3 and reasons(outcomes) == {"member_limit_reached": STORM - 3}


async def limit_per_day(database: Database, url: str) -> bool:
    """Two claims a member a day."""
    world = await make_world(
        database, inventories=(1000,), bundle=(1,), campaign={"limit_per_member_per_day": 2}
    )
    outcomes = await storm(url, world, lambda number: number // DESKS % 2)
    return len(granted(outcomes)) == 4 and reasons(outcomes) == {"daily_limit_reached": STORM - 4}


async def limit_per_prize(database: Database, url: str) -> bool:
    """One claim a member of this prize."""
    world = await make_world(database, inventories=(1000,), bundle=(1,), prize={"limit_per_member": 1})
    outcomes = await storm(url, world, lambda number: number // DESKS % 4)
    return len(granted(outcomes)) == 4 and reasons(outcomes) == {"prize_limit_reached": STORM - 4}


async def limit_of_an_offer(database: Database, url: str) -> bool:
    """Five coupons of the offer in all, whatever the prize's inventory says."""
    world = await make_world(
        database, members=STORM, inventories=(1000,), bundle=(1,), offer={"issue_limit": 5}
    )
    outcomes = await storm(url, world, lambda number: number)
    return len(granted(outcomes)) == 5 == await count(database, Coupon)


RULES = [stock_of_one, limit_in_total, limit_per_day, limit_per_prize, limit_of_an_offer]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_the_rule_holds_in_a_storm(database: Database, database_url: str, rule: Rule) -> None:
    assert await rule(database, database_url)
    await assert_clean(database)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_without_the_locks_the_same_storm_breaks_it(
    database: Database, database_url: str, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    await without_locks(database, monkeypatch)
    await assert_breaks(database, lambda: rule(database, database_url))


async def test_one_key_in_parallel_is_one_claim(database: Database, database_url: str) -> None:
    world = await make_world(database, inventories=(1000,), bundle=(1,))
    outcomes = granted(await storm(database_url, world, lambda number: 0, key_of=lambda number: "the-key"))
    assert len(outcomes) == STORM
    assert len({answer.claim_id for answer in outcomes}) == 1 == await count(database, Claim)
    assert [answer.replayed for answer in outcomes].count(False) == 1
    await assert_clean(database)


async def test_one_key_in_parallel_without_locks_and_constraint_is_many_claims(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the one above."""
    await without_locks(database, monkeypatch)
    async with transaction(database) as tx:
        await tx.execute(text("ALTER TABLE claim DROP CONSTRAINT uq_claim_member_id_idempotency_key"))

    async def one_key() -> bool:
        world = await make_world(database, inventories=(1000,), bundle=(1,))
        await storm(database_url, world, lambda number: 0, key_of=lambda number: "the-key")
        return await count(database, Claim) == 1

    await assert_breaks(database, one_key)


async def test_the_inventory_is_raised_during_a_rush(database: Database, database_url: str) -> None:
    """Raised by 10 while the storm runs: exactly the raised number is given out, and every one has an answer."""
    world = await make_world(database, members=STORM, inventories=(10,), bundle=(1, 1))

    async def raise_it() -> None:
        async with transaction(database) as tx:
            await tx.execute(text("SELECT 1 FROM campaign FOR NO KEY UPDATE"))
            await tx.execute(update(Prize).values(inventory=20))

    first, _ = await asyncio.gather(storm(database_url, world, lambda number: number), raise_it())
    second = await storm(database_url, world, lambda number: number)
    assert len(granted(first)) in range(10, 21)
    assert len(granted(first)) + len(granted(second)) == 20 == await count(database, Claim)
    assert await count(database, Coupon) == 40
    await assert_clean(database)


async def test_two_campaigns_that_share_offers_do_not_deadlock(database: Database, database_url: str) -> None:
    """Offers are locked in the order of their ids by every desk, whatever the order in the bundle."""
    world = await make_world(database, members=STORM, inventories=(1000,), bundle=(1, 1, 1))
    async with transaction(database) as tx:
        await copy_campaign(tx, "OTHER")
    async with desks(database_url) as made:
        outcomes = await asyncio.gather(
            *(
                made[number % DESKS].claim(
                    ("WINTER-1", "OTHER")[number // DESKS % 2],
                    world.members[number],
                    1,
                    "password0",
                    f"k{number}",
                )
                for number in range(STORM)
            ),
            return_exceptions=True,
        )
    assert len(granted(outcomes)) == STORM
    async with database.connection() as connection:
        issued = (await connection.execute(select(Offer.issued))).scalars().all()
    assert issued == [STORM] * 3
    await assert_clean(database)
