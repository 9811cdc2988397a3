"""Waiting rooms in the console: list, form, the board with its dial, states, message, links, and who may."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, select, update

from tearline.core.admission import DELAY_BUCKETS
from tearline.db import transaction
from tearline.merchants.model import AuditEntry
from tearline.waitingroom import reads
from tearline.waitingroom.model import RoomCall, RoomSample, RoomState
from tearline.waitingroom.reads import Board
from tearline.web.app import Application
from tests.web.browsing import Browser, Fields, Page, console_browser
from tests.worlds import make_world

pytestmark = pytest.mark.anyio

BASICS: Fields = {
    "names.en": "The rush",
    "names.zh-Hant": "搶購",
    "code": "rush-1",
    "time_zone": "Asia/Hong_Kong",
    "gathers_at": "2035-01-01T09:30",
    "starts_at": "2035-01-01T10:00",
    "max_active": "200",
    "session_minutes": "20",
    "grace_seconds": "90",
    "queues_when_full": "yes",
    "sites": "https://shop.example",
}


async def _board(app: Application, room_id: UUID) -> Board:
    async with app.litestar.state.services.database.connection() as connection:
        return await reads.board(connection, room_id)


async def _set(app: Application, room_id: UUID, **values: object) -> None:
    async with transaction(app.litestar.state.services.database) as tx:
        await tx.execute(update(RoomState).where(RoomState.room_id == room_id).values(**values))


async def _acts(app: Application) -> list[str]:
    async with app.litestar.state.services.database.connection() as connection:
        return list(
            await connection.scalars(
                select(AuditEntry.action).where(AuditEntry.subject_kind == "room").order_by(AuditEntry.id)
            )
        )


async def _create(browser: Browser, **changes: str | list[str]) -> tuple[UUID, str]:
    page = await browser.post("/console/rooms/new", {**BASICS, **changes})
    assert page.status == 200, page.errors
    here = str(page.answer.url.path)
    return UUID(here.rsplit("/", 1)[1]), here


def _steps(page: Page, here: str) -> set[str]:
    """The states that the page offers."""
    return {form.action.rsplit("/", 1)[1] for form in page.forms if form.action.startswith(f"{here}/states/")}


async def test_a_room_is_run_by_hand_from_closed_to_ended(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client, "editor")
    room_id, here = await _create(browser)
    page = await browser.get(here)
    assert _steps(page, here) == {"gathering", "queueing", "open"}
    assert "Gathering begins in" in page.text
    assert f"{here}/pause" not in page.html
    for state, offered, said in (
        ("gathering", {"queueing", "open", "closed"}, "People can arrive now."),
        ("queueing", {"open", "ended"}, "The room is queueing"),
        ("open", {"queueing", "ended", "closed"}, "The room is open"),
        ("queueing", {"open", "ended"}, "The room is queueing"),
    ):
        page = await browser.post(f"{here}/states/{state}")
        assert said in page.text
        assert _steps(page, here) == offered
        assert (await _board(app, room_id)).state == state
    page = await browser.post(f"{here}/pause")
    assert "Nobody further is called" in page.text and "Paused" in page.text
    assert (await _board(app, room_id)).is_paused
    page = await browser.post(f"{here}/resume")
    assert not (await _board(app, room_id)).is_paused
    page = await browser.post(f"{here}/states/closed")
    assert "can no longer be changed" in page.text or "cannot" in page.text
    page = await browser.post(f"{here}/states/ended")
    assert "The room has ended." in page.text
    assert (await browser.post(f"{here}/states/nonsense")).status == 404
    assert await _acts(app) == [
        "room.created", "room.moved", "room.moved", "room.moved", "room.moved", "room.paused", "room.resumed",
        "room.moved",
    ]  # fmt: skip


async def test_the_draw_is_committed_to_and_then_revealed(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client)
    room_id, here = await _create(browser)
    await browser.post(f"{here}/states/gathering")
    gathering = await _board(app, room_id)
    page = await browser.get(here)
    assert gathering.commitment and gathering.seed
    assert gathering.commitment in page.html
    assert gathering.seed.hex() not in page.html and "secret until the start" in page.text
    page = await browser.post(f"{here}/states/queueing")
    assert gathering.commitment in page.html and gathering.seed.hex() in page.html


async def test_the_form_keeps_all_that_was_decided(app: Application, client: httpx.AsyncClient) -> None:
    browser, services = await console_browser(app, client), app.litestar.state.services
    world = await make_world(services.database)
    room_id, here = await _create(
        browser, campaign_ids=str(world.campaign_id), per_minute="60", pages="/wallet\r\n /account/ "
    )
    draft = (await _board(app, room_id)).draft
    assert (draft.code, draft.session_seconds, draft.grace_seconds, draft.per_minute) == (
        "RUSH-1",
        1200,
        90,
        60,
    )
    assert draft.starts_at == datetime(2035, 1, 1, 2, 0, tzinfo=UTC)
    assert (draft.campaign_ids, draft.sites) == ((world.campaign_id,), ("https://shop.example",))
    assert draft.pages == ("/account", "/wallet")
    assert (draft.queues_when_full, draft.late_may_enter, draft.proof_of_work) == (True, False, False)

    page = await browser.send(f"{here}/edit", {"late_may_enter": "yes", "proof_of_work": "yes"})
    assert "Saved." in page.text, page.errors
    after = (await _board(app, room_id)).draft
    assert (after.late_may_enter, after.proof_of_work) == (True, True)
    assert (after.starts_at, after.names, after.campaign_ids) == (
        draft.starts_at,
        draft.names,
        draft.campaign_ids,
    )

    await browser.post(f"{here}/states/gathering")
    page = await browser.get(f"{here}/edit")
    assert "code" in page.form(f"{here}/edit").disabled
    page = await browser.send(f"{here}/edit", {"code": "other", "session_minutes": "25"})
    assert (await _board(app, room_id)).draft.code == "RUSH-1"
    stale = await browser.send(f"{here}/edit", {"version": "1", "session_minutes": "26"})
    assert stale.status == 422 and "meanwhile" in stale.errors
    campaign = await browser.get(f"/console/campaigns/{world.campaign_id}")
    assert "guarded by" in campaign.text and here in campaign.html
    assert "(guarded by The rush)" in (await browser.get("/console/rooms/new")).text


@pytest.mark.parametrize(
    ("changes", "place", "sentence"),
    [
        ({"code": "no spaces!"}, "field-code", "upper case letters"),
        ({"names.en": ""}, "field-names-en", "in English"),
        ({"starts_at": "2034-01-01T10:00"}, "field-starts_at", "in this order"),
        ({"starts_at": ""}, "field-starts_at", "give it, too"),
        ({"session_minutes": "0"}, "field-session_minutes", "Enter a number from 1"),
        ({"grace_seconds": "5"}, "field-grace_seconds", "Enter a number from 10"),
        ({"sites": "shop.example"}, "field-sites", "without a path"),
        ({"pages": "/wallet\nabout"}, "field-pages", "such as /wallet"),
        ({"pages": "/sign-in"}, "field-pages", "be guarded"),
        ({"max_active": "1000001"}, "field-max_active", "Enter a number from 0"),
        (
            {"campaign_ids": "01890000-0000-7000-8000-000000000000"},
            "field-campaign_ids",
            "Choose from the list",
        ),
    ],
)
async def test_nonsense_is_refused_where_it_is_typed(
    app: Application, client: httpx.AsyncClient, changes: Fields, place: str, sentence: str
) -> None:
    browser = await console_browser(app, client)
    page = await browser.post("/console/rooms/new", {**BASICS, **changes})
    assert page.status == 422
    assert sentence in page.errors
    assert f'href="#{place}"' in page.html and f'id="{place}"' in page.html
    assert await _acts(app) == []


async def test_a_code_or_campaign_that_is_taken_is_refused_at_its_field(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client)
    world = await make_world(app.litestar.state.services.database)
    await _create(browser, campaign_ids=str(world.campaign_id))
    page = await browser.post("/console/rooms/new", BASICS)
    assert page.status == 422 and 'href="#field-code"' in page.html
    page = await browser.post(
        "/console/rooms/new", {**BASICS, "code": "rush-2", "campaign_ids": str(world.campaign_id)}
    )
    assert page.status == 422 and 'href="#field-campaign_ids"' in page.html
    assert "Another waiting room guards one of these campaigns." in page.errors


async def test_the_dial_is_turned_by_number_or_by_slider(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "editor")
    room_id, here = await _create(browser, max_active="207")
    # The slider of a browser without scripts stays where it was, a step beside the number.
    for changes, wanted, rate in (
        ({"max_active": "350", "per_minute": "60"}, 350, 60),
        ({"slider": "400"}, 400, 60),
        ({"max_active": "500", "slider": "300"}, 500, 60),
        ({"per_minute": ""}, 500, None),
    ):
        page = await browser.send(here, changes)  # type: ignore[arg-type]
        assert "The dial stands at" in page.text, page.errors
        draft = (await _board(app, room_id)).draft
        assert (draft.max_active, draft.per_minute) == (wanted, rate)
    history = re.sub(r"\s+", " ", page.text)
    assert "207 → 350 inside" in history and "350 → 400 inside" in history
    assert "60 → no limit a minute" in history
    assert history.index("400 → 500") < history.index("207 → 350")
    assert "Editor" in history
    page = await browser.send(here, {"max_active": "lots"})
    assert page.status == 422 and 'href="#field-max_active"' in page.html
    assert 'value="lots"' in page.html
    assert (await _board(app, room_id)).draft.max_active == 500
    assert (await _acts(app)).count("room.dial_turned") == 4


async def test_the_board_shows_what_happens_and_refreshes_itself(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, now = await console_browser(app, client), datetime.now(UTC)
    room_id, here = await _create(browser)
    await browser.post(f"{here}/states/gathering")
    await _set(app, room_id, joined=1500)
    part = await browser.get(f"{here}/now")
    assert "1,500 gathered" in _pairs(part)
    await browser.post(f"{here}/states/queueing")
    await _set(
        app, room_id, called=700, lapsed=400, inside=180, at_door=7, entered=550, no_shows=40,
        response={"came": [60.0, *[0.0] * (DELAY_BUCKETS - 1)], "missed": 15.0}, slow_per_minute=40.0,
        fast_per_minute=80.0, stock_left=9_876,
    )  # fmt: skip
    async with transaction(app.litestar.state.services.database) as tx:
        of_room = {"room_id": room_id, "round": 1, "called_at": now}
        came = [30, 20, *[0] * (DELAY_BUCKETS - 2)]
        rows = [
            {**of_room, "first": first, "size": size, "came": came}
            for first, size in ((300, 100), (400, 300))
        ]
        await tx.execute(insert(RoomCall), rows)
        samples = [
            {"room_id": room_id, "at": now - timedelta(seconds=5 * step), "inside": 180 - step, "waiting": 800,
             "called": 700, "entered": 550, "no_shows": 40, "max_active": 200, "stock_left": 9_876 + step}
            for step in range(20)
        ]  # fmt: skip
        await tx.execute(insert(RoomSample), samples)
    board = await _board(app, room_id)
    # Of the call whose grace time is not over, 250 have not come.
    assert (board.waiting, board.coming) == (800, 250)
    part = await browser.get(f"{here}/now")
    shown = _pairs(part)
    for words in (
        "180 inside, of 200", "800 waiting", "700 called so far", "250 called and on their way", "7 at the door",
        "40 20% did not come", "40–80 called in a minute", "10–20 min until all are called", "9,876 left in stock",
    ):  # fmt: skip
        assert words in shown, shown
    assert "<html" not in part.html and "hx-swap-oob" not in part.html
    # Whoever has seen this state gets the numbers alone; after a change the buttons and the dial come along.
    mark = part.html.split('name="seen" value="')[1].split('"')[0]
    assert "hx-swap-oob" not in (await browser.get(f"{here}/now?seen={mark}")).html
    await browser.post(f"{here}/states/ended")
    part = await browser.get(f"{here}/now?seen={mark}")
    assert part.html.count("hx-swap-oob") == 2
    assert _steps(part, here) == {"closed", "gathering", "queueing", "open"}
    page = await browser.get(here)
    assert "Inside, and the dial" in page.text and "Stock left" in page.text
    plots = await browser.get(f"{here}/plots?span=quarter")
    assert '["Dial", [200, 200' in plots.html.replace("&#34;", '"')
    assert "180" in plots.text
    assert (await browser.get(f"{here}/plots?span=nonsense")).status == 200


def _pairs(page: Page) -> list[str]:
    """The figures of a page, each as its value and what it counts."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.html, flags=re.S)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", f"{value} {label}")) for label, value in found]


async def test_a_message_is_told_and_taken_back(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "editor")
    room_id, here = await _create(browser)
    page = await browser.send(
        f"{here}/message", {"messages.en": "Ten minutes more.", "messages.th": "อีกสิบนาที"}
    )
    assert "reads it within seconds" in page.text
    assert "Ten minutes more." in page.text and "อีกสิบนาที" in page.text
    page = await browser.send(f"{here}/message", {"messages.en": "x" * 501})
    assert page.status == 422 and 'href="#field-messages-en"' in page.html
    page = await browser.send(f"{here}/message", {"messages.en": "", "messages.th": ""})
    assert "Nothing is said at present." in page.text
    assert (await _board(app, room_id)).draft.messages == {}
    assert (await _acts(app)).count("room.told") == 2


async def test_a_link_past_the_line_is_shown_once_and_withdrawn(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client, "editor")
    _room_id, here = await _create(browser)
    page = await browser.send(f"{here}/links/new", {"name": "Stage crew", "uses": "3"})
    found = re.search(r'value="(\S+/gate/RUSH-1/bypass/[\w-]{20,})"', page.html)
    assert found is not None, page.text
    token = found.group(1).rsplit("/", 1)[1]
    page = await browser.get(here)
    assert "Stage crew" in page.text and "3 entries left" in page.text
    assert token not in page.html
    refused = await browser.send(f"{here}/links/new", {"name": "x", "expires_at": "2035-01-01T10:00"})
    assert refused.status == 422 and 'href="#field-expires_at"' in refused.html
    withdraw = next(form.action for form in page.forms if form.action.endswith("/withdraw"))
    page = await browser.post(withdraw)
    assert "leads nowhere any more" in page.text and "Stage crew" not in page.text.split("What was done")[0]
    assert await _acts(app) == ["room.created", "room.bypass_created", "room.bypass_withdrawn"]


async def test_the_list_is_filtered_sorted_and_exported(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    _first, here = await _create(browser)
    await _create(browser, code="calm-2", **{"names.en": "The calm", "max_active": "50"})
    await browser.post(f"{here}/states/queueing")
    page = await browser.get("/console/rooms")
    assert "The rush" in page.text and "The calm" in page.text and "Waiting rooms" in page.text
    page = await browser.get("/console/rooms?state=queueing")
    assert "The rush" in page.text and "The calm" not in page.text
    page = await browser.get("/console/rooms?sort=max_active")
    assert page.text.index("The calm") < page.text.index("The rush")
    page = await browser.get("/console/rooms?q=calm")
    assert "The rush" not in page.text
    export = await browser.get("/console/rooms/export?format=csv")
    assert export.status == 200 and "RUSH-1" in export.html and "CALM-2" in export.html


@pytest.mark.parametrize("role", ["finance", "auditor"])
async def test_whoever_may_only_look_is_offered_nothing_to_press(
    app: Application, client: httpx.AsyncClient, role: str
) -> None:
    owner = await console_browser(app, client)
    room_id, here = await _create(owner)
    await owner.post(f"{here}/states/queueing")
    client.cookies.clear()
    browser = await console_browser(app, client, role)
    page = await browser.get(here)
    assert page.status == 200 and "The rush" in page.text
    assert [form.action for form in page.forms if form.action.startswith("/console/rooms")] == []
    assert f"{here}/edit" not in page.html and f"{here}/message" not in page.html
    assert (await browser.get(f"{here}/now")).status == 200
    assert ("What was done" in page.text) is (role == "auditor")
    for path in ("/console/rooms/new", f"{here}/edit", f"{here}/message", f"{here}/links/new"):
        assert (await browser.get(path)).status == 403
    acts: list[tuple[str, Fields]] = [
        (f"{here}/states/ended", {}),
        (f"{here}/pause", {}),
        (here, {"max_active": "1"}),
        (f"{here}/message", {"messages.en": "x"}),
        (f"{here}/links/{room_id}/withdraw", {}),
    ]
    for path, fields in acts:
        assert (await browser.post(path, fields)).status == 403, path
    assert (await _board(app, room_id)).state == "queueing"


async def test_a_room_that_is_not_there(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    nowhere = "/console/rooms/01890000-0000-7000-8000-000000000000"
    for path in ("", "/edit", "/now", "/plots", "/message", "/links/new"):
        assert (await browser.get(nowhere + path)).status == 404
    for path in ("/pause", "/states/open"):
        assert (await browser.post(nowhere + path)).status == 404
