"""Which pools need somebody: those that run out while they are being sold from, and those to be handed back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.sales import expected_sold_out
from tearline.db import LocalisedText
from tearline.offers.model import Offer
from tearline.pools.model import CodePool, HandBack
from tearline.pools.reads import IS_LOW
from tearline.sales.closing import goes_on_selling
from tearline.sales.figures import LATELY
from tearline.sales.model import SaleHour, SaleItem

MOST_SHOWN = 20
_SELLS_IT = (SaleItem.offer_id == CodePool.offer_id, SaleItem.campaign_id == Campaign.id)


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


async def pool_alerts(
    connection: AsyncConnection,
    now: datetime,
    *,
    campaign_id: UUID | None = None,
    merchant_id: UUID | None = None,
) -> list[PoolAlert]:
    """The pools that need somebody, the most pressing first; their codes are counted, not shown.

    Args:
        campaign_id: of the only sale whose pools are asked for.
        merchant_id: of the only partner whose pools are asked for.
    """
    which: ColumnElement[bool] = true()
    if campaign_id is not None:
        which = CodePool.offer_id.in_(select(SaleItem.offer_id).where(SaleItem.campaign_id == campaign_id))
    if merchant_id is not None:
        which = and_(which, CodePool.merchant_id == merchant_id)
    return [
        *await _running_out(connection, which, now),
        *await _left_over(connection, which, now),
        *await _not_fetched(connection, which),
    ]


async def _running_out(
    connection: AsyncConnection, which: ColumnElement[bool], now: datetime
) -> list[PoolAlert]:
    needs_codes = or_(CodePool.available == 0, IS_LOW)
    lately = (
        select(func.coalesce(func.sum(SaleHour.vouchers), 0))
        .join(SaleItem, SaleItem.id == SaleHour.item_id)
        .where(SaleItem.offer_id == CodePool.offer_id, SaleHour.hour >= now - LATELY)
        .scalar_subquery()
    )
    is_sold = exists().where(*_SELLS_IT, goes_on_selling(now))
    query = (
        select(CodePool.id, Offer.names, CodePool.available, lately.label("lately"))
        .join(Offer, Offer.id == CodePool.offer_id)
        .where(which, needs_codes, is_sold)
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


async def _left_over(
    connection: AsyncConnection, which: ColumnElement[bool], now: datetime
) -> list[PoolAlert]:
    # An archived sale can't come back, whatever its period; a draft has still to begin.
    is_over = exists().where(
        *_SELLS_IT, Campaign.state != "draft", or_(Campaign.ends_at <= now, Campaign.state == "archived")
    )
    is_to_come = and_(Campaign.state == "draft", Campaign.ends_at > now)
    goes_on = exists().where(*_SELLS_IT, or_(goes_on_selling(now), is_to_come))
    query = (
        select(CodePool.id, Offer.names, CodePool.available)
        .join(Offer, Offer.id == CodePool.offer_id)
        .where(which, CodePool.available > 0, is_over, ~goes_on)
        .order_by(CodePool.available.desc(), CodePool.id)
        .limit(MOST_SHOWN)
    )
    rows = await connection.execute(query)
    return [PoolAlert("left_over", row.id, row.names, row.available) for row in rows]


async def _not_fetched(connection: AsyncConnection, which: ColumnElement[bool]) -> list[PoolAlert]:
    query = (
        select(CodePool.id, Offer.names, HandBack.codes)
        .join(CodePool, CodePool.id == HandBack.pool_id)
        .join(Offer, Offer.id == CodePool.offer_id)
        .where(which, HandBack.fetched_at.is_(None))
        .order_by(HandBack.made_at)
        .limit(MOST_SHOWN)
    )
    rows = await connection.execute(query)
    return [PoolAlert("not_fetched", row.id, row.names, row.codes) for row in rows]
