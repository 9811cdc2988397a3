"""The link past the line, for staff and for those who can't wait in one: a page with one button."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.core.refusal import Refusal
from tearline.db import transaction
from tearline.waitingroom.actions import enter_by_bypass
from tearline.web.access import AnyRequest, services_of
from tearline.web.gate.support import Visit, entered, key_of, looks_of, visit_of
from tearline.web.problems import sentence_of
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render


@get("/{code:str}/bypass/{token:str}")
async def bypass_page(request: AnyRequest, code: FromPath[str], token: FromPath[str]) -> Response[str]:
    """What the link does; a browser that only looks at it uses nothing up."""
    return await _page(request, visit_of(request, code), token)


@post("/{code:str}/bypass/{token:str}")
async def enter(request: AnyRequest, code: FromPath[str], token: FromPath[str]) -> Response[Any]:
    """Enter by the link."""
    visit = visit_of(request, code)
    services = services_of(request)
    key = key_of(visit)
    try:
        async with transaction(services.database) as tx:
            held = await enter_by_bypass(tx, visit.room.id, token, key, services.now())
    except Refusal as refusal:
        return await _page(request, visit, token, refusal)
    return entered(request, visit, held, key)


async def _page(
    request: AnyRequest, visit: Visit, token: str, refusal: Refusal | None = None
) -> Response[str]:
    return render(
        request,
        "gate/bypass.html",
        status_code=200 if refusal is None else refusal.status,
        room=visit.room,
        visit=visit,
        look=await looks_of(request).of(request, visit),
        action=visit.address(f"bypass/{token}"),
        problem=None if refusal is None else sentence_of(refusal, language_of(request)),
    )


HANDLERS = [bypass_page, enter]
