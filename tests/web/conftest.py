"""Fixtures for the web: the whole application on a fresh database, and a client that calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tearline.web.app import Application
from tests.callers import Callers, make_callers, running_on, settings_for


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[Application]:
    """The application on a fresh database."""
    async with running_on(settings_for(database_url)) as application:
        yield application


@pytest.fixture
async def client(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application; faults of the application are answers, not exceptions."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield http


@pytest.fixture
async def callers(app: Application) -> Callers:
    """A live campaign on the application's database, and those who may call the API about it."""
    return await make_callers(app)
