"""The gate's hot lane: polls, joins, exchanges and departures as plain ASGI handlers, see ``web.hot``.

A poll costs a look-up in memory: the room's document is made once a second, whoever asks. Posts take JSON
only, which no other site's form can send, so they need no token against forgery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec
from litestar.datastructures import Cookie
from litestar.types import HTTPScope, Send

from tearline.core.refusal import Refusal
from tearline.members.tokens import MemberIdentity
from tearline.waitingroom.tokens import Ticket
from tearline.waitingroom.watch import RoomView
from tearline.web import metrics
from tearline.web.access import MEMBER_COOKIE
from tearline.web.bodies import decode
from tearline.web.hot import Answer, Headers, HotHandler, text_of
from tearline.web.limits import Limit
from tearline.web.security import client_address
from tearline.web.services import Services
from tearline.web.visits import (
    VISITOR_COOKIE,
    cookies_of,
    dropped_cookies,
    known_visitor,
    new_visitor,
    pass_cookie,
    pass_cookie_name,
    ticket_cookie,
    ticket_cookie_name,
    visitor_cookie,
)

PREFIX = "/gate/"
_POLL = "/room.json"
_BODY_LIMIT_BYTES = 8 * 1024
_POLL_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"public, max-age=1, stale-while-revalidate=30"),
    (b"x-content-type-options", b"nosniff"),
    # Apps and other sites' pages may poll it, too: it holds nothing of anybody.
    (b"access-control-allow-origin", b"*"),
)


class JoinBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a visitor joins with."""

    proof: str | None = None


class ExchangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What an app exchanges its ticket with; a browser's key is its cookie."""

    exchange_key: str | None = None


class NoBody(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is asked for."""


_join_body = msgspec.json.Decoder(JoinBody)
_exchange_body = msgspec.json.Decoder(ExchangeBody)
_no_body = msgspec.json.Decoder(NoBody)


class Polls:
    """Answers polls of one process.

    Args:
        find: the room with a code, or None.
    """

    def __init__(self, find: Callable[[str], RoomView | None]) -> None:
        self._find = find
        self._prepared: dict[str, tuple[RoomView, bytes, list[Any], list[Any]]] = {}
        self._answered: dict[int, int] = {200: 0, 304: 0}
        """Polls that the metrics do not have yet, by status."""

    async def answer(self, scope: HTTPScope, send: Send) -> bool:
        """Answer a poll; False when this is none, or of no room."""
        path = scope["path"]
        if not path.startswith(PREFIX) or scope["method"] not in ("GET", "HEAD"):
            return False
        code = path[len(PREFIX) : -len(_POLL)]
        room = self._find(code)
        if room is None:
            return False
        prepared = self._prepared.get(code)
        if prepared is None or prepared[0] is not room:
            prepared = self._prepare(code, room)
        _room, etag, fresh, unchanged = prepared
        for name, value in scope["headers"]:
            if name == b"if-none-match" and etag in value:
                self._answered[304] += 1
                await send({"type": "http.response.start", "status": 304, "headers": unchanged})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return True
        self._answered[200] += 1
        await send({"type": "http.response.start", "status": 200, "headers": fresh})
        await send({"type": "http.response.body", "body": room.document, "more_body": False})
        return True

    def _prepare(self, code: str, room: RoomView) -> tuple[RoomView, bytes, list[Any], list[Any]]:
        """Once a second for each room, so here the polls are counted, too."""
        for status, number in self._answered.items():
            metrics.polls.labels(str(status)).inc(number)
            self._answered[status] = 0
        unchanged = [*_POLL_HEADERS, (b"etag", room.etag)]
        fresh = [*unchanged, (b"content-length", str(len(room.document)).encode())]
        prepared = self._prepared[code] = (room, room.etag, fresh, unchanged)
        return prepared


class GateLane:
    """The gate's hot endpoints of one process, other than polls."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._networks = services.settings.proxy_networks
        self._secure = services.settings.cookies_are_secure
        self._handlers = {
            (handler.method, handler.route.rpartition("/")[2]): handler
            for handler in (
                self._handler("GET", "ticket", self._ticket, 0),
                self._handler("GET", "challenge", self._challenge, 0),
                self._handler("POST", "joins", self._join, _BODY_LIMIT_BYTES),
                self._handler("POST", "passes", self._exchange, _BODY_LIMIT_BYTES),
                self._handler("POST", "departures", self._depart, _BODY_LIMIT_BYTES),
            )
        }

    @staticmethod
    def _handler(
        method: str, name: str, work: Callable[[HTTPScope, Headers, bytes], Awaitable[Answer]], limit: int
    ) -> HotHandler:
        return HotHandler(method, f"/gate/{{code}}/{name}", work, limit)

    def handler(self, method: str, path: str) -> HotHandler | None:
        """The hot endpoint of this method and path, or None."""
        if not path.startswith(PREFIX):
            return None
        code, _, name = path[len(PREFIX) :].partition("/")
        found = self._handlers.get((method, name))
        return found if found is not None and code.isascii() and code.replace("-", "").isalnum() else None

    async def _join(self, scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        room, cookies = self._visit(scope, headers)
        request = decode(_join_body, body)
        held = self._held_ticket(room, headers, cookies)
        # Of a round that is newer than what is known of the room is a ticket that was got in its first second.
        if held is not None and held.round >= room.round:
            return self._answer_ticket(room, held, cookies)
        await limit_joins(self._services, room, client_address(scope, self._networks))
        solution = None
        if room.proof_of_work:
            solution = self._services.puzzles.check(request.proof or "", room.code)
        return self._answer_ticket(room, await self._services.join_desk.join(room.id, solution), cookies)

    def _answer_ticket(self, room: RoomView, ticket: Ticket, cookies: dict[str, str]) -> Answer:
        token = self._services.room_tokens.ticket(ticket)
        set_cookies = [ticket_cookie(room.code, token, secure=self._secure)]
        if known_visitor(cookies.get(VISITOR_COOKIE)) is None:
            set_cookies.append(visitor_cookie(new_visitor(), secure=self._secure))
        answer = {
            "ticket": token,
            "round": ticket.round,
            "number": ticket.number,
            # A ticket that is newer than what is known of the room is one of those that came after the draw.
            "place": room.place_of(ticket.number) if ticket.round == room.round else None,
        }
        return 200, _set(set_cookies), answer

    async def _ticket(self, scope: HTTPScope, headers: Headers, _body: bytes) -> Answer:
        room, cookies = self._visit(scope, headers)
        ticket = self._ticket_of(room, headers, cookies)
        place = room.place_of(ticket.number) if ticket.round == room.round else None
        answer = {
            "round": ticket.round,
            "number": ticket.number,
            "place": place,
            "status": room.status_of(ticket),
        }
        return 200, (), answer

    async def _exchange(self, scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        room, cookies = self._visit(scope, headers)
        ticket = self._ticket_of(room, headers, cookies)
        visitor = known_visitor(cookies.get(VISITOR_COOKIE))
        key = decode(_exchange_body, body).exchange_key or visitor
        if key is None:
            raise Refusal("invalid", fields={"exchange_key": "Object missing required field `exchange_key`."})
        member = self._member(headers, cookies)
        held = await self._services.door_desk.exchange(ticket, key, member.member_id if member else None)
        token = self._services.room_tokens.passed(held)
        answer = {
            "pass": token,
            "entered_at": held.entered_at,
            "expires_at": held.expires_at,
            "member": held.member_id is not None,
        }
        seconds = int((held.expires_at - self._services.now()).total_seconds())
        cookie = pass_cookie(room.code, token, seconds, secure=self._secure)
        return 200, _set([cookie]), answer

    async def _depart(self, scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        room, cookies = self._visit(scope, headers)
        decode(_no_body, body)
        token = _bearer(headers) or cookies.get(pass_cookie_name(room.code))
        held = self._services.room_guard.held(token, room, self._services.now())
        await self._services.door_desk.leave(held)
        return 204, _set(dropped_cookies(room.code, secure=self._secure)), None

    async def _challenge(self, scope: HTTPScope, headers: Headers, _body: bytes) -> Answer:
        room, _cookies = self._visit(scope, headers)
        if not room.proof_of_work:
            raise Refusal("not_found")
        return 200, (), self._services.puzzles.puzzle(room.code, self._services.now())

    def _visit(self, scope: HTTPScope, headers: Headers) -> tuple[RoomView, dict[str, str]]:
        code = scope["path"][len(PREFIX) :].partition("/")[0]
        return self._services.room_watch.room(code.upper()), cookies_of(text_of(headers, b"cookie"))

    def _held_ticket(self, room: RoomView, headers: Headers, cookies: dict[str, str]) -> Ticket | None:
        """The ticket that somebody who joins has already, if it is one of ours."""
        try:
            return self._ticket_of(room, headers, cookies)
        except Refusal:
            return None

    def _ticket_of(self, room: RoomView, headers: Headers, cookies: dict[str, str]) -> Ticket:
        token = _bearer(headers) or cookies.get(ticket_cookie_name(room.code)) or ""
        return self._services.room_tokens.read_ticket(token, room.id)

    def _member(self, headers: Headers, cookies: dict[str, str]) -> MemberIdentity | None:
        """The member who asks, if somebody is signed in: an app says so in a header of its own."""
        token = text_of(headers, b"tearline-member").removeprefix("Bearer ") or cookies.get(MEMBER_COOKIE)
        try:
            return self._services.member_tokens.verify(token, self._services.now()) if token else None
        except Refusal:
            return None


async def limit_joins(services: Services, room: RoomView, address: str) -> None:
    """Count one who joins from this address.

    Raises:
        Refusal: ``too_many_attempts`` when the room lets in no more from its address range for now.
    """
    if room.joins_per_network is not None:
        limit = Limit(f"joins-{room.code}", room.joins_per_network, 60)
        await services.limiter.hit(limit, address_range(address))


def address_range(address: str) -> str:
    """The network that an address is taken to belong to: an IPv4 /24, an IPv6 /56; itself when it is none."""
    try:
        version = ip_address(address).version
    except ValueError:
        return address
    return str(ip_network(f"{address}/{24 if version == 4 else 56}", strict=False))


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = text_of(headers, b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _set(cookies: Iterable[Cookie]) -> list[tuple[str, str]]:
    return [("set-cookie", _header_of(cookie)) for cookie in cookies]


def _header_of(cookie: Cookie) -> str:
    """A private cookie as a header. The library's own way takes longer than all else about a join, for values
    that may need quoting; ours are tokens, which do not."""
    secure = "; Secure" if cookie.secure else ""
    return (
        f"{cookie.key}={cookie.value}; HttpOnly; Max-Age={cookie.max_age}; Path={cookie.path}; "
        f"SameSite={cookie.samesite}{secure}"
    )
