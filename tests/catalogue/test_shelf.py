"""What the market's filters offer: that it is right, and that it does not cost more the more is sold."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tearline.catalogue.shelf import shelf_categories, shelf_merchants
from tearline.db import Database, transaction
from tests.catalogue.support import categories, make_merchant, product, products

pytestmark = pytest.mark.anyio


async def test_only_what_something_is_sold_in_is_offered(database: Database) -> None:
    sells, withdrew = await make_merchant(database), await make_merchant(database, "peak")
    await make_merchant(database, "zen")
    await categories(
        database, ("food", None), ("tea", "food"), ("green", "tea"), ("leisure", None), ("abroad", None)
    )
    await products(
        database,
        [
            product("a", sells, category_key="tea"),
            product("b", sells, category_key="abroad", currency="THB"),
            product("c", sells),
            product("gone", withdrew, category_key="leisure", state="withdrawn"),
        ],
    )
    async with database.connection() as connection:
        tree = await shelf_categories(connection, "HKD")
        assert [(node.key, node.depth) for node in tree] == [("food", 0), ("tea", 1)]
        assert [code for code, _names in await shelf_merchants(connection, "HKD")] == ["kam"]
        assert [node.key for node in await shelf_categories(connection, "THB")] == ["abroad"]


async def test_filters_do_not_look_at_every_product(database: Database) -> None:
    """Neither where nearly all is of one merchant and in one category, nor for those who sell nothing."""
    first, merchant_id = await make_merchant(database, "aaa"), await make_merchant(database)
    for code in ("peak", "zen"):
        await make_merchant(database, code)
    await categories(database, ("drinks", None), ("food", None), ("tea", "food"), ("leisure", None))
    await products(database, [product("a", first, category_key="drinks")])
    async with transaction(database) as tx:
        await tx.execute(
            text("""
                INSERT INTO product (key, merchant_id, names, price, currency, tax_basis_points, category_key,
                                     is_discountable, state, created_at, updated_at)
                SELECT 'p' || n, :merchant_id, '{"en": "P"}', 100, 'HKD', 0, 'tea', true, 'active', now(), now()
                FROM generate_series(1, 20000) AS n"""),
            {"merchant_id": merchant_id},
        )
        await tx.execute(text("ANALYZE product"))
    looked_at = text(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'product'"
    )
    async with database.connection() as connection:
        assert len(await shelf_categories(connection, "HKD")) == 3
        assert len(await shelf_merchants(connection, "HKD")) == 2
        assert (await connection.execute(looked_at)).scalar_one() < 100
