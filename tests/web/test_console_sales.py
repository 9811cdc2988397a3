"""Sales in the console: form, vouchers, going live, figures, orders, alerts, and finding what was sold."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, select, update

from tearline.campaigns.model import Campaign
from tearline.db import Database, transaction
from tearline.merchants.model import AuditEntry
from tearline.pools.model import CodePool, HandBack, PartnerCode
from tearline.sales.model import SaleItem
from tearline.web.app import Application
from tests.sale_worlds import Sale, add_codes, make_sale, order, settle
from tests.web.browsing import Browser, Fields, console_browser
from tests.worlds import NOW, make_world

pytestmark = pytest.mark.anyio

BASICS: Fields = {
    "names.en": "June vouchers",
    "names.th": "คูปองมิถุนายน",
    "code": "june-1",
    "time_zone": "Asia/Bangkok",
    "starts_at": "2035-06-26T00:00",
    "ends_at": "2035-06-30T23:59",
    "edge": "teal",
}


def _database(app: Application) -> Database:
    database: Database = app.litestar.state.services.database
    return database


async def _item(app: Application) -> Any:
    async with _database(app).connection() as connection:
        return (await connection.execute(select(SaleItem.__table__))).one()


async def _create(browser: Browser, **changes: str | list[str]) -> str:
    page = await browser.post("/console/sales/new", {**BASICS, **changes})
    assert page.status == 200, page.errors
    return str(page.answer.url.path)


async def _bought(app: Application, sale: Sale, quantity: int = 2, *, member: int = 0) -> Any:
    services = app.litestar.state.services
    taken = await order(services.sale_desk, sale, member, quantity)
    await settle(services.database, services.sale_desk, sale, member, taken)
    return taken


async def test_a_sale_is_made_and_run(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "editor")
    world = await make_world(_database(app), bundle=(1,), offer={"currency": "THB"})
    page = await browser.get("/console/campaigns")
    assert "/console/sales/new" in page.html
    page = await browser.get("/console/sales/new")
    assert "Selling period" in page.text and "limit_per_member" not in page.html
    assert "/console/sales/new" in (await browser.get("/console/campaigns/new")).html
    here = await _create(browser)
    page = await browser.get(here)
    assert "No vouchers yet" in page.text
    page = await browser.post(f"{here}/live")
    assert "Add at least one voucher first." in page.text

    fields: Fields = {
        "offer": str(world.offers[0]), "price": "265", "face_value": "300.50", "commission": "12.5",
        "quantity": "1000", "limit_per_order": "4", "limit_per_member": "8",
    }  # fmt: skip
    page = await browser.send(f"{here}/items/new", {**fields, "quantity": ""})
    assert page.status == 422 and "Say how many may be sold" in page.errors
    assert 'href="#field-quantity"' in page.html
    page = await browser.send(f"{here}/items/new", {**fields, "price": "301"})
    assert page.status == 422 and "above what the voucher is worth" in page.errors
    page = await browser.send(f"{here}/items/new", fields)
    assert "The voucher is added." in page.text, page.errors
    item = await _item(app)
    assert (item.price, item.face_value, item.commission_basis_points, item.currency) == (
        26_500,
        30_050,
        1_250,
        "THB",
    )
    assert (item.quantity, item.limit_per_order, item.limit_per_member) == (1000, 4, 8)
    page = await browser.send(f"{here}/items/new", fields)
    assert (
        page.status == 422 and 'href="#field-offer"' in page.html and "has this offer already" in page.errors
    )

    page = await browser.post(f"{here}/live")
    assert "The sale is live" in page.text
    path = f"{here}/items/{item.id}"
    form = (await browser.get(path)).form(path)
    assert {"price", "face_value", "commission"} <= form.disabled
    page = await browser.send(path, {"limit_per_order": "6"})
    assert "Saved." in page.text, page.errors
    page = await browser.send(f"{path}/quantity", {"quantity": "900"})
    assert page.status == 422 and "can only be raised" in page.errors
    page = await browser.send(f"{path}/quantity", {"quantity": "1500"})
    assert "More can be sold now." in page.text
    page = await browser.post(f"{here}/pause")
    assert "The sale is paused" in page.text
    page = await browser.send(path, {"price": "270"})
    assert "Saved." in page.text, page.errors
    item = await _item(app)
    assert (item.price, item.limit_per_order, item.quantity) == (27_000, 6, 1500)
    page = await browser.send(f"{here}/edit", {"names.en": "Late June"})
    assert "Late June" in page.text
    page = await browser.post(f"{here}/resume")
    assert "The sale goes on" in page.text
    page = await browser.post(f"{here}/archive")
    assert "The sale is archived" in page.text
    async with _database(app).connection() as connection:
        acts = (await connection.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert [act for act in acts if act.startswith(("sale_item", "campaign"))] == [
        "campaign.created", "sale_item.added", "campaign.went_live", "sale_item.changed",
        "sale_item.quantity_raised", "campaign.paused", "sale_item.changed", "campaign.changed",
        "campaign.resumed", "campaign.archived",
    ]  # fmt: skip


async def test_a_voucher_is_taken_out_of_a_draft(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    world = await make_world(_database(app))
    sale = await make_sale(_database(app), members=0, campaign={"state": "draft"})
    here = f"/console/campaigns/{sale.campaign_id}"
    page = await browser.post(f"{here}/items/{sale.items[0]}/remove")
    assert "The voucher is taken out." in page.text and "No vouchers yet" in page.text
    assert (await browser.get(f"{here}/items/{sale.items[0]}")).status == 404
    # A page of one kind answers nothing for the other.
    assert (await browser.get(f"/console/campaigns/{world.campaign_id}/items/new")).status == 404
    assert (await browser.get(f"/console/campaigns/{world.campaign_id}/sold")).status == 404


async def test_the_figures_of_a_sale(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "finance")
    sale = await make_sale(_database(app))
    await _bought(app, sale)
    await order(app.litestar.state.services.sale_desk, sale, 1, 3)
    here = f"/console/campaigns/{sale.campaign_id}"
    page = await browser.get(here)
    figures = [(label, value) for label, value in re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page.html)]
    shown = dict(reversed(figures))
    assert (shown["left to sell"], shown["in orders being paid"], shown["sold"]) == ("5", "3", "2")
    assert shown["codes uploaded"] == "10"
    # Of 2 x 265.00 one eighth is the platform's.
    assert (shown["revenue"], shown["commission of the platform"], shown["payable to merchants"]) == (
        "฿530", "฿66.25", "฿463.75",
    )  # fmt: skip
    assert "runs out about" in page.text and "Vouchers sold by hour" in page.text
    assert "/console/pools" not in page.html
    assert "Vouchers sold by day" in (await browser.get(f"{here}?by=day")).text
    assert "left to sell" in (await browser.get(f"{here}/sold")).text
    assert "Vouchers sold by hour" in (await browser.get(f"{here}/sold/plot")).text
    page = await browser.get("/console/campaigns?kind=sale")
    assert "2 sold" in page.text and "5 left" in page.text
    page = await browser.get("/console")
    assert "5 of 10 left" in page.text and "sold, last 24 hours" in page.text


async def test_orders_are_listed_and_shown(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    sale = await make_sale(_database(app))
    desk = app.litestar.state.services.sale_desk
    paid = await _bought(app, sale)
    open_order = await order(desk, sale, 1, 3)
    await desk.release(sale.code, sale.members[1], open_order.order_id, "expired")
    page = await browser.get("/console/orders")
    assert paid.number in page.text and open_order.number in page.text
    for query, number in (
        ("state=paid", paid.number),
        ("state=released", open_order.number),
        (f"q={paid.number}", paid.number),
        ("q=%2B85260000001", open_order.number),
    ):
        page = await browser.get(f"/console/orders?{query}")
        assert number in page.text and page.text.count("Bistro") <= 2, query
        other = {paid.number, open_order.number} - {number}
        assert other.pop() not in page.text, query
    assert paid.number in (await browser.get(f"/console/orders?sale={sale.campaign_id}&sort=-amount")).text
    exported = await browser.client.get("/console/orders/export?format=csv&state=paid")
    assert paid.number in exported.text and "530" in exported.text and open_order.number not in exported.text
    page = await browser.get(f"/console/orders/{paid.order_id}")
    assert "00000000000000000000" in page.text and "00000000000000000001" in page.text
    assert "charge-1" in page.text and "Payable to the merchant" in page.text
    page = await browser.get(f"/console/orders/{open_order.order_id}")
    assert "not paid in time" in page.text and "Nothing was delivered." in page.text
    assert (await browser.get(f"/console/orders/{sale.campaign_id}")).status == 404


async def test_a_voucher_is_found_by_either_code_or_the_order(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, database = await console_browser(app, client), _database(app)
    other = await make_world(database, bundle=(1,))
    sale = await make_sale(database, members=0)
    sale.members = other.members
    bought = await _bought(app, sale, 1)
    pair = await _bought(app, sale, 2, member=1)
    partner_code = "0" * 20
    page = await browser.post("/console/coupons", {"code": partner_code})
    path = str(page.answer.url.path)
    assert re.fullmatch(r"/console/coupons/[0-9a-f-]{36}/[0-9a-f-]{36}", path)
    assert partner_code in page.text and bought.number in page.text and "Sold" in page.text
    assert f"{path}/void" not in page.html
    ours = re.search(r"Coupon ([0-9A-Z]{5}-[0-9A-Z]{4}-[0-9A-Z]{5})", page.text)
    assert ours
    for typed in (ours.group(1), ours.group(1).lower(), bought.number, f" {bought.number.lower()} "):
        assert (await browser.post("/console/coupons", {"code": typed})).answer.url.path == path
    page = await browser.post("/console/coupons", {"code": pair.number})
    assert page.answer.url.path == "/console/coupons" and page.text.count(pair.number) >= 2

    # Another partner has the very same code, unsold.
    async with transaction(database) as tx:
        await tx.execute(
            insert(CodePool).values(
                id=other.store_id, offer_id=other.offers[0], merchant_id=other.merchant_id, size=1, available=1,
                created_at=NOW, updated_at=NOW,
            )
        )  # fmt: skip
        await tx.execute(
            insert(PartnerCode).values(
                pool_id=other.store_id, position=0, merchant_id=other.merchant_id, code=partner_code
            )
        )
    page = await browser.post("/console/coupons", {"code": partner_code})
    assert page.status == 200 and "Bistro" in page.text and "Harbour Books" in page.text
    assert "Unsold" in page.text and f"/console/pools/{other.store_id}" in page.html
    # Who may not see unsold codes does not learn that there is one.
    browser.client.cookies.clear()
    finance = await console_browser(app, client, "finance")
    page = await finance.post("/console/coupons", {"code": partner_code})
    assert page.answer.url.path == path
    page = await finance.post("/console/coupons", {"code": "0" * 17 + "005"})
    assert page.status == 422


async def test_a_partner_has_statements(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client, "finance")
    sale = await make_sale(_database(app))
    await _bought(app, sale)
    await _bought(app, sale, 1, member=1)
    here = f"/console/merchants/{sale.merchant_id}/statement"
    assert here in (await browser.get(f"/console/merchants/{sale.merchant_id}")).html
    # The last month is over, and nothing was sold then.
    assert "Nothing was sold in this period" in (await browser.get(here)).text
    period = "from=2020-01-01&to=2199-12-31"
    page = await browser.get(f"{here}?{period}")
    assert "฿795" in page.text and "฿695.62" in page.text and "vouchers sold" in page.text
    for kind, mark in (("xlsx", b"PK"), ("pdf", b"%PDF")):
        answer = await browser.client.get(f"{here}/file?{period}&currency=THB&format={kind}")
        assert answer.content.startswith(mark) and kind in answer.headers["content-disposition"]
    assert (await browser.get(f"{here}/file?{period}&currency=HKD")).status == 404
    for wrong in (
        "from=2026-02-30&to=2026-03-01",
        "from=2026-03-02&to=2026-03-01",
        "from=1000-01-01&to=9999-12-31",
    ):
        page = await browser.get(f"{here}?{wrong}")
        assert page.status == 422 and page.errors, wrong
    assert (await browser.get(f"{here}/file?from=x&to=y&currency=THB")).status == 400


async def test_the_alerts_of_pools(app: Application, client: httpx.AsyncClient) -> None:
    browser, database = await console_browser(app, client), _database(app)
    sale = await make_sale(database)
    here = f"/console/campaigns/{sale.campaign_id}"
    assert "Running out" not in (await browser.get("/console")).text
    async with transaction(database) as tx:
        await tx.execute(update(CodePool).values(low_stock=10))
    await _bought(app, sale)
    page = await browser.get("/console")
    assert "8 codes left." in page.text and "At this pace they run out about" in page.text
    assert "Only 8 codes are left" in (await browser.get(here)).text
    await _bought(app, sale, 8)
    assert "no code is left to sell" in (await browser.get("/console")).text
    assert "is empty" in (await browser.get(here)).text
    async with transaction(database) as tx:
        await add_codes(tx, _one(sale.pools), 7)
        await tx.execute(update(Campaign).values(ends_at=datetime.now(UTC) - timedelta(minutes=1)))
    assert "7 codes were not handed back yet" in (await browser.get("/console")).text
    assert "7 codes of" in (await browser.get(here)).text
    page = await browser.post(f"/console/pools/{sale.pools[0]}/hand-back")
    assert "The unsold codes are withdrawn" in page.text and "Dining vouchers" in page.text
    page = await browser.get("/console")
    assert "has not been downloaded" in page.text and "not handed back" not in page.text
    async with database.connection() as connection:
        found = (await connection.execute(select(HandBack.id, HandBack.campaign_id))).one()
    assert found.campaign_id == sale.campaign_id
    await browser.client.get(f"/console/pools/{sale.pools[0]}/hand-backs/{found.id}?format=csv")
    assert "has not been downloaded" not in (await browser.get("/console")).text


async def test_alerts_of_pools_are_for_those_who_may_see_codes(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, database = await console_browser(app, client, "finance"), _database(app)
    await make_sale(database)
    async with transaction(database) as tx:
        await tx.execute(update(CodePool).values(low_stock=20))
    page = await browser.get("/console")
    assert page.status == 200 and "codes left" not in page.text


def _one(pools: list[UUID | None]) -> UUID:
    (pool_id,) = pools
    assert pool_id is not None
    return pool_id


@pytest.mark.parametrize("role", ["finance", "auditor"])
async def test_those_who_only_read(app: Application, client: httpx.AsyncClient, role: str) -> None:
    browser = await console_browser(app, client, role)
    sale = await make_sale(_database(app), campaign={"state": "draft"})
    here = f"/console/campaigns/{sale.campaign_id}"
    page = await browser.get(here)
    assert page.status == 200 and f"{here}/edit" not in page.html and f"{here}/live" not in page.html
    for path in (f"{here}/edit", f"{here}/items/new", f"{here}/items/{sale.items[0]}", "/console/sales/new"):
        assert (await browser.get(path)).status == 403
    for path in (f"{here}/live", f"{here}/items/{sale.items[0]}/remove", "/console/sales/new"):
        assert (await browser.post(path)).status == 403
    assert (await browser.get("/console/orders")).status == 200
