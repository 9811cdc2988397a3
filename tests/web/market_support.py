"""What tests of the market share: a market, its pages and their forms."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
from sqlalchemy import text

from tearline.web.app import Application
from tests.web.shop_support import hidden_fields, post, services_of

CART, PICKER, CHECKOUT = "/market/cart", "/market/cart/coupons", "/market/checkout"


async def put(client: httpx.AsyncClient, product: str, quantity: int = 1) -> None:
    """Put a product into the cart from its page."""
    answer = await post(client, f"/market/p/{product}", "/market/cart/lines", more=str(quantity))
    assert (answer.status_code, answer.headers["location"]) == (303, CART), answer.text


async def set_quantity(client: httpx.AsyncClient, product: str, quantity: str) -> httpx.Response:
    """Change a line's quantity, from any page with a form."""
    token = hidden_fields((await client.get("/market")).text, "/market/cart/lines")["_csrf_token"]
    fields = {"_csrf_token": token, "product": product, "quantity": quantity}
    return await client.post("/market/cart/lines", data=fields, follow_redirects=True)


async def order(client: httpx.AsyncClient) -> str:
    """Order what is in the cart; the order's address."""
    answer = await post(client, CHECKOUT, CHECKOUT)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def pay(client: httpx.AsyncClient, address: str) -> httpx.Response:
    """Press the order's button."""
    return await post(client, address, f"{address}/pay", follow=True)


def total_of(page: str) -> str:
    """What a page says is to be paid."""
    found = re.search(r'class="total"><dt>.*?</dt><dd>(.*?)</dd>', page, re.S)
    assert found, page
    return html.unescape(found[1])


def ticked(page: str) -> list[str]:
    """The coupons that are ticked in the picker."""
    return re.findall(r'name="slot-\d+" value="([0-9a-f-]{36})" checked', page)


def slot_of(page: str, coupon: object) -> str:
    """The field of the picker that a coupon stands in."""
    found = re.search(rf'name="(slot-\d+)" value="{coupon}"', page)
    assert found, f"{coupon} is not in the picker"
    return found[1]


async def choose(client: httpx.AsyncClient, *coupons: object) -> httpx.Response:
    """Tick these coupons and no others, and use them."""
    page = (await client.get(PICKER)).text
    fields = hidden_fields(page, PICKER)
    fields = {name: value for name, value in fields.items() if name == "_csrf_token"}
    chosen: dict[str, str] = {slot_of(page, one): str(one) for one in coupons}
    return await client.post(PICKER, data={**fields, **chosen}, follow_redirects=True)


async def one(app: Application, statement: str, **values: Any) -> Any:
    async with services_of(app).database.connection() as connection:
        return await connection.scalar(text(statement), values)
