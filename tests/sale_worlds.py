"""Small worlds for tests that need a sale with its pool in the database, written with plain inserts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from tearline.campaigns.model import Campaign
from tearline.core.sales import PAYMENT_LASTS
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.merchants.model import Merchant, Store
from tearline.offers.model import Offer
from tearline.pools.model import CodePool
from tearline.sales.desk import OrderAnswer, SaleDesk, Settled
from tearline.sales.model import Payment, SaleItem
from tests.worlds import NOW, make_members, offer_row

PRICE, FACE_VALUE, COMMISSION = 26_500, 30_000, 1_250


@dataclass
class Sale:
    """What was made: ids to order, pay and look at. Pools are None where the codes are ours."""

    campaign_id: UUID
    code: str
    merchant_id: UUID
    offers: list[UUID] = field(default_factory=list)
    pools: list[UUID | None] = field(default_factory=list)
    items: list[UUID] = field(default_factory=list)
    members: list[UUID] = field(default_factory=list)


async def make_sale(
    database: Database,
    *,
    codes: tuple[int | None, ...] = (10,),
    members: int = 4,
    item: dict[str, Any] | None = None,
    offer: dict[str, Any] | None = None,
    campaign: dict[str, Any] | None = None,
) -> Sale:
    """A live sale with an item for each of ``codes``: of a pool with so many, or, for None, with codes of ours.

    Args:
        item, offer, campaign: columns that differ from the plain ones.
    """
    sale = Sale(new_id(), "VOUCHERS-1", new_id())
    now = datetime.now(UTC)
    async with transaction(database) as tx:
        merchant = {"id": sale.merchant_id, "code": "bistro", "names": {"en": "Bistro"}, "kind": "dining"}
        await tx.execute(insert(Merchant).values(created_at=NOW, **merchant))
        store = {"id": new_id(), "merchant_id": sale.merchant_id, "code": "siam", "names": {"en": "Siam"}}
        await tx.execute(insert(Store).values(created_at=NOW, **store))
        values = {
            "id": sale.campaign_id,
            "code": sale.code,
            "kind": "sale",
            "names": {"en": "Dining vouchers"},
            "state": "live",
            "time_zone": "Asia/Bangkok",
            "starts_at": now - timedelta(days=400),
            "ends_at": now + timedelta(days=400),
            "created_at": NOW,
            "updated_at": NOW,
            **(campaign or {}),
        }
        await tx.execute(insert(Campaign).values(values))
        for position, count in enumerate(codes):
            sale.offers.append(new_id())
            plain = {"currency": "THB", "issue_limit": None, **(offer or {})}
            await tx.execute(insert(Offer).values(offer_row(sale.offers[-1], sale.merchant_id, **plain)))
            sale.pools.append(None)
            if count is not None:
                sale.pools[-1] = pool_id = new_id()
                pool = {"id": pool_id, "offer_id": sale.offers[-1], "merchant_id": sale.merchant_id}
                await tx.execute(insert(CodePool).values(created_at=NOW, updated_at=NOW, **pool))
                await add_codes(tx, pool_id, count, prefix=f"{position}")
            sale.items.append(new_id())
            item_values = {
                "id": sale.items[-1],
                "campaign_id": sale.campaign_id,
                "position": position,
                "offer_id": sale.offers[-1],
                "currency": "THB",
                "price": PRICE,
                "face_value": FACE_VALUE,
                "quantity": None if count is not None else 1_000_000,
                "limit_per_member": None,
                "limit_per_order": 20,
                "commission_basis_points": COMMISSION,
                **(item or {}),
            }
            await tx.execute(insert(SaleItem).values(item_values))
        if members:
            sale.members = await make_members(tx, members)
    return sale


async def add_codes(
    tx: Any, pool_id: UUID, count: int, *, prefix: str = "T", scattered: bool = False
) -> None:
    """Put so many more codes at the end of a pool.

    Args:
        scattered: in no order, as most partners' codes are; otherwise they are numbered.
    """
    numbered = "pool.size + number"
    code = (
        f"upper(substr(md5(({numbered})::text || pool.id::text), 1, 20))"
        if scattered
        else f":prefix || lpad(({numbered})::text, 19, '0')"
    )
    parameters = {"pool": pool_id, "count": count, **({} if scattered else {"prefix": prefix})}
    await tx.execute(
        text(f"""
            INSERT INTO partner_code (pool_id, position, merchant_id, code)
            SELECT pool.id, {numbered}, pool.merchant_id, {code}
            FROM code_pool AS pool, generate_series(0, CAST(:count AS int) - 1) AS number WHERE pool.id = :pool"""),
        parameters,
    )
    await tx.execute(
        text("UPDATE code_pool SET size = size + :count, available = available + :count WHERE id = :pool"),
        {"pool": pool_id, "count": count},
    )


async def order(
    desk: SaleDesk, sale: Sale, member: int = 0, quantity: int = 1, *, item: int = 0, key: str | None = None
) -> OrderAnswer:
    """An order of a member, known by position."""
    return await desk.order(
        sale.code, sale.items[item], sale.members[member], 1, quantity, key or new_id().hex
    )


async def begin_payment(database: Database, sale: Sale, member: int, answer: OrderAnswer) -> UUID:
    """A payment of an order, as it is kept once the provider has answered."""
    payment_id = new_id()
    now = datetime.now(UTC)
    async with transaction(database) as tx:
        await tx.execute(
            insert(Payment).values(
                id=payment_id,
                order_id=answer.order_id,
                member_id=sale.members[member],
                provider="test",
                reference=payment_id.hex,
                amount=answer.amount,
                currency=answer.currency,
                state="begun",
                created_at=now,
                changed_at=now,
                expires_at=now + PAYMENT_LASTS,
                refund_tries=0,
            )
        )
    return payment_id


async def settle(
    database: Database,
    desk: SaleDesk,
    sale: Sale,
    member: int,
    answer: OrderAnswer,
    payment_id: UUID | None = None,
) -> Settled:
    """Pay an order, by a new payment unless one is given."""
    payment_id = payment_id or await begin_payment(database, sale, member, answer)
    return await desk.settle(sale.code, sale.members[member], answer.order_id, payment_id, "charge-1")


async def assert_clean(database: Database) -> None:
    """The audit finds nothing."""
    async with database.connection() as connection:
        assert [finding for finding in await run_audit(connection) if finding.breaches] == []
