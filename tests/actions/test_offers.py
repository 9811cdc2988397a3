"""The coupon library's actions and reads against a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns import actions as campaigns
from tearline.core.campaigns import CampaignDraft, PrizeDraft
from tearline.core.offers import (
    AmountOff,
    CartRules,
    DaysAfterClaim,
    FixedWindow,
    Funding,
    OfferDraft,
    PercentOff,
    Scope,
    Selection,
    Validity,
)
from tearline.core.refusal import Refusal
from tearline.core.roles import KEY_SCOPES, PERMISSIONS, Actor, command_actor
from tearline.core.sales import SaleItemDraft
from tearline.db import new_id
from tearline.merchants.model import AuditEntry, Merchant, Store
from tearline.offers import actions, reads
from tearline.offers.model import Offer
from tearline.pools import actions as pools
from tearline.sales import actions as sales

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 10, 4, tzinfo=UTC)
EDITOR = command_actor("editor")


class Shop:
    """A merchant with two stores, and another merchant with one."""

    def __init__(self) -> None:
        self.merchant, self.other_merchant = new_id(), new_id()
        self.stores = [new_id(), new_id()]
        self.other_store = new_id()


@pytest.fixture
async def shop(tx: AsyncConnection) -> AsyncIterator[Shop]:
    made = Shop()
    for merchant_id, code, name in (
        (made.merchant, "books", "Harbour Books"),
        (made.other_merchant, "tea", "Tea"),
    ):
        row = {"id": merchant_id, "code": code, "names": {"en": name}, "kind": "retail", "created_at": NOW}
        await tx.execute(insert(Merchant).values(row))
    owners = [(store, made.merchant) for store in made.stores] + [(made.other_store, made.other_merchant)]
    for position, (store_id, merchant_id) in enumerate(owners):
        names = {"en": f"Store {position}"}
        row = {
            "id": store_id,
            "merchant_id": merchant_id,
            "code": f"s{position}",
            "names": names,
            "created_at": NOW,
        }
        await tx.execute(insert(Store).values(row))
    yield made


def draft(shop: Shop, **changes: Any) -> OfferDraft:
    plain = OfferDraft(
        code="save-50",
        issuer="merchant",
        merchant_id=shop.merchant,
        names={"en": " HK$50 off ", "th": " "},
        terms={"en": "One per visit."},
        benefit=AmountOff(5000),
        minimum_spend=30000,
        currency="HKD",
        funding=Funding(2500, 7500),
        validity=Validity(DaysAfterClaim(30), weekdays=(1, 2)),
        time_zone="Asia/Hong_Kong",
        cart_rules=CartRules(stacking_group="books"),
        issue_limit=1000,
        store_ids=tuple(shop.stores),
    )
    return replace(plain, **changes)


async def issue(tx: AsyncConnection, offer_id: UUID, count: int) -> None:
    await tx.execute(update(Offer).where(Offer.id == offer_id).values(issued=count))


async def change(tx: AsyncConnection, offer_id: UUID, version: int | None = None, **changes: Any) -> int:
    row = await reads.offer_row(tx, EDITOR, offer_id)
    wanted = replace(reads.draft_of(row), **changes)
    return await actions.update_offer(tx, EDITOR, offer_id, wanted, version=version or row.version, now=NOW)


async def refused(awaitable: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value


async def test_an_offer_is_kept_as_it_was_made(tx: AsyncConnection, shop: Shop) -> None:
    wanted = draft(shop)
    offer_id = await actions.create_offer(tx, EDITOR, wanted, NOW)
    row = await reads.offer_row(tx, EDITOR, offer_id)
    assert (row.state, row.version, row.issued, row.code) == ("draft", 1, 0, "SAVE-50")
    assert reads.draft_of(row) == replace(wanted, code="SAVE-50", names={"en": "HK$50 off"})
    entry = (await tx.execute(select(AuditEntry.__table__))).one()
    assert (entry.action, entry.subject_id, entry.merchant_id) == (
        "offer.created",
        str(offer_id),
        shop.merchant,
    )
    assert entry.after["benefit"]["amount"] == 5000


async def test_nonsense_is_refused_by_field_and_nothing_is_kept(tx: AsyncConnection, shop: Shop) -> None:
    wrong = draft(shop, minimum_spend=100, funding=Funding(1, 1), store_ids=(shop.other_store,))
    refusal = await refused(actions.create_offer(tx, EDITOR, wrong, NOW))
    assert refusal.reason == "invalid"
    assert set(refusal.fields) == {"benefit.amount", "funding", "store_ids"}
    assert await tx.scalar(select(Offer.id)) is None
    assert await tx.scalar(select(AuditEntry.id)) is None


async def test_a_code_is_given_once(tx: AsyncConnection, shop: Shop) -> None:
    await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    refusal = await refused(actions.create_offer(tx, EDITOR, draft(shop, code=" Save-50"), NOW))
    assert (refusal.reason, set(refusal.fields)) == ("already_taken", {"code"})
    second = await actions.create_offer(tx, EDITOR, draft(shop, code="OTHER"), NOW)
    assert (await refused(change(tx, second, code="SAVE-50"))).reason == "already_taken"
    # The transaction can go on after such a refusal.
    assert await change(tx, second, code="ANOTHER") == 2


async def test_only_those_who_may(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    auditor = Actor("staff", None, "auditor", PERMISSIONS["auditor"])
    assert (
        await refused(actions.create_offer(tx, auditor, draft(shop, code="B"), NOW))
    ).reason == "not_allowed"
    assert (await refused(actions.archive_offer(tx, auditor, offer_id, now=NOW))).reason == "not_allowed"
    stranger = Actor("key", None, "tea", KEY_SCOPES["merchant"] | {"offers.write"}, shop.other_merchant)
    assert (await refused(reads.offer_row(tx, stranger, offer_id))).reason == "not_found"
    assert (await refused(actions.activate_offer(tx, stranger, offer_id, now=NOW))).reason == "not_found"
    assert (
        await refused(actions.create_offer(tx, stranger, draft(shop, code="C"), NOW))
    ).reason == "not_found"
    assert (await tx.execute(reads.offers_list(stranger))).all() == []
    own = Actor("staff", None, "manager", PERMISSIONS["manager"], shop.merchant)
    assert [row.offer_id for row in await tx.execute(reads.offers_list(own))] == [offer_id]


async def test_a_version_that_is_old_is_refused(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    assert await change(tx, offer_id, names={"en": "Fifty off"}) == 2
    assert (
        await refused(change(tx, offer_id, version=1, names={"en": "Sixty"}))
    ).reason == "changed_meanwhile"
    activation = actions.activate_offer(tx, EDITOR, offer_id, version=1, now=NOW)
    assert (await refused(activation)).reason == "changed_meanwhile"
    entry = (await tx.execute(select(AuditEntry.__table__).order_by(AuditEntry.id.desc()).limit(1))).one()
    assert (entry.before, entry.after) == ({"names": {"en": "HK$50 off"}}, {"names": {"en": "Fifty off"}})


async def test_saving_without_a_change_changes_nothing(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    assert await change(tx, offer_id) == 1
    assert len((await tx.execute(select(AuditEntry.id))).all()) == 1


async def test_before_the_first_coupon_all_may_change(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    await actions.activate_offer(tx, EDITOR, offer_id, now=NOW)
    await change(tx, offer_id, benefit=PercentOff(2000, 8000), minimum_spend=0, limit_per_member=2)
    row = await reads.offer_row(tx, EDITOR, offer_id)
    assert (row.benefit_kind, row.limit_per_member, row.version) == ("percent_off", 2, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"benefit": AmountOff(4000)},
        {"minimum_spend": 40000},
        {"currency": "USD"},
        {"funding": Funding(0, 10000)},
        {"validity": Validity(DaysAfterClaim(60))},
        {"time_zone": "UTC"},
        {"scope": Scope(Selection(brands=("x",)))},
        {"cart_rules": CartRules(exclusive=True)},
        {"code": "NEW"},
        {"limit_per_member": 1},
        {"automatic": True},
    ],
)
async def test_promises_to_holders_are_kept(tx: AsyncConnection, shop: Shop, changes: dict[str, Any]) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    await issue(tx, offer_id, 10)
    refusal = await refused(change(tx, offer_id, **changes))
    assert (refusal.reason, set(refusal.fields)) == ("not_editable", set(changes))


async def test_what_may_change_once_issued(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, draft(shop, limit_per_member=2), NOW)
    await issue(tx, offer_id, 10)
    await change(
        tx, offer_id, names={"en": "Fifty"}, store_ids=(), redeem_by=("cashier",), limit_per_member=5
    )
    await change(tx, offer_id, issue_limit=10)
    refusal = await refused(change(tx, offer_id, issue_limit=9))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"issue_limit"})
    await change(tx, offer_id, limit_per_member=None)
    refusal = await refused(change(tx, offer_id, limit_per_member=5))
    assert (refusal.reason, set(refusal.fields)) == ("not_editable", {"limit_per_member"})


def promotion(shop: Shop, **changes: Any) -> OfferDraft:
    window = Validity(FixedWindow(NOW, NOW + timedelta(days=30)))
    return draft(shop, code="AUTO", validity=window, automatic=True, issue_limit=None, **changes)


async def test_a_promotion_applies_by_itself(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, promotion(shop), NOW)
    row = await reads.offer_row(tx, EDITOR, offer_id)
    assert row.automatic
    assert reads.draft_of(row).automatic
    assert row.redeem_by == ["cashier", "till", "checkout"]
    listed = (await tx.execute(reads.offers_list(EDITOR))).one()
    assert listed.automatic
    assert await change(tx, offer_id, automatic=False) == 2
    await change(tx, offer_id, automatic=True)
    refusal = await refused(change(tx, offer_id, issue_limit=5))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"issue_limit"})
    await actions.activate_offer(tx, EDITOR, offer_id, now=NOW)
    assert await reads.usable_offers(tx, NOW) == [], "no bundle is made of it"
    # Should code ever be wrong: no coupon of it can be issued.
    with pytest.raises(IntegrityError, match="ck_offer_automatic"):
        async with tx.begin_nested():
            await issue(tx, offer_id, 1)


@pytest.mark.parametrize("by", ["prize", "sale", "pool"])
async def test_what_is_given_out_cannot_become_one(tx: AsyncConnection, shop: Shop, by: str) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, replace(promotion(shop), automatic=False), NOW)
    await actions.activate_offer(tx, EDITOR, offer_id, now=NOW)
    window = (NOW, NOW + timedelta(days=1))
    campaign = CampaignDraft("WINTER", {"en": "Winter"}, "Asia/Hong_Kong", *window)
    if by == "prize":
        campaign_id = await campaigns.create_campaign(tx, EDITOR, campaign, NOW)
        prize = PrizeDraft({"en": "One"}, "winter", 10, {offer_id: 1})
        await campaigns.add_prize(tx, EDITOR, campaign_id, prize, now=NOW)
    elif by == "sale":
        campaign_id = await sales.create_sale(tx, EDITOR, campaign, NOW)
        item = SaleItemDraft(offer_id, price=4000, face_value=5000, quantity=10)
        await sales.add_item(tx, EDITOR, campaign_id, item, now=NOW)
    else:
        await pools.create_pool(tx, EDITOR, offer_id, now=NOW)
    refusal = await refused(change(tx, offer_id, automatic=True))
    assert (refusal.reason, set(refusal.fields)) == ("not_editable", {"automatic"})


async def test_what_applies_by_itself_is_not_given_out(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, promotion(shop), NOW)
    plain = await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    for one in (offer_id, plain):
        await actions.activate_offer(tx, EDITOR, one, now=NOW)
    window = (NOW, NOW + timedelta(days=1))
    campaign = CampaignDraft("WINTER", {"en": "Winter"}, "Asia/Hong_Kong", *window)
    campaign_id = await campaigns.create_campaign(tx, EDITOR, campaign, NOW)
    prize = PrizeDraft({"en": "One"}, "winter", 10, {plain: 1, offer_id: 1})
    refusal = await refused(campaigns.add_prize(tx, EDITOR, campaign_id, prize, now=NOW))
    assert (refusal.reason, refusal.fields) == ("invalid", {"bundle": campaigns.AUTOMATIC_SENTENCE})
    good = replace(prize, bundle={plain: 1})
    prize_id = await campaigns.add_prize(tx, EDITOR, campaign_id, good, now=NOW)
    refusal = await refused(campaigns.update_prize(tx, EDITOR, prize_id, prize, now=NOW))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"bundle"})
    sale_id = await sales.create_sale(tx, EDITOR, replace(campaign, code="SALE"), NOW)
    item = SaleItemDraft(offer_id, price=4000, face_value=5000, quantity=10)
    refusal = await refused(sales.add_item(tx, EDITOR, sale_id, item, now=NOW))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"offer_id"})
    assert (await refused(pools.create_pool(tx, EDITOR, offer_id, now=NOW))).reason == "not_editable"


async def test_states(tx: AsyncConnection, shop: Shop) -> None:
    offer_id = await actions.create_offer(tx, EDITOR, draft(shop), NOW)
    assert await actions.activate_offer(tx, EDITOR, offer_id, version=1, now=NOW) == 2
    assert (await refused(actions.activate_offer(tx, EDITOR, offer_id, now=NOW))).reason == "not_editable"
    assert await actions.archive_offer(tx, EDITOR, offer_id, version=2, now=NOW) == 3
    assert (await refused(actions.archive_offer(tx, EDITOR, offer_id, now=NOW))).reason == "not_editable"
    assert (await refused(change(tx, offer_id, names={"en": "Late"}))).reason == "not_editable"
    assert (await refused(actions.archive_offer(tx, EDITOR, new_id(), now=NOW))).reason == "not_found"
    over = Validity(FixedWindow(NOW - timedelta(days=2), NOW))
    past_id = await actions.create_offer(tx, EDITOR, draft(shop, code="PAST", validity=over), NOW)
    refusal = await refused(actions.activate_offer(tx, EDITOR, past_id, now=NOW))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {"validity.ends_at"})


async def test_tickets_and_places(tx: AsyncConnection, shop: Shop) -> None:
    own = await actions.create_offer(tx, EDITOR, draft(shop, store_ids=(shop.stores[1],)), NOW)
    everywhere = draft(shop, code="ALL", issuer="platform", merchant_id=None, store_ids=())
    platform = await actions.create_offer(tx, EDITOR, everywhere, NOW)
    but_books = Scope(excludes=Selection(merchants=(shop.merchant,)))
    narrowed = await actions.create_offer(tx, EDITOR, replace(everywhere, code="TEA", scope=but_books), NOW)
    tickets = await reads.tickets(tx, [own, platform, narrowed])
    assert tickets[own].merchant_names == {"en": "Harbour Books"}
    assert tickets[platform].merchant_names is None
    assert [place.store_id for place in await reads.places(tx, tickets[own])] == [shop.stores[1]]
    assert len(await reads.places(tx, tickets[platform])) == 3
    assert [place.store_id for place in await reads.places(tx, tickets[narrowed])] == [shop.other_store]
    assert await reads.where_names(tx, tickets[own]) == ([{"en": "Harbour Books"}], [{"en": "Store 1"}])
    assert await reads.where_names(tx, tickets[platform]) == ([], [])
    assert await reads.usable_offers(tx, NOW) == []
    await actions.activate_offer(tx, EDITOR, platform, now=NOW)
    assert [ticket.offer_id for ticket in await reads.usable_offers(tx, NOW)] == [platform]
