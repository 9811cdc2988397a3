"""What each process knows of the rooms: read once a second for all of them, whatever the number of visitors.

From this the public document of each room is made, which everyone who waits polls; it costs no work in the
database and nothing is kept for a visitor. When the database is away the last known state stands: people
wait on, and admission, which needs the database, pauses by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Row, text

from tearline.core import draw
from tearline.core.admission import Response, first_place_without_stock
from tearline.core.refusal import Refusal
from tearline.core.rooms import page_covering
from tearline.db import Database, is_connection_lost
from tearline.db.patience import pause
from tearline.waitingroom.tokens import Ticket

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 1.0

POLLS: tuple[tuple[int | None, int], ...] = ((100, 2), (1_000, 4), (10_000, 10), (None, 20))
"""How often to ask: with fewer than so many people ahead, every so many seconds; None for any number."""

_ROOMS = text("""
SELECT r.id, r.code, r.names, r.messages, r.time_zone, r.gathers_at, r.starts_at, r.ends_at, r.session_seconds,
    r.grace_seconds, r.late_may_enter, r.claim_ends_session, r.proof_of_work, r.joins_per_network, r.sites,
    s.state, s.is_paused, s.round, s.seed, s.gathered, s.joined, s.called, s.lapsed, s.entered, s.response,
    s.stock_left, s.stock_taken, s.slow_per_minute, s.fast_per_minute, s.started_at, s.ticked_at,
    array(SELECT c.code FROM room_campaign AS g JOIN campaign AS c ON c.id = g.campaign_id
          WHERE g.room_id = r.id ORDER BY c.code) AS campaign_codes,
    array(SELECT path FROM room_page AS p WHERE p.room_id = r.id ORDER BY path) AS pages
FROM room AS r JOIN room_state AS s ON s.room_id = r.id
""")

_LEFT = text("""
SELECT room_id, round, place, ended_at, expires_at FROM room_entry
WHERE room_id = ANY(:rooms) AND ended_at > :since AND ended_by IN ('left', 'finished') AND expires_at > :now
""")
_OVERLAP = timedelta(seconds=10)
"""An end that was committed late may lie before one that was read already."""


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room as every process knows it, at most a second or two old."""

    id: UUID
    code: str
    names: Mapping[str, str]
    messages: Mapping[str, str]
    time_zone: str
    state: str
    is_paused: bool
    round: int
    seed: bytes | None
    gathered: int
    joined: int
    called: int
    lapsed: int
    starts_at: datetime | None
    session_seconds: int
    late_may_enter: bool
    claim_ends_session: bool
    proof_of_work: bool
    joins_per_network: int | None
    sites: tuple[str, ...]
    campaign_codes: tuple[str, ...]
    pages: tuple[str, ...]
    document: bytes
    """The public document, as JSON."""
    etag: bytes

    def place_of(self, number: int) -> int | None:
        """The place in line of a ticket of this round; None before the draw."""
        if self.state == "gathering":
            return None
        return draw.place_in_line(self.seed, self.gathered, number)

    def status_of(self, ticket: Ticket) -> str:
        """How it stands with a ticket of this room: one of ``gathering``, ``waiting``, ``called``, ``missed``,
        ``wrong_round``, ``room_closed``, ``room_ended``."""
        if ticket.round < self.round:
            return "wrong_round"
        if ticket.round > self.round:
            # Taken in a round that this process is about to learn of.
            return "gathering"
        if self.state in ("closed", "ended"):
            return f"room_{self.state}"
        place = self.place_of(ticket.number)
        if place is None:
            return "gathering"
        if self.state == "open":
            return "called"
        if place < self.lapsed:
            return "missed"
        return "called" if place < self.called else "waiting"


class RoomWatch:
    """Keeps the rooms of one process up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_code: dict[str, RoomView] = {}
        self._by_campaign: dict[str, RoomView] = {}
        self._by_page: dict[str, RoomView] = {}
        self._left: dict[tuple[UUID, int, int], datetime] = {}
        """Passes whose holders have left before their time, until their time."""
        self._left_since: datetime | None = None
        self._refreshed_at: float | None = None

    def room(self, code: str) -> RoomView:
        """The room with this code, upper case.

        Raises:
            Refusal: ``not_found``; ``unavailable`` when the rooms have not been read yet.
        """
        found = self._by_code.get(code)
        if found is None:
            raise Refusal("unavailable" if self._refreshed_at is None else "not_found")
        return found

    def find(self, code: str) -> RoomView | None:
        """The room with this code, upper case, or None."""
        return self._by_code.get(code)

    def guard_of(self, campaign_code: str) -> RoomView | None:
        """The room that guards this campaign, or None.

        Raises:
            Refusal: ``unavailable`` when the rooms have not been read yet: nobody is let past unseen.
        """
        if self._refreshed_at is None:
            raise Refusal("unavailable")
        return self._by_campaign.get(campaign_code)

    def guard_of_page(self, path: str) -> RoomView | None:
        """The room that guards this page of ours, or one above it; None when it is free.

        Raises:
            Refusal: ``unavailable`` when the rooms have not been read yet.
        """
        if self._refreshed_at is None:
            raise Refusal("unavailable")
        page = page_covering(path, self._by_page)
        return None if page is None else self._by_page[page]

    def has_left(self, room_id: UUID, round_: int, place: int) -> bool:
        """Whether the holder of this pass has left before its time."""
        return (room_id, round_, place) in self._left

    @property
    def seconds_since_refresh(self) -> float | None:
        """How old what is known is; None when nothing has been read yet."""
        return None if self._refreshed_at is None else time.monotonic() - self._refreshed_at

    async def refresh(self, now: datetime) -> None:
        """Read all rooms, and who has left before their time."""
        since = now - timedelta(days=1) if self._left_since is None else self._left_since - _OVERLAP
        async with self._database.connection() as connection:
            rows = list(await connection.execute(_ROOMS))
            of_rooms = {"rooms": [row.id for row in rows], "since": since, "now": now}
            left = list(await connection.execute(_LEFT, of_rooms)) if rows else []
        views = [_view(row) for row in rows]
        self._by_code = {view.code: view for view in views}
        self._by_campaign = {code: view for view in views for code in view.campaign_codes}
        self._by_page = {page: view for view in views for page in view.pages}
        for row in left:
            self._left[row.room_id, row.round, row.place] = row.expires_at
        self._left = {key: until for key, until in self._left.items() if until > now}
        self._left_since = now
        self._refreshed_at = time.monotonic()

    async def run(
        self, stopping: asyncio.Event, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Refresh once a second until ``stopping`` is set; an absent database is waited for."""
        while not stopping.is_set():
            started = time.monotonic()
            try:
                await self.refresh(clock())
            except Exception as error:
                # Without its rooms a process would let nobody in and never say why: whatever it is, go on.
                log.warning("rooms_not_refreshed", exc_info=None if is_connection_lost(error) else error)
            await pause(stopping, REFRESH_SECONDS - (time.monotonic() - started))


def _view(row: Row[Any]) -> RoomView:
    body = msgspec.json.encode(_document(row))
    names = [name for name in RoomView.__slots__ if name not in ("document", "etag")]
    values: dict[str, Any] = {name: getattr(row, name) for name in names}
    # Lists of the database are tuples here: what every request shares, none may change.
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return RoomView(
        **values,
        document=body,
        etag=b'"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"',
    )


def _document(row: Row[Any]) -> dict[str, Any]:
    """What everyone may know of a room. Made of what is stored alone: the same in every process."""
    has_started = row.started_at is not None
    stock = None
    if row.stock_left is not None:
        response = msgspec.convert(row.response, Response)
        reaches = first_place_without_stock(
            row.called, row.stock_left, row.stock_taken, row.entered, response.no_show_share
        )
        stock = {"left": row.stock_left, "reaches": reaches}
    return {
        "code": row.code,
        "names": row.names,
        "state": row.state,
        "paused": row.is_paused,
        "round": row.round,
        "at": row.ticked_at,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "joined": row.joined,
        "gathered": row.gathered,
        "called": row.called,
        "lapsed": row.lapsed,
        "late_may_enter": row.late_may_enter,
        "session_seconds": row.session_seconds,
        "grace_seconds": row.grace_seconds,
        "per_minute": [row.slow_per_minute, row.fast_per_minute] if row.slow_per_minute else None,
        "stock": stock,
        "messages": row.messages,
        "draw": {
            "commitment": draw.commitment(row.seed) if row.seed else None,
            "seed": row.seed.hex() if row.seed and has_started else None,
        },
        "polls": POLLS,
    }
