"""The audit log: what is written, what is hidden, who sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import PERMISSIONS, SYSTEM, Actor
from tearline.db import Database, transaction
from tearline.merchants.audit import HIDDEN, audit_entries, changes, record_audit

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 9, 1, 3, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Money:
    amount: int
    currency: str


async def test_values_are_kept_as_json_and_secrets_are_not_kept_at_all(tx: AsyncConnection) -> None:
    id_ = UUID("0197a0a0-0000-7000-8000-000000000001")
    after = {
        "starts_at": NOW,
        "id": id_,
        "tags": {"b", "a"},
        "price": Money(500, "HKD"),
        "names": {"en": "Tea", "th": "ชา"},
        "password_hash": "$argon2id$…",
        "totp_secret": None,
        "nested": {"secret_hash": b"x"},
        "raw": b"bytes",
        "ids": [id_],
    }
    await record_audit(tx, SYSTEM, "thing.made", "thing", id_, None, after, NOW)
    entry = (await tx.execute(audit_entries(SYSTEM))).one()
    assert entry.before is None
    assert entry.after == {
        "starts_at": "2026-09-01T03:00:00Z",
        "id": str(id_),
        "tags": ["a", "b"],
        "price": {"amount": 500, "currency": "HKD"},
        "names": {"en": "Tea", "th": "ชา"},
        "password_hash": HIDDEN,
        "totp_secret": None,
        "nested": {"secret_hash": HIDDEN},
        "raw": HIDDEN,
        "ids": [str(id_)],
    }
    # SQL's NULL, not JSON's: 'has no before' can be asked.
    assert await tx.scalar(text("SELECT count(*) FROM audit_entry WHERE before IS NULL")) == 1


def test_changes_names_only_what_changed() -> None:
    row = {"name": "Old", "kind": "retail", "state": "active"}
    assert changes(row, {"name": "New", "kind": "retail"}) == ({"name": "Old"}, {"name": "New"})
    assert changes(row, {"kind": "retail"}) == ({}, {})


async def test_a_merchant_sees_only_its_own_matters(tx: AsyncConnection) -> None:
    ours, theirs = uuid4(), uuid4()
    for merchant_id in (ours, theirs, None):
        await record_audit(tx, SYSTEM, "m.changed", "m", "1", {}, {}, NOW, merchant_id=merchant_id)
    manager = Actor("staff", uuid4(), "Ann", PERMISSIONS["manager"], merchant_id=ours)
    assert [row.merchant_id for row in await tx.execute(audit_entries(manager))] == [ours]
    assert len((await tx.execute(audit_entries(SYSTEM))).all()) == 3


async def test_an_act_that_is_rolled_back_leaves_no_entry(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with transaction(database) as tx:
            await record_audit(tx, SYSTEM, "m.changed", "m", "1", {}, {}, NOW)
            raise RuntimeError
    async with database.connection() as connection:
        assert (await connection.execute(audit_entries(SYSTEM))).all() == []
