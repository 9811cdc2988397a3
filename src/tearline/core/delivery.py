"""What becomes of a message that could not be handed over: whom to try next, and when.

A channel has its providers in order of preference. Each is tried ``tries_per_provider`` times before the
next one; after the last the first has its turn again, for ``rounds`` rounds in all. The number of attempts
so far is all that has to be remembered with a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a provider did not take a message, as far as it matters for what to do next."""

    TEMPORARY = "temporary"
    """A fault that may pass: a time-out, a 5xx answer, a lost connection."""
    THROTTLED = "throttled"
    """The provider asks us to slow down; it is not broken."""
    REFUSED = "refused"
    """This provider does not take this message, another may: a template unknown to it, a blocked country."""
    CREDENTIALS = "credentials"
    """The provider takes nothing from us: wrong credentials, account closed or out of money."""
    RECIPIENT = "recipient"
    """The recipient cannot be reached on this channel by anyone: no such number, opted out."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast a message is tried again."""

    tries_per_provider: int = 2
    rounds: int = 2
    first_delay_seconds: float = 1.0
    """Delay after the first failure; it doubles with each further one."""
    longest_delay_seconds: float = 30.0

    def most_attempts(self, provider_count: int) -> int:
        """After this many attempts a message is given up."""
        return self.tries_per_provider * self.rounds * provider_count


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The message goes back into the queue."""

    at: datetime
    attempts: int
    """The attempts to remember: more than were made when the rest of a provider's tries are skipped."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The message has failed for good."""

    reason: str
    """``recipient``, ``attempts`` or ``expires``."""


def provider_index(attempt: int, provider_count: int, policy: RetryPolicy) -> int:
    """Index of the provider whose turn it is at this attempt, counted from 1."""
    return (attempt - 1) // policy.tries_per_provider % provider_count


def after_failure(
    kind: FailureKind,
    attempt: int,
    *,
    provider_count: int,
    policy: RetryPolicy,
    now: datetime,
    expires_at: datetime,
    retry_after_seconds: float | None = None,
    spread: float = 0.0,
) -> TryAgain | GiveUp:
    """What follows when the attempt numbered ``attempt`` (from 1) failed.

    Args:
        retry_after_seconds: what the provider asked for; heeded when no other provider can step in.
        spread: 0 to 1, a random share by which the delay is lengthened (up to a quarter), so that a
            thousand messages that failed together do not come back together.
    """
    if kind is FailureKind.RECIPIENT:
        return GiveUp("recipient")
    attempts = attempt
    delay_seconds = min(policy.first_delay_seconds * 2 ** min(attempt - 1, 20), policy.longest_delay_seconds)
    if kind is not FailureKind.TEMPORARY:
        # Nothing is won by asking the same provider again soon: its remaining tries are skipped.
        attempts = -(-attempt // policy.tries_per_provider) * policy.tries_per_provider
        if provider_count > 1:
            delay_seconds = 0.0
        elif retry_after_seconds is not None:
            delay_seconds = retry_after_seconds
    is_provider_closed = kind in (FailureKind.THROTTLED, FailureKind.CREDENTIALS)
    # A provider that is busy or shut says nothing about the message, which keeps waiting while it is of use.
    if attempts >= policy.most_attempts(provider_count) and not is_provider_closed:
        return GiveUp("attempts")
    at = now + timedelta(seconds=delay_seconds * (1 + spread / 4))
    if at >= expires_at:
        return GiveUp("expires")
    return TryAgain(at, attempts)
