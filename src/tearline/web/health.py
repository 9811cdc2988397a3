"""Whether this process lives, whether it can serve, and its numbers."""

from __future__ import annotations

import asyncio
import hmac
from ipaddress import ip_address
from typing import Any

from litestar import Response, get
from litestar.handlers import BaseRouteHandler
from sqlalchemy import text

from tearline.core.refusal import Refusal
from tearline.web import metrics
from tearline.web.access import AnyRequest, GivenServices, address_of

_PATIENCE_SECONDS = 2.0
_MARKS_OF_PROXIES = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


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
async def numbers(request: AnyRequest, services: GivenServices) -> Response[bytes]:
    """The numbers for Prometheus, for whoever has the token; without a token set, for this machine."""
    token = services.settings.metrics_token
    if token is None:
        if not _is_local(request):
            raise Refusal("not_allowed")
    else:
        wanted = f"Bearer {token.get_secret_value()}".encode()
        # Headers are bytes of any kind, which strings of Python compare only when they are ASCII.
        if not hmac.compare_digest(
            request.headers.get("authorization", "").encode("utf-8", "replace"), wanted
        ):
            raise Refusal("wrong_key")
    body, content_type = metrics.exposition()
    # As a header: Litestar would add a charset to a media type that names one already.
    return Response(body, headers={"content-type": content_type})


def _is_local(request: AnyRequest) -> bool:
    """Whether the request was made on this machine. A proxy beside us brings in others' requests."""
    if any(name in request.headers for name in _MARKS_OF_PROXIES):
        return False
    try:
        return ip_address(address_of(request)).is_loopback
    except ValueError:
        return False


def routes() -> list[BaseRouteHandler]:
    """The handlers, to be registered at the root."""
    handlers: list[Any] = [alive, ready, numbers]
    return handlers
