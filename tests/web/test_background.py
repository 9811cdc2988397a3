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


async def test_a_fault_is_logged_and_a_refusal_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    work = BackgroundWork()

    async def fail(error: Exception) -> None:
        raise error

    tasks = [work.start("work", fail(error)) for error in (Refusal("unreadable_file"), ValueError("odd"))]
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    said = capsys.readouterr()
    assert "odd" in said.out + said.err
    assert "unreadable_file" not in said.out + said.err
    await work.stop()
