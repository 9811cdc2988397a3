"""Signing in with a phone number, and its races over real commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text

from tearline.core.refusal import Refusal
from tearline.core.signin import Rate, SignInPolicy, SignInRates, code_hash
from tearline.db import Database, new_id, transaction
from tearline.members import sign_in
from tearline.members.model import Member, MemberPhone, SignInCode
from tearline.members.sign_in import (
    ChannelChoice,
    CodeRequested,
    SignedIn,
    SignInRules,
    channels_by_load,
    forget_codes,
    request_code,
    verify_code,
)
from tearline.notices.model import Notice
from tearline.notices.reads import QueueState

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SECRET = b"s" * 32
RULES = SignInRules()
PHONE = "+85251234567"


class Counts:
    """A rate limit in memory without windows: enough to see what is counted and when it refuses."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()

    async def __call__(self, name: str, rate: Rate, key: str) -> None:
        self.seen[name, key] += 1
        if self.seen[name, key] > rate.amount:
            raise Refusal("too_many_attempts")


async def ask(database: Database, **changes: Any) -> CodeRequested:
    arguments: dict[str, Any] = {
        "phone": PHONE, "channel": "sms", "language": "en", "address": "192.0.2.1", "now": NOW,
        "secret": SECRET, "rules": RULES, "count": Counts(), **changes,
    }  # fmt: skip
    count = arguments.pop("count")
    async with transaction(database) as tx:
        return await request_code(tx, count, **arguments)


async def sent_code(database: Database, phone: str = PHONE) -> str:
    async with database.connection() as connection:
        statement = select(Notice.values).where(Notice.recipient == phone).order_by(Notice.id.desc()).limit(1)
        return str((await connection.execute(statement)).scalar_one()["code"])


async def enter(database: Database, sign_in_id: UUID, code: str, **changes: Any) -> SignedIn:
    return await verify_code(
        database, **{"sign_in_id": sign_in_id, "code": code, "now": NOW, "secret": SECRET, **changes}
    )


async def reason_of(awaitable: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value.reason


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def code_row(database: Database, sign_in_id: UUID) -> Any:
    async with database.connection() as connection:
        return (
            await connection.execute(select(*SignInCode.__table__.c).where(SignInCode.id == sign_in_id))
        ).one()


async def test_a_phone_number_becomes_a_member_at_its_first_sign_in(database: Database) -> None:
    asked = await ask(database, phone="5123 4567", language="th")
    assert (asked.phone, asked.channel, asked.resend_after_seconds) == (PHONE, "sms", 30)
    assert asked.expires_at == NOW + timedelta(minutes=5)
    code = await sent_code(database)
    assert len(code) == 6
    assert code.isdigit()

    first = await enter(database, asked.sign_in_id, code, language="th")
    assert first.created
    later = NOW + timedelta(hours=2)
    again = await ask(database, now=later)
    second = await enter(database, again.sign_in_id, await sent_code(database), now=later)
    assert second == SignedIn(first.member_id, 1, created=False)
    async with database.connection() as connection:
        member = (await connection.execute(select(*Member.__table__.c))).one()
    assert (member.phone, member.language, member.created_at, member.last_signed_in_at) == (
        PHONE,
        "th",
        NOW,
        later,
    )


async def test_the_code_itself_is_only_in_the_message(database: Database) -> None:
    asked = await ask(database)
    code = await sent_code(database)
    row = await code_row(database, asked.sign_in_id)
    assert bytes(row.code_hash) == code_hash(SECRET, asked.sign_in_id, code)
    assert code not in str(row)


async def test_a_wrong_entry_costs_a_try_although_it_is_refused(database: Database) -> None:
    asked = await ask(database)
    code = await sent_code(database)
    for tries_left in (4, 3, 2, 1, 0):
        with pytest.raises(Refusal) as caught:
            await enter(database, asked.sign_in_id, wrong(code))
        assert (caught.value.reason, caught.value.details) == ("wrong_code", {"tries_left": tries_left})
    assert await reason_of(enter(database, asked.sign_in_id, code)) == "code_expired"


async def test_a_code_ends_after_five_minutes(database: Database) -> None:
    asked = await ask(database)
    code = await sent_code(database)
    late = NOW + timedelta(minutes=5)
    assert await reason_of(enter(database, asked.sign_in_id, code, now=late)) == "code_expired"
    assert await reason_of(enter(database, new_id(), code)) == "code_expired"


async def test_a_code_is_good_once(database: Database) -> None:
    asked = await ask(database)
    code = await sent_code(database)
    await enter(database, asked.sign_in_id, code)
    assert await reason_of(enter(database, asked.sign_in_id, code)) == "code_expired"


async def test_a_code_of_another_secret_is_wrong(database: Database) -> None:
    asked = await ask(database)
    code = await sent_code(database)
    assert await reason_of(enter(database, asked.sign_in_id, code, secret=b"x" * 32)) == "wrong_code"


async def test_a_newer_code_replaces_the_older_and_its_message(database: Database) -> None:
    first = await ask(database)
    old_code = await sent_code(database)
    second = await ask(database, channel="voice", now=NOW + timedelta(seconds=30))
    assert await reason_of(enter(database, first.sign_in_id, old_code)) == "code_expired"
    async with database.connection() as connection:
        rows = (
            await connection.execute(select(Notice.channel, Notice.state, Notice.values).order_by(Notice.id))
        ).all()
    assert [(row.channel, row.state) for row in rows] == [("sms", "failed"), ("voice", "queued")]
    assert rows[0][2] == {}
    assert (await enter(database, second.sign_in_id, rows[1][2]["code"])).created


async def test_the_wait_for_the_next_code_grows(database: Database) -> None:
    now = NOW
    for wait_seconds in (30, 60, 120, 240):
        asked = await ask(database, now=now)
        assert asked.resend_after_seconds == wait_seconds
        with pytest.raises(Refusal) as caught:
            await ask(database, now=now + timedelta(seconds=wait_seconds - 1))
        assert (caught.value.reason, caught.value.details["seconds"]) == ("resend_too_soon", 1)
        now += timedelta(seconds=wait_seconds)
    assert (await ask(database, now=now + timedelta(hours=1))).resend_after_seconds == 30


async def test_a_sign_in_ends_the_streak(database: Database) -> None:
    asked = await ask(database)
    await enter(database, asked.sign_in_id, await sent_code(database))
    assert (await ask(database, now=NOW + timedelta(seconds=1))).resend_after_seconds == 30


@pytest.mark.parametrize(
    "phone", ["", "abc", "123", "+852 1234", "+99912345678", "5" * 51, "51234567 ext. 5", "+1\ud800"]
)
async def test_what_is_no_phone_number_is_refused(database: Database, phone: str) -> None:
    assert await reason_of(ask(database, phone=phone)) == "invalid_phone"


async def test_other_countries_and_channels_are_refused(database: Database) -> None:
    rules = SignInRules(regions=frozenset({"HK", "MO"}), channels=("sms", "voice"))
    assert await reason_of(ask(database, phone="+66812345678", rules=rules)) == "unsupported_country"
    assert await reason_of(ask(database, channel="whatsapp", rules=rules)) == "invalid"
    assert await reason_of(ask(database, channel="pigeon")) == "invalid"
    await ask(database, phone="+853 6612 3456", rules=rules)


async def test_limits_hold_for_address_phone_and_country(database: Database) -> None:
    counts = Counts()
    rates = SignInRates(
        phone=Rate(2, 60), address=Rate(5, 60), country=Rate(1, 60), countries={852: Rate(3, 60)}
    )
    rules = SignInRules(rates=rates)
    now = NOW
    for _ in range(2):
        await ask(database, count=counts, rules=rules, now=now)
        now += timedelta(hours=1)
    assert await reason_of(ask(database, count=counts, rules=rules, now=now)) == "too_many_attempts"
    await ask(database, count=counts, rules=rules, now=now, phone="+85251234568")
    # A third Hong Kong number is over the country's rate; the address has two requests left of its five.
    assert (
        await reason_of(ask(database, count=counts, rules=rules, phone="+85251234569")) == "too_many_attempts"
    )
    assert (
        await reason_of(ask(database, count=counts, rules=rules, phone="+66812345678")) == "too_many_attempts"
    )
    await ask(database, count=counts, rules=rules, phone="+66812345678", address="192.0.2.2")
    other = ask(database, count=counts, rules=rules, phone="+66812345679", address="192.0.2.2")
    assert await reason_of(other) == "too_many_attempts"


async def test_impatient_clicks_use_up_no_codes_of_the_phone(database: Database) -> None:
    counts = Counts()
    await ask(database, count=counts)
    for _ in range(3):
        assert await reason_of(ask(database, count=counts)) == "resend_too_soon"
    assert counts.seen["sign_in_code_phone", PHONE] == 1
    assert counts.seen["sign_in_code_address", "192.0.2.1"] == 4


async def test_a_blocked_member_is_told_so(database: Database) -> None:
    asked = await ask(database)
    await enter(database, asked.sign_in_id, await sent_code(database))
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE member SET state = 'blocked'"))
    asked = await ask(database, now=NOW + timedelta(seconds=60))
    code = await sent_code(database)
    assert await reason_of(enter(database, asked.sign_in_id, code)) == "member_blocked"
    assert await reason_of(enter(database, asked.sign_in_id, code)) == "code_expired"


async def outcomes(*awaitables: Any) -> Counter[str]:
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    names: Counter[str] = Counter()
    for result in results:
        if isinstance(result, Refusal):
            names[result.reason] += 1
        elif isinstance(result, BaseException):
            raise result
        else:
            names["yes"] += 1
    return names


@pytest.fixture
async def wide(database_url: str) -> Any:
    """A handle with enough connections for a race."""
    async with Database(database_url, pool_size=64) as handle:
        yield handle


async def test_64_wrong_entries_at_once_get_five_tries(wide: Database) -> None:
    asked = await ask(wide)
    code = await sent_code(wide)
    guesses = [enter(wide, asked.sign_in_id, wrong(code)) for _ in range(64)]
    assert await outcomes(*guesses) == {"wrong_code": 5, "code_expired": 59}
    assert (await code_row(wide, asked.sign_in_id)).tries_left == 0


async def test_negative_control_reading_the_tries_first_lets_more_through(
    wide: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race above must be able to fail: with the check before the change, it does."""

    async def check_then_change(tx: Any, sign_in_id: UUID, code: str, **_: Any) -> Refusal:
        entry = (await tx.execute(select(SignInCode.tries_left).where(SignInCode.id == sign_in_id))).one()
        if entry.tries_left <= 0:
            return Refusal("code_expired")
        await tx.execute(
            text("UPDATE sign_in_code SET tries_left = :left WHERE id = :id"),
            {"left": entry.tries_left - 1, "id": sign_in_id},
        )
        return Refusal("wrong_code", tries_left=entry.tries_left - 1)

    monkeypatch.setattr(sign_in, "_enter_code", check_then_change)
    asked = await ask(wide)
    seen = await outcomes(*[enter(wide, asked.sign_in_id, "0") for _ in range(64)])
    assert seen["wrong_code"] > 5


async def test_the_right_code_entered_many_times_at_once_signs_in_once(wide: Database) -> None:
    asked = await ask(wide)
    code = await sent_code(wide)
    entries = [enter(wide, asked.sign_in_id, code) for _ in range(32)]
    assert await outcomes(*entries) == {"yes": 1, "code_expired": 31}


async def test_many_requests_at_once_send_one_code(wide: Database) -> None:
    counts = Counts()
    requests = [ask(wide, count=counts) for _ in range(32)]
    assert await outcomes(*requests) == {"yes": 1, "resend_too_soon": 31}
    async with wide.connection() as connection:
        assert (await connection.execute(select(func.count()).select_from(Notice))).scalar_one() == 1


async def test_first_sign_ins_at_once_make_one_member(wide: Database) -> None:
    ids = [new_id() for _ in range(16)]
    async with transaction(wide) as tx:
        rows = [
            {
                "id": id_, "phone": PHONE, "channel": "sms", "code_hash": code_hash(SECRET, id_, "123456"),
                "tries_left": 5, "address": "", "created_at": NOW, "expires_at": NOW + timedelta(minutes=5),
            }
            for id_ in ids
        ]  # fmt: skip
        await tx.execute(insert(SignInCode), rows)
    results = await asyncio.gather(*[enter(wide, id_, "123456") for id_ in ids])
    assert len({result.member_id for result in results}) == 1
    assert sum(result.created for result in results) == 1
    async with wide.connection() as connection:
        assert (await connection.execute(select(func.count()).select_from(Member))).scalar_one() == 1
        assert (await connection.execute(select(MemberPhone.member_id))).scalars().all() == [
            results[0].member_id
        ]


async def test_old_codes_and_streaks_are_forgotten(database: Database) -> None:
    await ask(database)
    await ask(database, phone="+85251234568", now=NOW + timedelta(days=2))
    async with transaction(database) as tx:
        assert await forget_codes(tx, created_before=NOW + timedelta(days=1)) == 1
        assert (await tx.execute(text("SELECT phone FROM sign_in_phone"))).scalars().all() == ["+85251234568"]


async def test_other_numbers_can_be_set(database: Database) -> None:
    rules = SignInRules(policy=SignInPolicy(code_seconds=60, tries=1, first_delay_seconds=5))
    asked = await ask(database, rules=rules)
    assert asked.resend_after_seconds == 5
    assert asked.expires_at == NOW + timedelta(seconds=60)
    assert (
        await reason_of(enter(database, asked.sign_in_id, wrong(await sent_code(database)))) == "wrong_code"
    )
    assert await reason_of(enter(database, asked.sign_in_id, await sent_code(database))) == "code_expired"


async def test_the_least_loaded_channel_is_offered_first() -> None:
    def order(**states: QueueState) -> list[ChannelChoice]:
        return channels_by_load(states)

    quiet = QueueState(0, 0.0, behind=False)
    assert order(sms=quiet, whatsapp=quiet, voice=quiet) == [
        ChannelChoice("sms", False), ChannelChoice("whatsapp", False), ChannelChoice("voice", False)
    ]  # fmt: skip
    behind = QueueState(900, 40.0, behind=True)
    busy = QueueState(50, 8.0, behind=False)
    assert order(sms=behind, whatsapp=busy, voice=quiet) == [
        ChannelChoice("voice", False), ChannelChoice("whatsapp", False), ChannelChoice("sms", True)
    ]  # fmt: skip
    # Small differences change nothing.
    assert order(sms=QueueState(3, 1.5, behind=False), voice=quiet)[0].channel == "sms"
    assert channels_by_load({}, ["voice"]) == [ChannelChoice("voice", False)]
