"""Campaigns and pages behind a waiting room: who is inside, how long for, and the others' way to the room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.core.rooms import JOINABLE
from tearline.i18n import _
from tearline.waitingroom.watch import RoomView
from tearline.web.access import AnyRequest, safe_next, services_of
from tearline.web.services import Services
from tearline.web.shop.support import with_query
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect
from tearline.web.visits import dropped_cookies, pass_cookie_name

REFUSALS = frozenset({"pass_required", "pass_ended", "pass_taken"})
"""Reasons for which a claim in a guarded campaign is refused before anything else."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Somebody's session in the room that guards a campaign or a page.

    Attributes:
        seconds: how long is left; the browser's clock may be wrong.
        back: the address that they came for, percent-encoded.
    """

    room_code: str
    until: datetime
    seconds: int
    back: str


def pass_token(request: AnyRequest, services: Services, campaign_code: str) -> str | None:
    """What the visitor was let in with, for a campaign that a room guards."""
    room = services.room_guard.room_of(campaign_code)
    return None if room is None else request.cookies.get(pass_cookie_name(room.code))


def session_of(request: AnyRequest, services: Services, campaign_code: str) -> Inside | None:
    """The visitor's session in the room that guards a campaign; None when no room does, or it has not opened.

    Raises:
        Refusal: ``pass_required``, ``pass_ended``, ``unavailable``.
    """
    room = services.room_guard.room_of(campaign_code)
    if room is None:
        return None
    token = request.cookies.get(pass_cookie_name(room.code))
    if room.state == "closed" and token is None:
        # There is no line to stand in yet: the campaign's own page says what is to come, and when.
        return None
    return _inside(services, room, token, f"/c/{campaign_code}")


def session_if_any(request: AnyRequest, services: Services, campaign_code: str) -> Inside | None:
    """The session of somebody whose claim or order was refused for another reason."""
    try:
        return session_of(request, services, campaign_code)
    except Refusal:
        return None


def to_room(request: AnyRequest, services: Services, campaign_code: str, refusal: Refusal) -> Redirect:
    """Send somebody who is not inside to the line, or to the page that says that their time is over.

    Raises:
        Refusal: this one, when no room guards the campaign any more.
    """
    room = services.room_guard.room_of(campaign_code)
    if room is None:
        raise refusal
    address = _room_address(request, room, f"/c/{campaign_code}", refusal)
    return Redirect(address, status_code=303, headers={"cache-control": "no-store"})


async def guard_page(request: AnyRequest) -> Response[Any] | None:
    """Before a page that a room guards: let those through who are inside, and send the others to the line.

    A page is guarded while the room can be joined: before the crowd and after it, everyone sees it.

    Raises:
        Refusal: ``unavailable``.
    """
    services = services_of(request)
    room = services.room_watch.guard_of_page(request.scope["path"])
    if room is None or room.state not in JOINABLE:
        return None
    path = request.scope["path"]
    wanted = with_query(request, path) if request.method == "GET" else path
    back = quote(safe_next(wanted, "/"), safe="/")
    try:
        session = _inside(services, room, request.cookies.get(pass_cookie_name(room.code)), back)
    except Refusal as refusal:
        address = _room_address(request, room, back, refusal)
        if "hx-request" in request.headers:
            # Part of a page that is open: it is the page that has to go.
            return Response(
                "", status_code=204, headers={"hx-redirect": address, "cache-control": "no-store"}
            )
        return Redirect(address, status_code=303, headers={"cache-control": "no-store"})
    request.scope["inside"] = session  # type: ignore[typeddict-unknown-key]
    return None


def _inside(services: Services, room: RoomView, token: str | None, back: str) -> Inside:
    now = services.now()
    held = services.room_guard.held(token, room, now)
    seconds = max(1, int((held.expires_at - now).total_seconds()))
    return Inside(room.code, held.expires_at, seconds, back)


def _room_address(request: AnyRequest, room: RoomView, back: str, refusal: Refusal) -> str:
    path = f"/gate/{room.code}" + ("/done" if refusal.reason == "pass_ended" else "") + f"?return={back}"
    return path + (f"&lang={language_of(request)}" if "lang" in request.query_params else "")


def on_from(request: AnyRequest, services: Services, campaign_code: str, address: str) -> Response[Any]:
    """On to what was claimed or ordered; where that ends the session, the browser forgets its pass."""
    room = services.room_guard.room_of(campaign_code)
    if room is None or not room.claim_ends_session:
        return Redirect(address, status_code=303)
    response = redirect(request, address, flash=_("Your place inside went to the next in line. Thank you!"))
    for cookie in dropped_cookies(room.code, secure=services.settings.cookies_are_secure):
        response.set_cookie(cookie)
    return response
