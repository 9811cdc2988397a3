"""Refunding units of an order. One transaction, which decides under the order's lock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.actions import changed_order, coupon_of_order, coupons_of_order, lock_order
from tearline.checkout.entries import write_entries
from tearline.checkout.model import CartRefund
from tearline.checkout.stored import order_from, refund_from, refund_json, remaining_from, remaining_json
from tearline.core.orders import FrozenOrder
from tearline.core.redemption import No
from tearline.core.refunds import Refund, Wish, coupon_outcome, refund
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.settlement import refund_entries
from tearline.core.texts import check_text
from tearline.coupons.for_orders import GivenBack, give_back, locked_coupons
from tearline.db import new_id
from tearline.i18n import _
from tearline.merchants.audit import record_audit
from tearline.offers.model import Offer

LONGEST_REASON = 500


async def refund_order(
    tx: AsyncConnection,
    actor: Actor,
    number: str,
    wish: Wish,
    now: datetime,
    *,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> UUID:
    """Refund units of a paid order, by what they cost then; answers the refund's id.

    Who refunds pays the money back at its payment provider; what platform and merchants bore is booked back here, and
    coupons become what their offers say.

    Args:
        idempotency_key: of the order: the same again gets the refund that was made with it.

    Raises:
        Refusal: ``not_found``, ``order_not_paid``, ``nothing_to_refund``, ``refund_too_large``, ``invalid``,
            ``idempotency_key_reused``.
    """
    if reason is not None and (problem := check_text(reason, maximum=LONGEST_REASON)):
        raise Refusal("invalid", fields={"reason": problem})
    if not (wish.everything or wish.parcels or any(wish.lines.values())):
        raise Refusal("invalid", fields={"lines": _("Say what is given back.")})
    order = await lock_order(tx, actor, number)
    frozen = order_from(order.priced)
    if idempotency_key is not None:
        earlier = await _earlier_refund(tx, order, frozen, idempotency_key, wish)
        if earlier is not None:
            return earlier
    if order.state != "paid":
        raise Refusal("order_not_paid")
    outcome = refund(frozen, remaining_from(order.remaining), wish)
    if isinstance(outcome, No):
        details: dict[str, Any] = dict(outcome.details)
        raise Refusal(outcome.reason, **details)
    made, left = outcome
    id_ = new_id()
    await tx.execute(
        insert(CartRefund).values(
            member_id=order.member_id,
            order_id=order.id,
            id=id_,
            amount=made.amount,
            points=made.points,
            tax=made.tax,
            returned=refund_json(made),
            reason=reason,
            by_name=actor.name,
            idempotency_key=idempotency_key,
            created_at=now,
        )
    )
    await tx.execute(
        changed_order(order).values(remaining=remaining_json(left), refunded=order.refunded + made.amount)
    )
    await write_entries(
        tx,
        refund_entries(frozen, made),
        order,
        kind="refund",
        collected_by=order.collected_by,
        refund_id=id_,
        now=now,
    )
    await _return_coupons(tx, order, frozen, made, id_, reason, now)
    await record_audit(
        tx, actor, "cart_order.refunded", "cart_order", order.id, None,
        {"number": order.number, "amount": made.amount, "currency": order.currency, "reason": reason}, now,
        merchant_id=order.merchant_id,
    )  # fmt: skip
    return id_


async def _earlier_refund(
    tx: AsyncConnection, order: Row[Any], frozen: FrozenOrder, key: str, wish: Wish
) -> UUID | None:
    row = (
        await tx.execute(
            select(CartRefund.id, CartRefund.returned).where(
                CartRefund.member_id == order.member_id,
                CartRefund.order_id == order.id,
                CartRefund.idempotency_key == key,
            )
        )
    ).one_or_none()
    if row is None:
        return None
    made = refund_from(row.returned)
    lines = {frozen.lines[part.position].key: part.quantity for part in made.lines if part.quantity}
    parcels = {frozen.parcels[part.position].merchant_id for part in made.parcels if part.quantity}
    # Once everything was asked for, nothing is left, and there is nothing else to compare with.
    is_same = (
        remaining_from(order.remaining).is_empty
        if wish.everything
        else lines == {name: count for name, count in wish.lines.items() if count}
        and parcels == {*wish.parcels}
    )
    if not is_same:
        raise Refusal("idempotency_key_reused")
    found: UUID = row.id
    return found


async def _return_coupons(
    tx: AsyncConnection,
    order: Row[Any],
    frozen: FrozenOrder,
    made: Refund,
    refund_id: UUID,
    reason: str | None,
    now: datetime,
) -> None:
    """Coupons whose whole discount is undone become what their offers say."""
    undone = {frozen.rights[place].key: frozen.rights[place] for place in made.undone}
    used = {
        str(row.coupon_id): row
        for row in await coupons_of_order(tx, order)
        if str(row.coupon_id) in undone and row.outcome is None
    }
    coupons = await locked_coupons(tx, [(row.holder_id, row.coupon_id) for row in used.values()], now)
    zones = await _time_zones(tx, [coupon.offer_id for coupon in coupons])
    returned = []
    for coupon in coupons:
        rules = undone[str(coupon.id)].rules
        outcome, valid_until = coupon_outcome(
            rules, coupon.valid_until, now, time_zone=zones[coupon.offer_id]
        )
        if coupon.state != "redeemed":
            # Cancelled meanwhile, by the operator: nothing brings it back.
            outcome = "forfeited"
        if outcome != "forfeited":
            redemption_id = used[str(coupon.id)].redemption_id
            returned.append(GivenBack(coupon, redemption_id, valid_until or coupon.valid_until))
        await tx.execute(coupon_of_order(order, coupon.id).values(outcome=outcome))
    await give_back(tx, returned, refund_id, reason, now)


async def _time_zones(tx: AsyncConnection, offer_ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = await tx.execute(select(Offer.id, Offer.time_zone).where(Offer.id.in_(offer_ids)))
    return {row.id: row.time_zone for row in rows}
