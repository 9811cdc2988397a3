"""What is asked of a provider of payments, and what it answers: one small protocol, and frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

__all__ = ["Begun", "News", "PaymentAsk", "PaymentFailure", "PaymentProvider", "Refund", "Standing"]


@dataclass(frozen=True, slots=True)
class PaymentAsk:
    """A payment that a member is to make.

    Attributes:
        payment_id: the same ask is recognised by it: asking twice begins one payment.
        description: what is bought, in the member's language.
        quantity: into how many equal parts the amount falls; shown to the member.
        amount: in minor units, of the whole.
        expires_at: when it should no longer be possible to pay. A provider may allow a little more.
        success_url, cancel_url: where the member comes back to; complete addresses.
        language: of the page on which the member pays: one of ours.
    """

    payment_id: UUID
    order_number: str
    description: str
    quantity: int
    amount: int
    currency: str
    expires_at: datetime
    success_url: str
    cancel_url: str
    language: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A payment that the provider knows of: its name there, and where the member pays."""

    reference: str
    address: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a payment stands at the provider.

    Attributes:
        state: ``open`` while it can still be made; ``pending`` when it was made and the provider waits for the
            bank's answer; ``paid``, ``failed``, ``expired``.
        charge: the provider's name for what was paid, by which it is paid back.
        amount, currency: of what was or is to be paid; None where the provider does not say, or says it in a
            way that can't be read.
    """

    state: str
    charge: str | None = None
    amount: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back; ``is_final`` once the provider has nothing left to do."""

    reference: str | None
    is_final: bool


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news, whose signature was right.

    Attributes:
        event_id: the provider's name for the news: the same news has the same.
        kind: ``paid``, ``failed``, ``expired``, ``refunded``, ``refund_failed``; ``other`` asks for nothing to be
            done.
        title: the provider's own word for the kind.
        reference: of the payment, as ``Begun`` named it; None where the news does not say.
        charge, amount, currency: as in ``Standing``.
        payment_id: ours, where the provider gives it back: news may come before we have learnt the reference.
    """

    event_id: str
    kind: str
    title: str
    reference: str | None = None
    charge: str | None = None
    amount: int | None = None
    currency: str | None = None
    payment_id: UUID | None = None


class PaymentFailure(Exception):  # noqa: N818 - expected, and answered by trying again later
    """The provider did not do what it was asked.

    Args:
        detail: the provider's code for why; never a body, a key or a name.
        is_in_doubt: no answer came, so that it may have been done all the same.
    """

    def __init__(self, detail: str, *, is_in_doubt: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.is_in_doubt = is_in_doubt


class PaymentProvider(Protocol):
    """Somebody who takes payments for us.

    Every method but ``news`` asks over the network, within a bounded time, and raises ``PaymentFailure``:
    none may be called inside a database transaction.
    """

    @property
    def name(self) -> str:
        """Kept with each payment, and part of the address to which its news is sent."""

    async def begin(self, ask: PaymentAsk) -> Begun:
        """Have a payment made; the same ask again answers the same payment."""

    async def cancel(self, reference: str) -> None:
        """See that the payment can no longer be made; nothing happens to one that can't be made any more."""

    async def look(self, reference: str) -> Standing:
        """How a payment stands."""

    async def refund(self, reference: str, charge: str, key: str) -> Refund:
        """Pay back all that was paid; doing so again pays back nothing more.

        Args:
            reference, charge: of the payment.
            key: the same for a repeat of the same try.
        """

    async def look_refund(self, refund_reference: str) -> Refund:
        """How a refund stands that was not final; PaymentFailure when it has failed."""

    def news(self, headers: Mapping[str, str], body: bytes, now: datetime) -> News:
        """Read news, of which the raw body is signed.

        Args:
            headers: by their names in lower case.

        Raises:
            Refusal: ``wrong_signature``; ``malformed``.
        """

    async def close(self) -> None:
        """Close its connections."""
