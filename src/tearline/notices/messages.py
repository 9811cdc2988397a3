"""What the sender hands to a provider, and what a provider answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from tearline.core.delivery import FailureKind

__all__ = ["CHANNELS", "FailureKind", "Message", "Provider", "ProviderFailure", "Sent"]

CHANNELS = ("sms", "whatsapp", "voice")
"""Ways to a phone, in the order in which they are offered when none is busier than another."""


@dataclass(frozen=True, slots=True)
class Message:
    """One notice on its way to a provider."""

    id: UUID
    channel: str
    recipient: str
    """A phone number in E.164."""
    language: str
    template: str
    values: dict[str, Any]
    useful_seconds: float
    """How long from now the message is worth delivering."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has taken the message."""

    reference: str
    """The provider's own name for it."""


class ProviderFailure(Exception):  # noqa: N818 - expected, and answered by trying elsewhere
    """The provider did not take the message.

    Args:
        kind: what to do next depends on it.
        detail: the provider's code and words, kept with the notice; never the message's content.
        retry_after_seconds: how long the provider asked us to stay away.
    """

    def __init__(self, kind: FailureKind, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{kind.value}: {detail}")
        self.kind = kind
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class Provider(Protocol):
    """Somebody who delivers messages on one channel."""

    @property
    def name(self) -> str:
        """Kept with each notice that it sent."""

    @property
    def most_at_once(self) -> int:
        """Messages that may be under way to it at the same time."""

    async def send(self, message: Message) -> Sent:
        """Hand over one message; raises ProviderFailure."""

    async def close(self) -> None:
        """Close its connections."""
