"""A merchant that brings codes of its own, and people at its face: its manager, a cashier, another's manager."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from tearline.db import Database, transaction
from tearline.merchants import actions
from tearline.merchants.model import AuditEntry
from tearline.web.app import Application
from tests.cashiers import COMMAND, Browser, add_staff, add_store, browser
from tests.sale_worlds import Sale, make_sale


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
        """The manager of another merchant."""
        async with transaction(self.database) as tx:
            other_id = await actions.create_merchant(
                tx, COMMAND, code="peak", names={"en": "Peak Tea"}, kind="dining", now=datetime.now(UTC)
            )
        await add_store(self.database, other_id, "tram")
        return await signed_in(self.app, other_id, "Ann", "manager")

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
