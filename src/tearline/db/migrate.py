"""Bringing a database to the newest schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import MetaData, create_engine, pool
from sqlalchemy.engine import make_url


class UnknownSchemaError(Exception):
    """The database was migrated by a newer version of the program than this one."""


def configuration(url: str, metadata: MetaData | None = None) -> Config:
    """Alembic's configuration, made here, not in an ini file; ``metadata`` only for drafting and checking."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    config.attributes["metadata"] = metadata
    return config


def missing_revisions(url: str) -> list[str]:
    """The migrations that the database has not had, oldest first, each as its number and its sentence.

    Raises:
        UnknownSchemaError: the database is ahead of this program.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool)
    with engine.connect() as connection:
        heads = MigrationContext.configure(connection).get_current_heads()
    script = ScriptDirectory.from_config(configuration(url))
    try:
        missing = list(script.iterate_revisions("heads", heads or "base"))
    except (CommandError, RevisionError) as error:
        raise UnknownSchemaError(
            f"The database has migration {', '.join(heads)}, which this version does not know: it is older "
            "than the version that migrated the database."
        ) from error
    return [f"{revision.revision} {revision.doc}" for revision in reversed(missing)]


def upgrade(url: str, report: Callable[[], None] = lambda: None) -> None:
    """Run every migration that the database has not had. Safe to run by several processes at once.

    Args:
        report: is called after each migration. All of them are committed together, at the end.
    """
    config = configuration(url)

    def applied(**_: Any) -> None:
        report()

    config.attributes["on_version_apply"] = applied
    command.upgrade(config, "head")
