"""The market's cart: what is in it, what it costs and why, and what would save more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.quoting import PricedCart
from tearline.checkout.reads import member_orders
from tearline.core.refusal import Refusal
from tearline.i18n import _, localised, translate
from tearline.offers.reads import tickets
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop.basket import Basket, basket_of, on_with
from tearline.web.shop.market import sold_product
from tearline.web.shop.market_faces import HintFace, hint_face, reason_text, ticket_face
from tearline.web.shop.market_pricing import PricedBasket, priced_basket_of
from tearline.web.shop.shipping import REGIONS
from tearline.web.shop.support import refusal_text, sign_in_path
from tearline.web.shop.tickets import TicketFace
from tearline.web.ui.page import Flash, flash_cookie, language_of
from tearline.web.ui.rendering import redirect, render, text_in

CART = "/market/cart"
MARKET_REFERENCE = "market"
"""The market's own name for its orders: it shows and changes no others."""


@get(CART)
async def cart_page(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[str]:
    """The cart with its receipt."""
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        priced = await priced_basket_of(connection, request, services, visitor)
        applied = await applied_tickets(connection, services, priced.cart, language)
        hints = await _hints(connection, priced, language)
        open_order = None
        if priced.member is not None:
            orders = await member_orders(
                connection, priced.member.id, now, reference=MARKET_REFERENCE, limit=5
            )
            open_order = next((order.number for order in orders if order.order_state == "open"), None)
    return render(
        request,
        "shop/market_cart.html",
        member=priced.member,
        basket=priced.basket,
        gone=priced.gone_faces(language),
        receipt=priced.receipt(language),
        applied=applied,
        passed=_passed(priced.cart, language),
        hints=hints,
        is_best=priced.cart is None or priced.cart.quote.is_best,
        regions=list(REGIONS.items()),
        open_order=open_order,
        sign_in_path=sign_in_path(CART),
    )


@post("/market/cart/lines")
async def change_line(request: AnyRequest, services: GivenServices) -> Response[Any]:
    """Put so many of a product into the cart, or so many more: ``quantity`` or ``more``; 0 takes it out."""
    form = await readable_form(request)
    key, basket = str(form.get("product", "")), basket_of(request)
    more, quantity = _count(form.get("more")), _count(form.get("quantity"))
    back = CART
    if more is None and quantity is None:
        return redirect(request, back, flash=_("Choose how many."), kind="bad")
    wanted = quantity if more is None else basket.quantity_of(key) + more
    assert wanted is not None
    name = ""
    if wanted > basket.quantity_of(key):
        async with services.database.connection() as connection:
            try:
                product = await sold_product(connection, services, key)
                name = localised(product.names, language_of(request))
            except Refusal:
                # What is in the cart already stays there, shown as gone.
                return redirect(request, back, flash=_("This is no longer sold."), kind="bad")
    answer = _changed(request, lambda: basket.with_quantity(key, wanted), back)
    if more is not None and name and len(answer.cookies) == 1:
        text = translate(language_of(request), _("In your cart: %(name)s"), name=name)
        answer.cookies.append(flash_cookie(request, Flash(text)))
    return answer


@post("/market/cart/region")
async def change_region(request: AnyRequest) -> Response[Any]:
    """Say where it is sent."""
    region = str((await readable_form(request)).get("region", ""))
    if region not in REGIONS:
        raise Refusal("malformed")
    return _changed(request, lambda: replace(basket_of(request), region=region), CART)


def _changed(request: AnyRequest, change: Callable[[], Basket], back: str) -> Response[Any]:
    try:
        return on_with(request, change(), back)
    except Refusal as refusal:
        text = refusal_text(refusal, language_of(request))
        return redirect(request, back, flash="%(text)s", kind="bad", text=text)


async def applied_tickets(
    connection: AsyncConnection, services: Services, cart: PricedCart | None, language: str
) -> list[TicketFace]:
    """The coupons that lower a cart's prices, as tickets; the merchants' offers are not among them."""
    if cart is None:
        return []
    used = [one.right for one in cart.quote.applied if not one.right.is_promotion]
    drawn = await tickets(connection, {UUID(right.offer) for right in used})
    return [
        ticket_face(drawn[UUID(right.offer)], language, services.now(), valid_until=right.valid_until)
        for right in used
    ]


def _passed(cart: PricedCart | None, language: str) -> list[tuple[Markup, str]]:
    """Coupons that the cart names and that lower nothing, each with why."""
    if cart is None:
        return []
    loaded = cart.loaded
    skipped = [
        (text_in(loaded.offer_of(one.right).names, language), reason_text(one.reason, language))
        for one in cart.quote.skipped
        if one.right.key in loaded.named
    ]
    return skipped + [
        (text_in(one.offer.names, language), reason_text(one.reason, language))
        for one in loaded.unusable
        if one.offer is not None and one.key in loaded.named
    ]


async def _hints(connection: AsyncConnection, priced: PricedBasket, language: str) -> list[HintFace]:
    if priced.cart is None:
        return []
    loaded = priced.cart.loaded
    drawn = await tickets(connection, {UUID(hint.right.offer) for hint in priced.cart.hints})
    return [
        hint_face(hint, loaded, drawn[UUID(hint.right.offer)].merchant_edge or "vermilion", language)
        for hint in priced.cart.hints
    ]


def _count(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


HANDLERS = [cart_page, change_line, change_region]
