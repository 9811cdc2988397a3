"""The operator's side of the API: merchants, offers, campaigns, members, and repeats of writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from tearline.merchants.model import AuditEntry
from tearline.notices.model import Notice
from tearline.web.app import Application, create_app
from tests.callers import Callers, make_callers, running, settings_for
from tests.held_by_orders import hold_for_order, use_in_order

pytestmark = pytest.mark.anyio


def new_offer(callers: Callers, **changes: Any) -> dict[str, Any]:
    """The body of an offer that makes sense."""
    return {
        "code": "TEA-20",
        "issuer": "merchant",
        "merchant_id": str(callers.other_merchant_id),
        "names": {"en": "20% off tea", "zh-Hant": "茶飲八折"},
        "benefit": {"kind": "percent_off", "basis_points": 2000, "cap": 5000},
        "currency": "HKD",
        "minimum_spend": {"amount": 10000, "currency": "HKD"},
        "funding": {"platform_basis_points": 4000, "merchant_basis_points": 6000},
        "validity": {"period": {"kind": "days_after_claim", "days": 7}, "weekdays": [1, 2, 3, 4, 5]},
        "time_zone": "Asia/Hong_Kong",
        **changes,
    }


def new_campaign(**changes: Any) -> dict[str, Any]:
    """The body of a campaign that makes sense."""
    now = datetime.now(UTC)
    return {
        "code": "SPRING-1",
        "names": {"en": "Spring"},
        "time_zone": "Asia/Hong_Kong",
        "starts_at": (now - timedelta(hours=1)).isoformat(),
        "ends_at": (now + timedelta(days=9)).isoformat(),
        "audience": {"any_of": ["tag:foodie"]},
        **changes,
    }


async def test_from_an_offer_to_a_claim_with_nothing_but_the_api(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    operator = callers.operator
    offer = await client.post("/api/v1/offers", json=new_offer(callers), headers=operator)
    assert offer.status_code == 201, offer.text
    assert offer.json()["state"] == "draft"
    assert offer.json()["minimum_spend"] == {"amount": 10000, "currency": "HKD"}
    offer_id = offer.json()["id"]
    active = await client.post(f"/api/v1/offers/{offer_id}/activate", headers=operator)
    assert active.json()["state"] == "active"

    campaign = await client.post("/api/v1/campaigns", json=new_campaign(), headers=operator)
    assert campaign.status_code == 201, campaign.text
    path = "/api/v1/campaigns/SPRING-1"
    assert (await client.get(path)).status_code == 404
    prize = {
        "names": {"en": "Tea for all"},
        "password": "Jasmine",
        "inventory": 3,
        "bundle": [{"offer_id": offer_id, "quantity": 2}],
    }
    added = await client.post(f"{path}/prizes", json=prize, headers=operator)
    assert added.status_code == 201, added.text
    live = await client.post(f"{path}/live", headers=operator)
    assert live.json()["state"] == "live", live.text
    assert "jasmine" not in (await client.get(path)).text.lower()

    member_id = callers.world.members[0]
    claim = {"json": {"password": "ＪＡＳＭＩＮＥ "}, "headers": {**callers.member, "idempotency-key": "k"}}
    outsider = await client.post(f"{path}/claims", **claim)
    assert outsider.json()["reason"] == "not_in_audience"
    tagged = await client.patch(f"/api/v1/members/{member_id}", json={"tags": ["foodie"]}, headers=operator)
    assert tagged.json()["tags"] == ["foodie"], tagged.text
    assert (await client.post(f"{path}/claims", **claim)).status_code == 201

    prize_path = f"{path}/prizes/{added.json()['id']}"
    raised = await client.post(f"{prize_path}/inventory", json={"to": 10}, headers=operator)
    assert raised.json()["inventory"] == 10
    lowered = await client.post(f"{prize_path}/inventory", json={"to": 2}, headers=operator)
    assert lowered.json()["reason"] == "inventory_lowered"
    figures = (await client.get(f"{path}/figures", headers=operator)).json()
    assert (figures["claimed"], figures["left"]) == (1, 9)
    paused = await client.post(f"{path}/pause", headers=operator)
    assert paused.json()["state"] == "paused"
    listed = (await client.get("/api/v1/campaigns", headers=operator)).json()["items"]
    assert [(row["code"], row["claimed"]) for row in listed] == [("SPRING-1", 1), ("WINTER-1", 0)]


async def test_what_makes_no_sense_is_refused_by_field(client: httpx.AsyncClient, callers: Callers) -> None:
    for change, field in (
        ({"benefit": {"kind": "percent_off", "basis_points": 10001}}, "benefit.basis_points"),
        ({"benefit": {"kind": "percent_off"}}, "benefit.basis_points"),
        (
            {"benefit": {"kind": "percent_off", "basis_points": 2000, "pay_basis_points": 8000}},
            "benefit.basis_points",
        ),
        ({"benefit": {"kind": "percent_off", "pay_basis_points": 10000}}, "benefit.pay_basis_points"),
        ({"automatic": True}, "validity"),
        ({"automatic": 1}, "automatic"),
        ({"funding": {"platform_basis_points": 1, "merchant_basis_points": 2}}, "funding"),
        ({"minimum_spend": {"amount": 1, "currency": "THB"}}, "minimum_spend.currency"),
        ({"benefit": {"kind": "gold"}}, "benefit"),
        ({"names": {"en": 5}}, "names"),
        ({"colour": "red"}, "colour"),
    ):
        answer = await client.post(
            "/api/v1/offers", json=new_offer(callers, **change), headers=callers.operator
        )
        assert (answer.status_code, answer.json()["reason"]) == (422, "invalid"), answer.text
        assert any(name.startswith(field) for name in answer.json()["fields"]), (field, answer.json())


async def test_a_change_needs_the_version_that_was_seen(client: httpx.AsyncClient, callers: Callers) -> None:
    made = (await client.post("/api/v1/offers", json=new_offer(callers), headers=callers.operator)).json()
    path = f"/api/v1/offers/{made['id']}"
    change = {"version": made["version"], "names": {"en": "Tea"}, "image": None}
    changed = await client.patch(path, json=change, headers=callers.operator)
    assert changed.json()["names"] == {"en": "Tea"}
    assert changed.json()["benefit"] == made["benefit"]
    stale = await client.patch(path, json=change | {"names": {"en": "Coffee"}}, headers=callers.operator)
    assert (stale.status_code, stale.json()["reason"]) == (409, "changed_meanwhile")

    campaign = (await client.post("/api/v1/campaigns", json=new_campaign(), headers=callers.operator)).json()
    path = "/api/v1/campaigns/spring-1/definition"
    longer = {"version": campaign["version"], "limit_per_member": 3, "audience": {}}
    answer = (await client.patch(path, json=longer, headers=callers.operator)).json()
    assert (answer["limit_per_member"], answer["audience"]["any_of"]) == (3, [])


async def test_a_picture_that_is_not_there_is_refused(client: httpx.AsyncClient, callers: Callers) -> None:
    merchant = {"code": "dim-sum", "names": {"en": "Dim Sum"}, "kind": "dining"}
    for path, body in (
        ("/api/v1/offers", new_offer(callers)),
        ("/api/v1/campaigns", new_campaign()),
        ("/api/v1/merchants", merchant),
    ):
        for image in ("art/unicorn.svg", "art/tea", "https://example.org/tea.svg"):
            answer = await client.post(path, json=body | {"image": image}, headers=callers.operator)
            assert answer.status_code == 422, (path, image)
            assert list(answer.json()["fields"]) == ["image"]
        made = await client.post(path, json=body | {"image": "art/tea.svg"}, headers=callers.operator)
        assert (made.status_code, made.json()["image"]) == (201, "art/tea.svg"), made.text
    path = f"/api/v1/merchants/{made.json()['id']}"
    refused = await client.patch(path, json={"image": "art/unicorn.svg"}, headers=callers.operator)
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["image"])
    assert (await client.patch(path, json={"kind": "retail"}, headers=callers.operator)).status_code == 200


async def test_a_write_with_a_key_happens_once(
    client: httpx.AsyncClient, callers: Callers, app: Application
) -> None:
    body = {"code": "dim-sum", "names": {"en": "Dim Sum"}, "kind": "dining"}
    headers = {**callers.operator, "idempotency-key": "make-dim-sum"}
    first = await client.post("/api/v1/merchants", json=body, headers=headers)
    again = await client.post("/api/v1/merchants", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    other = await client.post("/api/v1/merchants", json=body | {"kind": "retail"}, headers=headers)
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused")
    without = await client.post("/api/v1/merchants", json=body, headers=callers.operator)
    assert (without.status_code, without.json()["reason"]) == (409, "already_taken")
    async with app.litestar.state.services.database.connection() as connection:
        acts = await connection.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == first.json()["id"])
        )
        assert acts.all() == ["merchant.created"]


async def test_stores_open_close_and_change(client: httpx.AsyncClient, callers: Callers) -> None:
    path = f"/api/v1/merchants/{callers.world.merchant_id}"
    made = await client.post(
        f"{path}/stores", json={"code": "star-ferry", "names": {"en": "Star Ferry"}}, headers=callers.operator
    )
    assert made.status_code == 201, made.text
    store = f"/api/v1/stores/{made.json()['id']}"
    changed = await client.patch(store, json={"district": "Tsim Sha Tsui"}, headers=callers.operator)
    assert changed.json()["district"] == "Tsim Sha Tsui"
    assert (await client.post(f"{store}/close", headers=callers.operator)).json()["state"] == "closed"
    assert (await client.post(f"{store}/reopen", headers=callers.operator)).json()["state"] == "active"
    assert len((await client.get(f"{path}/stores", headers=callers.till)).json()["items"]) == 2
    suspended = await client.post(f"{path}/suspend", headers=callers.operator)
    assert suspended.json()["state"] == "suspended"
    assert (await client.post(f"{path}/resume", headers=callers.operator)).json()["state"] == "active"


async def test_another_merchants_things_are_not_found_and_never_listed(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    world = callers.world
    for path in (
        f"/api/v1/merchants/{world.merchant_id}",
        f"/api/v1/merchants/{world.merchant_id}/stores",
        f"/api/v1/stores/{world.store_id}",
        f"/api/v1/offers/{world.offers[0]}",
        f"/api/v1/redemptions/{uuid4()}",
    ):
        answer = await client.get(path, headers=callers.other_till)
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found"), path
    for path in ("/api/v1/offers", "/api/v1/redemptions"):
        assert (await client.get(path, headers=callers.other_till)).json()["items"] == []
    seen = (await client.get("/api/v1/merchants", headers=callers.other_till)).json()["items"]
    assert [merchant["code"] for merchant in seen] == ["peak"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/merchants"),
        ("GET", "/api/v1/campaigns"),
        ("POST", "/api/v1/campaigns"),
        ("GET", "/api/v1/campaigns/WINTER-1/definition"),
        ("GET", "/api/v1/campaigns/WINTER-1/figures"),
        ("GET", "/api/v1/members"),
    ],
)
async def test_a_merchants_key_may_not_do_the_operators_work(
    client: httpx.AsyncClient, callers: Callers, method: str, path: str
) -> None:
    bodies: dict[str, Any] = {
        "/api/v1/merchants": {"code": "x-y", "names": {"en": "X"}, "kind": "retail"},
        "/api/v1/campaigns": new_campaign(),
    }
    body = bodies.get(path) if method == "POST" else None
    answer = await client.request(method, path, json=body, headers=callers.till)
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_allowed")
    for headers, reason in ((callers.member, "not_allowed"), ({}, "not_signed_in")):
        assert (await client.request(method, path, json=body, headers=headers)).json()["reason"] == reason
    unknown = {"authorization": "Bearer tl_" + "a" * 43}
    answer = await client.request(method, path, json=body, headers=unknown)
    assert (answer.status_code, answer.json()["reason"]) == (401, "wrong_key")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_lists_come_in_pages_newest_first(client: httpx.AsyncClient, callers: Callers) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/v1/members", params=query, headers=callers.operator)).json()
        seen += [member["id"] for member in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [str(member_id) for member_id in reversed(callers.world.members)]
    one = await client.get("/api/v1/members", params={"phone": "+85260000001"}, headers=callers.operator)
    assert [member["phone"] for member in one.json()["items"]] == ["+85260000001"]


async def test_a_blocked_member_claims_nothing(client: httpx.AsyncClient, callers: Callers) -> None:
    path = f"/api/v1/members/{callers.world.members[0]}"
    assert (await client.post(f"{path}/block", headers=callers.operator)).json()["state"] == "blocked"
    claim = await client.post(
        "/api/v1/campaigns/WINTER-1/claims",
        json={"password": "PASSWORD0"},
        headers={**callers.member, "idempotency-key": "k"},
    )
    assert claim.json()["reason"] in ("member_blocked", "session_ended")
    assert (await client.post(f"{path}/unblock", headers=callers.operator)).json()["state"] == "active"


async def test_a_keys_requests_are_limited_and_say_so(database_url: str) -> None:
    settings = settings_for(database_url, api_requests_per_minute=3)
    async with running(create_app(settings)) as app:
        callers = await make_callers(app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            first = await client.get("/api/v1/merchants", headers=callers.operator)
            assert first.headers["ratelimit-policy"] == '"api";q=3;w=60'
            assert first.headers["ratelimit"].startswith('"api";r=2;t=')
            for _ in range(2):
                await client.get("/api/v1/merchants", headers=callers.operator)
            refused = await client.get("/api/v1/merchants", headers=callers.operator)
            assert refused.status_code == 429
            assert refused.json()["retry_after_seconds"] == int(refused.headers["retry-after"])
            assert (await client.get("/api/v1/merchants", headers=callers.till)).status_code == 200


async def test_signing_in_by_phone(client: httpx.AsyncClient, app: Application) -> None:
    asked = await client.post("/api/v1/sign-in/codes", json={"phone": "+852 5123 4567", "channel": "sms"})
    assert asked.status_code == 202, asked.text
    assert asked.json()["phone"] == "+85251234567"
    soon = await client.post("/api/v1/sign-in/codes", json={"phone": "51234567", "channel": "voice"})
    assert soon.json()["reason"] == "resend_too_soon"
    assert int(soon.headers["retry-after"]) == soon.json()["seconds"]
    async with app.litestar.state.services.database.connection() as connection:
        values = await connection.scalar(select(Notice.values))
    wrong_code = "000000" if values["code"] != "000000" else "000001"
    sign_in_id = asked.json()["sign_in_id"]
    wrong = await client.post("/api/v1/sign-in/tokens", json={"sign_in_id": sign_in_id, "code": wrong_code})
    assert (wrong.json()["reason"], wrong.json()["tries_left"]) == ("wrong_code", 4)
    assert "%" not in wrong.json()["detail"]
    right = await client.post(
        "/api/v1/sign-in/tokens", json={"sign_in_id": sign_in_id, "code": values["code"]}
    )
    assert right.status_code == 201, right.text
    assert right.json()["is_new_member"] is True
    headers = {"authorization": f"Bearer {right.json()['token']}"}
    assert (await client.get("/api/v1/wallet", headers=headers)).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("said", [{"basis_points": 2000}, {"pay_basis_points": 8000}])
async def test_a_percentage_is_said_in_either_convention_and_answered_in_both(
    client: httpx.AsyncClient, callers: Callers, said: dict[str, int]
) -> None:
    body = new_offer(callers, benefit={"kind": "percent_off", "cap": 5000, **said})
    made = await client.post("/api/v1/offers", json=body, headers=callers.operator)
    assert made.status_code == 201, made.text
    both = {"kind": "percent_off", "basis_points": 2000, "pay_basis_points": 8000, "cap": 5000}
    assert made.json()["benefit"] == both
    path = f"/api/v1/offers/{made.json()['id']}"
    assert (await client.get(path, headers=callers.operator)).json()["benefit"] == both
    change = {"version": 1, "benefit": {"kind": "percent_off", "pay_basis_points": 8800}}
    changed = await client.patch(path, json=change, headers=callers.operator)
    assert changed.json()["benefit"]["basis_points"] == 1200
    listed = await client.get("/api/v1/offers", headers=callers.operator)
    assert listed.json()["items"][0]["benefit"]["pay_basis_points"] == 8800


async def test_a_promotion_that_applies_by_itself(client: httpx.AsyncClient, callers: Callers) -> None:
    window = {"kind": "fixed", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2036-01-01T00:00:00Z"}
    body = new_offer(callers, validity={"period": window}, automatic=True)
    made = await client.post("/api/v1/offers", json=body, headers=callers.operator)
    assert made.status_code == 201, made.text
    assert made.json()["automatic"] is True
    assert made.json()["redeem_by"] == ["cashier", "till", "checkout"]
    path = f"/api/v1/offers/{made.json()['id']}"
    changed = await client.patch(path, json={"version": 1, "automatic": False}, headers=callers.operator)
    assert changed.json()["automatic"] is False
    in_a_prize = f"/api/v1/offers/{callers.world.offers[0]}"
    change = {"version": 1, "automatic": True}
    refused = await client.patch(in_a_prize, json=change, headers=callers.operator)
    assert (refused.json()["reason"], set(refused.json()["fields"])) == ("not_editable", {"automatic"})


async def test_what_an_online_order_used_has_no_store(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    services, world = app.litestar.state.services, callers.world
    answer = await services.claim_desk.claim(world.campaign_code, world.members[0], 1, "PASSWORD0", "k")
    held, used = answer.coupons
    _hold, kept_for = await hold_for_order(services.database, world.members[0], held.id)
    redemption_id, order_id = await use_in_order(
        services.database, world.members[0], used.id, offer_id=used.offer_id, merchant_id=world.merchant_id
    )
    listed = (await client.get("/api/v1/redemptions", headers=callers.till)).json()["items"]
    one = (await client.get(f"/api/v1/redemptions/{redemption_id}", headers=callers.operator)).json()
    assert listed == [one]
    assert {name: one[name] for name in ("way", "verified", "order_id", "store_id", "store_names")} == {
        "way": "checkout", "verified": "order", "order_id": str(order_id), "store_id": None,
        "store_names": None,
    }  # fmt: skip
    undo = {"request_number": "till/1"}
    path = f"/api/v1/redemptions/{redemption_id}/reversal"
    assert (await client.post(path, json=undo, headers=callers.till)).json()["reason"] == "not_found"
    wallet = (await client.get("/api/v1/wallet?folder=held", headers=callers.member)).json()["items"]
    assert [(row["id"], row["held_for_order_id"]) for row in wallet] == [(str(held.id), str(kept_for))]
