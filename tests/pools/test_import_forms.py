"""Files of partner codes in every form that they come in, and what spreadsheets did to them."""

from __future__ import annotations

import io
import random

import pytest
import xlsxwriter
from sqlalchemy import func, select

from tearline.core.pools import CodeRule
from tearline.core.refusal import Refusal
from tearline.db import Database
from tearline.pools.files import preview
from tearline.pools.importing import import_file
from tearline.pools.model import CodeFile, CodeFilePart
from tearline.pools.outcomes import template_csv, template_xlsx
from tests.pools.support import (
    ACTOR,
    RULE,
    bring,
    code_number,
    codes_of,
    make_pool,
    outcomes_of,
    upload,
)
from tests.worlds import NOW

pytestmark = pytest.mark.anyio


def workbook(cells: list[object], *, heading: str | None = None) -> bytes:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet()
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for number, cell in enumerate([*([heading] if heading else []), *cells]):
        sheet.write_string(number, 0, f"row {number}")
        if isinstance(cell, str):
            sheet.write_string(number, 1, cell)
        elif isinstance(cell, int | float):
            sheet.write_number(number, 1, cell)
        elif cell is not None:
            sheet.write_datetime(number, 1, cell, day)
    book.close()
    return buffer.getvalue()


async def test_numbers_in_a_sheet_are_refused_whatever_they_look_like(database: Database) -> None:
    world = await make_pool(database)
    rule = CodeRule(10, 20, "digits")
    content = workbook(
        [
            "0123456789",
            1234567890,
            "1234567890",
            49111113114150000000.0,
            12.5,
            None,
            NOW.replace(tzinfo=None),
        ],
        heading="Code",
    )
    outcome = await bring(
        database, world.pool_id, content, column=1, has_heading=True, rule=rule, name="a.xlsx"
    )
    assert await codes_of(database, world) == ["0123456789", "1234567890"]
    assert outcome.reasons == {"number": 2, "digits_lost": 1, "empty": 1, "not_text": 1}
    assert outcome.examples["invalid"][0] == (2, "1234567890", "number")


async def test_the_templates_can_be_imported(database: Database) -> None:
    world = await make_pool(database)
    for name, content in (("a.csv", template_csv()), ("a.xlsx", template_xlsx())):
        file_id = await upload(database, world.pool_id, content, name)
        async with database.connection() as connection:
            seen = await preview(connection, ACTOR, file_id)
        assert (seen.heading, seen.column, seen.problems) == ("Code", 0, {})
        assert seen.rows[1] == ["0012345678901234567890"]


TEXT_ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "cp874",
    "big5",
    "gb18030",
    "cp1252",
]


NAMES = {
    "cp874": ["ชุดอาหารค่ำสำหรับสองท่าน", "บัตรกำนัลร้านอาหารริมน้ำ", "ของหวานและเครื่องดื่ม", "ส่วนลดพิเศษ"],
    "big5": ["雙人晚餐套餐", "海景自助午餐禮券", "下午茶及甜品", "週末限定優惠"],
    "gb18030": [
        "双人晚餐套餐",
        "海景自助午餐礼券",
        "下午茶和甜品，适用于周末",
        "周末限定优惠，不可与其他优惠同时使用",
    ],
    "cp1252": ["Menü für zwei Gäste", "Déjeuner à la carte", "Café crème", "Größere Auswahl"],
}


@pytest.mark.parametrize("encoding", TEXT_ENCODINGS)
async def test_common_encodings(database: Database, encoding: str) -> None:
    names = NAMES.get(encoding, [name for texts in NAMES.values() for name in texts])
    lines = [f"{names[number % len(names)]};{code_number(number)};{number}" for number in range(50)]
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, "\r\n".join(["Name;Code;No.", *lines]).encode(encoding))
    async with database.connection() as connection:
        seen = await preview(connection, ACTOR, file_id)
    assert (seen.delimiter, seen.column, seen.heading, seen.problems) == (";", 1, "Code", {})
    assert seen.rows[1][0] == names[0]
    outcome = await import_file(
        database, ACTOR, file_id, rule=seen.rule, column=seen.column, has_heading=seen.has_heading
    )
    assert outcome.added == 50


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["codes.txt", "codes.csv"])
async def test_one_code_a_line(database: Database, newline: str, name: str) -> None:
    world = await make_pool(database)
    content = newline.join(["", *(code_number(number) for number in range(10)), "", " ", code_number(10)])
    outcome = await bring(database, world.pool_id, content, name=name)
    assert (outcome.rows, outcome.added) == (11, 11)


async def test_a_code_with_signs_that_copy_treats_specially(database: Database) -> None:
    world = await make_pool(database)
    codes = ["a\\b-0001", "a\\tb-002", "\\N-00003", "a|b'0004", 'a"b-0005', "\\.-00006"]
    outcome = await bring(database, world.pool_id, codes, rule=CodeRule(7, 8), name="codes.txt")
    assert outcome.added == len(codes)
    assert await codes_of(database, world) == codes


async def test_odd_texts_are_kept_as_far_as_they_can_be(database: Database) -> None:
    world = await make_pool(database)
    odd = ["=HYPERLINK(1)", "x" * 500, "a\tb", "\x01bell", "โค้ด"]
    outcome = await bring(database, world.pool_id, [*odd, code_number(1)], name="codes.txt")
    assert (outcome.added, outcome.invalid) == (1, 5)
    texts = [text for _number, text, _reason in outcome.examples["invalid"]]
    assert texts == ["=HYPERLINK(1)", "x" * 100, "a\ufffdb", "\ufffdbell", "โค้ด"]
    assert (await outcomes_of(database, outcome.file_id))[1][1] == "'=HYPERLINK(1)"


async def test_a_cell_of_two_lines_is_one_row(database: Database) -> None:
    world = await make_pool(database)
    outcome = await bring(
        database, world.pool_id, f'"{code_number(1)}\n{code_number(2)}"\n{code_number(3)}\n'
    )
    assert (outcome.rows, outcome.added, outcome.reasons) == (2, 1, {"characters": 1})


async def test_zeros_that_may_be_chance_are_told_from_those_that_are_not(database: Database) -> None:
    world = await make_pool(database)
    rule = CodeRule(17, 17, "digits")
    generator = random.Random(3)
    genuine = list(dict.fromkeys(f"{generator.randrange(10**17):017d}" for _ in range(3_000)))
    by_chance = [code for code in genuine if code.endswith("00")]
    assert by_chance
    assert (await bring(database, world.pool_id, genuine, rule=rule)).added == len(genuine)
    assert await codes_of(database, world) == genuine
    spoilt = [f"{number:015d}00" for number in range(10**14, 10**14 + 500)]
    outcome = await bring(database, world.pool_id, spoilt, rule=rule)
    assert (outcome.added, outcome.reasons) == (0, {"digits_lost": 500})


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7 something",
        b"PK\x03\x04 but no workbook",
        b"a\x00b\x00\x00\x00c",
        b"   \n \n",
        b"x" * 2_500_000,
    ],
)
async def test_what_is_no_list_is_refused(database: Database, content: bytes) -> None:
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, content)
    with pytest.raises(Refusal, match="unreadable_file"):
        async with database.connection() as connection:
            await preview(connection, ACTOR, file_id)
    with pytest.raises(Refusal, match="unreadable_file"):
        await import_file(database, ACTOR, file_id, rule=RULE, column=0, has_heading=False)
    async with database.connection() as connection:
        file = (await connection.execute(select(CodeFile.__table__))).one()
        assert (file.state, file.problem) == ("failed", "unreadable_file")
        assert await connection.scalar(select(func.count()).select_from(CodeFilePart)) == 0
