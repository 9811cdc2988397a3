"""The page on which anybody can check the draw: a script computes the places from what was published."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from tearline.web.access import AnyRequest
from tearline.web.gate.standing import standing_of
from tearline.web.gate.support import looks_of, visit_of
from tearline.web.ui.rendering import render


@get("/{code:str}/draw")
async def draw_page(request: AnyRequest, code: FromPath[str]) -> Response[str]:
    """The commitment, and after the start the seed and how each place follows from it."""
    visit = visit_of(request, code)
    return render(
        request,
        "gate/draw.html",
        time_zone=visit.room.time_zone,
        room=visit.room,
        visit=visit,
        standing=standing_of(visit.room, visit.ticket, visit.held),
        look=await looks_of(request).of(request, visit),
    )


HANDLERS = [draw_page]
