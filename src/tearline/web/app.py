"""The application: a plain ASGI callable around the hot lane and Litestar.

Polls, tickets, passes, claims, redemptions and quotes go straight to their handlers in ``web.gate.hot`` and
``web.api.hot``; everything else goes to Litestar.
What both share happens here, once: the request's id, security headers, numbers, and turning away what no
handler should see.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.static_files import create_static_files_router
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from tearline.config import Settings, load_settings
from tearline.web import access, api, console, dev, gate, health, merchant, metrics, problem_pages, shop
from tearline.web.api.hot import HotLane
from tearline.web.gate.hot import GateLane, Polls
from tearline.web.hot import Lane
from tearline.web.limits import STANDING_KEY, Standing
from tearline.web.logs import configure_logging
from tearline.web.problems import REQUEST_ID_KEY, answer_exception
from tearline.web.security import CsrfMiddleware, answer_headers, refuse_unreadable
from tearline.web.services import open_services
from tearline.web.ui.assets import STATIC_DIRECTORY, STATIC_URL
from tearline.web.ui.page import UiSettings

log = structlog.get_logger(__name__)

BODY_LIMIT_BYTES = 64 * 1024
_WELL_FORMED_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_HEADERS_OF_JSON = (b"x-content-type-options", b"cache-control", b"strict-transport-security")
# Drawn once for each process: asking the system for randomness costs more than all else about a request's id.
_PROCESS_NAME = secrets.token_hex(4)
_request_numbers = itertools.count(1)
_SLOW_SECONDS = 1.0
_NO_CSRF_PREFIXES = ("/api/", "/static/", "/metrics", "/healthz", "/readyz", "/gate/keys.json")


class Application:
    """Tearline as an ASGI application.

    Args:
        settings: with ``database_url`` set.
        is_gate: answer for the waiting rooms alone.
    """

    def __init__(self, settings: Settings, *, is_gate: bool = False) -> None:
        self.settings = settings
        self._is_gate = is_gate
        self._answer_headers = answer_headers(cookies_are_secure=settings.cookies_are_secure)
        # The hot lane answers nothing but JSON: what keeps a page in its place has no work there.
        self._hot_headers = [header for header in self._answer_headers if header[0] in _HEADERS_OF_JSON]
        self._lanes: Lane = ()
        self._polls: Polls | None = None
        self.litestar = _litestar(settings, self._lifespan, is_gate=is_gate)

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncIterator[None]:
        async with open_services(self.settings) as services:
            app.state.services = services
            gate_lane = GateLane(services).handler
            self._lanes = (
                (gate_lane,) if self._is_gate else (HotLane(services, BODY_LIMIT_BYTES).handler, gate_lane)
            )
            self._polls = Polls(services.room_watch.find)
            yield
            self._lanes, self._polls = (), None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self.litestar(scope, receive, send)
            return
        if scope["path"].endswith("/room.json") and self._polls and await self._polls.answer(scope, send):
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope = cast("HTTPScope", {**scope, REQUEST_ID_KEY: request_id})
        request_id_header = (b"x-request-id", request_id.encode())
        for lane in self._lanes:
            hot = lane(scope["method"], scope["path"])
            if hot is not None:
                status = await hot.answer(scope, receive, send, [*self._hot_headers, request_id_header])
                metrics.observe(hot.method, hot.route, status, time.perf_counter() - started)
                return
        added_headers = [*self._answer_headers, request_id_header]
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                standing: Standing | None = scope.get(STANDING_KEY)  # type: ignore[assignment]
                if standing is not None:
                    added_headers.extend(
                        (name.encode(), value.encode()) for name, value in standing.headers().items()
                    )
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in added_headers if header[0] not in present),
                ]
            await send(message)

        if scope["method"] == "HEAD":
            # The server leaves out the body; handlers need not know.
            scope["method"] = "GET"
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self.litestar(scope, receive, send_with_headers)
        duration_seconds = time.perf_counter() - started
        route = str(scope.get("path_template", "unmatched"))
        # What is unmatched may have any method that somebody thought of.
        metrics.observe(scope["method"] if route != "unmatched" else "any", route, status, duration_seconds)
        if duration_seconds > _SLOW_SECONDS:
            log.warning("slow", request_id=request_id, path=scope["path"], seconds=round(duration_seconds, 3))


def create_app(settings: Settings | None = None) -> Application:
    """The application; without ``settings``, those of the environment. For ``uvicorn --factory``."""
    settings = settings or load_settings()
    configure_logging(settings.log_level, settings.log_format)
    return Application(settings)


def create_gate(settings: Settings | None = None) -> Application:
    """The waiting rooms alone, as ``create_app`` otherwise."""
    settings = settings or load_settings()
    configure_logging(settings.log_level, settings.log_format)
    return Application(settings, is_gate=True)


def _litestar(settings: Settings, lifespan: Any, *, is_gate: bool) -> Litestar:
    csrf = DefineMiddleware(
        CsrfMiddleware,
        keys=settings.secret_keys,
        secure=settings.cookies_are_secure,
        exempt_prefixes=_NO_CSRF_PREFIXES,
    )
    return Litestar(
        route_handlers=_routes(settings, is_gate=is_gate),
        lifespan=[lifespan],
        middleware=[refuse_unreadable, csrf],
        dependencies={"services": Provide(access.services_of, sync_to_thread=False)},
        exception_handlers={Exception: answer_exception},
        request_max_body_size=BODY_LIMIT_BYTES,
        multipart_form_part_limit=200,
        openapi_config=None,
        logging_config=None,
        state=State(
            {
                "ui": UiSettings(
                    brand=settings.brand,
                    time_zone=settings.time_zone,
                    currency=settings.currency,
                    cookies_are_secure=settings.cookies_are_secure,
                )
            }
        ),
    )


def _routes(settings: Settings, *, is_gate: bool) -> Sequence[Router | BaseRouteHandler]:
    routes: list[Router | BaseRouteHandler] = [*health.routes(), *problem_pages.HANDLERS, gate.router()]
    if not is_gate:
        routes += [api.router(), shop.router(), console.router(), merchant.router()]
    if STATIC_DIRECTORY.is_dir():
        routes.append(
            create_static_files_router(
                path=STATIC_URL,
                directories=[STATIC_DIRECTORY],
                after_request=_keep_forever,
                include_in_schema=False,
            )
        )
    if settings.demo and not is_gate:
        routes.append(dev.router())
    return routes


def _keep_forever(response: Response[Any]) -> Response[Any]:
    # A built file's name changes with its content.
    response.headers["cache-control"] = "public, max-age=31536000, immutable"
    return response


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _WELL_FORMED_REQUEST_ID.fullmatch(value):
            return value.decode()
    return f"{_PROCESS_NAME}{next(_request_numbers):08x}"
