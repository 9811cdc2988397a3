"""Pools of partners' codes in the console: from the offer to the upload, the import, and handing back."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import insert, select, update

from tearline.campaigns.model import Campaign
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry
from tearline.pools.model import CodeFile, CodePool, PartnerCode
from tearline.sales.model import SaleItem
from tearline.web.app import Application
from tests.web.browsing import Browser, Page, console_browser
from tests.worlds import World, make_world

pytestmark = pytest.mark.anyio

CODES = [f"491111E1311415BAA{number:03d}" for number in range(40)]


def _database(app: Application) -> Database:
    database: Database = app.litestar.state.services.database
    return database


async def _world(app: Application) -> World:
    return await make_world(_database(app), bundle=(1,))


async def _pool(app: Application) -> CodePool:
    async with _database(app).connection() as connection:
        return (await connection.execute(select(CodePool.__table__))).one()  # type: ignore[return-value]


async def _make_pool(browser: Browser, world: World, **fields: str) -> str:
    page = await browser.post(
        f"/console/offers/{world.offers[0]}/pool", {"symbology": "code128", "low_stock": "50", **fields}
    )
    assert page.status == 200, page.errors
    return str(page.answer.url.path)


async def _send(
    browser: Browser, pool: str, content: bytes, name: str = "codes.csv", *, token: str | None = None
) -> Page:
    """Send a file as the form without a script does."""
    answer = await browser.client.post(
        f"{pool}/upload",
        data={"_csrf_token": browser.token if token is None else token},
        files={"file": (name, content, "text/csv")},
        headers={"accept-language": "en"},
        follow_redirects=True,
    )
    return Page(answer)


async def _import(browser: Browser, page: Page, **changes: str | list[str]) -> Page:
    """Confirm what the preview page proposes; the page once the import is over."""
    path = str(page.answer.url.path)
    page = await browser.post(path, {**page.form(path).fields, "act": "import", **changes})
    while "rows read" in page.text:
        await asyncio.sleep(0.05)
        page = await browser.get(path)
    return page


async def test_an_offer_gets_a_pool_and_its_codes(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client, "editor"), await _world(app)
    offer = f"/console/offers/{world.offers[0]}"
    page = await browser.get(offer)
    assert "Made by us" in page.text and f"{offer}/pool" in page.html
    pool = await _make_pool(browser, world)
    page = await browser.get(pool)
    assert "Barcode Code 128" in page.text and "warning below 50" in page.text
    assert "Nothing has been uploaded yet." in page.text

    lines = ["Voucher code", *CODES[:20], CODES[3], "4.91111E+19", "491111E1311415"]
    page = await _send(browser, pool, "\r\n".join(lines).encode("utf-16"))
    assert page.status == 200
    assert "2 of the first 23 rows cannot be imported like this" in page.text
    assert "A spreadsheet made a number of this code" in page.text and "row 22: 4.91111E+19" in page.text
    assert "20 characters: capital letters and digits." in page.text
    form = page.form(str(page.answer.url.path))
    assert form.fields["has_heading"] == ["yes"] and form.fields["rule.signs.longest"] == ["20"]

    page = await _import(browser, page)
    assert "What became of every row" in page.text
    figures = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page.html))
    assert figures == {
        "added": "20", "twice in the file": "1", "in this partner's pools before": "0", "invalid": "2",
        "rows in all": "23",
    }  # fmt: skip
    assert CODES[3] in page.html and "491111E1311415<" in page.html
    outcomes = await browser.client.get(f"{page.answer.url.path}/outcomes")
    assert outcomes.headers["content-type"] == "text/csv; charset=utf-8"
    assert outcomes.text.count("\r\n") == 24 and CODES[19] in outcomes.text
    outcomes = await browser.client.get(f"{page.answer.url.path}/outcomes?lang=zh-Hant")
    assert "結果" in outcomes.text.split("\r\n")[0]

    page = await browser.get(pool)
    assert "20 added" in page.text and "1 twice in the file" in page.text and "2 invalid" in page.text
    assert "Running out" in page.text
    assert "Running out" in (await browser.get("/console/pools")).text
    assert "HK$50 off" in (await browser.get("/console/pools?stock=low")).text
    assert "HK$50 off" not in (await browser.get("/console/pools?stock=empty")).text
    assert "20 left" in (await browser.get(offer)).text
    assert (await browser.get(f"{offer}/pool")).answer.url.path == pool
    exported = await browser.client.get("/console/pools/export?format=csv")
    assert "HK$50 off" in exported.text


async def test_the_same_file_again_adds_nothing(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    content = "\n".join(CODES).encode()
    await _import(browser, await _send(browser, pool, content))
    page = await _send(browser, pool, content)
    assert "This very file was imported on" in page.text
    page = await _import(browser, page)
    assert "Nothing was added." in page.text
    page = await _import(browser, await _send(browser, pool, b"\n".join([b"NEW-1" + b"A" * 15, b"X" * 20])))
    assert (await _pool(app)).size == 41


async def test_the_rule_is_looked_at_again_and_typed(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    rows = [f"{number},AB-{number:04d},note {number}" for number in range(30)]
    page = await _send(browser, pool, "\n".join(["no,voucher code,remark", *rows]).encode())
    path = str(page.answer.url.path)
    form = page.form(path)
    assert form.fields["column"] == ["1"]
    assert "and the signs -" in page.text

    fields = {**form.fields, "rule.kind": "pattern", "rule.pattern.pattern": "AB-00[0-9]{2}", "act": "look"}
    page = await browser.post(path, fields)
    assert page.status == 200 and "can all be imported" in page.text
    assert "Codes follow the pattern AB-00[0-9]{2}." in page.text
    page = await browser.post(path, {**fields, "rule.pattern.pattern": "AB-000[0-9]"})
    assert "20 of the first 30 rows cannot be imported like this" in page.text
    page = await browser.post(path, {**fields, "rule.pattern.pattern": "(A+)+", "act": "import"})
    assert page.status == 422 and "Groups" in page.errors
    assert 'href="#field-rule-pattern-pattern"' in page.html
    page = await browser.post(path, {**fields, "column": "2"})
    assert "30 of the first 30 rows cannot be imported" in page.text
    page = await browser.post(path, {**form.fields, "rule.signs.shortest": "9", "rule.signs.longest": "8"})
    assert page.status == 422 and "below the shortest" in page.errors
    assert (await _pool(app)).size == 0

    page = await browser.post(path, {**fields, "act": "import"})
    while "rows read" in page.text:
        page = await browser.get(path)
    assert "Every row was added." in page.text
    # The pool's rule is the next file's; that file's own one is offered beside it.
    page = await _send(browser, pool, "\n".join(CODES).encode())
    assert "Codes follow the pattern" in page.text and "Take that rule" in page.text
    page = await browser.get(f"{page.answer.url.path}?rule=learned")
    assert "can all be imported" in page.text


async def test_codes_are_cancelled(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client, "editor"), await _world(app)
    pool = await _make_pool(browser, world)
    assert f"{pool}/void" not in (await browser.get(pool)).html, "there is nothing to cancel"
    await _import(browser, await _send(browser, pool, "\n".join(CODES).encode()))
    assert f"{pool}/void" in (await browser.get(pool)).html
    page = await browser.post(f"{pool}/void", {"codes": ""})
    assert page.status == 422
    page = await browser.post(f"{pool}/void", {"codes": f"{CODES[0]}\r\n  {CODES[1]} \r\n\r\n{CODES[1]}"})
    assert page.answer.url.path == pool and "Cancelled codes: 2." in page.text
    page = await browser.post(f"{pool}/void", {"codes": f"{CODES[1]}\n{CODES[2]}\nUNKNOWN"})
    assert "Cancelled codes: 1. The others are not for sale here." in page.text
    found = await _pool(app)
    assert (found.available, found.void) == (37, 3)
    page = await browser.post(f"{pool}/void", {"codes": "\n".join("A" for _ in range(1_001))})
    assert page.status == 422 and "at most 1" in page.errors


async def test_a_file_is_discarded(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    page = await _send(browser, pool, b"A1234567\nB1234567\n")
    path = str(page.answer.url.path)
    page = await browser.post(f"{path}/discard")
    assert "The file is discarded" in page.text and page.answer.url.path == pool
    assert "was discarded" in (await browser.get(path)).text
    assert "imported or discarded already" in (await browser.post(f"{path}/discard")).text
    page = await browser.post(path, {"column": "0", "rule.kind": "pattern", "rule.pattern.pattern": "A",
                                     "act": "import"})  # fmt: skip
    assert "imported or discarded already" in page.text


async def test_the_page_watches_an_import(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    page = await _send(browser, pool, b"A1234567\nB1234567\n")
    path, now = str(page.answer.url.path), datetime.now(UTC)

    async def stand(**values: object) -> None:
        async with transaction(_database(app)) as tx:
            await tx.execute(update(CodeFile).values(**values))

    # Another process imports it.
    await stand(state="importing", rows=12_345, seen_at=now)
    page = await browser.get(path)
    assert "12,345 rows read" in page.text and f'hx-get="{path}/now"' in page.html
    part = await browser.get(f"{path}/now")
    assert "12,345 rows read" in part.text and "hx-refresh" not in part.answer.headers
    assert "sign of life" not in part.text
    page = await browser.post(path, {**page.forms[0].fields, "column": "0", "rule.kind": "pattern",
                                     "rule.pattern.pattern": "A", "act": "import"})  # fmt: skip
    assert "imported or discarded already" in page.text
    await stand(seen_at=now - timedelta(minutes=2))
    assert "No sign of life since" in (await browser.get(f"{path}/now")).text
    # It died, and the worker has let go of it: the page shows the preview again.
    await stand(state="uploaded", rows=0)
    assert (await browser.get(f"{path}/now")).answer.headers["hx-refresh"] == "true"
    page = await _import(browser, await browser.get(path))
    assert "Every row was added." in page.text


async def test_what_cannot_be_read_is_said(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    page = await _send(browser, pool, b"")
    assert page.status == 422 and "could not be read" in page.text
    page = await _send(browser, pool, b"%PDF-1.7 \x00\x01")
    assert "could not be read" in page.text
    page = await _send(browser, pool, b"", name="")
    assert page.status == 422
    for kind, mark in (("csv", b"\xef\xbb\xbfCode"), ("xlsx", b"PK")):
        answer = await browser.client.get(f"/console/pools/template?format={kind}")
        assert answer.content.startswith(mark)
        assert kind in answer.headers["content-disposition"]


async def test_an_upload_needs_the_token(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    page = await _send(browser, pool, b"A1234567\n", token="")
    assert page.status == 403
    other = await browser.client.post(f"{pool}/upload", content=b"x", headers={"content-type": "text/plain"})
    assert other.status_code in (403, 415)
    async with _database(app).connection() as connection:
        assert (await connection.execute(select(CodeFile.id))).all() == []
    # As the page's script sends it: the token in a header, and the answer as JSON.
    headers = {"accept": "application/json", "x-csrftoken": browser.token}
    answer = await browser.client.post(
        f"{pool}/upload", files={"file": ("a.txt", b"A1234567\nB1234567\n")}, headers=headers
    )
    assert answer.json()["next"].startswith(f"{pool}/files/")
    answer = await browser.client.post(f"{pool}/upload", files={"file": ("a.txt", b"")}, headers=headers)
    assert answer.status_code == 422 and "could not be read" in answer.json()["detail"]
    answer = await browser.client.post(
        f"{pool}/upload", files={"file": ("a.txt", b"A")}, headers={**headers, "x-csrftoken": "x"}
    )
    assert answer.status_code == 403


async def test_a_large_file_is_not_kept_in_memory(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    lines = "".join(f"{number:020d}\r\n" for number in range(3000)).encode()
    pieces = 400
    head = (
        f'--x\r\ncontent-disposition: form-data; name="_csrf_token"\r\n\r\n{browser.token}\r\n--x\r\n'
        'content-disposition: form-data; name="file"; filename="many.txt"\r\ncontent-type: text/plain\r\n\r\n'
    )

    async def form(ending: bytes = b"\r\n--x--\r\n") -> AsyncIterator[bytes]:
        yield head.encode()
        for _piece in range(pieces):
            yield lines
        yield ending

    headers = {"content-type": "multipart/form-data; boundary=x"}
    tracemalloc.start()
    try:
        answer = await browser.client.post(f"{pool}/upload", content=form(), headers=headers)
        _now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 303
    assert peak_bytes < 12 * 1024 * 1024
    async with _database(app).connection() as connection:
        sizes = (await connection.scalars(select(CodeFile.size_bytes))).all()
        assert sizes == [pieces * len(lines)] and sizes[0] > 25_000_000
    # One that breaks off before its end is no file.
    answer = await browser.client.post(f"{pool}/upload", content=form(b""), headers=headers)
    assert answer.status_code == 400
    async with _database(app).connection() as connection:
        states = (await connection.scalars(select(CodeFile.state).order_by(CodeFile.id))).all()
    assert states == ["uploaded", "failed"]


async def test_unsold_codes_are_handed_back_after_the_period(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool, now = await _make_pool(browser, world), datetime.now(UTC)
    await _import(browser, await _send(browser, pool, "\n".join(CODES).encode()))
    sale_id = new_id()
    async with transaction(_database(app)) as tx:
        await tx.execute(
            insert(Campaign).values(
                id=sale_id, code="SALE-1", kind="sale", names={"en": "June sale"}, state="live",
                time_zone="Asia/Bangkok", starts_at=now - timedelta(days=3), ends_at=now + timedelta(days=1),
                created_at=now, updated_at=now,
            )
        )  # fmt: skip
        await tx.execute(
            insert(SaleItem).values(
                id=new_id(), campaign_id=sale_id, position=1, offer_id=world.offers[0], currency="HKD",
                price=4000, face_value=5000, limit_per_order=5, commission_basis_points=500,
            )
        )  # fmt: skip
    page = await browser.get(pool)
    assert "can be handed back after the sale's period" in page.text and "June sale" in page.text
    assert f"{pool}/hand-back" not in page.html
    page = await browser.post(f"{pool}/hand-back")
    assert "is not over yet" in page.text
    async with transaction(_database(app)) as tx:
        await tx.execute(update(Campaign).where(Campaign.id == sale_id).values(ends_at=now))
    page = await browser.get(pool)
    assert "40 unsold codes are withdrawn for good" in page.text
    page = await browser.post(f"{pool}/hand-back")
    assert "The unsold codes are withdrawn" in page.text and "Not fetched yet" in page.text
    found = re.search(rf"{pool}/hand-backs/([0-9a-f-]+)", page.html)
    assert found
    path = found.group(0)
    first, again = [await browser.client.get(f"{path}?format=csv") for _ in range(2)]
    assert first.content == again.content and CODES[39] in first.text
    assert "attachment" in first.headers["content-disposition"]
    assert (await browser.client.get(f"{path}?format=xlsx")).content.startswith(b"PK")
    page = await browser.get(pool)
    assert "Not fetched yet" not in page.text and "Handed back 40" in page.text
    assert "There are no unsold codes." in (await browser.post(f"{pool}/hand-back")).text
    async with _database(app).connection() as connection:
        states = (await connection.scalars(select(PartnerCode.state).distinct())).all()
        acts = (
            await connection.scalars(
                select(AuditEntry.action)
                .where(AuditEntry.subject_kind == "code_pool")
                .order_by(AuditEntry.id)
            )
        ).all()
    assert states == ["withdrawn"]
    assert acts == [
        "code_pool.created", "code_pool.file_received", "code_pool.file_imported", "code_pool.handed_back",
        *["code_pool.hand_back_exported"] * 3,
    ]  # fmt: skip


async def test_a_pool_is_edited(app: Application, client: httpx.AsyncClient) -> None:
    browser, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(browser, world)
    page = await browser.send(f"{pool}/edit", {"symbology": "qr", "low_stock": ""})
    assert "Saved." in page.text and "QR code" in page.text
    stale = await browser.send(f"{pool}/edit", {"symbology": "ean13", "version": "1"})
    assert stale.status == 422 and "meanwhile" in stale.errors
    wrong = await browser.send(f"{pool}/edit", {"low_stock": "0"})
    assert wrong.status == 422


async def test_only_offers_of_a_merchant_without_coupons_get_a_pool(
    app: Application, client: httpx.AsyncClient
) -> None:
    browser = await console_browser(app, client)
    world = await make_world(_database(app), bundle=(1,), offer={"issued": 3})
    page = await browser.get(f"/console/offers/{world.offers[0]}/pool")
    assert page.status == 409
    assert (
        f"/console/offers/{world.offers[0]}/pool"
        not in (await browser.get(f"/console/offers/{world.offers[0]}")).html
    )


@pytest.mark.parametrize("role", ["finance", "auditor"])
async def test_those_who_may_not_see_codes(app: Application, client: httpx.AsyncClient, role: str) -> None:
    owner, world = await console_browser(app, client), await _world(app)
    pool = await _make_pool(owner, world)
    page = await _import(owner, await _send(owner, pool, "\n".join(CODES).encode()))
    path = str(page.answer.url.path)
    owner.client.cookies.clear()
    browser = await console_browser(app, client, role)
    for address in ("/console/pools", "/console/pools/export", pool, f"{pool}/now", f"{pool}/edit",
                    f"{pool}/void", f"{pool}/upload", path, f"{path}/outcomes", f"{path}/now",
                    "/console/pools/template"):  # fmt: skip
        assert (await browser.get(address)).status == 403, address
    assert (await browser.post(f"{pool}/hand-back")).status == 403
    assert (await browser.post(f"{pool}/void", {"codes": CODES[0]})).status == 403
    assert (await browser.post(f"{path}/discard")).status == 403
    assert (await _send(browser, pool, b"A1234567\n")).status == 403
    page = await browser.get("/console")
    assert "/console/pools" not in page.html
    assert "/console/pools" not in (await browser.get(f"/console/offers/{world.offers[0]}")).html
