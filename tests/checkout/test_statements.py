"""The settlement of a period: reckoned by hand, and said alike by values, workbook and document."""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import update

from tearline.checkout import statement_files
from tearline.checkout.actions import pay_order, place_order
from tearline.checkout.entries import adjust
from tearline.checkout.refunding import refund_order
from tearline.checkout.statement_files import overview_file, settlement_file
from tearline.checkout.statements import (
    Borne,
    Figures,
    Group,
    Settlement,
    currencies_of,
    settlement,
    settlement_of_all,
)
from tearline.core.refunds import Wish
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, SYSTEM, Actor
from tearline.core.settlement import BOOKED_WITHIN
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import Merchant
from tests.cart_worlds import TENTH_OFF, CartWorld, make_cart_world

pytestmark = pytest.mark.anyio

ZONE = "Asia/Hong_Kong"
MARCH = (
    datetime(2026, 3, 1, tzinfo=ZoneInfo(ZONE)),
    datetime(2026, 4, 1, tzinfo=ZoneInfo(ZONE)),
)
FIRST_DAY, LAST_MOMENT = MARCH[0] + timedelta(hours=7), MARCH[1] - timedelta(seconds=1)
NAMES = {"en": "Noodles", "zh-Hant": "麵店", "zh-Hans": "面店", "th": "ร้านก๋วยเตี๋ยว"}


@pytest.fixture
async def world(database: Database) -> CartWorld:
    """A month of two merchants: an order that the platform is paid for, one that the merchants are, some given back.

    Carts of 2 × 100.00 and shipping of 12.00 at the noodle shop, and 50.00 at the bookshop; a coupon of the noodle
    shop for 20.00, and one of the platform for a tenth, of which each bears a half; 30.00 of points.
    """
    world = await make_cart_world(database)
    world.now = FIRST_DAY
    own = await world.offer(world.noodles, code="OWN-20")
    tenth = await world.offer(benefit=TENTH_OFF, funding_platform_basis_points=5_000, code="=TENTH")
    for _number in range(2):
        await world.coupon(own)
        await world.coupon(tenth)
    first = await ordered(world, FIRST_DAY, collected_by="platform")
    await ordered(world, LAST_MOMENT, collected_by="merchant")
    # One of the two bowls, the day after.
    async with transaction(database) as tx:
        await refund_order(tx, SYSTEM, first, Wish(lines={"a": 1}), FIRST_DAY + timedelta(days=1))
        await adjust(tx, SYSTEM, world.books, -700, "HKD", "=Lost parcel", FIRST_DAY + timedelta(days=2))
    return world


async def ordered(world: CartWorld, moment: datetime, *, collected_by: str) -> str:
    """The cart of the world, paid with 30.00 of points."""
    cart = world.cart(
        world.line("a", 10_000, 2),
        world.line("b", 5_000, merchant_id=world.books),
        parcels=(world.parcel(1_200),),
        points=3_000,
    )
    async with transaction(world.database) as tx:
        placed = await place_order(tx, cart, world.book, moment)
        await pay_order(tx, SYSTEM, placed.number, moment, collected_by=collected_by)
    return placed.number


async def drawn_up(
    world: CartWorld,
    merchant_id: UUID,
    actor: Actor = SYSTEM,
    period: tuple[datetime, datetime] = MARCH,
    now: datetime = MARCH[1] + BOOKED_WITHIN,
) -> Settlement:
    async with world.database.connection() as connection:
        return await settlement(connection, actor, merchant_id, "HKD", *period, ZONE, now)


async def test_a_settlement_is_provisional_while_bookings_may_still_come(world: CartWorld) -> None:
    just_over = MARCH[1] + BOOKED_WITHIN - timedelta(seconds=1)
    drawn = [
        (await drawn_up(world, world.noodles, now=now)).is_final
        for now in (LAST_MOMENT, just_over, MARCH[1] + BOOKED_WITHIN)
    ]
    assert drawn == [False, False, True]
    kind: Literal["xlsx", "pdf"]
    for kind in ("xlsx", "pdf"):
        name, content = await a_file(world, world.noodles, kind, now=just_over)
        assert name == f"settlement-noodles-HKD-2026-03-01-provisional.{kind}"
        assert "Provisional" in said(content, kind)
        name, content = await a_file(world, world.noodles, kind)
        assert name == f"settlement-noodles-HKD-2026-03-01.{kind}"
        assert "Provisional" not in said(content, kind)
    name, content = await overview_file(
        world.database, SYSTEM, "HKD", *MARCH, ZONE, just_over, kind="xlsx", language="en"
    )
    assert name == "settlement-HKD-2026-03-01-provisional.xlsx" and "Provisional" in said(content, "xlsx")


def said(content: bytes, kind: str) -> str:
    """The text of a file's first page or sheet."""
    if kind == "xlsx":
        return str(CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python())
    return pypdfium2.PdfDocument(content)[0].get_textpage().get_text_range()


async def a_file(
    world: CartWorld,
    merchant_id: UUID,
    kind: Literal["xlsx", "pdf"],
    language: str = "en",
    now: datetime = MARCH[1] + BOOKED_WITHIN,
) -> tuple[str, bytes]:
    return await settlement_file(
        world.database, SYSTEM, merchant_id, "HKD", *MARCH, ZONE, now, kind=kind, language=language
    )


# By hand. The noodle shop's coupon takes 20.00 off its 200.00: 180.00 is left, and 230.00 with the books. A tenth of
# that is 23.00: 18.00 of the noodles and 5.00 of the books, half of each borne by the platform. 207.00 is left, and
# points pay 30.00 of it: 23.48 of the noodles' 162.00 (30 × 162 / 207 = 23.478) and 6.52 of the books' 45.00.
NOODLES_SOLD = Figures(
    count=1, sales=21_200, merchant_discount=2_000 + 900, subsidy=900, points=2_348, paid=15_052
)
BOOKS_SOLD = Figures(count=1, sales=5_000, merchant_discount=250, subsidy=250, points=652, paid=3_848)
# Of the two bowls each bore half of everything: 10.00 and 4.50 of the merchant, 4.50 of the platform, 11.74 points.
BOWL_RETURNED = Figures(
    count=1, sales=-10_000, merchant_discount=-1_450, subsidy=-450, points=-1_174, paid=-6_926
)
BY_PLATFORM, BY_MERCHANT = Group("payment", "platform"), Group("payment", "merchant")


async def test_what_is_payable_is_as_reckoned_by_hand(world: CartWorld) -> None:
    noodles = (await drawn_up(world, world.noodles)).totals
    assert noodles.groups == {
        BY_PLATFORM: NOODLES_SOLD,
        Group("refund", "platform"): BOWL_RETURNED,
        BY_MERCHANT: NOODLES_SOLD,
    }
    # The platform took 150.52 and gave 69.26 back; of both orders it owes what it bears.
    collected, borne = 15_052 - 6_926, 2 * (900 + 2_348) - 450 - 1_174
    assert noodles.payable == collected + borne == 12_998
    books = (await drawn_up(world, world.books)).totals
    assert books.groups == {
        BY_PLATFORM: BOOKS_SOLD,
        BY_MERCHANT: BOOKS_SOLD,
        Group("adjustment", None): Figures(count=1, sales=-700),
    }
    assert books.payable == 3_848 + 2 * (250 + 652) - 700 == 4_952
    for figures in (NOODLES_SOLD, BOOKS_SOLD, BOWL_RETURNED):
        assert figures.sales == (figures.merchant_discount + figures.subsidy + figures.points + figures.paid)
    async with world.database.connection() as connection:
        everyone = await settlement_of_all(connection, SYSTEM, "HKD", *MARCH)
        assert await currencies_of(connection, SYSTEM, *MARCH) == ["HKD"]
    assert [(one.merchant_code, one.totals) for one in everyone] == [
        ("books", books),
        ("noodles", noodles),
    ]
    await world.audited()


async def test_days_and_offers_sum_to_the_whole(world: CartWorld) -> None:
    drawn = await drawn_up(world, world.noodles)
    days = [(line.day.isoformat(), line.totals.payable) for line in drawn.days]
    assert days == [("2026-03-01", 18_300), ("2026-03-02", -8_550), ("2026-03-31", 3_248)]
    offers = [(line.code, line.given, line.undone) for line in drawn.offers]
    assert offers == [
        ("=TENTH", Borne(1_800, 1_800), Borne(-450, -450)),
        ("OWN-20", Borne(0, 4_000), Borne(0, -1_000)),
        (None, Borne(4_696, 0), Borne(-1_174, 0)),
    ]
    net = [line.net for line in drawn.offers]
    assert sum(one.platform for one in net) == drawn.totals.of().subsidy + drawn.totals.of().points
    assert sum(one.merchant for one in net) == drawn.totals.of().merchant_discount


async def test_a_period_is_half_open_and_stays_as_it_was(world: CartWorld) -> None:
    before = await drawn_up(world, world.noodles)
    workbook, document = await a_file(world, world.noodles, "xlsx"), await a_file(world, world.noodles, "pdf")
    await ordered(world, MARCH[1], collected_by="platform")
    async with transaction(world.database) as tx:
        await adjust(tx, SYSTEM, world.noodles, 100, "HKD", "Late", MARCH[1] + timedelta(days=3))
        await adjust(tx, SYSTEM, world.noodles, 100, "THB", "Elsewhere", LAST_MOMENT)
    assert await drawn_up(world, world.noodles) == before
    assert await a_file(world, world.noodles, "xlsx") == workbook
    assert await a_file(world, world.noodles, "pdf") == document
    april = (MARCH[1], MARCH[1] + timedelta(days=30))
    later = await drawn_up(world, world.noodles, period=april)
    assert (later.totals.of("payment").count, later.totals.adjustments) == (1, 100)
    both = await drawn_up(world, world.noodles, period=(MARCH[0], april[1]))
    assert both.totals == before.totals + later.totals
    with pytest.raises(Refusal, match="invalid"):
        await drawn_up(world, world.noodles, period=(MARCH[1], MARCH[0]))


async def test_the_workbook_says_the_same(world: CartWorld) -> None:
    name, content = await a_file(world, world.noodles, "xlsx")
    assert name == "settlement-noodles-HKD-2026-03-01.xlsx"
    sheets = read(content)
    assert list(sheets) == ["Summary", "By day", "By offer", "Entries"]
    assert sheets["Summary"][0][:2] == ["Merchant", "Noodles (noodles)"]
    head = dict(row[:2] for row in sheets["Summary"][:6])
    assert head["The platform owes the merchant"] == "HK$129.98"
    summary = [[row[0], *cents(row[2:])] for row in sheets["Summary"][7:] if row[2] != ""]
    assert summary[1:] == [
        ["Payments", 21_200, 2_900, 900, 2_348, 15_052, 18_300],
        ["Refunds", -10_000, -1_450, -450, -1_174, -6_926, -8_550],
        ["Payments", 21_200, 2_900, 900, 2_348, 15_052, 3_248],
        ["Total", 32_400, 4_350, 1_350, 3_522, 23_178, 12_998],
    ]
    assert [[row[1], *cents(row[7:])] for row in sheets["By day"][1:]] == [
        ["Payments", 18_300], ["Refunds", -8_550], ["Payments", 3_248], ["", 12_998],
    ]  # fmt: skip
    assert [[row[0], *cents(row[2:])] for row in sheets["By offer"][1:]] == [
        ["'=TENTH", 1_800, -450, 1_350, 1_800, -450, 1_350],
        ["OWN-20", 0, 0, 0, 4_000, -1_000, 3_000],
        ["", 4_696, -1_174, 3_522, 0, 0, 0],
        ["Total", 6_496, -1_624, 4_872, 5_800, -1_450, 4_350],
    ]
    entries = sheets["Entries"][1:]
    subsidy = [
        (row[1], row[4], round(row[8] * 100))
        for row in entries
        if row[5] == "'=TENTH" and row[7] == "Borne by the platform"
    ]
    assert subsidy == [("Payment", "a", 900), ("Refund", "a", -450), ("Payment", "a", 900)]
    assert sum(round(row[8] * 100) for row in entries) == 0, "every posting balances"
    assert {row[2] for row in entries} == {"Platform", "Merchant"}
    assert all(re.fullmatch("[0-9A-Z]{10}", row[3]) for row in entries)
    assert entries[-1][0].isoformat() == "2026-03-31T23:59:59", "in the statement's own time zone"
    books = read((await a_file(world, world.books, "xlsx"))[1])
    assert [row[9] for row in books["Entries"] if row[1] == "Adjustment"] == ["'=Lost parcel"] * 2
    assert ["Adjustments", 1.0, -7.0] in [[row[0], row[1], row[7]] for row in books["Summary"]]


async def test_a_workbook_has_its_limit(world: CartWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_files, "MOST_LINES", 3)
    with pytest.raises(Refusal, match="invalid"):
        await a_file(world, world.noodles, "xlsx")
    assert (await a_file(world, world.noodles, "pdf"))[1].startswith(b"%PDF-")


@pytest.mark.parametrize("language", NAMES)
async def test_the_document_says_the_same_in_every_language(world: CartWorld, language: str) -> None:
    async with transaction(world.database) as tx:
        await tx.execute(update(Merchant).where(Merchant.id == world.noodles).values(names=NAMES))
    name, document = await a_file(world, world.noodles, "pdf", language)
    assert name == "settlement-noodles-HKD-2026-03-01.pdf"
    text = printed(document)
    for amount in ("129.98", "212.00", "-100.00", "-69.26", "231.78", "183.00", "-85.50", "32.48", "48.72"):
        assert amount in text, amount
    assert plain(f"{NAMES[language]} (noodles)") in plain(text)
    assert "=TENTH" in text and "Asia/Hong_Kong" in text and "?" not in text


async def test_a_settlement_is_for_the_merchant_and_the_operator(world: CartWorld) -> None:
    def staff(role: str, merchant_id: UUID | None) -> Actor:
        return Actor("staff", new_id(), role, PERMISSIONS[role], merchant_id)

    own = staff("manager", world.noodles)
    assert (await drawn_up(world, world.noodles, own)).totals.payable == 12_998
    for actor, reason in (
        (staff("manager", world.books), "not_found"),
        (staff("editor", None), "not_allowed"),
    ):
        with pytest.raises(Refusal, match=reason):
            await drawn_up(world, world.noodles, actor)
    async with world.database.connection() as connection:
        seen = await settlement_of_all(connection, own, "HKD", *MARCH)
        assert [one.merchant_code for one in seen] == ["noodles"]
        nobody = await settlement_of_all(connection, SYSTEM, "JPY", *MARCH)
        assert nobody == []
    with pytest.raises(Refusal, match="not_found"):
        await drawn_up(world, new_id())


def cents(cells: list[Any]) -> list[int]:
    return [round(cell * 100) for cell in cells if isinstance(cell, float)]


def read(content: bytes) -> dict[str, list[list[Any]]]:
    """A workbook's rows by sheet, as an independent reader finds them."""
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names}


def printed(document: bytes) -> str:
    """What an independent reader finds on the pages."""
    with pypdfium2.PdfDocument(document) as pages:
        return "\f".join(page.get_textpage().get_text_bounded() for page in pages)


def plain(text: str) -> str:
    """Without spaces and the marks of Thai, which no reader finds in the order in which they were written."""
    return re.sub("[\\s\u0e31\u0e33-\u0e3a\u0e47-\u0e4e]", "", text)
