"""Fixtures of the tests in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.browser.chromium import chromium


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium for a module's tests, which takes seconds to start: each opens a context, or a page, of its own."""
    async with chromium() as running:
        yield running
