"""Releasing orders that were not paid in time, so that others can have their codes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from tearline.core.refusal import Refusal
from tearline.db import Database, is_connection_lost, is_retryable
from tearline.db.patience import pause
from tearline.sales.desk import SaleDesk
from tearline.sales.upkeep import expired_orders

log = structlog.get_logger(__name__)

EVERY_SECONDS = 5.0
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


async def release_forever(database: Database, desk: SaleDesk, stopping: asyncio.Event) -> None:
    """Release by the clock until ``stopping`` is set; an absent database is waited for."""
    while not stopping.is_set():
        try:
            released = await release_expired(database, desk, datetime.now(UTC))
            if released:
                log.info("orders_released", orders=released)
        except Exception as error:
            is_busy = isinstance(error, Refusal) and error.reason == "unavailable"
            if not (is_busy or is_connection_lost(error) or is_retryable(error)):
                raise
            log.warning("orders_not_released_yet", error=type(error).__name__)
        await pause(stopping, EVERY_SECONDS)
