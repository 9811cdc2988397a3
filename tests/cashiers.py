"""People at the counter: staff of a world's merchant, a browser's worth of cookies for each, and coupons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select, update

from tearline.core.roles import command_actor
from tearline.coupons.model import Coupon, Redemption
from tearline.db import Database, transaction
from tearline.merchants import actions
from tearline.merchants.staff import create_staff
from tearline.offers.model import Offer
from tearline.web.app import Application
from tests.counters import Issued, claim
from tests.worlds import World, make_world

PASSWORD = "a calm little password"
_CSRF = re.compile(r'name="_csrf_token" value="([^"]+)"')
_INPUT = re.compile(r'<input type="hidden" name="request" value="([^"]+)">')
COMMAND = command_actor("tests")


async def add_store(database: Database, merchant_id: UUID, code: str) -> UUID:
    """One more store, named after its code."""
    async with transaction(database) as tx:
        return await actions.create_store(
            tx, COMMAND, merchant_id, code=code, names={"en": code.capitalize()}, now=datetime.now(UTC)
        )


async def add_staff(database: Database, merchant_id: UUID | None, name: str, role: str, **more: Any) -> str:
    """An account; answers its e-mail address."""
    email = f"{name.lower()}@example.org"
    async with transaction(database) as tx:
        await create_staff(
            tx, COMMAND, email=email, name=name, role=role, password=PASSWORD, merchant_id=merchant_id,
            now=datetime.now(UTC), **more,
        )  # fmt: skip
    return email


@dataclass
class Browser:
    """One browser at the counter: keeps cookies, follows redirects, sends forms with their token."""

    http: httpx.AsyncClient
    page: httpx.Response | None = None
    csrf: str = ""
    """The token of the last page that had a form."""

    async def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self._see(await self.http.get(path, follow_redirects=True))

    async def post(self, path: str, **values: str) -> httpx.Response:
        """Send a form of the present page."""
        data = {"_csrf_token": self.csrf, **values}
        return self._see(await self.http.post(path, data=data, follow_redirects=True))

    def _see(self, page: httpx.Response) -> httpx.Response:
        self.page = page
        found = _CSRF.search(page.text)
        self.csrf = found.group(1) if found else self.csrf
        return page

    @property
    def request_number(self) -> str:
        """The request number in the present page's form."""
        assert self.page is not None
        found = _INPUT.search(self.page.text)
        assert found is not None
        return found.group(1)

    @property
    def path(self) -> str:
        """Where the browser is."""
        assert self.page is not None
        return self.page.url.path

    @property
    def text(self) -> str:
        """What the page's body says, without its tags."""
        assert self.page is not None
        body = self.page.text.split("<main", 1)[-1].split("</main>")[0]
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())

    async def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        """Sign in with e-mail and password."""
        await self.get("/merchant/sign-in")
        return await self.post("/merchant/sign-in", email=email, password=password)

    async def scan(self, code: str) -> httpx.Response:
        """Type a code, or what a camera read, into a fresh page."""
        await self.get("/merchant")
        return await self.post("/merchant", code=code, request=self.request_number)


def browser(app: Application) -> Browser:
    """A new browser that speaks English."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    http = httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers={"accept-language": "en"}
    )
    return Browser(http)


@dataclass
class Counter:
    """A merchant with one store, a cashier who is signed in, and coupons to redeem."""

    app: Application
    database: Database
    world: World
    coupons: list[Issued]
    cashier: Browser

    @property
    def code(self) -> str:
        return self.coupons[0].code

    async def person(self, name: str, role: str = "cashier", **more: Any) -> Browser:
        """Somebody else of the same merchant, signed in."""
        email = await add_staff(self.database, self.world.merchant_id, name, role, **more)
        somebody = browser(self.app)
        await somebody.sign_in(email)
        return somebody

    async def change_offer(self, **values: Any) -> None:
        async with transaction(self.database) as tx:
            await tx.execute(update(Offer).values(version=Offer.version + 1, **values))

    async def change_coupon(self, **values: Any) -> None:
        async with transaction(self.database) as tx:
            await tx.execute(update(Coupon).where(Coupon.id == self.coupons[0].id).values(**values))

    async def redemptions(self) -> int:
        async with self.database.connection() as connection:
            return int((await connection.execute(select(func.count()).select_from(Redemption))).scalar_one())


async def make_counter(app: Application) -> Counter:
    """A merchant with one store, a signed-in cashier named Mei, and three coupons of HK$50 off over HK$300."""
    database = app.litestar.state.services.database
    world = await make_world(database, bundle=(3,))
    coupons = await claim(database, world)
    email = await add_staff(database, world.merchant_id, "Mei", "cashier")
    cashier = browser(app)
    await cashier.sign_in(email)
    return Counter(app, database, world, coupons, cashier)


async def other_merchant(counter: Counter) -> Browser:
    """A manager of another merchant, at its only store."""
    async with transaction(counter.database) as tx:
        other_id = await actions.create_merchant(
            tx, COMMAND, code="peak", names={"en": "Peak Tea"}, kind="dining", now=datetime.now(UTC)
        )
    await add_store(counter.database, other_id, "tram")
    email = await add_staff(counter.database, other_id, "Ann", "manager")
    ann = browser(counter.app)
    await ann.sign_in(email)
    return ann
