"""A sheet of a workbook, read as a stream of rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from functools import lru_cache
from operator import lt
from typing import Any

from tearline.core.refusal import Refusal
from tearline.pools.workbook_texts import MOST_AT_ONCE, Texts
from tearline.pools.workbook_xml import (
    PLAIN_ATTRIBUTES,
    PLAIN_TEXT,
    LongDocument,
    decoded,
    plain_pattern,
    tidied,
    tidied_all,
)

MOST_COLUMNS = 16_384
MOST_ROWS = 1_048_576

# Characters, as in a line of a CSV file; a cell counts for the bytes of its place as well.
_LONGEST_ROW = 1024 * 1024
_WEIGHT_OF_CELL = 8
_MOST_DIGITS = 9

_REFERENCE = re.compile("([A-Za-z]{1,3})([0-9]{1,7})")
# Nothing may stand around it or in between: " 1" and "1_000" are texts.
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE
)


def _plain_cell(number: str) -> str:
    """A cell of a row of this number."""
    return (
        rf'<P:c r="(?P<letters>[A-Z]{{1,3}}){number}"(?: s="(?P<style>[0-9]{{1,9}})")?(?: t="(?P<kind>[A-Za-z]+)")?'
        rf"(?:/>|>(?:<P:f{PLAIN_ATTRIBUTES}(?:/>|>[^<&]*</P:f>))?"
        rf"(?:<P:v>(?P<text>{PLAIN_TEXT}+)</P:v>|"
        rf'<P:is><P:t(?P<is_space_kept> xml:space="preserve")?>(?P<inline>{PLAIN_TEXT}+)</P:t></P:is>)</P:c>)'
    )


_PLAIN_CELL = _plain_cell("(?P<number>[0-9]+)")
_CELL_OF_ROW = re.sub(r"\(\?P<\w+>", "(?:", _plain_cell(r"\1"))
_ROW = rf'<P:row r="([0-9]{{1,7}})"{PLAIN_ATTRIBUTES}'
_ONE_CELL = rf'{_ROW}><P:c r="([A-Z]{{1,3}})\1"(?: s="[0-9]{{1,9}}")?'
_ROW_OF_ONE_TEXT_IN_TABLE = rf'{_ONE_CELL} t="s"><P:v>([0-9]{{1,9}})</P:v></P:c></P:row>'
_ROW_OF_ONE_INLINE_TEXT = (
    rf'{_ONE_CELL} t="inlineStr"><P:is><P:t( xml:space="preserve")?>({PLAIN_TEXT}+)</P:t></P:is>'
    "</P:c></P:row>"
)
_PLAIN_ROW = rf"{_ROW}(?:/>|>(?:{_CELL_OF_ROW})*</P:row>)"


class _Places(dict[bytes, int]):
    """Where in a row a column's values stand, by the column's letters.

    Raises:
        Refusal: ``unreadable_file`` for a column that no sheet has.
    """

    def __init__(self, first_column: int) -> None:
        super().__init__()
        self._first_column = first_column

    def __missing__(self, letters: bytes) -> int:
        place = self[letters] = self.of(_column(letters))
        return place

    def of(self, column: int) -> int:
        """The same of a column's number, from 0."""
        if not self._first_column <= column < MOST_COLUMNS:
            raise Refusal("unreadable_file")
        return column - self._first_column


class Sheet(LongDocument):
    """A sheet's rows, as far as they have been read. A row's values are those of ``workbook.batches``.

    Args:
        texts: of the workbook.
        number_in_style: what a number is in the style of an index; None for the index where a cell has no style.
        first_column: the column, from 0, that rows begin with.
    """

    list_name, entry_name, entry_depth = "sheetData", "row", 3
    # The lists of codes that are longest have but one column.
    plain = (_ROW_OF_ONE_TEXT_IN_TABLE, _ROW_OF_ONE_INLINE_TEXT, _PLAIN_ROW)

    def __init__(
        self, texts: Texts, number_in_style: Callable[[float, int | None], Any], first_column: int
    ) -> None:
        super().__init__()
        self._texts = texts
        self._number_in_style = number_in_style
        self._first_column = first_column
        self._places = _Places(first_column)
        self._least_column_without_letters = MOST_COLUMNS
        self._rows: list[list[Any]] = []
        self._numbers: list[int] = []
        self._weight = 0
        self._row: list[Any] | None = None
        self._row_weight = 0
        self._row_number = 0
        self._is_row_numbered = False
        self._next_column = 0
        self._cell: dict[str, str] | None = None
        self._cell_text: str | None = None
        self._inline_text: str | None = None

    @property
    def least_column(self) -> int:
        """The first column, from 0, in which anything has been found; ``MOST_COLUMNS`` for none yet."""
        with_letters = min(self._places.values(), default=MOST_COLUMNS) + self._first_column
        return min(with_letters, self._least_column_without_letters, MOST_COLUMNS)

    def taken(self) -> tuple[list[int], list[list[Any]]]:
        """The rows that hold anything and have been read since the last call, after their numbers in the sheet."""
        taken = self._numbers, self._rows
        self._numbers, self._rows, self._weight = [], [], 0
        return taken

    def started(self, name: str, attributes: dict[str, str]) -> None:
        if self._cell is None:
            if name == "c" and self._row is not None:
                self._cell, self._cell_text, self._inline_text = attributes, None, None
        elif name == "v":
            self.collect()
        elif name == "is":
            self.begin_runs()
        elif name == "c":
            raise Refusal("unreadable_file")
        elif self.has_runs:
            self.run_started(name, attributes)

    def ended(self, name: str) -> None:
        if self._cell is None:
            return
        if name == "c":
            self._end_cell(self._cell)
            self._cell = None
        elif name == "v":
            self._cell_text = self.collected()
        elif name == "is":
            self._inline_text = self.end_runs()
        elif self.has_runs:
            self.run_ended(name)

    def entry_started(self, attributes: dict[str, str]) -> None:
        number = attributes.get("r")
        self._is_row_numbered = number is not None
        self._number_row(self._row_number + 1 if number is None else _integer(number))
        self._row, self._row_weight, self._next_column = [], 0, 0

    def entry_ended(self) -> None:
        self._add_row(self._row_number, self._row or [])
        self._row = None

    def take(self, plain: str, columns: list[tuple[bytes, ...]], content: bytes) -> None:
        numbers = list(map(int, columns[0]))
        if numbers[0] <= self._row_number or not all(map(lt, numbers, numbers[1:])):
            raise Refusal("unreadable_file")
        self._number_row(numbers[-1])
        if plain == _PLAIN_ROW:
            self._take_cells(plain_pattern(_PLAIN_CELL, self._prefix).findall(content))
        elif plain == _ROW_OF_ONE_INLINE_TEXT:
            self._take_texts(numbers, columns[1], tidied_all(columns[3], columns[2]))
        else:
            self._take_texts(numbers, columns[1], self._texts.at(map(int, columns[2])))

    def _take_texts(self, numbers: list[int], letters: tuple[bytes, ...], texts: list[str]) -> None:
        """Take rows of one text each."""
        places = list(map(self._places.__getitem__, letters))
        self._add_weight(sum(map(len, texts)) + (sum(places) + len(texts)) * _WEIGHT_OF_CELL)
        if any(places):
            self._rows += [[*[""] * place, text] for place, text in zip(places, texts, strict=True)]
        else:
            self._rows += [[text] for text in texts]
        self._numbers += numbers

    def _take_cells(self, cells: list[tuple[bytes, ...]]) -> None:
        indexes = [cell[4] for cell in cells if cell[3] == b"s" and cell[4]]
        if indexes and not (b"".join(indexes).isdigit() and max(map(len, indexes)) <= _MOST_DIGITS):
            raise Refusal("unreadable_file")
        texts = iter(self._texts.at(map(int, indexes)))
        places = self._places
        row: list[Any] = []
        row_number = b"0"
        for letters, number, style, kind, text, is_space_kept, inline in cells:
            if number != row_number:
                self._add_row(int(row_number), row)
                row, row_number = [], number
            if inline:
                value: Any = tidied(decoded(inline), is_space_kept)
            elif not text:
                continue
            elif kind == b"s":
                value = next(texts)
            else:
                value = self._value(kind.decode(), int(style) if style else None, decoded(text))
                if value is None:
                    continue
            place = places[letters]
            if place == len(row):
                row.append(value)
            else:
                _put(row, place, value)
        self._add_row(int(row_number), row)

    def _add_row(self, number: int, row: list[Any]) -> None:
        if row:
            weight = sum([len(value) for value in row if type(value) is str]) + len(row) * _WEIGHT_OF_CELL
            if weight > _LONGEST_ROW:
                raise Refusal("unreadable_file")
            self._rows.append(row)
            self._numbers.append(number)
            self._add_weight(weight)

    def _add_weight(self, weight: int) -> None:
        self._weight += weight
        if self._weight > MOST_AT_ONCE:
            raise Refusal("unreadable_file")

    def _number_row(self, number: int) -> None:
        if not self._row_number < number <= MOST_ROWS:
            raise Refusal("unreadable_file")
        self._row_number = number

    def _end_cell(self, attributes: dict[str, str]) -> None:
        letters = None
        column = self._next_column
        if (reference := attributes.get("r")) is not None:
            parts = _REFERENCE.fullmatch(reference)
            if parts is None:
                raise Refusal("unreadable_file")
            self._check_row_number(int(parts[2]))
            letters = parts[1].encode()
            column = _column(letters)
        self._next_column = column + 1
        value: Any = self._inline_text
        if value is None:
            style = attributes.get("s")
            kind = attributes.get("t", "")
            value = self._value(kind, None if style is None else _integer(style), self._cell_text)
        if value is None or self._row is None:
            return
        if letters is None:
            self._least_column_without_letters = min(self._least_column_without_letters, column)
        place = self._places.of(column) if letters is None else self._places[letters]
        _put(self._row, place, value)
        if type(value) is str:
            self._row_weight += len(value)
            if self._row_weight > _LONGEST_ROW:
                raise Refusal("unreadable_file")

    def _check_row_number(self, number: int) -> None:
        """Of a cell that says which row it stands in; a row that doesn't say is numbered by its first cell."""
        if number != self._row_number:
            if self._is_row_numbered or self._next_column:
                raise Refusal("unreadable_file")
            self._number_row(number)
        self._is_row_numbered = True

    def _value(self, kind: str, style: int | None, text: str | None) -> Any:
        """What a cell of a kind holds; None when it holds nothing."""
        if not text:
            return text if kind == "str" else None
        if kind == "s":
            return self._texts.at((_integer(text),))[0]
        if kind in ("", "n"):
            if _NUMBER.fullmatch(text):
                return self._number_in_style(float(text), style)
            if kind == "n":
                raise Refusal("unreadable_file")
            return text
        if kind == "b":
            return text != "0"
        if kind not in _VALUES:
            raise Refusal("unreadable_file")
        return _VALUES[kind](text)


def _put(row: list[Any], place: int, value: Any) -> None:
    if place < len(row):
        row[place] = value
    else:
        row += [""] * (place - len(row))
        row.append(value)


def _moment(text: str) -> str | date | time:
    try:
        if "T" in text:
            return datetime.fromisoformat(text)
        return time.fromisoformat(text) if ":" in text else date.fromisoformat(text)
    except ValueError:
        return text


_VALUES: dict[str, Callable[[str], Any]] = {
    "str": str,
    "d": _moment,
    # That a formula went wrong is nobody's text.
    "e": lambda _text: "",
    # Their text stands elsewhere, or nowhere.
    "inlineStr": lambda _text: None,
    "is": lambda _text: None,
}


@lru_cache(maxsize=1024)
def _column(letters: bytes) -> int:
    """A column's number, from 0, which may be beyond any sheet's."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number - 1


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS or not (text.isascii() and text.isdigit()):
        raise Refusal("unreadable_file")
    return int(text)
