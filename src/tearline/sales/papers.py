"""A statement as a paper: what it says of itself, and tables of money; drawn as a workbook here, and as a PDF.

Whoever draws one up says what stands in its cells; how cells look, and what a spreadsheet must not run, is seen to
here and in ``paper_pdf``. The same paper is the same file whenever it is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import xlsxwriter

from tearline.core.spreadsheets import neutralised
from tearline.i18n import _, translate
from tearline.i18n.formats import day, major_units, minor_digits

_LONGEST_SHEET_NAME, _LONGEST_CELL = 31, 32_767
"""Characters; longer ones Excel refuses."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount in a cell: minor units of the paper's currency."""

    minor_units: int


Cell: TypeAlias = str | int | Amount | date | datetime | None
"""A text, a count, an amount, a day, or a moment, which is shown in the paper's time zone."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        label: in English.
        width: in a workbook, in characters.
        share: of the width of a printed page, in millimetres; of 178 on an upright page.
        is_number: whether it stands flush right.
    """

    label: str
    width: int = 15
    share: int = 25
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table: a sheet of a workbook, or a part of a printed page.

    Attributes:
        name: in English: the sheet's, and the heading on the page.
        rows: a cell for each column.
        total: a last row, in strong type.
    """

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]] = ()
    total: Sequence[Cell] | None = None


@dataclass(frozen=True, slots=True)
class Paper:
    """What all pages of a paper share.

    Attributes:
        title: in English.
        subject: whose it is: the code of a merchant.
        dated: when it is said to be made, so that it is the same file every time.
        head: what it says of itself: labels and values, in the paper's language.
    """

    title: str
    subject: str
    currency: str
    time_zone: str
    dated: datetime
    language: str
    head: Sequence[tuple[str, str]]


def headings(columns: Iterable[Column], language: str) -> Iterator[str]:
    """The names of columns in a language."""
    return (translate(language, column.label) for column in columns)


def period_of(starts_at: datetime, ends_at: datetime, time_zone: str, language: str) -> list[tuple[str, str]]:
    """The lines of a paper's head that say of what period it is."""
    return [
        (translate(language, _("From")), day(starts_at, language, time_zone)),
        (translate(language, _("To, not included")), day(ends_at, language, time_zone)),
        (translate(language, _("Time zone")), time_zone),
    ]


class Workbook:
    """A paper as an Excel file, written row by row, so that memory does not grow with its length."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper
        self._file = io.BytesIO()
        self._book = xlsxwriter.Workbook(self._file, {"constant_memory": True})
        self._book.set_properties({"title": f"{paper.title} {paper.subject}", "created": paper.dated})
        digits = minor_digits(paper.currency)
        self._amount_format = "#,##0" + ("." + "0" * digits if digits else "")
        self._styles: dict[tuple[str, bool], Any] = {}

    def write(self, table: Table, *, with_head: bool = False) -> None:
        """Write a table on a sheet of its own.

        Args:
            with_head: whether the paper's head stands above it.
        """
        sheet = self.begin(table, with_head=with_head)
        sheet.add(table.rows)
        if table.total is not None:
            sheet.add([table.total], is_strong=True)

    def begin(self, table: Table, *, with_head: bool = False) -> Sheet:
        """Begin a table's sheet, for rows that come by and by; no other sheet is written to from then on."""
        name = translate(self._paper.language, table.name)[:_LONGEST_SHEET_NAME]
        sheet = Sheet(self, self._book.add_worksheet(name), ZoneInfo(self._paper.time_zone))
        for position, column in enumerate(table.columns):
            sheet.widen(position, column.width)
        if with_head:
            for label, value in self._paper.head:
                sheet.add([[label, value]], strong_cells=1)
            sheet.skip()
        sheet.add([list(headings(table.columns, self._paper.language))], is_strong=True)
        return sheet

    def close(self) -> bytes:
        """The file."""
        self._book.close()
        return self._file.getvalue()

    def amount(self, amount: Amount) -> float:
        """An amount as spreadsheets have it."""
        return float(major_units(amount.minor_units, self._paper.currency))

    def style(self, kind: str, is_strong: bool) -> Any:
        """How a kind of cell looks: ``text``, ``amount``, ``day`` or ``moment``."""
        known = self._styles.get((kind, is_strong))
        if known is None:
            shapes = {"amount": self._amount_format, "day": "yyyy-mm-dd", "moment": "yyyy-mm-dd hh:mm:ss"}
            wanted = {"num_format": shapes[kind]} if kind in shapes else {}
            known = self._book.add_format({**wanted, **({"bold": True} if is_strong else {})})
            self._styles[kind, is_strong] = known
        return known


class Sheet:
    """One sheet of a workbook that is being written, from its top to its end."""

    def __init__(self, workbook: Workbook, sheet: Any, zone: ZoneInfo) -> None:
        self._workbook = workbook
        self._sheet = sheet
        self._zone = zone
        self._row = 0

    def widen(self, position: int, width: int) -> None:
        """Give a column its width, in characters."""
        self._sheet.set_column(position, position, width)

    def skip(self) -> None:
        """Leave a row empty."""
        self._row += 1

    def add(self, rows: Iterable[Sequence[Cell]], *, is_strong: bool = False, strong_cells: int = 0) -> None:
        """Append rows.

        Args:
            strong_cells: how many of each row's first cells are in strong type, where not all are.
        """
        for row in rows:
            for position, cell in enumerate(row):
                self._write(position, cell, is_strong or position < strong_cells)
            self._row += 1

    def _write(self, position: int, cell: Cell, is_strong: bool) -> None:
        style = self._workbook.style
        match cell:
            case None:
                return
            case Amount():
                value = self._workbook.amount(cell)
                self._sheet.write_number(self._row, position, value, style("amount", is_strong))
            case datetime():
                local = cell.astimezone(self._zone).replace(tzinfo=None, microsecond=0)
                self._sheet.write_datetime(self._row, position, local, style("moment", is_strong))
            case date():
                self._sheet.write_datetime(self._row, position, cell, style("day", is_strong))
            case int():
                self._sheet.write_number(self._row, position, cell, style("text", is_strong))
            case str():
                text = neutralised(cell)[:_LONGEST_CELL]
                self._sheet.write_string(self._row, position, text, style("text", is_strong))
