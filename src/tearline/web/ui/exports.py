"""Lists as files: CSV and Excel, written row by row, so that a million rows take no more memory than ten.

Texts that a spreadsheet would run as formulas are neutralised (``core.spreadsheets``); numbers stay numbers.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote
from zoneinfo import ZoneInfo

import xlsxwriter
from litestar.response import Stream
from sqlalchemy import Row

from tearline.core.spreadsheets import neutralised
from tearline.i18n import _, localised, translate
from tearline.i18n.formats import major_units
from tearline.web.ui.page import Page

CSV_MEDIA_TYPE = "text/csv"
"""Litestar adds the charset: UTF-8."""
XLSX_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_CHUNK_BYTES = 64 * 1024
_ROWS_PER_SHEET = 1_000_000
_LONGEST_CELL_CHARACTERS = 32_767
# What a spreadsheet keeps exactly; longer numbers are written as text.
_LARGEST_EXACT_NUMBER = 10**15


class ExportColumn(Protocol):
    """What an export needs to know of a list's column."""

    @property
    def label(self) -> str:
        """The heading in English."""

    @property
    def kind(self) -> str:
        """As of ``lists.Column``."""

    @property
    def blank(self) -> str:
        """As of ``lists.Column``."""

    def value(self, row: Row[Any]) -> Any:
        """The row's value."""

    def currency_of(self, row: Row[Any]) -> str:
        """The currency of an amount."""

    def label_of(self, value: Any) -> str:
        """A tag's words in English."""


def attachment(file_name: str) -> dict[str, str]:
    """The headers of a file that is to be kept under a name."""
    return {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file_name)}",
        "cache-control": "no-store",
    }


def attached(chunks: AsyncIterator[bytes], stem: str, *, is_excel: bool) -> Stream:
    """A file that is sent while it is read.

    Args:
        stem: its name without the ending.
        is_excel: otherwise it is CSV.
    """
    return Stream(
        chunks,
        media_type=XLSX_MEDIA_TYPE if is_excel else CSV_MEDIA_TYPE,
        headers=attachment(f"{stem}.{'xlsx' if is_excel else 'csv'}"),
    )


def headings(columns: Sequence[ExportColumn], page: Page) -> list[str]:
    """The first row. An amount has two cells, and a time's heading names the zone."""
    cells = []
    for column in columns:
        label = translate(page.language, column.label)
        cells.append(f"{label} ({page.time_zone})" if column.kind == "date_time" else label)
        if column.kind == "money":
            cells.append(translate(page.language, "Currency"))
    return [neutralised(cell) for cell in cells]


def cells_of(columns: Sequence[ExportColumn], row: Row[Any], page: Page) -> list[Any]:
    """A row's cells: texts, numbers, days, and times in the page's zone without an offset."""
    cells: list[Any] = []
    for column in columns:
        value = column.value(row)
        match column.kind:
            case "money":
                currency = column.currency_of(row)
                cells += [None if value is None else major_units(value, currency), currency]
                continue
            case _ if value is None and column.blank:
                value = translate(page.language, column.blank)
            case "localised":
                value = localised(value, page.language)
            case "tag" if value is not None:
                value = translate(page.language, column.label_of(value))
            case "yes_no" if value is not None:
                value = translate(page.language, _("Yes") if value else _("No"))
        cells.append(_cell(value, page))
    return cells


def _cell(value: Any, page: Page) -> Any:
    match value:
        case None:
            return None
        case datetime():
            local = value.astimezone(ZoneInfo(page.time_zone)) if value.tzinfo else value
            return local.replace(tzinfo=None, microsecond=0)
        case bool():
            return translate(page.language, _("Yes") if value else _("No"))
        case int() | float() | Decimal() as number:
            is_exact = -_LARGEST_EXACT_NUMBER < number < _LARGEST_EXACT_NUMBER
            return number if is_exact else str(number)
        case date():
            return value
        case list() | tuple():
            return neutralised(", ".join(str(one) for one in value))
        case dict():
            return neutralised(json.dumps(value, ensure_ascii=False))
    return neutralised(str(value))


async def csv_chunks(
    columns: Sequence[ExportColumn], rows: AsyncIterator[Row[Any]], page: Page
) -> AsyncIterator[bytes]:
    """A CSV file in UTF-8, with the mark by which spreadsheets recognise it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    text.write("\ufeff")
    writer.writerow(headings(columns, page))
    async for row in rows:
        writer.writerow(cells_of(columns, row, page))
        if text.tell() >= _CHUNK_BYTES:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


async def xlsx_chunks(
    columns: Sequence[ExportColumn], rows: AsyncIterator[Row[Any]], page: Page
) -> AsyncIterator[bytes]:
    """An Excel file, built on disk and then sent; a new sheet begins where Excel's limit is near."""
    with tempfile.TemporaryDirectory(prefix="tearline-export-") as directory:
        path = Path(directory) / "export.xlsx"
        workbook = xlsxwriter.Workbook(
            path,
            {
                "constant_memory": True,
                "tmpdir": directory,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        sheet = _Sheet(workbook, headings(columns, page))
        async for row in rows:
            sheet.write(cells_of(columns, row, page))
        await asyncio.to_thread(workbook.close)
        with path.open("rb") as built:
            while chunk := await asyncio.to_thread(built.read, _CHUNK_BYTES):
                yield chunk


class _Sheet:
    def __init__(self, workbook: Any, titles: list[str]) -> None:
        self._workbook = workbook
        self._titles = titles
        self._bold = workbook.add_format({"bold": True})
        self._time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        self._begin()

    def _begin(self) -> None:
        self._sheet = self._workbook.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, max(len(self._titles) - 1, 0), 18)
        for position, title in enumerate(self._titles):
            self._sheet.write_string(0, position, title, self._bold)
        self._next_row = 1

    def write(self, cells: list[Any]) -> None:
        """Append one row."""
        if self._next_row > _ROWS_PER_SHEET:
            self._begin()
        for position, cell in enumerate(cells):
            match cell:
                case None:
                    continue
                case datetime():
                    self._sheet.write_datetime(self._next_row, position, cell, self._time)
                case date():
                    self._sheet.write_datetime(self._next_row, position, cell, self._day)
                case int() | float() | Decimal():
                    self._sheet.write_number(self._next_row, position, cell)
                case _:
                    self._sheet.write_string(self._next_row, position, cell[:_LONGEST_CELL_CHARACTERS])
        self._next_row += 1
