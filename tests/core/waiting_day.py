"""A day of a waiting room under a simulated clock: the real rules, simulated people, no database.

Each second is what the controller and the door do in it: expired passes and those gone from the door are
ended, calls are settled, further places are called, and then whoever comes in this second comes.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tearline.core.admission import Line, call_further, expected_to_leave, lead_time, settle_calls
from tearline.core.door import Door, Entry, bound, come, leave

START = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
MEMBER = UUID(int=7)

RETRY_SECONDS = 3
"""Those at the door ask again after so long, as the door tells them."""


@dataclass(frozen=True)
class Habits:
    """What people do.

    Attributes:
        no_show: the share of those called who never come, by the hour of the day.
        delay_seconds: the mean time from being called to coming; some take much longer.
        leaves: the share of those inside who leave before their time is up, at any time in it.
        reloads: the share of those inside who ask for their pass again.
        slow: the share of the others who come, but only after the grace time.
        gives_up: the share of those at the door who go away each time that they are told to ask again.
    """

    no_show: Callable[[float], float] = lambda _hour: 0.1
    delay_seconds: float = 8.0
    leaves: float = 0.3
    reloads: float = 0.1
    slow: float = 0.02
    gives_up: float = 0.01


@dataclass(frozen=True)
class Wave:
    """Arrivals from one second on, at random moments."""

    begins: int
    seconds: int
    people: int


def waves_of(entries_per_hour: float, hours: float, burst: int) -> list[Wave]:
    """A burst at the start, then hours with more people than get in, and every third hour a quiet one."""
    waves = [
        Wave(hour * 3600, 3600, math.ceil(entries_per_hour * (0.15 if hour % 3 == 2 else 1.4)))
        for hour in range(math.ceil(hours))
    ]
    return [Wave(0, 1, burst), *waves]


@dataclass
class Outcome:
    """What was seen, second by second."""

    seconds: int = 0
    entered: int = 0
    most_inside: int = 0
    came_in_time: int = 0
    door_waits: list[int] = field(default_factory=list)
    missed: int = 0
    gone: int = 0
    """Those who went away from the door."""
    busy_seconds: int = 0
    """Seconds in which somebody waited, after the first grace time."""
    busy_inside: int = 0
    """The number inside in these seconds, counting nobody above ``max_active``."""
    called_by_second: list[int] = field(default_factory=list)
    inside_by_second: list[int] = field(default_factory=list)
    turned_away: list[str] = field(default_factory=list)
    """Refusals of those who came in time."""


class Day:
    """One room, its line and the people in it."""

    def __init__(
        self,
        *,
        max_active: int,
        session_seconds: int,
        grace_seconds: int,
        habits: Habits,
        waves: list[Wave],
        per_minute: int | None = None,
        seed: int = 1,
    ) -> None:
        self.random = random.Random(seed)
        self.habits = habits
        self.session = session_seconds
        self.grace = grace_seconds
        self.door = Door(
            state="queueing",
            round=1,
            seed=b"s" * 32,
            gathered=0,
            joined=0,
            called=0,
            lapsed=0,
            inside=0,
            at_door=0,
            max_active=max_active,
            session=timedelta(seconds=session_seconds),
            grace=timedelta(seconds=grace_seconds),
            queues_when_full=True,
            late_may_enter=False,
        )
        self.line = Line(max_active, per_minute, self.door.grace, 0, 0, 0, 0, 0, calls=self.door.calls)
        self.is_paused = False
        self.second = 0
        self.outcome = Outcome()
        self.entries: dict[int, Entry] = {}
        self.comes: dict[int, list[int]] = {}
        self.leaving: dict[int, list[int]] = {}
        self.reloading: dict[int, list[int]] = {}
        self.expiring: deque[int] = deque()
        self.expire_at: Counter[int] = Counter()
        self.left_lately: deque[int] = deque()
        self.at_door_since: dict[int, int] = {}
        self.joins: dict[int, int] = {}
        for wave in waves:
            for _ in range(wave.people):
                second = wave.begins + self.random.randrange(wave.seconds)
                self.joins[second] = self.joins.get(second, 0) + 1

    def run(self, seconds: int, each_second: Callable[[], None] = lambda: None) -> Outcome:
        for _ in range(seconds):
            each_second()
            self._second()
        return self.outcome

    def _second(self) -> None:
        door, line, second = self.door, self.line, self.second
        door.joined += self.joins.pop(second, 0)
        if second == 0:
            door.gathered = door.joined
        now = START + timedelta(seconds=second)
        self._control(now)
        later = now + timedelta(milliseconds=500)
        for place in self.comes.pop(second, ()):
            self._come(place, later)
        for place in self.leaving.pop(second, ()):
            self._leave(place, later)
        for place in self.reloading.pop(second, ()):
            self._reload(place, later)
        self._record(line.joined > line.called)
        self.second += 1

    def _control(self, now: datetime) -> None:
        """What ``waitingroom.controller.tick`` does, on dictionaries instead of tables."""
        door, line = self.door, self.line
        while self.expiring:
            place = self.expiring[0]
            entry = self.entries[place]
            if entry.ended_at is None:
                assert entry.expires_at is not None
                if entry.expires_at > now:
                    break
                del self.entries[place]
                door.inside -= 1
            self.expiring.popleft()
        for place in list(self.at_door_since):
            if self.entries[place].came_at <= now - door.grace:
                self.entries[place] = self._left(place, "gone", now)
                del self.at_door_since[place]
                self.outcome.gone += 1
        for (first, bucket), count in door.arrivals.items():
            came = list(door.calls[first].came)
            came[bucket] += count
            door.calls[first] = replace(door.calls[first], came=tuple(came))
        door.arrivals.clear()
        line.max_active, line.joined = door.max_active, door.joined
        line.inside, line.at_door = door.inside, door.at_door
        settle_calls(line, now)
        line.leaving = self._leaving()
        before = line.called
        if not self.is_paused:
            call_further(line, now, timedelta(seconds=1))
        door.called, door.lapsed = line.called, line.lapsed
        for place in range(before, line.called):
            self._is_called(place)
        self.outcome.called_by_second.append(line.called - before)

    def _leaving(self) -> float:
        while self.left_lately and self.left_lately[0] <= self.second - 60:
            self.left_lately.popleft()
        lead = lead_time(self.line.response, self.door.grace, self.door.max_active)
        ends = range(self.second + 1, self.second + 1 + int(lead.total_seconds()))
        return expected_to_leave(sum(self.expire_at[end] for end in ends), len(self.left_lately), lead)

    def _is_called(self, place: int) -> None:
        chance = self.random.random
        if chance() < self.habits.no_show(self.second / 3600):
            return
        delay = 1 + int(self.random.expovariate(1 / self.habits.delay_seconds))
        if chance() < self.habits.slow:
            delay = self.grace + 5 + int(delay)
        elif delay >= self.grace:
            delay = self.random.randrange(1, self.grace)
        self.comes.setdefault(self.second + delay, []).append(place)

    def _come(self, place: int, now: datetime) -> None:
        door, entry = self.door, self.entries.get(place)
        is_first = entry is None
        after = come(door, entry, place, f"key {place}", None, now)
        if isinstance(after, str):
            if place < door.lapsed and is_first:
                self.outcome.missed += 1
            else:
                self.outcome.turned_away.append(after)
            return
        self.entries[place] = after
        self.outcome.came_in_time += is_first
        if after.entered_at is None:
            self.at_door_since.setdefault(place, self.second)
            if self.random.random() < self.habits.gives_up:
                return
            self.comes.setdefault(self.second + RETRY_SECONDS, []).append(place)
            return
        since = self.at_door_since.pop(place, None)
        self.outcome.door_waits.append(0 if since is None else self.second - since)
        self.outcome.entered += 1
        self.expiring.append(place)
        self.expire_at[self.second + self.session] += 1
        if self.random.random() < self.habits.leaves:
            self.leaving.setdefault(self.second + self.random.randrange(1, self.session), []).append(place)
        if self.random.random() < self.habits.reloads:
            self.reloading.setdefault(self.second + self.random.randrange(0, 9), []).append(place)

    def _leave(self, place: int, now: datetime) -> None:
        entry = self.entries.get(place)
        if entry is None or entry.ended_at is not None:
            return
        assert entry.expires_at is not None
        self.entries[place] = self._left(place, "left", now)
        self.expire_at[int((entry.expires_at - START).total_seconds())] -= 1
        self.left_lately.append(self.second)

    def _left(self, place: int, how: str, now: datetime) -> Entry:
        after = leave(self.door, self.entries[place], how, now)
        assert after is not None
        return after

    def _reload(self, place: int, now: datetime) -> None:
        """The same browser again, and a copy of its ticket in another one."""
        entry = self.entries.get(place)
        if entry is None or entry.ended_at is not None:
            return
        counts = (self.door.inside, self.door.at_door, self.door.entered)
        assert come(self.door, entry, place, f"key {place}", None, now) == entry
        assert come(self.door, entry, place, "another key", None, now) == "ticket_used"
        bound_entry = bound(entry, MEMBER, now)
        assert isinstance(bound_entry, Entry)
        self.entries[place] = bound_entry
        assert counts == (self.door.inside, self.door.at_door, self.door.entered)

    def _record(self, somebody_waits: bool) -> None:
        outcome, door = self.outcome, self.door
        outcome.seconds += 1
        outcome.most_inside = max(outcome.most_inside, door.inside)
        outcome.inside_by_second.append(door.inside)
        assert door.at_door == len(self.at_door_since)
        if somebody_waits and self.second >= self.grace:
            outcome.busy_seconds += 1
            outcome.busy_inside += min(door.inside, door.max_active)

    @property
    def utilisation(self) -> float:
        """While somebody waits, after the first grace time: the share of ``max_active`` that is inside."""
        return self.outcome.busy_inside / (self.outcome.busy_seconds * self.door.max_active)
