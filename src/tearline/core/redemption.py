"""Deciding whether a coupon may be prepared, redeemed, reversed or voided, under the coupon's lock.

The desk loads the facts with the coupon locked, calls one of the functions here, and writes what it
returns. Each gives either the change to make, or a :class:`No` with a reason of ``core.refusal``.

The order of the reasons is deliberate: whether it is this merchant's coupon at all comes before everything
that would tell a stranger something, then what has become of the coupon, then where and how it is used,
and the time of the week last, since that alone will be different in an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from tearline.core.offers import Scope, Validity, usable_at, usable_at_merchant

HOLD_LASTS = timedelta(minutes=5)
"""How long a preparation keeps the coupon for its till."""

REVERSAL_WINDOW_OF_CASHIERS = timedelta(hours=1)
REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class No:
    """Why not: a reason, and what a person may be told besides."""

    reason: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OfferFacts:
    """An offer as far as its use depends on it."""

    merchant_id: UUID | None
    scope: Scope
    validity: Validity
    time_zone: str
    redeem_by: frozenset[str]
    store_ids: frozenset[UUID]
    """Empty for all stores of its merchants."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A preparation, where and by whom; from ``held_until`` on it counts as none. An order has no place."""

    id: UUID
    held_until: datetime
    store_id: UUID | None
    staff_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CouponFacts:
    """A coupon as stored: its hold only when the state is ``held``."""

    state: str
    valid_from: datetime
    valid_until: datetime
    changed_at: datetime
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """Who asks, and where.

    Attributes:
        way: ``cashier`` or ``till``.
        staff_id: the person, None for a till.
    """

    merchant_id: UUID
    store_id: UUID
    way: str
    staff_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RedemptionFacts:
    """A redemption that somebody wants to undo."""

    merchant_id: UUID
    redeemed_at: datetime
    is_reversed: bool


def effective_state(coupon: CouponFacts, now: datetime) -> str:
    """The state as it counts at ``now``, whether or not the sweeper has passed.

    An open coupon past its time is ``expired``; a held one whose hold is over is ``open``, or ``expired``.
    """
    state = coupon.state
    if state == "held" and (coupon.hold is None or now >= coupon.hold.held_until):
        state = "open"
    if state == "open" and now >= coupon.valid_until:
        state = "expired"
    return state


def decide_prepare(coupon: CouponFacts, offer: OfferFacts, counter: Counter, now: datetime) -> datetime | No:
    """Until when the coupon is held for this counter.

    A person who scans the same coupon again at the same store takes their own hold over: a page that was
    closed or reloaded must not keep the member waiting. Everybody else is told that it is held.
    """
    refused = _other_merchant(offer, counter) or _unusable(coupon, now)
    refused = refused or _held_by_another(coupon, counter, now) or _conditions(offer, counter, now)
    # A hold never outlives its coupon, so that a good hold always has a coupon that is still valid.
    return refused or min(now + HOLD_LASTS, coupon.valid_until)


def decide_redeem(
    coupon: CouponFacts, offer: OfferFacts, counter: Counter, hold_id: UUID | None, now: datetime
) -> No | None:
    """None when the coupon may be redeemed now, with the hold of an earlier preparation or in one step.

    In one step, a hold of the same person at the same store is no obstacle; a hold of anybody else is.
    """
    refused = _other_merchant(offer, counter) or _unusable(coupon, now)
    if refused is not None:
        return refused
    if hold_id is None:
        refused = _held_by_another(coupon, counter, now)
    elif coupon.hold is None or coupon.hold.id != hold_id or now >= coupon.hold.held_until:
        refused = No("hold_expired")
    return refused or _conditions(offer, counter, now)


def decide_release(coupon: CouponFacts, hold_id: UUID, now: datetime) -> str | No:
    """The state of the coupon after its preparation was given up."""
    if coupon.hold is None or coupon.hold.id != hold_id or now >= coupon.hold.held_until:
        return No("hold_expired")
    return "open"  # a hold never outlives its coupon


def decide_reverse(
    coupon: CouponFacts, redemption: RedemptionFacts, merchant_id: UUID, window: timedelta, now: datetime
) -> str | No:
    """The coupon's state once its redemption is undone: open again, or expired when its time is over."""
    if redemption.merchant_id != merchant_id:
        return No("not_found")
    if redemption.is_reversed:
        return No("already_reversed")
    if now >= redemption.redeemed_at + window:
        return No("reversal_too_late")
    if coupon.state != "redeemed":
        return No("coupon_void")
    return "open" if now < coupon.valid_until else "expired"


def decide_void(coupon: CouponFacts, now: datetime) -> No | None:
    """None when the operator may cancel the coupon: what was used stays used, what is over stays over."""
    state = effective_state(coupon, now)
    if state == "redeemed":
        return No("already_redeemed", {"redeemed_at": coupon.changed_at.isoformat()})
    if state == "expired":
        return No("expired")
    return No("coupon_void") if state == "void" else None


def _other_merchant(offer: OfferFacts, counter: Counter) -> No | None:
    is_ours = usable_at_merchant(offer.merchant_id, offer.scope, counter.merchant_id)
    return None if is_ours else No("other_merchant")


def _unusable(coupon: CouponFacts, now: datetime) -> No | None:
    """Why nobody could use this coupon now, because of what has become of it or of its time."""
    state = effective_state(coupon, now)
    if state == "void":
        return No("coupon_void")
    if state == "redeemed":
        return No("already_redeemed", {"redeemed_at": coupon.changed_at.isoformat()})
    if state == "sold":
        # A partner's code is used in the partner's own shop, where we can't see it.
        return No("not_applicable")
    if state == "expired":
        return No("expired", {"valid_until": coupon.valid_until.isoformat()})
    if now < coupon.valid_from:
        return No("not_valid_yet", {"valid_from": coupon.valid_from.isoformat()})
    return None


def _held_by_another(coupon: CouponFacts, counter: Counter, now: datetime) -> No | None:
    hold = coupon.hold
    if hold is None or now >= hold.held_until:
        return None
    is_same_person = counter.staff_id is not None and hold.staff_id == counter.staff_id
    if is_same_person and hold.store_id == counter.store_id:
        return None
    return No("held_elsewhere", {"held_until": hold.held_until.isoformat()})


def _conditions(offer: OfferFacts, counter: Counter, now: datetime) -> No | None:
    if counter.way not in offer.redeem_by:
        return No("not_applicable")
    if offer.store_ids and counter.store_id not in offer.store_ids:
        return No("other_store")
    return None if usable_at(offer.validity, offer.time_zone, now) else No("not_valid_now")
