"""What the tests of merchants, staff and keys share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import command_actor
from tearline.db import Database, transaction
from tearline.merchants import actions, staff
from tearline.merchants.model import AuditEntry
from tearline.merchants.sessions import SessionActor, actor_of_session
from tearline.merchants.sign_in import SignedIn, StaffSignIn

NOW = datetime(2026, 9, 1, 3, 0, tzinfo=UTC)
COMMAND = command_actor("tests")
PASSWORD = "a calm little password"
EMAIL = "mei@example.org"


def later(**duration: float) -> datetime:
    return NOW + timedelta(**duration)


async def admit_everyone(address: str) -> None:
    """No limit per address, in tests of other limits."""


def door(database: Database) -> StaffSignIn:
    return StaffSignIn(database, admit_everyone)


async def make_staff(database: Database, **details: Any) -> UUID:
    wanted = {"email": EMAIL, "name": "Mei", "role": "owner", "password": PASSWORD, **details}
    async with transaction(database) as tx:
        return await staff.create_staff(tx, COMMAND, **wanted, now=NOW)


async def make_merchant(database: Database, code: str = "kam", **details: Any) -> UUID:
    wanted = {"code": code, "names": {"en": "Kam's"}, "kind": "dining", **details}
    async with transaction(database) as tx:
        return await actions.create_merchant(tx, COMMAND, **wanted, now=NOW)


async def make_store(database: Database, merchant_id: UUID, code: str = "K-1") -> UUID:
    async with transaction(database) as tx:
        return await actions.create_store(tx, COMMAND, merchant_id, code=code, names={"en": code}, now=NOW)


async def sign_in(
    desk: StaffSignIn, email: str = EMAIL, password: str = PASSWORD, now: datetime = NOW
) -> SignedIn:
    return await desk.sign_in(email, password, address="192.0.2.1", user_agent="tests", now=now)


async def signed_in(database: Database, token: str, now: datetime = NOW) -> SessionActor | None:
    async with database.connection() as connection:
        return await actor_of_session(connection, token, now)


async def session_of(database: Database, email: str = EMAIL) -> SessionActor:
    session = await signed_in(database, (await sign_in(door(database), email)).token)
    assert session is not None
    return session


async def audit_actions(connection: AsyncConnection) -> list[str]:
    return list((await connection.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all())
