"""Pools: made, changed, looked at, searched; files that are received, looked at, thrown away."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from tearline.core.pools import CodeRule
from tearline.core.refusal import Refusal
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry
from tearline.offers.model import Offer
from tearline.pools import files
from tearline.pools.actions import create_pool, update_pool, void_codes
from tearline.pools.files import discard_file, preview, receive_file
from tearline.pools.importing import release_stalled
from tearline.pools.model import CodeFile, CodeFilePart, CodePool, PartnerCode, ReturnedCode
from tearline.pools.reads import files as files_of
from tearline.pools.reads import find_codes, pool, pool_of_offer, pools
from tests.pools.support import ACTOR, RULE, bring, code_number, make_pool, pieces, staff, upload
from tests.pools.workbooks import packed, parts
from tests.worlds import NOW, offer_row

pytestmark = pytest.mark.anyio


async def test_a_pool_as_staff_see_it(database: Database) -> None:
    world = await make_pool(database, low_stock=5)
    await bring(database, world.pool_id, [code_number(number) for number in range(4)])
    async with database.connection() as connection:
        seen = await pool(connection, staff("manager", world.merchant_id), world.pool_id)
        assert (seen.size, seen.available, seen.is_low, seen.rule) == (4, 4, True, RULE)
        assert seen.merchant_names == {"en": "Lotus Table"}
        assert [file.state for file in seen.latest_files] == ["imported"]
        assert await pool_of_offer(connection, ACTOR, world.offer_id) == seen
        stranger = await make_pool(database)
        foreign = staff("manager", stranger.merchant_id)
        with pytest.raises(Refusal, match="not_found"):
            await pool(connection, foreign, world.pool_id)
        assert await pool_of_offer(connection, foreign, world.offer_id) is None
        assert [row.id for row in await connection.execute(pools(foreign))] == [stranger.pool_id]
        assert (await connection.execute(files_of(foreign, world.pool_id))).all() == []
        with pytest.raises(Refusal, match="not_allowed"):
            await pool(connection, staff("finance"), world.pool_id)
        with pytest.raises(Refusal, match="not_found"):
            await pool(connection, ACTOR, new_id())


async def test_which_offers_can_have_a_pool(database: Database) -> None:
    world = await make_pool(database)
    async with transaction(database) as tx:
        offers = {name: new_id() for name in ("issued", "archived", "platform", "free")}
        changes = {
            "issued": {"issued": 1},
            "archived": {"state": "archived"},
            "platform": {"merchant_id": None, "issuer": "platform"},
            "free": {},
        }
        for name, offer_id in offers.items():
            await tx.execute(
                insert(Offer).values(
                    offer_row(offer_id, **{"merchant_id": world.merchant_id, **changes[name]})
                )
            )

    async def made(name: str, actor=ACTOR, **options) -> None:
        async with transaction(database) as tx:
            await create_pool(tx, actor, offers[name], now=NOW, **options)

    for name, reason in (("issued", "not_editable"), ("archived", "not_editable"), ("platform", "invalid")):
        with pytest.raises(Refusal, match=reason):
            await made(name)
    with pytest.raises(Refusal) as refused:
        await made("free", symbology="morse", low_stock=0)
    assert set(refused.value.fields) == {"symbology", "low_stock"}
    with pytest.raises(Refusal, match="not_found"):
        await made("free", staff("manager", new_id()))
    with pytest.raises(Refusal, match="not_allowed"):
        await made("free", staff("cashier", world.merchant_id))
    await made("free", staff("manager", world.merchant_id), symbology="code128")
    with pytest.raises(Refusal, match="conflict"):
        await made("free")


async def test_changing_a_pool(database: Database) -> None:
    world = await make_pool(database)
    await bring(database, world.pool_id, [code_number(1)])
    async with transaction(database) as tx:
        options = {"symbology": "qr", "low_stock": 10, "now": NOW}
        assert await update_pool(tx, ACTOR, world.pool_id, version=1, **options) == 2
        assert await update_pool(tx, ACTOR, world.pool_id, version=2, **options) == 2
        with pytest.raises(Refusal, match="changed_meanwhile"):
            await update_pool(tx, ACTOR, world.pool_id, version=1, **options)
        row = (await tx.execute(select(CodePool.__table__))).one()
        assert (row.symbology, row.low_stock, row.version) == ("qr", 10, 2)


async def test_voiding_codes(database: Database) -> None:
    world = await make_pool(database)
    await bring(database, world.pool_id, [code_number(number) for number in range(6)])
    async with transaction(database) as tx:
        await tx.execute(
            update(PartnerCode).where(PartnerCode.position == 0).values(state="sold", coupon_id=new_id())
        )
        await tx.execute(insert(ReturnedCode).values(pool_id=world.pool_id, position=1))
        await tx.execute(update(CodePool).values(next_position=2, sold=1, available=5))
    named = [code_number(0), f" {code_number(1)} ", code_number(4), "never heard of", "\x00", "x" * 99]
    async with transaction(database) as tx:
        assert await void_codes(tx, ACTOR, world.pool_id, named, NOW) == 2
        assert await void_codes(tx, ACTOR, world.pool_id, named, NOW) == 0
    async with database.connection() as connection:
        row = (await connection.execute(select(CodePool.__table__))).one()
        assert (row.available, row.void, row.sold) == (3, 2, 1)
        assert (await connection.execute(select(ReturnedCode.position))).all() == []
        entry = select(AuditEntry.after).where(AuditEntry.action == "code_pool.codes_voided")
        assert (await connection.scalars(entry)).all() == [{"codes": 2, "positions": [1, 4]}]


async def test_searching_shows_all_matches_that_one_may_see(database: Database) -> None:
    first, second = await make_pool(database), await make_pool(database)
    for world in (first, second):
        await bring(database, world.pool_id, [code_number(1), code_number(2)])
    member_id, coupon_id, order_id = new_id(), new_id(), new_id()
    async with transaction(database) as tx:
        await tx.execute(
            update(PartnerCode)
            .where(PartnerCode.pool_id == second.pool_id, PartnerCode.position == 0)
            .values(state="sold", member_id=member_id, coupon_id=coupon_id, order_id=order_id)
        )
    async with database.connection() as connection:
        found = await find_codes(connection, staff("owner"), f" {code_number(1).lower()} ")
        assert [(one.pool_id, one.state) for one in found] == [
            (second.pool_id, "sold"),
            (first.pool_id, "available"),
        ]
        assert (found[0].member_id, found[0].coupon_id, found[0].order_id) == (member_id, coupon_id, order_id)
        # Finance sees sales, but learns nothing of codes that are not sold.
        assert [one.state for one in await find_codes(connection, staff("finance"), code_number(1))] == [
            "sold"
        ]
        assert await find_codes(connection, staff("finance"), code_number(2)) == []
        manager = staff("manager", first.merchant_id)
        assert [one.pool_id for one in await find_codes(connection, manager, code_number(1))] == [
            first.pool_id
        ]
        with pytest.raises(Refusal, match="not_allowed"):
            await find_codes(connection, staff("cashier", first.merchant_id), code_number(1))
        for nonsense in ("", "  ", "\x00", "x" * 65, "nothing"):
            assert await find_codes(connection, ACTOR, nonsense) == []


async def test_a_file_is_stored_in_pieces(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 1000)
    world = await make_pool(database)
    content = "".join(f"{code_number(number)}\n" for number in range(200)).encode()
    file_id = await receive_file(
        database,
        ACTOR,
        world.pool_id,
        "C:\\lists\\june codes.csv",
        pieces(content, 333),
        source="api",
        now=NOW,
    )
    async with database.connection() as connection:
        parts = (
            await connection.execute(select(CodeFilePart.content).order_by(CodeFilePart.number))
        ).scalars()
        stored = [bytes(part) for part in parts]
        file = (await connection.execute(select(CodeFile.__table__))).one()
    assert b"".join(stored) == content
    assert {len(part) for part in stored[:-1]} == {1000}
    assert (file.id, file.state, file.size_bytes, file.name) == (
        file_id, "uploaded", len(content), "june codes.csv",
    )  # fmt: skip


async def test_uploads_that_fail_leave_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 10)
    monkeypatch.setattr(files, "MOST_BYTES", 50)
    world = await make_pool(database)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 30
        raise ConnectionError

    async def attempt(chunks: AsyncIterator[bytes]) -> None:
        await receive_file(database, ACTOR, world.pool_id, "a.csv", chunks, source="console", now=NOW)

    with pytest.raises(Refusal, match="too_large"):
        await attempt(pieces(b"x" * 51, 20))
    with pytest.raises(Refusal, match="unreadable_file"):
        await attempt(pieces(b""))
    with pytest.raises(ConnectionError):
        await attempt(broken())
    async with database.connection() as connection:
        rows = (
            await connection.execute(select(CodeFile.state, CodeFile.problem).order_by(CodeFile.id))
        ).all()
        assert await connection.scalar(select(func.count()).select_from(CodeFilePart)) == 0
    problems = ["too_large", "unreadable_file", "unavailable"]
    assert [tuple(row) for row in rows] == [("failed", problem) for problem in problems]


async def test_an_upload_that_nobody_ends_is_tidied_away(database: Database) -> None:
    world = await make_pool(database)
    await upload(database, world.pool_id, "x\n")
    async with transaction(database) as tx:
        await tx.execute(update(CodeFile).values(state="uploading"))
        assert await release_stalled(tx, NOW + timedelta(hours=1)) == 0
        assert await release_stalled(tx, NOW + timedelta(days=2)) == 1
        assert await tx.scalar(select(func.count()).select_from(CodeFilePart)) == 0


async def test_discarding(database: Database) -> None:
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, "x\n")
    async with transaction(database) as tx:
        with pytest.raises(Refusal, match="not_found"):
            await discard_file(tx, staff("manager", new_id()), file_id, NOW)
        await discard_file(tx, ACTOR, file_id, NOW)
        assert await tx.scalar(select(func.count()).select_from(CodeFilePart)) == 0
        with pytest.raises(Refusal, match="file_not_ready"):
            await discard_file(tx, ACTOR, file_id, NOW)
        with pytest.raises(Refusal, match="file_not_ready"):
            await preview(tx, ACTOR, file_id)


@pytest.mark.parametrize(("last", "reason"), [(b"z" * 9, "file_not_ready"), (b"z" * 99, "too_large")])
async def test_what_is_discarded_while_it_arrives_stays_so(
    database: Database, monkeypatch: pytest.MonkeyPatch, last: bytes, reason: str
) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 10)
    monkeypatch.setattr(files, "MOST_BYTES", 50)
    world = await make_pool(database)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 15
        async with transaction(database) as tx:
            await discard_file(tx, ACTOR, (await tx.scalars(select(CodeFile.id))).one(), NOW)
        yield b"y" * 15
        yield last

    with pytest.raises(Refusal, match=reason):
        await receive_file(database, ACTOR, world.pool_id, "a.csv", chunks(), source="api", now=NOW)
    async with database.connection() as connection:
        assert (await connection.scalars(select(CodeFile.state))).all() == ["discarded"]
        assert await connection.scalar(select(func.count()).select_from(CodeFilePart)) == 0
        actions = (await connection.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert actions[-1] == "code_pool.file_discarded"


async def test_a_preview_suggests_and_takes_orders(database: Database) -> None:
    world = await make_pool(database)
    lines = [f"{number},2026-06-{number % 28 + 1:02d},{code_number(number)},Set menu" for number in range(50)]
    file_id = await upload(
        database, world.pool_id, "\n".join(["No.,Date,Serial,Dish", *lines, "50,,4.9E+19,"])
    )
    async with database.connection() as connection:
        seen = await preview(connection, ACTOR, file_id)
        assert (seen.format, seen.encoding, seen.delimiter) == ("csv", "utf-8", ",")
        assert (seen.column, seen.heading, seen.learned, seen.rule) == (2, "Serial", RULE, RULE)
        assert (seen.sample_rows, seen.problems, seen.examples) == (
            51, {"exponent": 1}, {"exponent": [(51, "4.9E+19")]},
        )  # fmt: skip
        assert len(seen.rows) == 10
        assert seen.rows[0] == ["No.", "Date", "Serial", "Dish"]
        other = await preview(connection, ACTOR, file_id, column=0, has_heading=False)
        assert (other.column, other.has_heading, other.sample_rows) == (0, False, 52)
        narrow = await preview(connection, ACTOR, file_id, rule=CodeRule(1, 1, pattern="0000[0-9]{2}E.{13}"))
        assert set(narrow.problems) == {"exponent"}
        with pytest.raises(Refusal, match="invalid"):
            await preview(connection, ACTOR, file_id, rule=CodeRule(3, 2))


async def test_a_preview_keeps_no_more_of_a_row_than_it_shows(database: Database, tmp_path: Path) -> None:
    world = await make_pool(database)
    cells = "".join(f'<c r="{column}{{0}}" t="s"><v>{{1}}</v></c>' for column in "BCDEF")
    # Few rows are in memory at a time, for each is long.
    codes = "".join(f"<si><t>{code_number(number)}{' ' * 400}</t></si>" for number in range(1_001))
    texts = codes + "".join(f"<si><t>{number:02d}{'x' * 20_000}</t></si>" for number in range(64))
    rows = "".join(
        f'<row r="{number}" x="{"x" * 5_000}"><c r="A{number}" t="s"><v>{number - 1}</v></c>'
        f"{cells.format(number, 1_001 + number % 64)}</row>"
        for number in range(1, 1_002)
    )
    content = packed(tmp_path / "a.xlsx", parts(rows, texts)).read_bytes()
    file_id = await upload(database, world.pool_id, content, "a.xlsx")
    async with database.connection() as connection:
        seen = await preview(connection, ACTOR, file_id)
        tracemalloc.start()
        try:
            asked = await preview(connection, ACTOR, file_id, column=5)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (seen.column, seen.problems, seen.rule) == (0, {}, RULE)
    assert seen.rows[1] == [code_number(1), *[f"02{'x' * 98}"] * 5]
    assert asked.problems == {"too_long": 1_000}
    assert peak < 24 * 1024 * 1024


async def test_a_preview_of_a_column_that_is_not_shown(database: Database) -> None:
    world = await make_pool(database)
    lines = [",".join([*["x"] * 70, f"{' ' * 200}{code_number(number)}"]) for number in range(5)]
    file_id = await upload(database, world.pool_id, "\n".join(lines))
    async with database.connection() as connection:
        seen = await preview(connection, ACTOR, file_id, column=70)
        assert (seen.column, seen.learned, seen.problems, len(seen.rows[0])) == (70, RULE, {}, 50)
        assert (await preview(connection, ACTOR, file_id, column=71)).problems == {"empty": 5}


@pytest.mark.parametrize(
    ("lines", "heading"),
    [
        (["Code", "AAAA1111", "AAAA1112"], "Code"),
        (["รหัส", "AAAA1111", "AAAA1112"], "รหัส"),
        (["AAAA1110", "AAAA1111", "AAAA1112"], None),
        (["4.91111E+19", "AAAA1111", "AAAA1112"], None),
        (["SPINDLEX", "ABCDEFGH", "ZYXWVUTS"], None),
        (["AAAA1111"], None),
    ],
)
async def test_headings(database: Database, lines: list[str], heading: str | None) -> None:
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, "\n".join(lines))
    async with database.connection() as connection:
        assert (await preview(connection, ACTOR, file_id)).heading == heading


async def test_a_preview_holds_a_file_to_the_rule_of_its_pool(database: Database) -> None:
    world = await make_pool(database)
    await bring(database, world.pool_id, [code_number(1)])
    file_id = await upload(database, world.pool_id, "AB12\nAB13\n")
    async with database.connection() as connection:
        seen = await preview(connection, ACTOR, file_id)
    assert (seen.rule, seen.learned, seen.problems) == (
        RULE, CodeRule(4, 4, "upper_digits"), {"too_short": 2},
    )  # fmt: skip
