"""Admission over whole days under a simulated clock, and the rules of calling one by one.

``TEARLINE_EXAMPLES=1000 pytest tests/core/test_admission.py`` runs every combination of settings, most over 24 hours.
"""

from __future__ import annotations

import math
import os
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tearline.core.admission import (
    DELAY_BUCKETS,
    Call,
    Line,
    Response,
    allowance_after,
    call_further,
    delay_bucket,
    door_limit,
    estimated_wait,
    expected_to_leave,
    first_place_without_stock,
    lead_time,
    room_at_door,
    settle_calls,
)
from tearline.core.door import Entry, come
from tests.core.waiting_day import RETRY_SECONDS, START, Day, Habits, Outcome, Wave, waves_of

EXAMPLES = int(os.environ.get("TEARLINE_EXAMPLES", "25"))
SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=64)

# max_active, session seconds, grace seconds, no-shows, hours
SOME_DAYS = [
    (1, 60, 30, 0.1, 6.0),
    (1, 180, 120, 0.4, 6.0),
    (1, 1800, 30, 0.0, 9.0),
    (20, 60, 30, 0.4, 1.0),
    (20, 180, 120, 0.0, 3.0),
    (20, 1800, 120, 0.4, 24.0),
    (2000, 60, 120, 0.1, 0.25),
    (2000, 180, 30, 0.4, 0.25),
    (2000, 1800, 60, 0.1, 1.5),
]
ALL_DAYS = [
    # Hours enough: 24 of the largest room with the shortest sessions are three million people.
    (*one, 2.0 if one[0] * 60 / one[1] > 500 else 24.0)
    for one in product((1, 20, 2000), (60, 180, 1800), (30, 120), (0.0, 0.1, 0.4))
]


def day_of(max_active: int, session: int, grace: int, habits: Habits, hours: float) -> Day:
    # Some leave before their time; the rest of the places is what a day's people share.
    entries_per_hour = max_active * 3600 / (session * (1 - habits.leaves / 2))
    shown_up = 1 - habits.no_show(0)
    waves = waves_of(entries_per_hour / shown_up, hours, burst=math.ceil(3 * max_active / shown_up))
    return Day(
        max_active=max_active, session_seconds=session, grace_seconds=grace, habits=habits, waves=waves
    )


def assert_that_all_was_right(day: Day) -> None:
    outcome = day.outcome
    # Never more inside than the stated bound, and only whoever came too late was refused.
    assert outcome.most_inside <= door_limit(day.door.max_active)
    assert outcome.turned_away == []
    # No starvation: whoever came within the grace time got in, unless they went away or are at the door now.
    assert outcome.came_in_time == outcome.entered + outcome.gone + day.door.at_door
    # Those at the door are not in line: who asks first after somebody has left gets in. Yet nobody waits long.
    waits = sorted(outcome.door_waits)
    assert waits[int(len(waits) * 0.98)] <= day.session + RETRY_SECONDS
    assert waits[-1] <= 2 * day.session + RETRY_SECONDS
    # Each place was called once, in the order of the line.
    assert sum(outcome.called_by_second) == day.line.called <= day.line.joined


# Whole days


@pytest.mark.parametrize(
    "max_active, session, grace, no_show, hours", ALL_DAYS if EXAMPLES > 25 else SOME_DAYS
)
@pytest.mark.timeout(900)
def test_the_room_is_full_while_people_wait(
    max_active: int, session: int, grace: int, no_show: float, hours: float
) -> None:
    day = day_of(max_active, session, grace, Habits(no_show=lambda _hour: no_show), hours)
    day.run(int(hours * 3600))
    assert_that_all_was_right(day)
    assert day.outcome.busy_seconds > 0.3 * day.outcome.seconds
    # In a room of one, somebody who leaves before their time is missed for as long as the next one takes to come:
    # of a minute's session that alone is a twentieth.
    assert day.utilisation > (0.92 if (max_active, session) == (1, 60) else 0.95)


def test_a_day_on_which_ever_more_stay_away_and_fewer_again() -> None:
    habits = Habits(no_show=lambda hour: 0.2 + 0.2 * math.sin(hour / 24 * 4 * math.pi), reloads=0.3)
    day = day_of(20, 180, 60, habits, 24)
    day.run(24 * 3600)
    assert_that_all_was_right(day)
    assert day.utilisation > 0.95
    assert day.outcome.missed > 0 < day.outcome.gone


def test_a_day_on_which_most_finish_early() -> None:
    day = day_of(200, 1800, 60, Habits(leaves=0.9), 3)
    day.run(3 * 3600)
    assert_that_all_was_right(day)
    assert day.utilisation > 0.95


def test_people_who_need_long_to_come_are_called_the_earlier() -> None:
    day = day_of(200, 180, 120, Habits(delay_seconds=30), 1)
    day.run(3600)
    assert_that_all_was_right(day)
    assert day.utilisation > 0.95


def test_without_calling_ahead_the_room_would_not_be_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure can fail."""
    monkeypatch.setattr(Day, "_leaving", lambda _day: 0.0)
    day = day_of(200, 60, 30, Habits(), 0.5)
    day.run(1800)
    assert day.utilisation < 0.95


def test_a_stretch_of_the_line_that_nobody_stands_behind_is_passed() -> None:
    day = Day(
        max_active=50,
        session_seconds=600,
        grace_seconds=30,
        habits=Habits(no_show=lambda hour: 1.0 if hour < 0.2 else 0.0),
        waves=[Wave(0, 1, 60_000)],
    )
    day.run(2400)
    assert_that_all_was_right(day)
    assert day.outcome.inside_by_second[-1] >= 50
    # No more than five are called for one place.
    assert max(day.outcome.called_by_second) <= 5 * 50


# The dial, the pause, the rate


def test_a_lowered_dial_throws_nobody_out_and_lets_nobody_in_until_there_is_room() -> None:
    day = day_of(200, 300, 60, Habits(), 1)
    day.run(700)
    inside = [place for place, entry in day.entries.items() if entry.entered_at and not entry.ended_at]
    assert len(inside) == day.door.inside >= 190
    day.door.max_active = 100
    before = day.outcome.entered
    for place in inside:
        entry = day.entries[place]
        assert come(day.door, entry, place, entry.exchange_key, None, START + 700 * SECOND) == entry
    while day.door.inside > door_limit(100):
        assert day.outcome.entered == before
        day.run(1)
    crowd = day.outcome.inside_by_second[700:]
    assert crowd == sorted(crowd, reverse=True)
    day.run(600)
    later = day.outcome.inside_by_second[700 + len(crowd) :]
    assert max(later) <= door_limit(100)
    assert sum(min(inside, 100) for inside in later) > 0.95 * 100 * len(later)


def test_a_dial_at_zero_lets_nobody_in() -> None:
    day = day_of(0, 300, 60, Habits(), 1)
    day.door.joined = 500
    outcome = day.run(120)
    assert outcome.entered == day.line.called == day.line.at_door == 0


def test_a_pause_calls_nobody_and_those_called_still_enter() -> None:
    day = day_of(100, 120, 60, Habits(), 1)
    day.run(300)
    called, entered = day.line.called, day.outcome.entered
    day.is_paused = True
    day.run(200)
    assert day.line.called == called == day.line.lapsed
    assert day.outcome.entered > entered
    assert day.door.inside == 0
    day.is_paused = False
    day.run(100)
    assert day.door.inside > 90
    assert_that_all_was_right(day)


def most_in_a_minute(outcome: Outcome) -> int:
    called = outcome.called_by_second
    return max(sum(called[begin : begin + 60]) for begin in range(len(called) - 59))


@pytest.mark.parametrize("per_minute", [1, 7, 10, 45, 60, 600])
def test_the_rate_is_kept_in_any_minute_and_used_in_all(per_minute: int) -> None:
    day = Day(
        max_active=100_000,
        session_seconds=1800,
        grace_seconds=60,
        habits=Habits(),
        waves=[Wave(0, 1, 30_000)],
        per_minute=per_minute,
    )
    outcome = day.run(1200)
    saved_up = 1 + per_minute / 30
    assert most_in_a_minute(outcome) <= per_minute + saved_up
    assert sum(outcome.called_by_second) >= int(per_minute * 1200 / 60 * 0.99)


@given(st.integers(1, 10_000), st.lists(st.floats(0.01, 1.9), min_size=1, max_size=200))
def test_the_rate_does_not_depend_on_when_it_is_asked(per_minute: int, pauses: list[float]) -> None:
    line = full_line(max_active=10**9, joined=10**9, per_minute=per_minute)
    called, elapsed = 0, 0.0
    for pause in pauses:
        elapsed += pause
        called += call_further(line, START + elapsed * SECOND, pause * SECOND)
    due = per_minute / 60 * elapsed
    assert due - 1.001 - 0.001 * due <= called <= due + 0.001


def test_a_quiet_time_is_not_followed_by_a_crowd() -> None:
    assert allowance_after(0.0, 600, timedelta(hours=1)) == 21.0
    assert allowance_after(0.5, 60, -SECOND) == 0.5


# Rules one by one


def full_line(max_active: int = 10, joined: int = 100, per_minute: int | None = None) -> Line:
    return Line(max_active, per_minute, GRACE, joined, 0, 0, 0, 0)


def test_so_many_are_called_as_there_is_room_for() -> None:
    line = full_line()
    assert call_further(line, START, SECOND) == 10
    assert call_further(line, START, SECOND) == 0
    assert (line.called, line.calls) == (10, {0: Call(10, START)})


def test_no_more_are_called_than_wait() -> None:
    assert call_further(full_line(joined=3), START, SECOND) == 3


def test_those_inside_at_the_door_and_leaving_count() -> None:
    line = full_line()
    line.inside, line.at_door, line.leaving = 7, 2, 3.0
    assert call_further(line, START, SECOND) == 4


def test_no_more_than_a_quarter_is_called_ahead() -> None:
    """A door that is slow makes people slow to come; calling ever more of them for that would make it slower."""
    line = full_line(max_active=100, joined=1_000)
    line.inside, line.leaving = 100, 90.0
    assert call_further(line, START, SECOND) == 25


def test_where_half_stay_away_twice_as_many_are_called() -> None:
    line = full_line(max_active=100, joined=1000)
    line.response = Response((1e6,) + (0.0,) * 7, 1e6)
    assert call_further(line, START, SECOND) == pytest.approx(200, abs=1)
    # All who come do so in the first instant: whoever has not come by then is not waited for.
    line.inside = 50
    assert call_further(line, START + 32 * SECOND, SECOND) == pytest.approx(100, abs=1)


def test_calls_lapse_when_their_grace_time_is_over_and_in_order() -> None:
    line = full_line(max_active=4)
    call_further(line, START, SECOND)
    line.max_active = 9
    call_further(line, START + SECOND, SECOND)
    line.calls[0] = Call(4, START, (3, *(0,) * 7))
    settle_calls(line, START + GRACE - timedelta(microseconds=1))
    assert (line.lapsed, line.no_shows) == (0, 0)
    settle_calls(line, START + GRACE)
    assert (line.lapsed, line.no_shows, list(line.calls)) == (4, 1, [4])
    settle_calls(line, START + GRACE + SECOND)
    assert (line.lapsed, line.no_shows, line.calls) == (9, 6, {})
    assert line.response.no_show_share is not None


@given(st.floats(-0.5, 1.5))
def test_the_parts_of_the_grace_time_double(elapsed: float) -> None:
    begins = [0.0] + [2.0**-power for power in range(DELAY_BUCKETS - 1, 0, -1)]
    naive = max((index for index, begin in enumerate(begins) if elapsed >= begin), default=0)
    assert delay_bucket(elapsed) == naive


weights = st.tuples(*[st.floats(0, 1e5)] * DELAY_BUCKETS)
responses = st.builds(Response, weights, st.floats(0, 1e6))


@given(responses, st.floats(0, 1), st.floats(0, 1))
def test_the_longer_somebody_stays_away_the_less_they_are_expected(
    response: Response, one: float, other: float
) -> None:
    earlier, later = sorted((one, other))
    assert 1 >= response.share_still_coming(earlier) >= response.share_still_coming(later) - 1e-9 >= -1e-9
    # So no more than five are ever called for one place, and never an endless number.
    assert response.share_still_coming(0.0) >= 0.2 - 1e-9


@given(responses, st.integers(0, 10**6))
def test_nobody_is_called_ahead_by_more_than_three_times_the_grace_time(
    response: Response, max_active: int
) -> None:
    assert timedelta() <= response.time_to_come(GRACE) <= GRACE
    assert response.time_to_come(GRACE) <= lead_time(response, GRACE, max_active) <= 3 * GRACE


def test_how_many_will_have_left() -> None:
    assert expected_to_leave(5, 30, timedelta(seconds=10)) == 10.0
    assert lead_time(Response(), GRACE, 1) == timedelta()
    assert lead_time(Response((0.0,) * 7 + (1e9,)), GRACE, 4) == pytest.approx(GRACE * 1.5, abs=SECOND)


@given(
    responses,
    st.lists(st.tuples(st.integers(0, 3000), st.lists(st.integers(0, 7), max_size=30)), max_size=10),
)
def test_what_is_remembered_is_never_negative(response: Response, seen: list[tuple[int, list[int]]]) -> None:
    for missing, arrivals in seen:
        came = tuple(arrivals.count(bucket) for bucket in range(DELAY_BUCKETS))
        if missing + len(arrivals) == 0:
            continue
        response = response.with_settled(Call(missing + len(arrivals), START, came))
        assert min(*response.came, response.missed) >= 0
        assert response.no_show_share is None or 0 <= response.no_show_share <= 1


def test_old_calls_fade() -> None:
    response = Response()
    for _ in range(100):
        response = response.with_settled(Call(50, START))
    assert response.no_show_share == 1.0
    for _ in range(100):
        response = response.with_settled(Call(50, START, (50, *(0,) * 7)))
    assert response.no_show_share == pytest.approx(0.0, abs=0.001)
    assert sum(response.came) == pytest.approx(500, rel=0.01)


@settings(max_examples=max(50, EXAMPLES), deadline=None)
@given(st.data())
def test_the_line_stays_in_order_whatever_happens(data: st.DataObject) -> None:
    line = full_line(max_active=data.draw(st.integers(0, 30)), joined=0)
    now, missing = START, 0
    for _ in range(data.draw(st.integers(1, 40))):
        line.joined += data.draw(st.integers(0, 20))
        line.max_active = data.draw(st.just(line.max_active) | st.integers(0, 30))
        line.inside = data.draw(st.integers(0, 35))
        line.at_door = data.draw(st.integers(0, 3))
        line.leaving = data.draw(st.floats(0, 35))
        for first, call in line.calls.items():
            bucket, more = data.draw(st.integers(0, 7)), data.draw(st.integers(0, call.missing))
            came = tuple(count + more * (index == bucket) for index, count in enumerate(call.came))
            line.calls[first] = Call(call.size, call.called_at, came)
        now += data.draw(st.sampled_from([SECOND, 5 * SECOND, GRACE]))
        overdue = [call for call in line.calls.values() if call.called_at + GRACE <= now]
        missing += sum(call.missing for call in overdue)
        called = line.called
        settle_calls(line, now)
        size = call_further(line, now, SECOND)
        assert line.called == called + size
        assert 0 <= line.lapsed <= line.called <= line.joined
        assert line.no_shows == missing
        # What is open lies side by side, from the lapsed to the called.
        ends = [line.lapsed, *(first + call.size for first, call in line.calls.items())]
        assert [*line.calls, line.called] == ends


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_nobody_enters_beyond_the_limit(max_active: int, inside: int) -> None:
    limit = door_limit(max_active)
    assert limit == (max_active + max(1, math.ceil(max_active / 100)) if max_active else 0)
    assert room_at_door(max_active, inside) == max(0, limit - inside)


# What the waiting are told

rates = st.none() | st.floats(0, 1e5)


@given(st.integers(0, 10**6), rates, rates)
def test_an_estimate_is_a_range(ahead: int, one: float | None, other: float | None) -> None:
    slow, fast = sorted((one, other), key=lambda rate: rate or 0.0)
    if slow is not None and slow < 1e-3:
        slow = 0.0
    wait = estimated_wait(ahead, slow, fast)
    if slow and fast:
        assert wait is not None
        assert timedelta() <= wait.least <= wait.most
        assert wait.most == timedelta(minutes=ahead / slow)
    else:
        assert wait is None


counts = st.integers(0, 10**6)
shares = st.none() | st.floats(0, 1)


@given(counts, counts, counts, counts, counts, shares)
def test_more_stock_reaches_further(
    called: int, stock: int, more: int, taken: int, entered: int, no_show: float | None
) -> None:
    reaches = first_place_without_stock(called, stock, taken, entered, no_show)
    assert called <= reaches <= first_place_without_stock(called, stock + more, taken, entered, no_show)
    assert (reaches == called) == (stock == 0)


def test_before_anything_is_known_everyone_is_taken_to_take_one() -> None:
    assert first_place_without_stock(0, 500, 0, 0, None) == 500
    assert first_place_without_stock(100, 500, 950, 1950, 0.5) == 100 + 2000


def test_an_entry_without_a_pass_is_at_the_door() -> None:
    day = day_of(1, 60, 30, Habits(), 1)
    day.door.called, day.door.joined, day.door.inside = 5, 5, door_limit(1)
    entry = come(day.door, None, 3, "key", None, START)
    assert isinstance(entry, Entry)
    assert (entry.entered_at, day.door.at_door) == (None, 1)
