"""Putting a message into the queue, in the transaction that wants it sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.db import first_id_of, new_id
from tearline.notices.messages import CHANNELS
from tearline.notices.model import Notice
from tearline.notices.wording import TEMPLATES


async def enqueue(
    tx: AsyncConnection,
    *,
    channel: str,
    recipient: str,
    language: str,
    template: str,
    values: dict[str, Any],
    expires_at: datetime,
    now: datetime,
) -> UUID:
    """Have a message sent in the background once ``tx`` has committed; answers the notice's id.

    Args:
        recipient: a phone number in E.164.
        template: a wording of ``notices.wording``, filled with ``values``.
        expires_at: after this the message is not sent any more.
    """
    if channel not in CHANNELS or template not in TEMPLATES:
        raise ValueError(f"no such channel or template: {channel!r}, {template!r}")
    notice_id = new_id()
    await tx.execute(
        insert(Notice).values(
            id=notice_id,
            channel=channel,
            recipient=recipient,
            language=language,
            template=template,
            values=values,
            next_attempt_at=now,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return notice_id


async def withdraw(tx: AsyncConnection, notice_id: UUID) -> bool:
    """Take back a message that nobody has begun to send; True when that was still possible."""
    withdrawn = await tx.execute(
        update(Notice)
        .where(Notice.id == notice_id, Notice.state == "queued")
        .values(state="failed", error="withdrawn", values={})
    )
    return bool(withdrawn.rowcount)


async def forget_notices(tx: AsyncConnection, *, created_before: datetime, most: int = 10_000) -> int:
    """Delete up to ``most`` notices that are done with and older than this; answers how many.

    Phone numbers should not be kept longer than needed. Called by a scheduled job.
    """
    return (await tx.execute(delete(Notice).where(Notice.id.in_(old_notices(created_before, most))))).rowcount


def old_notices(created_before: datetime, most: int) -> Select[UUID]:
    """The ids that ``forget_notices`` deletes, the oldest first."""
    # Ids begin with the time: the primary key leads to the old rows alone, and past none that is kept.
    is_old = Notice.id < first_id_of(created_before)
    return (
        select(Notice.id).where(is_old, Notice.state.in_(("sent", "failed"))).order_by(Notice.id).limit(most)
    )
