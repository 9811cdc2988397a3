"""The counter in a real Chromium: a QR code before a fake camera, a photo, typing without scripts, no network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy
import pytest
import segno
from playwright.async_api import Browser, Page, expect
from sqlalchemy import select

from tearline.core import rotating
from tearline.coupons.model import Redemption
from tearline.coupons.rotation import coupon_secret
from tearline.db import Database
from tests.browser.chromium import chromium, fake_camera, serving_on, violations
from tests.callers import SECRET
from tests.cashiers import PASSWORD, add_staff
from tests.counters import Issued, claim
from tests.worlds import make_world

pytestmark = pytest.mark.anyio

PHONE = {"width": 360, "height": 740}


@dataclass
class Counter:
    """A served counter, a cashier's e-mail address, and coupons."""

    address: str
    database: Database
    email: str
    coupons: list[Issued]

    def live_text(self, coupon: Issued) -> str:
        """What the member's phone shows. One step ahead, so that a slow machine has a minute to scan it."""
        soon = datetime.now(UTC) + timedelta(seconds=rotating.STEP_SECONDS)
        return rotating.payload(coupon.code, coupon_secret(SECRET.encode(), coupon.id), soon)

    async def sign_in(self, page: Page, lands_at: str = "**/merchant") -> None:
        await page.goto(f"{self.address}/merchant")
        await page.fill("[name=email]", self.email)
        await page.fill("[name=password]", PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(lands_at)

    async def redeemed(self) -> list[tuple[Any, str]]:
        async with self.database.connection() as connection:
            rows = await connection.execute(select(Redemption.coupon_id, Redemption.verified))
            return [(row.coupon_id, row.verified) for row in rows]


@pytest.fixture
async def counter(database: Database, database_url: str) -> AsyncIterator[Counter]:
    world = await make_world(database, bundle=(2,))
    coupons = await claim(database, world)
    email = await add_staff(database, world.merchant_id, "Mei", "cashier")
    async with serving_on(database_url) as address:
        yield Counter(address, database, email, coupons)


def picture(text: str) -> bytes:
    """A photo of a QR code: turned a little, on a grey desk, in uneven light."""
    modules = numpy.array([list(row) for row in segno.make(text, error="m").matrix_iter(scale=6, border=4)])
    code = numpy.where(modules > 0, 20, 245).astype(numpy.uint8)
    photo = numpy.full((480, 640), 130, numpy.uint8)
    top, left = (480 - code.shape[0]) // 2, (640 - code.shape[1]) // 2
    photo[top : top + code.shape[0], left : left + code.shape[1]] = code
    turn = cv2.getRotationMatrix2D((320, 240), 7, 1.0)
    photo = cv2.warpAffine(photo, turn, (640, 480), borderValue=130)
    light = numpy.linspace(0.75, 1.0, 640)
    encoded = cv2.imencode(".jpg", (photo * light).astype(numpy.uint8))[1]
    return bytes(encoded)


def film(path: Path, text: str) -> Path:
    """Some frames of the code before the camera."""
    path.write_bytes(picture(text) * 10)
    return path


async def test_a_live_code_before_the_camera_is_redeemed(counter: Counter, tmp_path: Path) -> None:
    coupon = counter.coupons[0]
    shown = film(tmp_path / "code.mjpeg", counter.live_text(coupon))
    async with chromium(*fake_camera(shown)) as browser:
        page = await browser.new_page(viewport=PHONE, locale="en")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        # The strict policy included: what it blocks is told on the console.
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        # A camera that was allowed before starts by itself, so nothing has to be pressed.
        await counter.sign_in(page, lands_at="**/merchant/prepared/*")
        await expect(page.get_by_text("Live QR code")).to_be_visible()
        found = await violations(page)
        await page.get_by_role("button", name="Redeem").dblclick()
        await page.wait_for_url("**/merchant/redemptions/*")
        await expect(page.get_by_role("heading", name="Redeemed")).to_be_visible()
        await expect(page.locator(".ticket.torn, .ticket.tearing")).to_be_visible()
        found += await violations(page)
        await page.reload()
        assert await counter.redeemed() == [(coupon.id, "rotating")]
        await page.get_by_text("Undo this redemption").click()
        await page.get_by_role("button", name="Yes, undo it").click()
        await expect(page.get_by_role("heading", name="Undone")).to_be_visible()
        found += await violations(page)
        assert found == []
        assert problems == []


CAMERA_HELD_TWICE = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
let left = 2;
navigator.mediaDevices.getUserMedia = (wish) =>
  left-- > 0 ? Promise.reject(new DOMException("Could not start video source", "NotReadableError")) : open(wish);
"""


async def test_a_camera_that_the_page_before_still_holds_is_asked_again(
    counter: Counter, tmp_path: Path
) -> None:
    shown = film(tmp_path / "code.mjpeg", counter.live_text(counter.coupons[0]))
    async with chromium(*fake_camera(shown)) as browser:
        page = await browser.new_page(viewport=PHONE, locale="en")
        await page.add_init_script(CAMERA_HELD_TWICE)
        await counter.sign_in(page, lands_at="**/merchant/prepared/*")
        await expect(page.get_by_text("Live QR code")).to_be_visible()


async def test_a_photo_of_the_code_does_where_there_is_no_camera(
    counter: Counter, browser: Browser, tmp_path: Path
) -> None:
    coupon = counter.coupons[0]
    photo, blank = tmp_path / "photo.jpg", tmp_path / "blank.jpg"
    blank.write_bytes(bytes(cv2.imencode(".jpg", numpy.full((480, 640), 130, numpy.uint8))[1]))
    async with await browser.new_page(viewport=PHONE, locale="en") as page:
        await counter.sign_in(page)
        await page.set_input_files("[data-photo]", blank)
        await expect(page.get_by_text("No code was found in that picture.")).to_be_visible(timeout=20_000)
        photo.write_bytes(picture(counter.live_text(coupon)))
        await page.set_input_files("[data-photo]", photo)
        await page.wait_for_url("**/merchant/prepared/*", timeout=20_000)
        await expect(page.get_by_text("Live QR code")).to_be_visible()


async def test_an_old_picture_is_refused_in_large(counter: Counter, browser: Browser, tmp_path: Path) -> None:
    coupon = counter.coupons[0]
    secret = coupon_secret(SECRET.encode(), coupon.id)
    old = rotating.payload(coupon.code, secret, datetime.now(UTC) - timedelta(minutes=5))
    photo = tmp_path / "screenshot.jpg"
    photo.write_bytes(picture(old))
    async with await browser.new_page(viewport=PHONE, locale="en", color_scheme="dark") as page:
        await counter.sign_in(page)
        await page.set_input_files("[data-photo]", photo)
        await expect(page.get_by_role("heading", name="Out of date")).to_be_visible(timeout=20_000)
        assert await violations(page) == []
        assert await counter.redeemed() == []
        await page.get_by_role("link", name="Scan next").click()
        await page.wait_for_url("**/merchant")


async def test_typing_works_without_scripts(counter: Counter, browser: Browser) -> None:
    coupon = counter.coupons[0]
    async with await browser.new_context(viewport=PHONE, locale="en", java_script_enabled=False) as context:
        page = await context.new_page()
        await counter.sign_in(page)
        await page.fill("#code", coupon.code.lower())
        await page.get_by_role("button", name="Check the code").click()
        await page.get_by_role("button", name="Redeem").click()
        await expect(page.get_by_role("heading", name="Redeemed")).to_be_visible()
        assert await counter.redeemed() == [(coupon.id, "code")]
        await page.get_by_text("Undo this redemption").click()
        await page.get_by_role("button", name="Yes, undo it").click()
        await expect(page.get_by_role("heading", name="Undone")).to_be_visible()


async def test_without_a_network_the_installed_counter_says_so(counter: Counter, browser: Browser) -> None:
    async with await browser.new_context(viewport=PHONE, locale="en") as context:
        page = await context.new_page()
        await counter.sign_in(page)
        await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        await page.wait_for_function("navigator.serviceWorker.controller !== null")
        kept = await page.evaluate(
            "caches.keys().then((names) => caches.open(names[0])).then((cache) => cache.keys())"
            ".then((requests) => requests.map((request) => new URL(request.url).pathname))"
        )
        assert {path for path in kept if path.startswith("/merchant")} == {"/merchant/offline"}
        await context.set_offline(True)
        await page.goto(f"{counter.address}/merchant")
        await expect(page.get_by_text("No connection")).to_be_visible()
        assert await violations(page) == []
        await context.set_offline(False)
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("heading", name="Scan a coupon")).to_be_visible()
        assert await violations(page) == []
