"""The provider ``test``: nobody pays anything, on a page of our own. For the demo and for trials.

Its page is at ``/pay/REFERENCE``; what a visitor chooses there is told as signed news, which is read as any
other provider's. What it knows stands in the reference and in the news, so it needs no place of its own: any
process can act for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import msgspec

from tearline.core.refusal import Refusal
from tearline.payments.provider import Begun, News, PaymentAsk, Refund, Standing

SIGNATURE_HEADER = "tearline-signature"
_PREFIX = "trial_"
ACTS = ("paid", "failed", "expired")
"""What a visitor can have happen: pay, be declined, let the time pass."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of its news."""

    id: str
    kind: str
    reference: str
    charge: str | None
    amount: int
    currency: str


class TrialPayments:
    """Payments that cost nothing.

    Args:
        keys: secrets of this installation; the first one signs, all are accepted.
    """

    name = "test"

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = [hashlib.sha256(b"trial-payments:" + key).digest() for key in keys]

    async def begin(self, ask: PaymentAsk) -> Begun:
        """Answer an address of our own; the same ask again has the same one."""
        digest = hmac.digest(self._keys[0], ask.payment_id.bytes, "sha256")
        reference = _PREFIX + base64.b32encode(digest[:15]).decode().lower()
        ways = {"done": _path(ask.success_url), "back": _path(ask.cancel_url)}
        return Begun(reference, f"/pay/{reference}?{urlencode(ways)}")

    async def cancel(self, reference: str) -> None:
        """Nothing: its page goes by the payment."""

    async def look(self, reference: str) -> Standing:
        """Always open: what happens on its page is known as soon as it has happened."""
        return Standing("open")

    async def refund(self, reference: str, charge: str, key: str) -> Refund:
        """Pay back nothing."""
        return Refund(f"back_{charge}", is_final=True)

    async def look_refund(self, refund_reference: str) -> Refund:
        """As it was: final."""
        return Refund(refund_reference, is_final=True)

    def tell(
        self, reference: str, act: str, payment_id: UUID, amount: int, currency: str
    ) -> tuple[dict[str, str], bytes]:
        """The headers and the body of the news that an act makes.

        Args:
            act: one of ``ACTS``. The same act of a payment is the same news, however often it is chosen.
        """
        body = _Body(
            id=f"{act}_{payment_id.hex}",
            kind=act,
            reference=reference,
            charge=f"charge_{payment_id.hex}" if act == "paid" else None,
            amount=amount,
            currency=currency,
        )
        encoded = msgspec.json.encode(body)
        return {SIGNATURE_HEADER: _signature(self._keys[0], encoded)}, encoded

    def news(self, headers: Mapping[str, str], body: bytes, now: datetime) -> News:
        """Read news of its own.

        Raises:
            Refusal: ``wrong_signature``, ``malformed``.
        """
        sent = headers.get(SIGNATURE_HEADER, "").encode("utf-8", "replace")
        if not any(hmac.compare_digest(_signature(key, body).encode(), sent) for key in self._keys):
            raise Refusal("wrong_signature")
        try:
            told = msgspec.json.decode(body, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("malformed") from None
        return News(
            event_id=told.id,
            kind=told.kind if told.kind in ACTS else "other",
            title=told.kind,
            reference=told.reference,
            charge=told.charge,
            amount=told.amount,
            currency=told.currency,
        )

    async def close(self) -> None:
        """Nothing is open."""


def _signature(key: bytes, body: bytes) -> str:
    return hmac.digest(key, body, "sha256").hex()


def _path(address: str) -> str:
    parts = urlsplit(address)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
