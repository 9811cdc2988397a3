"""Waiting rooms through the API: their whole life, refusals, repeats, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from tearline.core.draw import commitment
from tearline.db import transaction
from tearline.merchants.keys import create_key
from tearline.merchants.model import AuditEntry
from tearline.web.app import Application
from tests.callers import Callers, bearer
from tests.web.browsing import COMMAND

pytestmark = pytest.mark.anyio

ROOMS = "/api/v1/rooms"
ROOM = f"{ROOMS}/RUSH-1"


def new_room(**changes: Any) -> dict[str, Any]:
    """The body of a room that makes sense."""
    return {
        "code": "rush-1",
        "names": {"en": "The rush", "th": "ช่วงเร่งด่วน"},
        "time_zone": "Asia/Hong_Kong",
        "max_active": 200,
        "sites": ["https://Shop.example/"],
        "pages": ["/wallet", "/"],
        **changes,
    }


async def _acts(app: Application) -> list[str]:
    async with app.litestar.state.services.database.connection() as connection:
        return list(
            await connection.scalars(
                select(AuditEntry.action).where(AuditEntry.subject_kind == "room").order_by(AuditEntry.id)
            )
        )


async def test_a_room_lives_from_closed_to_ended(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    operator = callers.operator
    guarded = [str(callers.world.campaign_id)]
    made = await client.post(ROOMS, json=new_room(campaign_ids=guarded), headers=operator)
    assert made.status_code == 201, made.text
    room = made.json()
    assert (room["code"], room["state"], room["campaign_ids"]) == ("RUSH-1", "closed", guarded)
    assert (room["sites"], room["pages"]) == (["https://shop.example"], ["/", "/wallet"])
    assert room["follows"] == ["gathering", "open", "queueing"]
    assert room["address"].endswith("/gate/RUSH-1")

    async def move(state: str) -> httpx.Response:
        return await client.post(f"{ROOM}/state", json={"state": state}, headers=operator)

    async def board() -> Any:
        return (await client.get(f"{ROOM}/board", headers=operator)).json()

    assert (await board())["commitment"] is None
    assert (await move("gathering")).json()["round"] == 1
    before = await board()
    assert before["seed"] is None and before["commitment"] is not None
    assert (await client.post(f"{ROOM}/pause", headers=operator)).json()["reason"] == "not_editable"
    assert (await move("queueing")).json()["state"] == "queueing"
    after = await board()
    assert after["commitment"] == before["commitment"] == commitment(bytes.fromhex(after["seed"]))

    assert (await client.post(f"{ROOM}/pause", headers=operator)).json()["is_paused"] is True
    assert (await client.post(f"{ROOM}/resume", headers=operator)).json()["is_paused"] is False
    dial = await client.post(f"{ROOM}/dial", json={"max_active": 350, "per_minute": 60}, headers=operator)
    assert (dial.json()["max_active"], dial.json()["per_minute"]) == (350, 60)
    told = await client.post(f"{ROOM}/message", json={"messages": {"en": "Soon."}}, headers=operator)
    assert told.json()["messages"] == {"en": "Soon."}
    assert (await move("closed")).json()["reason"] == "not_editable"
    assert (await move("ended")).json()["follows"] == ["closed", "gathering", "open", "queueing"]

    listed = (await client.get(ROOMS, headers=operator)).json()
    assert [row["code"] for row in listed["items"]] == ["RUSH-1"]
    assert await _acts(app) == [
        "room.created", "room.moved", "room.moved", "room.paused", "room.resumed", "room.dial_turned",
        "room.told", "room.moved",
    ]  # fmt: skip


async def test_a_change_says_what_it_saw_and_leaves_the_rest(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    operator = callers.operator
    version = (await client.post(ROOMS, json=new_room(), headers=operator)).json()["version"]
    starts_at = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    changed = await client.patch(
        ROOM, json={"version": version, "session_seconds": 600, "starts_at": starts_at}, headers=operator
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["session_seconds"], changed.json()["names"]["th"]) == (600, "ช่วงเร่งด่วน")
    stale = await client.patch(ROOM, json={"version": version, "grace_seconds": 60}, headers=operator)
    assert (stale.status_code, stale.json()["reason"]) == (409, "changed_meanwhile")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"names": {"th": "ไม่มีภาษาอังกฤษ"}}, "names.en"),
        ({"session_seconds": 5}, "session_seconds"),
        ({"sites": ["https://shop.example/path"]}, "sites"),
        ({"pages": ["/api/v1"]}, "pages"),
        ({"gathers_at": "2030-01-01T00:00:00Z"}, "starts_at"),
        ({"campaign_ids": [str(uuid4())]}, "campaign_ids"),
        ({"max_active": -1}, "max_active"),
    ],
)
async def test_nonsense_is_refused_with_its_field(
    client: httpx.AsyncClient, callers: Callers, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post(ROOMS, json=new_room(**changes), headers=callers.operator)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid"), answer.text
    assert list(answer.json()["fields"]) == [field]


async def test_two_rooms_do_not_share_a_code_or_a_campaign(
    client: httpx.AsyncClient, callers: Callers
) -> None:
    guarded = [str(callers.world.campaign_id)]
    await client.post(ROOMS, json=new_room(campaign_ids=guarded), headers=callers.operator)
    for changes, field in (({}, "code"), ({"code": "RUSH-2", "campaign_ids": guarded}, "campaign_ids")):
        answer = await client.post(ROOMS, json=new_room(**changes), headers=callers.operator)
        assert answer.json()["reason"] == "already_taken"
        assert list(answer.json()["fields"]) == [field]


async def test_a_repeat_does_nothing_twice(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    keyed = {**callers.operator, "idempotency-key": "one"}
    first = await client.post(ROOMS, json=new_room(), headers=keyed)
    again = await client.post(ROOMS, json=new_room(), headers=keyed)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == first.json()
    assert await _acts(app) == ["room.created"]


async def test_links_past_the_line_are_made_listed_and_withdrawn(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    operator = callers.operator
    await client.post(ROOMS, json=new_room(), headers=operator)
    body = {
        "name": "Stage crew",
        "uses": 3,
        "expires_at": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
    }
    made = await client.post(f"{ROOM}/bypasses", json=body, headers=operator)
    assert made.status_code == 201, made.text
    address = made.json().pop("address")
    assert "/gate/RUSH-1/bypass/" in address
    listed = (await client.get(f"{ROOM}/bypasses", headers=operator)).json()
    assert [row["name"] for row in listed["items"]] == ["Stage crew"]
    assert address.rsplit("/", 1)[1] not in str(listed)
    too_long = {**body, "expires_at": (datetime.now(UTC) + timedelta(days=200)).isoformat()}
    refused = await client.post(f"{ROOM}/bypasses", json=too_long, headers=operator)
    assert list(refused.json()["fields"]) == ["expires_at"]
    path = f"{ROOM}/bypasses/{made.json()['id']}"
    assert (await client.delete(path, headers=operator)).status_code == 200
    assert (await client.delete(path, headers=operator)).status_code == 404
    assert (await client.get(f"{ROOM}/bypasses", headers=operator)).json()["items"] == []
    assert await _acts(app) == ["room.created", "room.bypass_created", "room.bypass_withdrawn"]


async def test_only_those_who_may(app: Application, client: httpx.AsyncClient, callers: Callers) -> None:
    room_id = UUID((await client.post(ROOMS, json=new_room(), headers=callers.operator)).json()["id"])
    services = app.litestar.state.services
    async with transaction(services.database) as tx:
        key = await create_key(
            tx,
            COMMAND,
            name="screen in the hall",
            scopes={"rooms.read"},
            merchant_id=None,
            now=services.now(),
        )
    reader = bearer(key.key)
    for path in (ROOMS, ROOM, f"{ROOM}/board", f"{ROOM}/bypasses"):
        assert (await client.get(path, headers=reader)).status_code == 200
        assert (await client.get(path, headers=callers.till)).status_code == 403
        assert (await client.get(path)).status_code == 401
    writes: list[tuple[str, str, Any]] = [
        ("POST", ROOMS, new_room(code="OTHER")),
        ("PATCH", ROOM, {"version": 1}),
        ("POST", f"{ROOM}/state", {"state": "open"}),
        ("POST", f"{ROOM}/pause", None),
        ("POST", f"{ROOM}/resume", None),
        ("POST", f"{ROOM}/dial", {"max_active": 1, "per_minute": None}),
        ("POST", f"{ROOM}/message", {"messages": {}}),
        ("POST", f"{ROOM}/bypasses", {"name": "x", "expires_at": "2030-01-01T00:00:00Z"}),
        ("DELETE", f"{ROOM}/bypasses/{room_id}", None),
    ]
    for method, path, body in writes:
        for headers in (reader, callers.till, callers.member):
            answer = await client.request(method, path, json=body, headers=headers)
            assert answer.status_code == 403, (method, path, answer.text)
    assert (await client.get(f"{ROOMS}/NOWHERE", headers=reader)).status_code == 404
