"""Writes the demo's plans, tiers, groups and members, by COPY."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.cli.demo.people import GROUPS, PLANS, Person
from tearline.members.model import MemberGroup, Plan, Tier


async def copy_rows(
    tx: AsyncConnection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write rows into a table by COPY, in the transaction at hand. Names come from our own code only."""
    raw = await tx.get_raw_connection()
    connection: Any = raw.driver_connection
    async with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            await copy.write_row(row)


async def write_members(tx: AsyncConnection, members: Sequence[Person]) -> None:
    """Write the plans, tiers and groups, and all members with their phone numbers."""
    await tx.execute(
        insert(Plan), [{"code": code, "names": names} for code, (names, _tiers) in PLANS.items()]
    )
    tiers = [
        {"plan": plan, "code": code, "names": names, "rank": rank}
        for plan, (_names, tiers) in PLANS.items()
        for rank, (code, names) in enumerate(tiers.items(), start=1)
    ]
    await tx.execute(insert(Tier), tiers)
    await tx.execute(insert(MemberGroup), [{"code": code, "names": names} for code, names in GROUPS.items()])
    columns = (
        "id", "phone", "name", "language", "plan", "tier", "groups", "tags", "state", "created_at",
        "last_signed_in_at",
    )  # fmt: skip
    rows = (
        (
            member.id, member.phone, member.name, member.language, member.plan, member.tier, member.groups,
            member.tags, member.state, member.created_at, member.created_at + timedelta(minutes=1),
        )
        for member in members
    )  # fmt: skip
    await copy_rows(tx, "member", columns, rows)
    await copy_rows(
        tx, "member_phone", ("phone", "member_id"), ((member.phone, member.id) for member in members)
    )
