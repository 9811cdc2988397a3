"""Which pools need somebody: those that run out while they are being sold from, and those to be handed back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.sales import expected_sold_out
from tearline.db import LocalisedText
from tearline.offers.model import Offer
from tearline.pools.model import CodePool, HandBack
from tearline.sales.figures import LATELY
from tearline.sales.model import SaleHour, SaleItem
from tearline.web.console.pools import IS_LOW

MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PoolAlert:
    """A pool that needs somebody.

    Attributes:
        kind: ``empty`` or ``low`` while a sale sells from it; ``left_over`` when every such sale is over and codes
            were not handed back; ``not_fetched`` when they were, but nobody has downloaded the file.
        codes: available ones; of ``not_fetched`` those handed back.
        sold_out_at: of ``low``, when it will be empty if sales go on as in the last day; None for not in sight.
    """

    kind: str
    pool_id: UUID
    offer_names: LocalisedText
    codes: int
    sold_out_at: datetime | None = None


async def pool_alerts(connection: AsyncConnection, now: datetime) -> list[PoolAlert]:
    """The pools that need somebody, the most pressing first."""
    return [
        *await _running_out(connection, now),
        *await _left_over(connection, now),
        *await _not_fetched(connection),
    ]


async def _running_out(connection: AsyncConnection, now: datetime) -> list[PoolAlert]:
    needs_codes = or_(CodePool.available == 0, IS_LOW)
    lately = (
        select(func.coalesce(func.sum(SaleHour.vouchers), 0))
        .join(SaleItem, SaleItem.id == SaleHour.item_id)
        .where(SaleItem.offer_id == CodePool.offer_id, SaleHour.hour >= now - LATELY)
        .scalar_subquery()
    )
    is_sold = exists().where(
        SaleItem.offer_id == CodePool.offer_id,
        SaleItem.campaign_id == Campaign.id,
        Campaign.state == "live",
        Campaign.ends_at > now,
    )
    query = (
        select(CodePool.id, Offer.names, CodePool.available, lately.label("lately"))
        .join(Offer, Offer.id == CodePool.offer_id)
        .where(needs_codes, is_sold)
        .order_by(CodePool.available, CodePool.id)
        .limit(MOST_SHOWN)
    )
    return [
        PoolAlert(
            "low" if row.available else "empty",
            row.id,
            row.names,
            row.available,
            expected_sold_out(row.available, int(row.lately), LATELY, now) if row.available else None,
        )
        for row in await connection.execute(query)
    ]


async def _left_over(connection: AsyncConnection, now: datetime) -> list[PoolAlert]:
    sold_here = (SaleItem.offer_id == CodePool.offer_id, SaleItem.campaign_id == Campaign.id)
    # An archived sale can't come back, whatever its period; a draft has still to begin.
    is_over = exists().where(
        *sold_here, Campaign.state != "draft", or_(Campaign.ends_at <= now, Campaign.state == "archived")
    )
    goes_on = exists().where(*sold_here, Campaign.state != "archived", Campaign.ends_at > now)
    query = (
        select(CodePool.id, Offer.names, CodePool.available)
        .join(Offer, Offer.id == CodePool.offer_id)
        .where(CodePool.available > 0, is_over, ~goes_on)
        .order_by(CodePool.available.desc(), CodePool.id)
        .limit(MOST_SHOWN)
    )
    rows = await connection.execute(query)
    return [PoolAlert("left_over", row.id, row.names, row.available) for row in rows]


async def _not_fetched(connection: AsyncConnection) -> list[PoolAlert]:
    query = (
        select(CodePool.id, Offer.names, HandBack.codes)
        .join(CodePool, CodePool.id == HandBack.pool_id)
        .join(Offer, Offer.id == CodePool.offer_id)
        .where(HandBack.fetched_at.is_(None))
        .order_by(HandBack.made_at)
        .limit(MOST_SHOWN)
    )
    rows = await connection.execute(query)
    return [PoolAlert("not_fetched", row.id, row.names, row.codes) for row in rows]
