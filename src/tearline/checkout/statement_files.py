"""Settlement as files: of a merchant a workbook with every entry, or a document to print; of all a row for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.statements import (
    KINDS,
    Figures,
    MerchantTotals,
    OfferLine,
    Settlement,
    Totals,
    entry_lines,
    read_only,
    settlement,
    settlement_of_all,
)
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.settlement import is_final
from tearline.db import Database
from tearline.i18n import _, localised, translate
from tearline.i18n.formats import money
from tearline.sales.papers import Amount, Cell, Column, Paper, Table, Workbook, period_of

MOST_LINES = 500_000
"""Entries that one workbook lists at the most; a longer one is asked for in shorter periods."""
_LINES_AT_ONCE = 2_000

COLLECTOR_NAMES = {"platform": _("The platform took the money"), "merchant": _("The merchant took the money")}
KIND_NAMES = {"payment": _("Payments"), "refund": _("Refunds"), "adjustment": _("Adjustments")}
ACCOUNT_NAMES = {
    "customer": _("Paid by customers"),
    "platform": _("Borne by the platform"),
    "merchant_discount": _("Borne by the merchant"),
    "merchant": _("Sold by the merchant"),
}


async def settlement_file(
    database: Database,
    actor: Actor,
    merchant_id: UUID,
    currency: str,
    starts_at: datetime,
    ends_at: datetime,
    time_zone: str,
    now: datetime,
    *,
    kind: Literal["xlsx", "pdf"],
    language: str,
) -> tuple[str, bytes]:
    """A settlement as a file: its name and content.

    Raises:
        Refusal: as ``settlement``; ``invalid`` for a workbook of more than ``MOST_LINES``.
    """
    async with database.connection() as connection:
        await read_only(connection)
        drawn = await settlement(connection, actor, merchant_id, currency, starts_at, ends_at, time_zone, now)
        if kind == "xlsx":
            content = await _workbook(connection, actor, drawn, language)
    # What takes its time to be drawn is drawn beside whatever else is answered, and without a connection.
    if kind == "pdf":
        content = await asyncio.to_thread(as_pdf, drawn, language)
    return file_name(drawn, kind), content


def file_name(drawn: Settlement, kind: str) -> str:
    """What a file of it is called."""
    name = f"settlement-{drawn.merchant_code}-{drawn.currency}"
    return _file_name(name, drawn.starts_at, drawn.time_zone, kind, is_final=drawn.is_final)


def _file_name(name: str, starts_at: datetime, time_zone: str, kind: str, *, is_final: bool) -> str:
    first_day = starts_at.astimezone(ZoneInfo(time_zone)).date()
    return f"{name}-{first_day}{'' if is_final else '-provisional'}.{kind}"


def as_pdf(drawn: Settlement, language: str) -> bytes:
    """The settlement as a document: its sums, by day and by offer. The entries stand in the workbook."""
    # What draws it takes half a second to be imported, and much memory: only who prints one pays for it.
    from tearline.sales import paper_pdf

    return paper_pdf.as_pdf(_paper(drawn, language), _tables(drawn, language))


async def overview_file(
    database: Database,
    actor: Actor,
    currency: str,
    starts_at: datetime,
    ends_at: datetime,
    time_zone: str,
    now: datetime,
    *,
    kind: Literal["xlsx", "pdf"],
    language: str,
) -> tuple[str, bytes]:
    """What each merchant and the platform owe each other, as a file: its name and content.

    Raises:
        Refusal: as ``settlement_of_all``.
    """
    async with database.connection() as connection:
        found = await settlement_of_all(connection, actor, currency, starts_at, ends_at)
    head = [
        *period_of(starts_at, ends_at, time_zone, language),
        (translate(language, _("Currency")), currency),
        *_finality(is_final(ends_at, now), language),
    ]
    paper = Paper(_("Settlement"), currency, currency, time_zone, ends_at, language, head)
    rows = [_overview_cells(one, language) for one in found]
    whole = sum((one.totals for one in found), Totals())
    name, corrections = translate(language, _("Total")), Amount(whole.adjustments)
    total = (name, corrections, *_figure_cells(whole.of(), whole.payable))
    table = Table(_("Merchants"), _OVERVIEW_COLUMNS, rows, total)
    content = await asyncio.to_thread(_overview, paper, table, kind)
    name = f"settlement-{currency}"
    return _file_name(name, starts_at, time_zone, kind, is_final=is_final(ends_at, now)), content


def _overview(paper: Paper, table: Table, kind: str) -> bytes:
    if kind == "pdf":
        from tearline.sales import paper_pdf

        return paper_pdf.as_pdf(paper, [table])
    workbook = Workbook(paper)
    workbook.write(table, with_head=True)
    return workbook.close()


def _overview_cells(one: MerchantTotals, language: str) -> Sequence[Cell]:
    name = f"{localised(one.merchant_names, language)} ({one.merchant_code})"
    totals = one.totals
    return name, Amount(totals.adjustments), *_figure_cells(totals.of(), totals.payable)


async def _workbook(connection: AsyncConnection, actor: Actor, drawn: Settlement, language: str) -> bytes:
    """The settlement as a workbook: its sums, by day, by offer, and every entry, read and written bit by bit."""
    lines = entry_lines(actor, drawn.merchant_id, drawn.currency, drawn.starts_at, drawn.ends_at)
    count = await connection.scalar(select(func.count()).select_from(lines.order_by(None).subquery()))
    if (count or 0) > MOST_LINES:
        raise Refusal("invalid", fields={"ends_at": _("These are too many entries for one statement.")})
    workbook = Workbook(_paper(drawn, language))
    for number, table in enumerate(_tables(drawn, language)):
        workbook.write(table, with_head=number == 0)
    sheet = workbook.begin(Table(_("Entries"), _LINE_COLUMNS))
    async with connection.stream(lines) as streamed:
        rows: AsyncIterator[Sequence[Row[Any]]] = streamed.partitions(_LINES_AT_ONCE)
        async for some in rows:
            await asyncio.to_thread(sheet.add, _lines(some, language))
    return await asyncio.to_thread(workbook.close)


def _paper(drawn: Settlement, language: str) -> Paper:
    name = f"{localised(drawn.merchant_names, language)} ({drawn.merchant_code})"
    owed = drawn.totals.payable
    payable = _("The platform owes the merchant") if owed >= 0 else _("The merchant owes the platform")
    head = [
        (translate(language, _("Merchant")), name),
        *period_of(drawn.starts_at, drawn.ends_at, drawn.time_zone, language),
        (translate(language, _("Currency")), drawn.currency),
        (translate(language, payable), money(abs(owed), drawn.currency, language)),
        *_finality(drawn.is_final, language),
    ]
    return Paper(
        _("Settlement"), drawn.merchant_code, drawn.currency, drawn.time_zone, drawn.ends_at, language, head
    )


def _finality(is_final: bool, language: str) -> list[tuple[str, str]]:
    """The line of a paper's head that says of a period which is not over, or only just, that more may come."""
    if is_final:
        return []
    when = translate(language, _("final ten minutes after the period's end"))
    return [(translate(language, _("Provisional")), when)]


def _tables(drawn: Settlement, language: str) -> list[Table]:
    return [_summary(drawn, language), _days(drawn, language), _offers(drawn, language)]


def _amounts(*labels: str) -> tuple[Column, ...]:
    return tuple(Column(label, 17, 21, is_number=True) for label in labels)


_FIGURE_COLUMNS = _amounts(
    _("Sold"), _("Merchant's discounts"), _("Platform's discounts"), _("Points"), _("Customers paid"),
    _("Payable"),
)  # fmt: skip
_SUMMARY_COLUMNS = (Column("", 30, 36), Column(_("Count"), 10, 16, is_number=True), *_FIGURE_COLUMNS)
_OVERVIEW_COLUMNS = (
    Column(_("Merchant"), 40, 34),
    Column(_("Adjustments"), 17, 21, is_number=True),
    *_FIGURE_COLUMNS,
)
_DAY_COLUMNS = (Column(_("Day"), 30, 24), Column(_("Kind"), 16, 28), *_FIGURE_COLUMNS)
_OFFER_COLUMNS = (
    Column(_("Offer code"), 30, 24),
    Column(_("Offer"), 28, 34),
    *_amounts(
        _("The platform gave"), _("of it undone"), _("The platform bears"),
        _("The merchant gave"), _("of it undone"), _("The merchant bears"),
    ),
)  # fmt: skip
_LINE_COLUMNS = (
    *(Column(label, 20) for label in (_("Time"), _("Kind"), _("Money taken by"), _("Order"), _("Line"))),
    *(Column(label, 20) for label in (_("Offer code"), _("Offer"), _("Account"))),
    Column(_("Amount"), 15, is_number=True),
    Column(_("Note"), 30),
)


def _figure_cells(figures: Figures, payable: int) -> tuple[Cell, ...]:
    amounts = (figures.sales, figures.merchant_discount, figures.subsidy, figures.points, figures.paid)
    return *map(Amount, amounts), Amount(payable)


def _summary(drawn: Settlement, language: str) -> Table:
    rows: list[Sequence[Cell]] = []
    totals = drawn.totals
    for collector, collector_name in COLLECTOR_NAMES.items():
        if not totals.only(collected_by=collector).is_empty:
            rows.append((translate(language, collector_name),))
        for kind in KINDS:
            of_kind = totals.only(kind, collector)
            if not of_kind.is_empty:
                figures = of_kind.of()
                name = translate(language, KIND_NAMES[kind])
                rows.append((name, figures.count, *_figure_cells(figures, of_kind.payable)))
    corrections = totals.of("adjustment")
    if corrections.count:
        name = translate(language, KIND_NAMES["adjustment"])
        rows.append((name, corrections.count, *[None] * 5, Amount(totals.adjustments)))
    rows = [(*row, *[None] * (len(_SUMMARY_COLUMNS) - len(row))) for row in rows]
    total = (translate(language, _("Total")), None, *_figure_cells(totals.of(), totals.payable))
    return Table(_("Summary"), _SUMMARY_COLUMNS, rows, total)


def _days(drawn: Settlement, language: str) -> Table:
    rows: list[Sequence[Cell]] = []
    for line in drawn.days:
        for kind in KINDS:
            of_kind = line.totals.only(kind)
            if of_kind.is_empty:
                continue
            name = translate(language, KIND_NAMES[kind])
            if kind == "adjustment":
                rows.append((line.day, name, *[None] * 5, Amount(of_kind.adjustments)))
            else:
                rows.append((line.day, name, *_figure_cells(of_kind.of(), of_kind.payable)))
    totals = drawn.totals
    total = (translate(language, _("Total")), None, *_figure_cells(totals.of(), totals.payable))
    return Table(_("By day"), _DAY_COLUMNS, rows, total)


def _offers(drawn: Settlement, language: str) -> Table:
    rows = []
    for line in drawn.offers:
        name = localised(line.names, language) if line.names else translate(language, _("Points"))
        rows.append((line.code, name, *_borne_cells([line])))
    total = (translate(language, _("Total")), None, *_borne_cells(drawn.offers))
    return Table(_("By offer"), _OFFER_COLUMNS, rows, total)


def _borne_cells(lines: Sequence[OfferLine]) -> tuple[Cell, ...]:
    return (
        Amount(sum(one.given.platform for one in lines)),
        Amount(sum(one.undone.platform for one in lines)),
        Amount(sum(one.net.platform for one in lines)),
        Amount(sum(one.given.merchant for one in lines)),
        Amount(sum(one.undone.merchant for one in lines)),
        Amount(sum(one.net.merchant for one in lines)),
    )


def _lines(rows: Sequence[Row[Any]], language: str) -> Iterator[Sequence[Cell]]:
    for row in rows:
        yield (
            row.occurred_at,
            translate(language, ENTRY_KIND_NAMES[row.kind]),
            translate(language, _COLLECTORS[row.collected_by]) if row.collected_by else None,
            row.number,
            row.line_key,
            row.offer_code,
            localised(row.offer_names, language) if row.offer_names else None,
            translate(language, ACCOUNT_NAMES[row.account]),
            Amount(row.amount),
            row.note,
        )


ENTRY_KIND_NAMES = {"payment": _("Payment"), "refund": _("Refund"), "adjustment": _("Adjustment")}
_COLLECTORS = {"platform": _("Platform"), "merchant": _("Merchant")}
