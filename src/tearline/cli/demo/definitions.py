"""Makes the demo's merchants, staff, keys, offers and campaigns, through the same actions as the console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns import actions as campaign_actions
from tearline.catalogue.actions import put_brands, put_categories, put_products
from tearline.catalogue.model import BrandItem, CategoryItem, ProductItem
from tearline.cli.demo.campaigns_data import CAMPAIGNS
from tearline.cli.demo.catalogue_data import BRANDS, CATEGORIES, PRODUCTS
from tearline.cli.demo.clauses import terms_of
from tearline.cli.demo.merchants_data import MERCHANTS
from tearline.cli.demo.offers_dining import DINING
from tearline.cli.demo.offers_outings import OUTINGS
from tearline.cli.demo.offers_promotions import PROMOTIONS
from tearline.cli.demo.offers_retail import RETAIL
from tearline.cli.demo.offers_services import PLATFORM, SERVICES
from tearline.cli.demo.offers_vouchers import VOUCHERS
from tearline.cli.demo.places import DISTRICTS, store_addresses, store_names
from tearline.cli.demo.shapes import CURRENCY, TIME_ZONE, CampaignSeed, MerchantSeed, OfferSeed, dollars
from tearline.cli.demo.staff_data import COUNTER_STAFF, DEMO_PASSWORD, OPERATOR_STAFF
from tearline.core.audience import Audience
from tearline.core.campaigns import CampaignDraft, PrizeDraft
from tearline.core.offers import (
    WHOLE_BASIS_POINTS,
    DaysAfterClaim,
    FixedWindow,
    Funding,
    OfferDraft,
    Scope,
    Validity,
    start_of_day,
)
from tearline.core.roles import KEY_SCOPES, Actor
from tearline.merchants.actions import create_merchant, create_store
from tearline.merchants.keys import create_key
from tearline.merchants.staff import create_staff
from tearline.offers.actions import activate_offer, create_offer

Report: TypeAlias = Callable[[str, int, int], None]
"""Told a step's name, how much of it is done, and of how much."""

OFFERS: tuple[OfferSeed, ...] = (
    *DINING, *RETAIL, *OUTINGS, *SERVICES, *VOUCHERS, *PLATFORM, *PROMOTIONS,
)  # fmt: skip

MERCHANTS_JOINED = timedelta(days=420)
OFFERS_MADE = timedelta(days=45)
CAMPAIGNS_MADE = timedelta(days=26)
PAUSED = timedelta(days=3)
"""How long before the seeding each of these was done."""


@dataclass(slots=True)
class MadeMerchant:
    """A merchant as the history needs it."""

    id: UUID
    code: str
    stores: dict[str, UUID] = field(default_factory=dict)
    staff: list[UUID] = field(default_factory=list)
    key_id: UUID | None = None


@dataclass(slots=True)
class Made:
    """All that was made, by code; ``keys`` are the API keys by name, which can be read only now."""

    merchants: dict[str, MadeMerchant] = field(default_factory=dict)
    offers: dict[str, UUID] = field(default_factory=dict)
    campaigns: dict[str, UUID] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


async def make_definitions(tx: AsyncConnection, actor: Actor, now: datetime, report: Report) -> Made:
    """Make everything that people define; members and history come after."""
    made = Made()
    for done, merchant in enumerate(MERCHANTS):
        report("Merchants and their staff", done, len(MERCHANTS))
        await _make_merchant(tx, actor, merchant, made, now - MERCHANTS_JOINED)
    for email, name, role, language in OPERATOR_STAFF:
        await create_staff(
            tx,
            actor,
            email=email,
            name=name,
            role=role,
            language=language,
            password=DEMO_PASSWORD,
            now=now - MERCHANTS_JOINED,
        )
    await _make_keys(tx, actor, made, now - OFFERS_MADE)
    await _make_catalogue(tx, actor, made, now - OFFERS_MADE)
    for done, offer in enumerate(OFFERS):
        report("Offers", done, len(OFFERS))
        await _make_offer(tx, actor, offer, made, now)
    report("Campaigns", 0, len(CAMPAIGNS))
    await _make_campaigns(tx, actor, made, now)
    report("Campaigns", len(CAMPAIGNS), len(CAMPAIGNS))
    return made


async def _make_merchant(
    tx: AsyncConnection, actor: Actor, seed: MerchantSeed, made: Made, joined_at: datetime
) -> None:
    merchant_id = await create_merchant(
        tx,
        actor,
        code=seed.code,
        names=seed.names,
        kind=seed.kind,
        descriptions=seed.descriptions,
        edge=seed.edge,
        image=art(seed.art),
        now=joined_at,
    )
    merchant = made.merchants[seed.code] = MadeMerchant(merchant_id, seed.code)
    for store in seed.stores:
        merchant.stores[store.code] = await create_store(
            tx,
            actor,
            merchant_id,
            code=store.code,
            names=store_names(store),
            addresses=store_addresses(store),
            district=DISTRICTS[store.district]["en"],
            now=joined_at,
        )
    for role, name, language in COUNTER_STAFF[seed.code]:
        # A cashier stands at the first store; a manager chooses at sign-in.
        store_id = merchant.stores[seed.stores[0].code] if role == "cashier" else None
        staff_id = await create_staff(
            tx,
            actor,
            email=f"{role}@{seed.code}.example",
            name=name,
            role=role,
            password=DEMO_PASSWORD,
            merchant_id=merchant_id,
            store_id=store_id,
            language=language,
            now=joined_at,
        )
        merchant.staff.append(staff_id)


async def _make_keys(tx: AsyncConnection, actor: Actor, made: Made, now: datetime) -> None:
    scopes = KEY_SCOPES["operator"]
    made.keys["Operator's integrations"] = (
        await create_key(tx, actor, name="Operator's integrations", scopes=scopes, now=now)
    ).key
    for code, name in (("basket-lane", "Basket Lane tills"), ("harbourlight", "Harbourlight online store")):
        merchant = made.merchants[code]
        key = await create_key(
            tx, actor, name=name, scopes=KEY_SCOPES["merchant"], merchant_id=merchant.id, now=now
        )
        merchant.key_id = key.id
        made.keys[name] = key.key


async def _make_catalogue(tx: AsyncConnection, actor: Actor, made: Made, now: datetime) -> None:
    await put_categories(
        tx, actor, [CategoryItem(seed.key, seed.names, seed.parent) for seed in CATEGORIES], now
    )
    await put_brands(tx, actor, [BrandItem(key, names) for key, names in BRANDS], now)
    products = [
        ProductItem(
            key=seed.key,
            names=seed.names,
            price=dollars(seed.price),
            currency=CURRENCY,
            merchant_id=made.merchants[seed.merchant].id,
            category_key=seed.category,
            brand_key=seed.brand,
            is_discountable=seed.is_discountable,
            image=None if seed.art is None else art(seed.art),
            state="active" if seed.is_sold else "withdrawn",
        )
        for seed in PRODUCTS
    ]
    await put_products(tx, actor, products, now)


async def _make_offer(tx: AsyncConnection, actor: Actor, seed: OfferSeed, made: Made, now: datetime) -> None:
    made_at = now - OFFERS_MADE
    offer_id = made.offers[seed.code] = await create_offer(tx, actor, _offer_draft(seed, made, now), made_at)
    if not seed.is_draft:
        await activate_offer(tx, actor, offer_id, now=made_at + timedelta(hours=3))


def _offer_draft(seed: OfferSeed, made: Made, now: datetime) -> OfferDraft:
    merchant = made.merchants[seed.merchant] if seed.merchant is not None else None
    taking_part = tuple(made.merchants[code].id for code in seed.merchants)
    includes = seed.includes
    if taking_part:
        includes = type(includes)(includes.products, includes.categories, includes.brands, taking_part)
    platform_basis_points = seed.platform_percent * 100
    return OfferDraft(
        code=seed.code,
        issuer="platform" if merchant is None else "merchant",
        names=seed.names,
        summaries=seed.summaries,
        terms=terms_of(seed.clauses),
        benefit=seed.benefit,
        currency=CURRENCY,
        funding=Funding(platform_basis_points, WHOLE_BASIS_POINTS - platform_basis_points),
        validity=Validity(_period(seed, now), seed.weekdays, seed.hours),
        time_zone=TIME_ZONE,
        merchant_id=None if merchant is None else merchant.id,
        image=art(seed.art),
        minimum_spend=dollars(seed.minimum),
        scope=Scope(includes, seed.excludes),
        cart_rules=seed.cart_rules,
        issue_limit=seed.issue_limit,
        limit_per_member=seed.per_member,
        redeem_by=seed.redeem_by,
        automatic=seed.is_automatic,
        store_ids=() if merchant is None else tuple(merchant.stores[code] for code in seed.stores),
    )


def _period(seed: OfferSeed, now: datetime) -> FixedWindow | DaysAfterClaim:
    if seed.window is None:
        assert seed.days is not None, seed.code
        return DaysAfterClaim(seed.days)
    today = now.astimezone(ZoneInfo(TIME_ZONE)).date()
    first_day, last_day = (today + timedelta(days=days) for days in seed.window)
    return FixedWindow(
        start_of_day(first_day, TIME_ZONE), start_of_day(last_day + timedelta(days=1), TIME_ZONE)
    )


async def _make_campaigns(tx: AsyncConnection, actor: Actor, made: Made, now: datetime) -> None:
    for seed in CAMPAIGNS:
        campaign_id = made.campaigns[seed.code] = await campaign_actions.create_campaign(
            tx, actor, _campaign_draft(seed, now), now - CAMPAIGNS_MADE
        )
        for prize in seed.prizes:
            draft = PrizeDraft(
                names=prize.names,
                password=prize.password,
                inventory=prize.inventory,
                bundle={made.offers[code]: quantity for code, quantity in prize.bundle},
                limit_per_member=prize.per_member,
            )
            await campaign_actions.add_prize(tx, actor, campaign_id, draft, now=now - CAMPAIGNS_MADE)
    # Opened in the order of their starts, so that the audit log reads as it happened.
    for seed in sorted(CAMPAIGNS, key=lambda seed: seed.starts_day):
        opened_at = min(starts_at(seed, now) - timedelta(days=1), now - timedelta(days=2))
        await campaign_actions.go_live(tx, actor, made.campaigns[seed.code], now=opened_at)
    for seed in CAMPAIGNS:
        if seed.state == "paused":
            await campaign_actions.pause(tx, actor, made.campaigns[seed.code], now=now - PAUSED)


def _campaign_draft(seed: CampaignSeed, now: datetime) -> CampaignDraft:
    return CampaignDraft(
        code=seed.code,
        names=seed.names,
        descriptions=seed.descriptions,
        rules=seed.rules,
        time_zone=TIME_ZONE,
        starts_at=starts_at(seed, now),
        ends_at=at_ten(now, seed.ends_day),
        image=art(seed.art),
        edge=seed.edge,
        audience=Audience(any_of=seed.any_of, none_of=seed.none_of),
        limit_per_member=seed.per_member,
        limit_per_member_per_day=seed.per_day,
    )


def starts_at(seed: CampaignSeed, now: datetime) -> datetime:
    """When the campaign's window begins."""
    return at_ten(now, seed.starts_day)


def at_ten(now: datetime, days: int) -> datetime:
    """Ten in the morning in Hong Kong, some days from today."""
    zone = ZoneInfo(TIME_ZONE)
    day = now.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, time(10), tzinfo=zone).astimezone(UTC)


def art(name: str) -> str:
    """The path of an illustration, below the address of static files."""
    return f"art/{name}.svg"
