"""Statements that both kinds of connection can run: they mean the same on either."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Text, bindparam, select, text

from tearline.core.roles import SYSTEM
from tearline.db import Database, new_id, transaction
from tearline.db.statement import Statement
from tearline.merchants.audit import record_audit
from tearline.merchants.model import AuditEntry

pytestmark = pytest.mark.anyio

_VALUES = Statement(
    text("""
        SELECT :id ::uuid AS id, :nothing ::uuid AS nothing, :moment ::timestamptz AS moment, '50 %' AS words,
               :ids ::uuid[] AS ids, :keys ::text[] AS keys, '{"en": "茶", "n": [1]}'::jsonb AS names
    """)
)
_NUMBERS = Statement(text("SELECT number, number * 2 AS double FROM generate_series(1, :most) AS number"))
_ENTRY = Statement(select(AuditEntry.action).where(AuditEntry.subject_id == bindparam("id", type_=Text)))


async def test_values_are_the_same_on_either_connection(database: Database) -> None:
    now = datetime.now(UTC)
    values = {"id": new_id(), "nothing": None, "moment": now, "ids": [new_id(), new_id()], "keys": []}
    async with database.connection() as usual, database.hot_reading() as raw:
        seen: list[Any] = []
        for connection in (usual, raw):
            # Often enough for the server to keep the plan.
            for _ in range(3):
                row = await _VALUES.row(connection, **values)
            seen.append(tuple(row))
            assert (row.id, row.moment, row.names) == (values["id"], now, {"en": "茶", "n": [1]})
            assert [row.double for row in await _NUMBERS.rows(connection, most=3)] == [2, 4, 6]
            assert await _NUMBERS.rows(connection, most=0) == []
            assert await _NUMBERS.row(connection, most=0) is None
            with pytest.raises(AssertionError):
                await _NUMBERS.row(connection, most=2)
    assert seen[0] == seen[1]


async def test_a_raw_reader_sees_what_is_committed_and_nothing_else(database: Database) -> None:
    subject = str(new_id())
    async with database.hot_reading() as raw:
        async with transaction(database) as tx:
            await record_audit(tx, SYSTEM, "thing.done", "thing", subject, None, {}, datetime.now(UTC))
            assert await _ENTRY.row(raw, id=subject) is None
            assert (await _ENTRY.row(tx, id=subject)).action == "thing.done"
        assert (await _ENTRY.row(raw, id=subject)).action == "thing.done"


async def test_readers_do_not_take_the_desks_connections(database_url: str) -> None:
    async with Database(database_url, hot_pool_size=1) as database, database.hot_reading():
        pool = await database.hot_pool()
        async with pool.connection(timeout=5) as connection:
            await connection.execute("SELECT 1")


async def test_a_reader_is_given_back_whatever_happens(database_url: str) -> None:
    async with Database(database_url, hot_pool_size=1) as database:
        for _ in range(3):
            with pytest.raises(psycopg.errors.DivisionByZero):
                async with database.hot_reading() as raw:
                    await Statement(text("SELECT 1 / :zero ::int")).rows(raw, zero=0)
