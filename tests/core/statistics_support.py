"""Chi-square without a statistics library."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from statistics import NormalDist

FALSE_ALARM = 1e-6
"""How likely a single one of these tests would fail though nothing is wrong, were its seeds drawn anew."""


def chi_square(counts: Iterable[int], cells: int) -> float:
    """How far counts are from being the same in all cells; cells that are not among them count as empty."""
    seen = list(counts)
    expected = sum(seen) / cells
    return sum((count - expected) ** 2 / expected for count in seen) + (cells - len(seen)) * expected


def chi_square_limit(degrees: int, false_alarm: float = FALSE_ALARM) -> float:
    """Above this chi-square lies with the given probability only (Wilson and Hilferty, 1931)."""
    deviations = NormalDist().inv_cdf(1 - false_alarm)
    return degrees * (1 - 2 / (9 * degrees) + deviations * sqrt(2 / (9 * degrees))) ** 3


def looks_uniform(counts: Iterable[int], cells: int) -> bool:
    """Whether a uniform draw could have given these counts."""
    return chi_square(counts, cells) < chi_square_limit(cells - 1)
