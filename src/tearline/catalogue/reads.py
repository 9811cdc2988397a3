"""Questions about the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue.model import Brand, Category, Product
from tearline.catalogue.sql import among
from tearline.core.catalogue import is_key
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db import LocalisedText
from tearline.db.statement import AnyConnection, Statement
from tearline.merchants.model import AnyRow, AnySelect, Merchant


@dataclass(frozen=True, slots=True)
class CatalogueProduct:
    """A product, as a cart needs to know it.

    Attributes:
        price: minor units of ``currency``.
        tax_basis_points: the tax on it, in hundredths of a percent.
        categories: its own and all that it lies in, from the nearest to the outermost.
        state: ``active`` or ``withdrawn``.
    """

    key: str
    merchant_id: UUID
    names: LocalisedText
    price: int
    currency: str
    tax_basis_points: int
    categories: tuple[str, ...]
    brand: str | None
    is_discountable: bool
    image: str | None
    state: str


_KEYS = bindparam("keys", type_=ARRAY(Text))
_PRODUCTS_OF = Statement(
    select(
        Product.key, Product.merchant_id, Product.names, Product.price, Product.currency,
        Product.tax_basis_points, Category.path, Product.brand_key, Product.is_discountable, Product.image,
        Product.state,
    )
    .outerjoin(Category, Category.key == Product.category_key)
    .where(Product.key == any_(_KEYS))
)  # fmt: skip


async def products_of(connection: AnyConnection, keys: Iterable[str]) -> dict[str, CatalogueProduct]:
    """The products with these keys, withdrawn ones too, in one query; what there is not is left out."""
    named = sorted({key for key in keys if is_key(key)})
    if not named:
        return {}
    rows = await _PRODUCTS_OF.rows(connection, keys=named)
    return {
        key: CatalogueProduct(
            key, merchant_id, names, price, currency, tax, tuple(path or ()), brand, is_discountable, image, state
        )
        for key, merchant_id, names, price, currency, tax, path, brand, is_discountable, image, state in rows
    }  # fmt: skip


def product_list(actor: Actor, *, category: str | None = None) -> AnySelect:
    """All products that the actor may see, with the names of what they belong to; not yet sorted.

    With the columns of ``product`` come ``merchant_code``, ``merchant_names``, ``category_names``,
    ``category_path`` and ``brand_names``.

    Args:
        category: only what lies in this category, or in one that lies in it.
    """
    actor.require("catalogue.read")
    statement: Any = (
        select(
            Product,
            Merchant.code.label("merchant_code"),
            Merchant.names.label("merchant_names"),
            Category.names.label("category_names"),
            Category.path.label("category_path"),
            Brand.names.label("brand_names"),
        )
        .join(Merchant, Merchant.id == Product.merchant_id)
        .outerjoin(Category, Category.key == Product.category_key)
        .outerjoin(Brand, Brand.key == Product.brand_key)
    )
    if actor.merchant_id is not None:
        statement = statement.where(Product.merchant_id == actor.merchant_id)
    if category is not None:
        statement = statement.where(Category.path.contains([category]))
    return statement  # type: ignore[no-any-return]


async def product_by_key(connection: AsyncConnection, actor: Actor, key: str) -> AnyRow:
    """One product, as in ``product_list``; ``not_found`` when there is none, or it is another merchant's."""
    statement = product_list(actor)
    if not is_key(key):
        raise Refusal("not_found")
    row = (await connection.execute(statement.where(Product.key == key))).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return row


def category_list(actor: Actor) -> AnySelect:
    """All categories; not yet sorted."""
    actor.require("catalogue.read")
    return select(Category)


def brand_list(actor: Actor) -> AnySelect:
    """All brands, each with ``products``, how many are sold of it; not yet sorted."""
    actor.require("catalogue.read")
    products = (
        select(func.count())
        .where(Product.brand_key == Brand.key, Product.state == "active")
        .scalar_subquery()
        .label("products")
    )
    return select(Brand, products)


@dataclass(frozen=True, slots=True)
class CategoryNode:
    """A category in the tree; ``depth`` is 0 for an outermost one."""

    key: str
    parent_key: str | None
    path: list[str]
    names: LocalisedText
    depth: int


async def category_tree(connection: AsyncConnection) -> list[CategoryNode]:
    """All categories, each followed by what lies in it; beside one another they go by their English names."""
    rows = {row.key: row for row in await connection.execute(select(Category))}

    def place(row: Any) -> list[tuple[str, str]]:
        return [(rows[key].names["en"].casefold(), key) for key in reversed(row.path)]

    return [
        CategoryNode(row.key, row.parent_key, row.path, row.names, len(row.path) - 1)
        for row in sorted(rows.values(), key=place)
    ]


async def products_within(connection: AsyncConnection, tree: Iterable[CategoryNode]) -> Counter[str]:
    """By category, how many products that are sold lie in it or deeper. It looks at every product."""
    counts = (
        select(Product.category_key, func.count().label("products"))
        .where(Product.state == "active", Product.category_key.is_not(None))
        .group_by(Product.category_key)
    )
    products = {row.category_key: row.products for row in await connection.execute(counts)}
    within: Counter[str] = Counter()
    for node in tree:
        for above in node.path:
            within[above] += products.get(node.key, 0)
    return within


async def category_by_key(connection: AsyncConnection, key: str) -> AnyRow:
    """One category, or ``not_found``."""
    return await _one(connection, select(Category).where(Category.key == key), key)


async def brand_by_key(connection: AsyncConnection, key: str) -> AnyRow:
    """One brand, or ``not_found``."""
    return await _one(connection, select(Brand).where(Brand.key == key), key)


async def brands(connection: AsyncConnection) -> list[tuple[str, LocalisedText]]:
    """Key and names of every brand, by their English names."""
    rows = await connection.execute(select(Brand.key, Brand.names))
    return sorted(
        ((row.key, row.names) for row in rows), key=lambda brand: (brand[1]["en"].casefold(), brand[0])
    )


@dataclass(frozen=True, slots=True)
class UnknownKeys:
    """Keys that an offer names and the catalogue does not know yet, in the order in which they were asked for."""

    products: list[str]
    categories: list[str]
    brands: list[str]


async def unknown_keys(
    connection: AsyncConnection,
    *,
    products: Collection[str],
    categories: Collection[str],
    brands: Collection[str],
) -> UnknownKeys:
    """Which of these keys the catalogue does not know."""

    async def unknown(column: Any, keys: Collection[str]) -> list[str]:
        named = [key for key in keys if is_key(key)]
        known = set(await connection.scalars(select(column).where(column == among(column, named))))
        return [key for key in dict.fromkeys(keys) if key not in known]

    return UnknownKeys(
        await unknown(Product.key, products),
        await unknown(Category.key, categories),
        await unknown(Brand.key, brands),
    )


async def _one(connection: AsyncConnection, statement: AnySelect, key: str) -> AnyRow:
    row = (await connection.execute(statement)).one_or_none() if is_key(key) else None
    if row is None:
        raise Refusal("not_found")
    return row
