"""Signing in with a phone number: asking for a one-time code, and entering it.

What must hold over all processes is in the database: the growing delay between codes, and the tries of each.
What only keeps abuse down (how many codes for a phone, an address, a country) is counted by the face's
rate limits, handed in as ``count``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.signin import (
    CODE_LENGTH,
    MustWait,
    Rate,
    SignInPolicy,
    SignInRates,
    Streak,
    ask_again,
    code_hash,
    is_right_code,
)
from tearline.db import Database, new_id, transaction
from tearline.i18n import DEFAULT_LANGUAGE, LANGUAGES
from tearline.members.model import Member, MemberPhone, SignInCode, SignInPhone
from tearline.members.phones import PhoneNumber, parse_phone
from tearline.notices.messages import CHANNELS
from tearline.notices.queue import enqueue, withdraw
from tearline.notices.reads import QueueState

_MOST_ROUNDS = 5


class Count(Protocol):
    """Counts one more for ``key`` under the limit called ``name``; refuses with ``too_many_attempts``."""

    async def __call__(self, name: str, rate: Rate, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class CodeRequested:
    """A code is on its way."""

    sign_in_id: UUID
    phone: str
    channel: str
    resend_after_seconds: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The code was right."""

    member_id: UUID
    epoch: int
    created: bool
    """True when this made the phone number a member."""


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """A way to get the code, as offered to a member."""

    channel: str
    behind: bool
    """True when messages on it are late at present."""


@dataclass(frozen=True, slots=True)
class SignInRules:
    """The installation's settings for signing in."""

    default_region: str = "HK"
    regions: Set[str] = frozenset()
    """Countries (ISO 3166) to whose phones codes are sent; empty for all."""
    channels: Sequence[str] = CHANNELS
    """Those that have a provider."""
    policy: SignInPolicy = field(default_factory=SignInPolicy)
    rates: SignInRates = field(default_factory=SignInRates)


async def request_code(
    tx: AsyncConnection,
    count: Count,
    *,
    phone: str,
    channel: str,
    language: str,
    address: str,
    now: datetime,
    secret: bytes,
    rules: SignInRules,
) -> CodeRequested:
    """Send a one-time code to a phone. Codes sent to it before become worthless.

    Args:
        phone: as typed; a number without country code is taken to be of the default region.
        address: the network address that asks.
        secret: the key of the codes' hashes.

    Raises:
        Refusal: ``invalid_phone``, ``unsupported_country``, ``invalid`` (the channel), ``resend_too_soon``
            with ``seconds``, ``too_many_attempts``.
    """
    await count("sign_in_code_address", rules.rates.address, address)
    number = parse_phone(phone, default_region=rules.default_region, regions=rules.regions)
    if channel not in rules.channels:
        raise Refusal("invalid", fields={"channel": "Codes are not sent in this way here."})
    streak = await _lock_phone(tx, number.e164)
    decision = ask_again(Streak(streak.requests, streak.last_requested_at), now, rules.policy)
    if isinstance(decision, MustWait):
        raise Refusal("resend_too_soon", seconds=decision.seconds, retry_after_seconds=decision.seconds)
    # After the delay: an impatient member's clicks use up nothing.
    await _count_number(count, number, rules.rates)

    sign_in_id = new_id()
    code = f"{secrets.randbelow(10**CODE_LENGTH):0{CODE_LENGTH}d}"
    expires_at = now + timedelta(seconds=rules.policy.code_seconds)
    if streak.last_requested_at is not None:
        await _replace_codes(tx, number.e164, streak.notice_id, now)
    await tx.execute(
        insert(SignInCode).values(
            id=sign_in_id,
            phone=number.e164,
            channel=channel,
            code_hash=code_hash(secret, sign_in_id, code),
            tries_left=rules.policy.tries,
            address=address,
            created_at=now,
            expires_at=expires_at,
        )
    )
    notice_id = await enqueue(
        tx,
        channel=channel,
        recipient=number.e164,
        language=language,
        template="sign_in_code",
        values={"code": code, "minutes": rules.policy.code_seconds // 60},
        expires_at=expires_at,
        now=now,
    )
    await tx.execute(
        update(SignInPhone)
        .where(SignInPhone.phone == number.e164)
        .values(requests=decision.streak.requests, last_requested_at=now, notice_id=notice_id)
    )
    return CodeRequested(sign_in_id, number.e164, channel, decision.resend_after_seconds, expires_at)


async def verify_code(
    database: Database,
    *,
    sign_in_id: UUID,
    code: str,
    now: datetime,
    secret: bytes,
    language: str = DEFAULT_LANGUAGE,
) -> SignedIn:
    """Enter a code; the phone number becomes a member at its first sign-in.

    It takes the database and not a transaction, because a wrong entry must be *committed* although it is
    refused: the refusal is raised after the commit, where no caller's transaction can undo the lost try.

    Args:
        language: of a member who is made by this.

    Raises:
        Refusal: ``wrong_code`` with ``tries_left``; ``code_expired`` when it was used, replaced, entered
            wrongly too often, or is too old; ``member_blocked``.
    """
    async with transaction(database) as tx:
        outcome = await _enter_code(tx, sign_in_id, code, now=now, secret=secret, language=language)
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


async def _enter_code(
    tx: AsyncConnection, sign_in_id: UUID, code: str, *, now: datetime, secret: bytes, language: str
) -> SignedIn | Refusal:
    # The number's row comes first, as where a code is asked for: the other way round they could wait for each
    # other. Whose number a code is for never changes.
    await tx.execute(
        select(SignInPhone.phone)
        .join(SignInCode, SignInCode.phone == SignInPhone.phone)
        .where(SignInCode.id == sign_in_id)
        .with_for_update(of=SignInPhone, key_share=True)
    )
    # The guard and the try are one statement: of any number in parallel, only as many get through as tries
    # are left, one after another, and each sees whether one before it was right.
    entry = (
        await tx.execute(
            update(SignInCode)
            .where(
                SignInCode.id == sign_in_id,
                SignInCode.tries_left > 0,
                SignInCode.used_at.is_(None),
                SignInCode.replaced_at.is_(None),
                SignInCode.expires_at > now,
            )
            .values(tries_left=SignInCode.tries_left - 1)
            .returning(SignInCode.phone, SignInCode.code_hash, SignInCode.tries_left)
        )
    ).one_or_none()
    if entry is None:
        return Refusal("code_expired")
    if not is_right_code(secret, sign_in_id, code, entry.code_hash):
        return Refusal("wrong_code", tries_left=entry.tries_left)
    await tx.execute(update(SignInCode).where(SignInCode.id == sign_in_id).values(used_at=now))
    await tx.execute(update(SignInPhone).where(SignInPhone.phone == entry.phone).values(requests=0))
    return await _sign_in(tx, entry.phone, now, language)


async def _sign_in(tx: AsyncConnection, phone: str, now: datetime, language: str) -> SignedIn | Refusal:
    """The member with this number, made if need be; the caller has proved that the number is the person's."""
    # Each further round means that the number changed hands between two statements.
    for _round in range(_MOST_ROUNDS):
        member_id = (
            await tx.execute(select(MemberPhone.member_id).where(MemberPhone.phone == phone))
        ).scalar_one_or_none()
        if member_id is None:
            if (made := await _make_member(tx, phone, now, language)) is not None:
                return made
            continue
        signed_in = (
            await tx.execute(
                update(Member)
                # Asked again under the row's lock: the number may be another member's by now, or nobody's.
                .where(Member.id == member_id, Member.phone == phone)
                .values(
                    last_signed_in_at=case((Member.state == "active", now), else_=Member.last_signed_in_at)
                )
                .returning(Member.epoch, Member.state)
            )
        ).one_or_none()
        if signed_in is not None:
            if signed_in.state != "active":
                return Refusal("member_blocked")
            return SignedIn(member_id, signed_in.epoch, created=False)
    raise Refusal("unavailable")


async def _make_member(tx: AsyncConnection, phone: str, now: datetime, language: str) -> SignedIn | None:
    """A new member with this number; None when somebody has it: of two at once, the second waits here."""
    member_id = new_id()
    is_first = (
        await tx.execute(
            upsert(MemberPhone)
            .values(phone=phone, member_id=member_id)
            .on_conflict_do_nothing()
            .returning(MemberPhone.member_id)
        )
    ).scalar_one_or_none()
    if is_first is None:
        return None
    await tx.execute(
        insert(Member).values(
            id=member_id,
            phone=phone,
            language=language if language in LANGUAGES else DEFAULT_LANGUAGE,
            created_at=now,
            last_signed_in_at=now,
        )
    )
    return SignedIn(member_id, 1, created=True)


async def forget_codes(tx: AsyncConnection, *, created_before: datetime, most: int = 10_000) -> int:
    """Delete up to ``most`` codes older than this, and the streaks that ended; answers how many codes."""
    has_ended = SignInPhone.last_requested_at < created_before
    ended = select(SignInPhone.phone).where(has_ended).limit(most)
    # The age again: a streak that begins anew at this moment holds the row's lock, and is not asked in 'ended'.
    await tx.execute(delete(SignInPhone).where(SignInPhone.phone.in_(ended), has_ended))
    old = (
        select(SignInCode.id)
        .where(SignInCode.created_at < created_before)
        .order_by(SignInCode.id)
        .limit(most)
    )
    return (await tx.execute(delete(SignInCode).where(SignInCode.id.in_(old)))).rowcount


def channels_by_load(
    states: Mapping[str, QueueState], channels: Sequence[str] = CHANNELS
) -> list[ChannelChoice]:
    """The ways to get a code, the least loaded first and those behind last.

    Args:
        channels: those that have a provider, in the order preferred when none is busier than another.
    """

    def load(channel: str) -> tuple[bool, int]:
        state = states.get(channel)
        # In steps of five seconds: small differences must not make the buttons change places.
        return (state.behind, int(state.oldest_seconds // 5)) if state is not None else (False, 0)

    return [ChannelChoice(channel, load(channel)[0]) for channel in sorted(channels, key=load)]


@dataclass(frozen=True, slots=True)
class _LockedPhone:
    requests: int
    last_requested_at: datetime | None
    notice_id: UUID | None


async def _lock_phone(tx: AsyncConnection, phone: str) -> _LockedPhone:
    """Lock the row of a phone number, making it at its first code."""
    row = (
        await tx.execute(
            upsert(SignInPhone)
            .values(phone=phone, requests=0)
            # An update that changes nothing: it locks the row and answers its newest version.
            .on_conflict_do_update(index_elements=[SignInPhone.phone], set_={"phone": phone})
            .returning(SignInPhone.requests, SignInPhone.last_requested_at, SignInPhone.notice_id)
        )
    ).one()
    return _LockedPhone(row.requests, row.last_requested_at, row.notice_id)


async def _replace_codes(tx: AsyncConnection, phone: str, notice_id: UUID | None, now: datetime) -> None:
    # A code that was not yet sent is not sent any more: it would only confuse, and lengthen the queue.
    if notice_id is not None:
        await withdraw(tx, notice_id)
    await tx.execute(
        update(SignInCode)
        .where(SignInCode.phone == phone, SignInCode.replaced_at.is_(None), SignInCode.expires_at > now)
        .values(replaced_at=now)
    )


async def _count_number(count: Count, number: PhoneNumber, rates: SignInRates) -> None:
    await count("sign_in_code_phone", rates.phone, number.e164)
    await count("sign_in_code_country", rates.of_country(number.country_prefix), str(number.country_prefix))
