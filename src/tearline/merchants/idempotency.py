"""The first answer to a write with an ``Idempotency-Key``, kept with its effect and given to every repeat.

    async with transaction(database) as tx:
        earlier = await remembered(tx, caller, key, fingerprint_of(method, path, body), now)
        if earlier is not None:
            return earlier                      # marked as a replay by the face
        answer = await actions.create_merchant(tx, ...)
        await remember(tx, caller, key, status=201, answer=answer)
    # committed: effect and answer together, or neither

``remembered`` puts the key down at once, so of two requests at the same time the second waits at the unique
constraint until the first has committed, and then gets its answer; or until it has rolled back, and then
does the work itself. A refusal rolls back, so it is not remembered: the repeat is decided anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.texts import is_storable
from tearline.i18n import _
from tearline.merchants.model import RememberedAnswer

LONGEST_KEY = 200
_UNANSWERED = 0


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An earlier answer: its HTTP status and its body."""

    status: int
    answer: dict[str, Any]


def fingerprint_of(method: str, path: str, body: bytes) -> bytes:
    """What tells one request from another under the same key: SHA-256 of method, path and body."""
    digest = hashlib.sha256()
    for part in (method.upper().encode(), path.encode("utf-8", "replace"), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def caller_of(kind: str, id_: UUID | None) -> str:
    """The caller's name in the table; one caller's keys never meet another's."""
    return f"{kind}:{id_}"


async def remembered(
    tx: AsyncConnection, caller: str, key: str, fingerprint: bytes, now: datetime
) -> StoredAnswer | None:
    """The first answer to this key; None when this request is the first, and must ``remember`` its own.

    Raises:
        Refusal: ``idempotency_key_reused`` when the key came with another request; ``invalid`` for a key
            that is empty or too long.
    """
    if not key or len(key) > LONGEST_KEY or not is_storable(key):
        raise Refusal("invalid", fields={"Idempotency-Key": _("Give a key of 1 to 200 characters.")})
    put_down = await tx.scalar(
        insert(RememberedAnswer)
        .values(
            caller=caller,
            idempotency_key=key,
            fingerprint=fingerprint,
            status=_UNANSWERED,
            answer={},
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(RememberedAnswer.idempotency_key)
    )
    if put_down is not None:
        return None
    row = (
        await tx.execute(
            select(RememberedAnswer).where(
                RememberedAnswer.caller == caller, RememberedAnswer.idempotency_key == key
            )
        )
    ).one_or_none()
    if row is None:
        # Forgotten by age between the two statements: nothing is known, so nothing may be done twice.
        raise Refusal("unavailable")
    if row.fingerprint != fingerprint:
        raise Refusal("idempotency_key_reused")
    if row.status == _UNANSWERED:
        raise RuntimeError(f"The answer under {key!r} was never remembered.")
    return StoredAnswer(row.status, row.answer)


async def remember(tx: AsyncConnection, caller: str, key: str, *, status: int, answer: Any) -> None:
    """Keep this answer under the key that ``remembered`` has put down in the same transaction."""
    kept = await tx.execute(
        update(RememberedAnswer)
        .where(RememberedAnswer.caller == caller, RememberedAnswer.idempotency_key == key)
        .values(status=status, answer=msgspec.to_builtins(answer))
    )
    if kept.rowcount != 1:
        raise RuntimeError(f"The key {key!r} was not put down before.")


async def forget_answers(tx: AsyncConnection, created_before: datetime) -> int:
    """Delete answers older than this; for scheduled work. Returns how many there were."""
    return (
        await tx.execute(delete(RememberedAnswer).where(RememberedAnswer.created_at < created_before))
    ).rowcount
