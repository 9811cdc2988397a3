"""Recovery codes: shown once, hashed at rest, each good once in place of the authenticator app's code."""

from __future__ import annotations

import anyio
import pyotp
import pytest
from sqlalchemy import select

from tearline.core.refusal import Refusal
from tearline.db import Database, transaction
from tearline.merchants import staff
from tearline.merchants.model import RecoveryCode, Staff
from tearline.merchants.recovery import recovery_codes_left
from tearline.merchants.sessions import SessionActor
from tests.actions.merchants_support import (
    COMMAND,
    NOW,
    PASSWORD,
    audit_actions,
    door,
    later,
    make_staff,
    session_of,
    sign_in,
)

pytestmark = pytest.mark.anyio
NOON = later(minutes=5)


async def enrol(database: Database, session: SessionActor | None = None) -> list[str]:
    session = session or await session_of(database)
    async with transaction(database) as tx:
        enrolment = await staff.begin_totp(tx, session, NOW)
        return await staff.confirm_totp(tx, session, pyotp.TOTP(enrolment.secret).at(NOW), NOW)


async def left(database: Database) -> int:
    async with database.connection() as connection:
        return await recovery_codes_left(connection, (await connection.scalars(select(Staff.id))).one())


async def outcome(database: Database, code: str) -> str:
    pending = await sign_in(door(database), now=NOON)
    try:
        await door(database).finish(pending.token, code, address="", user_agent="", now=NOON)
    except Refusal as refusal:
        return refusal.reason
    return "signed in"


async def test_each_code_signs_in_once_and_only_hashes_are_kept(database: Database) -> None:
    staff_id = await make_staff(database)
    codes = await enrol(database)
    assert len(set(codes)) == 10 and all(len(code) == 19 for code in codes)
    async with database.connection() as connection:
        kept = (await connection.scalars(select(RecoveryCode.code_hash))).all()
    plain = {code.replace("-", "").encode() for code in codes}
    assert len(kept) == 10 and all(len(one) == 32 and one not in plain for one in kept)
    assert await outcome(database, codes[0]) == "signed in"
    assert await outcome(database, codes[0]) == "wrong_totp"
    # As somebody reads it from a paper.
    assert await outcome(database, " " + codes[1].lower().replace("-", " ").replace("0", "o")) == "signed in"
    assert await left(database) == 8
    for wrong in ("", "ABCD", "0000-0000-0000-0000", codes[2][:-1], codes[2] + "0", "\ud800" * 16):
        assert await outcome(database, wrong) == "wrong_totp", wrong
        # Or the account would be locked after five.
        async with transaction(database) as tx:
            await staff.reset_password(tx, COMMAND, staff_id, PASSWORD, NOON)
    async with database.connection() as connection:
        assert (await audit_actions(connection)).count("staff.recovery_code_used") == 2


async def test_a_code_is_good_once_also_at_the_same_moment(database: Database) -> None:
    await make_staff(database)
    code = (await enrol(database))[0]
    desk = door(database)
    pending = [await sign_in(desk, now=NOON) for _ in range(4)]
    outcomes: list[str] = []

    async def finish(token: str) -> None:
        try:
            await desk.finish(token, code, address="", user_agent="", now=NOON)
            outcomes.append("signed in")
        except Refusal as refusal:
            outcomes.append(refusal.reason)

    async with anyio.create_task_group() as tasks:
        for one in pending:
            tasks.start_soon(finish, one.token)
    assert sorted(outcomes) == ["signed in", *["wrong_totp"] * 3]


async def test_wrong_recovery_codes_count_as_failed_sign_ins(database: Database) -> None:
    await make_staff(database)
    codes = await enrol(database)
    pending = await sign_in(door(database), now=NOON)
    for _ in range(5):
        with pytest.raises(Refusal) as refused:
            await door(database).finish(
                pending.token, "0000-0000-0000-0000", address="", user_agent="", now=NOON
            )
        assert refused.value.reason == "wrong_totp"
    with pytest.raises(Refusal) as refused:
        await door(database).finish(pending.token, codes[0], address="", user_agent="", now=NOON)
    assert refused.value.reason == "locked"
    assert await left(database) == 10


async def test_new_codes_end_the_old_ones_and_take_the_password(database: Database) -> None:
    await make_staff(database)
    session = await session_of(database)
    with pytest.raises(Refusal) as refused:
        await staff.renew_recovery_codes(database, session, password=PASSWORD, now=NOW)
    assert refused.value.reason == "conflict"
    old = await enrol(database)
    with pytest.raises(Refusal) as refused:
        await staff.renew_recovery_codes(database, session, password="a guess", now=NOW)
    assert list(refused.value.fields) == ["password"]
    new = await staff.renew_recovery_codes(database, session, password=PASSWORD, now=NOW)
    assert not set(new) & set(old)
    assert [await outcome(database, code) for code in (old[0], new[0])] == ["wrong_totp", "signed in"]
    # So does another app.
    newest = await enrol(database, session)
    assert await outcome(database, new[1]) == "wrong_totp"
    assert await outcome(database, newest[1]) == "signed in"
    # Without an app there is nothing to stand in for.
    await staff.disable_own_totp(database, session, password=PASSWORD, now=NOON)
    assert await left(database) == 0
