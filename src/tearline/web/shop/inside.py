"""Campaigns behind a waiting room: who is inside, how long for, and the way to the room for everybody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from litestar import Response
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.waitingroom.watch import RoomView
from tearline.web.access import AnyRequest
from tearline.web.services import Services
from tearline.web.ui.page import language_of
from tearline.web.visits import dropped_cookies, pass_cookie_name

REFUSALS = frozenset({"pass_required", "pass_ended", "pass_taken"})
"""Reasons for which a claim in a guarded campaign is refused before anything else."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Somebody's session in the room that guards a campaign.

    Attributes:
        seconds: how long is left; the browser's clock may be wrong.
    """

    room_code: str
    until: datetime
    seconds: int


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
    now = services.now()
    token = request.cookies.get(pass_cookie_name(room.code))
    if room.state == "closed" and token is None:
        # There is no line to stand in yet: the campaign's own page says what is to come, and when.
        return None
    held = services.room_guard.held(token, room, now)
    return Inside(room.code, held.expires_at, max(1, int((held.expires_at - now).total_seconds())))


def to_room(request: AnyRequest, services: Services, campaign_code: str, refusal: Refusal) -> Redirect:
    """Send somebody who is not inside to the line, or to the page that says that their time is over.

    Raises:
        Refusal: this one, when no room guards the campaign any more.
    """
    room = services.room_guard.room_of(campaign_code)
    if room is None:
        raise refusal
    path = f"/gate/{room.code}"
    if refusal.reason == "pass_ended":
        path += "/done"
    path += f"?return=/c/{campaign_code}"
    if "lang" in request.query_params:
        path += f"&lang={language_of(request)}"
    return Redirect(path, status_code=303, headers={"cache-control": "no-store"})


def has_given_place_on(services: Services, campaign_code: str) -> RoomView | None:
    """The room of a campaign in which a claim ends the session, or None."""
    room = services.room_guard.room_of(campaign_code)
    return room if room is not None and room.claim_ends_session else None


def drop_pass(services: Services, response: Response[object], room: RoomView) -> None:
    """Have the browser forget a pass whose place went to the next in line."""
    for cookie in dropped_cookies(room.code, secure=services.settings.cookies_are_secure):
        response.set_cookie(cookie)
