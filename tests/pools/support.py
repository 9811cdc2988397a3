"""Pools for tests that need one: a merchant, an offer that has issued nothing, and its pool."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from tearline.core.pools import CodeRule
from tearline.core.roles import PERMISSIONS, Actor, command_actor
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tearline.pools.actions import create_pool
from tearline.pools.files import receive_file
from tearline.pools.importing import import_file
from tearline.pools.model import PartnerCode
from tearline.pools.outcomes import ImportSummary, outcomes_csv
from tests.worlds import NOW, offer_row

ACTOR = command_actor("a test")
RULE = CodeRule(20, 20, "upper_digits")


def code_number(number: int) -> str:
    """A code of 20 letters and digits."""
    return f"{number:06d}E1311415BAA466"


@dataclass(frozen=True)
class PoolWorld:
    """What was made."""

    merchant_id: UUID
    offer_id: UUID
    pool_id: UUID


def staff(role: str, merchant_id: UUID | None = None) -> Actor:
    """A member of staff with a role, of the operator or of a merchant."""
    return Actor("staff", new_id(), f"{role} of a test", PERMISSIONS[role], merchant_id)


async def make_pool(
    database: Database,
    *,
    merchant_id: UUID | None = None,
    low_stock: int | None = None,
    now: datetime = NOW,
    **offer: Any,
) -> PoolWorld:
    """An offer with an empty pool, of a new merchant unless one is given."""
    offer_id = new_id()
    async with transaction(database) as tx:
        if merchant_id is None:
            merchant_id = new_id()
            await tx.execute(
                insert(Merchant).values(
                    id=merchant_id,
                    code=f"partner-{merchant_id.hex[-8:]}",
                    names={"en": "Lotus Table"},
                    kind="dining",
                    created_at=now,
                )
            )
        await tx.execute(insert(Offer).values(offer_row(offer_id, merchant_id, **offer)))
        pool_id = await create_pool(tx, ACTOR, offer_id, low_stock=low_stock, now=now)
    return PoolWorld(merchant_id, offer_id, pool_id)


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    """The content as it would stream in."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def upload(
    database: Database, pool_id: UUID, content: bytes | str, name: str = "codes.csv", actor: Actor = ACTOR
) -> UUID:
    """Have a file received."""
    encoded = content.encode() if isinstance(content, str) else content
    return await receive_file(database, actor, pool_id, name, pieces(encoded), source="command", now=NOW)


async def bring(
    database: Database,
    pool_id: UUID,
    content: bytes | str | Iterable[str],
    *,
    rule: CodeRule = RULE,
    column: int = 0,
    has_heading: bool = False,
    name: str = "codes.csv",
) -> ImportSummary:
    """Receive and import a file, or codes one a line."""
    if not isinstance(content, bytes | str):
        content = "".join(f"{code}\n" for code in content)
    file_id = await upload(database, pool_id, content, name)
    return await import_file(database, ACTOR, file_id, rule=rule, column=column, has_heading=has_heading)


async def codes_of(database: Database, world: PoolWorld) -> list[str]:
    """The pool's codes by position, of which none is left out."""
    async with database.connection() as connection:
        statement = select(PartnerCode.code, PartnerCode.position).where(PartnerCode.pool_id == world.pool_id)
        rows = (await connection.execute(statement.order_by(PartnerCode.position))).all()
    assert [row.position for row in rows] == list(range(len(rows)))
    return [row.code for row in rows]


async def outcomes_of(database: Database, file_id: UUID) -> list[list[str]]:
    """The rows of the file that tells what became of each row."""
    content = b"".join([chunk async for chunk in outcomes_csv(database, ACTOR, file_id)]).decode()
    assert content.startswith("\ufeff")
    return list(csv.reader(io.StringIO(content.removeprefix("\ufeff"))))
