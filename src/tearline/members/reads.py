"""Questions about members, their plans, tiers and groups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, Uuid, and_, bindparam, false, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.audience import Audience, marks_of
from tearline.core.refusal import Refusal
from tearline.db import LocalisedText
from tearline.db.statement import AnyConnection, Statement
from tearline.members.model import Member, MemberGroup, MemberPhone, Plan, Tier
from tearline.members.tokens import MemberIdentity
from tearline.merchants.model import AnySelect


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member."""

    id: UUID
    phone: str
    name: str | None
    language: str
    plan: str | None
    tier: str | None
    groups: list[str]
    tags: list[str]
    epoch: int
    state: str
    created_at: datetime
    last_signed_in_at: datetime | None

    @property
    def marks(self) -> frozenset[str]:
        """What audiences go by."""
        return marks_of(self.plan, self.tier, self.groups, self.tags)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A membership card with its tiers, lowest first."""

    code: str
    names: LocalisedText
    tiers: list[TierRow]


@dataclass(frozen=True, slots=True)
class TierRow:
    """A step within a plan."""

    plan: str
    code: str
    names: LocalisedText
    rank: int


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A named set of members."""

    code: str
    names: LocalisedText


MEMBER_COLUMNS: tuple[Any, ...] = (
    Member.id, Member.phone, Member.name, Member.language, Member.plan, Member.tier, Member.groups,
    Member.tags, Member.epoch, Member.state, Member.created_at, Member.last_signed_in_at,
)  # fmt: skip


_BY_ID = Statement(select(*MEMBER_COLUMNS).where(Member.id == bindparam("id", type_=Uuid)))
_BY_PHONE = Statement(
    select(*MEMBER_COLUMNS)
    .join(MemberPhone, MemberPhone.member_id == Member.id)
    .where(MemberPhone.phone == bindparam("phone", type_=Text))
)


async def member_by_id(connection: AnyConnection, member_id: UUID) -> MemberRow | None:
    """The member, or None."""
    row = await _BY_ID.row(connection, id=member_id)
    return None if row is None else MemberRow(*row)


async def member_in_session(connection: AnyConnection, identity: MemberIdentity) -> MemberRow:
    """The member whom a token names, as long as the member has not ended that session and isn't blocked.

    The token itself is good until it expires. What it opens, such as coupons that can be used at once, is
    worth the one look-up.

    Raises:
        Refusal: ``session_ended``, ``member_blocked``.
    """
    member = await member_by_id(connection, identity.member_id)
    if member is None:
        raise Refusal("session_ended")
    if member.state != "active":
        raise Refusal("member_blocked")
    if member.epoch != identity.epoch:
        raise Refusal("session_ended")
    return member


async def member_by_phone(connection: AnyConnection, e164: str) -> MemberRow | None:
    """The member with this number (see ``phones.parse_phone``), or None."""
    row = await _BY_PHONE.row(connection, phone=e164)
    return None if row is None else MemberRow(*row)


def members_list(*, group: str | None = None, tag: str | None = None) -> AnySelect:
    """The columns of ``MemberRow`` for a list, which filters, sorts and pages it itself.

    Args:
        group, tag: only members with these: conditions on arrays that an index answers.
    """
    statement: Any = select(*MEMBER_COLUMNS)
    if group is not None:
        statement = statement.where(Member.groups.contains([group]))
    if tag is not None:
        statement = statement.where(Member.tags.contains([tag]))
    return statement  # type: ignore[no-any-return]


async def count_audience(connection: AsyncConnection, audience: Audience) -> int:
    """How many active members belong to an audience at present."""
    conditions = [_has_mark(mark) for mark in sorted(audience.all_of)]
    conditions += [not_(_has_mark(mark)) for mark in sorted(audience.none_of)]
    if audience.any_of:
        conditions.append(or_(*(_has_mark(mark) for mark in sorted(audience.any_of))))
    query = select(func.count()).select_from(Member).where(Member.state == "active", *conditions)
    return int((await connection.execute(query)).scalar_one())


def _has_mark(mark: str) -> ColumnElement[bool]:
    """``core.audience.marks_of`` as SQL, for one mark."""
    kind, _colon, key = mark.partition(":")
    match kind:
        case "group":
            return Member.groups.contains([key])
        case "tag":
            return Member.tags.contains([key])
        case "tier":
            plan, _slash, tier = key.partition("/")
            return func.coalesce(and_(Member.plan == plan, Member.tier == tier), false())
        case _:
            # A member without a plan isn't in any, rather than perhaps.
            return func.coalesce(Member.plan == key, false())


async def plans(connection: AsyncConnection) -> list[PlanRow]:
    """Every plan with its tiers, by code."""
    tiers: dict[str, list[TierRow]] = {}
    tier_rows = await connection.execute(
        select(Tier.plan, Tier.code, Tier.names, Tier.rank).order_by(Tier.rank)
    )
    for row in tier_rows:
        tiers.setdefault(row.plan, []).append(TierRow(*row))
    rows = await connection.execute(select(Plan.code, Plan.names).order_by(Plan.code))
    return [PlanRow(row.code, row.names, tiers.get(row.code, [])) for row in rows]


async def groups(connection: AsyncConnection) -> list[GroupRow]:
    """Every group, by code."""
    rows = await connection.execute(select(MemberGroup.code, MemberGroup.names).order_by(MemberGroup.code))
    return [GroupRow(*row) for row in rows]


async def tags(connection: AsyncConnection, limit: int = 200) -> list[str]:
    """Tags in use, the most used first: suggestions for a form."""
    tag = func.unnest(Member.tags).label("tag")
    used = select(tag).subquery()
    rows = await connection.execute(
        select(used.c.tag).group_by(used.c.tag).order_by(func.count().desc(), used.c.tag).limit(limit)
    )
    return list(rows.scalars())
