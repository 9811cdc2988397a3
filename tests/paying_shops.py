"""A sale whose orders are paid by Stripe: for tests of what can happen to a payment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from tearline.db import Database, transaction
from tearline.jobs.orders import release_expired
from tearline.notices.model import Notice
from tearline.payments.provider import News
from tearline.payments.stripe_checkout import StripeCheckout
from tearline.sales.desk import OrderAnswer, SaleDesk
from tearline.sales.model import Payment, PaymentEvent
from tearline.sales.paying import PaymentUrls, begin_payment, reconcile, take_news
from tearline.sales.reads import OrderView, order_of
from tearline.sales.refunds import pay_back_due
from tests.sale_worlds import Sale, order
from tests.stripe_server import StripeServer, signed

URLS = PaymentUrls("https://example.org/orders/1?paid=1", "https://example.org/orders/1")


@dataclass
class Shop:
    """A sale whose orders are paid by Stripe, and its clock."""

    database: Database
    sale: Sale
    desk: SaleDesk
    stripe: StripeServer
    provider: StripeCheckout
    later: timedelta = field(default_factory=timedelta)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    async def order(self, member: int = 0, quantity: int = 1) -> OrderView:
        return await self.see(await order(self.desk, self.sale, member, quantity), member)

    async def see(self, known: OrderView | OrderAnswer, member: int = 0) -> OrderView:
        order_id = known.id if isinstance(known, OrderView) else known.order_id
        async with self.database.connection() as connection:
            return await order_of(connection, self.sale.members[member], order_id)

    async def begin(self, wanted: OrderView) -> str:
        """The session's name at Stripe."""
        address = await begin_payment(self.database, self.provider, wanted, URLS, self.now, language="th")
        return address.rpartition("/")[2]

    async def hear(self, event: dict[str, Any]) -> str:
        headers, body = signed(event, at=self.now.timestamp())
        return await self.take(self.provider.news(headers, body, self.now))

    async def take(self, news: News) -> str:
        return await take_news(self.database, self.desk, "stripe", news, self.now)

    async def reconcile(self) -> int:
        return await reconcile(self.database, self.desk, {"stripe": self.provider}, self.now)

    async def pay_back(self) -> int:
        return await pay_back_due(self.database, {"stripe": self.provider}, self.now)

    async def release_expired(self) -> int:
        return await release_expired(self.database, self.desk, self.now)

    async def told(self) -> list[str]:
        async with self.database.connection() as connection:
            return list(await connection.scalars(select(Notice.template).order_by(Notice.id)))

    async def payments(self) -> list[Any]:
        async with self.database.connection() as connection:
            return list(await connection.execute(select(Payment).order_by(Payment.id)))

    async def outcomes(self) -> list[str]:
        async with self.database.connection() as connection:
            return list(
                await connection.scalars(select(PaymentEvent.outcome).order_by(PaymentEvent.event_id))
            )

    async def owed(self) -> None:
        """A payment that has to go back."""
        session = await self.begin(await self.order())
        assert await self.hear(self.stripe.expire(session)) == "released"
        await self.order(1, quantity=3)
        assert await self.hear(self.stripe.pay(session)) == "refund_due"

    async def forget_answer(self) -> None:
        """As a process leaves it that dies between its row and the provider's answer."""
        async with transaction(self.database) as tx:
            await tx.execute(update(Payment).values(reference=None, address=None))
