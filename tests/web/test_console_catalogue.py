"""The catalogue in the console: products, the tree of categories, brands, and files."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql

from tearline.catalogue.model import Product
from tearline.catalogue.reads import product_list
from tearline.core.roles import SYSTEM
from tearline.db import Database, transaction
from tearline.web.app import Application
from tearline.web.console.support import PICTURE_NAMES
from tearline.web.ui.assets import manifest
from tests.catalogue.support import brands, categories, make_merchant, paths, product, products
from tests.web.browsing import Browser, Page, console_browser

pytestmark = pytest.mark.anyio

HOME = "/console/catalogue"


def _database(app: Application) -> Database:
    database: Database = app.litestar.state.services.database
    return database


async def _fill(database: Database) -> str:
    """Food with tea in it, one brand, and two products of one merchant, whose id is answered."""
    merchant_id = await make_merchant(database)
    await categories(database, ("food", None), ("tea", "food"))
    await brands(database, "olive")
    await products(
        database,
        [
            product("oolong", merchant_id, category_key="tea", brand_key="olive", price=6800),
            product("gift/1", merchant_id, is_discountable=False, state="withdrawn", currency="KWD"),
        ],
    )
    return str(merchant_id)


async def _send(
    browser: Browser, kind: str, content: bytes, name: str = "a.csv", *, token: str | None = None
) -> Page:
    answer = await browser.client.post(
        f"{HOME}/upload/{kind}",
        data={"_csrf_token": browser.token if token is None else token},
        files={"file": (name, content, "text/csv")},
        headers={"accept-language": "en"},
    )
    return Page(answer)


async def test_an_empty_catalogue_says_how_to_begin(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "editor")
    assert "No products yet" in (await browser.get(HOME)).text
    assert "No categories yet" in (await browser.get(f"{HOME}/categories")).text
    assert "No brands yet" in (await browser.get(f"{HOME}/brands")).text
    assert f'href="{HOME}"' in (await browser.get("/console")).html


async def test_products_are_listed_narrowed_and_exported(app: Application, client: httpx.AsyncClient) -> None:
    browser, database = await console_browser(app, client), _database(app)
    merchant_id = await _fill(database)
    page = await browser.get(HOME)
    assert "Product oolong" in page.text and "HK$68" in page.text and "Takes no coupons" in page.text
    assert f"{HOME}/products/edit?key=gift%2F1" in page.html
    for query, is_shown in (
        ("category=food", True), ("category=tea", True), ("brand=olive", True), ("state=active", True),
        (f"merchant={merchant_id}", True), ("q=OOL", True), ("state=withdrawn", False), ("q=gift", False),
    ):  # fmt: skip
        assert ("Product oolong" in (await browser.get(f"{HOME}?{query}")).text) is is_shown, query
    exported = await browser.client.get(f"{HOME}/export?format=csv&state=active")
    assert "oolong" in exported.text and "gift/1" not in exported.text
    for sort in (
        "names",
        "-price",
        "merchant_names",
        "category_names",
        "-brand_names",
        "state",
        "updated_at",
    ):
        assert "Product oolong" in (await browser.get(f"{HOME}?sort={sort}")).text


async def test_a_product_is_added_and_changed(app: Application, client: httpx.AsyncClient) -> None:
    browser, database = await console_browser(app, client, "editor"), _database(app)
    merchant_id = await _fill(database)
    filled = {
        "names.en": "Jasmine pearls", "key": "jasmine", "merchant_id": merchant_id, "price": "88.50",
        "category_key": "tea", "tax_basis_points": "5",
    }  # fmt: skip
    path = f"{HOME}/products/new"
    taken = await browser.send(path, filled | {"key": "oolong"})
    assert taken.status == 422 and "already in use" in taken.errors
    wrong = await browser.send(path, filled | {"key": "two words"})
    assert wrong.status == 422
    page = await browser.send(path, filled)
    assert page.status == 200 and "The product is in the catalogue." in page.text, page.errors
    edit = f"{HOME}/products/edit?key=jasmine"
    form = (await browser.get(edit)).form(edit)
    assert form.fields["price"] == ["88.50"] and {"key", "merchant_id"} <= form.disabled
    page = await browser.send(
        edit, {"price": "90", "is_discountable": [], "brand_key": "olive", "key": "other"}
    )
    assert "Saved." in page.text, page.errors
    async with database.connection() as connection:
        rows = {row.key: row for row in await connection.execute(select(Product))}
    row = rows["jasmine"]
    assert (row.price, row.tax_basis_points, row.is_discountable, row.brand_key) == (
        9000,
        500,
        False,
        "olive",
    )
    assert str(row.merchant_id) == merchant_id and "other" not in rows
    gift = await browser.send(f"{HOME}/products/edit?key=gift/1", {"price": "1.500"})
    assert "Saved." in gift.text, gift.errors
    assert (await browser.get(f"{HOME}/products/edit?key=nothing")).status == 404


async def test_categories_are_added_and_moved(app: Application, client: httpx.AsyncClient) -> None:
    browser, database = await console_browser(app, client), _database(app)
    await _fill(database)
    page = await browser.get(f"{HOME}/categories")
    assert "1 product" in page.text and f"{HOME}?category=food" in page.html
    add = f"{HOME}/categories/new?parent=tea"
    page = await browser.send(add, {"names.en": "Green tea", "key": "green"}, action=f"{HOME}/categories/new")
    assert "The category is there." in page.text, page.errors
    again = await browser.send(f"{HOME}/categories/new", {"names.en": "Green", "key": "green"})
    assert again.status == 422 and "already in use" in again.errors
    edit = f"{HOME}/categories/edit?key=tea"
    assert 'value="green"' not in (await browser.get(edit)).html
    page = await browser.send(edit, {"parent_key": ""})
    assert "Saved." in page.text, page.errors
    assert await paths(database) == {"food": ["food"], "tea": ["tea"], "green": ["green", "tea"]}


async def test_brands_are_added_and_renamed(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    await _fill(_database(app))
    page = await browser.send(f"{HOME}/brands/new", {"names.en": "Anker", "key": "anker"})
    assert "The brand is there." in page.text and "Anker" in page.text, page.errors
    assert (await browser.send(f"{HOME}/brands/new", {"names.en": "X", "key": "olive"})).status == 422
    page = await browser.send(f"{HOME}/brands/edit?key=olive", {"names.en": "Olive & Co"})
    assert "Olive & Co" in page.text.replace("&amp;", "&")


@pytest.mark.parametrize("what", ["products", "categories", "brands"])
async def test_what_somebody_else_changed_is_not_overwritten(
    app: Application, client: httpx.AsyncClient, what: str
) -> None:
    browser, database = await console_browser(app, client), _database(app)
    await _fill(database)
    edit = f"{HOME}/{what}/edit?key={ {'products': 'oolong', 'categories': 'tea', 'brands': 'olive'}[what] }"
    seen = (await browser.get(edit)).form(edit).fields
    page = await browser.send(edit, {"names.en": "Changed first"})
    assert "Saved." in page.text, page.errors
    stale = await browser.post(edit, {**seen, "names.en": ["Changed last"]})
    assert stale.status == 422 and "meanwhile" in stale.errors
    again = await browser.post(edit, {**stale.form(edit).fields})
    assert again.status == 422, "sending it again does not make it newer"
    for tampered in ("", "yesterday", "0001-01-01T00:00:00+23:59"):
        stale = await browser.post(edit, {**seen, "version": [tampered]})
        assert stale.status == 422 and "meanwhile" in stale.errors
    assert (await browser.get(edit)).form(edit).fields["names.en"] == ["Changed first"]
    page = await browser.send(edit, {"names.en": "Changed last"})
    assert "Saved." in page.text, page.errors


async def test_files_are_put_or_said_to_be_wrong(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    assert "name_zh_hant" in (await browser.get(f"{HOME}/upload/products")).text
    for kind, added in (("categories", 2), ("brands", 1)):
        template = await browser.client.get(f"{HOME}/templates/{kind}")
        page = await _send(browser, kind, template.content)
        assert page.status == 200 and "The file is in the catalogue" in page.text
        assert f"<dd>{added}</dd>" in page.html
    assert "<dd>1</dd>" in (await _send(browser, "brands", template.content)).html
    template = await browser.client.get(f"{HOME}/templates/products")
    page = await _send(browser, "products", template.content)
    assert page.status == 422 and "2 rows are in the way" in page.text and "no such merchant" in page.text
    nothing = await _send(browser, "brands", b"%PDF-1.7")
    assert (nothing.status, "could not be read" in nothing.text) == (422, True)
    misspelt = await _send(browser, "brands", b"key,nmae\nx,X\n")
    assert "none of the columns" in misspelt.text and "missing" in misspelt.text
    assert (await _send(browser, "brands", template.content, token="wrong")).status == 403
    assert (await browser.get(f"{HOME}/upload/shelves")).status == 404


async def test_who_may_only_read_changes_nothing(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "finance")
    await _fill(_database(app))
    for path in (HOME, f"{HOME}/categories", f"{HOME}/brands"):
        page = await browser.get(path)
        assert page.status == 200 and "/edit" not in page.html and "/new" not in page.html
    for path in ("products/new", "products/edit?key=oolong", "categories/new", "categories/edit?key=tea",
                 "brands/new", "brands/edit?key=olive", "upload/brands"):  # fmt: skip
        assert (await browser.get(f"{HOME}/{path}")).status == 403, path
        assert (await browser.post(f"{HOME}/{path}", {"names.en": "X"})).status in (403, 415), path
    assert (await _send(browser, "brands", b"key,name\nx,X\n")).status == 403


MANY_PRODUCTS = """
INSERT INTO product (key, merchant_id, names, price, currency, tax_basis_points, is_discountable, state, created_at,
    updated_at)
SELECT 'many-' || n, merchant_id, jsonb_build_object('en', 'Product ' || n), price, currency, tax_basis_points,
    is_discountable, state, created_at, updated_at
FROM product, generate_series(1, 5000) n WHERE key = 'oolong'
"""


async def test_products_are_listed_by_name_without_sorting_them_all(app: Application) -> None:
    await _fill(_database(app))
    listed = product_list(SYSTEM).order_by(Product.names["en"].as_string(), Product.key).limit(51)
    async with transaction(_database(app)) as tx:
        await tx.execute(text(MANY_PRODUCTS))
        await tx.execute(text("ANALYZE product"))
        question = listed.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        plan = "\n".join((await tx.exec_driver_sql(f"EXPLAIN {question}")).scalars())
    assert "ix_product_name" in plan, plan


def test_every_picture_has_a_name() -> None:
    assert set(PICTURE_NAMES) == {one[4:].partition(".")[0] for one in manifest() if one.startswith("art/")}
