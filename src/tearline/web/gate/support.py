"""What the gate's pages share: the room and what a visitor carries, where to go on to, and the room's look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie
from litestar.response import Redirect
from markupsafe import Markup

from tearline.campaigns.reads import CampaignPage
from tearline.core.refusal import Refusal
from tearline.sales.reads import SalePage
from tearline.waitingroom.tokens import Pass, Ticket
from tearline.waitingroom.watch import RoomView
from tearline.web.access import AnyRequest, member_of, safe_next, services_of
from tearline.web.gate.sites import onward, site_address
from tearline.web.problems import refusal_of
from tearline.web.public_campaigns import public_page
from tearline.web.services import Services
from tearline.web.ui.assets import picture_url
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import text_in
from tearline.web.visits import (
    VISITOR_COOKIE,
    known_visitor,
    new_visitor,
    pass_cookie,
    pass_cookie_name,
    ticket_cookie_name,
    visitor_cookie,
)

_LOOK_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody at a room's page.

    Attributes:
        ticket: theirs, of whatever round; None without one of this room.
        held: the pass of somebody who is inside.
        key: what their exchange is known by; None for a browser that has not joined anywhere.
        going_to: the address that they wanted, checked.
    """

    room: RoomView
    ticket: Ticket | None
    held: Pass | None
    key: str | None
    going_to: str

    @property
    def onward(self) -> str:
        """The address by which somebody inside goes on: to another site they are handed over with a pass."""
        return onward(self.room, self.going_to)

    def address(self, name: str = "") -> str:
        """One of the room's pages, with the address that the visitor wanted."""
        path = f"/gate/{self.room.code}" + (f"/{name}" if name else "")
        if self.going_to == default_address(self.room):
            return path
        return f"{path}?return={quote(self.going_to, safe='/')}"


def visit_of(request: AnyRequest, code: str) -> Visit:
    """Who comes to a room's page.

    Raises:
        Refusal: ``not_found``, ``unavailable``.
    """
    services = services_of(request)
    room = services.room_watch.room(code.strip().upper())
    return Visit(
        room=room,
        ticket=_ticket(services, room, request.cookies.get(ticket_cookie_name(room.code))),
        held=_held(services, room, request.cookies.get(pass_cookie_name(room.code))),
        key=known_visitor(request.cookies.get(VISITOR_COOKIE)),
        going_to=wanted_address(room, request.query_params.get("return")),
    )


def wanted_address(room: RoomView, wanted: str | None) -> str:
    """Where a visitor goes on to: ``wanted`` when it is a path of ours or of a site that the room guards."""
    if not wanted:
        return default_address(room)
    if path := safe_next(wanted, ""):
        return path
    try:
        return site_address(room, wanted)[1]
    except Refusal:
        return default_address(room)


def default_address(room: RoomView) -> str:
    """What the room guards: its first campaign, or else its first page, or its first site."""
    if room.campaign_codes:
        return f"/c/{room.campaign_codes[0]}"
    if room.pages:
        return room.pages[0]
    return f"{room.sites[0]}/" if room.sites else "/"


def entered(request: AnyRequest, visit: Visit, held: Pass, key: str) -> Redirect:
    """Send somebody inside who has just been let in by a form.

    To another site they go from a page of ours: what a form is answered with may not lead elsewhere.
    """
    path = visit.going_to if visit.going_to.startswith("/") else visit.address()
    response = Redirect(path, status_code=303, headers={"cache-control": "no-store"})
    for cookie in entry_cookies(request, visit, held, key):
        response.set_cookie(cookie)
    return response


def entry_cookies(request: AnyRequest, visit: Visit, held: Pass, key: str) -> list[Cookie]:
    """What keeps somebody inside, and known as the one who entered."""
    services = services_of(request)
    secure = services.settings.cookies_are_secure
    seconds = int((held.expires_at - services.now()).total_seconds())
    cookies = [pass_cookie(visit.room.code, services.room_tokens.passed(held), seconds, secure=secure)]
    if visit.key is None:
        cookies.append(visitor_cookie(key, secure=secure))
    return cookies


def key_of(visit: Visit) -> str:
    """What the visitor's exchange is known by; a new one for a browser that has none."""
    return visit.key or new_visitor()


def member_id_of(request: AnyRequest) -> Any:
    """The signed-in member's id, or None."""
    identity = member_of(request)
    return identity.member_id if identity else None


def set_all(response: Response[Any], cookies: list[Cookie]) -> None:
    """Set or drop cookies."""
    for cookie in cookies:
        response.set_cookie(cookie)


@dataclass(frozen=True, slots=True)
class Look:
    """How a room's pages are decorated."""

    name: Markup
    campaign_name: Markup | None
    picture: str | None
    edge: str


class Looks:
    """The guarded campaigns' decoration, kept for a while: a crowd's pages must not each ask the database.

    While the database is away, what was known stays.
    """

    def __init__(self) -> None:
        self._pages: dict[str, tuple[float, CampaignPage | SalePage | None]] = {}

    async def of(self, request: AnyRequest, visit: Visit) -> Look:
        """The look of a room for somebody who is on the way to one of its campaigns."""
        room, language = visit.room, language_of(request)
        page = await self._page(request, _campaign_of(visit)) if room.campaign_codes else None
        name = text_in(room.names, language)
        if page is None:
            return Look(name, None, None, "vermilion")
        campaign_name = text_in(page.names, language)
        return Look(
            name=name,
            campaign_name=None if campaign_name == name else campaign_name,
            picture=picture_url(page.image),
            edge=page.edge,
        )

    async def _page(self, request: AnyRequest, code: str) -> CampaignPage | SalePage | None:
        services = services_of(request)
        now = services.now()
        read_at, page = self._pages.get(code, (0.0, None))
        if now.timestamp() - read_at < _LOOK_SECONDS:
            return page
        # Whoever comes meanwhile takes what is known, so that one of a crowd asks.
        self._pages[code] = (now.timestamp(), page)
        try:
            async with services.database.connection() as connection:
                page = await public_page(connection, code, now)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            page = None if refusal.reason == "not_found" else page
        self._pages[code] = (now.timestamp(), page)
        return page


def _campaign_of(visit: Visit) -> str:
    codes = visit.room.campaign_codes
    wanted = visit.going_to.removeprefix("/c/").partition("?")[0]
    return wanted if wanted in codes else codes[0]


def looks_of(request: AnyRequest) -> Looks:
    """The looks that this process keeps."""
    state = request.app.state
    looks = state.get("gate_looks")
    if not isinstance(looks, Looks):
        looks = state["gate_looks"] = Looks()
    return looks


def _ticket(services: Services, room: RoomView, token: str | None) -> Ticket | None:
    try:
        return services.room_tokens.read_ticket(token, room.id) if token else None
    except Refusal:
        return None


def _held(services: Services, room: RoomView, token: str | None) -> Pass | None:
    try:
        return services.room_guard.held(token, room, services.now())
    except Refusal:
        return None
