"""A campaign as anyone may see it, whatever its kind."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.reads import CampaignPage, campaign_page
from tearline.core.refusal import Refusal
from tearline.sales.reads import SalePage, sale_page


async def public_page(connection: AsyncConnection, code: str, now: datetime) -> CampaignPage | SalePage:
    """The public side of a campaign or a sale; drafts and archived ones are ``not_found``."""
    try:
        return await campaign_page(connection, code, now)
    except Refusal as refusal:
        if refusal.reason != "not_found":
            raise
    return await sale_page(connection, code, now)
