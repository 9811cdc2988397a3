"""The market's orders: kept for a quarter of an hour, paid on trial, and with what became of their coupons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue.shelf import ShelfProduct, shelf_products
from tearline.checkout.actions import cancel_order, pay_order
from tearline.checkout.reads import OrderCoupon, OrderView, RefundView, member_orders, order_of_member
from tearline.core.refusal import Refusal
from tearline.core.roles import SYSTEM
from tearline.db import transaction
from tearline.i18n import _, translate
from tearline.i18n.formats import money
from tearline.members.reads import MemberRow
from tearline.members.tokens import MemberIdentity
from tearline.offers.reads import tickets
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor
from tearline.web.services import Services
from tearline.web.shop.basket import MOST_QUANTITY, basket_of, on_with
from tearline.web.shop.market_cart import CART, MARKET_REFERENCE
from tearline.web.shop.market_faces import ticket_face
from tearline.web.shop.market_pricing import shopper
from tearline.web.shop.receipt import ProductFace, Receipt, product_face, receipt_of
from tearline.web.shop.support import refusal_text
from tearline.web.shop.tickets import TicketFace
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect, render

ORDERS = "/market/orders"
STATE_NAMES = {
    "open": _("Waiting for payment"),
    "paid": _("Paid"),
    "cancelled": _("Order cancelled"),
    "expired": _("Not paid in time"),
    "refunded": _("Refunded"),
    "partly_refunded": _("Partly refunded"),
}
STATE_KINDS = {"open": "warn", "paid": "good"}
_OUTCOMES = {
    "returned": (_("Back in your wallet"), "good"),
    "reissued": (_("Back in your wallet, for longer"), "good"),
    "forfeited": (_("Not given back"), "bad"),
}


@dataclass(frozen=True, slots=True)
class OrderFace:
    """An order in the list."""

    number: str
    state: str
    state_kind: str
    total: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UsedCoupon:
    """A coupon of an order, as its ticket, and whether it has just been torn off."""

    face: TicketFace
    is_tearing: bool


@dataclass(frozen=True, slots=True)
class RefundFace:
    """One refund in words.

    Attributes:
        lines: what was given back, each with how many and for how much.
        reclaimed: what was kept back since discounts of the rest shrank; "" for nothing.
    """

    amount: str
    created_at: datetime
    lines: tuple[tuple[ProductFace, int, str], ...]
    shipping: str
    reclaimed: str


@get(ORDERS)
async def orders_page(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[str]:
    """The member's orders, newest first."""
    language = language_of(request)
    async with services.database.connection() as connection:
        member = await shopper(connection, visitor, ORDERS)
        rows = await member_orders(connection, member.id, services.now(), reference=MARKET_REFERENCE)
    faces = []
    for row in rows:
        state = _state(row.order_state, row.total, row.refunded)
        faces.append(
            OrderFace(
                row.number,
                STATE_NAMES[state],
                STATE_KINDS.get(state, ""),
                money(row.total, row.currency, language),
                row.created_at,
            )
        )
    return render(request, "shop/market_orders.html", basket=basket_of(request), faces=faces)


@get("/market/orders/{number:str}")
async def order_page(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, number: FromPath[str]
) -> Response[str]:
    """One order: to be paid, paid with what was saved, or what else became of it."""
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        _member, order = await own_order(connection, services, visitor, number)
        products = await products_of_order(connection, services, order)
        coupons = await _coupons(connection, order, language, now, is_tearing="paid" in request.query_params)
    state = _state(order.state, order.total, order.refunded)
    return render(
        request,
        "shop/market_order.html",
        basket=basket_of(request),
        order=order,
        state=STATE_NAMES[state],
        state_kind=STATE_KINDS.get(state, ""),
        receipt=receipt_of_order(order, products, language),
        coupons=coupons,
        total=money(order.total, order.currency, language),
        refunded=money(order.refunded, order.currency, language) if order.refunds else "",
        refunds=[refund_face(one, order, products, language) for one in order.refunds],
    )


@post("/market/orders/{number:str}/pay")
async def pay(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, number: FromPath[str]
) -> Response[Any]:
    """The trial payment: the order is paid, and no money moves."""
    now = services.now()
    await _check_own(services, visitor, number)
    try:
        async with transaction(services.database) as tx:
            await pay_order(tx, SYSTEM, number, now, collected_by="platform", payment_reference="trial")
    except Refusal as refusal:
        return _back(request, number, refusal)
    return redirect(request, f"{ORDERS}/{number}?paid=1")


@post("/market/orders/{number:str}/cancel")
async def cancel(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, number: FromPath[str]
) -> Response[Any]:
    """Give the order up before it is paid; its coupons are free at once."""
    await _check_own(services, visitor, number)
    try:
        async with transaction(services.database) as tx:
            await cancel_order(tx, SYSTEM, number, services.now())
    except Refusal as refusal:
        return _back(request, number, refusal)
    return redirect(request, f"{ORDERS}/{number}")


@post("/market/orders/{number:str}/again")
async def order_again(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, number: FromPath[str]
) -> Response[Any]:
    """Put what was ordered into the cart again, beside what is in it."""
    async with services.database.connection() as connection:
        _member, order = await own_order(connection, services, visitor, number)
    basket = basket_of(request)
    try:
        for line in order.frozen.lines:
            wanted = max(line.quantity, basket.quantity_of(line.product))
            basket = basket.with_quantity(line.product, min(wanted, MOST_QUANTITY))
        return on_with(request, basket, CART)
    except Refusal as refusal:
        return _back(request, number, refusal)


async def own_order(
    connection: AsyncConnection, services: Services, visitor: MemberIdentity | None, number: str
) -> tuple[MemberRow, OrderView]:
    """The member who is signed in, and an order of theirs that was placed here.

    Raises:
        Refusal: ``not_found``, for others' orders too, and for those that were placed elsewhere.
    """
    member = await shopper(connection, visitor, f"{ORDERS}/{number}")
    order = await order_of_member(connection, member.id, number, services.now())
    if order.merchant_id is not None or order.reference != MARKET_REFERENCE:
        raise Refusal("not_found")
    return member, order


async def products_of_order(
    connection: AsyncConnection, services: Services, order: OrderView
) -> dict[str, ShelfProduct]:
    """The products of an order's lines, as they are called now."""
    keys = {line.product for line in order.frozen.lines}
    return await shelf_products(connection, services.settings.currency, keys)


def receipt_of_order(order: OrderView, products: dict[str, ShelfProduct], language: str) -> Receipt:
    """What was ordered, for what, and why."""
    names = {one.offer_id: one.offer_names for one in order.coupons}
    return receipt_of(order.frozen, products, names, language)


def refund_face(
    one: RefundView, order: OrderView, products: dict[str, ShelfProduct], language: str
) -> RefundFace:
    """One refund in words."""

    def shown(amount: int) -> str:
        return money(amount, order.currency, language)

    frozen, returned = order.frozen, one.returned
    lines = []
    for part in returned.lines:
        product = products.get(frozen.lines[part.position].product)
        if part.quantity and product is not None:
            # What is taken back for the units that remain is told apart.
            lines.append(
                (product_face(product, language), part.quantity, shown(part.amount + part.reclaimed))
            )
    shipping = sum(part.amount for part in returned.parcels)
    return RefundFace(
        shown(one.amount),
        one.created_at,
        tuple(lines),
        shown(shipping) if shipping else "",
        shown(-returned.reclaimed) if returned.reclaimed else "",
    )


async def _coupons(
    connection: AsyncConnection, order: OrderView, language: str, now: datetime, *, is_tearing: bool
) -> list[UsedCoupon]:
    """The order's coupons: whole while it is open, torn once it is paid, and whole again where they came back."""
    used = [one for one in order.coupons if one.coupon_id is not None]
    drawn = await tickets(connection, {one.offer_id for one in used})
    faces = []
    for one in used:
        state, tag, kind = _coupon_state(one, order, language)
        face = ticket_face(drawn[one.offer_id], language, now, state=state, tag=tag, tag_kind=kind)
        if order.member_id is not None and state == "open":
            face = replace(face, href=f"/wallet/{one.coupon_id}" if one.outcome else "")
        faces.append(UsedCoupon(face, is_tearing and state == "torn"))
    return faces


def _coupon_state(one: OrderCoupon, order: OrderView, language: str) -> tuple[str, str, str]:
    if one.outcome is not None:
        sentence, kind = _OUTCOMES[one.outcome]
        return "torn" if one.outcome == "forfeited" else "open", translate(language, sentence), kind
    if order.state == "paid":
        return "torn", translate(language, _("Used")), ""
    if order.state == "open":
        return "open", translate(language, _("Kept for this order")), "accent"
    return "open", translate(language, _("Free again")), ""


def _state(state: str, total: int, refunded: int) -> str:
    if state != "paid" or not refunded:
        return state
    return "refunded" if refunded >= total else "partly_refunded"


async def _check_own(services: Services, visitor: MemberIdentity | None, number: str) -> None:
    async with services.database.connection() as connection:
        await own_order(connection, services, visitor, number)


def _back(request: AnyRequest, number: str, refusal: Refusal) -> Response[Any]:
    text = refusal_text(refusal, language_of(request))
    return redirect(request, f"{ORDERS}/{number}", flash="%(text)s", kind="bad", text=text)


HANDLERS = [orders_page, order_page, pay, cancel, order_again]
