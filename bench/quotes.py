"""Quotes: the best combination of a member's coupons for a cart, by the engine alone, and the same in django-oscar;
and over HTTP (:mod:`bench.quotes_http`).

What is compared. Both price the same carts, of three merchants' products, with the same coupons: amounts off from a
minimum, and percentages, each for all lines, or one merchant's, or some categories. Tearline finds the combination
that saves most, splits every discount over units and over who pays for it, and gives a reason for each coupon that
does not apply. Oscar applies offers one after the other, in no order of worth, each to units that no offer has used:
it neither looks for the best nor stacks, which is less work. (With offers that combine it takes longer.)

Loading coupons is left out on our side, where a wallet's coupons are values by then. On oscar's side
``Applicator.apply`` loads the offers of the basket's vouchers and asks the database which products each is for, since
it cannot be called in another way.

All times are of the CPU, of one process, the fastest of several runs, so that others' work on the machine does not
matter. See ``bench/oscar/price_carts.py`` for how oscar is set up.
"""

from __future__ import annotations

import gc
import time
from math import log
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.comparison import print_expectations
from bench.quotes_carts import NOW, Case, adversarial, ordinary
from bench.quotes_http import quotes_over_http
from bench.quotes_oscar import time_oscar
from tearline.core.choosing import choose
from tearline.core.hints import hints
from tearline.core.pricing import Quote

SIZES = [(lines, coupons) for lines in (5, 20, 100) for coupons in (1, 10, 50)]
SMALL, LARGE = (20, 10), (100, 50)
EXPECTED = {
    "engine_ms_20x10": ("<=", 1.0),
    "engine_ms_100x50": ("<=", 20.0),
    "times_faster_than_oscar": (">=", 100.0),
    "growth_exponent": ("<=", 1.2),
    "adversarial_ms_max": ("<=", 50.0),
}


def run(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures; without ``times_faster_than_oscar`` where oscar can't be had."""
    cases = {size: ordinary(*size) for size in SIZES}
    ours = {size: time_choice(case, seconds=0.05 if quick else 1.0) for size, case in cases.items()}
    oscar = time_oscar(console, [cases[size] for size in SIZES], quick=quick)
    carts = [
        {
            "lines": size[0],
            "coupons": size[1],
            "engine_ms": round(ours[size][0], 4),
            "saving": ours[size][1].saving,
        }
        | (
            {"oscar_ms": round(oscar[place]["ms"], 2), "oscar_saving": oscar[place]["saving"]}
            if oscar
            else {}
        )
        for place, size in enumerate(SIZES)
    ]
    attacks = _attack(seconds=0.0 if quick else 0.3)
    figures: dict[str, Any] = {
        "engine_ms_20x10": round(ours[SMALL][0], 3),
        "engine_ms_100x50": round(ours[LARGE][0], 3),
    }
    if oscar:
        figures["times_faster_than_oscar"] = round(oscar[SIZES.index(SMALL)]["ms"] / ours[SMALL][0], 1)
    figures |= {
        "growth_exponent": round(growth_exponent(ours[SMALL][0], ours[LARGE][0]), 3),
        "adversarial_ms_max": max(one["ms"] for one in attacks),
        "carts": carts,
        "adversarial": attacks,
        "http": quotes_over_http(console, quick=quick),
    }
    _print(console, carts, attacks)
    print_expectations(console, figures, {name: what for name, what in EXPECTED.items() if name in figures})
    return figures


def time_choice(case: Case, *, seconds: float, with_hints: bool = False) -> tuple[float, Quote]:
    """Milliseconds of CPU time for the best choice, the least of as many runs as fit, and the quote.

    Args:
        with_hints: whether to look for near misses, too.
    """
    quote = choose(*case, NOW)
    best = float("inf")
    until = time.monotonic() + seconds
    gc.collect()
    while best == float("inf") or time.monotonic() < until:
        started = time.process_time()
        quote = choose(*case, NOW)
        if with_hints:
            hints(*case, quote, NOW)
        best = min(best, time.process_time() - started)
    return best * 1000, quote


def growth_exponent(small_ms: float, large_ms: float) -> float:
    """The power of lines times coupons with which the time grows."""
    return log(large_ms / small_ms) / log(LARGE[0] * LARGE[1] / (SMALL[0] * SMALL[1]))


def _attack(*, seconds: float) -> list[dict[str, Any]]:
    found = []
    for name, case in adversarial().items():
        milliseconds, quote = time_choice(case, seconds=seconds, with_hints=True)
        found.append(
            {
                "cart": name,
                "ms": round(milliseconds, 1),
                "is_best": quote.is_best,
                "applied": len(quote.applied),
            }
        )
    return found


def _print(console: Console, carts: list[dict[str, Any]], attacks: list[dict[str, Any]]) -> None:
    table = Table(title="the best combination for an ordinary cart")
    for column in ("lines", "coupons", "ms", "off", "oscar ms", "oscar off", "times"):
        table.add_column(column, justify="right")
    for one in carts:
        compared = "oscar_ms" in one
        table.add_row(
            f"{one['lines']}",
            f"{one['coupons']}",
            f"{one['engine_ms']:.3f}",
            f"{one['saving'] / 100:,.2f}",
            f"{one['oscar_ms']:,.1f}" if compared else "",
            f"{one['oscar_saving'] / 100:,.2f}" if compared else "",
            f"{one['oscar_ms'] / one['engine_ms']:,.0f}" if compared else "",
        )
    console.print(table)
    table = Table(title="500 lines and 200 coupons, built to hold it up")
    for column in ("cart", "ms", "best", "coupons used"):
        table.add_column(column, justify="left" if column == "cart" else "right")
    for one in attacks:
        table.add_row(one["cart"], f"{one['ms']:.1f}", "yes" if one["is_best"] else "", f"{one['applied']}")
    console.print(table)
