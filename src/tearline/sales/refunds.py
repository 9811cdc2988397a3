"""Paying back what could not be delivered, until it has succeeded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from tearline.db import Database, transaction
from tearline.payments.provider import PaymentFailure, PaymentProvider, Refund
from tearline.sales import payment_rows as rows
from tearline.sales.payment_rows import PaymentRow

log = structlog.get_logger(__name__)

SHORTEST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
_ALARMING_TRIES = 5


def pause_after(tries: int) -> timedelta:
    """How long after this many tries the next one comes: a minute, doubled each time, up to six hours."""
    return min(LONGEST_PAUSE, SHORTEST_PAUSE * (1 << min(tries - 1, 20)))


async def pay_back_due(
    database: Database, providers: Mapping[str, PaymentProvider], now: datetime, *, most: int = 20
) -> int:
    """Pay back payments that are due to be; answers how many are done with.

    Each is first put off to when it would be tried again: so no other worker tries it meanwhile, and it is
    tried again if this one dies. A refund that is made twice pays back once: each is of the whole payment.
    """
    due = []
    async with transaction(database) as tx:
        for payment in await rows.due_refunds(tx, now, most):
            tries = payment.refund_tries + 1
            await rows.put_off_refund(tx, payment.id, tries, now + pause_after(tries))
            due.append((payment, tries))
    done = 0
    for payment, tries in due:
        try:
            refund = await _ask(database, providers.get(payment.provider), payment, tries)
        except PaymentFailure as failure:
            say = log.error if tries >= _ALARMING_TRIES else log.warning
            say("refund_failed", payment=str(payment.id), tries=tries, why=failure.detail)
            continue
        done += await _write(database, payment, refund, now)
    return done


async def _ask(
    database: Database, provider: PaymentProvider | None, payment: PaymentRow, tries: int
) -> Refund:
    if provider is None:
        raise PaymentFailure(f"the provider {payment.provider} is not configured")
    if payment.refund_reference is not None:
        try:
            return await provider.look_refund(payment.refund_reference)
        except PaymentFailure as failure:
            if failure.is_in_doubt:
                raise
            # That one has failed for good; the next try makes another.
            await _keep_reference(database, payment.id, None)
            raise
    if payment.reference is None:
        raise PaymentFailure("nothing is known of it at the provider")
    charge = payment.charge or (await provider.look(payment.reference)).charge
    if charge is None:
        raise PaymentFailure("nothing was charged")
    return await provider.refund(payment.reference, charge, f"refund-{payment.id}-{tries}")


async def _write(database: Database, payment: PaymentRow, refund: Refund, now: datetime) -> bool:
    if not refund.is_final:
        await _keep_reference(database, payment.id, refund.reference)
        return False
    async with transaction(database) as tx:
        await rows.was_paid_back(tx, payment, ("refund_due",), refund.reference, now)
    log.info("refunded", payment=str(payment.id), provider=payment.provider)
    return True


async def _keep_reference(database: Database, payment_id: UUID, reference: str | None) -> None:
    async with transaction(database) as tx:
        await rows.refund_begun(tx, payment_id, reference)
