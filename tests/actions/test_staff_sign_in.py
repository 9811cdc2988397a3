"""Signing in: passwords, lock-out on guessing, authenticator codes, sessions."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import anyio
import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from tearline.core.lockout import lock_after
from tearline.core.refusal import Refusal
from tearline.db import Database, transaction
from tearline.merchants import actions, passwords, sessions, staff
from tearline.merchants import sign_in as sign_in_module
from tearline.merchants.model import Staff, StaffSession
from tearline.merchants.sessions import SessionLifetimes
from tearline.merchants.sign_in import StaffSignIn
from tests.actions.merchants_support import (
    COMMAND,
    EMAIL,
    NOW,
    PASSWORD,
    admit_everyone,
    audit_actions,
    door,
    later,
    make_merchant,
    make_staff,
    make_store,
    session_of,
    sign_in,
    signed_in,
)

pytestmark = pytest.mark.anyio


async def reason_of_sign_in(desk: StaffSignIn, email: str, password: str, now: datetime = NOW) -> str:
    try:
        await sign_in(desk, email, password, now)
    except Refusal as refusal:
        return refusal.reason
    return "signed in"


async def enrol(database: Database) -> str:
    session = await session_of(database)
    async with transaction(database) as tx:
        enrolment = await staff.begin_totp(tx, session, NOW)
    async with transaction(database) as tx:
        await staff.confirm_totp(tx, session, pyotp.TOTP(enrolment.secret).at(NOW), NOW)
    return enrolment.secret


async def test_the_right_password_signs_in_and_only_its_hash_is_kept(database: Database) -> None:
    staff_id = await make_staff(database)
    answer = await sign_in(door(database), " MEI@example.org ")
    assert answer.staff.id == staff_id and not answer.is_totp_needed and len(answer.token) == 43
    session = await signed_in(database, answer.token)
    assert session is not None and session.actor.id == staff_id and session.actor.kind == "staff"
    async with database.connection() as connection:
        row = (await connection.execute(select(StaffSession))).one()
        assert answer.token.encode() not in row.token_hash
        assert "staff.signed_in" in await audit_actions(connection)
    assert await signed_in(database, answer.token[:-1] + "?") is None
    assert await signed_in(database, "\ud800\0") is None


@pytest.mark.parametrize(
    "email", [EMAIL, "nobody@example.org", "nul\0@example.org", "\ud800@example.org", ""]
)
async def test_unknown_and_known_addresses_fail_alike(database: Database, email: str) -> None:
    await make_staff(database)
    desk = door(database)
    reasons = [await reason_of_sign_in(desk, email, "guess \ud800") for _ in range(6)]
    assert reasons == ["wrong_credentials"] * 5 + ["locked"]
    # The lock holds against the right password as well, and ends.
    assert await reason_of_sign_in(desk, email, PASSWORD, later(minutes=14)) == "locked"
    expected = "signed in" if email == EMAIL else "wrong_credentials"
    assert await reason_of_sign_in(desk, email, PASSWORD, later(minutes=15, seconds=1)) == expected


async def test_an_unknown_address_takes_the_same_work(database: Database) -> None:
    await make_staff(database)
    desk = door(database)

    async def seconds(email: str) -> float:
        # Of the processor, not of the clock: other programs on the machine do not count.
        started = time.process_time()
        assert await reason_of_sign_in(desk, email, "a wrong password") == "wrong_credentials"
        return time.process_time() - started

    await seconds("warm-up@example.org")
    known = min([await seconds(EMAIL) for _ in range(3)])
    unknown = min([await seconds(f"nobody{n}@example.org") for n in range(3)])
    assert unknown > known / 3


async def test_locks_grow_with_each_round_and_are_logged(database: Database) -> None:
    await make_staff(database)
    desk, now = door(database), NOW
    for minutes in (15, 30, 60):
        for _ in range(5):
            assert await reason_of_sign_in(desk, EMAIL, "guess", now) == "wrong_credentials"
        with pytest.raises(Refusal) as refused:
            await sign_in(desk, now=now)
        assert refused.value.reason == "locked" and refused.value.details["minutes"] == minutes
        now += timedelta(minutes=minutes)
    async with database.connection() as connection:
        assert (await audit_actions(connection)).count("staff.locked") == 3
    assert lock_after(500) == timedelta(days=1)


async def test_of_many_guesses_at_once_only_five_are_looked_at(database: Database) -> None:
    await make_staff(database)
    desk = door(database)
    reasons: list[str] = []

    async def guess(number: int) -> None:
        reasons.append(await reason_of_sign_in(desk, EMAIL, f"guess number {number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(32):
            tasks.start_soon(guess, number)
    assert sorted(reasons) == ["locked"] * 27 + ["wrong_credentials"] * 5


async def test_a_success_forgives_the_failures_before_it(database: Database) -> None:
    await make_staff(database)
    desk = door(database)
    for _ in range(3):
        for _ in range(4):
            assert await reason_of_sign_in(desk, EMAIL, "guess") == "wrong_credentials"
        assert await reason_of_sign_in(desk, EMAIL, PASSWORD) == "signed in"


async def test_an_address_that_tries_too_often_is_sent_away_before_anything_is_looked_at(
    database: Database,
) -> None:
    await make_staff(database)

    async def nobody(address: str) -> None:
        raise Refusal("too_many_attempts", retry_after_seconds=60)

    desk = StaffSignIn(database, nobody)
    assert await reason_of_sign_in(desk, EMAIL, PASSWORD) == "too_many_attempts"
    with pytest.raises(Refusal) as refused:
        await desk.finish("token", "123456", address="192.0.2.1", user_agent="", now=NOW)
    assert refused.value.reason == "too_many_attempts"
    async with database.connection() as connection:
        assert await connection.scalar(select(Staff.failed_sign_ins)) == 0


async def test_a_password_hashed_with_old_parameters_is_hashed_anew(
    database: Database, installed_hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "HASHER", installed_hasher)
    await make_staff(database)
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    async with transaction(database) as tx:
        await tx.execute(update(Staff).values(password_hash=old))
    await sign_in(door(database))
    async with database.connection() as connection:
        assert "m=19456,t=2,p=1" in (await connection.scalar(select(Staff.password_hash)) or "")
    await sign_in(door(database))


async def test_two_who_sign_in_while_the_hash_is_made_anew_are_both_let_in(
    database: Database, installed_hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "HASHER", installed_hasher)
    await make_staff(database)
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    async with transaction(database) as tx:
        await tx.execute(update(Staff).values(password_hash=old))
    both_hash = anyio.Event()
    arrived: list[None] = []
    hash_password = passwords.hash_password

    async def hash_together(password: str) -> str:
        arrived.append(None)
        if len(arrived) == 2:
            both_hash.set()
        with anyio.fail_after(20):
            await both_hash.wait()
        return await hash_password(password)

    monkeypatch.setattr(sign_in_module, "hash_password", hash_together)
    desk = door(database)
    reasons: list[str] = []

    async def enter() -> None:
        reasons.append(await reason_of_sign_in(desk, EMAIL, PASSWORD))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(enter)
        tasks.start_soon(enter)
    assert reasons == ["signed in", "signed in"]
    async with database.connection() as connection:
        assert await connection.scalar(select(Staff.failed_sign_ins)) == 0


async def test_a_password_replaced_while_it_is_looked_at_lets_nobody_in(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_staff(database)
    other = await passwords.hash_password("quite another one")
    is_right_password = passwords.is_right_password

    async def replaced_meanwhile(password_hash: str | None, password: str) -> bool:
        is_right = await is_right_password(password_hash, password)
        async with transaction(database) as tx:
            await tx.execute(update(Staff).values(password_hash=other))
        return is_right

    monkeypatch.setattr(sign_in_module, "is_right_password", replaced_meanwhile)
    assert await reason_of_sign_in(door(database), EMAIL, PASSWORD) == "wrong_credentials"


async def test_a_code_is_asked_for_once_the_app_has_shown_that_it_knows_the_secret(
    database: Database,
) -> None:
    await make_staff(database)
    session = await session_of(database)
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await staff.confirm_totp(tx, session, "123456", NOW)
    assert refused.value.reason == "conflict"
    async with transaction(database) as tx:
        enrolment = await staff.begin_totp(tx, session, NOW)
    assert enrolment.uri.startswith("otpauth://totp/Tearline:mei%40example.org?secret=" + enrolment.secret)
    assert not (await sign_in(door(database))).is_totp_needed
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await staff.confirm_totp(tx, session, "000000", NOW)
    assert refused.value.reason == "wrong_totp"
    async with transaction(database) as tx:
        await staff.confirm_totp(tx, session, pyotp.TOTP(enrolment.secret).at(NOW), NOW)
    assert (await sign_in(door(database))).is_totp_needed


async def test_between_password_and_code_the_session_is_nobodys(database: Database) -> None:
    staff_id = await make_staff(database)
    secret = await enrol(database)
    desk = door(database)
    pending = await sign_in(desk, now=later(minutes=5))
    assert await signed_in(database, pending.token, later(minutes=5)) is None
    async with database.connection() as connection:
        waiting = await sessions.pending_staff(connection, pending.token, later(minutes=5))
        assert waiting is not None and waiting.id == staff_id
        assert await sessions.pending_staff(connection, pending.token, later(minutes=15)) is None
    code = pyotp.TOTP(secret).at(later(minutes=5))
    finished = await desk.finish(pending.token, code, address="", user_agent="", now=later(minutes=5))
    assert finished.token != pending.token
    assert await signed_in(database, finished.token, later(minutes=5)) is not None
    assert await signed_in(database, pending.token, later(minutes=5)) is None


async def test_a_code_is_good_once_also_at_the_same_moment(database: Database) -> None:
    await make_staff(database)
    secret = await enrol(database)
    desk, now = door(database), later(minutes=5)
    code = pyotp.TOTP(secret).at(now)
    pending = [await sign_in(desk, now=now) for _ in range(4)]
    outcomes: list[str] = []

    async def finish(token: str) -> None:
        try:
            await desk.finish(token, code, address="", user_agent="", now=now)
            outcomes.append("signed in")
        except Refusal as refusal:
            outcomes.append(refusal.reason)

    async with anyio.create_task_group() as tasks:
        for one in (*pending, pending[0]):
            tasks.start_soon(finish, one.token)
    assert outcomes.count("signed in") == 1
    assert set(outcomes) <= {"signed in", "wrong_totp", "session_ended"}


async def test_knowing_the_password_buys_no_more_guesses_at_the_code(database: Database) -> None:
    await make_staff(database)
    secret = await enrol(database)
    desk, now = door(database), later(minutes=5)
    for attempt in range(5):
        pending = await sign_in(desk, now=now)
        code = "000000" if attempt % 2 else "12 34"
        with pytest.raises(Refusal) as refused:
            await desk.finish(pending.token, code, address="", user_agent="", now=now)
        assert refused.value.reason == "wrong_totp"
    assert await reason_of_sign_in(desk, EMAIL, PASSWORD, now) == "locked"
    with pytest.raises(Refusal) as refused:
        await desk.finish(pending.token, pyotp.TOTP(secret).at(now), address="", user_agent="", now=now)
    assert refused.value.reason == "locked"


async def test_codes_are_switched_off_with_the_password_or_by_an_owner(database: Database) -> None:
    staff_id = await make_staff(database)
    session = await session_of(database)
    await enrol(database)
    for password in ("", "a guess"):
        with pytest.raises(Refusal) as refused:
            await staff.disable_own_totp(database, session, password=password, now=NOW)
        assert list(refused.value.fields) == ["password"]
    await staff.disable_own_totp(database, session, password=PASSWORD, now=NOW)
    assert not (await sign_in(door(database))).is_totp_needed
    await enrol(database)
    async with transaction(database) as tx:
        await staff.disable_totp(tx, COMMAND, staff_id, NOW)
    assert not (await sign_in(door(database))).is_totp_needed


async def test_sessions_end_when_idle_when_old_and_never_by_use(database: Database) -> None:
    await make_staff(database)
    lifetimes = SessionLifetimes(idle=timedelta(hours=8), longest=timedelta(days=7))
    token = (await sign_in(StaffSignIn(database, admit_everyone, lifetimes))).token
    assert await signed_in(database, token, later(hours=8)) is None
    now = NOW
    while now + timedelta(hours=7) < later(days=7):
        now += timedelta(hours=7)
        session = await signed_in(database, token, now)
        assert session is not None and session.is_touch_due
        async with transaction(database) as tx:
            await sessions.touch_session(tx, session, lifetimes, now)
        touched = await signed_in(database, token, now + timedelta(seconds=59))
        assert touched is not None and not touched.is_touch_due
    assert await signed_in(database, token, later(days=7)) is None
    async with transaction(database) as tx:
        assert await sessions.forget_ended_sessions(tx, later(days=7)) == 1


async def test_a_cashiers_device_stays_signed_in_for_thirty_days(database: Database) -> None:
    merchant_id = await make_merchant(database)
    await make_staff(database, merchant_id=merchant_id, role="cashier")
    answer = await sign_in(door(database))
    assert answer.cookie_lifetime == timedelta(days=30)
    assert await signed_in(database, answer.token, later(days=29)) is not None
    assert await signed_in(database, answer.token, later(days=30)) is None


async def test_signing_out_here_and_everywhere(database: Database) -> None:
    staff_id = await make_staff(database)
    tokens = [(await sign_in(door(database))).token for _ in range(3)]
    first = await signed_in(database, tokens[0])
    assert first is not None
    async with database.connection() as connection:
        assert len((await connection.execute(sessions.sessions_of(staff_id))).all()) == 3
    async with transaction(database) as tx:
        assert await sessions.sign_out_everywhere(tx, first.actor, staff_id, NOW, keep=first) == 2
    assert [await signed_in(database, token) is not None for token in tokens] == [True, False, False]
    async with transaction(database) as tx:
        await sessions.sign_out(tx, first, NOW)
    assert await signed_in(database, tokens[0]) is None


async def test_nobody_signs_others_out_without_the_right(database: Database) -> None:
    owner_id = await make_staff(database)
    await make_staff(database, email="ed@example.org", role="editor")
    editor = await session_of(database, "ed@example.org")
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await sessions.sign_out_everywhere(tx, editor.actor, owner_id, NOW)
    assert refused.value.reason == "not_allowed"


async def test_a_cashier_chooses_an_open_store_of_the_own_merchant(database: Database) -> None:
    merchant_id, other_id = await make_merchant(database), await make_merchant(database, "other")
    store_id, closed_id = (
        await make_store(database, merchant_id),
        await make_store(database, merchant_id, "K-2"),
    )
    others_store = await make_store(database, other_id)
    async with transaction(database) as tx:
        await actions.close_store(tx, COMMAND, closed_id, NOW)
    await make_staff(database, merchant_id=merchant_id, role="cashier")
    await make_staff(
        database, email="fixed@example.org", merchant_id=merchant_id, role="cashier", store_id=store_id
    )
    token = (await sign_in(door(database))).token
    session = await signed_in(database, token)
    assert session is not None and session.store_id is None
    for wrong in (others_store, closed_id, merchant_id):
        with pytest.raises(Refusal) as refused:
            async with transaction(database) as tx:
                await sessions.choose_store(tx, session, wrong, NOW)
        assert refused.value.reason == "not_found"
    async with transaction(database) as tx:
        await sessions.choose_store(tx, session, store_id, NOW)
    session = await signed_in(database, token)
    assert session is not None and session.store_id == session.actor.store_id == store_id
    fixed = await session_of(database, "fixed@example.org")
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await sessions.choose_store(tx, fixed, closed_id, NOW)
    assert refused.value.reason == "not_allowed"


async def test_a_suspended_merchants_staff_are_out(database: Database) -> None:
    merchant_id = await make_merchant(database)
    await make_staff(database, merchant_id=merchant_id, role="manager")
    desk = door(database)
    token = (await sign_in(desk)).token
    async with transaction(database) as tx:
        await actions.suspend_merchant(tx, COMMAND, merchant_id, NOW)
    assert await signed_in(database, token) is None
    assert await reason_of_sign_in(desk, EMAIL, "a guess") == "wrong_credentials"
    assert await reason_of_sign_in(desk, EMAIL, PASSWORD) == "not_allowed"
    async with transaction(database) as tx:
        await actions.resume_merchant(tx, COMMAND, merchant_id, NOW)
    assert await signed_in(database, token) is not None
