"""Staff sign in: password, then the code of an authenticator app where one is set up, or a recovery code.

A failure must be kept although the answer is a refusal, so ``StaffSignIn`` opens its own transactions, and
refuses after their commit. A try is counted *before* its password is looked at and given back when it was
right: of a hundred guesses sent at once, no more are looked at than the lock allows.

An unknown e-mail address costs the same time, fails with the same words and is locked by the same rule as
a known one, so that answers do not tell who works here. (Failures for unknown addresses are counted in
this process only.)
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.lockout import lock_after, minutes_left
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, SYSTEM, Actor
from tearline.db import Database, transaction
from tearline.merchants.audit import record_audit
from tearline.merchants.model import AnyRow, Merchant, Staff, StaffMember, StaffSession
from tearline.merchants.passwords import hash_password, is_right_password, needs_rehash
from tearline.merchants.recovery import recovery_codes_left, use_recovery_code
from tearline.merchants.sessions import SessionLifetimes, hash_of_token, open_session, staff_member
from tearline.merchants.totp import step_of_code

STRANGERS_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in gives: the cookie's token and whose it is."""

    token: str
    staff: StaffMember
    is_totp_needed: bool
    """True when the session only waits for the code: send the person to the page that asks for it."""
    cookie_lifetime: timedelta


class StaffSignIn:
    """The door that staff come in by; one for each process.

    Args:
        admit_address: counts a try of this network address, and refuses with ``too_many_attempts`` when it
            is one too many. Not optional: without it one machine may guess at every account.
        lifetimes: how long sessions last.
    """

    def __init__(
        self,
        database: Database,
        admit_address: Callable[[str], Awaitable[object]],
        lifetimes: SessionLifetimes | None = None,
    ) -> None:
        self.lifetimes = lifetimes or SessionLifetimes()
        self._database = database
        self._admit_address = admit_address
        self._strangers: OrderedDict[bytes, tuple[int, datetime | None]] = OrderedDict()

    async def sign_in(
        self, email: str, password: str, *, address: str, user_agent: str, now: datetime
    ) -> SignedIn:
        """Sign in with e-mail and password.

        Raises:
            Refusal: ``wrong_credentials``; ``locked`` with ``minutes``; ``too_many_attempts`` from this
                address; ``not_allowed`` when the password was right but the person's merchant is suspended.
        """
        await self._admit_address(address)
        email = normalise_email(email)
        staff = await self._reserve_try(email, now)
        password_hash = staff.password_hash if staff is not None and staff.state == "active" else None
        if not await is_right_password(password_hash, password) or staff is None:
            await self._note_lock(staff, address, now)
            raise Refusal("wrong_credentials")
        if staff.merchant_state not in (None, "active"):
            raise Refusal("not_allowed")
        here = partial(self._admit, staff, address=address, user_agent=user_agent, now=now)
        new_hash = await hash_password(password) if needs_rehash(staff.password_hash) else staff.password_hash
        signed_in = await here(staff.password_hash, new_hash)
        if signed_in is None:
            # A sign-in at the same moment may have made the hash anew, of the same password: that is asked anew.
            current = await self._current_hash(staff.id)
            if await is_right_password(current, password) and current is not None:
                signed_in = await here(current, current)
        if signed_in is None:
            # Disabled, or given another password, while this one was being looked at.
            raise Refusal("wrong_credentials")
        return signed_in

    async def finish(
        self, pending_token: str, code: str, *, address: str, user_agent: str, now: datetime
    ) -> SignedIn:
        """Finish a sign-in with the code of the authenticator app, or with one of the recovery codes.

        The answer holds a new token.

        Raises:
            Refusal: ``wrong_totp``; ``locked``; ``too_many_attempts``; ``session_ended`` when no sign-in
                waits.
        """
        await self._admit_address(address)
        async with transaction(self._database) as tx:
            staff = await _lock_pending(tx, pending_token, now)
            refuse_when_locked(staff.locked_until, now)
            secret = staff.totp_secret
            step = step_of_code(secret, code, now, staff.totp_last_step) if secret else None
            if step is not None or await _is_recovery(tx, staff, code, now):
                await tx.execute(
                    update(Staff)
                    .where(Staff.id == staff.id)
                    .values(
                        totp_last_step=staff.totp_last_step if step is None else step,
                        failed_sign_ins=0,
                        locked_until=null(),
                    )
                )
                await tx.execute(
                    delete(StaffSession).where(StaffSession.token_hash == hash_of_token(pending_token))
                )
                return await self._open(
                    tx, staff, address=address, user_agent=user_agent, now=now, is_pending=False
                )
            await count_failure(tx, staff, now)
        # The failure is committed; only now may it be told.
        raise Refusal("wrong_totp")

    async def _reserve_try(self, email: str, now: datetime) -> AnyRow | None:
        """Count a try as failed before it is made; returns the account with the lock that this try caused."""
        async with transaction(self._database) as tx:
            staff = (
                await tx.execute(
                    select(Staff, Merchant.state.label("merchant_state"))
                    .outerjoin(Merchant, Merchant.id == Staff.merchant_id)
                    .where(Staff.email == email)
                    .with_for_update(of=Staff)
                )
            ).one_or_none()
            if staff is not None:
                refuse_when_locked(staff.locked_until, now)
                await count_failure(tx, staff, now)
                return staff
        self._count_stranger(email, now)
        return None

    async def _current_hash(self, staff_id: UUID) -> str | None:
        async with self._database.connection() as connection:
            return await connection.scalar(
                select(Staff.password_hash).where(Staff.id == staff_id, Staff.state == "active")
            )

    async def _admit(
        self, staff: AnyRow, right_hash: str, new_hash: str, *, address: str, user_agent: str, now: datetime
    ) -> SignedIn | None:
        """Let somebody in whose password fits a hash; None when the account no longer has it, or is not active."""
        is_pending = staff.totp_secret is not None
        # With a code still to come only this try is given back: a password must not buy new guesses at codes.
        failures: ColumnElement[int] | int = func.greatest(Staff.failed_sign_ins - 1, 0) if is_pending else 0
        own_lock = _lock_of(staff.failed_sign_ins + 1, now)
        async with transaction(self._database) as tx:
            admitted = await tx.execute(
                update(Staff)
                .where(Staff.id == staff.id, Staff.state == "active", Staff.password_hash == right_hash)
                .values(
                    password_hash=new_hash,
                    failed_sign_ins=failures,
                    locked_until=case((Staff.locked_until == own_lock, null()), else_=Staff.locked_until)
                    if is_pending
                    else null(),
                )
            )
            if admitted.rowcount != 1:
                return None
            return await self._open(
                tx, staff, address=address, user_agent=user_agent, now=now, is_pending=is_pending
            )

    async def _open(
        self,
        tx: AsyncConnection,
        staff: AnyRow,
        *,
        address: str,
        user_agent: str,
        now: datetime,
        is_pending: bool,
    ) -> SignedIn:
        token = await open_session(
            tx,
            staff,
            self.lifetimes,
            address=address,
            user_agent=user_agent,
            now=now,
            is_totp_pending=is_pending,
        )
        if not is_pending:
            after = {"address": address[:100]}
            await record_audit(tx, _actor_of(staff), "staff.signed_in", "staff", staff.id, None, after, now)
        lifetime = self.lifetimes.longest_for(staff.role)
        return SignedIn(token, staff_member(staff), is_totp_needed=is_pending, cookie_lifetime=lifetime)

    async def _note_lock(self, staff: AnyRow | None, address: str, now: datetime) -> None:
        """A failure that locked an account stands in the audit log, with where it came from."""
        locked_until = _lock_of(staff.failed_sign_ins + 1, now) if staff is not None else None
        if staff is not None and locked_until is not None:
            async with transaction(self._database) as tx:
                await record_audit(
                    tx, SYSTEM, "staff.locked", "staff", staff.id, None,
                    {"locked_until": locked_until, "address": address[:100]}, now,
                    merchant_id=staff.merchant_id,
                )  # fmt: skip

    def _count_stranger(self, email: str, now: datetime) -> None:
        key = hashlib.sha256(email.encode("utf-8", "replace")).digest()
        failures, locked_until = self._strangers.get(key, (0, None))
        refuse_when_locked(locked_until, now)
        self._strangers[key] = (failures + 1, _lock_of(failures + 1, now))
        self._strangers.move_to_end(key)
        while len(self._strangers) > STRANGERS_REMEMBERED:
            self._strangers.popitem(last=False)


def normalise_email(email: str) -> str:
    """An e-mail address as it is stored and looked up. What cannot be stored becomes nobody's address."""
    trimmed = email.strip().lower()
    return trimmed if trimmed.isprintable() and len(trimmed) <= 254 else ""


async def _lock_pending(tx: AsyncConnection, token: str, now: datetime) -> AnyRow:
    """The account, locked, whose session waits for a code. Account before session, as everywhere."""
    waiting = (
        StaffSession.token_hash == hash_of_token(token),
        StaffSession.totp_pending,
        StaffSession.expires_at > now,
    )
    staff_id = await tx.scalar(select(StaffSession.staff_id).where(*waiting))
    staff = (
        await tx.execute(
            select(Staff).where(Staff.id == staff_id, Staff.state == "active").with_for_update(of=Staff)
        )
    ).one_or_none()
    # Asked again under the lock: the same code sent twice at once must not open two sessions.
    if staff is None or await tx.scalar(select(StaffSession.staff_id).where(*waiting)) is None:
        raise Refusal("session_ended")
    return staff


async def _is_recovery(tx: AsyncConnection, staff: AnyRow, typed: str, now: datetime) -> bool:
    """Whether this is a recovery code of the account, whose row is locked; it is used up then."""
    if not await use_recovery_code(tx, staff.id, typed):
        return False
    left = await recovery_codes_left(tx, staff.id)
    await record_audit(
        tx, _actor_of(staff), "staff.recovery_code_used", "staff", staff.id, {"recovery_codes": left + 1},
        {"recovery_codes": left}, now,
    )  # fmt: skip
    return True


async def count_failure(tx: AsyncConnection, staff: AnyRow, now: datetime) -> datetime | None:
    """Count a failure of an account whose row is locked; until when it locks the account, if it does."""
    failures = staff.failed_sign_ins + 1
    locked_until = _lock_of(failures, now)
    await tx.execute(
        update(Staff)
        .where(Staff.id == staff.id)
        .values(failed_sign_ins=failures, locked_until=locked_until or null())
    )
    return locked_until


def _lock_of(failures: int, now: datetime) -> datetime | None:
    duration = lock_after(failures)
    return None if duration is None else now + duration


def refuse_when_locked(locked_until: datetime | None, now: datetime) -> None:
    """Refuse with ``locked`` and its ``minutes`` while an account's lock lasts."""
    if locked_until is not None and locked_until > now:
        raise Refusal("locked", minutes=minutes_left((locked_until - now).total_seconds()))


def _actor_of(staff: AnyRow) -> Actor:
    return Actor(
        kind="staff",
        id=staff.id,
        name=staff.name,
        permissions=PERMISSIONS[staff.role],
        merchant_id=staff.merchant_id,
        store_id=staff.store_id,
    )
