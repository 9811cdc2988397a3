"""Writing down who owes whom: the entries of settlement, appended with what they follow from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.model import SettlementEntry
from tearline.core.money import CURRENCY_EXPONENTS, MAXIMUM_AMOUNT
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.settlement import Entry, adjustment_entries
from tearline.core.texts import check_text
from tearline.db import new_id
from tearline.i18n import _
from tearline.merchants.audit import record_audit
from tearline.merchants.model import Merchant

LONGEST_NOTE = 500


async def write_entries(
    tx: AsyncConnection,
    entries: Sequence[Entry],
    order: Row[Any],
    *,
    kind: str,
    collected_by: str | None,
    now: datetime,
    refund_id: UUID | None = None,
) -> None:
    """Append the postings of a payment or a refund of an order.

    Args:
        kind: ``payment`` or ``refund``.
    """
    of_order = {
        "kind": kind,
        "currency": order.currency,
        "collected_by": collected_by,
        "order_id": order.id,
        "member_id": order.member_id,
        "refund_id": refund_id,
        "occurred_at": now,
    }
    await _append(tx, entries, of_order)


async def adjust(
    tx: AsyncConnection,
    actor: Actor,
    merchant_id: UUID,
    amount: int,
    currency: str,
    note: str,
    now: datetime,
) -> UUID:
    """Correct what platform and merchant owe each other, by a posting of its own; answers its id.

    Args:
        amount: minor units that the platform owes the merchant more; below zero for less.
        note: why, for whoever reads the statement.

    Raises:
        Refusal: ``not_allowed``, ``not_found`` for the merchant, ``invalid``.
    """
    actor.require("settlement.write")
    actor.require_merchant(None)
    problems: dict[str, str] = {}
    if amount == 0 or abs(amount) > MAXIMUM_AMOUNT:
        problems["amount"] = _("Give an amount above or below zero.")
    if currency not in CURRENCY_EXPONENTS:
        problems["currency"] = _("We do not know this currency.")
    problem = check_text(note, maximum=LONGEST_NOTE)
    if problem is not None:
        problems["note"] = problem
    if problems:
        raise Refusal("invalid", fields=problems)
    if await tx.scalar(select(Merchant.id).where(Merchant.id == merchant_id)) is None:
        raise Refusal("not_found")
    values = {
        "kind": "adjustment",
        "currency": currency,
        "note": note.strip(),
        "by_name": actor.name,
        "occurred_at": now,
    }
    (posting_id,) = await _append(tx, adjustment_entries(merchant_id, amount), values)
    await record_audit(
        tx, actor, "settlement.adjusted", "merchant", merchant_id, None,
        {"amount": amount, "currency": currency, "note": note.strip(), "posting": posting_id}, now,
        merchant_id=merchant_id,
    )  # fmt: skip
    return posting_id


async def _append(tx: AsyncConnection, entries: Sequence[Entry], values: dict[str, Any]) -> list[UUID]:
    """Append entries with what they have in common; the ids of their postings, in order."""
    if not entries:
        return []
    postings = {number: new_id() for number in sorted({entry.posting for entry in entries})}
    await tx.execute(
        insert(SettlementEntry),
        [
            {
                **values,
                "id": new_id(),
                "posting_id": postings[entry.posting],
                "account": entry.account,
                "merchant_id": entry.merchant_id,
                "amount": entry.amount,
                "line_key": entry.line_key,
                "offer_id": entry.offer_id,
            }
            for entry in entries
        ],
    )
    return list(postings.values())
