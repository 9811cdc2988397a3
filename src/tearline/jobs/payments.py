"""What the worker does about payments: paying back what is due to be, and finding out what no news tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from tearline.db import Database
from tearline.jobs.chores import Chore
from tearline.payments.provider import PaymentProvider
from tearline.sales.desk import SaleDesk
from tearline.sales.paying import reconcile
from tearline.sales.refunds import pay_back_due


def payment_chores(
    database: Database, desk: SaleDesk, providers: Mapping[str, PaymentProvider]
) -> tuple[Chore, ...]:
    """The chores about payments."""
    return (
        Chore("payments_paid_back", 10, _until_none(lambda now: pay_back_due(database, providers, now))),
        Chore("payments_cleared", 20, _until_none(lambda now: reconcile(database, desk, providers, now))),
    )


def _until_none(some: Callable[[datetime], Awaitable[int]]) -> Callable[[datetime], Awaitable[int]]:
    """A step that does some at a time, until there was nothing more to do."""

    async def all_due(now: datetime) -> int:
        total = 0
        while done := await some(now):
            total += done
        return total

    return all_due
