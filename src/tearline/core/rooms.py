"""Waiting rooms: what may be set, which states follow which, and what makes no sense."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tearline.core.offer_checks import (
    CODE_PATTERN,
    CODE_SENTENCE,
    COUNT_SENTENCE,
    DATE_SENTENCE,
    EARLIEST_YEAR,
    LATEST_YEAR,
    TIME_ZONE_SENTENCE,
    is_limit,
    is_time_zone,
)
from tearline.core.texts import check_localised


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


STATES = ("closed", "gathering", "open", "queueing", "ended")

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "closed": frozenset({"gathering", "open", "queueing"}),
    "gathering": frozenset({"queueing", "open", "ended", "closed"}),
    "open": frozenset({"queueing", "ended", "closed"}),
    "queueing": frozenset({"open", "ended"}),
    "ended": frozenset({"closed", "gathering", "open", "queueing"}),
}
"""To which states a room can go from each. A room that people wait in is ended, never just closed."""

ADMITTING = frozenset({"open", "queueing"})
"""States in which people are let in."""
JOINABLE = frozenset({"gathering", "open", "queueing"})
"""States in which a ticket can be had."""
HOLDING = frozenset({"gathering", "queueing"})
"""States in which people wait."""

MAXIMUM_ACTIVE = 1_000_000
SHORTEST_SESSION_SECONDS = 30
LONGEST_SESSION_SECONDS = 24 * 3600
SHORTEST_GRACE_SECONDS = 10
LONGEST_GRACE_SECONDS = 3600
MAXIMUM_SITES = 20
MAXIMUM_PAGES = 20

NEVER_GUARDED = frozenset(
    {
        *("api", "c", "console", "dev", "gate", "healthz", "merchant", "metrics", "pay", "problems"),
        *("readyz", "sign-in", "sign-out", "sign-out-everywhere", "static"),
    }
)
"""First parts of addresses that no room guards as pages: staff work there, systems ask there, visitors need them
on their way in, or, as with campaigns (``/c``), the room guards the thing itself."""

_PAGE = re.compile(r"/|(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_LONGEST_PAGE = 200
_SITE = re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class RoomDraft:
    """Everything about a room that a person decides. See ``waitingroom.model.Room`` for what each means."""

    code: str
    names: Mapping[str, str]
    time_zone: str
    max_active: int
    messages: Mapping[str, str] = field(default_factory=dict)
    gathers_at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    per_minute: int | None = None
    session_seconds: int = 1800
    grace_seconds: int = 120
    queues_when_full: bool = True
    late_may_enter: bool = False
    claim_ends_session: bool = False
    proof_of_work: bool = False
    joins_per_network: int | None = None
    sites: Sequence[str] = ()
    campaign_ids: Sequence[UUID] = ()
    pages: Sequence[str] = ()


def page_covering(path: str, pages: Container[str]) -> str | None:
    """The guarded page that an address lies on: the nearest of it and those above it; None when it is free.

    ``/wallet`` covers ``/wallet/123``, too; ``/`` is the home page alone.

    Args:
        path: as it was asked for: slashes twice or at the end change nothing.
    """
    parts = [part for part in path.split("/") if part]
    for length in range(len(parts), 0, -1):
        if (page := "/" + "/".join(parts[:length])) in pages:
            return page
    return "/" if not parts and "/" in pages else None


def begins_round(before: str, after: str) -> bool:
    """Whether this change of state begins a new round: a new line, a new draw, tickets start at 0."""
    return before in ("closed", "ended") and after in JOINABLE


def starts(before: str, after: str) -> bool:
    """Whether this change of state is the start: the moment from which people are let in."""
    return before not in ADMITTING and after in ADMITTING


def scheduled_state(
    state: str,
    changed_at: datetime,
    gathers_at: datetime | None,
    starts_at: datetime | None,
    ends_at: datetime | None,
    now: datetime,
) -> str:
    """The state that the schedule asks for at ``now``: the present one, or one that may follow it.

    A moment of the schedule acts once: what somebody did by hand after it stands. Several may have passed since
    it was last asked for. A round whose end has passed before it began is not held.

    Args:
        changed_at: when the state, or the schedule itself, was last set.
    """
    due = [
        (moment, target)
        for moment, target in ((gathers_at, "gathering"), (starts_at, "queueing"), (ends_at, "ended"))
        if moment is not None and changed_at < moment <= now
    ]
    asked = state
    for _moment, target in sorted(due, key=lambda one: one[0]):
        is_forward = target == "ended" or asked in ("closed", "gathering", "ended")
        if is_forward and target in TRANSITIONS[asked]:
            asked = target
    return asked if asked in TRANSITIONS[state] else state


def check_room(draft: RoomDraft) -> dict[str, str]:
    """What is wrong with a room: field to English sentence; empty when all is well."""
    problems: dict[str, str] = {}
    if not CODE_PATTERN.fullmatch(draft.code):
        problems["code"] = CODE_SENTENCE
    problems |= check_localised("names", draft.names, maximum=120, english_required=True)
    problems |= check_localised("messages", draft.messages, maximum=500, english_required=False)
    if not is_time_zone(draft.time_zone):
        problems["time_zone"] = TIME_ZONE_SENTENCE
    problems |= _check_schedule(draft)
    if not 0 <= draft.max_active <= MAXIMUM_ACTIVE:
        problems["max_active"] = _("Give a whole number from 0 to 1,000,000.")
    if not SHORTEST_SESSION_SECONDS <= draft.session_seconds <= LONGEST_SESSION_SECONDS:
        problems["session_seconds"] = _("A session lasts between 30 seconds and 24 hours.")
    if not SHORTEST_GRACE_SECONDS <= draft.grace_seconds <= LONGEST_GRACE_SECONDS:
        problems["grace_seconds"] = _("The time to come in is between 10 seconds and an hour.")
    for name, limit in (("per_minute", draft.per_minute), ("joins_per_network", draft.joins_per_network)):
        if not is_limit(limit):
            problems[name] = COUNT_SENTENCE
    if len(draft.sites) > MAXIMUM_SITES or any(not _SITE.fullmatch(site) for site in draft.sites):
        problems["sites"] = _("Give up to 20 addresses such as https://shop.example, without a path.")
    if len(draft.pages) > MAXIMUM_PAGES or any(not _is_page(page) for page in draft.pages):
        problems["pages"] = _("Give up to 20 paths of this site such as /wallet.")
    elif any(page.split("/")[1] in NEVER_GUARDED for page in draft.pages):
        problems["pages"] = _(
            "These can't be guarded: signing in, waiting rooms, the counter and the console. Choose a campaign"
            " above instead of its page."
        )
    return problems


def _is_page(path: str) -> bool:
    return len(path) <= _LONGEST_PAGE and _PAGE.fullmatch(path) is not None


def _check_schedule(draft: RoomDraft) -> dict[str, str]:
    problems: dict[str, str] = {}
    earlier: datetime | None = None
    for name, moment in (
        ("gathers_at", draft.gathers_at),
        ("starts_at", draft.starts_at),
        ("ends_at", draft.ends_at),
    ):
        if moment is None:
            continue
        if not EARLIEST_YEAR <= moment.year < LATEST_YEAR:
            problems[name] = DATE_SENTENCE
        elif earlier is not None and moment <= earlier:
            problems[name] = _("Gathering, start and end follow one another in this order.")
        earlier = moment
    if draft.gathers_at is not None and draft.starts_at is None:
        problems["starts_at"] = _("Whoever gathers waits for a start: give it, too.")
    return problems
