"""A coupon's life as the words of the design tell it, for ``test_lifecycle_model`` to hold the product to.

The model keeps nothing but what has happened, in order, and counts it anew for every question: it has no
counter that could be wrong in the way the product's could be. It imports no rule of the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from uuid import UUID

HONG_KONG = timezone(timedelta(hours=8))
HOLD_LASTS = timedelta(minutes=5)
REVERSIBLE_FOR = {"cashier": timedelta(hours=1), "manager": timedelta(hours=24), "till": timedelta(hours=24)}
BUNDLES = ({0: 1, 1: 2}, {1: 1})
"""What each prize's claim issues: coupons by offer. Offer 0 has a fixed window, offer 1 counts days."""


@dataclass(frozen=True)
class Terms:
    """What the operator decided before anything happened. None is no limit."""

    inventories: tuple[int, int]
    prize_limits: tuple[int | None, int | None]
    limit: int | None
    daily_limit: int | None
    issue_limits: tuple[int | None, int | None]
    offer_limits: tuple[int | None, int | None]
    campaign: tuple[datetime, datetime]
    fixed: tuple[datetime, datetime]
    """When coupons of offer 0 are valid."""
    starts_after_days: int
    days: int
    """Of offer 1, counted from the claim."""


@dataclass(frozen=True)
class Coupon:
    """One that was issued; members and offers are known by their positions."""

    id: UUID
    member: int
    offer: int
    code: str
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True)
class Request:
    """What was asked at a counter: ``prepare``, ``redeem`` (by a coupon or a hold), ``release``, ``reverse``."""

    action: str
    who: str
    store: int | None
    target: UUID
    by: str
    """What the target is: ``coupon``, ``hold`` or ``redemption``."""
    number: str

    @property
    def merchant(self) -> str:
        """Whose counter it is."""
        return "rival" if self.who == "rival" else "ours"

    @property
    def asked(self) -> tuple[Any, ...]:
        """What must be the same when the number is used again, whoever uses it."""
        way = "cashier" if self.who in ("cashier", "manager") and self.action != "reverse" else "till"
        return self.action, self.store, way, self.target


@dataclass(frozen=True)
class Claimed:
    at: datetime
    member: int
    key: str
    prize: int
    answer: Any
    coupons: tuple[Coupon, ...]


@dataclass(frozen=True)
class Prepared:
    at: datetime
    coupon: UUID
    hold: UUID
    until: datetime
    who: str
    store: int | None


@dataclass(frozen=True)
class Redeemed:
    at: datetime
    coupon: UUID
    redemption: UUID


@dataclass(frozen=True)
class Reversed:
    at: datetime
    coupon: UUID
    redemption: UUID


@dataclass(frozen=True)
class Released:
    at: datetime
    coupon: UUID


@dataclass(frozen=True)
class Voided:
    at: datetime
    coupon: UUID


@dataclass(frozen=True)
class Swept:
    at: datetime


@dataclass(frozen=True)
class Answered:
    request: Request
    answer: Any


@dataclass(frozen=True)
class SignedOut:
    member: int


@dataclass(frozen=True)
class Moved:
    state: str


@dataclass(frozen=True)
class Raised:
    prize: int
    to: int


def midnight(day: date) -> datetime:
    """When a day begins in Hong Kong."""
    return datetime.combine(day, time.min, tzinfo=HONG_KONG)


def day_of(moment: datetime) -> date:
    """The day on the calendar of Hong Kong."""
    return moment.astimezone(HONG_KONG).date()


@dataclass
class Model:
    """Everything that has happened, and what follows from it."""

    terms: Terms
    history: list[Any] = field(default_factory=list)

    def of(self, kind: type[Any]) -> list[Any]:
        """All that happened of one kind, in order."""
        return [event for event in self.history if isinstance(event, kind)]

    # The campaign

    def claims(self, *, member: int | None = None, prize: int | None = None) -> list[Claimed]:
        """The claims that were granted."""
        return [
            claim
            for claim in self.of(Claimed)
            if member in (None, claim.member) and prize in (None, claim.prize)
        ]

    def coupons(self, *, member: int | None = None, offer: int | None = None) -> list[Coupon]:
        """The coupons that were issued, in order."""
        issued = [coupon for claim in self.claims(member=member) for coupon in claim.coupons]
        return [coupon for coupon in issued if offer in (None, coupon.offer)]

    def inventory(self, prize: int) -> int:
        """How many may be claimed in all by now."""
        raises = [event.to for event in self.of(Raised) if event.prize == prize]
        return raises[-1] if raises else self.terms.inventories[prize]

    def campaign_state(self) -> str:
        """``live`` or ``paused``."""
        moves = self.of(Moved)
        return moves[-1].state if moves else "live"

    def epoch(self, member: int) -> int:
        """What a valid session of the member carries."""
        return 1 + len([event for event in self.of(SignedOut) if event.member == member])

    def window(self, offer: int, claimed_at: datetime) -> tuple[datetime, datetime]:
        """From when until when a coupon is valid that is claimed at this moment."""
        if offer == 0:
            return self.terms.fixed
        first = day_of(claimed_at) + timedelta(days=self.terms.starts_after_days)
        starts_at = midnight(first) if self.terms.starts_after_days else claimed_at
        return starts_at, midnight(first + timedelta(days=self.terms.days + 1))

    def claim(self, member: int, epoch: int, prize: int | None, key: str, now: datetime) -> str:
        """``claimed``, ``replayed``, or the reason why not; ``prize`` is None for a password that opens none."""
        if epoch != self.epoch(member):
            return "session_ended"
        for first in self.claims(member=member):
            if first.key == key:
                return "replayed" if prize in (None, first.prize) else "idempotency_key_reused"
        starts_at, ends_at = self.terms.campaign
        if now < starts_at:
            return "not_started"
        if now >= ends_at:
            return "ended"
        if self.campaign_state() == "paused":
            return "paused"
        if prize is None:
            return "wrong_password"
        return self._limit_reached(member, prize, now) or self._stock(prize, now)

    def _limit_reached(self, member: int, prize: int, now: datetime) -> str | None:
        mine = self.claims(member=member)
        today = [claim for claim in mine if day_of(claim.at) == day_of(now)]
        limits = (
            ("member_limit_reached", self.terms.limit, len(mine)),
            ("daily_limit_reached", self.terms.daily_limit, len(today)),
            (
                "prize_limit_reached",
                self.terms.prize_limits[prize],
                len(self.claims(member=member, prize=prize)),
            ),
        )
        for reason, limit, made in limits:
            if limit is not None and made >= limit:
                return reason
        for offer, quantity in BUNDLES[prize].items():
            limit = self.terms.offer_limits[offer]
            if limit is not None and len(self.coupons(member=member, offer=offer)) + quantity > limit:
                return "offer_member_limit_reached"
        return None

    def _stock(self, prize: int, now: datetime) -> str:
        if len(self.claims(prize=prize)) >= self.inventory(prize):
            return "sold_out"
        for offer, quantity in BUNDLES[prize].items():
            limit = self.terms.issue_limits[offer]
            if limit is not None and len(self.coupons(offer=offer)) + quantity > limit:
                return "sold_out"
            if now >= self.window(offer, now)[1]:
                return "sold_out"
        return "claimed"

    def pause(self) -> str:
        """``paused``, or the reason why not."""
        return "not_editable" if self.campaign_state() == "paused" else "paused"

    def resume(self, now: datetime) -> str:
        """``resumed``, or the reason why not."""
        if self.campaign_state() != "paused":
            return "not_editable"
        starts_at, ends_at = self.terms.campaign
        first_claim = max(now, starts_at)
        is_too_late = now >= ends_at or any(first_claim >= self.window(o, first_claim)[1] for o in (0, 1))
        return "invalid" if is_too_late else "resumed"

    # Coupons

    def hold(self, coupon: UUID) -> Prepared | None:
        """The preparation that still stands on a coupon, over or not; a sweep takes those that are over."""
        held: Prepared | None = None
        for event in self.history:
            if isinstance(event, Swept):
                held = held if held is not None and event.at < held.until else None
            elif getattr(event, "coupon", None) == coupon:
                held = event if isinstance(event, Prepared) else None
        return held

    def state(self, coupon: Coupon, now: datetime) -> str:
        """The state that counts at ``now``."""
        state = "open"
        for event in self.history:
            if getattr(event, "coupon", None) == coupon.id:
                state = _BECOMES[type(event)]
        held = self.hold(coupon.id)
        if state == "held" and (held is None or now >= held.until):
            state = "open"
        return "expired" if state == "open" and now >= coupon.valid_until else state

    def folder(self, coupon: Coupon, now: datetime) -> str:
        """Where the wallet shows it."""
        state = self.state(coupon, now)
        if state == "open":
            return "upcoming" if now < coupon.valid_from else "usable"
        return "used" if state == "redeemed" else state

    def void(self, coupon: Coupon, now: datetime) -> str:
        """``voided``, or the reason why not."""
        state = self.state(coupon, now)
        reasons = {"redeemed": "already_redeemed", "expired": "expired", "void": "coupon_void"}
        return reasons.get(state, "voided")

    # The counter

    def first_answer(self, request: Request) -> Answered | None:
        """What the request number was answered before."""
        for event in self.of(Answered):
            if (event.request.merchant, event.request.number) == (request.merchant, request.number):
                return event
        return None

    def coupon_of(self, request: Request) -> Coupon | None:
        """The coupon that is meant; None when the hold or the redemption never was."""
        id_ = request.target
        for event in self.of(Prepared) if request.by == "hold" else self.of(Redeemed):
            if request.target == (event.hold if request.by == "hold" else event.redemption):
                id_ = event.coupon
        return next((coupon for coupon in self.coupons() if coupon.id == id_), None)

    def at_counter(self, request: Request, now: datetime) -> str:
        """``prepared``, ``redeemed``, ``released``, ``reversed``, ``replayed``, or the reason why not."""
        first = self.first_answer(request)
        if first is not None:
            return "replayed" if first.request.asked == request.asked else "idempotency_key_reused"
        coupon = self.coupon_of(request)
        is_stranger = request.merchant != "ours"
        if coupon is None or (is_stranger and request.by != "coupon"):
            return "not_found"
        if request.action == "reverse":
            return self._reverse(request, now)
        held = self.hold(coupon.id)
        if request.action == "release":
            is_good = held is not None and held.hold == request.target and now < held.until
            return "released" if is_good else "hold_expired"
        if is_stranger:
            return "other_merchant"
        return self._unusable(coupon, now) or self._taken(request, held, now)

    def _unusable(self, coupon: Coupon, now: datetime) -> str | None:
        reasons = {"void": "coupon_void", "redeemed": "already_redeemed", "expired": "expired"}
        reason = reasons.get(self.state(coupon, now))
        return reason or ("not_valid_yet" if now < coupon.valid_from else None)

    def _taken(self, request: Request, held: Prepared | None, now: datetime) -> str:
        in_force = held if held is not None and now < held.until else None
        if request.by == "hold":
            return "redeemed" if in_force is not None and in_force.hold == request.target else "hold_expired"
        # A person's own hold at the same store is no obstacle to that person; a till is nobody.
        own = request.who in ("cashier", "manager")
        if in_force is not None and not (
            own and (in_force.who, in_force.store) == (request.who, request.store)
        ):
            return "held_elsewhere"
        return {"prepare": "prepared", "redeem": "redeemed"}[request.action]

    def _reverse(self, request: Request, now: datetime) -> str:
        if any(event.redemption == request.target for event in self.of(Reversed)):
            return "already_reversed"
        made = next(event for event in self.of(Redeemed) if event.redemption == request.target)
        return "reversed" if now < made.at + REVERSIBLE_FOR[request.who] else "reversal_too_late"

    # Time

    def moments(self, now: datetime) -> list[datetime]:
        """The instants still to come at which something changes by itself."""
        return sorted({moment for moment in self._moments(now) if moment > now})

    def _moments(self, now: datetime) -> Iterator[datetime]:
        yield from self.terms.campaign
        yield from self.terms.fixed
        yield midnight(day_of(now) + timedelta(days=1))
        for coupon in self.coupons():
            yield coupon.valid_from
            yield coupon.valid_until
        for prepared in self.of(Prepared):
            yield prepared.until
        for redeemed in self.of(Redeemed):
            for window in REVERSIBLE_FOR.values():
                yield redeemed.at + window


_BECOMES = {Prepared: "held", Redeemed: "redeemed", Reversed: "open", Released: "open", Voided: "void"}
