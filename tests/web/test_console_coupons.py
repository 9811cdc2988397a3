"""Finding a coupon by its code in the console."""

from __future__ import annotations

import httpx
import pytest

from tearline.core.codes import display
from tearline.web.app import Application
from tests.held_by_orders import ORDER_NUMBER, hold_for_order, use_in_order
from tests.web.browsing import console_browser
from tests.worlds import make_world

pytestmark = pytest.mark.anyio


async def test_a_coupon_is_found_by_its_code(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    services = app.litestar.state.services
    world = await make_world(services.database)
    answer = await services.claim_desk.claim(world.campaign_code, world.members[0], 1, "PASSWORD0", "key-1")
    coupon = answer.coupons[0]
    assert 'href="/console/coupons"' in (await browser.get("/console")).html

    page = await browser.send("/console/coupons", {"code": "ABC"})
    assert page.status == 422 and "This code has a typing mistake" in page.errors
    # Well formed, its check character included, but nobody's.
    page = await browser.send("/console/coupons", {"code": "0000000000000" + "2"})
    assert page.status == 422

    page = await browser.send("/console/coupons", {"code": display(coupon.code).lower()})
    here = f"/console/coupons/{world.members[0]}/{coupon.id}"
    assert page.answer.url.path == here
    for shown in (
        display(coupon.code), "Usable", "HK$50 off", "Winter in the City", "Gift 0", "+852 6000 0000",
        "Nothing redeemed yet.",
    ):  # fmt: skip
        assert shown in page.text, shown
    void = f"/console/members/{world.members[0]}/coupons/{coupon.id}/void"
    assert void in page.html
    assert f'href="{here}"' in (await browser.get(f"/console/members/{world.members[0]}")).html

    await browser.send(void, {"reason": "Lost"})
    page = await browser.get(here)
    assert "Coupon cancelled" in page.text and void not in page.html
    elsewhere = await browser.get(f"/console/coupons/{world.members[1]}/{coupon.id}")
    assert elsewhere.status == 404


async def test_finance_sees_the_coupon_and_not_the_member(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client, "finance")
    services = app.litestar.state.services
    world = await make_world(services.database)
    answer = await services.claim_desk.claim(world.campaign_code, world.members[0], 1, "PASSWORD0", "key-1")
    page = await browser.send("/console/coupons", {"code": answer.coupons[0].code})
    assert page.status == 200 and "Winter in the City" in page.text
    assert "6000 0000" not in page.text and "/console/members/" not in page.html
    assert "Cancel this coupon" not in page.text


async def test_what_an_online_order_holds_and_used_is_told(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client)
    services = app.litestar.state.services
    world = await make_world(services.database)
    member_id = world.members[0]
    answer = await services.claim_desk.claim(world.campaign_code, member_id, 1, "PASSWORD0", "key-1")
    held, used = answer.coupons
    await hold_for_order(services.database, member_id, held.id)
    await use_in_order(
        services.database, member_id, used.id, offer_id=used.offer_id, merchant_id=world.merchant_id
    )
    page = await browser.get(f"/console/coupons/{member_id}/{held.id}")
    assert "Kept for an online order until" in page.text and "Kept at a counter" not in page.text
    page = await browser.get(f"/console/coupons/{member_id}/{used.id}")
    assert f"Order {ORDER_NUMBER}" in page.text
    assert "Online order" in (await browser.get(f"/console/members/{member_id}")).text
