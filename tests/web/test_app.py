"""The application around its faces: health, headers, errors, CSRF, addresses."""

from __future__ import annotations

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_it_lives_and_is_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).status_code == 200


async def test_unknown_address_of_the_api_is_a_problem_document(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/nothing", headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "not_found"


async def test_unknown_page_is_a_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nothing/at/all")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_gallery(client: httpx.AsyncClient) -> None:
    assert (await client.get("/dev/ui")).status_code == 200
    assert (await client.get("/dev/outbox")).status_code == 200
    assert (await client.get("/problems")).status_code == 200
    assert (await client.get("/problems/sold_out")).status_code == 200
    print((await client.get("/problems/sold_outx")).text)
