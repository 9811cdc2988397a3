"""API keys: shown once, stored hashed, limited to scopes, revoked for good."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from tearline.core.refusal import Refusal
from tearline.core.roles import KEY_SCOPES, PERMISSIONS, Actor
from tearline.db import Database, new_id, transaction
from tearline.merchants import actions, keys
from tearline.merchants.keys import KeyCache, NewKey, actor_of_key
from tearline.merchants.model import ApiKey, AuditEntry
from tests.actions.merchants_support import COMMAND, NOW, audit_actions, later, make_merchant

pytestmark = pytest.mark.anyio


async def make_key(database: Database, **details: object) -> NewKey:
    wanted = {"name": "Till", "scopes": ["offers.read"], **details}
    async with transaction(database) as tx:
        return await keys.create_key(tx, COMMAND, **wanted, now=NOW)  # type: ignore[arg-type]


async def test_a_key_is_shown_once_and_kept_as_a_hash(database: Database) -> None:
    made = await make_key(database, name=" Till 3 ", scopes=["offers.read", "campaigns.write"])
    assert re.fullmatch(r"tl_[A-Za-z0-9_-]{43}", made.key)
    async with database.connection() as connection:
        row = (await connection.execute(select(ApiKey))).one()
        entry = (await connection.execute(select(AuditEntry))).one()
        listed = (await connection.execute(keys.key_list(COMMAND))).one()
        actor = await actor_of_key(connection, made.key, NOW)
    assert made.key not in str(row) + str(entry) + str(listed) and "secret_hash" not in listed._fields
    assert (row.name, row.prefix, row.scopes) == ("Till 3", made.key[:8], ["campaigns.write", "offers.read"])
    assert actor == Actor("key", made.id, "Till 3", frozenset({"campaigns.write", "offers.read"}))


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["staff.manage"]}, "scopes"),
        ({"scopes": ["redeem"]}, "scopes"),
        ({"scopes": ["redeem"], "merchant_id": new_id()}, "merchant_id"),
        ({"scopes": ["campaigns.write"], "merchant_id": new_id()}, "scopes"),
    ],
)
async def test_what_makes_no_sense_is_refused_at_its_field(
    database: Database, details: dict[str, object], field: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await make_key(database, **details)
    assert refused.value.reason == "invalid" and field in refused.value.fields


async def test_only_those_who_manage_keys_make_them(database: Database) -> None:
    made = await make_key(database)
    for permissions in (PERMISSIONS["editor"], PERMISSIONS["manager"], KEY_SCOPES["operator"]):
        actor = Actor("staff", new_id(), "Ed", permissions)
        with pytest.raises(Refusal) as refused:
            async with transaction(database) as tx:
                await keys.create_key(tx, actor, name="Mine", scopes=["offers.read"], now=NOW)
        assert refused.value.reason == "not_allowed"
        with pytest.raises(Refusal):
            async with transaction(database) as tx:
                await keys.revoke_key(tx, actor, made.id, NOW)
        with pytest.raises(Refusal):
            keys.key_list(actor)


async def test_what_is_no_key_of_ours_is_nobodys(database: Database) -> None:
    made = await make_key(database)
    flipped = made.key[:-1] + ("A" if made.key[-1] != "A" else "B")
    async with database.connection() as connection:
        for key in ("", "tl_", flipped, made.key + "A", made.key.upper(), "tl_\0" + "x" * 42, "\ud800"):
            assert await actor_of_key(connection, key, NOW) is None


async def test_a_revoked_key_ends_and_stays_ended(database: Database) -> None:
    made = await make_key(database)
    for _ in range(2):
        async with transaction(database) as tx:
            await keys.revoke_key(tx, COMMAND, made.id, NOW)
    async with database.connection() as connection:
        assert await actor_of_key(connection, made.key, NOW) is None
        assert (await audit_actions(connection)).count("key.revoked") == 1
    with pytest.raises(Refusal) as refused:
        async with transaction(database) as tx:
            await keys.revoke_key(tx, COMMAND, new_id(), NOW)
    assert refused.value.reason == "not_found"


async def test_a_merchants_key_is_that_merchants_and_rests_while_it_is_suspended(database: Database) -> None:
    merchant_id = await make_merchant(database)
    made = await make_key(database, scopes=["redeem", "reverse"], merchant_id=merchant_id)
    async with transaction(database) as tx:
        actor = await actor_of_key(tx, made.key, NOW)
        assert actor is not None and actor.merchant_id == merchant_id
        await actions.suspend_merchant(tx, COMMAND, merchant_id, NOW)
        assert await actor_of_key(tx, made.key, NOW) is None


async def test_the_cache_answers_for_its_lifetime_and_no_longer(database: Database) -> None:
    made = await make_key(database)
    remembering, asking = KeyCache(database, lifetime_seconds=60), KeyCache(database, lifetime_seconds=0)
    assert await remembering.actor(made.key, NOW) == await asking.actor(made.key, NOW) is not None
    async with transaction(database) as tx:
        await keys.revoke_key(tx, COMMAND, made.id, NOW)
    assert await remembering.actor(made.key, NOW) is not None
    assert await asking.actor(made.key, NOW) is None
    remembering.forget()
    assert await remembering.actor(made.key, NOW) is None
    assert KeyCache(database)._lifetime_seconds <= 5


async def test_use_is_noted_at_most_once_a_minute(database: Database) -> None:
    made = await make_key(database)
    cache = KeyCache(database, lifetime_seconds=0)
    noted = []
    for seconds in (0, 30, 59, 60, 90):
        await cache.actor(made.key, later(seconds=seconds))
        async with database.connection() as connection:
            noted.append(await connection.scalar(select(ApiKey.last_used_at)))
    assert noted == [NOW, NOW, NOW, later(minutes=1), later(minutes=1)]
