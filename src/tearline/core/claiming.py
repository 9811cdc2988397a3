"""Deciding claims, one after the other, under the campaign's lock.

The claim desk loads what a batch of claims depends on, calls ``decide`` for each claim in the order of
arrival, and writes what was granted. ``decide`` changes the stock and the member's counts that it was
given, so that the next claim of the same batch sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tearline.core.audience import EVERYONE, Audience


@dataclass(frozen=True, slots=True)
class PrizeRules:
    """A prize as a claim sees it.

    Attributes:
        bundle: offers and how many coupons of each a claim issues.
        limit_per_member: claims of this prize that one member may make; None for no limit.
    """

    id: UUID
    bundle: tuple[tuple[UUID, int], ...]
    limit_per_member: int | None = None


@dataclass(frozen=True, slots=True)
class CampaignRules:
    """A campaign's definition as far as claims depend on it; the window is half-open, in UTC."""

    id: UUID
    state: str
    starts_at: datetime
    ends_at: datetime
    prizes: Mapping[str, PrizeRules]
    """Prizes by password key."""
    audience: Audience = EVERYONE
    limit_per_member: int | None = None
    limit_per_member_per_day: int | None = None


@dataclass(slots=True)
class OfferStock:
    """What an offer's own limits leave: None means no limit."""

    left: int | None
    limit_per_member: int | None = None
    is_active: bool = True


@dataclass(slots=True)
class Stock:
    """What may still be given out: by prize, and by offer over all campaigns."""

    prizes: dict[UUID, int]
    offers: dict[UUID, OfferStock]


@dataclass(slots=True)
class MemberCounts:
    """One member as the decision sees it.

    Attributes:
        epoch: the epoch that a valid session of this member carries now.
        marks: see ``core.audience``.
        claimed: claims so far by prize of this campaign.
        claimed_today: claims made on the present day of the campaign's time zone, over all its prizes.
        holdings: coupons ever issued by offer, for offers with a limit per member.
    """

    epoch: int
    is_active: bool = True
    marks: frozenset[str] = frozenset()
    claimed: dict[UUID, int] = field(default_factory=dict)
    claimed_today: int = 0
    holdings: dict[UUID, int] = field(default_factory=dict)


def decide(
    rules: CampaignRules,
    stock: Stock,
    member: MemberCounts | None,
    epoch: int,
    password_key: str,
    now: datetime,
) -> PrizeRules | str:
    """Grant a claim, or give the reason why not.

    Args:
        member: None when the member of the session no longer exists.
        epoch: the epoch in the session's token.

    Returns:
        The prize that was granted, with ``stock`` and ``member`` already reduced by it; or a reason of
        ``core.refusal``. The order of the reasons is deliberate: what everybody may know comes first, then
        who is asking, then the password (so that outsiders cannot try passwords), then the member's own
        limits, and the stock last, since it alone may change in the next second.
    """
    if member is None or member.epoch != epoch:
        return "session_ended"
    if not member.is_active:
        return "member_blocked"
    reason = _closed(rules, now)
    if reason is not None:
        return reason
    if not rules.audience.is_everyone and not rules.audience.includes(member.marks):
        return "not_in_audience"
    prize = rules.prizes.get(password_key)
    if prize is None:
        return "wrong_password"
    return _over_limit(rules, prize, stock, member) or _take(prize, stock, member)


def _closed(rules: CampaignRules, now: datetime) -> str | None:
    if rules.state in ("draft", "archived"):
        return "not_found"
    if now < rules.starts_at:
        return "not_started"
    if now >= rules.ends_at:
        return "ended"
    return "paused" if rules.state == "paused" else None


def _over_limit(rules: CampaignRules, prize: PrizeRules, stock: Stock, member: MemberCounts) -> str | None:
    if rules.limit_per_member is not None and sum(member.claimed.values()) >= rules.limit_per_member:
        return "member_limit_reached"
    if rules.limit_per_member_per_day is not None and member.claimed_today >= rules.limit_per_member_per_day:
        return "daily_limit_reached"
    if prize.limit_per_member is not None and member.claimed.get(prize.id, 0) >= prize.limit_per_member:
        return "prize_limit_reached"
    for offer_id, quantity in prize.bundle:
        limit = stock.offers[offer_id].limit_per_member
        if limit is not None and member.holdings.get(offer_id, 0) + quantity > limit:
            return "offer_member_limit_reached"
    return None


def _take(prize: PrizeRules, stock: Stock, member: MemberCounts) -> PrizeRules | str:
    if stock.prizes[prize.id] < 1:
        return "sold_out"
    for offer_id, quantity in prize.bundle:
        offer = stock.offers[offer_id]
        if not offer.is_active or (offer.left is not None and offer.left < quantity):
            return "sold_out"
    # All or nothing: from here on nothing can refuse.
    stock.prizes[prize.id] -= 1
    for offer_id, quantity in prize.bundle:
        offer = stock.offers[offer_id]
        if offer.left is not None:
            offer.left -= quantity
        if offer.limit_per_member is not None:
            member.holdings[offer_id] = member.holdings.get(offer_id, 0) + quantity
    member.claimed[prize.id] = member.claimed.get(prize.id, 0) + 1
    member.claimed_today += 1
    return prize
