"""The application around its faces: health, headers, errors, CSRF, addresses, numbers."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from prometheus_client import CONTENT_TYPE_LATEST

from tearline.config import Settings
from tearline.core.refusal import REASONS
from tearline.web.access import safe_next
from tearline.web.app import Application, create_app
from tearline.web.security import client_address
from tests.callers import Callers, bearer, client_of, running, settings_for

pytestmark = pytest.mark.anyio


async def test_it_lives_and_is_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).status_code == 200


async def test_without_its_database_it_lives_and_is_not_ready() -> None:
    settings = settings_for("postgresql://nobody:nothing@127.0.0.1:1/none")
    async with client_of(settings) as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        key = {"authorization": "Bearer tl_" + "x" * 43}
        refused = await client.get("/api/v1/merchants", headers=key)
        assert (refused.status_code, refused.json()["reason"]) == (503, "unavailable")


async def test_unknown_address_of_the_api_is_a_problem_document(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/nothing", headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "not_found"


@pytest.mark.parametrize("language", ["en", "zh-Hant", "zh-Hans", "th"])
async def test_unknown_page_is_a_page_in_the_readers_language(
    client: httpx.AsyncClient, language: str
) -> None:
    answer = await client.get("/nothing/at/all", headers={"accept-language": language})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert f'<html lang="{language}"' in answer.text
    assert answer.headers["x-request-id"] in answer.text


async def test_every_reason_has_its_page(client: httpx.AsyncClient) -> None:
    page = (await client.get("/problems")).text
    assert all(reason in page for reason in REASONS)
    assert (await client.get("/problems/sold_out")).status_code == 200
    assert (await client.get("/problems/sold_in")).status_code == 404


async def test_every_answer_has_its_headers(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/api/v1/nothing", "/nothing", "/problems", "/api/v1/openapi.json"):
        headers = (await client.get(path)).headers
        assert "script-src 'self' 'wasm-unsafe-eval';" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])
        assert "strict-transport-security" not in headers
    claim = await client.post("/api/v1/campaigns/X/claims", json={})
    assert claim.headers["x-content-type-options"] == "nosniff"
    assert claim.headers["x-request-id"] in claim.json()["instance"]


async def test_a_request_keeps_the_id_that_it_brings_when_it_is_a_decent_one(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/healthz", headers={"x-request-id": "trace-12345678"})
    assert answer.headers["x-request-id"] == "trace-12345678"
    answer = await client.get("/healthz", headers={"x-request-id": "evil\x1b[31m value"})
    assert answer.headers["x-request-id"] != "evil\x1b[31m value"


async def test_behind_https_cookies_are_secure(database_url: str) -> None:
    settings = settings_for(database_url, public_url="https://coupons.example.org")
    async with running(create_app(settings)) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://coupons.example.org") as client:
            answer = await client.get("/problems")
            assert "strict-transport-security" in answer.headers
            cookie = next(
                value for value in answer.headers.get_list("set-cookie") if "tearline_csrf" in value
            )
            assert "Secure" in cookie and "HttpOnly" in cookie and "SameSite=lax" in cookie


async def test_head_is_answered_as_get(client: httpx.AsyncClient) -> None:
    assert (await client.head("/problems")).status_code == 200
    assert (await client.head("/nothing")).status_code == 404


async def test_the_demos_pages_are_there_only_in_the_demo(
    client: httpx.AsyncClient, database_url: str
) -> None:
    for path in ("/dev/ui", "/dev/outbox"):
        assert (await client.get(path)).status_code == 200
    sober = Settings(database_url=database_url, secret_key="s" * 40, log_format="console")
    async with client_of(sober) as other:
        for path in ("/dev/ui", "/dev/outbox"):
            assert (await other.get(path)).status_code == 404


async def test_numbers_for_prometheus(client: httpx.AsyncClient, callers: Callers) -> None:
    await client.get("/api/v1/merchants", headers=callers.operator)
    headers = {**callers.member, "idempotency-key": "k"}
    await client.post("/api/v1/campaigns/WINTER-1/claims", json={"password": "PASSWORD0"}, headers=headers)
    text = (await client.get("/metrics")).text
    for line in (
        'tearline_requests_total{method="GET",route="/api/v1/merchants",status="200"}',
        'tearline_requests_total{method="POST",route="/api/v1/campaigns/{code}/claims",status="201"}',
        'tearline_desk_batch_size_count{desk="claims"}',
        'tearline_request_duration_seconds_bucket{le="0.1",route="/api/v1/merchants"}',
    ):
        assert line in text, line


async def test_numbers_are_for_this_machine_or_for_the_token(app: Application, database_url: str) -> None:
    def coming_from(address: str, app: Application = app) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    for address, status in (("127.0.0.1", 200), ("::1", 200), ("203.0.113.9", 403), ("10.0.0.2", 403)):
        async with coming_from(address) as client:
            answer = await client.get("/metrics")
            assert answer.status_code == status, address
            assert ("tearline_requests_total" in answer.text) == (status == 200)
    async with coming_from("127.0.0.1") as client:
        answer = await client.get("/metrics")
        assert answer.headers.get_list("content-type") == [CONTENT_TYPE_LATEST]
        # What a proxy on this machine brings is somebody else's.
        for name in ("x-forwarded-for", "forwarded", "x-real-ip"):
            assert (await client.get("/metrics", headers={name: "127.0.0.1"})).status_code == 403
    token = "t" * 20
    settings = settings_for(database_url, metrics_token=token)
    async with running(create_app(settings)) as guarded, coming_from("203.0.113.9", guarded) as client:
        assert (await client.get("/metrics", headers=bearer(token))).status_code == 200
        for headers in ({}, bearer(token + "t"), bearer("ü" * 20), {"authorization": token}):
            assert (await client.get("/metrics", headers=_latin(headers))).status_code == 401
        async with coming_from("127.0.0.1", guarded) as local:
            assert (await local.get("/metrics")).status_code == 401


def _latin(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def form(client: httpx.AsyncClient, page: httpx.Response) -> dict[str, str]:
    """The token that the forms of a page carry."""
    return {"_csrf_token": page.cookies.get("tearline_csrf") or client.cookies["tearline_csrf"]}


async def test_a_form_needs_the_token_of_its_own_browser(client: httpx.AsyncClient, app: Application) -> None:
    address = "/console/sign-in"
    fields = {"email": "nobody@example.org", "password": "wrong password"}
    refused = await client.post(address, data=fields)
    assert refused.status_code == 403
    token = form(client, await client.get(address))
    assert (await client.post(address, data={**fields, **token})).status_code in (401, 422)
    by_script = await client.post(address, data=fields, headers={"x-csrftoken": token["_csrf_token"]})
    assert by_script.status_code in (401, 422)
    forged = {"_csrf_token": "0" * 96}
    client.cookies.set("tearline_csrf", "0" * 96)
    assert (await client.post(address, data={**fields, **forged})).status_code == 403
    client.cookies.clear()
    assert (await client.post(address, data={**fields, **token})).status_code == 403


async def test_a_token_of_a_withdrawn_secret_is_replaced(database_url: str) -> None:
    old, new = "o" * 40, "n" * 40
    cookies = httpx.Cookies()
    for secret_key, is_accepted in ((old, True), (f"{new},{old}", True), (new, False)):
        async with running(create_app(settings_for(database_url, secret_key=secret_key))) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test", cookies=cookies
            ) as client:
                before = cookies.get("tearline_csrf")
                page = await client.get("/problems")
                assert ("tearline_csrf" in page.cookies) == (before is None or not is_accepted)
                cookies = client.cookies


@pytest.mark.parametrize(
    ("forwarded", "client", "address"),
    [
        ("", "203.0.113.9", "203.0.113.9"),
        ("198.51.100.1", "203.0.113.9", "203.0.113.9"),
        ("198.51.100.1", "10.0.0.2", "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1", "10.0.0.2", "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1, 10.0.0.7", "10.0.0.2", "198.51.100.1"),
        ("rubbish", "10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, rubbish, 10.0.0.7", "10.0.0.2", "10.0.0.7"),
    ],
)
def test_forwarded_addresses_are_believed_from_proxies_only(
    forwarded: str, client: str, address: str
) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope: Any = {"type": "http", "client": (client, 1234), "headers": headers}
    assert client_address(scope, [ip_network("10.0.0.0/8")]) == address


def test_after_sign_in_people_stay_on_this_site() -> None:
    assert safe_next("/wallet?folder=used", "/") == "/wallet?folder=used"
    for path in (
        None,
        "",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a\r\nb",
        "/" + "x" * 2000,
    ):
        assert safe_next(path, "/wallet") == "/wallet"


async def test_pages_for_staff_send_strangers_to_sign_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/console/offers?page=2")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/sign-in?next=/console/offers%3Fpage%3D2"
    fragment = await client.get("/console/offers", headers={"hx-request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"][:16]) == (401, "/console/sign-in")
