"""Clean databases to lend: a test's rows are emptied out of one, instead of copying another for the next.

A copy of the migrated database is 570 files, which costs a processor 60 to 250 ms; to delete the few rows that a test
left costs a tenth of that. A database whose schema was touched is dropped.
"""

from __future__ import annotations

import time
from graphlib import TopologicalSorter

import psycopg
from psycopg import sql

from tearline.db.embedded import EmbeddedServer
from tearline.db.migrate import upgrade

_TEMPLATE = "tearline_template"
_CATALOGS = (
    "pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_trigger", "pg_index", "pg_proc", "pg_type",
    "pg_rewrite", "pg_namespace", "pg_extension", "pg_db_role_setting",
)  # fmt: skip
"""A change of the schema, or of a database's settings, writes to one of these at least."""
_SCHEMA = " UNION ALL ".join(
    f"SELECT count(*), max(xmin::text::bigint), '{catalog}' FROM {catalog}" for catalog in _CATALOGS
)
_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_TABLES = """
    SELECT relname, conrelid::regclass::text FROM pg_class
    LEFT JOIN pg_constraint ON contype = 'f' AND confrelid = pg_class.oid AND conrelid <> confrelid
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
"""
"""Each table with those that refer to it."""
_SIZES = """
    SELECT relname, pg_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
        AND pg_relation_size(oid) > 0
"""
_LARGE_BYTES = 256 * 1024


class CleanDatabases:
    """Migrated databases without rows on one server, each lent to one user at a time."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._made = 0
        self._clean: list[str] = []
        self._schemas: dict[str, object] = {}
        with self._admin() as admin:
            admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        upgrade(self.url_of(_TEMPLATE))
        with psycopg.connect(self.url_of(_TEMPLATE)) as connection:
            order = TopologicalSorter[str]()
            for table, referring in connection.execute(_TABLES):
                order.add(table, *([referring] if referring else ()))
        self._tables = list(order.static_order())

    def url_of(self, name: str) -> str:
        """The address of a database."""
        return self._server.url.rsplit("/", 1)[0] + "/" + name

    def take(self) -> str:
        """The name of a clean database; nobody else has it until it is given back."""
        return self._clean.pop() if self._clean else self.copy_of(_TEMPLATE)

    def copy_of(self, original: str) -> str:
        """The name of a copy of a database that nobody uses at the moment, to be given back as well."""
        self._made += 1
        name = f"test_{self._made}"
        with self._admin() as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {original}")
        with psycopg.connect(self.url_of(name), autocommit=True) as connection:
            self._schemas[name] = connection.execute(_SCHEMA).fetchall()
        return name

    def give_back(self, name: str) -> None:
        """End whatever still uses a database, and empty it for the next one."""
        with psycopg.connect(self.url_of(name), autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            is_as_made = connection.execute(_SCHEMA).fetchall() == self._schemas[name]
            if is_as_made:
                self._empty(connection, name)
        if is_as_made:
            self._clean.append(name)
        else:
            self._drop(name)

    def _empty(self, connection: psycopg.Connection, name: str) -> None:
        """Delete all rows; what that leaves behind is cleared away when it is much, which takes longer."""
        sizes = dict(connection.execute(_SIZES).fetchall())
        with connection.transaction():
            for table in self._tables:
                if table in sizes:
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        if large := [sql.Identifier(table) for table, size in sizes.items() if size > _LARGE_BYTES]:
            connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(large)))
            self._schemas[name] = connection.execute(_SCHEMA).fetchall()

    def _drop(self, name: str) -> None:
        """An autovacuum worker that is in it belongs to nobody we are, and leaves when asked."""
        with self._admin() as admin:
            for _attempt in range(50):
                try:
                    admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
                except psycopg.errors.InsufficientPrivilege:
                    time.sleep(0.1)
                else:
                    return
        raise AssertionError(f"{name} could not be dropped")

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(self._server.url, autocommit=True)
