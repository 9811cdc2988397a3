"""The member's orders: how each stands, what is to be done about it, and what it has brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from markupsafe import Markup

from tearline.core.refusal import Refusal
from tearline.coupons.reads import order_coupons
from tearline.i18n import _
from tearline.i18n.formats import money
from tearline.members.tokens import MemberIdentity
from tearline.sales.reads import OrderView, member_orders
from tearline.web import ordering
from tearline.web.access import AnyRequest, GivenMember, GivenServices
from tearline.web.services import Services
from tearline.web.shop.support import refusal_text, signed_in_member
from tearline.web.shop.tickets import coupon_face
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect, render, text_in

STATE_NAMES = {
    "reserved": _("Waiting for payment"),
    "paid": _("Paid"),
    "released": _("Not paid"),
    "refund_due": _("Refund on its way"),
    "refunded": _("Refunded"),
}
STATE_KINDS = {"reserved": "warn", "paid": "good", "refund_due": "warn"}


@dataclass(frozen=True, slots=True)
class OrderFace:
    """An order as the shop shows it."""

    order: OrderView
    name: Markup
    merchant: Markup
    sale_name: Markup
    amount: str
    state: str
    state_kind: str

    @property
    def href(self) -> str:
        """The order's page."""
        return f"/orders/{self.order.id}"


def order_face(order: OrderView, language: str) -> OrderFace:
    """The order for its page and for the list."""
    return OrderFace(
        order=order,
        name=text_in(order.offer_names, language),
        merchant=text_in(order.merchant_names, language) if order.merchant_names else Markup(""),
        sale_name=text_in(order.campaign_names, language),
        amount=money(order.amount, order.currency, language),
        state=STATE_NAMES[order.state],
        state_kind=STATE_KINDS.get(order.state, ""),
    )


@get("/orders")
async def orders_page(request: AnyRequest, services: GivenServices, member: GivenMember) -> Response[str]:
    """The member's last orders, newest first."""
    language = language_of(request)
    async with services.database.connection() as connection:
        row = await signed_in_member(connection, request, member)
        found = await member_orders(connection, row.id)
    return render(request, "shop/orders.html", faces=[order_face(order, language) for order in found])


@get("/orders/{order_id:uuid}")
async def order_page(
    request: AnyRequest,
    services: GivenServices,
    member: GivenMember,
    order_id: FromPath[UUID],
    paid: FromQuery[str] = "",
) -> Response[str]:
    """One order: to be paid, paid with its vouchers, or what else became of it."""
    now, language = services.now(), language_of(request)
    member_id = await _member_id(request, services, member)
    order = await ordering.newest(services, member_id, order_id)
    async with services.database.connection() as connection:
        coupons = await order_coupons(connection, member_id, order_id, now)
    is_payable = order.state == "reserved" and order.reserved_until > now
    return render(
        request,
        "shop/order.html",
        time_zone=order.time_zone,
        about=order_face(order, language),
        order=order,
        is_payable=is_payable,
        payment_address=order.payment_address if order.payment_state == "begun" else None,
        is_back_from_paying=is_payable and bool(paid),
        unit_price=money(order.unit_price, order.currency, language),
        face_value=money(order.face_value, order.currency, language),
        tickets=[coupon_face(coupon, language, now) for coupon in coupons],
    )


@get("/orders/{order_id:uuid}/now")
async def order_now(
    request: AnyRequest, services: GivenServices, member: GivenMember, order_id: FromPath[UUID]
) -> Response[str]:
    """Has the page load itself again once the order it shows as waiting does so no longer; 204 either way."""
    member_id = await _member_id(request, services, member)
    order = await ordering.newest(services, member_id, order_id)
    headers = {"cache-control": "no-store"}
    if order.state != "reserved":
        headers["hx-refresh"] = "true"
    return Response("", status_code=204, headers=headers)


@post("/orders/{order_id:uuid}/payment")
async def begin_payment(
    request: AnyRequest, services: GivenServices, member: GivenMember, order_id: FromPath[UUID]
) -> Response[Any]:
    """Ask the payment service again, when it did not answer before; its link is on the order's page then."""
    member_id = await _member_id(request, services, member)
    refusal = await start_payment(request, services, member_id, order_id)
    return _back(request, order_id, refusal)


@post("/orders/{order_id:uuid}/cancel")
async def cancel_order(
    request: AnyRequest, services: GivenServices, member: GivenMember, order_id: FromPath[UUID]
) -> Response[Any]:
    """Give the order up before it is paid."""
    member_id = await _member_id(request, services, member)
    try:
        await ordering.cancel(services, member_id, order_id)
    except Refusal as refusal:
        return _back(request, order_id, refusal)
    return _back(request, order_id)


async def start_payment(
    request: AnyRequest, services: Services, member_id: UUID, order_id: UUID
) -> Refusal | None:
    """Begin the payment of an order; answers why it can't be, if so."""
    try:
        await ordering.payment_address(services, member_id, order_id, language_of(request))
    except Refusal as refusal:
        return refusal
    return None


async def _member_id(request: AnyRequest, services: Services, member: MemberIdentity) -> UUID:
    async with services.database.connection() as connection:
        return (await signed_in_member(connection, request, member)).id


def _back(request: AnyRequest, order_id: UUID, refusal: Refusal | None = None) -> Response[Any]:
    address = f"/orders/{order_id}"
    if refusal is None:
        return redirect(request, address)
    if refusal.reason == "not_found":
        raise refusal
    text = refusal_text(refusal, language_of(request))
    return redirect(request, address, flash="%(text)s", kind="bad", text=text)


HANDLERS = [orders_page, order_page, order_now, begin_payment, cancel_order]
