"""Putting the catalogue: all of a call or nothing, only what differs is written, and paths are always right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from tearline.catalogue.actions import MOST_ITEMS, put_brands, put_categories, withdraw_products
from tearline.catalogue.model import Brand, BrandItem, Category, CategoryItem, Counts, Product
from tearline.catalogue.reads import (
    brand_by_key,
    brand_list,
    category_by_key,
    category_tree,
    product_by_key,
    product_list,
    products_of,
    products_within,
    unknown_keys,
)
from tearline.catalogue.reads import brands as all_brands
from tearline.core.catalogue import DEEPEST, paths_of
from tearline.core.money import MAXIMUM_AMOUNT
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.db import Database, transaction
from tearline.merchants.model import AuditEntry
from tests.catalogue.support import (
    NOW,
    OPERATOR,
    assert_tree_is_right,
    brands,
    categories,
    key_of,
    make_merchant,
    manager_of,
    paths,
    product,
    products,
)

pytestmark = pytest.mark.anyio

LATER = NOW + timedelta(hours=1)


async def fields_refused(refused: Any, reason: str = "invalid") -> dict[str, str]:
    assert refused.value.reason == reason
    return dict(refused.value.fields)


# Categories


async def test_categories_are_put_in_any_order_and_have_their_path(database: Database) -> None:
    counts = await categories(database, ("tea", "drinks"), ("drinks", "food"), ("food", None))
    assert counts == Counts(3, 0, 0)
    assert await paths(database) == {
        "food": ["food"], "drinks": ["drinks", "food"], "tea": ["tea", "drinks", "food"]
    }  # fmt: skip


async def test_a_category_that_moves_takes_along_what_lies_in_it(database: Database) -> None:
    await categories(database, ("food", None), ("drinks", "food"), ("tea", "drinks"), ("leisure", None))
    assert await categories(database, ("drinks", "leisure"), ("food", None), now=LATER) == Counts(0, 1, 1)
    assert (await paths(database))["tea"] == ["tea", "drinks", "leisure"]
    async with database.connection() as connection:
        rows = {row.key: row.updated_at for row in await connection.execute(select(Category))}
    assert rows == {"food": NOW, "drinks": LATER, "tea": NOW, "leisure": NOW}


async def test_the_same_categories_again_write_nothing(database: Database) -> None:
    await categories(database, ("food", None), ("drinks", "food"))
    assert await categories(database, ("food", None), ("drinks", "food"), now=LATER) == Counts(0, 0, 2)
    async with database.connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(AuditEntry)) == 1
        assert set(await connection.scalars(select(Category.updated_at))) == {NOW}


@pytest.mark.parametrize(
    ("pairs", "at_fault"),
    [
        ([("food", "tea")], ["items.0.parent_key"]),
        ([("food", "food")], ["items.0.parent_key"]),
        ([("x", "food"), ("a", "b"), ("b", "c"), ("c", "a")], [f"items.{n}.parent_key" for n in (1, 2, 3)]),
        ([("drinks", None), ("x", "nowhere")], ["items.1.parent_key"]),
        ([("x", None), ("x", "food")], ["items.1.key"]),
        ([("", None)], ["items.0.key"]),
        ([("with space", None)], ["items.0.key"]),
        ([("x" * 101, None)], ["items.0.key"]),
        ([("茶", None)], ["items.0.key"]),
    ],
)
async def test_a_wrong_tree_is_refused_whole(
    database: Database, pairs: list[tuple[str, str | None]], at_fault: list[str]
) -> None:
    await categories(database, ("food", None), ("drinks", "food"), ("tea", "drinks"))
    before = await paths(database)
    with pytest.raises(Refusal) as refused:
        await categories(database, *pairs)
    assert sorted(await fields_refused(refused)) == at_fault
    assert await paths(database) == before


async def test_two_categories_may_change_places_in_one_call(database: Database) -> None:
    await categories(database, ("a", None), ("b", "a"), ("c", "b"))
    assert await categories(database, ("a", "b"), ("b", None)) == Counts(0, 2, 0)
    assert await paths(database) == {"b": ["b"], "a": ["a", "b"], "c": ["c", "b"]}


async def test_a_tree_is_twelve_deep_at_the_most_also_below_what_moves(database: Database) -> None:
    chain = [(f"c{depth}", f"c{depth - 1}" if depth else None) for depth in range(DEEPEST)]
    await categories(database, *chain, ("top", None))
    for pairs in ([("deeper", f"c{DEEPEST - 1}")], [("c0", "top")]):
        with pytest.raises(Refusal) as refused:
            await categories(database, *pairs)
        assert list(await fields_refused(refused)) == ["items.0.parent_key"]


KEYS = [f"k{number}" for number in range(7)]
MOVES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.none() | st.sampled_from(KEYS)),
        min_size=1, max_size=4, unique_by=lambda pair: pair[0],
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=MOVES)
async def test_paths_are_right_whatever_is_moved(
    database: Database, calls: list[list[tuple[str, str | None]]]
) -> None:
    """Against a model that climbs the parents of each category: what makes no sense is refused, and only that."""
    async with transaction(database) as tx:
        await tx.execute(Category.__table__.delete())
    tree: dict[str, str | None] = {}
    for pairs in calls:
        wanted = {**tree, **dict(pairs)}
        makes_sense = all(climbs_out(key, wanted) for key in wanted)
        try:
            await categories(database, *pairs)
        except Refusal as refusal:
            assert refusal.reason == "invalid" and not makes_sense
        else:
            assert makes_sense
            tree = wanted
        await assert_tree_is_right(database)
        assert {
            key: path[1] if len(path) > 1 else None for key, path in (await paths(database)).items()
        } == tree


def climbs_out(key: str, parents: dict[str, str | None]) -> bool:
    at: str | None = key
    for _step in range(len(parents) + 1):
        if at is None:
            return True
        if at not in parents:
            return False
        at = parents[at]
    return False


def test_what_hangs_on_a_circle_has_no_path_but_is_not_in_it() -> None:
    paths, circular = paths_of(
        {"a": "b", "b": "a", "hangs": "deeper", "deeper": "b", "free": None, "leaf": "free"}
    )
    assert paths == {"free": ["free"], "leaf": ["leaf", "free"]} and circular == {"a", "b"}


# Brands


async def test_brands_are_put(database: Database) -> None:
    assert await brands(database, "olive", "anker") == Counts(2, 0, 0)
    async with transaction(database) as tx:
        items = [BrandItem("olive", {"en": " Olive & Co ", "th": " "}), BrandItem("anker", {"en": "Anker"})]
        assert await put_brands(tx, OPERATOR, items, LATER) == Counts(0, 1, 1)
        assert await put_brands(tx, OPERATOR, items, LATER) == Counts(0, 0, 2)
    async with database.connection() as connection:
        assert await all_brands(connection) == [("anker", {"en": "Anker"}), ("olive", {"en": "Olive & Co"})]


# Products


async def test_products_are_put_and_only_what_differs_is_written(database: Database) -> None:
    merchant_id = await make_merchant(database)
    await categories(database, ("food", None))
    await brands(database, "olive")
    items = [product(key, merchant_id) for key in ("b", "a", "c")]
    assert await products(database, items) == Counts(3, 0, 0)
    items[0] = product("b", merchant_id, category_key="food", brand_key="olive", price=0, image="art/tea.svg")
    items.append(product("d", merchant_id))
    assert await products(database, items, now=LATER) == Counts(1, 1, 2)
    assert await products(database, items, now=LATER) == Counts(0, 0, 4)
    async with database.connection() as connection:
        rows = {row.key: row for row in await connection.execute(select(Product))}
        logged = (await connection.execute(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))).one()
    assert {key: row.updated_at for key, row in rows.items()} == {"a": NOW, "b": LATER, "c": NOW, "d": LATER}
    assert (rows["b"].price, rows["b"].category_key, rows["b"].created_at) == (0, "food", NOW)
    assert logged.action == "catalogue.products_put" and logged.merchant_id == merchant_id
    assert logged.after == {"added": 1, "changed": 1, "unchanged": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"names": {"en": "Other", "th": "อื่น"}}, {"price": 1}, {"currency": "THB"}, {"tax_basis_points": 700},
        {"category_key": "food"}, {"brand_key": "olive"}, {"is_discountable": False}, {"image": "art/tea.svg"},
        {"state": "withdrawn"},
    ],
)  # fmt: skip
async def test_each_field_can_change_and_change_back(database: Database, changes: dict[str, Any]) -> None:
    merchant_id = await make_merchant(database)
    await categories(database, ("food", None))
    await brands(database, "olive")
    await products(database, [product("a", merchant_id)])
    for wanted in (changes, {}):
        assert await products(database, [product("a", merchant_id, **wanted)]) == Counts(0, 1, 0)
        assert await products(database, [product("a", merchant_id, **wanted)]) == Counts(0, 0, 1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "two words"}, "key"),
        ({"names": {"th": "ชา"}}, "names.en"),
        ({"names": {"en": "x" * 201}}, "names.en"),
        ({"names": {"en": "nul\0"}}, "names.en"),
        ({"names": {"en": "Tea", "fr": "Thé"}}, "names"),
        ({"price": -1}, "price"),
        ({"price": MAXIMUM_AMOUNT + 1}, "price"),
        ({"currency": "XXX"}, "currency"),
        ({"tax_basis_points": 10_001}, "tax_basis_points"),
        ({"image": "https://example.org/a.png"}, "image"),
        ({"state": "gone"}, "state"),
        ({"category_key": "nowhere"}, "category_key"),
        ({"brand_key": "nobody"}, "brand_key"),
        ({"merchant_id": None}, "merchant_id"),
        ({"key": "a"}, "key"),
    ],
)
async def test_one_wrong_row_refuses_the_call_and_names_itself(
    database: Database, changes: dict[str, Any], field: str
) -> None:
    merchant_id = await make_merchant(database)
    wrong = product(**{"key": "b", "merchant_id": merchant_id, **changes})
    with pytest.raises(Refusal) as refused:
        await products(database, [product("a", merchant_id), wrong])
    assert list(await fields_refused(refused)) == [f"items.1.{field}"]
    async with database.connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(Product)) == 0


async def test_a_merchant_writes_its_own_products_and_nothing_else(database: Database) -> None:
    own_id, other_id = await make_merchant(database), await make_merchant(database, "peak")
    await products(database, [product("theirs", other_id)])
    for actor in (manager_of(own_id), key_of(own_id)):
        await products(database, [product("mine"), product("also-mine", own_id)], actor)
        with pytest.raises(Refusal) as refused:
            await products(database, [product("new"), product("theirs", price=1)], actor)
        assert list(await fields_refused(refused, "already_taken")) == ["items.1.key"]
        with pytest.raises(Refusal) as refused:
            await products(database, [product("new", other_id)], actor)
        assert list(await fields_refused(refused)) == ["items.0.merchant_id"]
        for attempt in (
            lambda tx, actor=actor: put_categories(tx, actor, [CategoryItem("a", {"en": "A"})], NOW),
            lambda tx, actor=actor: put_brands(tx, actor, [BrandItem("a", {"en": "A"})], NOW),
        ):
            with pytest.raises(Refusal) as refused:
                async with transaction(database) as tx:
                    await attempt(tx)
            assert refused.value.reason == "not_allowed"
    async with database.connection() as connection:
        rows = await connection.execute(select(Product.key, Product.merchant_id, Product.price))
        assert {tuple(row) for row in rows} == {
            ("mine", own_id, 4800), ("also-mine", own_id, 4800), ("theirs", other_id, 4800)
        }  # fmt: skip
        assert await connection.scalar(select(func.count()).select_from(Brand)) == 0


async def test_a_product_stays_with_its_merchant_also_for_the_operator(database: Database) -> None:
    own_id, other_id = await make_merchant(database), await make_merchant(database, "peak")
    await products(database, [product("a", own_id)])
    with pytest.raises(Refusal) as refused:
        await products(database, [product("a", other_id)])
    assert list(await fields_refused(refused, "already_taken")) == ["items.0.key"]


@pytest.mark.parametrize("role", ["finance", "auditor", "cashier"])
async def test_who_may_only_read_writes_nothing(database: Database, role: str) -> None:
    actor = Actor("staff", None, "Bo", PERMISSIONS[role])
    for attempt in (
        products(database, [product("a")], actor),
        categories(database, ("a", None), actor=actor),
    ):
        with pytest.raises(Refusal) as refused:
            await attempt
        assert refused.value.reason == "not_allowed"


async def test_a_call_has_a_thousand_rows_at_the_most(database: Database) -> None:
    merchant_id = await make_merchant(database)
    items = [product(f"p{number}", merchant_id) for number in range(MOST_ITEMS + 1)]
    with pytest.raises(Refusal) as refused:
        await products(database, items)
    assert list(await fields_refused(refused)) == ["items"]
    assert await products(database, items[:-1]) == Counts(MOST_ITEMS, 0, 0)
    assert await products(database, []) == Counts(0, 0, 0)


async def test_products_are_withdrawn_and_come_back(database: Database) -> None:
    own_id, other_id = await make_merchant(database), await make_merchant(database, "peak")
    await products(database, [product("a", own_id), product("b", own_id), product("theirs", other_id)])
    actor = key_of(own_id)
    async with transaction(database) as tx:
        assert await withdraw_products(tx, actor, ["b", "a", "b"], LATER) == Counts(0, 2, 0)
        assert await withdraw_products(tx, actor, ["a"], LATER) == Counts(0, 0, 1)
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await withdraw_products(tx, actor, ["a", "theirs", "nothing"], LATER)
    assert list(await fields_refused(refused)) == ["keys.1", "keys.2"]
    async with database.connection() as connection:
        found = await products_of(connection, ["a", "theirs"])
    assert {key: entry.state for key, entry in found.items()} == {"a": "withdrawn", "theirs": "active"}
    assert await products(database, [product("a")], actor) == Counts(0, 1, 0)


# Reads


async def test_products_of_is_one_query_with_the_categories_that_hold_each(database: Database) -> None:
    merchant_id = await make_merchant(database)
    await categories(database, ("food", None), ("tea", "food"))
    await brands(database, "olive")
    await products(
        database,
        [product("a", merchant_id, category_key="tea", brand_key="olive"), product("b", merchant_id)],
    )
    statements: list[str] = []
    async with database.connection() as connection:
        event.listen(
            connection.sync_connection, "before_cursor_execute", lambda *call: statements.append(call[2])
        )
        found = await products_of(connection, ["b", "a", "a", "missing", "nul\0", "ชา"])
        assert await products_of(connection, []) == {}
    assert len(statements) == 1
    assert set(found) == {"a", "b"}
    assert (found["a"].categories, found["a"].brand, found["a"].price) == (("tea", "food"), "olive", 4800)
    assert (found["b"].categories, found["b"].brand, found["b"].is_discountable) == ((), None, True)


async def test_lists_show_what_the_actor_may_see(database: Database) -> None:
    own_id, other_id = await make_merchant(database), await make_merchant(database, "peak")
    await categories(database, ("food", None), ("tea", "food"), ("leisure", None))
    await brands(database, "olive")
    await products(
        database,
        [
            product("a", own_id, category_key="tea", brand_key="olive"), product("b", own_id, category_key="food"),
            product("c", other_id, category_key="leisure"), product("gone", own_id, state="withdrawn"),
        ],
    )  # fmt: skip
    async with database.connection() as connection:
        rows = (await connection.execute(product_list(OPERATOR, category="food"))).all()
        assert {row.key for row in rows} == {"a", "b"}
        assert {row.key for row in await connection.execute(product_list(manager_of(own_id)))} == {
            "a",
            "b",
            "gone",
        }
        row = await product_by_key(connection, OPERATOR, "a")
        assert (row.category_path, row.brand_names, row.merchant_code) == (
            ["tea", "food"],
            {"en": "Olive"},
            "kam",
        )
        assert [tuple(row)[0::4] for row in await connection.execute(brand_list(OPERATOR))] == [("olive", 1)]
        tree = await category_tree(connection)
        within = await products_within(connection, tree)
        assert [(node.key, node.depth, within[node.key]) for node in tree] == [
            ("food", 0, 2), ("tea", 1, 1), ("leisure", 0, 1)
        ]  # fmt: skip
        unknown = await unknown_keys(
            connection, products=["a", "x y", "z"], categories=["tea"], brands=["nobody"]
        )
        assert (unknown.products, unknown.categories, unknown.brands) == (["x y", "z"], [], ["nobody"])
        for attempt in (
            product_by_key(connection, manager_of(own_id), "c"), product_by_key(connection, OPERATOR, "x\0"),
            category_by_key(connection, "nowhere"), brand_by_key(connection, "nobody"),
        ):  # fmt: skip
            with pytest.raises(Refusal) as refused:
                await attempt
            assert refused.value.reason == "not_found"
