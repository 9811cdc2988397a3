"""Fixtures for the web: the whole application over real HTTP semantics, on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from tearline.config import Settings
from tearline.web.app import Application, create_app

SECRET = "a-secret-for-tests-of-forty-characters-x"
AppClient = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def settings_for(database_url: str, **overrides: Any) -> Settings:
    """Settings of a test's application."""
    return Settings(
        **{
            "database_url": database_url,
            "secret_key": SECRET,
            "log_level": "warning",
            "log_format": "console",
            "demo": True,
            "sms_providers": "outbox",
            "whatsapp_providers": "outbox",
            "voice_providers": "outbox",
            **overrides,
        }
    )


@asynccontextmanager
async def running(app: Application) -> AsyncIterator[Application]:
    """The application with its lifespan running."""
    async with app.litestar.lifespan():
        yield app


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[Application]:
    """The application on a fresh database."""
    async with running(create_app(settings_for(database_url))) as application:
        yield application


@pytest.fixture
async def client(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application; faults of the application are answers, not exceptions."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield http
