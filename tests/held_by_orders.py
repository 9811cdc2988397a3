"""Coupons that orders of carts hold or have used, as the checkout leaves them, written with plain inserts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.model import CartOrder, CartOrderCoupon, CartOrderLookup
from tearline.coupons.model import Coupon, CouponHold, Redemption
from tearline.db import Database, new_id, transaction

ORDER_NUMBER = "C-7K2M-9QXD"


async def hold_for_order(
    database: Database,
    member_id: UUID,
    coupon_id: UUID,
    *,
    minutes: float = 30,
    merchant_id: UUID | None = None,
) -> tuple[UUID, UUID]:
    """Keep a coupon for an order that is not paid; answers the ids of the hold and of the order."""
    hold_id, order_id, now = new_id(), new_id(), datetime.now(UTC)
    async with transaction(database) as tx:
        await tx.execute(
            insert(CouponHold).values(
                id=hold_id,
                member_id=member_id,
                coupon_id=coupon_id,
                merchant_id=merchant_id,
                verified="order",
                order_id=order_id,
                held_at=now,
            )
        )
        await _order(tx, member_id, coupon_id, order_id, hold_id, now, number=order_id.hex[-10:].upper())
        await tx.execute(
            update(Coupon)
            .where(Coupon.member_id == member_id, Coupon.id == coupon_id)
            .values(
                state="held", hold_id=hold_id, held_until=now + timedelta(minutes=minutes), changed_at=now
            )
        )
    return hold_id, order_id


async def use_in_order(
    database: Database,
    member_id: UUID,
    coupon_id: UUID,
    *,
    offer_id: UUID,
    merchant_id: UUID | None,
    campaign_id: UUID | None = None,
    now: datetime | None = None,
    number: str = ORDER_NUMBER,
) -> tuple[UUID, UUID]:
    """Use a coupon with an order that was paid; answers the ids of the redemption and of the order.

    Args:
        merchant_id: None for a coupon of the platform.
    """
    redemption_id, order_id, now = new_id(), new_id(), now or datetime.now(UTC)
    async with transaction(database) as tx:
        await tx.execute(
            insert(Redemption).values(
                id=redemption_id,
                member_id=member_id,
                coupon_id=coupon_id,
                offer_id=offer_id,
                campaign_id=campaign_id,
                merchant_id=merchant_id,
                request_number=number,
                way="checkout",
                verified="order",
                redeemed_at=now,
                order_id=order_id,
            )
        )
        await _order(
            tx,
            member_id,
            coupon_id,
            order_id,
            new_id(),
            now,
            number=number,
            redemption_id=redemption_id,
        )
        await tx.execute(
            update(Coupon)
            .where(Coupon.member_id == member_id, Coupon.id == coupon_id)
            .values(state="redeemed", hold_id=None, held_until=None, changed_at=now)
        )
    return redemption_id, order_id


async def _order(
    tx: AsyncConnection,
    member_id: UUID,
    coupon_id: UUID,
    order_id: UUID,
    hold_id: UUID,
    now: datetime,
    *,
    number: str,
    redemption_id: UUID | None = None,
) -> None:
    """An order of nothing, so that the books are right."""
    is_paid = redemption_id is not None
    await tx.execute(
        insert(CartOrder).values(
            member_id=member_id, id=order_id, number=number, merchant_ids=[], currency="HKD",
            state="paid" if is_paid else "open", list_total=0, discount=0, points=0, tax=0, total=0, refunded=0,
            priced={"currency": "HKD", "prices_include_tax": True, "lines": [], "parcels": [], "rights": []},
            remaining={"lines": [], "parcels": []}, created_at=now, expires_at=now + timedelta(hours=1),
            paid_at=now if is_paid else None, collected_by="platform" if is_paid else None,
        )
    )  # fmt: skip
    await tx.execute(insert(CartOrderLookup).values(number=number, member_id=member_id, order_id=order_id))
    await tx.execute(
        insert(CartOrderCoupon).values(
            member_id=member_id, order_id=order_id, coupon_id=coupon_id, holder_id=member_id, hold_id=hold_id,
            redemption_id=redemption_id,
        )
    )  # fmt: skip
