"""Orders of vouchers: their list, and all that is known of one."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.codes import display
from tearline.core.refusal import Refusal
from tearline.i18n import _, localised
from tearline.members.model import Member
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tearline.sales import reads
from tearline.sales.model import VoucherOrder
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.support import merchant_choices, show
from tearline.web.sale_words import (
    COUPON_STATE_KINDS,
    COUPON_STATE_NAMES,
    ORDER_STATE_KINDS,
    ORDER_STATE_NAMES,
)
from tearline.web.ui.lists import (
    ChoiceFilter,
    Column,
    DayFilter,
    ListDefinition,
    TextFilter,
    localised_columns,
)
from tearline.web.ui.page import language_of

RELEASE_NAMES = {
    "expired": _("not paid in time"),
    "failed": _("the payment failed"),
    "cancelled": _("cancelled by the member"),
}
PAYMENT_STATE_NAMES = {
    "begun": _("Begun"),
    "paid": _("Paid"),
    "failed": _("Failed"),
    "expired": _("Expired"),
    "refund_due": _("Refund due"),
    "refunded": _("Refunded"),
}


def _definition(sales: list[tuple[str, str]], merchants: list[tuple[str, str]]) -> ListDefinition:
    of_sale = {value: VoucherOrder.campaign_id == UUID(value) for value, _name in sales}
    of_merchant = {value: VoucherOrder.merchant_id == UUID(value) for value, _name in merchants}
    return ListDefinition(
        id_column=VoucherOrder.id,
        columns=[
            Column("number", _("Order"), kind="code", sort=VoucherOrder.number, href="/console/orders/{id}",
                   under="member_phone", under_label=_("Phone number")),
            Column("created_at", _("Ordered"), kind="date_time", sort=VoucherOrder.created_at),
            Column("state", _("State"), kind="tag", labels=ORDER_STATE_NAMES, tag_kinds=ORDER_STATE_KINDS,
                   sort=VoucherOrder.state),
            Column("campaign_names", _("Sale"), kind="localised", sort=Campaign.code),
            Column("offer_names", _("Voucher"), kind="localised", sort=Offer.code),
            Column("merchant_names", _("Merchant"), kind="localised", sort=Merchant.code, is_nullable=True),
            Column("quantity", _("Quantity"), kind="number", sort=VoucherOrder.quantity),
            Column("amount", _("Amount"), kind="money", currency_key="currency", sort=VoucherOrder.amount),
            Column("commission", _("Commission"), kind="money", currency_key="currency",
                   sort=VoucherOrder.commission),
            Column("paid_at", _("Paid"), kind="date_time", sort=VoucherOrder.paid_at, is_nullable=True),
        ],
        filters=[
            TextFilter("q", _("Order, voucher or phone number"),
                       [VoucherOrder.number, Member.phone, Offer.code, *localised_columns(Offer.names)]),
            ChoiceFilter("state", _("State"), list(ORDER_STATE_NAMES.items()), VoucherOrder.state),
            ChoiceFilter("sale", _("Sale"), sales, conditions=of_sale),
            ChoiceFilter("merchant", _("Merchant"), merchants, conditions=of_merchant),
            DayFilter("ordered", _("Ordered"), VoucherOrder.created_at),
        ],
        default_sort="-created_at",
    )  # fmt: skip


@get("/orders")
async def list_orders(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every order, the newest first."""
    statement, language = reads.orders(actor), language_of(request)
    async with services.database.connection() as connection:
        definition = _definition(
            await _sale_choices(connection, language), await merchant_choices(connection, language)
        )
        listing = await definition.page(request, statement, connection, export_path="/console/orders/export")
    return show(request, "orders.html", listing=listing)


@get("/orders/export")
async def export_orders(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement, language = reads.orders(actor), language_of(request)
    async with services.database.connection() as connection:
        definition = _definition(
            await _sale_choices(connection, language), await merchant_choices(connection, language)
        )
    file_format = request.query_params.get("format", "csv")
    return definition.export(
        request, statement, services.database.engine.connect, file_format, file_name="orders"
    )


@get("/orders/{order_id:uuid}")
async def show_order(
    request: AnyRequest, services: GivenServices, actor: GivenActor, order_id: FromPath[UUID]
) -> Response[str]:
    """The order, its payments, and what it delivered."""
    async with services.database.connection() as connection:
        listed = reads.orders(actor).where(VoucherOrder.id == order_id)
        member_id = await reads.member_of_order(connection, order_id)
        order = (await connection.execute(listed.where(VoucherOrder.member_id == member_id))).one_or_none()
        if order is None:
            raise Refusal("not_found")
        vouchers = await reads.vouchers_of_order(connection, actor, order.member_id, order_id)
        payments = await reads.payments_of_order(connection, order_id)
        deeds = await trail(connection, actor, [str(order_id)])
    return show(
        request,
        "order.html",
        order=order,
        display=display,
        vouchers=vouchers,
        payments=payments,
        deeds=deeds,
        state_names=ORDER_STATE_NAMES,
        state_kinds=ORDER_STATE_KINDS,
        release_names=RELEASE_NAMES,
        payment_state_names=PAYMENT_STATE_NAMES,
        coupon_state_names=COUPON_STATE_NAMES,
        coupon_state_kinds=COUPON_STATE_KINDS,
        **words(),
    )


async def _sale_choices(connection: AsyncConnection, language: str) -> list[tuple[str, str]]:
    rows = await connection.execute(
        select(Campaign.id, Campaign.names, Campaign.code)
        .where(Campaign.kind == "sale")
        .order_by(Campaign.starts_at.desc(), Campaign.id)
    )
    return [(str(row.id), f"{localised(row.names, language)} · {row.code}") for row in rows]


HANDLERS = [list_orders, export_orders, show_order]
