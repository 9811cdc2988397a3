"""Stripe: payments on its Checkout page, with its own SDK.

The SDK takes a third of a second to import, so this module is imported only where Stripe is configured.
Sessions, refunds and events: https://docs.stripe.com/api; signatures: https://docs.stripe.com/webhooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec
import stripe

from tearline.core.refusal import Refusal
from tearline.payments.provider import Begun, News, PaymentAsk, PaymentFailure, Refund, Standing
from tearline.payments.stripe_amounts import from_stripe, to_stripe

API_URL = "https://api.stripe.com"
SIGNATURE_HEADER = "stripe-signature"
LOCALES = {"en": "en", "zh-Hant": "zh-HK", "zh-Hans": "zh", "th": "th"}
"""Languages of Stripe's pages for ours."""

_TOLERANCE_SECONDS = 300
# A session lives for half an hour at least, from when Stripe hears of it; ours may have been made a moment before.
# It's a fixed time and not one from now on: a repeat must ask for exactly the same.
_LIVES_LONGER = timedelta(minutes=2)
_LONGEST_NAME = 250
_KNOWN = ("checkout.session.", "charge.refunded", "refund.failed")

Answer = TypeVar("Answer")


class _Object(msgspec.Struct):
    """What news is about, as far as we read it: a session of Checkout, a charge, or a refund."""

    id: str = ""
    payment_status: str = ""
    payment_intent: str | None = None
    amount_total: int | None = None
    amount_refunded: int | None = None
    refunded: bool = False
    currency: str | None = None
    client_reference_id: str | None = None
    metadata: dict[str, Any] | None = None


class _Data(msgspec.Struct):
    object: msgspec.Raw
    """Read only when the event is one of those that we know."""


class _Event(msgspec.Struct):
    id: str
    type: str
    data: _Data


class StripeCheckout:
    """Payments by Stripe Checkout.

    Args:
        secret_key: ``sk_…``, or a restricted key that may write Checkout sessions and refunds.
        webhook_secret: ``whsec_…`` of the endpoint that news is sent to.
        api_url: address of Stripe's API.
        timeout_seconds: for each try.
        retries: of a try that got no answer, or one that says to try again; with the same idempotency key.
    """

    name = "stripe"

    def __init__(
        self,
        secret_key: str,
        webhook_secret: str,
        *,
        api_url: str = API_URL,
        timeout_seconds: float = 10.0,
        retries: int = 2,
    ) -> None:
        # It would tell Stripe about this machine, and how long our requests took.
        stripe.enable_telemetry = False
        self._webhook_secret = webhook_secret
        self._http = stripe.HTTPXClient(
            timeout=httpx.Timeout(timeout_seconds, connect=min(5.0, timeout_seconds))
        )
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_url.rstrip("/")},
            http_client=self._http,
            max_network_retries=retries,
        )
        # Whatever trickles in or is tried again: nobody waits for longer.
        self._longest_seconds = (timeout_seconds + 2.0) * (retries + 1)

    async def begin(self, ask: PaymentAsk) -> Begun:
        """Open a session of Checkout; the same ask again answers the same session."""
        amount = to_stripe(ask.amount, ask.currency)
        quantity = ask.quantity if amount % ask.quantity == 0 else 1
        marks = {"payment_id": str(ask.payment_id), "order_number": ask.order_number}
        asked: Any = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": quantity,
                    "price_data": {
                        "currency": ask.currency.lower(),
                        "unit_amount": amount // quantity,
                        "product_data": {"name": ask.description[:_LONGEST_NAME] or ask.order_number},
                    },
                }
            ],
            # A price in another currency would not be the amount that the order is delivered for.
            "adaptive_pricing": {"enabled": False},
            "client_reference_id": str(ask.payment_id),
            "metadata": marks,
            # A charge has the marks of its intent, not of its session.
            "payment_intent_data": {"metadata": marks, "description": ask.order_number},
            "expires_at": int((ask.expires_at + _LIVES_LONGER).timestamp()),
            "success_url": ask.success_url,
            "cancel_url": ask.cancel_url,
            "locale": LOCALES.get(ask.language, "auto"),
        }
        session = await self._answer(
            self._client.v1.checkout.sessions.create_async(
                asked, {"idempotency_key": f"begin-{ask.payment_id}"}
            )
        )
        if not session.url:
            raise PaymentFailure("a session without an address")
        return Begun(session.id, session.url)

    async def cancel(self, reference: str) -> None:
        """Expire a session; one that is complete or has expired stays as it is."""
        try:
            await self._answer(self._client.v1.checkout.sessions.expire_async(reference))
        except PaymentFailure as failure:
            # Stripe has no code of its own for a session that is not open any more; asking tells.
            if failure.is_in_doubt or (await self.look(reference)).state == "open":
                raise

    async def look(self, reference: str) -> Standing:
        """How a session stands."""
        session = await self._answer(
            self._client.v1.checkout.sessions.retrieve_async(reference, {"expand": ["payment_intent"]})
        )
        intent = session.payment_intent
        charge = intent if isinstance(intent, str) or intent is None else intent.id
        intent_status = None if intent is None or isinstance(intent, str) else intent.status
        if session.status != "complete":
            state = "expired" if session.status == "expired" else "open"
        elif session.payment_status in ("paid", "no_payment_required"):
            state = "paid"
        else:
            state = "failed" if intent_status in ("requires_payment_method", "canceled") else "pending"
        amount, currency = from_stripe(session.amount_total, session.currency)
        return Standing(state, charge, amount, currency)

    async def refund(self, reference: str, charge: str, key: str) -> Refund:
        """Pay back a payment intent in full; one that has been paid back already is done."""
        try:
            made = await self._answer(
                self._client.v1.refunds.create_async(
                    {"payment_intent": charge, "metadata": {"session": reference}}, {"idempotency_key": key}
                )
            )
        except PaymentFailure as failure:
            if failure.detail == "charge_already_refunded":
                return Refund(None, is_final=True)
            raise
        return _refund_of(made.id, made.status)

    async def look_refund(self, refund_reference: str) -> Refund:
        """How a refund stands that was not final."""
        try:
            made = await self._answer(self._client.v1.refunds.retrieve_async(refund_reference))
        except PaymentFailure as failure:
            # Not to be told how a refund stands is not to be told that it has failed.
            raise PaymentFailure(failure.detail, is_in_doubt=True) from None
        return _refund_of(made.id, made.status)

    def news(self, headers: Mapping[str, str], body: bytes, now: datetime) -> News:
        """Read an event; the SDK checks its signature and that it is not old.

        Raises:
            Refusal: ``wrong_signature``, ``malformed``.
        """
        signature = headers.get(SIGNATURE_HEADER, "")
        try:
            # Comparing signatures that are not ASCII is an error to the SDK, as is a body that is no text.
            signature.encode("ascii")
            body.decode()
            stripe.WebhookSignature.verify_header(body, signature, self._webhook_secret, None)
            sent_at = int(signature.partition("t=")[2].partition(",")[0])
        except (UnicodeError, ValueError, stripe.SignatureVerificationError):
            raise Refusal("wrong_signature") from None
        if abs(now.timestamp() - sent_at) > _TOLERANCE_SECONDS:
            raise Refusal("wrong_signature")
        try:
            event = msgspec.json.decode(body, type=_Event)
            if not event.type.startswith(_KNOWN):
                return News(event.id, "other", event.type)
            return _news_of(event, msgspec.json.decode(event.data.object, type=_Object))
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
            raise Refusal("malformed") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _answer(self, request: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._longest_seconds):
                return await request
        except TimeoutError:
            raise PaymentFailure("timed out", is_in_doubt=True) from None
        except stripe.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            raise PaymentFailure(f"no answer ({cause})", is_in_doubt=True) from None
        except stripe.StripeError as error:
            # Neither its words nor its body: they name cards, people, and the end of our key.
            detail = error.code or f"{type(error).__name__} {error.http_status}"
            raise PaymentFailure(detail) from None


def _refund_of(reference: str, status: str | None) -> Refund:
    if status in ("failed", "canceled"):
        raise PaymentFailure(f"refund {status}")
    return Refund(reference, is_final=status == "succeeded")


def _news_of(event: _Event, about: _Object) -> News:
    marks = about.metadata or {}
    payment_id = _uuid(about.client_reference_id) or _uuid(marks.get("payment_id"))
    kind = "other"
    is_session = event.type.startswith("checkout.session.")
    if event.type == "checkout.session.completed":
        # With some ways to pay the money comes, or does not come, days later; news of its own tells.
        kind = "paid" if about.payment_status in ("paid", "no_payment_required") else "other"
    elif event.type == "checkout.session.async_payment_succeeded":
        kind = "paid"
    elif event.type == "checkout.session.async_payment_failed":
        kind = "failed"
    elif event.type == "checkout.session.expired":
        kind = "expired"
    elif event.type == "charge.refunded" and about.refunded:
        kind = "refunded"
    elif event.type == "refund.failed":
        kind = "refund_failed"
    amount, currency = from_stripe(
        about.amount_total if is_session else about.amount_refunded, about.currency
    )
    return News(
        event_id=event.id,
        kind=kind,
        title=event.type,
        # A refund of ours says of which session; one that was made at Stripe's own site does not.
        reference=about.id if is_session else _text(marks.get("session")),
        charge=about.payment_intent,
        amount=amount,
        currency=currency,
        payment_id=payment_id,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
