"""Bodies and answers about waiting rooms."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tearline.core import rooms as core
from tearline.waitingroom.reads import Board
from tearline.web.api.shapes import Answer, Body, Code, Count, Instant, ShortText, Texts, Version

RoomState: TypeAlias = Literal["closed", "gathering", "open", "queueing", "ended"]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Dial: TypeAlias = Annotated[
    int, Meta(ge=0, le=core.MAXIMUM_ACTIVE, description="The dial: how many people may be inside at once.")
]
PerMinute: TypeAlias = Annotated[
    int, Meta(ge=0, le=2_000_000_000, description="How many are called in a minute at most.")
]
Sites: TypeAlias = Annotated[
    list[ShortText],
    Meta(
        max_length=100,
        description="Origins of other sites that the room guards, such as `https://shop.example`.",
    ),
]
CampaignIds: TypeAlias = Annotated[
    list[UUID],
    Meta(max_length=1000, description="Campaigns that nobody claims in without having been let in."),
]

Pages: TypeAlias = Annotated[
    list[ShortText],
    Meta(
        max_length=100,
        description="Paths of the shop that the room guards, each with all below it, such as `/wallet`;"
        " `/` is the home page alone.",
    ),
]


class RoomAnswer(Answer):
    """A waiting room: what was decided about it, and its state."""

    id: UUID
    code: str
    names: Texts
    messages: Texts
    time_zone: str
    gathers_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    max_active: int
    per_minute: int | None
    session_seconds: int
    grace_seconds: int
    queues_when_full: bool
    late_may_enter: bool
    claim_ends_session: bool
    proof_of_work: bool
    joins_per_network: int | None
    sites: list[str]
    campaign_ids: list[UUID]
    pages: list[str]
    version: int
    state: RoomState
    is_paused: bool
    round: int
    follows: list[RoomState]
    """The states that it can be brought to from here."""
    address: str
    """Of its waiting page."""


class RoomRow(Answer):
    """A waiting room in the operator's list."""

    id: UUID
    code: str
    names: Texts
    state: RoomState
    is_paused: bool
    round: int
    time_zone: str
    gathers_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    max_active: int
    per_minute: int | None
    inside: int
    waiting: int
    stock_left: int | None
    version: int
    created_at: datetime
    updated_at: datetime


class BoardAnswer(Answer):
    """What happens in a waiting room at this moment."""

    id: UUID
    code: str
    state: RoomState
    is_paused: bool
    round: int
    max_active: int
    per_minute: int | None
    inside: int
    at_door: int
    waiting: int
    """Places in line that have not been called."""
    coming: int
    """Called, not come yet, and still in their grace time."""
    joined: int
    gathered: int
    """How many came before the start: the places that were drawn."""
    called: int
    entered: int
    no_shows: int
    no_show_share: float | None
    slow_per_minute: float | None
    fast_per_minute: float | None
    """The least and the greatest rate of calls measured lately; null while unknown."""
    drains_in_seconds: list[float] | None
    """Until everyone who waits has been called, at least and at most; null while unknown."""
    stock_left: int | None
    stock_taken: int
    commitment: str | None
    """The SHA-256 of the draw's seed."""
    seed: str | None
    """Of the draw, in hexadecimal; null until the round has started."""
    started_at: datetime | None
    ticked_at: datetime | None
    """When the room was last attended to."""


class NewRoom(Body):
    """A waiting room to be made, closed."""

    code: Code
    names: Texts
    time_zone: ShortText
    max_active: Dial
    messages: Texts = msgspec.field(default_factory=dict)
    gathers_at: Instant | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    per_minute: PerMinute | None = None
    session_seconds: Seconds = 1800
    grace_seconds: Seconds = 120
    queues_when_full: bool = True
    late_may_enter: bool = False
    claim_ends_session: bool = False
    proof_of_work: bool = False
    joins_per_network: Count | None = None
    sites: Sites = msgspec.field(default_factory=list)
    campaign_ids: CampaignIds = msgspec.field(default_factory=list)
    pages: Pages = msgspec.field(default_factory=list)


class RoomChange(Body):
    """What to change of a waiting room."""

    version: Version
    code: Code | UnsetType = UNSET
    names: Texts | UnsetType = UNSET
    messages: Texts | UnsetType = UNSET
    time_zone: ShortText | UnsetType = UNSET
    gathers_at: Instant | UnsetType | None = UNSET
    starts_at: Instant | UnsetType | None = UNSET
    ends_at: Instant | UnsetType | None = UNSET
    max_active: Dial | UnsetType = UNSET
    per_minute: PerMinute | UnsetType | None = UNSET
    session_seconds: Seconds | UnsetType = UNSET
    grace_seconds: Seconds | UnsetType = UNSET
    queues_when_full: bool | UnsetType = UNSET
    late_may_enter: bool | UnsetType = UNSET
    claim_ends_session: bool | UnsetType = UNSET
    proof_of_work: bool | UnsetType = UNSET
    joins_per_network: Count | UnsetType | None = UNSET
    sites: Sites | UnsetType = UNSET
    campaign_ids: CampaignIds | UnsetType = UNSET
    pages: Pages | UnsetType = UNSET


class RoomMove(Body):
    """The state to bring a waiting room to; `follows` says which can be."""

    state: RoomState


class DialTurn(Body):
    """How many people may be inside at once, and how many are called in a minute at most (null: no limit)."""

    max_active: Dial
    per_minute: PerMinute | None


class RoomMessage(Body):
    """What those who wait are told, by language; empty to take it back."""

    messages: Texts


class NewBypass(Body):
    """A link that leads past the line, to be made."""

    name: Annotated[str, Meta(max_length=200, description="Whom it is for.")]
    expires_at: Instant
    uses: Annotated[int, Meta(ge=1, le=10_000, description="How many may enter by it.")] = 1


class BypassAnswer(Answer):
    """A link that leads past the line, without its secret."""

    id: UUID
    name: str
    uses_left: int
    expires_at: datetime
    created_at: datetime


class BypassMade(BypassAnswer):
    """A link that leads past the line, as it is told when it is made and never again."""

    address: str
    """Whoever opens it enters at once."""


def new_room_draft(body: NewRoom) -> core.RoomDraft:
    """The draft that a body describes."""
    return core.RoomDraft(**body.given())


def changed_room_draft(before: core.RoomDraft, change: RoomChange) -> core.RoomDraft:
    """The draft with what was sent in place of what was."""
    given = change.given()
    del given["version"]
    return replace(before, **given)


def room_answer(board: Board, public_url: str) -> RoomAnswer:
    """A room as its operator sees it."""
    values: dict[str, Any] = {
        name: getattr(board.draft, name) for name in core.RoomDraft.__dataclass_fields__
    }
    values |= {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    return RoomAnswer(
        **values,
        id=board.id,
        version=board.version,
        state=board.state,  # type: ignore[arg-type]
        is_paused=board.is_paused,
        round=board.round,
        follows=sorted(core.TRANSITIONS[board.state]),  # type: ignore[arg-type]
        address=f"{public_url}/gate/{board.draft.code}",
    )


def room_row(row: Any) -> RoomRow:
    """A row of the list."""
    return msgspec.convert({name: row._mapping[name] for name in RoomRow.__struct_fields__}, RoomRow)


def board_answer(board: Board) -> BoardAnswer:
    """The board's numbers."""
    names = set(BoardAnswer.__struct_fields__) & set(Board.__dataclass_fields__) - {"seed"}
    values: dict[str, Any] = {name: getattr(board, name) for name in names}
    draining = board.draining
    return BoardAnswer(
        **values,
        code=board.draft.code,
        max_active=board.draft.max_active,
        per_minute=board.draft.per_minute,
        drains_in_seconds=None if draining is None else [span.total_seconds() for span in draining],
        commitment=board.commitment,
        seed=board.revealed_seed,
    )


def bypass_answer(row: Any) -> BypassAnswer:
    """A row of the list of links."""
    return msgspec.convert(dict(row._mapping), BypassAnswer)
