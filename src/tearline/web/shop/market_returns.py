"""Returning some of a paid order of the market: what is chosen, what comes back for it, and the refund."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath
from litestar.response import Redirect
from markupsafe import Markup

from tearline.catalogue.shelf import ShelfProduct
from tearline.checkout.reads import OrderView
from tearline.checkout.refunding import refund_order
from tearline.core.redemption import No
from tearline.core.refunds import Refund, Wish, refund
from tearline.core.refusal import Refusal
from tearline.core.roles import SYSTEM
from tearline.db import transaction
from tearline.i18n import _, translate
from tearline.i18n.formats import money
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop.basket import basket_of
from tearline.web.shop.market_orders import ORDERS, own_order, products_of_order, receipt_of_order
from tearline.web.shop.receipt import LineFace
from tearline.web.shop.support import (
    choice_key,
    form_key_in,
    new_form_key,
    page_headers,
    refusal_text,
)
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect, render, text_in

_BECOMES = {
    "return": _("it comes back to your wallet, if it is still valid."),
    "reissue": _("it comes back to your wallet and is good for longer."),
    "forfeit": _("it is used up, as its offer says."),
}


@dataclass(frozen=True, slots=True)
class Returnable:
    """A line of which something can still be returned; ``name`` is its form field's."""

    line: LineFace
    name: str
    left: int
    chosen: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """One merchant's shipping that can be given back, for so much; free shipping too, since its coupon comes back."""

    merchant: Markup
    merchant_id: UUID
    amount: str
    is_chosen: bool


@get("/market/orders/{number:str}/return")
async def return_page(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, number: FromPath[str]
) -> Response[Any]:
    """The form: how many of each."""
    async with services.database.connection() as connection:
        _member, order = await own_order(connection, services, visitor, number)
        products = await products_of_order(connection, services, order)
    if not order.can_be_refunded:
        return Redirect(f"{ORDERS}/{number}", status_code=303)
    return _page(request, order, products, Wish(), new_form_key())


@post("/market/orders/{number:str}/return")
async def return_some(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, number: FromPath[str]
) -> Response[Any]:
    """Show what comes back, or give it back."""
    form = await readable_form(request)
    async with services.database.connection() as connection:
        _member, order = await own_order(connection, services, visitor, number)
        products = await products_of_order(connection, services, order)
    wish, form_key = _wish_in(form, order), form_key_in(form)
    if form.get("act") != "return":
        return _page(request, order, products, wish, form_key)
    try:
        if not (wish.parcels or any(wish.lines.values())):
            raise Refusal("invalid", fields={"": _("Choose what you return.")})
        await _give_back(services, number, wish, form_key)
    except Refusal as refusal:
        return _page(request, order, products, wish, form_key, refusal=refusal)
    return redirect(request, f"{ORDERS}/{number}", flash=_("Done. What comes back is listed below."))


async def _give_back(services: Services, number: str, wish: Wish, form_key: str) -> None:
    async with transaction(services.database) as tx:
        await refund_order(
            tx,
            SYSTEM,
            number,
            wish,
            services.now(),
            idempotency_key=choice_key(form_key, "return"),
        )


def _page(
    request: AnyRequest,
    order: OrderView,
    products: dict[str, ShelfProduct],
    wish: Wish,
    form_key: str,
    *,
    refusal: Refusal | None = None,
) -> Response[Any]:
    language = language_of(request)
    receipt = receipt_of_order(order, products, language)
    lines = {line.key: line for shop in receipt.shops for line in shop.lines}
    left = {
        line.key: one.quantity for line, one in zip(order.frozen.lines, order.remaining.lines, strict=True)
    }
    names = {product.merchant_id: product.merchant_names for product in products.values()}
    problem = None
    if refusal is not None:
        of_all = refusal.fields.get("")
        problem = refusal_text(refusal, language) if of_all is None else translate(language, of_all)
    return render(
        request,
        "shop/market_return.html",
        status_code=200 if refusal is None else refusal.status,
        headers=page_headers(refusal, language),
        basket=basket_of(request),
        order=order,
        returnable=[
            Returnable(lines[line.key], f"line-{place}", left[line.key], wish.lines.get(line.key, 0))
            for place, line in enumerate(order.frozen.lines)
            if left[line.key]
        ],
        parcels=[
            Parcel(
                text_in(names.get(parcel.merchant_id), language),
                parcel.merchant_id,
                money(parcel.total, order.currency, language),
                parcel.merchant_id in wish.parcels,
            )
            for parcel, one in zip(order.frozen.parcels, order.remaining.parcels, strict=True)
            if one.quantity
        ],
        form_key=form_key,
        problem=problem,
        **_outcome(order, wish, language),
    )


def _outcome(order: OrderView, wish: Wish, language: str) -> dict[str, Any]:
    """What giving it back comes to, in words; nothing while nothing is chosen."""
    found: tuple[Refund, Any] | No | None = None
    if wish.parcels or any(wish.lines.values()):
        found = refund(order.frozen, order.remaining, wish)
    if found is None or isinstance(found, No):
        return {"comes_back": "", "reclaimed": "", "undone": []}
    made = found[0]
    names = {one.key: one.offer_names for one in order.coupons}
    return {
        "comes_back": money(made.amount, order.currency, language),
        "reclaimed": money(made.reclaimed, order.currency, language) if made.reclaimed else "",
        "undone": [
            (text_in(names[right.key], language), _BECOMES[right.rules.refund_coupon])
            for right in (order.frozen.rights[place] for place in made.undone)
            if not right.is_promotion
        ],
    }


def _wish_in(form: FormMultiDict, order: OrderView) -> Wish:
    lines = {}
    for place, line in enumerate(order.frozen.lines):
        text = str(form.get(f"line-{place}", "0"))
        lines[line.key] = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    sent = set(form.getall("parcel", []))
    return Wish(lines, tuple(one.merchant_id for one in order.frozen.parcels if str(one.merchant_id) in sent))


HANDLERS = [return_page, return_some]
