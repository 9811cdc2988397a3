"""Tickets and passes: signed tokens, so that nothing is stored for somebody who waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

from tearline.core.refusal import Refusal
from tearline.core.sealing import Seal

_TICKET = Struct(">16sIQ")
_PASS = Struct(">16sIq16sQQ")
_NOBODY = bytes(16)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A visitor's number of arrival in one round of a room."""

    room_id: UUID
    round: int
    number: int


@dataclass(frozen=True, slots=True)
class Pass:
    """The right to be inside a room until ``expires_at``.

    Attributes:
        place: the place in line that it was got with; below zero for a bypass link.
        member_id: the one member whom it serves; None until somebody has used it.
    """

    room_id: UUID
    round: int
    place: int
    member_id: UUID | None
    entered_at: datetime
    expires_at: datetime


class RoomTokens:
    """Issues and verifies tickets and passes.

    Args:
        keys: secrets of at least 32 bytes; the first signs, all verify.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._tickets = Seal("t1", b"tearline room ticket v1", keys, _TICKET)
        self._passes = Seal("p1", b"tearline room pass v1", keys, _PASS)

    def ticket(self, ticket: Ticket) -> str:
        """The ticket as its visitor carries it."""
        return self._tickets.sealed(ticket.room_id.bytes, ticket.round, ticket.number)

    def read_ticket(self, token: str, room_id: UUID) -> Ticket:
        """The ticket of a visitor of this room.

        Raises:
            Refusal: ``wrong_ticket`` when it is forged, altered, or another room's.
        """
        values = self._tickets.opened(token)
        if values is None or values[0] != room_id.bytes:
            raise Refusal("wrong_ticket")
        return Ticket(room_id, values[1], values[2])

    def passed(self, one: Pass) -> str:
        """The pass as its visitor carries it. Times are kept in whole seconds."""
        member = one.member_id.bytes if one.member_id else _NOBODY
        entered, expires = int(one.entered_at.timestamp()), int(one.expires_at.timestamp())
        return self._passes.sealed(one.room_id.bytes, one.round, one.place, member, entered, expires)

    def read_pass(self, token: str, room_id: UUID, now: datetime) -> Pass:
        """The pass of somebody inside this room.

        Raises:
            Refusal: ``pass_required`` when it is forged, altered, or another room's; ``pass_ended`` when
                its time is up.
        """
        values = self._passes.opened(token)
        if values is None or values[0] != room_id.bytes:
            raise Refusal("pass_required")
        _, round_, place, member, entered, expires = values
        if now.timestamp() >= expires:
            raise Refusal("pass_ended")
        return Pass(
            room_id,
            round_,
            place,
            None if member == _NOBODY else UUID(bytes=member),
            datetime.fromtimestamp(entered, UTC),
            datetime.fromtimestamp(expires, UTC),
        )
