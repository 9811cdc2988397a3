"""The session of a member: a signed token in a cookie or a bearer header, checked without the database.

It carries the member's id, the epoch and the expiry. The epoch ends the sessions of one member: writes
compare it with the member's row. Dropping a key ends the sessions of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from uuid import UUID

from tearline.core.refusal import Refusal
from tearline.core.sealing import Seal

_PAYLOAD = Struct(">16sIQ")


@dataclass(frozen=True, slots=True)
class MemberIdentity:
    """Who a valid token belongs to."""

    member_id: UUID
    epoch: int
    expires_at: datetime


class MemberTokens:
    """Issues and verifies the tokens of members.

    Args:
        keys: secrets of at least 32 bytes; the first signs, all verify.
        lifetime: how long a token is good for.
    """

    def __init__(self, keys: Sequence[bytes], *, lifetime: timedelta = timedelta(days=30)) -> None:
        self._seal = Seal("v1", b"tearline member token v1", keys, _PAYLOAD)
        self._lifetime = lifetime

    def issue(self, member_id: UUID, epoch: int, now: datetime) -> str:
        """A token for this member, good from ``now`` for the lifetime."""
        return self._seal.sealed(member_id.bytes, epoch, int((now + self._lifetime).timestamp()))

    def verify(self, token: str, now: datetime) -> MemberIdentity:
        """Who the token belongs to.

        Raises:
            Refusal: ``session_ended`` when it is not ours, was changed, has expired, or its key is gone.
        """
        values = self._seal.opened(token)
        if values is None:
            raise Refusal("session_ended")
        id_bytes, epoch, expires_at_seconds = values
        if now.timestamp() >= expires_at_seconds:
            raise Refusal("session_ended")
        return MemberIdentity(UUID(bytes=id_bytes), epoch, datetime.fromtimestamp(expires_at_seconds, UTC))
