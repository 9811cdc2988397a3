"""Where somebody who waits stands, as far as the room's snapshot knows: for the page that the server makes.

``frontend/js/gate.js`` says the same in the browser, from the same document.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import msgspec

from tearline.core.admission import WaitRange, estimated_wait
from tearline.i18n import _, translate, translate_counted
from tearline.i18n.formats import number
from tearline.waitingroom.tokens import Pass, Ticket
from tearline.waitingroom.watch import RoomView

STATES = (
    "joining", "gathering", "waiting", "called", "door", "missed", "used", "over", "inside", "closed", "ended",
)  # fmt: skip
"""What the waiting page can show: ``door`` is called with no room for the moment, ``used`` is a ticket that has
entered from another browser, ``over`` is a session inside whose time has ended."""

STATE_OF_REFUSAL = {
    "not_called": "waiting",
    "room_full": "door",
    "turn_missed": "missed",
    "ticket_used": "used",
    "pass_ended": "over",
    "room_closed": "closed",
    "room_ended": "ended",
}
"""What a refused ticket leads to."""

LONGEST_IN_MINUTES = 90


@dataclass(frozen=True, slots=True)
class Stock:
    """What is left, and whether it is expected to reach this visitor."""

    left: int
    is_short: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What the waiting page shows.

    Attributes:
        number: of arrival, from 0; None without a ticket of this round.
        place: in line, from 0; None before the draw.
        ahead: places before this one that have not been called.
        wait: None while unknown.
        joined: how many have come, this visitor counted.
        poll_seconds: how soon to ask again.
    """

    state: str
    document: dict[str, Any]
    number: int | None
    place: int | None
    ahead: int | None
    wait: WaitRange | None
    stock: Stock | None
    joined: int
    poll_seconds: int


def standing_of(
    room: RoomView, ticket: Ticket | None, held: Pass | None, refusal_reason: str | None = None
) -> Standing:
    """Where somebody stands.

    Args:
        ticket: the visitor's, of whatever round.
        held: the pass of somebody who is inside.
        refusal_reason: why the ticket did not lead inside just now.
    """
    document: dict[str, Any] = msgspec.json.decode(room.document)
    ours = ticket if ticket is not None and ticket.round == room.round else None
    place = room.place_of(ours.number) if ours else None
    ahead = max(0, place - room.called) if place is not None else None
    rates = document["per_minute"] or (None, None)
    return Standing(
        state=_state(room, ours, held, refusal_reason),
        document=document,
        number=ours.number if ours else None,
        place=place,
        ahead=ahead,
        wait=estimated_wait(ahead, *rates) if ahead is not None else None,
        stock=_stock(document, place),
        joined=max(room.joined, ours.number + 1 if ours else 0),
        poll_seconds=poll_seconds(document["polls"], room.joined if ahead is None else ahead),
    )


def poll_seconds(polls: list[tuple[int | None, int]], ahead: int) -> int:
    """How often to ask with so many people ahead."""
    return next(seconds for fewer, seconds in polls if fewer is None or ahead < fewer)


def wait_text(wait: WaitRange, language: str) -> str:
    """An estimated wait in words: rounded down at its lower end and up at its upper one."""
    low, high = wait.least.total_seconds() / 60, wait.most.total_seconds() / 60
    if high <= 1:
        return translate(language, _("less than a minute"))
    if high <= LONGEST_IN_MINUTES:
        at_least, at_most = max(1, floor(low)), ceil(high)
        if at_least == at_most:
            return translate_counted(language, "about %(n)s minute", "about %(n)s minutes", at_most)
        return translate(language, _("%(low)s to %(high)s minutes"), low=at_least, high=at_most)
    # In half hours.
    shortest, longest = max(0.5, floor(low / 30) / 2), ceil(high / 30) / 2
    if shortest == longest:
        return translate(language, _("about %(n)s hours"), n=number(longest, language))
    return translate(
        language,
        _("%(low)s to %(high)s hours"),
        low=number(shortest, language),
        high=number(longest, language),
    )


def _state(room: RoomView, ticket: Ticket | None, held: Pass | None, refusal_reason: str | None) -> str:
    if held is not None:
        return "inside"
    if refusal_reason in STATE_OF_REFUSAL and ticket is not None:
        return STATE_OF_REFUSAL[refusal_reason]
    if room.state in ("closed", "ended"):
        return room.state
    if ticket is None:
        return "joining"
    status = room.status_of(ticket)
    # Whoever is late and may enter still enters as the called do.
    return "called" if status == "missed" and room.late_may_enter else status


def _stock(document: dict[str, Any], place: int | None) -> Stock | None:
    stock = document["stock"]
    if stock is None:
        return None
    if place is None:
        # Before the draw nobody has a place; there may be more people than gifts all the same.
        return Stock(stock["left"], is_short=document["joined"] > stock["left"])
    return Stock(stock["left"], is_short=place >= stock["reaches"])
