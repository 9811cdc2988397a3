"""Imports of partner codes: every row has its outcome, nothing is there twice, and nothing is half done."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from tearline.core.pools import CodeRule
from tearline.core.refusal import Refusal
from tearline.db import Database, transaction
from tearline.merchants.model import AuditEntry
from tearline.pools import importing
from tearline.pools.files import discard_file, preview
from tearline.pools.importing import STALLED_AFTER, import_file, outcomes_csv, release_stalled, summary
from tearline.pools.model import CodeFile, CodeFilePart, CodeFileRow, CodePool
from tests.pools.support import (
    ACTOR,
    RULE,
    bring,
    code_number,
    codes_of,
    make_pool,
    outcomes_of,
    staff,
    upload,
)
from tests.worlds import NOW

pytestmark = pytest.mark.anyio


REFERENCE = "491111E1311415BAA466"


async def test_every_row_has_an_outcome(database: Database) -> None:
    world = await make_pool(database)
    await bring(database, world.pool_id, [code_number(1)])
    content = "\n".join(
        [
            "Name,Voucher code",
            f"a,{code_number(2)}",
            f'b,"{code_number(3)}"',
            "",
            f"c,{code_number(2)}",
            f"d,{code_number(1)}",
            "e,4.91111E+19",
            "f,",
            f"g, {code_number(4)} ",
            f'h,"=""{code_number(5)}"""',
            f"i,{code_number(1)}",
            ",",
            f"j,{code_number(6)}",
        ]
    )
    outcome = await bring(database, world.pool_id, content, column=1, has_heading=True)
    assert (outcome.rows, outcome.added, outcome.duplicate, outcome.held, outcome.invalid) == (10, 5, 2, 1, 2)
    assert outcome.reasons == {"exponent": 1, "empty": 1}
    assert outcome.examples == {
        "duplicate": [(3, code_number(2), None), (9, code_number(1), None)],
        "held": [(4, code_number(1), None)],
        "invalid": [(5, "4.91111E+19", "exponent"), (6, "", "empty")],
    }
    assert await codes_of(database, world) == [code_number(one) for one in (1, 2, 3, 4, 5, 6)]
    rows = await outcomes_of(database, outcome.file_id)
    assert rows[0] == ["Row", "Code", "Outcome", "Reason"]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, 11)]
    assert [row[2] for row in rows[1:]] == [
        "Added", "Added", "Duplicate in the file", "Already in this partner's pools", "Invalid", "Invalid", "Added",
        "Added", "Duplicate in the file", "Added",
    ]  # fmt: skip
    assert [row[1] for row in rows[1:] if row[2] == "Added"] == [code_number(one) for one in (2, 3, 4, 5, 6)]
    async with database.connection() as connection:
        pool = (await connection.execute(select(CodePool.__table__))).one()
        assert (pool.size, pool.available, pool.next_position) == (6, 6, 0)
        assert pool.rule["alphabet"] == "upper_digits"
        assert await connection.scalar(select(func.count()).select_from(CodeFilePart)) == 0
        assert await summary(connection, ACTOR, outcome.file_id) == outcome
        actions = (await connection.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert actions[-2:] == ["code_pool.file_imported", "code_pool.outcomes_exported"]


async def test_the_same_file_again_adds_nothing(database: Database) -> None:
    world = await make_pool(database)
    content = "".join(f"{code_number(number)}\r\n" for number in range(300))
    first = await bring(database, world.pool_id, content)
    async with database.connection() as connection:
        file_id = await upload(database, world.pool_id, content)
        assert (await preview(connection, ACTOR, file_id)).imported_before is not None
    again = await bring(database, world.pool_id, content)
    assert (first.added, again.added, again.held) == (300, 0, 300)
    assert len(await codes_of(database, world)) == 300


async def test_codes_are_unique_in_all_pools_of_a_partner_and_nowhere_else(database: Database) -> None:
    world = await make_pool(database)
    sibling = await make_pool(database, merchant_id=world.merchant_id)
    stranger = await make_pool(database)
    codes = [code_number(number) for number in range(20)]
    assert (await bring(database, world.pool_id, codes)).added == 20
    assert (await bring(database, sibling.pool_id, [*codes, code_number(99)])).held == 20
    assert (await bring(database, stranger.pool_id, [code_number(50)])).added == 1
    again = await bring(database, stranger.pool_id, [*codes, code_number(50)])
    assert (again.added, again.held) == (20, 1)
    assert await codes_of(database, sibling) == [code_number(99)]


async def test_positions_go_on_over_several_files_and_batches(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_ROWS_PER_INSERT", 7)
    monkeypatch.setattr(importing, "_ROWS_PER_COPY", 11)
    world = await make_pool(database)
    first = [code_number(number % 40) for number in range(60)]
    second = [code_number(number) for number in range(30, 70)]
    reports: list[tuple[int, int | None]] = []
    await bring(database, world.pool_id, first)
    file_id = await upload(database, world.pool_id, "".join(f"{code}\n" for code in second))
    outcome = await import_file(
        database, ACTOR, file_id, rule=RULE, column=0, has_heading=False,
        report=lambda done, total: reports.append((done, total)),
    )  # fmt: skip
    assert (outcome.added, outcome.held) == (30, 10)
    assert await codes_of(database, world) == [code_number(number) for number in range(70)]
    assert reports[-1] == (40, 40)
    rows = await outcomes_of(database, outcome.file_id)
    assert [row[1] for row in rows[1:]] == second


rows_of_files = st.lists(
    st.one_of(
        st.integers(0, 12).map(code_number),
        st.sampled_from(["", "4.91111E+19", "123", "zz", REFERENCE, REFERENCE + " "]),
    ),
    max_size=40,
)


@pytest.mark.parametrize("_once", [0])
async def test_outcomes_are_those_of_a_plain_reading(database: Database, _once: int) -> None:
    """Against the words of the design, over many small files: one pass by hand, row by row."""
    examples: list[list[list[str]]] = []

    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(rows_of_files, min_size=1, max_size=3))
    def collect(files: list[list[str]]) -> None:
        examples.append(files)

    collect()
    for files in examples:
        world = await make_pool(database)
        held: list[str] = []
        for cells in files:
            seen: set[str] = set()
            expected: Counter[str] = Counter()
            added: list[str] = []
            for cell in (one.strip() for one in cells if one.strip()):
                if len(cell) != 20:
                    expected["invalid"] += 1
                elif cell in seen:
                    expected["duplicate"] += 1
                elif cell in held:
                    expected["held"] += 1
                else:
                    added.append(cell)
                seen.add(cell)
            held += added
            if not any(one.strip() for one in cells):
                with pytest.raises(Refusal, match="unreadable_file"):
                    await bring(database, world.pool_id, cells or ["\n"], name="codes.txt")
                continue
            outcome = await bring(database, world.pool_id, cells, name="codes.txt")
            got = {name: getattr(outcome, name) for name in ("duplicate", "held", "invalid")}
            assert got == {name: expected[name] for name in got}
            assert outcome.added == len(added)
        assert await codes_of(database, world) == held


async def test_two_imports_of_one_partner_at_once_share_out_the_codes(database: Database) -> None:
    """The unique index would break the second; the lock makes it wait and find the codes held."""
    world = await make_pool(database)
    sibling = await make_pool(database, merchant_id=world.merchant_id)
    codes = [code_number(number) for number in range(2_000)]
    async with Database(database.url) as other:
        outcomes = await asyncio.gather(
            bring(database, world.pool_id, codes),
            bring(other, sibling.pool_id, reversed(codes)),
            bring(database, world.pool_id, codes),
        )
    assert sum(outcome.added for outcome in outcomes) == 2_000
    assert sum(outcome.held for outcome in outcomes) == 4_000


async def test_sales_of_the_pool_go_on_during_an_import(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_pool(database)
    reached, goes_on = asyncio.Event(), asyncio.Event()
    conclude = importing._Import._conclude

    async def slowly(*arguments):
        reached.set()
        await goes_on.wait()
        await conclude(*arguments)

    monkeypatch.setattr(importing._Import, "_conclude", slowly)
    importing_now = asyncio.create_task(bring(database, world.pool_id, [code_number(1)]))
    await reached.wait()
    async with transaction(database) as tx:
        await tx.execute(text("SET LOCAL lock_timeout = '1s'"))
        await tx.execute(select(CodePool.id).with_for_update(key_share=True))
    goes_on.set()
    assert (await importing_now).added == 1


async def test_a_file_is_imported_once(database: Database) -> None:
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, code_number(1))
    arguments = {"rule": RULE, "column": 0, "has_heading": False}
    await import_file(database, ACTOR, file_id, **arguments)
    with pytest.raises(Refusal, match="file_not_ready"):
        await import_file(database, ACTOR, file_id, **arguments)
    with pytest.raises(Refusal, match="file_not_ready"):
        async with transaction(database) as tx:
            await discard_file(tx, ACTOR, file_id, NOW)


async def test_a_dead_import_is_taken_over_and_a_living_one_is_not(database: Database) -> None:
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, code_number(1))
    dead = update(CodeFile).values(state="importing", seen_at=NOW)
    async with transaction(database) as tx:
        await tx.execute(dead)
        assert await release_stalled(tx, NOW + STALLED_AFTER) == 0
    arguments = {"rule": RULE, "column": 0, "has_heading": False}
    with pytest.raises(Refusal, match="file_not_ready"):
        await import_file(database, ACTOR, file_id, **arguments, clock=lambda: NOW + timedelta(seconds=30))
    async with transaction(database) as tx:
        assert await release_stalled(tx, NOW + 2 * STALLED_AFTER) == 1
        await tx.execute(dead)
    outcome = await import_file(database, ACTOR, file_id, **arguments, clock=lambda: NOW + 2 * STALLED_AFTER)
    assert outcome.added == 1


async def test_of_two_that_import_the_same_file_one_fails_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first was slow and taken for dead."""
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, code_number(1))
    reached, goes_on = asyncio.Event(), asyncio.Event()
    stage = importing._Import._stage
    arguments = {"rule": RULE, "column": 0, "has_heading": False}

    async def slowly(*given_arguments):
        await stage(*given_arguments)
        if not reached.is_set():
            reached.set()
            await goes_on.wait()

    monkeypatch.setattr(importing._Import, "_stage", slowly)
    first = asyncio.create_task(import_file(database, ACTOR, file_id, **arguments))
    await reached.wait()
    async with transaction(database) as tx:
        await tx.execute(update(CodeFile).values(seen_at=NOW))
    assert (await import_file(database, ACTOR, file_id, **arguments)).added == 1
    goes_on.set()
    with pytest.raises(Refusal, match="file_not_ready"):
        await first
    assert await codes_of(database, world) == [code_number(1)]
    async with database.connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(CodeFileRow)) == 0


async def test_too_many_rows_are_refused_and_none_is_added(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_ROWS", 10)
    world = await make_pool(database)
    with pytest.raises(Refusal, match="too_large"):
        await bring(database, world.pool_id, [code_number(number) for number in range(11)])
    assert await codes_of(database, world) == []


async def test_something_that_breaks_leaves_the_file_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, code_number(1))
    arguments = {"rule": RULE, "column": 0, "has_heading": False}
    with monkeypatch.context() as broken:
        broken.setattr(importing, "record_audit", None)
        with pytest.raises(TypeError):
            await import_file(database, ACTOR, file_id, **arguments)
    assert await codes_of(database, world) == []
    assert (await import_file(database, ACTOR, file_id, **arguments)).added == 1


async def test_only_the_partner_and_those_who_may_import(database: Database) -> None:
    world = await make_pool(database)
    stranger = await make_pool(database)
    file_id = await upload(database, world.pool_id, code_number(1))
    arguments = {"rule": RULE, "column": 0, "has_heading": False}
    for actor, reason in (
        (staff("manager", stranger.merchant_id), "not_found"),
        (staff("cashier", world.merchant_id), "not_allowed"),
        (staff("finance"), "not_allowed"),
        (staff("auditor"), "not_allowed"),
    ):
        with pytest.raises(Refusal, match=reason):
            await import_file(database, actor, file_id, **arguments)
        with pytest.raises(Refusal, match=reason):
            await upload(database, world.pool_id, "x", actor=actor)
        with pytest.raises(Refusal, match=reason):
            async with database.connection() as connection:
                await preview(connection, actor, file_id)
        with pytest.raises(Refusal, match=reason):
            async for _ in outcomes_csv(database, actor, file_id):
                pass
    manager = staff("manager", world.merchant_id)
    assert (await import_file(database, manager, file_id, **arguments)).added == 1
    async with database.connection() as connection:
        with pytest.raises(Refusal, match="not_found"):
            await summary(connection, staff("manager", stranger.merchant_id), file_id)


@pytest.mark.parametrize(
    "changes", [{"rule": CodeRule(9, 3)}, {"rule": CodeRule(1, 9, pattern="(a+)+")}, {"column": -1}]
)
async def test_nonsense_is_refused(database: Database, changes: dict[str, object]) -> None:
    world = await make_pool(database)
    file_id = await upload(database, world.pool_id, code_number(1))
    arguments = {"rule": RULE, "column": 0, "has_heading": False, **changes}
    with pytest.raises(Refusal, match="invalid"):
        await import_file(database, ACTOR, file_id, **arguments)
