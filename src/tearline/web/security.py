"""What protects every answer and every form: headers, CSRF, cookies, and the address a request came from."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.datastructures import Cookie, FormMultiDict
from litestar.enums import RequestEncodingType, ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from tearline.config import Network
from tearline.core.refusal import Refusal
from tearline.web.ui.rendering import SECURITY_HEADERS

CSRF_COOKIE = "tearline_csrf"
CSRF_FIELD = "_csrf_token"
CSRF_HEADER = "x-csrftoken"
READS_OWN_FORM = "reads_own_form"
"""In a handler's ``opt``: it reads the body itself, and calls ``require_csrf`` with the form's token."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_BYTES = 16
_YEAR_SECONDS = 365 * 24 * 3600


def answer_headers(*, cookies_are_secure: bool) -> list[tuple[bytes, bytes]]:
    """Headers that every answer carries unless it set one of that name itself."""
    headers = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
    if cookies_are_secure:
        headers.append((b"strict-transport-security", f"max-age={_YEAR_SECONDS}".encode()))
    return headers


def private_cookie(
    name: str, value: str, *, path: str = "/", secure: bool, max_age_seconds: int | None = None
) -> Cookie:
    """A cookie that scripts cannot read and other sites' forms do not carry."""
    return Cookie(
        name, value=value, path=path, max_age=max_age_seconds, httponly=True, secure=secure, samesite="lax"
    )


def expired_cookie(name: str, *, path: str = "/", secure: bool) -> Cookie:
    """The cookie that removes another of that name and path."""
    return private_cookie(name, "", path=path, secure=secure, max_age_seconds=0)


def client_address(scope: Scope | HTTPScope, trusted: Sequence[Network]) -> str:
    """The address that a request came from.

    ``X-Forwarded-For`` is read from its right end, as long as whoever wrote the entry is a trusted proxy;
    anything else in it could have been written by the visitor.
    """
    client = scope.get("client")
    address = client[0] if client else "unknown"
    if not trusted or not _is_in(address, trusted):
        return address
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    for entry in reversed(forwarded.decode("latin-1").split(",")[-20:]):
        candidate = entry.strip()
        try:
            ip_address(candidate)
        except ValueError:
            return address
        address = candidate
        if not _is_in(address, trusted):
            return address
    return address


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


class CsrfMiddleware:
    """Refuses forms that were not made for the browser that sends them.

    A random token, signed, stands in an HttpOnly cookie and again in each form (``_csrf_token``) or in the
    ``X-CSRFToken`` header of scripts. Litestar's own middleware is not used: it answers 500 to a token that
    isn't ASCII, and keeps a cookie that was signed with a withdrawn secret for ever.

    Args:
        app: what comes next.
        keys: the secrets; the first one signs, all are accepted.
        secure: whether the cookie is marked Secure.
        exempt_prefixes: paths that no browser's cookie gives access to.
    """

    def __init__(
        self, app: ASGIApp, keys: Sequence[bytes], secure: bool, exempt_prefixes: tuple[str, ...]
    ) -> None:
        self._app = app
        self._keys = [hashlib.sha256(b"csrf:" + key).digest() for key in keys]
        self._secure = secure
        self._exempt_prefixes = exempt_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a safe request through with a token for its forms, and any other only with that token."""
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(self._exempt_prefixes):
            await self._app(scope, receive, send)
            return
        request: Request[Any, Any, Any] = scope["litestar_app"].request_class(scope=scope, receive=receive)
        cookie = request.cookies.get(CSRF_COOKIE, "")
        is_genuine = self._is_genuine(cookie)
        if request.method in _SAFE_METHODS:
            token = cookie if is_genuine else self._new_token()
            ScopeState.from_scope(scope).csrf_token = token
            await self._app(scope, receive, send if is_genuine else self._setting_cookie(send, token))
            return
        if scope["route_handler"].opt.get(READS_OWN_FORM) and CSRF_HEADER not in request.headers:
            if not is_genuine:
                raise Refusal("csrf")
            ScopeState.from_scope(scope).csrf_token = cookie
            await self._app(scope, receive, send)
            return
        sent = await _sent_token(request)
        if not is_genuine or not hmac.compare_digest(sent.encode("utf-8", "replace"), cookie.encode()):
            raise Refusal("csrf")
        ScopeState.from_scope(scope).csrf_token = cookie
        await self._app(scope, receive, send)

    def _new_token(self) -> str:
        token = secrets.token_hex(_TOKEN_BYTES)
        return token + self._signature(self._keys[0], token)

    def _is_genuine(self, cookie: str) -> bool:
        token, signature = cookie[: 2 * _TOKEN_BYTES], cookie[2 * _TOKEN_BYTES :]
        if not cookie.isascii():
            return False
        return any(hmac.compare_digest(self._signature(key, token), signature) for key in self._keys)

    @staticmethod
    def _signature(key: bytes, token: str) -> str:
        return hmac.digest(key, token.encode(), hashlib.sha256).hex()

    def _setting_cookie(self, send: Send, token: str) -> Send:
        header = private_cookie(CSRF_COOKIE, token, secure=self._secure).to_encoded_header()

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        return send_with_cookie


def require_csrf(request: Request[Any, Any, Any], sent: str) -> None:
    """Refuse with ``csrf`` unless the form's token, or the header that was checked already, is the browser's.

    For handlers with ``READS_OWN_FORM`` only, before they do anything.
    """
    if CSRF_HEADER in request.headers:
        return
    token = ScopeState.from_scope(request.scope).csrf_token
    if not isinstance(token, str) or not hmac.compare_digest(sent.encode("utf-8", "replace"), token.encode()):
        raise Refusal("csrf")


async def _sent_token(request: Request[Any, Any, Any]) -> str:
    if header := request.headers.get(CSRF_HEADER):
        return header
    if request.content_type[0] in (RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART):
        token = (await readable_form(request)).get(CSRF_FIELD)
        return token if isinstance(token, str) else ""
    return ""


async def readable_form(request: Request[Any, Any, Any]) -> FormMultiDict:
    """The form that was sent; refused as malformed when it can't be read, or holds what no text may hold."""
    try:
        form = await request.form()
    except (ValueError, LookupError):
        raise Refusal("malformed") from None
    for name, value in form.multi_items():
        if "\x00" in name or (isinstance(value, str) and "\x00" in value):
            raise Refusal("malformed")
    return form


def refuse_unreadable(app: ASGIApp) -> ASGIApp:
    """Middleware that refuses addresses that no text could hold: a NUL, or bytes that are not UTF-8."""

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            parts = (scope.get("raw_path") or b"", scope["query_string"])
            try:
                is_readable = all("\x00" not in unquote_to_bytes(part).decode() for part in parts)
            except UnicodeDecodeError:
                is_readable = False
            if not is_readable:
                raise Refusal("malformed")
        await app(scope, receive, send)

    return refusing
