"""Coupons of carts: found for a quote, and kept, used and given back for an order.

Everything here is called inside the transaction of whoever decides, with the coupons locked in the order of member
and coupon, as the counters lock them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.redemption import CouponFacts, Hold, effective_state
from tearline.db import new_id
from tearline.db.statement import AnyConnection, Statement

MOST_COUPONS = 200
"""Of one member's coupons, how many a cart looks at: those that run out soonest."""


@dataclass(frozen=True, slots=True)
class CartCoupon:
    """A coupon that a cart may use.

    Attributes:
        holder_id: the member in whose wallet it is.
        state: as it counts now; ``held`` when a counter or another order keeps it.
        hold_id: of the hold that is written down, whether or not it still counts.
    """

    holder_id: UUID
    id: UUID
    code: str
    offer_id: UUID
    offer_version: int
    campaign_id: UUID | None
    state: str
    valid_from: datetime
    valid_until: datetime
    issued_at: datetime
    hold_id: UUID | None


_COLUMNS = """
    coupon.member_id, coupon.id, coupon.code, coupon.offer_id, offer.version, coupon.campaign_id, coupon.state,
    coupon.valid_from, coupon.valid_until, coupon.issued_at, coupon.changed_at, coupon.hold_id, coupon.held_until
"""

# The lock is taken before the state is looked at again: what was picked may have been used meanwhile.
_OF_CART = f"""
SELECT {_COLUMNS}
FROM coupon JOIN offer ON offer.id = coupon.offer_id
WHERE (coupon.member_id, coupon.id) IN (
    (SELECT member_id, id FROM coupon
     WHERE member_id = :member_id ::uuid AND state IN ('open', 'held') AND valid_until > :now
       AND (:merchant_id ::uuid IS NULL OR EXISTS (
            SELECT 1 FROM offer WHERE offer.id = coupon.offer_id
              AND (offer.merchant_id IS NULL OR offer.merchant_id = :merchant_id ::uuid)))
     ORDER BY valid_until, id LIMIT {MOST_COUPONS})
    UNION ALL
    SELECT member_id, coupon_id FROM coupon_code WHERE code = ANY(:codes ::text[])
    UNION ALL
    SELECT member_id, id FROM coupon WHERE member_id = :member_id ::uuid AND id = ANY(:coupon_ids ::uuid[]))
ORDER BY coupon.member_id, coupon.id
"""  # noqa: S608
_QUOTED = Statement(text(_OF_CART))
_ORDERED = Statement(text(f"{_OF_CART} FOR NO KEY UPDATE OF coupon"))

_OF_ORDER = f"""
SELECT {_COLUMNS}
FROM coupon JOIN offer ON offer.id = coupon.offer_id
WHERE (coupon.member_id, coupon.id) IN (SELECT * FROM unnest(:holder_ids ::uuid[], :ids ::uuid[]))
ORDER BY coupon.member_id, coupon.id FOR NO KEY UPDATE OF coupon
"""  # noqa: S608


async def coupons_for_cart(
    connection: AnyConnection,
    member_id: UUID | None,
    codes: Collection[str],
    coupon_ids: Collection[UUID],
    now: datetime,
    *,
    merchant_id: UUID | None = None,
    locked: bool,
) -> list[CartCoupon]:
    """The member's coupons that can still be used, and those that are named by code or id, in whatever state.

    Args:
        codes: normalised and well formed; whoever has a code may use it, as at a counter.
        coupon_ids: of the member.
        merchant_id: of the member's coupons only this merchant's and the platform's; None for all.
        locked: takes the locks, for a decision that follows in the same transaction.
    """
    rows = await (_ORDERED if locked else _QUOTED).rows(
        connection,
        member_id=member_id,
        merchant_id=merchant_id,
        codes=list(codes),
        coupon_ids=list(coupon_ids),
        now=now,
    )
    return [_coupon(row, now) for row in rows]


async def locked_coupons(
    tx: AsyncConnection, keys: Sequence[tuple[UUID, UUID]], now: datetime
) -> list[CartCoupon]:
    """Lock coupons by holder and id, in that order."""
    if not keys:
        return []
    holder_ids, ids = zip(*keys, strict=True)
    rows = await tx.execute(text(_OF_ORDER), {"holder_ids": list(holder_ids), "ids": list(ids)})
    return [_coupon(row, now) for row in rows]


async def hold_for_order(
    tx: AsyncConnection, coupons: Sequence[CartCoupon], order_id: UUID, until: datetime, now: datetime
) -> dict[UUID, UUID]:
    """Keep locked coupons for an order; the holds by coupon.

    A coupon that runs out before the order's time is over stays good for the order.
    """
    if not coupons:
        return {}
    holds = [new_id() for _ in coupons]
    await tx.execute(
        text("""
            INSERT INTO coupon_hold (id, member_id, coupon_id, verified, order_id, held_at)
            SELECT id, member_id, coupon_id, 'order', :order_id, :now
            FROM unnest(:holds ::uuid[], :holders ::uuid[], :ids ::uuid[]) AS kept (id, member_id, coupon_id)
        """),
        {"order_id": order_id, "now": now, "holds": holds, **_keys(coupons)},
    )
    await tx.execute(
        text("""
            UPDATE coupon SET state = 'held', hold_id = kept.hold_id, held_until = :until, changed_at = :now
            FROM unnest(:holds ::uuid[], :holders ::uuid[], :ids ::uuid[]) AS kept (hold_id, member_id, id)
            WHERE coupon.member_id = kept.member_id AND coupon.id = kept.id
        """),
        {"until": until, "now": now, "holds": holds, **_keys(coupons)},
    )
    return {coupon.id: hold for coupon, hold in zip(coupons, holds, strict=True)}


async def release_from_order(tx: AsyncConnection, coupons: Sequence[CartCoupon], now: datetime) -> None:
    """Open locked coupons that their order gave up, or expire those whose time is over."""
    await _change(tx, coupons, "CASE WHEN coupon.valid_until <= :now THEN 'expired' ELSE 'open' END", now)


async def redeem_for_order(
    tx: AsyncConnection,
    coupons: Sequence[tuple[CartCoupon, UUID | None]],
    order_id: UUID,
    order_number: str,
    api_key_id: UUID | None,
    now: datetime,
) -> dict[UUID, UUID]:
    """Use locked coupons for an order that is paid; the redemptions by coupon.

    Args:
        coupons: each with the merchant whose offer it is of; None for the platform's.
    """
    if not coupons:
        return {}
    redemptions = {coupon.id: new_id() for coupon, _merchant in coupons}
    used = [coupon for coupon, _merchant in coupons]
    await tx.execute(
        text("""
            INSERT INTO redemption (id, member_id, coupon_id, offer_id, campaign_id, merchant_id, api_key_id,
                                    request_number, way, verified, redeemed_at, order_id)
            SELECT id, member_id, coupon_id, offer_id, campaign_id, merchant_id, :api_key_id, :number, 'checkout',
                   'order', :now, :order_id
            FROM unnest(:redemptions ::uuid[], :holders ::uuid[], :ids ::uuid[], :offers ::uuid[],
                        :campaigns ::uuid[], :merchants ::uuid[])
                 AS used (id, member_id, coupon_id, offer_id, campaign_id, merchant_id)
        """),
        {
            "api_key_id": api_key_id,
            "number": order_number,
            "now": now,
            "order_id": order_id,
            "redemptions": [redemptions[one.id] for one in used],
            "offers": [one.offer_id for one in used],
            "campaigns": [one.campaign_id for one in used],
            "merchants": [merchant for _coupon, merchant in coupons],
            **_keys(used),
        },
    )
    await _change(tx, used, "'redeemed'", now)
    return redemptions


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A coupon that a refund gives back: until when it is good from now on."""

    coupon: CartCoupon
    redemption_id: UUID
    valid_until: datetime


async def give_back(
    tx: AsyncConnection, returned: Sequence[GivenBack], refund_id: UUID, reason: str | None, now: datetime
) -> None:
    """Undo the redemptions of locked coupons: they are open again, perhaps for longer than before."""
    if not returned:
        return
    await tx.execute(
        text("""
            INSERT INTO reversal (member_id, redemption_id, id, coupon_id, merchant_id, request_number, reason,
                                  reversed_at)
            SELECT undone.member_id, undone.redemption_id, undone.id, undone.coupon_id, redemption.merchant_id, :number,
                   :reason, :now
            FROM unnest(:holders ::uuid[], :redemptions ::uuid[], :reversals ::uuid[], :ids ::uuid[])
                 AS undone (member_id, redemption_id, id, coupon_id)
            JOIN redemption ON redemption.member_id = undone.member_id AND redemption.id = undone.redemption_id
        """),
        {
            "number": str(refund_id),
            "reason": reason,
            "now": now,
            "redemptions": [one.redemption_id for one in returned],
            "reversals": [new_id() for _ in returned],
            **_keys([one.coupon for one in returned]),
        },
    )
    await tx.execute(
        text("""
            UPDATE coupon SET state = 'open', valid_until = back.valid_until, changed_at = :now
            FROM unnest(:holders ::uuid[], :ids ::uuid[], :untils ::timestamptz[]) AS back (member_id, id, valid_until)
            WHERE coupon.member_id = back.member_id AND coupon.id = back.id
        """),
        {
            "now": now,
            "untils": [one.valid_until for one in returned],
            **_keys([one.coupon for one in returned]),
        },
    )


async def _change(tx: AsyncConnection, coupons: Sequence[CartCoupon], state: str, now: datetime) -> None:
    if not coupons:
        return
    await tx.execute(
        text(f"""
            UPDATE coupon SET state = {state}, hold_id = NULL, held_until = NULL, changed_at = :now
            FROM unnest(:holders ::uuid[], :ids ::uuid[]) AS changed (member_id, id)
            WHERE coupon.member_id = changed.member_id AND coupon.id = changed.id
        """),  # noqa: S608
        {"now": now, **_keys(coupons)},
    )


def _keys(coupons: Sequence[CartCoupon]) -> dict[str, list[UUID]]:
    return {"holders": [one.holder_id for one in coupons], "ids": [one.id for one in coupons]}


def _coupon(row: Row[Any], now: datetime) -> CartCoupon:
    hold = None if row.hold_id is None else Hold(row.hold_id, row.held_until, None)
    facts = CouponFacts(row.state, row.valid_from, row.valid_until, row.changed_at, hold)
    return CartCoupon(
        holder_id=row.member_id,
        id=row.id,
        code=row.code,
        offer_id=row.offer_id,
        offer_version=row.version,
        campaign_id=row.campaign_id,
        state=effective_state(facts, now),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        issued_at=row.issued_at,
        hold_id=row.hold_id,
    )
