"""Which database a command works on: the one that is set, the embedded one that runs, or one it starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tearline.cli.screen import CommandError, errors
from tearline.config import Settings, load_settings
from tearline.db.embedded import EmbeddedServer
from tearline.db.embedded_cluster import Cluster
from tearline.db.embedded_process import identity_of
from tearline.db.migrate import missing_revisions, upgrade


def settings_for_desk_work(**overrides: Any) -> Settings:
    """The settings for a command that signs nothing: a throwaway stands in for a secret that is not set."""
    if not os.environ.get("TEARLINE_SECRET_KEY"):
        overrides.setdefault("secret_key", secrets.token_urlsafe(48))
    return load_settings(**overrides)


def embedded_directory(settings: Settings) -> Path:
    """Where the embedded PostgreSQL keeps its files."""
    return settings.data_directory / "postgres"


def embedded_server(settings: Settings) -> EmbeddedServer:
    """The embedded PostgreSQL of these settings, not yet started."""
    return EmbeddedServer(
        embedded_directory(settings),
        binaries=settings.pg_bin,
        report=lambda sentence: errors.print(f"[dim]{sentence}[/]", highlight=False),
    )


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The address of the database for as long as the block lasts.

    Without ``TEARLINE_DATABASE_URL`` that is the embedded server: the one that ``tearline demo`` or
    ``tearline serve`` runs in another terminal, or else one that is started here and stopped after.
    """
    if settings.database_url is not None:
        yield settings.database_url
    elif running := running_server_url(embedded_directory(settings)):
        yield running
    else:
        with embedded_server(settings) as server:
            yield server.url


@contextmanager
def migrated_database_url(settings: Settings) -> Iterator[str]:
    """The address of a database whose schema is today's. The embedded one is migrated when it is behind.

    Raises:
        CommandError: the database has not had all migrations, and is not ours to migrate unasked.
    """
    with database_url(settings) as url:
        require_migrated(url, is_embedded=settings.database_url is None)
        yield url


def require_migrated(url: str, *, is_embedded: bool) -> None:
    """Migrate the embedded database when it is behind; refuse another one that is."""
    if not missing_revisions(url):
        return
    if not is_embedded:
        raise CommandError("The database has not had all migrations. Run: tearline migrate")
    upgrade(url)


def running_server_url(directory: Path) -> str | None:
    """The address of the embedded server that another process runs in this directory; None when none does."""
    cluster = Cluster(directory)
    state = cluster.read_state()
    if state.port is None or state.process is None or identity_of(state.process.pid) != state.process:
        return None
    try:
        password = cluster.password()
    except OSError:
        return None
    return f"postgresql://tearline:{password}@127.0.0.1:{state.port}/tearline"
