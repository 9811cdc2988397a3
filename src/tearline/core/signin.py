"""Rules of signing in with a one-time code: its hash, its life, and when another may be asked for."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

CODE_LENGTH = 6


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    """The numbers behind one-time codes."""

    code_seconds: int = 300
    """How long a code can be used."""
    tries: int = 5
    """How often a code may be entered; after the last wrong entry it is worthless."""
    first_delay_seconds: int = 30
    """Wait after the first code of a streak; it doubles with each further code."""
    longest_delay_seconds: int = 3600
    streak_seconds: int = 3600
    """A streak is forgotten this long after its last code."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``amount`` times within ``seconds``."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class SignInRates:
    """How many codes may be asked for, beyond the growing delay of each phone number."""

    phone: Rate = Rate(12, 24 * 3600)
    address: Rate = Rate(60, 600)
    """Of one network address: many members share one behind a carrier's or a mall's network."""
    country: Rate = Rate(300, 60)
    """Of one country prefix. Codes to far-away premium numbers are how fraudsters earn from sign-in pages."""
    countries: Mapping[int, Rate] = field(default_factory=lambda: {852: Rate(200_000, 60)})
    """Other rates for some country prefixes: those of members, who may all come in the same minute."""

    def of_country(self, country_prefix: int) -> Rate:
        """The rate for a country prefix, such as 852."""
        return self.countries.get(country_prefix, self.country)


@dataclass(frozen=True, slots=True)
class Streak:
    """The codes that a phone number asked for in a row."""

    requests: int
    last_requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class MaySend:
    """A code may be sent now."""

    streak: Streak
    """The streak with this code counted."""
    resend_after_seconds: int
    """When the next one may be asked for."""


@dataclass(frozen=True, slots=True)
class MustWait:
    """The last code is too recent."""

    seconds: int


def delay_seconds(requests: int, policy: SignInPolicy) -> int:
    """The wait after the code numbered ``requests`` (from 1) of a streak: 30, 60, 120 seconds and so on."""
    if requests <= 0:
        return 0
    return min(policy.first_delay_seconds << min(requests - 1, 20), policy.longest_delay_seconds)


def ask_again(streak: Streak, now: datetime, policy: SignInPolicy) -> MaySend | MustWait:
    """Whether a phone number with this streak may be sent another code at ``now``."""
    requests = streak.requests
    if streak.last_requested_at is not None:
        elapsed = now - streak.last_requested_at
        if elapsed >= timedelta(seconds=policy.streak_seconds):
            requests = 0
        wait = timedelta(seconds=delay_seconds(requests, policy)) - elapsed
        if wait > timedelta(0):
            # Rounded up: after that many whole seconds the answer is yes. A clock that went back does not
            # lengthen the wait beyond the delay itself.
            return MustWait(min(-(-wait // timedelta(seconds=1)), delay_seconds(requests, policy)))
    requests += 1
    return MaySend(Streak(requests, now), delay_seconds(requests, policy))


def code_hash(secret: bytes, sign_in_id: UUID, code: str) -> bytes:
    """Keyed hash of a code: six digits are guessed in no time from an unkeyed one."""
    return hmac.digest(secret, sign_in_id.bytes + code.encode("utf-8"), hashlib.sha256)


def is_right_code(secret: bytes, sign_in_id: UUID, code: str, expected_hash: bytes) -> bool:
    """Whether ``code``, as typed, is the one that was sent; the time taken tells nothing."""
    return hmac.compare_digest(code_hash(secret, sign_in_id, normalise_code(code)), expected_hash)


def normalise_code(text: str) -> str:
    """A code as typed, without spaces and hyphens and with digits of any script made ASCII."""
    digits = []
    # Longer input than this cannot be a code; its rest is not looked at.
    for character in unicodedata.normalize("NFKC", text[:40]):
        value = unicodedata.decimal(character, None)
        if value is not None:
            digits.append(str(value))
        elif not character.isspace() and character not in "-‐‑–":
            digits.append("?")
    return "".join(digits)
