"""Pages of the demo: what would have been sent to phones, and the pieces that pages are made of."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get

from tearline.notices.reads import outbox
from tearline.web.access import GivenServices
from tearline.web.ui import gallery
from tearline.web.ui.page import page_of
from tearline.web.ui.rendering import render


@get("/outbox")
async def outbox_page(request: Request[Any, Any, Any], services: GivenServices) -> Response[str]:
    """The newest messages that the outbox provider kept instead of sending them."""
    async with services.database.connection() as connection:
        messages = await outbox(connection)
    return render(request, "dev/outbox.html", messages=messages)


@get("/ui")
async def gallery_page(request: Request[Any, Any, Any], services: GivenServices) -> Response[str]:
    """Every piece that pages are made of."""
    return render(request, gallery.TEMPLATE, **gallery.gallery_context(page_of(request), services.now()))


def router() -> Router:
    """Everything below /dev; only registered in demo mode."""
    return Router("/dev", route_handlers=[outbox_page, gallery_page], include_in_schema=False)
