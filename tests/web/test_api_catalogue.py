"""The catalogue over the API: put by bodies and by files, listed, searched and withdrawn."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import xlsxwriter

from tests.callers import Callers

pytestmark = pytest.mark.anyio

CATALOGUE = "/api/v1/catalogue"


def product(key: str, /, **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "names": {"en": f"Product {key}"},
        "price": {"amount": 4800, "currency": "HKD"},
        **changes,
    }


async def put(
    client: httpx.AsyncClient, what: str, items: list[dict[str, Any]], headers: dict[str, str]
) -> httpx.Response:
    return await client.put(f"{CATALOGUE}/{what}", json={"items": items}, headers=headers)


async def put_tree(client: httpx.AsyncClient, callers: Callers) -> None:
    """Food with tea in it, leisure, and one brand."""
    tree = [
        {"key": "tea", "names": {"en": "Tea"}, "parent_key": "food"},
        {"key": "food", "names": {"en": "Food"}},
        {"key": "leisure", "names": {"en": "Leisure"}},
    ]
    answer = await put(client, "categories", tree, callers.operator)
    assert (answer.status_code, answer.json()) == (200, {"added": 3, "changed": 0, "unchanged": 0}), (
        answer.text
    )
    brand = [{"key": "olive", "names": {"en": "Olive & Co", "zh-Hant": "橄欖"}}]
    assert (await put(client, "brands", brand, callers.operator)).status_code == 200


async def send(
    client: httpx.AsyncClient, kind: str, content: bytes, headers: dict[str, str], name: str = "catalogue.csv"
) -> httpx.Response:
    return await client.post(
        f"{CATALOGUE}/{kind}/file", params={"name": name}, content=content, headers=headers
    )


async def test_any_key_that_a_shop_uses_can_be_asked_for(client: httpx.AsyncClient, callers: Callers) -> None:
    keys = ("a/b?c%d#e&f=g", "/starts", "ends/", "a//b", "plus+plus", "'quoted\"<b>", "%2F")
    await put(client, "products", [product(key) for key in keys], callers.till)
    for key in keys:
        found = await client.get(f"{CATALOGUE}/products/{quote(key, safe='')}", headers=callers.till)
        assert (found.status_code, found.json().get("key")) == (200, key), key
    plain = await client.get(f"{CATALOGUE}/products/a/b%3Fc%25d%23e&f=g", headers=callers.till)
    assert plain.json()["key"] == keys[0], "a slash may stand as it is"
    for address in ("products", "products/"):
        listed = await client.get(f"{CATALOGUE}/{address}", headers=callers.till)
        assert {row["key"] for row in listed.json()["items"]} == set(keys)
    for path in ("nothing/here", "%00", "a%20b", quote("ก")):
        missing = await client.get(f"{CATALOGUE}/products/{path}", headers=callers.till)
        assert missing.status_code in (400, 404), path


async def test_a_shop_syncs_its_products_with_its_own_key(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    await put_tree(client, callers)
    items = [product("b", category_key="tea", brand_key="olive", tax_basis_points=500), product("a")]
    assert (await put(client, "products", items, callers.till)).json() == {
        "added": 2,
        "changed": 0,
        "unchanged": 0,
    }
    items[1] = product("a", is_discountable=False, image="art/tea.svg")
    assert (await put(client, "products", items, callers.till)).json() == {
        "added": 0,
        "changed": 1,
        "unchanged": 1,
    }
    found = (await client.get(f"{CATALOGUE}/products/b", headers=callers.till)).json()
    assert found["merchant_id"] == str(callers.world.merchant_id)
    assert (found["price"], found["category_path"]) == ({"amount": 4800, "currency": "HKD"}, ["tea", "food"])
    taken = await put(client, "products", [product("c"), product("a")], callers.other_till)
    assert (taken.status_code, taken.json()["reason"]) == (409, "already_taken")
    assert list(taken.json()["fields"]) == ["items.1.key"]
    assert (await client.get(f"{CATALOGUE}/products/a", headers=callers.other_till)).status_code == 404
    gone = await client.post(f"{CATALOGUE}/products/withdraw", json={"keys": ["a"]}, headers=callers.till)
    assert gone.json() == {"added": 0, "changed": 1, "unchanged": 0}
    foreign = await client.post(
        f"{CATALOGUE}/products/withdraw", json={"keys": ["b"]}, headers=callers.other_till
    )
    assert (foreign.status_code, list(foreign.json()["fields"])) == (422, ["keys.0"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": {"amount": 10**12 + 1, "currency": "HKD"}}, "items.1.price"),
        ({"price": {"amount": 1, "currency": "XXX"}}, "items.1.price.currency"),
        ({"category_key": "nowhere"}, "items.1.category_key"),
        ({"brand_key": "nobody"}, "items.1.brand_key"),
        ({"image": "art/unicorn.svg"}, "items.1.image"),
        ({"names": {"th": "ชา"}}, "items.1.names.en"),
        ({"key": "a"}, "items.1.key"),
    ],
)
async def test_one_wrong_row_refuses_all(
    client: httpx.AsyncClient, callers: Callers, change: dict[str, Any], field: str
) -> None:
    answer = await put(client, "products", [product("a"), product("b", **change)], callers.till)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid")
    assert list(answer.json()["fields"]) == [field]
    assert (await client.get(f"{CATALOGUE}/products", headers=callers.till)).json()["items"] == []


async def test_a_thousand_rows_fit_into_a_call(client: httpx.AsyncClient, callers: Callers) -> None:
    names = dict.fromkeys(("en", "zh-Hant", "zh-Hans", "th"), "一件貨品" * 25)
    items = [product(f"{number:05d}".ljust(100, "x"), names=names) for number in range(1000)]
    answer = await put(client, "products", items, callers.till)
    assert (answer.status_code, answer.json()["added"]) == (200, 1000), answer.text
    keys = {"keys": [item["key"] for item in items]}
    gone = await client.post(f"{CATALOGUE}/products/withdraw", json=keys, headers=callers.till)
    assert (gone.status_code, gone.json()["changed"]) == (200, 1000), gone.text
    assert (await put(client, "products", [*items, product("one-more")], callers.till)).status_code == 422


async def test_a_circle_of_categories_is_refused(client: httpx.AsyncClient, callers: Callers) -> None:
    await put_tree(client, callers)
    move = [{"key": "food", "names": {"en": "Food"}, "parent_key": "tea"}]
    answer = await put(client, "categories", move, callers.operator)
    assert list(answer.json()["fields"]) == ["items.0.parent_key"]


async def test_categories_and_brands_are_the_operators(client: httpx.AsyncClient, callers: Callers) -> None:
    for what in ("categories", "brands"):
        entry = [{"key": "x", "names": {"en": "X"}}]
        assert (await put(client, what, entry, callers.till)).status_code == 403
        assert (await send(client, what, b"key,name\nx,X\n", callers.till)).status_code == 403
        assert (await put(client, what, entry, callers.member)).status_code == 403
        assert (await client.get(f"{CATALOGUE}/{what}", headers=callers.till)).status_code == 200


async def test_lists_are_narrowed_and_paged(client: httpx.AsyncClient, callers: Callers) -> None:
    await put_tree(client, callers)
    await put(
        client,
        "products",
        [product("a1", category_key="tea"), product("a2", category_key="food", brand_key="olive"),
         product("a3", names={"en": "Ferry 100%", "zh-Hant": "渡輪"}, category_key="leisure"),
         product("a4", state="withdrawn")],
        callers.till,
    )  # fmt: skip
    await put(client, "products", [product("z")], callers.other_till)

    async def keys(**query: Any) -> list[str]:
        answer = await client.get(f"{CATALOGUE}/products", params=query, headers=callers.operator)
        assert answer.status_code == 200, answer.text
        return [row["key"] for row in answer.json()["items"]]

    assert await keys() == ["a1", "a2", "a3", "a4", "z"]
    assert await keys(category="food") == ["a1", "a2"]
    assert await keys(category="no such key") == []
    assert await keys(brand="olive") == ["a2"]
    assert await keys(state="withdrawn") == ["a4"]
    assert await keys(merchant_id=str(callers.other_merchant_id)) == ["z"]
    assert await keys(q="渡") == ["a3"] and await keys(q="0%") == ["a3"] and await keys(q="%") == ["a3"]
    first = (await client.get(f"{CATALOGUE}/products", params={"limit": 3}, headers=callers.operator)).json()
    rest = await client.get(
        f"{CATALOGUE}/products", params={"cursor": first["next_cursor"]}, headers=callers.operator
    )
    assert [row["key"] for row in first["items"] + rest.json()["items"]] == ["a1", "a2", "a3", "a4", "z"]
    assert rest.json()["next_cursor"] is None
    wrong = await client.get(f"{CATALOGUE}/products", params={"cursor": "x"}, headers=callers.operator)
    assert list(wrong.json()["fields"]) == ["cursor"]
    categories = (await client.get(f"{CATALOGUE}/categories", headers=callers.till)).json()["items"]
    assert [(row["key"], row["path"]) for row in categories] == [
        ("food", ["food"]), ("leisure", ["leisure"]), ("tea", ["tea", "food"])
    ]  # fmt: skip
    brands = (await client.get(f"{CATALOGUE}/brands", params={"q": "橄"}, headers=callers.till)).json()[
        "items"
    ]
    assert [row["key"] for row in brands] == ["olive"]


# Files


async def test_each_template_can_be_put_as_it_is(client: httpx.AsyncClient, callers: Callers) -> None:
    for kind, added in (("categories", 2), ("brands", 1), ("products", 2)):
        headers = callers.till if kind == "products" else callers.operator
        template = await client.get(f"{CATALOGUE}/templates/{kind}", headers=headers)
        assert template.headers["content-type"].startswith("text/csv")
        sent = await send(client, kind, template.content, headers)
        assert (sent.status_code, sent.json()) == (200, {"added": added, "changed": 0, "unchanged": 0}), (
            sent.text
        )
        again = await send(client, kind, template.content, headers)
        assert again.json() == {"added": 0, "changed": 0, "unchanged": added}
    found = (await client.get(f"{CATALOGUE}/products/TEA-OOLONG-100", headers=callers.till)).json()
    assert found["price"] == {"amount": 6800, "currency": "HKD"}
    assert found["category_path"] == ["tea", "food"] and found["names"]["zh-Hant"] == "烏龍茶 100 克"


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffKey;Name (en);Price;Currency\n".replace(" (en)", "").encode() + "茶;Tea 茶;1,5;HKD\n".encode(),
        "key\tname\tprice\tcurrency\nt1\tTea 茶\t12.50\thkd\n".encode("utf-16"),
        "key,name_zh_hant,name,price,currency\r\nt1,烏龍茶葉與普洱茶葉,Tea,12.5,HKD\r\n".encode("big5"),
    ],
)
async def test_files_come_in_any_encoding(
    client: httpx.AsyncClient, callers: Callers, content: bytes
) -> None:
    answer = await send(client, "products", content, callers.till)
    if answer.status_code == 422:
        assert set(answer.json()["fields"]) == {"rows.2.key", "rows.2.price"}
        return
    assert answer.json()["added"] == 1
    found = (await client.get(f"{CATALOGUE}/products/t1", headers=callers.till)).json()
    assert found["price"]["amount"] == 1250 and "茶" in "".join(found["names"].values())


async def test_an_excel_file_with_numbers_is_read(client: httpx.AsyncClient, callers: Callers) -> None:
    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = workbook.add_worksheet()
    for number, row in enumerate(
        [
            ["Key", "Merchant", "Name", "Price", "Currency", "Tax-Percent", "discountable"],
            [1001, "harbour", "Notebook", 48.5, "HKD", 7.25, False],
            ["K2", "HARBOUR", "Pen", 1200, "JPY", "", True],
        ]
    ):
        sheet.write_row(number, 0, row)
    workbook.close()
    sent = await send(client, "products", buffer.getvalue(), callers.operator, "shop.xlsx")
    assert sent.json() == {"added": 2, "changed": 0, "unchanged": 0}, sent.text
    found = (await client.get(f"{CATALOGUE}/products/1001", headers=callers.operator)).json()
    assert (found["price"]["amount"], found["tax_basis_points"], found["is_discountable"]) == (
        4850,
        725,
        False,
    )
    assert (await client.get(f"{CATALOGUE}/products/K2", headers=callers.operator)).json()["price"] == {
        "amount": 1200, "currency": "JPY"
    }  # fmt: skip


async def test_a_file_with_a_wrong_row_puts_nothing_and_says_which(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    rows = ["key,name,price,currency,category,tax_percent,discountable,merchant,state,image"]
    rows += [f"k{number},Name,1.00,HKD,,,,,," for number in range(2000)]
    rows[3] = "k2,,1.005,HKD,,x,perhaps,nowhere,sold,https://example.org"
    answer = await send(client, "products", "\n".join(rows).encode(), callers.till)
    body = answer.json()
    assert (answer.status_code, body["reason"], body["rows"], body["refused"]) == (422, "invalid", 2000, 1)
    assert {path.removeprefix("rows.4.") for path in body["fields"]} == {
        "name_en", "price", "tax_percent", "discountable", "merchant", "state", "image"
    }  # fmt: skip
    rows[3] = "k2,Name,1.00,HKD,nowhere,,,,,"
    rows[5] = "k0,Name,1.00,HKD,,,,,,"
    twice = (await send(client, "products", "\n".join(rows).encode(), callers.till)).json()
    assert list(twice["fields"]) == ["rows.6.key"]
    rows[5] = "k4,Name,1.00,HKD,,,,,,"
    unknown = (await send(client, "products", "\n".join(rows).encode(), callers.till)).json()
    assert list(unknown["fields"]) == ["rows.4.category"]
    assert (await client.get(f"{CATALOGUE}/products", headers=callers.till)).json()["items"] == []
    rows[3] = "k2,Name,1.00,HKD,,,,,,"
    assert (await send(client, "products", "\n".join(rows).encode(), callers.till)).json()["added"] == 2000
    taken = await send(client, "products", "\n".join(rows).encode(), callers.other_till)
    assert taken.json()["refused"] == 2000 and len(taken.json()["fields"]) == 100


async def test_what_is_no_such_file_is_refused(client: httpx.AsyncClient, callers: Callers) -> None:
    for content, reason in (
        (b"", "unreadable_file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "unreadable_file"),
        (b"key,colour\nx,red\n", "invalid"),
    ):
        answer = await send(client, "brands", content, callers.operator)
        assert (answer.status_code, answer.json()["reason"]) == (422, reason), answer.text
    assert set(answer.json()["fields"]) == {"columns.colour", "columns.name_en"}
    missing = await send(client, "shelves", b"key,name\nx,X\n", callers.operator)
    assert missing.status_code in (404, 422)
