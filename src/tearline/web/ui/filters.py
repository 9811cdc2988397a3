"""The ways in which a list can be narrowed: each a question in the page's address, answered as SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

from tearline.i18n import LANGUAGES
from tearline.web.ui.page import Page

Expression = ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(frozen=True)
class TextFilter:
    """Rows in which one of the columns contains the text, whatever its case."""

    key: str
    label: str
    columns: Sequence[Expression]
    kind: ClassVar[str] = "text"

    def condition(self, page: Page) -> ColumnElement[bool] | None:
        """The SQL for what the address asks."""
        text = typed_in(page, self.key).strip()[:200]
        return or_(*(column.icontains(text, autoescape=True) for column in self.columns)) if text else None

    def typed_keys(self) -> list[str]:
        """Its names in the address."""
        return [self.key]


@dataclass(frozen=True)
class WordFilter:
    """Rows for which the condition holds that ``make`` makes of the typed text, or of none: it answers None."""

    key: str
    label: str
    make: Callable[[str], ColumnElement[bool] | None]
    kind: ClassVar[str] = "text"

    def condition(self, page: Page) -> ColumnElement[bool] | None:
        """The SQL for what the address asks."""
        text = typed_in(page, self.key).strip()[:200]
        return self.make(text) if text else None

    def typed_keys(self) -> list[str]:
        """Its names in the address."""
        return [self.key]


@dataclass(frozen=True)
class ChoiceFilter:
    """Rows whose ``column`` has the chosen value; or, with ``conditions``, for which the chosen one holds."""

    key: str
    label: str
    choices: Sequence[tuple[str, str]]
    column: Expression | None = None
    conditions: Mapping[str, ColumnElement[bool]] = field(default_factory=dict)
    kind: ClassVar[str] = "choice"

    def condition(self, page: Page) -> ColumnElement[bool] | None:
        """The SQL for what the address asks; a value that isn't among the choices asks nothing."""
        chosen = typed_in(page, self.key)
        if chosen not in {value for value, _label in self.choices} or not chosen:
            return None
        if chosen in self.conditions:
            return self.conditions[chosen]
        return None if self.column is None else self.column == chosen

    def typed_keys(self) -> list[str]:
        """Its names in the address."""
        return [self.key]


@dataclass(frozen=True)
class DayFilter:
    """Rows whose time falls on the days from … to …, both included, in the page's time zone."""

    key: str
    label: str
    column: Expression
    kind: ClassVar[str] = "days"

    def condition(self, page: Page) -> ColumnElement[bool] | None:
        """The SQL for what the address asks."""
        zone = ZoneInfo(page.time_zone)
        first, last = (_day_of(typed_in(page, key)) for key in self.typed_keys())
        condition: ColumnElement[bool] | None = None
        if first is not None:
            condition = self.column >= datetime.combine(first, time(), zone)
        if last is not None:
            until = self.column < datetime.combine(last + timedelta(days=1), time(), zone)
            condition = until if condition is None else condition & until
        return condition

    def typed_keys(self) -> list[str]:
        """Its names in the address."""
        return [f"{self.key}_from", f"{self.key}_to"]


Filter = TextFilter | WordFilter | ChoiceFilter | DayFilter


def localised_columns(column: Expression) -> list[ColumnElement[str]]:
    """A localised jsonb column as one text expression for each language, for a TextFilter."""
    return [column[tag].as_string() for tag in LANGUAGES]


def typed_in(page: Page, key: str) -> str:
    """What a page's address says for a name, or ""."""
    return next((value.replace("\x00", "") for name, value in page.query if name == key), "")


def _day_of(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # Years at the calendar's ends have no day after or no offset from UTC.
    return day if 1900 <= day.year <= 9000 else None
