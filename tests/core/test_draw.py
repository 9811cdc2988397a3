"""The draw: one-to-one, the same as the algorithm that is published, and fair."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tearline.core import draw
from tests.core.statistics_support import FALSE_ALARM, chi_square_limit, looks_uniform

Place = Callable[[bytes, int, int], int]

seeds = st.binary(min_size=draw.SEED_BYTES, max_size=draw.SEED_BYTES)


def seed_number(number: int) -> bytes:
    return hashlib.sha256(b"seed of a test, number %d" % number).digest()


def published_place(seed: bytes, arrival: int, arrivals: int) -> int:
    """The documented algorithm once more, from the hash function up and in another manner: on bit strings."""

    def hmac_sha256(key: bytes, message: bytes) -> bytes:
        inner, outer = (bytes(byte ^ pad for byte in key.ljust(64, b"\0")) for pad in (0x36, 0x5C))
        return hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).digest()

    bits = 8
    while 2**bits < arrivals:
        bits += 2
    half = bits // 2
    text = format(arrival, "b").zfill(bits)
    while True:
        for round_number in range(10):
            left, right = text[:half], text[half:]
            mixed = hmac_sha256(seed, struct.pack(">BQI", round_number, arrivals, int(right, 2)))
            key = "".join(format(byte, "08b") for byte in mixed[:4])[-half:]
            text = right + "".join("01"[a != b] for a, b in zip(left, key, strict=True))
        if int(text, 2) < arrivals:
            return int(text, 2)


# One-to-one


def is_one_to_one(seed: bytes, arrivals: int) -> bool:
    return sorted(draw.place(seed, arrival, arrivals) for arrival in range(arrivals)) == list(range(arrivals))


def test_every_number_of_arrivals_gets_every_place_once() -> None:
    assert all(is_one_to_one(seed_number(arrivals), arrivals) for arrivals in range(1, 258))


@pytest.mark.parametrize("arrivals", [1023, 1024, 1025, 4095, 4096, 4097, 9_000])
def test_larger_numbers_of_arrivals_too(arrivals: int) -> None:
    assert is_one_to_one(seed_number(1), arrivals)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 700))
def test_whatever_the_seed(seed: bytes, arrivals: int) -> None:
    assert is_one_to_one(seed, arrivals)


# The published algorithm


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(1, 2**40) | st.integers(1, 300), st.data())
def test_an_independent_implementation_agrees(seed: bytes, arrivals: int, data: st.DataObject) -> None:
    arrival = data.draw(st.integers(0, arrivals - 1))
    assert draw.place(seed, arrival, arrivals) == published_place(seed, arrival, arrivals)


def test_the_whole_of_some_draws_agrees() -> None:
    for arrivals in (1, 2, 37, 256, 257, 1024):
        seed = seed_number(arrivals)
        assert [draw.place(seed, arrival, arrivals) for arrival in range(arrivals)] == [
            published_place(seed, arrival, arrivals) for arrival in range(arrivals)
        ]


def test_the_commitment_is_the_hash_of_the_seed() -> None:
    assert draw.commitment(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len({draw.commitment(seed_number(number)) for number in range(100)}) == 100


@pytest.mark.parametrize(
    ("arrival", "arrivals"), [(-1, 10), (10, 10), (11, 10), (0, 0), (0, -1), (5, 2**40 + 1)]
)
def test_no_place_for_who_did_not_arrive(arrival: int, arrivals: int) -> None:
    with pytest.raises(ValueError, match="there is no arrival"):
        draw.place(seed_number(0), arrival, arrivals)


def test_the_largest_draw_is_within_its_bounds() -> None:
    assert 0 <= draw.place(seed_number(0), 2**40 - 1, 2**40) < 2**40


# Fairness. Seeds are fixed, so these tests always give the same answer; with other seeds a fair draw would fail
# one of them with the probability FALSE_ALARM.


def places_are_uniform(place: Place, arrival: int, arrivals: int, draws: int) -> bool:
    """Over many seeds, the same arrival gets each place equally often."""
    counts = Counter(place(seed_number(number), arrival, arrivals) for number in range(draws))
    return looks_uniform(counts.values(), arrivals)


def distances_are_uniform(place: Place, one: int, other: int, arrivals: int, draws: int) -> bool:
    """Over many seeds, two arrivals lie as often one as any other number of places apart, around the line."""
    counts = Counter(
        (place(seed_number(number), one, arrivals) - place(seed_number(number), other, arrivals)) % arrivals
        for number in range(draws)
    )
    return looks_uniform(counts.values(), arrivals - 1)


def is_uncorrelated(place: Place, seed: bytes, arrivals: int) -> bool:
    """Within one draw, the place follows neither from the arrival nor from the place of who came before."""
    places = np.array([place(seed, arrival, arrivals) for arrival in range(arrivals)])
    limit = NormalDist().inv_cdf(1 - FALSE_ALARM / 4) / sqrt(arrivals)
    with_arrival = np.corrcoef(np.arange(arrivals), places)[0, 1]
    with_neighbour = np.corrcoef(places[:-1], places[1:])[0, 1]
    return bool(abs(with_arrival) < limit and abs(with_neighbour) < limit)


def neighbours_are_parted(place: Place, seed: bytes, arrivals: int) -> bool:
    """As few as chance makes get places side by side: Poisson about 2 (20 or more: less than 1e-12)."""
    places = np.array([place(seed, arrival, arrivals) for arrival in range(arrivals)])
    return int((abs(np.diff(places)) == 1).sum()) < 20


def rotation(seed: bytes, arrival: int, arrivals: int) -> int:
    """Each place is uniform, and yet nobody is parted from their neighbours."""
    return (arrival + int.from_bytes(seed[:8], "big")) % arrivals


@pytest.mark.parametrize(
    ("arrival", "arrivals", "draws"),
    [(0, 2, 200), (6, 7, 500), (17, 52, 2_000), (255, 256, 4_000), (999, 1_000, 8_000)],
)
def test_places_are_uniform_over_seeds(arrival: int, arrivals: int, draws: int) -> None:
    assert places_are_uniform(draw.place, arrival, arrivals, draws)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 19)])
def test_two_arrivals_do_not_go_together(one: int, other: int) -> None:
    assert distances_are_uniform(draw.place, one, other, 40, 2_000)


@pytest.mark.parametrize("number", range(2))
def test_the_place_does_not_follow_from_the_arrival(number: int) -> None:
    assert is_uncorrelated(draw.place, seed_number(number), 5_000)
    assert neighbours_are_parted(draw.place, seed_number(number), 5_000)


def test_the_first_tenth_is_in_the_first_tenth_no_more_often_than_others() -> None:
    early = sum(
        draw.place(seed_number(number), arrival, 100) < 10 for number in range(300) for arrival in range(10)
    )
    # 3000 draws of one in ten; those within one draw exclude one another, which only narrows it.
    assert abs(early - 300) < NormalDist().inv_cdf(1 - FALSE_ALARM / 2) * sqrt(3_000 * 0.1 * 0.9)


# The measures can fail


def test_a_rotation_is_found_out() -> None:
    assert places_are_uniform(rotation, 17, 52, 2_000)
    assert not distances_are_uniform(rotation, 0, 1, 40, 2_000)
    assert not is_uncorrelated(rotation, seed_number(0), 5_000)
    assert not neighbours_are_parted(rotation, seed_number(0), 5_000)


def test_too_few_rounds_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "ROUNDS", 1)
    assert not places_are_uniform(draw.place, 255, 256, 4_000)
    monkeypatch.setattr(draw, "ROUNDS", 2)
    assert not distances_are_uniform(draw.place, 3, 19, 40, 2_000)


def test_a_slight_preference_is_found_out() -> None:
    def first_place_twice_as_often(seed: bytes, arrival: int, arrivals: int) -> int:
        return int.from_bytes(seed[:8], "big") % (arrivals + 1) % arrivals

    assert not places_are_uniform(first_place_twice_as_often, 6, 7, 4_000)


def test_the_limit_is_that_of_the_tables() -> None:
    # NIST/SEMATECH e-Handbook, table 1.3.6.7.4: upper 0.1 % points.
    for degrees, limit in ((5, 20.515), (10, 29.588), (30, 59.703), (100, 149.449)):
        assert chi_square_limit(degrees, 0.001) == pytest.approx(limit, rel=0.015)
