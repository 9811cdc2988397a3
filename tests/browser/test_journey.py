"""One coupon's life in real browsers: the operator makes it, a member claims it, a cashier scans and redeems it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import cv2
import numpy
import pytest
import zxingcpp
from playwright.async_api import Browser, Locator, Page, expect

from tearline.db import Database
from tests.browser.chromium import chromium, fake_camera
from tests.browser.installation import installation
from tests.browser.pages import Watch
from tests.cashiers import PASSWORD, add_staff

pytestmark = pytest.mark.anyio

MEMBER_PHONE = "6123 4567"
CAMPAIGN_PASSWORD = "海港之夜"
CODE = re.compile(r"TL1\.[0-9A-Z]{14}\.[0-9a-z]+\.[0-9A-Z]{10}")
FRAME = (480, 640)
"""Height and width of the fake camera's picture, in pixels."""


class Person:
    """Somebody before a browser of their own."""

    def __init__(self, page: Page, address: str, watch: Watch) -> None:
        self.page, self.address, self.watch = page, address, watch

    async def go(self, path: str) -> None:
        await self.page.goto(self.address + path)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name, exact=True).first.click()

    async def confirm(self, name: str, confirmed: str) -> None:
        """Open a button that asks, and press the one that does it."""
        asking = self.page.locator("details.confirm").filter(has=self.page.locator("summary", has_text=name))
        await asking.locator("summary").click()
        await asking.get_by_role("button", name=confirmed, exact=True).click()

    async def fill(self, **values: str) -> None:
        """Fill a form; ``names__zh_Hant`` is the input ``names.zh-Hant``."""
        for key, value in values.items():
            name, _, language = key.partition("__")
            tag = language.replace("_", "-")
            if tag:
                group = self.page.locator(f"fieldset:has(> .language-tabs [name='{name}.{tag}'])")
                await group.locator(f"label[lang='{tag}']").click()
            field = self.page.locator(f"[name='{name}{'.' + tag if tag else ''}']")
            await field.fill(value)

    async def sign_in(self, path: str, email: str) -> None:
        await self.go(path)
        await self.fill(email=email, password=PASSWORD)
        await self.press("Sign in")
        await self.page.wait_for_url(lambda url: "/sign-in" not in url)

    def see(self, text: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_text(text).first


@asynccontextmanager
async def person(browser: Browser, address: str, *, locale: str, width: int) -> AsyncIterator[Person]:
    """Somebody with a fresh browser; at the end it must have had nothing to complain of."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, locale=locale, timezone_id="Asia/Hong_Kong",
        reduced_motion="reduce",
    )  # fmt: skip
    context.set_default_timeout(20_000)
    page = await context.new_page()
    with Watch(page) as watch:
        yield Person(page, address, watch)
        assert watch.lines == []
    await context.close()


async def make_merchant(operator: Person) -> None:
    """The operator's first merchant, with a store and somebody who works there."""
    await operator.go("/console/merchants/new")
    await operator.fill(code="harbour-books", names__en="Harbour Books", names__zh_Hant="海港書店")
    await operator.press("Save")
    await expect(operator.page.get_by_role("heading", name="Harbour Books")).to_be_visible()
    await operator.follow("Add a store")
    await operator.fill(code="CENTRAL", names__en="Central", names__zh_Hant="中環店")
    await operator.press("Save")
    await expect(operator.see("The store is open.")).to_be_visible()
    await operator.follow("Its staff")
    await operator.follow("Create")
    await operator.fill(email="mei@harbour.example", password=PASSWORD, name="Mei Chan")
    await operator.page.check("[name=role][value=cashier]")
    await operator.page.select_option("[name=store_id]", label="Central")
    await operator.press("Create the account")
    await expect(operator.see("The account is there.")).to_be_visible()


async def make_offer(operator: Person) -> None:
    """HK$50 off from HK$300, for a week after the claim."""
    await operator.go("/console/offers/new")
    await operator.page.select_option("[name=merchant]", label="Harbour Books")
    await operator.press("Continue")
    await operator.fill(code="HB-50", names__en="HK$50 off any book", names__zh_Hant="全店減 $50")
    await operator.fill(**{"benefit.amount_off.amount": "50", "minimum_spend": "300"})
    await operator.page.get_by_text("For some days after the claim", exact=True).click()
    await operator.press("Save")
    await expect(operator.page.get_by_role("heading", name="HK$50 off any book").first).to_be_visible()
    await operator.press("Activate")
    await expect(operator.page.locator(".page-head .tag", has_text="Active")).to_be_visible()


async def make_campaign(operator: Person) -> str:
    """A password campaign with one prize, live; its page's address."""
    now = datetime.now(ZoneInfo("Asia/Hong_Kong"))
    await operator.go("/console/campaigns/new")
    await operator.fill(
        code="HARBOUR-NIGHT", names__en="Harbour Night", names__zh_Hant="海港之夜賞",
        starts_at=f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M}", ends_at=f"{now + timedelta(days=9):%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    await operator.press("Save")
    await operator.follow("Add a prize")
    await operator.fill(
        names__en="A book for the night", names__zh_Hant="夜讀禮物", password=CAMPAIGN_PASSWORD, inventory="5"
    )
    await operator.page.select_option("[name='bundle-0-offer']", label="HB-50 – HK$50 off any book")
    await operator.press("Save")
    await expect(operator.see("The prize is added.")).to_be_visible()
    await operator.confirm("Go live", "Go live")
    await expect(operator.page.locator(".page-head .tag", has_text="Live")).to_be_visible()
    return operator.page.url


async def code_sent_to(browser: Browser, address: str, phone: str) -> str:
    """The one-time code that has reached a phone, as the outbox shows it once the worker has sent it."""
    page = await browser.new_page(locale="en")
    message = page.locator("tr", has_text=phone).first
    with anyio.fail_after(20):
        await page.goto(f"{address}/dev/outbox")
        while not await message.count():
            await page.reload()
    found = re.search(r"\b\d{6}\b", (await message.inner_text()).replace(phone, ""))
    await page.close()
    assert found is not None
    return found.group()


async def claim(member: Person, browser: Browser) -> None:
    """Type the password, sign in by phone on the way, and open the gift."""
    await member.go("/c/HARBOUR-NIGHT")
    await expect(member.page.get_by_role("heading", name="海港之夜賞")).to_be_visible()
    # As phones type it: other blanks around it make no difference.
    await member.page.fill("#password", f" {CAMPAIGN_PASSWORD}　")
    await member.page.press("#password", "Enter")
    await member.page.wait_for_url("**/sign-in**")
    await member.page.fill("#phone", MEMBER_PHONE)
    await member.page.click("[name=channel][value=sms]")
    await member.page.wait_for_url("**/sign-in/code")
    code = await code_sent_to(browser, member.address, "+85261234567")
    await member.page.fill("#code", code)
    await member.page.press("#code", "Enter")
    await member.page.wait_for_url("**/c/HARBOUR-NIGHT**")
    await expect(member.page.locator("#password")).to_have_value(re.compile(CAMPAIGN_PASSWORD))
    await member.page.press("#password", "Enter")
    await member.page.wait_for_url("**/claims/*")
    await expect(member.page.get_by_role("heading", name="夜讀禮物")).to_be_visible()


async def photograph(code: Locator, film: Path) -> str:
    """Put what the member's screen shows before the cashier's camera; the text that another reader finds in it."""
    shot = cv2.imdecode(numpy.frombuffer(await code.screenshot(), numpy.uint8), cv2.IMREAD_GRAYSCALE)
    read = zxingcpp.read_barcodes(shot)
    assert len(read) == 1
    height, width = FRAME
    scale = 0.9 * height / max(shot.shape)
    shot = cv2.resize(shot, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = numpy.full(FRAME, 120, numpy.uint8)
    top, left = (height - shot.shape[0]) // 2, (width - shot.shape[1]) // 2
    frame[top : top + shot.shape[0], left : left + shot.shape[1]] = shot
    _film_of(frame, film)
    return read[0].text


def _film_of(frame: numpy.ndarray, film: Path) -> None:
    """Change the film at one stroke: Chromium finds no camera when it looks while half of the file is there."""
    reel = film.with_suffix(".reel")
    reel.write_bytes(bytes(cv2.imencode(".jpg", frame)[1]) * 10)
    reel.replace(film)


async def test_a_coupon_from_the_console_to_the_counter_and_back(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    owner = await add_staff(database, None, "Vivian", "owner")
    film = tmp_path / "camera.mjpeg"
    _film_of(numpy.full(FRAME, 120, numpy.uint8), film)
    with installation(database_url) as address:
        async with (
            chromium(*fake_camera(film)) as browser,
            person(browser, address, locale="en", width=1440) as operator,
            person(browser, address, locale="zh-HK", width=360) as member,
            person(browser, address, locale="en", width=360) as cashier,
        ):
            await operator.sign_in("/console", owner)
            await make_merchant(operator)
            await make_offer(operator)
            campaign = await make_campaign(operator)

            await claim(member, browser)
            await member.page.locator("a.ticket").click()
            shown = member.page.locator("[data-rotating-qr] .qr svg")
            await expect(shown).to_be_visible()

            await cashier.sign_in("/merchant", "mei@harbour.example")
            await expect(cashier.page.get_by_text("Hold the code in the frame.")).to_be_visible()
            text = await photograph(shown, film)
            assert CODE.fullmatch(text)
            # The camera sees the member's phone from now on.
            await cashier.page.reload()
            await cashier.page.wait_for_url("**/merchant/prepared/*")
            await expect(cashier.see("Live QR code")).to_be_visible()
            await expect(cashier.page.locator(".ticket")).to_contain_text("HK$50 off any book")
            # The member is told at the same time.
            await expect(member.page.get_by_text("收銀員", exact=False).first).to_be_visible()
            await cashier.press("Redeem")
            await expect(cashier.page.get_by_role("heading", name="Redeemed")).to_be_visible()
            await expect(cashier.page.locator(".ticket.torn")).to_be_visible()
            redemption = cashier.page.url
            await expect(member.page.locator(".ticket.torn")).to_be_visible(timeout=15_000)
            await expect(member.page.locator("[data-rotating-qr]")).to_have_count(0)

            await operator.page.goto(campaign)
            figures = operator.page.locator(".figures").first
            expected = {"left, of 5": "4", "claims": "1", "redemptions": "1", "undone": "0"}
            for label, number in expected.items():
                figure = figures.locator(".figure").filter(has=operator.page.get_by_text(label, exact=True))
                await expect(figure.locator("dd")).to_have_text(number)

            await cashier.page.goto(redemption)
            await cashier.confirm("Undo this redemption", "Yes, undo it")
            await expect(cashier.page.get_by_role("heading", name="Undone")).to_be_visible()
            await member.go("/wallet")
            await expect(member.page.locator("a.ticket")).to_have_count(1)
            await expect(member.page.locator("a.ticket.torn")).to_have_count(0)
            await member.page.locator("a.ticket").click()
            await expect(member.page.locator("[data-rotating-qr] .qr svg")).to_be_visible()
