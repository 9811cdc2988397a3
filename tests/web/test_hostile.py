"""Every route by the route table: no form without its token, no page for a stranger, no act beyond one's role.

New routes are in these tests by themselves; what is open to everybody is named here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import httpx
import pytest

from tearline.core.roles import PERMISSIONS
from tearline.db import new_id
from tearline.web.app import Application
from tests.cashiers import make_counter, other_merchant
from tests.web.browsing import console_browser, make_staff

pytestmark = pytest.mark.anyio

OPEN_PAGES = {
    "/console/sign-in", "/console/sign-in/code", "/console/sign-in/recovery", "/merchant/sign-in",
    "/merchant/sign-in/code", "/merchant/sign-in/recovery", "/merchant/offline", "/merchant/service-worker.js",
}  # fmt: skip
OWN_ACTS = ("/console/account", "/console/sign-out", "/console/sign-in")
"""What everybody of the operator's staff may do."""
SEEN_WITH = {
    "/console/campaigns": "campaigns.read", "/console/offers": "offers.read", "/console/members": "members.read",
    "/console/membership": "members.read", "/console/merchants": "merchants.read", "/console/stores": "merchants.read",
    "/console/staff": "staff.manage", "/console/keys": "keys.manage", "/console/audit": "audit.read",
}  # fmt: skip
DONE_WITH = {
    "/console/campaigns": "campaigns.write", "/console/offers": "offers.write", "/console/members": "members.write",
    "/console/membership": "members.write", "/console/merchants": "merchants.write",
    "/console/stores": "merchants.write", "/console/staff": "staff.manage", "/console/keys": "keys.manage",
}  # fmt: skip


def routes(app: Application, method: str) -> Iterator[str]:
    """Addresses of all routes that answer a method, ids that nobody has in place of parameters."""
    for route in app.litestar.routes:
        if method in getattr(route, "methods", ()):
            path = re.sub(r"\{[^}]*:uuid\}", str(new_id()), route.path)
            yield re.sub(r"\{[^}]*\}", "NOWHERE", path)


async def test_no_form_is_taken_without_its_token(app: Application, client: httpx.AsyncClient) -> None:
    paths = [path for path in routes(app, "POST") if not path.startswith("/api/")]
    assert len(paths) > 50
    for path in paths:
        for token in ({}, {"_csrf_token": "0" * 96}):
            answer = await client.post(path, data={"name": "x", **token})
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), path


async def test_a_stranger_is_sent_to_sign_in_by_every_page_of_staff(
    app: Application, client: httpx.AsyncClient
) -> None:
    for face in ("/console", "/merchant"):
        paths = {path for path in routes(app, "GET") if path.startswith(face)} - OPEN_PAGES
        assert len(paths) > 10
        for path in paths:
            answer = await client.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith(f"{face}/sign-in?next="), path


@pytest.mark.parametrize("role", ["editor", "finance", "auditor"])
async def test_nobody_sees_or_does_what_their_role_does_not_allow(
    app: Application, client: httpx.AsyncClient, role: str
) -> None:
    browser = await console_browser(app, client, role)
    refused = 0
    for method, needed in (("GET", SEEN_WITH), ("POST", DONE_WITH)):
        for path in routes(app, method):
            if not path.startswith("/console/") or path.startswith(OWN_ACTS):
                continue
            section = "/".join(path.split("/")[:3])
            permission = "staff.manage" if "/staff" in path else needed.get(section, "console")
            if permission in PERMISSIONS[role]:
                continue
            page = await (browser.get(path) if method == "GET" else browser.post(path))
            # Who may see such things may learn that there is none by this id.
            may_see = method == "POST" and SEEN_WITH.get(section) in PERMISSIONS[role]
            assert page.status in ((403, 404) if may_see else (403,)), (method, path)
            refused += 1
    assert refused > 15


async def test_a_session_opens_its_own_face_only(app: Application, client: httpx.AsyncClient) -> None:
    counter = await make_counter(app)
    await make_staff(app, "owner")
    await console_browser(app, client, "editor")
    tokens = {
        "/console": client.cookies["tearline_console"],
        "/merchant": counter.cashier.http.cookies["tearline_counter"],
    }
    for face, cookie in (("/merchant", "tearline_counter"), ("/console", "tearline_console")):
        [other] = [token for own_face, token in tokens.items() if own_face != face]
        answer = await client.get(face, headers={"cookie": f"{cookie}={other}"})
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, f"{face}/sign-in")


async def test_what_is_another_merchants_is_not_there(app: Application) -> None:
    counter = await make_counter(app)
    await counter.cashier.scan(counter.code)
    holds = re.findall(r"/merchant/prepared/([0-9a-f-]{36})", counter.cashier.path)
    redeemed = await counter.cashier.post(counter.cashier.path, action="redeem")
    redemption = redeemed.url.path.rpartition("/")[2]
    stranger = await other_merchant(counter)
    await stranger.get("/merchant")
    paths = [
        f"/merchant/prepared/{holds[0]}",
        f"/merchant/redemptions/{redemption}",
        f"/merchant/offers/{counter.coupons[0].offer_id}",
    ]
    for path in paths:
        assert (await stranger.get(path)).status_code == 404, path
    for path in paths[:2]:
        for action in ("redeem", "release"):
            answer = await stranger.post(path, request="a-number-of-theirs", action=action)
            assert answer.status_code == 404, path
    listed = await stranger.get("/merchant/redemptions/export?format=csv")
    assert counter.code not in listed.text and "Mei" not in listed.text


async def test_no_address_makes_a_page_that_links_elsewhere(client: httpx.AsyncClient) -> None:
    for path in ("//elsewhere.example/x", "/\\elsewhere.example", "///elsewhere.example"):
        scope_path = httpx.URL("http://127.0.0.1:8000").copy_with(raw_path=path.encode())
        page = await client.get(scope_path, headers={"accept": "text/html"})
        assert page.status_code == 404
        assert re.findall(r'(?:href|action)="(?:[/\\]{2}|https?:)[^"]*"', page.text) == []


async def test_cookies_that_nobody_gave_out_break_no_page(client: httpx.AsyncClient) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 2900).decode().rstrip("=")
    for value in (deep, "x", "=", "%00", "W10", "bnVsbA"):
        for name in (
            "tearline_flash",
            "tearline_sign_in",
            "tearline_language",
            "tearline_member",
            "tearline_csrf",
        ):
            for path in ("/", "/sign-in", "/sign-in/code", "/console/sign-in"):
                answer = await client.get(path, headers={"cookie": f"{name}={value}"})
                assert answer.status_code < 500, (path, name, value[:10])
