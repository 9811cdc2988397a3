"""Keyset paging: a place in a sorted list as an opaque text, and the SQL that continues from it.

A page continues after the last row that was shown, by that row's sort value and id, so that a later page costs
no more than the first and rows that come in meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, tuple_

_LONGEST_CURSOR_CHARACTERS = 2000
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**63 - 1


class BadCursor(ValueError):  # noqa: N818 - read aloud it is what was sent, not what broke
    """A cursor that this list did not give out."""


@dataclass(frozen=True)
class Cursor:
    """A place beside one row.

    Attributes:
        sort: the list's order that the cursor belongs to, such as ``-created_at``.
        value: the row's sort value; None sorts last in either direction.
        row_id: the row's unique tie-breaker.
        is_before: whether it asks for the rows before the place rather than after it.
    """

    sort: str
    value: Any
    row_id: Any
    is_before: bool = False

    def encode(self) -> str:
        """The opaque text."""
        parts = [self.sort, _pack(self.value), _pack(self.row_id), int(self.is_before)]
        packed = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def decode(
        cls, text: str, sort: str, value_type: type | None = None, id_type: type | None = None
    ) -> Cursor:
        """The cursor of a text, for a list in order ``sort``. Raises BadCursor.

        Args:
            text: what a client sent.
            sort: the order that is asked for; a cursor of another order has no place in it.
            value_type: what the sort values are, so that a forged cursor can't make the database refuse.
            id_type: likewise of the ids.
        """
        if len(text) > _LONGEST_CURSOR_CHARACTERS:
            raise BadCursor("too long")
        try:
            parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
            its_sort, value, row_id, is_before = parts
            cursor = cls(its_sort, _unpack(value), _unpack(row_id), bool(is_before))
        except (ValueError, TypeError, KeyError, InvalidOperation, RecursionError) as problem:
            raise BadCursor("not a cursor") from problem
        if cursor.sort != sort:
            raise BadCursor("a cursor of another order")
        if (
            not _is_of(cursor.value, value_type)
            or cursor.row_id is None
            or not _is_of(cursor.row_id, id_type)
        ):
            raise BadCursor("values of other types")
        return cursor


def ordering(
    key: ColumnElement[Any], row_id: ColumnElement[Any], *, descending: bool, nullable: bool
) -> list[ColumnElement[Any]]:
    """The ORDER BY of a list. Missing values come last either way; a key that's never null can use an index."""
    first = [key.is_(None)] if nullable else []
    return [*first, key.desc(), row_id.desc()] if descending else [*first, key.asc(), row_id.asc()]


def reversed_ordering(
    key: ColumnElement[Any], row_id: ColumnElement[Any], *, descending: bool, nullable: bool
) -> list[ColumnElement[Any]]:
    """The same order read from its end."""
    first = [key.is_(None).desc()] if nullable else []
    return [*first, key.asc(), row_id.asc()] if descending else [*first, key.desc(), row_id.desc()]


def beyond(
    cursor: Cursor, key: ColumnElement[Any], row_id: ColumnElement[Any], *, descending: bool, nullable: bool
) -> ColumnElement[bool]:
    """The condition for the rows after the cursor's place, or before it when the cursor asks for those."""
    # Going back through an ascending list and forth through a descending one both mean smaller values.
    wants_smaller = descending != cursor.is_before
    if not nullable:
        here = tuple_(key, row_id)
        there = tuple_(cursor.value, cursor.row_id)
        return here < there if wants_smaller else here > there
    id_beyond = row_id < cursor.row_id if wants_smaller else row_id > cursor.row_id
    if cursor.value is None:
        among_missing = and_(key.is_(None), id_beyond)
        return or_(key.is_not(None), among_missing) if cursor.is_before else among_missing
    value_beyond = key < cursor.value if wants_smaller else key > cursor.value
    among_present = or_(value_beyond, and_(key == cursor.value, id_beyond))
    return among_present if cursor.is_before else or_(among_present, key.is_(None))


def _pack(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case datetime():
            return {"t": value.isoformat()}
        case date():
            return {"d": value.isoformat()}
        case UUID():
            return {"u": value.hex}
        case Decimal():
            return {"n": str(value)}
        case float():
            return {"f": value.hex()}
    raise TypeError(f"a list can't be sorted by values of {type(value)}")


def _unpack(packed: Any) -> Any:
    match packed:
        case None | bool():
            return packed
        case int() if _SMALLEST_INTEGER <= packed <= _LARGEST_INTEGER:
            return packed
        case str() if "\x00" not in packed:
            # A lone surrogate has no UTF-8; this raises for it.
            packed.encode()
            return packed
        case {"t": str(text)}:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise ValueError("a time without its zone")
            return moment
        case {"d": str(text)}:
            return date.fromisoformat(text)
        case {"u": str(text)}:
            return UUID(hex=text)
        case {"n": str(text)}:
            number = Decimal(text)
            if not number.is_finite() or abs(number.adjusted()) > 100:
                raise ValueError("a number out of bounds")
            return number
        case {"f": str(text)}:
            return float.fromhex(text)
    raise ValueError("not a packed value")


def _is_of(value: Any, wanted: type | None) -> bool:
    if value is None or wanted is None:
        return True
    if wanted in (int, Decimal, float):
        return isinstance(value, int | Decimal | float) and not isinstance(value, bool)
    if wanted is date:
        return isinstance(value, date) and not isinstance(value, datetime)
    return isinstance(value, wanted)
