"""Rate limits: what counts, when it starts over, and what happens when the shared counter is away."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from limits.aio.storage import MemoryStorage
from limits.errors import StorageError

from tearline.config import Settings
from tearline.core.refusal import Refusal
from tearline.web.limits import CodeGuard, Limit, Limiter, LocalCounts, PasswordGuard

pytestmark = pytest.mark.anyio
LIMIT = Limit("things", 3, 60)


class BrokenStorage(MemoryStorage):
    """A shared counter that does not answer."""

    async def incr(self, *_args: Any, **_more: Any) -> int:
        raise StorageError(OSError("no connection"))

    async def get(self, *_args: Any) -> int:
        raise StorageError(OSError("no connection"))


@pytest.mark.parametrize("storage", [None, MemoryStorage, BrokenStorage])
async def test_the_fourth_of_three_is_refused_whoever_counts(storage: type[MemoryStorage] | None) -> None:
    limiter = Limiter(storage() if storage else None)
    remaining = [(await limiter.hit(LIMIT, "a")).remaining for _ in range(3)]
    assert remaining == [2, 1, 0]
    with pytest.raises(Refusal) as refused:
        await limiter.hit(LIMIT, "a")
    assert refused.value.reason == "too_many_attempts"
    assert 0 < refused.value.details["retry_after_seconds"] <= 60
    assert (await limiter.hit(LIMIT, "b")).remaining == 2


def test_a_window_ends() -> None:
    counts = LocalCounts()
    assert [counts.add(LIMIT, "a", now) for now in (0.0, 1.0, 59.9)] == [1, 2, 3]
    assert counts.add(LIMIT, "a", 60.0) == 1


def test_ended_windows_are_forgotten() -> None:
    counts = LocalCounts()
    for number in range(50_002):
        counts.add(LIMIT, str(number), 0.0)
    counts.add(LIMIT, "late", 100.0)
    assert len(counts) == 1


async def test_a_key_that_invents_members_finds_no_more_codes() -> None:
    guard = CodeGuard(Limiter(), LIMIT, Limit("guests", 4, 60), Limit("key", 8, 3600))
    for _ in range(2):
        await guard.count_wrong("key:1", uuid4(), 3)
    with pytest.raises(Refusal):
        await guard.count_wrong("key:1", uuid4(), 3)
    for member_id in (uuid4(), None):
        with pytest.raises(Refusal) as refused:
            await guard.check("key:1", member_id)
        assert refused.value.details["retry_after_seconds"] > 60
        await guard.check("key:2", member_id)


async def test_what_a_member_is_refused_is_not_counted_for_the_key() -> None:
    guard = CodeGuard(Limiter(), LIMIT, LIMIT, Limit("key", 4, 3600))
    one = uuid4()
    for _ in range(5):
        with pytest.raises(Refusal):
            await guard.count_wrong("key:1", one, 9)
    await guard.check("key:1", uuid4())


def test_guests_alone_never_stop_a_shops_members() -> None:
    fields = Settings.model_fields
    longest = fields["wrong_codes_of_guests"].default * (24 * 6 + 1)
    assert longest < fields["wrong_codes_per_key"].default


async def test_guesses_under_way_never_exceed_what_is_left() -> None:
    guard = PasswordGuard(Limiter(), LIMIT, Limit("address", 100, 60))
    member_id = uuid4()
    under_way = most = wrong = 0

    async def guess() -> None:
        nonlocal under_way, most, wrong
        await guard.take_turn(member_id, "203.0.113.9")
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        wrong += 1
        await guard.note_wrong(member_id, "203.0.113.9")
        guard.end_turn(member_id)

    outcomes = await asyncio.gather(*(guess() for _ in range(20)), return_exceptions=True)
    assert (most, wrong) == (3, 3)
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)]
    assert reasons.count("too_many_attempts") == 17


async def test_a_guess_that_is_cancelled_while_waiting_leaves_nothing_behind() -> None:
    guard = PasswordGuard(Limiter(), Limit("one", 1, 60), Limit("address", 100, 60))
    member_id = uuid4()
    await guard.take_turn(member_id, "a")
    waiting = asyncio.create_task(guard.take_turn(member_id, "a"))
    await asyncio.sleep(0)
    waiting.cancel()
    guard.end_turn(member_id)
    await asyncio.wait_for(guard.take_turn(member_id, "a"), 1)
