"""A campaign's definition as the claim desk keeps it in memory, and how it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign, Prize, PrizeOffer
from tearline.core.audience import audience_from_json
from tearline.core.claiming import CampaignRules, PrizeRules
from tearline.core.offers import Validity
from tearline.offers.model import Offer
from tearline.offers.stored import validity_from
from tearline.pools.model import CodePool


@dataclass(frozen=True, slots=True)
class OfferDefinition:
    """What issuing a coupon needs to know of an offer."""

    version: int
    validity: Validity
    time_zone: str
    has_pool: bool
    """Its codes come from its partner: they are sold, never claimed."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a campaign and its offers, good until a locked row shows another version."""

    version: int
    rules: CampaignRules
    time_zone: ZoneInfo
    offers: dict[UUID, OfferDefinition]
    """By id, in the order in which their rows are locked."""


async def load_definition(connection: AsyncConnection, code: str) -> Definition | None:
    """The campaign with this code, or None. Read in one statement, so that its parts agree."""
    statement = (
        select(
            Campaign,
            Prize.id.label("prize_id"),
            Prize.password_key,
            Prize.limit_per_member.label("prize_limit_per_member"),
            PrizeOffer.quantity,
            Offer.id.label("offer_id"),
            Offer.version.label("offer_version"),
            Offer.validity.label("offer_validity"),
            Offer.time_zone.label("offer_time_zone"),
            CodePool.id.is_not(None).label("offer_has_pool"),
        )
        .outerjoin(Prize, Prize.campaign_id == Campaign.id)
        .outerjoin(PrizeOffer, PrizeOffer.prize_id == Prize.id)
        .outerjoin(Offer, Offer.id == PrizeOffer.offer_id)
        .outerjoin(CodePool, CodePool.offer_id == Offer.id)
        .where(Campaign.code == code, Campaign.kind == "password")
        .order_by(Offer.id)
    )
    rows = (await connection.execute(statement)).all()
    if not rows:
        return None
    bundles: dict[UUID, list[tuple[UUID, int]]] = {}
    offers: dict[UUID, OfferDefinition] = {}
    for row in rows:
        if row.prize_id is None:
            continue
        bundle = bundles.setdefault(row.prize_id, [])
        if row.offer_id is not None:
            bundle.append((row.offer_id, row.quantity))
            validity = validity_from(row.offer_validity)
            offers[row.offer_id] = OfferDefinition(
                row.offer_version, validity, row.offer_time_zone, row.offer_has_pool
            )
    campaign = rows[0]
    prizes = {
        row.password_key: PrizeRules(row.prize_id, tuple(bundles[row.prize_id]), row.prize_limit_per_member)
        for row in rows
        if row.prize_id is not None
    }
    rules = CampaignRules(
        id=campaign.id,
        state=campaign.state,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        prizes=prizes,
        audience=audience_from_json(campaign.audience),
        limit_per_member=campaign.limit_per_member,
        limit_per_member_per_day=campaign.limit_per_member_per_day,
    )
    return Definition(campaign.version, rules, ZoneInfo(campaign.time_zone), offers)
