"""The draw: who came before the start gets a place at random, which everyone can check for themselves.

A secret seed is drawn when gathering opens and its hash is published: the commitment. At the start the seed
is revealed, and the place of arrival number ``i`` among ``n`` is ``place(seed, i, n)``: a keyed permutation,
so that nobody's place is stored and no two share one. The permutation is a Feistel network with
HMAC-SHA-256 (of the round, ``n`` and the half) as its round function over the smallest even number of bits
that holds ``n`` (at least ``MINIMUM_BITS``), and cycle-walking brings what falls outside back in (Black and
Rogaway, "Ciphers with Arbitrary Finite Domains", 2002, method 2). ``n`` goes into every round, so that no
number of arrival is good before the last visitor has come, not even for who knows the seed.
``docs/draw.md`` says the same in ten lines of other languages.
"""

from __future__ import annotations

import hashlib
import hmac

SEED_BYTES = 32
ROUNDS = 10
MINIMUM_BITS = 8
"""A smaller domain is permuted in too few ways; in this one a walk takes a millisecond or two at the worst."""

MAXIMUM_ARRIVALS = 2**40


def commitment(seed: bytes) -> str:
    """What is published before the start: the SHA-256 of the seed, in hexadecimal."""
    return hashlib.sha256(seed).hexdigest()


def place(seed: bytes, arrival: int, arrivals: int) -> int:
    """The place in line, from 0, of arrival number ``arrival`` (from 0) among ``arrivals``.

    One-to-one on ``range(arrivals)`` for every seed.

    Raises:
        ValueError: when ``arrival`` is not one of ``range(arrivals)``, or there are too many.
    """
    if not 0 <= arrival < arrivals <= MAXIMUM_ARRIVALS:
        raise ValueError(f"there is no arrival {arrival} among {arrivals}")
    half_bits = max(MINIMUM_BITS, (arrivals - 1).bit_length() + 1) // 2
    value = _permute(seed, arrivals, arrival, half_bits)
    while value >= arrivals:
        value = _permute(seed, arrivals, value, half_bits)
    return value


def place_in_line(seed: bytes | None, gathered: int, number: int) -> int:
    """The place of a ticket: drawn for the ``gathered`` who came before the start, its number for all after them."""
    if number >= gathered or seed is None:
        return number
    return place(seed, number, gathered)


def _permute(seed: bytes, arrivals: int, value: int, half_bits: int) -> int:
    count = arrivals.to_bytes(8, "big")
    mask = (1 << half_bits) - 1
    left, right = value >> half_bits, value & mask
    for number in range(ROUNDS):
        digest = hmac.digest(seed, bytes([number]) + count + right.to_bytes(4, "big"), "sha256")
        left, right = right, left ^ (int.from_bytes(digest[:4], "big") & mask)
    return (left << half_bits) | right
