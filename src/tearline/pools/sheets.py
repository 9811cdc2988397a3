"""Reading lists of codes: text in any common encoding, CSV with any common delimiter, XLSX.

Everything here works on a file on disk and reads it as a stream, in memory that does not grow with it. Nothing here
waits for a database, so it runs in a thread.
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from tearline.core.refusal import Refusal
from tearline.pools import workbook

MOST_UNPACKED_BYTES = 256 * 1024 * 1024
"""What an XLSX file may hold, unpacked: a million rows of a few cells."""

_CHUNK_BYTES = 1024 * 1024
_SAMPLE_CHARACTERS = 16 * 1024
_SAMPLE_BYTES = 16 * 1024
_LONGEST_LINE = 1024 * 1024
_PIECE_CHARACTERS = 64 * 1024
# Some 32,000 characters in each row.
_MOST_PIECES_IN_BATCH = 256
_DELIMITERS = ",;\t|"
# Few enough that a batch is gone before the garbage collector has looked at it twice.
_ROWS_PER_BATCH = 500
_SHARE_OF_ONE_WIDTH = 0.8
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON_ENCODINGS = [
    "cp874", "big5", "big5hkscs", "gb18030", "cp932", "euc_jp", "cp949", "cp1250", "cp1251", "cp1252", "cp1253",
    "cp1254", "cp1258", "mac_roman",
]  # fmt: skip
_ZIP_MARK = b"PK\x03\x04"
_OTHER_MARKS = (
    b"%PDF",
    b"\xd0\xcf\x11\xe0",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"\x1f\x8b",
    b"Rar!",
    b"7z\xbc\xaf",
)


class Spoilt(str):
    """What stands in a cell that isn't text, such as a number that may have been a code once."""

    __slots__ = ("problem",)
    problem: str
    """A key of ``core.pools.PROBLEMS``."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is read.

    Attributes:
        kind: ``csv``, ``txt`` (a code on each line) or ``xlsx``.
        encoding: of a text, by its Python name.
        delimiter: of ``csv``.
    """

    kind: str
    encoding: str | None = None
    delimiter: str | None = None


def recognise(path: Path, name: str, *, has_columns: bool = False) -> Form:
    """How this file is read, found out from what is in it.

    Args:
        name: the file's name where it came from; a ``.txt`` has a code on each line unless it has tabs.
        has_columns: whether lines have columns whatever the file is called.

    Raises:
        Refusal: ``unreadable_file`` when it is no list; ``too_large`` when it unpacks into too much.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if start.startswith(_ZIP_MARK):
        _check_package(path)
        return Form("xlsx")
    if not start.strip() or start.startswith(_OTHER_MARKS):
        raise Refusal("unreadable_file")
    encoding = _encoding_of(path, start)
    with path.open(encoding=encoding, errors="replace", newline="") as text:
        sample = text.read(_SAMPLE_CHARACTERS)
    delimiter = _delimiter_of(sample)
    if not has_columns and name.lower().endswith(".txt") and delimiter != "\t":
        return Form("txt", encoding)
    return Form("csv", encoding, delimiter or ",")


def rows(path: Path, form: Form) -> Iterator[list[str]]:
    """The rows that have something in them, as their cells' texts; cells that aren't text are ``Spoilt``.

    Raises:
        Refusal: ``unreadable_file`` when the file turns out to be broken further on; ``too_large`` when its cells
            refer to too much text.
    """
    for _number, row in numbered_rows(path, form):
        yield row


def numbered_rows(path: Path, form: Form) -> Iterator[tuple[int, list[str]]]:
    """The same, each after its number as a spreadsheet shows it, from 1: blank rows count, and a row whose cell has
    several lines is one.

    Raises:
        Refusal: as ``rows``.
    """
    for numbers, batch in _batches(path, form):
        for number, row in zip(numbers, batch, strict=True):
            if _has_something(row):
                yield number, row


def cells(path: Path, form: Form, column: int, *, has_heading: bool) -> Iterator[list[str]]:
    """One column of the rows that have something in them, many at a time; "" where a row is shorter."""
    is_heading_to_come = has_heading
    for _numbers, batch in _batches(path, form):
        found = _column(batch, column)
        if is_heading_to_come and found:
            del found[0]
            is_heading_to_come = False
        yield found


def _column(batch: list[list[str]], column: int) -> list[str]:
    # By far most batches have a code in each row, and are done with in two steps.
    try:
        found = [row[column] for row in batch]
    except IndexError:
        found = []
    if found and all(map(str.strip, found)):
        return found
    return [row[column] if len(row) > column else "" for row in batch if _has_something(row)]


def _has_something(row: list[str]) -> bool:
    return any(row) and any(map(str.strip, row))


def _batches(path: Path, form: Form) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    """The rows, many at a time, blank ones of texts too, after their numbers."""
    if form.kind == "xlsx":
        for numbers, batch in workbook.batches(path):
            if {*map(type, chain.from_iterable(batch))} == {str}:
                yield numbers, batch
            else:
                yield (
                    numbers,
                    [[value if type(value) is str else _spoilt(value) for value in row] for row in batch],
                )
        return
    try:
        with path.open(encoding=form.encoding, errors="replace", newline="") as text:
            yield from _batches_of_text(text, form.delimiter)
    except (csv.Error, UnicodeError) as error:
        raise Refusal("unreadable_file") from error


def _batches_of_text(text: TextIO, delimiter: str | None) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    pieces = 0

    def counted() -> Iterator[list[str]]:
        nonlocal pieces
        for lines in _lines(text):
            # Cells of several lines can make a row as long as the file.
            pieces += 1
            if pieces > _MOST_PIECES_IN_BATCH:
                raise Refusal("unreadable_file")
            yield lines

    lines = chain.from_iterable(counted())
    found: Iterator[list[str]] = csv.reader(lines, delimiter=delimiter or ",")
    if delimiter is None:
        found = ([line.strip()] for line in lines)
    first = 1
    while batch := list(islice(found, _ROWS_PER_BATCH)):
        pieces = 0
        yield range(first, first + len(batch)), batch
        first += len(batch)


def _lines(text: TextIO) -> Iterator[list[str]]:
    """The lines with their ends, many at a time. A line that does not end is not waited for."""
    rest = ""
    while piece := text.read(_PIECE_CHARACTERS):
        *lines, rest = io.StringIO(rest + piece, newline="").readlines()
        if len(rest) > _LONGEST_LINE:
            raise Refusal("unreadable_file")
        yield lines
    if rest:
        yield [rest]


class _PackageFile(io.FileIO):
    """A package, whose directory ``zipfile`` reads in one go and turns into objects before anything can be checked."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file; refuses what can only be the directory of far too many files."""
        if (size or 0) > _CHUNK_BYTES:
            raise Refusal("too_large")
        return super().read(size)


def _check_package(path: Path) -> None:
    """Refuse a package that is no workbook, or that says it is smaller than it is."""
    unpacked = 0
    try:
        with _PackageFile(path) as file, zipfile.ZipFile(file) as package:
            if "[Content_Types].xml" not in package.namelist():
                raise Refusal("unreadable_file")
            for entry in package.infolist():
                # What else ZIP knows, no spreadsheet program uses; some of it asks for any amount of memory.
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise Refusal("unreadable_file")
                # Unpacked up to the size that it declares and checked, so that it can't be a bomb.
                with package.open(entry) as content:
                    while chunk := content.read(_CHUNK_BYTES):
                        unpacked += len(chunk)
                        if unpacked > MOST_UNPACKED_BYTES:
                            raise Refusal("too_large")
    except workbook.PACKAGE_ERRORS as error:
        raise Refusal("unreadable_file") from error


def _encoding_of(path: Path, start: bytes) -> str:
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if 0 in start:
        return _encoding_with_zeros(start)
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, unusual = True, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if 0 in chunk:
                raise Refusal("unreadable_file")
            if is_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
            if len(unusual) < _SAMPLE_BYTES and not chunk.isascii():
                lines = islice((line for line in chunk.splitlines() if not line.isascii()), 400)
                unusual += b"\n".join(lines)[:_SAMPLE_BYTES] + b"\n"
    return "utf-8" if is_utf8 else _guessed_encoding(unusual)


def _encoding_with_zeros(start: bytes) -> str:
    """UTF-16 without its mark: every other byte of plain letters and digits is zero."""
    whole = start[: len(start) // 2 * 2]
    encoding = "utf-16-le" if whole[1::2].count(0) > whole[::2].count(0) else "utf-16-be"
    # The last character may be cut in half.
    if "\0" in codecs.getincrementaldecoder(encoding)("replace").decode(whole):
        raise Refusal("unreadable_file")
    return encoding


def _guessed_encoding(sample: bytes) -> str:
    # Loads tables of languages: only when they are needed.
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_COMMON_ENCODINGS).best()
    return "cp1252" if best is None else best.encoding


def _delimiter_of(sample: str) -> str | None:
    """What parts the cells of most lines; None when each line is one cell."""
    lines = sample.splitlines()
    # The last line is probably cut.
    lines = [line for line in (lines[:-1] if len(lines) > 1 else lines) if line.strip()]
    found: dict[str, tuple[float, int]] = {}
    for delimiter in _DELIMITERS:
        try:
            rows = list(csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            continue
        (width, count), *_ = Counter(map(len, rows)).most_common(1) or [(0, 0)]
        if width > 1 and count >= _SHARE_OF_ONE_WIDTH * len(rows):
            found[delimiter] = count / len(rows), -sum(len(row[0]) for row in rows)
    # A comma in each text parts most lines, too, but not the heading. If it does, it comes later than what parts cells.
    return max(found, key=found.__getitem__, default=None)


def decimal(number: float) -> str:
    """A number as one writes it. What a spreadsheet has reckoned is off by less than the nine decimals it gets."""
    return f"{number:z.9f}".rstrip("0").rstrip(".")


def _spoilt(value: Any) -> Spoilt:
    if isinstance(value, workbook.Percentage):
        made, problem = Spoilt(f"{decimal(value * 100)}%"), "number"
    elif isinstance(value, bool) or not isinstance(value, int | float):
        made, problem = Spoilt(value), "not_text"
    else:
        is_whole = float(value).is_integer() and abs(value) < 10**21
        made = Spoilt(f"{value:.0f}" if is_whole else value)
        problem = "digits_lost" if abs(value) >= 10**15 else "number"
    made.problem = problem
    return made
