"""Sessions of staff: a random token in the cookie, its SHA-256 in the table, and who it stands for.

A session ends when it has not been used for a while, when its longest life is over, when its owner signs
out, and when the account is disabled or gets another password. A session that waits for the TOTP code is
nobody's: ``actor_of_session`` does not know it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.core.texts import is_storable
from tearline.merchants.audit import record_audit
from tearline.merchants.model import AnyRow, AnySelect, Merchant, Staff, StaffMember, StaffSession, Store

TOUCH_EVERY = timedelta(minutes=1)
"""How exactly ``last_seen_at`` is kept: not every request writes."""

PENDING_LIFETIME = timedelta(minutes=10)
"""How long the TOTP code may be typed after the password."""


@dataclass(frozen=True, slots=True)
class SessionLifetimes:
    """How long sessions last."""

    idle: timedelta = timedelta(hours=8)
    """Without use, for everyone but cashiers."""
    longest: timedelta = timedelta(days=7)
    """With use, for everyone but cashiers."""
    cashier: timedelta = timedelta(days=30)
    """For cashiers, used or not: their device stands at the counter, and signing in holds up the queue."""

    def longest_for(self, role: str) -> timedelta:
        """The longest life of a session of this role."""
        return self.cashier if role == "cashier" else self.longest

    def end(self, role: str, created_at: datetime, now: datetime) -> datetime:
        """When a session ends that is used now."""
        idle = self.cashier if role == "cashier" else self.idle
        return min(created_at + self.longest_for(role), now + idle)


@dataclass(frozen=True, slots=True)
class SessionActor:
    """Who is signed in: as the actor of writes, as a person, and through which session."""

    actor: Actor
    staff: StaffMember
    token_hash: bytes
    store_id: UUID | None
    """The store the person works at: the account's own, else the one chosen for this session."""
    created_at: datetime
    is_touch_due: bool
    """True when ``touch_session`` should be called, in a transaction of its own."""


def hash_of_token(token: str) -> bytes:
    """The SHA-256 of a token, as the table holds it. Tokens are random, so no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


async def open_session(
    tx: AsyncConnection,
    staff: AnyRow,
    lifetimes: SessionLifetimes,
    *,
    address: str,
    user_agent: str,
    now: datetime,
    is_totp_pending: bool,
) -> str:
    """Begin a session of a staff row, whose lock the caller holds; returns the token for the cookie."""
    token = secrets.token_urlsafe(32)
    await tx.execute(
        insert(StaffSession).values(
            token_hash=hash_of_token(token),
            staff_id=staff.id,
            store_id=None,
            totp_pending=is_totp_pending,
            created_at=now,
            last_seen_at=now,
            expires_at=now + PENDING_LIFETIME if is_totp_pending else lifetimes.end(staff.role, now, now),
            address=_kept(address, 100),
            user_agent=_kept(user_agent, 300),
        )
    )
    return token


async def actor_of_session(connection: AsyncConnection, token: str, now: datetime) -> SessionActor | None:
    """Who this token stands for; None when it is unknown or ended, still waits for its TOTP code, or the
    account or its merchant has been shut."""
    asked = _session_of(token, now).where(~StaffSession.totp_pending)
    found = (await connection.execute(asked)).one_or_none()
    if found is None:
        return None
    staff = staff_member(found)
    store_id = found.store_id or found.session_store_id
    actor = Actor(
        kind="staff",
        id=staff.id,
        name=staff.name,
        permissions=PERMISSIONS[staff.role],
        merchant_id=staff.merchant_id,
        store_id=store_id,
    )
    return SessionActor(
        actor=actor,
        staff=staff,
        token_hash=found.token_hash,
        store_id=store_id,
        created_at=found.session_created_at,
        is_touch_due=now - found.last_seen_at >= TOUCH_EVERY,
    )


async def pending_staff(connection: AsyncConnection, token: str, now: datetime) -> StaffMember | None:
    """Whose TOTP code a session waits for; None when it waits for none."""
    found = (await connection.execute(_session_of(token, now).where(StaffSession.totp_pending))).one_or_none()
    return None if found is None else staff_member(found)


async def touch_session(
    tx: AsyncConnection, session: SessionActor, lifetimes: SessionLifetimes, now: datetime
) -> None:
    """Note that the session is in use, which puts off its end."""
    await tx.execute(
        update(StaffSession)
        .where(StaffSession.token_hash == session.token_hash, StaffSession.last_seen_at <= now - TOUCH_EVERY)
        .values(last_seen_at=now, expires_at=lifetimes.end(session.staff.role, session.created_at, now))
    )


async def choose_store(tx: AsyncConnection, session: SessionActor, store_id: UUID, now: datetime) -> None:
    """Work at this store for the rest of the session.

    Raises:
        Refusal: ``not_found`` when it is not an open store of the person's merchant; ``not_allowed`` when the
            account belongs to another store.
    """
    if session.staff.store_id not in (None, store_id):
        raise Refusal("not_allowed")
    store = await tx.scalar(
        select(Store.id).where(
            Store.id == store_id, Store.merchant_id == session.staff.merchant_id, Store.state == "active"
        )
    )
    if store is None:
        raise Refusal("not_found")
    await tx.execute(
        update(StaffSession).where(StaffSession.token_hash == session.token_hash).values(store_id=store_id)
    )
    before, after = {"store_id": session.store_id}, {"store_id": store_id}
    await record_audit(tx, session.actor, "staff.store_chosen", "staff", session.staff.id, before, after, now)


async def sign_out(tx: AsyncConnection, session: SessionActor, now: datetime) -> None:
    """End this session."""
    await tx.execute(delete(StaffSession).where(StaffSession.token_hash == session.token_hash))
    await record_audit(tx, session.actor, "staff.signed_out", "staff", session.staff.id, None, None, now)


async def sign_out_everywhere(
    tx: AsyncConnection, actor: Actor, staff_id: UUID, now: datetime, *, keep: SessionActor | None = None
) -> int:
    """End every session of a member of staff, except ``keep``; one's own, or anyone's with ``staff.manage``.

    Returns:
        How many sessions were ended.
    """
    if actor.kind != "staff" or actor.id != staff_id:
        actor.require("staff.manage")
    ended = await end_sessions(tx, staff_id, keep=keep)
    await record_audit(
        tx, actor, "staff.signed_out_everywhere", "staff", staff_id, None, {"sessions_ended": ended}, now
    )
    return ended


async def end_sessions(tx: AsyncConnection, staff_id: UUID, *, keep: SessionActor | None = None) -> int:
    """Delete the sessions of a member of staff, except ``keep``; returns how many there were."""
    statement = delete(StaffSession).where(StaffSession.staff_id == staff_id)
    if keep is not None:
        statement = statement.where(StaffSession.token_hash != keep.token_hash)
    return (await tx.execute(statement)).rowcount


async def forget_ended_sessions(tx: AsyncConnection, now: datetime) -> int:
    """Delete the sessions that have ended by themselves; for scheduled work. Returns how many there were."""
    return (await tx.execute(delete(StaffSession).where(StaffSession.expires_at <= now))).rowcount


def sessions_of(staff_id: UUID) -> AnySelect:
    """The signed-in browsers of a member of staff, the last used first, to be shown to the owner."""
    return (
        select(
            StaffSession.created_at, StaffSession.last_seen_at, StaffSession.expires_at, StaffSession.address,
            StaffSession.user_agent, StaffSession.store_id,
        )
        .where(StaffSession.staff_id == staff_id, ~StaffSession.totp_pending)
        .order_by(StaffSession.last_seen_at.desc())
    )  # fmt: skip


def staff_member(row: AnyRow) -> StaffMember:
    """The public side of a row that holds the columns of ``staff``."""
    return StaffMember(
        id=row.id,
        merchant_id=row.merchant_id,
        store_id=row.store_id,
        email=row.email,
        name=row.name,
        role=row.role,
        language=row.language,
        state=row.state,
        has_totp=row.totp_secret is not None,
        locked_until=row.locked_until,
        created_at=row.created_at,
    )


def _session_of(token: str, now: datetime) -> AnySelect:
    return (
        select(
            Staff,
            StaffSession.token_hash,
            StaffSession.last_seen_at,
            StaffSession.store_id.label("session_store_id"),
            StaffSession.created_at.label("session_created_at"),
            StaffSession.address,
            StaffSession.user_agent,
        )
        .join(StaffSession, StaffSession.staff_id == Staff.id)
        .outerjoin(Merchant, Merchant.id == Staff.merchant_id)
        .where(
            StaffSession.token_hash == hash_of_token(token),
            StaffSession.expires_at > now,
            Staff.state == "active",
            Merchant.id.is_(None) | (Merchant.state == "active"),
        )
    )


def _kept(text: str, maximum: int) -> str:
    """What a browser says of itself, as far as it can be stored."""
    return text[:maximum] if is_storable(text) else ""
