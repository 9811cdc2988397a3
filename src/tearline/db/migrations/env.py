"""Alembic's entry: one connection, one lock, one transaction."""

from alembic import context
from sqlalchemy import create_engine, pool, text
from sqlalchemy.engine import make_url

MIGRATION_LOCK = 7_310_201
"""Advisory lock that makes a second migrating process wait for the first. Correctness does not rest on
it: each migration runs in a transaction and records itself under a primary key."""

attributes = context.config.attributes
engine = create_engine(
    make_url(attributes["url"]).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool
)
with engine.begin() as connection:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    context.configure(
        connection=connection,
        target_metadata=attributes["metadata"],
        compare_type=True,
        on_version_apply=attributes.get("on_version_apply"),
    )
    context.run_migrations()
