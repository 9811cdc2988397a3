"""The console's doors: signing in, the second factor, roles, and who is sent where."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pyotp
import pytest
from sqlalchemy import func, select

from tearline.core.roles import OPERATOR_ROLES
from tearline.db import transaction
from tearline.merchants.model import StaffSession
from tearline.web.app import Application
from tests.actions.merchants_support import make_merchant
from tests.web.browsing import PASSWORD, Browser, console_browser, make_staff

pytestmark = pytest.mark.anyio

NOBODY = "00000000-0000-7000-8000-000000000000"
OPEN_PATHS = {"/console/sign-in", "/console/sign-in/code", "/console/sign-in/recovery"}


def addresses(app: Application, method: str) -> list[str]:
    """Every address of the console that answers a method, with ids of nothing in their places."""
    found = []
    for route in app.litestar.routes:
        if route.path.startswith("/console") and method in getattr(route, "methods", ()):
            path = route.path_format.replace("{code}", "nothing")
            found.append(path if "{" not in path else path.format_map(_Anything()))
    return sorted(set(found))


class _Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return NOBODY


async def test_a_stranger_is_sent_to_sign_in_from_every_page(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = Browser(client)
    pages = [path for path in addresses(app, "GET") if path not in OPEN_PATHS]
    assert len(pages) > 40
    for path in pages:
        page = await browser.get(path, follow=False)
        assert page.status == 303, path
        assert page.answer.headers["location"].startswith("/console/sign-in?next=/console"), path


async def test_a_stranger_can_do_nothing(app: Application, client: httpx.AsyncClient) -> None:
    browser = Browser(client)
    for path in addresses(app, "POST"):
        if path not in OPEN_PATHS:
            page = await browser.post(path, follow=False)
            assert (page.status, page.answer.headers.get("location")) == (303, "/console/sign-in"), path


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_every_page_answers_every_role_with_a_page_a_refusal_or_nothing(
    app: Application, client: httpx.AsyncClient, role: str
) -> None:
    browser = await console_browser(app, client, role)
    for path in addresses(app, "GET"):
        page = await browser.get(path)
        assert page.status in (200, 403, 404), path


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_every_act_upon_nothing_is_refused_and_never_an_error(
    app: Application, client: httpx.AsyncClient, role: str
) -> None:
    browser = await console_browser(app, client, role)
    for path in addresses(app, "POST"):
        if path != "/console/sign-out":
            page = await browser.post(path, follow=False)
            assert page.status in (200, 303, 401, 403, 404, 409, 422), (path, page.status)


async def test_signing_in_leads_to_the_page_that_was_wanted(
    app: Application, client: httpx.AsyncClient
) -> None:
    await make_staff(app, "owner")
    browser = Browser(client)
    page = await browser.get("/console/merchants?q=tea")
    action = str(page.answer.url.raw_path, "ascii")
    assert action == "/console/sign-in?next=/console/merchants%3Fq%3Dtea"
    form = page.form(action.replace("&", "&amp;"))
    assert "email" in form.fields
    page = await browser.post(action, {"email": "OWNER@example.org ", "password": PASSWORD})
    assert page.status == 200
    assert str(page.answer.url).endswith("/console/merchants?q=tea")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/wallet", "/console/sign-in"]
)
async def test_signing_in_leads_nowhere_else(
    app: Application, client: httpx.AsyncClient, elsewhere: str
) -> None:
    await make_staff(app, "owner")
    browser = Browser(client)
    await browser.get("/console/sign-in")
    page = await browser.post(
        f"/console/sign-in?next={elsewhere}",
        {"email": "owner@example.org", "password": PASSWORD},
        follow=False,
    )
    assert page.answer.headers["location"] == "/console"


async def test_a_wrong_password_is_told_at_the_form_and_at_last_locks(
    app: Application, client: httpx.AsyncClient
) -> None:
    await make_staff(app, "owner")
    browser = Browser(client)
    page = await browser.sign_in("owner@example.org", "guessed wrongly")
    assert page.status == 401
    assert "The e-mail address or the password is wrong." in page.text
    for _ in range(10):
        page = await browser.sign_in("owner@example.org", "guessed wrongly")
    assert page.status == 429
    assert "Too many failed sign-ins. Try again in" in page.text
    page = await browser.sign_in("owner@example.org")
    assert page.status == 429


async def test_a_merchants_staff_are_shown_the_other_door_and_no_session_stays(
    app: Application, client: httpx.AsyncClient
) -> None:
    database = app.litestar.state.services.database
    merchant_id = await make_merchant(database)
    await make_staff(app, "manager", merchant_id=merchant_id)
    browser = Browser(client)
    page = await browser.sign_in("manager@example.org")
    assert page.status == 403
    assert "/merchant/sign-in" in page.html
    assert (await browser.get("/console", follow=False)).status == 303
    async with database.connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(StaffSession)) == 0


async def test_signing_out_ends_the_session(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    cookie = client.cookies.get("tearline_console")
    await browser.post("/console/sign-out")
    client.cookies.set("tearline_console", cookie or "", path="/console")
    assert (await browser.get("/console", follow=False)).status == 303


async def test_a_second_factor_is_set_up_and_asked_for(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    page = await browser.post("/console/account/totp")
    assert "Set up a second factor" in page.text
    picture = await client.get("/console/account/totp/code.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    secret = page.html.split('class="big-code">')[1].split("<")[0].replace(" ", "")
    wrong = await browser.post("/console/account/totp/confirm", {"code": "000000"})
    assert wrong.status == 422
    code = pyotp.TOTP(secret).now()
    page = await browser.post("/console/account/totp/confirm", {"code": code})
    assert "From now on you are asked for a code" in page.text
    recovery = re.findall(r"<code>([0-9A-Z-]{19})</code>", page.html)
    assert len(recovery) == 10
    assert "10 recovery codes are left." in (await browser.get("/console/account")).text
    await browser.post("/console/sign-out")
    page = await browser.sign_in("owner@example.org")
    assert "Code from your authenticator app" in page.text
    assert (await browser.get("/console", follow=False)).status == 303
    page = await browser.post("/console/sign-in/code", {"code": code})
    assert (page.status, "used already" in page.text) == (401, True)
    later = pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30))
    page = await browser.post("/console/sign-in/code", {"code": later})
    assert "Overview" in page.text
    await browser.post("/console/sign-out")
    page = await browser.sign_in("owner@example.org")
    assert 'href="/console/sign-in/recovery?next=/console"' in page.html
    page = await browser.post("/console/sign-in/recovery", {"code": "0000-0000-0000-0000"})
    assert page.status == 401 and "Recovery code" in page.text
    page = await browser.post("/console/sign-in/recovery?next=/console/offers", {"code": recovery[3].lower()})
    assert page.answer.url.path == "/console/offers"
    assert "9 recovery codes are left." in (await browser.get("/console/account")).text
    page = await browser.send("/console/account/totp/recovery", {"password": "not this one"})
    assert page.status == 422
    page = await browser.send("/console/account/totp/recovery", {"password": PASSWORD})
    assert len(set(re.findall(r"<code>([0-9A-Z-]{19})</code>", page.html)) - set(recovery)) == 10
    page = await browser.post("/console/account/totp/off", {"password": "not this one"})
    assert page.status == 422
    page = await browser.post("/console/account/totp/off", {"password": PASSWORD})
    assert "no longer asked for" in page.text


async def test_ones_own_password_is_changed_with_the_old_one(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client)
    new = "another calm password"
    wrong = {"current": "not this", "password": new, "again": new}
    page = await browser.post("/console/account/password", wrong)
    assert (page.status, "This is not your present password." in page.text) == (422, True)
    page = await browser.post(
        "/console/account/password", {"current": PASSWORD, "password": new, "again": "other"}
    )
    assert "This is not the same as above." in page.text
    page = await browser.post(
        "/console/account/password", {"current": PASSWORD, "password": new, "again": new}
    )
    assert "Your password is changed" in page.text
    await browser.post("/console/sign-out")
    assert (await browser.sign_in("owner@example.org", new)).status == 200


async def test_menus_hold_what_the_role_may_see_and_no_more(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client, "finance")
    page = await browser.get("/console")
    assert 'href="/console/campaigns"' in page.html
    for hidden in ("members", "staff", "keys", "audit"):
        assert f'href="/console/{hidden}"' not in page.html
        refused = await browser.get(f"/console/{hidden}")
        assert refused.status == 403
        assert "This is not part of your role" in refused.text
        assert "Your role is Finance" in refused.text
    assert "/console/offers/new" not in (await browser.get("/console/offers")).html
    assert (await browser.get("/console/offers/new")).status == 403


async def test_a_role_that_is_taken_away_closes_its_pages_at_once(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client, "editor")
    assert (await browser.get("/console/members")).status == 200
    from sqlalchemy import update

    from tearline.merchants.model import Staff

    async with transaction(app.litestar.state.services.database) as tx:
        await tx.execute(update(Staff).values(role="finance"))
    assert (await browser.get("/console/members")).status == 403


async def test_a_form_without_its_token_is_refused(app: Application, client: httpx.AsyncClient) -> None:
    await console_browser(app, client)
    answer = await client.post("/console/merchants/new", data={"code": "tea"})
    assert answer.status_code == 403
