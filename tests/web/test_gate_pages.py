"""The waiting page and a guarded campaign over HTTP, as browsers without scripts see them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from tearline.core.refusal import Refusal
from tearline.core.rooms import NEVER_GUARDED
from tearline.db import transaction
from tearline.waitingroom import actions
from tearline.waitingroom.model import RoomEntry, RoomState
from tearline.web.app import Application
from tests.rooms import ACTOR, CODE, Hall, make_room
from tests.web.shop_support import CAMPAIGN, hidden_fields, says, services_of, sign_in, world_of
from tests.worlds import World

pytestmark = pytest.mark.anyio

GATE = f"/gate/{CODE}"
PASS = f"tearline_pass_{CODE}"
TICKET = f"tearline_ticket_{CODE}"


class Room:
    """A room that guards the world's campaign, moved on without waiting for its clock."""

    def __init__(self, app: Application, room_id: UUID, world: World) -> None:
        self.app, self.id, self.world = app, room_id, world
        self.services = services_of(app)
        self.hall = Hall(self.services.database, room_id, now=datetime.now(UTC))

    async def tick(self) -> None:
        self.hall.now = datetime.now(UTC)
        await self.hall.tick()
        await self.look()

    async def look(self) -> None:
        await self.services.room_watch.refresh(datetime.now(UTC))

    async def move(self, state: str) -> None:
        self.hall.now = datetime.now(UTC)
        await self.hall.move(state)
        await self.tick()

    async def set(self, **values: Any) -> None:
        async with transaction(self.services.database) as tx:
            await tx.execute(update(RoomState).where(RoomState.room_id == self.id).values(**values))
        await self.look()

    async def dial(self, max_active: int) -> None:
        async with transaction(self.services.database) as tx:
            await actions.turn_dial(
                tx, ACTOR, self.id, max_active=max_active, per_minute=None, now=datetime.now(UTC)
            )
        await self.tick()


async def room_of(app: Application, state: str = "queueing", **changes: Any) -> Room:
    world = await world_of(app)
    database = services_of(app).database
    now = datetime.now(UTC)
    room_id = await make_room(database, now, state, **{"campaign_ids": (world.campaign_id,), **changes})
    room = Room(app, room_id, world)
    await room.tick()
    return room


@asynccontextmanager
async def another(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of somebody else."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def press(client: httpx.AsyncClient, step: str, page: str = GATE) -> httpx.Response:
    """Load the waiting page and press its button of this step."""
    loaded = await client.get(page)
    for action, body in re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', loaded.text, re.S):
        fields = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', body))
        if fields.get("step") == step:
            return await client.post(unescape(action), data=fields)
    raise AssertionError(f"no button for {step}")


def state_of(page: str) -> str:
    found = re.search(r'data-state="(\w+)"', page)
    assert found is not None, page
    return found.group(1)


def place_of(page: str) -> str:
    found = re.search(r"<span data-place>([^<]*)</span>", page)
    assert found is not None, page
    return found.group(1)


async def test_whole_way_without_scripts(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, "gathering", max_active=1)
    first = await client.get(CAMPAIGN)
    assert (first.status_code, first.headers["location"]) == (303, f"{GATE}?return={CAMPAIGN}")
    page = await client.get(first.headers["location"])
    assert state_of(page.text) == "joining"
    assert says(page.text, "Winter hall") and says(page.text, "Winter in the City")
    assert re.search(r'<noscript><meta http-equiv="refresh" content="\d+;url=/gate/HALL-1">', page.text)
    joined = await press(client, "join")
    assert (joined.status_code, joined.headers["location"]) == (303, GATE)
    page = await client.get(GATE)
    assert state_of(page.text) == "gathering"
    assert says(page.text, "Arrival no. 1") and says(page.text, "1 person is here so far")
    again = await press(client, "join")
    assert again.status_code == 303
    assert (await room.hall.state()).joined == 1, "whoever has a number keeps it"
    async with another(app) as second:
        await press(second, "join")
        await room.look()
        await room.move("queueing")
        states = [state_of((await one.get(GATE)).text) for one in (client, second)]
        assert sorted(states) == ["called", "waiting"]
        winner, loser = (client, second) if states[0] == "called" else (second, client)
        waiting = (await loser.get(GATE)).text
        assert place_of(waiting) == "2" and says(waiting, "You are next.")
        sign_in(app, winner, room.world.members[0])
        inside = await press(winner, "enter")
        assert (inside.status_code, inside.headers["location"]) == (303, CAMPAIGN)
        campaign = await winner.get(CAMPAIGN)
        assert campaign.status_code == 200
        assert says(campaign.text, "You are inside. Time left:") and 'data-seconds="1' in campaign.text
        claimed = await winner.post(
            f"{CAMPAIGN}/claims",
            data={**hidden_fields(campaign.text, f"{CAMPAIGN}/claims"), "password": "PASSWORD0"},
        )
        assert claimed.status_code == 303
        gift = await winner.get(claimed.headers["location"])
        assert says(gift.text, "Gift 0") and says(gift.text, "You are inside.")
        leave = await winner.post(f"{GATE}/leave", data=hidden_fields(gift.text, f"{GATE}/leave"))
        assert leave.headers["location"] == f"{GATE}/done?how=left"
        assert PASS not in winner.cookies and TICKET not in winner.cookies
        done = await winner.get(leave.headers["location"])
        assert says(done.text, "You have left, and your place is free")
        await room.tick()
        assert state_of((await loser.get(GATE)).text) == "called", "the place is free at once"
        assert (await winner.get(CAMPAIGN)).status_code == 303


@pytest.mark.parametrize(
    ("state", "expected"), [("closed", "The line is not open yet."), ("ended", "The line has ended.")]
)
async def test_rooms_that_nobody_waits_in_say_so(
    app: Application, client: httpx.AsyncClient, state: str, expected: str
) -> None:
    room = await room_of(app, "closed" if state == "closed" else "queueing")
    if state == "ended":
        await room.move("ended")
    page = await client.get(GATE)
    assert page.status_code == 200 and state_of(page.text) == state
    assert says(page.text, expected)
    token = hidden_fields(page.text, GATE)["_csrf_token"]
    refused = await client.post(GATE, data={"_csrf_token": token, "step": "join"})
    assert refused.status_code == 409
    assert TICKET not in client.cookies


async def test_an_open_room_lets_everyone_go_on(app: Application, client: httpx.AsyncClient) -> None:
    await room_of(app, "open")
    await press(client, "join")
    assert state_of((await client.get(GATE)).text) == "called"
    assert (await press(client, "enter")).headers["location"] == CAMPAIGN
    assert (await client.get(CAMPAIGN)).status_code == 200
    assert state_of((await client.get(GATE)).text) == "inside"


async def test_paused_rooms_say_so(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, max_active=0)
    await press(client, "join")
    await room.set(is_paused=True)
    page = (await client.get(GATE)).text
    assert re.search(r"<p[^>]*data-paused>", page)


async def test_wait_and_stock_are_told(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, max_active=0)
    await room.set(joined=500)
    await press(client, "join")
    await room.set(
        called=100, slow_per_minute=20.0, fast_per_minute=40.0, stock_left=1000, joined=501, lapsed=100
    )
    page = (await client.get(GATE)).text
    assert (state_of(page), place_of(page)) == ("waiting", "501")
    assert says(page, "400 people ahead of you") and says(page, "10 to 20 minutes")
    assert says(page, "1,000 gifts left")
    assert re.search(r"<div[^>]* data-short hidden>", page)
    await room.set(stock_left=30, slow_per_minute=None)
    page = (await client.get(GATE)).text
    assert re.search(r"<div[^>]* data-short>", page), "the stock ends before this place"
    assert says(page, "The estimate appears once the line has been moving for a minute.")
    await room.set(stock_left=0)
    page = (await client.get(GATE)).text
    assert says(page, "0 gifts left") and re.search(r"<div[^>]* data-short>", page)


async def test_missed_turns_may_join_again_at_the_end(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, max_active=0)
    await press(client, "join")
    await room.set(joined=9, called=5, lapsed=5)
    assert state_of((await client.get(GATE)).text) == "missed"
    again = await press(client, "again")
    assert again.headers["location"] == GATE
    page = (await client.get(GATE)).text
    assert (state_of(page), place_of(page)) == ("waiting", "10")


async def test_late_ones_enter_where_the_room_allows_it(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, max_active=5, late_may_enter=True)
    await press(client, "join")
    await room.set(joined=5, called=5, lapsed=5)
    assert state_of((await client.get(GATE)).text) == "called"
    assert (await press(client, "enter")).headers["location"] == CAMPAIGN


async def test_at_the_door_there_is_a_moment_more(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, max_active=1)
    await press(client, "join")
    await room.set(called=1, inside=5)
    refused = await press(client, "enter")
    assert refused.status_code == 409 and state_of(refused.text) == "door"
    assert says(refused.text, "A moment more: you are at the door.")
    assert 'http-equiv="refresh"' in refused.text
    await room.set(inside=0)
    assert (await press(client, "enter")).headers["location"] == CAMPAIGN


async def test_a_copied_ticket_enters_once(app: Application, client: httpx.AsyncClient) -> None:
    await room_of(app)
    await press(client, "join")
    async with another(app) as thief:
        thief.cookies.set(TICKET, client.cookies[TICKET])
        await services_of(app).room_watch.refresh(datetime.now(UTC))
        room = services_of(app).room_watch.room(CODE)
        if room.called == 0:
            await Room(app, room.id, World(room.id, "", room.id, room.id)).tick()
        assert (await press(client, "enter")).status_code == 303
        refused = await press(thief, "enter")
        assert state_of(refused.text) == "used"
        assert says(refused.text, "This number has already entered.")
        assert (await press(thief, "again")).status_code == 303, "and may take a number of their own"


async def test_cookies_of_another_room_are_worth_nothing(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app)
    await make_room(services_of(app).database, datetime.now(UTC), "open", code="HALL-2")
    await room.look()
    await press(client, "join", "/gate/HALL-2")
    await press(client, "enter", "/gate/HALL-2")
    for name, other in ((TICKET, "tearline_ticket_HALL-2"), (PASS, "tearline_pass_HALL-2")):
        client.cookies.set(name, client.cookies[other])
    assert (await client.get(CAMPAIGN)).status_code == 303
    assert state_of((await client.get(GATE)).text) == "joining"
    for forged in ("", "nonsense", "p1.é", client.cookies[PASS][:-1] + "A"):
        client.cookies.delete(PASS)
        header = {"cookie": f"{PASS}={forged}; {TICKET}={forged}".encode()}
        assert (await client.get(CAMPAIGN, headers=header)).status_code == 303
        assert (await client.get(GATE, headers=header)).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("/c/WINTER-1", "/c/WINTER-1"),
        ("/wallet", "/wallet"),
        ("https://shop.example/sale?x=1", "https://shop.example/sale?x=1"),
        ("https://evil.example/", "/c/WINTER-1"),
        ("//evil.example", "/c/WINTER-1"),
        ("/\\evil.example", "/c/WINTER-1"),
        ("https://shop.example@evil.example/", "/c/WINTER-1"),
        ("https://shop.example.evil.example/", "/c/WINTER-1"),
        ("https:\\\\shop.example\\x", "/c/WINTER-1"),
        ("javascript:alert(1)", "/c/WINTER-1"),
        ("/\t/evil.example", "/c/WINTER-1"),
        ("", "/c/WINTER-1"),
    ],
)
async def test_return_leads_only_to_our_own_or_the_rooms_sites(
    app: Application, client: httpx.AsyncClient, wanted: str, expected: str
) -> None:
    await room_of(app, "open", sites=("https://shop.example",))
    page = f"{GATE}?{httpx.QueryParams({'return': wanted})}"
    await press(client, "join", page)
    going_to = re.search(r'data-going-to="([^"]*)"', (await client.get(page)).text)
    entered = await press(client, "enter", page)
    assert going_to is not None and entered.status_code == 303
    if expected.startswith("/"):
        assert unescape(going_to.group(1)) == entered.headers["location"] == expected
        return
    # A form's answer may not lead to another site: a page of ours does, with a link.
    handed_over = await client.get(unescape(going_to.group(1)))
    assert handed_over.headers["location"].startswith(expected + "&tearline_pass=")
    assert state_of((await client.get(entered.headers["location"])).text) == "inside"


async def test_an_ended_session_leads_to_the_friendly_page(
    app: Application, client: httpx.AsyncClient
) -> None:
    room = await room_of(app, "open")
    sign_in(app, client, room.world.members[0])
    await press(client, "join")
    await press(client, "enter")
    page = (await client.get(CAMPAIGN)).text
    async with transaction(room.services.database) as tx:
        left = {"ended_at": datetime.now(UTC), "ended_by": "left"}
        await tx.execute(update(RoomEntry).values(left))
    await room.look()
    sent = await client.get(CAMPAIGN)
    assert (sent.status_code, sent.headers["location"]) == (303, f"{GATE}/done?return={CAMPAIGN}")
    done = await client.get(sent.headers["location"])
    assert says(done.text, "Your time inside has ended.")
    claim = {**hidden_fields(page, f"{CAMPAIGN}/claims"), "password": "PASSWORD0"}
    refused = await client.post(f"{CAMPAIGN}/claims", data=claim)
    assert refused.headers["location"] == f"{GATE}/done?return={CAMPAIGN}"
    assert "tearline_gift" in client.cookies, "what was typed is kept"
    again = await press(client, "again", f"{GATE}/done")
    assert again.headers["location"] == GATE
    assert PASS not in client.cookies
    assert state_of((await client.get(GATE)).text) == "called"


async def test_a_place_serves_one_member(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, "open")
    sign_in(app, client, room.world.members[0])
    await press(client, "join")
    await press(client, "enter")
    sign_in(app, client, room.world.members[1])
    page = (await client.get(CAMPAIGN)).text
    claim = {**hidden_fields(page, f"{CAMPAIGN}/claims"), "password": "PASSWORD0"}
    refused = await client.post(f"{CAMPAIGN}/claims", data=claim)
    assert refused.status_code == 403
    assert says(refused.text, "Another member has used this place")
    again = await client.post(
        f"{GATE}?return={CAMPAIGN}", data=hidden_fields(refused.text, f"{GATE}?return={CAMPAIGN}")
    )
    assert again.status_code == 303 and PASS not in client.cookies


async def test_a_claim_may_end_the_session(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, "open", claim_ends_session=True)
    sign_in(app, client, room.world.members[0])
    await press(client, "join")
    await press(client, "enter")
    page = (await client.get(CAMPAIGN)).text
    claim = {**hidden_fields(page, f"{CAMPAIGN}/claims"), "password": "PASSWORD0"}
    claimed = await client.post(f"{CAMPAIGN}/claims", data=claim)
    assert claimed.status_code == 303 and PASS not in client.cookies
    gift = (await client.get(claimed.headers["location"])).text
    assert says(gift, "Your place inside went to the next in line.") and not says(gift, "You are inside.")
    assert (await room.hall.state()).inside == 0


async def test_a_room_guards_pages_of_the_shop(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, "closed", campaign_ids=(), pages=("/", "/wallet"))
    sign_in(app, client, room.world.members[0])
    assert (await client.get("/wallet")).status_code == 200, "before the crowd everyone sees it"
    await room.move("open")
    sent = await client.get("/wallet?folder=used&lang=en")
    assert sent.status_code == 303
    assert sent.headers["location"] == f"{GATE}?return=/wallet%3Ffolder%3Dused%26lang%3Den&lang=en"
    assert (await client.get("//wallet/")).headers["location"].startswith(f"{GATE}?return=")
    assert (await client.get("/w%61llet")).headers["location"] == f"{GATE}?return=/wallet"
    assert (await client.get("/")).headers["location"] == f"{GATE}?return=/"
    part = await client.get(f"/wallet/{uuid4()}/ticket", headers={"hx-request": "true"})
    assert part.status_code == 204 and part.headers["hx-redirect"].startswith(f"{GATE}?return=/wallet/")
    for free in ("/account", "/sign-in", CAMPAIGN):
        answer = await client.get(free)
        assert not answer.headers.get("location", "").startswith("/gate/"), free
    await press(client, "join", sent.headers["location"])
    entered = await press(client, "enter", sent.headers["location"])
    assert entered.headers["location"] == "/wallet?folder=used&lang=en"
    wallet = (await client.get(entered.headers["location"])).text
    assert says(wallet, "You are inside. Time left:")
    assert f'data-end="{GATE}/done?return=/wallet%3Ffolder%3Dused%26lang%3Den"' in wallet
    assert says((await client.get("/")).text, "You are inside."), "one pass for all that the room guards"
    assert not says((await client.get("/account")).text, "You are inside.")
    async with another(app) as stranger:
        assert (await stranger.get("/wallet")).headers["location"] == f"{GATE}?return=/wallet"
    left = await client.post(f"{GATE}/leave", data=hidden_fields(wallet, f"{GATE}/leave"))
    assert left.status_code == 303
    assert (await client.get("/wallet")).headers["location"] == f"{GATE}?return=/wallet"
    await room.move("ended")
    assert (await client.get("/wallet")).status_code == 200, "after the crowd everyone sees it"


async def test_a_page_has_one_room_at_the_most(app: Application) -> None:
    await room_of(app, "closed", pages=("/wallet",))
    database = services_of(app).database
    with pytest.raises(Refusal, match="already_taken") as refused:
        await make_room(database, datetime.now(UTC), code="HALL-2", pages=("/", "/wallet"))
    assert list(refused.value.fields) == ["pages"]
    await make_room(database, datetime.now(UTC), code="HALL-2", pages=("/", "/wallet/used"))


async def test_pages_that_no_room_may_guard_are_all_but_the_shops(app: Application) -> None:
    first = {route.path.strip("/").split("/")[0] for route in app.litestar.routes}
    assert first - NEVER_GUARDED == {"", "wallet", "orders", "account", "market"}


async def test_bypass_link(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, max_active=0)
    now = datetime.now(UTC)
    async with transaction(room.services.database) as tx:
        token = await actions.create_bypass(
            tx, ACTOR, room.id, name="Staff", uses=1, expires_at=now + timedelta(days=1), now=now
        )
    path = f"{GATE}/bypass/{token}"
    page = await client.get(path)
    assert says(page.text, "With this link you need not wait in line.")
    entered = await client.post(path, data=hidden_fields(page.text, path))
    assert (entered.status_code, entered.headers["location"]) == (303, CAMPAIGN)
    assert (await client.get(CAMPAIGN)).status_code == 200
    async with another(app) as second:
        page = await second.get(path)
        refused = await second.post(path, data=hidden_fields(page.text, path))
        assert refused.status_code == 404
        assert says(refused.text, "This link does not lead inside any more.")
        assert PASS not in second.cookies


async def test_joining_by_form_is_limited_and_wants_the_proof(
    app: Application, client: httpx.AsyncClient
) -> None:
    room = await room_of(app, joins_per_network=1)
    await press(client, "join")
    async with another(app) as second:
        refused = await press(second, "join")
        assert refused.status_code == 429 and says(refused.text, "Too many attempts.")
    await make_room(room.services.database, datetime.now(UTC), "queueing", code="HALL-3", proof_of_work=True)
    await room.look()
    page = (await client.get("/gate/HALL-3")).text
    assert says(page, "This line asks browsers for a small sum") and "gate-proof-worker" in page
    token = hidden_fields(page, "/gate/HALL-3")["_csrf_token"]
    refused = await client.post("/gate/HALL-3", data={"_csrf_token": token, "step": "join"})
    assert refused.status_code == 422
    assert "tearline_ticket_HALL-3" not in client.cookies


async def test_the_draw_can_be_checked(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, "gathering")
    await press(client, "join")
    before = (await client.get(f"{GATE}/draw")).text
    document = (await client.get(f"{GATE}/room.json")).json()
    assert document["draw"]["commitment"] in before and "data-draw" not in before
    await room.move("queueing")
    after = (await client.get(f"{GATE}/draw")).text
    document = (await client.get(f"{GATE}/room.json")).json()
    assert document["draw"]["seed"] in after and says(after, "your place is no. 1")


async def test_the_operators_message_and_languages(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app)
    async with transaction(room.services.database) as tx:
        await actions.tell(tx, ACTOR, room.id, {"en": "Tea is <served>."}, datetime.now(UTC))
    await room.look()
    assert "Tea is &lt;served&gt;." in (await client.get(GATE)).text
    other = (await client.get(f"{GATE}?lang=zh-Hant")).text
    assert "冬日大廳" in other and '<span lang="en">Tea is &lt;served&gt;.</span>' in other


async def test_addresses_go_by_the_code_as_it_is_written(app: Application, client: httpx.AsyncClient) -> None:
    await room_of(app)
    lower = await client.get("/gate/hall-1")
    assert (lower.status_code, lower.headers["location"]) == (303, GATE)
    assert (await client.get("/gate/NOWHERE")).status_code == 404
    assert (await client.get("/gate/NOWHERE/draw")).status_code == 404


async def test_waiting_goes_on_without_the_database(app: Application, client: httpx.AsyncClient) -> None:
    room = await room_of(app, max_active=0)
    await press(client, "join")
    await room.look()
    await room.services.database.close()
    page = await client.get(GATE)
    assert page.status_code == 200 and state_of(page.text) == "waiting"
