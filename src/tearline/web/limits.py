"""Rate limits: how often something may happen for one key within a span of time.

Counted in this process's memory, or in Valkey when that is configured, so that all processes count together.
When Valkey does not answer, each process counts for itself: a limit must not take the service down with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil

import structlog
from limits.aio.storage import Storage
from limits.errors import StorageError
from limits.storage import storage_from_string

from tearline.core.refusal import Refusal

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``amount`` times within ``seconds``, for each key; ``name`` tells limits apart."""

    name: str
    amount: int
    seconds: int

    def policy(self) -> str:
        """The value of the ``RateLimit-Policy`` header."""
        return f'"{self.name}";q={self.amount};w={self.seconds}'


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands with its limit."""

    rate: Rate
    remaining: int
    reset_after_seconds: int

    def headers(self) -> dict[str, str]:
        """``RateLimit`` and ``RateLimit-Policy`` of the IETF draft."""
        return {
            "ratelimit-policy": self.rate.policy(),
            "ratelimit": f'"{self.rate.name}";r={self.remaining};t={self.reset_after_seconds}',
        }


class LocalCounts:
    """Counts in fixed windows, in memory. ``limits`` has the like, but walks all keys at every question."""

    _PURGE_ABOVE_KEYS = 50_000

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[int, float]] = {}
        """Count and end of the window, by limit and key."""

    def count(self, rate: Rate, key: str, now_seconds: float) -> tuple[int, float]:
        """How often so far, and when the window ends."""
        count, ends_at = self._counts.get((rate.name, key), (0, 0.0))
        return (count, ends_at) if ends_at > now_seconds else (0, now_seconds + rate.seconds)

    def add(self, rate: Rate, key: str, now_seconds: float) -> int:
        """Count one more; the new count."""
        if len(self._counts) > self._PURGE_ABOVE_KEYS:
            self._counts = {key: value for key, value in self._counts.items() if value[1] > now_seconds}
        count, ends_at = self.count(rate, key, now_seconds)
        self._counts[rate.name, key] = (count + 1, ends_at)
        return count + 1


class Limiter:
    """Counts what happened for a key, and refuses when it was too often.

    Args:
        valkey_url: where the counts are shared, or None to count in this process.
    """

    def __init__(self, valkey_url: str | None = None) -> None:
        self._local = LocalCounts()
        self._shared: Storage | None = None
        if valkey_url is not None:
            storage = storage_from_string(f"async+{valkey_url}", wrap_exceptions=True)
            assert isinstance(storage, Storage)
            self._shared = storage

    async def hit(self, rate: Rate, key: str) -> Standing:
        """Count one for ``key``.

        Raises:
            Refusal: ``too_many_attempts`` when that is one too many.
        """
        # A refused attempt counts as well: whoever keeps hammering is not let in again at once.
        count = await self._add(rate, key)
        standing = await self.standing(rate, key)
        if count > rate.amount:
            raise too_many(standing)
        return standing

    async def check(self, rate: Rate, key: str, *, in_flight: int = 0) -> None:
        """Refuse when ``key`` has used up its limit, without counting.

        Args:
            in_flight: how many of this key are under way and may yet be counted.
        """
        standing = await self.standing(rate, key)
        if standing.remaining <= in_flight:
            raise too_many(standing)

    async def standing(self, rate: Rate, key: str) -> Standing:
        """How often ``key`` may still, and when its window ends."""
        count, ends_at = await self._count(rate, key)
        return Standing(rate, max(0, rate.amount - count), max(1, ceil(ends_at - time.time())))

    async def _count(self, rate: Rate, key: str) -> tuple[int, float]:
        if self._shared is not None:
            name = _shared_name(rate, key)
            try:
                return await self._shared.get(name), await self._shared.get_expiry(name)
            except StorageError as error:
                _warn(error)
        return self._local.count(rate, key, time.time())

    async def _add(self, rate: Rate, key: str) -> int:
        if self._shared is not None:
            try:
                return await self._shared.incr(_shared_name(rate, key), rate.seconds)
            except StorageError as error:
                _warn(error)
        return self._local.add(rate, key, time.time())


def too_many(standing: Standing) -> Refusal:
    """The refusal of somebody who stands at the end of a limit."""
    return Refusal("too_many_attempts", retry_after_seconds=standing.reset_after_seconds)


def _shared_name(rate: Rate, key: str) -> str:
    return f"tearline:{rate.name}:{key}"


def _warn(error: Exception) -> None:
    log.warning("Valkey does not answer; rate limits are counted by each process", error=str(error))
