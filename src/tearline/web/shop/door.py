"""Before each page of the shop: a waiting room that guards it, and whether there is a market to link to."""

from __future__ import annotations

from typing import Any

from litestar import Response

from tearline.core.refusal import Refusal
from tearline.web.access import AnyRequest, services_of
from tearline.web.services import Services
from tearline.web.shop.inside import guard_page


async def before_page(request: AnyRequest) -> Response[Any] | None:
    """Let a request through to its page, or answer it with the way to the line.

    Raises:
        Refusal: ``unavailable``; ``not_found`` for the market where there is none.
    """
    services = services_of(request)
    path = request.scope["path"]
    is_market = path == "/market" or path.startswith("/market/")
    if is_market and not services.settings.market:
        raise Refusal("not_found")
    answer = await guard_page(request)
    if answer is None and request.method == "GET":
        # In its own pages the market is always linked to, so that one finds back.
        request.scope["market"] = is_market or await _has_market(services)  # type: ignore[typeddict-unknown-key]
    return answer


async def _has_market(services: Services) -> bool:
    if not services.settings.market:
        return False
    now = services.now()
    if services.shelf_watch.is_fresh(now):
        return True
    async with services.database.connection() as connection:
        return await services.shelf_watch.has_products(connection, now)
