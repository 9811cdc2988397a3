"""The migrations make exactly the tables that the models describe."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Table, Text, create_engine
from sqlalchemy.engine import make_url

from tearline.tables import metadata


def differences(database_url: str) -> list[object]:
    """What a new migration would have to change."""
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return [
                difference
                for difference in compare_metadata(context, metadata)
                if "alembic_version" not in str(difference)
            ]
    finally:
        engine.dispose()


def test_the_models_and_the_migrations_agree(database_url: str) -> None:
    assert differences(database_url) == []


def test_a_table_without_a_migration_is_noticed(database_url: str) -> None:
    forgotten = Table("forgotten", metadata, Column("name", Text, primary_key=True))
    try:
        assert differences(database_url)
    finally:
        metadata.remove(forgotten)
