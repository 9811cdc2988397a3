"""``tearline codes import`` and ``codes template``: lists of partner codes from the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select

from tearline.cli.database import migrated_database_url, settings_for_desk_work
from tearline.cli.screen import CommandError, errors, output
from tearline.cli.upkeep import command_line_actor, progress
from tearline.core.pools import ALPHABETS, LONGEST_CODE, PROBLEMS, CodeRule
from tearline.db import Database, transaction
from tearline.offers.model import Offer
from tearline.pools.actions import create_pool
from tearline.pools.files import FilePreview, discard_file, preview, receive_file
from tearline.pools.importing import import_file
from tearline.pools.model import CodePool
from tearline.pools.outcomes import OUTCOME_WORDS, ImportSummary, outcomes_csv, template_csv, template_xlsx

_CHUNK_BYTES = 256 * 1024
_SHOWN_ROWS = 5
_SHOWN_COLUMNS = 6


def write_template(path: Path) -> None:
    """Write a template, CSV or XLSX by the name's ending; an existing file is left alone."""
    content = template_csv() if path.suffix.lower() == ".csv" else template_xlsx()
    try:
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise CommandError(f"The template cannot be written to {path}: {error.strerror}.") from error
    errors.print(f"{escape(str(path))} is ready; put one code into each row.", highlight=False)


def run_import(
    where: str,
    path: Path,
    *,
    column: str | None,
    pattern: str | None,
    is_confirmed: bool,
    creates_pool: bool,
    outcomes: Path | None,
) -> None:
    """Receive a file, have what it holds confirmed, import it, and print what became of its rows.

    Args:
        where: an offer's code, or a pool's id.
        column: its number from 1, or its heading; None for the one that looks like codes.
        pattern: what codes look like, in place of the learned rule.
        outcomes: where to write what became of each row.
    """
    if not path.is_file():
        raise CommandError(f"There is no file {path}.")
    size_bytes = path.stat().st_size

    async def work(url: str) -> None:
        async with Database(url) as database:
            pool_id = await _pool_id(database, where, creates_pool=creates_pool)
            file_id = await _receive(database, pool_id, path, size_bytes)
            seen = await _look(database, file_id, column, pattern)
            _show(seen)
            if not is_confirmed and not typer.confirm("Import these codes?", err=True):
                async with transaction(database) as tx:
                    await discard_file(tx, command_line_actor(), file_id, datetime.now(UTC))
                raise CommandError("Nothing was imported.")
            output.print(_outcome_table(await _import(database, seen)))
            if outcomes is not None:
                await _write_outcomes(database, file_id, outcomes)

    with migrated_database_url(settings_for_desk_work()) as url:
        asyncio.run(work(url))


async def _pool_id(database: Database, where: str, *, creates_pool: bool) -> UUID:
    try:
        named = CodePool.id == UUID(where)
    except ValueError:
        named = Offer.code == where.strip().upper()
    statement = select(Offer.id, CodePool.id.label("pool_id")).outerjoin(
        CodePool, CodePool.offer_id == Offer.id
    )
    async with transaction(database) as tx:
        row = (await tx.execute(statement.where(named))).one_or_none()
        if row is None:
            raise CommandError(f"There is neither an offer with the code {where!r} nor a pool with that id.")
        pool_id: UUID | None = row.pool_id
        if pool_id is not None:
            return pool_id
        if not creates_pool:
            raise CommandError(f"The offer {where!r} has no pool. Add --create to give it one.")
        return await create_pool(tx, command_line_actor(), row.id, now=datetime.now(UTC))


async def _receive(database: Database, pool_id: UUID, path: Path, size_bytes: int) -> UUID:
    with progress() as bar:
        task = bar.add_task("Reading the file", total=size_bytes)

        async def chunks() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                    yield chunk
                    bar.update(task, advance=len(chunk))

        return await receive_file(
            database, command_line_actor(), pool_id, path.name, chunks(), source="command",
            now=datetime.now(UTC),
        )  # fmt: skip


async def _look(database: Database, file_id: UUID, column: str | None, pattern: str | None) -> FilePreview:
    actor = command_line_actor()
    rule = None if pattern is None else CodeRule(1, LONGEST_CODE, pattern=pattern)
    async with database.connection() as connection:
        seen = await preview(connection, actor, file_id, rule=rule)
        if column is None:
            return seen
        number = _column_number(seen, column)
        return await preview(connection, actor, file_id, column=number, rule=rule)


def _column_number(seen: FilePreview, column: str) -> int:
    headings = [cell.strip().lower() for cell in seen.rows[0]]
    if column.strip().lower() in headings:
        return headings.index(column.strip().lower())
    if column.isascii() and column.isdigit() and 1 <= int(column) <= max(map(len, seen.rows)):
        return int(column) - 1
    raise CommandError(f"The file has no column {column!r}.")


def _show(seen: FilePreview) -> None:
    """What the file seems to hold, on standard error: the answer is what becomes of its rows."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in seen.rows[: _SHOWN_ROWS + seen.has_heading]:
        cells = [escape(cell) for cell in row[:_SHOWN_COLUMNS]]
        if seen.column < len(cells):
            cells[seen.column] = f"[bold cyan]{cells[seen.column]}[/]"
        table.add_row(*cells)
    errors.print(table)
    how = ", ".join(
        part for part in (seen.format.upper(), seen.encoding, _delimiter_words(seen.delimiter)) if part
    )
    heading = f", headed {seen.heading!r}" if seen.heading else ""
    errors.print(f"{how}; codes in column {seen.column + 1}{escape(heading)}.", highlight=False)
    errors.print(f"A code has {escape(rule_words(seen.rule))}.", highlight=False)
    if seen.imported_before is not None:
        errors.print("[yellow]The same file has been imported before.[/]", highlight=False)
    for problem, count in seen.problems.items():
        number, text = seen.examples[problem][0]
        errors.print(
            f"[yellow]{count:,} of the first {seen.sample_rows:,} rows[/], such as row {number} "
            f"({escape(repr(text))}): {PROBLEMS[problem]}",
            highlight=False,
        )


def rule_words(rule: CodeRule) -> str:
    """A rule in English, such as ``20 characters of 0-9A-Z``."""
    if rule.pattern is not None:
        return f"the pattern {rule.pattern}"
    lengths = str(rule.longest) if rule.shortest == rule.longest else f"{rule.shortest} to {rule.longest}"
    return f"{lengths} characters of {ALPHABETS[rule.alphabet]}{rule.extra}"


def _delimiter_words(delimiter: str | None) -> str:
    if delimiter is None:
        return ""
    return f"cells parted by {'tabs' if delimiter == chr(9) else delimiter}"


async def _import(database: Database, seen: FilePreview) -> ImportSummary:
    with progress() as bar:
        task = bar.add_task("Sorting the rows out", total=None)

        def report(done: int, total: int | None) -> None:
            what = "Sorting the rows out" if total is None else "Adding the codes"
            bar.update(task, description=what, completed=done, total=total)

        return await import_file(
            database, command_line_actor(), seen.file_id, rule=seen.rule, column=seen.column,
            has_heading=seen.has_heading, report=report,
        )  # fmt: skip


def _outcome_table(outcome: ImportSummary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("outcome", overflow="fold")
    table.add_column("rows", justify="right")
    table.add_column("such as", overflow="fold")
    for name, words in OUTCOME_WORDS.items():
        examples = outcome.examples.get(name, [])
        such_as = ", ".join(f"row {number}: {text}" for number, text, _reason in examples[:2])
        table.add_row(words, f"{getattr(outcome, name):,}", escape(such_as))
        if name == "invalid":
            for reason, count in outcome.reasons.items():
                table.add_row(f"[dim]  {PROBLEMS[reason]}[/]", f"[dim]{count:,}[/]", "")
    return table


async def _write_outcomes(database: Database, file_id: UUID, path: Path) -> None:
    try:
        with path.open("wb") as file:
            async for chunk in outcomes_csv(database, command_line_actor(), file_id):
                await asyncio.to_thread(file.write, chunk)
    except OSError as error:
        raise CommandError(f"The outcomes cannot be written to {path}: {error.strerror}.") from error
