"""A merchant that brings codes of its own, and people at its face: its manager, a cashier, another's manager."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import insert, select

from tearline.coupons.model import Coupon
from tearline.db import Database, new_id, transaction
from tearline.merchants import actions
from tearline.merchants.model import AuditEntry
from tearline.offers.model import Offer
from tearline.pools.model import CodePool
from tearline.sales.desk import OrderAnswer
from tearline.sales.model import SaleItem, Voucher
from tearline.web.app import Application
from tests.cashiers import COMMAND, Browser, add_staff, add_store, browser
from tests.sale_worlds import Sale, add_codes, make_sale, order, settle
from tests.worlds import NOW, offer_row


@dataclass
class Partner:
    """A merchant that brings its own codes, and its manager, who is signed in."""

    app: Application
    database: Database
    sale: Sale
    manager: Browser

    @property
    def pool(self) -> str:
        """The page of its first pool."""
        return f"/merchant/pools/{self.sale.pools[0]}"

    async def cashier(self) -> Browser:
        """Somebody who works for it and may not see codes."""
        return await signed_in(self.app, self.sale.merchant_id, "Mei", "cashier")

    async def stranger(self) -> Browser:
        """The manager of another merchant, which has nothing."""
        return await signed_in(self.app, await self._other_merchant(), "Ann", "manager")

    async def rival(self, codes: int = 5) -> Browser:
        """The manager of another merchant, whose voucher the same sale sells: the last item, with its own pool.

        One of its codes is the same as one of the partner's.
        """
        merchant_id, offer_id, pool_id, item_id = await self._other_merchant(), new_id(), new_id(), new_id()
        async with transaction(self.database) as tx:
            offer = offer_row(
                offer_id, merchant_id, currency="THB", issue_limit=None, names={"en": "Peak tea"}
            )
            await tx.execute(insert(Offer).values(offer))
            pool = {"id": pool_id, "offer_id": offer_id, "merchant_id": merchant_id}
            await tx.execute(insert(CodePool).values(created_at=NOW, updated_at=NOW, **pool))
            await add_codes(tx, pool_id, codes, prefix="0")
            await tx.execute(
                insert(SaleItem).values(
                    id=item_id, campaign_id=self.sale.campaign_id, position=9, offer_id=offer_id, currency="THB",
                    price=1_234_500, face_value=1_300_000, limit_per_order=20, commission_basis_points=1_000,
                )
            )  # fmt: skip
        self.sale.offers.append(offer_id)
        self.sale.pools.append(pool_id)
        self.sale.items.append(item_id)
        return await signed_in(self.app, merchant_id, "Ann", "manager")

    async def _other_merchant(self) -> UUID:
        async with transaction(self.database) as tx:
            other_id = await actions.create_merchant(
                tx, COMMAND, code="peak", names={"en": "Peak Tea"}, kind="dining", now=datetime.now(UTC)
            )
        await add_store(self.database, other_id, "tram")
        return other_id

    async def sell(self, quantity: int, *, item: int = 0, member: int = 0) -> OrderAnswer:
        """Somebody buys vouchers and pays."""
        desk = self.app.litestar.state.services.sale_desk
        taken = await order(desk, self.sale, member, quantity, item=item)
        await settle(self.database, desk, self.sale, member, taken)
        return taken

    async def codes_sold(self) -> list[tuple[str, str]]:
        """Of each voucher that the partner has sold, the partner's code and ours, in the order of the sale."""
        statement = (
            select(Voucher.code, Coupon.code.label("ours"))
            .join(Coupon, (Coupon.member_id == Voucher.member_id) & (Coupon.id == Voucher.coupon_id))
            .where(Voucher.merchant_id == self.sale.merchant_id)
            .order_by(Coupon.id)
        )
        async with self.database.connection() as connection:
            return [(row.code, row.ours) for row in await connection.execute(statement)]

    async def acts(self) -> list[tuple[str, str]]:
        """What the audit log says about its pools, oldest first: the act, and who did it."""
        statement = select(AuditEntry.action, AuditEntry.actor_name).where(
            AuditEntry.subject_kind == "code_pool", AuditEntry.merchant_id == self.sale.merchant_id
        )
        async with self.database.connection() as connection:
            rows = await connection.execute(statement.order_by(AuditEntry.id))
            return [(row.action, row.actor_name) for row in rows]


async def make_partner(app: Application) -> Partner:
    """A merchant whose vouchers are on sale with two pools of its own codes, ten and three; its manager is Pim."""
    database = app.litestar.state.services.database
    sale = await make_sale(database, codes=(10, 3))
    return Partner(app, database, sale, await signed_in(app, sale.merchant_id, "Pim", "manager"))


async def signed_in(app: Application, merchant_id: UUID, name: str, role: str) -> Browser:
    """Somebody of a merchant with one store, at its face."""
    email = await add_staff(app.litestar.state.services.database, merchant_id, name, role)
    somebody = browser(app)
    await somebody.sign_in(email)
    assert somebody.path == "/merchant"
    return somebody
