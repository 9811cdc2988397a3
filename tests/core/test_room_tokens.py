"""Tickets and passes of waiting rooms: forged, altered, expired, another room's, another purpose's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.refusal import Refusal
from tearline.members.tokens import MemberTokens
from tearline.waitingroom.tokens import Pass, RoomTokens, Ticket

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
OLD_KEY, NEW_KEY, STRANGE_KEY = b"o" * 32, b"n" * 32, b"s" * 32
ROOM, OTHER_ROOM, MEMBER = UUID(int=11), UUID(int=12), UUID(int=21)
TOKENS = RoomTokens([NEW_KEY])
TICKET = Ticket(ROOM, 3, 70_000)
PASS = Pass(ROOM, 3, 123, MEMBER, NOW, NOW + timedelta(minutes=30))
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def reason_of(read: Callable[[], object]) -> str | None:
    try:
        read()
    except Refusal as refusal:
        return refusal.reason
    return None


def ticket_refused(token: str, tokens: RoomTokens = TOKENS, room_id: UUID = ROOM) -> bool:
    return reason_of(lambda: tokens.read_ticket(token, room_id)) == "wrong_ticket"


def pass_refused(token: str, tokens: RoomTokens = TOKENS, room_id: UUID = ROOM) -> bool:
    return reason_of(lambda: tokens.read_pass(token, room_id, NOW)) == "pass_required"


@given(st.uuids(), st.integers(0, 2**31), st.integers(0, 2**63 - 1))
def test_a_ticket_says_what_it_was_given_with(room_id: UUID, round_: int, number: int) -> None:
    ticket = Ticket(room_id, round_, number)
    assert TOKENS.read_ticket(TOKENS.ticket(ticket), room_id) == ticket


@given(
    st.uuids(),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.uuids(),
    st.integers(0, 2**31 * 10**6).map(lambda microseconds: NOW + timedelta(microseconds=microseconds)),
    st.integers(30, 24 * 3600),
)
def test_a_pass_says_what_it_was_given_with_in_whole_seconds(
    room_id: UUID, place: int, member_id: UUID | None, entered: datetime, seconds: int
) -> None:
    expires = entered + timedelta(seconds=seconds)
    token = TOKENS.passed(Pass(room_id, 1, place, member_id, entered, expires))
    assert TOKENS.read_pass(token, room_id, entered) == Pass(
        room_id,
        1,
        place,
        member_id if member_id and member_id.int else None,
        entered.replace(microsecond=0),
        expires.replace(microsecond=0),
    )


def test_a_pass_ends_with_its_time() -> None:
    token = TOKENS.passed(PASS)
    last = PASS.expires_at - timedelta(microseconds=1)
    assert TOKENS.read_pass(token, ROOM, last) == PASS
    assert reason_of(lambda: TOKENS.read_pass(token, ROOM, PASS.expires_at)) == "pass_ended"
    assert (
        reason_of(lambda: TOKENS.read_pass(token, ROOM, PASS.expires_at + timedelta(days=400)))
        == "pass_ended"
    )


def test_another_rooms_are_refused() -> None:
    assert ticket_refused(TOKENS.ticket(TICKET), room_id=OTHER_ROOM)
    assert pass_refused(TOKENS.passed(PASS), room_id=OTHER_ROOM)


def test_no_character_can_be_changed_or_cut_off() -> None:
    for token, is_refused in ((TOKENS.ticket(TICKET), ticket_refused), (TOKENS.passed(PASS), pass_refused)):
        for position, character in enumerate(token):
            for other in ALPHABET:
                if other != character:
                    assert is_refused(token[:position] + other + token[position + 1 :]), (position, other)
            assert is_refused(token[:position])
        assert is_refused(token + "A")


def test_one_kind_is_not_taken_for_another() -> None:
    ticket, held = TOKENS.ticket(TICKET), TOKENS.passed(PASS)
    member = MemberTokens([NEW_KEY]).issue(ROOM, 3, NOW)
    assert len(member) == len(ticket), "only key and version tell them apart"
    # Each kind has a key of its own, made of the same secret.
    assert len({token.split(".")[1] for token in (ticket, held, member)}) == 3
    assert ticket_refused(held)
    assert pass_refused(ticket)
    for disguised in (member, "t1" + member[2:], "p1" + member[2:]):
        assert ticket_refused(disguised)
        assert pass_refused(disguised)
    for disguised in (ticket, "v1" + ticket[2:], held, "v1" + held[2:]):
        with pytest.raises(Refusal, match="session_ended"):
            MemberTokens([NEW_KEY]).verify(disguised, NOW)
    # Under the ticket's own version and key id, with a member token's payload and signature.
    assert ticket_refused(".".join([*ticket.split(".")[:2], *member.split(".")[2:]]))


def test_keys_rotate_and_are_dropped() -> None:
    old, rotated = RoomTokens([OLD_KEY]), RoomTokens([NEW_KEY, OLD_KEY])
    assert rotated.read_ticket(old.ticket(TICKET), ROOM) == TICKET
    assert rotated.read_pass(old.passed(PASS), ROOM, NOW) == PASS
    assert rotated.ticket(TICKET) == TOKENS.ticket(TICKET)
    assert ticket_refused(old.ticket(TICKET))
    assert pass_refused(old.passed(PASS))


def test_those_of_a_strange_key_are_refused() -> None:
    forger = RoomTokens([STRANGE_KEY])
    ticket, held = forger.ticket(TICKET), forger.passed(PASS)
    assert ticket_refused(ticket)
    assert pass_refused(held)
    # And when they bear the id of ours.
    assert ticket_refused(".".join([*TOKENS.ticket(TICKET).split(".")[:2], *ticket.split(".")[2:]]))
    assert pass_refused(".".join([*TOKENS.passed(PASS).split(".")[:2], *held.split(".")[2:]]))


@pytest.mark.parametrize("token", ["", ".", "...", "t1...", "p1.a.b.c", "é" * 90, "\0" * 90, "a" * 10_000])
def test_nonsense_is_refused(token: str) -> None:
    assert ticket_refused(token)
    assert pass_refused(token)
