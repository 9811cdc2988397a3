"""The circuit breaker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tearline.notices.circuit import Circuit

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def seconds(count: float) -> datetime:
    return NOW + timedelta(seconds=count)


def opened() -> Circuit:
    circuit = Circuit(opens_after=3, open_seconds=10)
    for _ in range(3):
        circuit.begin()
        circuit.failed(NOW)
    return circuit


def test_it_opens_after_failures_in_a_row_only() -> None:
    circuit = Circuit(opens_after=3, open_seconds=10)
    circuit.failed(NOW)
    circuit.failed(NOW)
    circuit.succeeded()
    circuit.failed(NOW)
    circuit.failed(NOW)
    assert circuit.allows(NOW)
    circuit.failed(NOW)
    assert not circuit.allows(NOW)
    assert circuit.state == "open"


def test_after_a_while_one_message_tries_it_out() -> None:
    circuit = opened()
    assert not circuit.allows(seconds(9.9))
    assert circuit.allows(seconds(10))
    circuit.begin()
    assert circuit.state == "half_open"
    assert not circuit.allows(seconds(11))
    circuit.succeeded()
    assert circuit.state == "closed"
    assert circuit.allows(seconds(11))


def test_a_failed_trial_opens_it_for_twice_as_long() -> None:
    circuit = opened()
    circuit.begin()
    circuit.failed(seconds(10))
    assert not circuit.allows(seconds(29.9))
    assert circuit.allows(seconds(30))


def test_an_abandoned_trial_lets_another_one_through() -> None:
    circuit = opened()
    circuit.begin()
    circuit.abandoned()
    assert circuit.allows(seconds(10))


def test_wrong_credentials_open_it_at_once() -> None:
    circuit = Circuit()
    circuit.failed(NOW, at_once=True)
    assert not circuit.allows(NOW)


def test_a_pause_is_kept_without_suspicion() -> None:
    circuit = Circuit()
    circuit.paused(seconds(5))
    assert not circuit.allows(seconds(4))
    assert circuit.state == "closed"
    assert circuit.allows(seconds(5))
