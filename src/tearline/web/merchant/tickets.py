"""A coupon as the counter draws it: what it gives, under which conditions, when and where.

Nothing about the member is shown: a cashier needs to know what the coupon gives, not who holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.codes import display
from tearline.i18n import _, localised, translate
from tearline.offers.describe import Stub, condition_text, stub_value, validity_text, value_text, where_text
from tearline.offers.reads import Ticket, where_names
from tearline.offers.stored import benefit_from

VERIFIED_NAMES = {
    "rotating": _("Live QR code"),
    "code": _("Code typed"),
    "order": _("Online order"),
}


@dataclass(frozen=True, slots=True)
class CounterTicket:
    """What the counter's ticket and the facts below it say, in the reader's language."""

    stub: Stub
    title: str
    lines: list[str]
    edge: str
    facts: list[tuple[str, str]]
    terms: str


async def counter_ticket(
    connection: AsyncConnection,
    ticket: Ticket,
    language: str,
    *,
    code: str = "",
    window: tuple[datetime, datetime] | None = None,
    edge: str = "teal",
    is_done: bool = False,
) -> CounterTicket:
    """An offer, or one coupon of it, as the counter draws it.

    Args:
        code: of the coupon, to compare with the member's screen.
        window: of the coupon.
        edge: the colour for an offer that is no one merchant's.
        is_done: whether it has been redeemed, so that when and where it can be used is no longer the question.
    """
    merchant_names, store_names = await where_names(connection, ticket)
    gives = value_text(benefit_from(ticket.benefit), ticket.currency, language)
    conditions = condition_text(ticket, language)
    valid = validity_text(ticket, language, window)
    where = where_text(
        language, merchant_names=merchant_names, store_names=store_names, store_ids=ticket.store_ids
    )
    facts = [(_("Gives"), gives), (_("Conditions"), conditions)]
    if not is_done:
        facts += [(_("Valid"), valid), (_("Where"), where)]
    facts.append((_("Code"), display(code) if code else ""))
    return CounterTicket(
        stub=stub_value(ticket, language),
        title=localised(ticket.names, language),
        lines=[conditions, localised(ticket.summaries, language)],
        edge=ticket.merchant_edge or edge,
        facts=[(translate(language, label), text) for label, text in facts],
        terms=localised(ticket.terms, language),
    )
