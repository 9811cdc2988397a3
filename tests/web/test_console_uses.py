"""A partner's file of uses, in the console."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import select

from tearline.coupons.model import Coupon
from tearline.sales.desk import SaleDesk
from tearline.sales.model import Voucher
from tearline.web.app import Application
from tests.sale_worlds import make_sale, order, settle
from tests.web.browsing import Browser, Page, console_browser

pytestmark = pytest.mark.anyio


async def send(browser: Browser, here: str, content: bytes, *, token: str | None = None) -> Page:
    answer = await browser.client.post(
        here,
        data={"_csrf_token": browser.token if token is None else token},
        files={"file": ("uses.csv", content, "text/csv")},
        headers={"accept-language": "en"},
    )
    return Page(answer)


async def test_a_file_of_uses_is_taken_and_summed_up(app: Application, client: httpx.AsyncClient) -> None:
    browser = await console_browser(app, client)
    database = app.litestar.state.services.database
    sale = await make_sale(database)
    desk = SaleDesk(database, notice_channel=None)
    await settle(database, desk, sale, 0, await order(desk, sale, 0, 2))
    async with database.connection() as connection:
        codes = list(await connection.scalars(select(Voucher.code).order_by(Voucher.position)))
    here = f"/console/merchants/{sale.merchant_id}/uses"
    assert here in (await browser.get(f"/console/merchants/{sale.merchant_id}")).html
    assert "File of uses" in (await browser.get(here)).text
    unsold = "0" + "7".rjust(19, "0")
    page = await send(browser, here, f"code,when\n{codes[0]},\n{unsold},\nNOBODYS-1,\n".encode())
    assert page.status == 200
    assert "redeemed now" in page.text and "should worry the partner" in page.text
    assert unsold in page.text and "Unknown code" in page.text
    async with database.connection() as connection:
        assert sorted(await connection.scalars(select(Coupon.state))) == ["redeemed", "sold"]
    assert "reported before" in (await send(browser, here, codes[0].encode())).text
    nothing = await send(browser, here, b"%PDF-1.7")
    assert (nothing.status, "could not be read" in nothing.text) == (422, True)
    assert (await send(browser, here, codes[1].encode(), token="wrong")).status == 403
    assert (await browser.client.post(here, content=b"x")).status_code in (400, 403, 415)


async def test_only_those_who_may_report(app: Application, client: httpx.AsyncClient) -> None:
    finance = await console_browser(app, client, "finance")
    sale = await make_sale(app.litestar.state.services.database, members=0)
    here = f"/console/merchants/{sale.merchant_id}/uses"
    assert here not in (await finance.get(f"/console/merchants/{sale.merchant_id}")).html
    assert (await finance.get(here)).status == 403
    assert (await send(finance, here, b"1")).status == 403
