"""What every change of a campaign is made of, whatever its kind: its lock, its version, its columns.

Every action locks the campaign's row before anything else and raises its version: desks take the same lock, and
one that sees another version loads the definition again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core import campaigns as core
from tearline.core.audience import audience_to_json
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import without_blanks
from tearline.db import new_id, violated_constraint
from tearline.i18n import _
from tearline.merchants.audit import changes, record_audit

CODE_TAKEN_SENTENCE = _("This code is already in use; choose another.")
NOT_EDITABLE_SENTENCE = _("This can no longer be changed in its present state.")


def require_campaigns(actor: Actor) -> None:
    """Refuse with ``not_allowed`` whoever may not change campaigns."""
    actor.require("campaigns.write")
    # Campaigns are the operator's own.
    actor.require_merchant(None)


async def make_campaign(
    tx: AsyncConnection, actor: Actor, draft: core.CampaignDraft, kind: str, now: datetime
) -> UUID:
    """Make a campaign as a draft; answers its id.

    Raises:
        Refusal: ``invalid`` with what makes no sense by field, ``already_taken`` for the code.
    """
    require_campaigns(actor)
    draft = tidied(draft)
    if problems := core.check_campaign(draft):
        raise Refusal("invalid", fields=problems)
    campaign_id = new_id()
    columns = campaign_columns(draft)
    inserted = await tx.execute(
        insert(Campaign)
        .values(id=campaign_id, kind=kind, created_at=now, updated_at=now, **columns)
        .on_conflict_do_nothing(index_elements=[Campaign.code])
        .returning(Campaign.id)
    )
    if inserted.one_or_none() is None:
        raise Refusal("already_taken", fields={"code": CODE_TAKEN_SENTENCE})
    await record_audit(tx, actor, "campaign.created", "campaign", campaign_id, None, columns, now)
    return campaign_id


async def locked_campaign(
    tx: AsyncConnection, actor: Actor, campaign_id: UUID, version: int | None, *, kind: str | None = None
) -> Row[Any]:
    """The campaign's row, locked.

    Args:
        version: that the person saw; None when it does not matter.
        kind: what it must be; None for any.

    Raises:
        Refusal: ``not_found``, ``not_editable`` for another kind, ``changed_meanwhile``.
    """
    require_campaigns(actor)
    statement = select(Campaign.__table__).where(Campaign.id == campaign_id).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    if kind not in (None, row.kind):
        raise Refusal("not_editable")
    if version is not None and row.version != version:
        raise Refusal("changed_meanwhile", version=row.version)
    return row


async def move_campaign(
    tx: AsyncConnection, actor: Actor, row: Row[Any], state: str, *, action: str, now: datetime
) -> int:
    """Bring a campaign into another state, as far as ``TRANSITIONS`` lets; answers its new version."""
    if state not in core.TRANSITIONS[row.state]:
        raise Refusal("not_editable")
    return await change_campaign(tx, actor, row, {"state": state}, action=action, now=now)


async def change_campaign(
    tx: AsyncConnection, actor: Actor, row: Row[Any], values: Mapping[str, Any], *, action: str, now: datetime
) -> int:
    """Write changed columns of a locked campaign, with the audit log; answers its new version."""
    statement = update(Campaign).where(Campaign.id == row.id)
    try:
        async with tx.begin_nested():
            await tx.execute(statement.values(version=row.version + 1, updated_at=now, **values))
    except IntegrityError as error:
        if violated_constraint(error) == "uq_campaign_code":
            raise Refusal("already_taken", fields={"code": CODE_TAKEN_SENTENCE}) from error
        raise
    was, now_is = changes(dict(row._mapping), values)
    await record_audit(tx, actor, action, "campaign", row.id, was, now_is, now)
    return int(row.version) + 1


async def raise_version(tx: AsyncConnection, row: Row[Any], now: datetime) -> int:
    """Say that something that belongs to a locked campaign has changed; answers its new version."""
    statement = update(Campaign).where(Campaign.id == row.id)
    await tx.execute(statement.values(version=row.version + 1, updated_at=now))
    return int(row.version) + 1


def tidied(draft: core.CampaignDraft) -> core.CampaignDraft:
    """The draft as it is kept: without blanks, its code in upper case."""
    return replace(
        draft,
        code=draft.code.strip().upper(),
        names=without_blanks(draft.names),
        descriptions=without_blanks(draft.descriptions),
        rules=without_blanks(draft.rules),
        image=draft.image or None,
    )


def campaign_columns(draft: core.CampaignDraft) -> dict[str, Any]:
    """What a draft puts into the columns of ``Campaign``."""
    columns = {field.name: getattr(draft, field.name) for field in fields(draft)}
    return {**columns, "audience": audience_to_json(draft.audience)}
