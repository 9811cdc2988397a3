"""Signing in while something else happens to the number: over connections of their own, committing for real.

Each race is arranged: one side holds its locks until the other waits for them.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import command_actor
from tearline.core.signin import Rate, code_hash
from tearline.db import Database, new_id, transaction
from tearline.members.actions import change_phone
from tearline.members.model import Member, SignInCode, SignInPhone
from tearline.members.sign_in import SignedIn, SignInRules, forget_codes, request_code, verify_code
from tests.worlds import make_members

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
SECRET = b"s" * 32
CODE = "123456"
COMMAND = command_actor("tests")


async def count_nothing(name: str, rate: Rate, key: str) -> None:
    """No limits, in tests of locks."""


async def make_code(tx: AsyncConnection, phone: str) -> UUID:
    """A code that was sent to a number a minute ago."""
    sign_in_id = new_id()
    asked_at = NOW - timedelta(minutes=1)
    await tx.execute(
        insert(SignInCode).values(
            id=sign_in_id, phone=phone, channel="sms", code_hash=code_hash(SECRET, sign_in_id, CODE),
            tries_left=5, address="", created_at=asked_at, expires_at=NOW + timedelta(minutes=5),
        )
    )  # fmt: skip
    await tx.execute(insert(SignInPhone).values(phone=phone, requests=1, last_requested_at=asked_at))
    return sign_in_id


async def ask(tx: AsyncConnection, phone: str) -> None:
    await request_code(
        tx, count_nothing, phone=phone, channel="sms", language="en", address="", now=NOW, secret=SECRET,
        rules=SignInRules(),
    )  # fmt: skip


async def enter(database: Database, sign_in_id: UUID) -> SignedIn:
    return await verify_code(database, sign_in_id=sign_in_id, code=CODE, now=NOW, secret=SECRET)


async def until_waiting(database: Database, task: asyncio.Task[Any]) -> None:
    """Until the task's statement waits for a lock; the test fails when it comes to an end instead."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(10):
        while True:
            async with database.connection() as connection:
                if await connection.scalar(text(waiting)):
                    return
            assert not task.done(), "it did not wait"
            await asyncio.sleep(0.005)


async def test_a_number_given_away_meanwhile_signs_nobody_in_as_its_former_member(database: Database) -> None:
    async with transaction(database) as tx:
        [former] = await make_members(tx, 1)
        phone = str(await tx.scalar(select(Member.phone)))
        sign_in_id = await make_code(tx, phone)
    async with transaction(database) as tx:
        await change_phone(tx, COMMAND, former, phone="+85291234567", default_region="HK", now=NOW)
        entering = asyncio.create_task(enter(database, sign_in_id))
        await until_waiting(database, entering)
    signed_in = await entering
    assert signed_in.created and signed_in.member_id != former
    async with database.connection() as connection:
        rows = (await connection.execute(select(Member.id, Member.phone))).all()
    assert {row.id: row.phone for row in rows} == {former: "+85291234567", signed_in.member_id: phone}


async def test_a_number_given_to_another_member_meanwhile_signs_that_one_in(database: Database) -> None:
    async with transaction(database) as tx:
        former, heir = await make_members(tx, 2)
        phone = "+85261234567"
        await change_phone(tx, COMMAND, former, phone=phone, default_region="HK", now=NOW)
        sign_in_id = await make_code(tx, phone)
    async with transaction(database) as tx:
        await change_phone(tx, COMMAND, former, phone="+85291234567", default_region="HK", now=NOW)
        await change_phone(tx, COMMAND, heir, phone=phone, default_region="HK", now=NOW)
        entering = asyncio.create_task(enter(database, sign_in_id))
        await until_waiting(database, entering)
    assert await entering == SignedIn(heir, 2, created=False)


async def test_asking_for_a_code_and_entering_one_never_wait_for_each_other(database: Database) -> None:
    phone = "+85261234567"
    async with transaction(database) as tx:
        sign_in_id = await make_code(tx, phone)
    async with transaction(database) as tx:
        # The first half of asking: the number's row.
        await tx.execute(text("UPDATE sign_in_phone SET phone = phone"))
        entering = asyncio.create_task(enter(database, sign_in_id))
        await until_waiting(database, entering)
        # The second half. If the code's row were locked by now, this would be a deadlock.
        await tx.execute(text("SELECT 1 FROM sign_in_code FOR UPDATE NOWAIT"))
    assert (await entering).created


async def test_a_streak_that_begins_again_is_not_forgotten(database: Database) -> None:
    phone = "+85261234567"
    async with transaction(database) as tx:
        long_ago = NOW - timedelta(days=3)
        await tx.execute(insert(SignInPhone).values(phone=phone, requests=1, last_requested_at=long_ago))

    async def forget() -> None:
        async with transaction(database) as tx:
            await forget_codes(tx, created_before=NOW - timedelta(days=2), most=100)

    async with transaction(database) as tx:
        await ask(tx, phone)
        forgetting = asyncio.create_task(forget())
        await until_waiting(database, forgetting)
    await forgetting
    async with database.connection() as connection:
        assert (await connection.scalars(select(SignInPhone.phone))).all() == [phone]
