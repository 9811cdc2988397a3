"""Releasing orders that were not paid in time, so that others can have their codes."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tearline.db import Database
from tearline.jobs.chores import Chore
from tearline.sales.desk import SaleDesk
from tearline.sales.upkeep import expired_orders

ORDERS_PER_ROUND = 1_000


async def release_expired(database: Database, desk: SaleDesk, now: datetime) -> int:
    """Release every order whose time is over at ``now``; answers how many this call released.

    Any number of workers may do so at once: the desk decides under the sale's lock, and an order whose payment
    came first stays paid.
    """
    total = 0
    while True:
        async with database.connection() as connection:
            expired = await expired_orders(connection, now, ORDERS_PER_ROUND)
        outcomes = await asyncio.gather(
            *(
                desk.release(order.campaign_code, order.member_id, order.order_id, "expired")
                for order in expired
            ),
            return_exceptions=True,
        )
        # Those that could be released are, whatever became of the others.
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            total += not outcome.replayed
        if len(expired) < ORDERS_PER_ROUND:
            return total


def order_chore(database: Database, desk: SaleDesk) -> Chore:
    """Releasing, every few seconds."""
    return Chore("orders_released", 5, lambda now: release_expired(database, desk, now))
