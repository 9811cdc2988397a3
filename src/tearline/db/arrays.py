"""Array literals for the hot lane's set-wise statements.

Arrays travel as text that Python joins itself, which costs far less per value than adapting each one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

Value: TypeAlias = UUID | int | str | datetime | None


def ids(values: Iterable[UUID]) -> str:
    """A PostgreSQL array literal of ids, by their digits: several times as fast as their usual form."""
    return "{" + ",".join([f"{value.int:032x}" for value in values]) + "}"


def array(values: Iterable[int | str]) -> str:
    """A PostgreSQL array literal of values that need no quoting: numbers, codes, times."""
    return "{" + ",".join(map(str, values)) + "}"


def quoted_array(values: Iterable[Value]) -> str:
    """A PostgreSQL array literal of any values, such as what people typed; None is NULL."""
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def columns(rows: Iterable[Sequence[Value]]) -> list[str]:
    """Rows turned into one array literal for each of their columns, for ``unnest``."""
    return [quoted_array(column) for column in zip(*rows, strict=True)]


def _quoted(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, UUID):
        return f"{value.int:032x}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    # A time's text holds no comma, brace or quote, and no backslash.
    return value.isoformat() if isinstance(value, datetime) else str(value)
