"""What a page knows about the request that it answers: language, time zone, CSRF token, face, user."""

from __future__ import annotations

import base64
import json
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Request
from litestar.datastructures import Cookie
from litestar.utils.scope.state import ScopeState

from tearline.i18n import negotiate

LANGUAGE_COOKIE = "tearline_language"
FLASH_COOKIE = "tearline_flash"
FACES = ("console", "merchant", "shop")
_YEAR_SECONDS = 365 * 24 * 3600
_FLASH_LIMIT_CHARACTERS = 2000


@dataclass(frozen=True)
class UiSettings:
    """What all pages of an installation share; the application puts it at ``app.state.ui``."""

    brand: str = "Tearline"
    time_zone: str = "Asia/Hong_Kong"
    """The zone in which times are shown, unless a page says otherwise (``render(..., time_zone=…)``)."""
    currency: str = "HKD"
    cookies_are_secure: bool = False


@dataclass(frozen=True)
class Flash:
    """One message that is shown on the next page: what a form's success says after its redirect."""

    text: str
    """Already in the reader's language."""
    kind: str = "good"
    """``good``, ``warn`` or ``bad``."""


@dataclass(frozen=True)
class Page:
    """The request, as far as templates and their macros may see it."""

    language: str = "en"
    time_zone: str = "UTC"
    face: str = "shop"
    path: str = "/"
    query: tuple[tuple[str, str], ...] = ()
    csrf_token: str = ""
    flash: Flash | None = None
    brand: str = "Tearline"

    def url_with(self, **changes: str | None) -> str:
        """This page's address with some query values replaced, or dropped when None."""
        pairs = [(name, value) for name, value in self.query if name not in changes]
        pairs += [(name, value) for name, value in changes.items() if value is not None]
        return f"{self.path}?{urlencode(pairs)}" if pairs else self.path


# Macros of imported templates don't see the page's context, so the page stands here while it's rendered.
current_page: ContextVar[Page] = ContextVar("current_page")


def settings_of(request: Request[Any, Any, Any]) -> UiSettings:
    """The installation's settings for pages."""
    settings = request.app.state.get("ui")
    return settings if isinstance(settings, UiSettings) else UiSettings()


def language_of(request: Request[Any, Any, Any]) -> str:
    """The language to answer in: ``?lang=``, else the cookie, else the browser's, else English."""
    return negotiate(
        query=dict(_query_of(request)).get("lang"),
        cookie=request.cookies.get(LANGUAGE_COOKIE),
        accept_language=request.headers.get("accept-language"),
    )


def page_of(request: Request[Any, Any, Any]) -> Page:
    """The page that a request asks for, before a handler's own wishes."""
    settings = settings_of(request)
    first_segment = request.url.path.strip("/").split("/", 1)[0]
    return Page(
        language=language_of(request),
        time_zone=settings.time_zone,
        face=first_segment if first_segment in FACES else "shop",
        # With two slashes, links to this page in another language would lead to another site.
        path="/" + request.url.path.lstrip("/\\"),
        query=_query_of(request),
        csrf_token=csrf_token_of(request),
        flash=_read_flash(request.cookies.get(FLASH_COOKIE)),
        brand=settings.brand,
    )


def csrf_token_of(request: Request[Any, Any, Any]) -> str:
    """The token that forms must carry, or "" where the application has no CSRF protection."""
    token = ScopeState.from_scope(request.scope).csrf_token
    return token if isinstance(token, str) else ""


def cookies_after(request: Request[Any, Any, Any], page: Page) -> list[Cookie]:
    """The cookies that a rendered page sets: the language just chosen, and the flash now shown, removed."""
    secure = settings_of(request).cookies_are_secure
    cookies = []
    if dict(page.query).get("lang") and request.cookies.get(LANGUAGE_COOKIE) != page.language:
        cookies.append(
            Cookie(
                LANGUAGE_COOKIE,
                value=page.language,
                path="/",
                max_age=_YEAR_SECONDS,
                samesite="lax",
                httponly=True,
                secure=secure,
            )
        )
    if FLASH_COOKIE in request.cookies:
        cookies.append(Cookie(FLASH_COOKIE, value="", path="/", max_age=0, samesite="lax", httponly=True))
    return cookies


def flash_cookie(request: Request[Any, Any, Any], flash: Flash) -> Cookie:
    """The cookie that carries a message over a redirect. Templates escape it: a stranger may have written it."""
    packed = json.dumps([flash.kind, flash.text[: _FLASH_LIMIT_CHARACTERS // 4]]).encode()
    value = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return Cookie(
        FLASH_COOKIE,
        value=value,
        path="/",
        max_age=60,
        samesite="lax",
        httponly=True,
        secure=settings_of(request).cookies_are_secure,
    )


def _read_flash(cookie: str | None) -> Flash | None:
    if not cookie or len(cookie) > 2 * _FLASH_LIMIT_CHARACTERS:
        return None
    try:
        unpacked = json.loads(base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4)))
    except (ValueError, RecursionError):
        return None
    if not (
        isinstance(unpacked, list) and len(unpacked) == 2 and all(isinstance(part, str) for part in unpacked)
    ):
        return None
    kind, text = unpacked
    return Flash(text=text, kind=kind if kind in ("good", "warn", "bad") else "good")


def _query_of(request: Request[Any, Any, Any]) -> tuple[tuple[str, str], ...]:
    raw = request.scope.get("query_string", b"")
    try:
        return tuple(parse_qsl(raw.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return ()
