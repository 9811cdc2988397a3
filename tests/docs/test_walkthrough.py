"""The blocks marked ``run`` in the pages are run, in their order, against a served application."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest
import uvicorn
from sqlalchemy import update

from tearline.campaigns.model import Campaign, Prize
from tearline.cli.demo.campaigns_data import CAMPAIGNS
from tearline.cli.demo.definitions import OFFERS
from tearline.core.passwords import password_key
from tearline.core.roles import KEY_SCOPES, command_actor
from tearline.db import Database, transaction
from tearline.jobs.providers import providers_of
from tearline.merchants.keys import create_key
from tearline.notices.sender import NoticeSender
from tearline.offers.model import Offer
from tearline.web.app import create_app
from tests.callers import settings_for
from tests.worlds import make_world

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SITE = "http://127.0.0.1:8000"
CAMPAIGN, PASSWORD, OFFER, KEY_NAME = "WINTER-CITY", "WINTER2026", "BL-50", "Basket Lane tills"

_RUN_BLOCK = re.compile(r"^```(bash|python) run\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [block for kind, block in _RUN_BLOCK.findall(page.read_text("utf-8")) if kind == language]


def pages_with(language: str) -> list[Any]:
    return [pytest.param(page, id=page.name) for page in PAGES if blocks(page, language)]


async def make_demo_like_world(database: Database) -> str:
    """As much of the demo as the pages use, under the same names; the key of a merchant's tills."""
    world = await make_world(database, members=0, bundle=(1, 1))
    async with transaction(database) as tx:
        await tx.execute(update(Campaign).values(code=CAMPAIGN))
        await tx.execute(update(Prize).values(password=PASSWORD, password_key=password_key(PASSWORD)))
        everywhere = {"redeem_by": ["cashier", "till", "checkout"], "funding_platform_basis_points": 5_000}
        await tx.execute(update(Offer).where(Offer.id == world.offers[0]).values(code=OFFER, **everywhere))
        key = await create_key(
            tx,
            command_actor("tests"),
            name=KEY_NAME,
            scopes=KEY_SCOPES["merchant"],
            merchant_id=world.merchant_id,
            now=datetime.now(UTC),
        )
    return key.key


@asynccontextmanager
async def working(database_url: str) -> AsyncIterator[None]:
    """A sender of messages, as the worker has one."""
    settings = settings_for(database_url)
    async with Database(database_url) as database, anyio.create_task_group() as group:
        sender = NoticeSender(database, providers_of(settings))
        group.start_soon(sender.run)
        try:
            yield
        finally:
            sender.stop()


@pytest.fixture
def site(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a served application, beside which lies the demo's file of keys."""

    async def prepare() -> str:
        async with Database(database_url) as database:
            return await make_demo_like_world(database)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(create_app(settings_for(database_url)), log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        with anyio.from_thread.start_blocking_portal() as portal:
            key = portal.call(prepare)
            (tmp_path / ".tearline").mkdir()
            (tmp_path / ".tearline" / "demo_api_keys.json").write_text(json.dumps({KEY_NAME: key}))
            monkeypatch.chdir(tmp_path)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            with portal.wrap_async_context_manager(working(database_url)):
                thread.start()
                deadline = time.monotonic() + 30
                while not server.started and time.monotonic() < deadline:
                    time.sleep(0.02)
                try:
                    yield address
                finally:
                    server.should_exit = True
                    thread.join(30)


def test_what_the_pages_use_is_in_the_demo() -> None:
    campaign = next(one for one in CAMPAIGNS if one.code == CAMPAIGN)
    prize = next(one for one in campaign.prizes if one.password == PASSWORD)
    assert OFFER in {code for code, _ in prize.bundle}
    assert OFFER in {offer.code for offer in OFFERS}
    assert KEY_NAME in (ROOT / "src/tearline/cli/demo/definitions.py").read_text("utf-8")


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_python_of_a_page_runs(page: Path, site: str) -> None:
    names: dict[str, Any] = {"__name__": "walkthrough"}
    for number, block in enumerate(blocks(page, "python"), 1):
        assert httpx.get(f"{site}/healthz").status_code == 200
        exec(compile(block.replace(SITE, site), f"{page.name}, block {number}", "exec"), names)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the shell blocks call curl, which is not here")
@pytest.mark.parametrize("page", pages_with("bash"))
def test_the_shell_commands_of_a_page_run(page: Path, site: str) -> None:
    for block in blocks(page, "bash"):
        script = block.replace(SITE, site)
        done = subprocess.run(
            ["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0 and done.stdout, done.stderr
