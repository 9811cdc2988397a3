"""Claims, the wallet and redemptions through the API: what a member's app and a merchant's till do."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select, update

from tearline.campaigns.model import Claim
from tearline.core import rotating
from tearline.db import transaction
from tearline.members.model import Member
from tearline.web.app import Application, create_app
from tests.callers import Callers, make_callers, running, settings_for

pytestmark = pytest.mark.anyio
CLAIMS = "/api/v1/campaigns/WINTER-1/claims"


async def _claim(
    client: httpx.AsyncClient, headers: dict[str, str], key: str, password: str = "password0"
) -> httpx.Response:
    return await client.post(CLAIMS, json={"password": password}, headers={**headers, "idempotency-key": key})


async def test_a_claim_issues_the_bundle_and_a_repeat_gets_the_first_answer(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    first = await _claim(client, callers.member, "one")
    assert first.status_code == 201
    assert len(first.json()["coupons"]) == 2
    again = await _claim(client, callers.member, "one")
    assert again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["coupons"] == first.json()["coupons"]


async def test_the_same_key_in_parallel_is_one_claim(
    client: httpx.AsyncClient, callers: Callers, app: Application
) -> None:
    answers = await asyncio.gather(*(_claim(client, callers.member, "same") for _ in range(32)))
    assert sorted(answer.status_code for answer in answers) == [200] * 31 + [201]
    assert len({answer.json()["claim_id"] for answer in answers}) == 1
    async with app.litestar.state.services.database.connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(Claim)) == 1


async def test_a_campaigns_code_is_found_in_lower_case_too(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    headers = {**callers.member, "idempotency-key": "k"}
    answer = await client.post(CLAIMS.lower(), json={"password": "PASSWORD0"}, headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"authorization": ""}, 401, "not_signed_in"),
        ({"authorization": "Bearer v1.x.y.z"}, 401, "session_ended"),
        ({"authorization": "Bearer tl_" + "x" * 43}, 403, "not_allowed"),
        ({"idempotency-key": ""}, 400, "idempotency_key_missing"),
        ({"idempotency-key": "x" * 129}, 422, "invalid"),
        ({"content-type": "text/plain"}, 415, "unsupported_media_type"),
    ],
)
async def test_a_claim_needs_its_headers(
    client: httpx.AsyncClient, callers: Callers, change: dict[str, str], status: int, reason: str
) -> None:
    headers = {**callers.member, "idempotency-key": "k", "content-type": "application/json", **change}
    answer = await client.post(CLAIMS, content=b'{"password": "PASSWORD0"}', headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


async def test_refusals_of_a_claim_are_problem_documents_in_the_language_asked_for(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    answer = await client.post(
        CLAIMS,
        json={"password": "wrong"},
        headers={**callers.member, "idempotency-key": "k", "accept-language": "en"},
    )
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["reason"] == "wrong_password"
    assert problem["type"] == "/problems/wrong_password"
    assert problem["instance"] == f"urn:tearline:request:{answer.headers['x-request-id']}"
    unknown = await client.post(
        "/api/v1/campaigns/NOWHERE/claims",
        json={"password": "x"},
        headers={**callers.member, "idempotency-key": "k"},
    )
    assert unknown.json()["reason"] == "not_found"


async def test_guessing_passwords_is_throttled_also_in_parallel(
    client: httpx.AsyncClient, callers: Callers, app: Application
) -> None:
    allowed = app.settings.wrong_passwords_per_member
    answers = await asyncio.gather(
        *(_claim(client, callers.member, f"guess-{n}", f"wrong{n}") for n in range(4 * allowed))
    )
    reasons = [answer.json()["reason"] for answer in answers]
    assert reasons.count("wrong_password") == allowed
    assert reasons.count("too_many_attempts") == 3 * allowed
    locked_out = await _claim(client, callers.member, "right")
    assert locked_out.json()["reason"] == "too_many_attempts"
    assert int(locked_out.headers["retry-after"]) > 0
    assert (await _claim(client, callers.other_member, "right")).status_code == 201


async def test_right_passwords_do_not_count_as_guesses(app: Application, client: httpx.AsyncClient) -> None:
    callers = await make_callers(app, inventories=(100,))
    attempts = app.settings.wrong_passwords_per_member * 3
    answers = await asyncio.gather(*(_claim(client, callers.member, f"k{n}") for n in range(attempts)))
    assert {answer.status_code for answer in answers} == {201}


async def test_an_address_is_throttled_over_all_members(database_url: str) -> None:
    settings = settings_for(database_url, wrong_passwords_per_address=3)
    async with running(create_app(settings)) as app:
        callers = await make_callers(app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            for number in range(3):
                await _claim(client, callers.member, f"k{number}", "wrong")
            answer = await _claim(client, callers.other_member, "k", "PASSWORD0")
            assert answer.json()["reason"] == "too_many_attempts"


async def test_the_wallet_shows_what_was_claimed_and_a_till_redeems_it(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    claimed = (await _claim(client, callers.member, "one")).json()["coupons"]
    wallet = (await client.get("/api/v1/wallet", headers=callers.member)).json()
    assert {coupon["id"] for coupon in wallet["items"]} == {coupon["id"] for coupon in claimed}
    assert wallet["items"][0]["ticket"]["minimum_spend"] == {"amount": 30000, "currency": "HKD"}
    shown = (await client.get(f"/api/v1/wallet/coupons/{claimed[0]['id']}", headers=callers.member)).json()
    secret = base64.b64decode(shown["rotation"]["secret"])
    scanned = rotating.payload(claimed[0]["code"], secret, datetime.now(UTC))

    body = {"store_id": str(callers.world.store_id), "code": scanned, "request_number": "T1-0001"}
    prepared = await client.post("/api/v1/redemptions/prepare", json=body, headers=callers.till)
    assert (prepared.status_code, prepared.json()["state"]) == (201, "held")
    redeem = {"store_id": body["store_id"], "hold_id": prepared.json()["id"], "request_number": "T1-0002"}
    redeemed = await client.post("/api/v1/redemptions", json=redeem, headers=callers.till)
    assert (redeemed.status_code, redeemed.json()["state"]) == (201, "redeemed")
    replayed = await client.post("/api/v1/redemptions", json=redeem, headers=callers.till)
    assert (replayed.status_code, replayed.headers["idempotency-replayed"]) == (200, "true")
    used = (await client.get("/api/v1/wallet?folder=used", headers=callers.member)).json()
    assert [coupon["id"] for coupon in used["items"]] == [claimed[0]["id"]]

    redemption_id = redeemed.json()["id"]
    listed = (await client.get("/api/v1/redemptions", headers=callers.till)).json()["items"]
    assert [redemption["id"] for redemption in listed] == [redemption_id]
    path = f"/api/v1/redemptions/{redemption_id}/reversal"
    stranger = await client.post(path, json={"request_number": "X-1"}, headers=callers.other_till)
    assert stranger.json()["reason"] == "not_found"
    undone = await client.post(path, json={"request_number": "T1-0003"}, headers=callers.till)
    assert (undone.status_code, undone.json()["state"]) == (201, "open")
    twice = await client.post(path, json={"request_number": "T1-0004"}, headers=callers.till)
    assert twice.json()["reason"] == "already_reversed"


async def test_a_screenshot_and_another_merchants_coupon_are_refused(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    coupon = (await _claim(client, callers.member, "one")).json()["coupons"][0]
    shown = (await client.get(f"/api/v1/wallet/coupons/{coupon['id']}", headers=callers.member)).json()
    secret = base64.b64decode(shown["rotation"]["secret"])
    old = rotating.payload(coupon["code"], secret, datetime.now(UTC) - timedelta(minutes=3))
    body = {"store_id": str(callers.world.store_id), "code": old, "request_number": "1"}
    screenshot = await client.post("/api/v1/redemptions", json=body, headers=callers.till)
    assert screenshot.json()["reason"] == "screenshot"
    elsewhere = {"store_id": str(callers.other_store_id), "code": coupon["code"], "request_number": "2"}
    other = await client.post("/api/v1/redemptions", json=elsewhere, headers=callers.other_till)
    assert other.json()["reason"] == "other_merchant"
    for headers, reason in (
        (callers.operator, "not_allowed"),
        (callers.member, "not_allowed"),
        ({}, "not_signed_in"),
    ):
        answer = await client.post("/api/v1/redemptions", json=body, headers=headers)
        assert answer.json()["reason"] == reason


async def test_a_preparation_can_be_given_up(client: httpx.AsyncClient, callers: Callers) -> None:
    coupon = (await _claim(client, callers.member, "one")).json()["coupons"][0]
    store_id = str(callers.world.store_id)
    body = {"store_id": store_id, "code": coupon["code"], "request_number": "1"}
    prepared = (await client.post("/api/v1/redemptions/prepare", json=body, headers=callers.till)).json()
    release = {"store_id": store_id, "hold_id": prepared["id"], "request_number": "2"}
    released = await client.post("/api/v1/redemptions/release", json=release, headers=callers.till)
    assert (released.status_code, released.json()["state"]) == (201, "open")


async def test_a_token_that_was_signed_out_everywhere_opens_no_coupon(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    [coupon, *_] = (await _claim(client, callers.member, "k")).json()["coupons"]
    addresses = ("/api/v1/wallet", f"/api/v1/wallet/coupons/{coupon['id']}")
    database = app.litestar.state.services.database
    for change, status, reason in (
        ({"epoch": Member.epoch + 1}, 401, "session_ended"),
        ({"epoch": 1, "state": "blocked"}, 403, "member_blocked"),
    ):
        async with transaction(database) as tx:
            await tx.execute(update(Member).where(Member.id == callers.world.members[0]).values(**change))
        for address in addresses:
            answer = await client.get(address, headers=callers.member)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)


async def test_a_wallet_comes_in_pages(app: Application, client: httpx.AsyncClient) -> None:
    callers = await make_callers(app, bundle=(5,))
    await _claim(client, callers.member, "one")
    seen: list[str] = []
    address = "/api/v1/wallet?limit=2"
    while True:
        answer = (await client.get(address, headers=callers.member)).json()
        seen += [coupon["id"] for coupon in answer["items"]]
        if answer["next_cursor"] is None:
            break
        address = f"/api/v1/wallet?limit=2&cursor={answer['next_cursor']}"
    assert len(seen) == len(set(seen)) == 5
    assert (await client.get("/api/v1/wallet?cursor=rubbish", headers=callers.member)).status_code == 422


async def test_another_members_coupon_is_not_found(client: httpx.AsyncClient, callers: Callers) -> None:
    coupon = (await _claim(client, callers.member, "one")).json()["coupons"][0]
    answer = await client.get(f"/api/v1/wallet/coupons/{coupon['id']}", headers=callers.other_member)
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
