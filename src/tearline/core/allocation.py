"""Splitting an amount over units, exactly: integer minor units, by largest remainder.

Units of one line that cost the same are kept together as a **run**, a pair of what each is worth and how many
there are, so that a thousand units cost no more than one. Every answer is the same as if each unit stood alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Run: TypeAlias = tuple[int, int]
"""Minor units of each, and how many there are."""
Runs: TypeAlias = tuple[Run, ...]
"""The units of something in their order."""


def total_of(runs: Runs) -> int:
    """What all units are worth together."""
    return sum(amount * count for amount, count in runs)


def allocate(total: int, weights: Sequence[Runs]) -> list[Runs]:
    """Split ``total`` over units in proportion to their weights, so that the parts sum to it exactly.

    Each unit gets the whole part of its share; what is left over goes, one minor unit each, to those whose share
    lost most by that, and of equals to the first. So no part is below zero or above its unit's weight, which the
    usual 'the last line takes the remainder' does not hold to.

    Args:
        total: from 0 to the sum of all weights.
        weights: the units' weights; those of each line together, in order.

    Returns:
        The parts in the same order, those of each line together.
    """
    whole = sum(amount * count for runs in weights for amount, count in runs)
    assert 0 <= total <= whole, "nobody can take off more than there is"
    if total in (0, whole):
        return [tuple((amount if total else 0, count) for amount, count in runs) for runs in weights]
    shares = [
        (divmod(total * amount, whole), line, place, count)
        for line, runs in enumerate(weights)
        for place, (amount, count) in enumerate(runs)
    ]
    left = total - sum(share * count for (share, _rest), _line, _place, count in shares)
    extras: dict[tuple[int, int], int] = {}
    # Sorting is stable: of equal remainders the first comes first.
    for (_share, _rest), line, place, count in sorted(shares, key=lambda one: -one[0][1]):
        if left == 0:
            break
        extras[line, place] = extra = min(count, left)
        left -= extra
    parts: list[list[Run]] = [[] for _ in weights]
    for (share, _rest), line, place, count in shares:
        extra = extras.get((line, place), 0)
        if extra:
            parts[line].append((share + 1, extra))
        if count > extra:
            parts[line].append((share, count - extra))
    return [tuple(line) for line in parts]


def subtract(runs: Runs, parts: Runs) -> Runs:
    """What is left of each unit after its part is taken; units that are left alike are kept together."""
    left: list[Run] = []
    for amount, part, count in aligned(runs, parts):
        if left and left[-1][0] == amount - part:
            left[-1] = (amount - part, left[-1][1] + count)
        else:
            left.append((amount - part, count))
    return tuple(left)


def aligned(first: Runs, second: Runs) -> list[tuple[int, int, int]]:
    """Two accounts of the same units side by side: what each unit has in the first, in the second, and how many."""
    found: list[tuple[int, int, int]] = []
    one, other = iter(first), iter(second)
    first_amount = second_amount = first_count = second_count = 0
    while True:
        if first_count == 0:
            first_amount, first_count = next(one, (0, 0))
        if second_count == 0:
            second_amount, second_count = next(other, (0, 0))
        count = min(first_count, second_count)
        if count == 0:
            assert first_count == second_count == 0, "both are of the same units"
            return found
        found.append((first_amount, second_amount, count))
        first_count -= count
        second_count -= count
