"""Figures: what a campaign has given out hour by hour, what came of it, and a merchant's day.

Hours are whole hours of UTC, shown in the campaign's time zone; where that zone is off by a half hour, they
begin at half past.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign, ClaimHour, Prize
from tearline.core.hours import hour_of, hours_between
from tearline.core.offers import start_of_day
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.coupons.model import Redemption, Reversal
from tearline.db import LocalisedText
from tearline.merchants.model import Store
from tearline.offers.model import Offer

SHOWN_BEFORE_END = timedelta(days=14)
SHOWN_AFTER_END = timedelta(days=7)
"""Hours are shown for the last two weeks of a campaign and the week after it, when coupons are used."""


@dataclass(frozen=True, slots=True)
class PrizeFigures:
    """A prize's stock."""

    prize_id: UUID
    position: int
    names: LocalisedText
    inventory: int
    claimed: int

    @property
    def left(self) -> int:
        """How many can still be claimed."""
        return self.inventory - self.claimed


@dataclass(frozen=True, slots=True)
class HourFigures:
    """One hour of a campaign; hours in which nothing happened are there too, with zeroes."""

    hour: datetime
    """Its beginning, in the campaign's time zone."""
    claims: int
    claims_by_prize: dict[UUID, int]
    redemptions: int


@dataclass(frozen=True, slots=True)
class OfferFigures:
    """Redemptions of an offer, in all, less those that were reversed."""

    offer_id: UUID
    code: str
    names: LocalisedText
    redemptions: int
    reversals: int


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """A campaign in numbers. Redemptions don't count what was reversed."""

    campaign_id: UUID
    time_zone: str
    inventory: int
    claimed: int
    left: int
    redemptions: int
    reversals: int
    prizes: tuple[PrizeFigures, ...]
    hours: tuple[HourFigures, ...]
    offers: tuple[OfferFigures, ...]


async def campaign_figures(
    connection: AsyncConnection, actor: Actor, campaign_id: UUID, now: datetime
) -> CampaignFigures:
    """A campaign's figures up to ``now``.

    The hours go from the campaign's start to now, or to its end when that has passed, or to the last
    redemption after it; but no more than ``SHOWN_BEFORE_END`` and ``SHOWN_AFTER_END``.
    """
    actor.require("figures.read")
    actor.require_merchant(None)
    found = await connection.execute(select(Campaign.__table__).where(Campaign.id == campaign_id))
    campaign = found.one_or_none()
    if campaign is None:
        raise Refusal("not_found")
    prizes = await _prizes(connection, campaign_id)
    offers = await _by_offer(connection, Redemption.campaign_id == campaign_id)
    # The window is half-open: the hour that begins with the end isn't the campaign's any more.
    end = hour_of(min(now, campaign.ends_at - timedelta(microseconds=1)))
    since, until = end - SHOWN_BEFORE_END, end + SHOWN_AFTER_END
    claims = await _claims_by_hour(connection, campaign_id, since, until)
    redemptions = await _redemptions_by_hour(
        connection,
        and_(
            Redemption.campaign_id == campaign_id,
            Redemption.redeemed_at >= since,
            Redemption.redeemed_at < until,
        ),
    )
    busy_hours = [*claims, *redemptions]
    first = max(min([hour_of(campaign.starts_at), *busy_hours]), since)
    last = max([end, *busy_hours])
    zone = ZoneInfo(campaign.time_zone)
    hours = tuple(
        HourFigures(
            hour=hour.astimezone(zone),
            claims=sum(claims.get(hour, {}).values()),
            claims_by_prize={prize.prize_id: claims.get(hour, {}).get(prize.prize_id, 0) for prize in prizes},
            redemptions=redemptions.get(hour, 0),
        )
        for hour in hours_between(first, last)
    )
    return CampaignFigures(
        campaign_id=campaign_id,
        time_zone=campaign.time_zone,
        inventory=sum(prize.inventory for prize in prizes),
        claimed=sum(prize.claimed for prize in prizes),
        left=sum(prize.left for prize in prizes),
        redemptions=sum(offer.redemptions for offer in offers),
        reversals=sum(offer.reversals for offer in offers),
        prizes=prizes,
        hours=hours,
        offers=offers,
    )


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """Redemptions at one store; those of online orders come under none."""

    store_id: UUID | None
    names: LocalisedText | None
    redemptions: int


@dataclass(frozen=True, slots=True)
class MerchantDay:
    """A merchant's day at the counters and in online orders. Redemptions don't count what was reversed.

    The platform's coupons count for a merchant where they were used at its counters; in an order they are of
    no one merchant.
    """

    day: date
    redemptions: int
    reversals: int
    hours: tuple[tuple[datetime, int], ...]
    """Each hour of the day so far, in the time zone asked for, with its redemptions."""
    offers: tuple[OfferFigures, ...]
    stores: tuple[StoreFigures, ...]


async def merchant_day(
    connection: AsyncConnection,
    actor: Actor,
    merchant_id: UUID,
    *,
    time_zone: str,
    now: datetime,
    store_id: UUID | None = None,
) -> MerchantDay:
    """The redemptions of the present day in a time zone, of a merchant or of one of its stores."""
    actor.require("redemptions.read")
    actor.require_merchant(merchant_id)
    zone = ZoneInfo(time_zone)
    today = now.astimezone(zone).date()
    since, until = start_of_day(today, time_zone), start_of_day(today + timedelta(days=1), time_zone)
    which = and_(
        Redemption.merchant_id == merchant_id, Redemption.redeemed_at >= since, Redemption.redeemed_at < until
    )
    if store_id is not None:
        which = and_(which, Redemption.store_id == store_id)
    offers = await _by_offer(connection, which)
    by_hour = await _redemptions_by_hour(connection, which)
    return MerchantDay(
        day=today,
        redemptions=sum(offer.redemptions for offer in offers),
        reversals=sum(offer.reversals for offer in offers),
        hours=tuple(
            (hour.astimezone(zone), by_hour.get(hour, 0))
            for hour in hours_between(hour_of(since), hour_of(now))
        ),
        offers=offers,
        stores=await _by_store(connection, which),
    )


_STANDS = Reversal.redemption_id.is_(None)
_STANDING = func.count(case((_STANDS, 1)))
_REVERSED = func.count(Reversal.redemption_id)


def _with_reversals(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).outerjoin(
        Reversal,
        and_(Reversal.member_id == Redemption.member_id, Reversal.redemption_id == Redemption.id),
    )


async def _prizes(connection: AsyncConnection, campaign_id: UUID) -> tuple[PrizeFigures, ...]:
    rows = await connection.execute(
        select(Prize.id.label("prize_id"), Prize.position, Prize.names, Prize.inventory, Prize.claimed)
        .where(Prize.campaign_id == campaign_id)
        .order_by(Prize.position)
    )
    return tuple(PrizeFigures(**row._mapping) for row in rows)


async def _claims_by_hour(
    connection: AsyncConnection, campaign_id: UUID, since: datetime, until: datetime
) -> dict[datetime, dict[UUID, int]]:
    rows = await connection.execute(
        select(ClaimHour.hour, ClaimHour.prize_id, ClaimHour.claims).where(
            ClaimHour.campaign_id == campaign_id,
            ClaimHour.hour >= since,
            ClaimHour.hour < until,
            ClaimHour.claims > 0,
        )
    )
    by_hour: dict[datetime, dict[UUID, int]] = {}
    for row in rows:
        by_hour.setdefault(row.hour.astimezone(UTC), {})[row.prize_id] = row.claims
    return by_hour


async def _redemptions_by_hour(
    connection: AsyncConnection, which: ColumnElement[bool]
) -> dict[datetime, int]:
    hour = func.date_trunc("hour", Redemption.redeemed_at, "UTC").label("hour")
    rows = await connection.execute(
        _with_reversals(hour, func.count().label("redemptions")).where(which, _STANDS).group_by(hour)
    )
    return {row.hour.astimezone(UTC): row.redemptions for row in rows}


async def _by_offer(connection: AsyncConnection, which: ColumnElement[bool]) -> tuple[OfferFigures, ...]:
    counted = (
        _with_reversals(
            Redemption.offer_id.label("offer_id"),
            _STANDING.label("redemptions"),
            _REVERSED.label("reversals"),
        )
        .where(which)
        .group_by(Redemption.offer_id)
        .subquery()
    )
    rows = await connection.execute(
        select(counted.c.offer_id, Offer.code, Offer.names, counted.c.redemptions, counted.c.reversals)
        .join(Offer, Offer.id == counted.c.offer_id)
        .order_by(counted.c.redemptions.desc(), Offer.code)
    )
    return tuple(OfferFigures(**row._mapping) for row in rows)


async def _by_store(connection: AsyncConnection, which: ColumnElement[bool]) -> tuple[StoreFigures, ...]:
    counted = (
        _with_reversals(Redemption.store_id.label("store_id"), _STANDING.label("redemptions"))
        .where(which)
        .group_by(Redemption.store_id)
        .subquery()
    )
    rows = await connection.execute(
        select(counted.c.store_id, Store.names, counted.c.redemptions)
        # Online orders have no store, and are counted under none.
        .outerjoin(Store, Store.id == counted.c.store_id)
        .order_by(counted.c.redemptions.desc(), Store.code)
    )
    return tuple(StoreFigures(**row._mapping) for row in rows)
