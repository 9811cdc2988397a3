"""The counter's pages besides the counter: a manager's view of the business, one's own account, the app."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import insert, select

from tearline.db import new_id, transaction
from tearline.merchants.model import Staff
from tearline.offers.model import Offer
from tearline.web.app import Application
from tests.cashiers import PASSWORD, Counter, browser, make_counter, other_merchant
from tests.worlds import offer_row

pytestmark = pytest.mark.anyio


@pytest.fixture
async def counter(app: Application) -> Counter:
    return await make_counter(app)


async def test_two_step_sign_in(counter: Counter) -> None:
    mei = counter.cashier
    await mei.get("/merchant/account/two-step")
    await mei.post("/merchant/account/two-step", action="begin")
    async with counter.database.connection() as connection:
        secret = await connection.scalar(
            select(Staff.totp_new_secret).where(Staff.email == "mei@example.org")
        )
    assert secret is not None
    assert (await mei.post("/merchant/account/two-step", action="confirm", code="000000")).status_code == 422
    now = datetime.now(UTC)
    await mei.post(
        "/merchant/account/two-step",
        action="confirm",
        code=pyotp.TOTP(secret).at(now - timedelta(seconds=30)),
    )
    codes = re.findall(r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b", mei.text)
    assert "Two-step sign-in is on" in mei.text and len(codes) == 10
    await mei.get("/merchant/account/two-step")
    assert "It is on" in mei.text

    again = browser(counter.app)
    await again.sign_in("mei@example.org")
    assert again.path == "/merchant/sign-in/code"
    assert (await again.post(again.path, code="000000")).status_code == 401
    await again.post("/merchant/sign-in/code", code=pyotp.TOTP(secret).at(now))
    assert again.path == "/merchant"

    third = browser(counter.app)
    await third.sign_in("mei@example.org")
    await third.get("/merchant/sign-in/recovery")
    assert (await third.post("/merchant/sign-in/recovery", code="nothing")).status_code == 401
    await third.post("/merchant/sign-in/recovery", code=codes[0])
    assert third.path == "/merchant"
    await third.get("/merchant/account/two-step/recovery")
    assert "9 codes are left." in third.text
    refused = await third.post("/merchant/account/two-step/recovery", password="no")
    assert refused.status_code == 422
    await third.post("/merchant/account/two-step/recovery", password=PASSWORD)
    assert len(set(re.findall(r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b", third.text)) - set(codes)) == 10

    await again.get("/merchant/account/two-step")
    assert (await again.post("/merchant/account/two-step", action="stop", password="no")).status_code == 422
    await again.post("/merchant/account/two-step", action="stop", password=PASSWORD)
    assert "It is off" in again.text


async def test_signing_out_ends_the_session(counter: Counter) -> None:
    await counter.cashier.get("/merchant/account")
    await counter.cashier.post("/merchant/sign-out")
    await counter.cashier.get("/merchant")
    assert counter.cashier.path == "/merchant/sign-in"


async def test_a_manager_looks_at_the_business_and_a_cashier_does_not(counter: Counter) -> None:
    async with transaction(counter.database) as tx:
        platform_id: UUID = new_id()
        await tx.execute(
            insert(Offer).values(
                {
                    **offer_row(platform_id, counter.world.merchant_id),
                    "merchant_id": None,
                    "issuer": "platform",
                }
            )
        )
    max_ = await counter.person("Max", "manager")
    page = await max_.get("/merchant/offers")
    assert page.status_code == 200
    assert f"/merchant/offers/{counter.world.offers[0]}" in page.text
    assert str(platform_id) not in page.text
    assert (await max_.get(f"/merchant/offers/{counter.world.offers[0]}")).status_code == 200
    assert "Minimum spend HK$300" in max_.text
    assert (await max_.get("/merchant/offers/export?format=csv")).text.count("\n") >= 1
    await max_.get("/merchant/stores")
    assert "Central" in max_.text
    await max_.get("/merchant/team")
    assert "mei@example.org" in max_.text

    for path in ("/merchant/offers", "/merchant/stores", "/merchant/team"):
        assert (await counter.cashier.get(path)).status_code == 403
    ann = await other_merchant(counter)
    assert (await ann.get(f"/merchant/offers/{counter.world.offers[0]}")).status_code == 404
    await ann.get("/merchant/team")
    assert "mei@example.org" not in ann.text
    assert (await ann.get(f"/merchant/offers/{new_id()}")).status_code == 404


async def test_the_account_changes_language_and_password(counter: Counter) -> None:
    mei = counter.cashier
    await mei.get("/merchant/account")
    page = await mei.post("/merchant/account", language="th")
    assert '<html lang="th">' in page.text
    assert (await mei.post("/merchant/account", language="xx")).status_code == 422
    await mei.get("/merchant/account/password?lang=en")
    wrong = {"current": PASSWORD, "password": "another calm password", "again": "different"}
    assert (await mei.post("/merchant/account/password", **wrong)).status_code == 422
    unknown = {**wrong, "current": "not this", "again": "another calm password"}
    assert (await mei.post("/merchant/account/password", **unknown)).status_code == 422
    await mei.post("/merchant/account/password", **{**unknown, "current": PASSWORD})
    assert mei.path == "/merchant/account"
    assert (await browser(counter.app).sign_in("mei@example.org")).status_code == 401
    fresh = browser(counter.app)
    fresh.http.headers.pop("accept-language")
    page = await fresh.sign_in("mei@example.org", "another calm password")
    assert '<html lang="th">' in page.text


async def test_the_counter_can_be_installed(app: Application) -> None:
    visitor = browser(app)
    page = await visitor.get("/merchant/sign-in")
    manifest_path = page.text.split('rel="manifest" href="')[1].split('"')[0]
    manifest = (await visitor.get(manifest_path)).json()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == (
        "/merchant",
        "/merchant",
        "standalone",
    )
    for icon in manifest["icons"]:
        assert (await visitor.get(icon["src"])).status_code == 200
    worker = await visitor.get("/merchant/service-worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["service-worker-allowed"] == "/merchant"
    for line in worker.text.split("self.shell=")[1].split(";")[0].strip("[]").split(", "):
        assert (await visitor.get(line.strip('"'))).status_code == 200
    offline = await visitor.get("/merchant/offline")
    assert "No connection" in offline.text
    assert "_csrf_token" not in offline.text
