"""PostgreSQL: the engine, the one way to open a transaction, ids, and the base of all tables.

A write looks alike everywhere::

    async with transaction(database) as tx:
        await actions.pause_campaign(tx, actor, campaign_id, now)
    # committed here, and only now may the answer say so

A read takes a plain connection::

    async with database.connection() as connection:
        rows = await reads.merchants(connection)

Both hand out SQLAlchemy's ``AsyncConnection``: statements are Core or ORM-entity selects, rows are
named tuples; there are no ORM sessions. The hot lane takes raw psycopg connections: its desks from
``database.hot_pool``, with their few statements written by hand, and what only reads from
``database.hot_reading``, with statements that both kinds of connection can run (``db.statement``).
"""

from tearline.db.base import Base, LocalisedText, first_id_of, new_id
from tearline.db.engine import Database, transaction
from tearline.db.problems import is_connection_lost, is_retryable, violated_constraint

__all__ = [
    "Base",
    "Database",
    "LocalisedText",
    "first_id_of",
    "is_connection_lost",
    "is_retryable",
    "new_id",
    "transaction",
    "violated_constraint",
]
