"""The sale desk against a real database: what it takes, delivers, releases and refunds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text, update

from tearline.campaigns.model import Campaign
from tearline.core.refusal import Refusal
from tearline.core.sales import RESERVATION_LASTS, commission_of
from tearline.coupons.model import Coupon, CouponCode
from tearline.db import Database, engine, new_id, transaction
from tearline.jobs.orders import release_expired
from tearline.members.model import Member
from tearline.notices.model import Notice
from tearline.notices.wording import text as wording
from tearline.offers.model import Offer, OfferHolding
from tearline.pools.model import CodePool, PartnerCode, ReturnedCode
from tearline.sales import desk_batch
from tearline.sales.desk import OrderAnswer, Released, SaleDesk
from tearline.sales.model import Payment, Purchase, SaleHour, SaleItem, Voucher, VoucherOrder
from tests.sale_worlds import (
    COMMISSION,
    PRICE,
    Sale,
    add_codes,
    assert_clean,
    begin_payment,
    make_sale,
    order,
    settle,
)

pytestmark = pytest.mark.anyio


async def reason(awaitable: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await awaitable
    return refused.value.reason


async def release(
    desk: SaleDesk, sale: Sale, member: int, answer: OrderAnswer, why: str = "expired"
) -> Released:
    return await desk.release(sale.code, sale.members[member], answer.order_id, why)


async def pool_counts(database: Database, sale: Sale) -> tuple[int, int, int]:
    """Available, reserved and sold codes of the first pool."""
    async with database.connection() as connection:
        query = select(CodePool.available, CodePool.reserved, CodePool.sold).where(
            CodePool.id == sale.pools[0]
        )
        available, reserved, sold = (await connection.execute(query)).one()
        return available, reserved, sold


async def payment_state(database: Database, payment_id: UUID) -> str | None:
    async with database.connection() as connection:
        return await connection.scalar(select(Payment.state).where(Payment.id == payment_id))


async def test_an_order_reserves_its_codes_and_a_payment_turns_them_into_vouchers(database: Database) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database, wallet_address="https://shop.example/wallet")
    taken = await order(desk, sale, quantity=3)
    assert (taken.state, taken.quantity, taken.amount, taken.currency) == ("reserved", 3, 3 * PRICE, "THB")
    assert not taken.replayed
    assert await pool_counts(database, sale) == (7, 3, 0)
    payment_id = await begin_payment(database, sale, 0, taken)
    settled = await settle(database, desk, sale, 0, taken, payment_id)
    assert (settled.state, len(settled.coupon_ids), settled.replayed) == ("paid", 3, False)
    assert await pool_counts(database, sale) == (7, 0, 3)
    async with database.connection() as connection:
        coupons = (await connection.execute(select(Coupon).order_by(Coupon.id))).all()
        assert [coupon.id for coupon in coupons] == settled.coupon_ids
        assert {(coupon.state, coupon.order_id, coupon.claim_id) for coupon in coupons} == {
            ("sold", taken.order_id, None)
        }
        vouchers = (await connection.execute(select(Voucher).order_by(Voucher.position))).all()
        assert [voucher.position for voucher in vouchers] == [0, 1, 2]
        # Two codes each: the partner's and ours.
        ours = set(await connection.scalars(select(CouponCode.code)))
        assert ours == {coupon.code for coupon in coupons}
        assert ours.isdisjoint(voucher.code for voucher in vouchers)
        found = (await connection.execute(select(VoucherOrder))).one()
        assert (found.state, found.positions, found.number) == ("paid", [0, 1, 2], taken.number)
        assert found.commission == commission_of(3 * PRICE, COMMISSION)
        hour = (await connection.execute(select(SaleHour))).one()
        assert (hour.vouchers, hour.revenue, hour.commission) == (3, 3 * PRICE, found.commission)
        item = (await connection.execute(select(SaleItem.reserved, SaleItem.sold))).one()
        assert item == (0, 3)
        assert await connection.scalar(select(Offer.issued)) == 3
        payment = (await connection.execute(select(Payment))).one()
        assert (payment.state, payment.charge) == ("paid", "charge-1")
        notice = (await connection.execute(select(Notice))).one()
    message = wording(notice.template, notice.language, notice.values)
    assert taken.number in message
    assert "https://shop.example/wallet" in message
    assert not any(voucher.code in message for voucher in vouchers)
    await assert_clean(database)


async def test_codes_of_ours_become_open_coupons(database: Database) -> None:
    sale = await make_sale(database, codes=(None,))
    desk = SaleDesk(database, notice_channel=None)
    taken = await order(desk, sale, quantity=2)
    await settle(database, desk, sale, 0, taken)
    async with database.connection() as connection:
        assert set(await connection.scalars(select(Coupon.state))) == {"open"}
        assert (await connection.execute(select(Voucher))).all() == []
        assert (await connection.execute(select(Notice))).all() == []
    released = await order(desk, sale, 1)
    assert (await release(desk, sale, 1, released)).state == "released"
    assert (await settle(database, desk, sale, 1, released)).state == "paid"
    await assert_clean(database)


async def test_the_same_key_gets_the_first_answer(database: Database) -> None:
    sale = await make_sale(database, codes=(10, 10))
    desk = SaleDesk(database)
    first = await order(desk, sale, quantity=2, key="k")
    again = await order(SaleDesk(database), sale, quantity=2, key="k")
    assert again.replayed
    assert (again.order_id, again.number, again.reserved_until) == (
        first.order_id,
        first.number,
        first.reserved_until,
    )
    assert await reason(order(desk, sale, quantity=3, key="k")) == "idempotency_key_reused"
    assert await reason(order(desk, sale, quantity=2, item=1, key="k")) == "idempotency_key_reused"
    assert (await order(desk, sale, 1, 2, key="k")).order_id != first.order_id
    await settle(database, desk, sale, 0, first)
    assert (await order(desk, sale, quantity=2, key="k")).state == "paid"
    # Within one batch, and for a session that has ended.
    answers = await asyncio.gather(*(order(desk, sale, 2, key="same") for _ in range(5)))
    assert len({answer.order_id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False, True, True, True, True]
    ended = desk.order(sale.code, sale.items[0], sale.members[0], 7, 2, "k")
    assert await reason(ended) == "session_ended"
    await assert_clean(database)


async def test_two_members_may_choose_the_same_key_at_once(database: Database) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database)
    answers = await asyncio.gather(*(order(desk, sale, member, key="same") for member in range(3)))
    assert len({answer.order_id for answer in answers}) == 3
    assert not any(answer.replayed for answer in answers)
    await assert_clean(database)


async def test_settling_and_releasing_again_changes_nothing(database: Database) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database)
    taken = await order(desk, sale, quantity=2)
    payment_id = await begin_payment(database, sale, 0, taken)
    first = await settle(database, desk, sale, 0, taken, payment_id)
    again = await settle(database, SaleDesk(database), sale, 0, taken, payment_id)
    assert (again.state, again.coupon_ids, again.replayed) == ("paid", first.coupon_ids, True)
    assert await release(desk, sale, 0, taken) == Released("paid", True)
    other = await order(desk, sale, 1)
    assert await release(desk, sale, 1, other, "cancelled") == Released("released", False)
    assert await release(desk, sale, 1, other, "failed") == Released("released", True)
    async with database.connection() as connection:
        why = await connection.scalar(
            select(VoucherOrder.release_reason).where(VoucherOrder.id == other.order_id)
        )
    assert why == "cancelled"
    assert await pool_counts(database, sale) == (8, 0, 2)
    await assert_clean(database)


async def test_a_late_payment_is_delivered_while_codes_remain(database: Database) -> None:
    sale = await make_sale(database, codes=(4,))
    desk = SaleDesk(database)
    late, other = await order(desk, sale, 0, 2), await order(desk, sale, 1, 2)
    await release(desk, sale, 0, late)
    assert (await settle(database, desk, sale, 0, late)).state == "paid"
    await settle(database, desk, sale, 1, other)
    assert await pool_counts(database, sale) == (0, 0, 4)
    await assert_clean(database)


async def test_a_late_payment_is_due_back_when_nothing_is_left(database: Database) -> None:
    sale = await make_sale(database, codes=(2,))
    desk = SaleDesk(database)
    late = await order(desk, sale, 0, 2)
    await release(desk, sale, 0, late)
    await order(desk, sale, 1, 1)
    payment_id = await begin_payment(database, sale, 0, late)
    settled = await settle(database, desk, sale, 0, late, payment_id)
    assert (settled.state, settled.coupon_ids, settled.replayed) == ("refund_due", [], False)
    assert (await settle(database, desk, sale, 0, late, payment_id)).replayed
    async with database.connection() as connection:
        payment = (await connection.execute(select(Payment))).one()
        assert (payment.state, payment.charge) == ("refund_due", "charge-1")
        assert payment.refund_after is not None
        state = await connection.scalar(select(VoucherOrder.state).where(VoucherOrder.id == late.order_id))
        assert state == "refund_due"
        template = await connection.scalar(select(Notice.template))
    assert template == "order_refunded"
    assert await pool_counts(database, sale) == (1, 1, 0)
    await assert_clean(database)


async def test_a_second_payment_of_an_order_goes_back(database: Database) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database)
    taken = await order(desk, sale)
    first, second = [await begin_payment(database, sale, 0, taken) for _ in range(2)]
    assert (await settle(database, desk, sale, 0, taken, first)).state == "paid"
    assert (await settle(database, desk, sale, 0, taken, second)).state == "refund_due"
    assert await payment_state(database, first) == "paid"
    assert await payment_state(database, second) == "refund_due"
    await assert_clean(database)


async def test_one_batch_may_hold_everything_at_once(database: Database) -> None:
    """Released, ordered and paid late in one batch: what the first gives back, the next ones can have."""
    sale = await make_sale(database, codes=(4,), members=6)
    desk = SaleDesk(database)
    held = [await order(desk, sale, member) for member in range(4)]
    payments = [await begin_payment(database, sale, member, held[member]) for member in range(4)]
    outcomes = await asyncio.gather(
        release(desk, sale, 0, held[0]),
        release(desk, sale, 1, held[1]),
        order(desk, sale, 4),
        settle(database, desk, sale, 1, held[1], payments[1]),
        settle(database, desk, sale, 2, held[2], payments[2]),
        order(desk, sale, 5),
        settle(database, desk, sale, 0, held[0], payments[0]),
        release(desk, sale, 3, held[3]),
        settle(database, desk, sale, 3, held[3], payments[3]),
        return_exceptions=True,
    )
    states = [outcome.reason if isinstance(outcome, Refusal) else outcome.state for outcome in outcomes]
    assert states == [
        "released", "released", "reserved", "paid", "paid", "sold_out", "refund_due", "released", "paid",
    ]  # fmt: skip
    assert await pool_counts(database, sale) == (0, 1, 3)
    await assert_clean(database)


async def test_returned_codes_go_first_and_void_ones_are_passed_by(database: Database) -> None:
    sale = await make_sale(database, codes=(400,))
    desk = SaleDesk(database)
    first = await order(desk, sale, quantity=3)
    await release(desk, sale, 0, first)
    async with transaction(database) as tx:
        # More than one look ahead is voided.
        await tx.execute(update(PartnerCode).where(PartnerCode.position.between(4, 380)).values(state="void"))
        await tx.execute(update(CodePool).values(available=400 - 377, void=377))
    second = await order(desk, sale, quantity=6)
    async with database.connection() as connection:
        positions = await connection.scalar(
            select(VoucherOrder.positions).where(VoucherOrder.id == second.order_id)
        )
        assert positions == [0, 1, 2, 3, 381, 382]
        assert (await connection.execute(select(ReturnedCode))).all() == []
        assert await connection.scalar(select(CodePool.next_position)) == 383
    await assert_clean(database)


async def test_a_top_up_is_sold_at_once(database: Database) -> None:
    sale = await make_sale(database, codes=(1,))
    desk = SaleDesk(database)
    await order(desk, sale)
    assert await reason(order(desk, sale, 1)) == "sold_out"
    async with transaction(database) as tx:
        assert sale.pools[0] is not None
        await add_codes(tx, sale.pools[0], 5)
    assert (await order(desk, sale, 1, 5)).quantity == 5
    await assert_clean(database)


async def test_each_refusal_carries_its_reason_and_changes_nothing(database: Database) -> None:
    sale = await make_sale(
        database,
        codes=(10,),
        members=5,
        item={"limit_per_member": 3, "limit_per_order": 2},
        campaign={"audience": {"none_of": ["tag:elsewhere"]}},
    )
    desk = SaleDesk(database)
    async with transaction(database) as tx:
        await tx.execute(update(Member).where(Member.id == sale.members[1]).values(state="blocked"))
        await tx.execute(update(Member).where(Member.id == sale.members[2]).values(tags=["elsewhere"]))
    assert await reason(order(desk, sale, 1)) == "member_blocked"
    assert await reason(order(desk, sale, 2)) == "not_in_audience"
    assert await reason(order(desk, sale, 0, 3)) == "order_too_large"
    assert await reason(order(desk, sale, 0, 0)) == "invalid"
    assert await reason(order(desk, sale, 0, 10**9)) == "order_too_large"
    assert await reason(order(desk, sale, 0, key="é")) == "invalid"
    assert await reason(desk.order("NO-SALE", sale.items[0], sale.members[0], 1, 1, "k")) == "not_found"
    assert await reason(desk.order(sale.code, new_id(), sale.members[0], 1, 1, "k")) == "not_found"
    assert await reason(desk.order(sale.code, sale.items[0], new_id(), 1, 1, "k")) == "session_ended"
    taken = await order(desk, sale, 0, 2)
    assert await reason(order(desk, sale, 0, 2)) == "order_too_large"
    payment_id = await begin_payment(database, sale, 0, taken)
    for place in ((sale.members[3], taken.order_id), (sale.members[0], new_id())):
        assert await reason(desk.settle(sale.code, *place, payment_id, None)) == "not_found"
        assert await reason(desk.release(sale.code, *place, "failed")) == "not_found"
    assert (
        await reason(desk.settle(sale.code, sale.members[0], taken.order_id, new_id(), None)) == "not_found"
    )
    now = datetime.now(UTC)
    for values, why in (
        ({"state": "paused"}, "paused"),
        ({"state": "live", "ends_at": now}, "ended"),
        ({"starts_at": now + timedelta(days=1), "ends_at": now + timedelta(days=2)}, "not_started"),
    ):
        async with transaction(database) as tx:
            await tx.execute(update(Campaign).values(version=Campaign.version + 1, **values))
        assert await reason(order(desk, sale, 3)) == why
    # What was ordered in time is delivered whatever became of the sale.
    assert (await settle(database, desk, sale, 0, taken, payment_id)).state == "paid"
    assert await pool_counts(database, sale) == (8, 0, 2)
    await assert_clean(database)


async def test_limits_of_the_offer_hold_over_claims_and_sales(database: Database) -> None:
    sale = await make_sale(database, codes=(None,), offer={"limit_per_member": 2, "issue_limit": 3})
    desk = SaleDesk(database)
    taken = await order(desk, sale, 0, 2)
    assert await reason(order(desk, sale, 0)) == "offer_member_limit_reached"
    await settle(database, desk, sale, 0, taken)
    async with database.connection() as connection:
        assert await connection.scalar(select(OfferHolding.issued)) == 2
    assert await reason(order(desk, sale, 0)) == "offer_member_limit_reached"
    assert await reason(order(desk, sale, 1, 2)) == "fewer_left"
    last = await order(desk, sale, 1)
    assert await reason(order(desk, sale, 2)) == "sold_out"
    # Somebody lowers the limit while the last one is being paid: what can't be issued is paid back.
    async with transaction(database) as tx:
        await tx.execute(update(Offer).values(issue_limit=2, version=Offer.version + 1))
    assert (await settle(database, desk, sale, 1, last)).state == "refund_due"
    async with database.connection() as connection:
        bought = await connection.scalar(select(Purchase.bought).where(Purchase.member_id == sale.members[1]))
    assert bought == 0
    await assert_clean(database)


async def test_sales_of_the_same_offer_share_its_issue_limit(database: Database) -> None:
    sale = await make_sale(database, codes=(None,), offer={"issue_limit": 3})
    other = replace(sale, campaign_id=new_id(), code="VOUCHERS-2", items=[new_id()])
    async with transaction(database) as tx:
        campaign = (await tx.execute(select(Campaign.__table__))).one()._mapping
        item = (await tx.execute(select(SaleItem.__table__))).one()._mapping
        await tx.execute(insert(Campaign).values({**campaign, "id": other.campaign_id, "code": other.code}))
        second = {**item, "id": other.items[0], "campaign_id": other.campaign_id}
        await tx.execute(insert(SaleItem).values(second))
    desk = SaleDesk(database)
    await order(desk, sale, 0, 2)
    assert await reason(order(desk, other, 1, 2)) == "fewer_left"
    assert (await order(desk, other, 1)).quantity == 1
    assert await reason(order(desk, sale, 0)) == "sold_out"
    await assert_clean(database)


async def test_a_voucher_that_could_never_be_used_is_paid_back(database: Database) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database)
    taken = await order(desk, sale)
    period = {"kind": "fixed", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-02-01T00:00:00Z"}
    async with transaction(database) as tx:
        await tx.execute(update(Offer).values(validity={"period": period}, version=Offer.version + 1))
    assert await reason(order(desk, sale, 1)) == "sold_out"
    assert (await settle(database, desk, sale, 0, taken)).state == "refund_due"
    assert await pool_counts(database, sale) == (10, 0, 0)
    await assert_clean(database)


async def test_the_worker_releases_what_was_not_paid_in_time(database: Database) -> None:
    sale = await make_sale(database)
    started = datetime.now(UTC)
    earlier = SaleDesk(database, clock=lambda: started - timedelta(minutes=10))
    old = [await order(earlier, sale, member, 2) for member in range(3)]
    await settle(database, earlier, sale, 0, old[0])
    desk = SaleDesk(database)
    await order(desk, sale, 3)
    over = old[0].reserved_until
    assert over == started - timedelta(minutes=10) + RESERVATION_LASTS
    assert await release_expired(database, desk, over - timedelta(seconds=1)) == 0
    assert await release_expired(database, desk, over) == 2
    assert await release_expired(database, desk, over) == 0
    assert await pool_counts(database, sale) == (7, 1, 2)
    async with database.connection() as connection:
        states = dict(
            (
                await connection.execute(
                    select(VoucherOrder.state, func.count()).group_by(VoucherOrder.state)
                )
            ).all()
        )
        why = set(
            await connection.scalars(select(VoucherOrder.release_reason).where(text("state = 'released'")))
        )
    assert states == {"paid": 1, "released": 2, "reserved": 1}
    assert why == {"expired"}
    await assert_clean(database)


async def test_a_lock_that_is_waited_for_too_long_is_a_refusal(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await make_sale(database)
    monkeypatch.setattr(engine, "HOT_SETTINGS", (*engine.HOT_SETTINGS, "SET lock_timeout = '100ms'"))
    desk = SaleDesk(database, patience_seconds=0.2)
    await order(desk, sale)
    async with transaction(database) as tx:
        await tx.execute(text("SELECT 1 FROM campaign FOR UPDATE"))
        impatient = SaleDesk(database, patience_seconds=0.1)
        assert await reason(asyncio.wait_for(order(impatient, sale, 1), 20)) == "unavailable"
    assert (await order(desk, sale, 1)).state == "reserved"
    await assert_clean(database)


async def test_a_number_that_was_drawn_before_is_drawn_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database)
    first = await order(desk, sale)
    draws = iter([first.number, first.number, "AAAAAAAAAA"])
    monkeypatch.setattr(desk_batch, "order_number", lambda random: next(draws))
    assert (await order(desk, sale, 1)).number == "AAAAAAAAAA"
    await assert_clean(database)


async def test_a_desk_that_is_drained_has_answered_everybody(database: Database) -> None:
    sale = await make_sale(database, codes=(100,))
    desk = SaleDesk(database, maximum_batch=2)
    asked = [asyncio.ensure_future(order(desk, sale, number % 4)) for number in range(20)]
    await order(desk, sale)
    await desk.drain()
    assert all(one.done() for one in asked)
    await asyncio.gather(*asked)
    await assert_clean(database)
