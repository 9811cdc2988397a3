"""The redemptions and reversals of the demo's past days, where and when each offer allowed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.cli.demo.claims import MadeCoupon
from tearline.cli.demo.definitions import Made, MadeMerchant
from tearline.cli.demo.ids import IdMaker
from tearline.core.offers import Scope, Validity, usable_at, usable_at_merchant
from tearline.core.roles import Actor
from tearline.coupons.counter import CounterAnswer, CounterRequest
from tearline.offers.model import Offer
from tearline.offers.stored import scope_from, validity_from

SHARE_REDEEMED = 0.12
SHARE_REVERSED = 0.04
_TRIES = 40
_REASONS = ("Wrong item rung up", "Customer changed their mind", "Scanned the wrong coupon", None)


@dataclass(frozen=True, slots=True)
class _OfferFacts:
    merchant_id: UUID | None
    scope: Scope
    validity: Validity
    time_zone: str
    redeem_by: tuple[str, ...]
    store_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class MadeRedemption:
    """One redemption, and the request with its answer that the till keeps."""

    id: UUID
    coupon: MadeCoupon
    merchant_id: UUID
    store_id: UUID
    staff_id: UUID | None
    api_key_id: UUID | None
    request: CounterRequest
    answer: CounterAnswer
    at: datetime


@dataclass(frozen=True, slots=True)
class MadeReversal:
    """The undoing of one redemption."""

    id: UUID
    redemption: MadeRedemption
    request: CounterRequest
    answer: CounterAnswer
    reason: str | None
    at: datetime


@dataclass(slots=True)
class MadeUses:
    """All uses of coupons, in order of time."""

    redemptions: list[MadeRedemption] = field(default_factory=list)
    reversals: list[MadeReversal] = field(default_factory=list)


async def make_uses(
    tx: AsyncConnection,
    random: Random,
    coupons: Sequence[MadeCoupon],
    made: Made,
    *,
    now: datetime,
    new_id: IdMaker,
) -> MadeUses:
    """Let people use some of their coupons; changes the coupons' states."""
    offers = await _offers(tx)
    uses = MadeUses()
    # The first member's wallet shall show a coupon of every kind: of the first claim, the longest lasting is used.
    first = [coupon for coupon in coupons if coupon.claim_id == coupons[0].claim_id]
    shown = max(first, key=lambda coupon: coupon.valid_until)
    for coupon in coupons:
        is_shown_member = coupon.member_id == shown.member_id
        if coupon is not shown and (is_shown_member or random.random() >= SHARE_REDEEMED):
            continue
        at = _moment(random, coupon, offers[coupon.offer_id], now)
        counter = _counter(random, offers[coupon.offer_id], list(made.merchants.values()))
        if at is None or counter is None:
            continue
        redemption = _redeem(random, coupon, counter, at, new_id)
        uses.redemptions.append(redemption)
        if not is_shown_member and random.random() < SHARE_REVERSED:
            undone_at = at + timedelta(minutes=random.randint(1, 25))
            if undone_at < now:
                uses.reversals.append(_reverse(random, redemption, undone_at, new_id))
    uses.redemptions.sort(key=lambda redemption: redemption.at)
    uses.reversals.sort(key=lambda reversal: reversal.at)
    return uses


async def _offers(tx: AsyncConnection) -> Mapping[UUID, _OfferFacts]:
    rows = await tx.execute(
        select(
            Offer.id, Offer.merchant_id, Offer.scope, Offer.validity, Offer.time_zone, Offer.redeem_by,
            Offer.store_ids,
        )
    )  # fmt: skip
    return {
        row.id: _OfferFacts(
            row.merchant_id,
            scope_from(row.scope),
            validity_from(row.validity),
            row.time_zone,
            tuple(row.redeem_by),
            frozenset(row.store_ids),
        )
        for row in rows
    }


def _moment(random: Random, coupon: MadeCoupon, offer: _OfferFacts, now: datetime) -> datetime | None:
    """A moment since the claim at which the coupon could be used and shops are open, if one is found."""
    first = max(coupon.valid_from, coupon.issued_at + timedelta(minutes=10))
    last = min(coupon.valid_until, now)
    open_hours = range(7, 23)
    for _attempt in range(_TRIES):
        if last <= first:
            return None
        at = first + (last - first) * random.random()
        local_hour = (at.hour + 8) % 24
        if local_hour in open_hours and usable_at(offer.validity, offer.time_zone, at):
            return at
    return None


@dataclass(frozen=True, slots=True)
class _Counter:
    merchant: MadeMerchant
    store_id: UUID
    actor: Actor
    way: str


def _counter(random: Random, offer: _OfferFacts, merchants: Sequence[MadeMerchant]) -> _Counter | None:
    """Somewhere to use the offer: a cashier, or the till of a merchant that has a key."""
    merchant = random.choice(
        [
            merchant
            for merchant in merchants
            if usable_at_merchant(offer.merchant_id, offer.scope, merchant.id)
        ]
    )
    stores = [
        store_id for store_id in merchant.stores.values() if store_id in (offer.store_ids or {store_id})
    ]
    by_cashier = "cashier" in offer.redeem_by
    if (
        merchant.key_id is not None
        and "till" in offer.redeem_by
        and (not by_cashier or random.random() < 0.3)
    ):
        actor = Actor("key", merchant.key_id, "till", frozenset({"redeem", "reverse"}), merchant.id)
        return _Counter(merchant, random.choice(stores), actor, "till")
    if not by_cashier:
        return None
    actor = Actor(
        "staff", random.choice(merchant.staff), "staff", frozenset({"redeem", "reverse"}), merchant.id
    )
    return _Counter(merchant, random.choice(stores), actor, "cashier")


def _redeem(
    random: Random, coupon: MadeCoupon, counter: _Counter, at: datetime, new_id: IdMaker
) -> MadeRedemption:
    redemption_id = new_id(at)
    verified = "rotating" if random.random() < 0.8 else "code"
    request = CounterRequest(
        action="redeem",
        actor=counter.actor,
        merchant_id=counter.merchant.id,
        request_number=str(new_id(at)),
        store_id=counter.store_id,
        way=counter.way,
        code=coupon.code,
        effect_id=redemption_id,
    )
    coupon.state, coupon.changed_at = "redeemed", at
    answer = CounterAnswer(
        action="redeemed",
        id=redemption_id,
        at=at,
        coupon_id=coupon.id,
        code=coupon.code,
        offer_id=coupon.offer_id,
        merchant_id=counter.merchant.id,
        store_id=counter.store_id,
        verified=verified,
        state="redeemed",
        valid_until=coupon.valid_until,
        campaign_id=coupon.campaign_id,
        redemption_id=redemption_id,
        reversible_until=at + request.reversal_window,
    )
    return MadeRedemption(
        redemption_id,
        coupon,
        counter.merchant.id,
        counter.store_id,
        request.staff_id,
        request.api_key_id,
        request,
        answer,
        at,
    )


def _reverse(random: Random, redemption: MadeRedemption, at: datetime, new_id: IdMaker) -> MadeReversal:
    coupon = redemption.coupon
    coupon.state, coupon.changed_at = ("open" if at < coupon.valid_until else "expired"), at
    reversal_id, reason = new_id(at), random.choice(_REASONS)
    request = CounterRequest(
        action="reverse",
        actor=redemption.request.actor,
        merchant_id=redemption.merchant_id,
        request_number=str(new_id(at)),
        way=redemption.request.way,
        redemption_id=redemption.id,
        reason=reason,
        effect_id=reversal_id,
    )
    answer = CounterAnswer(
        action="reversed",
        id=reversal_id,
        at=at,
        coupon_id=coupon.id,
        code=coupon.code,
        offer_id=coupon.offer_id,
        merchant_id=redemption.merchant_id,
        store_id=redemption.store_id,
        verified=redemption.answer.verified,
        state=coupon.state,
        valid_until=coupon.valid_until,
        campaign_id=coupon.campaign_id,
        redemption_id=redemption.id,
    )
    return MadeReversal(reversal_id, redemption, request, answer, reason, at)
