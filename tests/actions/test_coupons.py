"""The counter, the sweepers and the wallet against a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text, update
from tests.counters import KEYS, Issued, assert_clean, claim, desk, person, till, world_with_coupons
from tests.worlds import World

from tearline.core import rotating
from tearline.core.codes import display
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.coupons import actions, reads
from tearline.coupons.counter import CounterAnswer
from tearline.coupons.desk import RedemptionDesk
from tearline.coupons.model import Coupon, CouponHold, Redemption, Reversal, TillRequest
from tearline.coupons.rotation import coupon_secret
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry, Merchant, Store
from tearline.offers.model import Offer

pytestmark = pytest.mark.anyio

OPERATOR = Actor("staff", new_id(), "Olga", PERMISSIONS["owner"])
MINUTE = timedelta(minutes=1)


async def reason(awaitable: Awaitable[Any]) -> str:
    with pytest.raises(Refusal) as refused:
        await awaitable
    return refused.value.reason


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


class Counter:
    """One actor at one desk, numbering its requests."""

    def __init__(self, desk: RedemptionDesk, actor: Actor, store_id: UUID, way: str = "till") -> None:
        self.desk, self.actor, self.store_id, self.way = desk, actor, store_id, way

    async def prepare(self, text: str, number: str | None = None) -> CounterAnswer:
        number = number or new_id().hex
        return await self.desk.prepare(self.actor, self.store_id, text, number, way=self.way)

    async def redeem(self, number: str | None = None, **what: Any) -> CounterAnswer:
        number = number or new_id().hex
        return await self.desk.redeem(self.actor, self.store_id, number, way=self.way, **what)

    async def release(self, hold_id: UUID, number: str | None = None) -> CounterAnswer:
        number = number or new_id().hex
        return await self.desk.release(self.actor, self.store_id, number, way=self.way, hold_id=hold_id)

    async def reverse(self, redemption_id: UUID, number: str | None = None, **what: Any) -> CounterAnswer:
        return await self.desk.reverse(self.actor, redemption_id, number or new_id().hex, **what)


async def till_and_coupon(database: Database, **values: Any) -> tuple[World, Issued, Counter]:
    world, coupons = await world_with_coupons(database)
    return world, coupons[0], Counter(desk(database, **values), till(world), world.store_id)


async def other_merchant(database: Database) -> tuple[UUID, UUID]:
    """Another merchant, and its store."""
    merchant_id, store_id = new_id(), new_id()
    now = datetime.now(UTC)
    async with transaction(database) as tx:
        await tx.execute(
            insert(Merchant).values(
                id=merchant_id, code="rival", names={"en": "R"}, kind="dining", created_at=now
            )
        )
        await tx.execute(
            insert(Store).values(
                id=store_id, merchant_id=merchant_id, code="r", names={"en": "R"}, created_at=now
            )
        )
    return merchant_id, store_id


# At the counter


async def test_prepare_then_redeem_then_reverse(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    prepared = await counter.prepare(coupon.code)
    assert (prepared.action, prepared.state, prepared.coupon_id) == ("prepared", "held", coupon.id)
    assert prepared.held_until == prepared.at + timedelta(minutes=5)
    assert await state_of(database, coupon) == "held"
    redeemed = await counter.redeem(hold_id=prepared.hold_id)
    assert (redeemed.action, redeemed.state, redeemed.verified) == ("redeemed", "redeemed", "code")
    assert redeemed.reversible_until == redeemed.at + timedelta(hours=24)
    assert await state_of(database, coupon) == "redeemed"
    await assert_clean(database)
    assert redeemed.redemption_id is not None
    undone = await counter.reverse(
        redeemed.redemption_id, reason='The customer said "no", \\o/ {1,2} 改變主意'
    )
    assert (undone.action, undone.state, undone.store_id) == ("reversed", "open", world.store_id)
    again = await counter.redeem(text=coupon.code)
    assert again.redemption_id != redeemed.redemption_id
    assert await reason(counter.reverse(redeemed.redemption_id)) == "already_reversed"
    await assert_clean(database)
    async with database.connection() as connection:
        rows = (await connection.execute(select(Redemption.__table__).order_by(Redemption.redeemed_at))).all()
        why = await connection.scalar(select(Reversal.reason))
    assert why == 'The customer said "no", \\o/ {1,2} 改變主意'
    assert [(row.merchant_id, row.store_id, row.api_key_id, row.staff_id, row.way) for row in rows] == [
        (world.merchant_id, world.store_id, counter.actor.id, None, "till")
    ] * 2
    assert [row.campaign_id for row in rows] == [world.campaign_id] * 2


async def test_the_code_may_be_typed_in_any_manner(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 3)
    counter = Counter(desk(database), person(world), world.store_id, "cashier")
    one, two, three = (coupon.code for coupon in coupons)
    for typed in (display(one).lower(), f" {two.replace('0', 'o').replace('1', 'L')} ", display(three)):
        assert (await counter.redeem(text=typed)).verified == "code"
    async with database.connection() as connection:
        staff = set((await connection.execute(select(Redemption.staff_id))).scalars())
    assert staff == {counter.actor.id}


async def test_the_rotating_code_is_good_for_a_minute(database: Database) -> None:
    _world, coupon, counter = await till_and_coupon(database)
    now = datetime.now(UTC)
    secret = coupon_secret(KEYS[0], coupon.id)
    for at, key in ((now - 2 * MINUTE, KEYS[0]), (now + 2 * MINUTE, KEYS[0]), (now, b"another server's key")):
        forged = rotating.payload(coupon.code, coupon_secret(key, coupon.id), at)
        assert await reason(counter.prepare(forged)) == "screenshot"
    changed = rotating.payload(coupon.code, secret, now)[:-1] + "!"
    assert await reason(counter.redeem(text=changed)) == "code_misread"
    prepared = await counter.prepare(rotating.payload(coupon.code, secret, now))
    assert prepared.verified == "rotating"
    redeemed = await counter.redeem(hold_id=prepared.hold_id)
    assert redeemed.verified == "rotating"
    await counter.reverse(redeemed.id)
    older = rotating.payload(coupon.code, coupon_secret(KEYS[1], coupon.id), now)
    assert (await counter.redeem(text=older)).verified == "rotating"
    assert coupon_secret(KEYS[0], new_id()) != secret
    async with database.connection() as connection:
        assert set((await connection.execute(select(Redemption.verified))).scalars()) == {"rotating"}


async def test_a_repeat_gets_the_first_answer(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    prepared = await counter.prepare(coupon.code, "p-1")
    redeemed = await counter.redeem("r-1", hold_id=prepared.hold_id)
    # From another process, too; and what happened since does not matter.
    counter.desk = desk(database)
    again = await counter.prepare(display(coupon.code), "p-1")
    assert (again.replayed, again.hold_id, again.held_until) == (True, prepared.hold_id, prepared.held_until)
    again = await counter.redeem("r-1", hold_id=prepared.hold_id)
    assert (again.replayed, again.id, again.at) == (True, redeemed.id, redeemed.at)
    undone = await counter.reverse(redeemed.id, "u-1")
    assert (await counter.reverse(redeemed.id, "u-1")).id == undone.id
    assert await count(database, Reversal.__table__) == 1
    # The number of one request is not good for another.
    assert await reason(counter.redeem("p-1", text=coupon.code)) == "idempotency_key_reused"
    assert await reason(counter.prepare(coupon.code, "r-1")) == "idempotency_key_reused"
    assert await reason(counter.reverse(redeemed.id, "u-1", reason="other")) == "idempotency_key_reused"
    # Another merchant's same number is another's.
    rival_id, rival_store = await other_merchant(database)
    rival = Counter(counter.desk, till(world, merchant_id=rival_id), rival_store)
    assert await reason(rival.redeem("r-1", text=coupon.code)) == "other_merchant"


async def test_a_repeat_with_a_newer_scan_is_the_same_request(database: Database) -> None:
    _world, coupon, counter = await till_and_coupon(database)
    now = datetime.now(UTC)
    secret = coupon_secret(KEYS[0], coupon.id)
    first = await counter.redeem("r", text=rotating.payload(coupon.code, secret, now))
    later = await counter.redeem("r", text=rotating.payload(coupon.code, secret, now + 5 * MINUTE))
    assert (later.replayed, later.id, later.verified) == (True, first.id, "rotating")


async def test_a_refusal_has_no_effect_and_is_not_remembered(database: Database) -> None:
    _world, coupon, counter = await till_and_coupon(database)
    await set_times(database, valid_from=datetime.now(UTC) + timedelta(days=1))
    assert await reason(counter.redeem("r", text=coupon.code)) == "not_valid_yet"
    assert await count(database, TillRequest.__table__) == 0
    await set_times(database, valid_from=datetime.now(UTC) - timedelta(days=1))
    assert not (await counter.redeem("r", text=coupon.code)).replayed


async def test_each_bad_coupon_gets_its_own_answer(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 6)
    now = datetime.now(UTC)
    counter = Counter(desk(database), till(world), world.store_id)
    used, held, ended, void, early, elsewhere = coupons
    await counter.redeem(text=used.code)
    await counter.prepare(held.code)
    async with transaction(database) as tx:
        await tx.execute(update(Coupon).where(Coupon.id == ended.id).values(valid_until=now))
        await tx.execute(update(Coupon).where(Coupon.id == early.id).values(valid_from=now + MINUTE))
        await actions.void_coupon(tx, OPERATOR, void.member_id, void.id, reason="a test", now=now)
    expected = {
        used.code: "already_redeemed",
        held.code: "held_elsewhere",
        ended.code: "expired",
        void.code: "coupon_void",
        early.code: "not_valid_yet",
        "not a code": "code_misread",
        "0000000000000": "code_misread",
    }
    for text_, refused in expected.items():
        assert await reason(counter.redeem(text=text_)) == refused
        assert await reason(counter.prepare(text_)) == refused
    rival_id, rival_store = await other_merchant(database)
    rival = Counter(counter.desk, till(world, merchant_id=rival_id), rival_store)
    for coupon in coupons:
        assert await reason(rival.redeem(text=coupon.code)) == "other_merchant"
    # Seen by the very next request, although the desk remembers offers: a change raises the version.
    for changes, refused in (
        ({"store_ids": [new_id()]}, "other_store"),
        ({"store_ids": [], "redeem_by": ["cashier"]}, "not_applicable"),
    ):
        async with transaction(database) as tx:
            await tx.execute(update(Offer).values(version=Offer.version + 1, **changes))
        assert await reason(counter.redeem(text=elsewhere.code)) == refused
    await assert_clean(database)


async def test_a_refusal_says_when_it_was_used(database: Database) -> None:
    _world, coupon, counter = await till_and_coupon(database)
    redeemed = await counter.redeem(text=coupon.code)
    with pytest.raises(Refusal) as refused:
        await counter.redeem(text=coupon.code)
    assert refused.value.details == {"redeemed_at": redeemed.at.isoformat()}


async def test_a_hold_ends_by_itself_by_release_and_by_its_own_person(database: Database) -> None:
    world, coupons = await world_with_coupons(database)
    code = coupons[0].code
    now = datetime.now(UTC)
    first = Counter(desk(database, now=now), till(world), world.store_id)
    later = Counter(desk(database, now=now + 5 * MINUTE), till(world), world.store_id)
    prepared = await first.prepare(code)
    assert prepared.hold_id is not None
    assert await reason(first.prepare(code)) == "held_elsewhere"
    assert await reason(later.redeem(hold_id=prepared.hold_id)) == "hold_expired"
    taken = await later.prepare(code)
    assert taken.hold_id is not None
    assert await reason(first.redeem(hold_id=prepared.hold_id)) == "hold_expired"
    assert (await later.release(taken.hold_id)).state == "open"
    assert await reason(later.release(taken.hold_id)) == "hold_expired"
    cashier = Counter(first.desk, person(world), world.store_id, "cashier")
    before = await cashier.prepare(code)
    again = await cashier.prepare(code)
    assert await reason(cashier.redeem(hold_id=before.hold_id)) == "hold_expired"
    assert (await cashier.redeem(hold_id=again.hold_id)).state == "redeemed"
    assert await count(database, CouponHold.__table__) == 4
    await assert_clean(database)


async def test_holds_and_redemptions_of_another_merchant_do_not_exist(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    rival_id, rival_store = await other_merchant(database)
    rival = Counter(counter.desk, till(world, merchant_id=rival_id), rival_store)
    prepared = await counter.prepare(coupon.code)
    assert prepared.hold_id is not None
    assert await reason(rival.redeem(hold_id=prepared.hold_id)) == "not_found"
    assert await reason(rival.release(prepared.hold_id)) == "not_found"
    assert await reason(rival.redeem(hold_id=new_id())) == "not_found"
    redeemed = await counter.redeem(hold_id=prepared.hold_id)
    assert await reason(rival.reverse(redeemed.id)) == "not_found"
    assert await reason(rival.reverse(new_id())) == "not_found"


async def test_who_may_undo_for_how_long(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 3)
    now = datetime.now(UTC)
    at = [now]
    moving = desk(database)
    moving._clock = lambda: at[0]
    actors = {"cashier": person(world), "manager": person(world, "manager"), "till": till(world)}
    for coupon, (name, actor) in zip(coupons, actors.items(), strict=True):
        at[0] = now
        counter = Counter(moving, actor, world.store_id, "till" if name == "till" else "cashier")
        redeemed = await counter.redeem(text=coupon.code)
        window = timedelta(hours=1 if name == "cashier" else 24)
        assert redeemed.reversible_until == now + window
        at[0] = now + window
        assert await reason(counter.reverse(redeemed.id)) == "reversal_too_late"
        at[0] = now + window - timedelta(seconds=1)
        assert (await counter.reverse(redeemed.id)).state == "open"


async def test_a_redemption_undone_after_the_coupons_end_leaves_it_expired(database: Database) -> None:
    _world, coupon, counter = await till_and_coupon(database)
    redeemed = await counter.redeem(text=coupon.code)
    await set_times(database, valid_until=datetime.now(UTC))
    assert (await counter.reverse(redeemed.id)).state == "expired"
    assert await reason(counter.redeem(text=coupon.code)) == "expired"
    await assert_clean(database)


async def test_only_an_open_store_of_ones_own(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    _rival_id, rival_store = await other_merchant(database)
    for store_id in (rival_store, new_id()):
        assert (
            await reason(Counter(counter.desk, counter.actor, store_id).redeem(text=coupon.code)) == "invalid"
        )
    bound = person(world, store_id=world.store_id)
    assert (
        await reason(Counter(counter.desk, bound, rival_store, "cashier").redeem(text=coupon.code))
        == "invalid"
    )
    async with transaction(database) as tx:
        await tx.execute(update(Merchant).where(Merchant.id == world.merchant_id).values(state="suspended"))
    assert await reason(counter.redeem(text=coupon.code)) == "not_allowed"
    async with transaction(database) as tx:
        await tx.execute(update(Store).where(Store.id == world.store_id).values(state="closed"))
    assert await reason(counter.redeem(text=coupon.code)) == "invalid"
    assert (
        await reason(Counter(counter.desk, OPERATOR, world.store_id).redeem(text=coupon.code))
        == "not_allowed"
    )


@pytest.mark.parametrize("number", ["", "x" * 129, "a\0b", "schlüssel", "a\nb"])
async def test_a_strange_number_is_refused_before_it_meets_others(database: Database, number: str) -> None:
    world, coupons = await world_with_coupons(database)
    taken = desk(database).prepare(till(world), world.store_id, coupons[0].code, number, way="till")
    assert await reason(taken) == "invalid"


async def test_nonsense_is_refused_field_by_field(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    assert await reason(counter.redeem()) == "invalid"
    assert await reason(counter.redeem(text=coupon.code, hold_id=new_id())) == "invalid"
    assert (
        await reason(Counter(counter.desk, till(world), world.store_id, "shout").prepare(coupon.code))
        == "invalid"
    )
    assert await reason(counter.reverse(new_id(), reason="\ud800")) == "invalid"
    assert await reason(counter.reverse(new_id(), reason="x" * 501)) == "invalid"
    for typed in ("", "\0", "\ud800" * 14, "TL1." * 1000, "x" * 100_000, "{}\",'"):
        assert await reason(counter.redeem(text=typed)) == "code_misread"
    assert (await counter.redeem('"{},\\ NULL', text=coupon.code)).state == "redeemed"
    assert (await counter.redeem('"{},\\ NULL', text=coupon.code)).replayed


async def test_codes_cannot_be_found_by_trying(database: Database) -> None:
    world, coupons = await world_with_coupons(database)
    rival_id, rival_store = await other_merchant(database)
    rival = Counter(desk(database, attempts=3), till(world, merchant_id=rival_id), rival_store)
    # Many at once learn no more than three.
    outcomes = await asyncio.gather(*(reason(rival.redeem(text=coupons[0].code)) for _ in range(20)))
    assert sorted(outcomes) == ["other_merchant"] * 3 + ["too_many_attempts"] * 17
    assert await reason(rival.redeem(text=coupons[0].code)) == "too_many_attempts"
    look = rival.desk.look(rival.actor, rival_store, coupons[0].code, way="till")
    assert await reason(look) == "too_many_attempts"
    # Another caller of the same desk is not in their way, and a typing mistake is not an attempt.
    ours = Counter(rival.desk, till(world), world.store_id)
    for _ in range(5):
        assert await reason(ours.redeem(text="AAAA")) == "code_misread"
    assert (await ours.redeem(text=coupons[0].code)).state == "redeemed"


async def test_looking_changes_nothing(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)

    async def look(text_: str, actor: Actor = counter.actor) -> Any:
        return await counter.desk.look(actor, world.store_id, text_, way="till")

    seen = await look(coupon.code)
    assert (seen.coupon_id, seen.state, seen.refusal, seen.verified) == (coupon.id, "open", None, "code")
    assert await state_of(database, coupon) == "open"
    await counter.prepare(coupon.code)
    seen = await look(coupon.code)
    assert (seen.state, seen.refusal.reason) == ("held", "held_elsewhere")
    now = datetime.now(UTC)
    fresh = rotating.payload(coupon.code, coupon_secret(KEYS[0], coupon.id), now)
    assert (await look(fresh)).verified == "rotating"
    stale = rotating.payload(coupon.code, coupon_secret(KEYS[0], coupon.id), now - 5 * MINUTE)
    assert await reason(look(stale)) == "screenshot"
    assert await reason(look("AAAA")) == "code_misread"
    assert await count(database, TillRequest.__table__) == 1


async def test_an_offer_of_the_platform_is_used_at_the_merchants_of_its_scope(database: Database) -> None:
    world, coupon, counter = await till_and_coupon(database)
    rival_id, rival_store = await other_merchant(database)
    rival = Counter(counter.desk, till(world, merchant_id=rival_id), rival_store)
    values = {"issuer": "platform", "merchant_id": None, "version": 2}
    async with transaction(database) as tx:
        scope = {"includes": {"merchants": [str(rival_id)]}}
        await tx.execute(update(Offer).values(scope=scope, **values))
    assert await reason(counter.redeem(text=coupon.code)) == "other_merchant"
    redeemed = await rival.redeem(text=coupon.code)
    assert redeemed.merchant_id == rival_id
    assert await reason(counter.reverse(redeemed.id)) == "not_found"


async def test_many_at_once_are_committed_together(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 20)
    sizes: list[int] = []
    counter = Counter(
        desk(database, observe_batch=lambda size, seconds: sizes.append(size)), till(world), world.store_id
    )
    outcomes = await asyncio.gather(
        *(counter.redeem(text=coupon.code) for coupon in coupons for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(outcome, CounterAnswer) for outcome in outcomes) == 20
    assert max(sizes) > 20
    await counter.desk.drain()
    await assert_clean(database)


async def test_the_desk_survives_lost_connections(database: Database) -> None:
    world, coupons = await world_with_coupons(database, 2)
    counter = Counter(desk(database), till(world), world.store_id)
    first = await counter.redeem("r", text=coupons[0].code)
    async with database.connection() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert (await counter.redeem("r", text=coupons[0].code)).id == first.id
    assert (await counter.redeem(text=coupons[1].code)).state == "redeemed"


# Voiding and sweeping


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
        found = await reads.find_by_code(connection, OPERATOR, display(coupon.code).lower(), now)
        assert (found.member_id, found.coupon.id, found.coupon.state) == (coupon.member_id, coupon.id, "open")
        assert [row.redemption_id for row in found.redemptions] == [redeemed.id]
        assert await reason(reads.find_by_code(connection, OPERATOR, "AAAA", now)) == "code_misread"
        no_right = reads.find_by_code(connection, person(world), coupon.code, now)
        assert await reason(no_right) == "not_allowed"


async def test_answers_come_in_the_order_of_the_requests(database: Database) -> None:
    """Coupons of two members in one batch, locked in an order of their own."""
    world, coupons = await world_with_coupons(database, 2)
    more = await claim(database, world, 1)
    counter = Counter(desk(database), till(world), world.store_id)
    answers = await asyncio.gather(*(counter.redeem(text=coupon.code) for coupon in (*more, *coupons)))
    assert [answer.coupon_id for answer in answers] == [coupon.id for coupon in (*more, *coupons)]
    await assert_clean(database)
