"""Array literals for the hot lane's set-wise statements.

Arrays travel as text that Python joins itself, which costs far less per value than adapting each one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID


def array(values: Iterable[UUID | int | str | None]) -> str:
    """A PostgreSQL array literal of values that need no quoting: ids, numbers, codes; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def quoted_array(values: Iterable[str | None]) -> str:
    """A PostgreSQL array literal of any strings; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def times_array(values: Iterable[datetime | None]) -> str:
    """A PostgreSQL array literal of aware times; None is NULL."""
    return array(None if value is None else value.isoformat() for value in values)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
