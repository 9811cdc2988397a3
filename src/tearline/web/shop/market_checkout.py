"""Ordering the market's cart: the last receipt, and one order however often its button is pressed."""

from __future__ import annotations

import hashlib
from typing import Any

from litestar import Response, get, post
from litestar.response import Redirect

from tearline.checkout.actions import place_order
from tearline.checkout.reads import number_by_key
from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.i18n import _, translate
from tearline.i18n.formats import money
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop.basket import Basket, basket_of, on_with, packed_of
from tearline.web.shop.market_cart import CART, MARKET_REFERENCE, applied_tickets
from tearline.web.shop.market_pricing import PricedBasket, price_basket, request_of, shopper, sold_in
from tearline.web.shop.shipping import REGIONS
from tearline.web.shop.support import choice_key, form_key_in, new_form_key, page_headers, refusal_text
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect, render

CHECKOUT = "/market/checkout"


@get(CHECKOUT)
async def checkout_page(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[Any]:
    """The receipt once more, to be agreed to."""
    async with services.database.connection() as connection:
        member = await shopper(connection, visitor, CHECKOUT)
        priced = await price_basket(connection, services, basket_of(request), member, services.now())
    if priced.cart is None:
        return Redirect(CART, status_code=303)
    return await _page(request, services, priced, new_form_key())


@post(CHECKOUT)
async def order(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[Any]:
    """Place the order as it was shown; when it comes to something else now, show that instead."""
    now, basket = services.now(), basket_of(request)
    form = await readable_form(request)
    form_key = form_key_in(form)
    key = choice_key(form_key, "order")
    async with services.database.connection() as connection:
        member = await shopper(connection, visitor, CHECKOUT)
        earlier = await number_by_key(connection, member.id, key)
    if earlier is not None:
        # The button was pressed twice, or the page was found again with 'back'.
        return Redirect(f"/market/orders/{earlier}", status_code=303)
    shown = _amount(form.get("total"))
    try:
        if shown is None or form.get("cart") != digest_of(basket):
            raise Refusal("price_changed")
        async with transaction(services.database) as tx:
            _products, sold = await sold_in(tx, services, basket)
            if not sold:
                return redirect(request, CART)
            placed = await place_order(
                tx,
                request_of(basket, sold, services.settings.currency, member.id),
                services.cart_offers,
                now,
                expected_total=shown,
                reference=MARKET_REFERENCE,
                idempotency_key=key,
            )
    except Refusal as refusal:
        async with services.database.connection() as connection:
            priced = await price_basket(connection, services, basket, member, now)
        if priced.cart is None:
            return redirect(request, CART)
        return await _page(request, services, priced, form_key, refusal=refusal, shown=shown)
    return on_with(request, basket.emptied(), f"/market/orders/{placed.number}")


def digest_of(basket: Basket) -> str:
    """Tells one cart from another: what is ordered is what was shown, whatever other tabs have done since."""
    return hashlib.sha256(packed_of(basket)).hexdigest()[:32]


async def _page(
    request: AnyRequest,
    services: Services,
    priced: PricedBasket,
    form_key: str,
    *,
    refusal: Refusal | None = None,
    shown: int | None = None,
) -> Response[Any]:
    language = language_of(request)
    assert priced.cart is not None
    async with services.database.connection() as connection:
        applied = await applied_tickets(connection, services, priced.cart, language)
    return render(
        request,
        "shop/market_checkout.html",
        status_code=200 if refusal is None else refusal.status,
        headers=page_headers(refusal, language),
        basket=priced.basket,
        receipt=priced.receipt(language),
        gone=priced.gone_faces(language),
        applied=applied,
        region=REGIONS[priced.basket.region],
        total=priced.total,
        digest=digest_of(priced.basket),
        form_key=form_key,
        problem=None if refusal is None else _problem(refusal, priced, shown, language),
    )


def _problem(refusal: Refusal, priced: PricedBasket, shown: int | None, language: str) -> str:
    if refusal.reason != "price_changed":
        return refusal_text(refusal, language)
    assert priced.cart is not None
    currency = priced.cart.loaded.cart.currency
    if shown is None or shown == priced.total:
        return translate(
            language, _("Your cart has changed meanwhile. Please look at it again before you order.")
        )
    return translate(
        language,
        _("It comes to %(now)s now; you were shown %(before)s. Nothing has been ordered: please look again."),
        now=money(priced.total, currency, language),
        before=money(shown, currency, language),
    )


def _amount(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


HANDLERS = [checkout_page, order]
