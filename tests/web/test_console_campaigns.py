"""Campaigns in the console: form, audience, prizes, states, inventory, figures."""

from __future__ import annotations

import re
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from tearline.campaigns import reads
from tearline.campaigns.reads import CampaignDetail
from tearline.core.audience import Audience
from tearline.core.roles import SYSTEM
from tearline.db import transaction
from tearline.members.catalogue import create_group, create_plan, create_tier
from tearline.members.model import Member
from tearline.merchants.model import AuditEntry
from tearline.web.app import Application
from tests.web.browsing import COMMAND, Browser, Fields, console_browser
from tests.worlds import World, make_members, make_world

pytestmark = pytest.mark.anyio

BASICS: Fields = {
    "names.en": "Lantern Nights",
    "names.zh-Hant": "燈籠之夜",
    "code": "lantern-1",
    "edge": "gold",
    "time_zone": "Asia/Hong_Kong",
    "starts_at": "2026-01-01T10:00",
    "ends_at": "2036-01-01T22:00",
    "limit_per_member": "3",
    "rules.en": "One a day.",
}


def prize_fields(world: World, **changes: str) -> Fields:
    """A prize filled in well, over the world's first offer."""
    return {
        "names.en": "The golden lantern",
        "password": " Lantern88 ",
        "inventory": "100",
        "bundle-count": "1",
        "bundle-0-offer": str(world.offers[0]),
        "bundle-0-quantity": "2",
        **changes,
    }


async def _campaign(app: Application, campaign_id: UUID) -> CampaignDetail:
    async with app.litestar.state.services.database.connection() as connection:
        return await reads.campaign(connection, SYSTEM, campaign_id)


async def _world(app: Application, **wanted: object) -> World:
    return await make_world(app.litestar.state.services.database, **wanted)  # type: ignore[arg-type]


async def _create(browser: Browser, **changes: str | list[str]) -> UUID:
    page = await browser.post("/console/campaigns/new", {**BASICS, **changes})
    assert page.status == 200, page.errors
    return UUID(str(page.answer.url.path).rsplit("/", 1)[1])


async def _with_prize(browser: Browser, world: World) -> tuple[UUID, str]:
    campaign_id = await _create(browser)
    here = f"/console/campaigns/{campaign_id}"
    page = await browser.send(f"{here}/prizes/new", prize_fields(world))
    assert "The prize is added." in page.text, page.errors
    return campaign_id, here


async def test_a_campaign_goes_from_draft_to_archive(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client, "editor"), await _world(app)
    campaign_id = await _create(browser)
    here = f"/console/campaigns/{campaign_id}"
    page = await browser.post(f"{here}/live")
    assert "Add at least one prize first." in page.text
    page = await browser.send(f"{here}/prizes/new", prize_fields(world))
    assert "The golden lantern" in page.text
    for act, state, said in (
        ("live", "live", "The campaign is live"),
        ("pause", "paused", "The campaign is paused"),
        ("resume", "live", "The campaign goes on"),
        ("archive", "archived", "The campaign is archived"),
    ):
        page = await browser.post(f"{here}/{act}")
        assert said in page.text
        assert (await _campaign(app, campaign_id)).state == state
    page = await browser.post(f"{here}/live")
    assert "can no longer be changed" in page.text
    assert f"{here}/edit" not in page.html
    assert (await browser.get(f"{here}/edit")).status == 409
    draft = (await _campaign(app, campaign_id)).draft
    assert (draft.code, draft.limit_per_member, draft.starts_at.isoformat()) == (
        "LANTERN-1", 3, "2026-01-01T02:00:00+00:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "place", "sentence"),
    [
        ({"ends_at": "2025-12-31T10:00"}, "field-ends_at", "The window ends before it begins."),
        ({"code": "no spaces!"}, "field-code", "upper case letters"),
        ({"names.en": ""}, "field-names-en", "in English"),
        (
            {"audience.all_of.tags": "vip", "audience.none_of.tags": "VIP"},
            "field-audience-none_of",
            "Nobody can be",
        ),
        ({"limit_per_member": "0"}, "field-limit_per_member", "Enter a number from 1"),
    ],
)
async def test_nonsense_is_refused_where_it_is_typed(
    app: Application, client: httpx.AsyncClient, changes: Fields, place: str, sentence: str
) -> None:
    browser = await console_browser(app, client)
    page = await browser.post("/console/campaigns/new", {**BASICS, **changes})
    assert page.status == 422
    assert sentence in page.errors
    assert f'href="#{place}"' in page.html and f'id="{place}"' in page.html


async def test_the_audience_is_built_counted_and_told(app: Application, client: httpx.AsyncClient) -> None:
    browser, database = await console_browser(app, client), app.litestar.state.services.database
    now = app.litestar.state.services.now()
    async with transaction(database) as tx:
        await create_plan(tx, COMMAND, code="city", names={"en": "City Pass"}, now=now)
        await create_tier(tx, COMMAND, plan="city", code="gold", names={"en": "Gold"}, rank=1, now=now)
        await create_group(tx, COMMAND, code="hotel", names={"en": "Hotel guests"}, now=now)
        await make_members(tx, 3, plan="city", tier="gold", tags=["foodie"])
        first = await tx.scalar(select(Member.id).limit(1))
        await tx.execute(Member.__table__.update().where(Member.id == first).values(groups=["hotel"]))
    wanted: Fields = {
        "audience.any_of": ["tier:city/gold", "group:hotel"],
        "audience.all_of.tags": "Foodie",
        "audience.none_of": "group:hotel",
    }
    page = await browser.post("/console/campaigns/audience", {**BASICS, **wanted})
    assert page.text.strip() == "2 members at present"
    page = await browser.post("/console/campaigns/audience", {})
    assert page.text.strip() == "3 members at present"
    campaign_id = await _create(browser, **wanted)
    assert (await _campaign(app, campaign_id)).draft.audience == Audience(
        any_of=frozenset({"tier:city/gold", "group:hotel"}),
        all_of=frozenset({"tag:foodie"}),
        none_of=frozenset({"group:hotel"}),
    )
    page = await browser.get(f"/console/campaigns/{campaign_id}")
    assert "At least one of: Group: Hotel guests, City Pass · Gold" in page.text
    assert "All of: foodie" in page.text
    page = await browser.send(f"/console/campaigns/{campaign_id}/edit")
    assert (await _campaign(app, campaign_id)).version == 1


async def test_a_live_campaign_shows_what_cannot_change_and_keeps_it(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    edit = f"/console/campaigns/{world.campaign_id}/edit"
    form = (await browser.get(edit)).form(edit)
    assert {"code", "time_zone", "starts_at", "audience.any_of.tags"} <= form.disabled
    assert not {"names.en", "ends_at", "limit_per_member"} & form.disabled
    page = await browser.post(edit, {**form.fields, "code": "OTHER", "limit_per_member": "9"})
    assert "Saved." in page.text, page.errors
    draft = (await _campaign(app, world.campaign_id)).draft
    assert (draft.code, draft.limit_per_member) == (world.campaign_code, 9)
    page = await browser.send(edit, {"ends_at": "2026-12-31T00:00"})
    assert "The end can only be moved later." in page.errors


async def test_a_prize_is_made_changed_and_taken_out(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    campaign_id, here = await _with_prize(browser, world)
    prize = (await _campaign(app, campaign_id)).prizes[0]
    assert (prize.password, prize.inventory, prize.bundle[0].quantity) == ("Lantern88", 100, 2)
    edit = f"{here}/prizes/{prize.id}"
    page = await browser.send(edit, {"inventory": "50", "bundle-count": "2", "bundle-1-offer": str(world.offers[1]),
                                     "bundle-1-quantity": "1"})  # fmt: skip
    assert "Saved." in page.text, page.errors
    prize = (await _campaign(app, campaign_id)).prizes[0]
    assert (prize.inventory, len(prize.bundle)) == (50, 2)
    page = await browser.send(f"{here}/prizes/new", prize_fields(world, password="ＬＡＮＴＥＲＮ８８"))
    assert "Another prize of this campaign has this password." in page.errors
    twice = {"bundle-count": "2", "bundle-1-offer": str(world.offers[0]), "bundle-1-quantity": "1"}
    page = await browser.send(f"{here}/prizes/new", prize_fields(world, password="other", **twice))
    assert "An offer stands here twice" in page.errors
    page = await browser.send(
        f"{here}/prizes/new", prize_fields(world, password="other", **{"bundle-0-offer": ""})
    )
    assert page.status == 422
    page = await browser.post(f"{edit}/remove")
    assert "The prize is taken out." in page.text
    assert not (await _campaign(app, campaign_id)).prizes


async def test_the_sixth_prize_is_refused(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    campaign_id, here = await _with_prize(browser, world)
    for number in range(4):
        await browser.send(f"{here}/prizes/new", prize_fields(world, password=f"word {number}"))
    page = await browser.send(f"{here}/prizes/new", prize_fields(world, password="one more"))
    assert "A campaign has at most five prizes." in page.errors
    assert len((await _campaign(app, campaign_id)).prizes) == 5
    assert f"{here}/prizes/new" not in (await browser.get(here)).html


async def test_an_inventory_is_only_raised(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    here = f"/console/campaigns/{world.campaign_id}/prizes/{world.prizes[0]}"
    page = await browser.send(f"{here}/inventory", {"inventory": "25"})
    assert "The inventory is 25 now." in page.text
    assert (await _campaign(app, world.campaign_id)).prizes[0].inventory == 25
    page = await browser.send(f"{here}/inventory", {"inventory": "24"})
    assert (page.status, "The inventory can only be raised." in page.errors) == (422, True)
    page = await browser.send(here, {"inventory": "3"})
    assert "The inventory can only be raised." in page.errors
    form = (await browser.get(here)).form(here)
    assert {"password", "bundle-0-offer"} <= form.disabled


async def test_a_prize_of_another_campaign_is_not_found(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    campaign_id = await _create(browser)
    page = await browser.get(f"/console/campaigns/{campaign_id}/prizes/{world.prizes[0]}")
    assert page.status == 404
    page = await browser.post(
        f"/console/campaigns/{campaign_id}/prizes/{world.prizes[0]}/inventory", {"inventory": "99"}
    )
    assert page.status == 404


async def test_figures_follow_claims_and_refresh_by_themselves(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app, inventories=(10, 5))
    desk = app.litestar.state.services.claim_desk
    await desk.claim(world.campaign_code, world.members[0], 1, "PASSWORD0", "key-1")
    await desk.claim(world.campaign_code, world.members[1], 1, "PASSWORD1", "key-2")
    here = f"/console/campaigns/{world.campaign_id}"
    page = await browser.get(here)
    assert f'hx-get="{here}/now"' in page.html
    for part in (page, await browser.get(f"{here}/now")):
        assert "left, of 15 13" in part.text
        assert "9 of 10 left" in part.text and "4 of 5 left" in part.text
    plots = await browser.get(f"{here}/plots")
    data = re.findall(r'<script type="application/json">(.*?)</script>', plots.html)
    assert '[["Gift 0", [' in data[0].replace("\\u0022", '"')
    assert "The figures as a table" in plots.text
    by_day = await browser.get(f"{here}?by=day")
    assert 'aria-current="page">By day' in by_day.html
    overview = await browser.get("/console")
    assert "13 of 15 left" in overview.text and "claims, this and last hour 2" in overview.text
    listed = await browser.get("/console/campaigns?state=live")
    assert "13 of 15 left" in listed.text


async def test_those_who_only_look_see_no_buttons(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client, "finance"), await _world(app)
    here = f"/console/campaigns/{world.campaign_id}"
    page = await browser.get(here)
    assert page.status == 200
    assert "Pause" not in page.text and f"{here}/edit" not in page.html and "What was done" not in page.text
    assert (await browser.post(f"{here}/pause")).status == 403
    assert (await _campaign(app, world.campaign_id)).state == "live"


async def test_every_act_stands_in_the_trail(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    _campaign_id, here = await _with_prize(browser, world)
    await browser.post(f"{here}/live")
    page = await browser.get(here)
    for said in ("Campaign created", "Prize added", "Campaign went live"):
        assert said in page.text
    async with app.litestar.state.services.database.connection() as connection:
        acts = await connection.scalar(
            select(func.count()).select_from(AuditEntry).where(AuditEntry.action.like("campaign.%"))
        )
    assert acts == 2
