"""A partner's sales in the merchant face: figures, orders and statements; single vouchers and reports of their use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select, update

from tearline.campaigns.model import Campaign
from tearline.coupons.model import Coupon
from tearline.db import transaction
from tearline.merchants.model import AuditEntry
from tearline.web.app import Application
from tests.cashiers import Browser
from tests.sale_worlds import assert_clean
from tests.web.partners import Partner, make_partner

pytestmark = pytest.mark.anyio

FAR = "from=2020-01-01&to=2099-12-31"


@pytest.fixture
async def partner(app: Application) -> Partner:
    return await make_partner(app)


def _path(partner: Partner) -> str:
    return f"/merchant/sales/{partner.sale.campaign_id}"


async def _report(somebody: Browser, content: bytes, token: str | None = None) -> httpx.Response:
    data = {"_csrf_token": somebody.csrf if token is None else token}
    files = {"file": ("uses.csv", content, "text/csv")}
    page = await somebody.http.post("/merchant/uses", data=data, files=files, follow_redirects=True)
    somebody.page = page
    return page


# Sales


async def test_a_manager_sees_what_was_sold(partner: Partner) -> None:
    pim = partner.manager
    await partner.sell(2)
    await partner.sell(1, item=1, member=1)
    await pim.get("/merchant/sales")
    # Two at THB 265.00, of which the platform keeps an eighth.
    assert "Dining vouchers" in pim.text and "2 entries" in pim.text
    for amount in ("฿530", "66.25", "463.75"):
        assert amount in pim.text, amount
    exported = await pim.get("/merchant/sales/export?format=csv")
    assert "530.0" in exported.text and "463.75" in exported.text
    await pim.get(_path(partner))
    assert "3 sold" in pim.text.replace("sold 3", "3 sold") and "By voucher" in pim.text
    for amount in ("฿795", "฿530", "463.75", "฿265"):
        assert amount in pim.text, amount
    await pim.get(f"{_path(partner)}/now")
    assert pim.page is not None and "฿795" in pim.page.text and "<html" not in pim.page.text
    exported = await pim.get(f"{_path(partner)}/orders/export")
    assert exported.text.count("\r\n") == 3
    assert "+852" not in exported.text and "Phone" not in exported.text


async def test_a_pool_that_runs_out_is_told_on_the_sales_page(partner: Partner) -> None:
    await partner.sell(3, item=1)
    await partner.manager.get(_path(partner))
    assert "no code is left to sell" in partner.manager.text


async def test_the_statement_of_a_period(partner: Partner) -> None:
    pim = partner.manager
    order = await partner.sell(2)
    await pim.get("/merchant/statement")
    assert "Nothing was sold in this period" in pim.text
    await pim.get(f"/merchant/statement?{FAR}")
    assert "463.75" in pim.text and "THB" in pim.text
    workbook = await pim.get(f"/merchant/statement/file?{FAR}&currency=THB&format=xlsx")
    assert (
        workbook.content.startswith(b"PK")
        and "statement-bistro-THB" in workbook.headers["content-disposition"]
    )
    document = await pim.get(f"/merchant/statement/file?{FAR}&currency=THB&format=pdf")
    assert document.content.startswith(b"%PDF")
    assert (await pim.get("/merchant/statement?from=2026-02-02&to=2026-02-01")).status_code == 422
    assert (await pim.get("/merchant/statement/file?from=nonsense&currency=THB")).status_code == 400
    assert (await pim.get(f"/merchant/statement/file?{FAR}&currency=USD")).status_code == 404
    assert order.number not in pim.text


async def test_sales_that_are_being_prepared_are_not_shown(partner: Partner) -> None:
    async with transaction(partner.database) as tx:
        await tx.execute(update(Campaign).values(state="draft"))
    await partner.manager.get("/merchant/sales")
    assert "No sales yet" in partner.manager.text
    for path in (_path(partner), f"{_path(partner)}/now", f"{_path(partner)}/orders/export"):
        assert (await partner.manager.get(path)).status_code == 404, path


async def test_of_a_sale_of_several_each_sees_its_own(partner: Partner) -> None:
    ann, pim = await partner.rival(), partner.manager
    await partner.sell(2)
    await partner.sell(1, item=2, member=1)
    await pim.get("/merchant/sales")
    assert "2 entries" in pim.text and "฿12,345" not in pim.text and "Peak" not in pim.text
    await pim.get(_path(partner))
    assert "฿530" in pim.text and "฿12,345" not in pim.text and "Peak" not in pim.text
    await pim.get(f"/merchant/statement?{FAR}")
    assert "฿530" in pim.text and "฿12,345" not in pim.text
    await ann.get("/merchant/sales")
    assert "1 entry" in ann.text and "฿12,345" in ann.text and "฿530" not in ann.text
    await ann.get(_path(partner))
    assert "฿12,345" in ann.text and "฿530" not in ann.text and "HK$50 off" not in ann.text
    assert (await ann.get(f"{_path(partner)}/orders/export")).text.count("\r\n") == 2
    # Whose statement it is says the session, and nothing in the address.
    await ann.get(f"/merchant/statement?{FAR}&merchant={partner.sale.merchant_id}")
    assert "11,110.50" in ann.text and "463.75" not in ann.text


async def test_another_merchants_manager_finds_no_sale(partner: Partner) -> None:
    ann = await partner.stranger()
    await partner.sell(1)
    await ann.get("/merchant/sales")
    assert "No sales yet" in ann.text
    for path in (_path(partner), f"{_path(partner)}/now", f"{_path(partner)}/orders/export"):
        assert (await ann.get(path)).status_code == 404, path
    await ann.get(f"/merchant/statement?{FAR}")
    assert "Nothing was sold in this period" in ann.text
    assert (await ann.get(f"/merchant/statement/file?{FAR}&currency=THB")).status_code == 404


async def test_a_cashier_is_refused(partner: Partner) -> None:
    mei = await partner.cashier()
    await partner.sell(1)
    code = (await partner.codes_sold())[0][0]
    await mei.get("/merchant")
    for path in (
        "/merchant/sales", "/merchant/sales/export", _path(partner), f"{_path(partner)}/now",
        f"{_path(partner)}/orders/export", f"/merchant/statement?{FAR}",
        f"/merchant/statement/file?{FAR}&currency=THB", "/merchant/uses", "/merchant/vouchers",
    ):  # fmt: skip
        assert (await mei.get(path)).status_code == 403, path
    assert (await mei.post("/merchant/vouchers", code=code)).status_code == 403
    assert (await _report(mei, code.encode())).status_code == 403
    async with partner.database.connection() as connection:
        assert list(await connection.scalars(select(Coupon.state))) == ["sold"]


# Single vouchers


async def test_a_voucher_is_found_by_either_code(partner: Partner) -> None:
    pim = partner.manager
    order = await partner.sell(2)
    theirs, ours = (await partner.codes_sold())[0]
    await pim.get("/merchant/vouchers")
    assert "type either of its codes" in pim.text
    for typed in (theirs, ours, ours.lower()):
        page = await pim.post("/merchant/vouchers", code=typed)
        assert page.status_code == 200
        assert pim.path == "/merchant/vouchers" and "code=" not in str(page.url)
        assert theirs in pim.text and order.number in pim.text and "Sold" in pim.text, typed
        assert "/console/" not in page.text
    await pim.post("/merchant/vouchers", code=order.number)
    assert theirs in pim.text and (await partner.codes_sold())[1][0] in pim.text
    # One that was not sold.
    await pim.post("/merchant/vouchers", code="0" + "9".zfill(19))
    assert "Unsold" in pim.text and "Your codes" in pim.text
    page = await pim.post("/merchant/vouchers", code="NOBODYS-1")
    assert page.status_code == 422 and "None of your vouchers or codes reads like this" in pim.text
    assert (await pim.post("/merchant/vouchers", code="")).status_code == 422


async def test_only_ones_own_vouchers_are_found(partner: Partner) -> None:
    ann, pim = await partner.rival(), partner.manager
    order = await partner.sell(1)
    theirs, ours = (await partner.codes_sold())[0]
    await ann.get("/merchant/vouchers")
    for typed in (ours, order.number, "0" + "9".zfill(19)):
        assert (await ann.post("/merchant/vouchers", code=typed)).status_code == 422, typed
    # Both have this code; Ann's own is not sold.
    await ann.post("/merchant/vouchers", code=theirs)
    assert "Unsold" in ann.text and "Peak tea" in ann.text and order.number not in ann.text
    await pim.get("/merchant/vouchers")
    await pim.post("/merchant/vouchers", code=theirs)
    assert order.number in pim.text and "Peak tea" not in pim.text and "Unsold" not in pim.text


async def test_a_file_of_uses_is_taken(partner: Partner) -> None:
    pim = partner.manager
    await partner.sell(2)
    first, second = [theirs for theirs, _ours in await partner.codes_sold()]
    await pim.get("/merchant/uses")
    assert (await _report(pim, first.encode(), token="wrong")).status_code == 403
    unsold = "0" + "9".zfill(19)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d %H:%M")
    page = await _report(pim, f"code,when,where\n{first},{yesterday},Siam\n{unsold},\nNOBODYS-1,\n".encode())
    assert page.status_code == 200
    assert "should worry the partner" in pim.text and unsold in pim.text and "Unknown code" in pim.text
    async with partner.database.connection() as connection:
        assert sorted(await connection.scalars(select(Coupon.state))) == ["redeemed", "sold"]
        reported = select(AuditEntry.actor_name).where(AuditEntry.action == "voucher.uses_reported")
        assert list(await connection.scalars(reported)) == ["Pim"]
    await pim.post("/merchant/vouchers", code=first)
    assert "Redeemed" in pim.text
    await pim.post("/merchant/vouchers", code=second)
    assert "Redeemed" not in pim.text
    assert (await _report(pim, b"%PDF-1.7")).status_code == 422
    await assert_clean(partner.database)


async def test_another_merchants_report_changes_nothing(partner: Partner) -> None:
    ann = await partner.rival()
    await partner.sell(1)
    theirs = (await partner.codes_sold())[0][0]
    await ann.get("/merchant/uses")
    # Ann has the same code, unsold; and one of the partner's that Ann doesn't have.
    await _report(ann, f"{theirs},\n{'0' + '9'.zfill(19)},\n".encode())
    assert "Unknown code" in ann.text and "Not sold" in ann.text
    async with partner.database.connection() as connection:
        assert list(await connection.scalars(select(Coupon.state))) == ["sold"]
