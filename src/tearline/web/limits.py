"""Rate limits: how often something may happen for one key within a span of time.

Counted in this process's memory, or in Valkey when that is configured, so that all processes count together.
When Valkey does not answer, each process counts for itself: a limit must not take the service down with it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from math import ceil
from uuid import UUID

import structlog
from limits.aio.storage import Storage
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from tearline.config import SettingsError
from tearline.core.refusal import Refusal

STANDING_KEY = "tearline_standing"
"""Where in the ASGI scope a request's standing is put, for the answer's headers."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
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

    limit: Limit
    remaining: int
    reset_after_seconds: int

    def headers(self) -> dict[str, str]:
        """``RateLimit`` and ``RateLimit-Policy`` of the IETF draft."""
        return {
            "ratelimit-policy": self.limit.policy(),
            "ratelimit": f'"{self.limit.name}";r={self.remaining};t={self.reset_after_seconds}',
        }


def shared_counts(valkey_url: str) -> Storage:
    """Counts in Valkey.

    Raises:
        SettingsError: when the client library is not installed.
    """
    try:
        storage = storage_from_string(f"async+{valkey_url}", wrap_exceptions=True)
    except ConfigurationError as error:
        raise SettingsError(f"TEARLINE_VALKEY_URL cannot be used: {error}") from None
    assert isinstance(storage, Storage)
    return storage


class LocalCounts:
    """Counts in fixed windows, in memory. ``limits`` has the like, but walks all keys at every question."""

    _PURGE_ABOVE_KEYS = 50_000

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[int, float]] = {}
        """Count and end of the window, by limit and key."""

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, limit: Limit, key: str, now_seconds: float) -> tuple[int, float]:
        """How often so far, and when the window ends."""
        count, ends_at = self._counts.get((limit.name, key), (0, 0.0))
        return (count, ends_at) if ends_at > now_seconds else (0, now_seconds + limit.seconds)

    def add(self, limit: Limit, key: str, now_seconds: float) -> int:
        """Count one more; the new count."""
        if len(self._counts) > self._PURGE_ABOVE_KEYS:
            self._counts = {key: value for key, value in self._counts.items() if value[1] > now_seconds}
        count, ends_at = self.count(limit, key, now_seconds)
        self._counts[limit.name, key] = (count + 1, ends_at)
        return count + 1


class Limiter:
    """Counts what happened for a key, and refuses when it was too often.

    Args:
        shared: where all processes count together (see ``shared_counts``), or None to count in this one.
    """

    def __init__(self, shared: Storage | None = None) -> None:
        self._local = LocalCounts()
        self._shared = shared

    async def hit(self, limit: Limit, key: str) -> Standing:
        """Count one for ``key``.

        Raises:
            Refusal: ``too_many_attempts`` when that is one too many.
        """
        # A refused attempt counts as well: whoever keeps hammering is not let in again at once.
        count = await self._add(limit, key)
        standing = await self.standing(limit, key)
        if count > limit.amount:
            raise too_many(standing)
        return standing

    async def note(self, limit: Limit, key: str) -> None:
        """Count one for ``key`` that has happened already; refuses nothing."""
        await self._add(limit, key)

    def remaining_here(self, limit: Limit, key: str) -> int | None:
        """How often ``key`` may still, without waiting; None when that must be asked of the shared counter."""
        if self._shared is not None:
            return None
        return max(0, limit.amount - self._local.count(limit, key, time.time())[0])

    async def standing(self, limit: Limit, key: str) -> Standing:
        """How often ``key`` may still, and when its window ends."""
        count, ends_at = await self._count(limit, key)
        return Standing(limit, max(0, limit.amount - count), max(1, ceil(ends_at - time.time())))

    async def _count(self, limit: Limit, key: str) -> tuple[int, float]:
        if self._shared is not None:
            name = _shared_name(limit, key)
            try:
                return await self._shared.get(name), await self._shared.get_expiry(name)
            except StorageError as error:
                _warn(error)
        return self._local.count(limit, key, time.time())

    async def _add(self, limit: Limit, key: str) -> int:
        if self._shared is not None:
            try:
                return await self._shared.incr(_shared_name(limit, key), limit.seconds)
            except StorageError as error:
                _warn(error)
        return self._local.add(limit, key, time.time())


def too_many(standing: Standing) -> Refusal:
    """The refusal of somebody who stands at the end of a limit."""
    return Refusal("too_many_attempts", retry_after_seconds=standing.reset_after_seconds)


def _shared_name(limit: Limit, key: str) -> str:
    return f"tearline:{limit.name}:{key}"


def _warn(error: Exception) -> None:
    log.warning("Valkey does not answer; rate limits are counted by each process", error=str(error))


class CallerLimit:
    """One limit with its limiter: what a desk is given to count failed look-ups with."""

    def __init__(self, limiter: Limiter, limit: Limit) -> None:
        self._limiter = limiter
        self._limit = limit

    async def check(self, caller: str) -> None:
        """Refuse with ``too_many_attempts`` at the limit, without counting."""
        standing = await self._limiter.standing(self._limit, caller)
        if standing.remaining == 0:
            raise too_many(standing)

    async def hit(self, caller: str) -> None:
        """Count one more, and refuse when it is one too many."""
        await self._limiter.hit(self._limit, caller)


class CodeGuard:
    """Throttles guesses at coupons' codes in the carts that come through one API key.

    Each member is counted apart, so that who tries codes is stopped and the shop's other customers are not; its
    guests, whom nothing tells apart, are counted together. Over a longer time all that comes through the key is
    counted: a shop that invents members finds no more for it.

    Args:
        limiter: counts the wrong ones.
        per_member: how many wrong ones a member has.
        of_guests: how many wrong ones all guests of a key have.
        per_key: how many wrong ones may come through a key; more than its guests alone can bring it to, lest they
            stop its members.
    """

    def __init__(self, limiter: Limiter, per_member: Limit, of_guests: Limit, per_key: Limit) -> None:
        self._limiter = limiter
        self._per_member = per_member
        self._of_guests = of_guests
        self._per_key = per_key

    async def check(self, caller: str, member_id: UUID | None) -> None:
        """Before codes are looked at: refuse with ``too_many_attempts`` at a limit, without counting."""
        for limit, key in self._counted(caller, member_id):
            standing = await self._limiter.standing(limit, key)
            if standing.remaining == 0:
                raise too_many(standing)

    async def count_wrong(self, caller: str, member_id: UUID | None, amount: int) -> None:
        """So many codes were wrong; refuse with ``too_many_attempts`` when that is one too many."""
        for _wrong in range(amount):
            for limit, key in self._counted(caller, member_id):
                await self._limiter.hit(limit, key)

    def _counted(self, caller: str, member_id: UUID | None) -> tuple[tuple[Limit, str], tuple[Limit, str]]:
        # The narrow one first: what it refuses is not counted for the key.
        if member_id is None:
            return (self._of_guests, caller), (self._per_key, caller)
        return (self._per_member, f"{caller}:{member_id}"), (self._per_key, caller)


class PasswordGuard:
    """Throttles guesses at a campaign's passwords, for each member and each network address.

    Wrong ones count and right ones do not. Guesses under way might all turn out wrong, so a member has no
    more of them under way than wrong ones left; the others wait for their turn. A rush of honest members
    behind one address is not held up: addresses only count what has been wrong.

    Args:
        limiter: counts the wrong ones.
        per_member: how many wrong ones a member has.
        per_address: how many wrong ones may come from one address.
    """

    def __init__(self, limiter: Limiter, per_member: Limit, per_address: Limit) -> None:
        self._limiter = limiter
        self._per_member = per_member
        self._per_address = per_address
        self._under_way: dict[UUID, int] = {}
        self._waiting: dict[UUID, list[asyncio.Future[None]]] = {}

    async def take_turn(self, member_id: UUID, address: str) -> None:
        """Before a claim; ``end_turn`` must follow it, whatever becomes of it.

        Raises:
            Refusal: ``too_many_attempts``; no turn was taken.
        """
        while True:
            await self._refuse_at_limit(self._per_address, address)
            left = await self._refuse_at_limit(self._per_member, str(member_id))
            under_way = self._under_way.get(member_id, 0)
            if under_way < left:
                self._under_way[member_id] = under_way + 1
                return
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(member_id, []).append(turn)
            await turn

    async def _refuse_at_limit(self, limit: Limit, key: str) -> int:
        remaining = self._limiter.remaining_here(limit, key)
        if remaining:
            return remaining
        standing = await self._limiter.standing(limit, key)
        if standing.remaining == 0:
            raise too_many(standing)
        return standing.remaining

    async def note_wrong(self, member_id: UUID, address: str) -> None:
        """The password was wrong; to be called within the turn."""
        await self._limiter.note(self._per_member, str(member_id))
        await self._limiter.note(self._per_address, address)

    def end_turn(self, member_id: UUID) -> None:
        """After a claim: whoever waits may try."""
        self._under_way[member_id] -= 1
        if self._under_way[member_id] == 0:
            del self._under_way[member_id]
        for turn in self._waiting.pop(member_id, ()):
            if not turn.done():
                turn.set_result(None)
