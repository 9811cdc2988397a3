"""Accounts of staff: who may make and change them, and what is refused."""

from __future__ import annotations

import anyio
import pytest
from sqlalchemy import select

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.db import Database, new_id, transaction
from tearline.merchants import staff
from tearline.merchants.model import AuditEntry, Staff
from tests.actions.merchants_support import (
    COMMAND,
    EMAIL,
    NOW,
    PASSWORD,
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


async def test_an_account_is_made_with_its_password_hashed_and_the_act_logged(database: Database) -> None:
    staff_id = await make_staff(database, email="  Mei@Example.org ", name=" Mei ")
    async with database.connection() as connection:
        row = (await connection.execute(select(Staff))).one()
        entry = (await connection.execute(select(AuditEntry))).one()
        member = await staff.staff_by_id(connection, COMMAND, staff_id)
        listed = (await connection.execute(staff.staff_list(COMMAND))).one()
    assert (row.email, row.name, row.role, row.merchant_id) == (EMAIL, "Mei", "owner", None)
    assert row.password_hash.startswith("$argon2id$") and PASSWORD not in row.password_hash
    assert entry.action == "staff.created" and entry.after["email"] == EMAIL
    assert not {"password", "password_hash"} & set(entry.after)
    assert member.email == EMAIL and not member.has_totp
    assert not {"password_hash", "totp_secret", "totp_new_secret"} & set(listed._fields)


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"email": "no-address"}, "email"),
        ({"email": "a@b@c"}, "email"),
        ({"email": "nul\0@example.org"}, "email"),
        ({"email": "x" * 250 + "@example.org"}, "email"),
        ({"name": "  "}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"role": "cashier"}, "role"),
        ({"role": "king"}, "role"),
        ({"language": "fr"}, "language"),
        ({"password": "short"}, "password"),
        ({"password": "Password123!"}, "password"),
        ({"password": "aaaaaaaaaaaa"}, "password"),
        ({"password": EMAIL}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"merchant_id": new_id(), "role": "manager"}, "merchant_id"),
        ({"store_id": new_id()}, "store_id"),
    ],
)
async def test_what_makes_no_sense_is_refused_at_its_field(
    database: Database, details: dict[str, object], field: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await make_staff(database, **details)
    assert refused.value.reason == "invalid" and list(refused.value.fields) == [field]


async def test_an_address_signs_in_one_account_only(database: Database) -> None:
    await make_staff(database)
    with pytest.raises(Refusal) as refused:
        await make_staff(database, email=EMAIL.upper())
    assert refused.value.reason == "already_taken" and list(refused.value.fields) == ["email"]


async def test_a_merchants_staff_have_a_merchants_roles_and_stores(database: Database) -> None:
    merchant_id, other_id = await make_merchant(database), await make_merchant(database, "other")
    store_id, others_store = await make_store(database, merchant_id), await make_store(database, other_id)
    with pytest.raises(Refusal) as refused:
        await make_staff(database, merchant_id=merchant_id, role="editor")
    assert list(refused.value.fields) == ["role"]
    with pytest.raises(Refusal) as refused:
        await make_staff(database, merchant_id=merchant_id, role="cashier", store_id=others_store)
    assert list(refused.value.fields) == ["store_id"]
    await make_staff(database, merchant_id=merchant_id, role="cashier", store_id=store_id)
    session = await session_of(database)
    assert session.actor.merchant_id == merchant_id and session.actor.store_id == store_id
    assert session.actor.permissions == PERMISSIONS["cashier"]


@pytest.mark.parametrize("role", ["editor", "finance", "auditor", "manager", "cashier"])
async def test_only_owners_manage_staff(database: Database, role: str) -> None:
    staff_id = await make_staff(database)
    actor = Actor("staff", new_id(), "Someone", PERMISSIONS[role])
    attempts = (
        lambda tx: staff.create_staff(
            tx, actor, email="x@y.z", name="X", role="owner", password=PASSWORD, now=NOW
        ),
        lambda tx: staff.update_staff(tx, actor, staff_id, NOW, role="owner"),
        lambda tx: staff.disable_staff(tx, actor, staff_id, NOW),
        lambda tx: staff.enable_staff(tx, actor, staff_id, NOW),
        lambda tx: staff.reset_password(tx, actor, staff_id, PASSWORD, NOW),
        lambda tx: staff.disable_totp(tx, actor, staff_id, NOW),
        lambda tx: staff.staff_by_id(tx, actor, staff_id),
    )
    for attempt in attempts:
        with pytest.raises(Refusal) as refused:
            async with transaction(database) as tx:
                await attempt(tx)
        assert refused.value.reason == "not_allowed"
    with pytest.raises(Refusal):
        staff.staff_list(actor)


async def test_a_changed_role_holds_from_the_next_request_on(database: Database) -> None:
    await make_staff(database)
    editor_id = await make_staff(database, email="ed@example.org", name="Ed", role="editor")
    token = (await sign_in(door(database), "ed@example.org")).token
    async with transaction(database) as tx:
        await staff.update_staff(tx, COMMAND, editor_id, NOW, role="auditor", name="Eddie")
    session = await signed_in(database, token)
    assert session is not None
    assert (session.staff.role, session.actor.name) == ("auditor", "Eddie")
    async with database.connection() as connection:
        entry = (
            await connection.execute(select(AuditEntry).where(AuditEntry.action == "staff.updated"))
        ).one()
    assert (entry.before, entry.after) == (
        {"role": "editor", "name": "Ed"},
        {"role": "auditor", "name": "Eddie"},
    )


async def test_there_is_always_an_owner(database: Database) -> None:
    owner_id = await make_staff(database)
    for act in (
        lambda tx: staff.update_staff(tx, COMMAND, owner_id, NOW, role="editor"),
        lambda tx: staff.disable_staff(tx, COMMAND, owner_id, NOW),
    ):
        with pytest.raises(Refusal) as refused:
            async with transaction(database) as tx:
                await act(tx)
        assert refused.value.reason == "invalid"
    await make_staff(database, email="second@example.org")
    async with transaction(database) as tx:
        await staff.disable_staff(tx, COMMAND, owner_id, NOW)


async def test_two_owners_cannot_shut_each_other_out_at_once(database: Database) -> None:
    ids = [await make_staff(database, email=f"owner{n}@example.org") for n in range(4)]
    refusals = []

    async def disable(staff_id: object) -> None:
        try:
            async with transaction(database) as tx:
                await staff.disable_staff(tx, COMMAND, staff_id, NOW)  # type: ignore[arg-type]
        except Refusal as refusal:
            refusals.append(refusal)

    async with anyio.create_task_group() as tasks:
        for staff_id in ids:
            tasks.start_soon(disable, staff_id)
    assert len(refusals) == 1
    async with database.connection() as connection:
        assert len((await connection.execute(select(Staff).where(Staff.state == "active"))).all()) == 1


async def test_a_shut_account_is_out_at_once_and_comes_back_when_opened(database: Database) -> None:
    await make_staff(database)
    editor_id = await make_staff(database, email="ed@example.org", role="editor")
    desk = door(database)
    token = (await sign_in(desk, "ed@example.org")).token
    async with transaction(database) as tx:
        await staff.disable_staff(tx, COMMAND, editor_id, NOW)
        await staff.disable_staff(tx, COMMAND, editor_id, NOW)
    assert await signed_in(database, token) is None
    with pytest.raises(Refusal) as refused:
        await sign_in(desk, "ed@example.org")
    assert refused.value.reason == "wrong_credentials"
    async with transaction(database) as tx:
        await staff.enable_staff(tx, COMMAND, editor_id, NOW)
        acts = await audit_actions(tx)
    assert await signed_in(database, token) is None
    assert (await sign_in(desk, "ed@example.org")).staff.state == "active"
    assert (acts.count("staff.disabled"), acts.count("staff.enabled")) == (1, 1)


async def test_a_reset_password_ends_sessions_and_lifts_the_lock(database: Database) -> None:
    staff_id = await make_staff(database)
    desk = door(database)
    token = (await sign_in(desk)).token
    for _ in range(5):
        with pytest.raises(Refusal):
            await sign_in(desk, password="not this one")
    async with transaction(database) as tx:
        await staff.reset_password(tx, COMMAND, staff_id, "another calm password", NOW)
    assert await signed_in(database, token) is None
    assert (await sign_in(desk, password="another calm password")).staff.id == staff_id


async def test_ones_own_password_changes_with_the_old_one_and_keeps_this_session(database: Database) -> None:
    await make_staff(database)
    elsewhere = (await sign_in(door(database))).token
    here = (await sign_in(door(database))).token
    session = await signed_in(database, here)
    assert session is not None
    with pytest.raises(Refusal) as refused:
        await staff.change_own_password(
            database, session, current="a guess", password="brand new words", now=NOW
        )
    assert list(refused.value.fields) == ["current"]
    await staff.change_own_password(database, session, current=PASSWORD, password="brand new words", now=NOW)
    assert await signed_in(database, here) is not None
    assert await signed_in(database, elsewhere) is None
    assert (await sign_in(door(database), password="brand new words", now=later(minutes=1))).token


@pytest.mark.parametrize("which", ["password", "totp"])
async def test_an_open_browser_is_no_place_to_guess_at_the_password(database: Database, which: str) -> None:
    await make_staff(database)
    session = await session_of(database)

    async def attempt(guess: str) -> str:
        try:
            if which == "totp":
                await staff.disable_own_totp(database, session, password=guess, now=NOW)
            else:
                await staff.change_own_password(
                    database, session, current=guess, password="brand new words", now=NOW
                )
        except Refusal as refusal:
            return refusal.reason
        return "done"

    outcomes: list[str] = []

    async def guess(number: int) -> None:
        outcomes.append(await attempt(f"a guess {number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(guess, number)
    assert sorted(outcomes) == ["invalid"] * 5 + ["locked"] * 3
    assert await attempt(PASSWORD) == "locked"
    with pytest.raises(Refusal) as refused:
        await sign_in(door(database))
    assert refused.value.reason == "locked"
    async with database.connection() as connection:
        assert (await audit_actions(connection)).count("staff.locked") == 1


async def test_the_list_of_staff_is_no_way_around_ones_own_password(database: Database) -> None:
    staff_id = await make_staff(database)
    session = await session_of(database)
    for attempt in (
        lambda tx: staff.reset_password(tx, session.actor, staff_id, "brand new words", NOW),
        lambda tx: staff.disable_totp(tx, session.actor, staff_id, NOW),
    ):
        with pytest.raises(Refusal) as refused:
            async with transaction(database) as tx:
                await attempt(tx)
        assert refused.value.reason == "not_allowed"


async def test_the_language_of_the_pages_is_ones_own_choice(database: Database) -> None:
    await make_staff(database)
    session = await session_of(database)
    async with transaction(database) as tx:
        await staff.set_language(tx, session, "th", NOW)
    with pytest.raises(Refusal):
        async with transaction(database) as tx:
            await staff.set_language(tx, session, "xx", NOW)
    assert (await session_of(database)).staff.language == "th"
