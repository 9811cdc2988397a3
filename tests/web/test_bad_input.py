"""Garbage, huge bodies, wrong types, unknown fields, foreign ids: every endpoint answers with a clear problem."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from tearline.campaigns.model import Campaign, Claim
from tearline.checkout.model import CartOrder, CartRefund
from tearline.coupons.model import Redemption
from tearline.members.model import Member
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tearline.web.api import openapi_document
from tearline.web.app import Application
from tests.callers import Callers

pytestmark = pytest.mark.anyio

ORDERS = "/api/v1/voucher-orders"
"""The list, for keys; what is below is the members'."""
LARGE = ("/api/v1/quotes", "/api/v1/qualifications", "/api/v1/orders", "/api/v1/catalogue")
"""Where there is much in a body: carts have hundreds of lines, and a catalogue comes in thousands of rows."""
QUERIES = {
    "/api/v1/merchants/{merchant_id}/statements": {
        "currency": "HKD",
        "from": "2026-06-01",
        "to": "2026-07-01",
    },
    "/api/v1/merchants/{merchant_id}/settlement": {
        "currency": "HKD",
        "from": "2026-06-01T00:00:00Z",
        "to": "2026-07-01T00:00:00Z",
    },
}
"""What must be asked with, by path."""


def operations(*, with_body: bool = False) -> list[tuple[str, str]]:
    """Method and path of everything in the OpenAPI document; ``with_body``, of what takes JSON."""
    document = json.loads(openapi_document())
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not with_body or "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


def address(path: str, *, code: str = "WINTER-1") -> str:
    """The path with its parameters filled: ids that are nobody's."""
    parts = [
        str(uuid4()) if part.endswith("_id}") else code if part == "{code}" else part
        for part in path.split("/")
    ]
    return "/".join(parts)


def headers_for(callers: Callers, path: str) -> dict[str, str]:
    """The headers of somebody who may call it, so that it is the body that is refused."""
    if path.endswith("/claims") or "/wallet" in path or ("/voucher-orders" in path and path != ORDERS):
        return callers.member
    return callers.till if path.startswith("/api/v1/redemptions") else callers.operator


def assert_problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The answer is a problem document of one of these statuses."""
    assert answer.status_code in statuses, (answer.request.method, answer.request.url, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["detail"] and problem["reason"] and problem["title"]
    return problem


async def everything(app: Application) -> list[int]:
    """How much there is of what could be changed."""
    tables = (Merchant, Offer, Campaign, Member, Claim, Redemption, CartOrder, CartRefund)
    async with app.litestar.state.services.database.connection() as connection:
        return [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


GARBAGE: list[tuple[bytes, tuple[int, ...]]] = [
    (b"", (400,)),
    (b"{", (400,)),
    (b"\xff\xfe\x00", (400,)),
    (b"nonsense", (400,)),
    (b'{"a": "\xc3\x28"}', (400, 422)),
    (b"[" * 20_000, (400, 422)),
    (b'{"name": "\\u0000"}', (400,)),
    (b'{"name": "\\ud800"}', (400, 422)),
    (b"null", (422,)),
    (b"[]", (422,)),
    (b"1e999", (400, 422)),
    (b'{"colour_of_the_sky": 1}', (422,)),
    (
        b'{"password": 5, "code": {}, "names": [], "phone": null, "store_id": 1, "version": "1", "to": "5"}',
        (422,),
    ),
]


async def test_garbage_bodies_change_nothing(
    client: httpx.AsyncClient, callers: Callers, app: Application
) -> None:
    before = await everything(app)
    for method, path in operations(with_body=True):
        headers = {
            **headers_for(callers, path),
            "content-type": "application/json",
            "idempotency-key": str(uuid4()),
        }
        for body, statuses in GARBAGE:
            assert_problem(
                await client.request(method, address(path), content=body, headers=headers), *statuses
            )
    assert await everything(app) == before


async def test_a_huge_body_is_turned_away_unread(client: httpx.AsyncClient, callers: Callers) -> None:
    for method, path in operations(with_body=True):
        # Thousands of uses are reported at once, products come by the thousand, and carts have many lines.
        is_large = path.startswith(LARGE) or path.endswith("/voucher-uses") or "/catalogue/" in path
        size = 5_000_000 if is_large else 70_000
        body = b'{"password": "' + b"x" * size + b'"}'
        headers = {**headers_for(callers, path), "content-type": "application/json", "idempotency-key": "k"}
        problem = assert_problem(
            await client.request(method, address(path), content=body, headers=headers), 413
        )
        assert problem["reason"] == "too_large"


async def test_a_huge_body_of_unknown_length_is_cut_off(client: httpx.AsyncClient, callers: Callers) -> None:
    async def chunks() -> Any:
        for _ in range(80):
            yield b" " * 1024
            await asyncio.sleep(0)

    for path in ("/api/v1/campaigns/WINTER-1/claims", "/api/v1/merchants"):
        headers = {**headers_for(callers, path), "content-type": "application/json", "idempotency-key": "k"}
        assert_problem(await client.post(path, content=chunks(), headers=headers), 413)


async def test_other_media_types_are_refused(client: httpx.AsyncClient, callers: Callers) -> None:
    for method, path in operations(with_body=True):
        for media_type in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ):
            headers = {**headers_for(callers, path), "content-type": media_type, "idempotency-key": "k"}
            problem = assert_problem(
                await client.request(method, address(path), content=b"a=b", headers=headers), 415
            )
            assert problem["reason"] == "unsupported_media_type"


async def test_ids_that_are_nobodys_or_no_ids_are_not_found(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    for method, path in operations():
        if method == "GET" and "{" in path:
            answer = await client.get(
                address(path, code="NOTHING"), params=QUERIES.get(path), headers=headers_for(callers, path)
            )
            assert_problem(answer, 404)
        if "{number}" in path:
            for odd in ("nothing", "%20", "x" * 3_000):
                odd_path = path.replace("{number}", odd)
                answer = await client.request(
                    method, odd_path, json={"collected_by": "platform"}, headers=headers_for(callers, path)
                )
                assert_problem(answer, 404, 422)
        if "_id}" in path:
            broken = "/".join("not-an-id" if part.endswith("_id}") else part for part in path.split("/"))
            assert_problem(await client.request(method, broken, headers=headers_for(callers, path)), 404)


@pytest.mark.parametrize("bad", ["%00", "%ff%fe", "a%00b", "..%2f..%2fetc", "%ed%a0%80", "x" * 3000])
async def test_unreadable_addresses(client: httpx.AsyncClient, callers: Callers, bad: str) -> None:
    for path in (
        f"/api/v1/campaigns/{bad}",
        f"/api/v1/campaigns/{bad}/definition",
        f"/api/v1/merchants/{bad}",
        f"/api/v1/members?group={bad}",
        f"/api/v1/members?phone={bad}",
        f"/api/v1/merchants?cursor={bad}",
        f"/api/v1/merchants?limit={bad}",
    ):
        answer = await client.get(path, headers=callers.operator)
        assert answer.status_code < 500, path
        if answer.status_code != 200:
            assert_problem(answer, 400, 404, 422)
    answer = await client.post(
        f"/api/v1/campaigns/{bad}/claims",
        json={"password": "x"},
        headers={**callers.member, "idempotency-key": "k"},
    )
    assert_problem(answer, 400, 404, 422)
    assert (await client.get(f"/{bad}")).status_code < 500
    assert (await client.get(f"/?lang={bad}")).status_code < 500


async def test_wrong_query_values_name_their_field(client: httpx.AsyncClient, callers: Callers) -> None:
    for query, field in (
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("limit=999", "limit"),
        ("cursor=x", "cursor"),
    ):
        problem = assert_problem(
            await client.get(f"/api/v1/merchants?{query}", headers=callers.operator), 422
        )
        assert field in problem["fields"], problem


async def test_a_foreign_method_is_refused_and_told_the_right_ones(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    for path in ("/api/v1/campaigns/WINTER-1/claims", "/api/v1/wallet", "/api/v1/redemptions"):
        answer = await client.delete(path, headers=callers.operator)
        assert_problem(answer, 405)
        assert answer.headers["allow"]


async def test_broken_tokens(client: httpx.AsyncClient) -> None:
    for token in (
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer tl_",
        "Bearer tl_ü",
        "Bearer " + "x" * 5000,
        "Bearer v1.a.b.c",
    ):
        headers = [(b"authorization", token.encode("latin-1")), (b"idempotency-key", b"k")]
        for method, path in (
            ("GET", "/api/v1/merchants"),
            ("GET", "/api/v1/wallet"),
            ("POST", "/api/v1/campaigns/WINTER-1/claims"),
            ("POST", "/api/v1/redemptions"),
        ):
            body = b'{"password": "x"}' if method == "POST" else None
            answer = await client.request(method, path, content=body, headers=headers)
            assert_problem(answer, 401, 403, 422)


async def test_odd_idempotency_keys(client: httpx.AsyncClient, callers: Callers) -> None:
    body = {"code": "odd-one", "names": {"en": "Odd"}, "kind": "retail"}
    for key in (b"\xff\xfe", b"x" * 300, b" ", "鍵".encode()):
        headers = [(b"authorization", callers.operator["authorization"].encode()), (b"idempotency-key", key)]
        answer = await client.post("/api/v1/merchants", json=body, headers=headers)
        assert answer.status_code in (201, 400, 409, 422), answer.text
        headers[0] = (b"authorization", callers.member["authorization"].encode())
        claim = await client.post(
            "/api/v1/campaigns/WINTER-1/claims", json={"password": "x"}, headers=headers
        )
        assert_problem(claim, 400, 422)


async def test_forms_that_cannot_be_read_are_refused_with_a_page(client: httpx.AsyncClient) -> None:
    for body, media_type in (
        (b"\xff\xfe=%ff", "application/x-www-form-urlencoded"),
        (b"_csrf_token=%00", "application/x-www-form-urlencoded"),
        (b"_csrf_token=" + "é".encode() * 60, "application/x-www-form-urlencoded"),
        (b"_csrf_token=a&_csrf_token=b", "application/x-www-form-urlencoded"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="_csrf_token"\r\n'
            b"Content-Type: text/plain; charset=klingon\r\n\r\nabc\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
    ):
        for cookie in ("", "tearline_csrf=" + "é" * 70, "tearline_csrf=" + "0" * 96):
            headers = [(b"content-type", media_type.encode()), (b"cookie", cookie.encode())]
            answer = await client.post("/console/sign-in", content=body, headers=headers)
            assert answer.status_code in (400, 403, 404, 405, 422), (body, answer.text)
            assert answer.headers["content-type"].startswith("text/html")
