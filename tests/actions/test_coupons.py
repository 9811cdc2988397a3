"""Voiding, the sweepers, the wallet and the lists of redemptions against a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from tearline.core import rotating
from tearline.core.codes import display
from tearline.core.roles import PERMISSIONS, Actor
from tearline.coupons import actions, reads
from tearline.coupons.model import Coupon, CouponHold, Redemption
from tearline.coupons.rotation import coupon_secret
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry
from tests.counters import (
    KEYS,
    Counter,
    Issued,
    assert_clean,
    desk,
    other_merchant,
    person,
    reason,
    till,
    till_and_coupon,
    world_with_coupons,
)

pytestmark = pytest.mark.anyio

OPERATOR = Actor("staff", new_id(), "Olga", PERMISSIONS["owner"])
MINUTE = timedelta(minutes=1)


async def state_of(database: Database, coupon: Issued) -> str:
    async with database.connection() as connection:
        query = select(Coupon.state).where(Coupon.member_id == coupon.member_id, Coupon.id == coupon.id)
        return str(await connection.scalar(query))


async def count(database: Database, table: Any) -> int:
    async with database.connection() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def set_times(database: Database, **values: Any) -> None:
    async with transaction(database) as tx:
        await tx.execute(update(Coupon).values(**values))


async def change_coupons(database: Database, coupons: list[Issued], **values: Any) -> None:
    async with transaction(database) as tx:
        ids = [coupon.id for coupon in coupons]
        await tx.execute(update(Coupon).where(Coupon.id.in_(ids)).values(**values))


async def test_voiding_is_final_and_audited(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 2)
    counter = Counter(desk(database), till(world), world.store_id)
    now = datetime.now(UTC)
    first, second = coupons

    async def void(coupon: Issued, *, actor: Actor = OPERATOR, why: str = "Sent by mistake") -> None:
        async with transaction(database) as tx:
            await actions.void_coupon(tx, actor, coupon.member_id, coupon.id, reason=why, now=now)

    assert await reason(void(first, why=" ")) == "invalid"
    assert await reason(void(first, actor=person(world, "manager"))) == "not_allowed"
    prepared = await counter.prepare(first.code)
    await void(first)
    assert await reason(counter.redeem(hold_id=prepared.hold_id)) == "coupon_void"
    assert await reason(void(first)) == "coupon_void"
    await counter.redeem(text=second.code)
    assert await reason(void(second)) == "already_redeemed"
    stranger = Issued(first.id, second.id, "", first.offer_id)
    assert await reason(void(stranger)) == "not_found"
    async with database.connection() as connection:
        entry = (await connection.execute(select(AuditEntry.__table__))).one()
    assert (entry.action, entry.subject_id, entry.before, entry.after) == (
        "coupon.voided",
        str(first.id),
        {"state": "held"},
        {"state": "void", "reason": "Sent by mistake"},
    )
    await assert_clean(database)


async def test_sweepers_work_in_batches_and_touch_only_what_is_due(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 12)
    now = datetime.now(UTC)
    counter = Counter(desk(database, now=now), till(world), world.store_id)
    for coupon in coupons[:3]:
        await counter.prepare(coupon.code)
    await counter.redeem(text=coupons[3].code)
    async with transaction(database) as tx:
        due = [coupon.id for coupon in (coupons[0], *coupons[3:9])]
        await tx.execute(update(Coupon).where(Coupon.id.in_(due)).values(valid_until=now + 10 * MINUTE))
    later = now + 10 * MINUTE
    async with transaction(database) as tx:
        assert await actions.expire_due(tx, now, 100) == 0
        assert await actions.release_holds(tx, now, 100) == 0
        assert await actions.release_holds(tx, now + 5 * MINUTE, 1) == 1
        assert await actions.release_holds(tx, later, 100) == 2
        assert await actions.expire_due(tx, later, 4) + await actions.expire_due(tx, later, 100) in (5, 6)
        assert await actions.expire_due(tx, later, 100) == 0
    async with database.connection() as connection:
        states = {row.id: row.state for row in await connection.execute(select(Coupon.id, Coupon.state))}
    expected = ["expired", "open", "open", "redeemed", *["expired"] * 5, *["open"] * 3]
    assert [states[coupon.id] for coupon in coupons] == expected
    await assert_clean(database)


async def test_sweepers_skip_what_another_holds(database: Database) -> None:
    _world, coupons = await world_with_coupons(database, 2)
    now = datetime.now(UTC)
    await set_times(database, valid_until=now)
    async with transaction(database) as ours:
        await ours.execute(select(Coupon.id).where(Coupon.id == coupons[0].id).with_for_update())
        async with transaction(database) as sweeper:
            assert await actions.expire_due(sweeper, now, 10) == 1
    async with transaction(database) as sweeper:
        assert await actions.expire_due(sweeper, now, 10) == 1


# Wallet and lists


async def test_a_wallet_has_each_coupon_in_one_folder(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 8)
    now = datetime.now(UTC)
    counter = Counter(desk(database, now=now), till(world), world.store_id)
    used, held, was_held, ended, early, void, first, second = coupons
    await counter.redeem(text=used.code)
    await counter.prepare(held.code)
    await counter.prepare(was_held.code)
    changes: dict[UUID, dict[str, Any]] = {
        was_held.id: {"held_until": now, "valid_until": now + timedelta(days=3)},
        ended.id: {"valid_until": now},
        early.id: {"valid_from": now + MINUTE},
        first.id: {"valid_until": now + timedelta(days=1)},
        second.id: {"valid_until": now + timedelta(days=2)},
    }
    async with transaction(database) as tx:
        for id_, values in changes.items():
            await tx.execute(update(Coupon).where(Coupon.id == id_).values(**values))
        await actions.void_coupon(tx, OPERATOR, void.member_id, void.id, reason="a test", now=now)
    expected = {
        "usable": [first, second, was_held],
        "upcoming": [early],
        "held": [held],
        "used": [used],
        "expired": [ended],
        "void": [void],
    }
    async with database.connection() as connection:
        counts = await reads.wallet_counts(connection, used.member_id, now)
        for folder, content in expected.items():
            page = await reads.wallet(connection, used.member_id, folder, now)
            assert [coupon.code for coupon in page.coupons] == [coupon.code for coupon in content], folder
            assert page.next_after is None
            assert {coupon.folder for coupon in page.coupons} == {folder}
            assert counts[folder] == len(content)
        assert await reads.wallet_counts(connection, world.members[1], now) == dict.fromkeys(reads.FOLDERS, 0)
        usable = (await reads.wallet(connection, used.member_id, "usable", now)).coupons
        assert [coupon.state for coupon in usable] == ["open"] * 3
        assert [coupon.held_until for coupon in usable] == [None] * 3
        assert usable[0].ticket.names == {"en": "HK$50 off"}
        assert usable[0].ticket.merchant_names == {"en": "Harbour Books"}
        assert await reason(reads.wallet(connection, used.member_id, "nonsense", now)) == "not_found"


@pytest.mark.parametrize("folder", ["usable", "used"])
async def test_a_wallet_comes_in_pages(database: Database, folder: str) -> None:
    world, coupons = await world_with_coupons(database, 7)
    now = datetime.now(UTC)
    if folder == "used":
        counter = Counter(desk(database, now=now), till(world), world.store_id)
        await asyncio.gather(*(counter.redeem(text=coupon.code) for coupon in coupons))
    seen: list[UUID] = []
    after = None
    async with database.connection() as connection:
        for _ in range(4):
            page = await reads.wallet(connection, world.members[0], folder, now, after=after, limit=2)
            seen += [coupon.id for coupon in page.coupons]
            after = page.next_after
    assert after is None
    assert sorted(seen) == sorted(coupon.id for coupon in coupons)
    assert len(seen) == 7


async def test_a_member_sees_their_own_coupon_with_its_secret(database: Database) -> None:
    world, coupons = await world_with_coupons(database)
    now = datetime.now(UTC)
    async with database.connection() as connection:
        coupon, secret = await reads.member_coupon(connection, world.members[0], coupons[0].id, KEYS[0], now)
        assert coupon.code == coupons[0].code
        assert rotating.verify(
            rotating.payload(coupon.code, secret, now), coupon_secret(KEYS[0], coupon.id), now
        )
        others = reads.member_coupon(connection, world.members[1], coupons[0].id, KEYS[0], now)
        assert await reason(others) == "not_found"


async def test_redemptions_are_seen_by_those_whose_they_are(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 3)
    rival_id, _rival_store = await other_merchant(database)
    shared = desk(database)
    mei, bo = person(world), person(world)
    first = await Counter(shared, mei, world.store_id, "cashier").redeem(text=coupons[0].code)
    second = await Counter(shared, bo, world.store_id, "cashier").redeem(text=coupons[1].code)
    await Counter(shared, till(world), world.store_id).redeem(text=coupons[2].code)
    await Counter(shared, bo, world.store_id, "cashier").reverse(second.id, reason="Wrong one")

    async def seen(actor: Actor) -> list[Any]:
        async with database.connection() as connection:
            query = reads.redemptions_list(actor).order_by(Redemption.redeemed_at)
            return list((await connection.execute(query)).all())

    rows = await seen(person(world, "manager"))
    assert [row.code for row in rows] == [coupon.code for coupon in coupons]
    assert [row.reversal_reason for row in rows] == [None, "Wrong one", None]
    assert [row.way for row in rows] == ["cashier", "cashier", "till"]
    assert len(await seen(OPERATOR)) == 3
    assert [row.redemption_id for row in await seen(mei)] == [first.id]
    assert len(await seen(person(world, store_id=world.store_id))) == 3
    assert await seen(person(world, store_id=new_id())) == []
    assert await seen(Actor("staff", new_id(), "X", PERMISSIONS["manager"], rival_id)) == []
    async with database.connection() as connection:
        assert (await reads.redemption(connection, mei, first.id)).code == coupons[0].code
        assert await reason(reads.redemption(connection, mei, second.id)) == "not_found"


async def test_the_console_finds_a_coupon_by_its_code(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    redeemed = await counter.redeem(text=coupon.code)
    await counter.reverse(redeemed.id)
    now = datetime.now(UTC)
    async with database.connection() as connection:
        place = await reads.find_by_code(connection, OPERATOR, display(coupon.code).lower())
        assert place == (coupon.member_id, coupon.id)
        found = await reads.coupon_for_staff(connection, OPERATOR, *place, now)
        assert (found.member_id, found.coupon.id, found.coupon.state) == (*place, "open")
        assert [row.redemption_id for row in found.redemptions] == [redeemed.id]
        assert await reason(reads.find_by_code(connection, OPERATOR, "AAAA")) == "code_misread"
        for no_right in (
            reads.find_by_code(connection, person(world), coupon.code),
            reads.coupon_for_staff(connection, person(world), *place, now),
        ):
            assert await reason(no_right) == "not_allowed"
        # A merchant's manager may read redemptions, but not look up coupons of anybody.
        for not_theirs in (
            reads.find_by_code(connection, person(world, "manager"), coupon.code),
            reads.coupon_for_staff(connection, person(world, "manager"), *place, now),
        ):
            assert await reason(not_theirs) == "not_found"
        elsewhere = reads.coupon_for_staff(connection, OPERATOR, new_id(), coupon.id, now)
        assert await reason(elsewhere) == "not_found"


async def test_old_request_numbers_and_holds_are_forgotten_but_not_what_is_in_force(
    database: Database,
) -> None:
    world, coupons = await world_with_coupons(database, 3)
    counter = Counter(desk(database), till(world), world.store_id)
    for coupon in coupons[:2]:
        await counter.prepare(coupon.code)
    in_force = await counter.prepare(coupons[2].code)
    # The sweeper has passed over the first two.
    await change_coupons(database, coupons[:2], state="open", hold_id=None, held_until=None)

    async def forget(days: int, most: int = 100) -> tuple[int, int]:
        before = datetime.now(UTC) + timedelta(days=days)
        async with transaction(database) as tx:
            return (
                await actions.forget_till_requests(tx, created_before=before, most=most),
                await actions.forget_holds(tx, created_before=before, most=most),
            )

    assert await forget(-1) == (0, 0)
    assert await forget(1, most=1) == (1, 1)
    assert await forget(1) == (2, 1)
    async with database.connection() as connection:
        assert (await connection.scalars(select(CouponHold.id))).all() == [in_force.hold_id]
    assert (await counter.redeem(hold_id=in_force.hold_id)).state == "redeemed"
    await assert_clean(database)
