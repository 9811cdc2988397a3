"""Lists against real SQL: filters, orders, keyset pages there and back, and files that spreadsheets can't run."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, get
from litestar.datastructures import State
from litestar.response import Response, Stream
from sqlalchemy import BigInteger, DateTime, MetaData, Table, Text, Uuid, insert, select
from sqlalchemy import Column as TableColumn
from sqlalchemy.dialects.postgresql import JSONB

from tearline.db import Database
from tearline.web.ui import exports
from tearline.web.ui.cursors import BadCursor, Cursor
from tearline.web.ui.lists import (
    ChoiceFilter,
    Column,
    DayFilter,
    ListDefinition,
    Listing,
    TextFilter,
    localised_columns,
)
from tearline.web.ui.page import UiSettings

pytestmark = pytest.mark.anyio

THINGS = Table(
    "ui_thing",
    MetaData(),
    TableColumn("id", Uuid, primary_key=True),
    TableColumn("name", Text, nullable=False),
    TableColumn("titles", JSONB, nullable=False),
    TableColumn("rank", BigInteger),
    TableColumn("spent", BigInteger, nullable=False),
    TableColumn("state", Text, nullable=False),
    TableColumn("made_at", DateTime(timezone=True), nullable=False),
)
DEFINITION = ListDefinition(
    id_column=THINGS.c.id,
    columns=[
        Column("name", "Name", sort=THINGS.c.name, href="/things/{id}"),
        Column("titles", "Title", kind="localised"),
        Column("rank", "Rank", kind="number", sort=THINGS.c.rank, is_nullable=True),
        Column("spent", "Spent", kind="money", currency="HKD"),
        Column("state", "State", kind="tag", labels={"live": "Live"}, tag_kinds={"live": "good"}),
        Column("made_at", "Made", kind="date_time", sort=THINGS.c.made_at),
        Column("buttons", "", is_exported=False),
    ],
    filters=[
        TextFilter("q", "Name", [THINGS.c.name, *localised_columns(THINGS.c.titles)]),
        ChoiceFilter("state", "State", [("live", "Live"), ("draft", "Draft")], THINGS.c.state),
        DayFilter("made", "Made", THINGS.c.made_at),
    ],
    default_sort="name",
    page_size=7,
)
START = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
FORMULA = '=HYPERLINK("http://example.org")'


def things() -> list[dict[str, Any]]:
    """40 rows with equal names and missing ranks, so that only a right order pages through them all."""
    rows = [
        {
            "id": UUID(int=index),
            "name": f"Thing {index // 3:02}",
            "titles": {"en": f"Title {index}", "zh-Hant": f"題目{index}"},
            "rank": None if index % 4 == 0 else index % 5,
            "spent": index * 1050,
            "state": "live" if index % 2 else "draft",
            "made_at": START + timedelta(hours=index),
        }
        for index in range(40)
    ]
    rows[0]["name"] = FORMULA
    rows[1]["name"] = "50%_off \\ <i>"
    return rows


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    rows = things()
    random.Random(2).shuffle(rows)
    async with database.engine.begin() as connection:
        await connection.run_sync(THINGS.metadata.create_all)
        await connection.execute(insert(THINGS), rows)

    @get("/things")
    async def page(request: Request[Any, Any, Any]) -> Response[Any]:
        async with database.connection() as connection:
            listing = await DEFINITION.page(request, select(THINGS), connection, export_path="/things/export")
        return Response(_facts(listing))

    @get("/things/export")
    async def export(request: Request[Any, Any, Any]) -> Stream:
        file_format = request.query_params.get("format", "csv")
        return DEFINITION.export(
            request, select(THINGS), database.engine.connect, file_format, file_name="things 物"
        )

    app = Litestar(
        [page, export], openapi_config=None, state=State({"ui": UiSettings(time_zone="Asia/Hong_Kong")})
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http


def _facts(listing: Listing) -> dict[str, Any]:
    return {
        "ids": [row.id.int for row in listing.rows],
        "next": listing.next_url,
        "previous": listing.previous_url,
        "total": listing.total,
    }


async def read(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    facts: dict[str, Any] = answer.json()
    return facts


def in_order(key: str, *, descending: bool) -> list[int]:
    """The order by plain Python: missing values last, equal ones by id in the same direction."""
    rows = things()
    present = [row for row in rows if row[key] is not None]
    missing = [row for row in rows if row[key] is None]
    present.sort(key=lambda row: (row[key], row["id"]), reverse=descending)
    missing.sort(key=lambda row: row["id"], reverse=descending)
    return [row["id"].int for row in present + missing]


@pytest.mark.parametrize("sort", ["rank", "-rank", "made_at", "-made_at"])
async def test_pages_there_and_back_show_every_row_once(client: httpx.AsyncClient, sort: str) -> None:
    pages = [await read(client, f"/things?sort={sort}")]
    while pages[-1]["next"]:
        pages.append(await read(client, pages[-1]["next"]))
    assert [one for page in pages for one in page["ids"]] == in_order(
        sort.lstrip("-"), descending=sort[0] == "-"
    )
    assert [len(page["ids"]) for page in pages] == [7, 7, 7, 7, 7, 5]
    assert not pages[0]["previous"]
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(await read(client, back[-1]["previous"]))
    assert [page["ids"] for page in back] == [page["ids"] for page in reversed(pages)]


async def test_equal_values_are_paged_by_id(client: httpx.AsyncClient) -> None:
    seen: list[int] = []
    url = "/things?sort=-name"
    while url:
        page = await read(client, url)
        seen += page["ids"]
        url = page["next"]
    assert sorted(seen) == list(range(40))


async def test_filters_narrow_and_combine(client: httpx.AsyncClient) -> None:
    assert (await read(client, "/things?q=題目7"))["ids"] == [7]
    assert (await read(client, "/things?q=50%25_OFF"))["ids"] == [1]
    # A percent sign and an underscore are what they are, not wildcards.
    assert (await read(client, "/things?q=%25%25"))["total"] == 0
    assert (await read(client, "/things?state=live"))["total"] == 20
    assert (await read(client, "/things?state=forged"))["total"] == 40
    # START is 23:30 in Hong Kong: one row falls on that day, 24 on the next.
    assert (await read(client, "/things?made_from=2026-11-22&made_to=2026-11-22"))["ids"] == [0]
    assert (await read(client, "/things?made_from=2026-11-23&made_to=2026-11-23&state=live"))["total"] == 12


@pytest.mark.parametrize(
    "query",
    [
        "after=nonsense",
        "after=%00",
        "after=" + "A" * 3000,
        "sort=spent",
        "sort=-",
        "made_from=0001-01-01&made_to=9999-12-31",
        "made_from=yesterday",
        "q=%00",
        "q=" + "%ED%A0%80",
        "after=" + Cursor("name", 5, UUID(int=1)).encode(),
        "after=" + Cursor("name", None, UUID(int=1)).encode(),
        "after=" + Cursor("name", "x", "x").encode(),
        "after=" + base64.urlsafe_b64encode(json.dumps(["name", {"n": "1e999999"}, 1, 0]).encode()).decode(),
        "&".join(f"a{n}=1" for n in range(300)),
    ],
)
async def test_nonsense_in_the_address_shows_the_first_page(client: httpx.AsyncClient, query: str) -> None:
    assert (await read(client, f"/things?{query}"))["ids"] or query.startswith("q=")


async def test_csv_is_whole_in_order_and_harmless(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/export?format=csv&sort=-made_at&lang=zh-Hant")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''things%20%E7%89%A9.csv"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 41
    assert len(rows[0]) == 7
    assert rows[1][:5] == ["Thing 13", "題目39", "4", "409.50", "HKD"]
    assert rows[-1][0] == f"'{FORMULA}"
    assert rows[-1][-1] == "2026-11-22 23:30:00"


async def test_excel_holds_numbers_as_numbers_and_no_formula(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/export?format=xlsx&q=HYPERLINK")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        sheet = unescape(archive.read("xl/worksheets/sheet1.xml").decode())
    assert f"'{FORMULA}" in sheet
    assert "<f>" not in sheet
    assert "<v>0.00</v>" in sheet


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_texts_that_a_spreadsheet_would_run_are_neutralised(start: str) -> None:
    assert exports.neutralised(f"{start}1+1") == f"'{start}1+1"
    assert exports.neutralised(f"a{start}") == f"a{start}"


def test_phone_numbers_are_exported_plainly() -> None:
    assert exports.neutralised("+85291234567") == "+85291234567"
    for text in ("+852 91234567", "+1+1", "+85291234567=1", "+", "-85291234567", "+٣٣٣٣", "+85291234567\n"):
        assert exports.neutralised(text) == f"'{text}"


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.uuids(), st.dates(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200),
    st.datetimes(timezones=st.just(UTC)), st.decimals(-(10**9), 10**9, places=2),
)  # fmt: skip


@given(value=values, row_id=st.uuids())
def test_cursors_survive_being_sent(value: object, row_id: UUID) -> None:
    cursor = Cursor("-made_at", value, row_id, is_before=True)
    decoded = Cursor.decode(cursor.encode(), "-made_at")
    assert (decoded.value, decoded.row_id) == (value, row_id)


@given(st.text())
def test_forged_cursors_are_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        Cursor.decode(text, "name", str, UUID)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (5, str),
        ("5", int),
        (True, int),
        (date(2026, 1, 1), datetime),
        (datetime(2026, 1, 1, tzinfo=UTC), date),
    ],
)
def test_cursors_of_another_type_are_refused(value: object, wanted: type) -> None:
    with pytest.raises(BadCursor):
        Cursor.decode(Cursor("x", value, UUID(int=1)).encode(), "x", wanted)


def test_numbers_stand_for_one_another_in_cursors() -> None:
    assert Cursor.decode(Cursor("x", Decimal("1.5"), UUID(int=1)).encode(), "x", int).value == Decimal("1.5")
