"""The door of a waiting room: who of those that come with a ticket is let in.

Pure decisions over the room's state, visitor by visitor in the order in which they came. The state is loaded
under the lock of the room's row, changed here, and written back in the same transaction.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from tearline.core import draw
from tearline.core.admission import Call, delay_bucket, elapsed_share, room_at_door
from tearline.core.rooms import ADMITTING


@dataclass(slots=True)
class Door:
    """What the decisions depend on. ``inside`` and ``at_door`` are kept up to date by them."""

    state: str
    round: int
    seed: bytes | None
    gathered: int
    joined: int
    called: int
    lapsed: int
    inside: int
    at_door: int
    max_active: int
    session: timedelta
    grace: timedelta
    queues_when_full: bool
    late_may_enter: bool
    calls: dict[int, Call] = field(default_factory=dict)
    """Calls whose grace time is not over, by the first of their places, ascending."""
    entered: int = 0
    """How many were let in, of those decided here."""
    arrivals: dict[tuple[int, int], int] = field(default_factory=dict)
    """How many came, of those decided here, by their call and the part of its grace time."""

    def place_of(self, number: int) -> int:
        """The place in line of a ticket of this round; drawn for those who came before the start."""
        return draw.place_in_line(self.seed, self.gathered, number)

    @property
    def has_room(self) -> bool:
        """Whether one more may enter. An open room that never queues has no end."""
        if self.state == "open" and not self.queues_when_full:
            return True
        return room_at_door(self.max_active, self.inside) > 0

    def note_arrival(self, place: int, now: datetime) -> None:
        """Somebody called has come for the first time."""
        firsts = list(self.calls)
        position = bisect_right(firsts, place) - 1
        if position < 0:
            return
        first = firsts[position]
        call = self.calls[first]
        if place < first + call.size:
            bucket = delay_bucket(elapsed_share(call.called_at, now, self.grace))
            self.arrivals[first, bucket] = self.arrivals.get((first, bucket), 0) + 1


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who came to the door, and what became of it. See ``waitingroom.model.RoomEntry``."""

    exchange_key: str
    came_at: datetime
    member_id: UUID | None = None
    entered_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None


def come(
    door: Door, entry: Entry | None, place: int, exchange_key: str, member_id: UUID | None, now: datetime
) -> Entry | str:
    """A visitor comes with the ticket of a place.

    Args:
        entry: what is known of this place; None when nobody has come with it.
        member_id: whom the pass shall serve; None when that is not known yet.

    Returns:
        The entry as it stands now, let in if ``entered_at`` is set, else waiting at the door; or the
        reason of a refusal.
    """
    if entry is not None and entry.exchange_key != exchange_key:
        return "ticket_used"
    if entry is not None and entry.entered_at is not None:
        return _again(entry, member_id, now)
    if entry is not None and entry.ended_at is None:
        if door.state not in ADMITTING:
            return "room_ended"
        return _let_in(door, replace(entry, member_id=member_id), now, was_at_door=True)
    if problem := _not_called(door, place):
        return problem
    is_late = entry is not None or (door.state == "queueing" and place < door.lapsed)
    if is_late and not door.late_may_enter:
        return "turn_missed"
    if is_late and not door.has_room:
        return "room_full"
    if not is_late:
        door.note_arrival(place, now)
    return _let_in(door, Entry(exchange_key, came_at=now, member_id=member_id), now, was_at_door=False)


def bypass(door: Door, exchange_key: str, now: datetime) -> Entry:
    """Somebody comes by a bypass link: let in, whatever the number inside."""
    door.inside += 1
    door.entered += 1
    return Entry(exchange_key, came_at=now, entered_at=now, expires_at=now + door.session)


def bound(entry: Entry | None, member_id: UUID, now: datetime) -> Entry | str:
    """The pass of this entry is used by a member: it serves the first one only."""
    if entry is None or entry.entered_at is None:
        return "pass_required"
    if entry.ended_at is not None or entry.expires_at is None or entry.expires_at <= now:
        return "pass_ended"
    if entry.member_id not in (None, member_id):
        return "pass_taken"
    return replace(entry, member_id=member_id)


def leave(door: Door, entry: Entry | None, how: str, now: datetime) -> Entry | None:
    """Somebody leaves, from inside or from the door; None when there is nothing to end."""
    if entry is None or entry.ended_at is not None:
        return None
    if entry.entered_at is None:
        door.at_door -= 1
    else:
        door.inside -= 1
    return replace(entry, ended_at=now, ended_by=how)


def _again(entry: Entry, member_id: UUID | None, now: datetime) -> Entry | str:
    if entry.ended_at is not None or entry.expires_at is None or entry.expires_at <= now:
        return "pass_ended"
    # Whoever was let in as a visitor and has signed in since gets a pass of their own name.
    return replace(entry, member_id=member_id) if entry.member_id is None else entry


def _not_called(door: Door, place: int) -> str | None:
    if door.state in ("closed", "ended"):
        return f"room_{door.state}"
    if not 0 <= place < door.joined:
        return "wrong_ticket"
    is_called = door.state == "open" or (door.state == "queueing" and place < door.called)
    return None if is_called else "not_called"


def _let_in(door: Door, entry: Entry, now: datetime, *, was_at_door: bool) -> Entry:
    if not door.has_room:
        # Seen again at the door: whoever is not seen for a while has gone.
        door.at_door += not was_at_door
        return replace(entry, came_at=now)
    door.at_door -= was_at_door
    door.inside += 1
    door.entered += 1
    return replace(entry, entered_at=now, expires_at=now + door.session)
