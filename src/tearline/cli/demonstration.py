"""``tearline demo``: the embedded database, sample data, two web processes and a worker, in one terminal."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from tearline.cli.database import embedded_server
from tearline.cli.screen import CommandError, errors, output
from tearline.cli.supervisor import Supervisor, listen, metrics_environment, web_children, worker_child
from tearline.cli.upkeep import migrate_with_progress, progress
from tearline.config import Settings, load_settings
from tearline.db import Database
from tearline.db.embedded import EmbeddedServer

WEB_PROCESSES = 2


def run_demo(*, port: int | None, is_reset: bool) -> None:
    """Run the demo until Ctrl-C."""
    settings = _demo_settings(port)
    # The address first: that it is taken should be known before anything is started, or deleted.
    sockets = listen(settings.host, settings.port, settings.processes)
    server = embedded_server(settings)
    keys_file = settings.data_directory / "demo_api_keys.json"
    if is_reset:
        server.erase()
        keys_file.unlink(missing_ok=True)
    with errors.status("Starting PostgreSQL"):
        server.start()
    with server, metrics_environment(settings.processes) as metrics:
        url = server.url
        migrate_with_progress(url)
        if made := asyncio.run(_seed(url)):
            _keep_keys(keys_file, made)
        api_keys = _kept_keys(keys_file)
        with errors.status("Starting the web processes") as status:

            def show() -> None:
                status.stop()
                _show_where(settings.public_url, api_keys)

            Supervisor(
                [*web_children(sockets), worker_child()],
                {**_environment(settings, url), **metrics},
                look=lambda: _mend_database(server, url),
            ).run(show)
        errors.print("Stopping.", highlight=False)


def _demo_settings(port: int | None) -> Settings:
    # Never somebody's real database, whatever the environment says.
    settings = load_settings(demo=True, database_url=None, **({} if port is None else {"port": port}))
    chosen = settings.model_fields_set
    changes: dict[str, object] = {}
    if "processes" not in chosen:
        changes["processes"] = WEB_PROCESSES
    if "public_url" not in chosen:
        changes["public_url"] = f"http://{settings.host}:{settings.port}"
    if "log_level" not in chosen:
        changes["log_level"] = "warning"
    if "log_format" not in chosen:
        changes["log_format"] = "console"
    return settings.model_copy(update={**changes, "data_directory": settings.data_directory.resolve()})


def _environment(settings: Settings, url: str) -> dict[str, str]:
    """What the child processes are told; the rest they find where this process has found it."""
    return {
        "TEARLINE_DEMO": "true",
        "TEARLINE_DATABASE_URL": url,
        "TEARLINE_DATA_DIRECTORY": str(settings.data_directory),
        "TEARLINE_HOST": settings.host,
        "TEARLINE_PORT": str(settings.port),
        "TEARLINE_PUBLIC_URL": settings.public_url,
        "TEARLINE_LOG_LEVEL": settings.log_level,
        "TEARLINE_LOG_FORMAT": settings.log_format,
    }


async def _seed(url: str) -> dict[str, str]:
    from tearline.cli.demo import seed

    async with Database(url) as database:
        with progress() as bar:
            tasks = {}

            def report(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    tasks[step] = bar.add_task(escape(step), total=total)
                bar.update(tasks[step], completed=done, total=total)

            return await seed(database, report)


def _mend_database(server: EmbeddedServer, url: str) -> None:
    """Start PostgreSQL again when it has died; everything reconnects by itself."""
    if server.is_running():
        return
    errors.print("[yellow]PostgreSQL has died; starting it again.[/]", highlight=False)
    server.start()
    if server.url != url:
        raise CommandError(
            "PostgreSQL came back at another port, because its own was taken; start the demo again."
        )


def _keep_keys(path: Path, keys: Mapping[str, str]) -> None:
    """Keep the demo's API keys, which the database cannot show again, where only this user reads them."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(dict(keys), file, indent=2)


def _kept_keys(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}


def _show_where(address: str, api_keys: Mapping[str, str]) -> None:
    from tearline.cli.demo import SIGN_INS

    output.print("\n[bold green]Tearline is running.[/]\n")
    for path, sign_ins in groupby(SIGN_INS, key=lambda sign_in: sign_in[1]):
        output.print(f"[bold cyan]{address}{path}[/]", highlight=False, soft_wrap=True)
        table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2), show_header=False)
        table.add_column(width=16)
        table.add_column(width=30, overflow="fold")
        table.add_column(overflow="fold")
        for who, _, name, secret in sign_ins:
            table.add_row(escape(who), escape(name), escape(secret))
        output.print(table, "")
    if api_keys:
        output.print(f"Keys for the API at {address}/api/v1 (try /api/v1/openapi.json):", highlight=False)
        for name, key in api_keys.items():
            # Never folded, so that it can be copied.
            output.print(f"  {escape(key)}  {escape(name)}", highlight=False, soft_wrap=True)
    output.print(f"Messages that would have been sent: {address}/dev/outbox", highlight=False)
    output.print("Ctrl-C stops everything; the next start is quick and keeps the data.", highlight=False)
