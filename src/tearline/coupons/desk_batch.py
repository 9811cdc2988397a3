"""One batch of the redemption desk: load under the locks, decide one by one, write set-wise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from tearline.core import rotating
from tearline.core.redemption import (
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
from tearline.coupons import desk_sql as sql
from tearline.coupons.counter import (
    CounterAnswer,
    CounterRequest,
    KnownHold,
    KnownRedemption,
    KnownStore,
    Loaded,
    LockedCoupon,
)
from tearline.coupons.rotation import coupon_secret
from tearline.db.arrays import array, columns, ids, quoted_array
from tearline.db.engine import HotConnection
from tearline.i18n import _
from tearline.offers import stored

Granted = TypeVar("Granted")

Done = list[tuple[CounterRequest, CounterAnswer]]
"""What was decided and is to be written."""

OfferCache = dict[UUID, tuple[int, OfferFacts]]
"""Offers by id, with the version that they were read at; every change of an offer raises its version."""


async def load(
    connection: HotConnection,
    requests: Sequence[CounterRequest],
    offers: OfferCache,
    *,
    coupons_statement: str,
) -> Loaded:
    """Take the locks and read what the decisions depend on: one round trip, or two when an offer is new.

    Args:
        coupons_statement: ``sql.LOCK_COUPONS``, or ``sql.READ_COUPONS`` to look only.
    """
    hold_ids = {request.hold_id for request in requests if request.hold_id}
    redemption_ids = ids({request.redemption_id for request in requests if request.redemption_id})
    coupons = await connection.execute(
        coupons_statement,
        (array({request.code for request in requests if request.code}), ids(hold_ids), redemption_ids),
    )
    redemptions = await connection.execute(sql.REDEMPTIONS, (redemption_ids,))
    numbers = {(request.merchant_id, request.request_number) for request in requests}
    answers = await connection.execute(
        sql.FIRST_ANSWERS, (ids(merchant for merchant, _n in numbers), quoted_array(n for _m, n in numbers))
    )
    stores = await connection.execute(
        sql.STORES, (ids({request.store_id for request in requests if request.store_id}),)
    )
    loaded = Loaded()
    rows = await coupons.fetchall()
    hold_ids |= {row[9] for row in rows if row[9] is not None}
    await _load_offers(connection, {row[3]: row[11] for row in rows}, offers)
    if hold_ids:
        holds = await connection.execute(sql.HOLDS, (ids(hold_ids),))
        loaded.holds = {row[0]: KnownHold(*row[1:]) for row in await holds.fetchall()}
    for row in rows:
        coupon = LockedCoupon(_facts(row[5:11], loaded.holds), offers[row[3]][1], *row[:5])
        loaded.coupons[coupon.id] = loaded.by_code[coupon.code] = coupon
    for row in await redemptions.fetchall():
        loaded.redemptions[row[0]] = KnownRedemption(RedemptionFacts(*row[4:]), *row[1:4])
    for merchant_id, number, fingerprint, answer in await answers.fetchall():
        first = msgspec.json.decode(answer, type=CounterAnswer)
        loaded.answers[merchant_id, number] = (fingerprint.hex(), first)
    loaded.stores = {row[0]: KnownStore(*row[1:]) for row in await stores.fetchall()}
    return loaded


def _facts(row: Sequence[Any], holds: dict[UUID, KnownHold]) -> CouponFacts:
    state, valid_from, valid_until, changed_at, hold_id, held_until = row
    hold = None
    if hold_id is not None:
        hold = Hold(hold_id, held_until, holds[hold_id].store_id, holds[hold_id].staff_id)
    return CouponFacts(state, valid_from, valid_until, changed_at, hold)


async def _load_offers(connection: HotConnection, versions: dict[UUID, int], offers: OfferCache) -> None:
    stale = [id_ for id_, version in versions.items() if id_ not in offers or offers[id_][0] != version]
    if not stale:
        return
    rows = await connection.execute(sql.OFFERS, (ids(stale),))
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
) -> tuple[list[CounterAnswer | BaseException], Done]:
    """Decide in the order of arrival; the answers, and those of them that are to be written."""
    outcomes: list[CounterAnswer | BaseException] = []
    done: Done = []
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
        return _answer(
            request, coupon, counter.store_id, verified, now, hold_id=hold_id, held_until=held_until
        )
    if request.action == "release":
        assert hold_id is not None
        _change(coupon, granted(decide_release(coupon.facts, hold_id, now)), now)
        return _answer(request, coupon, counter.store_id, verified, now, hold_id=hold_id)
    granted(decide_redeem(coupon.facts, coupon.offer, counter, hold_id, now))
    _change(coupon, "redeemed", now)
    redemption = RedemptionFacts(request.merchant_id, now, False)
    loaded.redemptions[request.effect_id] = KnownRedemption(redemption, coupon.id, counter.store_id, verified)
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
    is_ours = store is not None and store.merchant_id == request.merchant_id and store.is_open
    if request.store_id is None or store is None or not is_ours:
        raise Refusal("invalid", fields={"store_id": _("This is not one of your open stores.")})
    if not store.is_merchant_active:
        raise Refusal("not_allowed")
    return Counter(request.merchant_id, request.store_id, request.way, request.staff_id)


def find(
    loaded: Loaded, request: CounterRequest, secret_keys: Sequence[bytes], now: datetime
) -> tuple[LockedCoupon, str]:
    """The coupon that is meant, and how it was read: ``rotating`` or ``code``.

    Another merchant's hold does not exist for this one, and an order's for no counter. Another merchant's
    coupon is told apart later, by the decision, before anything else about it.
    """
    if request.hold_id is not None:
        hold = loaded.holds.get(request.hold_id)
        coupon = loaded.coupons.get(hold.coupon_id) if hold is not None else None
        is_ours = hold is not None and hold.order_id is None and hold.merchant_id == request.merchant_id
        if hold is None or coupon is None or not is_ours:
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


def granted(outcome: Granted | No) -> Granted:
    """What was decided, or its refusal raised."""
    if isinstance(outcome, No):
        details: dict[str, Any] = dict(outcome.details)
        raise Refusal(outcome.reason, **details)
    return outcome


def _change(coupon: LockedCoupon, state: str, now: datetime, hold: Hold | None = None) -> None:
    coupon.facts = replace(coupon.facts, state=state, hold=hold, changed_at=now)
    coupon.is_changed = True


def _answer(
    request: CounterRequest, coupon: LockedCoupon, store_id: UUID, verified: str, now: datetime, **more: Any
) -> CounterAnswer:
    return CounterAnswer(
        action=_DONE[request.action],
        id=request.effect_id,
        at=now,
        coupon_id=coupon.id,
        code=coupon.code,
        offer_id=coupon.offer_id,
        merchant_id=request.merchant_id,
        store_id=store_id,
        verified=verified,
        state=coupon.facts.state,
        valid_until=coupon.facts.valid_until,
        campaign_id=coupon.campaign_id,
        **more,
    )


_DONE = {"prepare": "prepared", "redeem": "redeemed", "release": "released", "reverse": "reversed"}


async def write(connection: HotConnection, loaded: Loaded, done: Done, now: datetime) -> None:
    """Write all that was decided; the transaction's commit follows in the same round trip."""
    coupons: list[tuple[Any, ...]] = []
    for coupon in loaded.coupons.values():
        if coupon.is_changed:
            hold = coupon.facts.hold
            kept = (None, None) if hold is None else (hold.id, hold.held_until)
            coupons.append((coupon.member_id, coupon.id, coupon.facts.state, *kept))
    await connection.execute(sql.CHANGE_COUPONS, (now, *columns(coupons)))
    await _append(connection, loaded, done, now)
    ordered = sorted(done, key=lambda one: (one[0].merchant_id, one[0].request_number))
    answers = [
        (
            request.merchant_id,
            request.request_number,
            request.fingerprint(),
            msgspec.json.encode(answer).decode(),
        )
        for request, answer in ordered
    ]
    await connection.execute(sql.INSERT_ANSWERS, (now, *columns(answers)))


async def _append(connection: HotConnection, loaded: Loaded, done: Done, now: datetime) -> None:
    """Append the holds, redemptions and reversals."""
    holds: list[tuple[Any, ...]] = []
    redemptions: list[tuple[Any, ...]] = []
    reversals: list[tuple[Any, ...]] = []
    for request, answer in done:
        member_id = loaded.coupons[answer.coupon_id].member_id
        coupon = (member_id, answer.coupon_id)
        who = (request.staff_id, request.api_key_id)
        where = (answer.merchant_id, answer.store_id)
        if answer.action == "prepared":
            holds.append((answer.id, *coupon, *where, *who, answer.verified))
        elif answer.action == "redeemed":
            how = (request.request_number, request.way, answer.verified)
            redemptions.append((answer.id, *coupon, answer.offer_id, answer.campaign_id, *where, *who, *how))
        elif answer.action == "reversed":
            why = (request.request_number, request.reason)
            reversals.append((answer.id, answer.redemption_id, *coupon, answer.merchant_id, *who, *why))
    if holds:
        await connection.execute(sql.INSERT_HOLDS, (now, *columns(holds)))
    if redemptions:
        lookups = [(row[0], row[1], row[5]) for row in redemptions]
        await connection.execute(sql.INSERT_REDEMPTIONS, (now, *columns(redemptions)))
        await connection.execute(sql.INSERT_LOOKUPS, columns(lookups))
    if reversals:
        await connection.execute(sql.INSERT_REVERSALS, (now, *columns(reversals)))
