"""A sale's definition as the sale desk keeps it in memory, and how it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.audience import Audience, audience_from_json
from tearline.core.offers import Validity, can_be_issued, coupon_window
from tearline.core.sales import ItemRules
from tearline.offers.model import Offer
from tearline.offers.stored import validity_from
from tearline.sales.model import SaleItem


@dataclass(frozen=True, slots=True)
class ItemDefinition:
    """An item with what selling it needs to know of its offer."""

    rules: ItemRules
    price: int
    face_value: int
    currency: str
    commission_basis_points: int
    offer_id: UUID
    offer_version: int
    merchant_id: UUID | None
    has_issue_limit: bool
    validity: Validity
    time_zone: str

    def window(self, paid_at: datetime) -> tuple[datetime, datetime]:
        """From when until when a voucher is valid that is paid at this moment."""
        return coupon_window(self.validity, self.time_zone, paid_at)

    def is_of_use(self, paid_at: datetime) -> bool:
        """Whether a voucher that is paid at this moment can be used at all."""
        return can_be_issued(self.validity, self.time_zone, paid_at)


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a sale and its offers, good until a locked row shows another version."""

    id: UUID
    version: int
    state: str
    starts_at: datetime
    ends_at: datetime
    audience: Audience
    items: dict[UUID, ItemDefinition]
    """By id."""


async def load_definition(connection: AsyncConnection, code: str) -> Definition | None:
    """The sale with this code, or None. Read in one statement, so that its parts agree."""
    statement = (
        select(
            Campaign,
            SaleItem.id.label("item_id"),
            SaleItem.price,
            SaleItem.face_value,
            SaleItem.currency,
            SaleItem.commission_basis_points,
            SaleItem.limit_per_member.label("item_limit_per_member"),
            SaleItem.limit_per_order,
            Offer.id.label("offer_id"),
            Offer.version.label("offer_version"),
            Offer.merchant_id,
            Offer.issue_limit,
            Offer.limit_per_member.label("offer_limit_per_member"),
            Offer.validity.label("offer_validity"),
            Offer.time_zone.label("offer_time_zone"),
        )
        .outerjoin(SaleItem, SaleItem.campaign_id == Campaign.id)
        .outerjoin(Offer, Offer.id == SaleItem.offer_id)
        .where(Campaign.code == code, Campaign.kind == "sale")
    )
    rows = (await connection.execute(statement)).all()
    if not rows:
        return None
    items = {
        row.item_id: ItemDefinition(
            rules=ItemRules(
                row.item_id, row.item_limit_per_member, row.limit_per_order, row.offer_limit_per_member
            ),
            price=row.price,
            face_value=row.face_value,
            currency=row.currency,
            commission_basis_points=row.commission_basis_points,
            offer_id=row.offer_id,
            offer_version=row.offer_version,
            merchant_id=row.merchant_id,
            has_issue_limit=row.issue_limit is not None,
            validity=validity_from(row.offer_validity),
            time_zone=row.offer_time_zone,
        )
        for row in rows
        if row.item_id is not None
    }
    sale = rows[0]
    return Definition(
        id=sale.id,
        version=sale.version,
        state=sale.state,
        starts_at=sale.starts_at,
        ends_at=sale.ends_at,
        audience=audience_from_json(sale.audience),
        items=items,
    )
