"""Categories that move at the same moment, and products that are put by many: committing for real."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from tearline.catalogue import actions
from tearline.catalogue.model import BrandItem, Category, CategoryItem, Product
from tearline.catalogue.sql import Put
from tearline.core.refusal import Refusal
from tearline.db import Database, transaction
from tests.catalogue.support import NOW, OPERATOR, brands, categories, make_merchant, product, products
from tests.races.controls import assert_breaks

pytestmark = pytest.mark.anyio

ROUNDS = 8


async def move(database: Database, key: str, parent: str) -> bool:
    """Move a category; False when that was refused."""
    try:
        await categories(database, (key, parent))
    except Refusal:
        return False
    return True


async def tree_holds(database: Database) -> bool:
    """Whether each path is right, after moves that together would close circles, and moves of what they hold."""
    await categories(
        database, ("root", None), *((f"{side}{n}", "root") for side in "ab" for n in range(ROUNDS))
    )
    await categories(database, *((f"{side}{n}-leaf", f"{side}{n}") for side in "ab" for n in range(ROUNDS)))
    moves = [(f"a{n}", f"b{n}") for n in range(ROUNDS)] + [(f"b{n}", f"a{n}") for n in range(ROUNDS)]
    outcomes = await asyncio.gather(
        *(move(database, key, parent) for key, parent in moves), return_exceptions=True
    )
    if any(isinstance(outcome, BaseException) for outcome in outcomes):
        # A circle was there already when this one came to look, or two waited for one another.
        return False
    async with database.connection() as connection:
        rows = {row.key: row for row in await connection.execute(select(Category))}
    for row in rows.values():
        climbed: list[str] = []
        at: str | None = row.key
        while at is not None:
            if at in climbed:
                return False
            climbed.append(at)
            at = rows[at].parent_key
        if climbed != row.path:
            return False
    # Of two moves that would close a circle together, one was done and one refused.
    return all(outcomes[n] != outcomes[n + ROUNDS] for n in range(ROUNDS))


async def test_two_moves_never_close_a_circle(database: Database) -> None:
    assert await tree_holds(database)


async def test_without_the_lock_they_do(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "LOCK_CATEGORY_TREE", text("SELECT 1"))
    await assert_breaks(database, lambda: tree_holds(database))


async def one_state_holds(database: Database) -> bool:
    """Whether nobody waits in a circle, and every row is as one of the calls said, whole."""
    merchant_id = await make_merchant(database)
    keys = [f"p{number:03d}" for number in range(800)]
    await products(database, [product(key, merchant_id) for key in keys[::2]])

    async def put(caller: int) -> None:
        wanted = keys if caller % 2 else keys[::-1]
        await products(
            database,
            [product(key, merchant_id, price=caller, names={"en": f"By {caller}"}) for key in wanted],
        )

    outcomes = await asyncio.gather(*(put(caller) for caller in range(1, 5)), return_exceptions=True)
    if any(isinstance(outcome, BaseException) for outcome in outcomes):
        return False
    async with database.connection() as connection:
        rows = (await connection.execute(select(Product))).all()
    return len(rows) == len(keys) and all(row.names == {"en": f"By {row.price}"} for row in rows)


async def test_products_put_in_any_order_by_many_end_in_one_state(database: Database) -> None:
    assert await one_state_holds(database)


async def test_without_an_order_they_wait_in_a_circle(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = actions.PUT_PRODUCTS
    plain = {
        # Slow enough that they meet.
        name: text(
            getattr(put, name)
            .text.replace("ORDER BY key", "WHERE pg_sleep(0.0002)::text = ''")
            .replace("ORDER BY product.key", "")
        )
        for name in ("insert", "lock", "update")
    }
    monkeypatch.setattr(actions, "PUT_PRODUCTS", Put(**plain))
    monkeypatch.setattr(actions, "sorted", lambda rows, key: rows, raising=False)
    await assert_breaks(database, lambda: one_state_holds(database))


async def test_a_key_that_two_merchants_take_at_once_is_one_merchants(database: Database) -> None:
    own_id, other_id = await make_merchant(database), await make_merchant(database, "peak")

    async def take(merchant_id: object, keys: list[str]) -> bool:
        try:
            await products(database, [product(key, merchant_id) for key in keys])  # type: ignore[arg-type]
        except Refusal as refusal:
            assert refusal.reason == "already_taken"
            return False
        return True

    for number in range(10):
        keys = [f"{number}-{place}" for place in range(20)]
        outcomes = await asyncio.gather(take(own_id, keys), take(other_id, keys[::-1]))
        assert sorted(outcomes) == [False, True]
        async with database.connection() as connection:
            owners = set(await connection.scalars(select(Product.merchant_id).where(Product.key.in_(keys))))
        assert len(owners) == 1


@pytest.mark.parametrize("what", ["products", "categories", "brands"])
async def test_of_those_who_saw_the_same_entry_one_changes_it(database: Database, what: str) -> None:
    merchant_id = await make_merchant(database)
    await products(database, [product("x", merchant_id)])
    await categories(database, ("x", None))
    await brands(database, "x")

    async def change(number: int) -> str:
        names = {"en": f"Name {number}"}
        changed_at = NOW + timedelta(seconds=number)
        try:
            async with transaction(database) as tx:
                if what == "products":
                    items = [product("x", merchant_id, names=names)]
                    await actions.put_products(tx, OPERATOR, items, changed_at, seen_at=NOW)
                elif what == "categories":
                    tree = [CategoryItem("x", names)]
                    await actions.put_categories(tx, OPERATOR, tree, changed_at, seen_at=NOW)
                else:
                    await actions.put_brands(tx, OPERATOR, [BrandItem("x", names)], changed_at, seen_at=NOW)
        except Refusal as refusal:
            return refusal.reason
        return "changed"

    outcomes = await asyncio.gather(*(change(number) for number in range(1, ROUNDS + 1)))
    assert sorted(outcomes) == ["changed", *["changed_meanwhile"] * (ROUNDS - 1)]
