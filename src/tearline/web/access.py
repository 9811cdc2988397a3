"""Who is asking: staff by their session's cookie, members by their token, tills and systems by API key.

A face names what it needs as dependencies of its router, and its handlers take them as arguments::

    Router("/console", dependencies=CONSOLE, route_handlers=[...])

    @get("/offers")
    async def offers(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]: ...

A page that needs somebody signed in sends a stranger to the face's sign-in page, and back afterwards.
``services`` is there for every handler. Sign-in pages belong to the faces; they take cookies from here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote

from litestar import Request
from litestar.datastructures import Cookie
from litestar.di import NamedDependency, Provide

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db import transaction
from tearline.members.tokens import MemberIdentity
from tearline.merchants.sessions import SessionActor, actor_of_session, touch_session
from tearline.web.problems import SignInNeeded
from tearline.web.security import client_address, expired_cookie, private_cookie
from tearline.web.services import Services

AnyRequest = Request[Any, Any, Any]

CONSOLE_COOKIE = "tearline_console"
COUNTER_COOKIE = "tearline_counter"
MEMBER_COOKIE = "tearline_member"
_COOKIE_PATHS = {CONSOLE_COOKIE: "/console", COUNTER_COOKIE: "/merchant", MEMBER_COOKIE: "/"}


def services_of(request: AnyRequest) -> Services:
    """The process's services."""
    services: Services = request.app.state.services
    return services


def address_of(request: AnyRequest) -> str:
    """The network address that the request came from, for limits and the audit log."""
    return client_address(request.scope, services_of(request).settings.proxy_networks)


def rest_of_path(request: AnyRequest, before: str) -> str:
    """What the address's path says after ``before``, as it was asked for: a ``{name:path}`` of the framework is
    without the slashes at its ends, and one within is the same whether it was escaped or not."""
    raw_path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    return unquote(raw_path.decode("latin-1")).removeprefix(before)


def safe_next(path: str | None, fallback: str) -> str:
    """Where to go after sign-in: ``path`` when it is a path on this site, else ``fallback``."""
    is_ours = (
        path is not None
        and path.startswith("/")
        and not path.startswith(("//", "/\\"))
        and len(path) <= 1000
        and path.isprintable()
    )
    return path if is_ours and path is not None else fallback


def session_cookie(request: AnyRequest, name: str, token: str, lifetime: timedelta) -> Cookie:
    """The cookie that keeps somebody signed in: one of the three names above, with the session's token."""
    return private_cookie(
        name,
        token,
        path=_COOKIE_PATHS[name],
        secure=services_of(request).settings.cookies_are_secure,
        max_age_seconds=int(lifetime.total_seconds()),
    )


def ended_cookie(request: AnyRequest, name: str) -> Cookie:
    """The cookie that signs the browser out."""
    return expired_cookie(
        name, path=_COOKIE_PATHS[name], secure=services_of(request).settings.cookies_are_secure
    )


async def staff_session(request: AnyRequest, cookie: str) -> SessionActor | None:
    """Who is signed in at the console or the counter, or None."""
    token = request.cookies.get(cookie)
    if not token:
        return None
    services = services_of(request)
    async with services.database.connection() as connection:
        session = await actor_of_session(connection, token, services.now())
    if session is not None and session.is_touch_due:
        async with transaction(services.database) as tx:
            await touch_session(tx, session, services.session_lifetimes, services.now())
    return session


async def console_session(request: AnyRequest) -> SessionActor:
    """The operator's staff who asks; a stranger is sent to the console's sign-in page."""
    session = await staff_session(request, CONSOLE_COOKIE)
    if session is None or session.actor.merchant_id is not None:
        raise SignInNeeded(_sign_in_path(request, "/console"))
    session.actor.require("console")
    request.scope["user"] = session.staff
    return session


async def counter_session(request: AnyRequest) -> SessionActor:
    """The merchant's staff who asks; a stranger is sent to the counter's sign-in page."""
    session = await staff_session(request, COUNTER_COOKIE)
    if session is None or session.actor.merchant_id is None:
        raise SignInNeeded(_sign_in_path(request, "/merchant"))
    session.actor.require("counter")
    request.scope["user"] = session.staff
    return session


async def session_actor(session: NamedDependency[SessionActor]) -> Actor:
    """The signed-in staff as the actor of writes."""
    return session.actor


def member_of(request: AnyRequest) -> MemberIdentity | None:
    """The member whom the cookie's token names, without asking the database; None for a visitor."""
    token = request.cookies.get(MEMBER_COOKIE)
    if not token:
        return None
    services = services_of(request)
    try:
        return services.member_tokens.verify(token, services.now())
    except Refusal:
        return None


async def visitor(request: AnyRequest) -> MemberIdentity | None:
    """The member who asks, or None."""
    request.scope["user"] = identity = member_of(request)
    return identity


async def member(request: AnyRequest) -> MemberIdentity:
    """The member who asks; a visitor is sent to the shop's sign-in page."""
    request.scope["user"] = identity = member_of(request)
    if identity is None:
        raise SignInNeeded(_sign_in_path(request, ""))
    return identity


GivenServices = NamedDependency[Services]
GivenSession = NamedDependency[SessionActor]
GivenActor = NamedDependency[Actor]
GivenMember = NamedDependency[MemberIdentity]
GivenVisitor = NamedDependency[MemberIdentity | None]

CONSOLE = {"session": Provide(console_session), "actor": Provide(session_actor)}
"""Dependencies of the console's router: ``session: GivenSession`` and ``actor: GivenActor``."""
COUNTER = {"session": Provide(counter_session), "actor": Provide(session_actor)}
"""Dependencies of the merchant face's router, likewise."""
SHOP = {"visitor": Provide(visitor), "member": Provide(member)}
"""Dependencies of the shop's router: ``visitor: GivenVisitor``, ``member: GivenMember``."""


def _sign_in_path(request: AnyRequest, face: str) -> str:
    if request.method != "GET":
        return f"{face}/sign-in"
    query = request.scope["query_string"].decode("latin-1")
    wanted = request.scope["path"] + (f"?{query}" if query else "")
    return f"{face}/sign-in?next={quote(safe_next(wanted, face or '/'), safe='/')}"
