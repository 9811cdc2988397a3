"""The rules of one-time codes: the growing delay, and reading what people type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.signin import (
    MaySend,
    MustWait,
    Rate,
    SignInPolicy,
    SignInRates,
    Streak,
    ask_again,
    code_hash,
    delay_seconds,
    is_right_code,
    normalise_code,
)

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
POLICY = SignInPolicy()


def test_the_first_code_may_be_sent_at_once() -> None:
    assert ask_again(Streak(0, None), NOW, POLICY) == MaySend(Streak(1, NOW), 30)


def test_the_delay_doubles_with_each_code() -> None:
    assert [delay_seconds(n, POLICY) for n in range(9)] == [0, 30, 60, 120, 240, 480, 960, 1920, 3600]


def test_a_code_before_its_time_must_wait_the_rest() -> None:
    streak = Streak(2, NOW)
    assert ask_again(streak, NOW + timedelta(seconds=59.2), POLICY) == MustWait(1)
    assert ask_again(streak, NOW + timedelta(seconds=10), POLICY) == MustWait(50)
    assert isinstance(ask_again(streak, NOW + timedelta(seconds=60), POLICY), MaySend)


def test_a_streak_is_forgotten_after_an_hour() -> None:
    assert ask_again(Streak(7, NOW), NOW + timedelta(hours=1), POLICY) == MaySend(
        Streak(1, NOW + timedelta(hours=1)), 30
    )


def test_a_clock_that_went_back_does_not_lengthen_the_wait() -> None:
    assert ask_again(Streak(1, NOW), NOW - timedelta(hours=2), POLICY) == MustWait(30)


@given(st.integers(0, 40), st.integers(0, 8000))
def test_waiting_as_long_as_told_is_always_enough(requests: int, elapsed_seconds: int) -> None:
    streak = Streak(requests, NOW)
    at = NOW + timedelta(seconds=elapsed_seconds)
    decision = ask_again(streak, at, POLICY)
    if isinstance(decision, MustWait):
        assert 0 < decision.seconds <= 3600
        assert isinstance(ask_again(streak, at + timedelta(seconds=decision.seconds), POLICY), MaySend)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("123-456", "123456"),
        ("１２３４５６", "123456"),
        ("๑๒๓๔๕๖", "123456"),
        ("12345x", "12345?"),
        ("", ""),
    ],
)
def test_codes_are_read_as_people_type_them(typed: str, code: str) -> None:
    assert normalise_code(typed) == code


def test_a_hash_belongs_to_its_secret_and_its_sign_in() -> None:
    first, second = UUID(int=1), UUID(int=2)
    expected = code_hash(b"secret", first, "123456")
    assert is_right_code(b"secret", first, "123 456", expected)
    assert not is_right_code(b"secret", first, "123457", expected)
    assert not is_right_code(b"secret", second, "123456", expected)
    assert not is_right_code(b"other", first, "123456", expected)


def test_a_country_can_have_a_rate_of_its_own() -> None:
    rates = SignInRates(country=Rate(1, 60), countries={852: Rate(9, 60)})
    assert rates.of_country(852) == Rate(9, 60)
    assert rates.of_country(1) == Rate(1, 60)
