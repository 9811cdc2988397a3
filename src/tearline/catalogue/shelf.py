"""Questions of a shop about what it can sell now: products of active merchants in the shop's one currency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue.model import Brand, Category, Product
from tearline.catalogue.reads import CategoryNode, category_tree
from tearline.core.catalogue import is_key
from tearline.db import LocalisedText
from tearline.i18n import LANGUAGES
from tearline.merchants.model import AnySelect, Merchant

_SEEN_FOR = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class ShelfProduct:
    """A product as a shop shows it.

    Attributes:
        price: minor units of ``currency``.
        tax_basis_points: the tax on it, in hundredths of a percent.
        categories: its own and all that it lies in, from the nearest to the outermost.
        is_sold: whether it can be bought now: it is not withdrawn, its merchant is active, its currency the shop's.
    """

    key: str
    names: LocalisedText
    price: int
    currency: str
    tax_basis_points: int
    categories: tuple[str, ...]
    category_names: LocalisedText | None
    brand: str | None
    brand_names: LocalisedText | None
    is_discountable: bool
    image: str | None
    merchant_id: UUID
    merchant_code: str
    merchant_names: LocalisedText
    merchant_edge: str
    is_sold: bool


@dataclass(frozen=True, slots=True)
class ShelfPage:
    """Some products, and after which key the next page begins; None when these are the last."""

    products: list[ShelfProduct]
    next_after: str | None


async def shelf(
    connection: AsyncConnection,
    currency: str,
    *,
    category: str | None = None,
    merchant: str | None = None,
    words: str = "",
    after: str | None = None,
    limit: int = 24,
) -> ShelfPage:
    """What is sold, a page of it, by key.

    Args:
        category: only what lies in this category, or in one that lies in it.
        merchant: only of the merchant with this code.
        words: only what has each of these words in its names or its brand's, in any language.
        after: ``next_after`` of the page before.
    """
    query = _products(currency).where(_is_sold(currency)).order_by(Product.key).limit(limit + 1)
    if category is not None:
        query = query.where(Category.path.contains([category]))
    if merchant is not None:
        query = query.where(Merchant.code == merchant)
    for word in words.split():
        query = query.where(or_(*(_has(names, word) for names in (Product.names, Brand.names))))
    if after is not None:
        query = query.where(Product.key > after)
    rows = (await connection.execute(query)).all()
    found = [_product(row) for row in rows[:limit]]
    return ShelfPage(found, found[-1].key if len(rows) > limit else None)


async def shelf_products(
    connection: AsyncConnection, currency: str, keys: Iterable[str]
) -> dict[str, ShelfProduct]:
    """Products by key, also those that are sold no longer; what there never was is left out."""
    named = sorted({key for key in keys if is_key(key)})
    if not named:
        return {}
    query = _products(currency).where(Product.key == any_(bindparam("keys", type_=ARRAY(Text))))
    return {row.key: _product(row) for row in await connection.execute(query, {"keys": named})}


async def shelf_merchants(connection: AsyncConnection, currency: str) -> Sequence[tuple[str, LocalisedText]]:
    """Code and names of the merchants who sell something, by their English names."""
    sells = _is_reached(Product.merchant_id, Merchant.id, currency)
    rows = await connection.execute(
        select(Merchant.code, Merchant.names).where(Merchant.state == "active", sells)
    )
    return sorted(((row.code, row.names) for row in rows), key=lambda one: (one[1]["en"].casefold(), one[0]))


async def shelf_categories(connection: AsyncConnection, currency: str) -> list[CategoryNode]:
    """The categories in which something is sold, or in what lies in them, in the order of the tree."""
    sells = _is_reached(Product.category_key, Category.key, currency)
    paths = await connection.scalars(select(Category.path).where(sells))
    keys = {key for path in paths for key in path}
    return [node for node in await category_tree(connection) if node.key in keys]


class ShelfWatch:
    """Whether anything is sold, for pages that link to the shop: asked every ten seconds at most while there is.

    Args:
        currency: the shop's.
    """

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._seen_at: datetime | None = None

    async def has_products(self, connection: AsyncConnection, now: datetime) -> bool:
        """Whether anything is sold, or was until a moment ago."""
        if self.is_fresh(now):
            return True
        query = select(
            exists().where(
                Product.merchant_id == Merchant.id, Merchant.state == "active", Product.state == "active",
                _is_in(self._currency),
            )
        )  # fmt: skip
        found = bool(await connection.scalar(query))
        self._seen_at = now if found else None
        return found

    def is_fresh(self, now: datetime) -> bool:
        """Whether something was seen so lately that nobody needs to look again."""
        return self._seen_at is not None and abs(now - self._seen_at) < _SEEN_FOR


def _products(currency: str) -> AnySelect:
    query: AnySelect = (
        select(
            Product.key, Product.names, Product.price, Product.currency, Product.tax_basis_points, Category.path,
            Category.names.label("category_names"), Product.brand_key, Brand.names.label("brand_names"),
            Product.is_discountable, Product.image, Product.merchant_id, Merchant.code.label("merchant_code"),
            Merchant.names.label("merchant_names"), Merchant.edge.label("merchant_edge"),
            _is_sold(currency).label("is_sold"),
        )
        .join(Merchant, Merchant.id == Product.merchant_id)
        .outerjoin(Category, Category.key == Product.category_key)
        .outerjoin(Brand, Brand.key == Product.brand_key)
    )  # fmt: skip
    return query


def _is_reached(column: Any, value: Any, currency: str) -> ColumnElement[bool]:
    """Whether a product with this value in an indexed column is sold, whatever its merchant's state.

    Asked as the first product from there on, so that the index is walked to it: of ``exists()``, and of an equation
    that most products fulfil, the planner may make a scan of all products for each view of the market.
    """
    first = select(column).where(column >= value, Product.state == "active", _is_in(currency))
    return first.order_by(column).limit(1).scalar_subquery() == value  # type: ignore[no-any-return]


def _is_sold(currency: str) -> ColumnElement[bool]:
    return and_(Product.state == "active", Merchant.state == "active", _is_in(currency))


def _is_in(currency: str) -> ColumnElement[bool]:
    return Product.currency == currency


def _has(names: Any, word: str) -> ColumnElement[bool]:
    return or_(*(names[language].astext.icontains(word, autoescape=True) for language in LANGUAGES))


def _product(row: Any) -> ShelfProduct:
    return ShelfProduct(
        row.key, row.names, row.price, row.currency, row.tax_basis_points, tuple(row.path or ()), row.category_names,
        row.brand_key, row.brand_names, row.is_discountable, row.image, row.merchant_id, row.merchant_code,
        row.merchant_names, row.merchant_edge, row.is_sold,
    )  # fmt: skip
