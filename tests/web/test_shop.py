"""The shop over HTTP: home, campaigns and claims as members without scripts see them."""

from __future__ import annotations

import gzip
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update

from tearline.campaigns.model import Prize
from tearline.db import transaction
from tearline.web.app import Application, create_app
from tests.callers import running, settings_for
from tests.web.shop_support import (
    CAMPAIGN,
    change_campaign,
    claim,
    post,
    says,
    services_of,
    sign_in,
    window_from,
    world_of,
)

pytestmark = pytest.mark.anyio

FIRST_VIEW_LIMIT_BYTES = 100_000


async def claims_in(app: Application) -> int:
    async with services_of(app).database.connection() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM claim")) or 0)


async def test_home_without_campaigns_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 200
    assert says(answer.text, "Nothing is on right now")
    assert says(answer.text, "How it works")


async def test_home_shows_campaigns_and_the_wallet(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    stranger = await client.get("/")
    assert says(stranger.text, "Winter in the City") and says(stranger.text, "10 gifts left")
    assert says(stranger.text, "Sign in with your phone") and not says(stranger.text, "Your wallet")
    sign_in(app, client, world.members[0])
    await claim(client)
    member = await client.get("/")
    assert says(member.text, "2 coupons to use") and says(member.text, "Harbour Books")


@pytest.mark.parametrize("state", ["draft", "archived"])
async def test_hidden_campaigns_are_nowhere(app: Application, client: httpx.AsyncClient, state: str) -> None:
    await world_of(app, campaign={"state": state})
    assert not says((await client.get("/")).text, "Winter in the City")
    assert (await client.get(CAMPAIGN)).status_code == 404


async def test_pages_do_not_tell_passwords_or_gifts(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app, inventories=(10, 5))
    for _ in range(2):
        for path in ("/", CAMPAIGN):
            page = (await client.get(path)).text
            assert "PASSWORD" not in page and "Gift 0" not in page and "HK$50" not in page
        sign_in(app, client, world.members[0])


@pytest.mark.parametrize(
    ("campaign", "expected", "has_box"),
    [
        ({}, "10 gifts left in all", True),
        ({"state": "paused"}, "This campaign is paused", False),
        (window_from(-5, -1), "This campaign has ended", False),
        (window_from(2, 5), "Starts in", True),
        ({"limit_per_member": 3}, "3 gifts over the whole campaign", True),
        ({"limit_per_member_per_day": 1}, "1 gift for each member, until midnight Hong Kong Time", True),
        ({"audience": {"any_of": ["group:hotel"]}}, "A particular group of members", True),
    ],
)
async def test_campaign_page_says_how_it_stands(
    app: Application, client: httpx.AsyncClient, campaign: dict[str, Any], expected: str, has_box: bool
) -> None:
    await world_of(app, campaign=campaign)
    page = (await client.get(CAMPAIGN.lower().replace("/c/winter", "/c/WINTER"))).text
    assert says(page, expected)
    assert ('name="password"' in page) is has_box


async def test_box_before_the_start_opens_at_zero(app: Application, client: httpx.AsyncClient) -> None:
    await world_of(app, campaign=window_from(1, 5))
    page = (await client.get(CAMPAIGN)).text
    assert re.search(r"<div[^>]*data-after hidden>\s*<form", page)
    assert "data-countdown=" in page and "/static/shop-" in page


async def test_member_claims_and_sees_the_gift(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    answer = await claim(client, "  password0 ")
    assert answer.status_code == 303
    gift = await client.get(answer.headers["location"])
    assert says(gift.text, "Gift 0") and says(gift.text, "2 coupons are in your wallet now.")
    assert gift.text.count('href="/wallet/') == 2


async def test_form_that_is_sent_twice_claims_once(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app, inventories=(10, 10))
    sign_in(app, client, world.members[0])
    page = (await client.get(CAMPAIGN)).text
    fields = dict(re.findall(r'name="(_csrf_token|form_key)" value="([^"]*)"', page))
    sent = [
        await client.post(f"{CAMPAIGN}/claims", data={**fields, "password": "PASSWORD0"}) for _ in range(2)
    ]
    assert sent[0].headers["location"] == sent[1].headers["location"]
    assert await claims_in(app) == 1
    # The same loaded page with another password is another gift, not a repeat.
    other = await client.post(f"{CAMPAIGN}/claims", data={**fields, "password": "PASSWORD1"})
    assert other.status_code == 303 and other.headers["location"] != sent[0].headers["location"]
    assert await claims_in(app) == 2


async def test_gift_of_somebody_else_is_not_there(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    location = (await claim(client)).headers["location"]
    sign_in(app, client, world.members[1])
    assert (await client.get(location)).status_code == 404


@pytest.mark.parametrize(
    ("campaign", "prize", "offer", "password", "claims_before", "status", "sentence"),
    [
        ({}, {}, {}, "WRONG", 0, 422, "That password is not right."),
        (window_from(1, 5), {}, {}, "PASSWORD0", 0, 409, "This campaign has not started yet."),
        ({"audience": {"any_of": ["group:hotel"]}}, {}, {}, "PASSWORD0", 0, 403, "you are not in it"),
        ({"limit_per_member": 1}, {}, {}, "PASSWORD0", 1, 409, "as often as this campaign allows"),
        ({"limit_per_member_per_day": 1}, {}, {}, "PASSWORD0", 1, 409, "Come back tomorrow."),
        ({}, {"limit_per_member": 1}, {}, "PASSWORD0", 1, 409, "claimed this gift as often as is allowed"),
        ({}, {}, {"limit_per_member": 1}, "PASSWORD0", 1, 409, "You already hold as many"),
        ({}, {}, {"issue_limit": 1}, "PASSWORD0", 1, 409, "All of these have been given out."),
        ({}, {}, {}, "", 0, 422, "Type the password first."),
    ],
)
async def test_refusals_stay_on_the_page_with_what_was_typed(
    app: Application,
    client: httpx.AsyncClient,
    campaign: dict[str, Any],
    prize: dict[str, Any],
    offer: dict[str, Any],
    password: str,
    claims_before: int,
    status: int,
    sentence: str,
) -> None:
    world = await world_of(app, campaign=campaign, prize=prize, offer=offer)
    sign_in(app, client, world.members[0])
    for _ in range(claims_before):
        assert (await claim(client)).status_code == 303
    answer = await claim(client, password)
    assert answer.status_code == status
    assert says(answer.text, sentence)
    assert f'name="password" value="{password}"' in answer.text
    assert "www-authenticate" not in answer.headers
    assert await claims_in(app) == claims_before


@pytest.mark.parametrize(
    ("change", "sentence", "keeps_box"),
    [
        ({"state": "paused"}, "This campaign is paused.", True),
        (window_from(-5, -1), "This campaign has ended.", False),
    ],
)
async def test_campaign_that_stops_between_page_and_claim(
    app: Application, client: httpx.AsyncClient, change: dict[str, Any], sentence: str, keeps_box: bool
) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    page = (await client.get(CAMPAIGN)).text
    fields = dict(re.findall(r'name="(_csrf_token|form_key)" value="([^"]*)"', page))
    await change_campaign(services_of(app).database, world, **change)
    answer = await client.post(f"{CAMPAIGN}/claims", data={**fields, "password": "PASSWORD0"})
    assert answer.status_code == 409 and says(answer.text, sentence)
    assert ('value="PASSWORD0"' in answer.text) is keeps_box


async def test_everything_given_out(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app, inventories=(1, 1))
    sign_in(app, client, world.members[0])
    await claim(client)
    one_left = await claim(client)
    assert one_left.status_code == 409 and says(one_left.text, "All of these have been given out.")
    async with transaction(services_of(app).database) as tx:
        await tx.execute(update(Prize).values(claimed=1))
    page = (await client.get(CAMPAIGN)).text
    assert says(page, "All gifts have been given out") and 'name="password"' not in page


async def test_guessing_is_stopped_and_says_for_how_long(database_url: str) -> None:
    app = create_app(settings_for(database_url, wrong_passwords_per_member=2))
    async with running(app):
        world = await world_of(app)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            sign_in(app, client, world.members[0])
            for guess in ("A", "B"):
                assert (await claim(client, guess)).status_code == 422
            answer = await claim(client, "PASSWORD0")
    assert answer.status_code == 429
    assert says(answer.text, "You can try again in 10 minutes.")
    assert 'value="PASSWORD0"' in answer.text


async def test_what_was_typed_cannot_break_out(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    answer = await claim(client, '"><script>alert(1)</script>')
    assert answer.status_code == 422 and "<script>alert" not in answer.text


async def test_claim_needs_the_forms_token(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    answer = await client.post(f"{CAMPAIGN}/claims", data={"password": "PASSWORD0"})
    assert answer.status_code == 403 and await claims_in(app) == 0


async def test_languages_of_a_refused_claim_lead_to_the_campaign(
    app: Application, client: httpx.AsyncClient
) -> None:
    await world_of(app)
    answer = await client.get(f"{CAMPAIGN}/claims?lang=th")
    assert answer.status_code == 303 and answer.headers["location"] == f"{CAMPAIGN}?lang=th"


async def test_names_come_in_the_readers_language(app: Application, client: httpx.AsyncClient) -> None:
    await world_of(
        app, campaign={"names": {"en": "Winter", "zh-Hant": "冬日賞"}, "descriptions": {"en": "One password"}}
    )
    answer = await client.get(f"{CAMPAIGN}?lang=zh-Hant")
    assert '<html lang="zh-Hant">' in answer.text and "冬日賞" in answer.text
    assert '<span lang="en">One password</span>' in answer.text
    # The choice is kept.
    assert "冬日賞" in (await client.get("/")).text


async def test_times_are_those_of_the_campaigns_zone(app: Application, client: httpx.AsyncClient) -> None:
    await world_of(app, campaign={"time_zone": "Asia/Bangkok", "ends_at": "2036-03-01T05:00:00Z"})
    page = (await client.get(CAMPAIGN)).text
    assert says(page, "Until 1 Mar 2036 12:00") and says(page, "Thailand Time")


@pytest.mark.parametrize("path", ["/", CAMPAIGN, "/sign-in"])
async def test_first_view_is_small(app: Application, client: httpx.AsyncClient, path: str) -> None:
    await world_of(app, campaign={"image": "art/lantern.svg"})
    page = (await client.get(path)).text
    files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert any(file.endswith(".css") for file in files) and any(file.endswith(".js") for file in files)
    sizes = {path: len(gzip.compress(page.encode()))}
    for file in files:
        answer = await client.get(file)
        assert answer.status_code == 200
        sizes[file] = len(answer.content if file.endswith(".png") else gzip.compress(answer.content))
    assert sum(sizes.values()) < FIRST_VIEW_LIMIT_BYTES, sizes


async def test_visitor_is_asked_to_sign_in_and_the_password_waits(
    app: Application, client: httpx.AsyncClient
) -> None:
    world = await world_of(app)
    answer = await claim(client, "PASSWORD0")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/c/WINTER-1"
    assert "PASSWORD0" not in answer.headers["location"]
    sign_in(app, client, world.members[0])
    back = (await client.get(CAMPAIGN)).text
    assert 'value="PASSWORD0"' in back and says(back, "your password is still here")
    done = await post(client, CAMPAIGN, f"{CAMPAIGN}/claims", password="PASSWORD0")
    assert done.status_code == 303 and await claims_in(app) == 1
    assert 'value="PASSWORD0"' not in (await client.get(CAMPAIGN)).text
