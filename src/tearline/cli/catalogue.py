"""``tearline catalogue import`` and ``catalogue template``: what shops sell, from the command line."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from tearline.catalogue.files import FileOutcome, import_file, template_csv
from tearline.cli.database import migrated_database_url, settings_for_desk_work
from tearline.cli.screen import CommandError, errors, output
from tearline.cli.upkeep import command_line_actor, progress
from tearline.db import Database


def write_template(kind: str, path: Path) -> None:
    """Write a template; an existing file is left alone."""
    try:
        with path.open("xb") as file:
            file.write(template_csv(kind, command_line_actor()))
    except OSError as error:
        raise CommandError(f"The template cannot be written to {path}: {error.strerror}.") from error
    errors.print(f"{escape(str(path))} is ready; its first row names the columns.", highlight=False)


def run_import(kind: str, path: Path) -> None:
    """Put what a file holds, and print what became of it.

    Args:
        kind: one of ``catalogue.files.KINDS``.
    """
    if not path.is_file():
        raise CommandError(f"There is no file {path}.")

    async def work(url: str) -> None:
        async with Database(url) as database:
            outcome = await _import(database, kind, path)
        if outcome.counts is None:
            errors.print(_refused_table(outcome))
            raise CommandError(
                f"Nothing was put: {outcome.refused:,} of {outcome.rows:,} rows are in the way."
            )
        counts = outcome.counts
        output.print(
            f"{counts.added:,} added, {counts.changed:,} changed, {counts.unchanged:,} unchanged.",
            highlight=False,
        )

    with migrated_database_url(settings_for_desk_work()) as url:
        asyncio.run(work(url))


async def _import(database: Database, kind: str, path: Path) -> FileOutcome:
    with progress() as bar:
        task = bar.add_task(f"Putting {kind}", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return await import_file(
            database, command_line_actor(), kind, path, path.name, datetime.now(UTC), report=report
        )


def _refused_table(outcome: FileOutcome) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("row", justify="right")
    for name in ("key", "column", "what is wrong"):
        table.add_column(name, overflow="fold")
    for row in outcome.examples:
        for column, sentence in row.problems.items():
            number = str(row.number) if row.number else "heading"
            table.add_row(number, escape(row.key), escape(column), escape(sentence))
    return table
