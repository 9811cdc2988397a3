"""``tearline migrate``, ``audit``, ``staff create`` and ``key create``."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.cli.database import database_url, migrated_database_url, settings_for_desk_work
from tearline.cli.screen import CommandError, errors, output
from tearline.core.roles import Actor, command_actor
from tearline.db import Database, transaction
from tearline.db.migrate import missing_revisions, upgrade
from tearline.insight.audit import Finding, run_audit
from tearline.merchants import keys, staff
from tearline.merchants.model import Merchant, Store


def progress() -> Progress:
    """A progress bar on standard error, which leaves nothing behind."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), console=errors, transient=True,
    )  # fmt: skip


def run_migrations() -> None:
    """Bring the database to the newest schema."""
    with database_url(settings_for_desk_work()) as url:
        migrate_with_progress(url)


def migrate_with_progress(url: str) -> None:
    """Run the migrations that are missing, and say how many there were."""
    missing = missing_revisions(url)
    if not missing:
        errors.print("The schema is up to date.", highlight=False)
        return
    with progress() as bar:
        task = bar.add_task(escape(missing[0]), total=len(missing))
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            upcoming = missing[done] if done < len(missing) else "committing"
            bar.update(task, advance=1, description=escape(upcoming))

        upgrade(url, advance)
    steps = "1 migration" if len(missing) == 1 else f"{len(missing)} migrations"
    errors.print(f"[green]✓[/] {steps} done; the schema is up to date.", highlight=False)


async def run_checks() -> bool:
    """Check the books and print the outcome; True when they balance."""
    with migrated_database_url(settings_for_desk_work()) as url, progress() as bar:
        task = bar.add_task("Opening the database")

        def advance(name: str, done: int, total: int) -> None:
            bar.update(task, description=escape(name), completed=done, total=total)

        async with Database(url) as database, database.connection() as connection:
            findings = await run_audit(connection, advance)
    output.print(_findings_table(findings))
    breached = [finding for finding in findings if finding.breaches]
    if breached:
        output.print(
            f"[bold red]✗[/] {len(breached)} of {len(findings)} checks found breaches.", highlight=False
        )
    else:
        output.print(f"[green]✓[/] All {len(findings)} checks hold.", highlight=False)
    return not breached


def _findings_table(findings: Collection[Finding]) -> Table:
    table = Table("check", box=None, pad_edge=False)
    table.add_column("breaches", justify="right")
    table.add_column("seconds", justify="right")
    for finding in findings:
        name = escape(finding.name)
        if finding.breaches:
            examples = "\n".join(f"  {escape(example)}" for example in finding.examples)
            name = f"[bold red]{name}[/]\n[dim]{examples}[/]"
        table.add_row(name, f"{finding.breaches:,}", f"{finding.seconds:.2f}")
    return table


async def make_staff(
    *, email: str, name: str, role: str, merchant: str | None, store: str | None, language: str, password: str
) -> UUID:
    """Make an account; the merchant and the store are named by their codes."""
    with migrated_database_url(settings_for_desk_work()) as url:
        async with Database(url) as database, transaction(database) as tx:
            merchant_id = await _merchant_id(tx, merchant)
            return await staff.create_staff(
                tx,
                command_line_actor(),
                email=email,
                name=name,
                role=role,
                password=password,
                merchant_id=merchant_id,
                store_id=await _store_id(tx, merchant_id, store),
                language=language,
                now=datetime.now(UTC),
            )


async def make_key(*, name: str, scopes: Collection[str], merchant: str | None) -> str:
    """Make an API key; the merchant is named by its code."""
    with migrated_database_url(settings_for_desk_work()) as url:
        async with Database(url) as database, transaction(database) as tx:
            merchant_id = await _merchant_id(tx, merchant)
            made = await keys.create_key(
                tx,
                command_line_actor(),
                name=name,
                scopes=set(scopes),
                merchant_id=merchant_id,
                now=datetime.now(UTC),
            )
            return made.key


def generated_password() -> str:
    """A password of 96 random bits, without characters that are easily mistaken."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def command_line_actor() -> Actor:
    """Whoever has the machine, by the name of the account there."""
    try:
        return command_actor(f"tearline command ({getpass.getuser()})")
    except (OSError, KeyError):  # no such user in this container
        return command_actor("tearline command")


async def _merchant_id(tx: AsyncConnection, code: str | None) -> UUID | None:
    if code is None:
        return None
    merchant_id = await tx.scalar(select(Merchant.id).where(Merchant.code == code.lower()))
    if merchant_id is None:
        raise CommandError(f"There is no merchant with the code {code!r}.")
    return merchant_id


async def _store_id(tx: AsyncConnection, merchant_id: UUID | None, code: str | None) -> UUID | None:
    if code is None:
        return None
    store_id = await tx.scalar(
        select(Store.id).where(Store.merchant_id == merchant_id, Store.code == code.upper())
    )
    if store_id is None:
        raise CommandError(f"There is no store with the code {code!r} of this merchant.")
    return store_id
