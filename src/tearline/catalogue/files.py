"""Files of the catalogue: CSV or XLSX, with a heading of known columns; all of a file is put, or nothing.

A file says the whole of each entry, as the API does: what it has no column for is as the API leaves it out.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import select

from tearline.catalogue.actions import problems_of, put_brands, put_categories, put_products
from tearline.catalogue.model import BrandItem, CategoryItem, Counts, ProductItem
from tearline.core.catalogue import KEY_SENTENCE, NO_MERCHANT_SENTENCE, PRODUCT_STATES, is_key
from tearline.core.money import CURRENCY_EXPONENTS, MAXIMUM_AMOUNT
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.spreadsheets import CSV_MARK, csv_lines
from tearline.core.texts import LANGUAGE_TAGS
from tearline.db import Database, transaction
from tearline.i18n import _
from tearline.merchants.model import Merchant
from tearline.pools import sheets
from tearline.pools.files import shown, tidied

KINDS = ("products", "categories", "brands")
MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 100_000
MOST_EXAMPLES = 100
"""Of how many refused rows the reasons are told."""

Item: TypeAlias = CategoryItem | BrandItem | ProductItem

_NAME_COLUMNS = {f"name_{tag.lower().replace('-', '_')}": tag for tag in LANGUAGE_TAGS}
_COLUMNS: dict[str, tuple[str, ...]] = {
    "products": (
        "key", "merchant", *_NAME_COLUMNS, "price", "currency", "tax_percent", "category", "brand", "discountable",
        "image", "state",
    ),
    "categories": ("key", "parent", *_NAME_COLUMNS),
    "brands": ("key", *_NAME_COLUMNS),
}  # fmt: skip
_NEEDED = {
    "products": {"key", "name_en", "price", "currency"},
    "categories": {"key", "name_en"},
    "brands": {"key", "name_en"},
}
_COLUMN_OF = {
    "merchant_id": "merchant", "category_key": "category", "brand_key": "brand", "parent_key": "parent",
    "tax_basis_points": "tax_percent", "is_discountable": "discountable", "names": "name_en",
    **{f"names.{tag}": column for column, tag in _NAME_COLUMNS.items()},
}  # fmt: skip
"""In which column the field of an item stands, where the two are called differently."""
_TEMPLATES: dict[str, tuple[tuple[str, ...], ...]] = {
    "products": (
        (
            "TEA-OOLONG-100", "merchant-code", "Oolong tea, 100 g", "烏龍茶 100 克", "乌龙茶 100 克", "ชาอู่หลง 100 กรัม",
            "68.00", "HKD", "0", "tea", "mountain-leaf", "yes", "", "active",
        ),
        (
            "GIFT-CARD-500", "merchant-code", "Gift card, HK$500", "500 元禮品卡", "500 元礼品卡", "บัตรของขวัญ HK$500",
            "500.00", "HKD", "0", "", "", "no", "", "active",
        ),
    ),
    "categories": (
        ("food", "", "Food and drinks", "飲食", "餐饮", "อาหารและเครื่องดื่ม"),
        ("tea", "food", "Tea", "茶", "茶", "ชา"),
    ),
    "brands": (("mountain-leaf", "Mountain Leaf", "山葉", "山叶", "เมาน์เทน ลีฟ"),),
}  # fmt: skip

_WORDS = re.compile(r"[\s_-]+")
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
_YES_OR_NO = {
    "": True, "yes": True, "true": True, "1": True, "y": True, "no": False, "false": False, "0": False, "n": False
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is in the way of its file.

    Attributes:
        number: as a spreadsheet shows it, from 1, blank rows counted. 0 for the heading.
        problems: by column, what is wrong, as an English sentence.
    """

    number: int
    key: str
    problems: dict[str, str]


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of a file.

    Attributes:
        counts: None when rows were refused and so nothing was put.
        refused: how many rows were refused; ``examples`` are the first ``MOST_EXAMPLES`` of them.
    """

    rows: int
    counts: Counts | None
    refused: int = 0
    examples: list[RefusedRow] = field(default_factory=list)


@dataclass(slots=True)
class _Read:
    """What was read of a file.

    Attributes:
        items: of the rows in which nothing is wrong.
        numbers: of those rows, in the same order.
        refused: the other rows, or the heading.
        rows: how many there are, without the heading.
    """

    items: list[Item] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    rows: int = 0


async def import_file(
    database: Database,
    actor: Actor,
    kind: str,
    path: Path,
    name: str,
    now: datetime,
    *,
    report: Callable[[int, int], None] | None = None,
) -> FileOutcome:
    """Put what a file holds, in one transaction; nothing of it when a single row is refused.

    Args:
        kind: one of ``KINDS``.
        name: the file's name where it came from.
        report: told how many rows are done, and of how many.

    Raises:
        Refusal: ``not_allowed``, ``unreadable_file``, ``too_large``.
    """
    actor.require("catalogue.write")
    if actor.merchant_id is not None and kind != "products":
        raise Refusal("not_allowed")
    async with database.connection() as connection:
        merchants = {
            row.code: row.id
            for row in await connection.execute(select(Merchant.id, Merchant.code))
            if actor.merchant_id in (None, row.id)
        }
    read = await asyncio.to_thread(_read, kind, path, name, merchants)
    if read.refused:
        return _refused(read, read.refused)

    def told(done: int) -> None:
        if report is not None:
            report(done, len(read.items))

    try:
        async with transaction(database) as tx:
            counts = await _PUTS[kind](tx, actor, read.items, now, most=MOST_ROWS, report=told)
    except Refusal as refusal:
        if refusal.reason not in ("invalid", "already_taken"):
            raise
        return _refused(read, _rows_of(refusal, read))
    return FileOutcome(read.rows, counts)


_PUTS: Mapping[str, Callable[..., Awaitable[Counts]]] = {
    "products": put_products,
    "categories": put_categories,
    "brands": put_brands,
}


def template_csv(kind: str, actor: Actor) -> bytes:
    """A CSV file to put entries into: UTF-8 with the mark by which spreadsheets recognise it.

    Whoever belongs to a merchant need not say of each product that it is that merchant's.
    """
    actor.require("catalogue.read")
    rows = [_COLUMNS[kind], *_TEMPLATES[kind]]
    if actor.merchant_id is not None and "merchant" in _COLUMNS[kind]:
        place = _COLUMNS[kind].index("merchant")
        rows = [row[:place] + row[place + 1 :] for row in rows]
    return CSV_MARK + csv_lines(rows)


def columns_of(kind: str) -> list[tuple[str, bool]]:
    """The columns of such a file in their usual order, and whether each is needed."""
    return [(column, column in _NEEDED[kind]) for column in _COLUMNS[kind]]


def _refused(read: _Read, rows: Sequence[RefusedRow]) -> FileOutcome:
    return FileOutcome(read.rows, None, len(rows), list(rows[:MOST_EXAMPLES]))


def _rows_of(refusal: Refusal, read: _Read) -> list[RefusedRow]:
    """The rows that an action's refusal names, as ``items.3.names.en``."""
    problems: dict[int, dict[str, str]] = {}
    for path, sentence in refusal.fields.items():
        _items, _dot, rest = path.partition(".")
        place, _dot, name = rest.partition(".")
        if not place.isdigit():
            return [RefusedRow(0, "", {"": sentence})]
        problems.setdefault(int(place), {})[_COLUMN_OF.get(name, name)] = sentence
    return [
        RefusedRow(read.numbers[place], shown(read.items[place].key), found)
        for place, found in sorted(problems.items())
    ]


def _read(kind: str, path: Path, name: str, merchants: Mapping[str, UUID]) -> _Read:
    """Read the whole file, and look at each row by itself."""
    rows = sheets.numbered_rows(path, sheets.recognise(path, name, has_columns=True))
    _number, titles = next(rows, (0, []))
    heading = [_column_name(cell) for cell in titles]
    read = _Read()
    if wrong := _heading_problems(kind, heading):
        read.refused.append(RefusedRow(0, "", wrong))
        return read
    for number, cells in rows:
        read.rows += 1
        if read.rows > MOST_ROWS:
            raise Refusal("too_large")
        row = dict(zip(heading, cells, strict=False))
        problems: dict[str, str] = {}
        item = _MAKERS[kind](row, problems, merchants)
        for found, sentence in problems_of(item).items():
            problems.setdefault(_COLUMN_OF.get(found, found), sentence)
        if problems:
            read.refused.append(RefusedRow(number, shown(item.key), problems))
        else:
            read.items.append(item)
            read.numbers.append(number)
    return read


def _column_name(cell: str) -> str:
    """How a column is called, whatever capitals, blanks or hyphens stand in its heading."""
    name = _WORDS.sub("_", tidied(cell).lower())
    return "name_en" if name == "name" else name


def _heading_problems(kind: str, heading: Sequence[str]) -> dict[str, str]:
    """Columns that are unknown or twice there, and columns that are missing.

    An unknown one may be a misspelt one, and what a file has no column for is emptied: so it is refused.
    """
    known = set(_COLUMNS[kind])
    seen: set[str] = set()
    wrong: dict[str, str] = {}
    for name in filter(None, heading):
        if name not in known:
            wrong[shown(name)] = _("This is none of the columns of the template.")
        elif name in seen:
            wrong[name] = _("This column is there twice.")
        seen.add(name)
    for name in sorted(_NEEDED[kind] - seen):
        wrong[name] = _("This column is missing.")
    return wrong


def _names(row: Mapping[str, str]) -> dict[str, str]:
    texts = {tag: tidied(row.get(column, "")) for column, tag in _NAME_COLUMNS.items()}
    return {tag: text for tag, text in texts.items() if text}


def _key(row: Mapping[str, str], column: str, problems: dict[str, str]) -> str:
    cell = row.get(column, "")
    if isinstance(cell, sheets.Spoilt) and cell.problem != "number":
        problems[column] = _(
            "The spreadsheet has turned this into something else; format the column as text."
        )
    return tidied(cell)


def _reference(row: Mapping[str, str], column: str, problems: dict[str, str]) -> str | None:
    """The key of another entry; None where there is none, or nothing that could be one."""
    key = _key(row, column, problems)
    if key and not is_key(key):
        problems.setdefault(column, KEY_SENTENCE)
        return None
    return key or None


def _category(row: Mapping[str, str], problems: dict[str, str], _merchants: Mapping[str, UUID]) -> Item:
    return CategoryItem(_key(row, "key", problems), _names(row), _reference(row, "parent", problems))


def _brand(row: Mapping[str, str], problems: dict[str, str], _merchants: Mapping[str, UUID]) -> Item:
    return BrandItem(_key(row, "key", problems), _names(row))


def _product(row: Mapping[str, str], problems: dict[str, str], merchants: Mapping[str, UUID]) -> Item:
    def text(column: str) -> str:
        return tidied(row.get(column, ""))

    merchant_id = None
    if code := text("merchant").lower():
        merchant_id = merchants.get(code)
        if merchant_id is None:
            problems["merchant"] = NO_MERCHANT_SENTENCE
    currency = text("currency").upper()
    price = _whole(_figure(row.get("price", "")), CURRENCY_EXPONENTS.get(currency, 2))
    if price is None or price > MAXIMUM_AMOUNT:
        problems["price"] = _("This is not an amount in this currency. Write it as 68.00, without its sign.")
    tax = _whole(_figure(row.get("tax_percent", "")).removesuffix("%").strip() or "0", 2)
    if tax is None:
        problems["tax_percent"] = _("Write a tax of five percent as 5.")
    is_discountable = _YES_OR_NO.get(text("discountable").lower())
    if is_discountable is None:
        problems["discountable"] = _("Write yes or no.")
    return ProductItem(
        key=_key(row, "key", problems),
        names=_names(row),
        price=min(price or 0, MAXIMUM_AMOUNT),
        currency=currency,
        merchant_id=merchant_id,
        tax_basis_points=tax or 0,
        category_key=_reference(row, "category", problems),
        brand_key=_reference(row, "brand", problems),
        is_discountable=is_discountable is not False,
        image=text("image") or None,
        state=text("state").lower() or PRODUCT_STATES[0],
    )


_MAKERS: Mapping[str, Callable[[Mapping[str, str], dict[str, str], Mapping[str, UUID]], Item]] = {
    "products": _product,
    "categories": _category,
    "brands": _brand,
}


def _figure(cell: str) -> str:
    """What a cell of figures says; a sheet's own number without the little that reckoning has put it off by."""
    text = tidied(cell)
    is_number = isinstance(cell, sheets.Spoilt) and cell.problem == "number" and not text.endswith("%")
    return sheets.decimal(float(text)) if is_number else text


def _whole(text: str, decimals: int) -> int | None:
    """A number with so many decimals at the most, times ten to that power; None when it is no such number."""
    if not _AMOUNT.fullmatch(text):
        return None
    amount = Decimal(text).scaleb(decimals)
    return int(amount) if amount == int(amount) else None


async def stored(chunks: AsyncIterator[bytes], path: Path) -> None:
    """Write a file that streams in to disk. Raises Refusal: ``too_large``, ``unreadable_file`` when it is empty."""
    size_bytes = 0
    with path.open("wb") as file:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > MOST_BYTES:
                raise Refusal("too_large")
            await asyncio.to_thread(file.write, chunk)
    if size_bytes == 0:
        raise Refusal("unreadable_file")
