"""Orders of carts and settlement in the console, and a manager's own settlement at the counter."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import select

from tearline.checkout.actions import cancel_order, pay_order, place_order
from tearline.checkout.entries import adjust
from tearline.checkout.model import CartRefund, SettlementEntry
from tearline.checkout.refunding import refund_order
from tearline.core.refunds import Wish
from tearline.core.roles import SYSTEM
from tearline.db import Database, transaction
from tearline.merchants.model import AuditEntry
from tearline.web.app import Application
from tests.cart_worlds import TENTH_OFF, CartWorld, make_cart_world
from tests.web.browsing import Browser, console_browser, make_staff

pytestmark = pytest.mark.anyio

ORDERS = "/console/cart-orders"


@pytest.fixture
async def world(app: Application) -> CartWorld:
    world = await make_cart_world(app.litestar.state.services.database)
    # Orders of some hours ago: what is clicked on comes after them.
    return replace(world, now=world.now - timedelta(hours=3))


async def ordered(world: CartWorld, *, is_paid: bool = True, **more: Any) -> str:
    """Two bowls and a book, with shipping and points; a coupon of the shop, and one that both bear."""
    own = await world.offer(world.noodles, names={"en": "Soup"})
    tenth = await world.offer(names={"en": "Tenth"}, benefit=TENTH_OFF, funding_platform_basis_points=5_000)
    await world.coupon(own)
    await world.coupon(tenth)
    cart = world.cart(
        world.line("a", 10_000, 2),
        world.line("b", 5_000, merchant_id=world.books),
        parcels=(world.parcel(1_200),),
        points=3_000,
    )
    async with transaction(world.database) as tx:
        number = (await place_order(tx, cart, world.book, world.now, **more)).number
        if is_paid:
            await pay_order(tx, SYSTEM, number, world.now, collected_by="platform")
    return number


async def test_the_list_is_narrowed_and_exported(
    app: Application, client: httpx.AsyncClient, world: CartWorld
) -> None:
    paid = await ordered(world, reference="WEB-1")
    late = await ordered(world, is_paid=False)
    given_up = await ordered(world, is_paid=False)
    async with transaction(world.database) as tx:
        await cancel_order(tx, SYSTEM, given_up, world.now)
        cart = world.cart(world.line("a", 700), member_id=None)
        guests = (await place_order(tx, cart, world.book, world.now + timedelta(hours=3))).number
    browser = await console_browser(app, client, "finance")
    everything = {paid, late, given_up, guests}

    async def listed(query: str) -> set[str]:
        page = await browser.get(f"{ORDERS}?{query}")
        return {number for number in everything if number in page.text}

    assert await listed("") == everything
    assert await listed("state=paid") == {paid}
    assert await listed("state=expired") == {late}
    assert await listed("state=cancelled") == {given_up}
    assert await listed("state=open") == {guests}
    assert await listed(f"merchant={world.books}") == {paid, late, given_up}
    assert await listed("q=web-1") == {paid}
    assert await listed(f"q={late}") == {late}
    phone = await world.one("SELECT phone FROM member WHERE id = :id", id=world.member)
    assert await listed(f"q={phone.removeprefix('+')}") == {paid, late, given_up}
    assert await listed("ordered_from=2020-01-01&ordered_to=2020-01-02") == set()
    export = await client.get(f"{ORDERS}/export?state=paid&format=csv")
    assert export.text.count("\r\n") == 2 and paid in export.text and phone in export.text


async def test_the_receipt_says_who_bears_what(
    app: Application, client: httpx.AsyncClient, world: CartWorld
) -> None:
    number = await ordered(world, reference="WEB-1")
    browser = await console_browser(app, client, "owner")
    page = await browser.get(f"{ORDERS}/{number.lower()}")
    # Reckoned by hand in tests/checkout/test_statements.py.
    for shown in (
        "2 × HK$100", "−HK$20 Soup platform HK$0, merchant HK$20", "−HK$18 Tenth platform HK$9, merchant HK$9",
        "−HK$23.48 Points", "2 × HK$69.26", "HK$138.52", "WEB-1", "HK$189", "The platform",
    ):  # fmt: skip
        assert shown in page.text, shown
    coupons = await world.rows("SELECT member_id, id FROM coupon")
    for member_id, coupon_id in coupons:
        path = f"/console/coupons/{member_id}/{coupon_id}"
        assert path in page.html
        assert f"{ORDERS}/{number}" in (await browser.get(path)).html
    assert "13 entries" in page.text and f"{ORDERS}/{number}/refund" in page.html
    assert (await browser.get(f"{ORDERS}/NOSUCHNMBR")).status == 404


async def test_a_refund_is_shown_before_it_is_made_and_made_once(
    app: Application, client: httpx.AsyncClient, world: CartWorld
) -> None:
    number = await ordered(world)
    path = f"{ORDERS}/{number}/refund"
    browser = await console_browser(app, client, "finance")
    page = await browser.send(path, {})
    assert page.status == 422 and "Choose what is given back." in page.errors
    page = await browser.send(path, {"line-0": "3"})
    assert page.status == 422 and "0 to 2" in page.errors
    page = await browser.send(path, {"line-0": "1", "reason": "Cold"})
    assert page.status == 200 and "HK$69.26" in page.text and "HK$11.74" in page.text and "Cold" in page.text
    assert await refunds(world.database) == []
    confirmed = page.form(path)
    page = await browser.post(path, {**confirmed.fields})
    assert "The refund is booked." in page.text
    again = await browser.post(path, {**confirmed.fields})
    assert again.answer.url.path == f"{ORDERS}/{number}"
    assert await refunds(world.database) == [(6_926, 1_174, "Cold", "Finance")]
    page = await browser.get(f"{ORDERS}/{number}")
    assert "1 given back" in page.text and "-HK$69.26" in page.text
    assert "Order of a cart refunded" not in page.text, "finance may not read the log"

    page = await browser.send(path, {"parcels": "0"})
    assert "HK$12" in page.text and "Shipping" in page.text
    page = await browser.send(path, {"everything": "yes"})
    rest = page.form(path)
    assert "Soup" in page.text and "Tenth" in page.text, "whose discounts are undone"
    async with transaction(world.database) as tx:
        await refund_order(tx, SYSTEM, number, Wish(lines={"b": 1}), datetime.now(UTC))
    page = await browser.post(path, {**rest.fields})
    assert page.status == 422, "what was looked at is not what it would come to now"
    page = await browser.send(path, {"everything": "yes"})
    page = await browser.post(path, {**page.form(path).fields})
    assert "The refund is booked." in page.text
    assert sum(one[0] for one in await refunds(world.database)) == 18_900
    page = await browser.get(path)
    assert "Nothing of this order can be given back" in page.text
    assert "Given back" in (await browser.get(f"{ORDERS}/{number}")).text
    await world.audited()


async def test_only_what_is_paid_is_refunded_and_only_by_those_who_may(
    app: Application, client: httpx.AsyncClient, world: CartWorld
) -> None:
    unpaid, paid = await ordered(world, is_paid=False), await ordered(world)
    browser = await console_browser(app, client, "finance")
    page = await browser.post(f"{ORDERS}/{unpaid}/refund", {"everything": "yes"})
    assert page.status == 422 and await refunds(world.database) == []
    client.cookies.clear()
    editor = await console_browser(app, client, "editor")
    page = await editor.get(f"{ORDERS}/{paid}")
    assert page.status == 200 and "/refund" not in page.html and "What was booked" not in page.text
    assert (await editor.get(f"{ORDERS}/{paid}/refund")).status == 403
    assert (await editor.post(f"{ORDERS}/{paid}/refund", {"everything": "yes"})).status == 403
    assert (await editor.get("/console/settlement")).status == 403
    assert (await editor.get(f"/console/merchants/{world.noodles}/settlement/adjust")).status == 403


async def test_settlement_of_all_and_of_one(
    app: Application, client: httpx.AsyncClient, world: CartWorld
) -> None:
    await ordered(world)
    async with transaction(world.database) as tx:
        await adjust(tx, SYSTEM, world.books, -10_000, "HKD", "Stand at the fair", world.now)
    browser = await console_browser(app, client, "finance")
    page = await browser.get("/console/settlement")
    assert "/console/settlement" in page.html and "HK$183" in page.text
    assert "Provisional: final ten minutes after the period" in page.text, "today is not over"
    # The bookshop: 38.48 collected, 2.50 and 6.52 borne, 100.00 for its stand.
    assert "-HK$52.50" in page.text and "merchants owe the platform HK$52.50" in page.text
    sheet = await client.get("/console/settlement/file?format=xlsx")
    rows = CalamineWorkbook.from_filelike(io.BytesIO(sheet.content)).get_sheet_by_index(0).to_python()
    assert [(row[0], row[1], row[-1]) for row in rows[-3:]] == [
        ("Books (books)", -100.0, -52.5), ("Noodles (noodles)", 0.0, 183.0), ("Total", -100.0, 130.5),
    ]  # fmt: skip
    document = await client.get("/console/settlement/file?format=pdf")
    assert document.content.startswith(b"%PDF")
    (here,) = set(re.findall(rf"/console/merchants/{world.books}/settlement\?[^\"]+", page.html))
    page = await browser.get(here.replace("&amp;", "&"))
    for shown in ("The merchant owes the platform HK$52.50", "Stand at the fair", "Payments: 1", "Points"):
        assert shown in page.text, shown
    files = re.findall(r'href="([^"]+settlement/file[^"]+)"', page.html)
    assert len(files) == 2
    for file in files:
        answer = await client.get(file.replace("&amp;", "&"))
        assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    empty = await browser.get("/console/settlement?from=2020-01-01&to=2020-01-31")
    assert "Nothing was settled in this period" in empty.text
    wrong = await browser.get("/console/settlement?from=2020-02-01&to=2020-01-31")
    assert wrong.status == 422 and "lies before the first" in wrong.text
    assert (await client.get("/console/settlement/file?from=x&to=y")).status_code == 400


async def test_an_adjustment_is_asked_about_and_booked_once(
    app: Application, client: httpx.AsyncClient, world: CartWorld
) -> None:
    browser = await console_browser(app, client, "owner")
    here = f"/console/merchants/{world.noodles}/settlement"
    page = await browser.send(f"{here}/adjust", {"amount": "0", "note": "x"})
    assert page.status == 422 and await adjustments(world.database, world.noodles) == []
    wanted: dict[str, str | list[str]] = {"direction": "merchant", "amount": "12.50", "note": "Lost"}
    page = await browser.send(f"{here}/adjust", wanted)
    assert "Noodles will owe the platform HK$12.50 more." in page.text
    assert await adjustments(world.database, world.noodles) == []
    confirmed = page.form(f"{here}/adjust").fields
    page = await browser.post(f"{here}/adjust", {**confirmed})
    assert "The adjustment is booked." in page.text and "Lost" in page.text and "-HK$12.50" in page.text
    await browser.post(f"{here}/adjust", {**confirmed})
    assert await adjustments(world.database, world.noodles) == [(-1_250, "Lost", "Owner")]
    page = await browser.send(f"{here}/adjust", {**wanted, "direction": "platform", "currency": "JPY"})
    assert page.status == 422, "no half yen"
    async with world.database.connection() as connection:
        acts = list(await connection.scalars(select(AuditEntry.action)))
    assert "settlement.adjusted" in acts
    assert "Settlement adjusted" in (await browser.get("/console/audit")).text
    assert "HKD" in (await browser.get(here)).text


async def test_a_manager_sees_the_own_settlement(
    app: Application, client: httpx.AsyncClient, world: CartWorld
) -> None:
    await ordered(world)
    fong = replace(SYSTEM, kind="staff", name="Fong Mei-Lan")
    async with transaction(world.database) as tx:
        await adjust(tx, fong, world.noodles, 1, "HKD", "A cent too few", datetime.now(UTC))
    await make_staff(app, "manager", merchant_id=world.noodles)
    await make_staff(app, "cashier", merchant_id=world.noodles)
    browser = Browser(client)
    await browser.send(
        "/merchant/sign-in", {"email": "manager@example.org", "password": "a calm little password"}
    )
    page = await browser.get("/merchant/settlement")
    assert "The platform owes the merchant HK$183" in page.text and "Noodles" in page.text
    assert "Provisional" in page.text
    assert "Adjustments by the platform" in page.text and "A cent too few" in page.text
    assert "Fong" not in page.text
    assert "/merchant/settlement" in (await browser.get("/merchant/team")).html
    sheet = await client.get("/merchant/settlement/file?format=xlsx")
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(sheet.content))
    assert workbook.sheet_names == ["Summary", "By day", "By offer", "Entries"]
    entries = str(workbook.get_sheet_by_name("Entries").to_python())
    assert "A cent too few" in entries and "Fong" not in entries
    document = await client.get("/merchant/settlement/file?format=pdf")
    assert document.content.startswith(b"%PDF")
    client.cookies.clear()
    cashier = Browser(client)
    await cashier.send(
        "/merchant/sign-in", {"email": "cashier@example.org", "password": "a calm little password"}
    )
    assert (await cashier.get("/merchant/settlement")).status == 403
    assert (await client.get("/merchant/settlement/file")).status_code == 403


async def refunds(database: Database) -> list[tuple[int, int, str | None, str]]:
    async with database.connection() as connection:
        rows = await connection.execute(
            select(CartRefund.amount, CartRefund.points, CartRefund.reason, CartRefund.by_name).order_by(
                CartRefund.id
            )
        )
        return [tuple(row) for row in rows]


async def adjustments(database: Database, merchant_id: UUID) -> list[tuple[int, str | None, str | None]]:
    async with database.connection() as connection:
        rows = await connection.execute(
            select(SettlementEntry.amount, SettlementEntry.note, SettlementEntry.by_name).where(
                SettlementEntry.merchant_id == merchant_id,
                SettlementEntry.kind == "adjustment",
                SettlementEntry.account == "platform",
            )
        )
        return [tuple(row) for row in rows]
