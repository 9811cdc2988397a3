"""Merchants, stores, staff, keys, members and the audit log in the console."""

from __future__ import annotations

import re
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from tearline.coupons.model import Coupon
from tearline.members.model import Member
from tearline.web.app import Application
from tests.web.browsing import PASSWORD, Browser, Fields, console_browser
from tests.worlds import World, make_world

pytestmark = pytest.mark.anyio

MERCHANT: Fields = {
    "names.en": "Tea House",
    "names.th": "ร้านชา",
    "code": "tea-house",
    "kind": "dining",
    "edge": "jade",
}
STORE: Fields = {
    "names.en": "Central",
    "code": "c-1",
    "addresses.en": "1 Queen's Road",
    "phone": "+852 2345 6789",
}


def _id_in(page: object, after: str) -> UUID:
    found = re.search(after + r"/([0-9a-f-]{36})", str(page.answer.url))  # type: ignore[attr-defined]
    assert found, page.answer.url  # type: ignore[attr-defined]
    return UUID(found.group(1))


async def _world(app: Application) -> World:
    return await make_world(app.litestar.state.services.database)


async def test_a_merchant_with_its_stores(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "editor")
    page = await browser.post("/console/merchants/new", MERCHANT)
    here = f"/console/merchants/{_id_in(page, 'merchants')}"
    page = await browser.send(f"{here}/stores/new", STORE)
    assert "C-1" in page.text and "1 Queen's Road" in page.text
    page = await browser.send(f"{here}/stores/new", STORE)
    assert 'href="#field-code"' in page.html and page.status == 422
    store = re.search(r"/console/stores/[0-9a-f-]{36}", (await browser.get(here)).html)
    assert store
    page = await browser.send(store.group(0), {"district": "Central", "phone": "not a phone"})
    assert "This is not a phone number." in page.errors
    await browser.send(store.group(0), {"district": "Sheung Wan"})
    page = await browser.post(f"{store.group(0)}/close")
    assert "Sheung Wan" in page.text and "Closed" in page.text
    page = await browser.post(f"{store.group(0)}/reopen")
    assert "The store is open again." in page.text
    page = await browser.send(f"{here}/edit", {"kind": "retail", "image": "art/tea.svg"})
    assert "Retail" in page.text and 'src="/static/' in page.html
    page = await browser.post(f"{here}/suspend")
    assert "Suspended" in page.text
    page = await browser.post(f"{here}/resume")
    assert "The merchant can go on." in page.text
    page = await browser.get("/console/merchants?q=ร้าน&kind=retail")
    assert here in page.html
    page = await browser.get("/console/merchants?q=coffee")
    assert "Nothing matches" in page.text
    csv = (await client.get("/console/merchants/export?format=csv")).text
    assert "Tea House" in csv and "tea-house" in csv
    assert (await client.get("/console/merchants/export?format=xlsx")).content.startswith(b"PK")


async def test_the_log_tells_texts_language_by_language(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    await browser.post("/console/merchants/new", MERCHANT)
    page = await browser.get("/console/audit?subject=merchant")
    assert 'lang="en">English: Tea House<' in page.html and 'lang="th">ไทย: ร้านชา<' in page.html
    assert '{"en' not in page.html and "{&#34;en" not in page.html


async def test_a_merchants_staff_is_made_by_the_owner(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    here = f"/console/merchants/{world.merchant_id}/staff"
    person: Fields = {"email": "mei@example.org", "name": "Mei", "role": "cashier", "language": "th"}
    page = await browser.send(f"{here}/new", {**person, "password": "short"})
    assert "at least 10 characters" in page.errors
    page = await browser.send(
        f"{here}/new", {**person, "password": PASSWORD, "store_id": str(world.store_id)}
    )
    account = f"/console/staff/{_id_in(page, 'staff')}"
    assert "mei@example.org" in page.text
    page = await browser.send(account, {"role": "manager", "store_id": ""})
    assert "Saved." in page.text
    page = await browser.post(f"{account}/password", {"password": "mei@example.org"})
    assert page.status == 422
    page = await browser.post(f"{account}/password", {"password": "another calm password"})
    assert "The password is changed" in page.text
    page = await browser.post(f"{account}/disable")
    assert "Disabled" in page.text
    page = await browser.post(f"{account}/enable")
    assert "The account is open again." in page.text
    assert "Mei" in (await browser.get(here)).text
    assert "Mei" not in (await browser.get("/console/staff")).text


async def test_the_last_owner_stays(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    owner = re.search(r"/console/staff/[0-9a-f-]{36}", (await browser.get("/console/staff")).html)
    assert owner
    page = await browser.post(f"{owner.group(0)}/disable")
    assert "There must always be one active owner." in page.text
    page = await browser.send(owner.group(0), {"role": "editor"})
    assert "There must always be one active owner." in page.errors


async def test_a_key_is_shown_once_and_revoked(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    page = await browser.send("/console/keys/new", {"name": "Till", "owner.kind": "merchant"})
    assert page.status == 422
    wanted: Fields = {
        "name": "Till",
        "owner.kind": "merchant",
        "owner.merchant.merchant_id": str(world.merchant_id),
        "owner.merchant.scopes": ["redeem", "reverse"],
    }
    page = await browser.send("/console/keys/new", wanted)
    found = re.search(r"tl_[A-Za-z0-9_-]{43}", page.html)
    assert found, page.errors
    key = found.group(0)
    listed = await browser.get("/console/keys")
    assert "Till" in listed.text and key not in listed.html and key[:8] in listed.text
    bearer = {"authorization": f"Bearer {key}"}
    assert (await client.get("/api/v1/merchants", headers=bearer)).status_code == 403
    revoke = re.search(r"/console/keys/[0-9a-f-]{36}/revoke", listed.html)
    assert revoke
    await browser.post(revoke.group(0))
    app.litestar.state.services.api_keys.forget()
    assert (await client.get("/api/v1/merchants", headers=bearer)).status_code == 401


async def test_members_are_found_by_phone_name_card_group_and_tag(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client)
    for path, fields in (
        ("plans/new", {"code": "city", "names.en": "City Pass"}),
        ("plans/city/tiers/new", {"code": "gold", "names.en": "Gold", "rank": "1"}),
        ("groups/new", {"code": "hotel", "names.en": "Hotel guests"}),
    ):
        page = await browser.send(f"/console/membership/{path}", fields)
        assert "Saved." in page.text, page.errors
    assert "City Pass" in page.text and "Hotel guests" in page.text
    person: Fields = {
        "phone": "9123 4567",
        "name": "Chan Tai Man",
        "card": "city/gold",
        "groups": "hotel",
        "tags": "Foodie, VIP",
    }
    page = await browser.send("/console/members/new", person)
    assert "+852 9123 4567" in page.text, page.errors
    await browser.send("/console/members/new", {"phone": "+85261234567", "name": "Someone Else"})
    for query in (
        "q=9123+4567",
        "q=%2B852-9123-4567",
        "q=tai",
        "card=city",
        "card=city/gold",
        "group=hotel",
        "tag=vip",
    ):
        page = await browser.get(f"/console/members?{query}")
        assert "Chan Tai Man" in page.text and "Someone Else" not in page.text, query
    page = await browser.send("/console/members/new", person)
    assert "Another member has this phone number." in page.errors
    page = await browser.send("/console/members/new", {"phone": "12"})
    assert page.status == 422
    csv = (await client.get("/console/members/export?tag=foodie")).text
    assert "91234567" in csv and "foodie, vip" in csv and "Someone" not in csv
    page = await browser.send("/console/membership/plans/city", {"names.en": "City Pass Plus"})
    assert "City Pass Plus" in page.text


async def test_a_member_is_changed_blocked_and_signed_out(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    here = f"/console/members/{world.members[0]}"
    page = await browser.send(f"{here}/edit", {"name": "Mei", "tags": "walker\nVisitor"})
    assert "Mei" in page.text and "visitor, walker" in page.text
    page = await browser.post(f"{here}/phone", {"phone": "+852 9876 5432"})
    assert "+852 9876 5432" in page.text
    page = await browser.post(f"{here}/phone", {"phone": "no number"})
    assert "This is not a phone number we can reach." in page.text and page.status == 422
    page = await browser.post(f"{here}/end-sessions")
    assert "signed out everywhere" in page.text
    page = await browser.post(f"{here}/block")
    assert "Blocked" in page.text
    page = await browser.post(f"{here}/unblock")
    assert "Active" in page.text
    async with app.litestar.state.services.database.connection() as connection:
        epoch = await connection.scalar(select(Member.epoch).where(Member.id == world.members[0]))
    assert epoch == 4


async def test_a_coupon_is_cancelled_with_a_reason(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    services = app.litestar.state.services
    await services.claim_desk.claim(world.campaign_code, world.members[0], 1, "PASSWORD0", "key-1")
    here = f"/console/members/{world.members[0]}"
    page = await browser.get(here)
    assert "Usable (2)" in page.text and "Winter in the City" in page.text
    void = re.search(rf"{here}/coupons/([0-9a-f-]{{36}})/void", page.html)
    assert void
    page = await browser.send(void.group(0))
    assert page.status == 422
    page = await browser.send(void.group(0), {"reason": "Bought by mistake"})
    assert "The coupon is cancelled." in page.text and "Cancelled (1)" in page.text
    async with services.database.connection() as connection:
        state = await connection.scalar(select(Coupon.state).where(Coupon.id == UUID(void.group(1))))
    assert state == "void"
    page = await browser.send(void.group(0), {"reason": "again"})
    assert "This coupon has been cancelled." in page.errors
    log = await browser.get("/console/audit?subject=coupon")
    assert "Coupon cancelled" in log.text and "Bought by mistake" in log.text


async def test_a_coupon_of_somebody_else_is_not_found(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    services = app.litestar.state.services
    answer = await services.claim_desk.claim(world.campaign_code, world.members[0], 1, "PASSWORD0", "key-1")
    coupon_id = answer.coupons[0].id
    path = f"/console/members/{world.members[1]}/coupons/{coupon_id}/void"
    assert (await browser.get(path)).status == 404
    assert (await browser.post(path, {"reason": "x"})).status == 404


async def test_an_auditor_sees_members_and_the_log_and_changes_nothing(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client, "auditor"), await _world(app)
    page = await browser.get(f"/console/members/{world.members[0]}")
    assert page.status == 200
    assert "Block" not in page.text and "Edit" not in page.text
    assert (await browser.post(f"/console/members/{world.members[0]}/block")).status == 403
    page = await browser.get("/console/audit")
    assert "Signed in" in page.text
    assert "Signed in" not in (await browser.get("/console/audit?subject=offer")).text
    assert "staff.signed_in" in (await client.get("/console/audit/export")).text


async def test_a_list_pages_on_and_back(app: Application, client: httpx.AsyncClient) -> None:
    database = app.litestar.state.services.database
    await make_world(database, members=120)
    browser = await console_browser(app, client)
    seen: list[str] = []
    path = "/console/members?sort=phone"
    for _ in range(3):
        page = await browser.get(path)
        seen += re.findall(r'nowrap" href="/console/members/([0-9a-f-]{36})"', page.html)
        following = re.search(r'href="([^"]+)">Next', page.html)
        path = following.group(1).replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 120
    assert path == ""
    assert "120 entries" in page.text


async def test_pages_speak_the_readers_language(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    assert isinstance(browser, Browser)
    await browser.post("/console/account/language", {"language": "zh-Hant"})
    page = await browser.get("/console")
    assert '<html lang="zh-Hant">' in page.html
