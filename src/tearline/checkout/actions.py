"""Ordering a cart, paying and cancelling it. Each is one transaction that decides under the order's lock."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.entries import write_entries
from tearline.checkout.loading import is_first_order, load
from tearline.checkout.model import GUEST, CartOrder, CartOrderCoupon, CartOrderLookup
from tearline.checkout.offers import OfferBook
from tearline.checkout.quoting import PricedCart, priced
from tearline.checkout.requests import CartRequest, check
from tearline.checkout.stored import (
    fingerprint_of,
    order_from,
    order_json,
    remaining_json,
)
from tearline.core.codes import normalise
from tearline.core.orders import freeze
from tearline.core.refunds import Remaining
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.sales import NUMBER_LENGTH, order_number
from tearline.core.settlement import payment_entries
from tearline.core.texts import check_text
from tearline.coupons.for_orders import (
    hold_for_order,
    locked_coupons,
    redeem_for_order,
    release_from_order,
)
from tearline.db import new_id
from tearline.i18n import _
from tearline.members.model import Member

HOLD_LASTS = timedelta(minutes=15)
LONGEST_HOLD = timedelta(hours=2)
COLLECTORS = ("platform", "merchant")
_LONGEST_REFERENCE = 200


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that was placed.

    Attributes:
        is_replay: an earlier order with the same key stands; nothing was done.
    """

    id: UUID
    number: str
    is_replay: bool = False


async def place_order(
    tx: AsyncConnection,
    request: CartRequest,
    book: OfferBook,
    now: datetime,
    *,
    merchant_id: UUID | None = None,
    expected_total: int | None = None,
    hold_lasts: timedelta = HOLD_LASTS,
    reference: str | None = None,
    idempotency_key: str | None = None,
) -> Placed:
    """Price a cart as it is now, and keep its coupons until it is paid.

    Args:
        merchant_id: whose shop sends it; None for the operator's.
        expected_total: what the member was shown; the order is refused when it comes to something else.
        hold_lasts: at most ``LONGEST_HOLD``.
        reference: the shop's own name for the order.
        idempotency_key: of the member: the same cart again with it gets the order that stands. Guests, who are all
            one, have none.

    Raises:
        Refusal: ``cart_too_large``, ``invalid``, ``not_found`` or ``member_blocked`` for the member,
            ``price_changed``, ``idempotency_key_reused``; and why a coupon that it names can't be used.
    """
    check(request)
    if not timedelta(0) < hold_lasts <= LONGEST_HOLD:
        raise Refusal("invalid", fields={"hold_seconds": _("This number is out of range.")})
    if reference is not None and (problem := check_text(reference, maximum=_LONGEST_REFERENCE)):
        raise Refusal("invalid", fields={"reference": problem})
    member_id = GUEST if request.member_id is None else request.member_id
    assert idempotency_key is None or member_id != GUEST, "a guest can't be told from another"
    fingerprint = fingerprint_of(request) if idempotency_key is not None else None
    if request.member_id is not None:
        # One order of a member at a time: which one is the first is then no matter of chance.
        if await _lock_member(tx, request.member_id) != "active":
            raise Refusal("member_blocked")
        if idempotency_key is not None:
            earlier = await _earlier(tx, request.member_id, idempotency_key, fingerprint)
            if earlier is not None:
                return earlier
    loaded = await load(tx, request, book, now, merchant_id=merchant_id, locked=True)
    cart = priced(request, loaded, now)
    _refuse_named(request, cart)
    if expected_total is not None and cart.total != expected_total:
        raise Refusal("price_changed", total=cart.total, currency=cart.loaded.cart.currency)
    id_, number = new_id(), order_number(secrets.token_bytes(NUMBER_LENGTH))
    frozen = freeze(loaded.cart, cart.quote, cart.taxes)
    expires_at = now + hold_lasts
    await tx.execute(
        insert(CartOrder).values(
            member_id=member_id,
            id=id_,
            number=number,
            merchant_id=merchant_id,
            merchant_ids=sorted({line.merchant_id for line in (*frozen.lines, *frozen.parcels)}),
            reference=reference,
            currency=request.currency,
            state="open",
            list_total=frozen.list_total,
            discount=frozen.discount,
            points=frozen.points,
            tax=frozen.tax,
            total=frozen.total,
            priced=order_json(frozen),
            remaining=remaining_json(Remaining.of(frozen)),
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            created_at=now,
            expires_at=expires_at,
            refunded=0,
        )
    )
    await tx.execute(insert(CartOrderLookup).values(number=number, member_id=member_id, order_id=id_))
    await _keep_coupons(tx, cart, member_id, id_, expires_at, now)
    return Placed(id_, number)


def _refuse_named(request: CartRequest, cart: PricedCart) -> None:
    """A quote says why a coupon was skipped; an order that names it must not go through without it."""
    unknown = [one.key for one in cart.loaded.unusable if one.reason == "code_not_recognised"]
    if unknown:
        # Before all else, and all of them: who tries many codes at once is told, and counted, for each.
        raise Refusal("code_not_recognised", coupon=unknown[0], coupons=unknown)
    if request.choose == "given":
        for unusable in cart.loaded.unusable:
            if unusable.key in cart.loaded.named:
                raise Refusal(unusable.reason, coupon=unusable.key)
        for skipped in cart.quote.skipped:
            if skipped.right.key in cart.loaded.named:
                raise Refusal(skipped.reason, coupon=skipped.right.key)


async def _keep_coupons(
    tx: AsyncConnection, cart: PricedCart, member_id: UUID, order_id: UUID, until: datetime, now: datetime
) -> None:
    coupons = [cart.loaded.coupons[one.right.key] for one in cart.quote.applied if not one.right.is_promotion]
    if not coupons:
        return
    holds = await hold_for_order(tx, coupons, order_id, until, now)
    await tx.execute(
        insert(CartOrderCoupon),
        [
            {
                "member_id": member_id,
                "order_id": order_id,
                "coupon_id": coupon.id,
                "holder_id": coupon.holder_id,
                "hold_id": holds[coupon.id],
            }
            for coupon in coupons
        ],
    )


async def _lock_member(tx: AsyncConnection, member_id: UUID) -> str:
    """Lock a member; the member's state."""
    state: str | None = await tx.scalar(
        select(Member.state).where(Member.id == member_id).with_for_update(key_share=True)
    )
    if state is None:
        raise Refusal("not_found")
    return state


async def _earlier(
    tx: AsyncConnection, member_id: UUID, key: str, fingerprint: bytes | None
) -> Placed | None:
    row = (
        await tx.execute(
            select(CartOrder.id, CartOrder.number, CartOrder.fingerprint).where(
                CartOrder.member_id == member_id, CartOrder.idempotency_key == key
            )
        )
    ).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise Refusal("idempotency_key_reused")
    return Placed(row.id, row.number, is_replay=True)


async def pay_order(
    tx: AsyncConnection,
    actor: Actor,
    number: str,
    now: datetime,
    *,
    collected_by: str,
    payment_reference: str | None = None,
) -> None:
    """Take down that an order is paid: its coupons are used, and what follows from it is booked.

    An order whose time is over is taken, too, as long as its coupons can still be used and nobody has them
    meanwhile. One that is paid stays as it is, where this is the payment that is known.

    Args:
        actor: whose shop took the order, or the operator.
        collected_by: who has the money now: ``platform``, or ``merchant``, each for its own lines. That the platform
            has it, and owes it, is for the operator to say.
        payment_reference: the payment provider's name for the payment.

    Raises:
        Refusal: ``not_found``, ``order_cancelled``; ``order_paid`` where another payment is known; ``coupon_taken``,
            ``expired`` or ``first_order_only`` for one that is late; ``coupon_taken`` also where the operator has
            cancelled a coupon; ``invalid``.
    """
    if collected_by not in COLLECTORS:
        raise Refusal("invalid", fields={"collected_by": _("Choose platform or merchant.")})
    if actor.merchant_id is not None and collected_by != "merchant":
        raise Refusal(
            "invalid", fields={"collected_by": _("What a merchant's shop is paid, the merchant has.")}
        )
    if payment_reference is not None and (
        problem := check_text(payment_reference, maximum=_LONGEST_REFERENCE)
    ):
        raise Refusal("invalid", fields={"payment_reference": problem})
    order = await lock_order(tx, actor, number)
    if order.state == "paid":
        # Said twice it is the same payment; another one is money to give back.
        references = {payment_reference, order.payment_reference} - {None}
        if collected_by != order.collected_by or len(references) > 1:
            raise Refusal("order_paid")
        return
    if order.state == "cancelled":
        raise Refusal("order_cancelled")
    frozen = order_from(order.priced)
    is_late = now >= order.expires_at
    if is_late and any(right.rules.first_order_only for right in frozen.rights):
        await _lock_member(tx, order.member_id)
        if not await is_first_order(tx, order.member_id, now):
            raise Refusal("first_order_only")
    used = await coupons_of_order(tx, order)
    coupons = await locked_coupons(tx, [(row.holder_id, row.coupon_id) for row in used], now)
    holds = {row.coupon_id: row.hold_id for row in used}
    for coupon in coupons:
        if coupon.state == "held" and coupon.hold_id == holds[coupon.id]:
            continue
        # The order's time is over, so its hold is, swept or not: ours while nobody has it and it can be used.
        if coupon.state != "open":
            raise Refusal("expired" if coupon.state == "expired" else "coupon_taken")
    merchants = {right.key: right.merchant_id for right in frozen.rights}
    redemptions = await redeem_for_order(
        tx,
        [(coupon, merchants[str(coupon.id)]) for coupon in coupons],
        order.id,
        order.number,
        actor.id if actor.kind == "key" else None,
        now,
    )
    for coupon_id, redemption_id in redemptions.items():
        await tx.execute(coupon_of_order(order, coupon_id).values(redemption_id=redemption_id))
    await tx.execute(
        changed_order(order).values(
            state="paid", paid_at=now, collected_by=collected_by, payment_reference=payment_reference
        )
    )
    await write_entries(
        tx, payment_entries(frozen), order, kind="payment", collected_by=collected_by, now=now
    )


async def cancel_order(tx: AsyncConnection, actor: Actor, number: str, now: datetime) -> None:
    """Give up an order that is not paid: its coupons are open again at once. One that is cancelled stays so.

    Raises:
        Refusal: ``not_found``, ``order_paid``.
    """
    order = await lock_order(tx, actor, number)
    if order.state == "paid":
        raise Refusal("order_paid")
    if order.state == "cancelled":
        return
    used = await coupons_of_order(tx, order)
    coupons = await locked_coupons(tx, [(row.holder_id, row.coupon_id) for row in used], now)
    holds = {row.coupon_id: row.hold_id for row in used}
    # What somebody else has taken meanwhile, after the order's time, is not ours to open.
    await release_from_order(tx, [one for one in coupons if one.hold_id == holds[one.id]], now)
    await tx.execute(changed_order(order).values(state="cancelled", cancelled_at=now))


async def lock_order(tx: AsyncConnection, actor: Actor, number: str) -> Row[Any]:
    """Lock an order by its number, typed in any manner; every column of it.

    Raises:
        Refusal: ``not_found``, also for an order of another merchant's shop.
    """
    owner = (
        await tx.execute(
            select(CartOrderLookup.member_id, CartOrderLookup.order_id).where(
                CartOrderLookup.number == normalise(number)
            )
        )
    ).one_or_none()
    if owner is None:
        raise Refusal("not_found")
    order: Row[Any] = (
        await tx.execute(
            select(CartOrder.__table__)
            .where(CartOrder.member_id == owner.member_id, CartOrder.id == owner.order_id)
            .with_for_update(key_share=True)
        )
    ).one()
    actor.require_merchant(order.merchant_id)
    return order


async def coupons_of_order(tx: AsyncConnection, order: Row[Any]) -> Sequence[Row[Any]]:
    """The coupons that an order holds or has used: what it keeps of each."""
    rows = await tx.execute(
        select(CartOrderCoupon.__table__).where(
            CartOrderCoupon.member_id == order.member_id, CartOrderCoupon.order_id == order.id
        )
    )
    return rows.all()


def coupon_of_order(order: Row[Any], coupon_id: UUID) -> Any:
    """The statement that changes what an order keeps of one of its coupons, its values still to be said."""
    return update(CartOrderCoupon).where(
        CartOrderCoupon.member_id == order.member_id,
        CartOrderCoupon.order_id == order.id,
        CartOrderCoupon.coupon_id == coupon_id,
    )


def changed_order(order: Row[Any]) -> Any:
    """The statement that changes an order, its values still to be said."""
    return update(CartOrder).where(CartOrder.member_id == order.member_id, CartOrder.id == order.id)
