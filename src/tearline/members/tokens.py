"""The session of a member: a signed token in a cookie or a bearer header, checked without the database.

``v1.<key id>.<payload>.<signature>``: the payload is the member's id, the epoch and the expiry, packed; the
signature is HMAC-SHA256 over all before it. A key is retired by moving it to the end of the list and, once
every token that it signed has expired, dropping it; dropping it at once ends all sessions. The epoch ends
the sessions of one member: writes compare it with the member's row.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from uuid import UUID

from tearline.core.refusal import Refusal

VERSION = "v1"
MINIMUM_KEY_BYTES = 32

_PAYLOAD = Struct(">16sIQ")
_PAYLOAD_CHARACTERS = -(-_PAYLOAD.size * 4 // 3)
_PADDING = "=" * (-_PAYLOAD_CHARACTERS % 4)
_LONGEST_TOKEN = 200


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
        if not keys or any(len(key) < MINIMUM_KEY_BYTES for key in keys):
            raise ValueError(f"at least one key, each of {MINIMUM_KEY_BYTES} bytes or more, is needed")
        # Keys of this purpose only: the same secret may sign other things elsewhere.
        derived = [hmac.digest(key, b"tearline member token v1", hashlib.sha256) for key in keys]
        self._lifetime = lifetime
        self._key_by_id = {_text(hashlib.sha256(key).digest()[:6]): key for key in derived}
        self._signing_id = _text(hashlib.sha256(derived[0]).digest()[:6])

    def issue(self, member_id: UUID, epoch: int, now: datetime) -> str:
        """A token for this member, good from ``now`` for the lifetime."""
        expires_at_seconds = int((now + self._lifetime).timestamp())
        payload = _text(_PAYLOAD.pack(member_id.bytes, epoch, expires_at_seconds))
        signed = f"{VERSION}.{self._signing_id}.{payload}"
        return f"{signed}.{_signature(self._key_by_id[self._signing_id], signed)}"

    def verify(self, token: str, now: datetime) -> MemberIdentity:
        """Who the token belongs to.

        Raises:
            Refusal: ``session_ended`` when it is not ours, was changed, has expired, or its key is gone.
        """
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            raise Refusal("session_ended")
        signed, _, signature = token.rpartition(".")
        parts = signed.split(".")
        if len(parts) != 3 or parts[0] != VERSION or len(parts[2]) != _PAYLOAD_CHARACTERS:
            raise Refusal("session_ended")
        key = self._key_by_id.get(parts[1])
        if key is None or not hmac.compare_digest(_signature(key, signed), signature):
            raise Refusal("session_ended")
        id_bytes, epoch, expires_at_seconds = _PAYLOAD.unpack(urlsafe_b64decode(parts[2] + _PADDING))
        if now.timestamp() >= expires_at_seconds:
            raise Refusal("session_ended")
        return MemberIdentity(UUID(bytes=id_bytes), epoch, datetime.fromtimestamp(expires_at_seconds, UTC))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _signature(key: bytes, signed: str) -> str:
    return _text(hmac.digest(key, signed.encode("ascii"), "sha256"))
