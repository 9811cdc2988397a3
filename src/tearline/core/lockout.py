"""When guessing at a sign-in is stopped, and for how long."""

from __future__ import annotations

from datetime import timedelta

FAILURES_BEFORE_LOCK = 5
FIRST_LOCK_MINUTES = 15
LONGEST_LOCK_MINUTES = 24 * 60


def lock_after(failures: int) -> timedelta | None:
    """For how long an account is locked by its n-th failure in a row; None when it is not.

    Every fifth failure locks, each time for twice as long as the time before, up to a day: a person who
    mistypes loses a quarter of an hour, a machine gets some five guesses a day.
    """
    if failures <= 0 or failures % FAILURES_BEFORE_LOCK:
        return None
    doublings = min(failures // FAILURES_BEFORE_LOCK - 1, 16)
    return timedelta(minutes=min(FIRST_LOCK_MINUTES * 2**doublings, LONGEST_LOCK_MINUTES))


def minutes_left(until_seconds: float) -> int:
    """Whole minutes to tell a person who must wait this many seconds; at least one."""
    return max(1, -int(-until_seconds // 60))
