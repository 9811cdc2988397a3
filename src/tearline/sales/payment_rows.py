"""Payments in the database: what is asked and written about them, in short transactions of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.db import new_id
from tearline.members.model import Member
from tearline.notices.queue import enqueue
from tearline.payments.provider import News
from tearline.sales.desk_batch import NOTICE_LASTS
from tearline.sales.model import Payment, PaymentEvent, VoucherOrder

OPEN_STATES = ("begun", "failed", "expired")
"""Of payments whose money has not come, as far as we know."""


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A payment, and the order that it is for."""

    id: UUID
    order_id: UUID
    member_id: UUID
    campaign_code: str
    order_number: str
    order_state: str
    quantity: int
    provider: str
    reference: str | None
    charge: str | None
    address: str | None
    amount: int
    currency: str
    state: str
    created_at: datetime
    expires_at: datetime
    refund_reference: str | None
    refund_tries: int


def _payments() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Payment.id,
            Payment.order_id,
            Payment.member_id,
            Campaign.code,
            VoucherOrder.number,
            VoucherOrder.state.label("order_state"),
            VoucherOrder.quantity,
            Payment.provider,
            Payment.reference,
            Payment.charge,
            Payment.address,
            Payment.amount,
            Payment.currency,
            Payment.state,
            Payment.created_at,
            Payment.expires_at,
            Payment.refund_reference,
            Payment.refund_tries,
        )
        .select_from(Payment)
        .join(
            VoucherOrder,
            and_(VoucherOrder.member_id == Payment.member_id, VoucherOrder.id == Payment.order_id),
        )
        .join(Campaign, Campaign.id == VoucherOrder.campaign_id)
    )


async def _one(connection: AsyncConnection, found: Select[*tuple[Any, ...]]) -> PaymentRow | None:
    row = (await connection.execute(found)).one_or_none()
    return None if row is None else PaymentRow(*row)


async def payment_by_id(connection: AsyncConnection, payment_id: UUID) -> PaymentRow | None:
    """A payment, or None."""
    return await _one(connection, _payments().where(Payment.id == payment_id))


async def payment_by_reference(
    connection: AsyncConnection, provider: str, reference: str
) -> PaymentRow | None:
    """The payment that a provider calls so, or None."""
    found = _payments().where(Payment.provider == provider, Payment.reference == reference)
    return await _one(connection, found)


async def payment_of_news(connection: AsyncConnection, provider: str, news: News) -> PaymentRow | None:
    """The payment that news is about, or None when it is not one of ours.

    News may come before we have learnt the provider's name for the payment; then it is known by our own.
    """
    if news.reference is not None:
        found = await payment_by_reference(connection, provider, news.reference)
        if found is not None:
            return found
    if news.payment_id is None:
        return None
    found = await payment_by_id(connection, news.payment_id)
    if found is None or found.provider != provider:
        return None
    is_another = None not in (news.reference, found.reference) and news.reference != found.reference
    return None if is_another else found


async def last_payment(connection: AsyncConnection, order_id: UUID) -> PaymentRow | None:
    """The newest payment of an order."""
    newest = _payments().where(Payment.order_id == order_id).order_by(Payment.id.desc()).limit(1)
    return await _one(connection, newest)


async def has_other_hope(connection: AsyncConnection, payment: PaymentRow) -> bool:
    """Whether another payment of the same order can still be made, or has been."""
    other = select(Payment.id).where(
        Payment.order_id == payment.order_id, Payment.id != payment.id, Payment.state.in_(("begun", "paid"))
    )
    return (await connection.execute(other.limit(1))).first() is not None


async def add_payment(
    tx: AsyncConnection, order: Row[Any], provider: str, expires_at: datetime, now: datetime
) -> UUID:
    """Write down a payment of an order that is about to be begun; answers its id."""
    payment_id = new_id()
    await tx.execute(
        insert(Payment).values(
            id=payment_id,
            order_id=order.id,
            member_id=order.member_id,
            provider=provider,
            amount=order.amount,
            currency=order.currency,
            state="begun",
            created_at=now,
            changed_at=now,
            expires_at=expires_at,
            refund_tries=0,
        )
    )
    return payment_id


async def learn_reference(
    tx: AsyncConnection, payment_id: UUID, reference: str, address: str, now: datetime
) -> None:
    """Write down how the provider calls a payment, and where it is made."""
    await tx.execute(
        update(Payment)
        .where(Payment.id == payment_id)
        .values(reference=reference, address=address, changed_at=now)
    )


async def give_up(tx: AsyncConnection, payment_id: UUID, state: str, now: datetime) -> None:
    """Turn a payment that was begun into ``failed`` or ``expired``; any other stays as it is."""
    await tx.execute(
        update(Payment)
        .where(Payment.id == payment_id, Payment.state == "begun")
        .values(state=state, changed_at=now)
    )


async def owe(
    tx: AsyncConnection, payment: PaymentRow, charge: str | None, now: datetime, *, channel: str | None
) -> bool:
    """Have the money of a payment go back that no order is delivered for, and tell the member.

    Its order, if it was released, shows it too. False when it was known already.
    """
    order = await _lock_order(tx, payment)
    owed = await tx.execute(
        update(Payment)
        .where(Payment.id == payment.id, Payment.state.in_(OPEN_STATES))
        .values(
            state="refund_due",
            charge=charge or payment.charge,
            changed_at=now,
            refund_after=now,
            refund_tries=0,
        )
    )
    if not owed.rowcount:
        return False
    if order.state == "released":
        await _set_order(tx, payment, {"state": "refund_due"})
    await tell_returned(tx, payment, now, channel=channel)
    return True


async def was_paid_back(
    tx: AsyncConnection,
    payment: PaymentRow,
    from_states: Sequence[str],
    refund_reference: str | None,
    now: datetime,
) -> bool:
    """The money of a payment is back with the member; True when it was in one of these states until now."""
    order = await _lock_order(tx, payment)
    changed = await tx.execute(
        update(Payment)
        .where(Payment.id == payment.id, Payment.state.in_(from_states))
        .values(
            state="refunded",
            changed_at=now,
            refund_after=None,
            refund_reference=refund_reference or payment.refund_reference,
        )
    )
    if not changed.rowcount:
        return False
    if order.state == "refund_due":
        await _set_order(tx, payment, {"state": "refunded", "refunded_at": now})
    return True


async def refund_failed(tx: AsyncConnection, payment: PaymentRow, again_at: datetime, now: datetime) -> bool:
    """A refund that had seemed final has failed, and is to be made again; True when that is news."""
    order = await _lock_order(tx, payment)
    changed = await tx.execute(
        update(Payment)
        .where(Payment.id == payment.id, Payment.state == "refunded", Payment.refund_reference.is_not(None))
        .values(state="refund_due", changed_at=now, refund_after=again_at, refund_reference=None)
    )
    if not changed.rowcount:
        return False
    if order.state == "refunded":
        await _set_order(tx, payment, {"state": "refund_due", "refunded_at": None})
    return True


async def refund_begun(tx: AsyncConnection, payment_id: UUID, refund_reference: str | None) -> None:
    """A refund is under way; how it stands is asked when its time has come."""
    await tx.execute(
        update(Payment).where(Payment.id == payment_id).values(refund_reference=refund_reference)
    )


async def _lock_order(tx: AsyncConnection, payment: PaymentRow) -> Row[Any]:
    # Before the payment's row, as the sale desk does.
    mine = select(VoucherOrder.state).where(
        VoucherOrder.member_id == payment.member_id, VoucherOrder.id == payment.order_id
    )
    return (await tx.execute(mine.with_for_update(key_share=True))).one()


async def _set_order(tx: AsyncConnection, payment: PaymentRow, values: dict[str, object]) -> None:
    await tx.execute(
        update(VoucherOrder)
        .where(VoucherOrder.member_id == payment.member_id, VoucherOrder.id == payment.order_id)
        .values(values)
    )


async def tell_returned(
    tx: AsyncConnection, payment: PaymentRow, now: datetime, *, channel: str | None
) -> None:
    """Tell the member that a payment was not needed, or was not what was asked, and goes back.

    Args:
        channel: None where members are not told anything.
    """
    if channel is None:
        return
    member = (
        await tx.execute(select(Member.phone, Member.language).where(Member.id == payment.member_id))
    ).one()
    await enqueue(
        tx,
        channel=channel,
        recipient=member.phone,
        language=member.language,
        template="payment_returned",
        values={"number": payment.order_number},
        expires_at=now + NOTICE_LASTS,
        now=now,
    )


async def due_refunds(tx: AsyncConnection, now: datetime, most: int) -> list[PaymentRow]:
    """Payments to pay back now, the longest due first; nobody else has them until ``tx`` ends."""
    due = (
        # Literal, as the partial index has it.
        _payments()
        .where(text("payment.state = 'refund_due'"), Payment.refund_after <= now)
        .order_by(Payment.refund_after)
        .limit(most)
        .with_for_update(skip_locked=True, key_share=True, of=Payment)
    )
    return [PaymentRow(*row) for row in await tx.execute(due)]


async def put_off_refund(tx: AsyncConnection, payment_id: UUID, tries: int, again_at: datetime) -> None:
    """Write down that a refund is being tried, and when it is tried again unless it succeeds."""
    await tx.execute(
        update(Payment).where(Payment.id == payment_id).values(refund_tries=tries, refund_after=again_at)
    )


async def unheard(tx: AsyncConnection, now: datetime, not_since: datetime, most: int) -> list[UUID]:
    """Payments past their time about which no news came, and which were not looked at since ``not_since``.

    They are marked as looked at.
    """
    silent = (
        select(Payment.id)
        .where(
            text("payment.state = 'begun'"),
            Payment.expires_at <= now,
            or_(Payment.changed_at <= not_since, Payment.changed_at == Payment.created_at),
        )
        .order_by(Payment.expires_at)
        .limit(most)
        .with_for_update(skip_locked=True, key_share=True)
    )
    found = list((await tx.execute(silent)).scalars())
    await tx.execute(update(Payment).where(Payment.id.in_(found)).values(changed_at=now))
    return found


async def claim_look(tx: AsyncConnection, payment_id: UUID, now: datetime, not_since: datetime) -> bool:
    """Whether to look at a payment that is open: not when it was looked at since ``not_since``."""
    marked = await tx.execute(
        update(Payment)
        .where(Payment.id == payment_id, Payment.state == "begun", Payment.changed_at <= not_since)
        .values(changed_at=now)
    )
    return bool(marked.rowcount)


async def remembered_outcome(connection: AsyncConnection, provider: str, event_id: str) -> str | None:
    """What was done about news when it came before; None when it is new."""
    known = select(PaymentEvent.outcome).where(
        PaymentEvent.provider == provider, PaymentEvent.event_id == event_id
    )
    return (await connection.execute(known)).scalar_one_or_none()


async def remember_news(tx: AsyncConnection, provider: str, news: News, outcome: str, now: datetime) -> None:
    """Keep news with what was done about it.

    The same news at the same moment is kept once: with what was done, by whichever of the two has done it.
    """
    kept = {
        "title": news.title,
        "charge": news.charge,
        "amount": news.amount,
        "currency": news.currency,
        "payment_id": None if news.payment_id is None else str(news.payment_id),
    }
    event = upsert(PaymentEvent).values(
        provider=provider,
        event_id=news.event_id,
        kind=news.kind,
        reference=news.reference,
        body=kept,
        received_at=now,
        outcome=outcome,
    )
    await tx.execute(
        event.on_conflict_do_update(
            index_elements=[PaymentEvent.provider, PaymentEvent.event_id],
            set_={"outcome": event.excluded.outcome},
            where=PaymentEvent.outcome == "nothing",
        )
    )


async def order_for_payment(tx: AsyncConnection, member_id: UUID, order_id: UUID) -> Row[Any] | None:
    """A member's order, locked against other payments of it; None when there is no such order."""
    mine = select(VoucherOrder).where(VoucherOrder.member_id == member_id, VoucherOrder.id == order_id)
    return (await tx.execute(mine.with_for_update(key_share=True))).one_or_none()
