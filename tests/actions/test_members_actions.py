"""What staff do to members, their plans, tiers and groups, with its audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.membership import is_code, normalise_tags
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor, command_actor
from tearline.db import new_id
from tearline.members import actions, catalogue, reads
from tearline.members.actions import NewMember
from tearline.members.model import MemberPhone
from tearline.members.phones import display_phone, mask_phone
from tearline.merchants.model import AuditEntry

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
OWNER = command_actor("tests")
STRANGER = Actor(kind="staff", id=new_id(), name="Kit", permissions=frozenset({"console", "members.read"}))


@pytest.fixture
async def world(tx: AsyncConnection) -> AsyncConnection:
    """A plan with two tiers, another without, and a group."""
    await catalogue.create_plan(tx, OWNER, code="city", names={"en": "City Pass"}, now=NOW)
    await catalogue.create_plan(tx, OWNER, code="harbour", names={"en": "Harbour"}, now=NOW)
    await catalogue.create_tier(tx, OWNER, plan="city", code="gold", names={"en": "Gold"}, rank=2, now=NOW)
    await catalogue.create_tier(tx, OWNER, plan="city", code="basic", names={"en": "Basic"}, rank=1, now=NOW)
    await catalogue.create_group(tx, OWNER, code="hotel", names={"en": "Hotel partners"}, now=NOW)
    return tx


async def make(tx: AsyncConnection, phone: str = "51234567", **changes: Any) -> UUID:
    return await actions.create_member(tx, OWNER, NewMember(phone, **changes), default_region="HK", now=NOW)


async def refusal_of(awaitable: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value


async def acts(tx: AsyncConnection) -> list[Any]:
    columns = (AuditEntry.action, AuditEntry.subject_id, AuditEntry.before, AuditEntry.after)
    return list((await tx.execute(select(*columns).order_by(AuditEntry.id))).all())


async def member_of(tx: AsyncConnection, member_id: UUID) -> reads.MemberRow:
    member = await reads.member_by_id(tx, member_id)
    assert member is not None
    return member


async def test_a_member_is_made_with_everything(world: AsyncConnection) -> None:
    id_ = await make(
        world, name=" Chan Tai Man ", language="zh-Hant", plan="city", tier="gold", groups=["hotel", "hotel"],
        tags=["Foodie ", "foodie", "Ｆamily"],
    )  # fmt: skip
    member = await member_of(world, id_)
    assert (member.phone, member.name, member.plan, member.tier) == (
        "+85251234567",
        "Chan Tai Man",
        "city",
        "gold",
    )
    assert (member.groups, member.tags, member.epoch, member.state) == (
        ["hotel"],
        ["family", "foodie"],
        1,
        "active",
    )
    assert member.marks == {"plan:city", "tier:city/gold", "group:hotel", "tag:family", "tag:foodie"}
    assert await reads.member_by_phone(world, "+85251234567") == member
    assert await reads.member_by_phone(world, "+85251234568") is None
    act = (await acts(world))[-1]
    assert (act.action, act.subject_id, act.before, act.after["tier"]) == (
        "member.created",
        str(id_),
        None,
        "gold",
    )


async def test_a_phone_number_belongs_to_one_member(world: AsyncConnection) -> None:
    await make(world)
    assert (await refusal_of(make(world, phone="+852 5123 4567"))).reason == "already_taken"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"plan": "nowhere"}, "plan"),
        ({"plan": "harbour", "tier": "gold"}, "tier"),
        ({"tier": "gold"}, "tier"),
        ({"groups": ["hotel", "nobody"]}, "groups"),
        ({"groups": [str(number) for number in range(51)]}, "groups"),
        ({"language": "fr"}, "language"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"tags": ["x" * 41]}, "tags"),
        ({"tags": [f"t{number}" for number in range(51)]}, "tags"),
    ],
)
async def test_what_makes_no_sense_is_refused_where_it_was_typed(
    world: AsyncConnection, changes: dict[str, Any], field: str
) -> None:
    refusal = await refusal_of(make(world, **changes))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {field})
    id_ = await make(world)
    refusal = await refusal_of(actions.update_member(world, OWNER, id_, now=NOW, **changes))
    assert (refusal.reason, set(refusal.fields)) == ("invalid", {field})


async def test_a_change_is_logged_with_what_it_changed(world: AsyncConnection) -> None:
    id_ = await make(world, name="Chan", plan="city", tier="basic")
    after = await actions.update_member(world, OWNER, id_, tier="gold", name="Chan", tags=["VIP"], now=NOW)
    assert after == await member_of(world, id_)
    act = (await acts(world))[-1]
    assert (act.action, act.before, act.after) == (
        "member.changed", {"tier": "basic", "tags": []}, {"tier": "gold", "tags": ["vip"]}
    )  # fmt: skip
    count = len(await acts(world))
    await actions.update_member(world, OWNER, id_, tier="gold", now=NOW)
    assert len(await acts(world)) == count


async def test_another_plan_takes_the_tier_away(world: AsyncConnection) -> None:
    id_ = await make(world, plan="city", tier="gold")
    after = await actions.update_member(world, OWNER, id_, plan="harbour", now=NOW)
    assert (after.plan, after.tier) == ("harbour", None)


async def test_another_phone_number_ends_the_sessions(world: AsyncConnection) -> None:
    id_ = await make(world)
    await make(world, phone="51234568")
    change = actions.change_phone(world, OWNER, id_, phone="51234569", default_region="HK", now=NOW)
    await change
    member = await member_of(world, id_)
    assert (member.phone, member.epoch) == ("+85251234569", 2)
    phones = (
        (await world.execute(select(MemberPhone.phone).where(MemberPhone.member_id == id_))).scalars().all()
    )
    assert phones == ["+85251234569"]
    taken = actions.change_phone(world, OWNER, id_, phone="51234568", default_region="HK", now=NOW)
    assert (await refusal_of(taken)).reason == "already_taken"


async def test_blocking_ends_sessions_and_is_undone(world: AsyncConnection) -> None:
    id_ = await make(world)
    await actions.block_member(world, OWNER, id_, now=NOW)
    await actions.block_member(world, OWNER, id_, now=NOW)
    member = await member_of(world, id_)
    assert (member.state, member.epoch) == ("blocked", 2)
    await actions.unblock_member(world, OWNER, id_, now=NOW)
    member = await member_of(world, id_)
    assert (member.state, member.epoch) == ("active", 2)
    assert [act.action for act in await acts(world)][-2:] == ["member.blocked", "member.unblocked"]


async def test_sessions_are_ended_by_staff_and_by_the_member(world: AsyncConnection) -> None:
    id_ = await make(world)
    assert await actions.end_sessions(world, OWNER, id_, now=NOW) == 2
    assert (await refusal_of(actions.sign_out_everywhere(world, id_, 1))).reason == "session_ended"
    await actions.sign_out_everywhere(world, id_, 2)
    assert (await member_of(world, id_)).epoch == 3


async def test_a_member_changes_their_own_name_and_language(world: AsyncConnection) -> None:
    id_ = await make(world)
    await actions.update_own_profile(world, id_, 1, name=" Mei ", language="th")
    member = await member_of(world, id_)
    assert (member.name, member.language) == ("Mei", "th")
    old = actions.update_own_profile(world, id_, 9, name="Mei", language="th")
    assert (await refusal_of(old)).reason == "session_ended"
    wrong = actions.update_own_profile(world, id_, 1, name="Mei", language="xx")
    assert set((await refusal_of(wrong)).fields) == {"language"}


async def test_who_may_not_write_members_may_do_nothing(world: AsyncConnection) -> None:
    id_ = await make(world)
    names = {"en": "x"}
    for attempt in (
        actions.create_member(world, STRANGER, NewMember("51234568"), default_region="HK", now=NOW),
        actions.import_members(world, STRANGER, [], default_region="HK", now=NOW),
        actions.update_member(world, STRANGER, id_, name="x", now=NOW),
        actions.change_phone(world, STRANGER, id_, phone="51234568", default_region="HK", now=NOW),
        actions.block_member(world, STRANGER, id_, now=NOW),
        actions.unblock_member(world, STRANGER, id_, now=NOW),
        actions.end_sessions(world, STRANGER, id_, now=NOW),
        catalogue.create_plan(world, STRANGER, code="x", names=names, now=NOW),
        catalogue.create_tier(world, STRANGER, plan="city", code="x", names=names, rank=9, now=NOW),
        catalogue.create_group(world, STRANGER, code="x", names=names, now=NOW),
        catalogue.rename_plan(world, STRANGER, "city", names=names, now=NOW),
        catalogue.rename_group(world, STRANGER, "hotel", names=names, now=NOW),
    ):
        assert (await refusal_of(attempt)).reason == "not_allowed"


async def test_nobody_by_that_id(world: AsyncConnection) -> None:
    nobody = new_id()
    assert await reads.member_by_id(world, nobody) is None
    for attempt in (
        actions.update_member(world, OWNER, nobody, name="x", now=NOW),
        actions.end_sessions(world, OWNER, nobody, now=NOW),
    ):
        assert (await refusal_of(attempt)).reason == "not_found"


async def test_many_members_are_imported_at_once(world: AsyncConnection) -> None:
    joined = NOW - timedelta(days=90)
    many = [NewMember(f"+85251{number:06d}", plan="city", created_at=joined) for number in range(6000)]
    assert await actions.import_members(world, OWNER, many, default_region="HK", now=NOW) == 6000
    act = (await acts(world))[-1]
    assert (act.action, act.after) == ("members.imported", {"count": 6000})
    assert (await member_of(world, many[-1].id)).created_at == joined


async def test_an_import_with_a_number_twice_is_refused_whole(world: AsyncConnection) -> None:
    twice = [NewMember("51234567"), NewMember("+852 51234567")]
    refusal = await refusal_of(actions.import_members(world, OWNER, twice, default_region="HK", now=NOW))
    assert refusal.reason == "already_taken"
    await make(world, "51234568")
    again = [NewMember("51234569"), NewMember("51234568")]
    refusal = await refusal_of(actions.import_members(world, OWNER, again, default_region="HK", now=NOW))
    assert refusal.reason == "already_taken"


async def test_plans_tiers_and_groups_are_read_in_order(world: AsyncConnection) -> None:
    plans = await reads.plans(world)
    assert [(plan.code, [tier.code for tier in plan.tiers]) for plan in plans] == [
        ("city", ["basic", "gold"]), ("harbour", [])
    ]  # fmt: skip
    assert [group.code for group in await reads.groups(world)] == ["hotel"]
    await catalogue.rename_group(world, OWNER, "hotel", names={"en": "Hotels", "th": " "}, now=NOW)
    assert (await reads.groups(world))[0].names == {"en": "Hotels"}
    await catalogue.rename_plan(world, OWNER, "city", names={"en": "City"}, now=NOW)
    act = (await acts(world))[-1]
    assert (act.action, act.before, act.after) == (
        "plan.renamed", {"names": {"en": "City Pass"}}, {"names": {"en": "City"}}
    )  # fmt: skip


async def test_plans_tiers_and_groups_that_clash_are_refused(world: AsyncConnection) -> None:
    names = {"en": "Again"}
    plan = await refusal_of(catalogue.create_plan(world, OWNER, code="city", names=names, now=NOW))
    assert (plan.reason, set(plan.fields)) == ("already_taken", {"code"})
    group = await refusal_of(catalogue.create_group(world, OWNER, code="hotel", names=names, now=NOW))
    assert group.reason == "already_taken"

    async def tier(plan: str, code: str, rank: int) -> Refusal:
        return await refusal_of(
            catalogue.create_tier(world, OWNER, plan=plan, code=code, names=names, rank=rank, now=NOW)
        )

    assert set((await tier("city", "gold", 3)).fields) == {"code"}
    assert set((await tier("city", "silver", 2)).fields) == {"rank"}
    assert set((await tier("city", "silver", -1)).fields) == {"rank"}
    assert (await tier("nowhere", "gold", 1)).reason == "not_found"
    bad = await refusal_of(catalogue.create_plan(world, OWNER, code="A:b", names={"th": "x"}, now=NOW))
    assert set(bad.fields) == {"code", "names.en"}
    assert (
        await refusal_of(catalogue.rename_plan(world, OWNER, "nowhere", names=names, now=NOW))
    ).reason == "not_found"


async def test_the_list_is_narrowed_by_group_and_tag(world: AsyncConnection) -> None:
    one = await make(world, "51234567", groups=["hotel"], tags=["foodie"])
    two = await make(world, "51234568", tags=["foodie"])
    await make(world, "51234569")
    assert len((await world.execute(reads.members_list())).all()) == 3
    assert [row.id for row in await world.execute(reads.members_list(group="hotel"))] == [one]
    assert {row.id for row in await world.execute(reads.members_list(tag="foodie"))} == {one, two}
    assert await reads.tags(world) == ["foodie"]


async def test_words_for_members() -> None:
    assert is_code("gold-2")
    assert not any(is_code(text) for text in ("", "Gold", "a:b", "-a", "x" * 41, "é"))
    assert normalise_tags(["  Two   words ", "", "ＡＢ"]) == ["ab", "two words"]
    assert display_phone("+85251234567") == "+852 5123 4567"
    assert mask_phone("+85251234567") == "+852 •••• 4567"
    assert (display_phone("?"), mask_phone("?")) == ("?", "•••• ?")
