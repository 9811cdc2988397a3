"""News of payments, sent by their providers. Who sends it is known by its signature alone."""

from __future__ import annotations

from litestar import Response, post
from litestar.params import FromPath

from tearline.core.refusal import Refusal
from tearline.sales.paying import take_news
from tearline.web.access import GivenServices
from tearline.web.api.support import AnyRequest


@post("/payments/{provider:str}/events", include_in_schema=False, status_code=200)
async def payment_events(
    request: AnyRequest, services: GivenServices, provider: FromPath[str]
) -> Response[dict[str, str]]:
    """Take news, and answer once it is kept; anything but 200 has the provider send it again.

    What is signed is the body as it came, so it is read here and by nobody before.
    """
    known = services.payment_providers.get(provider)
    if known is None:
        raise Refusal("not_found")
    now = services.now()
    news = known.news(request.headers, await request.body(), now)
    outcome = await take_news(services.database, services.sale_desk, provider, news, now)
    return Response({"outcome": outcome})


HANDLERS = [payment_events]
