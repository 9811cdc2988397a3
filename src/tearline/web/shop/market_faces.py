"""Coupons as the market draws them: tickets with what they save, what they miss, or why they cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.loading import Loaded, Unusable
from tearline.core.cart import Cart, Right, Skipped, candidates
from tearline.core.hints import Hint, Usable
from tearline.core.offers import Gift
from tearline.core.refusal import REASONS
from tearline.coupons.for_orders import CartCoupon
from tearline.i18n import _, translate
from tearline.i18n.formats import day, money
from tearline.offers.describe import hours_text, stub_value, until_text
from tearline.offers.reads import Ticket, tickets
from tearline.offers.stored import validity_from
from tearline.web.shop.support import days_left_text
from tearline.web.shop.tickets import SOON, TicketFace, days_until
from tearline.web.ui.rendering import text_in

Entry: TypeAlias = Usable | Hint | Skipped | Unusable
"""What the engine says of one coupon."""


@dataclass(frozen=True, slots=True)
class CouponFace:
    """A coupon beside a cart.

    Attributes:
        key: of its right: the coupon's id.
        is_exclusive: combines with no other coupon.
        saving: what it takes off alone, in words; "" where it takes nothing off.
        hint: what is missing, as a sentence; "" where nothing is.
        spent, needed: minor units, for the bar of what is missing.
        reason: why it cannot be used, as a sentence; "" where it can.
        others: how many more of the same offer the member has.
    """

    key: str
    ticket: TicketFace
    is_exclusive: bool = False
    saving: str = ""
    hint: str = ""
    spent: int = 0
    needed: int = 0
    reason: str = ""
    others: int = 0


@dataclass(frozen=True, slots=True)
class HintFace:
    """A threshold that is worth reaching; see ``CouponFace``."""

    text: str
    spent: int
    needed: int
    name: str
    edge: str


def ticket_face(
    ticket: Ticket,
    language: str,
    now: datetime,
    *,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    state: str = "open",
    tag: str = "",
    tag_kind: str = "",
    href: str = "",
) -> TicketFace:
    """An offer as a ticket; with the end of a coupon of it, if there is one."""
    name = text_in(ticket.names, language)
    title, line = (
        (text_in(ticket.merchant_names, language), name)
        if ticket.merchant_names
        else (name, text_in(ticket.summaries, language))
    )
    zone, when = ticket.time_zone, ""
    if valid_from is not None and valid_from > now:
        when = translate(language, _("From %(day)s"), day=day(valid_from, language, zone))
    elif valid_until is not None:
        when = translate(language, _("Until %(day)s"), day=until_text(valid_until, language, zone))
        if not tag and state == "open" and now < valid_until <= now + SOON:
            tag, tag_kind = days_left_text(days_until(valid_until, zone, now), language), "warn"
    return TicketFace(
        stub_value(ticket, language),
        title,
        [line, when, hours_text(validity_from(ticket.validity), language)],
        ticket.merchant_edge or "vermilion",
        state,
        tag,
        tag_kind,
        href,
    )


async def coupon_faces(
    connection: AsyncConnection, loaded: Loaded, entries: Sequence[Entry], language: str, now: datetime
) -> list[CouponFace]:
    """The coupons of some entries, in their order."""
    drawn = await tickets(connection, {UUID(_offer_of(entry)) for entry in entries})
    return [_face(loaded, entry, drawn[UUID(_offer_of(entry))], language, now) for entry in entries]


def one_of_each_offer(entries: Iterable[Entry], wanted: Iterable[str]) -> list[tuple[Entry, int]]:
    """Coupons of one offer are alike: the first of each, or the one that is wanted, and how many more there are."""
    keys = set(wanted)
    kept: dict[str, tuple[Entry, int]] = {}
    for entry in entries:
        offer = _offer_of(entry)
        if offer not in kept:
            kept[offer] = (entry, 0)
            continue
        first, others = kept[offer]
        kept[offer] = (entry if key_of(entry) in keys else first, others + 1)
    return list(kept.values())


def key_of(entry: Entry) -> str:
    """The key of the entry's right."""
    return entry.key if isinstance(entry, Unusable) else entry.right.key


def hint_face(hint: Hint, loaded: Loaded, edge: str, language: str) -> HintFace:
    """A threshold that is worth reaching, as the cart tells of it."""
    name = text_in(loaded.offer_of(hint.right).names, language).striptags()
    spent = spent_on(loaded.cart, hint.right)
    return HintFace(hint_text(hint, loaded.cart.currency, language), spent, spent + hint.missing, name, edge)


def hint_text(hint: Hint, currency: str, language: str) -> str:
    """What is missing, and what it brings."""
    values = {
        "missing": money(hint.missing, currency, language),
        "saving": money(hint.saving, currency, language),
        "instead": money(hint.instead_of, currency, language),
    }
    if isinstance(hint.right.benefit, Gift):
        return translate(language, _("Spend %(missing)s more and get the gift"), **values)
    if hint.instead_of:
        sentence = _("Spend %(missing)s more and save %(saving)s instead of %(instead)s")
        return translate(language, sentence, **values)
    return translate(language, _("Spend %(missing)s more and save %(saving)s"), **values)


def spent_on(cart: Cart, right: Right) -> int:
    """What the lines in a right's scope cost at list price; for a bar of what is missing."""
    found, _skipped = candidates(cart, [replace(right, valid_from=None, valid_until=None)], _ANY_TIME)
    return found[0].list_total if found else 0


def reason_text(reason: str, language: str) -> str:
    """Why a coupon cannot be used, in words."""
    return translate(language, _REASONS_HERE.get(reason) or REASONS[reason].sentence)


_REASONS_HERE = {
    # At a counter a cashier reads these; here it is the member.
    "not_applicable": _("It is for use at a counter, not in an order."),
    "held_elsewhere": _("It is kept for another order, or in use at a counter right now."),
    "minimum_not_reached": _("Its minimum spend is not reached."),
}
_ANY_TIME = datetime.max.replace(tzinfo=UTC)


def _offer_of(entry: Entry) -> str:
    if isinstance(entry, Unusable):
        assert entry.offer is not None, "only coupons that there are get a face"
        return str(entry.offer.id)
    return entry.right.offer


def _coupon_of(loaded: Loaded, entry: Entry) -> CartCoupon | None:
    return entry.coupon if isinstance(entry, Unusable) else loaded.coupons.get(entry.right.key)


def _face(loaded: Loaded, entry: Entry, ticket: Ticket, language: str, now: datetime) -> CouponFace:
    coupon = _coupon_of(loaded, entry)
    currency = loaded.cart.currency
    is_quiet = isinstance(entry, Skipped | Unusable)
    drawn = ticket_face(
        ticket,
        language,
        now,
        valid_from=None if coupon is None else coupon.valid_from,
        valid_until=None if coupon is None else coupon.valid_until,
        state="quiet" if is_quiet else "open",
    )
    key = key_of(entry)
    if isinstance(entry, Skipped | Unusable):
        return CouponFace(key, drawn, reason=reason_text(entry.reason, language))
    is_exclusive = entry.right.rules.exclusive
    if isinstance(entry, Usable):
        saving = money(entry.saving, currency, language) if entry.saving else ""
        return CouponFace(key, drawn, is_exclusive, saving)
    spent = spent_on(loaded.cart, entry.right)
    return CouponFace(
        key,
        drawn,
        is_exclusive,
        hint=hint_text(entry, currency, language),
        spent=spent,
        needed=spent + entry.missing,
    )
