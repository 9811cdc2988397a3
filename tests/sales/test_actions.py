"""Sales and their items against a real database: what staff may change, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from tearline.campaigns import actions as campaigns
from tearline.campaigns.desk import ClaimDesk
from tearline.campaigns.model import Campaign, PrizeOffer
from tearline.core.campaigns import CampaignDraft, PrizeDraft
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor, command_actor
from tearline.core.sales import SaleItemDraft
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry
from tearline.offers.model import Offer
from tearline.pools.actions import create_pool
from tearline.sales import actions
from tearline.sales.desk import SaleDesk
from tearline.sales.model import SaleItem
from tearline.sales.reads import items_of
from tests.sale_worlds import Sale, assert_clean, make_sale, order
from tests.worlds import make_world

pytestmark = pytest.mark.anyio

EDITOR = command_actor("editor")
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def draft(**changes: Any) -> CampaignDraft:
    plain = CampaignDraft(
        code="summer-26",
        names={"en": "Summer vouchers"},
        time_zone="Asia/Bangkok",
        starts_at=NOW - DAY,
        ends_at=NOW + DAY,
    )
    return replace(plain, **changes)


def item(offer_id: UUID, **changes: Any) -> SaleItemDraft:
    return replace(SaleItemDraft(offer_id, price=900, face_value=1_000, quantity=5), **changes)


async def refused(database: Database, action: Any, *args: Any, **values: Any) -> Refusal:
    with pytest.raises(Refusal) as reason:
        async with transaction(database) as tx:
            await action(tx, *args, **values)
    return reason.value


async def done(database: Database, action: Any, *args: Any, **values: Any) -> Any:
    async with transaction(database) as tx:
        return await action(tx, *args, **values)


async def version_of(database: Database, campaign_id: UUID) -> int:
    async with database.connection() as connection:
        version = await connection.scalar(select(Campaign.version).where(Campaign.id == campaign_id))
    assert version is not None
    return version


async def move(database: Database, sale: Sale, state: str) -> None:
    async with transaction(database) as tx:
        await tx.execute(update(Campaign).values(state=state, version=Campaign.version + 1))


async def test_a_sale_is_made_filled_and_opened(database: Database) -> None:
    other = await make_sale(database, codes=(10, None))
    sale_id = await done(database, actions.create_sale, EDITOR, draft(), NOW)
    refusal = await refused(database, actions.go_live, EDITOR, sale_id, now=NOW)
    assert set(refusal.fields) == {"items"}
    pooled = item(other.offers[0], quantity=None)
    first = await done(database, actions.add_item, EDITOR, sale_id, pooled, now=NOW)
    second = await done(database, actions.add_item, EDITOR, sale_id, item(other.offers[1]), now=NOW)
    twice = await refused(database, actions.add_item, EDITOR, sale_id, pooled, now=NOW)
    assert set(twice.fields) == {"offer_id"}
    version = await version_of(database, sale_id)
    assert await done(database, actions.go_live, EDITOR, sale_id, version=version, now=NOW) == version + 1
    async with database.connection() as connection:
        items = await items_of(connection, sale_id)
        entries = set(await connection.scalars(select(AuditEntry.action)))
    assert [(one.id, one.left, one.currency) for one in items] == [(first, 10, "THB"), (second, 5, "THB")]
    assert entries == {"campaign.created", "sale_item.added", "campaign.went_live"}
    # What all campaigns have is changed by their own actions.
    version = await done(database, campaigns.pause, EDITOR, sale_id, now=NOW)
    later = draft(ends_at=NOW + 2 * DAY)
    await done(database, campaigns.update_campaign, EDITOR, sale_id, later, version=version, now=NOW)
    await done(database, actions.resume, EDITOR, sale_id, now=NOW)
    await done(database, campaigns.archive, EDITOR, sale_id, now=NOW)


async def test_a_sale_that_nobody_could_buy_from_is_not_opened(database: Database) -> None:
    sale = await make_sale(database, codes=(10, 10), campaign={"state": "draft"})
    period = {"kind": "fixed", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-02-01T00:00:00Z"}
    async with transaction(database) as tx:
        await tx.execute(update(Offer).where(Offer.id == sale.offers[0]).values(state="archived"))
        expired = update(Offer).where(Offer.id == sale.offers[1])
        await tx.execute(expired.values(validity={"period": period}))
    refusal = await refused(database, actions.go_live, EDITOR, sale.campaign_id, now=NOW)
    assert set(refusal.fields) == {"items.0.offer_id", "items.1.offer_id"}
    over = NOW + 500 * DAY
    refusal = await refused(database, actions.go_live, EDITOR, sale.campaign_id, now=over)
    assert "ends_at" in refusal.fields


async def test_only_what_may_be_changed_is(database: Database) -> None:
    sale = await make_sale(database, codes=(None,), item={"quantity": 10})
    [item_id] = sale.items
    async with database.connection() as connection:
        [view] = await items_of(connection, sale.campaign_id)
    change = (database, actions.update_item, EDITOR, item_id)
    dearer = replace(view.draft, price=view.price + 1)
    assert (await refused(*change, dearer, now=NOW)).reason == "not_editable"
    assert (await refused(*change, replace(view.draft, quantity=9), now=NOW)).reason == "inventory_lowered"
    more = replace(view.draft, quantity=20, limit_per_member=7)
    assert await done(*change, more, now=NOW) == 2
    assert await done(*change, more, now=NOW) == 2
    assert (await refused(*change, more, version=1, now=NOW)).reason == "changed_meanwhile"
    assert (await refused(database, actions.remove_item, EDITOR, item_id, now=NOW)).reason == "not_editable"
    await move(database, sale, "paused")
    assert await done(*change, replace(more, price=view.price + 1), now=NOW) == 4
    wrong = replace(more, price=view.face_value + 1)
    assert set((await refused(*change, wrong, now=NOW)).fields) == {"price"}
    await move(database, sale, "archived")
    assert (await refused(*change, replace(more, quantity=30), now=NOW)).reason == "not_editable"
    await move(database, sale, "draft")
    await done(database, actions.remove_item, EDITOR, item_id, now=NOW)
    assert (await refused(*change, more, now=NOW)).reason == "not_found"


async def test_a_quantity_is_only_raised_also_while_members_buy(database: Database) -> None:
    sale = await make_sale(database, codes=(10, None), item={"quantity": 1})
    desk = SaleDesk(database)
    await order(desk, sale)
    with pytest.raises(Refusal):
        await order(desk, sale, 1)
    lift = (database, actions.raise_quantity, EDITOR, sale.items[0])
    assert await done(*lift, 3, NOW) == 3
    assert await done(*lift, 3, NOW) == 3
    await order(desk, sale, 1, 2)
    assert (await refused(*lift, 2, NOW)).reason == "inventory_lowered"
    assert (await refused(*lift, 5, NOW, expected=1)).reason == "changed_meanwhile"
    assert await done(*lift, None, NOW) is None
    assert (await order(desk, sale, 2, 7)).quantity == 7
    endless = await refused(database, actions.raise_quantity, EDITOR, sale.items[1], None, NOW)
    assert set(endless.fields) == {"quantity"}
    await assert_clean(database)


async def test_prizes_and_items_are_not_mixed_up(database: Database) -> None:
    sale = await make_sale(database)
    prize = PrizeDraft({"en": "Gift"}, "PASSWORD", 5, {sale.offers[0]: 1})
    for action, *args in (
        (campaigns.add_prize, sale.campaign_id, prize),
        (campaigns.go_live, sale.campaign_id),
        (campaigns.resume, sale.campaign_id),
    ):
        assert (await refused(database, action, EDITOR, *args, now=NOW)).reason == "not_editable"


async def test_an_offer_with_a_pool_is_never_given_out_by_passwords(database: Database) -> None:
    world = await make_world(database, bundle=(1,))
    [offer_id] = world.offers
    desk = ClaimDesk(database)
    claim = (world.campaign_code, world.members[0], 1, "PASSWORD0")
    # The desk knows the offer already when it is given its pool.
    with pytest.raises(Refusal):
        await desk.claim(*claim[:3], "no password", "k0")
    await done(database, create_pool, EDITOR, offer_id, now=NOW)
    with pytest.raises(Refusal) as reason:
        await desk.claim(*claim, "k1")
    assert reason.value.reason == "sold_out"
    # Nor can a prize be made of it, or a campaign that has one be opened again.
    await done(database, campaigns.pause, EDITOR, world.campaign_id, now=NOW)
    assert set((await refused(database, campaigns.resume, EDITOR, world.campaign_id, now=NOW)).fields) == {
        "prizes.0.bundle"
    }
    prize = PrizeDraft({"en": "Gift"}, "ANOTHER", 5, {offer_id: 1})
    refusal = await refused(database, campaigns.add_prize, EDITOR, world.campaign_id, prize, now=NOW)
    assert set(refusal.fields) == {"bundle"}
    async with database.connection() as connection:
        assert len((await connection.execute(select(PrizeOffer))).all()) == 1
    await assert_clean(database)


async def test_only_those_who_may_change_campaigns_change_sales(database: Database) -> None:
    sale = await make_sale(database)
    manager = Actor("staff", new_id(), "Mei", PERMISSIONS["manager"], sale.merchant_id)
    finance = Actor("staff", new_id(), "Fay", PERMISSIONS["finance"])
    for actor in (manager, finance):
        for action, *args in (
            (actions.create_sale, draft(), NOW),
            (actions.raise_quantity, sale.items[0], 100, NOW),
        ):
            assert (await refused(database, action, actor, *args)).reason == "not_allowed"
    async with database.connection() as connection:
        assert await connection.scalar(select(SaleItem.quantity)) is None
