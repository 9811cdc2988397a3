"""A partner's own codes in the merchant face: pools, uploads, hand-backs; and who may see them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from tearline.campaigns.model import Campaign
from tearline.db import transaction
from tearline.pools.model import CodeFile, CodePool, HandBack
from tearline.sales.closing import hand_back_unsold
from tearline.web.app import Application
from tests.cashiers import COMMAND, Browser, browser
from tests.web.browsing import Page
from tests.web.partners import Partner, make_partner

pytestmark = pytest.mark.anyio


@pytest.fixture
async def partner(app: Application) -> Partner:
    return await make_partner(app)


async def _upload(somebody: Browser, pool: str, content: bytes, token: str | None = None) -> Page:
    data = {"_csrf_token": somebody.csrf if token is None else token}
    files = {"file": ("codes.csv", content, "text/csv")}
    return Page(await somebody.http.post(f"{pool}/upload", data=data, files=files, follow_redirects=True))


async def _imported(somebody: Browser, pool: str, content: bytes) -> str:
    """Upload a file and import it as the page proposes; the file's page."""
    page = await _upload(somebody, pool, content)
    path = str(page.answer.url.path)
    fields = {**page.form(path).fields, "act": "import"}
    page = Page(await somebody.http.post(path, data=fields, follow_redirects=True))
    while "rows read" in page.text:
        await asyncio.sleep(0.05)
        page = Page(await somebody.http.get(path))
    assert "What became of every row" in page.text
    return path


async def _hand_back(partner: Partner) -> str:
    """The operator hands back what is left of the first pool after the sale; the path of its file."""
    pool_id = partner.sale.pools[0]
    assert pool_id is not None
    now = datetime.now(UTC)
    async with transaction(partner.database) as tx:
        await tx.execute(update(Campaign).values(ends_at=now - timedelta(minutes=1)))
        hand_back_id = await hand_back_unsold(tx, COMMAND, pool_id, now)
    return f"{partner.pool}/hand-backs/{hand_back_id}"


async def test_a_manager_sees_the_merchants_pools(partner: Partner) -> None:
    pim = partner.manager
    async with transaction(partner.database) as tx:
        await tx.execute(
            update(CodePool)
            .where(CodePool.id == partner.sale.pools[0])
            .values(low_stock=50, symbology="ean13")
        )
    await pim.get("/merchant/pools")
    assert pim.page is not None and f'href="{partner.pool}"' in pim.page.text
    assert "Running out" in pim.text and "10 codes left" in pim.text
    assert "Barcode EAN-13" in pim.text and "2 entries" in pim.text
    await pim.get("/merchant/pools?stock=low")
    assert "1 entry" in pim.text
    exported = await pim.get("/merchant/pools/export?format=csv")
    assert exported.status_code == 200 and exported.text.count("\r\n") == 3
    await pim.get(partner.pool)
    assert "10 left" in re.sub(r"left (\d+)", r"\1 left", pim.text) and "warning below 50" in pim.text
    assert "Dining vouchers" in pim.text
    # Closing and handing back, and how codes are shown, is the operator's to decide.
    assert pim.page is not None
    assert f"{partner.pool}/hand-back" not in pim.page.text and f"{partner.pool}/edit" not in pim.page.text
    assert (await pim.post(f"{partner.pool}/hand-back")).status_code == 404
    assert (await pim.get(f"{partner.pool}/edit")).status_code == 404


async def test_a_manager_uploads_codes(partner: Partner) -> None:
    pim = partner.manager
    await pim.get(partner.pool)
    assert (await _upload(pim, partner.pool, b"A\n", token="wrong")).status == 403
    path = await _imported(pim, partner.pool, b"Code\nNEW-0001\nNEW-0002\nNEW-0001\n1.2E+19\n")
    assert path.startswith(f"{partner.pool}/files/")
    outcomes = await pim.get(f"{path}/outcomes")
    assert outcomes.text.count("\r\n") == 5 and "NEW-0002" in outcomes.text
    await pim.get(partner.pool)
    assert "2 added" in pim.text and "1 twice in the file" in pim.text and "1 invalid" in pim.text
    assert "Pim · Merchant" in pim.text
    await pim.get(f"{partner.pool}/now")
    assert pim.page is not None and "12" in pim.page.text
    async with partner.database.connection() as connection:
        assert (
            await connection.scalar(select(CodePool.available).where(CodePool.id == partner.sale.pools[0]))
            == 12
        )
        assert await connection.scalar(select(CodeFile.source)) == "merchant"
    assert await partner.acts() == [
        ("code_pool.file_received", "Pim"),
        ("code_pool.file_imported", "Pim"),
        ("code_pool.outcomes_exported", "Pim"),
    ]
    # As the page's script sends one: it is told where to go next.
    headers = {"accept": "application/json", "x-csrftoken": pim.csrf}
    sent = {"file": ("a.txt", b"NEW-0003\nNEW-0004\n")}
    answer = await pim.http.post(f"{partner.pool}/upload", files=sent, headers=headers)
    assert answer.json()["next"].startswith(f"{partner.pool}/files/")
    # A file belongs to its own pool.
    elsewhere = path.replace(str(partner.sale.pools[0]), str(partner.sale.pools[1]))
    assert (await pim.get(elsewhere)).status_code == 404


async def test_a_file_is_discarded_or_cannot_be_read(partner: Partner) -> None:
    pim = partner.manager
    await pim.get(f"{partner.pool}/upload")
    assert "Upload codes" in pim.text
    page = await _upload(pim, partner.pool, b"")
    assert page.status == 422 and "could not be read" in page.text
    page = await _upload(pim, partner.pool, b"AB-1\nAB-2\n")
    path = str(page.answer.url.path)
    await pim.get(path)
    await pim.post(f"{path}/discard")
    assert pim.path == partner.pool
    assert pim.page is not None and "The file is discarded" in pim.page.text
    await pim.post(f"{path}/discard")
    assert pim.path == path
    assert pim.page is not None and "imported or discarded already" in pim.page.text
    for kind, mark in (("csv", b"\xef\xbb\xbfCode"), ("xlsx", b"PK")):
        assert (await pim.get(f"/merchant/pools/template?format={kind}")).content.startswith(mark)


async def test_the_file_of_a_hand_back_is_fetched_and_noted(partner: Partner) -> None:
    pim, path = partner.manager, await _hand_back(partner)
    await pim.get("/merchant/pools")
    assert "has not been downloaded" in pim.text
    await pim.get(partner.pool)
    assert "Not fetched yet" in pim.text
    first, again = [await pim.get(f"{path}?format=csv") for _ in range(2)]
    assert first.content == again.content and first.text.count("\r\n") == 19
    assert (await pim.get(f"{path}?format=xlsx")).content.startswith(b"PK")
    elsewhere = path.replace(str(partner.sale.pools[0]), str(partner.sale.pools[1]))
    assert (await pim.get(elsewhere)).status_code == 404
    exported = [who for act, who in await partner.acts() if act == "code_pool.hand_back_exported"]
    assert exported == ["Pim"] * 3
    async with partner.database.connection() as connection:
        assert await connection.scalar(select(HandBack.fetched_at)) is not None
    await pim.get(partner.pool)
    assert "Not fetched yet" not in pim.text


async def test_sales_that_are_being_prepared_are_not_told(partner: Partner) -> None:
    async with transaction(partner.database) as tx:
        await tx.execute(update(Campaign).values(state="draft"))
    await partner.manager.get(partner.pool)
    assert "Dining vouchers" not in partner.manager.text


async def _addresses(partner: Partner) -> list[str]:
    await partner.manager.get(partner.pool)
    file = await _imported(partner.manager, partner.pool, b"NEW-0001\nNEW-0002\n")
    hand_back = await _hand_back(partner)
    return [
        partner.pool, f"{partner.pool}/now", f"{partner.pool}/upload", file, f"{file}/now", f"{file}/outcomes",
        f"{hand_back}?format=csv", f"{hand_back}?format=xlsx",
    ]  # fmt: skip


async def test_another_merchants_manager_finds_nothing(partner: Partner) -> None:
    addresses, ann = await _addresses(partner), await partner.stranger()
    acts = await partner.acts()
    await ann.get("/merchant/account")
    for address in addresses:
        assert (await ann.get(address)).status_code == 404, address
    assert (await _upload(ann, partner.pool, b"AB-1\nAB-2\n")).status == 404
    file = addresses[3]
    assert (await ann.post(f"{file}/discard")).status_code == 404
    assert (await ann.post(file, act="import", column="0")).status_code == 404
    for address in ("/merchant/pools", f"/merchant/pools?merchant={partner.sale.merchant_id}"):
        await ann.get(address)
        assert "No code pools yet" in ann.text
        assert ann.page is not None and str(partner.sale.pools[0]) not in ann.page.text
    assert (await ann.get("/merchant/pools/export")).text.count("\r\n") == 1
    assert await partner.acts() == acts


async def test_a_cashier_is_refused(partner: Partner) -> None:
    addresses, mei = await _addresses(partner), await partner.cashier()
    await mei.get("/merchant")
    assert mei.page is not None and "/merchant/pools" not in mei.page.text
    for address in ("/merchant/pools", "/merchant/pools/export", "/merchant/pools/template", *addresses):
        assert (await mei.get(address)).status_code == 403, address
    assert (await _upload(mei, partner.pool, b"AB-1\nAB-2\n")).status == 403
    assert (await mei.post(f"{addresses[3]}/discard")).status_code == 403


async def test_a_stranger_signs_in_first(partner: Partner) -> None:
    nobody = browser(partner.app)
    await nobody.get(partner.pool)
    assert nobody.path == "/merchant/sign-in"
