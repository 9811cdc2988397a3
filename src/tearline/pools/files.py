"""Files of partner codes: received piece by piece, looked at before they are imported, discarded.

A file lies in the database until it has been imported or discarded, so that whichever process imports it has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.pools import LONGEST_CODE, SAMPLE_ROWS, CodeRule, check_rule, learn_rule, problem_of
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.db import Database, new_id, transaction
from tearline.merchants.audit import record_audit
from tearline.pools import sheets
from tearline.pools.model import CodeFile, CodeFilePart, CodePool
from tearline.pools.reads import FileView, file_of
from tearline.pools.stored import rule_from

PART_BYTES = 1024 * 1024
MOST_BYTES = 160 * 1024 * 1024
"""What one file may have."""
PREVIEW_ROWS = 10
MOST_COLUMNS = 50
MOST_EXAMPLES = 5
_LONGEST_NAME = 200
_LONGEST_CELL = 100

# Whole words: "SPINDLE" may well be a code, "PIN" is a heading.
_HEADING = re.compile(
    r"(?:^|[\W_])(?:codes?|vouchers?|(?:voucher|coupon)codes?|coupons?|serials?|numbers?|pins?)(?:$|[\W_])"
    r"|รหัส|โค้ด|คูปอง|序號|序号|券|碼|码|編號|编号",
    re.IGNORECASE,
)
_HEADING_CODE = re.compile(r"codes?(?:$|[\W_])|รหัส|โค้ด|碼|码", re.IGNORECASE)
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))
_FORMULA_OF_TEXT = re.compile(r'="([^"]*)"')


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What a file seems to hold, for a person to confirm.

    Attributes:
        format: ``csv``, ``txt`` or ``xlsx``.
        encoding, delimiter: of a text; None for XLSX.
        rows: the first rows as the file has them, a heading among them, long cells cut.
        column: which column holds the codes, from 0; the suggested one unless it was asked for.
        heading: of that column, if there is one.
        rule: what is to be confirmed: the rule that was asked for, else the pool's, else the learned one.
        learned: what the file's own codes look like.
        sample_rows: how many rows the following were found in.
        problems: by key of ``core.pools.PROBLEMS``, how many rows of the sample have it by the rule.
        examples: of each problem a few rows, by number (from 1, the heading not counted) and text.
        imported_before: when the same content was last imported into a pool of this merchant; None if never.
    """

    file_id: UUID
    pool_id: UUID
    name: str
    size_bytes: int
    state: str
    format: str
    encoding: str | None
    delimiter: str | None
    rows: list[list[str]]
    column: int
    has_heading: bool
    heading: str | None
    rule: CodeRule
    learned: CodeRule
    sample_rows: int
    problems: dict[str, int]
    examples: dict[str, list[tuple[int, str]]]
    imported_before: datetime | None


async def receive_file(
    database: Database,
    actor: Actor,
    pool_id: UUID,
    name: str,
    chunks: AsyncIterator[bytes],
    *,
    source: str,
    now: datetime,
) -> UUID:
    """Store a file as it streams in, each piece in a transaction of its own; answers the file's id.

    Args:
        name: as the person's computer calls it; only its last part is kept.
        source: ``console``, ``merchant``, ``api`` or ``command``.

    Raises:
        Refusal: ``too_large``; ``unreadable_file`` when it is empty; ``file_not_ready`` when it was discarded
            meanwhile. What had arrived is deleted then.
    """
    actor.require("codes.write")
    file_id, name = new_id(), _tidy_name(name)
    async with transaction(database) as tx:
        merchant_id = await tx.scalar(select(CodePool.merchant_id).where(CodePool.id == pool_id))
        if merchant_id is None:
            raise Refusal("not_found")
        actor.require_merchant(merchant_id)
        await tx.execute(
            insert(CodeFile).values(
                id=file_id, pool_id=pool_id, name=name, size_bytes=0, digest=b"", source=source,
                by_name=actor.name, created_at=now, seen_at=now,
            )
        )  # fmt: skip
    uploading = update(CodeFile).where(CodeFile.id == file_id, CodeFile.state == "uploading")
    try:
        size_bytes, digest = await _store(database, file_id, chunks)
        if size_bytes == 0:
            raise Refusal("unreadable_file")
    except BaseException as error:
        problem = error.reason if isinstance(error, Refusal) else "unavailable"
        async with transaction(database) as tx:
            await tx.execute(delete(CodeFilePart).where(CodeFilePart.file_id == file_id))
            await tx.execute(uploading.values(state="failed", problem=problem, finished_at=now))
        raise
    received = uploading.values(state="uploaded", size_bytes=size_bytes, digest=digest)
    async with transaction(database) as tx:
        is_received = (await tx.execute(received)).rowcount == 1
        if is_received:
            after = {"file": name, "size_bytes": size_bytes, "source": source}
            await record_audit(
                tx, actor, "code_pool.file_received", "code_pool", pool_id, None, after, now,
                merchant_id=merchant_id,
            )  # fmt: skip
        else:
            # What arrived after it had been discarded is there anew.
            await tx.execute(delete(CodeFilePart).where(CodeFilePart.file_id == file_id))
    if not is_received:
        raise Refusal("file_not_ready")
    return file_id


async def _store(database: Database, file_id: UUID, chunks: AsyncIterator[bytes]) -> tuple[int, bytes]:
    digest = hashlib.sha256()
    buffer = bytearray()
    size_bytes, number = 0, 0

    async def store(content: bytes) -> None:
        nonlocal number
        async with transaction(database) as tx:
            await tx.execute(insert(CodeFilePart).values(file_id=file_id, number=number, content=content))
        number += 1

    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > MOST_BYTES:
            raise Refusal("too_large")
        digest.update(chunk)
        buffer += chunk
        while len(buffer) >= PART_BYTES:
            await store(bytes(buffer[:PART_BYTES]))
            del buffer[:PART_BYTES]
    if buffer:
        await store(bytes(buffer))
    return size_bytes, digest.digest()


def _tidy_name(name: str) -> str:
    last = re.split(r"[/\\]", name)[-1].strip()
    return last[-_LONGEST_NAME:] if last and is_storable(last) else "codes"


async def discard_file(tx: AsyncConnection, actor: Actor, file_id: UUID, now: datetime) -> None:
    """Throw away a file that was not imported.

    Raises:
        Refusal: ``file_not_ready`` when it has been imported or discarded, or is being imported.
    """
    actor.require("codes.write")
    file, merchant_id = await file_of(tx, actor, file_id)
    discarded = (
        update(CodeFile)
        .where(CodeFile.id == file_id, CodeFile.state.in_(["uploading", "uploaded", "failed"]))
        .values(state="discarded", finished_at=now)
    )
    if (await tx.execute(discarded)).rowcount == 0:
        raise Refusal("file_not_ready")
    await tx.execute(delete(CodeFilePart).where(CodeFilePart.file_id == file_id))
    await record_audit(
        tx, actor, "code_pool.file_discarded", "code_pool", file.pool_id, {"file": file.name}, None, now,
        merchant_id=merchant_id,
    )  # fmt: skip


async def unpacked(connection: AsyncConnection, file_id: UUID, directory: Path) -> Path:
    """Write the file's content into the directory; one piece of it is in memory at a time."""
    path = directory / "codes"
    number = 0
    piece = select(CodeFilePart.content).where(CodeFilePart.file_id == file_id)
    with path.open("wb") as file:
        while (content := await connection.scalar(piece.where(CodeFilePart.number == number))) is not None:
            await asyncio.to_thread(file.write, content)
            number += 1
    if number == 0:
        raise Refusal("file_not_ready")
    return path


async def preview(
    connection: AsyncConnection,
    actor: Actor,
    file_id: UUID,
    *,
    column: int | None = None,
    has_heading: bool | None = None,
    rule: CodeRule | None = None,
) -> FilePreview:
    """What an uploaded file seems to hold.

    Args:
        column, has_heading, rule: what the person has decided already; None for what is suggested.

    Raises:
        Refusal: ``unreadable_file``; ``file_not_ready``; ``invalid`` when the rule makes no sense.
    """
    actor.require("codes.write")
    file, merchant_id = await file_of(connection, actor, file_id)
    if file.state != "uploaded":
        raise Refusal("file_not_ready")
    if rule is not None and (problems := check_rule(rule)):
        raise Refusal("invalid", fields=problems)
    if rule is None:
        stored = await connection.scalar(select(CodePool.rule).where(CodePool.id == file.pool_id))
        rule = rule_from(stored)
    before = (
        select(CodeFile.finished_at)
        .join(CodePool, CodePool.id == CodeFile.pool_id)
        .where(
            CodePool.merchant_id == merchant_id,
            CodeFile.digest == select(CodeFile.digest).where(CodeFile.id == file_id).scalar_subquery(),
            CodeFile.state == "imported",
        )
        .order_by(CodeFile.finished_at.desc())
        .limit(1)
    )
    imported_before = await connection.scalar(before)
    with tempfile.TemporaryDirectory(prefix="tearline-codes-") as directory:
        path = await unpacked(connection, file_id, Path(directory))
        return await asyncio.to_thread(_look, path, file, column, has_heading, rule, imported_before)


def _look(
    path: Path,
    file: FileView,
    column: int | None,
    has_heading: bool | None,
    rule: CodeRule | None,
    imported_before: datetime | None,
) -> FilePreview:
    form = sheets.recognise(path, file.name)
    sample: list[list[str]] = []
    codes: list[str] = []
    for row in islice(sheets.rows(path, form), SAMPLE_ROWS + 1):
        # Whole rows can be a megabyte each.
        sample.append([_cut(cell) for cell in row[:MOST_COLUMNS]])
        if column is not None:
            codes.append(_cut(row[column]) if len(row) > column else "")
    if not sample:
        raise Refusal("unreadable_file")
    if column is None:
        column = _suggested_column(sample)
        codes = [row[column] if len(row) > column else "" for row in sample]
    # Learned without the first row, which may be a heading, unless it is all there is.
    learned = learn_rule(_texts(codes[1:]) or _texts(codes[:1]))
    if has_heading is None:
        has_heading = _is_heading(codes[0], learned)
    if not has_heading:
        learned = learn_rule(_texts(codes))
    body = codes[1:] if has_heading else codes[:SAMPLE_ROWS]
    rule = rule or learned
    problems: Counter[str] = Counter()
    examples: dict[str, list[tuple[int, str]]] = {}
    for number, cell in enumerate(body, 1):
        code, problem = read_cell(cell, rule)
        if problem is not None:
            problems[problem] += 1
            if problems[problem] <= MOST_EXAMPLES:
                examples.setdefault(problem, []).append((number, shown(code)))
    return FilePreview(
        file_id=file.id,
        pool_id=file.pool_id,
        name=file.name,
        size_bytes=file.size_bytes,
        state=file.state,
        format=form.kind,
        encoding=form.encoding,
        delimiter=form.delimiter,
        rows=[[shown(cell) for cell in row[:MOST_COLUMNS]] for row in sample[:PREVIEW_ROWS]],
        column=column,
        has_heading=has_heading,
        heading=shown(codes[0]) if has_heading else None,
        rule=rule,
        learned=learned,
        sample_rows=len(body),
        problems=dict(problems),
        examples=examples,
        imported_before=imported_before,
    )


def read_cell(cell: str, rule: CodeRule) -> tuple[str, str | None]:
    """The code in a cell, and why it is none: a key of ``core.pools.PROBLEMS``, or None when it is one."""
    code = tidied(cell)
    return code, cell.problem if isinstance(cell, sheets.Spoilt) else problem_of(code, rule)


def tidied(cell: str) -> str:
    """A cell's text without what nobody sees, and out of the formula that keeps a spreadsheet's hands off it."""
    text = cell.translate(_INVISIBLE).strip()
    wrapped = _FORMULA_OF_TEXT.fullmatch(text)
    return wrapped[1].strip() if wrapped else text


def shown(text: str) -> str:
    """A text of a file, short enough and fit to be stored and shown."""
    cut = text[:_LONGEST_CELL]
    return cut if cut.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in cut)


def _cut(cell: str) -> str:
    """A cell of the sample: no longer than it is shown, which is still too long for a code."""
    is_short = len(cell) <= _LONGEST_CELL or isinstance(cell, sheets.Spoilt)
    return cell if is_short else tidied(cell)[:_LONGEST_CELL]


def _texts(cells: Iterable[str]) -> list[str]:
    texts = (tidied(cell) for cell in cells if not isinstance(cell, sheets.Spoilt))
    return [text for text in texts if text]


def _suggested_column(sample: Sequence[Sequence[str]]) -> int:
    """The column that is headed like one of codes, or else whose texts are the most different and alike in form."""
    width = min(max(map(len, sample)), MOST_COLUMNS)
    body = sample[1:] or sample

    def worth(column: int) -> tuple[float, int]:
        cells = [row[column] for row in body if len(row) > column]
        texts = _texts(cells)
        spoilt = sum(isinstance(cell, sheets.Spoilt) for cell in cells)
        if not texts and not spoilt:
            return -1.0, -column
        rule = learn_rule(texts)
        conforming = sum(problem_of(text, rule) is None for text in texts)
        distinct = len(set(texts)) / len(body)
        is_narrow = rule.longest < LONGEST_CODE and rule.alphabet != "visible"
        score = distinct + conforming / len(body) + 0.5 * is_narrow + 0.5 * (rule.longest >= 6)
        heading = sample[0][column] if len(sample[0]) > column else ""
        if _HEADING_CODE.search(heading) and not _looks_like_code(heading):
            score += 2.0
        elif _HEADING.search(heading) and not _looks_like_code(heading):
            score += 1.0
        return score, -column

    return max(range(width), key=worth)


def _looks_like_code(text: str) -> bool:
    return any(one.isdigit() for one in text)


def _is_heading(cell: str, learned: CodeRule) -> bool:
    """Whether a column's first cell is its heading: it says so, or it has no digit and is not like the rest."""
    if isinstance(cell, sheets.Spoilt) or _looks_like_code(cell):
        return False
    text = tidied(cell)
    if not text:
        return False
    return _HEADING.search(text) is not None or problem_of(text, learned) is not None
