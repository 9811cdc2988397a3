"""Work that goes on after its request was answered."""

from __future__ import annotations

import asyncio

import pytest

from tearline.core.refusal import Refusal
from tearline.web.background import BackgroundWork

pytestmark = pytest.mark.anyio


async def test_what_still_goes_on_is_broken_off_and_tidies_up() -> None:
    work, done = BackgroundWork(), []
    begun = asyncio.Event()

    async def endless() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("tidied")

    task = work.start("endless", endless())
    await begun.wait()
    await work.stop()
    assert task.cancelled()
    assert done == ["tidied"]


async def test_a_fault_is_logged_and_a_refusal_is_not(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    work = BackgroundWork()

    async def fail(error: Exception) -> None:
        raise error

    tasks = [work.start("work", fail(error)) for error in (Refusal("unreadable_file"), ValueError("odd"))]
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    # Where the log goes depends on whether an application has been set up in this process.
    said = "".join(capsys.readouterr()) + caplog.text
    assert "odd" in said
    assert "unreadable_file" not in said
    await work.stop()
