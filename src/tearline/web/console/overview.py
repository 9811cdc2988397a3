"""The overview: what is live now, and what needs somebody's attention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from litestar import Response, get
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign, ClaimHour
from tearline.campaigns.reads import campaigns_list
from tearline.core.campaigns import window_state
from tearline.core.hours import HOUR, hour_of
from tearline.core.offers import can_be_issued
from tearline.core.roles import Actor
from tearline.offers.model import Offer
from tearline.offers.stored import validity_from
from tearline.sales.alerts import pool_alerts
from tearline.sales.figures import SaleStock, sold_lately, stock_of_sales
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show

SOON = timedelta(hours=48)
FEW_LEFT = 0.1
"""Below this share of its inventory a campaign's stock is worth a word."""


@dataclass(frozen=True, slots=True)
class Card:
    """A campaign that is live, with what happens there now."""

    campaign: Any
    window: str
    this_hour: int
    """Claims, or vouchers sold, in the hour so far and the one before it."""
    today: int
    """In the last 24 hours."""
    taken: int
    """Claimed, or sold and being paid."""
    left: int

    @property
    def is_sale(self) -> bool:
        """Whether it sells what it gives."""
        return str(self.campaign.kind) == "sale"

    @property
    def total(self) -> int:
        """All that there was to give, as far as it is known."""
        return self.taken + self.left

    @property
    def is_low(self) -> bool:
        """Whether little is left."""
        return 0 < self.left <= FEW_LEFT * self.total


@get("/")
async def overview(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The page."""
    return show(request, "overview.html", **await _now(services, actor))


@get("/now")
async def overview_now(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Its middle alone, for the page to refresh itself."""
    return show(request, "overview_now.html", **await _now(services, actor))


async def _now(services: GivenServices, actor: Actor) -> dict[str, Any]:
    now = services.now()
    async with services.database.connection() as connection:
        rows = (
            await connection.execute(
                campaigns_list(actor)
                .where(Campaign.state.in_(("live", "paused", "draft")))
                .order_by(Campaign.ends_at, Campaign.id)
                .limit(60)
            )
        ).all()
        running = [row for row in rows if row.state == "live" and row.ends_at > now]
        claims = await _claims(connection, [row.id for row in running if row.kind != "sale"], now)
        sale_ids = [row.id for row in running if row.kind == "sale"]
        sold = await sold_lately(connection, sale_ids, now)
        stocks = await stock_of_sales(connection, sale_ids)
        alerts = await pool_alerts(connection, now) if "codes.read" in actor.permissions else []
        stale_offers = await _stale_offers(connection, now)
    cards = []
    for row in running:
        stock = stocks.get(row.id, SaleStock(0, 0, 0))
        is_sale = row.kind == "sale"
        cards.append(
            Card(
                row,
                window_state(row.starts_at, row.ends_at, now),
                *(sold if is_sale else claims).get(row.id, (0, 0)),
                taken=stock.sold + stock.reserved if is_sale else int(row.claimed),
                left=stock.left if is_sale else int(row.inventory) - int(row.claimed),
            )
        )
    return {
        "cards": [card for card in cards if card.window == "running"],
        "coming": [card for card in cards if card.window == "scheduled"],
        "paused": [row for row in rows if row.state == "paused" and row.ends_at > now],
        "drafts_due": [row for row in rows if row.state == "draft" and row.starts_at < now + SOON],
        "over": [row for row in rows if row.state in ("live", "paused") and row.ends_at <= now],
        "ends_soon": [
            card for card in cards if card.window == "running" and card.campaign.ends_at < now + SOON
        ],
        "stale_offers": stale_offers,
        "alerts": alerts,
        "has_campaigns": bool(rows),
        "seen_at": now,
    }


async def _claims(
    connection: AsyncConnection, campaign_ids: list[Any], now: datetime
) -> dict[Any, tuple[int, int]]:
    """Claims in the hour so far and the one before it, and in the last 24 hours, by campaign."""
    this_hour = hour_of(now)
    recent = func.coalesce(func.sum(ClaimHour.claims).filter(ClaimHour.hour >= this_hour - HOUR), 0)
    query = (
        select(ClaimHour.campaign_id, recent.label("recent"), func.sum(ClaimHour.claims).label("day"))
        .where(ClaimHour.campaign_id.in_(campaign_ids), ClaimHour.hour > this_hour - 24 * HOUR)
        .group_by(ClaimHour.campaign_id)
    )
    return {row.campaign_id: (int(row.recent), int(row.day)) for row in await connection.execute(query)}


async def _stale_offers(connection: AsyncConnection, now: datetime) -> int:
    """How many active offers could no longer be used by anybody who got them now."""
    rows = await connection.execute(select(Offer.validity, Offer.time_zone).where(Offer.state == "active"))
    return sum(not can_be_issued(validity_from(row.validity), row.time_zone, now) for row in rows)


HANDLERS = [overview, overview_now]
