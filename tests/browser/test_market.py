"""The market in a browser: from the shelf to the return of what was bought, with scripts and without."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect

from tearline.db import Database
from tearline.members.tokens import MemberTokens
from tearline.web.app import create_app
from tests.browser.chromium import WCAG, chromium, serving, violations
from tests.browser.pages import PICTURES, Watch
from tests.callers import SECRET, settings_for
from tests.market_worlds import MarketWorld, make_market

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

_KEEPS_PICTURES = "PAGE_VIEWS" in os.environ


@asynccontextmanager
async def in_market(database_url: str, *, scripts: bool = True, width: int = 360) -> AsyncIterator[Page]:
    """A phone before the market."""
    app = create_app(settings_for(database_url, market=True))
    async with serving(app) as address, chromium() as browser:
        context = await browser.new_context(
            viewport={"width": width, "height": 800}, locale="en-HK", java_script_enabled=scripts,
            reduced_motion="reduce", base_url=address,
        )  # fmt: skip
        page = await context.new_page()
        with Watch(page) as watch:
            yield page
            assert watch.lines == []


async def sign_in(page: Page, world: MarketWorld) -> None:
    """Give the phone the first member's session."""
    token = MemberTokens([SECRET.encode()]).issue(world.member, 1, datetime.now(UTC))
    origin = await page.evaluate("location.origin")
    await page.context.add_cookies([{"name": "tearline_member", "value": token, "url": origin}])


async def look(page: Page, name: str) -> None:
    """Nothing is wrong for those who cannot see it, nor wider than the screen; kept as a picture when asked."""
    if _KEEPS_PICTURES:
        PICTURES.mkdir(exist_ok=True)
        picture = PICTURES / f"market {name}.jpeg"
        await page.screenshot(path=picture, full_page=True, caret="initial", type="jpeg", quality=85)
    # What is being put in place is looked at when it is there.
    await expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added")).to_have_count(0)
    assert await violations(page, WCAG) == []
    width = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, f"{name} is too wide"


async def test_from_the_shelf_to_the_return(database: Database, database_url: str) -> None:
    world = await make_market(database)
    coupons = await world.wallet()
    async with in_market(database_url) as page:
        await page.goto("/market")
        await look(page, "1 shelf")
        # The filters work without a button, and the address can be kept.
        await page.select_option("#category", "food")
        await expect(page.locator(".product-card")).to_have_count(4)
        await expect(page).to_have_url(re.compile("category=food"))
        await page.get_by_role("button", name="Add Beef brisket noodles to the cart").click()
        await expect(page.locator(".cart-link .count")).to_have_text("1")
        await expect(page.locator("#toasts")).to_contain_text("In your cart: Beef brisket noodles")
        await page.get_by_role("link", name="Beef brisket noodles").click()
        await page.get_by_label("How many").fill("2")
        await page.get_by_role("button", name="Add to the cart").click()
        await expect(page.locator(".cart-link .count")).to_have_text("3")
        await look(page, "2 product")

        await page.locator(".cart-link").click()
        await expect(page.locator(".pay-bar strong")).to_have_text("HK$234")
        await look(page, "3 cart of a guest")
        await sign_in(page, world)
        await page.reload()
        await expect(page.locator("#cart")).to_contain_text("Best combination")
        before = await page.locator(".pay-bar strong").inner_text()
        await page.get_by_role("button", name="One more").click()
        await expect(page.locator(".cart-link .count")).to_have_text("4")
        await expect(page.locator(".pay-bar strong")).not_to_have_text(before)
        # The finger stays on the button that it pressed.
        await expect(page.get_by_role("button", name="One more")).to_be_focused()
        await page.get_by_label("How many", exact=True).fill("3")
        await page.keyboard.press("Enter")
        await expect(page.locator(".pay-bar strong")).to_have_text(before)
        await page.get_by_label("Outlying islands").check()
        await expect(page.locator("#cart")).not_to_contain_text("Shipping is on us")
        await page.get_by_label("Hong Kong").check()
        await expect(page.locator(".pay-bar strong")).to_have_text(before)
        await page.locator(".takings summary").click()
        await look(page, "4 cart")

        await page.get_by_role("link", name="Choose coupons").click()
        await expect(page.locator("#best-bar")).to_contain_text("The best combination is selected.")
        await look(page, "5 picker")
        await page.locator(f"input[value='{coupons['noodles']}']").check()
        await expect(page.locator("#best-bar")).to_contain_text("other coupons than the best")
        await page.locator(f"input[value='{coupons['alone']}']").check()
        await expect(page.locator(".conflict").first).to_contain_text("cannot be combined")
        await look(page, "6 picker, own choice")
        await page.get_by_role("button", name="Use the best").click()
        await expect(page.locator(".pay-bar strong")).to_have_text(before)

        await page.get_by_role("link", name="Check out").click()
        await look(page, "7 checkout")
        await page.get_by_role("button", name="Order and pay").click()
        await expect(page.get_by_role("heading", name="Your coupons are held until")).to_be_visible()
        await expect(page.locator("[data-countdown]")).to_contain_text("min")
        await look(page, "8 order")
        await page.get_by_role("button", name="(trial)").click()
        await expect(page.get_by_text("Paid. Thank you!")).to_be_visible()
        await expect(page.locator(".ticket.torn")).to_have_count(3)
        await look(page, "9 order paid")

        await page.get_by_role("link", name="Return something").click()
        await page.get_by_label("Beef brisket noodles").select_option("3")
        await page.get_by_label("Shipping of").check()
        await expect(page.locator("#comes-back")).to_contain_text(before)
        await look(page, "10 return")
        await page.get_by_role("button", name="Return (trial)").click()
        await expect(page.get_by_text("Back in your wallet")).to_have_count(3)
        await look(page, "11 returned")
        await page.get_by_role("link", name="Orders", exact=True).click()
        await expect(page.locator(".orders .tag")).to_have_text("Refunded")
        await look(page, "12 orders")
    await world.audited()


async def test_all_of_it_works_without_scripts(database: Database, database_url: str) -> None:
    world = await make_market(database)
    coupons = await world.wallet()
    async with in_market(database_url, scripts=False, width=1200) as page:
        await page.goto("/market")
        await page.get_by_label("Search for products").fill("noodles")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator(".product-card")).to_have_count(1)
        await page.get_by_role("button", name="Add Beef").click()
        await expect(page.get_by_role("heading", name="Cart")).to_be_visible()
        origin = page.url.removesuffix("/market/cart")
        token = MemberTokens([SECRET.encode()]).issue(world.member, 1, datetime.now(UTC))
        await page.context.add_cookies([{"name": "tearline_member", "value": token, "url": origin}])
        await page.get_by_role("button", name="One more").click()
        await page.get_by_label("How many", exact=True).fill("3")
        await page.keyboard.press("Enter")
        await expect(page.locator(".cart-link .count")).to_have_text("3")
        await page.get_by_label("Outlying islands").check()
        await page.get_by_role("button", name="Change").click()
        await expect(page.locator("#cart")).not_to_contain_text("Shipping is on us")
        await page.get_by_role("link", name="Choose coupons").click()
        await page.locator(f"input[value='{coupons['noodles']}']").check()
        await page.locator(f"input[value='{coupons['city']}']").check()
        await page.get_by_role("button", name="Use these").click()
        await expect(page.locator("#cart")).to_contain_text("Your choice")
        await page.get_by_role("link", name="Check out").click()
        await page.get_by_role("button", name="Order and pay").click()
        await page.locator("details.confirm summary").click()
        await page.get_by_role("button", name="Yes, cancel it").click()
        await page.get_by_role("button", name="Put it into the cart again").click()
        await page.get_by_role("link", name="Check out").click()
        await page.get_by_role("button", name="Order and pay").click()
        await page.get_by_role("button", name="(trial)").click()
        await page.get_by_role("link", name="Return something").click()
        await page.get_by_label("Beef brisket noodles").select_option("1")
        await page.get_by_role("button", name="Show what comes back").click()
        await expect(page.locator("#comes-back")).to_contain_text("HK$")
        await page.get_by_role("button", name="Return (trial)").click()
        await expect(page.locator("#refunds")).to_be_visible()
    await world.audited()
