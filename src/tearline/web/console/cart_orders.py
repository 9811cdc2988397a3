"""Orders of carts: their list, and one as a receipt, with all that became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue.reads import products_of
from tearline.checkout.model import CartOrder
from tearline.checkout.reads import OrderView, is_in_state, order_by_number, orders_list
from tearline.checkout.statements import entries_of_order
from tearline.core.allocation import Runs, total_of
from tearline.core.codes import display
from tearline.core.orders import POINTS, FrozenLine
from tearline.core.refunds import Left
from tearline.core.roles import Actor
from tearline.db import LocalisedText
from tearline.i18n import _
from tearline.members.model import Member
from tearline.members.phones import display_phone
from tearline.members.reads import member_by_id
from tearline.merchants.model import AnySelect, Merchant
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.support import merchant_choices, show
from tearline.web.services import Services
from tearline.web.settling import settlement_words
from tearline.web.ui.lists import ChoiceFilter, Column, DayFilter, ListDefinition, TextFilter
from tearline.web.ui.page import language_of

STATE_NAMES = {
    "open": _("Being paid"),
    "paid": _("Paid"),
    "cancelled": _("Cancelled"),
    "expired": _("Not paid in time"),
}
STATE_KINDS = {"open": "accent", "paid": "good", "cancelled": "warn", "expired": "warn"}
COLLECTORS = {"platform": _("The platform"), "merchant": _("The merchants")}
OUTCOME_NAMES = {
    "returned": _("Given back"),
    "reissued": _("Given back for longer"),
    "forfeited": _("Not given back"),
}
OUTCOME_KINDS = {"returned": "good", "reissued": "good", "forfeited": "warn"}


def _definition(services: Services, merchants: list[tuple[str, str]]) -> ListDefinition:
    now = services.now()
    return ListDefinition(
        id_column=CartOrder.id,
        columns=[
            Column("number", _("Order"), kind="code", sort=CartOrder.number, href="/console/cart-orders/{number}",
                   under="phone", under_label=_("Phone number")),
            Column("created_at", _("Ordered"), kind="date_time", sort=CartOrder.created_at, under="reference",
                   under_label=_("The shop's reference")),
            Column("order_state", _("State"), kind="tag", labels=STATE_NAMES, tag_kinds=STATE_KINDS),
            Column("collected_by", _("Money taken by"), kind="tag", labels=COLLECTORS),
            Column("discount", _("Discount"), kind="money", currency_key="currency", sort=CartOrder.discount),
            Column("points", _("Points"), kind="money", currency_key="currency", sort=CartOrder.points),
            Column("total", _("Total"), kind="money", currency_key="currency", sort=CartOrder.total),
            Column("refunded", _("Refunded"), kind="money", currency_key="currency", sort=CartOrder.refunded),
        ],
        filters=[
            TextFilter("q", _("Order, reference or phone number"),
                       [CartOrder.number, CartOrder.reference, Member.phone]),
            ChoiceFilter("state", _("State"), list(STATE_NAMES.items()),
                         conditions={one: is_in_state(one, now) for one in STATE_NAMES}),
            ChoiceFilter("merchant", _("Merchant"), merchants,
                         conditions={value: CartOrder.merchant_ids.contains([UUID(value)])
                                     for value, _name in merchants}),
            DayFilter("ordered", _("Ordered"), CartOrder.created_at),
        ],
        default_sort="-created_at",
    )  # fmt: skip


@get("/cart-orders")
async def list_cart_orders(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every order, the newest first."""
    statement = _listed(actor, services)
    async with services.database.connection() as connection:
        definition = _definition(services, await merchant_choices(connection, language_of(request)))
        listing = await definition.page(
            request, statement, connection, export_path="/console/cart-orders/export"
        )
    return show(request, "cart_orders.html", listing=listing)


@get("/cart-orders/export")
async def export_cart_orders(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = _listed(actor, services)
    async with services.database.connection() as connection:
        definition = _definition(services, await merchant_choices(connection, language_of(request)))
    file_format = request.query_params.get("format", "csv")
    return definition.export(
        request, statement, services.database.engine.connect, file_format, file_name="cart-orders"
    )


def _listed(actor: Actor, services: Services) -> AnySelect:
    return orders_list(actor, services.now())


@dataclass(frozen=True, slots=True)
class PartDiscount:
    """What one right, or points, took off a line or a parcel, and who bears it."""

    name: LocalisedText | None
    platform: int
    merchant: int

    @property
    def amount(self) -> int:
        """Minor units."""
        return self.platform + self.merchant


@dataclass(frozen=True, slots=True)
class Part:
    """A line or a parcel as the receipt shows it.

    Attributes:
        name: of the product; None for one that the catalogue has not, and for shipping.
        units: what units cost after discounts: how many at which price.
        left: how many were not given back.
    """

    key: str
    product: str
    name: LocalisedText | None
    merchant_names: LocalisedText
    unit_price: int
    quantity: int
    units: Runs
    discounts: tuple[PartDiscount, ...]
    tax: int
    tax_basis_points: int
    total: int
    left: int

    @property
    def list_total(self) -> int:
        """Before discounts."""
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Receipt:
    """An order with the names of what it is about.

    Attributes:
        borne: what each right took off the whole order, in the order of the order's coupons; points are last.
    """

    order: OrderView
    lines: tuple[Part, ...]
    parcels: tuple[Part, ...]
    borne: tuple[PartDiscount, ...]
    merchants: dict[UUID, LocalisedText]


async def receipt_of(connection: AsyncConnection, actor: Actor, number: str, services: Services) -> Receipt:
    """An order as its page shows it.

    Raises:
        Refusal: ``not_allowed``, ``not_found``.
    """
    actor.require("orders.read")
    order = await order_by_number(connection, actor, number, services.now())
    frozen = order.frozen
    rows = await connection.execute(
        select(Merchant.id, Merchant.names).where(
            Merchant.id.in_({one.merchant_id for one in (*frozen.lines, *frozen.parcels)})
        )
    )
    merchants = {row.id: row.names for row in rows}
    products = await products_of(connection, {line.product for line in frozen.lines})

    def part(frozen_part: FrozenLine, left: Left) -> Part:
        product = products.get(frozen_part.product)
        is_known = product is not None and product.merchant_id == frozen_part.merchant_id
        return Part(
            frozen_part.key,
            frozen_part.product,
            product.names if product is not None and is_known else None,
            merchants.get(frozen_part.merchant_id, {}),
            frozen_part.unit_price,
            frozen_part.quantity,
            frozen_part.units,
            tuple(_discount(order, frozen_part, place) for place in range(len(frozen_part.shares))),
            total_of(frozen_part.tax),
            frozen_part.tax_basis_points,
            frozen_part.total,
            left.quantity,
        )

    return Receipt(
        order,
        tuple(part(*both) for both in zip(frozen.lines, order.remaining.lines, strict=True)),
        tuple(part(*both) for both in zip(frozen.parcels, order.remaining.parcels, strict=True)),
        _borne(order),
        merchants,
    )


def _discount(order: OrderView, part: FrozenLine, place: int) -> PartDiscount:
    share = part.shares[place]
    name = None if share.right == POINTS else order.coupons[share.right].offer_names
    platform = total_of(share.platform)
    return PartDiscount(name, platform, total_of(share.units) - platform)


def _borne(order: OrderView) -> tuple[PartDiscount, ...]:
    """Of each right what it took off in all, then of points."""
    parts = (*order.frozen.lines, *order.frozen.parcels)
    found = []
    for right in (*range(len(order.coupons)), POINTS):
        shares = [share for part in parts for share in part.shares if share.right == right]
        platform = sum(total_of(share.platform) for share in shares)
        name = None if right == POINTS else order.coupons[right].offer_names
        found.append(PartDiscount(name, platform, sum(total_of(share.units) for share in shares) - platform))
    return tuple(found)


@get("/cart-orders/{number:str}")
async def show_cart_order(
    request: AnyRequest, services: GivenServices, actor: GivenActor, number: FromPath[str]
) -> Response[str]:
    """The receipt: lines, discounts by who bears them, tax; coupons, refunds, and what was booked."""
    async with services.database.connection() as connection:
        receipt = await receipt_of(connection, actor, number, services)
        order = receipt.order
        booked: Sequence[Any] = []
        if "settlement.read" in actor.permissions:
            booked = await entries_of_order(connection, actor, order.id)
        phone = await _phone(connection, order.member_id)
        deeds = await trail(connection, actor, [str(order.id)])
    return show(
        request,
        "cart_order.html",
        receipt=receipt,
        order=order,
        phone=phone,
        booked=booked,
        deeds=deeds,
        display=display,
        state_names=STATE_NAMES,
        state_kinds=STATE_KINDS,
        collectors=COLLECTORS,
        outcome_names=OUTCOME_NAMES,
        outcome_kinds=OUTCOME_KINDS,
        **settlement_words(),
        **words(),
    )


async def _phone(connection: AsyncConnection, member_id: UUID | None) -> str:
    if member_id is None:
        return ""
    member = await member_by_id(connection, member_id)
    return display_phone(member.phone) if member is not None else ""


HANDLERS = [list_cart_orders, export_cart_orders, show_cart_order]
