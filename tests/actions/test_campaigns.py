"""Campaigns, prizes and their reads against a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns import actions, reads
from tearline.campaigns.model import Campaign, Prize
from tearline.core.audience import Audience
from tearline.core.campaigns import CampaignDraft, PrizeDraft
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor, command_actor
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry, Merchant
from tearline.offers.model import Offer
from tests.worlds import make_world, offer_row

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 10, 4, tzinfo=UTC)
DAY = timedelta(days=1)
EDITOR = command_actor("editor")


def draft(**changes: Any) -> CampaignDraft:
    plain = CampaignDraft(
        code="summer-26",
        names={"en": "Summer"},
        time_zone="Asia/Hong_Kong",
        starts_at=NOW - DAY,
        ends_at=NOW + DAY,
        rules={"en": "Be kind."},
        audience=Audience(any_of=frozenset({"tag:tea"})),
        limit_per_member=3,
    )
    return replace(plain, **changes)


async def make_offer(tx: AsyncConnection, **changes: Any) -> UUID:
    merchant_id = await tx.scalar(select(Merchant.id))
    if merchant_id is None:
        merchant_id = new_id()
        row = {
            "id": merchant_id,
            "code": "books",
            "names": {"en": "Books"},
            "kind": "retail",
            "created_at": NOW,
        }
        await tx.execute(insert(Merchant).values(row))
    offer_id = new_id()
    await tx.execute(insert(Offer).values(offer_row(offer_id, merchant_id, **changes)))
    return offer_id


async def make_prize(
    tx: AsyncConnection, campaign_id: UUID, password: str = "Dragon", **changes: Any
) -> UUID:
    bundle = changes.pop("bundle", None) or {await make_offer(tx): 2}
    prize = PrizeDraft(
        {"en": f"Gift of {password}"}, password, changes.pop("inventory", 100), bundle, **changes
    )
    return await actions.add_prize(tx, EDITOR, campaign_id, prize, now=NOW)


async def make_live(tx: AsyncConnection, **changes: Any) -> tuple[UUID, UUID]:
    campaign_id = await actions.create_campaign(tx, EDITOR, draft(**changes), NOW)
    prize_id = await make_prize(tx, campaign_id)
    await actions.go_live(tx, EDITOR, campaign_id, now=NOW)
    return campaign_id, prize_id


async def change(tx: AsyncConnection, campaign_id: UUID, **changes: Any) -> int:
    found = await reads.campaign(tx, EDITOR, campaign_id)
    wanted = replace(found.draft, **changes)
    return await actions.update_campaign(tx, EDITOR, campaign_id, wanted, version=found.version, now=NOW)


async def change_prize(tx: AsyncConnection, campaign_id: UUID, position: int = 0, **changes: Any) -> int:
    prize = (await reads.campaign(tx, EDITOR, campaign_id)).prizes[position]
    return await actions.update_prize(tx, EDITOR, prize.id, replace(prize.draft, **changes), now=NOW)


async def refused(awaitable: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value


async def test_a_campaign_is_kept_as_it_was_made(tx: AsyncConnection) -> None:
    campaign_id = await actions.create_campaign(tx, EDITOR, draft(), NOW)
    offers = {await make_offer(tx): 1, await make_offer(tx): 3}
    prize_id = await make_prize(tx, campaign_id, bundle=offers, limit_per_member=1)
    found = await reads.campaign(tx, EDITOR, campaign_id)
    assert found.draft == draft(code="SUMMER-26")
    assert (found.state, found.version, found.kind) == ("draft", 2, "password")
    (prize,) = found.prizes
    assert (prize.id, prize.password, prize.inventory, prize.left, prize.limit_per_member) == (
        prize_id, "Dragon", 100, 100, 1,
    )  # fmt: skip
    assert {part.ticket.offer_id: part.quantity for part in prize.bundle} == offers
    actions_logged = (await tx.execute(select(AuditEntry.action).order_by(AuditEntry.id))).scalars().all()
    assert actions_logged == ["campaign.created", "prize.added"]


async def test_only_the_operators_staff(tx: AsyncConnection) -> None:
    auditor = Actor("staff", None, "auditor", PERMISSIONS["auditor"])
    assert (await refused(actions.create_campaign(tx, auditor, draft(), NOW))).reason == "not_allowed"
    campaign_id, prize_id = await make_live(tx)
    assert (await refused(actions.pause(tx, auditor, campaign_id, now=NOW))).reason == "not_allowed"
    raised = actions.raise_inventory(tx, auditor, prize_id, 200, NOW)
    assert (await refused(raised)).reason == "not_allowed"
    merchant = Actor("staff", None, "m", PERMISSIONS["owner"], new_id())
    assert (await refused(reads.campaign(tx, merchant, campaign_id))).reason == "not_found"
    assert (await refused(actions.pause(tx, merchant, campaign_id, now=NOW))).reason == "not_found"


async def test_codes_are_given_once(tx: AsyncConnection) -> None:
    await actions.create_campaign(tx, EDITOR, draft(), NOW)
    assert (await refused(actions.create_campaign(tx, EDITOR, draft(), NOW))).reason == "already_taken"
    second = await actions.create_campaign(tx, EDITOR, draft(code="TWO"), NOW)
    assert (await refused(change(tx, second, code="SUMMER-26"))).reason == "already_taken"


async def test_the_way_of_a_campaign(tx: AsyncConnection) -> None:
    campaign_id = await actions.create_campaign(tx, EDITOR, draft(), NOW)
    refusal = await refused(actions.go_live(tx, EDITOR, campaign_id, now=NOW))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"prizes"})
    assert (await refused(actions.pause(tx, EDITOR, campaign_id, now=NOW))).reason == "not_editable"
    await make_prize(tx, campaign_id)
    await actions.go_live(tx, EDITOR, campaign_id, now=NOW)
    assert (await refused(actions.go_live(tx, EDITOR, campaign_id, now=NOW))).reason == "not_editable"
    await actions.pause(tx, EDITOR, campaign_id, now=NOW)
    await actions.resume(tx, EDITOR, campaign_id, now=NOW)
    old = actions.pause(tx, EDITOR, campaign_id, version=1, now=NOW)
    assert (await refused(old)).reason == "changed_meanwhile"
    await actions.archive(tx, EDITOR, campaign_id, now=NOW)
    for act in (actions.archive, actions.resume, actions.pause, actions.go_live):
        assert (await refused(act(tx, EDITOR, campaign_id, now=NOW))).reason == "not_editable"
    assert (await refused(change(tx, campaign_id, names={"en": "Over"}))).reason == "not_editable"
    assert (await reads.campaign(tx, EDITOR, campaign_id)).version == 6


@pytest.mark.parametrize(
    ("offer", "quantity"),
    [
        ({"state": "draft"}, 1),
        ({"limit_per_member": 1}, 2),
        (
            {
                "validity": {
                    "period": {
                        "kind": "fixed",
                        "starts_at": "2020-01-01T00:00:00Z",
                        "ends_at": "2021-01-01T00:00:00Z",
                    }
                }
            },
            1,
        ),
    ],
)
async def test_what_keeps_a_campaign_from_going_live(
    tx: AsyncConnection, offer: dict[str, Any], quantity: int
) -> None:
    campaign_id = await actions.create_campaign(tx, EDITOR, draft(), NOW)
    await make_prize(tx, campaign_id, bundle={await make_offer(tx, **offer): quantity})
    refusal = await refused(actions.go_live(tx, EDITOR, campaign_id, now=NOW))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"prizes.0.bundle"})
    refusal = await refused(actions.go_live(tx, EDITOR, campaign_id, now=NOW + DAY))
    assert "ends_at" in refusal.fields


async def test_what_can_be_edited_while_live(tx: AsyncConnection) -> None:
    campaign_id, _prize_id = await make_live(tx)
    before = (await reads.campaign(tx, EDITOR, campaign_id)).version
    assert await change(tx, campaign_id, names={"en": "Late summer"}, ends_at=NOW + 2 * DAY) == before + 1
    refusal = await refused(change(tx, campaign_id, code="OTHER", ends_at=NOW + DAY))
    assert (refusal.reason, set(refusal.fields)) == ("not_editable", {"code", "ends_at"})
    assert await change_prize(tx, campaign_id, names={"en": "Better"}, inventory=150, limit_per_member=2)
    for name, value in (("password", "Tiger"), ("bundle", {await make_offer(tx): 1})):
        refusal = await refused(change_prize(tx, campaign_id, **{name: value}))
        assert (refusal.reason, set(refusal.fields)) == ("not_editable", {name})
    assert (await refused(change_prize(tx, campaign_id, inventory=149))).reason == "inventory_lowered"
    assert (await refused(make_prize(tx, campaign_id, "Tiger"))).reason == "not_editable"
    await actions.pause(tx, EDITOR, campaign_id, now=NOW)
    await change(tx, campaign_id, audience=Audience())
    await change_prize(tx, campaign_id, password="Tiger")
    tiger = await make_prize(tx, campaign_id, "Dragon")
    assert (await refused(actions.remove_prize(tx, EDITOR, tiger, now=NOW))).reason == "not_editable"


async def test_an_archived_offer_does_not_keep_a_prize_from_being_reworded(tx: AsyncConnection) -> None:
    campaign_id, _prize_id = await make_live(tx)
    await tx.execute(update(Offer).values(state="archived"))
    await change_prize(tx, campaign_id, names={"en": "Better"})


async def test_passwords_are_unique_in_a_campaign(tx: AsyncConnection) -> None:
    campaign_id = await actions.create_campaign(tx, EDITOR, draft(), NOW)
    await make_prize(tx, campaign_id, "Straße")
    refusal = await refused(make_prize(tx, campaign_id, " ＳＴＲＡＳＳＥ "))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"password"})
    await make_prize(tx, campaign_id, "two")
    assert set((await refused(change_prize(tx, campaign_id, 1, password="strasse"))).fields) == {"password"}
    for password in ("three", "four", "five"):
        await make_prize(tx, campaign_id, password)
    assert set((await refused(make_prize(tx, campaign_id, "six"))).fields) == {"prizes"}
    first = (await reads.campaign(tx, EDITOR, campaign_id)).prizes[0]
    await actions.remove_prize(tx, EDITOR, first.id, now=NOW)
    await make_prize(tx, campaign_id, "six")
    found = await reads.campaign(tx, EDITOR, campaign_id)
    assert [prize.password for prize in found.prizes] == ["two", "three", "four", "five", "six"]


async def test_the_inventory_is_only_raised(tx: AsyncConnection) -> None:
    campaign_id, prize_id = await make_live(tx)
    before = (await reads.campaign(tx, EDITOR, campaign_id)).version
    assert await actions.raise_inventory(tx, EDITOR, prize_id, 150, NOW, expected=100) == 150
    # The answer got lost and the request comes again: it's answered alike, and nothing happens twice.
    assert await actions.raise_inventory(tx, EDITOR, prize_id, 150, NOW, expected=100) == 150
    stale = actions.raise_inventory(tx, EDITOR, prize_id, 160, NOW, expected=100)
    assert (await refused(stale)).reason == "changed_meanwhile"
    refusal = await refused(actions.raise_inventory(tx, EDITOR, prize_id, 149, NOW))
    assert (refusal.reason, refusal.details) == ("inventory_lowered", {"inventory": 150})
    assert (await refused(actions.raise_inventory(tx, EDITOR, prize_id, 10**30, NOW))).reason == "invalid"
    found = await reads.campaign(tx, EDITOR, campaign_id)
    assert (found.prizes[0].inventory, found.version) == (150, before + 1)
    entry = (await tx.execute(select(AuditEntry.__table__).order_by(AuditEntry.id.desc()).limit(1))).one()
    assert (entry.action, entry.before, entry.after) == (
        "prize.inventory_raised", {"inventory": 100}, {"inventory": 150},
    )  # fmt: skip
    await actions.archive(tx, EDITOR, campaign_id, now=NOW)
    assert (await refused(actions.raise_inventory(tx, EDITOR, prize_id, 200, NOW))).reason == "not_editable"
    assert (await refused(actions.raise_inventory(tx, EDITOR, new_id(), 200, NOW))).reason == "not_found"


async def test_raising_waits_for_the_campaigns_lock_and_sees_what_was_decided(database: Database) -> None:
    world = await make_world(database, members=0)
    prize_id = world.prizes[0]
    async with transaction(database) as rush:
        await rush.execute(select(Campaign.id).where(Campaign.id == world.campaign_id).with_for_update())

        async def raise_by_form() -> int:
            async with transaction(database) as tx:
                return await actions.raise_inventory(tx, EDITOR, prize_id, 12, NOW)

        raising = asyncio.create_task(raise_by_form())
        async with database.connection() as watching:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not await watching.scalar(waiting):
                assert not raising.done()
                await asyncio.sleep(0.01)
        # Meanwhile another hand raises it further, under the lock that it holds.
        await rush.execute(update(Prize).where(Prize.id == prize_id).values(inventory=20))
    assert (await refused(raising)).reason == "inventory_lowered"


async def test_what_members_see(tx: AsyncConnection) -> None:
    campaign_id, prize_id = await make_live(tx)
    second = await actions.create_campaign(tx, EDITOR, draft(code="DRAFT"), NOW)
    page = await reads.campaign_page(tx, "summer-26", NOW)
    assert (page.id, page.window, page.is_paused, page.inventory, page.left) == (
        campaign_id,
        "running",
        False,
        100,
        100,
    )
    assert page.is_open
    assert not any("prize" in name or "password" in name for name in page.__dataclass_fields__)
    assert (await reads.campaign_page(tx, "SUMMER-26", NOW + DAY)).window == "ended"
    assert [shown.code for shown in await reads.campaign_pages(tx, NOW)] == ["SUMMER-26"]
    assert await reads.campaign_pages(tx, NOW + DAY) == []
    for hidden in ("DRAFT", "NONE", ""):
        assert (await refused(reads.campaign_page(tx, hidden, NOW))).reason == "not_found"
    opened = await reads.prize_for_password(tx, campaign_id, " dragon")
    assert opened is not None
    assert (opened.id, opened.left, [part.quantity for part in opened.bundle]) == (prize_id, 100, [2])
    assert await reads.prize_for_password(tx, campaign_id, "tiger") is None
    assert await reads.prize_for_password(tx, second, "dragon") is None
    await actions.pause(tx, EDITOR, campaign_id, now=NOW)
    assert not (await reads.campaign_page(tx, "SUMMER-26", NOW)).is_open


async def test_the_consoles_list(tx: AsyncConnection) -> None:
    campaign_id, _prize_id = await make_live(tx)
    await actions.create_campaign(tx, EDITOR, draft(code="EMPTY"), NOW)
    rows = (await tx.execute(reads.campaigns_list(EDITOR).order_by(Campaign.code))).all()
    assert [(row.code, row.state, row.prizes, row.inventory, row.claimed) for row in rows] == [
        ("EMPTY", "draft", 0, 0, 0),
        ("SUMMER-26", "live", 1, 100, 0),
    ]
    offer_id = await tx.scalar(select(Offer.id))
    assert [row.id for row in await reads.campaigns_with_offer(tx, offer_id)] == [campaign_id]
    assert await reads.campaign_id_of(tx, " summer-26") == campaign_id
