"""Merchants and stores: making, changing, suspending, closing, and who sees what."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.db import Database, new_id, transaction
from tearline.merchants import actions, reads
from tearline.merchants.model import AuditEntry, Merchant, Store
from tests.actions.merchants_support import COMMAND, NOW, audit_actions, make_merchant, make_store

pytestmark = pytest.mark.anyio

NAMES = {"en": "Kam's Roast", "zh-Hant": "甘記燒臘", "zh-Hans": "甘记烧腊", "th": "คัมส์โรสต์"}


def manager_of(merchant_id: UUID) -> Actor:
    return Actor("staff", new_id(), "Ann", PERMISSIONS["manager"], merchant_id=merchant_id)


async def test_a_merchant_is_made_trimmed_in_four_languages(database: Database) -> None:
    names = {**NAMES, "en": "  Kam's Roast "}
    merchant_id = await make_merchant(
        database,
        " KAM-1 ",
        names=names,
        descriptions={"en": "Goose", "th": " "},
        edge="rust",
        image="art/tea.svg",
    )
    async with database.connection() as connection:
        row = await reads.merchant_by_code(connection, COMMAND, "Kam-1")
        entry = (await connection.execute(select(AuditEntry))).one()
    assert (row.id, row.code, row.names, row.descriptions) == (merchant_id, "kam-1", NAMES, {"en": "Goose"})
    assert (row.kind, row.edge, row.image, row.state) == ("dining", "rust", "art/tea.svg", "active")
    assert (entry.action, entry.merchant_id, entry.after["names"]) == ("merchant.created", merchant_id, NAMES)


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": "two words"}, "code"),
        ({"code": "-kam"}, "code"),
        ({"code": "x" * 41}, "code"),
        ({"code": "甘記"}, "code"),
        ({"code": "nul\0"}, "code"),
        ({"names": {}}, "names.en"),
        ({"names": {"th": "คัม"}}, "names.en"),
        ({"names": {"en": "x" * 121}}, "names.en"),
        ({"names": {"en": "Kam", "th": "a\0"}}, "names.th"),
        ({"names": {"en": "Kam", "fr": "Kam"}}, "names"),
        ({"descriptions": {"th": "only Thai"}}, "descriptions.en"),
        ({"kind": "casino"}, "kind"),
        ({"edge": "#ff0000"}, "edge"),
        ({"image": "javascript:alert(1)"}, "image"),
    ],
)
async def test_what_makes_no_sense_is_refused_at_its_field(
    database: Database, details: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await make_merchant(database, **details)
    assert refused.value.reason == "invalid" and list(refused.value.fields) == [field]
    merchant_id = await make_merchant(database, "fine")
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await actions.update_merchant(tx, COMMAND, merchant_id, NOW, **details)
    assert list(refused.value.fields) == [field]


async def test_a_change_touches_what_it_names_and_logs_what_changed(database: Database) -> None:
    merchant_id = await make_merchant(database)
    async with transaction(database) as tx:
        await actions.update_merchant(tx, COMMAND, merchant_id, NOW, names=NAMES, kind="dining")
        await actions.update_merchant(tx, COMMAND, merchant_id, NOW, names=NAMES)
    async with database.connection() as connection:
        row = await reads.merchant_by_id(connection, COMMAND, merchant_id)
        entry = (
            await connection.execute(select(AuditEntry).where(AuditEntry.action == "merchant.updated"))
        ).one()
    assert (row.names, row.code, row.edge) == (NAMES, "kam", "teal")
    assert (entry.before, entry.after) == ({"names": {"en": "Kam's"}}, {"names": NAMES})


async def test_codes_are_unique_among_merchants_and_within_one_merchants_stores(database: Database) -> None:
    merchant_id, other_id = await make_merchant(database), await make_merchant(database, "other")
    store_id = await make_store(database, merchant_id, "K-1")
    second_id = await make_store(database, merchant_id, "K-2")
    await make_store(database, other_id, "K-1")
    attempts = (
        lambda tx: actions.create_merchant(tx, COMMAND, code="KAM", names=NAMES, kind="retail", now=NOW),
        lambda tx: actions.update_merchant(tx, COMMAND, other_id, NOW, code="kam"),
        lambda tx: actions.create_store(tx, COMMAND, merchant_id, code="k-1", names=NAMES, now=NOW),
        lambda tx: actions.update_store(tx, COMMAND, second_id, NOW, code="K-1"),
    )
    for attempt in attempts:
        with pytest.raises(Refusal) as refused:
            async with transaction(database) as tx:
                await attempt(tx)
        assert refused.value.reason == "already_taken" and list(refused.value.fields) == ["code"]
    async with transaction(database) as tx:
        await actions.update_store(tx, COMMAND, store_id, NOW, code="k-1")


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"code": "a b"}, "code"),
        ({"names": {"zh-Hant": "店"}}, "names.en"),
        ({"addresses": {"en": "x" * 301}}, "addresses.en"),
        ({"district": "x" * 61}, "district"),
        ({"phone": "call me"}, "phone"),
    ],
)
async def test_a_stores_fields_are_checked(database: Database, details: dict[str, Any], field: str) -> None:
    merchant_id = await make_merchant(database)
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await actions.create_store(
                tx, COMMAND, merchant_id, **{"code": "K-1", "names": NAMES, **details}, now=NOW
            )
    assert list(refused.value.fields) == [field]


async def test_a_store_is_made_changed_closed_and_opened_again(database: Database) -> None:
    merchant_id = await make_merchant(database)
    store_id = await make_store(database, merchant_id)
    async with transaction(database) as tx:
        await actions.update_store(
            tx,
            COMMAND,
            store_id,
            NOW,
            addresses={"en": "1 Queen's Road"},
            district=" Central ",
            phone="+852 2345 6789",
        )
        store = await reads.store_by_id(tx, COMMAND, store_id)
        assert (store.district, store.phone, store.addresses["en"]) == (
            "Central",
            "+852 2345 6789",
            "1 Queen's Road",
        )
        for _ in range(2):
            await actions.close_store(tx, COMMAND, store_id, NOW)
        assert await reads.open_stores(tx, merchant_id) == []
        for _ in range(2):
            await actions.reopen_store(tx, COMMAND, store_id, NOW)
        assert [row.id for row in await reads.open_stores(tx, merchant_id)] == [store_id]
        assert await audit_actions(tx) == [
            "merchant.created", "store.created", "store.updated", "store.closed", "store.reopened",
        ]  # fmt: skip


async def test_what_is_not_there_is_not_found(database: Database) -> None:
    nothing = new_id()
    attempts = (
        lambda tx: actions.update_merchant(tx, COMMAND, nothing, NOW, kind="retail"),
        lambda tx: actions.suspend_merchant(tx, COMMAND, nothing, NOW),
        lambda tx: actions.create_store(tx, COMMAND, nothing, code="K-1", names=NAMES, now=NOW),
        lambda tx: actions.update_store(tx, COMMAND, nothing, NOW, phone=None),
        lambda tx: actions.close_store(tx, COMMAND, nothing, NOW),
        lambda tx: reads.merchant_by_id(tx, COMMAND, nothing),
        lambda tx: reads.merchant_by_code(tx, COMMAND, "nul\0"),
        lambda tx: reads.store_by_id(tx, COMMAND, nothing),
    )
    for attempt in attempts:
        with pytest.raises(Refusal) as refused:
            async with transaction(database) as tx:
                await attempt(tx)
        assert refused.value.reason == "not_found"


async def test_a_merchant_sees_only_itself(database: Database) -> None:
    ours, theirs = await make_merchant(database), await make_merchant(database, "theirs")
    our_store, their_store = await make_store(database, ours), await make_store(database, theirs)
    manager = manager_of(ours)
    async with database.connection() as connection:
        assert [row.id for row in await connection.execute(reads.merchant_list(manager))] == [ours]
        assert [row.id for row in await connection.execute(reads.store_list(manager))] == [our_store]
        assert (await reads.store_by_id(connection, manager, our_store)).id == our_store
        for forbidden in (
            reads.merchant_by_id(connection, manager, theirs),
            reads.merchant_by_code(connection, manager, "theirs"),
            reads.store_by_id(connection, manager, their_store),
        ):
            with pytest.raises(Refusal) as refused:
                await forbidden
            assert refused.value.reason == "not_found"
        with pytest.raises(Refusal):
            reads.store_list(manager, theirs)
        everything = await connection.execute(reads.merchant_list(COMMAND).order_by(Merchant.code))
        assert [(row.code, row.stores) for row in everything] == [("kam", 1), ("theirs", 1)]
        of_one = await connection.execute(reads.store_list(COMMAND, theirs).order_by(Store.code))
        assert [(row.id, row.merchant_code) for row in of_one] == [(their_store, "theirs")]


@pytest.mark.parametrize("role", ["finance", "auditor", "manager", "cashier"])
async def test_only_those_who_may_write_do(database: Database, role: str) -> None:
    merchant_id = await make_merchant(database)
    store_id = await make_store(database, merchant_id)
    owner_in_disguise = Actor("staff", new_id(), "X", PERMISSIONS["owner"], merchant_id=merchant_id)
    for actor in (Actor("staff", new_id(), "X", PERMISSIONS[role]), owner_in_disguise):
        attempts = (
            lambda tx, actor=actor: actions.create_merchant(
                tx, actor, code="new", names=NAMES, kind="retail", now=NOW
            ),
            lambda tx, actor=actor: actions.update_merchant(tx, actor, merchant_id, NOW, kind="retail"),
            lambda tx, actor=actor: actions.suspend_merchant(tx, actor, merchant_id, NOW),
            lambda tx, actor=actor: actions.create_store(
                tx, actor, merchant_id, code="new", names=NAMES, now=NOW
            ),
            lambda tx, actor=actor: actions.update_store(tx, actor, store_id, NOW, phone=None),
            lambda tx, actor=actor: actions.close_store(tx, actor, store_id, NOW),
        )
        for attempt in attempts:
            with pytest.raises(Refusal) as refused:
                async with transaction(database) as tx:
                    await attempt(tx)
            assert refused.value.reason == "not_allowed"
