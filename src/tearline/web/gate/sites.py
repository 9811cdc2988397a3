"""The way from a room to another site: with a signed pass, which the site verifies with the keys published here."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.gateway import PARAMETER
from tearline.waitingroom.watch import RoomView
from tearline.web.access import AnyRequest, services_of
from tearline.web.visits import pass_cookie_name

_LONGEST_ADDRESS = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F))


@get("/keys.json")
async def public_keys(request: AnyRequest) -> Response[bytes]:
    """The public keys of passes for other sites: a JWK Set."""
    headers = {
        "cache-control": "public, max-age=300, stale-while-revalidate=86400",
        # They are for everyone, and hold nothing of anybody.
        "access-control-allow-origin": "*",
    }
    return Response(services_of(request).site_passes.document, headers=headers, media_type=MediaType.JSON)


@get("/{code:str}/return")
async def hand_over(request: AnyRequest, code: FromPath[str]) -> Redirect:
    """Send somebody who is inside to the site that they came from, with a pass; anybody else into the line."""
    services = services_of(request)
    room = services.room_watch.room(code.upper())
    site, wanted = site_address(room, request.query_params.get("to", ""))
    now = services.now()
    try:
        held = services.room_guard.held(request.cookies.get(pass_cookie_name(room.code)), room, now)
    except Refusal:
        return _redirect(f"/gate/{room.code}?return={quote(wanted, safe='')}")
    return _redirect(_with_pass(wanted, services.site_passes.signed(held, room.code, site, now)))


def onward(room: RoomView, address: str) -> str:
    """The address that somebody inside goes on by: to another site with a pass of it."""
    return address if address.startswith("/") else f"/gate/{room.code}/return?to={quote(address, safe='')}"


def site_address(room: RoomView, wanted: str) -> tuple[str, str]:
    """The site of this room that an address lies on, as the room names it, and the address as it may be sent.

    Raises:
        Refusal: ``wrong_site`` for any other address, and for what browsers might read as another.
    """
    # Browsers read a backslash as a slash and pass over white space; whatever is not ASCII gets encoded.
    address = quote(wanted, safe=_VISIBLE)
    if len(address) > _LONGEST_ADDRESS or "\\" in address:
        raise Refusal("wrong_site")
    origin = _origin_of(address)
    for site in room.sites:
        if origin is not None and _origin_of(site) == origin:
            # What follows the origin is kept; the origin is the one that the operator wrote.
            rest = address.split("://", 1)[1]
            length = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
            path = rest[length:]
            return site, site + (path if path.startswith("/") else f"/{path}")
    raise Refusal("wrong_site")


def _origin_of(address: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname.lower(), port or _DEFAULT_PORTS[parts.scheme]


def _with_pass(address: str, token: str) -> str:
    address, mark, fragment = address.partition("#")
    path, _, query = address.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] != PARAMETER]
    return f"{path}?{'&'.join([*kept, f'{PARAMETER}={token}'])}{mark}{fragment}"


def _redirect(address: str) -> Redirect:
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Redirect(address, status_code=303, headers=headers)


HANDLERS: list[Any] = [public_keys, hand_over]
