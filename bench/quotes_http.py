"""Quotes a second over HTTP: the member's wallet is read from a database of five million coupons each time."""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from bench.claims import HISTORY_LARGE, MEMBERS, prepare
from bench.history import write_history
from bench.installation import Web, make_database, postgres, web
from bench.load import Load, post
from tearline.core.codes import make_codes
from tearline.core.roles import KEY_SCOPES, command_actor
from tearline.coupons.model import Coupon, CouponCode
from tearline.db import Database, new_id, transaction
from tearline.merchants.keys import create_key
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tests.worlds import NOW, offer_row

BUYERS = 500
"""Members who ask in turn; each holds ten coupons more than the others."""
CONNECTIONS = 32
SIZES = (5, 20, 100)


def quotes_over_http(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures: quotes a second by the cart's lines."""
    members, coupons, seconds = (2_000, 20_000, 2) if quick else (MEMBERS, HISTORY_LARGE, 8)
    with postgres() as server:
        url = make_database(server, "bench_quotes")
        prepare(url, members)
        write_history(console, url, coupons)
        key, merchants, buyers = asyncio.run(_lay_out(url))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        figures: dict[str, Any] = {"coupons_in_the_database": coupons}
        table = Table("lines", "processes", "quotes a second", "p50 ms", "p99 ms", "MB of each process")
        for processes in (1, 2):
            # Nobody measures how a key is throttled.
            unlimited = {"TEARLINE_API_REQUESTS_PER_MINUTE": "1000000"}
            with web(url, processes, settings=unlimited) as running:
                for lines in SIZES:
                    bodies = [(key, "", _cart(lines, merchants, buyer)) for buyer in buyers]
                    _load(running, bodies, 1.0, f"warm-{processes}-{lines}-")
                    seen = _load(running, bodies, seconds, f"run-{processes}-{lines}-")
                    if seen.refused or seen.broken:
                        console.print(f"[red]{seen.refused} refused, {seen.broken} broken")
                    figures[f"lines_{lines}_processes_{processes}"] = {
                        "per_second": round(seen.granted_per_second, 1),
                        "p50_ms": round(seen.p50_ms, 1),
                        "p99_ms": round(seen.p99_ms, 1),
                    }
                    rate = f"{seen.granted_per_second:,.0f}"
                    memory = ", ".join(str(one) for one in running.memory_mb()[:-1])
                    table.add_row(
                        str(lines), str(processes), rate, f"{seen.p50_ms:.1f}", f"{seen.p99_ms:.1f}", memory
                    )
    console.print(table)
    return figures


def _load(running: Web, bodies: list[tuple[str, str, str]], seconds: float, prefix: str) -> Load:
    return post(
        running.url, "/api/v1/quotes", bodies, connections=CONNECTIONS, seconds=seconds, prefix=prefix
    )


def _cart(lines: int, merchants: list[UUID], buyer: UUID) -> str:
    body = {
        "currency": "HKD",
        "member": {"id": str(buyer)},
        "lines": [
            {
                "key": f"line {number}",
                "product": f"product {number}",
                "merchant_id": str(merchants[number % len(merchants)]),
                "unit_price": 1_990 + 137 * number,
                "quantity": 1 + number % 3,
            }
            for number in range(lines)
        ],
    }
    return json.dumps(body, separators=(",", ":"))


async def _lay_out(url: str) -> tuple[str, list[UUID], list[UUID]]:
    """Three merchants, ten offers of theirs and of the platform, a coupon of each for every buyer, and a key."""
    merchants = [new_id() for _ in range(3)]
    now = datetime.now(UTC)
    async with Database(url) as database, transaction(database) as tx:
        for number, id_ in enumerate(merchants):
            await tx.execute(
                insert(Merchant).values(
                    id=id_, code=f"shop-{number}", names={"en": "Shop"}, kind="retail", created_at=NOW
                )
            )
        offers = []
        for number in range(10):
            merchant = None if number < 4 else merchants[number % 3]
            benefit = (
                {"kind": "percent_off", "basis_points": 500 + 100 * number}
                if number % 2
                else {"kind": "amount_off", "amount": 1_000 + 100 * number}
            )
            offers.append(new_id())
            await tx.execute(
                insert(Offer).values(
                    offer_row(
                        offers[-1],
                        merchant,  # type: ignore[arg-type]
                        issuer="platform" if merchant is None else "merchant",
                        funding_platform_basis_points=10_000 if merchant is None else 0,
                        benefit=benefit,
                        benefit_kind=benefit["kind"],
                        minimum_spend=1_000 * number,
                        redeem_by=["checkout"],
                    )
                )
            )
        rows = await tx.exec_driver_sql(f"SELECT id FROM member ORDER BY id LIMIT {BUYERS}")
        buyers = [row.id for row in rows]
        coupons = [(buyer, new_id(), offer) for buyer in buyers for offer in offers]
        codes = make_codes(len(coupons), secrets.token_bytes)
        window = {
            "valid_from": NOW,
            "valid_until": now + timedelta(days=30),
            "issued_at": NOW,
            "changed_at": NOW,
        }
        await tx.execute(
            insert(Coupon),
            [
                {"member_id": buyer, "id": id_, "offer_id": offer, "code": code, "state": "open", **window}
                for (buyer, id_, offer), code in zip(coupons, codes, strict=True)
            ],
        )
        await tx.execute(
            insert(CouponCode),
            [
                {"member_id": buyer, "coupon_id": id_, "code": code}
                for (buyer, id_, _offer), code in zip(coupons, codes, strict=True)
            ],
        )
        made = await create_key(
            tx, command_actor("bench"), name="shop", scopes=KEY_SCOPES["operator"], merchant_id=None, now=now
        )
    return made.key, merchants, buyers
