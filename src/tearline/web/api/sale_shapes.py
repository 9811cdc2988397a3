"""Bodies and answers about sales: their items, members' orders, vouchers, reported uses, figures and statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tearline.core.pools import LONGEST_CODE
from tearline.core.sales import MAXIMUM_PER_ORDER, SaleItemDraft
from tearline.sales.figures import HourOfSales, ItemFigures, SaleFigures
from tearline.sales.reads import FoundVoucher, ItemView, OrderView
from tearline.sales.statements import Statement, Totals
from tearline.sales.uses import LONGEST_PLACE, MOST_REPORTS, Outcome, ReportedUse
from tearline.web.api.shapes import (
    Answer,
    BasisPoints,
    Body,
    Count,
    Currency,
    Instant,
    LanguageTag,
    Texts,
)

Price: TypeAlias = Annotated[
    int, Meta(ge=0, le=2**53, description="Minor units of the offer's currency, for one voucher.")
]
SaleVersion: TypeAlias = Annotated[int, Meta(ge=1, le=2**53, description="Of its sale, as you saw it.")]
OrderState: TypeAlias = Literal["reserved", "paid", "released", "refund_due", "refunded"]
PartnersCode: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_CODE)]


class ItemAnswer(Answer):
    """A voucher that a sale sells, as its operator sees it."""

    id: UUID
    position: int
    offer_id: UUID
    currency: Currency
    price: int
    face_value: int
    quantity: int | None
    """Null for as many as the pool holds."""
    limit_per_member: int | None
    limit_per_order: int
    commission_basis_points: int
    reserved: int
    sold: int
    left: int
    pool_id: UUID | None
    """Null when its codes come from us."""


class ItemOnSale(Answer):
    """A voucher as anyone may see it on sale."""

    id: UUID
    offer_id: UUID
    names: Texts
    summaries: Texts
    merchant_id: UUID | None
    merchant_names: Texts | None
    currency: Currency
    price: int
    face_value: int
    limit_per_member: int | None
    limit_per_order: int
    left: int


class NewItem(Body):
    """A voucher to be sold; a sale has at most five."""

    offer_id: UUID
    price: Price
    face_value: Price
    quantity: Count | None = None
    limit_per_member: Count | None = None
    limit_per_order: Count = 5
    commission_basis_points: BasisPoints = 0


class ItemChange(Body):
    """What to change of an item."""

    version: SaleVersion
    offer_id: UUID | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    face_value: Price | UnsetType = UNSET
    quantity: Count | UnsetType | None = UNSET
    limit_per_member: Count | UnsetType | None = UNSET
    limit_per_order: Count | UnsetType = UNSET
    commission_basis_points: BasisPoints | UnsetType = UNSET


class QuantityRaise(Body):
    """Raise how many may be sold, also while members are buying."""

    to: Count | None
    """Null for as many as the pool holds."""
    expected: Count | None = None
    """The quantity that you saw, when it matters that nobody else has raised it since."""


class NewOrder(Body):
    """Vouchers to be bought."""

    item_id: UUID
    quantity: Annotated[int, Meta(ge=1, le=MAXIMUM_PER_ORDER)]
    language: LanguageTag = "en"
    """Of the page on which the member pays."""


class NewPayment(Body):
    """Ask for the payment of an order once more."""

    language: LanguageTag = "en"


class OrderAnswer(Answer):
    """An order as its member sees it."""

    id: UUID
    number: str
    campaign_id: UUID
    campaign_code: str
    item_id: UUID
    offer_id: UUID
    offer_names: Texts
    merchant_id: UUID | None
    merchant_names: Texts | None
    quantity: int
    unit_price: int
    face_value: int
    amount: int
    currency: Currency
    state: OrderState
    reserved_until: datetime
    created_at: datetime
    paid_at: datetime | None
    released_at: datetime | None
    release_reason: Literal["expired", "failed", "cancelled"] | None
    refunded_at: datetime | None
    payment_address: str | None
    """Where the member pays; null when it isn't to be paid, or the payment service has not answered yet."""
    coupon_ids: list[UUID]
    """What it has brought, in the member's wallet."""


class OrderRow(Answer):
    """An order in the operator's or the partner's list."""

    id: UUID
    number: str
    campaign_id: UUID
    campaign_code: str
    item_id: UUID
    offer_id: UUID
    offer_names: Texts
    merchant_id: UUID | None
    member_id: UUID
    member_phone: str | None
    """For the operator alone."""
    quantity: int
    unit_price: int
    amount: int
    commission: int
    currency: Currency
    state: OrderState
    reserved_until: datetime
    created_at: datetime
    paid_at: datetime | None
    released_at: datetime | None
    release_reason: str | None
    refunded_at: datetime | None


class VoucherAnswer(Answer):
    """A sold voucher."""

    coupon_id: UUID
    code: str
    """Ours, for reference."""
    partner_code: str | None
    state: str
    valid_from: datetime
    valid_until: datetime
    member_id: UUID
    order_id: UUID
    number: str
    """Of the order."""
    order_state: str
    paid_at: datetime | None
    campaign_id: UUID
    offer_id: UUID
    offer_names: Texts
    merchant_id: UUID | None
    merchant_names: Texts | None
    used_at: datetime | None
    """When the partner says that it was used."""


class FoundVouchers(Answer):
    """All that match: partners may well have the same code, and an order may have several vouchers."""

    items: list[VoucherAnswer]


class UseReport(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The use of a code in the partner's own system."""

    code: PartnersCode
    used_at: Instant
    place: Annotated[str, Meta(max_length=LONGEST_PLACE)] = ""
    """The partner's name for where, such as a branch."""


class UseReports(Body):
    """Uses to be reported; the first report of a code counts."""

    uses: Annotated[list[UseReport], Meta(min_length=1, max_length=MOST_REPORTS)]
    merchant_id: UUID | None = None
    """Whose codes they are; a merchant's key needn't say."""

    def values(self) -> list[ReportedUse]:
        """The values that the action works with."""
        return [ReportedUse(use.code, use.used_at, use.place) for use in self.uses]


class UseOutcomes(Answer):
    """What became of each reported use, in their order."""

    outcomes: list[Outcome]


class ItemFiguresAnswer(Answer):
    """One voucher's counts and money, in minor units."""

    item_id: UUID
    position: int
    offer_id: UUID
    names: Texts
    currency: Currency
    uploaded: int | None
    """Codes ever added to its pool; null when its codes come from us."""
    reserved: int
    sold: int
    left: int
    revenue: int
    commission: int
    payable: int
    sold_out_at: datetime | None
    """When it will be sold out if sales go on as in the last day; null for not in sight."""


class HourOfSalesAnswer(Answer):
    """What was sold in one hour."""

    hour: datetime
    vouchers: int
    revenue: int
    vouchers_by_item: dict[str, int]


class SaleFiguresAnswer(Answer):
    """A sale in numbers."""

    campaign_id: UUID
    time_zone: str
    items: list[ItemFiguresAnswer]
    hours: list[HourOfSalesAnswer]


class TotalsAnswer(Answer):
    """Sums in minor units; what is payable to the partner is the amount less the commission."""

    orders: int
    vouchers: int
    amount: int
    commission: int
    payable: int


class StatementLine(Answer):
    """What was sold of one offer on one day."""

    day: date
    offer_id: UUID
    offer_code: str
    offer_names: Texts
    totals: TotalsAnswer


class StatementAnswer(Answer):
    """A partner's statement in one currency, of a half-open period."""

    merchant_id: UUID
    merchant_code: str
    merchant_names: Texts
    currency: Currency
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    lines: list[StatementLine]
    totals: TotalsAnswer


def new_item_draft(body: NewItem) -> SaleItemDraft:
    """The draft that a body describes."""
    return SaleItemDraft(**body.given())


def changed_item_draft(before: SaleItemDraft, change: ItemChange) -> SaleItemDraft:
    """The draft with what was sent in place of what was."""
    given = change.given()
    del given["version"]
    return replace(before, **given)


def item_answer(item: ItemView) -> ItemAnswer:
    """An item as its operator sees it."""
    return ItemAnswer(
        **asdict(item.draft),
        id=item.id,
        position=item.position,
        currency=item.currency,
        reserved=item.reserved,
        sold=item.sold,
        left=item.left,
        pool_id=item.pool_id,
    )


def item_on_sale(item: ItemView) -> ItemOnSale:
    """An item as anyone may see it."""
    return ItemOnSale(
        id=item.id,
        offer_id=item.ticket.offer_id,
        names=item.ticket.names,
        summaries=item.ticket.summaries,
        merchant_id=item.ticket.merchant_id,
        merchant_names=item.ticket.merchant_names,
        currency=item.currency,
        price=item.price,
        face_value=item.face_value,
        limit_per_member=item.draft.limit_per_member,
        limit_per_order=item.draft.limit_per_order,
        left=item.left,
    )


def order_answer(order: OrderView, public_url: str) -> OrderAnswer:
    """An order as its member sees it; an address of our own is completed."""
    names = set(OrderAnswer.__struct_fields__) - {"payment_address", "coupon_ids"}
    values: dict[str, Any] = {name: getattr(order, name) for name in names}
    is_to_be_paid = order.state == "reserved" and order.payment_state == "begun"
    address = order.payment_address if is_to_be_paid else None
    if address is not None and address.startswith("/"):
        address = public_url + address
    values |= {"payment_address": address, "coupon_ids": list(order.coupon_ids)}
    return msgspec.convert(values, OrderAnswer)


def order_row(row: Any) -> OrderRow:
    """An order in a list."""
    return msgspec.convert(row, OrderRow, from_attributes=True)


def voucher_answer(found: FoundVoucher) -> VoucherAnswer:
    """A voucher that was looked up."""
    return msgspec.convert(found, VoucherAnswer, from_attributes=True)


def sale_figures_answer(figures: SaleFigures, hours: Sequence[HourOfSales]) -> SaleFiguresAnswer:
    """A sale in numbers."""
    return SaleFiguresAnswer(
        campaign_id=figures.campaign_id,
        time_zone=figures.time_zone,
        items=[_item_figures(one) for one in figures.items],
        hours=[
            HourOfSalesAnswer(
                hour=one.hour,
                vouchers=one.vouchers,
                revenue=one.revenue,
                vouchers_by_item={str(item_id): count for item_id, count in one.vouchers_by_item.items()},
            )
            for one in hours
        ],
    )


def _item_figures(one: ItemFigures) -> ItemFiguresAnswer:
    item = one.item
    return ItemFiguresAnswer(
        item_id=item.id,
        position=item.position,
        offer_id=item.ticket.offer_id,
        names=item.ticket.names,
        currency=item.currency,
        uploaded=one.uploaded,
        reserved=one.reserved,
        sold=one.sold,
        left=one.left,
        revenue=one.revenue,
        commission=one.commission,
        payable=one.payable,
        sold_out_at=one.sold_out_at,
    )


def statement_answer(drawn: Statement) -> StatementAnswer:
    """A statement without its single orders."""
    return StatementAnswer(
        merchant_id=drawn.merchant_id,
        merchant_code=drawn.merchant_code,
        merchant_names=drawn.merchant_names,
        currency=drawn.currency,
        time_zone=drawn.time_zone,
        starts_at=drawn.starts_at,
        ends_at=drawn.ends_at,
        lines=[
            StatementLine(
                day=line.day,
                offer_id=line.offer_id,
                offer_code=line.offer_code,
                offer_names=line.offer_names,
                totals=_totals(line.totals),
            )
            for line in drawn.lines
        ],
        totals=_totals(drawn.totals),
    )


def _totals(totals: Totals) -> TotalsAnswer:
    return TotalsAnswer(
        orders=totals.orders,
        vouchers=totals.vouchers,
        amount=totals.amount,
        commission=totals.commission,
        payable=totals.payable,
    )
