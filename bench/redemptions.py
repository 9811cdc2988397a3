"""How fast tills redeem: over HTTP, beside the same redemptions one at a time in PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console

from bench.baseline import CLIENTS, prepare_redemptions, redeem_statement
from bench.claims import HISTORY_LARGE, HISTORY_SMALL, MEMBERS, prepare
from bench.comparison import compare
from bench.history import compare_histories, write_history
from bench.installation import Postgres, Web, make_database, postgres, slow_flush
from bench.load import Load, post
from tearline.core.codes import make_codes
from tearline.core.roles import KEY_SCOPES, command_actor
from tearline.db import Database, transaction
from tearline.merchants.keys import create_key
from tests.worlds import World

PER_SECOND_AT_MOST = 12_000
"""Coupons laid out for each second of load; a till never meets one twice."""


def run(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures."""
    members = 2_000 if quick else MEMBERS
    seconds = 2 if quick else 8
    figures: dict[str, Any] = {"members": members, "seconds_a_run": seconds}
    with postgres() as database_server:
        url = make_database(database_server, "bench_redemptions")
        world, _ = prepare(url, members)
        till = Till(url, world)
        prepare_redemptions(url)
        figures["plain_flush"] = till.compare(console, seconds, "plain")
        with slow_flush(database_server):
            figures["slow_flush"] = till.compare(console, seconds, "slow")
        large = 20_000 if quick else HISTORY_LARGE
        figures["history"] = _history(console, database_server, members, seconds, large)
    figures["ratio_to_one_at_a_time"] = figures["plain_flush"]["ratio"]
    figures["ratio_with_slow_flush"] = figures["slow_flush"]["ratio"]
    figures["slowdown_at_5_million"] = figures["history"]["slowdown"]
    return figures


class Till:
    """A merchant's till with its key, and coupons to redeem."""

    def __init__(self, url: str, world: World) -> None:
        self._url = url
        self._world = world
        self._key = asyncio.run(self._make_key())

    def compare(self, console: Console, seconds: int, name: str) -> dict[str, Any]:
        """Redemptions over HTTP and the yardstick, in one table."""
        yardstick_seconds = max(2, seconds // 2) * len(CLIENTS)
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("TRUNCATE bench_code")
            connection.execute("ALTER SEQUENCE bench_next RESTART")
            numbered = enumerate(self.issue(yardstick_seconds * PER_SECOND_AT_MOST // 2), start=1)
            with connection.cursor().copy("COPY bench_code FROM STDIN") as copy:
                for row in numbered:
                    copy.write_row(row)
            connection.execute("VACUUM ANALYZE")
        statement = redeem_statement(self._world.store_id, name)
        title = f"redemptions a second, {name} flush"
        return compare(console, self._url, title, statement, self.load, seconds=seconds, name=name)

    def load(self, running: Web, connections: int, seconds: float, prefix: str) -> Load:
        """Redeem fresh coupons over HTTP."""
        codes = self.issue(round(seconds * PER_SECOND_AT_MOST))
        lines = [(self._key, "", self._body(code)) for code in codes]
        return post(
            running.url, "/api/v1/redemptions", lines, connections=connections, seconds=seconds, prefix=prefix
        )

    def _body(self, code: str) -> str:
        body = {"store_id": str(self._world.store_id), "code": code, "request_number": "@"}
        return json.dumps(body, separators=(",", ":"))

    def issue(self, count: int) -> list[str]:
        """New open coupons of the world's first offer, dealt to its members in turn; their codes."""
        codes = make_codes(count, secrets.token_bytes)
        rows = [(member, uuid4(), code) for member, code in zip(self._members(count), codes, strict=True)]
        now = datetime.now(UTC)
        offer = self._world.offers[0]
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            cursor = connection.cursor()
            columns = "member_id, id, code, offer_id, state, valid_from, valid_until, issued_at, changed_at"
            with cursor.copy(f"COPY coupon ({columns}) FROM STDIN") as copy:
                for member, coupon, code in rows:
                    copy.write_row(
                        (member, coupon, code, offer, "open", "2026-01-01", "2036-01-01", now, now)
                    )
            with cursor.copy("COPY coupon_code (member_id, coupon_id, code) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        return codes

    def _members(self, count: int) -> Iterator[object]:
        members = self._world.members
        return (members[number * 7919 % len(members)] for number in range(count))

    async def _make_key(self) -> str:
        async with Database(self._url) as database, transaction(database) as tx:
            made = await create_key(
                tx,
                command_actor("bench"),
                name="till",
                scopes=KEY_SCOPES["merchant"],
                merchant_id=self._world.merchant_id,
                now=datetime.now(UTC),
            )
        return made.key


def _history(
    console: Console, database_server: Postgres, members: int, seconds: int, large: int
) -> dict[str, Any]:
    """The same redemptions with little and with much history."""
    sizes = {"small": min(HISTORY_SMALL, large // 2), "large": large}
    tills, urls = {}, {}
    for name, coupons in sizes.items():
        urls[name] = make_database(database_server, f"bench_till_history_{name}")
        world, _ = prepare(urls[name], members)
        write_history(console, urls[name], coupons)
        tills[name] = Till(urls[name], world)

    def load(name: str, running: Web, turn: int) -> Load:
        return tills[name].load(running, 256, seconds / 2, f"history-{turn}-")

    return compare_histories(console, urls, sizes, load)
