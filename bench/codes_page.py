"""How long the console's page of a large pool takes, over HTTP, signed in, first byte to last."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime
from uuid import UUID

import httpx
import psycopg
from rich.console import Console

from bench.installation import web
from tearline.core.roles import command_actor
from tearline.db import Database, transaction
from tearline.merchants.staff import create_staff
from tests.web.browsing import PASSWORD, Browser

LOADS = 30
_EMAIL = "bench@example.org"


def pool_page_ms(console: Console, url: str) -> float:
    """The median of a few dozen loads of the page of the only pool there is, in milliseconds."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT id, size FROM code_pool").fetchone()
    assert row is not None
    pool_id, size = row
    with web(url) as running:
        seconds = asyncio.run(_load(url, running.url, pool_id))
    milliseconds = [round(one * 1000, 1) for one in sorted(seconds)]
    median = statistics.median(milliseconds)
    console.print(
        f"The console's page of a pool of {size:,} codes: [bold]{median:.0f} ms[/] (slowest {milliseconds[-1]:.0f} ms)"
    )
    return round(median, 1)


async def _load(url: str, address: str, pool_id: UUID) -> list[float]:
    async with Database(url) as database, transaction(database) as tx:
        await create_staff(
            tx, command_actor("bench"), email=_EMAIL, name="Bench", role="owner", password=PASSWORD,
            now=datetime.now(UTC),
        )  # fmt: skip
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        await Browser(client).sign_in(_EMAIL)
        seconds = []
        # The first loads fill caches, as the morning's first visitor does.
        for _ in range(LOADS + 2):
            started = time.perf_counter()
            answer = await client.get(f"/console/pools/{pool_id}")
            seconds.append(time.perf_counter() - started)
            assert answer.is_success, answer.text[:300]
            assert "pool" in answer.text
        return seconds[2:]
