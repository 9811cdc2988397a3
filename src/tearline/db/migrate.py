"""Bringing a database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData


def configuration(url: str, metadata: MetaData | None = None) -> Config:
    """Alembic's configuration, made here instead of an ini file; ``metadata`` only for drafting and checking."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    config.attributes["metadata"] = metadata
    return config


def upgrade(url: str) -> None:
    """Run every migration that the database has not had. Safe to run by several processes at once."""
    command.upgrade(configuration(url), "head")
