"""Handing unsold codes back: none can be sold afterwards, and the file is the same for ever."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from uuid import UUID

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import insert, select, text, update

from tearline.core.pools import CodeRule
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry
from tearline.pools import handback
from tearline.pools.handback import hand_back, hand_back_file, hand_backs
from tearline.pools.model import CodePool, HandBack, PartnerCode, ReturnedCode
from tests.pools.support import ACTOR, PoolWorld, bring, code_number, make_pool, staff
from tests.worlds import NOW

pytestmark = pytest.mark.anyio


async def make_stock(database: Database) -> PoolWorld:
    """Ten codes: 0 to 2 are sold, 1 has come back, 8 is void."""
    world = await make_pool(database)
    await bring(database, world.pool_id, [code_number(number) for number in range(10)])
    async with transaction(database) as tx:
        sold = update(PartnerCode).where(PartnerCode.position.in_([0, 2]))
        await tx.execute(sold.values(state="sold", coupon_id=new_id()))
        await tx.execute(update(PartnerCode).where(PartnerCode.position == 8).values(state="void"))
        await tx.execute(insert(ReturnedCode).values(pool_id=world.pool_id, position=1))
        await tx.execute(update(CodePool).values(next_position=3, sold=2, void=1, available=7))
    return world


async def file_of(database: Database, actor: Actor, hand_back_id: UUID, kind: str, days: int = 0) -> bytes:
    chunks = hand_back_file(database, actor, hand_back_id, kind, NOW + timedelta(days=days))
    return b"".join([chunk async for chunk in chunks])


async def test_unsold_codes_are_withdrawn_and_listed(database: Database) -> None:
    world = await make_stock(database)
    manager = staff("manager", world.merchant_id)
    async with transaction(database) as tx:
        hand_back_id = await hand_back(tx, manager, world.pool_id, campaign_id=None, now=NOW)
    async with database.connection() as connection:
        pool = (await connection.execute(select(CodePool.__table__))).one()
        states = (await connection.scalars(select(PartnerCode.state).order_by(PartnerCode.position))).all()
        assert (await connection.execute(select(ReturnedCode.position))).all() == []
        listed = (await connection.execute(hand_backs(manager, world.pool_id))).one()
    assert (pool.available, pool.withdrawn, pool.sold, pool.void, pool.next_position) == (0, 7, 2, 1, 10)
    assert states == ["sold", "withdrawn", "sold", *["withdrawn"] * 5, "void", "withdrawn"]
    assert (listed.id, listed.codes, listed.fetched_at) == (hand_back_id, 7, None)
    expected = [code_number(number) for number in (1, 3, 4, 5, 6, 7, 9)]

    content = await file_of(database, manager, hand_back_id, "csv")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    about = dict(row for row in rows if len(row) == 2)
    assert about["Handed back by"] == "manager of a test"
    assert about["Handed back at"] == "2026-11-22 04:00:00 UTC"
    assert about["Codes"] == "7"
    assert about["Partner"] == "Lotus Table"
    assert [row[0] for row in rows[rows.index(["Code"]) + 1 :]] == expected

    sheet = await file_of(database, manager, hand_back_id, "xlsx")
    book = CalamineWorkbook.from_filelike(io.BytesIO(sheet))
    assert book.get_sheet_by_index(0).to_python() == [["Code"], *[[code] for code in expected]]
    assert ["Codes", "7"] in book.get_sheet_by_name("About").to_python()
    with zipfile.ZipFile(io.BytesIO(sheet)) as parts:
        assert b">2026-11-22T04:00:00Z</dcterms:created>" in parts.read("docProps/core.xml")


async def test_the_file_is_the_same_every_time(database: Database) -> None:
    world = await make_stock(database)
    async with transaction(database) as tx:
        hand_back_id = await hand_back(tx, ACTOR, world.pool_id, campaign_id=None, now=NOW)
    for kind in ("csv", "xlsx"):
        first = await file_of(database, ACTOR, hand_back_id, kind)
        # A top-up and another hand-back in between change nothing.
        await bring(database, world.pool_id, [code_number(100 if kind == "csv" else 200)])
        async with transaction(database) as tx:
            await hand_back(tx, ACTOR, world.pool_id, campaign_id=None, now=NOW)
        assert await file_of(database, staff("owner"), hand_back_id, kind, days=9) == first
    async with database.connection() as connection:
        fetched = await connection.scalar(select(HandBack.fetched_at).where(HandBack.id == hand_back_id))
        exports = select(AuditEntry.after).where(AuditEntry.action == "code_pool.hand_back_exported")
        logged = (await connection.scalars(exports.order_by(AuditEntry.id))).all()
    assert fetched == NOW
    assert [entry["format"] for entry in logged] == ["csv", "csv", "xlsx", "xlsx"]
    assert not any(code_number(3) in str(entry) for entry in logged)


async def test_codes_that_changed_since_are_noticed(database: Database) -> None:
    world = await make_stock(database)
    async with transaction(database) as tx:
        hand_back_id = await hand_back(tx, ACTOR, world.pool_id, campaign_id=None, now=NOW)
        await tx.execute(update(PartnerCode).where(PartnerCode.position == 5).values(code="another"))
    with pytest.raises(RuntimeError, match="have changed"):
        await file_of(database, ACTOR, hand_back_id, "csv")


async def test_refusals(database: Database) -> None:
    world = await make_stock(database)
    async with transaction(database) as tx:
        await tx.execute(update(PartnerCode).where(PartnerCode.position == 3).values(state="reserved"))
        await tx.execute(update(CodePool).values(next_position=4, available=6, reserved=1))
    with pytest.raises(Refusal, match="orders_open") as refused:
        async with transaction(database) as tx:
            await hand_back(tx, ACTOR, world.pool_id, campaign_id=None, now=NOW)
    assert refused.value.details == {"codes": 1}
    empty = await make_pool(database)
    with pytest.raises(Refusal, match="nothing_to_hand_back"):
        async with transaction(database) as tx:
            await hand_back(tx, ACTOR, empty.pool_id, campaign_id=None, now=NOW)


async def test_only_the_partner_and_those_who_may(database: Database) -> None:
    world, stranger = await make_stock(database), await make_pool(database)
    for actor, reason in (
        (staff("manager", stranger.merchant_id), "not_found"),
        (staff("cashier", world.merchant_id), "not_allowed"),
        (staff("auditor"), "not_allowed"),
    ):
        with pytest.raises(Refusal, match=reason):
            async with transaction(database) as tx:
                await hand_back(tx, actor, world.pool_id, campaign_id=None, now=NOW)
    async with transaction(database) as tx:
        hand_back_id = await hand_back(tx, ACTOR, world.pool_id, campaign_id=None, now=NOW)
    with pytest.raises(Refusal, match="not_found"):
        await file_of(database, staff("manager", stranger.merchant_id), hand_back_id, "csv")
    with pytest.raises(Refusal, match="not_allowed"):
        await file_of(database, staff("finance"), hand_back_id, "csv")
    with pytest.raises(Refusal, match="not_found"):
        await file_of(database, ACTOR, new_id(), "csv")
    async with database.connection() as connection:
        of_stranger = hand_backs(staff("manager", stranger.merchant_id), world.pool_id)
        assert (await connection.execute(of_stranger)).all() == []


async def test_formulas_are_neutralised(database: Database) -> None:
    world = await make_pool(database)
    await bring(database, world.pool_id, ["-1+1|cmd"], rule=CodeRule(8, 8, "visible"), name="codes.txt")
    formula = Actor("staff", new_id(), "=1+1", ACTOR.permissions)
    async with transaction(database) as tx:
        hand_back_id = await hand_back(tx, formula, world.pool_id, campaign_id=None, now=NOW)
    content = (await file_of(database, ACTOR, hand_back_id, "csv")).decode("utf-8-sig")
    assert "\n'-1+1|cmd\r\n" in content
    assert "Handed back by,'=1+1\r\n" in content


async def test_a_long_list_goes_on_over_several_sheets(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handback, "_ROWS_PER_SHEET", 4)
    world = await make_stock(database)
    async with transaction(database) as tx:
        hand_back_id = await hand_back(tx, ACTOR, world.pool_id, campaign_id=None, now=NOW)
    book = CalamineWorkbook.from_filelike(io.BytesIO(await file_of(database, ACTOR, hand_back_id, "xlsx")))
    lists = [book.get_sheet_by_index(number).to_python() for number in (0, 1)]
    assert [len(one) for one in lists] == [5, 4]
    assert lists[0][0] == lists[1][0] == ["Code"]


async def test_a_top_up_that_is_not_committed_is_not_handed_back(database: Database) -> None:
    """Its rows are there, but nobody counts them yet; afterwards they are for sale."""
    world = await make_stock(database)
    async with database.engine.begin() as importing:
        await importing.execute(
            text(
                "INSERT INTO partner_code (pool_id, position, merchant_id, code) VALUES (:p, 10, :m, 'NEW')"
            ),
            {"p": world.pool_id, "m": world.merchant_id},
        )
        async with transaction(database) as tx:
            await hand_back(tx, ACTOR, world.pool_id, campaign_id=None, now=NOW)
        await importing.execute(
            update(CodePool).values(size=CodePool.size + 1, available=CodePool.available + 1)
        )
    async with database.connection() as connection:
        pool = (await connection.execute(select(CodePool.__table__))).one()
        state = await connection.scalar(select(PartnerCode.state).where(PartnerCode.code == "NEW"))
    assert (pool.available, pool.withdrawn, pool.next_position, state) == (1, 7, 10, "available")
