"""Stripe: what is asked of it, what it answers, what goes wrong on the way, and the news that it signs."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import stripe
from pytest_httpserver import HTTPServer

from tearline.core.money import CURRENCY_EXPONENTS
from tearline.core.refusal import Refusal
from tearline.payments.provider import News, PaymentAsk, PaymentFailure
from tearline.payments.stripe_amounts import from_stripe, to_stripe
from tearline.payments.stripe_checkout import StripeCheckout
from tests.stripe_server import THREE_DECIMAL, ZERO_DECIMAL, StripeServer, checkout, signed

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> StripeServer:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    return StripeServer(httpserver)


@pytest.fixture
async def provider(server: StripeServer) -> AsyncIterator[StripeCheckout]:
    made = checkout(server)
    yield made
    await made.close()


def ask(**changes: Any) -> PaymentAsk:
    plain: dict[str, Any] = {
        "payment_id": uuid4(),
        "order_number": "7XK2M9PQ4R",
        "description": "อาหารค่ำ 300 บาท",
        "quantity": 3,
        "amount": 79_500,
        "currency": "THB",
        "expires_at": datetime.now(UTC) + timedelta(minutes=30),
        "success_url": "https://example.org/orders/1?paid=1",
        "cancel_url": "https://example.org/orders/1",
        "language": "th",
    }
    return PaymentAsk(**{**plain, **changes})


async def test_a_payment_is_begun_paid_and_paid_back(provider: StripeCheckout, server: StripeServer) -> None:
    wanted = ask()
    begun = await provider.begin(wanted)
    assert begun.address == f"https://checkout.stripe.com/c/pay/{begun.reference}"
    method, path, form, key = server.requests[-1]
    assert (method, path, key) == ("POST", "/v1/checkout/sessions", f"begin-{wanted.payment_id}")
    assert form["line_items[0][price_data][unit_amount]"] == "26500"
    assert form["line_items[0][price_data][currency]"] == "thb"
    assert form["line_items[0][price_data][product_data][name]"] == "อาหารค่ำ 300 บาท"
    assert form["payment_intent_data[metadata][payment_id]"] == str(wanted.payment_id)
    assert (form["locale"], form["mode"], form["line_items[0][quantity]"]) == ("th", "payment", "3")
    assert form["adaptive_pricing[enabled]"] == "false"
    assert (await provider.look(begun.reference)).state == "open"
    server.pay(begun.reference)
    standing = await provider.look(begun.reference)
    assert (standing.state, standing.amount, standing.currency) == ("paid", 79_500, "THB")
    assert standing.charge is not None
    refund = await provider.refund(begun.reference, standing.charge, "refund-1")
    assert refund.is_final
    again = await provider.refund(begun.reference, standing.charge, "refund-2")
    assert again.is_final
    assert len(server.refunds) == 1


async def test_the_same_ask_again_is_the_same_session(provider: StripeCheckout, server: StripeServer) -> None:
    wanted = ask()
    assert await provider.begin(wanted) == await provider.begin(wanted)
    assert len(server.sessions) == 1


@pytest.mark.parametrize("fault", ["late", "drop", 500, 409])
async def test_what_fails_once_is_tried_again_with_the_same_key(
    provider: StripeCheckout, server: StripeServer, fault: int | str
) -> None:
    server.faults = [fault]
    await provider.begin(ask())
    assert len(server.sessions) == 1
    assert len(server.requests) == 2
    assert len({key for *_rest, key in server.requests}) == 1


async def test_tries_have_an_end(server: StripeServer, provider: StripeCheckout) -> None:
    server.faults = ["drop"] * 10
    with pytest.raises(PaymentFailure) as failed:
        await provider.begin(ask())
    assert failed.value.is_in_doubt
    # On a busy machine the client has given up before the server reads what it was asked.
    async with asyncio.timeout(10):
        while len(server.requests) < 3:
            await asyncio.sleep(0.01)
    assert len(server.requests) == 3


async def test_a_stripe_that_is_not_there_leaves_doubt() -> None:
    nobody = StripeCheckout(
        "sk_test_x", "whsec_x", api_url="http://127.0.0.1:9", timeout_seconds=0.3, retries=0
    )
    with pytest.raises(PaymentFailure) as failed:
        await nobody.begin(ask())
    assert failed.value.is_in_doubt
    await nobody.close()


async def test_refusals_are_no_doubt_and_name_nothing_secret(
    server: StripeServer, provider: StripeCheckout, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    server.faults = [429]
    with pytest.raises(PaymentFailure) as throttled:
        await provider.begin(ask())
    assert (throttled.value.is_in_doubt, len(server.requests)) == (False, 1)
    stranger = checkout(server)
    stranger._client = stripe.StripeClient(
        "sk_live_wrong", base_addresses={"api": server.url}, http_client=stranger._http
    )
    with pytest.raises(PaymentFailure) as unknown:
        await stranger.begin(ask())
    assert "sk_" not in str(unknown.value) + caplog.text
    await stranger.close()


async def test_cancelling_is_only_for_what_is_open(provider: StripeCheckout, server: StripeServer) -> None:
    first, second = await provider.begin(ask()), await provider.begin(ask())
    await provider.cancel(first.reference)
    assert (await provider.look(first.reference)).state == "expired"
    await provider.cancel(first.reference)
    server.pay(second.reference)
    await provider.cancel(second.reference)
    assert (await provider.look(second.reference)).state == "paid"


async def test_a_bank_may_take_its_time(provider: StripeCheckout, server: StripeServer) -> None:
    begun = await provider.begin(ask())
    event = server.pay(begun.reference, status="unpaid")
    assert news_of(provider, event).kind == "other"
    server.sessions[begun.reference]["payment_intent"] = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "processing",
    }
    assert (await provider.look(begun.reference)).state == "pending"
    server.sessions[begun.reference]["payment_intent"]["status"] = "requires_payment_method"
    standing = await provider.look(begun.reference)
    assert (standing.state, standing.charge) == ("failed", "pi_1")


async def test_a_refund_may_take_its_time_or_fail(provider: StripeCheckout, server: StripeServer) -> None:
    begun = await provider.begin(ask())
    server.pay(begun.reference)
    charge = server.sessions[begun.reference]["payment_intent"]
    server.refund_status = "pending"
    refund = await provider.refund(begun.reference, charge, "refund-1")
    assert not refund.is_final
    assert refund.reference is not None
    assert not (await provider.look_refund(refund.reference)).is_final
    server.refunds[refund.reference]["status"] = "failed"
    with pytest.raises(PaymentFailure, match="refund failed"):
        await provider.look_refund(refund.reference)


def test_amounts_are_written_as_stripe_documents() -> None:
    for code, exponent in CURRENCY_EXPONENTS.items():
        documented = 0 if code.lower() in ZERO_DECIMAL else 3 if code.lower() in THREE_DECIMAL else 2
        amount = 1230
        assert to_stripe(amount, code) == amount * 10**documented // 10**exponent, code
        assert from_stripe(to_stripe(amount, code), code.lower()) == (amount, code)
    assert to_stripe(500, "JPY") == 500
    assert to_stripe(5, "ISK") == 500
    assert from_stripe(550, "isk") == (None, "ISK")
    assert from_stripe(10, "xyz") == (None, "XYZ")
    assert from_stripe(None, None) == (None, None)
    with pytest.raises(PaymentFailure):
        to_stripe(1234, "KWD")
    with pytest.raises(PaymentFailure):
        to_stripe(1, "XYZ")


def news_of(provider: StripeCheckout, event: dict[str, Any], **signing: Any) -> News:
    headers, body = signed(event, **signing)
    return provider.news(headers, body, datetime.now(UTC))


async def test_news_is_read(provider: StripeCheckout, server: StripeServer) -> None:
    wanted = ask()
    begun = await provider.begin(wanted)
    paid = news_of(provider, server.pay(begun.reference))
    assert (paid.kind, paid.reference, paid.payment_id) == ("paid", begun.reference, wanted.payment_id)
    assert (paid.amount, paid.currency) == (79_500, "THB")
    session = server.sessions[begun.reference]
    kinds = {
        "checkout.session.async_payment_succeeded": "paid",
        "checkout.session.async_payment_failed": "failed",
        "checkout.session.expired": "expired",
        "customer.created": "other",
    }
    for title, kind in kinds.items():
        assert news_of(provider, server.event(title, session)).kind == kind
    whole = news_of(provider, server.give_back(begun.reference))
    assert (whole.kind, whole.charge, whole.payment_id) == ("refunded", paid.charge, wanted.payment_id)
    assert news_of(provider, server.give_back(begun.reference, is_whole=False)).kind == "other"
    strange = {**session, "client_reference_id": "no uuid", "metadata": None}
    assert news_of(provider, server.event("checkout.session.expired", strange)).payment_id is None


def test_news_that_is_not_from_stripe_is_refused() -> None:
    provider = StripeCheckout("sk_test_x", "whsec_tests")
    now = datetime.now(UTC)
    headers, body = signed({"id": "evt_1", "type": "customer.created", "data": {"object": {}}})
    assert provider.news(headers, body, now).kind == "other"
    stamp = now.timestamp()
    event = json.loads(body)
    wrong = [
        signed(event, secret="whsec_other"),
        signed(event, at=stamp - 301),
        signed(event, at=stamp + 400),
        (headers, body + b" "),
        (headers, body.replace(b"evt_1", b"evt_2")),
        (headers, b"\xff" + body),
        ({}, body),
        *(({"stripe-signature": text}, body) for text in ("", "t=1", "v1=a", "t=x,v1=a", "t=1,v1=é", ",,=")),
    ]
    for given, content in wrong:
        with pytest.raises(Refusal) as refused:
            provider.news(given, content, now)
        assert refused.value.reason == "wrong_signature"
    for nonsense in ([], {}, {"id": 1, "type": "x", "data": {"object": {}}}):
        with pytest.raises(Refusal) as refused:
            provider.news(*signed(nonsense), now)  # type: ignore[arg-type]
        assert refused.value.reason == "malformed"


def test_the_sdk_is_imported_only_by_who_uses_it() -> None:
    script = "import sys, tearline.web.app, tearline.jobs.worker; sys.exit('stripe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
