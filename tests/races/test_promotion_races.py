"""An offer becomes a promotion that applies by itself, and is put into a prize or a sale, at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns import actions as campaigns
from tearline.campaigns.model import PrizeOffer
from tearline.core.campaigns import CampaignDraft, PrizeDraft
from tearline.core.refusal import Refusal
from tearline.core.roles import command_actor
from tearline.core.sales import SaleItemDraft
from tearline.db import Database, transaction
from tearline.offers import actions as offers
from tearline.offers import reads
from tearline.offers.model import Offer
from tearline.sales import actions as sales
from tearline.sales.model import SaleItem
from tests.worlds import NOW, World, make_world

pytestmark = pytest.mark.anyio

EDITOR = command_actor("editor")
_WAITING = text(
    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock')"
)
Give = Callable[[AsyncConnection, World], Awaitable[Any]]


async def into_a_prize(tx: AsyncConnection, world: World) -> None:
    prize = PrizeDraft({"en": "Two"}, "another", 10, {world.offers[0]: 1})
    await campaigns.add_prize(tx, EDITOR, world.campaign_id, prize, now=NOW)


async def into_a_sale(tx: AsyncConnection, world: World) -> None:
    draft = CampaignDraft("SALE", {"en": "Sale"}, "UTC", NOW, datetime(2036, 1, 1, tzinfo=UTC))
    sale_id = await sales.create_sale(tx, EDITOR, draft, NOW)
    item = SaleItemDraft(world.offers[0], price=4000, face_value=5000, quantity=10)
    await sales.add_item(tx, EDITOR, sale_id, item, now=NOW)


async def _somebody_waits(database: Database) -> bool:
    # A transaction sees the activity as it was when it first looked.
    async with database.connection() as watching:
        return bool(await watching.scalar(_WAITING))


async def at_once(database: Database, give: Give) -> bool:
    """Whether the offer is at last not both: the change is not committed yet when somebody gives it out."""
    world = await make_world(database, campaign={"state": "paused"}, bundle=(1,))
    async with transaction(database) as tx:
        await tx.execute(text("DELETE FROM prize_offer"))
    async with transaction(database) as tx:
        row = await reads.offer_row(tx, EDITOR, world.offers[0])
        promotion = replace(reads.draft_of(row), automatic=True, redeem_by=("checkout",))
        await offers.update_offer(tx, EDITOR, row.id, promotion, version=row.version, now=NOW)

        async def giving() -> bool:
            try:
                async with transaction(database) as other:
                    await give(other, world)
            except Refusal as refusal:
                assert refusal.reason == "invalid"
                return False
            return True

        task = asyncio.create_task(giving())
        while not await _somebody_waits(database):
            assert not task.done(), "it waits for the lock of the offer"
            await asyncio.sleep(0.005)
    was_given = await task
    async with database.connection() as connection:
        assert await connection.scalar(select(Offer.automatic).where(Offer.id == world.offers[0]))
        given = await connection.scalar(select(PrizeOffer.offer_id))
        sold = await connection.scalar(select(SaleItem.offer_id))
    assert was_given == bool(given or sold)
    return not was_given


@pytest.mark.parametrize("give", [into_a_prize, into_a_sale])
async def test_what_is_becoming_a_promotion_is_not_given_out(database: Database, give: Give) -> None:
    assert await at_once(database, give)


@pytest.mark.parametrize("give", [into_a_prize, into_a_sale])
async def test_without_the_lock_it_would_be(
    database: Database, give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: whoever gives it out looks at the offer without a lock of its row."""
    locking = Select.with_for_update

    def only_for_writing(statement: Select[Any], *, read: bool = False, **more: Any) -> Select[Any]:
        return statement if read else locking(statement, read=read, **more)

    monkeypatch.setattr(Select, "with_for_update", only_for_writing)
    assert not await at_once(database, give)
