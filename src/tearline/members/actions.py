"""What staff do to members: making, changing and blocking them, and ending their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.membership import LONGEST_NAME, normalise_tags, tags_problem
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import check_text
from tearline.db import new_id
from tearline.i18n import DEFAULT_LANGUAGE, LANGUAGES, _
from tearline.members.model import Member, MemberGroup, MemberPhone, Plan, Tier
from tearline.members.phones import parse_phone
from tearline.members.reads import MEMBER_COLUMNS, MemberRow
from tearline.merchants.audit import changes, record_audit

# A list of codes longer than this comes from no form.
_MOST_GROUPS = 50


class MemberChange(TypedDict, total=False):
    """What can be changed of a member; what is left out stays."""

    name: str | None
    language: str
    plan: str | None
    tier: str | None
    groups: Sequence[str]
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member to be made."""

    phone: str
    """As typed, or E.164."""
    name: str | None = None
    language: str = DEFAULT_LANGUAGE
    plan: str | None = None
    tier: str | None = None
    groups: Sequence[str] = ()
    tags: Sequence[str] = ()
    created_at: datetime | None = None
    """When the person joined, if not now."""
    id: UUID = field(default_factory=new_id)


async def create_member(
    tx: AsyncConnection, actor: Actor, member: NewMember, *, default_region: str, now: datetime
) -> UUID:
    """Make a member, before or without a first sign-in.

    Raises:
        Refusal: ``not_allowed``, ``invalid_phone``, ``invalid``, ``already_taken`` (the phone number).
    """
    actor.require("members.write")
    row = _row(member, default_region, now)
    await _check(tx, [row])
    await _insert(tx, [row])
    shown = {name: row[name] for name in ("phone", "name", "language", "plan", "tier", "groups", "tags")}
    await record_audit(tx, actor, "member.created", "member", member.id, None, shown, now)
    return member.id


async def import_members(
    tx: AsyncConnection, actor: Actor, members: Sequence[NewMember], *, default_region: str, now: datetime
) -> int:
    """Make many members at once, all or none, with one entry in the audit log; answers how many.

    Raises:
        Refusal: as ``create_member``.
    """
    actor.require("members.write")
    rows = [_row(member, default_region, now) for member in members]
    if not rows:
        return 0
    await _check(tx, rows)
    await _insert(tx, rows)
    await record_audit(tx, actor, "members.imported", "member", "many", None, {"count": len(rows)}, now)
    return len(rows)


async def update_member(
    tx: AsyncConnection, actor: Actor, member_id: UUID, *, now: datetime, **change: Unpack[MemberChange]
) -> MemberRow:
    """Change a member's name, language, plan, tier, groups or tags; answers the member as it is now.

    A change of plan without a tier leaves the member without one: tiers belong to their plan.

    Raises:
        Refusal: ``not_allowed``, ``not_found``, ``invalid``.
    """
    actor.require("members.write")
    before = await _locked(tx, member_id)
    wanted: dict[str, Any] = dict(change)
    if "plan" in wanted and wanted["plan"] != before.plan:
        wanted.setdefault("tier", None)
    if "tags" in wanted:
        wanted["tags"] = normalise_tags(wanted["tags"])
    if "groups" in wanted:
        wanted["groups"] = sorted(set(wanted["groups"]))
    if isinstance(wanted.get("name"), str):
        wanted["name"] = wanted["name"].strip() or None
    old, new = changes(_as_fields(before), wanted)
    if not new:
        return before
    after = replace(before, **new)
    await _check(tx, [_as_fields(after)])
    await tx.execute(update(Member).where(Member.id == member_id).values(**new))
    await record_audit(tx, actor, "member.changed", "member", member_id, old, new, now)
    return after


async def change_phone(
    tx: AsyncConnection, actor: Actor, member_id: UUID, *, phone: str, default_region: str, now: datetime
) -> None:
    """Give a member another phone number and end the sessions made with the old one.

    Raises:
        Refusal: ``not_allowed``, ``not_found``, ``invalid_phone``, ``already_taken``.
    """
    actor.require("members.write")
    number = parse_phone(phone, default_region=default_region).e164
    before = await _locked(tx, member_id)
    if number == before.phone:
        return
    await _take_phones(tx, {number: member_id})
    await tx.execute(delete(MemberPhone).where(MemberPhone.phone == before.phone))
    await tx.execute(
        update(Member).where(Member.id == member_id).values(phone=number, epoch=Member.epoch + 1)
    )
    await record_audit(
        tx,
        actor,
        "member.phone_changed",
        "member",
        member_id,
        {"phone": before.phone},
        {"phone": number},
        now,
    )


async def block_member(tx: AsyncConnection, actor: Actor, member_id: UUID, *, now: datetime) -> None:
    """Suspend a member and end all sessions; nothing happens when that was done before.

    Raises:
        Refusal: ``not_allowed``, ``not_found``.
    """
    await _set_state(tx, actor, member_id, "blocked", now)


async def unblock_member(tx: AsyncConnection, actor: Actor, member_id: UUID, *, now: datetime) -> None:
    """Let a suspended member sign in again.

    Raises:
        Refusal: ``not_allowed``, ``not_found``.
    """
    await _set_state(tx, actor, member_id, "active", now)


async def end_sessions(tx: AsyncConnection, actor: Actor, member_id: UUID, *, now: datetime) -> int:
    """End every session of a member, at the next write of each; answers the new epoch.

    Raises:
        Refusal: ``not_allowed``, ``not_found``.
    """
    actor.require("members.write")
    before = await _locked(tx, member_id)
    epoch = before.epoch + 1
    await tx.execute(update(Member).where(Member.id == member_id).values(epoch=epoch))
    await record_audit(
        tx,
        actor,
        "member.sessions_ended",
        "member",
        member_id,
        {"epoch": before.epoch},
        {"epoch": epoch},
        now,
    )
    return epoch


async def sign_out_everywhere(tx: AsyncConnection, member_id: UUID, epoch: int) -> None:
    """A member ends every session of their own, this one too. Raises Refusal: ``session_ended``."""
    ended = await tx.execute(
        update(Member).where(Member.id == member_id, Member.epoch == epoch).values(epoch=Member.epoch + 1)
    )
    if not ended.rowcount:
        raise Refusal("session_ended")


async def update_own_profile(
    tx: AsyncConnection, member_id: UUID, epoch: int, *, name: str | None, language: str
) -> None:
    """A member changes their own name and language.

    Raises:
        Refusal: ``invalid``, ``session_ended`` when the epoch is an old one or the member is blocked.
    """
    name = (name or "").strip() or None
    if problems := _problems({"name": name, "language": language, "tags": [], "groups": []}):
        raise Refusal("invalid", fields=problems)
    changed = await tx.execute(
        update(Member)
        .where(Member.id == member_id, Member.epoch == epoch, Member.state == "active")
        .values(name=name, language=language)
    )
    if not changed.rowcount:
        raise Refusal("session_ended")


async def _set_state(tx: AsyncConnection, actor: Actor, member_id: UUID, state: str, now: datetime) -> None:
    actor.require("members.write")
    before = await _locked(tx, member_id)
    if before.state == state:
        return
    epoch = before.epoch + 1 if state == "blocked" else before.epoch
    await tx.execute(update(Member).where(Member.id == member_id).values(state=state, epoch=epoch))
    action = "member.blocked" if state == "blocked" else "member.unblocked"
    await record_audit(tx, actor, action, "member", member_id, {"state": before.state}, {"state": state}, now)


async def _locked(tx: AsyncConnection, member_id: UUID) -> MemberRow:
    statement = select(*MEMBER_COLUMNS).where(Member.id == member_id).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return MemberRow(*row)


def _as_fields(member: MemberRow) -> dict[str, Any]:
    return {name: getattr(member, name) for name in ("name", "language", "plan", "tier", "groups", "tags")}


def _row(member: NewMember, default_region: str, now: datetime) -> dict[str, Any]:
    return {
        "id": member.id,
        "phone": parse_phone(member.phone, default_region=default_region).e164,
        "name": (member.name or "").strip() or None,
        "language": member.language,
        "plan": member.plan,
        "tier": member.tier,
        "groups": sorted(set(member.groups)),
        "tags": normalise_tags(member.tags),
        "created_at": member.created_at or now,
    }


def _problems(row: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a member's fields, as far as they tell by themselves."""
    problems: dict[str, str] = {}
    if row["name"] is not None and (problem := check_text(row["name"], maximum=LONGEST_NAME)):
        problems["name"] = problem
    if row["language"] not in LANGUAGES:
        problems["language"] = _("There are English, Traditional and Simplified Chinese and Thai.")
    if problem := tags_problem(row["tags"]):
        problems["tags"] = problem
    if len(row["groups"]) > _MOST_GROUPS:
        problems["groups"] = _("These are too many groups.")
    return problems


async def _check(tx: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Refuse rows that make no sense, or name a plan, tier or group that does not exist."""
    plans = set((await tx.execute(select(Plan.code))).scalars())
    tiers = {(row.plan, row.code) for row in await tx.execute(select(Tier.plan, Tier.code))}
    groups = set((await tx.execute(select(MemberGroup.code))).scalars())
    for row in rows:
        problems = _problems(row)
        if row["plan"] is not None and row["plan"] not in plans:
            problems["plan"] = _("There is no such plan.")
        elif row["tier"] is not None and (row["plan"], row["tier"]) not in tiers:
            problems["tier"] = _("This plan has no such tier.")
        if not groups.issuperset(row["groups"]):
            problems["groups"] = _("There is no such group.")
        if problems:
            raise Refusal("invalid", fields=problems)


async def _insert(tx: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    phones = {row["phone"]: row["id"] for row in rows}
    if len(phones) < len(rows):
        raise Refusal("already_taken", fields={"phone": _("The same phone number occurs twice.")})
    await _take_phones(tx, phones)
    await tx.execute(insert(Member), rows)


async def _take_phones(tx: AsyncConnection, phones: dict[str, UUID]) -> None:
    # In order of the number, so that two imports with the same numbers wait for one another in one direction.
    rows = [{"phone": phone, "member_id": phones[phone]} for phone in sorted(phones)]
    for start in range(0, len(rows), 5000):
        part = rows[start : start + 5000]
        taken = await tx.execute(
            upsert(MemberPhone).values(part).on_conflict_do_nothing().returning(MemberPhone.phone)
        )
        if len(taken.all()) < len(part):
            raise Refusal("already_taken", fields={"phone": _("Another member has this phone number.")})
