"""A partner's statement: it sums exactly, by day and by order, as a workbook and as a document."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import select, update

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor, command_actor
from tearline.db import Database, new_id, transaction
from tearline.offers.model import Offer
from tearline.sales import statements
from tearline.sales.desk import SaleDesk
from tearline.sales.model import VoucherOrder
from tearline.sales.statements import Statement, as_pdf, as_xlsx, currencies_of, statement, statement_file
from tests.pools.support import make_pool
from tests.sale_worlds import Sale, make_sale, order, settle

pytestmark = pytest.mark.anyio

ACTOR = command_actor("tests")
BANGKOK = ZoneInfo("Asia/Bangkok")
MIDNIGHT = datetime(2026, 6, 28, tzinfo=BANGKOK).astimezone(UTC)
NAMES = {"en": "Dinner for two", "zh-Hant": "雙人晚餐禮券", "zh-Hans": "双人晚餐礼券", "th": "มื้ออร่อยสองท่าน"}
TOTALS = {"en": "Total", "zh-Hant": "總計", "zh-Hans": "合计", "th": "รวม"}
JUNE = datetime(2026, 6, 1, tzinfo=BANGKOK), datetime(2026, 7, 1, tzinfo=BANGKOK)


async def sold(database: Database, quantities: tuple[int, ...] = (1, 2, 3)) -> Sale:
    """A sale of odd numbers, around a midnight in Bangkok, and one order that was not paid."""
    sale = await make_sale(database, codes=(40, None), campaign={"starts_at": MIDNIGHT - timedelta(days=3)})
    for number, quantity in enumerate(quantities):
        moment = MIDNIGHT + timedelta(seconds=number - 1)
        desk = SaleDesk(database, clock=lambda moment=moment: moment, notice_channel=None)
        await settle(database, desk, sale, number, await order(desk, sale, number, quantity, item=number % 2))
    await order(SaleDesk(database, clock=lambda: MIDNIGHT, notice_channel=None), sale, 3)
    return sale


async def drawn_up(database: Database, sale: Sale, actor: Actor = ACTOR) -> Statement:
    async with database.connection() as connection:
        return await statement(connection, actor, sale.merchant_id, "THB", *JUNE, "Asia/Bangkok")


async def a_file(
    database: Database, sale: Sale, kind: Literal["xlsx", "pdf"], language: str = "en"
) -> tuple[str, bytes]:
    return await statement_file(
        database, ACTOR, sale.merchant_id, "THB", *JUNE, "Asia/Bangkok", kind=kind, language=language
    )


async def test_a_statement_sums_what_was_paid(database: Database) -> None:
    sale = await sold(database)
    drawn = await drawn_up(database, sale)
    async with database.connection() as connection:
        paid = (await connection.execute(select(VoucherOrder).where(VoucherOrder.state == "paid"))).all()
        assert await currencies_of(connection, ACTOR, sale.merchant_id, *JUNE) == ["THB"]
    assert len(paid) == drawn.totals.orders == 3
    assert drawn.totals.vouchers == 6
    assert drawn.totals.amount == 159_000 == sum(one.amount for one in paid)
    # 12.5 % of 265, 530 and 795 baht, each rounded to the satang, half a one up.
    assert drawn.totals.commission == 3_313 + 6_625 + 9_938
    assert drawn.totals.payable == 139_124
    days = [(line.day.isoformat(), line.totals.vouchers) for line in drawn.lines]
    assert sorted(days) == [("2026-06-27", 1), ("2026-06-28", 2), ("2026-06-28", 3)]


async def test_the_period_is_half_open(database: Database) -> None:
    sale = await sold(database)
    async with database.connection() as connection:
        before = await statement(
            connection, ACTOR, sale.merchant_id, "THB", JUNE[0], MIDNIGHT, "Asia/Bangkok"
        )
        after = await statement(connection, ACTOR, sale.merchant_id, "THB", MIDNIGHT, JUNE[1], "Asia/Bangkok")
        nothing = await statement(connection, ACTOR, sale.merchant_id, "HKD", *JUNE, "Asia/Bangkok")
        with pytest.raises(Refusal, match="invalid"):
            await statement(connection, ACTOR, sale.merchant_id, "THB", MIDNIGHT, MIDNIGHT, "Asia/Bangkok")
    assert (before.totals.orders, after.totals.orders, nothing.totals.orders) == (1, 2, 0)
    assert before.totals + after.totals == (await drawn_up(database, sale)).totals
    assert as_pdf(nothing, "en").startswith(b"%PDF-") and as_xlsx(nothing, [], "th")


async def test_orders_in_another_currency_and_of_another_partner_are_left_out(database: Database) -> None:
    sale, stranger = await sold(database), await make_pool(database)
    async with transaction(database) as tx:
        of = update(VoucherOrder).where(VoucherOrder.state == "paid")
        await tx.execute(of.where(VoucherOrder.quantity == 1).values(currency="HKD"))
        await tx.execute(of.where(VoucherOrder.quantity == 2).values(merchant_id=stranger.merchant_id))
    drawn = await drawn_up(database, sale)
    assert [(line.totals.orders, line.totals.vouchers) for line in drawn.lines] == [(1, 3)]
    _name, content = await a_file(database, sale, "xlsx")
    orders = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name("Orders").to_python()[1:]
    assert [row[4] for row in orders] == [3]
    async with database.connection() as connection:
        assert await currencies_of(connection, ACTOR, sale.merchant_id, *JUNE) == ["HKD", "THB"]
        assert await currencies_of(connection, ACTOR, stranger.merchant_id, *JUNE) == ["THB"]


async def test_the_workbook_says_the_same(database: Database) -> None:
    sale = await sold(database)
    drawn = await drawn_up(database, sale)
    name, content = await a_file(database, sale, "xlsx")
    assert name == "statement-bistro-THB-2026-06-01.xlsx"
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
    assert workbook.sheet_names == ["Summary", "Orders"]
    summary = workbook.get_sheet_by_name("Summary").to_python()
    assert summary[0][:2] == ["Partner", "Bistro (bistro)"]
    total = next(row for row in summary if row[0] == "Total")
    assert total[3:5] == [3, 6]
    in_minor_units = [round(value * 100) for value in total[5:8]]
    assert in_minor_units == [drawn.totals.amount, drawn.totals.commission, drawn.totals.payable]
    orders = workbook.get_sheet_by_name("Orders").to_python()[1:]
    async with database.connection() as connection:
        paid = select(VoucherOrder.number).where(VoucherOrder.state == "paid").order_by(VoucherOrder.paid_at)
        assert [row[1] for row in orders] == list(await connection.scalars(paid))
    assert sum(round(row[8] * 100) for row in orders) == drawn.totals.payable
    assert orders[0][0].isoformat() == "2026-06-27T23:59:59", "in the statement's own time zone"
    assert await a_file(database, sale, "xlsx") == (name, content), "the same file whenever it is asked for"
    chinese = await a_file(database, sale, "xlsx", "zh-Hant")
    assert CalamineWorkbook.from_filelike(io.BytesIO(chinese[1])).sheet_names == ["摘要", "訂單"]


async def test_a_workbook_has_its_limit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sale = await sold(database)
    monkeypatch.setattr(statements, "MOST_ORDERS", 2)
    with pytest.raises(Refusal, match="invalid"):
        await a_file(database, sale, "xlsx")
    assert (await a_file(database, sale, "pdf"))[1].startswith(b"%PDF-"), "the days alone are as few as ever"


@pytest.mark.parametrize("language", NAMES)
async def test_the_document_says_the_same_in_every_language(database: Database, language: str) -> None:
    sale = await sold(database)
    async with transaction(database) as tx:
        await tx.execute(update(Offer).values(names=NAMES))
    drawn = await drawn_up(database, sale)
    document = as_pdf(drawn, language)
    assert document.startswith(b"%PDF-") and document == as_pdf(drawn, language)
    text = printed(document)
    for amount in (drawn.totals.amount, drawn.totals.commission, drawn.totals.payable):
        assert f"{amount / 100:,.2f}" in text
    assert TOTALS[language] in text and "Bistro (bistro)" in text and "Asia/Bangkok" in text
    assert plain(NAMES[language]) in plain(text) and "?" not in text


def plain(text: str) -> str:
    """Without spaces and the marks of Thai, which no reader finds in the order in which they were written."""
    return re.sub("[\\s\u0e31\u0e33-\u0e3a\u0e47-\u0e4e]", "", text)


async def test_a_document_of_many_pages_has_everything_on_each(database: Database) -> None:
    drawn = await drawn_up(database, await sold(database))
    line = replace(drawn.lines[0], offer_names=NAMES)
    days = [replace(line, day=line.day + timedelta(days=number), offer_code="D-2") for number in range(120)]
    text = printed(as_pdf(replace(drawn, lines=days), "zh-Hant"))
    assert text.count("\f") == 2
    assert all(f"{one.day.isoformat()}" in text for one in days)
    assert text.count(NAMES["zh-Hant"]) == 120 == text.count("265.00")


async def test_a_name_in_thai_and_chinese_is_printed_whole(database: Database) -> None:
    sale = await sold(database)
    name = "海港 ร้านอาหารที่ดี 餐廳ไทย A"
    async with transaction(database) as tx:
        await tx.execute(update(Offer).values(names={"en": name}))
    assert plain(name) in plain(printed(as_pdf(await drawn_up(database, sale), "en")))


def printed(document: bytes) -> str:
    """What an independent reader finds on the pages."""
    with pypdfium2.PdfDocument(document) as pages:
        return "\f".join(page.get_textpage().get_text_bounded() for page in pages)


async def test_a_statement_is_for_the_partner_and_the_operator(database: Database) -> None:
    sale = await sold(database)

    def staff(role: str, merchant_id: object) -> Actor:
        return Actor("staff", new_id(), role, PERMISSIONS[role], merchant_id)  # type: ignore[arg-type]

    own = await drawn_up(database, sale, staff("manager", sale.merchant_id))
    assert own.totals.orders == 3
    with pytest.raises(Refusal, match="not_found"):
        await drawn_up(database, sale, staff("manager", new_id()))
    with pytest.raises(Refusal, match="not_allowed"):
        await drawn_up(database, sale, staff("cashier", sale.merchant_id))
