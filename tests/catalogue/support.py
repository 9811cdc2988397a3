"""What the tests of the catalogue share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from tearline.catalogue.actions import put_brands, put_categories, put_products
from tearline.catalogue.model import BrandItem, Category, CategoryItem, Counts, ProductItem
from tearline.core.roles import KEY_SCOPES, PERMISSIONS, Actor, command_actor
from tearline.db import Database, new_id, transaction
from tearline.merchants.actions import create_merchant

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
OPERATOR = command_actor("tests")


def manager_of(merchant_id: UUID) -> Actor:
    return Actor("staff", new_id(), "Ann", PERMISSIONS["manager"], merchant_id=merchant_id)


def key_of(merchant_id: UUID) -> Actor:
    return Actor("key", new_id(), "shop", KEY_SCOPES["merchant"], merchant_id=merchant_id)


async def make_merchant(database: Database, code: str = "kam") -> UUID:
    async with transaction(database) as tx:
        return await create_merchant(tx, OPERATOR, code=code, names={"en": code}, kind="retail", now=NOW)


def product(key: str, merchant_id: UUID | None = None, **changes: Any) -> ProductItem:
    """A product of HK$48."""
    return ProductItem(
        **{
            "key": key, "names": {"en": f"Product {key}"}, "price": 4800, "currency": "HKD",
            "merchant_id": merchant_id, **changes,
        }
    )  # fmt: skip


async def categories(
    database: Database, *pairs: tuple[str, str | None], actor: Actor = OPERATOR, now: datetime = NOW
) -> Counts:
    """Put categories, each a key and its parent's."""
    items = [CategoryItem(key, {"en": f"Category {key}"}, parent) for key, parent in pairs]
    async with transaction(database) as tx:
        return await put_categories(tx, actor, items, now)


async def brands(database: Database, *keys: str) -> Counts:
    async with transaction(database) as tx:
        return await put_brands(tx, OPERATOR, [BrandItem(key, {"en": key.title()}) for key in keys], NOW)


async def products(
    database: Database, items: Sequence[ProductItem], actor: Actor = OPERATOR, now: datetime = NOW
) -> Counts:
    async with transaction(database) as tx:
        return await put_products(tx, actor, items, now)


async def paths(database: Database) -> dict[str, list[str]]:
    async with database.connection() as connection:
        return {row.key: row.path for row in await connection.execute(select(Category.key, Category.path))}


async def assert_tree_is_right(database: Database) -> None:
    """Each path is its own key and its parent's path."""
    async with database.connection() as connection:
        rows = {row.key: row for row in await connection.execute(select(Category))}
    for row in rows.values():
        above = [] if row.parent_key is None else rows[row.parent_key].path
        assert row.path == [row.key, *above]
