"""Accounts of staff: making them, changing what they may do, shutting them, passwords and authenticator apps.

The row of the account is locked first in each action, sessions after it, so that a sign-in at the same
moment sees either the account before the change or the one after.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.lockout import minutes_left
from tearline.core.refusal import Refusal
from tearline.core.roles import MERCHANT_ROLES, OPERATOR_ROLES, Actor
from tearline.core.texts import check_text
from tearline.db import Database, new_id, transaction
from tearline.i18n import DEFAULT_LANGUAGE, LANGUAGES, _
from tearline.merchants.audit import changes, record_audit
from tearline.merchants.model import AnyRow, AnySelect, Merchant, Staff, StaffMember, Store
from tearline.merchants.passwords import check_new_password, hash_password, is_right_password
from tearline.merchants.recovery import drop_recovery_codes, replace_recovery_codes
from tearline.merchants.sessions import SessionActor, end_sessions, staff_member
from tearline.merchants.sign_in import count_failure, normalise_email, refuse_when_locked
from tearline.merchants.totp import enrolment_uri, new_secret, step_of_code

_EMAIL = re.compile(r"[^\s@<>\"',;:\\]+@[^\s@<>\"',;:\\.]+(\.[^\s@<>\"',;:\\.]+)*")


class StaffChange(TypedDict, total=False):
    """What can be changed of an account; what is left out stays."""

    name: str
    role: str
    store_id: UUID | None
    language: str


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """A secret to be taken into an authenticator app: as a QR code of ``uri``, or typed."""

    secret: str
    uri: str


async def create_staff(
    tx: AsyncConnection,
    actor: Actor,
    *,
    email: str,
    name: str,
    role: str,
    password: str,
    merchant_id: UUID | None = None,
    store_id: UUID | None = None,
    language: str = DEFAULT_LANGUAGE,
    now: datetime,
) -> UUID:
    """Make an account for someone of the operator (no merchant), or of a merchant.

    Raises:
        Refusal: ``not_allowed``; ``invalid`` or ``already_taken``, with the fields.
    """
    actor.require("staff.manage")
    email = normalise_email(email)
    wrong = _check_details(name=name, role=role, language=language, merchant_id=merchant_id)
    if not _EMAIL.fullmatch(email):
        wrong["email"] = _("This is not an e-mail address.")
    if problem := check_new_password(password, email=email):
        wrong["password"] = problem
    wrong.update(await _check_places(tx, merchant_id, store_id))
    if wrong:
        raise Refusal("invalid", fields=wrong)
    account = {
        "email": email, "name": name.strip(), "role": role, "language": language, "merchant_id": merchant_id,
        "store_id": store_id,
    }  # fmt: skip
    staff_id = new_id()
    password_hash = await hash_password(password)
    made = await tx.scalar(
        insert(Staff)
        .values(id=staff_id, password_hash=password_hash, created_at=now, **account)
        .on_conflict_do_nothing(index_elements=[Staff.email])
        .returning(Staff.id)
    )
    if made is None:
        raise Refusal("already_taken", fields={"email": _("Somebody already signs in with this address.")})
    await record_audit(
        tx, actor, "staff.created", "staff", staff_id, None, account, now, merchant_id=merchant_id
    )
    return staff_id


async def update_staff(
    tx: AsyncConnection, actor: Actor, staff_id: UUID, now: datetime, **change: Unpack[StaffChange]
) -> None:
    """Change name, role, store or language of an account. A changed role holds from the next request on.

    Raises:
        Refusal: ``not_allowed``; ``not_found``; ``invalid`` with the fields.
    """
    actor.require("staff.manage")
    is_last_owner = await _lock_owners_except(tx, staff_id)
    staff = await _lock_staff(tx, staff_id)
    now_held = dict(staff._mapping)
    wanted: dict[str, Any] = {**now_held, **change}
    wrong = _check_details(
        name=wanted["name"], role=wanted["role"], language=wanted["language"], merchant_id=staff.merchant_id
    )
    if change.get("store_id") is not None:
        wrong.update(await _check_places(tx, staff.merchant_id, change["store_id"]))
    if is_last_owner and staff.role == "owner" and wanted["role"] != "owner":
        wrong["role"] = _LAST_OWNER
    if wrong:
        raise Refusal("invalid", fields=wrong)
    wanted["name"] = wanted["name"].strip()
    before, after = changes(now_held, {field: wanted[field] for field in change})
    if after:
        await tx.execute(update(Staff).where(Staff.id == staff_id).values(**after))
        await record_audit(
            tx, actor, "staff.updated", "staff", staff_id, before, after, now, merchant_id=staff.merchant_id
        )


async def set_language(tx: AsyncConnection, session: SessionActor, language: str, now: datetime) -> None:
    """Choose the language in which the signed-in person reads the pages."""
    if language not in LANGUAGES:
        raise Refusal("invalid", fields={"language": _("Choose one of the four languages.")})
    await tx.execute(update(Staff).where(Staff.id == session.staff.id).values(language=language))
    before, after = {"language": session.staff.language}, {"language": language}
    await record_audit(tx, session.actor, "staff.updated", "staff", session.staff.id, before, after, now)


async def disable_staff(tx: AsyncConnection, actor: Actor, staff_id: UUID, now: datetime) -> None:
    """Shut an account: its sessions end at once, and nobody signs in with it until it is opened again."""
    actor.require("staff.manage")
    is_last_owner = await _lock_owners_except(tx, staff_id)
    staff = await _lock_staff(tx, staff_id)
    if is_last_owner and staff.role == "owner" and staff.state == "active":
        raise Refusal("invalid", fields={"state": _LAST_OWNER})
    await _set_state(tx, actor, staff, "disabled", now)
    await end_sessions(tx, staff_id)


async def enable_staff(tx: AsyncConnection, actor: Actor, staff_id: UUID, now: datetime) -> None:
    """Open a shut account again."""
    actor.require("staff.manage")
    await _set_state(tx, actor, await _lock_staff(tx, staff_id), "active", now)


async def reset_password(
    tx: AsyncConnection, actor: Actor, staff_id: UUID, password: str, now: datetime
) -> None:
    """Give somebody else's account a new password, lift its lock, and end its sessions.

    Raises:
        Refusal: ``not_allowed``, also for one's own, which takes the old one; ``not_found``; ``invalid``.
    """
    actor.require("staff.manage")
    _refuse_oneself(actor, staff_id)
    staff = await _lock_staff(tx, staff_id)
    await _set_password(tx, staff, password)
    await end_sessions(tx, staff_id)
    await record_audit(
        tx, actor, "staff.password_reset", "staff", staff_id, None, None, now, merchant_id=staff.merchant_id
    )


async def change_own_password(
    database: Database, session: SessionActor, *, current: str, password: str, now: datetime
) -> None:
    """Change the signed-in person's password, who proves to know the old one; other sessions end.

    It takes the database and not a transaction: a wrong guess at the old one counts as a failed sign-in, and
    is committed although it is refused. A browser left open must not be a place to guess at leisure.

    Raises:
        Refusal: ``invalid`` with the fields; ``locked`` with ``minutes``.
    """
    async with transaction(database) as tx:
        staff = await _lock_staff(tx, session.staff.id)
        is_right = await _is_own_password(tx, session, staff, current, now)
        if is_right:
            await _set_password(tx, staff, password)
            await end_sessions(tx, staff.id, keep=session)
            await record_audit(
                tx, session.actor, "staff.password_changed", "staff", staff.id, None, None, now
            )
    if not is_right:
        raise Refusal("invalid", fields={"current": _("This is not your present password.")})


async def begin_totp(tx: AsyncConnection, session: SessionActor, now: datetime) -> TotpEnrolment:
    """A new secret for the signed-in person's authenticator app; it counts once ``confirm_totp`` saw a code.

    Until then sign-in stays as it is, so that a QR code that was never scanned locks nobody out.
    """
    staff = await _lock_staff(tx, session.staff.id)
    secret = new_secret()
    await tx.execute(update(Staff).where(Staff.id == staff.id).values(totp_new_secret=secret))
    await record_audit(tx, session.actor, "staff.totp_begun", "staff", staff.id, None, None, now)
    return TotpEnrolment(secret, enrolment_uri(secret, staff.email))


async def confirm_totp(tx: AsyncConnection, session: SessionActor, code: str, now: datetime) -> list[str]:
    """Ask for codes at sign-in from now on: the app has shown that it holds the secret.

    Returns:
        New recovery codes, to be shown once.

    Raises:
        Refusal: ``wrong_totp``; ``conflict`` when no enrolment was begun.
    """
    staff = await _lock_staff(tx, session.staff.id)
    if staff.totp_new_secret is None:
        raise Refusal("conflict")
    step = step_of_code(staff.totp_new_secret, code, now, None)
    if step is None:
        raise Refusal("wrong_totp")
    await tx.execute(
        update(Staff)
        .where(Staff.id == staff.id)
        .values(totp_secret=staff.totp_new_secret, totp_new_secret=null(), totp_last_step=step)
    )
    before, after = {"has_totp": staff.totp_secret is not None}, {"has_totp": True}
    await record_audit(tx, session.actor, "staff.totp_enabled", "staff", staff.id, before, after, now)
    return await replace_recovery_codes(tx, staff.id, now)


async def renew_recovery_codes(
    database: Database, session: SessionActor, *, password: str, now: datetime
) -> list[str]:
    """Ten new recovery codes for the signed-in person, in place of those there are; it takes the password, as
    ``change_own_password`` does.

    Raises:
        Refusal: ``invalid`` with the field; ``locked`` with ``minutes``; ``conflict`` without an app.
    """
    codes: list[str] = []
    async with transaction(database) as tx:
        staff = await _lock_staff(tx, session.staff.id)
        if staff.totp_secret is None:
            raise Refusal("conflict")
        is_right = await _is_own_password(tx, session, staff, password, now)
        if is_right:
            codes = await replace_recovery_codes(tx, staff.id, now)
            await record_audit(
                tx, session.actor, "staff.recovery_codes_renewed", "staff", staff.id, None, None, now,
                merchant_id=staff.merchant_id,
            )  # fmt: skip
    if not is_right:
        raise Refusal("invalid", fields={"password": _("This is not your present password.")})
    return codes


async def disable_totp(tx: AsyncConnection, actor: Actor, staff_id: UUID, now: datetime) -> None:
    """Stop asking somebody else for codes (a lost phone); one's own are ``disable_own_totp``'s.

    Raises:
        Refusal: ``not_allowed``, also for one's own; ``not_found``.
    """
    actor.require("staff.manage")
    _refuse_oneself(actor, staff_id)
    await _stop_totp(tx, actor, await _lock_staff(tx, staff_id), now)


async def disable_own_totp(
    database: Database, session: SessionActor, *, password: str, now: datetime
) -> None:
    """Stop asking the signed-in person for codes; it takes the password, as ``change_own_password`` does.

    Raises:
        Refusal: ``invalid`` with the field; ``locked`` with ``minutes``.
    """
    async with transaction(database) as tx:
        staff = await _lock_staff(tx, session.staff.id)
        is_right = await _is_own_password(tx, session, staff, password, now)
        if is_right:
            await _stop_totp(tx, session.actor, staff, now)
    if not is_right:
        raise Refusal("invalid", fields={"password": _("This is not your present password.")})


async def _stop_totp(tx: AsyncConnection, actor: Actor, staff: AnyRow, now: datetime) -> None:
    await tx.execute(
        update(Staff)
        .where(Staff.id == staff.id)
        .values(totp_secret=null(), totp_new_secret=null(), totp_last_step=null())
    )
    await drop_recovery_codes(tx, staff.id)
    before, after = {"has_totp": staff.totp_secret is not None}, {"has_totp": False}
    await record_audit(
        tx, actor, "staff.totp_disabled", "staff", staff.id, before, after, now, merchant_id=staff.merchant_id
    )


def staff_list(actor: Actor) -> AnySelect:
    """All accounts with their merchant's code and names, to be filtered, sorted and paged by the caller.

    Columns are those of ``StaffMember`` and ``merchant_code``, ``merchant_names``; never what signs in.
    """
    actor.require("staff.manage")
    return select(
        Staff.id, Staff.merchant_id, Staff.store_id, Staff.email, Staff.name, Staff.role, Staff.language,
        Staff.state, Staff.totp_secret.is_not(None).label("has_totp"), Staff.locked_until, Staff.created_at,
        Merchant.code.label("merchant_code"), Merchant.names.label("merchant_names"),
    ).outerjoin(Merchant, Merchant.id == Staff.merchant_id)  # fmt: skip


async def staff_by_id(connection: AsyncConnection, actor: Actor, staff_id: UUID) -> StaffMember:
    """One account; ``not_found`` when there is none."""
    if actor.kind != "staff" or actor.id != staff_id:
        actor.require("staff.manage")
    row = (await connection.execute(select(Staff).where(Staff.id == staff_id))).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return staff_member(row)


def lock_minutes(member: StaffMember, now: datetime) -> int | None:
    """For how many minutes the account is still locked by failed sign-ins; None when it is not."""
    if member.locked_until is None or member.locked_until <= now:
        return None
    return minutes_left((member.locked_until - now).total_seconds())


_LAST_OWNER = _("There must always be one active owner.")


def _check_details(*, name: str, role: str, language: str, merchant_id: UUID | None) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if problem := check_text(name, maximum=100):
        wrong["name"] = problem
    if merchant_id is None and role not in OPERATOR_ROLES:
        wrong["role"] = _("The operator's staff are owner, editor, finance or auditor.")
    if merchant_id is not None and role not in MERCHANT_ROLES:
        wrong["role"] = _("A merchant's staff are manager or cashier.")
    if language not in LANGUAGES:
        wrong["language"] = _("Choose one of the four languages.")
    return wrong


async def _check_places(
    tx: AsyncConnection, merchant_id: UUID | None, store_id: UUID | None
) -> dict[str, str]:
    if (
        merchant_id is not None
        and await tx.scalar(select(Merchant.id).where(Merchant.id == merchant_id)) is None
    ):
        return {"merchant_id": _("There is no such merchant.")}
    if store_id is not None:
        store_of = await tx.scalar(
            select(Store.merchant_id).where(Store.id == store_id, Store.state == "active")
        )
        if store_of is None or store_of != merchant_id:
            return {"store_id": _("This is not an open store of the merchant.")}
    return {}


async def _lock_owners_except(tx: AsyncConnection, staff_id: UUID) -> bool:
    """Lock all active owners, in order of id; True when there is none besides this account.

    Without the lock two owners could shut each other out in the same moment.
    """
    owners = await tx.scalars(
        select(Staff.id)
        .where(Staff.role == "owner", Staff.state == "active")
        .order_by(Staff.id)
        .with_for_update()
    )
    return not any(owner != staff_id for owner in owners.all())


async def _lock_staff(tx: AsyncConnection, staff_id: UUID) -> AnyRow:
    staff = (await tx.execute(select(Staff).where(Staff.id == staff_id).with_for_update())).one_or_none()
    if staff is None:
        raise Refusal("not_found")
    return staff


def _refuse_oneself(actor: Actor, staff_id: UUID) -> None:
    """What takes one's present password isn't to be had without it through the list of staff."""
    if actor.kind == "staff" and actor.id == staff_id:
        raise Refusal("not_allowed")


async def _is_own_password(
    tx: AsyncConnection, session: SessionActor, staff: AnyRow, password: str, now: datetime
) -> bool:
    """Whether this is the password of an account whose row is locked; if not, the failure is counted.

    The caller must commit it before refusing. Guesses sent at once wait for the row, one after another.
    """
    refuse_when_locked(staff.locked_until, now)
    if await is_right_password(staff.password_hash, password):
        return True
    locked_until = await count_failure(tx, staff, now)
    if locked_until is not None:
        after = {"locked_until": locked_until}
        await record_audit(
            tx, session.actor, "staff.locked", "staff", staff.id, None, after, now,
            merchant_id=staff.merchant_id,
        )  # fmt: skip
    return False


async def _set_state(tx: AsyncConnection, actor: Actor, staff: AnyRow, state: str, now: datetime) -> None:
    if staff.state == state:
        return
    await tx.execute(update(Staff).where(Staff.id == staff.id).values(state=state))
    action = "staff.enabled" if state == "active" else "staff.disabled"
    before, after = {"state": staff.state}, {"state": state}
    await record_audit(
        tx, actor, action, "staff", staff.id, before, after, now, merchant_id=staff.merchant_id
    )


async def _set_password(tx: AsyncConnection, staff: AnyRow, password: str) -> None:
    if problem := check_new_password(password, email=staff.email):
        raise Refusal("invalid", fields={"password": problem})
    await tx.execute(
        update(Staff)
        .where(Staff.id == staff.id)
        .values(password_hash=await hash_password(password), failed_sign_ins=0, locked_until=null())
    )
