"""What became of each row of an imported file: in short, and as a whole; and the templates to begin with."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import xlsxwriter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.pools import OUTCOMES, PROBLEMS
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.spreadsheets import CSV_MARK, csv_lines
from tearline.db import Database, transaction
from tearline.i18n import _, translate
from tearline.merchants.audit import record_audit
from tearline.pools.model import CodeFile, CodeFileRow, PartnerCode
from tearline.pools.reads import FileView, file_of

EXAMPLES = 5
OUTCOME_WORDS = {
    "added": _("Added"),
    "duplicate": _("Duplicate in the file"),
    "held": _("Already in this partner's pools"),
    "invalid": _("Invalid"),
}
"""What became of a row, in English words."""

_FETCHED_ROWS = 5_000
_TEMPLATE_CODES = ("0012345678901234567890", "491111E1311415BAA466")


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of an imported file's rows.

    Attributes:
        reasons: of the invalid ones, how many by key of ``core.pools.PROBLEMS``.
        examples: of each outcome but ``added`` the first few rows: number, text, and reason.
    """

    file_id: UUID
    pool_id: UUID
    rows: int
    added: int
    duplicate: int
    held: int
    invalid: int
    reasons: dict[str, int]
    examples: dict[str, list[tuple[int, str, str | None]]]


async def summary(connection: AsyncConnection, actor: Actor, file_id: UUID) -> ImportSummary:
    """What became of a file's rows, with examples; ``file_not_ready`` when it is not imported."""
    file, _merchant_id = await file_of(connection, actor, file_id)
    _refuse_unless_imported(file)
    of_file = CodeFileRow.file_id == file_id
    reasons = (
        select(CodeFileRow.reason, func.count().label("rows"))
        .where(of_file, CodeFileRow.outcome == "invalid")
        .group_by(CodeFileRow.reason)
        .order_by(func.count().desc())
    )
    examples = {}
    for outcome in OUTCOMES[1:]:
        statement = (
            select(CodeFileRow.number, CodeFileRow.code, CodeFileRow.reason)
            .where(of_file, CodeFileRow.outcome == outcome)
            .order_by(CodeFileRow.number)
            .limit(EXAMPLES)
        )
        found = [(row.number, row.code, row.reason) for row in await connection.execute(statement)]
        if found:
            examples[outcome] = found
    return ImportSummary(
        file_id=file_id,
        pool_id=file.pool_id,
        rows=file.rows,
        added=file.added,
        duplicate=file.duplicate,
        held=file.held,
        invalid=file.invalid,
        reasons={row.reason: row.rows for row in await connection.execute(reasons)},
        examples=examples,
    )


async def outcomes_csv(
    database: Database,
    actor: Actor,
    file_id: UUID,
    *,
    language: str = "en",
    now: datetime | None = None,
) -> AsyncIterator[bytes]:
    """What became of every row of an imported file, in its order: a CSV file in UTF-8, piece by piece.

    The download is put down in the audit log before its first byte.
    """
    async with transaction(database) as tx:
        file, merchant_id = await file_of(tx, actor, file_id)
        _refuse_unless_imported(file)
        await record_audit(
            tx, actor, "code_pool.outcomes_exported", "code_pool", file.pool_id, None,
            {"file": file.name, "rows": file.rows}, now or datetime.now(UTC), merchant_id=merchant_id,
        )  # fmt: skip
    words = {outcome: translate(language, word) for outcome, word in OUTCOME_WORDS.items()}
    sentences = {reason: translate(language, sentence) for reason, sentence in PROBLEMS.items()}
    headings = (_("Row"), _("Code"), _("Outcome"), _("Reason"))
    yield CSV_MARK + csv_lines([[translate(language, heading) for heading in headings]])
    async for page in _outcomes(database, file):
        yield csv_lines(
            (number, code, words[outcome], sentences.get(reason or "", ""))
            for number, code, outcome, reason in page
        )


async def _outcomes(
    database: Database, file: FileView
) -> AsyncIterator[Sequence[tuple[int, str, str, str | None]]]:
    """All rows of the file, some thousands at a time: the added ones fill the gaps between the others."""
    async with database.connection() as connection:
        first = await connection.scalar(select(CodeFile.first_position).where(CodeFile.id == file.id))
        position = first or 0
        for start in range(0, file.rows, _FETCHED_ROWS):
            end = min(start + _FETCHED_ROWS, file.rows)
            exceptions = select(
                CodeFileRow.number, CodeFileRow.code, CodeFileRow.outcome, CodeFileRow.reason
            ).where(CodeFileRow.file_id == file.id, CodeFileRow.number.between(start + 1, end))
            by_number: dict[int, Any] = {row.number: row for row in await connection.execute(exceptions)}
            added = (
                select(PartnerCode.code)
                .where(
                    PartnerCode.pool_id == file.pool_id,
                    PartnerCode.position >= position,
                    PartnerCode.position < position + (end - start) - len(by_number),
                )
                .order_by(PartnerCode.position)
            )
            codes = (await connection.execute(added)).scalars().all()
            position += len(codes)
            following = iter(codes)
            yield [
                tuple(by_number[number]) if number in by_number else (number, next(following), "added", None)
                for number in range(start + 1, end + 1)
            ]


def _refuse_unless_imported(file: FileView) -> None:
    if file.state != "imported":
        raise Refusal("file_not_ready")


def template_csv() -> bytes:
    """A CSV file to put codes into: UTF-8 with the mark by which spreadsheets recognise it."""
    return "\r\n".join(["\ufeffCode", *_TEMPLATE_CODES, ""]).encode()


def template_xlsx() -> bytes:
    """An Excel file to put codes into: its first column is formatted as text, so that no digit gets lost."""
    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False})
    workbook.set_properties({"created": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
    sheet = workbook.add_worksheet("Codes")
    as_text = workbook.add_format({"num_format": "@"})
    sheet.set_column(0, 0, 40, as_text)
    sheet.freeze_panes(1, 0)
    sheet.write_string(0, 0, "Code", workbook.add_format({"bold": True}))
    for number, code in enumerate(_TEMPLATE_CODES, 1):
        sheet.write_string(number, 0, code, as_text)
    workbook.close()
    return buffer.getvalue()
