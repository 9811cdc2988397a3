"""The door against a naive model that keeps every visitor's story and answers by recounting."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tearline.core import draw
from tearline.core.admission import Call, door_limit
from tearline.core.door import Door, Entry, bound, bypass, come, leave

EXAMPLES = int(os.environ.get("TEARLINE_EXAMPLES", "25"))
START = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SESSION, GRACE = timedelta(seconds=60), timedelta(seconds=16)
PLACES = st.sampled_from([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, -1, 5, 12])
KEYS = st.sampled_from(["mine", "mine", "mine", "mine", "a copy"])
MEMBERS = st.sampled_from([UUID(int=1), UUID(int=2)])


@dataclass
class Story:
    """What is known of somebody who came."""

    key: str
    is_inside: bool
    member: UUID | None
    expires_at: datetime | None = None
    has_ended: bool = False


class DoorModel(RuleBasedStateMachine):
    """A room with a dozen places."""

    @initialize(
        late_may_enter=st.booleans(),
        queues=st.booleans(),
        state=st.sampled_from(["queueing", "queueing", "open"]),
    )
    def build(self, late_may_enter: bool, queues: bool, state: str) -> None:
        self.now = START
        self.door = Door(
            state=state,
            round=1,
            seed=None,
            gathered=0,
            joined=6,
            called=0,
            lapsed=0,
            inside=0,
            at_door=0,
            max_active=2,
            session=SESSION,
            grace=GRACE,
            queues_when_full=queues,
            late_may_enter=late_may_enter,
        )
        self.entries: dict[int, Entry] = {}
        self.stories: dict[int, Story] = {}
        self.came_in_time: Counter[int] = Counter()
        self.entered = 0

    # What the naive model knows

    def inside(self) -> int:
        return sum(story.is_inside and not story.has_ended for story in self.stories.values())

    def at_door(self) -> int:
        return sum(not story.is_inside and not story.has_ended for story in self.stories.values())

    def has_room(self) -> bool:
        is_endless = self.door.state == "open" and not self.door.queues_when_full
        return is_endless or self.inside() < door_limit(self.door.max_active)

    def expected(self, place: int, key: str) -> str:
        """``inside``, ``door``, or the reason of a refusal."""
        door, story = self.door, self.stories.get(place)
        if story and story.key != key:
            return "ticket_used"
        if story and story.is_inside:
            assert story.expires_at
            return "pass_ended" if story.has_ended or story.expires_at <= self.now else "inside"
        if story and not story.has_ended:
            if door.state not in ("open", "queueing"):
                return "room_ended"
            return "inside" if self.has_room() else "door"
        if door.state in ("closed", "ended"):
            return f"room_{door.state}"
        if place not in range(door.joined):
            return "wrong_ticket"
        if door.state == "gathering" or (door.state == "queueing" and place >= door.called):
            return "not_called"
        if story or (door.state == "queueing" and place < door.lapsed):
            if not door.late_may_enter:
                return "turn_missed"
            return "inside" if self.has_room() else "room_full"
        return "inside" if self.has_room() else "door"

    # What happens

    @rule(place=PLACES, key=KEYS, member=st.none() | MEMBERS)
    def come(self, place: int, key: str, member: UUID | None) -> None:
        expected = self.expected(place, key)
        story = self.stories.get(place)
        is_late = self.door.state == "queueing" and place < self.door.lapsed
        after = come(self.door, self.entries.get(place), place, key, member, self.now)
        if expected not in ("inside", "door"):
            assert after == expected
            return
        assert isinstance(after, Entry)
        assert (after.entered_at is not None) == (expected == "inside")
        assert after.exchange_key == key
        if story is None and not is_late:
            self.came_in_time[place] += 1
        if story and story.is_inside:
            story.member = story.member or member
        else:
            self.stories[place] = Story(key, expected == "inside", member, after.expires_at)
            self.entered += expected == "inside"
            if expected == "inside":
                assert (after.entered_at, after.expires_at) == (self.now, self.now + SESSION)
        self.entries[place] = after

    @precondition(lambda self: self.stories)
    @rule(data=st.data(), member=st.none() | MEMBERS, seconds=st.sampled_from([0, 0, 1, 59, 60]))
    def come_again(self, data: st.DataObject, member: UUID | None, seconds: int) -> None:
        place = data.draw(st.sampled_from(sorted(self.stories)))
        self.now += timedelta(seconds=seconds)
        self.come(place, self.stories[place].key, member)

    @precondition(lambda self: self.stories)
    @rule(data=st.data(), member=MEMBERS)
    def bind_one_who_came(self, data: st.DataObject, member: UUID) -> None:
        self.bind(data.draw(st.sampled_from(sorted(self.stories))), member)

    @rule(place=PLACES, member=MEMBERS)
    def bind(self, place: int, member: UUID) -> None:
        story = self.stories.get(place)
        after = bound(self.entries.get(place), member, self.now)
        if story is None or not story.is_inside:
            assert after == "pass_required"
        elif story.has_ended or (story.expires_at and story.expires_at <= self.now):
            assert after == "pass_ended"
        elif story.member not in (None, member):
            assert after == "pass_taken"
        else:
            assert isinstance(after, Entry)
            story.member, self.entries[place] = member, after

    @rule(place=PLACES, how=st.sampled_from(["left", "finished"]))
    def leave(self, place: int, how: str) -> None:
        story = self.stories.get(place)
        after = leave(self.door, self.entries.get(place), how, self.now)
        assert (after is None) == (story is None or story.has_ended)
        if story and after:
            assert (after.ended_at, after.ended_by) == (self.now, how)
            story.has_ended, self.entries[place] = True, after

    @rule(seconds=st.sampled_from([1, 5, 16]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def tick(self) -> None:
        """What the controller does to entries and calls once a second."""
        for place, entry in self.entries.items():
            is_expired = entry.expires_at is not None and entry.expires_at <= self.now
            is_gone = entry.entered_at is None and entry.came_at <= self.now - GRACE
            if entry.ended_at is None and (is_expired or is_gone):
                self.entries[place] = replace(entry, ended_at=self.now, ended_by="over")
                self.stories[place].has_ended = True
                self.door.inside -= is_expired
                self.door.at_door -= is_gone
        for first, call in list(self.door.calls.items()):
            if call.called_at + GRACE <= self.now:
                del self.door.calls[first]
                self.door.lapsed = first + call.size

    @rule(size=st.integers(2, 4))
    def call(self, size: int) -> None:
        size = min(size, self.door.joined - self.door.called)
        if size:
            self.door.calls[self.door.called] = Call(size, self.now)
            self.door.called += size

    @rule(people=st.integers(1, 3))
    def join(self, people: int) -> None:
        self.door.joined += people

    @rule(max_active=st.integers(0, 3))
    def turn_dial(self, max_active: int) -> None:
        self.door.max_active = max_active

    @rule(state=st.sampled_from(["closed", "gathering", "open", "ended", *["queueing"] * 12]))
    def change(self, state: str) -> None:
        self.door.state = state

    @rule(key=KEYS)
    def bypass(self, key: str) -> None:
        place = min([-2, *self.entries]) - 1
        entry = bypass(self.door, key, self.now)
        assert entry.expires_at == self.now + SESSION
        self.entries[place] = entry
        self.stories[place] = Story(key, True, None, entry.expires_at)
        self.entered += 1

    # What always holds

    @invariant()
    def the_counts_are_those_of_the_entries(self) -> None:
        if not hasattr(self, "door"):
            return
        entries = [entry for entry in self.entries.values() if entry.ended_at is None]
        assert self.door.inside == self.inside() == sum(entry.entered_at is not None for entry in entries)
        assert self.door.at_door == self.at_door() == sum(entry.entered_at is None for entry in entries)
        assert self.door.entered == self.entered

    @invariant()
    def each_place_has_one_pass_which_serves_one_member(self) -> None:
        for place, story in getattr(self, "stories", {}).items():
            entry = self.entries[place]
            assert (entry.exchange_key, entry.expires_at) == (story.key, story.expires_at)
            if story.is_inside:
                assert entry.member_id == story.member

    @invariant()
    def arrivals_are_counted_once_for_their_call(self) -> None:
        if not hasattr(self, "door"):
            return
        assert max(self.came_in_time.values(), default=0) <= 1
        for first, call in self.door.calls.items():
            noted = sum(count for (of, _), count in self.door.arrivals.items() if of == first)
            came = sum(self.came_in_time[place] for place in range(first, first + call.size))
            # In an open room people come uncalled, and are in no call's count.
            assert noted <= came <= call.size


TestDoorModel = DoorModel.TestCase
TestDoorModel.settings = settings(
    max_examples=max(60, EXAMPLES),
    stateful_step_count=50,
    deadline=None,
    # Each history is drawn afresh. The usual backend spends most of so few examples on variants of one another.
    backend="hypothesis-urandom",
)


def test_places_before_the_start_are_drawn_and_later_ones_follow() -> None:
    seed = b"s" * 32
    door = Door("queueing", 1, seed, 5, 9, 0, 0, 0, 0, 2, SESSION, GRACE, True, False)
    assert [door.place_of(number) for number in range(9)] == [
        *(draw.place(seed, number, 5) for number in range(5)),
        *(5, 6, 7, 8),
    ]


def test_arrivals_are_noted_in_the_part_of_the_grace_time_in_which_they_come() -> None:
    door = Door("queueing", 1, None, 0, 9, 7, 0, 0, 0, 9, SESSION, GRACE, True, False)
    door.calls = {0: Call(3, START), 3: Call(4, START + timedelta(seconds=8))}
    for place, second in ((0, 0), (2, 9), (3, 9), (6, 24)):
        come(door, None, place, "key", None, START + timedelta(seconds=second))
    # Nine of sixteen seconds: the second half. One of sixteen: the part that begins there.
    assert door.arrivals == {(0, 0): 1, (0, 7): 1, (3, 4): 1, (3, 7): 1}


def test_repeats_are_not_counted_as_arrivals() -> None:
    door = Door("queueing", 1, None, 0, 9, 7, 0, 0, 0, 1, SESSION, GRACE, True, False)
    door.calls, door.inside = {0: Call(7, START)}, 2
    entry: Entry | None = None
    for second in range(3):
        answer = come(door, entry, 4, "key", None, START + timedelta(seconds=second))
        assert isinstance(answer, Entry)
        entry = answer
        assert entry.came_at == START + timedelta(seconds=second)
    assert (door.arrivals, door.at_door) == ({(0, 0): 1}, 1)


def a_door(**changes: Any) -> Door:
    door = Door("queueing", 1, None, 0, 9, 7, 0, 0, 0, 1, SESSION, GRACE, True, False)
    door.calls = {0: Call(7, START)}
    for name, value in changes.items():
        setattr(door, name, value)
    return door


AT_DOOR = Entry("key", START)
INSIDE = Entry("key", START, None, START, START + SESSION)
GONE = Entry("key", START, ended_at=START, ended_by="gone")
ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("door", "entry", "place", "seconds", "answer"),
    [
        (a_door(), None, 7, 0, "not_called"),
        (a_door(), None, 9, 0, "wrong_ticket"),
        (a_door(state="gathering"), None, 3, 0, "not_called"),
        (a_door(state="closed"), None, 3, 0, "room_closed"),
        (a_door(state="ended"), None, 3, 0, "room_ended"),
        (a_door(state="ended", at_door=1), AT_DOOR, 3, 0, "room_ended"),
        (a_door(lapsed=4), None, 3, 0, "turn_missed"),
        (a_door(lapsed=4, inside=2, late_may_enter=True), None, 3, 0, "room_full"),
        (a_door(), GONE, 3, 0, "turn_missed"),
        (a_door(inside=2, late_may_enter=True), GONE, 3, 0, "room_full"),
        (a_door(inside=1), INSIDE, 3, 60, "pass_ended"),
        (a_door(inside=1), replace(INSIDE, ended_at=START), 3, 0, "pass_ended"),
        (a_door(inside=1), replace(INSIDE, exchange_key="another"), 3, 0, "ticket_used"),
        (a_door(), replace(GONE, exchange_key="another"), 3, 0, "ticket_used"),
    ],
)
def test_who_is_refused(door: Door, entry: Entry | None, place: int, seconds: int, answer: str) -> None:
    before = replace(door)
    assert come(door, entry, place, "key", None, START + timedelta(seconds=seconds)) == answer
    assert door == before
    assert door.arrivals == {}


def test_from_the_door_to_inside() -> None:
    door = a_door(inside=1, at_door=1)
    entered = come(door, AT_DOOR, 3, "key", ONE, START)
    assert entered == replace(INSIDE, member_id=ONE)
    assert (door.inside, door.at_door, door.entered) == (2, 0, 1)


def test_the_late_who_may_enter_are_no_arrivals_of_their_call() -> None:
    for entry, place in ((None, 3), (GONE, 3), (GONE, 5)):
        door = a_door(lapsed=4, late_may_enter=True)
        door.calls = {4: Call(3, START)}
        assert come(door, entry, place, "key", None, START) == INSIDE
        assert (door.inside, door.at_door, door.arrivals) == (1, 0, {})


def test_a_place_beyond_the_last_call_is_in_no_call() -> None:
    door = a_door(state="open")
    come(door, None, 7, "key", None, START)
    assert (door.inside, door.arrivals) == (1, {})


def test_a_pass_serves_the_first_member_only() -> None:
    entry = bound(INSIDE, ONE, START)
    assert entry == replace(INSIDE, member_id=ONE)
    assert isinstance(entry, Entry)
    assert bound(entry, ONE, START) == entry
    assert bound(entry, OTHER, START) == "pass_taken"
    assert come(a_door(inside=1), entry, 3, "key", OTHER, START) == entry
    assert bound(entry, ONE, START + SESSION) == "pass_ended"
    assert bound(replace(entry, ended_at=START), ONE, START) == "pass_ended"
    assert bound(AT_DOOR, ONE, START) == bound(None, ONE, START) == "pass_required"
