"""The market over HTTP: the shelf, the cart in its cookie, the picker of coupons."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import update

from tearline.catalogue.actions import put_products
from tearline.catalogue.model import ProductItem
from tearline.core.codes import make_code
from tearline.core.roles import SYSTEM
from tearline.db import new_id, transaction
from tearline.merchants.model import Merchant
from tearline.web.app import Application
from tearline.web.shop import basket, market
from tearline.web.shop.basket import BASKET_COOKIE, Basket
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
    set_quantity,
    slot_of,
    ticked,
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


# The shelf


async def test_without_the_setting_there_is_no_market(database_url: str) -> None:
    async with running_on(settings_for(database_url)) as app:
        await make_market(services_of(app).database)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            for path in ("/market", "/market/p/noodle-bowl", CART, PICKER, CHECKOUT, "/market/orders"):
                assert (await client.get(path)).status_code == 404, path
            assert "/market" not in (await client.get("/")).text


async def test_nothing_links_to_an_empty_market(app: Application, client: httpx.AsyncClient) -> None:
    assert 'href="/market"' not in (await client.get("/")).text
    page = (await client.get("/market")).text
    assert says(page, "The shelves are empty")
    assert says((await client.get(CART)).text, "Your cart is empty")
    await make_market(services_of(app).database)
    assert (await client.get("/")).text.count('href="/market"') == 3


async def test_shelf_shows_prices_and_the_shops_own_offers(
    client: httpx.AsyncClient, world: MarketWorld
) -> None:
    page = (await client.get("/market")).text
    assert says(page, "Beef brisket noodles") and says(page, "Third Tram Noodles") and says(page, "HK$68")
    # 10 % off every book at once; 20 off every 150 brings the tea set down, and the oolong not.
    assert says(page, "Before: HK$188 Now: HK$169.20") and says(page, "10% off")
    assert says(page, "Before: HK$320 Now: HK$280") and says(page, "HK$20 off over HK$150")
    assert 'src="/static/noodles-' in page and 'class="product-picture edge-forest"' in page


async def test_shelf_shows_no_offer_that_the_cart_would_not_have(
    client: httpx.AsyncClient, world: MarketWorld
) -> None:
    a_third = {"kind": "percent_off", "basis_points": 3_333}
    await world.offer(world.noodles, automatic=True, benefit=a_third, store_ids=[new_id()])
    for path in ("", "/p/noodle-bowl"):
        page = (await client.get(f"/market{path}")).text
        assert says(page, "Beef brisket noodles HK$68") and not says(page, "33.33% off")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("category=food", {"noodle-bowl", "noodle-dumplings", "noodle-sauce", "tea-oolong"}),
        ("category=pantry", {"noodle-sauce", "tea-oolong"}),
        ("merchant=books", {"book-cooking", "book-harbour"}),
        ("q=harbour", {"book-harbour"}),
        ("q=%E7%83%8F%E9%BE%8D", {"tea-oolong"}),
        ("q=peak+pot", {"tea-set"}),
        ("q=100%25", set()),
        ("category=no-such", set()),
    ],
)
async def test_shelf_is_filtered_and_searched(
    client: httpx.AsyncClient, world: MarketWorld, query: str, expected: set[str]
) -> None:
    page = (await client.get(f"/market?{query}")).text
    assert set(re.findall(r'href="/market/p/([^"]+)"', page)) == expected
    assert says(page, "Nothing like that is sold here") is (not expected)


async def test_shelf_goes_on_page_by_page(
    client: httpx.AsyncClient, world: MarketWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market, "PAGE_SIZE", 3)
    address, seen = "/market?category=food", []
    for _page in range(2):
        page = (await client.get(address)).text
        seen += re.findall(r'href="/market/p/([^"]+)"', page)
        more = re.search(r'href="(/market\?[^"]*after=[^"&]*)"', page)
        address = html.unescape(more[1]) if more else ""
    assert seen == ["noodle-bowl", "noodle-dumplings", "noodle-sauce", "tea-oolong"] and not address
    assert (await client.get("/market?after=nonsense")).status_code == 400


async def test_what_is_not_sold_is_not_on_the_shelf(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await world.withdraw("noodle-bowl")
    async with transaction(world.database) as tx:
        await tx.execute(update(Merchant).where(Merchant.id == world.tea).values(state="suspended"))
    page = (await client.get("/market")).text
    assert not says(page, "Beef brisket") and not says(page, "Oolong") and says(page, "Prawn dumplings")
    for key in ("noodle-bowl", "tea-oolong", "nothing", "%00", "a%20b"):
        assert (await client.get(f"/market/p/{key}")).status_code in (400, 404), key


async def test_any_key_that_a_shop_uses_has_its_page(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    keys = ("a/b?c%d#e&f=g", "/starts", "ends/", "plus+plus", "'quoted\"<b>")
    items = [ProductItem(key, {"en": f"Named {key}"}, 1_000, "HKD", merchant_id=world.tea) for key in keys]
    async with transaction(world.database) as tx:
        await put_products(tx, SYSTEM, items, world.now)
    links = re.findall(r'href="(/market/p/[^"]+)"', (await client.get("/market?q=named")).text)
    assert len(links) == len(keys)
    for link in links:
        page = await client.get(html.unescape(link))
        assert page.status_code == 200, link
        key = html.unescape(re.search(r'name="product" value="([^"]*)"', page.text)[1])  # type: ignore[index]
        assert link == market.product_path(key)
        await set_quantity(client, key, "1")
    cart = (await client.get(CART)).text
    assert set(re.findall(r'href="(/market/p/[^"]+)"', cart)) == set(links)


async def test_product_page_shows_the_members_coupons_for_it(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await world.wallet()
    page = (await client.get("/market/p/noodle-bowl")).text
    assert says(page, "Sign in, and the coupons") and "/sign-in?next=/market/p/noodle-bowl" in page
    sign_in(app, client, world.member)
    page = (await client.get("/market/p/noodle-bowl")).text
    assert says(page, "15% off everything here") and says(page, "Saves HK$10.20 on one")
    assert says(page, "Spend HK$32 more and save HK$20")
    assert not says(page, "HK$30 off books") and not says(page, "At the counter only")
    page = (await client.get("/market/p/tea-card")).text
    assert says(page, "No coupon may touch this product.") and not says(page, "City week")


# The cart


async def test_guests_fill_a_cart_and_see_the_shops_offers(
    client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await put(client, "noodle-bowl", 2)
    await put(client, "book-harbour")
    await put(client, "noodle-bowl")
    page = (await client.get(CART)).text
    assert says(page, "Goods at list price HK$392") and says(page, "Offers of the shops")
    assert says(page, "Book days: 10% off -HK$18.80") and says(page, "Shipping HK$60")
    assert total_of(page) == "HK$433.20"
    assert says(page, "Sign in to use the coupons in your wallet")
    answer = await client.get(CHECKOUT)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/market/checkout")
    assert (await client.get(PICKER)).headers["location"] == "/sign-in?next=/market/cart/coupons"


async def test_cart_survives_signing_in(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await world.wallet()
    await put(client, "noodle-bowl", 3)
    sign_in(app, client, world.member)
    page = (await client.get(CART)).text
    assert says(page, "Best combination") and says(page, "15% off everything here")
    assert says(page, "Coupons of the shops") and says(page, "Coupons of the platform")
    assert says(page, "Off the shipping") and says(page, "You save")


async def test_lines_are_changed_and_taken_out(client: httpx.AsyncClient, world: MarketWorld) -> None:
    await put(client, "noodle-bowl")
    assert says((await set_quantity(client, "noodle-bowl", "5")).text, "Before") is False
    page = (await set_quantity(client, "noodle-bowl", "5000")).text
    assert 'value="99"' in page and says(page, "HK$6,732")
    assert says((await set_quantity(client, "noodle-bowl", "many")).text, "Choose how many.")
    assert says((await set_quantity(client, "no-such", "1")).text, "This is no longer sold.")
    assert says((await set_quantity(client, "noodle-bowl", "0")).text, "Your cart is empty")


async def test_shipping_depends_on_where_to(client: httpx.AsyncClient, world: MarketWorld) -> None:
    await put(client, "noodle-bowl")
    page = (await post(client, CART, "/market/cart/region", follow=True, region="HK-ISLANDS")).text
    assert total_of(page) == "HK$128"
    token = {"_csrf_token": hidden_fields(page, "/market/cart/region")["_csrf_token"], "region": "MOON"}
    assert (await client.post("/market/cart/region", data=token)).status_code == 400


async def test_tampered_cart_is_empty(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await put(client, "noodle-bowl")
    genuine = client.cookies[BASKET_COOKIE]
    version, payload, signature = genuine.split(".")
    forged = f"{version}.{'A' if payload[0] != 'A' else 'B'}{payload[1:]}.{signature}"
    for cookie in (forged, f"{version}.{payload}.", f"x1.{payload}.{signature}", "é", "nonsense", "." * 5000):
        client.cookies.clear()
        answer = await client.get(CART, headers={"cookie": f"{BASKET_COOKIE}={cookie}".encode()})
        assert answer.status_code == 200 and says(answer.text, "Your cart is empty"), cookie
    answer = await client.get(CART, headers={"cookie": f"{BASKET_COOKIE}={genuine}"})
    assert says(answer.text, "Beef brisket noodles")
    # Signed, and yet not a cart: one of another version of the program.
    seal = basket._seal(services_of(app))
    answer = await client.get(CART, headers={"cookie": f"{BASKET_COOKIE}={seal.sealed(b'x')}"})
    assert says(answer.text, "Your cart is empty")


async def test_cart_holds_thirty_products(client: httpx.AsyncClient, world: MarketWorld) -> None:
    full = Basket()
    for number in range(basket.MOST_LINES):
        full = full.with_quantity(f"p{number}", 1)
    with pytest.raises(Exception, match="cart_too_large"):
        full.with_quantity("one-more", 1)
    assert full.with_quantity("p3", 0).with_quantity("one-more", 1).units == basket.MOST_LINES


async def test_what_is_sold_no_longer_stays_to_be_taken_out(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await put(client, "noodle-bowl")
    await put(client, "tea-oolong")
    await world.withdraw("noodle-bowl")
    page = (await client.get(CART)).text
    assert says(page, "No longer sold") and says(page, "Beef brisket noodles") and total_of(page) == "HK$128"
    sign_in(app, client, world.member)
    page = (await client.get(await order(client))).text
    assert says(page, "Oolong") and not says(page, "Beef brisket")
    await put(client, "tea-oolong")
    await world.withdraw("tea-oolong")
    page = (await client.get(CART)).text
    assert says(page, "No longer sold") and not says(page, "Check out")
    assert (await client.get(CHECKOUT)).headers["location"] == CART
    page = (await set_quantity(client, "tea-oolong", "0")).text
    assert says(page, "Your cart is empty")


async def test_cart_tells_what_would_save_more(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "book-harbour")
    page = (await client.get(CART)).text
    assert says(page, "Spend HK$12 more and save HK$30")
    assert '<progress class="progress good" value="18800" max="20000"' in page


# The picker


async def test_picker_begins_with_the_best_combination(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 3)
    page = (await client.get(PICKER)).text
    best = {str(coupons[name]) for name in ("noodles too", "city", "shipping")}
    assert set(ticked(page)) == best
    assert says(page, "The best combination is selected.") and page.count("Best choice") == 3
    assert says(page, "Saves HK$30") and says(page, "Saves HK$20") and says(page, "Only by itself")
    assert says(page, "Until") and says(page, "2 days left")
    usable, nearly, unusable = (
        page.index(word) for word in ("Best choice", "Nearly usable", "Not for this cart")
    )
    assert usable < nearly < unusable
    assert says(page, "Spend HK$596 more and save HK$100")
    assert says(page, "Nothing in the cart is covered by this coupon.")
    assert says(page, "It is for use at a counter, not in an order.")
    # Two of one shop stand in each other's place, one alone in its place is ticked or not.
    assert slot_of(page, coupons["noodles"]) == slot_of(page, coupons["noodles too"])
    assert says(page, "One of these can be used; they cannot be combined.")


async def test_own_choice_of_coupons_is_kept_until_the_best_is_wanted(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 3)
    best = total_of((await client.get(CART)).text)
    page = (await choose(client, coupons["noodles"])).text
    assert says(page, "Your choice") and total_of(page) == "HK$214"
    page = (await client.get(PICKER)).text
    assert ticked(page) == [str(coupons["noodles"])]
    assert says(page, "You have chosen other coupons than the best.")
    page = (await choose(client)).text
    assert says(page, "You use no coupon.") and total_of(page) == "HK$234"
    page = (await post(client, PICKER, PICKER, follow=True, best="1")).text
    assert total_of(page) == best and says(page, "Best combination")


async def test_choice_that_does_not_combine_says_so(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    coupons = await world.wallet()
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 3)
    page = (await client.get(PICKER)).text
    names = ("alone", "noodles")
    fields = {"_csrf_token": hidden_fields(page, PICKER)["_csrf_token"]}
    fields |= {slot_of(page, coupons[name]): str(coupons[name]) for name in names}
    part = (await client.post(f"{PICKER}/total", data=fields)).text
    assert not part.lstrip().startswith("<!doctype") and says(part, "cannot be combined with the others")
    assert says(part, "To pay HK$214") and 'hx-swap-oob="true"' in part
    page = (await client.post(PICKER, data=fields, follow_redirects=True)).text
    assert says(page, "cannot be combined with the others") and total_of(page) == "HK$214"


async def test_picker_of_an_empty_cart_leads_to_the_cart(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    sign_in(app, client, world.member)
    assert (await client.get(PICKER)).headers["location"] == CART
    await put(client, "noodle-bowl")
    page = (await client.get(PICKER)).text
    assert says(page, "No coupon is good for this cart yet")
    await set_quantity(client, "noodle-bowl", "0")
    fields = {"_csrf_token": hidden_fields(page, PICKER)["_csrf_token"], "slot-0": "nonsense"}
    assert (await client.post(PICKER, data=fields)).headers["location"] == CART
    assert (await client.post(f"{PICKER}/total", data=fields)).status_code == 204


async def test_a_full_cart_has_no_room_for_coupons_and_says_so(
    app: Application, client: httpx.AsyncClient, world: MarketWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    coupons = await world.wallet()
    code = await one(app, "SELECT code FROM coupon WHERE id = :id", id=coupons["noodles"])
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    kept = client.cookies[BASKET_COOKIE]
    monkeypatch.setattr(basket, "_MOST_CHARACTERS", len(kept) + 4)
    sentence = "This cart is so full that it has no room for these coupons. Choose fewer of them."
    assert says((await choose(client, coupons["noodles"])).text, sentence)
    page = await post(client, PICKER, "/market/cart/code", follow=True, code=code)
    assert says(page.text, sentence) and client.cookies[BASKET_COOKIE] == kept


async def test_anothers_coupon_is_used_by_its_code(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    offer = await world.offer(world.noodles, names={"en": "A friend's coupon"})
    friend = await world.coupon(offer, world.members[1])
    code = await one(app, "SELECT code FROM coupon WHERE id = :id", id=friend)
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    page = (await post(client, PICKER, "/market/cart/code", follow=True, code=code.lower())).text
    assert says(page, "it saves HK$20") and ticked(page) == [str(friend)]
    # It stays when it is chosen by hand, goes when it is not, and is used with the order.
    assert total_of((await choose(client, friend)).text) == "HK$146"
    assert ticked((await client.get(PICKER)).text) == [str(friend)]
    await pay(client, await order(client))
    assert await world.state_of(friend) == "redeemed"
    await put(client, "noodle-bowl", 2)
    page = (await post(client, PICKER, "/market/cart/code", code=code)).text
    assert says(page, "This coupon has already been used.") and ticked(page) == []


async def test_wrong_codes_are_told_apart_and_counted(
    app: Application, client: httpx.AsyncClient, world: MarketWorld
) -> None:
    sign_in(app, client, world.member)
    await put(client, "noodle-bowl", 2)
    answer = await post(client, PICKER, "/market/cart/code", code="ABC")
    assert answer.status_code == 422 and says(answer.text, "This code has a typing mistake")
    assert 'value="ABC"' in answer.text
    code = make_code(bytes)
    statuses = [
        (await post(client, PICKER, "/market/cart/code", code=code)).status_code for _time in range(10)
    ]
    wrong = services_of(app).settings.wrong_passwords_per_member
    assert statuses == [404] * wrong + [429] * (10 - wrong)
    answer = await post(client, PICKER, "/market/cart/code", code=code)
    assert says(answer.text, "Too many attempts") and "retry-after" in answer.headers
    assert (await client.get("/market/cart/code")).headers["location"] == PICKER
    # Others are not held up by it.
    sign_in(app, client, world.members[1])
    assert (await post(client, PICKER, "/market/cart/code", code=code)).status_code == 404
