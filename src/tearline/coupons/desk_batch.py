"""One batch of the redemption desk: load under the locks, decide one by one, write set-wise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from tearline.core import rotating
from tearline.core.redemption import (
    REVERSAL_WINDOW_OF_CASHIERS,
    REVERSAL_WINDOW_OF_MANAGERS_AND_TILLS,
    Counter,
    CouponFacts,
    Hold,
    No,
    OfferFacts,
    RedemptionFacts,
    decide_prepare,
    decide_redeem,
    decide_release,
    decide_reverse,
)
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.coupons import desk_sql as sql
from tearline.coupons.rotation import coupon_secret
from tearline.db import new_id
from tearline.db.arrays import array, quoted_array, times_array
from tearline.db.engine import HotConnection
from tearline.i18n import _
from tearline.offers import stored


class CounterAnswer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was done at the counter.

    Attributes:
        action: ``prepared``, ``redeemed``, ``released`` or ``reversed``.
        id: of the hold, the redemption, the release or the reversal.
        store_id: where it was done; for a reversal, where the coupon had been redeemed.
        verified: ``rotating`` when the coupon's changing QR code was scanned, ``code`` when its code was typed.
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
    deadline_seconds: float = 0.0
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
        asked = (self.action, self.store_id, self.way, self.code, self.hold_id, self.redemption_id, self.reason)
        return hashlib.sha256("\0".join(map(str, asked)).encode()).hexdigest()


@dataclass(slots=True)
class LockedCoupon:
    """A coupon of the batch; its facts are replaced by what is decided, for the next request to see."""

    member_id: UUID
    id: UUID
    code: str
    offer_id: UUID
    campaign_id: UUID | None
    facts: CouponFacts
    offer: OfferFacts
    is_changed: bool = False


@dataclass(frozen=True, slots=True)
class KnownHold:
    """A preparation that was once made."""

    member_id: UUID
    coupon_id: UUID
    merchant_id: UUID
    store_id: UUID
    staff_id: UUID | None
    verified: str


@dataclass(slots=True)
class KnownRedemption:
    """A redemption that somebody wants to undo."""

    member_id: UUID
    coupon_id: UUID
    store_id: UUID
    verified: str
    facts: RedemptionFacts


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


OfferCache = dict[UUID, tuple[int, OfferFacts]]
"""Offers by id, with the version that they were read at; every change of an offer raises its version."""


async def load(
    connection: HotConnection, requests: Sequence[CounterRequest], offers: OfferCache, *, coupons_statement: str
) -> Loaded:
    """Take the locks and read what the decisions depend on: one round trip, or two when an offer is new.

    Args:
        coupons_statement: ``sql.LOCK_COUPONS``, or ``sql.READ_COUPONS`` to look only.
    """
    hold_ids = {request.hold_id for request in requests if request.hold_id}
    redemption_ids = array({request.redemption_id for request in requests if request.redemption_id})
    await connection.execute(sql.SETTINGS)
    coupons = await connection.execute(
        coupons_statement,
        (array({request.code for request in requests if request.code}), array(hold_ids), redemption_ids),
    )
    redemptions = await connection.execute(sql.REDEMPTIONS, (redemption_ids,))
    numbers = {(request.merchant_id, request.request_number) for request in requests}
    answers = await connection.execute(
        sql.FIRST_ANSWERS, (array(merchant for merchant, _n in numbers), quoted_array(n for _m, n in numbers))
    )
    stores = await connection.execute(
        sql.STORES, (array({request.store_id for request in requests if request.store_id}),)
    )
    loaded = Loaded()
    rows = await coupons.fetchall()
    hold_ids |= {row[9] for row in rows if row[9] is not None}
    await _load_offers(connection, {row[3]: row[11] for row in rows}, offers)
    if hold_ids:
        holds = await connection.execute(sql.HOLDS, (array(hold_ids),))
        loaded.holds = {row[0]: KnownHold(*row[1:]) for row in await holds.fetchall()}
    for row in rows:
        coupon = LockedCoupon(*row[:5], facts=_facts(row[5:11], loaded.holds), offer=offers[row[3]][1])
        loaded.coupons[coupon.id] = loaded.by_code[coupon.code] = coupon
    for id_, merchant_id, store_id, member_id, coupon_id, at, verified, is_reversed in await redemptions.fetchall():
        facts = RedemptionFacts(merchant_id, at, is_reversed)
        loaded.redemptions[id_] = KnownRedemption(member_id, coupon_id, store_id, verified, facts)
    for merchant_id, number, fingerprint, answer in await answers.fetchall():
        first = msgspec.json.decode(answer, type=CounterAnswer)
        loaded.answers[merchant_id, number] = (fingerprint.hex(), first)
    loaded.stores = {row[0]: KnownStore(*row[1:]) for row in await stores.fetchall()}
    return loaded


def _facts(row: Sequence[object], holds: dict[UUID, KnownHold]) -> CouponFacts:
    state, valid_from, valid_until, changed_at, hold_id, held_until = row
    hold = None
    if hold_id is not None:
        known = holds[hold_id]  # type: ignore[index]
        hold = Hold(hold_id, held_until, known.store_id, known.staff_id)  # type: ignore[arg-type]
    return CouponFacts(state, valid_from, valid_until, changed_at, hold)  # type: ignore[arg-type]


async def _load_offers(connection: HotConnection, versions: dict[UUID, int], offers: OfferCache) -> None:
    stale = [id_ for id_, version in versions.items() if id_ not in offers or offers[id_][0] != version]
    if not stale:
        return
    rows = await connection.execute(sql.OFFERS, (array(stale),))
    for id_, version, merchant_id, scope, validity, time_zone, redeem_by, store_ids in await rows.fetchall():
        facts = OfferFacts(
            merchant_id,
            stored.scope_from(scope),
            stored.validity_from(validity),
            time_zone,
            frozenset(redeem_by),
            frozenset(store_ids),
        )
        offers[id_] = (version, facts)


def decide_all(
    loaded: Loaded, requests: Iterable[CounterRequest], secret_keys: Sequence[bytes], now: datetime
) -> tuple[list[CounterAnswer | BaseException], list[tuple[CounterRequest, CounterAnswer]]]:
    """Decide in the order of arrival; the answers, and those of them that are to be written."""
    outcomes: list[CounterAnswer | BaseException] = []
    done: list[tuple[CounterRequest, CounterAnswer]] = []
    for request in requests:
        number = (request.merchant_id, request.request_number)
        fingerprint = request.fingerprint()
        first = loaded.answers.get(number)
        try:
            if first is None:
                answer = _decide(loaded, request, secret_keys, now)
                loaded.answers[number] = (fingerprint, answer)
                done.append((request, answer))
            elif first[0] != fingerprint:
                raise Refusal("idempotency_key_reused")
            else:
                answer = msgspec.structs.replace(first[1], replayed=first[1].id != request.effect_id)
            outcomes.append(answer)
        except Refusal as refusal:
            outcomes.append(refusal)
    return outcomes, done


def _decide(
    loaded: Loaded, request: CounterRequest, secret_keys: Sequence[bytes], now: datetime
) -> CounterAnswer:
    if request.action == "reverse":
        return _reverse(loaded, request, now)
    counter = counter_of(loaded, request)
    coupon, verified = find(loaded, request, secret_keys, now)
    hold_id = request.hold_id
    if request.action == "prepare":
        hold_id = request.effect_id
        held_until = granted(decide_prepare(coupon.facts, coupon.offer, counter, now))
        _change(coupon, "held", now, Hold(hold_id, held_until, counter.store_id, counter.staff_id))
        loaded.holds[hold_id] = KnownHold(
            coupon.member_id, coupon.id, request.merchant_id, counter.store_id, counter.staff_id, verified
        )
        return _answer(request, coupon, counter.store_id, verified, now, hold_id=hold_id, held_until=held_until)
    if request.action == "release":
        assert hold_id is not None
        _change(coupon, granted(decide_release(coupon.facts, hold_id, now)), now)
        return _answer(request, coupon, counter.store_id, verified, now, hold_id=hold_id)
    granted(decide_redeem(coupon.facts, coupon.offer, counter, hold_id, now))
    _change(coupon, "redeemed", now)
    redemption = RedemptionFacts(request.merchant_id, now, False)
    loaded.redemptions[request.effect_id] = KnownRedemption(
        coupon.member_id, coupon.id, counter.store_id, verified, redemption
    )
    return _answer(
        request,
        coupon,
        counter.store_id,
        verified,
        now,
        hold_id=hold_id,
        redemption_id=request.effect_id,
        reversible_until=now + request.reversal_window,
    )


def _reverse(loaded: Loaded, request: CounterRequest, now: datetime) -> CounterAnswer:
    assert request.redemption_id is not None
    redemption = loaded.redemptions.get(request.redemption_id)
    coupon = loaded.coupons.get(redemption.coupon_id) if redemption is not None else None
    if redemption is None or coupon is None:
        raise Refusal("not_found")
    state = granted(
        decide_reverse(coupon.facts, redemption.facts, request.merchant_id, request.reversal_window, now)
    )
    redemption.facts = replace(redemption.facts, is_reversed=True)
    _change(coupon, state, now)
    return _answer(
        request, coupon, redemption.store_id, redemption.verified, now, redemption_id=request.redemption_id
    )


def counter_of(loaded: Loaded, request: CounterRequest) -> Counter:
    """Who asks and where, refused when it isn't one of their merchant's stores that are open."""
    store = loaded.stores.get(request.store_id) if request.store_id is not None else None
    if request.store_id is None or store is None or store.merchant_id != request.merchant_id or not store.is_open:
        raise Refusal("invalid", fields={"store_id": _("This is not one of your open stores.")})
    if not store.is_merchant_active:
        raise Refusal("not_allowed")
    return Counter(request.merchant_id, request.store_id, request.way, request.staff_id)


def find(
    loaded: Loaded, request: CounterRequest, secret_keys: Sequence[bytes], now: datetime
) -> tuple[LockedCoupon, str]:
    """The coupon that is meant, and how it was read: ``rotating`` or ``code``.

    Another merchant's hold does not exist for this one. Another merchant's coupon is told apart later, by the
    decision, before anything else about it.
    """
    if request.hold_id is not None:
        hold = loaded.holds.get(request.hold_id)
        coupon = loaded.coupons.get(hold.coupon_id) if hold is not None else None
        if hold is None or coupon is None or hold.merchant_id != request.merchant_id:
            raise Refusal("not_found")
        return coupon, hold.verified
    coupon = loaded.by_code.get(request.code or "")
    if coupon is None:
        raise Refusal("code_not_recognised")
    if request.scanned is None:
        return coupon, "code"
    if not any(rotating.verify(request.scanned, coupon_secret(key, coupon.id), now) for key in secret_keys):
        raise Refusal("screenshot")
    return coupon, "rotating"


def granted[Granted](outcome: Granted | No) -> Granted:
    """What was decided, or its refusal raised."""
    if isinstance(outcome, No):
        raise Refusal(outcome.reason, **outcome.details)
    return outcome
