"""Paying back what could not be delivered, and finding out about payments of which no news came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from tearline.core.refusal import Refusal
from tearline.db import Database, is_connection_lost, is_retryable
from tearline.db.patience import pause
from tearline.payments.provider import PaymentProvider
from tearline.sales.desk import SaleDesk
from tearline.sales.paying import reconcile
from tearline.sales.refunds import pay_back_due

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """One kind of work with payments: done again and again, ``every_seconds`` apart.

    Attributes:
        step: does what is due at a time and answers how many payments it brought to an end.
    """

    name: str
    every_seconds: float
    step: Callable[[datetime], Awaitable[int]]


def rounds(database: Database, desk: SaleDesk, providers: Mapping[str, PaymentProvider]) -> tuple[Round, ...]:
    """What the worker does about payments."""
    return (
        Round("refunds", 10, lambda now: pay_back_due(database, providers, now)),
        Round("payments_without_news", 20, lambda now: reconcile(database, desk, providers, now)),
    )


async def work_forever(round_: Round, stopping: asyncio.Event) -> None:
    """Work by the clock until ``stopping`` is set; an absent database is waited for."""
    while not stopping.is_set():
        done = 0
        try:
            done = await round_.step(datetime.now(UTC))
            if done:
                log.info(round_.name, payments=done)
        except Exception as error:
            is_busy = isinstance(error, Refusal) and error.reason == "unavailable"
            if not (is_busy or is_connection_lost(error) or is_retryable(error)):
                raise
            log.warning("payments_postponed", round=round_.name, error=type(error).__name__)
        # A full round may have left some.
        await pause(stopping, 0 if done else round_.every_seconds)
