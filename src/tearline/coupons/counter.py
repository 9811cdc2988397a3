"""What goes into the redemption desk and comes out of it, and what a batch of it knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from tearline.core.redemption import (
    REVERSAL_WINDOW_OF_CASHIERS,
    REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS,
    CouponFacts,
    OfferFacts,
    RedemptionFacts,
)
from tearline.core.roles import Actor
from tearline.db import new_id


class CounterAnswer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was done at the counter.

    Attributes:
        action: ``prepared``, ``redeemed``, ``released`` or ``reversed``.
        id: of the hold, the redemption, the release or the reversal.
        store_id: where it was done; for a reversal, where the coupon had been redeemed.
        verified: ``rotating`` when the coupon's changing QR code was scanned, ``code`` for its plain code.
        state: the coupon's state from then on.
        held_until: until just before when a preparation keeps the coupon.
        reversible_until: until just before when the same person or till may undo a redemption.
        replayed: True when an earlier request with the same number had it done.
    """

    action: str
    id: UUID
    at: datetime
    coupon_id: UUID
    code: str
    offer_id: UUID
    merchant_id: UUID
    store_id: UUID
    verified: str
    state: str
    valid_until: datetime
    campaign_id: UUID | None = None
    hold_id: UUID | None = None
    held_until: datetime | None = None
    redemption_id: UUID | None = None
    reversible_until: datetime | None = None
    replayed: bool = False


@dataclass(slots=True)
class CounterRequest:
    """One thing asked of the desk, by exactly one of ``code``, ``hold_id`` and ``redemption_id``.

    Attributes:
        action: ``prepare``, ``redeem``, ``release`` or ``reverse``.
        scanned: the whole text of a rotating QR code, None when the code was typed.
        effect_id: chosen once, so that a batch that is run again knows its own doing from others'.
    """

    action: str
    actor: Actor
    merchant_id: UUID
    request_number: str
    store_id: UUID | None = None
    way: str = "till"
    code: str | None = None
    scanned: str | None = None
    hold_id: UUID | None = None
    redemption_id: UUID | None = None
    reason: str | None = None
    deadline: float = 0.0
    effect_id: UUID = field(default_factory=new_id)

    @property
    def staff_id(self) -> UUID | None:
        """The person, None for a till's key."""
        return self.actor.id if self.actor.kind == "staff" else None

    @property
    def api_key_id(self) -> UUID | None:
        """The till's key, None for a person."""
        return self.actor.id if self.actor.kind == "key" else None

    @property
    def reversal_window(self) -> timedelta:
        """For how long after a redemption this actor may undo it."""
        may_later = self.actor.kind != "staff" or "reverse.late" in self.actor.permissions
        return REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS if may_later else REVERSAL_WINDOW_OF_CASHIERS

    def fingerprint(self) -> str:
        """What was asked, in short: the same number with another one is refused.

        The changing part of a QR code does not count: a repeat may have scanned it anew.
        """
        target = self.code or self.hold_id or self.redemption_id
        asked = (self.action, self.store_id, self.way, target, self.reason)
        return hashlib.sha256("\0".join(map(str, asked)).encode()).hexdigest()


@dataclass(slots=True)
class LockedCoupon:
    """A coupon of the batch; its facts are replaced by what is decided, for the next request to see."""

    facts: CouponFacts
    offer: OfferFacts
    member_id: UUID
    id: UUID
    code: str
    offer_id: UUID
    campaign_id: UUID | None
    is_changed: bool = False


@dataclass(frozen=True, slots=True)
class KnownHold:
    """A preparation that was once made, or an order that kept a coupon: neither a counter's nor at a store."""

    coupon_id: UUID
    merchant_id: UUID | None
    store_id: UUID | None
    staff_id: UUID | None
    verified: str
    order_id: UUID | None


@dataclass(slots=True)
class KnownRedemption:
    """A redemption that somebody wants to undo."""

    facts: RedemptionFacts
    coupon_id: UUID
    store_id: UUID
    verified: str


@dataclass(frozen=True, slots=True)
class KnownStore:
    """A store, and whether it and its merchant are in business."""

    merchant_id: UUID
    is_open: bool
    is_merchant_active: bool


@dataclass(slots=True)
class Loaded:
    """All that the decisions of a batch depend on, read after its locks were taken."""

    coupons: dict[UUID, LockedCoupon] = field(default_factory=dict)
    by_code: dict[str, LockedCoupon] = field(default_factory=dict)
    holds: dict[UUID, KnownHold] = field(default_factory=dict)
    redemptions: dict[UUID, KnownRedemption] = field(default_factory=dict)
    stores: dict[UUID, KnownStore] = field(default_factory=dict)
    answers: dict[tuple[UUID, str], tuple[str, CounterAnswer]] = field(default_factory=dict)
    """Fingerprint and first answer by merchant and request number."""
