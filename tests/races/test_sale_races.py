"""Orders, settlements and releases that race: over several desks with connections of their own, committing for real.

Each rule is run twice. With the locks it must hold; without them (the negative control) the same storm
must break it, which shows that the test can fail.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from tearline.core.refusal import Refusal
from tearline.core.roles import command_actor
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.pools.handback import hand_back
from tearline.pools.model import PartnerCode
from tearline.sales import desk_sql
from tearline.sales.desk import OrderAnswer, SaleDesk, Settled
from tearline.sales.model import VoucherOrder
from tests.races.controls import assert_breaks
from tests.sale_worlds import Sale, assert_clean, begin_payment, make_sale, order

pytestmark = pytest.mark.anyio

DESKS = 4
STORM = 64
LEFT = 10
CONSTRAINTS = {
    "code_pool": ("ck_code_pool_conservation", "ck_code_pool_counts"),
    "sale_item": ("ck_sale_item_counts", "ck_sale_item_quantity"),
    "purchase": ("ck_purchase_bought",),
    "returned_code": ("pk_returned_code",),
}


@asynccontextmanager
async def desks(url: str) -> AsyncIterator[list[SaleDesk]]:
    """Several desks that share nothing but the database, as those of several processes do."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(Database(url, hot_pool_size=2)) for _ in range(DESKS)]
        # Small batches, so that the storm is many transactions rather than one for each desk.
        made = [SaleDesk(database, maximum_batch=4) for database in databases]
        for database in databases:
            await database.hot_pool()
        yield made


async def without_locks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the same desk, reading without its locks and without the last net of constraints."""
    for name in ("LOCK_CAMPAIGN", "LOCK_POOLS", "LOCK_OFFERS", "LOCK_ORDERS", "LOCK_PAYMENTS"):
        monkeypatch.setattr(desk_sql, name, getattr(desk_sql, name).replace("FOR NO KEY UPDATE", ""))
    # The pause between reading and writing that a loaded machine makes by itself.
    for name in ("INSERT_ORDERS", "CHANGE_ORDERS"):
        paused = getattr(desk_sql, name).replace(
            "FROM unnest", "FROM (SELECT pg_sleep(0.02)) AS pause, unnest"
        )
        monkeypatch.setattr(desk_sql, name, paused)
    async with transaction(database) as tx:
        for table, constraints in CONSTRAINTS.items():
            for constraint in constraints:
                await tx.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}"))


def succeeded(outcomes: Sequence[Any]) -> list[Any]:
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
            raise AssertionError(outcome) from outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


def reasons(outcomes: Sequence[Any]) -> Counter[str]:
    return Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Refusal))


async def is_clean(database: Database) -> bool:
    async with database.connection() as connection:
        return not any(finding.breaches for finding in await run_audit(connection))


async def storm_of_orders(
    url: str, sale: Sale, member_of: Callable[[int], int], **values: Any
) -> list[OrderAnswer | BaseException]:
    """``STORM`` orders at once, spread over the desks."""
    async with desks(url) as made:
        return await asyncio.gather(
            *(order(made[number % DESKS], sale, member_of(number), **values) for number in range(STORM)),
            return_exceptions=True,
        )


Rule = Callable[[Database, str], Awaitable[bool]]


async def the_last_codes(database: Database, url: str) -> bool:
    """64 buyers for the last 10 codes: 10 get one each, and no code is anybody else's."""
    sale = await make_sale(database, codes=(LEFT,), members=STORM)
    outcomes = await storm_of_orders(url, sale, lambda number: number)
    async with database.connection() as connection:
        positions = (await connection.scalars(select(func.unnest(VoucherOrder.positions)))).all()
        buyers = (await connection.scalars(select(PartnerCode.member_id))).all()
    return (
        len(succeeded(outcomes)) == LEFT
        and reasons(outcomes) == {"sold_out": STORM - LEFT}
        and sorted(positions) == list(range(LEFT))
        and len(set(buyers)) == LEFT
    )


async def the_quantity(database: Database, url: str) -> bool:
    """A sale of five in all, whatever the pool holds."""
    sale = await make_sale(database, codes=(1_000,), members=STORM, item={"quantity": 5})
    outcomes = await storm_of_orders(url, sale, lambda number: number)
    return len(succeeded(outcomes)) == 5 and reasons(outcomes) == {"sold_out": STORM - 5}


async def the_limit_per_member(database: Database, url: str) -> bool:
    """Three a member, one member 64 times at once: three."""
    sale = await make_sale(database, codes=(1_000,), item={"limit_per_member": 3})
    outcomes = await storm_of_orders(url, sale, lambda number: 0)
    return len(succeeded(outcomes)) == 3 and reasons(outcomes) == {"purchase_limit_reached": STORM - 3}


async def the_issue_limit_of_our_codes(database: Database, url: str) -> bool:
    """An offer with codes of ours of which five may ever be issued."""
    sale = await make_sale(database, codes=(None,), members=STORM, offer={"issue_limit": 5})
    outcomes = await storm_of_orders(url, sale, lambda number: number)
    return len(succeeded(outcomes)) == 5 and reasons(outcomes) == {"sold_out": STORM - 5}


async def paid_against_released(database: Database, url: str) -> bool:
    """Each of 16 orders is paid and released at the same moment, both twice: each ends whole, with its own codes."""
    orders = STORM // 4
    sale = await make_sale(database, codes=(orders * 2,), members=orders)
    async with desks(url) as made:
        answers = [await order(made[0], sale, member, 2) for member in range(orders)]
        payments = [
            await begin_payment(database, sale, member, answer) for member, answer in enumerate(answers)
        ]
        for desk in made[1:]:  # so that each has its connections
            await desk.release(sale.code, sale.members[0], answers[0].order_id, "failed")
        acts = []
        for member, (answer, payment_id) in enumerate(zip(answers, payments, strict=True)):
            place = (sale.code, sale.members[member], answer.order_id)
            acts += [
                made[member % DESKS].settle(*place, payment_id, "charge"),
                made[(member + 1) % DESKS].release(*place, "expired"),
                made[(member + 2) % DESKS].settle(*place, payment_id, "charge"),
                made[(member + 3) % DESKS].release(*place, "failed"),
            ]
        outcomes = await asyncio.gather(*acts, return_exceptions=True)
    settled = [outcome for outcome in outcomes if isinstance(outcome, Settled)]
    # There is a code for everybody, so whoever paid gets theirs, in whatever order the news came.
    return (
        {outcome.state for outcome in settled} == {"paid"}
        and Counter(outcome.replayed for outcome in settled) == {False: orders, True: orders}
        and await is_clean(database)
    )


async def handed_back_or_sold(database: Database, url: str) -> bool:
    """Codes are handed back while they are ordered: each is in an order or in the file, and none in both."""
    sale = await make_sale(database, codes=(STORM,), members=STORM)
    [pool_id] = sale.pools
    assert pool_id is not None

    async def give_back() -> UUID | None:
        try:
            async with transaction(database) as tx:
                now = datetime.now(UTC)
                return await hand_back(tx, command_actor("test"), pool_id, campaign_id=None, now=now)
        except Refusal:
            return None

    async with desks(url) as made:
        for desk in made:  # so that each has its connections and knows the sale
            await asyncio.gather(
                desk.order(sale.code, sale.items[0], new_id(), 1, 1, "k"), return_exceptions=True
            )
        acts: list[Awaitable[Any]] = [
            order(made[number % DESKS], sale, number) for number in range(STORM // 2)
        ]
        outcomes = await asyncio.gather(give_back(), *acts, return_exceptions=True)
        taken = [outcome for outcome in outcomes if isinstance(outcome, OrderAnswer)]
        if not await is_clean(database):
            return False
        # Whoever ordered has the code; what is given up by its buyer afterwards can be handed back after all.
        for number, outcome in enumerate(outcomes[1:]):
            if isinstance(outcome, OrderAnswer):
                await made[0].release(sale.code, sale.members[number], outcome.order_id, "cancelled")
        was_handed_back = outcomes[0] is not None
        assert (await give_back() is not None) == (bool(taken) or not was_handed_back)
    async with database.connection() as connection:
        states = await connection.scalars(select(PartnerCode.state).distinct())
        return set(states) == {"withdrawn"}


RULES = [
    the_last_codes,
    the_quantity,
    the_limit_per_member,
    the_issue_limit_of_our_codes,
    paid_against_released,
    handed_back_or_sold,
]


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


async def test_one_key_in_parallel_is_one_order(database: Database, database_url: str) -> None:
    sale = await make_sale(database, codes=(100,))
    outcomes = succeeded(await storm_of_orders(database_url, sale, lambda number: 0, key="the-key"))
    assert len(outcomes) == STORM
    assert len({answer.order_id for answer in outcomes}) == 1
    assert [answer.replayed for answer in outcomes].count(False) == 1
    async with database.connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(VoucherOrder)) == 1
    await assert_clean(database)


async def test_one_key_in_parallel_without_locks_and_constraint_is_many_orders(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the one above."""
    await without_locks(database, monkeypatch)
    async with transaction(database) as tx:
        await tx.execute(
            text("ALTER TABLE voucher_order DROP CONSTRAINT uq_voucher_order_member_id_idempotency_key")
        )

    async def one_key() -> bool:
        sale = await make_sale(database, codes=(100,))
        await storm_of_orders(database_url, sale, lambda number: 0, key="the-key")
        async with database.connection() as connection:
            return await connection.scalar(select(func.count()).select_from(VoucherOrder)) == 1

    await assert_breaks(database, one_key)


async def test_released_codes_go_to_those_who_wait(database: Database, database_url: str) -> None:
    """All codes are reserved; while half the orders are released, others order: none is lost, none is twice."""
    sale = await make_sale(database, codes=(STORM,), members=2 * STORM)
    async with desks(database_url) as made:
        first = [await order(made[0], sale, member, 4) for member in range(STORM // 4)]
        released = first[::2]
        acts: list[Awaitable[Any]] = [
            made[number % DESKS].release(sale.code, sale.members[2 * number], answer.order_id, "expired")
            for number, answer in enumerate(released)
        ]
        acts += [order(made[number % DESKS], sale, STORM + number) for number in range(STORM)]
        outcomes = await asyncio.gather(*acts, return_exceptions=True)
        late = [
            await asyncio.gather(order(made[0], sale, STORM), return_exceptions=True) for _ in range(STORM)
        ]
    taken = [outcome for outcome in succeeded(outcomes) if isinstance(outcome, OrderAnswer)]
    taken += [outcome for [outcome] in late if isinstance(outcome, OrderAnswer)]
    assert len(taken) == 4 * len(released)
    await assert_clean(database)
