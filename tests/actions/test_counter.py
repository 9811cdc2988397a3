"""The counter against a real database: preparing, redeeming, releasing, reversing, looking."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from tearline.core import rotating
from tearline.core.codes import display
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.coupons import actions
from tearline.coupons.counter import CounterAnswer
from tearline.coupons.model import Coupon, CouponHold, Redemption, Reversal, TillRequest
from tearline.coupons.rotation import coupon_secret
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import Merchant, Store
from tearline.offers.model import Offer
from tests.counters import (
    KEYS,
    Counter,
    Issued,
    assert_clean,
    claim,
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


async def test_answers_come_in_the_order_of_the_requests(database: Database) -> None:
    """Coupons of two members in one batch, locked in an order of their own."""
    world, coupons = await world_with_coupons(database, 2)
    more = await claim(database, world, 1)
    counter = Counter(desk(database), till(world), world.store_id)
    answers = await asyncio.gather(*(counter.redeem(text=coupon.code) for coupon in (*more, *coupons)))
    assert [answer.coupon_id for answer in answers] == [coupon.id for coupon in (*more, *coupons)]
    await assert_clean(database)
