"""What a visitor's browser or app carries: the ticket, the pass, and the key that its exchange is known by."""

from __future__ import annotations

import re
import secrets

from litestar.datastructures import Cookie

from tearline.web.security import expired_cookie, private_cookie

VISITOR_COOKIE = "tearline_visitor"
"""A random text that only this browser has: the exchange key of its tickets, so that a copied one enters once."""

_TICKET_SECONDS = 24 * 3600
_VISITOR = re.compile(r"[A-Za-z0-9_-]{16,64}")


def ticket_cookie_name(code: str) -> str:
    """The cookie that keeps a place in this room's line."""
    return f"tearline_ticket_{code}"


def pass_cookie_name(code: str) -> str:
    """The cookie that keeps somebody inside this room."""
    return f"tearline_pass_{code}"


def ticket_cookie(code: str, ticket: str, *, secure: bool) -> Cookie:
    """Keeps a place in line for a day: a phone may sleep, a window may be closed."""
    return private_cookie(ticket_cookie_name(code), ticket, secure=secure, max_age_seconds=_TICKET_SECONDS)


def pass_cookie(code: str, token: str, seconds: int, *, secure: bool) -> Cookie:
    """Keeps somebody inside for so many seconds."""
    return private_cookie(pass_cookie_name(code), token, secure=secure, max_age_seconds=max(1, seconds))


def dropped_cookies(code: str, *, secure: bool) -> list[Cookie]:
    """Leave neither ticket nor pass of this room."""
    return [expired_cookie(name(code), secure=secure) for name in (ticket_cookie_name, pass_cookie_name)]


def visitor_cookie(visitor: str, *, secure: bool) -> Cookie:
    """Keeps a browser known to itself."""
    return private_cookie(VISITOR_COOKIE, visitor, secure=secure, max_age_seconds=365 * _TICKET_SECONDS)


def new_visitor() -> str:
    """A text that nobody else has."""
    return secrets.token_urlsafe(18)


def known_visitor(value: str | None) -> str | None:
    """What a browser keeps, if it can be one of ours."""
    return value if value and _VISITOR.fullmatch(value) else None


def cookies_of(header: str) -> dict[str, str]:
    """The cookies of a request's header. One that can't be read hides none of the others; the first of a name
    counts, which is the one of the longest path."""
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, _, value = pair.partition("=")
        cookies.setdefault(name.strip(), value.strip().strip('"'))
    return cookies
