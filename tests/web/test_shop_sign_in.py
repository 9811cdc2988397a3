"""Signing in to the shop by phone over HTTP, and the member's account."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import insert, text

from tearline.db import new_id, transaction
from tearline.notices.model import Notice
from tearline.web.access import MEMBER_COOKIE
from tearline.web.app import Application, create_app
from tests.callers import running, settings_for
from tests.web.shop_support import (
    CAMPAIGN,
    claim,
    hidden_fields,
    post,
    says,
    sent_code,
    services_of,
    sign_in,
    world_of,
)

pytestmark = pytest.mark.anyio

PHONE = "5123 4567"


async def ask(client: httpx.AsyncClient, page: str = "/sign-in", **fields: str) -> httpx.Response:
    """Ask for a code; the fields not named are those of a member at home."""
    return await post(
        client, page, "/sign-in", **{"country": "HK", "phone": PHONE, "channel": "sms", **fields}
    )


async def enter(client: httpx.AsyncClient, code: str) -> httpx.Response:
    return await post(client, "/sign-in/code", "/sign-in/code", code=code)


async def test_new_member_signs_in_claims_and_signs_out(app: Application, client: httpx.AsyncClient) -> None:
    await world_of(app)
    services = services_of(app)
    # The password is typed first; signing in leads back to it.
    to_sign_in = (await claim(client)).headers["location"]
    asked = await ask(client, to_sign_in)
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in/code")
    page = (await client.get("/sign-in/code")).text
    assert says(page, "+852 5123 4567") and says(page, "5 minutes and 5 tries")
    entered = await enter(client, await sent_code(services.database))
    assert (entered.status_code, entered.headers["location"]) == (303, CAMPAIGN)
    cookie = next(
        value for value in entered.headers.get_list("set-cookie") if value.startswith(MEMBER_COOKIE)
    )
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    back = await client.get(CAMPAIGN)
    assert 'value="PASSWORD0"' in back.text and says(back.text, "Welcome! You are a member now.")
    gift = await post(client, CAMPAIGN, f"{CAMPAIGN}/claims", follow=True, password="PASSWORD0")
    assert says(gift.text, "2 coupons are in your wallet now.")
    account = await client.get("/account")
    assert says(account.text, "+852 5123 4567")
    await post(client, "/account", "/sign-out")
    assert (await client.get("/wallet")).headers["location"] == "/sign-in?next=/wallet"


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"phone": "12"}, 422, "This is not a phone number we can reach."),
        ({"phone": "x" * 900}, 422, "This is not a phone number we can reach."),
        ({"phone": "", "country": "??"}, 422, "This is not a phone number we can reach."),
        ({"channel": "pigeon"}, 422, "Codes are not sent in this way here."),
    ],
)
async def test_refusals_keep_the_number(
    client: httpx.AsyncClient, fields: dict[str, str], status: int, sentence: str
) -> None:
    answer = await ask(client, **fields)
    assert answer.status_code == status and says(answer.text, sentence)
    assert (
        f'name="phone" type="tel" inputmode="tel" autocomplete="tel" value="{fields.get("phone", PHONE)}"'
        in answer.text
    )


async def test_number_of_another_country(app: Application, client: httpx.AsyncClient) -> None:
    await ask(client, country="TH", phone="081 234 5678")
    assert says((await client.get("/sign-in/code")).text, "+66 81 234 5678")
    # A number with its own prefix needs no country.
    await ask(client, country="HK", phone="+66 81 234 5679")
    assert says((await client.get("/sign-in/code")).text, "+66 81 234 5679")


async def test_country_without_sign_in_is_refused(database_url: str) -> None:
    app = create_app(settings_for(database_url, sign_in_countries="HK,MO"))
    async with running(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            page = (await client.get("/sign-in")).text
            assert page.count("<option") == 2 and 'value="HK" selected' in page
            answer = await ask(client, phone="+66 81 234 5678")
    assert answer.status_code == 422 and says(answer.text, "We cannot send codes to this country.")


async def test_wrong_codes_count_down_and_end(app: Application, client: httpx.AsyncClient) -> None:
    await ask(client)
    right = await sent_code(services_of(app).database)
    wrong = "000000" if right != "000000" else "111111"
    for left in (4, 3, 2, 1, 0):
        answer = await enter(client, wrong)
        assert answer.status_code == 422 and says(answer.text, f"You have {left} tries left.")
    answer = await enter(client, right)
    assert says(answer.text, "That code is no longer valid. Ask for a new one.")
    assert MEMBER_COOKIE not in client.cookies


async def test_another_code_takes_a_growing_wait(app: Application, client: httpx.AsyncClient) -> None:
    await ask(client)
    page = (await client.get("/sign-in/code")).text
    assert says(page, "You can ask for another code in 30 s") or says(
        page, "You can ask for another code in 29 s"
    )
    # The other ways come first: the one used has not brought it.
    assert page.index('value="whatsapp"') < page.index('value="sms"')
    hidden = hidden_fields(page, "/sign-in/code")
    early = await client.post("/sign-in/code", data={**hidden, "channel": "voice"})
    assert early.status_code == 429 and says(early.text, "A code is on its way.")
    assert int(early.headers["retry-after"]) <= 30
    async with transaction(services_of(app).database) as tx:
        await tx.execute(
            text("UPDATE sign_in_phone SET last_requested_at = last_requested_at - interval '31 s'")
        )
    again = await client.post("/sign-in/code", data={**hidden, "channel": "voice"})
    assert again.status_code == 303
    page = (await client.get("/sign-in/code")).text
    assert says(page, "We are calling +852 5123 4567.")
    assert says(page, "another code in 60 s") or says(page, "another code in 59 s")


async def test_busy_channel_comes_last_and_says_so(app: Application, client: httpx.AsyncClient) -> None:
    services = services_of(app)
    now = services.now()
    async with transaction(services.database) as tx:
        await tx.execute(
            insert(Notice).values(
                id=new_id(),
                channel="sms",
                recipient="+85251110000",
                language="en",
                template="sign_in_code",
                values={},
                next_attempt_at=now,
                created_at=now.replace(year=now.year - 1),
                expires_at=now.replace(year=now.year + 1),
            )
        )
    page = (await client.get("/sign-in")).text
    assert page.index('value="whatsapp"') < page.index('value="voice"') < page.index('value="sms"')
    assert page.count("busy, may be late") == 1


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
async def test_next_leads_to_this_site_only(app: Application, client: httpx.AsyncClient, target: str) -> None:
    await ask(client, next=target)
    entered = await enter(client, await sent_code(services_of(app).database))
    assert entered.headers["location"] == "/wallet"


async def test_code_page_needs_a_code_on_its_way(client: httpx.AsyncClient) -> None:
    assert (await client.get("/sign-in/code")).headers["location"] == "/sign-in"
    for broken in ("x", "W10", "eyJpZCI6IDF9"):
        client.cookies.set("tearline_sign_in", broken, path="/sign-in")
        assert (await client.get("/sign-in/code")).status_code == 303


async def test_whoever_is_signed_in_goes_on(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    answer = await client.get("/sign-in?next=/c/WINTER-1")
    assert (answer.status_code, answer.headers["location"]) == (303, CAMPAIGN)


async def test_signing_out_everywhere_ends_every_session(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    token = sign_in(app, client, world.members[0])
    done = await post(client, "/account", "/sign-out-everywhere")
    assert done.status_code == 303
    # The other phone still has the token, and it opens nothing.
    client.cookies.set(MEMBER_COOKIE, token)
    for path in ("/wallet", "/account"):
        assert (await client.get(path)).headers["location"] == f"/sign-in?next={path}"
    assert says((await client.get("/")).text, "Sign in with your phone")
    answer = await claim(client)
    assert answer.headers["location"] == "/sign-in?next=/c/WINTER-1"


async def test_member_changes_name_and_language(app: Application, client: httpx.AsyncClient) -> None:
    world = await world_of(app)
    sign_in(app, client, world.members[0])
    saved = await post(client, "/account", "/account", name="Yip Wing-yan", language="zh-Hant")
    assert saved.status_code == 303
    page = (await client.get("/account")).text
    assert 'value="Yip Wing-yan"' in page and 'value="zh-Hant" selected' in page
    refused = await post(client, "/account", "/account", name="x" * 101, language="zh-Hant")
    assert refused.status_code == 422


async def test_demo_tells_where_the_codes_are(client: httpx.AsyncClient, database_url: str) -> None:
    assert "/dev/outbox" in (await client.get("/sign-in")).text
    real = create_app(
        settings_for(
            database_url, demo=False, sms_providers="gateway", whatsapp_providers="", voice_providers="",
            gateway_url="http://127.0.0.1:9/",
        )
    )  # fmt: skip
    async with running(real):
        transport = httpx.ASGITransport(real)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as other:
            page = (await other.get("/sign-in")).text
    assert "/dev/outbox" not in page and 'value="whatsapp"' not in page
