"""Paying orders: news twice, late, out of order and wrong; providers that fail; money that goes back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from tearline.core.refusal import Refusal
from tearline.db import Database, transaction
from tearline.payments.provider import News
from tearline.payments.stripe_checkout import StripeCheckout
from tearline.payments.trial import TrialPayments
from tearline.sales.desk import SaleDesk
from tearline.sales.model import Payment, PaymentEvent
from tearline.sales.paying import begin_payment, look_again, reconcile, take_news
from tearline.sales.reads import order_of
from tests.paying_shops import URLS, Shop
from tests.sale_worlds import make_sale, order

pytestmark = pytest.mark.anyio


async def test_an_order_is_paid_and_delivered(shop: Shop) -> None:
    wanted = await shop.order(quantity=2)
    session = await shop.begin(wanted)
    assert await shop.hear(shop.stripe.pay(session)) == "delivered"
    seen = await shop.see(wanted)
    assert (seen.state, len(seen.coupon_ids), seen.payment_state) == ("paid", 2, "paid")
    assert await shop.told() == ["vouchers_delivered"]
    with pytest.raises(Refusal, match="order_paid"):
        await shop.begin(wanted)


async def test_beginning_again_leads_to_the_same_place(shop: Shop) -> None:
    wanted = await shop.order()
    assert await shop.begin(wanted) == await shop.begin(wanted)
    assert shop.stripe.count("POST", "/v1/checkout/sessions") == 1
    assert len(await shop.payments()) == 1


async def test_somebody_elses_order_is_not_found(shop: Shop) -> None:
    wanted = await shop.order()
    object.__setattr__(wanted, "member_id", shop.sale.members[1])
    with pytest.raises(Refusal, match="not_found"):
        await shop.begin(wanted)


async def test_an_order_whose_time_is_over_is_not_paid_any_more(shop: Shop) -> None:
    wanted = await shop.order()
    shop.later = timedelta(minutes=36)
    with pytest.raises(Refusal, match="order_released"):
        await shop.begin(wanted)
    assert shop.stripe.count("POST", "/v1/checkout/sessions") == 0


async def test_news_twice_does_nothing_twice(shop: Shop) -> None:
    wanted = await shop.order()
    event = shop.stripe.pay(await shop.begin(wanted))
    assert [await shop.hear(event) for _ in range(3)] == ["delivered"] * 3
    other = shop.stripe.event("checkout.session.async_payment_succeeded", event["data"]["object"])
    assert await shop.hear(other) == "nothing"
    assert len((await shop.see(wanted)).coupon_ids) == 1
    assert await shop.told() == ["vouchers_delivered"]
    assert sorted(await shop.outcomes()) == ["delivered", "nothing"]


async def test_news_that_was_taken_by_a_process_that_died_is_taken_again(shop: Shop) -> None:
    wanted = await shop.order()
    event = shop.stripe.pay(await shop.begin(wanted))
    payment = (await shop.payments())[0]
    # As far as a process comes that dies before it keeps the news.
    await shop.desk.settle(shop.sale.code, payment.member_id, payment.order_id, payment.id, "pi_1")
    assert await shop.hear(event) == "nothing"
    assert len((await shop.see(wanted)).coupon_ids) == 1


async def test_a_declined_payment_releases_the_order(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    failed = shop.stripe.event("checkout.session.async_payment_failed", shop.stripe.sessions[session])
    assert await shop.hear(failed) == "released"
    seen = await shop.see(wanted)
    assert (seen.state, seen.release_reason, seen.payment_state) == ("released", "failed", "failed")
    with pytest.raises(Refusal, match="order_released"):
        await shop.begin(wanted)


async def test_completed_after_expired_is_delivered_from_what_remains(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    assert await shop.hear(shop.stripe.expire(session)) == "released"
    assert await shop.hear(shop.stripe.pay(session)) == "delivered"
    assert (await shop.see(wanted)).state == "paid"


async def test_expired_after_completed_changes_nothing(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    assert await shop.hear(shop.stripe.pay(session)) == "delivered"
    assert await shop.hear(shop.stripe.expire(session)) == "nothing"
    assert (await shop.see(wanted)).payment_state == "paid"


async def test_news_of_nothing_of_ours_is_kept_as_unknown(shop: Shop) -> None:
    foreign = {"id": "cs_other", "amount_total": 1, "currency": "thb", "payment_status": "paid"}
    assert await shop.hear(shop.stripe.event("checkout.session.completed", foreign)) == "unknown"
    assert await shop.hear(shop.stripe.event("customer.created", {"id": "cus_1"})) == "nothing"
    await shop.begin(await shop.order())
    payment = (await shop.payments())[0]
    # Another session that claims to be for our payment, and a payment of another provider.
    claimed = {**foreign, "client_reference_id": str(payment.id)}
    assert await shop.hear(shop.stripe.event("checkout.session.completed", claimed)) == "unknown"
    news = News("evt_x", "paid", "x", payment_id=payment.id, amount=payment.amount, currency="THB")
    assert await take_news(shop.database, shop.desk, "test", news, shop.now) == "unknown"
    assert sorted(await shop.outcomes()) == ["nothing", "unknown", "unknown", "unknown"]
    async with shop.database.connection() as connection:
        bodies = str(list(await connection.scalars(select(PaymentEvent.body))))
    assert "example.org" not in bodies


# Providers that fail


async def test_a_provider_that_does_not_answer_is_asked_for_the_same_session_again(shop: Shop) -> None:
    wanted = await shop.order()
    shop.stripe.faults = ["late"] * 3
    with pytest.raises(Refusal, match="payment_unavailable"):
        await shop.begin(wanted)
    assert await shop.begin(wanted) in shop.stripe.sessions
    assert len(shop.stripe.sessions) == 1
    assert len(await shop.payments()) == 1


async def test_a_provider_that_refuses_is_asked_for_another(shop: Shop) -> None:
    wanted = await shop.order()
    shop.stripe.faults = [400]
    with pytest.raises(Refusal, match="payment_unavailable"):
        await shop.begin(wanted)
    assert await shop.begin(wanted) in shop.stripe.sessions
    assert [one.state for one in await shop.payments()] == ["failed", "begun"]


async def test_news_before_we_have_kept_the_answer_finds_its_payment(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    await shop.forget_answer()
    assert await shop.hear(shop.stripe.pay(session)) == "delivered"
    assert (await shop.see(wanted)).state == "paid"


async def test_a_payment_whose_answer_never_came_ends_with_its_time(shop: Shop) -> None:
    wanted = await shop.order()
    await shop.begin(wanted)
    await shop.forget_answer()
    assert await shop.reconcile() == 0
    shop.later = timedelta(minutes=31)
    assert await shop.reconcile() == 1
    assert (await shop.see(wanted)).release_reason == "expired"


async def test_a_try_long_after_a_silence_is_a_new_payment(shop: Shop) -> None:
    wanted = await shop.order()
    first = await shop.begin(wanted)
    await shop.forget_answer()
    shop.later = timedelta(minutes=2)
    assert await shop.begin(wanted) != first
    assert [one.state for one in await shop.payments()] == ["expired", "begun"]


# Webhooks that are lost


async def test_lost_news_of_a_payment_is_found(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    shop.stripe.pay(session)
    assert await shop.reconcile() == 0
    shop.later = timedelta(minutes=31)
    assert await shop.reconcile() == 1
    assert (await shop.see(wanted)).state == "paid"
    assert await shop.reconcile() == 0


async def test_lost_news_is_found_when_the_member_comes_back(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)

    async def look() -> str:
        return await look_again(shop.database, shop.desk, shop.provider, wanted.id, shop.now)

    shop.later = timedelta(seconds=11)
    assert await look() == "nothing"
    event = shop.stripe.pay(session)
    assert await look() == "nothing"
    assert shop.stripe.count("GET", f"/v1/checkout/sessions/{session}") == 1
    shop.later += timedelta(seconds=11)
    assert await look() == "delivered"
    assert await shop.hear(event) == "nothing"
    assert await look() == "nothing"


async def test_a_session_that_is_still_open_is_shut_with_its_time(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    shop.later = timedelta(minutes=31)
    assert await shop.reconcile() == 1
    assert shop.stripe.sessions[session]["status"] == "expired"
    assert (await shop.see(wanted)).state == "released"


async def test_a_provider_that_is_away_is_asked_again_in_a_while(shop: Shop) -> None:
    wanted = await shop.order()
    shop.stripe.pay(await shop.begin(wanted))
    shop.later = timedelta(minutes=31)
    shop.stripe.faults = [400]
    assert await shop.reconcile() == 0
    assert await shop.reconcile() == 0
    assert await reconcile(shop.database, shop.desk, {}, shop.now + timedelta(minutes=5)) == 0
    shop.later += timedelta(minutes=10)
    assert await shop.release_expired() == 1
    assert await shop.reconcile() == 1
    assert (await shop.see(wanted)).state == "paid"


async def test_a_payment_that_the_bank_has_not_answered_for_is_left_alone(shop: Shop) -> None:
    wanted = await shop.order()
    session = await shop.begin(wanted)
    shop.stripe.pay(session, status="unpaid")
    shop.later = timedelta(minutes=31)
    assert await shop.reconcile() == 0
    assert (await shop.see(wanted)).state == "reserved"
    shop.stripe.sessions[session]["payment_status"] = "paid"
    shop.later += timedelta(minutes=5)
    assert await shop.reconcile() == 1
    assert (await shop.see(wanted)).state == "paid"


# Many at once


async def test_the_same_news_many_times_at_once(shop: Shop) -> None:
    wanted = await shop.order(quantity=2)
    event = shop.stripe.pay(await shop.begin(wanted))
    outcomes = await asyncio.gather(*(shop.hear(event) for _ in range(8)))
    assert outcomes.count("delivered") >= 1
    assert set(outcomes) <= {"delivered", "nothing"}
    assert await shop.outcomes() == ["delivered"]
    assert len((await shop.see(wanted)).coupon_ids) == 2
    assert await shop.told() == ["vouchers_delivered"]


async def test_paid_and_expired_at_once_ends_in_one_of_the_two(shop: Shop) -> None:
    for member in range(3):
        wanted = await shop.order(member)
        session = await shop.begin(wanted)
        expired, paid = shop.stripe.expire(session), shop.stripe.pay(session)
        await asyncio.gather(shop.hear(expired), shop.hear(paid))
        assert (await shop.see(wanted, member)).state == "paid"


async def test_beginning_many_times_at_once_makes_one_payment(shop: Shop) -> None:
    wanted = await shop.order()
    assert len(set(await asyncio.gather(*(shop.begin(wanted) for _ in range(6))))) == 1
    assert len(await shop.payments()) == 1
    assert len(shop.stripe.sessions) == 1


# Payments that cost nothing


async def test_a_trial_payment_signs_its_own_news(database: Database) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database)
    trial = TrialPayments([b"new", b"old"])
    answer = await order(desk, sale)
    async with database.connection() as connection:
        wanted = await order_of(connection, sale.members[0], answer.order_id)
    now = datetime.now(UTC)
    address = await begin_payment(database, trial, wanted, URLS, now)
    reference = address.partition("?")[0].removeprefix("/pay/")
    assert address == f"/pay/{reference}?done=%2Forders%2F1%3Fpaid%3D1&back=%2Forders%2F1"
    payment_id = await _payment_of(database, answer.order_id)
    headers, body = trial.tell(reference, "paid", payment_id, wanted.amount, wanted.currency)
    with pytest.raises(Refusal, match="wrong_signature"):
        TrialPayments([b"other"]).news(headers, body, now)
    with pytest.raises(Refusal, match="wrong_signature"):
        trial.news(headers, body.replace(b"paid", b"faid"), now)
    old_headers, old_body = TrialPayments([b"old"]).tell(reference, "paid", payment_id, 1, "THB")
    assert trial.news(old_headers, old_body, now).amount == 1
    assert await take_news(database, desk, "test", trial.news(headers, body, now), now) == "delivered"
    refund = await trial.refund(reference, "charge", "key")
    assert refund.is_final


async def _payment_of(database: Database, order_id: UUID) -> UUID:
    async with database.connection() as connection:
        found = await connection.scalar(select(Payment.id).where(Payment.order_id == order_id))
    assert found is not None
    return found


async def test_no_provider_is_asked_inside_a_transaction(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Stripe is asked, nobody of this database holds a lock or an open transaction."""
    looked = []
    usual = StripeCheckout._answer

    async def transactions() -> int:
        async with shop.database.connection() as connection:
            found = await connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
                )
            )
        return int(found or 0)

    async def watched(self: StripeCheckout, request: Any) -> Any:
        looked.append(await transactions())
        return await usual(self, request)

    async with transaction(shop.database) as tx:
        await tx.execute(text("SELECT 1"))
        assert await transactions() == 1
    monkeypatch.setattr(StripeCheckout, "_answer", watched)
    await shop.owed()
    await shop.pay_back()
    shop.later = timedelta(hours=1)
    await shop.reconcile()
    assert looked
    assert set(looked) == {0}
