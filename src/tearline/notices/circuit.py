"""A circuit breaker: keeps us from waiting on a provider that does not work."""

from __future__ import annotations

from datetime import datetime, timedelta


class Circuit:
    """Whether one provider should be asked at all.

    Closed (in use) until ``opens_after`` failures in a row, then open for a while, then half open: one
    message is let through, and by its fate the circuit closes or opens for twice as long. A pause is another
    thing: a provider that asked for time is left alone, without suspicion.

    Args:
        opens_after: failures in a row that open it.
        open_seconds: how long it stays open the first time; doubled each time in a row, up to ten times that.
    """

    def __init__(self, *, opens_after: int = 5, open_seconds: float = 15.0) -> None:
        self._opens_after = opens_after
        self._open_seconds = open_seconds
        self._failures = 0
        self._openings = 0
        self._open_until: datetime | None = None
        self._paused_until: datetime | None = None
        self._is_probing = False

    @property
    def state(self) -> str:
        """``closed``, ``open`` (also when a probe is due), or ``half_open`` while a probe is under way."""
        if self._open_until is None:
            return "closed"
        return "half_open" if self._is_probing else "open"

    def allows(self, now: datetime) -> bool:
        """Whether a message may be handed over now."""
        if self._paused_until is not None and now < self._paused_until:
            return False
        return self._open_until is None or (now >= self._open_until and not self._is_probing)

    def begin(self) -> None:
        """A message is being handed over; to be followed by exactly one of the methods below."""
        self._is_probing = self._open_until is not None

    def succeeded(self) -> None:
        """The provider works (even if it refused the message for its own content)."""
        self._failures = 0
        self._openings = 0
        self._open_until = None
        self._is_probing = False

    def failed(self, now: datetime, *, at_once: bool = False) -> None:
        """The provider failed; ``at_once`` opens without waiting for more, as for wrong credentials."""
        self._failures += 1
        if at_once or self._is_probing or self._failures >= self._opens_after:
            # Failures of messages that were under way when it opened do not open it further.
            if self._open_until is None or self._is_probing:
                self._openings += 1
            seconds = min(self._open_seconds * 2 ** min(self._openings - 1, 10), self._open_seconds * 10)
            self._open_until = now + timedelta(seconds=seconds)
        self._is_probing = False

    def paused(self, until: datetime) -> None:
        """The provider asked for time."""
        self._paused_until = until
        self._is_probing = False

    def abandoned(self) -> None:
        """The message was not handed over after all, or nobody knows."""
        self._is_probing = False
