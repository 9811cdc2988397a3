"""The shop's first page: what runs, what comes, how it works, and what the member already has."""

from __future__ import annotations

from litestar import Response, get

from tearline.campaigns.reads import campaign_pages
from tearline.coupons.reads import wallet, wallet_counts
from tearline.sales.reads import sale_pages
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor
from tearline.web.shop.cards import card_of
from tearline.web.shop.support import known_member
from tearline.web.shop.tickets import SOON, coupon_face
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render

_TICKETS_SHOWN = 2
# What can be opened now comes first; among alike ones the order of the question stands.
_ORDER = ("running", "scheduled", "paused", "gone", "ended")


@get("/")
async def home(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[str]:
    """Campaigns and, for a member, the coupons that end soonest."""
    now, language = services.now(), language_of(request)
    counts: dict[str, int] = {}
    tickets = []
    soon = 0
    async with services.database.connection() as connection:
        cards = [card_of(page, language) for page in await campaign_pages(connection, now)]
        cards += [card_of(page, language) for page in await sale_pages(connection, now)]
        member = await known_member(connection, visitor)
        if member is not None:
            counts = await wallet_counts(connection, member.id, now)
            first = await wallet(connection, member.id, "usable", now)
            soon = sum(coupon.valid_until - now <= SOON for coupon in first.coupons)
            tickets = [coupon_face(coupon, language, now) for coupon in first.coupons[:_TICKETS_SHOWN]]
    return render(
        request,
        "shop/home.html",
        member=member,
        cards=sorted(cards, key=lambda card: _ORDER.index(card.state)),
        counts=counts,
        soon=soon,
        tickets=tickets,
    )


HANDLERS = [home]
