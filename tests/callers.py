"""Those who call the web: an application in a test, and keys and tokens for its API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from tearline.config import Settings
from tearline.core.roles import KEY_SCOPES, command_actor
from tearline.db import Database, transaction
from tearline.merchants import actions as merchants
from tearline.merchants.keys import create_key
from tearline.web.app import Application, create_app
from tests.worlds import World, make_world

SECRET = "a-secret-for-tests-of-forty-characters-x"


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
            "payment_providers": "test",
            **overrides,
        }
    )


_built: dict[Settings, Application] = {}
_in_use: set[int] = set()


@contextmanager
def built_for(settings: Settings) -> Iterator[Application]:
    """The application with these settings; nobody else has it meanwhile.

    To build one takes most of a second, most of it for its routes, which are the same for every database: it's
    built once for all tests that differ in nothing else, and everything that it works with is opened anew.
    """
    key = settings.model_copy(update={"database_url": None})
    app = _built.get(key) or create_app(settings)
    if id(app) in _in_use:
        app = create_app(settings)
    _built[key] = app
    app.settings = settings
    _in_use.add(id(app))
    try:
        yield app
    finally:
        _in_use.discard(id(app))


@asynccontextmanager
async def running_on(settings: Settings) -> AsyncIterator[Application]:
    """The application with these settings, its lifespan running."""
    with built_for(settings) as app:
        async with running(app):
            yield app


@asynccontextmanager
async def running(app: Application) -> AsyncIterator[Application]:
    """The application with its lifespan running."""
    async with app.litestar.lifespan():
        yield app


@dataclass(frozen=True)
class Callers:
    """A world with everyone who may call the API, as ready-made headers."""

    world: World
    operator: dict[str, str]
    till: dict[str, str]
    other_till: dict[str, str]
    """Of a second merchant, which has a store of its own."""
    member: dict[str, str]
    other_member: dict[str, str]
    other_merchant_id: UUID
    other_store_id: UUID


def bearer(token: str) -> dict[str, str]:
    """The header that bears a token."""
    return {"authorization": f"Bearer {token}"}


async def make_callers(app: Application, **changes: Any) -> Callers:
    """A live campaign and those who may call the API about it."""
    services = app.litestar.state.services
    database: Database = services.database
    now = datetime.now(UTC)
    world = await make_world(database, **changes)
    actor = command_actor("tests")
    async with transaction(database) as tx:
        other_id = await merchants.create_merchant(
            tx, actor, code="peak", names={"en": "Peak Tea"}, kind="dining", now=now
        )
        other_store_id = await merchants.create_store(
            tx, actor, other_id, code="tram", names={"en": "Tram"}, now=now
        )
        keys = [
            await create_key(tx, actor, name=name, scopes=KEY_SCOPES[kind], merchant_id=merchant_id, now=now)
            for name, kind, merchant_id in (
                ("operator", "operator", None),
                ("till", "merchant", world.merchant_id),
                ("other till", "merchant", other_id),
            )
        ]
    tokens = [services.member_tokens.issue(member_id, 1, now) for member_id in world.members[:2]]
    return Callers(
        world,
        *(bearer(key.key) for key in keys),
        *(bearer(token) for token in tokens),
        other_merchant_id=other_id,
        other_store_id=other_store_id,
    )


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with these settings."""
    async with running_on(settings) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield client
