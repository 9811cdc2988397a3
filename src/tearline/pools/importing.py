"""Importing a file of partner codes: one transaction, in which every row finds its outcome.

The rows are staged in a temporary table by ``COPY`` and sorted out there by sets: what is no code, what stands in
the file twice, what this partner's pools hold already. The rest is added at positions in the order of the file.

Locks: the merchant's row from the look for codes held already to the end, so that imports of one partner go one
after another; the pool's row only for the counters at the very end, so that sales of the pool go on meanwhile.
Positions from ``size`` on are the import's own: only imports add codes, and they hold the merchant's row.

An import that dies is rolled back whole. Its file can be imported again once it has given no sign of life for
``STALLED_AFTER``; should the first still live, the second finds the file imported, or makes the first fail.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection as RawConnection
from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.pools import MOST_ROWS, OUTCOMES, CodeRule, are_zeros_by_chance, check_rule, compiled
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db import Database, is_connection_lost, is_retryable, transaction
from tearline.i18n import _
from tearline.merchants.audit import record_audit
from tearline.merchants.model import Merchant
from tearline.pools import sheets
from tearline.pools.actions import change_pool, locked_pool
from tearline.pools.files import read_cell, shown, unpacked
from tearline.pools.model import CodeFile, CodeFilePart, CodeFileRow, CodePool
from tearline.pools.outcomes import ImportSummary, outcomes_csv, summary, template_csv, template_xlsx
from tearline.pools.reads import FileView, file_of
from tearline.pools.stored import rule_json

__all__ = [
    "STALLED_AFTER",
    "ImportSummary",
    "Report",
    "import_file",
    "outcomes_csv",
    "release_stalled",
    "summary",
    "template_csv",
    "template_xlsx",
]

log = structlog.get_logger(__name__)

STALLED_AFTER = timedelta(minutes=1)
"""An import that has given no sign of life for so long is dead."""

Report = Callable[[int, int | None], None]
"""Told how far an import is: rows done, and of how many; None while they are still being counted."""

_SIGN_OF_LIFE_SECONDS = 1.0
_ROWS_PER_COPY = 20_000
_ROWS_PER_INSERT = 50_000
_LONGEST_STATEMENT_MEMORY = "64MB"


def _now() -> datetime:
    return datetime.now(UTC)


def _nobody(_done: int, _total: int | None) -> None:
    """Reports to nobody."""


async def import_file(
    database: Database,
    actor: Actor,
    file_id: UUID,
    *,
    rule: CodeRule,
    column: int,
    has_heading: bool,
    report: Report = _nobody,
    clock: Callable[[], datetime] = _now,
) -> ImportSummary:
    """Add the codes of an uploaded file to its pool; the rule becomes the pool's.

    Args:
        rule: what a person has confirmed that codes look like.
        column: which column holds the codes, from 0.
        has_heading: whether the first row is a heading.

    Raises:
        Refusal: ``invalid`` for a rule that makes no sense; ``file_not_ready`` when the file has been imported
            or discarded, or is being imported; ``unreadable_file`` and ``too_large``, after which the file has
            failed. Nothing is added then.
    """
    actor.require("codes.write")
    problems = check_rule(rule)
    if column < 0:
        problems["column"] = _("Choose the column of the codes.")
    if problems:
        raise Refusal("invalid", fields=problems)
    async with database.connection() as connection:
        file, merchant_id = await file_of(connection, actor, file_id)
    await _take(database, file_id, column, has_heading, clock())
    job = _Import(database, actor, file, merchant_id, rule, column, has_heading, report, clock)
    try:
        await job.run()
    except BaseException as error:
        # A refusal is the file's fault and stays so; anything else is not, and it can be imported again.
        with suppress(Exception):
            await _give_up(database, file_id, error, clock())
        raise
    async with database.connection() as connection:
        return await summary(connection, actor, file_id)


async def release_stalled(tx: AsyncConnection, now: datetime) -> int:
    """Let files be imported again whose import has died, and tidy away uploads that broke off; answers how many."""
    stalled = update(CodeFile).where(_is_dead(now)).values(state="uploaded", rows=0)
    released = (await tx.execute(stalled)).rowcount
    broken_off = (
        update(CodeFile)
        .where(CodeFile.state == "uploading", CodeFile.created_at < now - timedelta(days=1))
        .values(state="failed", problem="unavailable", finished_at=now)
        .returning(CodeFile.id)
    )
    ids = (await tx.execute(broken_off)).scalars().all()
    await tx.execute(delete(CodeFilePart).where(CodeFilePart.file_id.in_(ids)))
    return released + len(ids)


def _is_dead(now: datetime) -> ColumnElement[bool]:
    return and_(CodeFile.state == "importing", CodeFile.seen_at < now - STALLED_AFTER)


async def _take(database: Database, file_id: UUID, column: int, has_heading: bool, now: datetime) -> None:
    statement = (
        update(CodeFile)
        .where(CodeFile.id == file_id, or_(CodeFile.state == "uploaded", _is_dead(now)))
        .values(
            state="importing",
            column_number=column,
            has_heading=has_heading,
            rows=0,
            problem=None,
            seen_at=now,
        )
    )
    async with transaction(database) as tx:
        if (await tx.execute(statement)).rowcount == 0:
            raise Refusal("file_not_ready")


async def _give_up(database: Database, file_id: UUID, error: BaseException, now: datetime) -> None:
    is_its_fault = isinstance(error, Refusal) and error.reason in ("unreadable_file", "too_large")
    values: dict[str, Any] = {"state": "uploaded", "rows": 0}
    if is_its_fault:
        values = {"state": "failed", "problem": str(error), "finished_at": now}
    async with transaction(database) as tx:
        statement = update(CodeFile).where(CodeFile.id == file_id, CodeFile.state == "importing")
        changed = (await tx.execute(statement.values(**values))).rowcount
        if changed and is_its_fault:
            await tx.execute(delete(CodeFilePart).where(CodeFilePart.file_id == file_id))


@dataclass
class _Staging:
    """Turns cells into lines for ``COPY``: number, text, and what is wrong with it."""

    cells: Iterator[list[str]]
    rule: CodeRule
    rows: int = 0
    tails: Counter[int] = field(default_factory=Counter)
    """How many texts of so many digits are zeros after the 15th."""

    def batches(self) -> Iterator[bytes]:
        """Some thousand lines at a time."""
        match = compiled(self.rule).fullmatch
        lines: list[str] = []
        for cells in self.cells:
            first = self.rows + 1
            self.rows += len(cells)
            if self.rows > MOST_ROWS:
                raise Refusal("too_large")
            # Nearly all batches hold nothing but codes, and are matched without a step in Python for each.
            if {*map(type, cells)} == {str} and all(map(match, cells)):
                lines += [f"{number}\t{cell}\t\n" for number, cell in enumerate(cells, first)]
            else:
                lines += [self._examined(number, cell) for number, cell in enumerate(cells, first)]
            if len(lines) >= _ROWS_PER_COPY:
                yield self._encoded(lines)
                lines.clear()
        yield self._encoded(lines)

    @staticmethod
    def _encoded(lines: list[str]) -> bytes:
        # Texts hold no tabs and no line feeds, so the backslash is the one sign to escape.
        return "".join(lines).replace("\\", "\\\\").encode()

    def _examined(self, number: int, cell: str) -> str:
        code, problem = read_cell(cell, self.rule)
        if problem is None:
            return f"{number}\t{code}\t\n"
        if problem == "digits_lost":
            self.tails[len(code)] += 1
        return f"{number}\t{shown(code)}\t{problem}\n"


@dataclass
class _Import:
    """One import under way."""

    database: Database
    actor: Actor
    file: FileView
    merchant_id: UUID
    rule: CodeRule
    column: int
    has_heading: bool
    report: Report
    clock: Callable[[], datetime]
    rows: int = 0

    async def run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="tearline-codes-") as directory:
            async with self.database.connection() as connection:
                path = await unpacked(connection, self.file.id, Path(directory))
            async with transaction(self.database) as tx:
                async with self._signs_of_life():
                    await self._stage(tx, path)
                    await tx.execute(
                        select(Merchant.id)
                        .where(Merchant.id == self.merchant_id)
                        .with_for_update(key_share=True)
                    )
                    await self._sort_out(tx)
                    first_position, added = await self._add(tx)
                await self._conclude(tx, first_position, added)

    async def _stage(self, tx: AsyncConnection, path: Path) -> None:
        """Read the file into a temporary table; ``verdict`` is NULL for what may be added."""
        await tx.execute(text(f"SET LOCAL work_mem = '{_LONGEST_STATEMENT_MEMORY}'"))
        await tx.execute(
            text("CREATE TEMPORARY TABLE staged (number integer, code text, verdict text) ON COMMIT DROP")
        )
        form = await asyncio.to_thread(sheets.recognise, path, self.file.name)
        cells = sheets.cells(path, form, self.column, has_heading=self.has_heading)
        staging = _Staging(cells, self.rule)
        batches = staging.batches()
        raw = await raw_connection(tx)
        async with (
            raw.cursor() as cursor,
            cursor.copy("COPY staged FROM STDIN (FORMAT text, NULL '')") as copy,
        ):
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                await copy.write(batch)
                self.rows = staging.rows
                self.report(self.rows, None)
        for length, found in staging.tails.items():
            if are_zeros_by_chance(found, self.rows, length, self.rule):
                await tx.execute(
                    text(
                        "UPDATE staged SET verdict = NULL WHERE verdict = 'digits_lost' AND length(code) = :length"
                    ),
                    {"length": length},
                )

    async def _sort_out(self, tx: AsyncConnection) -> None:
        """Find what stands in the file twice, and what this partner has already; the merchant's row is locked."""
        await tx.execute(
            text("""
                UPDATE staged SET verdict = 'duplicate' FROM (
                    SELECT number AS later FROM (
                        SELECT number, row_number() OVER (PARTITION BY code ORDER BY number) AS nth
                        FROM staged WHERE verdict IS NULL
                    ) AS ranked WHERE nth > 1
                ) AS repeated WHERE number = later""")
        )
        holds_any = select(func.coalesce(func.sum(CodePool.size), 0)).where(
            CodePool.merchant_id == self.merchant_id
        )
        if await tx.scalar(holds_any):
            await tx.execute(text("ANALYZE staged (code)"))
            await tx.execute(
                text("""
                    UPDATE staged SET verdict = 'held' FROM partner_code
                    WHERE partner_code.code = staged.code AND partner_code.merchant_id = :merchant_id
                      AND verdict IS NULL"""),
                {"merchant_id": self.merchant_id},
            )
        await tx.execute(
            text("""
                INSERT INTO code_file_row (file_id, number, code, outcome, reason)
                SELECT :file_id, number, coalesce(code, ''),
                       CASE WHEN verdict IN ('duplicate', 'held') THEN verdict ELSE 'invalid' END,
                       CASE WHEN verdict NOT IN ('duplicate', 'held') THEN verdict END
                FROM staged WHERE verdict IS NOT NULL ORDER BY number"""),
            {"file_id": self.file.id},
        )

    async def _add(self, tx: AsyncConnection) -> tuple[int, int]:
        """Add what has no verdict, in the order of the file; answers the first position and how many."""
        size = select(CodePool.size).where(CodePool.id == self.file.pool_id)
        first_position = (await tx.scalars(size)).one()
        await tx.execute(text("CREATE INDEX ON staged (number) WHERE verdict IS NULL"))
        position = first_position
        for start in range(0, self.rows, _ROWS_PER_INSERT):
            inserted = await tx.execute(
                text("""
                    INSERT INTO partner_code (pool_id, position, merchant_id, code)
                    SELECT :pool_id, :position - 1 + row_number() OVER (ORDER BY number), :merchant_id, code
                    FROM staged WHERE verdict IS NULL AND number > :start AND number <= :end
                    ORDER BY number"""),
                {
                    "pool_id": self.file.pool_id, "merchant_id": self.merchant_id, "position": position,
                    "start": start, "end": start + _ROWS_PER_INSERT,
                },
            )  # fmt: skip
            position += inserted.rowcount
            self.report(min(start + _ROWS_PER_INSERT, self.rows), self.rows)
        return first_position, position - first_position

    async def _conclude(self, tx: AsyncConnection, first_position: int, added: int) -> None:
        """Write the counts, with the pool's lock held."""
        now = self.clock()
        pool = await locked_pool(tx, self.actor, self.file.pool_id)
        rule = rule_json(self.rule)
        counts = await self._counts(tx)
        grown = {"rule": rule, "size": pool.size + added, "available": pool.available + added}
        await change_pool(tx, pool, grown, now)
        concluded = (
            update(CodeFile)
            .where(CodeFile.id == self.file.id, CodeFile.state == "importing")
            .values(
                state="imported",
                rows=self.rows,
                added=added,
                first_position=first_position,
                seen_at=now,
                finished_at=now,
                **counts,
            )
        )
        if (await tx.execute(concluded)).rowcount == 0:
            # Somebody took this import for dead and has imported the file in its stead.
            raise Refusal("file_not_ready")
        await tx.execute(delete(CodeFilePart).where(CodeFilePart.file_id == self.file.id))
        after = {"file": self.file.name, "rows": self.rows, "added": added, "rule": rule, **counts}
        before = {"rule": pool.rule}
        await record_audit(
            tx, self.actor, "code_pool.file_imported", "code_pool", pool.id, before, after, now,
            merchant_id=self.merchant_id,
        )  # fmt: skip

    async def _counts(self, tx: AsyncConnection) -> dict[str, int]:
        statement = (
            select(CodeFileRow.outcome, func.count().label("rows"))
            .where(CodeFileRow.file_id == self.file.id)
            .group_by(CodeFileRow.outcome)
        )
        counts = dict.fromkeys(OUTCOMES[1:], 0)
        return counts | {row.outcome: row.rows for row in await tx.execute(statement)}

    @asynccontextmanager
    async def _signs_of_life(self) -> AsyncIterator[None]:
        """Tells others how far it is, over a connection of its own, for as long as the block lasts."""

        async def tell() -> None:
            while True:
                await asyncio.sleep(_SIGN_OF_LIFE_SECONDS)
                statement = update(CodeFile).where(CodeFile.id == self.file.id, CodeFile.state == "importing")
                try:
                    async with transaction(self.database) as tx:
                        await tx.execute(statement.values(rows=self.rows, seen_at=self.clock()))
                except Exception as error:
                    # The import itself will find out whether the database is away.
                    if not (is_retryable(error) or is_connection_lost(error)):
                        raise
                    log.warning("no_sign_of_life", file_id=str(self.file.id), error=str(error))

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling


async def raw_connection(tx: AsyncConnection) -> RawConnection[Any]:
    """The driver's own connection below a transaction, for what SQLAlchemy has no words for."""
    raw = (await tx.get_raw_connection()).driver_connection
    if not isinstance(raw, RawConnection):
        raise TypeError("not a connection of psycopg's")
    return raw
