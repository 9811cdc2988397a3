"""What can be done with a waiting room next, and what the operator is asked before it is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tearline.core.rooms import TRANSITIONS
from tearline.i18n import _
from tearline.waitingroom.reads import Board


@dataclass(frozen=True, slots=True)
class Step:
    """A state that follows: its button, and the question before it; "" asks nothing.

    The sentences are English and take ``n``, the number of people whom it concerns. ``kind`` is the button's.
    """

    target: str
    label: str
    question: str
    kind: str


_ENDED = _("Nobody else is let in, and whoever waits is told so. Those inside keep their time.")
_NEW_LINE = _("A new line begins, and people are let in as there is room, in the order in which they come.")
_GATHERS = _(
    "People can arrive from now on. All who come before the start are equal: the order is drawn at the start."
)
_OPENS = _("Whoever comes enters at once, as long as there is room.")

_STEPS: dict[tuple[str, str], Step] = {
    ("closed", "gathering"): Step("gathering", _("Begin to gather"), _GATHERS, ""),
    ("closed", "queueing"): Step("queueing", _("Start queueing"), _NEW_LINE, "quiet"),
    ("closed", "open"): Step("open", _("Open without queueing"), _OPENS, "quiet"),
    ("gathering", "queueing"): Step(
        "queueing",
        _("Start now"),
        _("The order is drawn among the %(n)s who have gathered, and the first are called at once."),
        "",
    ),
    ("gathering", "open"): Step(
        "open",
        _("Open without queueing"),
        _("The %(n)s who have gathered may enter at once, as long as there is room."),
        "quiet",
    ),
    ("gathering", "closed"): Step(
        "closed",
        _("Close the room"),
        _("The %(n)s who have gathered lose their place: when it opens again, a new line begins."),
        "danger",
    ),
    ("open", "queueing"): Step("queueing", _("Start queueing"), "", "quiet"),
    ("open", "ended"): Step("ended", _("End"), _ENDED, "danger"),
    ("open", "closed"): Step(
        "closed", _("Close the room"), _("Nobody else is let in. Those inside keep their time."), "danger"
    ),
    ("queueing", "open"): Step(
        "open",
        _("Open without queueing"),
        _("The %(n)s who wait may enter at once, whoever is quickest, as long as there is room."),
        "danger",
    ),
    ("queueing", "ended"): Step(
        "ended",
        _("End"),
        _("The %(n)s who wait are told that nobody else is let in. Those inside keep their time."),
        "danger",
    ),
    ("ended", "closed"): Step("closed", _("Close the room"), "", "quiet"),
    ("ended", "gathering"): Step("gathering", _("Begin to gather"), _GATHERS, "quiet"),
    ("ended", "queueing"): Step("queueing", _("Start queueing"), _NEW_LINE, "quiet"),
    ("ended", "open"): Step("open", _("Open without queueing"), _OPENS, "quiet"),
}


def steps_of(state: str) -> list[Step]:
    """What can follow, the usual way first."""
    return [
        step for (before, after), step in _STEPS.items() if before == state and after in TRANSITIONS[state]
    ]


MOVED = {
    "closed": _("The room is closed."),
    "gathering": _("People can arrive now. The order is drawn at the start."),
    "open": _("The room is open: whoever comes enters at once."),
    "queueing": _("The room is queueing: people are let in as there is room."),
    "ended": _("The room has ended. Nobody else is let in."),
}
"""What is said when it is done, by the new state."""


def next_moment(board: Board, now: datetime) -> tuple[str, datetime] | None:
    """What the schedule does next, as words and a time; None when it does nothing any more."""
    draft = board.draft
    moments = [
        (_("Gathering begins in"), draft.gathers_at, ("closed", "ended")),
        (_("The start is in"), draft.starts_at, ("closed", "gathering", "ended")),
        (_("It ends in"), draft.ends_at, ("gathering", "open", "queueing")),
    ]
    for words, moment, states in moments:
        if moment is not None and moment > now and board.state in states:
            return words, moment
    return None
