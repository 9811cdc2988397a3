"""``tearline serve``, ``tearline gate`` and ``tearline worker``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tearline.cli.database import database_url, migrated_database_url, require_migrated
from tearline.cli.screen import errors
from tearline.cli.supervisor import Supervisor, listen, metrics_environment, web_children, worker_child
from tearline.config import load_settings


def run_server(*, host: str | None, port: int | None, processes: int | None, is_gate: bool = False) -> None:
    """Serve until told to stop.

    Args:
        is_gate: answer for the waiting rooms alone.
    """
    given: dict[str, Any] = {"host": host, "port": port, "processes": processes}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    # The address first: that it is taken should be known before a database has been started.
    sockets = listen(settings.host, settings.port, settings.processes)
    with migrated_database_url(settings) as url, metrics_environment(settings.processes) as metrics:
        environment = {
            "TEARLINE_DATABASE_URL": url,
            "TEARLINE_DATA_DIRECTORY": str(Path(settings.data_directory).resolve()),
            "TEARLINE_PORT": str(settings.port),
            "TEARLINE_HOST": settings.host,
            **metrics,
        }
        address = f"http://{settings.host}:{settings.port}"
        Supervisor(web_children(sockets, is_gate=is_gate), environment).run(
            lambda: errors.print(f"Serving at {address} · Ctrl-C stops it", highlight=False)
        )


def run_worker() -> None:
    """Work until told to stop."""
    settings = load_settings()
    with database_url(settings) as url:
        require_migrated(url, is_embedded=settings.database_url is None)
        environment = {"TEARLINE_DATABASE_URL": url}
        Supervisor([worker_child()], environment).run(
            lambda: errors.print("Working · Ctrl-C stops it", highlight=False)
        )
