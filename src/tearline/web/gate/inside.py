"""Leaving: the way out of a session, and the page that tells that it is over."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tearline.core.rooms import JOINABLE
from tearline.web.access import AnyRequest, services_of
from tearline.web.gate.support import looks_of, set_all, visit_of
from tearline.web.ui.rendering import render
from tearline.web.visits import dropped_cookies

LEFT = "left"


@post("/{code:str}/leave")
async def leave(request: AnyRequest, code: FromPath[str]) -> Redirect:
    """Give the place back; whoever is next is called at once."""
    visit = visit_of(request, code)
    services = services_of(request)
    if visit.held is not None:
        await services.door_desk.leave(visit.held)
    response = Redirect(
        f"/gate/{visit.room.code}/done?how={LEFT}", status_code=303, headers={"cache-control": "no-store"}
    )
    set_all(response, dropped_cookies(visit.room.code, secure=services.settings.cookies_are_secure))
    return response


@get("/{code:str}/leave")
async def leave_by_address(code: FromPath[str]) -> Redirect:
    """What stands in a browser's address line after a leave that was refused."""
    return Redirect(f"/gate/{code}", status_code=303)


@get("/{code:str}/done")
async def done_page(request: AnyRequest, code: FromPath[str]) -> Response[str]:
    """The session inside is over: by its time, or because somebody left."""
    visit = visit_of(request, code)
    return render(
        request,
        "gate/done.html",
        room=visit.room,
        visit=visit,
        look=await looks_of(request).of(request, visit),
        has_left=request.query_params.get("how") == LEFT,
        can_join=visit.room.state in JOINABLE,
    )


HANDLERS = [leave, leave_by_address, done_page]
