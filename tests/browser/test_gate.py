"""The waiting room in a real Chromium: from gathering through the draw to the claim and out again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select, update

from tearline.core import draw
from tearline.db import Database, transaction
from tearline.members.tokens import MemberTokens
from tearline.waitingroom import actions
from tearline.waitingroom.model import Room, RoomState
from tests.browser.chromium import WCAG, serving_on, violations
from tests.browser.pages import Watch
from tests.callers import SECRET
from tests.rooms import ACTOR, CODE, make_room
from tests.worlds import World, make_world

pytestmark = pytest.mark.anyio

PHONE, DESK = 360, 1440
CAMPAIGN = "/c/WINTER-1"


@dataclass
class Hall:
    """A served room that guards a campaign, and what its operator does."""

    address: str
    database: Database
    room_id: UUID
    world: World

    @property
    def gate(self) -> str:
        return f"{self.address}/gate/{CODE}"

    async def move(self, state: str) -> None:
        async with transaction(self.database) as tx:
            await actions.move_room(tx, ACTOR, self.room_id, state, datetime.now(UTC))

    async def tell(self, text: str) -> None:
        async with transaction(self.database) as tx:
            await actions.tell(tx, ACTOR, self.room_id, {"en": text}, datetime.now(UTC))

    async def set(self, **values: Any) -> None:
        async with transaction(self.database) as tx:
            await tx.execute(update(RoomState).where(RoomState.room_id == self.room_id).values(**values))

    async def state(self) -> Any:
        async with self.database.connection() as connection:
            return (await connection.execute(select(RoomState.__table__))).one()

    def member_cookie(self, position: int) -> Any:
        token = MemberTokens([SECRET.encode()]).issue(self.world.members[position], 1, datetime.now(UTC))
        return {"name": "tearline_member", "value": token, "url": self.address}


@asynccontextmanager
async def hall(database: Database, database_url: str, state: str, **changes: Any) -> AsyncIterator[Hall]:
    world = await make_world(database, campaign={"image": "art/ferris-wheel.svg", "edge": "indigo"})
    values = {"campaign_ids": (world.campaign_id,), **changes}
    room_id = await make_room(database, datetime.now(UTC), state, **values)
    async with serving_on(database_url) as address:
        yield Hall(address, database, room_id, world)


@asynccontextmanager
async def visitor(
    browser: Browser, hall: Hall, *, width: int = PHONE, member: int | None = None, **more: Any
) -> AsyncIterator[tuple[Page, BrowserContext]]:
    """Somebody with a browser of their own."""
    context = await browser.new_context(
        viewport={"width": width, "height": 780}, locale="en", reduced_motion="reduce", **more
    )
    context.set_default_timeout(15_000)
    if member is not None:
        await context.add_cookies([hall.member_cookie(member)])
    try:
        yield await context.new_page(), context
    finally:
        await context.close()


def state(page: Page, *names: str) -> Any:
    return page.locator(", ".join(f"[data-gate][data-state={name}]" for name in names))


async def looks_well(page: Page) -> None:
    """No rule of axe broken, and nothing wider than the screen."""
    assert await violations(page) == []
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scroll, client = await page.evaluate(widths)
    assert scroll <= client


async def test_from_gathering_to_the_claim(database: Database, database_url: str, browser: Browser) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=30)
    async with (
        hall(database, database_url, "gathering", max_active=1, starts_at=soon) as room,
        visitor(browser, room, member=0) as (phone, phone_context),
        visitor(browser, room, member=1, width=DESK) as (desk, desk_context),
    ):
        with Watch(phone) as phone_watch, Watch(desk) as desk_watch:
            await phone.goto(room.address + CAMPAIGN)
            await expect(state(phone, "gathering")).to_be_visible()
            await expect(phone.get_by_text("Arrival no. 1").first).to_be_visible()
            await expect(phone.locator("[data-start]")).to_have_text(re.compile(r"^(29|30) min \d+ s$"))
            await desk.goto(room.gate)
            await expect(desk.get_by_text("Arrival no. 2").first).to_be_visible()
            second_tab = await phone_context.new_page()
            await second_tab.goto(room.gate)
            await expect(second_tab.get_by_text("Arrival no. 1").first).to_be_visible()
            await second_tab.close()
            assert (await room.state()).joined == 2
            await expect(phone.get_by_text("10 gifts left").first).to_be_visible()
            await looks_well(phone)
            await looks_well(desk)
            await room.tell("Hot tea is served.")
            await expect(phone.get_by_text("Hot tea is served.")).to_be_visible()

            # The operator starts; one of the two is drawn first and goes in by itself.
            await room.move("queueing")
            seed = (await room.state()).seed
            first_is_phone = draw.place(seed, 0, 2) == 0
            first, other = (phone, desk) if first_is_phone else (desk, phone)
            await first.wait_for_url(room.address + CAMPAIGN)
            await expect(state(other, "waiting")).to_be_visible()
            await expect(other.locator("[data-place]")).to_have_text("2")
            await expect(other.locator("[data-ahead]")).to_have_text("You are next.")
            assert await other.title() == "No. 2 in line · Winter hall · Tearline"
            await looks_well(other)

            # Anybody checks the draw.
            checking = await (desk_context if first_is_phone else phone_context).new_page()
            await checking.goto(f"{room.gate}/draw")
            await expect(checking.locator("[data-fingerprint]")).to_contain_text("It matches")
            number = 2 if first_is_phone else 1
            await expect(checking.locator("[data-result]")).to_have_text(
                f"Arrival no. {number} of 2 has place 2 in line."
            )
            for arrival, arrivals in ((1, 1), (77, 100), (4_321, 100_000)):
                await checking.fill("#arrivals", str(arrivals))
                await checking.fill("#arrival", str(arrival))
                place = draw.place(seed, arrival - 1, arrivals) + 1
                expected = f"Arrival no. {arrival:,} of {arrivals:,} has place {place:,} in line."
                await expect(checking.locator("[data-result]")).to_have_text(expected)
            await looks_well(checking)
            await checking.fill("#seed", "0" * 64)
            await expect(checking.locator("[data-fingerprint]")).to_contain_text("It does not match")
            await checking.close()

            # Inside: the time runs, the gift is opened, and leaving frees the place for the other one.
            await expect(first.locator("[data-left]")).to_have_text(re.compile(r"^(29|30) min \d+ s$"))
            await looks_well(first)
            await first.fill("#password", "PASSWORD0")
            await first.press("#password", "Enter")
            await first.wait_for_url("**/claims/*")
            await expect(first.get_by_role("heading", name="Gift 0")).to_be_visible()
            await expect(first.locator("[data-left]")).to_be_visible()
            await first.get_by_role("button", name="Leave").click()
            await expect(first.get_by_text("You have left, and your place is free")).to_be_visible()
            await looks_well(first)
            await other.wait_for_url(room.address + CAMPAIGN)
            await expect(other.locator("[data-inside]")).to_be_visible()
            assert phone_watch.lines == desk_watch.lines == []


async def test_the_session_warns_and_ends(database: Database, database_url: str, browser: Browser) -> None:
    async with (
        hall(database, database_url, "open") as room,
        visitor(browser, room) as (page, _context),
    ):
        await page.goto(room.address + CAMPAIGN)
        await page.wait_for_url(room.address + CAMPAIGN)
        await page.clock.install()
        await page.reload()
        warning = page.locator("[data-warning]")
        await expect(warning).to_be_hidden()
        await page.clock.fast_forward(25 * 60 * 1000 + 30_000)
        await expect(warning).to_have_text("Less than five minutes are left.")
        await looks_well(page)
        await page.clock.fast_forward(3 * 60 * 1000 + 40_000)
        await expect(warning).to_have_text("Less than a minute is left.")
        await page.clock.fast_forward(60_000)
        await page.wait_for_url("**/done**")
        await expect(page.get_by_text("Your time inside has ended.")).to_be_visible()
        await page.get_by_role("button", name="Join the line again").click()
        await page.wait_for_url(room.address + CAMPAIGN)
        assert (await room.state()).inside == 1, "the first place was given back"


async def test_waiting_outlasts_a_lost_connection(
    database: Database, database_url: str, browser: Browser
) -> None:
    async with (
        hall(database, database_url, "queueing", max_active=0) as room,
        visitor(browser, room) as (page, context),
    ):
        await page.goto(room.gate)
        await expect(state(page, "waiting")).to_be_visible()
        await context.set_offline(True)
        await expect(page.locator("[data-reconnecting]")).to_be_visible()
        await expect(page.locator("[data-place]")).to_have_text("1")
        await room.set(is_paused=True)
        await context.set_offline(False)
        await expect(page.locator("[data-reconnecting]")).to_be_hidden()
        await expect(page.locator("[data-paused]")).to_be_visible()
        sound = page.get_by_role("button", name="Play a sound when it is my turn")
        await sound.click()
        await expect(sound).to_have_attribute("aria-pressed", "true")


async def test_those_for_whom_nothing_is_left_are_told_at_once(
    database: Database, database_url: str, browser: Browser
) -> None:
    async with (
        hall(database, database_url, "queueing", max_active=0) as room,
        visitor(browser, room, color_scheme="dark") as (page, _context),
    ):
        # The world has ten gifts.
        await room.set(joined=40)
        await page.goto(room.gate)
        short = page.locator("[data-short]")
        await expect(short).to_contain_text("The gifts will probably not reach your place.")
        await expect(page.get_by_text("10 gifts left").last).to_be_visible()
        assert await violations(page, WCAG) == []
        await page.get_by_role("button", name="I will stay").click()
        await expect(short).to_be_hidden()
        await room.set(called=RoomState.joined, lapsed=RoomState.joined)
        await expect(state(page, "missed")).to_be_visible()
        await looks_well(page)
        await page.get_by_role("button", name="Join the line again").click()
        await expect(state(page, "waiting")).to_be_visible()
        await expect(page.locator("[data-place]")).to_have_text("42")


async def test_the_door_and_a_proof_of_work(database: Database, database_url: str, browser: Browser) -> None:
    async with (
        hall(database, database_url, "queueing", max_active=1, proof_of_work=True) as room,
        visitor(browser, room, width=DESK) as (page, _context),
    ):
        await room.set(inside=2)
        with Watch(page) as watch:
            await page.goto(room.gate)
            await expect(state(page, "waiting")).to_be_visible()
            assert watch.lines == [], "the solver lives under the policy"
        await room.set(called=1)
        await expect(state(page, "door")).to_be_visible()
        await expect(page.get_by_text("A moment more: you are at the door.")).to_be_visible()
        await looks_well(page)
        await room.set(inside=0)
        await page.wait_for_url(room.address + CAMPAIGN)


async def test_the_start_by_the_clock(database: Database, database_url: str, browser: Browser) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    async with (
        hall(database, database_url, "gathering", max_active=5, starts_at=later) as room,
        visitor(browser, room) as (page, _context),
    ):
        await page.goto(room.gate)
        await expect(state(page, "gathering")).to_be_visible()
        await expect(page.get_by_text("Arrival no. 1").first).to_be_visible()
        async with transaction(room.database) as tx:
            await tx.execute(update(Room).values(starts_at=datetime.now(UTC) + timedelta(seconds=2)))
        await page.wait_for_url(room.address + CAMPAIGN)
        assert (await room.state()).gathered == 1
