"""The migrations make exactly the tables that the models describe."""

from __future__ import annotations

import psycopg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Table, Text, create_engine
from sqlalchemy.engine import make_url

from tearline.db.migrate import configuration, upgrade
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


_OFFER = """
    INSERT INTO offer (id, code, issuer, names, benefit_kind, currency, benefit, funding_platform_basis_points,
                       validity, time_zone, redeem_by, created_at, updated_at)
    VALUES (gen_random_uuid(), %s, 'platform', '{"en": "x"}', 'amount_off', 'HKD', '{}', 0, '{}', 'UTC', %s,
            now(), now())
"""


def test_offers_that_were_good_everywhere_are_good_in_carts(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        command.upgrade(configuration(database_url), "0005")
        for code, ways in (("BOTH", ["till", "cashier"]), ("TILL", ["till"]), ("CASHIER", ["cashier"])):
            connection.execute(_OFFER, (code, ways))
        upgrade(database_url)
        rows = connection.execute("SELECT code, redeem_by, automatic FROM offer ORDER BY code").fetchall()
    assert rows == [
        ("BOTH", ["till", "cashier", "checkout"], False),
        ("CASHIER", ["cashier"], False),
        ("TILL", ["till"], False),
    ]
