"""A partner's statement: what was sold in a period, the platform's commission, and what is payable to the partner.

It is drawn up from paid orders, which never change, so a statement of a period that is over is the same at any
time. Amounts are summed as the integers that they are; the commission was rounded once, order by order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Result, Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db import Database
from tearline.i18n import _, localised, translate
from tearline.i18n.formats import money
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tearline.sales.model import VoucherOrder
from tearline.sales.papers import Amount, Cell, Column, Paper, Table, Workbook, period_of

MOST_ORDERS = 500_000
"""Orders that one workbook lists at the most; a longer one is asked for in shorter periods."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some orders, in minor units. ``payable`` = ``amount`` - ``commission``, always."""

    orders: int = 0
    vouchers: int = 0
    amount: int = 0
    commission: int = 0

    @property
    def payable(self) -> int:
        """What the partner gets."""
        return self.amount - self.commission

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.orders + other.orders,
            self.vouchers + other.vouchers,
            self.amount + other.amount,
            self.commission + other.commission,
        )


@dataclass(frozen=True, slots=True)
class DayLine:
    """What was sold of one offer on one day."""

    day: date
    offer_id: UUID
    offer_code: str
    offer_names: dict[str, str]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Statement:
    """A partner's statement in one currency.

    Attributes:
        starts_at, ends_at: the period, half-open.
        time_zone: that the days are of.
        lines: by day, then by offer.
    """

    merchant_id: UUID
    merchant_code: str
    merchant_names: dict[str, str]
    currency: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    lines: Sequence[DayLine]

    @property
    def totals(self) -> Totals:
        """Of the whole period."""
        return sum((line.totals for line in self.lines), Totals())

    def file_name(self, kind: str) -> str:
        """What a file of it is called."""
        first_day = self.starts_at.astimezone(ZoneInfo(self.time_zone)).date()
        return f"statement-{self.merchant_code}-{self.currency}-{first_day}.{kind}"


async def currencies_of(
    connection: AsyncConnection, actor: Actor, merchant_id: UUID, starts_at: datetime, ends_at: datetime
) -> list[str]:
    """In which currencies a partner sold something in a period; each has a statement of its own."""
    _require(actor, merchant_id)
    found = await connection.scalars(
        select(VoucherOrder.currency).distinct().where(*_paid(merchant_id, starts_at, ends_at))
    )
    return sorted(found)


async def statement(
    connection: AsyncConnection,
    actor: Actor,
    merchant_id: UUID,
    currency: str,
    starts_at: datetime,
    ends_at: datetime,
    time_zone: str,
) -> Statement:
    """Draw up a statement.

    Raises:
        Refusal: ``not_allowed``, ``not_found``, ``invalid`` for a period that ends before it begins.
    """
    _require(actor, merchant_id)
    if starts_at >= ends_at:
        raise Refusal("invalid", fields={"ends_at": _("The end must lie after the start.")})
    merchant = (
        await connection.execute(select(Merchant.code, Merchant.names).where(Merchant.id == merchant_id))
    ).one_or_none()
    if merchant is None:
        raise Refusal("not_found")
    local_day = func.date(func.timezone(time_zone, VoucherOrder.paid_at))
    days = await connection.execute(
        select(
            local_day.label("day"),
            Offer.id,
            Offer.code,
            Offer.names,
            func.count().label("orders"),
            func.sum(VoucherOrder.quantity).label("vouchers"),
            func.sum(VoucherOrder.amount).label("amount"),
            func.sum(VoucherOrder.commission).label("commission"),
        )
        .join(Offer, Offer.id == VoucherOrder.offer_id)
        .where(*_paid(merchant_id, starts_at, ends_at), VoucherOrder.currency == currency)
        .group_by(local_day, Offer.id)
        .order_by(local_day, Offer.code)
    )
    return Statement(
        merchant_id=merchant_id,
        merchant_code=merchant.code,
        merchant_names=merchant.names,
        currency=currency,
        time_zone=time_zone,
        starts_at=starts_at,
        ends_at=ends_at,
        lines=[
            DayLine(
                row.day,
                row.id,
                row.code,
                row.names,
                Totals(row.orders, int(row.vouchers), int(row.amount), int(row.commission)),
            )
            for row in days
        ],
    )


async def statement_file(
    database: Database,
    actor: Actor,
    merchant_id: UUID,
    currency: str,
    starts_at: datetime,
    ends_at: datetime,
    time_zone: str,
    *,
    kind: Literal["xlsx", "pdf"],
    language: str,
) -> tuple[str, bytes]:
    """A statement as a file: its name and content. A workbook has every order, a PDF the days.

    Raises:
        Refusal: as ``statement``; ``invalid`` for a workbook of more than ``MOST_ORDERS``.
    """
    async with database.connection() as connection:
        # One snapshot: the days and the orders of a period that is not over must say the same.
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        drawn = await statement(connection, actor, merchant_id, currency, starts_at, ends_at, time_zone)
        orders = await paid_orders(connection, drawn) if kind == "xlsx" else ()
    # Thousands of orders take their time to be written; others are answered meanwhile.
    if kind == "xlsx":
        content = await asyncio.to_thread(as_xlsx, drawn, orders, language)
    else:
        content = await asyncio.to_thread(as_pdf, drawn, language)
    return drawn.file_name(kind), content


async def paid_orders(connection: AsyncConnection, drawn: Statement) -> Sequence[Row[Any]]:
    """The orders that a statement sums, in the order of their payment."""
    if drawn.totals.orders > MOST_ORDERS:
        raise Refusal("invalid", fields={"ends_at": _("These are too many orders for one statement.")})
    rows: Result[Any] = await connection.execute(
        select(
            VoucherOrder.paid_at,
            VoucherOrder.number,
            Offer.code,
            Offer.names,
            VoucherOrder.quantity,
            VoucherOrder.unit_price,
            VoucherOrder.amount,
            VoucherOrder.commission,
        )
        .join(Offer, Offer.id == VoucherOrder.offer_id)
        .where(
            *_paid(drawn.merchant_id, drawn.starts_at, drawn.ends_at),
            VoucherOrder.currency == drawn.currency,
        )
        .order_by(VoucherOrder.paid_at, VoucherOrder.id)
    )
    return rows.all()


def as_xlsx(drawn: Statement, orders: Sequence[Row[Any]], language: str) -> bytes:
    """The statement as a workbook: a summary by day, and every order.

    Args:
        orders: as of ``paid_orders``.
    """
    workbook = Workbook(_paper(drawn, language))
    workbook.write(_days(drawn, language), with_head=True)
    workbook.write(Table(_("Orders"), _ORDER_COLUMNS, _order_rows(orders, language)))
    return workbook.close()


def as_pdf(drawn: Statement, language: str) -> bytes:
    """The statement as a document: the days and the totals. The orders stand in the workbook."""
    # What draws it takes half a second to be imported, and much memory: only who prints one pays for it.
    from tearline.sales import paper_pdf

    return paper_pdf.as_pdf(_paper(drawn, language), [_days(drawn, language)])


_DAY_COLUMNS = (
    Column(_("Day"), 14, 20),
    Column(_("Offer code"), 28, 28),
    Column(_("Offer"), 28, 40),
    Column(_("Orders"), 15, 18, is_number=True),
    Column(_("Vouchers"), 15, 21, is_number=True),
    Column(_("Sold for"), 15, 24, is_number=True),
    Column(_("Commission"), 15, 26, is_number=True),
    Column(_("Payable"), 15, 27, is_number=True),
)
_ORDER_COLUMNS = (
    *(Column(label, 20) for label in (_("Paid"), _("Order"), _("Offer code"), _("Offer"))),
    *(
        Column(label, is_number=True)
        for label in (_("Vouchers"), _("Price"), _("Sold for"), _("Commission"), _("Payable"))
    ),
)


def _paper(drawn: Statement, language: str) -> Paper:
    name = f"{localised(drawn.merchant_names, language)} ({drawn.merchant_code})"
    head = [
        (translate(language, _("Partner")), name),
        *period_of(drawn.starts_at, drawn.ends_at, drawn.time_zone, language),
        (translate(language, _("Currency")), drawn.currency),
        (translate(language, _("Payable")), money(drawn.totals.payable, drawn.currency, language)),
    ]
    return Paper(
        _("Statement"), drawn.merchant_code, drawn.currency, drawn.time_zone, drawn.ends_at, language, head
    )


def _days(drawn: Statement, language: str) -> Table:
    rows = [
        (line.day, line.offer_code, localised(line.offer_names, language), *_sums(line.totals))
        for line in drawn.lines
    ]
    total = (translate(language, _("Total")), None, None, *_sums(drawn.totals))
    return Table(_("Summary"), _DAY_COLUMNS, rows, total)


def _sums(totals: Totals) -> tuple[Cell, ...]:
    amounts = (totals.amount, totals.commission, totals.payable)
    return totals.orders, totals.vouchers, *map(Amount, amounts)


def _order_rows(orders: Sequence[Row[Any]], language: str) -> Iterator[Sequence[Cell]]:
    for order in orders:
        amounts = (order.unit_price, order.amount, order.commission, order.amount - order.commission)
        names = localised(order.names, language)
        yield order.paid_at, order.number, order.code, names, order.quantity, *map(Amount, amounts)


def _require(actor: Actor, merchant_id: UUID) -> None:
    actor.require("sales.read")
    actor.require_merchant(merchant_id)


def _paid(merchant_id: UUID, starts_at: datetime, ends_at: datetime) -> tuple[Any, ...]:
    return (
        VoucherOrder.merchant_id == merchant_id,
        VoucherOrder.state == "paid",
        VoucherOrder.paid_at >= starts_at,
        VoucherOrder.paid_at < ends_at,
    )
