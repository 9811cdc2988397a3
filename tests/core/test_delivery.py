"""What follows when a provider did not take a message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.delivery import FailureKind, GiveUp, RetryPolicy, TryAgain, after_failure, provider_index

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
EXPIRES_AT = NOW + timedelta(minutes=5)
POLICY = RetryPolicy()


def following(
    kind: FailureKind, attempt: int, *, provider_count: int = 2, retry_after_seconds: float | None = None
) -> TryAgain | GiveUp:
    return after_failure(
        kind,
        attempt,
        provider_count=provider_count,
        policy=POLICY,
        now=NOW,
        expires_at=EXPIRES_AT,
        retry_after_seconds=retry_after_seconds,
    )


def test_each_provider_is_tried_twice_then_the_next_and_then_the_first_again() -> None:
    assert [provider_index(attempt, 2, POLICY) for attempt in range(1, 9)] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_the_delay_doubles_up_to_its_longest() -> None:
    policy = RetryPolicy(tries_per_provider=20)
    delays = []
    for attempt in range(1, 8):
        step = after_failure(
            FailureKind.TEMPORARY, attempt, provider_count=1, policy=policy, now=NOW, expires_at=EXPIRES_AT
        )
        assert isinstance(step, TryAgain)
        delays.append((step.at - NOW).total_seconds())
    assert delays == [1, 2, 4, 8, 16, 30, 30]


def test_an_unreachable_recipient_fails_at_once() -> None:
    assert following(FailureKind.RECIPIENT, 1) == GiveUp("recipient")


@pytest.mark.parametrize("kind", [FailureKind.REFUSED, FailureKind.CREDENTIALS, FailureKind.THROTTLED])
def test_where_asking_again_is_useless_the_next_provider_is_asked_at_once(kind: FailureKind) -> None:
    assert following(kind, 1) == TryAgain(NOW, 2)
    assert provider_index(3, 2, POLICY) == 1


def test_a_single_throttled_provider_is_left_alone_as_long_as_it_asked() -> None:
    step = following(FailureKind.THROTTLED, 1, provider_count=1, retry_after_seconds=17)
    assert step == TryAgain(NOW + timedelta(seconds=17), 2)


def test_a_message_is_given_up_after_its_last_attempt_or_when_it_would_come_too_late() -> None:
    assert following(FailureKind.TEMPORARY, 8) == GiveUp("attempts")
    assert following(FailureKind.THROTTLED, 1, provider_count=1, retry_after_seconds=300) == GiveUp("expires")


def test_a_busy_provider_does_not_use_up_a_message() -> None:
    assert isinstance(following(FailureKind.THROTTLED, 100), TryAgain)


@given(st.sampled_from(FailureKind), st.integers(1, 60), st.integers(1, 4), st.floats(0, 1))
def test_attempts_never_go_back_and_nothing_is_tried_after_it_expired(
    kind: FailureKind, attempt: int, provider_count: int, spread: float
) -> None:
    step = after_failure(
        kind,
        attempt,
        provider_count=provider_count,
        policy=POLICY,
        now=NOW,
        expires_at=EXPIRES_AT,
        spread=spread,
    )
    if isinstance(step, TryAgain):
        assert step.attempts >= attempt
        assert NOW <= step.at < EXPIRES_AT
