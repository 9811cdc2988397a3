"""How many places of a waiting room's line are called, who of the called may enter, and what the waiting are told.

The controller settles and calls once a second (``settle_calls``, ``call_further``). It counts those inside, less
those who will have left by the time that somebody called now comes; those at the door; and of those called who
have not come yet as many as are still likely to, by how the calls before turned out. The door (``core.door``) is
what makes the limit exact: however wrong the estimate was, nobody enters beyond ``door_limit``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, frexp, sqrt

DELAY_BUCKETS = 8
"""Into so many parts the grace time is divided, to learn how soon the called come: the last one is its second
half, the one before its second quarter, and so on, as most come soon if at all."""

DOOR_SHARE = 0.01
"""How far ``door_limit`` lies above ``max_active``: what an estimate may err by without anybody having to wait
at the door."""

LEAVING_WINDOW = timedelta(minutes=1)
"""Over so long it is counted how many leave before their time."""

_PRIOR_CAME = 1.25
"""To those seen to come in each part of the grace time so many are added: before anything has been seen,
everyone called is taken to come."""
_MOST_MISSED = 4.0
"""No more are taken to stay away than so many for each who comes, lest a stretch of the line that nobody stands
behind have everybody after it called at once."""
_MOST_LEAVING_SHARE = 0.25
"""No more are called ahead of those who will leave than for this share of all places, or three: where people are
slow to come because the door itself is slow, calling more of them would make it slower."""
_PRIOR_ENTERED = 50
"""Before anything has been seen, everyone who enters is taken to take one, with the weight of so many."""
_MEMORY_CALLED = 500.0
"""How many of the latest calls the measured response remembers; older ones fade."""


@dataclass(frozen=True, slots=True)
class Call:
    """Places that were called at the same moment.

    Attributes:
        size: how many places.
        came: how many of them have come, by the part of the grace time in which they did.
    """

    size: int
    called_at: datetime
    came: tuple[int, ...] = (0,) * DELAY_BUCKETS

    @property
    def missing(self) -> int:
        """Those who have not come."""
        return self.size - sum(self.came)


@dataclass(frozen=True, slots=True)
class Response:
    """How those called before responded: weights that fade, of calls whose grace time is over."""

    came: tuple[float, ...] = (0.0,) * DELAY_BUCKETS
    missed: float = 0.0

    def with_settled(self, call: Call) -> Response:
        """The response with one more call whose grace time is over."""
        kept = max(0.0, 1.0 - call.size / _MEMORY_CALLED)
        return Response(
            came=tuple(weight * kept + seen for weight, seen in zip(self.came, call.came, strict=True)),
            missed=self.missed * kept + call.missing,
        )

    def share_still_coming(self, elapsed: float) -> float:
        """Of those who have not come when so much of the grace time is over, the share that will come.

        Args:
            elapsed: from 0 to 1.
        """
        bucket = delay_bucket(elapsed)
        begin, end = _bounds(bucket)
        rest = (end - elapsed) / (end - begin) * (self.came[bucket] + _PRIOR_CAME)
        coming = rest + sum(self.came[bucket + 1 :]) + _PRIOR_CAME * (DELAY_BUCKETS - 1 - bucket)
        missed = min(self.missed, _MOST_MISSED * (sum(self.came) + _PRIOR_CAME * DELAY_BUCKETS))
        return coming / (coming + missed) if coming else 0.0

    def time_to_come(self, grace: timedelta) -> timedelta:
        """The mean time from being called to coming; near nothing before anybody has been seen to come."""
        seen = sum(weight * sum(_bounds(bucket)) / 2 for bucket, weight in enumerate(self.came))
        return grace * (seen / (sum(self.came) + _PRIOR_CAME * DELAY_BUCKETS))

    @property
    def no_show_share(self) -> float | None:
        """The share of the called who did not come; None before any call has been settled."""
        settled = sum(self.came) + self.missed
        return self.missed / settled if settled else None


def elapsed_share(called_at: datetime, now: datetime, grace: timedelta) -> float:
    """How much of the grace time is over, from 0 to 1."""
    return max(0.0, min(1.0, (now - called_at) / grace))


def delay_bucket(elapsed: float) -> int:
    """In which part of the grace time somebody comes, by the share of it that is over."""
    return max(0, min(DELAY_BUCKETS - 1, DELAY_BUCKETS - 1 + frexp(elapsed)[1])) if elapsed > 0 else 0


def _bounds(bucket: int) -> tuple[float, float]:
    """Where a part of the grace time begins and ends, as shares of it."""
    end = 0.5 ** (DELAY_BUCKETS - 1 - bucket)
    return (end / 2 if bucket else 0.0), end


def door_limit(max_active: int) -> int:
    """More than so many are never let in: ``max_active`` and one in a hundred, at least one, above it."""
    return max_active + max(1, ceil(max_active * DOOR_SHARE)) if max_active else 0


def room_at_door(max_active: int, inside: int) -> int:
    """How many more may enter at this moment."""
    return max(0, door_limit(max_active) - inside)


def expected_to_come(calls: Sequence[Call], response: Response, now: datetime, grace: timedelta) -> float:
    """Of those called and not come, how many are still likely to.

    Args:
        calls: those whose grace time is not over.
    """
    return sum(
        call.missing * response.share_still_coming(elapsed_share(call.called_at, now, grace))
        for call in calls
        if call.missing
    )


def lead_time(response: Response, grace: timedelta, max_active: int) -> timedelta:
    """How long before a place becomes free somebody is called for it.

    It is the mean time that people take to come: who is slower and who is faster make up for one another.
    In a small room they do not, and it is up to three times as long.
    """
    return response.time_to_come(grace) * (1 + 2 / sqrt(max(1, max_active)))


def expected_to_leave(ending: int, left_lately: int, lead: timedelta) -> float:
    """How many of those inside will have left when somebody called now comes.

    Args:
        ending: those whose sessions end within ``lead``.
        left_lately: those who left before their time in the last ``LEAVING_WINDOW``.
        lead: see ``lead_time``.
    """
    return ending + left_lately * (lead / LEAVING_WINDOW)


def allowance_after(allowance: float, per_minute: int, since_last: timedelta) -> float:
    """The calls that the rate allows by now, with what was left over.

    What was not used is not saved up beyond one call and two seconds, so that a quiet time is not followed by a
    crowd. The one is for the fraction of a call that is left over while the next ones become due.
    """
    per_second = per_minute / 60
    gained = per_second * max(0.0, since_last.total_seconds())
    return min(1 + 2 * per_second, allowance + gained)


@dataclass(slots=True)
class Line:
    """A room's line as its controller sees it; changed by ``settle_calls`` and ``call_further``.

    Attributes:
        joined, called, lapsed: tickets given out; places called; places whose grace time is over.
        at_door: called and come, but not let in for want of room.
        leaving: of those inside, how many are expected to have left when somebody called now comes.
        allowance: calls that the rate allows and that were not made.
        calls: those whose grace time is not over, by the first of their places, ascending.
    """

    max_active: int
    per_minute: int | None
    grace: timedelta
    joined: int
    called: int
    lapsed: int
    inside: int
    at_door: int
    leaving: float = 0.0
    no_shows: int = 0
    allowance: float = 0.0
    response: Response = field(default_factory=Response)
    calls: dict[int, Call] = field(default_factory=dict)


def settle_calls(line: Line, now: datetime) -> None:
    """Give up on those whose grace time is over: their places are free, and what they did is remembered."""
    for first, call in list(line.calls.items()):
        if call.called_at + line.grace > now:
            # Calls are settled in the order in which they were made, so that no place lapses before an earlier.
            return
        del line.calls[first]
        line.lapsed = first + call.size
        line.no_shows += call.missing
        line.response = line.response.with_settled(call)


def call_further(line: Line, now: datetime, since_last: timedelta) -> int:
    """Call as many more places as there is room for; answers how many.

    Args:
        since_last: the time since this was last asked, which the rate is measured by.
    """
    waiting = line.joined - line.called
    leaving = min(line.leaving, max(3.0, line.max_active * _MOST_LEAVING_SHARE))
    free = line.max_active - line.inside + leaving - line.at_door
    free_now = free - expected_to_come(list(line.calls.values()), line.response, now, line.grace)
    wanted = max(0, int(free_now / line.response.share_still_coming(0.0)))
    if wanted == 0 and free_now >= 0.5:
        # Always down would leave a place empty for ever in a room of one.
        wanted = 1
    if line.per_minute is not None:
        line.allowance = allowance_after(line.allowance, line.per_minute, since_last)
        wanted = min(wanted, int(line.allowance))
    size = min(wanted, waiting)
    if size:
        line.allowance = max(0.0, line.allowance - size)
        line.calls[line.called] = Call(size, now)
        line.called += size
    return size


@dataclass(frozen=True, slots=True)
class WaitRange:
    """An estimated wait, from ``least`` to ``most``."""

    least: timedelta
    most: timedelta


def estimated_wait(
    ahead: int, slow_per_minute: float | None, fast_per_minute: float | None
) -> WaitRange | None:
    """How long until ``ahead`` places have been called; None when the rates are not known.

    Args:
        slow_per_minute, fast_per_minute: the least and the greatest rate of calls that was measured lately.
    """
    if not slow_per_minute or not fast_per_minute:
        return None
    return WaitRange(timedelta(minutes=ahead / fast_per_minute), timedelta(minutes=ahead / slow_per_minute))


def first_place_without_stock(
    called: int, stock_left: int, stock_taken: int, entered: int, no_show_share: float | None
) -> int:
    """The first place in line that the stock is not expected to reach.

    Until it's known better, everyone is taken to come and to take one: then it is plain that more people are
    ahead than there is stock.

    Args:
        stock_taken: what those who entered have taken so far.
    """
    taken_by_each = (stock_taken + _PRIOR_ENTERED) / (entered + _PRIOR_ENTERED)
    taken_by_call = taken_by_each * (1 - (no_show_share or 0.0))
    # Where almost nobody takes any, the stock reaches as far as any line will be.
    return called + ceil(stock_left / max(taken_by_call, 1e-3))
