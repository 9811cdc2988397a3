"""Reading the first sheet of an XLSX workbook as a stream, in memory that does not grow with the sheet.

A workbook is a package (ZIP) of XML parts. Which of them are needed is found out here; ``workbook_sheet`` reads the
sheet, ``workbook_texts`` the table of the texts to which its cells refer. Neither is read further than asked for.

What a sheet holds is answered as python-calamine would, with which the tests compare it, but for this: a row is as
long as its last cell, rows that hold nothing are left out, a number that is shown as a percentage says so, and what
could only be guessed (rows out of order, a cell in another row than it says, an index that is no number) is refused.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

from tearline.core.refusal import Refusal
from tearline.pools.workbook_sheet import MOST_COLUMNS, Sheet
from tearline.pools.workbook_texts import Texts
from tearline.pools.workbook_xml import Document

PACKAGE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    OSError,
    OverflowError,
    ValueError,
)
"""What ``zipfile`` raises over a package that is broken, encrypted or packed in another way."""

# Few enough rows that a batch is gone before the garbage collector has looked at it twice.
_PIECE_BYTES = 32 * 1024
_MOST_RELATIONSHIPS = 10_000
# Excel has no more.
_MOST_FORMATS = 65_536
_FORMATS_OF_MOMENTS = frozenset(map(str, (*range(14, 23), 45, 47)))
_FORMAT_OF_DURATIONS = "46"
_FORMATS_OF_PERCENTAGES = ("9", "10")
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - the dates of a sheet have no zone
_DAYS_TO_1904 = 1462
_MILLISECONDS_A_DAY = 86_400_000
_LITERALS_IN_FORMAT = re.compile(r'[_\\*].|"[^"]*"?', re.DOTALL)
_SIGN_IN_FORMAT = re.compile(r"(\[(?:h+|m+|s+)\])|\[[^\]]*\]?|([dmhys]|a/p)|(%)", re.IGNORECASE)


class Format(IntEnum):
    """What a cell's style makes of a number."""

    NUMBER = 0
    MOMENT = 1
    DURATION = 2
    PERCENTAGE = 3


class Percentage(float):
    """A number that the sheet shows as a percentage: 0.05, which a person has typed as 5%."""


@dataclass(frozen=True, slots=True)
class Formats:
    """What the styles of a workbook make of numbers.

    Attributes:
        of_styles: a ``Format`` for each style, by its index.
        counts_from_1904: whether dates are days from 1904 on, as they were on the Macintosh, instead of 1900.
    """

    of_styles: bytes
    counts_from_1904: bool

    def value(self, number: float, style: int | None) -> float | date | time | timedelta:
        """What a number is in the style of an index; a date that is beyond the calendar is a number."""
        if style is None or style >= len(self.of_styles) or self.of_styles[style] == Format.NUMBER:
            return number
        if self.of_styles[style] == Format.PERCENTAGE:
            return Percentage(number)
        try:
            if self.of_styles[style] == Format.DURATION:
                return timedelta(milliseconds=round(number * _MILLISECONDS_A_DAY))
            days = number + _DAYS_TO_1904 if self.counts_from_1904 else number
            # Day 60 is the 29th of February 1900, which never was.
            days = days if days >= 60 else days + 1
            moment = _EPOCH + timedelta(milliseconds=round(days * _MILLISECONDS_A_DAY))
        except (OverflowError, ValueError):
            return number
        if number < 1:
            return moment.time()
        return moment.date() if number.is_integer() else moment


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where in the package things are; ``texts`` and ``formats`` are None where there are none."""

    sheet: str
    texts: str | None
    formats: str | None
    counts_from_1904: bool


def batches(path: Path) -> Iterator[tuple[list[int], list[list[Any]]]]:
    """The rows of the first visible worksheet that hold something, some hundred at a time, after their numbers.

    Text is a ``str``, a number a ``float``; further there are ``bool``, and what a number's format makes of it:
    ``Percentage``, ``date``, ``time``, ``datetime`` and ``timedelta``. Empty cells and errors such as ``#N/A`` are
    "". Columns are counted from the first that holds anything.

    Raises:
        Refusal: ``unreadable_file`` when it is no workbook, has no such sheet, is broken, or has a row or a text
            longer than any that spreadsheet programs write; ``too_large`` when its cells refer to too much text.
    """
    try:
        archive = zipfile.ZipFile(path)
    except PACKAGE_ERRORS as error:
        raise Refusal("unreadable_file") from error
    with archive:
        package = _Package(archive)
        parts = _parts_of(package)
        formats = _formats_of(package, parts)
        first_column = _first_column(package, parts, formats)
        for sheet in _reading(package, parts, formats, first_column):
            numbers, rows = sheet.taken()
            if rows:
                yield numbers, rows


def _first_column(package: _Package, parts: _Parts, formats: Formats) -> int:
    """The first column that holds anything, from 0. Mostly the sheet's beginning tells: it is column A."""
    found = 0
    for sheet in _reading(package, parts, formats, 0):
        sheet.taken()
        found = sheet.least_column
        if found == 0:
            break
    return 0 if found == MOST_COLUMNS else found


def _reading(package: _Package, parts: _Parts, formats: Formats, first_column: int) -> Iterator[Sheet]:
    """The sheet again and again, with more rows read each time."""
    with tempfile.TemporaryFile(prefix="tearline-texts-", buffering=0) as spill:
        texts = Texts(package.pieces(parts.texts) if parts.texts else None, spill)
        sheet = Sheet(texts, formats.value, first_column)
        for piece in package.pieces(parts.sheet):
            sheet.feed(piece)
            yield sheet
        sheet.finish()
        yield sheet
        # Whatever the sheet doesn't need may be broken too.
        while texts.read_on():
            pass


class _Package:
    """The parts of a package, by names in which case does not matter."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries = {entry.filename.replace("\\", "/").lower(): entry for entry in archive.infolist()}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._entries

    def pieces(self, name: str) -> Iterator[bytes]:
        """A part's content, piece by piece."""
        entry = self._entries.get(name.lower())
        if entry is None:
            raise Refusal("unreadable_file")
        try:
            with self._archive.open(entry) as content:
                while piece := content.read(_PIECE_BYTES):
                    yield piece
        except PACKAGE_ERRORS as error:
            raise Refusal("unreadable_file") from error

    def read(self, name: str, document: Document) -> None:
        """Read the whole part."""
        for piece in self.pieces(name):
            document.parse(piece)
        document.finish()


def _parts_of(package: _Package) -> _Parts:
    of_package = _Relationships("")
    package.read("_rels/.rels", of_package)
    workbook = of_package.by_kind.get("officeDocument")
    if workbook is None:
        raise Refusal("unreadable_file")
    folder, name = posixpath.split(workbook)
    relationships = _Relationships(folder)
    package.read(posixpath.join(folder, "_rels", f"{name}.rels"), relationships)
    book = _Book(relationships.sheets)
    package.read(workbook, book)
    if book.first_sheet is None:
        raise Refusal("unreadable_file")

    def beside(kind: str, usual_name: str) -> str | None:
        usual = posixpath.join(folder, usual_name)
        return relationships.by_kind.get(kind) or (usual if usual in package else None)

    return _Parts(
        sheet=book.first_sheet,
        texts=beside("sharedStrings", "sharedStrings.xml"),
        formats=beside("styles", "styles.xml"),
        counts_from_1904=book.counts_from_1904,
    )


def _formats_of(package: _Package, parts: _Parts) -> Formats:
    styles = _Styles()
    if parts.formats:
        package.read(parts.formats, styles)
    return Formats(bytes(styles.formats), parts.counts_from_1904)


class _Relationships(Document):
    """What a part refers to: the sheets by their ids, the rest by its kind."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self.sheets: dict[str, str | None] = {}
        """None for a sheet that is no worksheet, such as a chart."""
        self.by_kind: dict[str, str] = {}

    def started(self, name: str, attributes: dict[str, str]) -> None:
        if name != "Relationship":
            return
        kind = attributes.get("Type", "").rpartition("/")[2]
        # A leading slash begins at the package's root, and join() lets it.
        target = posixpath.normpath(posixpath.join("/", self._folder, attributes.get("Target", "")))[1:]
        if kind.lower().endswith("sheet"):
            self.sheets[attributes.get("Id", "")] = target if kind == "worksheet" else None
        elif kind in ("officeDocument", "sharedStrings", "styles"):
            self.by_kind[kind] = target
        if len(self.sheets) > _MOST_RELATIONSHIPS:
            raise Refusal("unreadable_file")


class _Book(Document):
    """Which sheet is the first visible worksheet, and how its dates are counted."""

    def __init__(self, sheets: dict[str, str | None]) -> None:
        super().__init__()
        self._sheets = sheets
        self.first_sheet: str | None = None
        self.counts_from_1904 = False

    def started(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.counts_from_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "sheet" and attributes.get("state", "visible") == "visible" and self.first_sheet is None:
            ids = [value for key, value in attributes.items() if key.rpartition(":")[2] == "id"]
            if not ids or ids[-1] not in self._sheets:
                raise Refusal("unreadable_file")
            self.first_sheet = self._sheets[ids[-1]]


class _Styles(Document):
    """What each style makes of a number, by the style's index."""

    def __init__(self) -> None:
        super().__init__()
        self.formats = bytearray()
        self._own_formats: dict[str, Format] = {}
        self._is_in_styles = False

    def started(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self._own_formats[attributes.get("numFmtId", "")] = _format_of(attributes.get("formatCode", ""))
        elif name == "cellXfs":
            self._is_in_styles = True
        elif name == "xf" and self._is_in_styles:
            number = attributes.get("numFmtId", "")
            self.formats.append(self._own_formats.get(number, _built_in_format(number)))
        if max(len(self.formats), len(self._own_formats)) > _MOST_FORMATS:
            raise Refusal("unreadable_file")

    def ended(self, name: str) -> None:
        if name == "cellXfs":
            self._is_in_styles = False


def _built_in_format(number: str) -> Format:
    if number in _FORMATS_OF_MOMENTS:
        return Format.MOMENT
    if number in _FORMATS_OF_PERCENTAGES:
        return Format.PERCENTAGE
    return Format.DURATION if number == _FORMAT_OF_DURATIONS else Format.NUMBER


def _format_of(code: str) -> Format:
    """What a format such as ``yyyy-mm-dd``, ``[h]:mm`` or ``0%`` makes of a number; its first section decides."""
    tokens = _LITERALS_IN_FORMAT.sub("", code).partition(";")[0]
    for found in _SIGN_IN_FORMAT.finditer(tokens):
        if found[1]:
            return Format.DURATION
        if found[2]:
            return Format.MOMENT
        if found[3]:
            return Format.PERCENTAGE
    return Format.NUMBER
