"""From a room to another site, with a signed pass: the way there, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from tearline.gateway import ASGIGateway, PassVerifier
from tearline.web.app import Application
from tests.rooms import Hall, make_room
from tests.sites import (
    CODE,
    HELD,
    ISSUER,
    PAGE,
    PASSES,
    ROOM_URL,
    SITE,
    returns_to,
    site,
    verifier,
)

pytestmark = pytest.mark.anyio


async def room_with_site(app: Application, state: str = "queueing", **changes: Any) -> None:
    services = app.litestar.state.services
    changes = {"sites": (SITE, "https://other.example:8443"), **changes}
    room_id = await make_room(services.database, datetime.now(UTC), state, **changes)
    await Hall(services.database, room_id, now=datetime.now(UTC)).tick()
    await services.room_watch.refresh(datetime.now(UTC))


async def test_the_keys_are_public_and_cacheable(client: httpx.AsyncClient) -> None:
    answer = await client.get("/gate/keys.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"].startswith("public, max-age=300")
    assert "set-cookie" not in answer.headers
    assert answer.content == PASSES.document, "derived from the secret: the same in every process"


async def test_through_the_room_to_another_site_and_in(app: Application) -> None:
    await room_with_site(app)
    services = app.litestar.state.services
    keys = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=keys, base_url=ISSUER) as client:
        published = (await client.get("/gate/keys.json")).json()
    guarded = ASGIGateway(site, PassVerifier(published, issuer=ISSUER, audience=SITE, room=CODE), ROOM_URL)
    mounts = {ISSUER: httpx.ASGITransport(app), SITE: httpx.ASGITransport(guarded)}
    async with httpx.AsyncClient(mounts=mounts, headers=PAGE) as browser:
        away = await browser.get(f"{SITE}/sale?size=4")
        wanted = returns_to(away)
        waiting = await browser.get(away.headers["location"])
        assert waiting.status_code == 200
        handover = f"{ROOM_URL}/return?to={quote(wanted, safe='')}"
        assert handover.removeprefix(ISSUER) in waiting.text.replace("&amp;", "&"), "the page's way on"
        too_early = await browser.get(handover)
        assert too_early.headers["location"] == f"/gate/{CODE}?return={quote(wanted, safe='')}"
        assert (await browser.post(f"{ROOM_URL}/joins", json={})).status_code == 200
        async with services.database.connection() as connection:
            room_id = (await connection.exec_driver_sql("SELECT id FROM room")).scalar_one()
        await Hall(services.database, room_id, now=datetime.now(UTC)).tick()
        await services.room_watch.refresh(datetime.now(UTC))
        assert (await browser.post(f"{ROOM_URL}/passes", json={})).status_code == 200
        handed = await browser.get(handover)
        assert handed.status_code == 303
        assert handed.headers["cache-control"] == "no-store"
        assert handed.headers["referrer-policy"] == "no-referrer"
        assert handed.headers["location"].startswith(f"{SITE}/sale?size=4&tearline_pass=ey")
        clean = await browser.get(handed.headers["location"])
        assert clean.headers["location"] == wanted
        inside = await browser.get(clean.headers["location"])
        assert inside.text.startswith("in: ")
        again = await browser.get(handover)
        verify = PassVerifier(published, issuer=ISSUER, audience=SITE, room=CODE).verify
        token = parse_qs(urlsplit(again.headers["location"]).query)["tearline_pass"][0]
        assert inside.text == f"in: {verify(token).id}", "handed over again, it is the same pass"
        await browser.post(f"{ROOM_URL}/departures", json={})
        assert (await browser.get(handover)).headers["location"].startswith(f"/gate/{CODE}?return=")


@pytest.mark.parametrize(
    "address",
    [
        "", "/c/WINTER", "//shop.example/", "http://evil.example/", "https://shop.example/", "http://shop.example:81/",
        "http://shop.example.evil.example/", "http://shop.example@evil.example/", "http://evil.example\\@shop.example/",
        "http:/\\evil.example", "http:evil.example", "javascript:alert(1)//http://shop.example", "data:,x",
        "http://[::1",         "http://shop.example:x/", "http://user:word@shop.example/",
        "\thttp://shop.example/", "http://shop\u3002example/",
        "http://shop.example\x00.evil.example/", "http://shop.example%2eevil.example/",
        "http://shop.example/" + "x" * 2000,
        "ftp://shop.example/", "http://", "http:///shop.example", "https://other.example/",
    ],
)  # fmt: skip
async def test_no_other_address_is_led_to(app: Application, client: httpx.AsyncClient, address: str) -> None:
    await room_with_site(app)
    services = app.litestar.state.services
    held = services.room_tokens.passed(replace(HELD, room_id=services.room_watch.room(CODE).id))
    for cookies in ({}, {f"tearline_pass_{CODE}": held}):
        client.cookies = httpx.Cookies(cookies)
        answer = await client.get(f"/gate/{CODE}/return", params={"to": address})
        assert answer.status_code in (400, 422)
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("address", "led_to"),
    [
        ("http://shop.example", "http://shop.example/?"),
        ("HTTP://Shop.Example:80/a", "http://shop.example/a?"),
        ("http://shop.example?x=1", "http://shop.example/?x=1&"),
        ("https://other.example:8443/a?b=c&tearline_pass=old#top", "https://other.example:8443/a?b=c&"),
        ("http://shop.example/a b/\u00e9?q=%26", "http://shop.example/a%20b/%C3%A9?q=%26&"),
        ("http://shop.example//evil.example", "http://shop.example//evil.example?"),
    ],
)
async def test_addresses_of_the_rooms_sites_are_led_to(
    app: Application, client: httpx.AsyncClient, address: str, led_to: str
) -> None:
    await room_with_site(app)
    services = app.litestar.state.services
    held = replace(HELD, room_id=services.room_watch.room(CODE).id)
    client.cookies.set(f"tearline_pass_{CODE}", services.room_tokens.passed(held))
    answer = await client.get(f"/gate/{CODE}/return", params={"to": address})
    assert answer.status_code == 303
    location, _, fragment = answer.headers["location"].partition("#")
    before, _, token = location.partition("tearline_pass=")
    assert (before, fragment) == (led_to, "top" if "#" in address else "")
    audience = SITE if "shop" in led_to else "https://other.example:8443"
    assert verifier(audience=audience, clock=lambda: datetime.now(UTC).timestamp()).verify(token)


async def test_a_room_that_does_not_exist_leads_nowhere(app: Application, client: httpx.AsyncClient) -> None:
    await room_with_site(app, sites=())
    assert (await client.get("/gate/NOWHERE/return", params={"to": SITE})).status_code == 404
    assert (await client.get(f"/gate/{CODE}/return", params={"to": SITE})).status_code == 422
