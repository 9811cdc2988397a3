"""Whether this process lives, whether it can serve, and its numbers."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Response, get
from litestar.handlers import BaseRouteHandler
from sqlalchemy import text

from tearline.core.refusal import Refusal
from tearline.web import metrics
from tearline.web.access import GivenServices

_PATIENCE_SECONDS = 2.0


@get("/healthz", include_in_schema=False)
async def alive() -> dict[str, str]:
    """The process answers; says nothing about the database."""
    return {"status": "ok"}


@get("/readyz", include_in_schema=False)
async def ready(services: GivenServices) -> dict[str, str]:
    """The database answers too; otherwise 503, so that a balancer sends people elsewhere."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), services.database.connection() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        raise Refusal("unavailable") from error
    return {"status": "ok"}


@get("/metrics", include_in_schema=False)
async def numbers() -> Response[bytes]:
    """The numbers for Prometheus."""
    body, media_type = metrics.exposition()
    return Response(body, media_type=media_type)


def routes() -> list[BaseRouteHandler]:
    """The handlers, to be registered at the root."""
    handlers: list[Any] = [alive, ready, numbers]
    return handlers
