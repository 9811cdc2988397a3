"""What a manager sees of the merchant's vouchers on sale: figures, orders, and the statement of a period.

What is sold, for how much, and the platform's commission are the operator's to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.i18n import _
from tearline.offers.model import Offer
from tearline.sales import reads
from tearline.sales.alerts import pool_alerts
from tearline.sales.figures import items_sold, sale_figures
from tearline.sales.model import SaleItem, VoucherOrder
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.merchant.support import GivenHere, merchant_of, show
from tearline.web.sale_words import (
    CAMPAIGN_STATE_KINDS,
    CAMPAIGN_STATE_NAMES,
    ORDER_STATE_KINDS,
    ORDER_STATE_NAMES,
    shown_state,
)
from tearline.web.ui.lists import (
    ChoiceFilter,
    Column,
    DayFilter,
    ListDefinition,
    TextFilter,
    localised_columns,
)
from tearline.web.ui.rendering import render
from tearline.web.voucher_statements import voucher_statement_file, voucher_statements

SALES = ListDefinition(
    id_column=SaleItem.id,
    columns=[
        Column("offer_names", _("Voucher"), kind="localised", sort=Offer.code, under="offer_code",
               under_label=_("Code"), href="/merchant/sales/{campaign_id}"),
        Column("campaign_names", _("Sale"), kind="localised", sort=Campaign.code),
        Column("starts_at", _("Starts"), kind="date_time", sort=Campaign.starts_at),
        Column("ends_at", _("Ends"), kind="date_time", sort=Campaign.ends_at),
        Column("price", _("Price"), kind="money", currency_key="currency", sort=SaleItem.price),
        Column("sold", _("Sold"), kind="number", sort=SaleItem.sold),
        Column("revenue", _("Revenue"), kind="money", currency_key="currency"),
        Column("commission", _("Commission"), kind="money", currency_key="currency"),
        Column("payable", _("Payable"), kind="money", currency_key="currency"),
    ],
    filters=[
        TextFilter("q", _("Sale or voucher"), [Campaign.code, Offer.code, *localised_columns(Campaign.names),
                                               *localised_columns(Offer.names)]),
        DayFilter("starts", _("Starts"), Campaign.starts_at),
    ],
    default_sort="-starts_at",
)  # fmt: skip
ORDERS = ListDefinition(
    id_column=VoucherOrder.id,
    columns=[
        Column("number", _("Order"), kind="code", sort=VoucherOrder.number),
        Column("created_at", _("Ordered"), kind="date_time", sort=VoucherOrder.created_at),
        Column("state", _("State"), kind="tag", labels=ORDER_STATE_NAMES, tag_kinds=ORDER_STATE_KINDS,
               sort=VoucherOrder.state),
        Column("offer_names", _("Voucher"), kind="localised", sort=Offer.code),
        Column("quantity", _("Quantity"), kind="number", sort=VoucherOrder.quantity),
        Column("amount", _("Amount"), kind="money", currency_key="currency", sort=VoucherOrder.amount),
        Column("commission", _("Commission"), kind="money", currency_key="currency",
               sort=VoucherOrder.commission),
        Column("paid_at", _("Paid"), kind="date_time", sort=VoucherOrder.paid_at, is_nullable=True),
    ],
    filters=[
        ChoiceFilter("state", _("State"), list(ORDER_STATE_NAMES.items()), VoucherOrder.state),
        DayFilter("ordered", _("Ordered"), VoucherOrder.created_at),
    ],
    default_sort="-created_at",
)  # fmt: skip


@get("/sales")
async def sales_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[str]:
    """The merchant's own vouchers that are sold or were, with what came in."""
    async with services.database.connection() as connection:
        listing = await SALES.page(
            request, items_sold(actor), connection, export_path="/merchant/sales/export"
        )
    return show(request, "sales.html", section="vouchers", tab="sales", listing=listing)


@get("/sales/export")
async def export_sales(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    file_format = request.query_params.get("format", "csv")
    return SALES.export(
        request, items_sold(actor), services.database.engine.connect, file_format, file_name="sales"
    )


@get("/sales/{campaign_id:uuid}")
async def sale_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    here: GivenHere,
    campaign_id: FromPath[UUID],
) -> Response[str]:
    """One sale, as far as it sells the merchant's vouchers: its figures and orders."""
    now = services.now()
    async with services.database.connection() as connection:
        items = await _items(connection, actor, campaign_id)
        figures = await sale_figures(connection, actor, campaign_id, now)
        alerts = await pool_alerts(connection, now, campaign_id=campaign_id, merchant_id=merchant_of(actor))
        statement = reads.orders(actor, campaign_id=campaign_id)
        path = f"/merchant/sales/{campaign_id}"
        listing = await ORDERS.page(request, statement, connection, export_path=f"{path}/orders/export")
    sale = items[0]
    return show(
        request,
        "sale.html",
        section="vouchers",
        sale=sale,
        sale_path=path,
        items=items,
        figures=figures,
        alerts=alerts,
        listing=listing,
        shown=shown_state(sale.campaign_state, sale.starts_at, sale.ends_at, now),
        state_names=CAMPAIGN_STATE_NAMES,
        state_kinds=CAMPAIGN_STATE_KINDS,
        is_live=sale.campaign_state == "live" and sale.starts_at <= now < sale.ends_at,
        seen_at=now,
    )


@get("/sales/{campaign_id:uuid}/now")
async def sale_now(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The figures alone, for the page to refresh itself."""
    now = services.now()
    async with services.database.connection() as connection:
        await _items(connection, actor, campaign_id)
        figures = await sale_figures(connection, actor, campaign_id, now)
    return render(request, "sale_now.html", figures=figures, seen_at=now, time_zone=figures.time_zone)


@get("/sales/{campaign_id:uuid}/orders/export")
async def export_orders(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Stream:
    """A sale's orders as a file."""
    async with services.database.connection() as connection:
        await _items(connection, actor, campaign_id)
    file_format = request.query_params.get("format", "csv")
    return ORDERS.export(
        request,
        reads.orders(actor, campaign_id=campaign_id),
        services.database.engine.connect,
        file_format,
        file_name="orders",
    )


@get("/statement")
async def statement_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """The merchant's own statements of a period, one for each currency."""
    period, drawn = await voucher_statements(request, services, actor, merchant_of(actor))
    return show(
        request,
        "statement.html",
        status_code=period.form.status_code,
        section="vouchers",
        tab="statement",
        period=period,
        drawn=drawn,
    )


@get("/statement/file")
async def statement_download(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[bytes]:
    """One of them as the workbook with every order, or as the document."""
    return await voucher_statement_file(request, services, actor, merchant_of(actor))


async def _items(connection: AsyncConnection, actor: Actor, campaign_id: UUID) -> Sequence[Row[Any]]:
    """The merchant's vouchers in a sale; ``not_found`` when there is none, or it's not on sale yet."""
    of_sale = items_sold(actor).where(SaleItem.campaign_id == campaign_id).order_by(SaleItem.position)
    found = (await connection.execute(of_sale)).all()
    if not found:
        raise Refusal("not_found")
    return found


HANDLERS = [
    sales_page,
    export_sales,
    sale_page,
    sale_now,
    export_orders,
    statement_page,
    statement_download,
]
