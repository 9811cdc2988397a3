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
    if len(runs) == 1:  # as most are
        return runs[0][0] * runs[0][1]
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
    whole = sum(total_of(runs) for runs in weights)
    assert 0 <= total <= whole, "nobody can take off more than there is"
    if total in (0, whole):
        return list(weights) if total else [_nothing(runs) for runs in weights]
    flat = [run for runs in weights for run in runs]
    shares = [total * amount // whole for amount, _count in flat]
    left = total - sum(share * count for share, (_amount, count) in zip(shares, flat, strict=True))
    extras = [0] * len(flat)
    if left:
        lost = [total * amount % whole for amount, _count in flat]
        # Sorting is stable, also in reverse: of equal losses the first comes first.
        for place in sorted(range(len(flat)), key=lost.__getitem__, reverse=True):
            extras[place] = extra = min(flat[place][1], left)
            left -= extra
            if left == 0:
                break
    parts = [
        ((share, count),) if not extra else _with_extra(share, count, extra)
        for share, (_amount, count), extra in zip(shares, flat, extras, strict=True)
    ]
    each = iter(parts)
    return [
        next(each) if len(runs) == 1 else tuple(run for _run in runs for run in next(each))
        for runs in weights
    ]


def _nothing(runs: Runs) -> Runs:
    """No part of any unit."""
    if len(runs) == 1:  # as most are
        return ((0, runs[0][1]),)
    return tuple((0, count) for _amount, count in runs)


def _with_extra(share: int, count: int, extra: int) -> Runs:
    """The first ``extra`` of some units get one minor unit more than their share."""
    more = ((share + 1, extra),)
    return more if extra == count else (*more, (share, count - extra))


def subtract(runs: Runs, parts: Runs) -> Runs:
    """What is left of each unit after its part is taken; units that are left alike are kept together."""
    if len(runs) == len(parts) == 1:  # as most are
        (amount, count), (part, same) = runs[0], parts[0]
        assert count == same, "both are of the same units"
        return ((amount - part, count),)
    left: list[Run] = []
    for amount, part, count in aligned(runs, parts):
        if left and left[-1][0] == amount - part:
            left[-1] = (amount - part, left[-1][1] + count)
        else:
            left.append((amount - part, count))
    return tuple(left)


def aligned(first: Runs, second: Runs) -> list[tuple[int, int, int]]:
    """Two accounts of the same units side by side: what each unit has in the first, in the second, and how many."""
    if len(first) == len(second) == 1:  # as most are
        (first_amount, first_count), (second_amount, second_count) = first[0], second[0]
        assert first_count == second_count, "both are of the same units"
        return [(first_amount, second_amount, first_count)]
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
