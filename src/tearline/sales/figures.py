"""Figures of a sale: codes uploaded, reserved, sold and left; vouchers, revenue and shares, in all and by hour.

They are read from counters, so they cost the same at any age. Hours are whole hours of UTC, shown in the sale's
time zone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.hours import HOUR, hour_of, hours_between
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.sales import expected_sold_out
from tearline.merchants.model import AnySelect
from tearline.offers.model import Offer
from tearline.pools.model import CodePool
from tearline.sales.model import SaleHour, SaleItem
from tearline.sales.reads import ItemView, item_rows, items_of, left_in

MOST_HOURS = 24 * 21
"""Hours are shown for the last three weeks of a sale."""
LATELY = timedelta(hours=24)
"""What the expected time of running out goes by."""


@dataclass(frozen=True, slots=True)
class ItemFigures:
    """One voucher's counts and money, in minor units.

    Attributes:
        uploaded: codes ever added to its pool; None when its codes come from us.
        left: how many can still be ordered.
        payable: the partner's part of the revenue.
        sold_out_at: when it will be sold out if sales go on as in the last day; now when it is, None for
            not in sight.
    """

    item: ItemView
    uploaded: int | None
    available: int | None
    reserved: int
    sold: int
    left: int
    revenue: int
    commission: int
    payable: int
    sold_out_at: datetime | None


@dataclass(frozen=True, slots=True)
class HourOfSales:
    """What was sold in one hour; hours without a sale are there too, with zeroes."""

    hour: datetime
    """Its beginning, in the sale's time zone."""
    vouchers: int
    revenue: int
    vouchers_by_item: dict[UUID, int]


@dataclass(frozen=True, slots=True)
class SaleFigures:
    """A sale in numbers. Money adds up by currency."""

    campaign_id: UUID
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    items: tuple[ItemFigures, ...]

    @property
    def sold(self) -> int:
        """Vouchers paid, of all items."""
        return sum(one.sold for one in self.items)

    @property
    def reserved(self) -> int:
        """Vouchers being paid, of all items."""
        return sum(one.reserved for one in self.items)

    @property
    def left(self) -> int:
        """Vouchers that can still be ordered, of all items."""
        return sum(one.left for one in self.items)

    @property
    def money(self) -> dict[str, tuple[int, int, int]]:
        """Revenue, commission and what is payable, by currency."""
        totals: dict[str, tuple[int, int, int]] = {}
        for one in self.items:
            revenue, commission, payable = totals.get(one.item.currency, (0, 0, 0))
            added = (revenue + one.revenue, commission + one.commission, payable + one.payable)
            totals[one.item.currency] = added
        return totals


async def sale_figures(
    connection: AsyncConnection, actor: Actor, campaign_id: UUID, now: datetime
) -> SaleFigures:
    """A sale's figures up to ``now``; a merchant's staff see those of their own vouchers."""
    actor.require("sales.read")
    found = await connection.execute(
        select(Campaign.__table__).where(Campaign.id == campaign_id, Campaign.kind == "sale")
    )
    sale = found.one_or_none()
    if sale is None:
        raise Refusal("not_found")
    items = await items_of(connection, campaign_id)
    if actor.merchant_id is not None:
        items = [item for item in items if item.ticket.merchant_id == actor.merchant_id]
        if not items:
            raise Refusal("not_found")
    counters = await _counters(connection, campaign_id, now - LATELY)
    pools = await _pools(connection, [item.pool_id for item in items if item.pool_id is not None])
    return SaleFigures(
        campaign_id=campaign_id,
        time_zone=sale.time_zone,
        starts_at=sale.starts_at,
        ends_at=sale.ends_at,
        items=tuple(_item_figures(item, counters.get(item.id, (0, 0, 0)), pools, now) for item in items),
    )


def items_sold(actor: Actor) -> AnySelect:
    """What was sold of each voucher of each sale, for a list; not yet sorted. A merchant's staff see their own.

    A sale that is still a draft is not among them: nobody has seen it yet.
    """
    actor.require("sales.read")
    counted = (
        select(
            cast(func.coalesce(func.sum(SaleHour.revenue), 0), BigInteger).label("revenue"),
            cast(func.coalesce(func.sum(SaleHour.commission), 0), BigInteger).label("commission"),
        )
        .where(SaleHour.item_id == SaleItem.id)
        .lateral("counted")
    )
    query = (
        select(
            SaleItem.id,
            SaleItem.campaign_id,
            Campaign.code.label("campaign_code"),
            Campaign.names.label("campaign_names"),
            Campaign.state.label("campaign_state"),
            Campaign.time_zone,
            Campaign.starts_at,
            Campaign.ends_at,
            Offer.names.label("offer_names"),
            Offer.code.label("offer_code"),
            SaleItem.currency,
            SaleItem.price,
            SaleItem.sold,
            counted.c.revenue,
            counted.c.commission,
            (counted.c.revenue - counted.c.commission).label("payable"),
        )
        .join(Campaign, Campaign.id == SaleItem.campaign_id)
        .join(Offer, Offer.id == SaleItem.offer_id)
        .join(counted, true())
        .where(Campaign.kind == "sale", Campaign.state != "draft")
    )
    return query if actor.merchant_id is None else query.where(Offer.merchant_id == actor.merchant_id)


@dataclass(frozen=True, slots=True)
class SaleStock:
    """What a sale has sold, has in orders that are being paid, and has left, over all items."""

    sold: int
    reserved: int
    left: int


async def stock_of_sales(connection: AsyncConnection, campaign_ids: Sequence[UUID]) -> dict[UUID, SaleStock]:
    """The stock of some sales, for a list; sales without items are left out."""
    stocks: dict[UUID, SaleStock] = {}
    for row in await item_rows(connection, campaign_ids):
        stock = stocks.get(row.campaign_id, SaleStock(0, 0, 0))
        stocks[row.campaign_id] = SaleStock(
            stock.sold + row.sold, stock.reserved + row.reserved, stock.left + left_in(row)
        )
    return stocks


async def sold_lately(
    connection: AsyncConnection, campaign_ids: Sequence[UUID], now: datetime
) -> dict[UUID, tuple[int, int]]:
    """Vouchers sold in the hour so far and the one before it, and in the last 24 hours, by sale."""
    this_hour = hour_of(now)
    recent = func.coalesce(func.sum(SaleHour.vouchers).filter(SaleHour.hour >= this_hour - HOUR), 0)
    query = (
        select(SaleHour.campaign_id, recent.label("recent"), func.sum(SaleHour.vouchers).label("day"))
        .where(SaleHour.campaign_id.in_(campaign_ids), SaleHour.hour > this_hour - 24 * HOUR)
        .group_by(SaleHour.campaign_id)
    )
    return {row.campaign_id: (int(row.recent), int(row.day)) for row in await connection.execute(query)}


def _item_figures(
    item: ItemView, counters: tuple[int, int, int], pools: dict[UUID, tuple[int, int]], now: datetime
) -> ItemFigures:
    revenue, commission, lately = counters
    uploaded, available = pools[item.pool_id] if item.pool_id is not None else (None, None)
    return ItemFigures(
        item=item,
        uploaded=uploaded,
        available=available,
        reserved=item.reserved,
        sold=item.sold,
        left=item.left,
        revenue=revenue,
        commission=commission,
        payable=revenue - commission,
        sold_out_at=expected_sold_out(item.left, lately, LATELY, now),
    )


async def _counters(
    connection: AsyncConnection, campaign_id: UUID, since: datetime
) -> dict[UUID, tuple[int, int, int]]:
    """Revenue, commission, and vouchers sold since then, by item."""
    lately = func.coalesce(func.sum(SaleHour.vouchers).filter(SaleHour.hour >= since), 0)
    query = (
        select(SaleHour.item_id, func.sum(SaleHour.revenue), func.sum(SaleHour.commission), lately)
        .where(SaleHour.campaign_id == campaign_id)
        .group_by(SaleHour.item_id)
    )
    rows = await connection.execute(query)
    return {
        item_id: (int(revenue), int(commission), int(sold)) for item_id, revenue, commission, sold in rows
    }


async def _pools(connection: AsyncConnection, pool_ids: list[UUID]) -> dict[UUID, tuple[int, int]]:
    query = select(CodePool.id, CodePool.size, CodePool.available).where(CodePool.id.in_(pool_ids))
    return {pool_id: (size, available) for pool_id, size, available in await connection.execute(query)}


async def sale_hours(
    connection: AsyncConnection, figures: SaleFigures, now: datetime
) -> tuple[HourOfSales, ...]:
    """What was sold hour by hour of the items in these figures, up to ``now``: the last three weeks of it."""
    item_ids = [one.item.id for one in figures.items]
    query = select(SaleHour.hour, SaleHour.item_id, SaleHour.vouchers, SaleHour.revenue).where(
        SaleHour.campaign_id == figures.campaign_id, SaleHour.item_id.in_(item_ids)
    )
    vouchers: dict[datetime, dict[UUID, int]] = defaultdict(dict)
    revenue: dict[datetime, int] = defaultdict(int)
    end = hour_of(min(now, figures.ends_at - timedelta(microseconds=1)))
    rows = await connection.execute(query.where(SaleHour.hour > end - MOST_HOURS * HOUR))
    for hour, item_id, count, money in rows:
        vouchers[hour][item_id] = count
        revenue[hour] += money
    last = max([end, *vouchers])
    first = min([max(hour_of(figures.starts_at), last - (MOST_HOURS - 1) * HOUR), *vouchers])
    zone = ZoneInfo(figures.time_zone)
    hours = []
    for hour in hours_between(first, last):
        by_item = {item_id: vouchers[hour].get(item_id, 0) for item_id in item_ids}
        hours.append(HourOfSales(hour.astimezone(zone), sum(by_item.values()), revenue[hour], by_item))
    return tuple(hours)
