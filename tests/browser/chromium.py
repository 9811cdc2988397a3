"""A real browser for tests: Chromium, the application served over real HTTP, and axe-core on a page."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from tearline.web.app import Application
from tests.callers import built_for, settings_for

REPOSITORY = Path(__file__).parents[2]
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
"""The rules of axe-core that WCAG 2.2 AA asks for."""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def fake_camera(film: Path) -> tuple[str, ...]:
    """The flags with which Chromium sees ``film`` (.mjpeg) through its camera, without asking."""
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )


@asynccontextmanager
async def chromium(*more_flags: str) -> AsyncIterator[Browser]:
    """A Chromium of its own: ``TEARLINE_TEST_CHROMIUM``, the machine's, or Playwright's."""
    found = (
        os.environ.get("TEARLINE_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=[*FLAGS, *more_flags])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def serving_on(database_url: str) -> AsyncIterator[str]:
    """The application with a test's settings behind a real socket; the address it answers at."""
    with built_for(settings_for(database_url)) as app:
        async with serving(app) as address:
            yield address


@asynccontextmanager
async def serving(app: Application) -> AsyncIterator[str]:
    """The application behind a real socket, in this event loop; the address it answers at."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="on", log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task


async def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What axe-core finds on the page: the rule and the first element of each; empty when all is well.

    Args:
        rules: or tags of them such as ``WCAG``, to go by; all of them when empty.
    """
    axe = (REPOSITORY / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
    # Evaluated by the test's own channel, which the page's policy doesn't bind.
    await page.evaluate(axe)
    options = {"resultTypes": ["violations"], "preload": False, **({"runOnly": list(rules)} if rules else {})}
    result = await page.evaluate("(options) => axe.run(document, options)", options)
    return [f"{page.url}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in result["violations"]]
