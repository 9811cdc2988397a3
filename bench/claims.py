"""How fast a round is given out: claims over HTTP beside the same claims one at a time in PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console

from bench.baseline import claim_statement, prepare_claims
from bench.comparison import compare, print_expectations
from bench.history import compare_histories, write_history
from bench.installation import SECRET_KEY, Postgres, Web, make_database, postgres, slow_flush, web
from bench.load import Load, post
from tearline.db import Database
from tearline.members.tokens import MemberTokens
from tests.worlds import World, make_world

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
        world, tokens = prepare(url, members)
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
    print_expectations(console, figures, EXPECTED)
    return figures


def prepare(url: str, members: int, **changes: Any) -> tuple[World, list[str]]:
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
    """Claims over HTTP and the yardstick, in one table."""
    statement = claim_statement(world.campaign_id, len(tokens), name)

    def load(running: Web, connections: int, seconds: float, prefix: str) -> Load:
        return _claims(running, tokens, connections=connections, seconds=seconds, prefix=prefix)

    return compare(
        console, url, f"claims a second, {name} flush", statement, load, seconds=seconds, name=name
    )


def _round(console: Console, database_server: Postgres, members: int, stock: int) -> dict[str, Any]:
    """Everybody comes at once, one claim each, until nothing is left."""
    url = make_database(database_server, "bench_round")
    world, tokens = prepare(url, members, inventories=(stock,), bundle=(1,), campaign={"limit_per_member": 1})
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
    """The same claims with little and with much history."""
    sizes = {"small": min(HISTORY_SMALL, large // 2), "large": large}
    prepared = {}
    for name, coupons in sizes.items():
        url = make_database(database_server, f"bench_history_{name}")
        _, tokens = prepare(url, members)
        write_history(console, url, coupons)
        prepared[name] = (url, tokens)

    def load(name: str, running: Web, turn: int) -> Load:
        tokens, prefix = prepared[name][1], f"history-{turn}-"
        return _claims(running, tokens, connections=256, seconds=seconds / 2, prefix=prefix)

    urls = {name: url for name, (url, _) in prepared.items()}
    return compare_histories(console, urls, sizes, load)
