"""The market's orders: placed, paid, cancelled, late, returned; and what others do meanwhile."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import text, update

from tearline.coupons.model import Coupon
from tearline.db import transaction
from tearline.members.model import Member
from tearline.web.app import Application
from tearline.web.shop import basket
from tearline.web.shop.basket import Basket
from tests.callers import running_on, settings_for
from tests.market_worlds import MarketWorld, make_market
from tests.web.market_support import (
    CART,
    CHECKOUT,
    PICKER,
    choose,
    one,
    order,
    pay,
    put,
    total_of,
)
from tests.web.shop_support import hidden_fields, post, says, services_of, sign_in

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[Application]:
    """The application with its market open."""
    async with running_on(settings_for(database_url, market=True)) as application:
        yield application


@pytest.fixture
async def world(app: Application) -> MarketWorld:
    """A filled market."""
    return await make_market(services_of(app).database)


async def test_order_is_paid_and_returned(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 3)
    await put(client, "book-cooking")
    page = (await client.get(CHECKOUT)).text
    assert says(page, "kept for you for 15 minutes") and says(page, "of which tax")
    total = total_of(page)
    address = await order(client)
    page = (await client.get(address)).text
    assert says(page, "Your coupons are held until") and says(page, "Kept for this order")
    assert says(page, "trial payment") and total_of(page) == total
    assert await world.state_of(coupons["city"]) == "held"
    assert says((await client.get(CART)).text, "Your cart is empty")

    page = (await pay(client, address)).text
    assert says(page, "Paid. Thank you!") and says(page, "You saved HK$") and "data-tears" in page
    assert await world.state_of(coupons["city"]) == "redeemed"
    # Once more, as with 'back': it stays paid.
    again = {"_csrf_token": client.cookies["tearline_csrf"]}
    assert (await client.post(f"{address}/pay", data=again)).headers["location"].startswith(address)
    refused = (await client.post(f"{address}/cancel", data=again, follow_redirects=True)).text
    assert says(refused, "This order has been paid.")

    back = f"{address}/return"
    page = (await post(client, back, back, act="show", **{"line-0": "2"})).text
    assert says(page, "Comes back HK$") and 'value="2" selected' in page
    assert says((await post(client, back, back, act="return")).text, "Choose what you return.")
    page = (await post(client, back, back, follow=True, act="return", **{"line-0": "2"})).text
    assert (
        says(page, "What came back")
        and says(page, "2 × Beef brisket noodles")
        and says(page, "Partly refunded")
    )
    assert await world.state_of(coupons["noodles too"]) == "redeemed"
    page = (await post(client, back, back, act="return", **{"line-0": "2"})).text
    assert says(page, "Only 1 of these can still be refunded.")

    page = (await client.get(back)).text
    fields = hidden_fields(page, back)
    parcels = re.findall(r'name="parcel" value="([^"]+)"', page)
    data: dict[str, Any] = {**fields, "act": "return", "line-0": "1", "line-1": "1", "parcel": parcels}
    page = (await client.post(back, data=data, follow_redirects=True)).text
    assert says(page, "Refunded") and says(page, "Back in your wallet")
    assert not says(page, "Return something")
    assert {await world.state_of(coupons[name]) for name in ("city", "noodles too", "shipping")} == {"open"}
    assert (await client.get(back)).headers["location"] == address
    # The same form once more gives nothing back a second time.
    await client.post(back, data=data)
    assert await one(app, "SELECT refunded = total FROM cart_order")
    page = (await client.get("/market/orders")).text
    assert says(page, address.rpartition("/")[2]) and says(page, "Refunded")
    await world.audited()


async def test_order_is_cancelled_and_put_into_the_cart_again(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    address = await order(client)
    await put(client, "noodle-bowl")
    page = (await client.get(CART)).text
    assert says(page, "An order of yours is not paid yet") and f'href="{address}"' in page
    assert says((await client.get(PICKER)).text, "It is kept for another order")
    page = (await post(client, address, f"{address}/cancel", follow=True)).text
    assert says(page, "You cancelled it.") and says(page, "Free again")
    assert await world.state_of(coupons["city"]) == "open"
    page = (await post(client, address, f"{address}/again", follow=True)).text
    assert says(page, "Beef brisket noodles") and 'name="quantity" type="number"' in page
    assert 'value="2"' in page


async def test_order_that_is_late_says_so(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    address = await order(client)
    form = hidden_fields((await client.get(address)).text, f"{address}/pay")
    async with transaction(world.database) as tx:
        await tx.execute(text("UPDATE cart_order SET expires_at = now() - interval '1 minute'"))
        await tx.execute(
            text("UPDATE coupon SET held_until = now() - interval '1 minute' WHERE state = 'held'")
        )
    page = (await client.get(address)).text
    assert says(page, "It was not paid in time") and says(page, "Put it into the cart again")
    assert "/pay" not in page and says((await client.get("/market/orders")).text, "Not paid in time")
    # Another order takes the coupons; the page that still stands open elsewhere is told so.
    await put(client, "noodle-bowl", 2)
    await order(client)
    page = (await client.post(f"{address}/pay", data=form, follow_redirects=True)).text
    assert says(page, "A coupon of this order has been used elsewhere meanwhile.")
    assert await world.state_of(coupons["city"]) == "held"


async def test_pressing_twice_orders_once(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    form = hidden_fields((await client.get(CHECKOUT)).text, CHECKOUT)
    cookies = dict(client.cookies)
    answers: list[httpx.Response] = []

    async def press() -> None:
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answers.append(await client.post(CHECKOUT, data=form, headers={"cookie": header}))

    async with anyio.create_task_group() as group:
        for _time in range(3):
            group.start_soon(press)
    # And once more later, when the cart is empty already.
    answers.append(await client.post(CHECKOUT, data=form))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await one(app, "SELECT count(*) FROM cart_order") == 1


async def test_two_tabs_cannot_use_one_coupon_twice(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    offer = await world.offer(world.noodles)
    coupon = await world.coupon(offer)
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    forms = [hidden_fields((await client.get(CHECKOUT)).text, CHECKOUT) for _tab in range(2)]
    header = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    answers: list[httpx.Response] = []

    async def press(form: dict[str, str]) -> None:
        answers.append(await client.post(CHECKOUT, data=form, headers={"cookie": header}))

    async with anyio.create_task_group() as group:
        for form in forms:
            group.start_soon(press, form)
    ordered, told = sorted(answers, key=lambda answer: answer.status_code)
    assert (ordered.status_code, told.status_code) == (303, 409)
    assert says(told.text, "It comes to HK$166 now; you were shown HK$146.")
    assert await world.state_of(coupon) == "held"
    # Agreed to, the second order goes without the coupon.
    answer = await client.post(CHECKOUT, data=hidden_fields(told.text, CHECKOUT), headers={"cookie": header})
    assert answer.status_code == 303
    assert await one(app, "SELECT count(*) FROM cart_order_coupon") == 1
    await world.audited()


async def test_price_that_changed_is_shown_before_ordering(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl")
    form = hidden_fields((await client.get(CHECKOUT)).text, CHECKOUT)
    await world.price("noodle-bowl", 7_000)
    answer = await client.post(CHECKOUT, data=form)
    assert answer.status_code == 409 and says(answer.text, "It comes to HK$100 now; you were shown HK$98.")
    # Another tab changed the cart: what is ordered is what was shown.
    form = hidden_fields(answer.text, CHECKOUT)
    await put(client, "tea-oolong")
    await world.price("tea-oolong", 0)
    answer = await client.post(CHECKOUT, data={**form, "total": "13000"})
    assert answer.status_code == 409 and says(answer.text, "Your cart has changed meanwhile.")
    for total in ("", "-1", "1e3", "9" * 40):
        answer = await client.post(CHECKOUT, data={**hidden_fields(answer.text, CHECKOUT), "total": total})
        assert answer.status_code == 409, total
    await world.withdraw("noodle-bowl")
    await world.withdraw("tea-oolong")
    answer = await client.post(CHECKOUT, data=form)
    assert answer.headers["location"] == CART
    assert await one(app, "SELECT count(*) FROM cart_order") == 0


async def test_others_orders_are_not_there(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    address = await order(client)
    form = hidden_fields((await client.get(address)).text, f"{address}/pay")
    sign_in(app, client, world.members[1])
    assert (await client.get(address)).status_code == 404
    assert (await client.get(f"{address}/return")).status_code == 404
    for action in ("pay", "cancel", "again", "return"):
        assert (await client.post(f"{address}/{action}", data=form)).status_code == 404, action
    assert await one(app, "SELECT state FROM cart_order") == "open"
    assert says((await client.get("/market/orders")).text, "No orders yet")
    client.cookies.delete("tearline_member")
    answer = await client.post(f"{address}/pay", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={address}")
    # An order that another shop has taken is not paid on trial here.
    sign_in(app, client, world.member)
    async with transaction(world.database) as tx:
        await tx.execute(text("UPDATE cart_order SET reference = 'web 4711'"))
    assert (await client.post(f"{address}/pay", data=form)).status_code == 404
    assert says((await client.get("/market/orders")).text, "No orders yet")


@pytest.mark.parametrize("change", [{"epoch": 2}, {"state": "blocked"}])
async def test_ended_sessions_and_blocked_members_sign_in_again(
    app: Application, client: httpx.AsyncClient, world: MarketWorld, change: dict[str, Any]
) -> None:
    await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    form = hidden_fields((await client.get(CHECKOUT)).text, CHECKOUT)
    async with transaction(world.database) as tx:
        await tx.execute(update(Member).where(Member.id == world.member).values(**change))
    answer = await client.post(CHECKOUT, data=form)
    assert answer.headers["location"] == "/sign-in?next=/market/checkout"
    page = (await client.get(CART)).text
    assert says(page, "Beef brisket noodles") and says(page, "Sign in to use the coupons")


async def test_chosen_coupon_that_was_used_elsewhere_says_so(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    await choose(client, coupons["noodles"])
    async with transaction(world.database) as tx:
        await tx.execute(update(Coupon).where(Coupon.id == coupons["noodles"]).values(state="redeemed"))
    page = (await client.get(CART)).text
    assert says(page, "HK$20 off noodles: This coupon has already been used.") and total_of(page) == "HK$166"
    # Another member in this browser gets neither the coupons nor a word about them.
    sign_in(app, client, world.members[1])
    page = (await client.get(CART)).text
    assert not says(page, "HK$20 off noodles") and total_of(page) == "HK$166"


async def test_forms_need_their_token(client: httpx.AsyncClient, world: MarketWorld) -> None:
    for path in ("cart/lines", "cart/region", "cart/coupons", "cart/code", "checkout", "orders/X/pay"):
        assert (await client.post(f"/market/{path}", data={"product": "noodle-bowl"})).status_code == 403, (
            path
        )


async def test_member_of_a_wallet_sees_what_an_order_keeps(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    await order(client)
    page = (await client.get(f"/wallet/{coupons['city']}")).text
    assert says(page, "Reserved for an order") and not says(page, "cashier")
    assert says((await client.get("/wallet?folder=held")).text, "Reserved for an order")


def test_cart_as_a_value() -> None:
    cart = Basket().with_quantity("a", 2).with_quantity("b", 500)
    assert (cart.units, cart.quantity_of("b"), cart.quantity_of("c")) == (101, 99, 0)
    assert cart.with_quantity("a", -4).lines == (("b", 99),)
    many = replace(cart, codes=tuple("12345")).with_code("6")
    assert many.codes == ("6", "1", "2", "3", "4")
    assert many.emptied() == Basket()
    assert timedelta(0) < timedelta(seconds=basket._KEPT_SECONDS)


@pytest.mark.parametrize("path", ["/market", "/market/p/noodle-bowl", CART])
async def test_first_view_is_small(client: httpx.AsyncClient, world: MarketWorld, path: str) -> None:
    await put(client, "noodle-bowl")
    page = (await client.get(path)).text
    lazy = set(re.findall(r'<img src="([^"]+)"[^>]*loading="lazy"', page))
    sizes = {path: len(gzip.compress(page.encode()))}
    for file in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)) - lazy:
        content = (await client.get(file)).content
        sizes[file] = len(content if file.endswith(".png") else gzip.compress(content))
    assert sum(sizes.values()) < 100_000, sizes


async def test_signing_out_empties_the_cart(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    """Whoever uses the browser next must not find this member's coupons in it."""
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    await post(client, "/account", "/sign-out")
    assert says((await client.get(CART)).text, "Your cart is empty")
