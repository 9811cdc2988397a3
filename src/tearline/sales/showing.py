"""Showing a partner's code to the member who bought it: the one place that decides whether it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.coupons.model import Coupon
from tearline.db import LocalisedText
from tearline.merchants.model import Merchant
from tearline.pools.model import CodePool
from tearline.sales.model import OrderLookup, Voucher


@dataclass(frozen=True, slots=True)
class ShownCode:
    """A partner's code, and how the partner's scanner reads it: one of ``core.pools.SYMBOLOGIES``."""

    text: str
    symbology: str


@dataclass(frozen=True, slots=True)
class BoughtVoucher:
    """What is known of a bought coupon beyond what every coupon has.

    Attributes:
        has_partner_code: False for one that has our own code alone.
        shown: the partner's code, while it is to be shown.
        used_at, use_place: what the partner says of its use; None before that.
    """

    order_id: UUID
    order_number: str
    has_partner_code: bool
    shown: ShownCode | None
    used_at: datetime | None
    use_place: str | None
    merchant_names: LocalisedText | None


async def bought_voucher(
    connection: AsyncConnection, member_id: UUID, coupon_id: UUID, now: datetime
) -> BoughtVoucher | None:
    """What is known of a member's coupon that was bought; None for one that was not.

    A partner's code is shown from the purchase on, until it was used, was cancelled or has expired.
    """
    query = (
        select(
            Coupon.order_id,
            Coupon.state,
            Coupon.valid_until,
            OrderLookup.number,
            Voucher.code,
            Voucher.used_at,
            Voucher.use_place,
            CodePool.symbology,
            Merchant.names,
        )
        .select_from(Coupon)
        .join(OrderLookup, OrderLookup.order_id == Coupon.order_id)
        .outerjoin(Voucher, and_(Voucher.member_id == Coupon.member_id, Voucher.coupon_id == Coupon.id))
        .outerjoin(CodePool, CodePool.id == Voucher.pool_id)
        .outerjoin(Merchant, Merchant.id == Voucher.merchant_id)
        .where(Coupon.member_id == member_id, Coupon.id == coupon_id)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    is_shown = row.code is not None and row.state == "sold" and row.valid_until > now
    return BoughtVoucher(
        order_id=row.order_id,
        order_number=row.number,
        has_partner_code=row.code is not None,
        shown=ShownCode(row.code, row.symbology) if is_shown else None,
        used_at=row.used_at,
        use_place=row.use_place,
        merchant_names=row.names,
    )
