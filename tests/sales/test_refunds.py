"""Money that goes back: what could not be delivered, was not what was asked, or came twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tearline.jobs.chores import do_forever
from tearline.jobs.payments import payment_chores
from tearline.sales.refunds import pause_after, pay_back_due
from tests.paying_shops import Shop

pytestmark = pytest.mark.anyio


async def test_paid_after_the_reservation_ended_is_paid_back_when_nothing_is_left(shop: Shop) -> None:
    wanted = await shop.order(quantity=2)
    session = await shop.begin(wanted)
    shop.later = timedelta(minutes=36)
    assert await shop.release_expired() == 1
    await shop.order(1, quantity=3)
    assert await shop.hear(shop.stripe.pay(session)) == "refund_due"
    seen = await shop.see(wanted)
    assert (seen.state, seen.payment_state, seen.coupon_ids) == ("refund_due", "refund_due", ())
    assert await shop.told() == ["order_refunded"]
    assert await shop.pay_back() == 1
    seen = await shop.see(wanted)
    assert (seen.state, seen.payment_state) == ("refunded", "refunded")
    assert seen.refunded_at is not None
    assert len(shop.stripe.refunds) == 1
    assert await shop.pay_back() == 0
    # Stripe tells of what we asked it to do.
    assert await shop.hear(shop.stripe.give_back(session)) == "nothing"


async def test_a_refund_that_fails_is_tried_again_with_growing_pauses(shop: Shop) -> None:
    await shop.owed()
    shop.stripe.faults = [429]
    assert await shop.pay_back() == 0
    assert await shop.pay_back() == 0
    assert shop.stripe.count("POST", "/v1/refunds") == 1
    shop.later += timedelta(seconds=61)
    shop.stripe.faults = ["late"] * 3
    assert await shop.pay_back() == 0
    shop.later += timedelta(seconds=61)
    assert await shop.pay_back() == 0
    shop.later += timedelta(seconds=61)
    # The one that nobody heard of had been done: this one finds it so, and pays nothing back twice.
    assert await shop.pay_back() == 1
    assert len(shop.stripe.refunds) == 1
    assert (await shop.payments())[0].state == "refunded"
    keys = [key for _method, path, _form, key in shop.stripe.requests if path == "/v1/refunds"]
    assert len(set(keys)) == 3
    pauses = [pause_after(tries) for tries in range(1, 40)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(minutes=1), timedelta(hours=6))


async def test_a_refund_that_takes_days_is_looked_at_until_it_is_done(shop: Shop) -> None:
    await shop.owed()
    shop.stripe.refund_status = "pending"
    assert await shop.pay_back() == 0
    refund = next(iter(shop.stripe.refunds.values()))
    assert (await shop.payments())[0].refund_reference == refund["id"]
    refund["status"] = "failed"
    shop.later += timedelta(hours=6)
    assert await shop.pay_back() == 0
    shop.stripe.refund_status = "succeeded"
    shop.later += timedelta(hours=6)
    assert await shop.pay_back() == 1
    assert [one["status"] for one in shop.stripe.refunds.values()] == ["failed", "succeeded"]


async def test_a_refund_that_stripe_will_not_tell_of_now_is_not_made_again(shop: Shop) -> None:
    await shop.owed()
    shop.stripe.refund_status = "pending"
    assert await shop.pay_back() == 0
    for fault in (429, 500, 503):
        shop.stripe.faults = [fault] * 3
        shop.later += timedelta(hours=6)
        assert await shop.pay_back() == 0
        shop.stripe.faults = []
    (refund,) = shop.stripe.refunds.values()
    refund["status"] = "succeeded"
    shop.later += timedelta(hours=6)
    assert await shop.pay_back() == 1
    assert shop.stripe.count("POST", "/v1/refunds") == 1


async def test_a_refund_that_a_bank_sends_back_is_made_again(shop: Shop) -> None:
    await shop.owed()
    assert await shop.pay_back() == 1
    event = shop.stripe.fail_refund()
    assert [await shop.hear(event) for _ in range(2)] == ["refund_due"] * 2
    assert [one.state for one in await shop.payments()] == ["refund_due"]
    assert await shop.pay_back() == 0
    shop.later += timedelta(hours=1)
    assert await shop.pay_back() == 1
    assert [one["status"] for one in shop.stripe.refunds.values()] == ["failed", "succeeded"]


async def test_a_refund_without_its_provider_waits(shop: Shop) -> None:
    await shop.owed()
    assert await pay_back_due(shop.database, {}, shop.now) == 0
    shop.later += timedelta(hours=6)
    assert await shop.pay_back() == 1


@pytest.mark.parametrize("changes", [{"amount_total": 26_499}, {"currency": "usd"}, {"amount_total": None}])
async def test_another_amount_or_currency_is_paid_back(shop: Shop, changes: dict[str, Any]) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    assert await shop.hear(shop.stripe.pay(session, **changes)) == "refund_due"
    seen = await shop.see(wanted)
    assert (seen.state, seen.payment_state, seen.coupon_ids) == ("refund_due", "refund_due", ())
    assert await shop.told() == ["payment_returned"]
    assert await shop.pay_back() == 1
    assert (await shop.see(wanted)).state == "refunded"
    # Nothing that is said of it later delivers anything.
    assert await shop.hear(shop.stripe.pay(session)) == "nothing"


async def test_an_order_paid_twice_is_delivered_once_and_the_other_payment_goes_back(shop: Shop) -> None:
    wanted = await shop.order()
    first = await shop.begin(wanted)
    shop.later = timedelta(minutes=29, seconds=45)
    second = await shop.begin(wanted)
    assert second != first
    assert shop.stripe.sessions[first]["status"] == "expired"
    assert (
        await shop.hear(shop.stripe.event("checkout.session.expired", shop.stripe.sessions[first]))
        == "nothing"
    )
    assert await shop.hear(shop.stripe.pay(second)) == "delivered"
    assert await shop.hear(shop.stripe.pay(first)) == "refund_due"
    assert await shop.told() == ["vouchers_delivered", "payment_returned"]
    assert await shop.pay_back() == 1
    seen = await shop.see(wanted)
    assert (seen.state, len(seen.coupon_ids)) == ("paid", 1)
    assert [one.state for one in await shop.payments()] == ["refunded", "paid"]


async def test_paid_back_at_stripe_before_we_heard_of_the_payment(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    paid = shop.stripe.pay(session)
    assert await shop.hear(shop.stripe.give_back(session)) == "refunded"
    assert await shop.hear(paid) == "nothing"
    seen = await shop.see(wanted)
    assert (seen.state, seen.payment_state, seen.coupon_ids) == ("released", "refunded", ())


async def test_paid_back_at_stripe_after_delivery_leaves_the_order_to_people(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    await shop.hear(shop.stripe.pay(session))
    assert await shop.hear(shop.stripe.give_back(session)) == "nothing"
    assert (await shop.see(wanted)).state == "paid"


async def test_several_workers_pay_back_once(shop: Shop) -> None:
    await shop.owed()
    assert sum(await asyncio.gather(*(shop.pay_back() for _ in range(4)))) == 1
    assert shop.stripe.count("POST", "/v1/refunds") == 1


async def test_the_worker_does_all_of_it_by_the_clock(shop: Shop) -> None:
    await shop.owed()
    stopping = asyncio.Event()
    providers = {"stripe": shop.provider}
    tasks = [
        asyncio.create_task(do_forever(chore, stopping))
        for chore in payment_chores(shop.database, shop.desk, providers)
    ]
    async with asyncio.timeout(20):
        while (await shop.payments())[0].state != "refunded":
            await asyncio.sleep(0.02)
        stopping.set()
        await asyncio.gather(*tasks)
