"""A coupon as the shop draws it: an offer's words for the ticket, and what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

from tearline.coupons.reads import WalletCoupon
from tearline.i18n import _, translate
from tearline.i18n.formats import day
from tearline.offers.describe import Stub, hours_text, stub_value, until_text
from tearline.offers.stored import validity_from
from tearline.web.shop.support import days_left_text
from tearline.web.ui.rendering import text_in

SOON = timedelta(days=3)
"""A coupon that ends within this time says how many days are left."""

FOLDER_NAMES = {
    "usable": _("To use"),
    "upcoming": _("Upcoming"),
    "held": _("In use"),
    "used": _("Used"),
    "expired": _("Expired"),
    "void": _("Cancelled"),
}


@dataclass(frozen=True, slots=True)
class TicketFace:
    """What ``ui.ticket`` is given."""

    stub: Stub
    title: Markup
    lines: list[str | Markup]
    edge: str
    state: str = "open"
    tag: str = ""
    tag_kind: str = ""
    href: str = ""


def coupon_face(coupon: WalletCoupon, language: str, now: datetime, *, is_large: bool = False) -> TicketFace:
    """A member's coupon as a ticket that leads to its page.

    Args:
        is_large: for the coupon's own page, where its times stand below.
    """
    tag, tag_kind = _tag(coupon, language, now)
    if is_large and coupon.folder not in ("usable", "upcoming"):
        is_reserved = coupon.held_for_order_id is not None
        tag = tag if is_reserved else translate(language, FOLDER_NAMES[coupon.folder])
    ticket = coupon.ticket
    name = text_in(ticket.names, language)
    # An offer of the platform goes by its own name, and tells more in the line below.
    title, line = (
        (text_in(ticket.merchant_names, language), name)
        if ticket.merchant_names
        else (name, text_in(ticket.summaries, language))
    )
    return TicketFace(
        stub=stub_value(ticket, language),
        title=title,
        lines=[line] if is_large else [line, *_when(coupon, language)],
        edge=ticket.merchant_edge or "vermilion",
        state={"used": "torn", "expired": "quiet", "void": "quiet"}.get(coupon.folder, "open"),
        tag=tag,
        tag_kind=tag_kind,
        href=f"/wallet/{coupon.id}",
    )


def days_left(coupon: WalletCoupon, now: datetime) -> int:
    """Days until the last one on which it can be used, in the offer's zone; 0 on that day itself."""
    return days_until(coupon.valid_until, coupon.ticket.time_zone, now)


def days_until(valid_until: datetime, time_zone: str, now: datetime) -> int:
    """Days until the last one before a coupon's end, in its offer's zone; 0 on that day itself."""
    zone = ZoneInfo(time_zone)
    last_day = (valid_until - timedelta(microseconds=1)).astimezone(zone).date()
    return (last_day - now.astimezone(zone).date()).days


def _when(coupon: WalletCoupon, language: str) -> list[str | Markup]:
    zone = coupon.ticket.time_zone
    if coupon.folder == "upcoming":
        return [translate(language, _("From %(day)s"), day=day(coupon.valid_from, language, zone))]
    if coupon.folder in ("usable", "held"):
        until = until_text(coupon.valid_until, language, zone)
        hours = hours_text(validity_from(coupon.ticket.validity), language)
        return [translate(language, _("Until %(day)s"), day=until), hours]
    return []


def _tag(coupon: WalletCoupon, language: str, now: datetime) -> tuple[str, str]:
    zone = coupon.ticket.time_zone
    match coupon.folder:
        case "usable" if coupon.valid_until - now <= SOON:
            left = days_left_text(days_left(coupon, now), language)
            if coupon.state == "sold":
                left = translate(language, _("Sold · %(left)s"), left=left)
            return left, "warn"
        case "usable" | "upcoming" if coupon.state == "sold":
            # Its use happens at the partner's, who may or may not tell us: we know that it was sold.
            return translate(language, _("Sold")), ""
        case "held" if coupon.held_for_order_id is not None:
            return translate(language, _("Reserved for an order")), "warn"
        case "held":
            return translate(language, _("In use at a counter")), "warn"
        case "used":
            when = day(coupon.changed_at, language, zone)
            return translate(language, _("Used %(when)s"), when=when), ""
        case "expired":
            when = until_text(coupon.valid_until, language, zone)
            return translate(language, _("Expired %(when)s"), when=when), ""
        case "void":
            return translate(language, _("Cancelled")), ""
        case _:
            return "", ""
