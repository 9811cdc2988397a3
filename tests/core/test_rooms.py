"""States of waiting rooms, their schedule, and what may be set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.rooms import (
    ADMITTING,
    JOINABLE,
    STATES,
    TRANSITIONS,
    RoomDraft,
    begins_round,
    check_room,
    page_covering,
    scheduled_state,
    starts,
)

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: int | None) -> datetime | None:
    return None if hours is None else NOW + hours * HOUR


def asked(state: str, gathers: int | None, start: int | None, end: int | None, changed: int = -10) -> str:
    return scheduled_state(state, NOW + changed * HOUR, at(gathers), at(start), at(end), NOW)


@pytest.mark.parametrize(
    ("state", "gathers", "start", "end", "expected"),
    [
        ("closed", None, None, None, "closed"),
        ("closed", 1, 2, 3, "closed"),
        ("closed", 0, 2, 3, "gathering"),
        ("closed", -1, 0, 3, "queueing"),
        ("gathering", -1, 0, 3, "queueing"),
        ("gathering", -1, 1, 3, "gathering"),
        ("queueing", -2, -1, 0, "ended"),
        ("open", -2, -1, 0, "ended"),
        # Opened by hand before its time: the schedule does not put it back.
        ("open", -2, -1, 3, "open"),
        ("queueing", -1, 1, 3, "queueing"),
        # The installation was away from before the start until after the end: who gathered is told so.
        ("gathering", -3, -2, -1, "ended"),
        # It was away all the time: nothing was held, and nothing is begun.
        ("closed", -3, -2, -1, "closed"),
        ("ended", -3, -2, -1, "ended"),
        # A new schedule after the last round.
        ("ended", -1, 2, 3, "gathering"),
    ],
)
def test_the_schedule(
    state: str, gathers: int | None, start: int | None, end: int | None, expected: str
) -> None:
    assert asked(state, gathers, start, end) == expected


def test_what_was_done_by_hand_after_a_moment_stands() -> None:
    assert asked("closed", -2, None, None, changed=-1) == "closed"
    assert asked("closed", -2, None, None, changed=-2) == "closed"
    assert asked("gathering", -3, -2, 3, changed=-1) == "gathering"
    assert asked("gathering", -3, -1, 3, changed=-2) == "queueing"


moments = st.none() | st.integers(-50, 50)


@given(st.sampled_from(STATES), st.integers(-60, 0), moments, moments, moments)
def test_only_what_may_follow_is_asked_for_and_each_moment_acts_once(
    state: str, changed: int, gathers: int | None, start: int | None, end: int | None
) -> None:
    target = asked(state, gathers, start, end, changed)
    assert target == state or target in TRANSITIONS[state]
    # When it has been done now, or undone by hand, the same moments ask for nothing more.
    for present in STATES:
        assert asked(present, gathers, start, end, changed=0) == present


@given(st.sampled_from(STATES), moments, moments, moments)
def test_a_schedule_that_is_followed_every_hour_ends_as_one_that_is_looked_at_late(
    state: str, gathers: int | None, start: int | None, end: int | None
) -> None:
    """Unless the whole of it was slept through."""
    given_moments = [moment for moment in (gathers, start, end) if moment is not None]
    if given_moments != sorted(set(given_moments)):
        return
    present, changed = state, NOW - 100 * HOUR
    for hour in range(-60, 61):
        now = NOW + hour * HOUR
        target = scheduled_state(present, changed, at(gathers), at(start), at(end), now)
        if target != present:
            present, changed = target, now
    late = scheduled_state(state, NOW - 100 * HOUR, at(gathers), at(start), at(end), NOW + 60 * HOUR)
    assert late == present or (late, present) == ("closed", "ended")


def test_every_state_can_be_left_and_reached() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert set().union(*TRANSITIONS.values()) == set(STATES)
    assert all(state not in targets for state, targets in TRANSITIONS.items())
    # People who wait in line are never just locked out.
    assert "closed" not in TRANSITIONS["queueing"]


def test_what_begins_a_round_and_what_starts_it() -> None:
    pairs = [(before, after) for before in STATES for after in TRANSITIONS[before]]
    begun = {pair for pair in pairs if begins_round(*pair)}
    assert begun == {
        (before, after) for before in ("closed", "ended") for after in ("gathering", "open", "queueing")
    }
    assert {pair for pair in pairs if starts(*pair)} == {
        (before, after) for before in ("closed", "ended", "gathering") for after in ("open", "queueing")
    }
    assert ADMITTING < JOINABLE


DRAFT = RoomDraft(code="ELEVEN", names={"en": "Eleven"}, time_zone="Asia/Hong_Kong", max_active=2000)


def test_a_room_that_makes_sense_has_no_problems() -> None:
    assert check_room(DRAFT) == {}
    full = replace(
        DRAFT,
        messages={"en": "Soon."},
        gathers_at=NOW,
        starts_at=NOW + HOUR,
        ends_at=NOW + 2 * HOUR,
        per_minute=600,
        joins_per_network=100,
        sites=("https://shop.example", "http://127.0.0.1:8000"),
        pages=("/", "/wallet", "/wallet/used", "/a.b/~c_d-1"),
    )
    assert check_room(full) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", "no spaces"),
        ("names", {"th": "สิบเอ็ด"}),
        ("messages", {"en": "x" * 501}),
        ("time_zone", "Hong Kong"),
        ("max_active", -1),
        ("max_active", 1_000_001),
        ("session_seconds", 29),
        ("session_seconds", 24 * 3600 + 1),
        ("grace_seconds", 9),
        ("grace_seconds", 3601),
        ("per_minute", -1),
        ("joins_per_network", -1),
        ("sites", ("shop.example",)),
        ("sites", ("https://shop.example/path",)),
        ("sites", ("https://shop.example",) * 21),
        ("pages", ("wallet",)),
        ("pages", ("/wallet/",)),
        ("pages", ("//wallet",)),
        ("pages", ("/wallet?folder=used",)),
        ("pages", ("/../console",)),
        ("pages", ("/wallet/\u0627",)),
        ("pages", ("/" + "x" * 200,)),
        ("pages", ("/wallet",) * 21),
        ("pages", ("/wallet", "/sign-in")),
        ("pages", ("/c/WINTER",)),
        ("pages", ("/console/rooms",)),
        ("starts_at", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_makes_no_sense_is_named(field: str, value: Any) -> None:
    problems = check_room(replace(DRAFT, **{field: value}))
    assert {name.split(".")[0] for name in problems} == {field}


@given(moments, moments, moments)
def test_a_schedule_goes_forward(gathers: int | None, start: int | None, end: int | None) -> None:
    draft = replace(DRAFT, gathers_at=at(gathers), starts_at=at(start), ends_at=at(end))
    given_moments = [moment for moment in (gathers, start, end) if moment is not None]
    is_fine = given_moments == sorted(set(given_moments)) and (gathers is None or start is not None)
    assert (check_room(draft) == {}) == is_fine


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/wallet", "/wallet"),
        ("/wallet/", "/wallet"),
        ("//wallet//123", "/wallet"),
        ("/wallet/used/old", "/wallet/used"),
        ("/wallets", None),
        ("/Wallet", None),
        ("/account", None),
    ],
)
def test_the_nearest_guarded_page_covers_an_address(path: str, page: str | None) -> None:
    assert page_covering(path, {"/", "/wallet", "/wallet/used"}) == page
    assert page_covering(path, set()) is None
