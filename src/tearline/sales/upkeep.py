"""Orders that were not paid in time, for the worker to release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.sales.model import VoucherOrder


@dataclass(frozen=True, slots=True)
class ExpiredOrder:
    """What the sale desk needs to release an order."""

    campaign_code: str
    member_id: UUID
    order_id: UUID


async def expired_orders(connection: AsyncConnection, now: datetime, most: int) -> list[ExpiredOrder]:
    """Reserved orders whose time is over, the oldest first; no more than ``most``.

    Nothing is locked: one that is paid or released meanwhile is left as it is by the desk.
    """
    query = (
        select(Campaign.code, VoucherOrder.member_id, VoucherOrder.id)
        .join(Campaign, Campaign.id == VoucherOrder.campaign_id)
        # Literal, as the partial index has it: with a parameter PostgreSQL could not tell that it fits.
        .where(text("voucher_order.state = 'reserved'"), VoucherOrder.reserved_until <= now)
        .order_by(VoucherOrder.reserved_until)
        .limit(most)
    )
    return [ExpiredOrder(*row) for row in await connection.execute(query)]
