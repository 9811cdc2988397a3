"""A list is written once, as columns and filters over a ``select()``; SQL filters, sorts and pages it.

    OFFERS = ListDefinition(
        id_column=Offer.id,
        columns=[
            Column("names", _("Offer"), kind="localised", sort=Offer.names["en"].astext, href="/console/offers/{id}"),
            Column("created_at", _("Made"), kind="date_time", sort=Offer.created_at),
        ],
        filters=[TextFilter("q", _("Name or code"), [Offer.code]), ChoiceFilter("state", _("State"), Offer.state, …)],
        default_sort="-created_at",
    )

    listing = await OFFERS.page(request, select(Offer.id, Offer.names, …), connection)
    return render(request, "console/offers.html", listing=listing)      # {{ ui.list(listing, _("Offers")) }}
    return OFFERS.export(request, select(…), database.engine.connect, "csv", file_name="offers")

The select must yield each column's ``key``, and the id as ``id``. ``exports.py`` writes the files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Request
from litestar.response import Stream
from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from tearline.web.ui import exports
from tearline.web.ui.cursors import BadCursor, Cursor, beyond, ordering, reversed_ordering
from tearline.web.ui.filters import (
    ChoiceFilter,
    DayFilter,
    Expression,
    Filter,
    TextFilter,
    WordFilter,
    localised_columns,
    typed_in,
)
from tearline.web.ui.page import Page, page_of

__all__ = [
    "ChoiceFilter",
    "Column",
    "DayFilter",
    "Filter",
    "ListDefinition",
    "Listing",
    "TextFilter",
    "WordFilter",
    "localised_columns",
]

AnyRow = Row[Any]
OpenConnection = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

PAGE_SIZE = 50
# Beyond this, an exact total costs more than anyone gets from it.
COUNT_LIMIT = 10_000
NUMBER_KINDS = frozenset({"number", "percent", "money"})


@dataclass(frozen=True)
class Column:
    """One column.

    ``kind`` is one of text, number, percent (a fraction), money, date_time, date, localised, code, tag, yes_no.
    """

    key: str
    """The name of the value in the row, and of the sort in the address."""
    label: str
    kind: str = "text"
    sort: Expression | None = None
    is_nullable: bool = False
    """Whether ``sort`` may be null; leave False where it can't be, then an index serves the paging."""
    href: str = ""
    """A link around the value: ``/console/offers/{id}``, filled from the row."""
    under: str = ""
    """The key of a value shown small below, such as a code below a name."""
    under_label: str = ""
    """What that value is called; with it, an export has it as a column of its own."""
    currency: str = ""
    """Of money: an ISO 4217 code, or the row's key that holds one in ``currency_key``."""
    currency_key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of a tag: each value's English words."""
    tag_kinds: Mapping[str, str] = field(default_factory=dict)
    """Of a tag: each value's ``good``, ``warn``, ``bad`` or ``accent``."""
    is_exported: bool = True
    blank: str = ""
    """The English words that stand where there is no value; without, a dash on the page, nothing in a file."""

    @property
    def is_sortable(self) -> bool:
        """Whether its heading sorts the list."""
        return self.sort is not None

    @property
    def is_number(self) -> bool:
        """Whether it stands flush right."""
        return self.kind in NUMBER_KINDS

    def value(self, row: AnyRow) -> Any:
        """The row's value; None for a column that isn't in the select, such as one of buttons."""
        return row._mapping.get(self.key)

    def value_under(self, row: AnyRow) -> Any:
        """The small value below."""
        return row._mapping.get(self.under)

    def currency_of(self, row: AnyRow) -> str:
        """The currency of the row's amount."""
        return str(row._mapping[self.currency_key]) if self.currency_key else self.currency

    def label_of(self, value: Any) -> str:
        """The English words of a tag's value."""
        return self.labels.get(str(value), str(value))

    def tag_kind_of(self, value: Any) -> str:
        """The colour of a tag's value."""
        return self.tag_kinds.get(str(value), "")


@dataclass(frozen=True)
class ListDefinition:
    """What a list shows and how it may be narrowed and sorted."""

    id_column: Expression
    """Unique and never null; breaks ties in the order."""
    columns: Sequence[Column]
    filters: Sequence[Filter] = ()
    default_sort: str = ""
    """A sortable column's key, with ``-`` before it for descending; newest id first when empty."""
    page_size: int = PAGE_SIZE

    async def page(
        self, request: Request[Any, Any, Any], statement: Select[Any], connection: AsyncConnection, *,
        export_path: str = "", time_zone: str | None = None,
    ) -> Listing:  # fmt: skip
        """The page of the list that the request's address asks for.

        Args:
            request: whose query holds filters, ``sort``, ``after`` and ``before``. Nonsense in them is ignored.
            statement: without ORDER BY and LIMIT; selects each column's key and ``id``.
            connection: to read with.
            export_path: where the list is exported (``?format=csv``); "" offers no export.
            time_zone: in which days are meant, when not the installation's.
        """
        page = _page(request, time_zone)
        order = self._order(page)
        narrowed = self.filtered(page, statement)
        cursor = self._cursor(page, order)
        backwards = cursor is not None and cursor.is_before
        wanted = narrowed if cursor is None else narrowed.where(order.beyond(cursor, self.id_column))
        arranged = wanted.order_by(None).order_by(*order.by(self.id_column, backwards=backwards))
        rows = list(
            (
                await connection.execute(
                    _with_place(arranged, order, self.id_column).limit(self.page_size + 1)
                )
            ).all()
        )
        has_more = len(rows) > self.page_size
        rows = rows[: self.page_size]
        if backwards:
            rows.reverse()
        counted = select(func.count()).select_from(narrowed.order_by(None).limit(COUNT_LIMIT + 1).subquery())
        total = int((await connection.execute(counted)).scalar_one())
        return Listing(
            definition=self, page=page, rows=rows, sort_value=order.name, total=total, export_path=export_path,
            has_next=has_more if not backwards else True, has_previous=has_more if backwards else cursor is not None,
        )  # fmt: skip

    def export(
        self, request: Request[Any, Any, Any], statement: Select[Any], open_connection: OpenConnection,
        file_format: str, *, file_name: str, time_zone: str | None = None,
    ) -> Stream:  # fmt: skip
        """All rows that match the request's filters, in its order, as a file that is sent while it's read.

        Args:
            request: as for :meth:`page`.
            statement: as for :meth:`page`.
            open_connection: such as ``database.engine.connect``; the file outlives the handler, and so has a
                connection of its own.
            file_format: ``csv`` or ``xlsx``; anything else becomes csv.
            file_name: without its ending.
            time_zone: in which times are written.
        """
        page = _page(request, time_zone)
        columns: list[Column] = []
        for column in self.columns:
            columns += [column] if column.is_exported else []
            columns += [Column(column.under, column.under_label)] if column.under_label else []
        arranged = self.arranged(page, statement)

        async def rows() -> AsyncIterator[AnyRow]:
            async with open_connection() as connection, connection.stream(arranged) as streamed:
                async for row in streamed:
                    yield row

        is_excel = file_format == "xlsx"
        chunks = (exports.xlsx_chunks if is_excel else exports.csv_chunks)(columns, rows(), page)
        return exports.attached(chunks, file_name, is_excel=is_excel)

    def filtered(self, page: Page, statement: Select[Any]) -> Select[Any]:
        """The statement with the conditions of the filters that the page's address sets."""
        conditions = (one.condition(page) for one in self.filters)
        return statement.where(*(condition for condition in conditions if condition is not None))

    def arranged(self, page: Page, statement: Select[Any]) -> Select[Any]:
        """The statement filtered and sorted, whole."""
        order = self._order(page)
        return (
            self.filtered(page, statement).order_by(None).order_by(*order.by(self.id_column, backwards=False))
        )

    def column(self, key: str) -> Column | None:
        """The column of a key."""
        return next((column for column in self.columns if column.key == key), None)

    def _order(self, page: Page) -> _Order:
        for name in (typed_in(page, "sort"), self.default_sort):
            column = self.column(name.removeprefix("-"))
            if column is not None and column.sort is not None:
                return _Order(name, column.sort, name.startswith("-"), column.is_nullable)
        return _Order("-id", self.id_column, True, False)

    def _cursor(self, page: Page, order: _Order) -> Cursor | None:
        for key in ("after", "before"):
            if text := typed_in(page, key):
                try:
                    cursor = Cursor.decode(text, order.name, _type_of(order.key), _type_of(self.id_column))
                except BadCursor:
                    return None
                # A key that's never null has no rows beside a missing value.
                if cursor.value is not None or order.is_nullable:
                    return Cursor(cursor.sort, cursor.value, cursor.row_id, is_before=key == "before")
        return None


@dataclass(frozen=True)
class _Order:
    name: str
    key: Expression
    is_descending: bool
    is_nullable: bool

    def by(self, row_id: Expression, *, backwards: bool) -> list[ColumnElement[Any]]:
        arrange = reversed_ordering if backwards else ordering
        return arrange(
            _element(self.key), _element(row_id), descending=self.is_descending, nullable=self.is_nullable
        )

    def beyond(self, cursor: Cursor, row_id: Expression) -> ColumnElement[bool]:
        return beyond(
            cursor,
            _element(self.key),
            _element(row_id),
            descending=self.is_descending,
            nullable=self.is_nullable,
        )


@dataclass(frozen=True)
class Listing:
    """One page of a list, as ``ui.list`` draws it."""

    definition: ListDefinition
    page: Page
    rows: list[AnyRow]
    sort_value: str
    total: int
    has_next: bool
    has_previous: bool
    export_path: str = ""
    id: str = "list"

    @property
    def columns(self) -> Sequence[Column]:
        """The list's columns."""
        return self.definition.columns

    @property
    def filters(self) -> Sequence[Filter]:
        """The list's filters."""
        return self.definition.filters

    @property
    def path(self) -> str:
        """The list's address without its query."""
        return self.page.path

    @property
    def is_total_exact(self) -> bool:
        """Whether ``total`` is the number of rows, or only what was counted up to."""
        return self.total <= COUNT_LIMIT

    @property
    def is_filtered(self) -> bool:
        """Whether any filter is set."""
        return any(self.typed(key) for one in self.filters for key in one.typed_keys())

    @property
    def can_export(self) -> bool:
        """Whether an export is offered."""
        return bool(self.export_path)

    @property
    def sort_choices(self) -> list[tuple[str, Column, bool]]:
        """Every order, for a phone that shows no headings: its value, column, and whether it descends."""
        sortable = [column for column in self.columns if column.is_sortable]
        return [
            (f"{'-' if down else ''}{column.key}", column, down)
            for column in sortable
            for down in (False, True)
        ]

    @property
    def kept_query(self) -> list[tuple[str, str]]:
        """What of the address the filter bar carries along."""
        own = {"sort", "after", "before", "lang", *(key for one in self.filters for key in one.typed_keys())}
        return [(name, value) for name, value in self.page.query if name not in own]

    @property
    def clear_url(self) -> str:
        """The list without its filters."""
        return f"{self.path}?{urlencode(self.kept_query)}" if self.kept_query else self.path

    @property
    def next_url(self) -> str:
        """The next page, or ""."""
        if not (self.has_next and self.rows):
            return ""
        return self.page.url_with(after=self.cursor_at(self.rows[-1]), before=None, lang=None)

    @property
    def previous_url(self) -> str:
        """The page before, or ""."""
        if not self.has_previous:
            return ""
        if not self.rows:
            return self.page.url_with(after=None, before=None, lang=None)
        return self.page.url_with(before=self.cursor_at(self.rows[0]), after=None, lang=None)

    def cursor_at(self, row: AnyRow) -> str:
        """The cursor beside a row."""
        return Cursor(self.sort_value, row._mapping["_sort"], row._mapping["_id"]).encode()

    def typed(self, key: str) -> str:
        """What the address says for a filter."""
        return typed_in(self.page, key)

    def sorted_by(self, column: Column) -> str:
        """``ascending`` or ``descending`` for the column that the list is sorted by, else ""."""
        if self.sort_value.removeprefix("-") != column.key:
            return ""
        return "descending" if self.sort_value.startswith("-") else "ascending"

    def sort_url(self, column: Column) -> str:
        """The list sorted by a column; by the same one, the other way round."""
        sort = f"-{column.key}" if self.sorted_by(column) == "ascending" else column.key
        return self.page.url_with(sort=sort, after=None, before=None, lang=None)

    def href(self, column: Column, row: AnyRow) -> str:
        """Where a cell's value links to, or ""."""
        if not column.href:
            return ""
        return column.href.format_map(
            {key: quote(str(value), safe="") for key, value in row._mapping.items()}
        )

    def export_url(self, file_format: str) -> str:
        """The address of the export, with this page's filters and order."""
        dropped = {"after", "before", "lang", "format"}
        query = [(name, value) for name, value in self.page.query if name not in dropped]
        return f"{self.export_path}?{urlencode([*query, ('format', file_format)])}"


def _page(request: Request[Any, Any, Any], time_zone: str | None) -> Page:
    page = page_of(request)
    return page if time_zone is None else replace(page, time_zone=time_zone)


def _with_place(statement: Select[Any], order: _Order, row_id: Expression) -> Select[Any]:
    # The place is read back with each row: what is shown of it may be formatted or absent.
    return statement.add_columns(_element(order.key).label("_sort"), _element(row_id).label("_id"))


def _element(expression: Expression) -> ColumnElement[Any]:
    element: ColumnElement[Any] = (
        expression.expression if isinstance(expression, InstrumentedAttribute) else expression
    )
    return element


def _type_of(expression: Expression) -> type | None:
    try:
        return _element(expression).type.python_type
    except NotImplementedError:
        return None
