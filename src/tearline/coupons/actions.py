"""What changes coupons besides claiming and the counter: voiding, and what is done by the clock.

Redeeming, reversing and preparing are the redemption desk's (``coupons.desk``).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import case, delete, exists, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.redemption import CouponFacts, No, decide_void
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import check_text
from tearline.coupons.model import Coupon, CouponHold, TillRequest
from tearline.db import first_id_of
from tearline.merchants.audit import record_audit
from tearline.offers.model import Offer

MAXIMUM_REASON_LENGTH = 500


async def void_coupon(
    tx: AsyncConnection, actor: Actor, member_id: UUID, coupon_id: UUID, *, reason: str, now: datetime
) -> None:
    """Cancel a coupon for good. What was redeemed stays redeemed: undo the redemption first.

    Args:
        reason: why, for the audit log.

    Raises:
        Refusal: ``not_found``, ``already_redeemed``, ``expired``, ``coupon_void`` when it is void already,
            ``invalid`` without a reason.
    """
    actor.require("coupons.void")
    problem = check_text(reason, maximum=MAXIMUM_REASON_LENGTH)
    if problem is not None:
        raise Refusal("invalid", fields={"reason": problem})
    # The lock is taken before anything is looked at: a till may be redeeming it at this moment.
    found = await tx.execute(
        select(Coupon.__table__)
        .where(Coupon.member_id == member_id, Coupon.id == coupon_id)
        .with_for_update(key_share=True)
    )
    row = found.one_or_none()
    if row is None:
        raise Refusal("not_found")
    offer_merchant_id = await tx.scalar(select(Offer.merchant_id).where(Offer.id == row.offer_id))
    actor.require_merchant(offer_merchant_id)
    # Who holds it doesn't matter: a held coupon can be voided as an open one can.
    refused = decide_void(CouponFacts(row.state, row.valid_from, row.valid_until, row.changed_at), now)
    if isinstance(refused, No):
        raise Refusal(refused.reason)
    await tx.execute(
        update(Coupon)
        .where(Coupon.member_id == member_id, Coupon.id == coupon_id)
        .values(state="void", hold_id=None, held_until=None, changed_at=now)
    )
    await record_audit(
        tx,
        actor,
        "coupon.voided",
        "coupon",
        coupon_id,
        {"state": row.state},
        {"state": "void", "reason": reason.strip()},
        now,
        merchant_id=offer_merchant_id,
    )


async def expire_due(tx: AsyncConnection, now: datetime, limit: int) -> int:
    """Mark open coupons whose time is over as expired, at most ``limit``; answers how many.

    Several workers may sweep at once, and tills go on redeeming: what another transaction holds is skipped,
    and the lock looks at the state again. Call it until it answers less than ``limit``.
    """
    due = (
        select(Coupon.member_id, Coupon.id)
        .where(Coupon.state == "open", Coupon.valid_until <= now)
        # The order of the partial index that holds open coupons only: no walk past old ones.
        .order_by(Coupon.valid_until)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("due")
    )
    swept = await tx.execute(
        update(Coupon)
        .where(
            tuple_(Coupon.member_id, Coupon.id).in_(select(due.c.member_id, due.c.id)), Coupon.state == "open"
        )
        .values(state="expired", changed_at=now)
    )
    return swept.rowcount


async def release_holds(tx: AsyncConnection, now: datetime, limit: int) -> int:
    """Open coupons whose hold is over, or expire those whose time is over too; answers how many.

    Nothing waits for this: a hold past its time counts as none for everybody. Sweeping keeps lists true.
    """
    due = (
        select(Coupon.member_id, Coupon.id)
        .where(Coupon.state == "held", Coupon.held_until <= now)
        .order_by(Coupon.held_until)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
        .cte("due")
    )
    swept = await tx.execute(
        update(Coupon)
        .where(
            tuple_(Coupon.member_id, Coupon.id).in_(select(due.c.member_id, due.c.id)),
            Coupon.state == "held",
            Coupon.held_until <= now,
        )
        .values(
            state=case((Coupon.valid_until <= now, "expired"), else_="open"),
            hold_id=None,
            held_until=None,
            changed_at=now,
        )
    )
    return swept.rowcount


async def forget_till_requests(tx: AsyncConnection, *, created_before: datetime, most: int = 10_000) -> int:
    """Delete up to ``most`` request numbers older than this, with their answers; answers how many.

    A number that comes again after that is decided anew: what was done with it stands on the coupon.
    """
    key = tuple_(TillRequest.merchant_id, TillRequest.request_number)
    is_old = TillRequest.created_at < created_before
    old = (
        select(TillRequest.merchant_id, TillRequest.request_number)
        .where(is_old)
        .order_by(TillRequest.created_at)
        .limit(most)
    )
    # The age again: the same number may have been put down anew since the rows were picked.
    return (await tx.execute(delete(TillRequest).where(key.in_(old), is_old))).rowcount


async def forget_holds(tx: AsyncConnection, *, created_before: datetime, most: int = 10_000) -> int:
    """Delete up to ``most`` preparations older than this that keep no coupon any more; answers how many."""
    is_in_force = exists().where(
        Coupon.member_id == CouponHold.member_id,
        Coupon.id == CouponHold.coupon_id,
        Coupon.state == "held",
        Coupon.hold_id == CouponHold.id,
    )
    old = (
        select(CouponHold.id)
        # Ids begin with the time, so the primary key finds the oldest without an index of their own.
        .where(CouponHold.id < first_id_of(created_before), ~is_in_force)
        .order_by(CouponHold.id)
        .limit(most)
    )
    return (await tx.execute(delete(CouponHold).where(CouponHold.id.in_(old)))).rowcount
