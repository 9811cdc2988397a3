"""Whole hours of UTC, by which figures are kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)


def hour_of(instant: datetime) -> datetime:
    """The beginning of the hour of UTC in which an instant lies."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_between(first: datetime, last: datetime) -> Iterator[datetime]:
    """Each hour from ``first`` to ``last``, both included; none when ``last`` is before ``first``."""
    hour = first
    while hour <= last:
        yield hour
        hour += HOUR
