"""The claims of the demo's past days, decided by the claim desk's own rules, one by one in order of time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.definitions import Definition, load_definition
from tearline.campaigns.model import Prize
from tearline.cli.demo.campaigns_data import CAMPAIGNS
from tearline.cli.demo.definitions import PAUSED, starts_at
from tearline.cli.demo.ids import IdMaker
from tearline.cli.demo.people import Person
from tearline.cli.demo.shapes import TIME_ZONE, CampaignSeed, PrizeSeed
from tearline.core.audience import marks_of
from tearline.core.claiming import MemberCounts, OfferStock, Stock, decide
from tearline.core.codes import make_code
from tearline.core.offers import coupon_window
from tearline.core.passwords import password_key
from tearline.offers.model import Offer

# How busy each hour of a day is in Hong Kong, from midnight on.
_HOUR_WEIGHTS = (2, 1, 0, 0, 0, 0, 1, 3, 6, 6, 8, 8, 14, 12, 6, 5, 6, 8, 12, 13, 14, 12, 8, 4)
_PRIZE_WEIGHTS = (6, 3, 3, 2, 1)
_TRIES = 40


@dataclass(slots=True)
class MadeCoupon:
    """One issued coupon, and what became of it."""

    id: UUID
    member_id: UUID
    offer_id: UUID
    campaign_id: UUID
    claim_id: UUID
    code: str
    valid_from: datetime
    valid_until: datetime
    issued_at: datetime
    state: str = "open"
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeClaim:
    """One granted claim with its coupons."""

    id: UUID
    member_id: UUID
    campaign_id: UUID
    prize_id: UUID
    claimed_at: datetime
    coupons: list[MadeCoupon]


@dataclass(slots=True)
class _Books:
    """Everybody's counts while the past is replayed."""

    offers: dict[UUID, OfferStock]
    holdings: dict[UUID, dict[UUID, int]] = field(default_factory=dict)
    claimed: dict[tuple[UUID, UUID], dict[UUID, int]] = field(default_factory=dict)
    claimed_on: dict[tuple[UUID, UUID, date], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Replay:
    """One campaign while its past is replayed."""

    seed: CampaignSeed
    definition: Definition
    stock: Stock
    weights: Sequence[int]


async def make_claims(
    tx: AsyncConnection, random: Random, members: Sequence[Person], now: datetime, new_id: IdMaker
) -> list[MadeClaim]:
    """All claims of the past, in order of time."""
    limits = await tx.execute(select(Offer.id, Offer.issue_limit, Offer.limit_per_member))
    books = _Books({row.id: OfferStock(row.issue_limit, row.limit_per_member) for row in limits})
    inventories = await tx.execute(select(Prize.id, Prize.inventory))
    prizes = {row.id: row.inventory for row in inventories}
    replays: list[_Replay] = []
    for seed in CAMPAIGNS:
        definition = await load_definition(tx, seed.code)
        assert definition is not None, seed.code
        stock = Stock(prizes=prizes, offers=books.offers)
        replays.append(_Replay(seed, definition, stock, _PRIZE_WEIGHTS[: len(seed.prizes)]))
    moments = sorted(
        ((at, replay) for replay in replays for at in _moments(random, replay.seed, replay.seed.claims, now)),
        key=lambda moment: moment[0],
    )
    claims: list[MadeClaim] = []
    begun: set[str] = set()
    for at, replay in moments:
        if replay.seed.code in begun:
            wishes = _wishes(random, replay, members[1:])
        else:
            # The first member comes first, for the second prize: the first is left to try the shop with.
            begun.add(replay.seed.code)
            wishes = iter([(members[0], replay.seed.prizes[1])])
        claim = _claim(random, replay, books, wishes, at=at, new_id=new_id)
        if claim is not None:
            claims.append(claim)
    return claims


def _moments(random: Random, seed: CampaignSeed, count: int, now: datetime) -> list[datetime]:
    """When people came: most in the first days, and at the busy hours of each."""
    first = starts_at(seed, now)
    last = now - PAUSED if seed.state == "paused" else now
    zone = ZoneInfo(TIME_ZONE)
    moments: list[datetime] = []
    while len(moments) < count:
        at = first + (last - first) * random.random() ** 1.4
        if random.random() * max(_HOUR_WEIGHTS) < _HOUR_WEIGHTS[at.astimezone(zone).hour]:
            moments.append(at)
    return moments


def _wishes(random: Random, replay: _Replay, members: Sequence[Person]) -> Iterator[tuple[Person, PrizeSeed]]:
    """A good many people, one after the other, each wanting some prize."""
    for _attempt in range(_TRIES):
        yield random.choice(members), random.choices(replay.seed.prizes, replay.weights)[0]


def _claim(
    random: Random,
    replay: _Replay,
    books: _Books,
    wishes: Iterable[tuple[Person, PrizeSeed]],
    *,
    at: datetime,
    new_id: IdMaker,
) -> MadeClaim | None:
    """The first of these wishes that can be granted at this moment; None when none can."""
    rules = dataclasses.replace(replay.definition.rules, state="live")
    day = at.astimezone(replay.definition.time_zone).date()
    for member, prize_seed in wishes:
        claimed = books.claimed.setdefault((member.id, rules.id), {})
        counts = MemberCounts(
            epoch=1,
            is_active=member.state == "active",
            marks=marks_of(member.plan, member.tier, member.groups, member.tags),
            claimed=claimed,
            claimed_today=books.claimed_on.get((member.id, rules.id, day), 0),
            holdings=books.holdings.setdefault(member.id, {}),
        )
        prize = decide(rules, replay.stock, counts, 1, password_key(prize_seed.password), at)
        if isinstance(prize, str):
            continue
        books.claimed_on[member.id, rules.id, day] = counts.claimed_today
        claim = MadeClaim(new_id(at), member.id, rules.id, prize.id, at, [])
        for offer_id, quantity in prize.bundle:
            offer = replay.definition.offers[offer_id]
            window = coupon_window(offer.validity, offer.time_zone, at)
            claim.coupons.extend(
                MadeCoupon(
                    new_id(at),
                    member.id,
                    offer_id,
                    rules.id,
                    claim.id,
                    make_code(random.randbytes),
                    *window,
                    at,
                )
                for _number in range(quantity)
            )
        return claim
    return None


def expire(coupons: Sequence[MadeCoupon], now: datetime) -> None:
    """Mark what is open past its time as the sweeper does, a moment after that time."""
    for coupon in coupons:
        if coupon.state == "open" and coupon.valid_until <= now:
            coupon.state = "expired"
            coupon.changed_at = min(now, coupon.valid_until + timedelta(seconds=20))
