"""The board of a waiting room in a browser: it follows what others do, and its dial's two inputs each other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect
from sqlalchemy import update

from tearline.core.rooms import RoomDraft
from tearline.db import Database, transaction
from tearline.waitingroom.actions import create_room, move_room, turn_dial
from tearline.waitingroom.model import RoomState
from tearline.web.app import create_app
from tests.browser.chromium import chromium, serving
from tests.callers import settings_for
from tests.web.browsing import COMMAND, PASSWORD, make_staff

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def test_the_board_follows_what_happens(database: Database, database_url: str) -> None:
    app, now = create_app(settings_for(database_url)), datetime.now(UTC)
    async with transaction(database) as tx:
        draft = RoomDraft(code="RUSH", names={"en": "The rush"}, time_zone="Asia/Hong_Kong", max_active=200)
        room_id = await create_room(tx, COMMAND, draft, now)
        await move_room(tx, COMMAND, room_id, "gathering", now)
    async with serving(app) as address, chromium() as browser:
        await make_staff(app, "owner")
        page = await browser.new_page(locale="en-HK")
        await page.goto(f"{address}/console/sign-in")
        await page.fill("[name=email]", "owner@example.org")
        await page.fill("[name=password]", PASSWORD)
        await page.press("[name=password]", "Enter")
        await page.wait_for_url(lambda url: "sign-in" not in url)
        await page.goto(f"{address}/console/rooms/{room_id}")
        slider, number = page.locator("[name=slider]"), page.locator("#field-max_active")
        await slider.fill("350")
        await expect(number).to_have_value("350")
        await number.fill("120")
        await expect(slider).to_have_value("120")

        # Somebody else lets people gather, turns the dial and starts: this page hears of it by itself.
        async with transaction(database) as tx:
            await tx.execute(update(RoomState).where(RoomState.room_id == room_id).values(joined=4321))
        await expect(page.locator(".board")).to_contain_text("4,321")
        async with transaction(database) as tx:
            await turn_dial(tx, COMMAND, room_id, max_active=0, per_minute=None, now=now)
            await move_room(tx, COMMAND, room_id, "queueing", now)
        await expect(page.locator("#steps .tag").first).to_have_text("Queueing")
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()
        await expect(number).to_have_value("0")

        # What came along with the numbers works as what was there from the start.
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#steps")).to_contain_text("Paused")
        await number.fill("500")
        await page.get_by_role("button", name="Turn the dial").click()
        await expect(page.locator(".turns li").first).to_contain_text("500 inside")
