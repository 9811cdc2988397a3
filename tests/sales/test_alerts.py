"""Which pools need somebody, for each state of the sales that sell from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from tearline.campaigns.model import Campaign
from tearline.core.roles import command_actor
from tearline.db import Database, new_id, transaction
from tearline.pools.model import CodePool, HandBack
from tearline.sales.alerts import pool_alerts
from tearline.sales.closing import hand_back_unsold
from tearline.sales.model import SaleItem
from tests.sale_worlds import Sale, make_sale

pytestmark = pytest.mark.anyio

LATER, BEFORE = timedelta(days=1), -timedelta(days=1)


async def _kinds(database: Database, campaign_id: UUID | None = None) -> list[str]:
    async with database.connection() as connection:
        found = await pool_alerts(connection, datetime.now(UTC), campaign_id=campaign_id)
    return [one.kind for one in found]


async def _second_sale(database: Database, sale: Sale, state: str, ends_in: timedelta) -> UUID:
    """Another sale of the same offer."""
    async with transaction(database) as tx:
        first = (await tx.execute(select(Campaign.__table__))).one()._mapping
        ends_at = datetime.now(UTC) + ends_in
        second = {**first, "id": new_id(), "code": "VOUCHERS-2", "state": state, "ends_at": ends_at}
        await tx.execute(insert(Campaign).values(second))
        item = (await tx.execute(select(SaleItem.__table__))).one()._mapping
        await tx.execute(insert(SaleItem).values({**item, "id": new_id(), "campaign_id": second["id"]}))
    assert isinstance(second["id"], UUID)
    return second["id"]


@pytest.mark.parametrize(
    ("state", "ends_in", "low", "full"),
    [
        ("draft", LATER, [], []),
        ("draft", BEFORE, [], []),
        ("live", LATER, ["low"], []),
        ("live", BEFORE, ["left_over"], ["left_over"]),
        ("paused", LATER, ["low"], []),
        ("paused", BEFORE, ["left_over"], ["left_over"]),
        ("archived", LATER, ["left_over"], ["left_over"]),
        ("archived", BEFORE, ["left_over"], ["left_over"]),
    ],
)
async def test_a_pool_needs_somebody_by_the_state_of_its_sale(
    database: Database, state: str, ends_in: timedelta, low: list[str], full: list[str]
) -> None:
    sale = await make_sale(
        database, members=0, campaign={"state": state, "ends_at": datetime.now(UTC) + ends_in}
    )
    assert await _kinds(database) == full
    async with transaction(database) as tx:
        await tx.execute(update(CodePool).values(low_stock=11))
    assert await _kinds(database) == await _kinds(database, sale.campaign_id) == low
    assert await _kinds(database, new_id()) == []


@pytest.mark.parametrize(
    ("state", "ends_in", "kinds"),
    [
        ("draft", LATER, []),
        ("live", LATER, ["low"]),
        ("archived", LATER, ["left_over"]),
        ("live", BEFORE, ["left_over"]),
    ],
)
async def test_codes_are_left_over_once_no_sale_of_theirs_goes_on(
    database: Database, state: str, ends_in: timedelta, kinds: list[str]
) -> None:
    sale = await make_sale(database, members=0, campaign={"ends_at": datetime.now(UTC) + BEFORE})
    async with transaction(database) as tx:
        await tx.execute(update(CodePool).values(low_stock=11))
    second = await _second_sale(database, sale, state, ends_in)
    assert await _kinds(database) == kinds
    assert await _kinds(database, sale.campaign_id) == await _kinds(database, second) == kinds


async def test_a_pool_is_low_below_what_staff_set(database: Database) -> None:
    await make_sale(database, members=0, codes=(10,))
    for low_stock, kinds in ((None, []), (10, []), (11, ["low"])):
        async with transaction(database) as tx:
            await tx.execute(update(CodePool).values(low_stock=low_stock))
        assert await _kinds(database) == kinds


async def test_codes_are_handed_back_after_the_last_of_their_sales(database: Database) -> None:
    sale = await make_sale(database, members=0, campaign={"ends_at": datetime.now(UTC) + 2 * BEFORE})
    second = await _second_sale(database, sale, "live", BEFORE)
    assert sale.pools[0] is not None
    async with transaction(database) as tx:
        over = (await tx.scalars(select(Campaign.ends_at).where(Campaign.id == second))).one()
        await hand_back_unsold(tx, command_actor("tests"), sale.pools[0], over)
    async with database.connection() as connection:
        assert (await connection.scalars(select(HandBack.campaign_id))).all() == [second]
