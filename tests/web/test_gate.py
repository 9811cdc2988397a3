"""The gate over HTTP: polls, joins, exchanges, departures, and claims that need a pass."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import altcha
import httpx
import pytest

from tearline.core import draw
from tearline.web.app import Application
from tearline.web.gate.hot import address_range
from tests.callers import Callers, bearer
from tests.rooms import CODE, Hall, make_room
from tests.sale_worlds import make_sale

pytestmark = pytest.mark.anyio
GATE = f"/gate/{CODE}"
CLAIMS = "/api/v1/campaigns/WINTER-1/claims"


class Door:
    """A room of the application, moved on without waiting for its clock."""

    def __init__(self, app: Application, room_id: UUID) -> None:
        self.services = app.litestar.state.services
        self.room_id = room_id
        self.hall = Hall(self.services.database, room_id, now=datetime.now(UTC))

    async def move(self, state: str) -> None:
        self.hall.now = datetime.now(UTC)
        await self.hall.move(state)
        await self.tick()

    async def tick(self) -> None:
        self.hall.now = datetime.now(UTC)
        await self.hall.tick()
        await self.services.room_watch.refresh(datetime.now(UTC))


async def door_of(app: Application, state: str = "queueing", **changes: Any) -> Door:
    room_id = await make_room(app.litestar.state.services.database, datetime.now(UTC), state, **changes)
    door = Door(app, room_id)
    await door.tick()
    return door


@pytest.fixture
async def browser(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that keeps cookies, as browsers do."""
    client.headers["content-type"] = "application/json"
    return client


async def post(client: httpx.AsyncClient, path: str, body: str = "{}", **headers: str) -> httpx.Response:
    return await client.post(GATE + path, content=body, headers=headers)


async def test_from_gathering_to_inside_and_out(app: Application, browser: httpx.AsyncClient) -> None:
    door = await door_of(app, "gathering", max_active=1)
    joined = await post(browser, "/joins")
    assert joined.status_code == 200
    assert (joined.json()["number"], joined.json()["place"]) == (0, None)
    assert (await post(browser, "/joins")).json() == joined.json(), "a second tab keeps the place"
    assert (await browser.get(GATE + "/ticket")).json()["status"] == "gathering"
    refused = await post(browser, "/passes")
    assert (refused.status_code, refused.json()["reason"]) == (409, "not_called")
    await door.move("queueing")
    assert (await browser.get(GATE + "/ticket")).json() == {
        "round": 1, "number": 0, "place": 0, "status": "called",
    }  # fmt: skip
    inside = await post(browser, "/passes")
    assert inside.status_code == 200
    assert inside.json()["member"] is False
    assert (await post(browser, "/passes")).json() == inside.json()
    left = await post(browser, "/departures")
    assert (left.status_code, left.content) == (204, b"")
    assert f"tearline_pass_{CODE}" not in browser.cookies
    await door.tick()
    assert (await door.hall.state()).inside == 0


async def test_a_reload_in_the_first_second_keeps_the_ticket(
    app: Application, browser: httpx.AsyncClient
) -> None:
    door = await door_of(app, "closed")
    # The process does not know yet that the room is open.
    await door.hall.move("gathering")
    joined = await post(browser, "/joins")
    assert (joined.status_code, joined.json()["round"]) == (200, 1)
    assert (await post(browser, "/joins")).json() == joined.json()
    assert (await door.hall.state()).joined == 1
    # Nor is a ticket of a round that the process is about to learn of told to be worth nothing.
    assert (await browser.get(GATE + "/ticket")).json()["status"] == "gathering"
    await door.move("ended")
    assert (await browser.get(GATE + "/ticket")).json()["status"] == "room_ended"
    await door.move("gathering")
    assert (await browser.get(GATE + "/ticket")).json()["status"] == "wrong_round"


async def test_polls_are_public_small_and_not_repeated(app: Application, client: httpx.AsyncClient) -> None:
    door = await door_of(app, names={"en": "Hall"})
    first = await client.get(GATE + "/room.json")
    assert first.status_code == 200
    assert first.headers["cache-control"].startswith("public, max-age=1")
    assert "set-cookie" not in first.headers
    assert len(first.content) < 1500
    again = await client.get(GATE + "/room.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await door.tick()
    later = await client.get(GATE + "/room.json", headers={"if-none-match": first.headers["etag"]})
    assert later.status_code == 200
    assert later.headers["etag"] != first.headers["etag"]
    assert (await client.get("/gate/NOWHERE/room.json")).status_code == 404


async def test_every_process_makes_the_same_document(app: Application, client: httpx.AsyncClient) -> None:
    from tearline.waitingroom.watch import RoomWatch

    door = await door_of(app)
    other = RoomWatch(door.services.database)
    await other.refresh(datetime.now(UTC))
    await door.services.room_watch.refresh(datetime.now(UTC))
    assert other.room(CODE).etag == door.services.room_watch.room(CODE).etag


async def test_anyone_can_check_a_place(app: Application, client: httpx.AsyncClient) -> None:
    door = await door_of(app, "gathering", max_active=0)
    tickets = [(await post(client, "/joins", **bearer("none"))).json()["ticket"] for _ in range(9)]
    await door.move("queueing")
    document = (await client.get(GATE + "/room.json")).json()
    seed = bytes.fromhex(document["draw"]["seed"])
    assert hashlib.sha256(seed).hexdigest() == document["draw"]["commitment"]
    for number, ticket in enumerate(tickets):
        client.cookies.clear()
        answer = (await client.get(GATE + "/ticket", headers=bearer(ticket))).json()
        assert answer["place"] == draw.place(seed, number, document["gathered"])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda ticket: ticket[:-4] + "AAAA", id="altered"),
        pytest.param(lambda ticket: "", id="none"),
        pytest.param(lambda ticket: "t1.x.y.z", id="garbage"),
        pytest.param(lambda ticket: ticket.replace("t1.", "p1."), id="another kind"),
        pytest.param(lambda ticket: "\u00e9" * 80, id="not ASCII"),
    ],
)
async def test_what_is_no_ticket_is_refused(app: Application, client: httpx.AsyncClient, spoil: Any) -> None:
    await door_of(app)
    ticket = (await post(client, "/joins")).json()["ticket"]
    client.cookies.clear()
    authorization = ("Bearer " + spoil(ticket)).encode("latin-1")
    answer = await client.post(
        GATE + "/passes",
        content='{"exchange_key": "k"}',
        headers={b"authorization": authorization, b"content-type": b"application/json"},
    )
    assert (answer.status_code, answer.json()["reason"]) == (422, "wrong_ticket")


async def test_another_rooms_ticket_is_refused(app: Application, client: httpx.AsyncClient) -> None:
    await door_of(app)
    await door_of(app, code="HALL-2")
    ticket = (await client.post("/gate/HALL-2/joins", json={})).json()["ticket"]
    client.cookies.clear()
    answer = await post(client, "/passes", '{"exchange_key": "k"}', **bearer(ticket))
    assert answer.json()["reason"] == "wrong_ticket"


async def test_a_ticket_exchanged_64_times_at_once_gives_one_pass(
    app: Application, client: httpx.AsyncClient
) -> None:
    door = await door_of(app)
    ticket = (await post(client, "/joins")).json()["ticket"]
    client.cookies.clear()
    await door.tick()
    answers = await asyncio.gather(
        *(
            post(client, "/passes", f'{{"exchange_key": "{number % 4}"}}', **bearer(ticket))
            for number in range(64)
        )
    )
    passes = {answer.json()["pass"] for answer in answers if answer.status_code == 200}
    assert len(passes) == 1
    assert sum(answer.status_code == 200 for answer in answers) == 16
    assert {answer.json()["reason"] for answer in answers if answer.status_code != 200} == {"ticket_used"}
    assert (await door.hall.state()).inside == 1


async def test_a_guarded_campaign_needs_a_pass(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    door = await door_of(app, campaign_ids=[callers.world.campaign_id])
    refused = await claim(client, callers.member, "k1", None)
    assert (refused.status_code, refused.json()["reason"]) == (403, "pass_required")
    assert (await claim(client, callers.member, "k1", "p1.forged")).json()["reason"] == "pass_required"
    token = await pass_of(client, door, callers.member)
    assert (await claim(client, callers.member, "k1", token)).status_code == 201
    assert (await claim(client, callers.other_member, "k2", token)).json()["reason"] == "pass_taken"
    await post(client, "/departures", **bearer(token))
    await door.tick()
    assert (await claim(client, callers.member, "k3", token)).json()["reason"] == "pass_ended"
    repeated = await claim(client, callers.member, "k1", token)
    assert repeated.status_code == 200, "whoever lost the answer gets it, even when the pass has ended"


async def test_a_pass_that_is_nobodys_becomes_the_first_members(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    door = await door_of(app, campaign_ids=[callers.world.campaign_id])
    token = await pass_of(client, door, None)
    assert (await claim(client, callers.member, "k1", token)).status_code == 201
    assert (await claim(client, callers.other_member, "k2", token)).json()["reason"] == "pass_taken"


async def test_a_new_round_ends_the_passes_of_the_last(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    door = await door_of(app, campaign_ids=[callers.world.campaign_id])
    token = await pass_of(client, door, callers.member)
    await door.move("ended")
    assert (await claim(client, callers.member, "k1", token)).status_code == 201, (
        "who is inside keeps the time"
    )
    await door.move("gathering")
    assert (await claim(client, callers.member, "k2", token)).json()["reason"] == "pass_ended"


async def test_a_claim_may_end_the_session(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    door = await door_of(app, campaign_ids=[callers.world.campaign_id], claim_ends_session=True)
    token = await pass_of(client, door, callers.member)
    assert (await claim(client, callers.member, "k1", token)).status_code == 201
    assert (await door.hall.state()).inside == 0
    await door.tick()
    assert (await claim(client, callers.member, "k2", token)).json()["reason"] == "pass_ended"


async def test_an_order_may_end_the_session_as_well(
    app: Application, client: httpx.AsyncClient, callers: Callers
) -> None:
    sale = await make_sale(app.litestar.state.services.database, members=0)
    door = await door_of(app, campaign_ids=[sale.campaign_id], claim_ends_session=True)
    token = await pass_of(client, door, callers.member)

    async def order(key: str) -> httpx.Response:
        headers = {**callers.member, "idempotency-key": key, "tearline-pass": token}
        body = {"item_id": str(sale.items[0]), "quantity": 1}
        return await client.post(f"/api/v1/campaigns/{sale.code}/orders", json=body, headers=headers)

    first = await order("k1")
    assert first.status_code == 201, first.text
    assert (await door.hall.state()).inside == 0
    await door.tick()
    assert (await order("k2")).json()["reason"] == "pass_ended"
    repeated = await order("k1")
    assert (repeated.status_code, repeated.json()["id"]) == (200, first.json()["id"])


async def test_joining_may_ask_for_a_proof_of_work(app: Application, client: httpx.AsyncClient) -> None:
    await door_of(app, proof_of_work=True)
    assert (await post(client, "/joins")).json()["reason"] == "wrong_proof"
    challenge = altcha.Challenge.from_dict((await client.get(GATE + "/challenge")).json())
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    proof = altcha.Payload(challenge, solution).to_base64()
    assert (await post(client, "/joins", f'{{"proof": "{proof}"}}')).status_code == 200
    client.cookies.clear()
    assert (await post(client, "/joins", f'{{"proof": "{proof}"}}')).json()["reason"] == "wrong_proof"
    challenge.parameters.cost = 1
    forged = altcha.Payload(challenge, solution).to_base64()
    for proof in (forged, base64.b64encode(b"{}").decode(), "%%%", "x" * 5000):
        assert (await post(client, "/joins", f'{{"proof": "{proof}"}}')).json()["reason"] == "wrong_proof"


async def test_joins_are_limited_by_address_range(app: Application, client: httpx.AsyncClient) -> None:
    await door_of(app, joins_per_network=3)
    answers = []
    for _ in range(5):
        client.cookies.clear()
        answers.append((await post(client, "/joins")).status_code)
    assert answers == [200, 200, 200, 429, 429]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2ff::9", "2001:db8:1:200::/56"),
        ("unknown", "unknown"),
    ],
)
def test_address_ranges(address: str, network: str) -> None:
    assert address_range(address) == network


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/joins", "not json", 400),
        ("/joins", "[]", 422),
        ("/joins", '{"unknown": 1}', 422),
        ("/joins", "x" * 9000, 413),
        ("/passes", '{"exchange_key": 5}', 422),
        ("/departures", "{}", 403),
    ],
)
async def test_garbage_is_refused(
    app: Application, client: httpx.AsyncClient, path: str, body: str, status: int
) -> None:
    await door_of(app)
    answer = await post(client, path, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_form_of_another_site_can_do_nothing(app: Application, client: httpx.AsyncClient) -> None:
    await door_of(app)
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await client.post(GATE + "/joins", content="{}", headers={"content-type": kind})
        assert answer.status_code == 415


async def test_a_closed_room_says_so(app: Application, client: httpx.AsyncClient) -> None:
    door = await door_of(app, "closed")
    assert (await post(client, "/joins")).json()["reason"] == "room_closed"
    await door.move("open")
    assert (await post(client, "/joins")).status_code == 200
    await door.move("ended")
    client.cookies.clear()
    assert (await post(client, "/joins")).json()["reason"] == "room_ended"


async def claim(
    client: httpx.AsyncClient, member: dict[str, str], key: str, token: str | None
) -> httpx.Response:
    headers = {**member, "idempotency-key": key, **({"tearline-pass": token} if token else {})}
    return await client.post(CLAIMS, json={"password": "password0"}, headers=headers)


async def pass_of(client: httpx.AsyncClient, door: Door, member: dict[str, str] | None) -> str:
    client.cookies.clear()
    ticket = (await post(client, "/joins")).json()["ticket"]
    await door.tick()
    # A tick that follows at once has no time to go by.
    for _ in range(30):
        headers = {**bearer(ticket), **({"tearline-member": member["authorization"]} if member else {})}
        answer = await post(client, "/passes", '{"exchange_key": "app"}', **headers)
        if answer.status_code == 200:
            client.cookies.clear()
            return str(answer.json()["pass"])
        await asyncio.sleep(timedelta(milliseconds=100).total_seconds())
    raise AssertionError(answer.text)
