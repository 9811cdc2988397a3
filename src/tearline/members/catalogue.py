"""Making and naming plans, tiers and groups."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.membership import LONGEST_NAME, is_code
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import check_localised, without_blanks
from tearline.db import LocalisedText
from tearline.i18n import _
from tearline.members.model import MemberGroup, Plan, Tier
from tearline.merchants.audit import record_audit


async def create_plan(
    tx: AsyncConnection, actor: Actor, *, code: str, names: LocalisedText, now: datetime
) -> None:
    """Make a plan. Raises Refusal: ``not_allowed``, ``invalid``, ``already_taken``."""
    actor.require("members.write")
    names = _checked(code, names)
    made = await tx.execute(
        insert(Plan).values(code=code, names=names).on_conflict_do_nothing().returning(Plan.code)
    )
    _refuse_if_taken(made.scalar_one_or_none(), "code")
    await record_audit(tx, actor, "plan.created", "plan", code, None, {"code": code, "names": names}, now)


async def create_tier(
    tx: AsyncConnection, actor: Actor, *, plan: str, code: str, names: LocalisedText, rank: int, now: datetime
) -> None:
    """Make a tier within a plan; ``rank`` orders them, the lowest first.

    Raises Refusal: ``not_allowed``, ``not_found`` (the plan), ``invalid``, ``already_taken``.
    """
    actor.require("members.write")
    names = _checked(code, names)
    if not 0 <= rank <= 1000:
        raise Refusal("invalid", fields={"rank": _("A number from 0 to 1000.")})
    if (await tx.execute(select(Plan.code).where(Plan.code == plan))).one_or_none() is None:
        raise Refusal("not_found")
    tier = {"plan": plan, "code": code, "names": names, "rank": rank}
    made = await tx.execute(insert(Tier).values(**tier).on_conflict_do_nothing().returning(Tier.code))
    if made.scalar_one_or_none() is None:
        has_code = (
            await tx.execute(select(Tier.rank).where(Tier.plan == plan, Tier.code == code))
        ).one_or_none()
        _refuse_if_taken(None, "rank" if has_code is None else "code")
    await record_audit(tx, actor, "tier.created", "tier", f"{plan}/{code}", None, tier, now)


async def create_group(
    tx: AsyncConnection, actor: Actor, *, code: str, names: LocalisedText, now: datetime
) -> None:
    """Make a group. Raises Refusal: ``not_allowed``, ``invalid``, ``already_taken``."""
    actor.require("members.write")
    names = _checked(code, names)
    made = await tx.execute(
        insert(MemberGroup)
        .values(code=code, names=names)
        .on_conflict_do_nothing()
        .returning(MemberGroup.code)
    )
    _refuse_if_taken(made.scalar_one_or_none(), "code")
    await record_audit(tx, actor, "group.created", "group", code, None, {"code": code, "names": names}, now)


async def rename_plan(
    tx: AsyncConnection, actor: Actor, code: str, *, names: LocalisedText, now: datetime
) -> None:
    """Give a plan other names. Raises Refusal: ``not_allowed``, ``not_found``, ``invalid``."""
    actor.require("members.write")
    names = _checked(code, names)
    locked = select(Plan.names).where(Plan.code == code).with_for_update()
    before = (await tx.execute(locked)).scalar_one_or_none()
    if before is None:
        raise Refusal("not_found")
    await tx.execute(update(Plan).where(Plan.code == code).values(names=names))
    await record_audit(tx, actor, "plan.renamed", "plan", code, {"names": before}, {"names": names}, now)


async def rename_group(
    tx: AsyncConnection, actor: Actor, code: str, *, names: LocalisedText, now: datetime
) -> None:
    """Give a group other names. Raises Refusal: ``not_allowed``, ``not_found``, ``invalid``."""
    actor.require("members.write")
    names = _checked(code, names)
    locked = select(MemberGroup.names).where(MemberGroup.code == code).with_for_update()
    before = (await tx.execute(locked)).scalar_one_or_none()
    if before is None:
        raise Refusal("not_found")
    await tx.execute(update(MemberGroup).where(MemberGroup.code == code).values(names=names))
    await record_audit(tx, actor, "group.renamed", "group", code, {"names": before}, {"names": names}, now)


def _checked(code: str, names: LocalisedText) -> LocalisedText:
    problems = check_localised("names", names, maximum=LONGEST_NAME, english_required=True)
    if not is_code(code):
        problems["code"] = _("Lower-case letters, digits, - and _, at most 40 characters.")
    if problems:
        raise Refusal("invalid", fields=problems)
    return without_blanks(names)


def _refuse_if_taken(made: str | None, field: str) -> None:
    if made is None:
        raise Refusal("already_taken", fields={field: _("This is already in use; choose another.")})
