"""How fast a pool's codes are sold: orders and payments through the sale desk, beside one at a time in PostgreSQL.

A sale is an order and, later, its payment: two transactions, with the provider's page between them. Each half is
measured by itself, and a sale takes the time of both.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from bench.baseline import CLIENTS, pgbench
from bench.codes_baseline import (
    BEGIN_PAYMENTS,
    begin_payments,
    order_statement,
    prepare_sales,
    settle_statement,
)
from bench.history import compare_sizes
from bench.installation import make_database, postgres
from tearline.db import Database, transaction
from tearline.sales.desk import SaleDesk
from tests.sale_worlds import Sale, add_codes, assert_clean, make_sale

MEMBERS = 20_000
AT_ONCE = 256
"""Requests that are under way at the same time, in one process."""
CODES_PER_SECOND = 6_000
"""Codes laid out for each second of load."""
POOL_SMALL = 10_000
POOL_LARGE = 5_000_000
CODES_PER_STATEMENT = 250_000
TURNS = 9
SALES_PER_TURN = 4_000
EXPECTED = {"sales_to_one_at_a_time": (">=", 2.0), "slowdown_at_5_million": ("<=", 1.10)}


def sell_codes(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure, print, and return the figures; those of ``EXPECTED`` are among them."""
    members = 1_000 if quick else MEMBERS
    seconds = 2 if quick else 6
    with postgres() as database_server:
        url = make_database(database_server, "bench_sales")
        shop = Shop.open(url, members, (len(CLIENTS) + 2) * seconds * CODES_PER_SECOND)
        prepare_sales(url)
        compared = _compare(console, shop, seconds)
        urls = {name: make_database(database_server, f"bench_pool_{name}") for name in ("small", "large")}
        history = _by_size(console, urls, members, quick=quick)
    return {
        "sales": compared,
        "sales_by_pool_size": history,
        "sales_to_one_at_a_time": compared["ratio"],
        "slowdown_at_5_million": history["slowdown"],
    }


@dataclass
class Shop:
    """A sale whose codes do not run out, and how it is sold through the desk."""

    url: str
    sale: Sale

    @classmethod
    def open(cls, url: str, members: int, codes: int) -> Shop:
        """Make the sale and its pool."""

        async def make() -> Sale:
            async with Database(url) as database:
                made = await make_sale(database, codes=(0,), members=members)
                assert made.pools[0] is not None
                for first in range(0, codes, CODES_PER_STATEMENT):
                    async with transaction(database) as tx:
                        count = min(CODES_PER_STATEMENT, codes - first)
                        await add_codes(tx, made.pools[0], count, scattered=True)
                return made

        sale = asyncio.run(make())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        return cls(url, sale)

    def top_up(self, codes: int) -> None:
        """Let the pool have so many codes that are available."""

        async def add() -> None:
            async with Database(self.url) as database, transaction(database) as tx:
                pool_id = self.sale.pools[0]
                assert pool_id is not None
                await add_codes(tx, pool_id, codes, scattered=True)

        asyncio.run(add())

    def sell(self, prefix: str, *, orders: int | None = None, seconds: float | None = None) -> Sold:
        """Order through the desk, so many or for so long; then pay all that was ordered."""
        ordered, order_seconds = asyncio.run(self._drive(self._orders(prefix), orders, seconds))
        settled, settle_seconds = self.pay_all()
        assert settled == ordered
        return Sold(ordered / order_seconds, settled / settle_seconds)

    def pay_all(self) -> tuple[int, float]:
        """Pay all that was ordered; answers how many payments, and the seconds."""
        due = begin_all(self.url)
        return asyncio.run(self._drive(self._settlements(due), None, None))

    async def audit(self) -> None:
        """Refuse figures of a desk that has lost count."""
        async with Database(self.url) as database:
            await assert_clean(database)

    def _orders(self, prefix: str) -> Iterator[Act]:
        sale, number = self.sale, 0
        while True:
            member_id, key = sale.members[number * 7919 % len(sale.members)], f"{prefix}-{number}"
            yield lambda desk, m=member_id, k=key: desk.order(sale.code, sale.items[0], m, 1, 1, k)
            number += 1

    def _settlements(self, due: list[tuple[UUID, UUID, UUID]]) -> Iterator[Act]:
        for place in due:
            yield lambda desk, place=place: desk.settle(self.sale.code, *place, "charge")

    async def _drive(self, acts: Iterator[Act], most: int | None, seconds: float | None) -> tuple[int, float]:
        """Have ``AT_ONCE`` clients take the next act until there is none; answers how many, and the seconds."""
        done = begun = 0
        async with Database(self.url) as database:
            desk = SaleDesk(database)
            started = time.perf_counter()

            async def client() -> None:
                nonlocal done, begun
                for act in acts:
                    if begun == most or (seconds is not None and time.perf_counter() - started > seconds):
                        return
                    begun += 1
                    answer = await act(desk)
                    assert not answer.replayed
                    done += 1

            await asyncio.gather(*(client() for _ in range(AT_ONCE)))
            return done, time.perf_counter() - started


Act = Callable[[SaleDesk], Awaitable[Any]]


@dataclass(frozen=True)
class Sold:
    """Rates: of orders, of their payments, and of both together, which is a sale."""

    orders_per_second: float
    payments_per_second: float

    @property
    def per_second(self) -> float:
        """Sales."""
        return 1 / (1 / self.orders_per_second + 1 / self.payments_per_second)

    def figures(self) -> dict[str, int]:
        """For the results."""
        return {
            "orders_per_second": round(self.orders_per_second),
            "payments_per_second": round(self.payments_per_second),
            "sales_per_second": round(self.per_second),
        }


def begin_all(url: str) -> list[tuple[UUID, UUID, UUID]]:
    """Begin the payments of all reserved orders; answers member, order and payment of each."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BEGIN_PAYMENTS)
        connection.execute("VACUUM ANALYZE payment, voucher_order")
        rows = connection.execute("SELECT member_id, order_id, id FROM payment WHERE state = 'begun'")
        return [(member_id, order_id, id_) for member_id, order_id, id_ in rows]


def _compare(console: Console, shop: Shop, seconds: int) -> dict[str, Any]:
    """The desk in one process, and the yardstick at its best number of clients."""
    shop.sell("warm", seconds=1)
    first = shop.sell("first", seconds=seconds / 2)
    one_at_a_time = {clients: _one_at_a_time(shop, clients, seconds) for clients in CLIENTS}
    second = shop.sell("second", seconds=seconds / 2)
    asyncio.run(shop.audit())
    best = max(one_at_a_time, key=lambda clients: one_at_a_time[clients].per_second)
    # Before and after the yardstick, so that the machine's drift hits both alike.
    desk = Sold(
        statistics.mean([first.orders_per_second, second.orders_per_second]),
        statistics.mean([first.payments_per_second, second.payments_per_second]),
    )
    table = Table(title="codes sold a second")
    for column in ("what", "orders", "payments", "sales", "ratio"):
        table.add_column(column, justify="left" if column == "what" else "right")
    ratio = desk.per_second / one_at_a_time[best].per_second
    for what, sold, mark in (
        (f"one at a time, {best} clients", one_at_a_time[best], "1.00"),
        (f"sale desk, one process, {AT_ONCE} at once", desk, f"{ratio:.2f}"),
    ):
        table.add_row(what, *(f"{value:,}" for value in sold.figures().values()), mark)
    console.print(table)
    return {
        "one_at_a_time_by_clients": {clients: sold.figures() for clients, sold in one_at_a_time.items()},
        "desk": desk.figures(),
        "ratio": round(ratio, 2),
    }


def _one_at_a_time(shop: Shop, clients: int, seconds: int) -> Sold:
    sale = shop.sale
    orders = order_statement(sale.campaign_id, sale.items[0], len(sale.members), f"one-{clients}")
    ordered = pgbench(shop.url, orders, clients=clients, seconds=seconds)
    begin_payments(shop.url)
    # For half as long, so that there is always another to pay.
    paid = pgbench(
        shop.url, settle_statement(sale.campaign_id), clients=clients, seconds=max(1, seconds // 2)
    )
    # The rest is paid by the desk, outside the measured time, so that every measurement begins alike.
    rest, _seconds = shop.pay_all()
    assert rest, "the payments ran out, and nothing was counted as one"
    return Sold(ordered, paid)


def _by_size(console: Console, urls: dict[str, str], members: int, *, quick: bool) -> dict[str, Any]:
    """The same sales from a small pool and from a large one, in turn."""
    sizes = {"small": POOL_SMALL, "large": 50_000 if quick else POOL_LARGE}
    sales = 500 if quick else SALES_PER_TURN
    started = time.monotonic()
    shops = {name: Shop.open(url, members, sizes[name]) for name, url in urls.items()}
    console.print(f"[dim]pools written in {time.monotonic() - started:.0f} s")

    def measure(name: str, turn: int) -> float:
        sold = shops[name].sell(f"turn-{turn}", orders=sales)
        shops[name].top_up(sales)
        return sold.per_second

    figures = compare_sizes(
        console, TURNS, measure, lambda name: f"sales from a pool of {sizes[name]:,} codes"
    )
    asyncio.run(shops["small"].audit())
    return {"codes": sizes, **figures}
