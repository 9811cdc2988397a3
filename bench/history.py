"""Does it get slower with age? The same work on a young and on an old database, in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg
from rich.console import Console

from bench.installation import Web, web
from bench.load import Load

TURNS = 7


def compare_histories(
    console: Console, urls: dict[str, str], sizes: dict[str, int], load: Callable[[str, Web, int], Load]
) -> dict[str, Any]:
    """Load the ``small`` and the ``large`` database in turn; answers as ``compare_sizes``."""
    with web(urls["small"]) as small, web(urls["large"]) as large:
        running = {"small": small, "large": large}

        def measure(name: str, turn: int) -> float:
            seen = load(name, running[name], turn)
            if seen.refused or seen.broken:
                console.print(f"[red]{name}: {seen.refused} refused, {seen.broken} broken")
            return seen.granted_per_second

        figures = compare_sizes(console, TURNS, measure, lambda name: f"with {sizes[name]:,} coupons issued")
    return {"coupons": sizes, **figures}


def compare_sizes(
    console: Console, turns: int, measure: Callable[[str, int], float], words: Callable[[str], str]
) -> dict[str, Any]:
    """Measure what is done a second with ``small`` and ``large`` in turn: the machine's drift hits both alike.

    Args:
        measure: called with the name and the number of the turn.
        words: what the name stands for.

    Returns:
        The rates, and ``slowdown``: the median over the turns of small's rate by large's.
    """
    rates: dict[str, list[float]] = {"small": [], "large": []}
    for turn in range(turns):
        # Whoever goes second finds the machine as the first left it, so they take turns at that too.
        for name in rates if turn % 2 else reversed(rates):
            rate = measure(name, turn)
            if turn:  # the first turn warms caches
                rates[name].append(rate)
    slowdown = statistics.median(a / b for a, b in zip(rates["small"], rates["large"], strict=True))
    for name, values in rates.items():
        console.print(f"{words(name)}: {statistics.median(values):,.0f} a second")
    console.print(f"slower by [bold]{slowdown:.2f}")
    return {
        "per_second": {name: [round(value) for value in values] for name, values in rates.items()},
        "slowdown": round(slowdown, 3),
    }


def write_history(console: Console, url: str, coupons: int) -> None:
    """Claims of an earlier campaign, two coupons each, spread over all members."""
    started = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            "CREATE TEMP TABLE old AS SELECT id AS member_id, row_number() OVER () AS n FROM member"
        )
        connection.execute(
            """
            CREATE TEMP TABLE old_claim AS
            SELECT old.member_id, gen_random_uuid() AS id, n.number
            FROM generate_series(1, %s) AS n (number)
            JOIN old ON old.n = 1 + n.number %% (SELECT count(*) FROM old)
            """,
            (coupons // 2,),
        )
        connection.execute(
            """
            INSERT INTO claim (member_id, id, campaign_id, prize_id, idempotency_key, claimed_at)
            SELECT member_id, id, gen_random_uuid(), gen_random_uuid(), 'old-' || number, now() - interval '30 days'
            FROM old_claim
            """
        )
        connection.execute(
            """
            CREATE TEMP TABLE old_coupon AS
            SELECT member_id, id AS claim_id, gen_random_uuid() AS id,
                   translate(substr(upper(md5(number::text || half)), 1, 14), 'ILOU', '1100') AS code
            FROM old_claim, generate_series(1, 2) AS half
            """
        )
        connection.execute(
            """
            INSERT INTO coupon (member_id, id, offer_id, campaign_id, claim_id, code, state, valid_from, valid_until,
                                issued_at, changed_at)
            SELECT member_id, id, (SELECT id FROM offer LIMIT 1), NULL, claim_id, code, 'open', '2026-01-01',
                   '2036-01-01', now() - interval '30 days', now() FROM old_coupon
            """
        )
        connection.execute(
            "INSERT INTO coupon_code SELECT code, member_id, id FROM old_coupon ON CONFLICT DO NOTHING"
        )
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    console.print(f"[dim]{coupons:,} coupons of history written in {time.monotonic() - started:.0f} s")
