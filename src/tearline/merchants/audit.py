"""The audit log: every act of staff, of an API key or of the command line, in the act's own transaction.

An entry says who did what to which subject, and how each changed field read before and after. It is
written by the action that makes the change, so there is no act without its entry and no entry without its
act.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import Actor
from tearline.db import new_id
from tearline.merchants.model import AnySelect, AuditEntry

HIDDEN = "(hidden)"
"""Stands in the log for the value of a secret: that it changed is told, what it is is not."""

SECRET_FIELDS = frozenset(
    {"password_hash", "totp_secret", "totp_new_secret", "secret_hash", "token_hash", "code_hash", "secret"}
)
"""Fields whose values never reach the log."""


async def record_audit(
    tx: AsyncConnection,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject_id: UUID | str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    now: datetime,
    *,
    merchant_id: UUID | None = None,
) -> None:
    """Append one act to the audit log.

    Args:
        action: subject and verb in the past, such as ``offer.created`` or ``prize.inventory_raised``.
        before: the changed fields as they were; None when the subject is new. See ``changes``.
        after: the changed fields as they are now; None when the subject is gone.
        merchant_id: the merchant whose matter it is; the actor's own merchant unless given.
    """
    await tx.execute(
        insert(AuditEntry).values(
            id=new_id(),
            at=now,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            merchant_id=merchant_id or actor.merchant_id,
            action=action,
            subject_kind=subject_kind,
            subject_id=str(subject_id),
            before=null() if before is None else _readable(before),
            after=null() if after is None else _readable(after),
        )
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of ``after`` that differ from ``before``, as they were and as they are now.

    ``before`` may hold more than ``after`` (a whole row, say); only what ``after`` names is compared.
    """
    changed = [name for name, value in after.items() if before.get(name) != value]
    return {name: before.get(name) for name in changed}, {name: after[name] for name in changed}


def audit_entries(actor: Actor) -> AnySelect:
    """The log as this actor may see it, newest first: all, or only the matters of the actor's merchant."""
    statement = select(AuditEntry).order_by(AuditEntry.id.desc())
    if actor.merchant_id is not None:
        statement = statement.where(AuditEntry.merchant_id == actor.merchant_id)
    return statement


def _readable(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: HIDDEN if name in SECRET_FIELDS and value is not None else _plain(value)
        for name, value in fields.items()
    }


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: times in RFC 3339, ids as text, sets as sorted lists."""
    if isinstance(value, Mapping):
        return _readable(value)
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return HIDDEN
    plain = msgspec.to_builtins(value, str_keys=True, enc_hook=str)
    return _readable(plain) if isinstance(plain, dict) else plain
