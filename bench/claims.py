"""How fast a round is given out: claims over HTTP beside the same claims one at a time in PostgreSQL."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table
from tests.worlds import World, make_world

from bench.baseline import best_of_clients, claim_statement, prepare_claims
from bench.installation import SECRET_KEY, Postgres, Web, make_database, postgres, slow_flush, web
from bench.load import Load, post
from tearline.db import Database
from tearline.members.tokens import MemberTokens

MEMBERS = 100_000
ROUND_STOCK = 50_000
HISTORY_SMALL = 10_000
HISTORY_LARGE = 5_000_000
EXPECTED = {
    "ratio_to_one_at_a_time": (">=", 2.5),
    "ratio_with_slow_flush": (">=", 15),
    "round_seconds": ("<=", 15),
    "slowdown_at_5_million": ("<=", 1.10),
}


def run(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures."""
    members = 2_000 if quick else MEMBERS
    seconds = 2 if quick else 8
    figures: dict[str, Any] = {"members": members, "seconds_a_run": seconds}
    with postgres() as database_server:
        url = make_database(database_server, "bench_claims")
        world, tokens = _prepare(url, members)
        prepare_claims(url)
        console.print(
            f"{members:,} members ready; two coupons a claim; HTTP load, server and database share the machine"
        )
        figures["plain_flush"] = _compare(console, url, world, tokens, seconds, "plain")
        with slow_flush(database_server):
            figures["slow_flush"] = _compare(console, url, world, tokens, seconds, "slow")
        figures["round"] = _round(console, database_server, members, 1_000 if quick else ROUND_STOCK)
        figures["history"] = _history(
            console, database_server, members, seconds, 20_000 if quick else HISTORY_LARGE
        )
    figures["ratio_to_one_at_a_time"] = figures["plain_flush"]["ratio"]
    figures["ratio_with_slow_flush"] = figures["slow_flush"]["ratio"]
    figures["round_seconds"] = figures["round"]["seconds"]
    figures["slowdown_at_5_million"] = figures["history"]["slowdown"]
    _print_expectations(console, figures)
    return figures


def _prepare(url: str, members: int, **changes: Any) -> tuple[World, list[str]]:
    """A live campaign whose stock does not run out, its members, and a token for each."""

    async def make() -> World:
        async with Database(url) as database:
            values = {"inventories": (100_000_000,), "bundle": (1, 1), **changes}
            return await make_world(database, members=members, **values)

    world = asyncio.run(make())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return world, _tokens(world.members)


def _tokens(members: list[UUID]) -> list[str]:
    signer = MemberTokens([SECRET_KEY.encode()])
    now = datetime.now(UTC)
    return [signer.issue(member_id, 1, now) for member_id in members]


def _lines(tokens: list[str]) -> list[tuple[str, str, str]]:
    return [(token, str(number), '{"password":"PASSWORD0"}') for number, token in enumerate(tokens)]


def _claims(running: Web, tokens: list[str], *, connections: int, seconds: float, prefix: str) -> Load:
    path = "/api/v1/campaigns/WINTER-1/claims"
    return post(running.url, path, _lines(tokens), connections=connections, seconds=seconds, prefix=prefix)


def _compare(
    console: Console, url: str, world: World, tokens: list[str], seconds: int, name: str
) -> dict[str, Any]:
    """Claims over HTTP from 1 and 2 processes and 64 and 256 connections, and the yardstick, in one table."""
    baseline = best_of_clients(
        url, claim_statement(world.campaign_id, len(tokens), name), seconds=max(2, seconds // 2)
    )
    best_clients = max(baseline, key=lambda clients: baseline[clients])
    table = Table(title=f"claims a second, {name} flush")
    for column in ("what", "claims/s", "ratio", "p50 ms", "p99 ms", "memory MB"):
        table.add_column(column, justify="left" if column == "what" else "right")
    table.add_row(
        f"one at a time in PostgreSQL, {best_clients} clients",
        f"{baseline[best_clients]:,.0f}",
        "1.0",
        "",
        "",
        "",
    )
    runs = []
    for processes in (1, 2):
        with web(url, processes) as running:
            _claims(running, tokens, connections=64, seconds=1, prefix=f"{name}-warm-{processes}-")
            for connections in (64, 256):
                prefix = f"{name}-{processes}-{connections}-"
                load = _claims(running, tokens, connections=connections, seconds=seconds, prefix=prefix)
                if load.refused or load.broken:
                    console.print(f"[red]{load.refused} refused, {load.broken} broken")
                rate, memory = load.granted_per_second, running.memory_mb()
                ratio = rate / baseline[best_clients]
                runs.append(
                    {
                        "processes": processes,
                        "connections": connections,
                        "claims_per_second": round(rate),
                        "ratio": round(ratio, 2),
                        "p50_ms": round(load.p50_ms, 1),
                        "p99_ms": round(load.p99_ms, 1),
                        "memory_mb": memory,
                    }
                )
                table.add_row(
                    f"HTTP, {processes} process{'es' if processes > 1 else ''}, {connections} connections",
                    f"{rate:,.0f}",
                    f"{ratio:.2f}",
                    f"{load.p50_ms:.1f}",
                    f"{load.p99_ms:.1f}",
                    " + ".join(f"{one:.0f}" for one in memory),
                )
    console.print(table)
    return {
        "one_at_a_time_by_clients": baseline,
        "http": runs,
        "ratio": max(one["ratio"] for one in runs),
    }


def _round(console: Console, database_server: Postgres, members: int, stock: int) -> dict[str, Any]:
    """Everybody comes at once, one claim each, until nothing is left."""
    url = make_database(database_server, "bench_round")
    world, tokens = _prepare(
        url, members, inventories=(stock,), bundle=(1,), campaign={"limit_per_member": 1}
    )
    with web(url, 1) as running:
        started = time.time()
        load = post(
            running.url,
            "/api/v1/campaigns/WINTER-1/claims",
            _lines(tokens),
            connections=256,
            seconds=5 if members < MEMBERS else 30,
            prefix="round-",
            once=True,
        )
        assert load.finished_at, "not everybody was answered in time"
        everybody_seconds = load.finished_at - started
        memory = running.memory_mb()
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT member_id), extract(epoch FROM max(claimed_at)) FROM claim"
        ).fetchone()
        coupons = connection.execute("SELECT count(*), count(DISTINCT code) FROM coupon").fetchone()
    assert row is not None
    assert coupons == (stock, stock), f"{coupons} coupons for a stock of {stock}"
    assert row[0] == row[1] == stock
    seconds = float(row[2]) - started
    console.print(
        f"A round: {stock:,} coupons to {members:,} members in [bold]{seconds:.1f} s[/] from start to sold out;"
        f" everybody answered after {everybody_seconds:.1f} s; p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms;"
        f" exactly {coupons[0]:,} coupons, {world.campaign_code}"
    )
    return {
        "stock": stock,
        "seconds": round(seconds, 2),
        "everybody_answered_seconds": round(everybody_seconds, 2),
        "p50_ms": round(load.p50_ms, 1),
        "p99_ms": round(load.p99_ms, 1),
        "memory_mb": memory,
    }


def _history(
    console: Console, database_server: Postgres, members: int, seconds: int, large: int
) -> dict[str, Any]:
    """The same claims with little and with much history, in turn, so that drift hits both alike."""
    sizes = {"small": min(HISTORY_SMALL, large // 2), "large": large}
    prepared = {}
    for name, coupons in sizes.items():
        url = make_database(database_server, f"bench_history_{name}")
        _, tokens = _prepare(url, members)
        started = time.monotonic()
        _write_history(url, coupons)
        console.print(f"[dim]{coupons:,} coupons of history written in {time.monotonic() - started:.0f} s")
        prepared[name] = (url, tokens)
    rates: dict[str, list[float]] = {name: [] for name in sizes}
    with web(prepared["small"][0]) as small, web(prepared["large"][0]) as large_web:
        for turn in range(7):
            for name, running in (("small", small), ("large", large_web)):
                load = _claims(
                    running,
                    prepared[name][1],
                    connections=256,
                    seconds=seconds / 2,
                    prefix=f"history-{turn}-",
                )
                if turn:  # the first turn warms caches
                    rates[name].append(load.granted_per_second)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    slowdown = statistics.median(a / b for a, b in zip(rates["small"], rates["large"], strict=True))
    console.print(
        f"History: {medians['small']:,.0f} claims/s with {sizes['small']:,} coupons issued,"
        f" {medians['large']:,.0f} with {sizes['large']:,}: slower by [bold]{slowdown:.2f}[/]"
    )
    return {
        "coupons": sizes,
        "claims_per_second": {name: [round(value) for value in values] for name, values in rates.items()},
        "slowdown": round(slowdown, 3),
    }


def _write_history(url: str, coupons: int) -> None:
    """Claims of an earlier campaign, two coupons each, spread over all members."""
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


def _print_expectations(console: Console, figures: dict[str, Any]) -> None:
    table = Table(title="expected")
    for column in ("figure", "measured", "expected", ""):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, (sign, bound) in EXPECTED.items():
        value = figures[name]
        holds = value >= bound if sign == ">=" else value <= bound
        table.add_row(
            name,
            f"{value:.2f}",
            f"{'≥' if sign == '>=' else '≤'} {bound}",
            "[green]yes" if holds else "[red]no",
        )
    console.print(table)
