"""The seeded demo as the tests of its pages see it: what is in it, who looks at it, and which pages are linked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import psycopg
from playwright.async_api import Browser, BrowserContext

from tearline.cli.demo.people import DEMO_PHONE
from tearline.cli.demo.staff_data import DEMO_PASSWORD
from tearline.members.tokens import MemberTokens
from tests.browser.pages import RouteMap, Scene, View, crawl
from tests.callers import SECRET

LOCALES = {"en": "en-HK", "zh-Hant": "zh-HK", "zh-Hans": "zh-CN", "th": "th-TH"}

REACHED_OTHERWISE = {
    "/sign-in", "/sign-in/code", "/console/sign-in", "/console/sign-in/code", "/merchant/sign-in",
    "/merchant/sign-in/code", "/console/sign-in/recovery", "/merchant/sign-in/recovery",
    "/console/account/totp/recovery", "/merchant/account/two-step/recovery",
    "/c/{code:str}/claims/{claim_id:uuid}", "/orders/{order_id:uuid}", "/pay/{reference:str}",
    "/console/account/totp",
    "/console/campaigns/{campaign_id:uuid}/prizes/new", "/console/offers/{offer_id:uuid}/owner",
    "/console/campaigns/{campaign_id:uuid}/items/new", "/console/offers/{offer_id:uuid}/pool",
    "/console/pools/{pool_id:uuid}/upload", "/console/campaigns/{campaign_id:uuid}/items/{item_id:uuid}",
    "/console/campaigns/{campaign_id:uuid}/items/{item_id:uuid}/quantity",
    "/market/checkout", "/market/cart/coupons", "/market/orders/{number:str}", "/market/orders/{number:str}/return",
    "/merchant/pools/{pool_id:uuid}", "/merchant/pools/{pool_id:uuid}/upload",
    "/merchant/pools/{pool_id:uuid}/files/{file_id:uuid}", "/merchant/sales/{campaign_id:uuid}",
    "/merchant/prepared/{hold_id:uuid}", "/console/cart-orders/{number:str}/refund",
    "/gate/{code:str}", "/gate/{code:str}/draw", "/gate/{code:str}/done",
    "/gate/{code:str}/bypass/{token:str}",
}  # fmt: skip
"""Pages that no link leads to; scenes of their own do."""

NO_PAGES = {
    # Parts of pages, files, and addresses that send on to another.
    "/wallet/{coupon_id:uuid}/ticket", "/wallet/{coupon_id:uuid}/qr.svg", "/c/{code:str}/claims",
    "/c/{code:str}/orders", "/orders/{order_id:uuid}/now",
    "/market/cart/code",
    "/merchant/service-worker.js", "/console/now", "/console/campaigns/{campaign_id:uuid}/now",
    "/console/campaigns/{campaign_id:uuid}/plots", "/console/rooms/{room_id:uuid}/now",
    "/console/rooms/{room_id:uuid}/plots", "/console/members/{member_id:uuid}/phone",
    "/console/campaigns/{campaign_id:uuid}/sold", "/console/campaigns/{campaign_id:uuid}/sold/plot",
    "/console/pools/{pool_id:uuid}/now", "/console/pools/{pool_id:uuid}/files/{file_id:uuid}/now",
    "/console/pools/{pool_id:uuid}/files/{file_id:uuid}/outcomes", "/console/pools/template",
    "/console/catalogue/templates/{kind:str}",
    "/console/merchants/{merchant_id:uuid}/statement/file", "/console/settlement/file",
    "/console/merchants/{merchant_id:uuid}/settlement/file", "/merchant/settlement/file",
    "/console/pools/{pool_id:uuid}/hand-backs/{hand_back_id:uuid}",
    "/merchant/pools/{pool_id:uuid}/now", "/merchant/pools/{pool_id:uuid}/files/{file_id:uuid}/now",
    "/merchant/pools/{pool_id:uuid}/files/{file_id:uuid}/outcomes", "/merchant/pools/template",
    "/merchant/pools/{pool_id:uuid}/hand-backs/{hand_back_id:uuid}", "/merchant/sales/{campaign_id:uuid}/now",
    "/merchant/statement/file",
    "/console/staff/{staff_id:uuid}/password", "/console/account/language", "/console/account/password",
    "/gate/{code:str}/leave", "/gate/{code:str}/return", "/gate/keys.json",
    "/console/account/totp/code.svg", "/console/account/totp/confirm", "/console/account/totp/off",
}  # fmt: skip

SALE = "/c/KHLONG-VOUCHERS"
"""The demo's sale."""


@dataclass
class Demo:
    """The seeded installation, as seen by the tests: where it is, and things in it to look at."""

    address: str
    database_url: str
    routes: list[str] = field(default_factory=list)
    _linked: dict[str, dict[str, str]] = field(default_factory=dict)
    """The addresses of pages by route, by face; found once, since links are the same in every view."""
    _crawling: asyncio.Lock = field(default_factory=asyncio.Lock)

    def one(self, statement: str, *values: object) -> Any:
        """The first value that a query finds."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(statement, values).fetchone()
        assert row is not None, statement
        return row[0]

    def coupon(self, folder: str) -> UUID:
        """A coupon of the demo's member."""
        conditions = {
            "used": "state = 'redeemed'",
            "expired": "state = 'open' AND valid_until < now()",
            "usable": "state = 'open' AND valid_until > now() AND valid_from < now()",
        }
        found: UUID = self.one(
            "SELECT coupon.id FROM coupon JOIN member_phone USING (member_id)"
            f" WHERE phone = %s AND {conditions[folder]} ORDER BY coupon.id",
            DEMO_PHONE,
        )
        return found

    def code_at(self, merchant: str, skipped: int) -> str:
        """The code of a coupon that a merchant's counter takes."""
        code: str = self.one(
            "SELECT coupon.code FROM coupon JOIN offer ON offer.id = offer_id"
            " JOIN merchant ON merchant.id = merchant_id"
            " WHERE merchant.code = %s AND coupon.state = 'open' AND coupon.valid_from < now()"
            " AND coupon.valid_until > now() + interval '1 day' AND validity @> '{\"hours\": [], \"weekdays\": []}'"
            " ORDER BY coupon.id OFFSET %s",
            merchant,
            skipped,
        )
        return code

    async def linked(self, face: str, starts: list[str], cookies: dict[str, str]) -> dict[str, str]:
        """The address of a page of each of a face's routes, by route."""
        async with self._crawling:
            if face not in self._linked:
                self._linked[face] = await self._crawl(face, starts, cookies)
        return self._linked[face]

    async def _crawl(self, face: str, starts: list[str], cookies: dict[str, str]) -> dict[str, str]:
        routes = RouteMap.of(path for path in self.routes if _face_of(path) == face)
        async with httpx.AsyncClient(
            base_url=self.address, cookies=cookies, follow_redirects=True, timeout=30
        ) as http:
            found = await crawl(http, starts, routes)
        pages = {route for route in routes.patterns if not route.endswith("/export")} - NO_PAGES
        unknown = pages - REACHED_OTHERWISE - found.keys()
        assert not unknown, f"no link leads to {sorted(unknown)}"
        return found

    def member_cookie(self) -> dict[str, str]:
        """What keeps the demo's member signed in."""
        member_id = self.one("SELECT member_id FROM member_phone WHERE phone = %s", DEMO_PHONE)
        token = MemberTokens([SECRET.encode()]).issue(member_id, 1, datetime.now(UTC))
        return {"name": "tearline_member", "value": token, "url": self.address}


@asynccontextmanager
async def seen_in(browser: Browser, view: View) -> AsyncIterator[BrowserContext]:
    """A browser of a view's language, width and colours."""
    context = await browser.new_context(
        viewport={"width": view.width, "height": 800 if view.width < 700 else 900},
        locale=LOCALES[view.language],
        color_scheme="dark" if view.is_dark else "light",
        reduced_motion="reduce",
    )
    try:
        yield context
    finally:
        await context.close()


async def sign_in(context: BrowserContext, address: str, email: str) -> None:
    """Sign in at the console or the counter."""
    page = await context.new_page()
    await page.goto(address)
    await page.fill("[name=email]", email)
    await page.fill("[name=password]", DEMO_PASSWORD)
    await page.press("[name=password]", "Enter")
    await page.wait_for_url(lambda url: "/sign-in" not in url)
    await page.close()


async def links(context: BrowserContext, demo: Demo, face: str, starts: list[str]) -> list[Scene]:
    """A page of each route of a face that links lead to; those that none leads to must be known."""
    cookies = {one["name"]: one["value"] for one in await context.cookies(demo.address + starts[0])}
    found = await demo.linked(face, starts, cookies)
    return [Scene(face + " " + route, address) for route, address in sorted(found.items())]


def _face_of(path: str) -> str:
    first = path.strip("/").split("/", 1)[0]
    if first in ("console", "merchant", "dev"):
        return first
    return "none" if first in ("static", "healthz", "readyz", "metrics") else "shop"
