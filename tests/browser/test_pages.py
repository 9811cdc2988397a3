"""Every page of every face, on the demo's data: narrow and wide, light and dark, in two languages.

The pages are found by following links from each face's start, and held against the application's routes, so
that a new page is looked at, too, or the test says that nothing leads to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tearline.cli.demo.staff_data import DEMO_PASSWORD
from tearline.db import Database, transaction
from tearline.waitingroom.actions import move_room
from tearline.web.access import CONSOLE_COOKIE, COUNTER_COOKIE
from tearline.web.app import create_app
from tearline.web.ui.page import LANGUAGE_COOKIE
from tests.browser.demo import SALE, Demo, links, seen_in, sign_in
from tests.browser.installation import installation
from tests.browser.pages import VIEWS, Scene, View, faults
from tests.callers import settings_for
from tests.conftest import Seeded
from tests.databases import CleanDatabases
from tests.rooms import ACTOR, make_room

# The console has many pages, and a busy machine is slow.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

PARTS = 3
"""The console has too many pages for one test: others would wait for it at the end."""
IS_ENGLISH_A_FAULT = True
"""Whether English on a page in another language fails the test."""


@pytest.fixture(scope="module")
def demo(databases: CleanDatabases, seeded: Seeded) -> Iterator[Demo]:
    """The demo's data, served."""
    name = databases.copy_of(seeded.name)
    url = databases.url_of(name)
    app = create_app(settings_for(url))
    routes = [
        route.path
        for route in app.litestar.routes
        if "GET" in getattr(route, "methods", ()) and "/api/" not in route.path
    ]
    with installation(url) as address:
        yield Demo(address, url, routes)
    databases.give_back(name)


async def first_product(page: Page) -> None:
    """From the shelf to a product."""
    await page.locator(".product-card > a").first.click()
    await page.locator("#more").wait_for()


async def fill_cart(page: Page) -> None:
    """Put what stands first on the shelf into the cart, and look at that."""
    count = page.locator(".cart-link .count")
    before = int(await count.inner_text()) if await count.count() else 0
    # All at once, as somebody presses who does not wait: none is lost. (A click may be, under a message that pops up.)
    forms = page.locator(".product-card form")
    await forms.evaluate_all("forms => forms.slice(0, 3).forEach((form) => form.requestSubmit())")
    await expect(count).to_have_text(str(before + 3))
    await page.locator(".cart-link").click()
    await page.locator("#receipt").wait_for()


async def send_codes(page: Page, prefix: str) -> None:
    """Upload a file of codes, one of which a spreadsheet has spoilt, to look at it."""
    rows = ["行,編號,桌", *(f"{n},{prefix}{n:017d},{n}" for n in range(40)), "40,1E+19,"]
    content = "\n".join(rows).encode()
    await page.set_input_files("#code-file", {"name": "codes.csv", "mimeType": "text/csv", "buffer": content})
    await page.locator("form.upload .buttons button").click()
    await page.wait_for_url("**/files/*")


async def add_codes(page: Page, prefix: str) -> None:
    """And import it."""
    await send_codes(page, prefix)
    await page.locator("[name=act][value=import]").last.click()
    await page.locator("a[href$=outcomes]").wait_for()


def report(found: list[list[str]]) -> None:
    lines = [line for view in found for line in view]
    if not IS_ENGLISH_A_FAULT:
        lines = [line for line in lines if "speaks English" not in line]
    assert not lines, f"{len(lines)} faults:\n" + "\n".join(lines)


@dataclass
class Visitors:
    """Those who look at the demo's pages, with a browser for all of them."""

    demo: Demo
    browser: Browser

    async def look(self, who: Any) -> None:
        """Look at every scene of ``who`` in every view, both views at the same time."""
        report(await asyncio.gather(*(self._one_view(who, *numbered) for numbered in enumerate(VIEWS))))

    async def _one_view(self, who: Any, position: int, view: View) -> list[str]:
        async with seen_in(self.browser, view) as context:
            scenes = await who(context, position)
            # Staff come with a language of their own.
            await context.add_cookies(
                [{"name": LANGUAGE_COOKIE, "value": view.language, "url": self.demo.address}]
            )
            page = await context.new_page()
            return [line for scene in scenes for line in await faults(page, self.demo.address, scene, view)]


@pytest.fixture
def visitors(demo: Demo, browser: Browser) -> Visitors:
    """To look at the demo's pages with."""
    return Visitors(demo, browser)


async def test_pages_of_the_shop_for_a_visitor(demo: Demo, visitors: Visitors) -> None:
    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        async def ask_for_a_code(page: Page) -> None:
            await page.fill("[name=phone]", f"6100 10{position:02d}")
            await page.locator("[name=channel]").first.click()
            await page.wait_for_url("**/sign-in/code")

        async def ask_with_nothing(page: Page) -> None:
            await page.fill("[name=phone]", "12")
            await page.locator("[name=channel]").first.click()
            await page.locator("#phone-problem").wait_for()

        return [
            Scene("shop visitor home", "/"),
            Scene("shop visitor campaign", "/c/WINTER-CITY"),
            Scene("shop visitor campaign to come", "/c/LANTERN-NIGHTS"),
            Scene("shop visitor campaign paused", "/c/SLOW-TEA"),
            Scene("shop visitor sale", SALE),
            Scene("market", "/market"),
            Scene("market nothing found", "/market?q=nothing-like-that"),
            Scene("market product for a visitor", "/market", first_product),
            Scene("market cart empty", "/market/cart"),
            Scene("market cart of a visitor", "/market", fill_cart),
            Scene("market no such product", "/market/p/no-such", status=404),
            Scene("shop sign-in", "/sign-in"),
            Scene("shop sign-in refused", "/sign-in", ask_with_nothing),
            Scene("shop sign-in code", "/sign-in", ask_for_a_code),
            Scene("shop nothing here", "/c/NO-SUCH", status=404),
            Scene("shop nowhere", "/no/such/page", status=404),
            Scene("dev outbox", "/dev/outbox", is_for_developers=True),
            Scene("dev ui", "/dev/ui", is_for_developers=True),
        ]

    await visitors.look(scenes)


async def test_pages_of_the_shop_for_a_member(demo: Demo, visitors: Visitors) -> None:
    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        await context.add_cookies([demo.member_cookie()])

        async def claim(page: Page) -> None:
            await page.fill("#password", ("GIFTS4ALL", "NIGHT MARKET")[position])
            await page.press("#password", "Enter")
            await page.wait_for_url("**/claims/*")

        async def guess(page: Page) -> None:
            await page.fill("#password", "OPEN SESAME")
            await page.press("#password", "Enter")
            await page.locator("#password-problem").wait_for()

        placed: list[str] = []

        async def order(page: Page) -> None:
            await page.locator(".order-form button").first.click()
            await page.wait_for_url("**/orders/*")

        async def cancel(page: Page) -> None:
            await order(page)
            await page.locator("details.confirm summary").click()
            await page.click("details.confirm button")
            await page.locator(f"a[href='{SALE}']").wait_for()

        async def order_to_keep(page: Page) -> None:
            # One for all scenes: a member may not buy many.
            await order(page)
            placed.append(page.url)

        async def go_to_pay(page: Page) -> None:
            await page.goto(placed[0])
            await page.locator("a[href^='/pay/']").click()
            await page.wait_for_url("**/pay/*")

        async def pay(page: Page) -> None:
            await go_to_pay(page)
            await page.click("[value=paid]")
            await page.locator("a.ticket").first.wait_for()

        async def see_the_voucher(page: Page) -> None:
            await page.goto(placed[0])
            await page.locator("a.ticket").first.click()
            await page.locator(".partner-code").wait_for()

        async def choose_coupons(page: Page) -> None:
            await fill_cart(page)
            await page.goto(f"{demo.address}/market/cart/coupons")

        async def enter_no_code(page: Page) -> None:
            await choose_coupons(page)
            await page.fill("#code", "NO-CODE")
            await page.locator(".code-form button").click()
            await page.locator("#code-problem").wait_for()

        async def check_out(page: Page) -> None:
            await fill_cart(page)
            await page.goto(f"{demo.address}/market/checkout")

        async def order_goods(page: Page) -> None:
            await check_out(page)
            # The other view may take a coupon at this moment; then the new price is agreed to.
            while page.url.endswith("/checkout"):
                await page.locator(".pay-bar button").click()
                await page.wait_for_load_state()

        async def give_up(page: Page) -> None:
            await order_goods(page)
            await page.locator("details.confirm summary").click()
            await page.click("details.confirm button")
            await page.locator("form[action$='/again']").wait_for()

        async def pay_for_goods(page: Page) -> None:
            await order_goods(page)
            await page.locator("form[action$='/pay'] button").click()
            await page.locator(".paid-head").wait_for()

        async def look_at_return(page: Page) -> None:
            await pay_for_goods(page)
            await page.locator("a[href$='/return']").click()
            await page.locator("#line-0").select_option("1")
            await page.locator("#comes-back .big-price").wait_for()

        async def return_goods(page: Page) -> None:
            await look_at_return(page)
            await page.locator("button[value=return]").click()
            await page.locator("#refunds").wait_for()

        return [
            Scene("market product", "/market", first_product),
            Scene("market cart", "/market", fill_cart),
            Scene("market picker", "/market", choose_coupons),
            Scene("market picker wrong code", "/market", enter_no_code),
            Scene("market checkout", "/market", check_out),
            Scene("market order cancelled", "/market", give_up),
            Scene("market order open", "/market", order_goods),
            Scene("market order paid", "/market", pay_for_goods),
            Scene("market return", "/market", look_at_return),
            Scene("market order returned", "/market", return_goods),
            *await links(context, demo, "shop", ["/", "/c/WINTER-CITY", "/problems", "/problems/sold_out"]),
            Scene("shop sale", SALE),
            Scene("shop order cancelled", SALE, cancel),
            Scene("shop order to pay", SALE, order_to_keep),
            Scene("shop trial payment", SALE, go_to_pay),
            Scene("shop order paid", SALE, pay),
            Scene("shop voucher", SALE, see_the_voucher),
            Scene("shop orders", "/orders"),
            Scene("shop wrong password", "/c/WINTER-CITY", guess),
            Scene("shop claimed", "/c/WINTER-CITY", claim),
            Scene("shop wallet used", "/wallet?folder=used"),
            Scene("shop wallet expired", "/wallet?folder=expired"),
            Scene("shop coupon usable", f"/wallet/{demo.coupon('usable')}"),
            Scene("shop coupon used", f"/wallet/{demo.coupon('used')}"),
            Scene("shop coupon of nobody", f"/wallet/{uuid4()}", status=404),
        ]

    await visitors.look(scenes)


async def test_pages_of_the_gate(demo: Demo, visitors: Visitors) -> None:
    campaign_id = demo.one("SELECT id FROM campaign WHERE code = 'SLOW-TEA'")
    now = datetime.now(UTC)
    async with Database(demo.database_url) as database:
        gathering = {"starts_at": now + timedelta(hours=1), "campaign_ids": (campaign_id,)}
        await make_room(database, now, "gathering", code="GATHERING", **gathering)
        await make_room(database, now, "queueing", code="WAITING", max_active=0)
        await make_room(database, now, "open", code="OPEN")
        ended = await make_room(database, now, "queueing", code="ENDED")
        async with transaction(database) as tx:
            await move_room(tx, ACTOR, ended, "ended", now)

    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        def until(state: str) -> Any:
            async def waited(page: Page) -> None:
                await page.locator(f"[data-gate][data-state={state}]").wait_for()

            return waited

        async def go_in_and_look_back(page: Page) -> None:
            await page.wait_for_url(demo.address + "/")
            await page.goto(demo.address + "/gate/OPEN")
            await page.locator("[data-gate][data-state=inside]").wait_for()

        return [
            Scene("gate closed", "/gate/LANTERN-NIGHTS"),
            Scene("gate gathering", "/gate/GATHERING", until("gathering")),
            Scene("gate waiting", "/gate/WAITING", until("waiting")),
            Scene("gate ended", "/gate/ENDED"),
            Scene("gate inside", "/gate/OPEN", go_in_and_look_back),
            Scene("gate draw to come", "/gate/GATHERING/draw"),
            Scene("gate draw", "/gate/WAITING/draw"),
            Scene("gate done", "/gate/GATHERING/done"),
            Scene("gate left", "/gate/ENDED/done?how=left"),
            Scene("gate bypass", "/gate/GATHERING/bypass/nonsense"),
            Scene("gate nowhere", "/gate/NOWHERE", status=404),
        ]

    await visitors.look(scenes)


async def test_pages_of_the_counter(demo: Demo, visitors: Visitors) -> None:
    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        async def prepare(page: Page) -> None:
            await page.fill("#code", demo.code_at("basket-lane", position))
            await page.press("#code", "Enter")
            await page.wait_for_url("**/merchant/prepared/*")

        async def redeem(page: Page) -> None:
            await prepare(page)
            await page.click("[value=redeem]")
            await page.wait_for_url("**/merchant/redemptions/*")

        async def another_merchants(page: Page) -> None:
            await page.fill("#code", demo.code_at("third-tram", position))
            await page.press("#code", "Enter")
            await page.locator(".verdict").wait_for()

        async def choose_store(page: Page) -> None:
            await page.locator(".store-choice").first.click()
            await page.wait_for_url(lambda url: not url.endswith("/store"))

        redemption = demo.one(
            "SELECT redemption.id FROM redemption JOIN merchant ON merchant.id = merchant_id"
            " LEFT JOIN reversal ON reversal.redemption_id = redemption.id"
            " WHERE merchant.code = 'basket-lane' AND reversal.id IS NULL ORDER BY redeemed_at DESC"
        )
        await sign_in(context, demo.address + "/merchant", "manager@basket-lane.example")
        starts = ["/merchant", "/merchant/offline", f"/merchant/redemptions/{redemption}"]
        store = await context.new_page()
        await store.goto(demo.address + "/merchant/store")
        await choose_store(store)
        await store.close()
        return [
            *await links(context, demo, "merchant", starts),
            Scene("merchant prepared", "/merchant", prepare),
            Scene("merchant redeemed", "/merchant", redeem),
            Scene("merchant refused", "/merchant", another_merchants),
            Scene("merchant redemptions of today", "/merchant/redemptions"),
            Scene("merchant nothing here", f"/merchant/offers/{uuid4()}", status=404),
        ]

    await visitors.look(scenes)


@pytest.mark.parametrize("part", range(PARTS))
async def test_linked_pages_of_the_console(demo: Demo, visitors: Visitors, part: int) -> None:
    live = demo.one("SELECT id FROM campaign WHERE code = 'WINTER-CITY'")

    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        await sign_in(context, demo.address + "/console", "owner@tearline.example")
        starts = ["/console", f"/console/campaigns/{live}", "/console/keys"]
        return (await links(context, demo, "console", starts))[part::PARTS]

    await visitors.look(scenes)


async def test_pages_of_a_partner(demo: Demo, visitors: Visitors) -> None:
    pool, sale = demo.one("SELECT id FROM code_pool"), demo.one("SELECT campaign_id FROM sale_item")
    file = demo.one("SELECT id FROM code_file WHERE state = 'imported' ORDER BY id")

    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        await sign_in(context, demo.address + "/merchant", "manager@khlong-kitchen.example")

        async def upload_codes(page: Page) -> None:
            await send_codes(page, f"{position}MA")

        async def import_codes(page: Page) -> None:
            await add_codes(page, f"{position}MA")

        async def report_uses(page: Page) -> None:
            used = demo.one("SELECT code FROM voucher ORDER BY coupon_id OFFSET %s", 5 + position)
            unsold = demo.one("SELECT code FROM partner_code WHERE state = 'available'")
            content = f"code,when,where\n{used},,Siam\n{unsold},,\nNOBODYS-1,,\n".encode()
            await page.set_input_files("#file", {"name": "a.csv", "mimeType": "text/csv", "buffer": content})
            await page.locator("main form.form .buttons button").click()
            await page.locator(".figures").first.wait_for()

        def find(code: str) -> Any:
            async def typed(page: Page) -> None:
                await page.fill("#field-code", code)
                await page.press("#field-code", "Enter")
                await page.locator("#found, #form-errors").wait_for()

            return typed

        number = demo.one("SELECT number FROM voucher_order WHERE state = 'paid' AND quantity > 1")
        return [
            Scene("partner pools", "/merchant/pools"),
            Scene("partner pool", f"/merchant/pools/{pool}"),
            Scene("partner upload", f"/merchant/pools/{pool}/upload"),
            Scene("partner codes to import", f"/merchant/pools/{pool}", upload_codes),
            Scene("partner codes imported", f"/merchant/pools/{pool}/upload", import_codes),
            Scene("partner file", f"/merchant/pools/{pool}/files/{file}"),
            Scene("partner sales", "/merchant/sales"),
            Scene("partner sale", f"/merchant/sales/{sale}"),
            Scene("partner statement", "/merchant/statement?from=2020-01-01&to=2099-12-31"),
            Scene("partner uses reported", "/merchant/uses", report_uses),
            Scene("partner vouchers found", "/merchant/vouchers", find(number)),
            Scene("partner nothing found", "/merchant/vouchers", find("NOBODYS-1")),
            Scene("partner no such pool", f"/merchant/pools/{uuid4()}", status=404),
        ]

    await visitors.look(scenes)


async def test_pages_of_the_console(demo: Demo, visitors: Visitors) -> None:
    paused = demo.one("SELECT id FROM campaign WHERE code = 'SLOW-TEA'")
    room = demo.one("SELECT id FROM room WHERE code = 'LANTERN-NIGHTS'")
    unissued = demo.one("SELECT id FROM offer WHERE issued = 0 AND state <> 'archived' ORDER BY id")
    # One that was refunded in part, and had a coupon that the merchant and the platform bear together.
    refunded = demo.one(
        "SELECT number FROM cart_order JOIN settlement_entry ON order_id = cart_order.id"
        " WHERE refunded BETWEEN 1 AND total - 1 AND offer_id IS NOT NULL ORDER BY number"
    )
    adjusted = demo.one("SELECT merchant_id FROM settlement_entry WHERE kind = 'adjustment' ORDER BY id")
    settled = f"/console/merchants/{adjusted}/settlement"
    sale, item = demo.one("SELECT campaign_id FROM sale_item"), demo.one("SELECT id FROM sale_item")
    pool, partner = demo.one("SELECT id FROM code_pool"), demo.one("SELECT merchant_id FROM code_pool")
    unpooled = demo.one(
        "SELECT offer.id FROM offer LEFT JOIN code_pool ON offer_id = offer.id WHERE issued = 0"
        " AND state <> 'archived' AND offer.merchant_id IS NOT NULL AND code_pool.id IS NULL"
    )

    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        await sign_in(context, demo.address + "/console", "owner@tearline.example")

        async def send(page: Page) -> None:
            await page.locator("main form.form > .buttons button").first.click()
            await page.locator("#form-errors").wait_for()

        async def open_menu(page: Page) -> None:
            if position:
                await page.locator(".drawer summary").click()

        async def turn_to_nonsense(page: Page) -> None:
            await page.fill("#field-max_active", "12½")
            await page.press("#field-max_active", "Enter")
            await page.locator("#form-errors").wait_for()

        async def make_link(page: Page) -> None:
            await page.fill("[name=name]", "12")
            await page.press("[name=name]", "Enter")
            await page.locator("#link").wait_for()

        async def upload_codes(page: Page) -> None:
            await send_codes(page, f"{position}FE")

        async def import_codes(page: Page) -> None:
            await add_codes(page, f"{position}FE")

        def put_file(content: str) -> Any:
            async def sent(page: Page) -> None:
                file = {"name": "a.csv", "mimeType": "text/csv", "buffer": content.encode()}
                await page.set_input_files("#file", file)
                await page.locator("main form.form .buttons button").click()
                await page.locator(".figures, .notice.bad").first.wait_for()

            return sent

        async def find_order(page: Page) -> None:
            number = demo.one("SELECT number FROM voucher_order WHERE state = 'paid' AND quantity > 1")
            await page.fill("#field-code", number)
            await page.press("#field-code", "Enter")
            await page.locator("#found").wait_for()

        async def go_on(page: Page) -> None:
            await page.locator("main form.form > .buttons button").first.click()
            await page.locator("main [name=request]").wait_for(state="attached")

        async def ask_for_a_refund(page: Page) -> None:
            await page.check("[name=everything]")
            await go_on(page)

        async def ask_for_an_adjustment(page: Page) -> None:
            await page.fill("[name=amount]", "1234.50")
            await page.fill("[name=note]", "12")
            await go_on(page)

        async def set_up_a_second_factor(page: Page) -> None:
            await page.locator("form[action$='/account/totp'] button").click()
            await page.wait_for_url("**/account/totp")

        return [
            Scene("console menu", "/console", open_menu),
            Scene("console second factor", "/console/account", set_up_a_second_factor),
            Scene("console prize", f"/console/campaigns/{paused}/prizes/new"),
            Scene("console campaign paused", f"/console/campaigns/{paused}?by=day"),
            Scene("console offer refused", "/console/offers/new?merchant=", send),
            Scene("console offer's merchant", f"/console/offers/{unissued}/owner"),
            Scene("console campaign refused", "/console/campaigns/new", send),
            Scene("console room tried out", f"/console/rooms/{room}?span=day"),
            Scene("console room's dial refused", f"/console/rooms/{room}", turn_to_nonsense),
            Scene("console room refused", "/console/rooms/new", send),
            Scene("console room link made", f"/console/rooms/{room}/links/new", make_link),
            Scene("console sale", f"/console/campaigns/{sale}?by=day"),
            Scene("console sale edited", f"/console/campaigns/{sale}/edit"),
            Scene("console sale refused", "/console/sales/new", send),
            Scene("console voucher of a sale", f"/console/campaigns/{sale}/items/{item}"),
            Scene("console new voucher of a sale", f"/console/campaigns/{sale}/items/new"),
            Scene("console more vouchers", f"/console/campaigns/{sale}/items/{item}/quantity"),
            Scene("console pool", f"/console/offers/{unpooled}/pool"),
            Scene("console upload", f"/console/pools/{pool}/upload"),
            Scene("console codes to import", f"/console/pools/{pool}/upload", upload_codes),
            Scene("console codes imported", f"/console/pools/{pool}/upload", import_codes),
            Scene("console product refused", "/console/catalogue/products/new", send),
            Scene("console upload of brands", "/console/catalogue/upload/brands", put_file("key,name\nx,X")),
            Scene("console upload refused", "/console/catalogue/upload/products", put_file("key,name\nx,")),
            Scene(
                "console statement", f"/console/merchants/{partner}/statement?from=2020-01-01&to=2099-12-31"
            ),
            Scene("console cart order", f"/console/cart-orders/{refunded}"),
            Scene("console refund", f"/console/cart-orders/{refunded}/refund"),
            Scene("console refund refused", f"/console/cart-orders/{refunded}/refund", send),
            Scene("console refund to confirm", f"/console/cart-orders/{refunded}/refund", ask_for_a_refund),
            Scene("console settlement", settled),
            Scene("console settlement of nothing", "/console/settlement?from=2020-01-01&to=2020-01-31"),
            Scene("console adjustment refused", f"{settled}/adjust", send),
            Scene("console adjustment to confirm", f"{settled}/adjust", ask_for_an_adjustment),
            Scene("console vouchers found", "/console/coupons", find_order),
            Scene("console no offers", "/console/offers?q=nothing+is+called+this"),
            Scene("console nothing here", f"/console/offers/{uuid4()}", status=404),
        ]

    await visitors.look(scenes)


async def test_pages_of_the_doors(demo: Demo, visitors: Visitors) -> None:
    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        async def be_refused(page: Page) -> None:
            await page.fill("[name=email]", "nobody@tearline.example")
            await page.fill("[name=password]", "not the password")
            await page.press("[name=password]", "Enter")
            await page.locator("#form-errors").wait_for()

        return [
            Scene("console sign-in", "/console/sign-in"),
            Scene("console sign-in refused", "/console/sign-in", be_refused),
            Scene("merchant sign-in", "/merchant/sign-in"),
            Scene("merchant sign-in refused", "/merchant/sign-in", be_refused),
        ]

    await visitors.look(scenes)


async def test_pages_of_two_step_sign_in(demo: Demo, visitors: Visitors) -> None:
    def read_code(secret: str, seconds: int = 0) -> str:
        return pyotp.TOTP(secret.replace(" ", "")).at(datetime.now(UTC) + timedelta(seconds=seconds))

    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        operator = ("editor@tearline.example", "auditor@tearline.example")[position]
        cashier = ("manager@third-tram.example", "manager@red-sail.example")[position]
        await sign_in(context, demo.address + "/console", operator)
        await sign_in(context, demo.address + "/merchant", cashier)

        async def turn_on(page: Page) -> None:
            await page.locator("form[action$='/account/totp'] button").click()
            secret = await page.locator(".big-code").text_content()
            await page.fill("[name=code]", read_code(secret or ""))
            await page.press("[name=code]", "Enter")
            await page.wait_for_url("**/totp/confirm")

        async def begin_at_the_counter(page: Page) -> None:
            await page.click("[value=begin]")
            await page.locator("[name=code]").wait_for()

        async def turn_on_at_the_counter(page: Page) -> None:
            await begin_at_the_counter(page)
            secret = demo.one("SELECT totp_new_secret FROM staff WHERE email = %s", cashier)
            await page.fill("[name=code]", read_code(secret))
            await page.press("[name=code]", "Enter")
            await page.locator("section code").first.wait_for()

        def sign_in_again(face: str, email: str) -> Any:
            async def typed(page: Page) -> None:
                for cookie in (CONSOLE_COOKIE, COUNTER_COOKIE):
                    await context.clear_cookies(name=cookie)
                await page.goto(f"{demo.address}/{face}/sign-in")
                await page.fill("[name=email]", email)
                await page.fill("[name=password]", DEMO_PASSWORD)
                await page.press("[name=password]", "Enter")
                await page.wait_for_url(lambda url: "/sign-in/code" in url)

            return typed

        async def guess(page: Page) -> None:
            await page.fill("[name=code]", "0000-0000")
            await page.press("[name=code]", "Enter")
            await page.locator("[aria-invalid=true]").wait_for()

        return [
            Scene("console recovery codes", "/console/account", turn_on),
            Scene("console recovery", "/console/account/totp/recovery"),
            Scene("console account with two steps", "/console/account"),
            Scene("merchant two-step begun", "/merchant/account/two-step", begin_at_the_counter),
            Scene("merchant recovery codes", "/merchant/account/two-step", turn_on_at_the_counter),
            Scene("merchant two-step on", "/merchant/account/two-step"),
            Scene("merchant recovery", "/merchant/account/two-step/recovery"),
            Scene("console second step", "/console/sign-in", sign_in_again("console", operator)),
            Scene("console sign-in by recovery code", "/console/sign-in/recovery"),
            Scene("console recovery code refused", "/console/sign-in/recovery", guess),
            Scene("merchant second step", "/merchant/sign-in", sign_in_again("merchant", cashier)),
            Scene("merchant sign-in by recovery code", "/merchant/sign-in/recovery"),
            Scene("merchant recovery code refused", "/merchant/sign-in/recovery", guess),
        ]

    await visitors.look(scenes)


async def test_a_role_that_may_not_says_so(demo: Demo, visitors: Visitors) -> None:
    async def scenes(context: BrowserContext, position: int) -> list[Scene]:
        await sign_in(context, demo.address + "/console", "finance@tearline.example")
        return [Scene("console not allowed", "/console/staff", status=403)]

    await visitors.look(scenes)
