"""Keys for the API: shown once, stored as SHA-256, limited to scopes, of the operator or of one merchant."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import KEY_SCOPES, Actor
from tearline.core.texts import check_text
from tearline.db import Database, new_id, transaction
from tearline.i18n import _
from tearline.merchants.audit import record_audit
from tearline.merchants.model import AnySelect, ApiKey, Merchant

KEY_PREFIX = "tl_"
_KEY = re.compile(r"tl_[A-Za-z0-9_-]{43}")
_SHOWN_CHARACTERS = 8

USE_NOTED_EVERY = timedelta(minutes=1)
"""How exactly ``last_used_at`` is kept: not every request writes."""

LARGEST_CACHE = 5_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only moment at which it can be read."""

    id: UUID
    key: str


async def create_key(
    tx: AsyncConnection,
    actor: Actor,
    *,
    name: str,
    scopes: Collection[str],
    merchant_id: UUID | None = None,
    now: datetime,
) -> NewKey:
    """Make a key of the operator, or of a merchant, that may do what its scopes say.

    Raises:
        Refusal: ``not_allowed``; ``invalid`` with the fields.
    """
    actor.require("keys.manage")
    possible = KEY_SCOPES["operator" if merchant_id is None else "merchant"]
    wrong: dict[str, str] = {}
    if problem := check_text(name, maximum=100):
        wrong["name"] = problem
    if not scopes:
        wrong["scopes"] = _("Choose what the key may do.")
    elif not possible.issuperset(scopes):
        wrong["scopes"] = _("A key cannot be given one of these scopes.")
    if (
        merchant_id is not None
        and await tx.scalar(select(Merchant.id).where(Merchant.id == merchant_id)) is None
    ):
        wrong["merchant_id"] = _("There is no such merchant.")
    if wrong:
        raise Refusal("invalid", fields=wrong)
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    shown = {
        "name": name.strip(), "scopes": sorted(scopes), "merchant_id": merchant_id,
        "prefix": key[:_SHOWN_CHARACTERS],
    }  # fmt: skip
    key_id = new_id()
    await tx.execute(
        insert(ApiKey).values(
            id=key_id, secret_hash=hash_of_key(key), created_by=actor.id, created_at=now, **shown
        )
    )
    await record_audit(tx, actor, "key.created", "key", key_id, None, shown, now, merchant_id=merchant_id)
    return NewKey(key_id, key)


async def revoke_key(tx: AsyncConnection, actor: Actor, key_id: UUID, now: datetime) -> None:
    """End a key for good; a repeat changes nothing. It ends everywhere within ``KeyCache``'s lifetime."""
    actor.require("keys.manage")
    key = (await tx.execute(select(ApiKey).where(ApiKey.id == key_id).with_for_update())).one_or_none()
    if key is None:
        raise Refusal("not_found")
    if key.revoked_at is not None:
        return
    await tx.execute(update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=now))
    before, after = {"revoked_at": None}, {"revoked_at": now}
    await record_audit(
        tx, actor, "key.revoked", "key", key_id, before, after, now, merchant_id=key.merchant_id
    )


def key_list(actor: Actor) -> AnySelect:
    """All keys, without what they are, with their merchant's code and names; the caller sorts and pages."""
    actor.require("keys.manage")
    return select(
        ApiKey.id, ApiKey.merchant_id, ApiKey.name, ApiKey.prefix, ApiKey.scopes, ApiKey.created_by,
        ApiKey.created_at, ApiKey.last_used_at, ApiKey.revoked_at,
        Merchant.code.label("merchant_code"), Merchant.names.label("merchant_names"),
    ).outerjoin(Merchant, Merchant.id == ApiKey.merchant_id)  # fmt: skip


async def actor_of_key(connection: AsyncConnection, key: str, now: datetime) -> Actor | None:
    """Who this key stands for; None when it is unknown or revoked, or its merchant is suspended."""
    found = await _find(connection, key)
    return None if found is None else found.actor


async def note_use(tx: AsyncConnection, key_id: UUID, now: datetime) -> None:
    """Note that a key is in use, at most once a minute."""
    await tx.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - USE_NOTED_EVERY),
        )
        .values(last_used_at=now)
    )


def hash_of_key(key: str) -> bytes:
    """The SHA-256 of a key, as the table holds it. Keys are random, so no salt is needed."""
    return hashlib.sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class _FoundKey:
    id: UUID
    actor: Actor
    last_used_at: datetime | None


class KeyCache:
    """Who a key stands for, asked of the database every few seconds at most; one for each process.

    A revoked key therefore still works for up to ``lifetime_seconds`` (5 by default). Unknown keys are not
    remembered, so that a new one works at once.
    """

    def __init__(self, database: Database, *, lifetime_seconds: float = 5.0) -> None:
        self._database = database
        self._lifetime_seconds = lifetime_seconds
        self._known: OrderedDict[str, tuple[float, _FoundKey]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_FoundKey | None]] = {}

    async def actor(self, key: str, now: datetime) -> Actor | None:
        """Who this key stands for; None when it is nobody's. Notes the key's use, at most once a minute."""
        cached = self._known.get(key)
        if cached is not None and time.monotonic() < cached[0]:
            return cached[1].actor
        # A busy till's requests all find its entry old in the same moment: one of them asks for all.
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, now))
            asking.add_done_callback(lambda _task: self._asking.pop(key, None))
        found = await asyncio.shield(asking)
        return found.actor if found is not None else None

    async def _ask(self, key: str, now: datetime) -> _FoundKey | None:
        asked_at = time.monotonic()
        self._known.pop(key, None)
        async with self._database.connection() as connection:
            found = await _find(connection, key)
        if found is None:
            return None
        if found.last_used_at is None or now - found.last_used_at >= USE_NOTED_EVERY:
            async with transaction(self._database) as tx:
                await note_use(tx, found.id, now)
        # Counted from before the question: the answer may have been true only then.
        self._known[key] = (asked_at + self._lifetime_seconds, found)
        while len(self._known) > LARGEST_CACHE:
            self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Ask again for every key."""
        self._known.clear()


async def _find(connection: AsyncConnection, key: str) -> _FoundKey | None:
    if not _KEY.fullmatch(key):
        return None
    row = (
        await connection.execute(
            select(ApiKey)
            .outerjoin(Merchant, Merchant.id == ApiKey.merchant_id)
            .where(
                ApiKey.secret_hash == hash_of_key(key),
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.merchant_id.is_(None), Merchant.state == "active"),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    # A scope that this version no longer knows gives nothing.
    possible = KEY_SCOPES["operator" if row.merchant_id is None else "merchant"]
    actor = Actor(
        kind="key",
        id=row.id,
        name=row.name,
        permissions=possible.intersection(row.scopes),
        merchant_id=row.merchant_id,
    )
    return _FoundKey(row.id, actor, row.last_used_at)
