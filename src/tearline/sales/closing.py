"""Closing a sale of a partner's codes: once nobody can buy any more, the unsold ones are handed back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.pools import handback, reads
from tearline.sales.model import SaleItem


def goes_on_selling(now: datetime) -> ColumnElement[bool]:
    """Whether members can buy from this sale now, or once it begins or is resumed."""
    return and_(Campaign.state.in_(("live", "paused")), Campaign.ends_at > now)


async def hand_back_unsold(tx: AsyncConnection, actor: Actor, pool_id: UUID, now: datetime) -> UUID:
    """Withdraw a pool's unsold codes for good, as ``handback.hand_back``; answers the hand-back's id.

    Raises:
        Refusal: ``sale_running`` while a sale of them is going on or still to come, ``orders_open``,
            ``nothing_to_hand_back``, ``not_found``, ``not_allowed``.
    """
    actor.require("codes.write")
    pool = await reads.pool(tx, actor, pool_id)
    # Campaigns are locked before pools, here as everywhere; no period can be moved meanwhile.
    statement = (
        select(Campaign.id, Campaign.ends_at, goes_on_selling(now).label("goes_on"))
        .where(Campaign.id.in_(select(SaleItem.campaign_id).where(SaleItem.offer_id == pool.offer_id)))
        .order_by(Campaign.id)
        .with_for_update(key_share=True)
    )
    sales = (await tx.execute(statement)).all()
    if any(sale.goes_on for sale in sales):
        raise Refusal("sale_running")
    last = max(sales, key=lambda sale: sale.ends_at, default=None)
    return await handback.hand_back(
        tx, actor, pool_id, campaign_id=None if last is None else last.id, now=now
    )
