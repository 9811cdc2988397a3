"""Payments of orders: beginning them, taking news of them, and finding out when no news comes.

No provider is called inside a transaction: a payment's row is committed first, then the provider is asked,
then its answer is written down. A process may die between any two of these; whatever is done again is found
to have been done. What news says goes to the sale desk, which takes it twice, late and in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from tearline.core.refusal import Refusal
from tearline.core.sales import PAYMENT_LASTS
from tearline.db import Database, transaction
from tearline.i18n import localised
from tearline.payments.provider import News, PaymentAsk, PaymentFailure, PaymentProvider, Standing
from tearline.sales import payment_rows as rows
from tearline.sales.desk import SaleDesk
from tearline.sales.payment_rows import PaymentRow
from tearline.sales.reads import OrderView

log = structlog.get_logger(__name__)

_ANSWER_LASTS = timedelta(seconds=90)
"""For how long a payment that the provider has not answered for is asked for again under its own name."""
_USABLE_FOR = timedelta(seconds=30)
"""A payment with less time left is not shown any more; another one is begun."""
_LOOK_PAUSE = timedelta(minutes=5)
_REFUND_PAUSE = timedelta(hours=1)
_MEMBER_LOOK_PAUSE = timedelta(seconds=10)
_MEMBER_LOOKS = 6
"""The next look comes after a sixth of the payment's age: a page that waits for long asks ever more seldom."""


@dataclass(frozen=True, slots=True)
class PaymentUrls:
    """Where the member comes back to, as complete addresses: after paying, and without having paid."""

    success_url: str
    cancel_url: str


async def begin_payment(
    database: Database,
    provider: PaymentProvider,
    order: OrderView,
    urls: PaymentUrls,
    now: datetime,
    *,
    language: str = "en",
) -> str:
    """The address where the member pays an order: the same one for as long as it can be paid there.

    Raises:
        Refusal: ``order_paid``; ``order_released``, also when the order's time is over; ``not_found``;
            ``payment_unavailable`` when the provider does not answer: asking again does no harm.
    """
    payment, replaced = await _payment_to_make(database, provider, order, now)
    if replaced is not None and replaced.reference is not None and replaced.provider == provider.name:
        # Best effort: what is paid there all the same is found, and delivered or paid back.
        with suppress(PaymentFailure):
            await provider.cancel(replaced.reference)
    if payment.address is not None:
        return payment.address
    ask = PaymentAsk(
        payment_id=payment.id,
        order_number=payment.order_number,
        description=localised(order.offer_names, language),
        quantity=payment.quantity,
        amount=payment.amount,
        currency=payment.currency,
        # Not when the reservation ends: a repeat must ask for the same, and providers have a shortest time.
        expires_at=payment.created_at + PAYMENT_LASTS,
        success_url=urls.success_url,
        cancel_url=urls.cancel_url,
        language=language,
    )
    try:
        begun = await provider.begin(ask)
    except PaymentFailure as failure:
        log.warning("payment_not_begun", provider=provider.name, payment=str(payment.id), why=failure.detail)
        if not failure.is_in_doubt:
            # A provider answers a repeat as it answered the first: the next try needs another name.
            async with transaction(database) as tx:
                await rows.give_up(tx, payment.id, "failed", now)
        raise Refusal("payment_unavailable") from None
    async with transaction(database) as tx:
        await rows.learn_reference(tx, payment.id, begun.reference, begun.address, now)
    return begun.address


async def _payment_to_make(
    database: Database, provider: PaymentProvider, order: OrderView, now: datetime
) -> tuple[PaymentRow, PaymentRow | None]:
    """The payment that the member is to make, and the one that it replaces."""
    async with transaction(database) as tx:
        row = await rows.order_for_payment(tx, order.member_id, order.id)
        if row is None:
            raise Refusal("not_found")
        if row.state == "paid":
            raise Refusal("order_paid")
        if row.state != "reserved" or row.reserved_until <= now:
            raise Refusal("order_released")
        last = await rows.last_payment(tx, order.id)
        replaced = last if last is not None and last.state == "begun" else None
        if last is not None and replaced is not None:
            is_usable = (
                last.expires_at > now + _USABLE_FOR
                if last.address is not None
                else last.created_at > now - _ANSWER_LASTS
            )
            if is_usable and last.provider == provider.name:
                return last, None
            await rows.give_up(tx, last.id, "expired", now)
        expires_at = min(now + PAYMENT_LASTS, row.reserved_until)
        payment_id = await rows.add_payment(tx, row, provider.name, expires_at, now)
        made = await rows.payment_by_id(tx, payment_id)
        assert made is not None
        return made, replaced


async def take_news(database: Database, desk: SaleDesk, provider_name: str, news: News, now: datetime) -> str:
    """Do what news of a payment asks for; once it returns, what it says is kept for good.

    Returns:
        What was done: ``delivered``, ``released``, ``refund_due``, ``refunded``, ``nothing``; ``unknown`` for
        a payment that is none of ours; for news that was taken before, what was done then.

    Raises:
        Refusal: ``unavailable`` when the database stays away, which may also be said by an error of its own:
            the news must be sent again.
    """
    async with database.connection() as connection:
        known = await rows.remembered_outcome(connection, provider_name, news.event_id)
        if known is not None:
            return known
        payment = await rows.payment_of_news(connection, provider_name, news)
    if news.kind == "other":
        outcome = "nothing"
    elif payment is None:
        outcome = "unknown"
    else:
        outcome = await _do(database, desk, payment, news, now)
    async with transaction(database) as tx:
        await rows.remember_news(tx, provider_name, news, outcome, now)
    log.info("payment_news", provider=provider_name, news=news.event_id, kind=news.kind, outcome=outcome)
    return outcome


async def _do(database: Database, desk: SaleDesk, payment: PaymentRow, news: News, now: datetime) -> str:
    if news.kind == "paid":
        standing = Standing("paid", news.charge, news.amount, news.currency)
        return await _paid(database, desk, payment, standing, now)
    if news.kind == "refunded":
        return await _refunded(database, desk, payment, now)
    if news.kind == "refund_failed":
        log.error("refund_failed_late", payment=str(payment.id), provider=payment.provider)
        async with transaction(database) as tx:
            is_news = await rows.refund_failed(tx, payment, now + _REFUND_PAUSE, now)
        return "refund_due" if is_news else "nothing"
    return await _not_paid(database, desk, payment, news.kind, now)


async def _paid(
    database: Database, desk: SaleDesk, payment: PaymentRow, standing: Standing, now: datetime
) -> str:
    if (standing.amount, standing.currency) != (payment.amount, payment.currency):
        log.error("payment_of_another_amount", payment=str(payment.id), provider=payment.provider)
        # The order first: only one that keeps nothing may wait for its refund.
        await desk.release(payment.campaign_code, payment.member_id, payment.order_id, "failed")
        async with transaction(database) as tx:
            is_owed = await rows.owe(tx, payment, standing.charge, now, channel=desk.notice_channel)
        return "refund_due" if is_owed else "nothing"
    settled = await desk.settle(
        payment.campaign_code, payment.member_id, payment.order_id, payment.id, standing.charge
    )
    if settled.replayed:
        return "nothing"
    if settled.state == "paid":
        return "delivered"
    async with transaction(database) as tx:
        current = await rows.payment_by_id(tx, payment.id)
        if current is not None and current.order_state == "paid":
            # Paid twice: the desk tells the member only of an order that could not be delivered.
            await rows.tell_returned(tx, payment, now, channel=desk.notice_channel)
    return "refund_due"


async def _not_paid(
    database: Database, desk: SaleDesk, payment: PaymentRow, state: str, now: datetime
) -> str:
    async with transaction(database) as tx:
        await rows.give_up(tx, payment.id, state, now)
        current = await rows.payment_by_id(tx, payment.id)
        has_hope = await rows.has_other_hope(tx, payment)
    if current is None or current.state not in ("failed", "expired") or has_hope:
        return "nothing"
    released = await desk.release(payment.campaign_code, payment.member_id, payment.order_id, state)
    return "released" if released.state == "released" and not released.replayed else "nothing"


async def _refunded(database: Database, desk: SaleDesk, payment: PaymentRow, now: datetime) -> str:
    """The provider has paid back: as we asked it to, or somebody did at the provider's own site.

    An order that was delivered stays so: what becomes of its vouchers is for people to decide.
    """
    async with transaction(database) as tx:
        is_news = await rows.was_paid_back(tx, payment, (*rows.OPEN_STATES, "refund_due"), None, now)
    if not is_news:
        return "nothing"
    if payment.state in rows.OPEN_STATES:
        # The news that it was paid is still on its way; it will find nothing left to do.
        await desk.release(payment.campaign_code, payment.member_id, payment.order_id, "failed")
    return "refunded"


# When no news comes


async def look_again(
    database: Database, desk: SaleDesk, provider: PaymentProvider, order_id: UUID, now: datetime
) -> str:
    """Ask how an order's open payment stands, for a member who comes back before the news of it.

    However often it is called, the provider is asked once in ten seconds, and less often as time goes by;
    otherwise, and when it doesn't answer, ``nothing`` is done.

    Returns:
        What was done, as for ``take_news``.
    """
    async with transaction(database) as tx:
        payment = await rows.last_payment(tx, order_id)
        if payment is None or payment.reference is None or payment.provider != provider.name:
            return "nothing"
        pause = max(_MEMBER_LOOK_PAUSE, (now - payment.created_at) / _MEMBER_LOOKS)
        if not await rows.claim_look(tx, payment.id, now, now - pause):
            return "nothing"
    try:
        standing = await provider.look(payment.reference)
    except PaymentFailure as failure:
        log.warning("payment_not_looked_at", payment=str(payment.id), why=failure.detail)
        return "nothing"
    return await _as_it_stands(database, desk, payment, standing, now)


async def reconcile(
    database: Database,
    desk: SaleDesk,
    providers: Mapping[str, PaymentProvider],
    now: datetime,
    *,
    most: int = 50,
) -> int:
    """Find out about payments whose time is over and of which no news came; answers how many are clear now.

    Each is looked at again in five minutes until it is. Any number of workers may do so at once.
    """
    async with transaction(database) as tx:
        silent = await rows.unheard(tx, now, now - _LOOK_PAUSE, most)
    clear = 0
    for payment_id in silent:
        async with database.connection() as connection:
            payment = await rows.payment_by_id(connection, payment_id)
        if payment is None:
            continue
        try:
            outcome = await _reconcile_one(database, desk, providers.get(payment.provider), payment, now)
        except PaymentFailure as failure:
            log.warning("payment_not_looked_at", payment=str(payment_id), why=failure.detail)
            continue
        clear += outcome != "nothing"
        log.info("payment_without_news", payment=str(payment_id), outcome=outcome)
    return clear


async def _reconcile_one(
    database: Database,
    desk: SaleDesk,
    provider: PaymentProvider | None,
    payment: PaymentRow,
    now: datetime,
) -> str:
    if payment.reference is None:
        # We died, or never got an answer, before anybody was shown where to pay it.
        return await _not_paid(database, desk, payment, "expired", now)
    if provider is None:
        raise PaymentFailure(f"the provider {payment.provider} is not configured")
    standing = await provider.look(payment.reference)
    if standing.state == "open":
        await provider.cancel(payment.reference)
        standing = await provider.look(payment.reference)
        if standing.state == "open":
            # It can't be cancelled there; should it be paid after all, its news finds it.
            standing = Standing("expired")
    return await _as_it_stands(database, desk, payment, standing, now)


async def _as_it_stands(
    database: Database, desk: SaleDesk, payment: PaymentRow, standing: Standing, now: datetime
) -> str:
    if standing.state == "paid":
        return await _paid(database, desk, payment, standing, now)
    if standing.state in ("failed", "expired"):
        return await _not_paid(database, desk, payment, standing.state, now)
    return "nothing"
