"""Keeps a site behind a waiting room: lets in whoever brings a pass of the room, and sends others to it.

For other sites than Tearline's own, so this file needs the standard library and ``cryptography`` alone: use it
from the installed package, or copy it. Passes are verified offline. ``docs/waiting-room.md`` shows the use.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import threading
import time
import urllib.request
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["ASGIGateway", "InvalidPass", "PassVerifier", "SitePass", "WSGIGateway"]

PARAMETER = "tearline_pass"
"""The query parameter in which the waiting room hands a pass over, and the cookie that keeps it."""
LONGEST_PASS = 2048
"""Characters of a pass."""
_LONGEST_KEYS = 64 * 1024
_RETRY_SECONDS = 10.0
"""So long a pass may be taken over again: the first answer may have been lost on its way."""
_SEGMENT = re.compile(r"[A-Za-z0-9_-]*")
_log = logging.getLogger("tearline.gateway")

Keys = Mapping[str, Any]


class InvalidPass(Exception):  # noqa: N818 - an expected answer, not an error
    """A pass that does not let in; ``reason`` says why.

    ``malformed``, ``too_large``, ``wrong_algorithm``, ``unknown_key``, ``wrong_signature``, ``wrong_issuer``,
    ``wrong_audience``, ``wrong_room``, ``not_valid_yet``, ``expired``, ``used`` (by another browser), or
    ``keys_unavailable`` when no public key could be had yet.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SitePass:
    """What a valid pass says.

    Attributes:
        id: the same each time this place in line is handed over, and nobody else's.
        issued_at, expires_at: seconds since 1970.
    """

    id: str
    room: str
    issued_at: int
    expires_at: int


class PassVerifier:
    """Verifies passes of one waiting room for one site.

    Args:
        keys: the public keys, as ``/gate/keys.json`` of the installation has them; or a file with them.
        issuer: the installation's address, such as ``https://coupons.example.org``.
        audience: the origin of the site as the room's settings name it, such as ``https://shop.example``.
        room: the room's code.
        leeway_seconds: by how much the clocks of the two may differ.
        refresh: answers the keys anew. Asked when a pass names a key that is not known, and when the keys are
            older than ``longest_age_seconds``, but not more often than every ``shortest_interval_seconds``.

    Raises:
        ValueError: there is no key to verify with.
    """

    def __init__(
        self,
        keys: Keys | str | Path,
        *,
        issuer: str,
        audience: str,
        room: str,
        leeway_seconds: float = 5.0,
        refresh: Callable[[], Keys] | None = None,
        shortest_interval_seconds: float = 60.0,
        longest_age_seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        document = keys if isinstance(keys, Mapping) else json.loads(Path(keys).read_text("utf-8"))
        self.issuer = issuer.rstrip("/")
        self.audience = audience.rstrip("/").lower()
        self.room = room.upper()
        self.clock = clock
        self._leeway_seconds = leeway_seconds
        self._refresh = refresh
        self._shortest_interval_seconds = shortest_interval_seconds
        self._longest_age_seconds = longest_age_seconds
        self._keys = _public_keys(document)
        self._refreshed = time.monotonic()
        self._asked = -math.inf
        self._refreshing = threading.Lock()
        if not self._keys and refresh is None:
            raise ValueError("there is no Ed25519 key to verify passes with")

    @classmethod
    def from_url(
        cls, url: str, *, issuer: str, audience: str, room: str, timeout_seconds: float = 5.0, **options: Any
    ) -> PassVerifier:
        """A verifier that gets its keys from ``url``, such as ``https://coupons.example.org/gate/keys.json``.

        They are read now, and again as ``refresh`` tells. While they can't be had, those read before stand.

        Args:
            options: as of the class.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("the address of the keys begins with http:// or https://")

        def read() -> Keys:
            with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310 - checked above
                found: Keys = json.loads(answer.read(_LONGEST_KEYS))
                return found

        verifier = cls({"keys": []}, issuer=issuer, audience=audience, room=room, refresh=read, **options)
        verifier.refresh()
        return verifier

    def verify(self, token: str) -> SitePass:
        """What a pass says. Asks for new keys when that is due, and waits for them.

        Raises:
            InvalidPass: it does not let in.
        """
        if self.is_refresh_due(token):
            self.refresh()
        header, claims, signed, signature = _parts(token)
        if header.get("alg") != "EdDSA" or "crit" in header:
            raise InvalidPass("wrong_algorithm")
        if not self._keys:
            raise InvalidPass("keys_unavailable")
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise InvalidPass("unknown_key")
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            raise InvalidPass("wrong_signature") from None
        return self._checked(claims)

    def _checked(self, claims: Mapping[str, Any]) -> SitePass:
        expected = {
            "iss": (self.issuer, "issuer"),
            "aud": (self.audience, "audience"),
            "room": (self.room, "room"),
        }
        for name, (value, word) in expected.items():
            if claims.get(name) != value:
                raise InvalidPass(f"wrong_{word}")
        id_, issued_at, expires_at = claims.get("jti"), claims.get("iat"), claims.get("exp")
        if type(issued_at) is not int or type(expires_at) is not int or not isinstance(id_, str) or not id_:
            raise InvalidPass("malformed")
        now = self.clock()
        if now < issued_at - self._leeway_seconds:
            raise InvalidPass("not_valid_yet")
        if now >= expires_at + self._leeway_seconds:
            raise InvalidPass("expired")
        return SitePass(id_, self.room, issued_at, expires_at)

    def is_refresh_due(self, token: str) -> bool:
        """Whether ``verify`` of this pass would ask for new keys, and so take its time."""
        if self._refresh is None:
            return False
        now = time.monotonic()
        if not self._keys:
            return now - self._asked >= 1.0
        if now - self._asked < self._shortest_interval_seconds:
            return False
        if now - self._refreshed >= self._longest_age_seconds:
            return True
        try:
            return _parts(token)[0].get("kid") not in self._keys
        except (InvalidPass, TypeError):
            return False

    def refresh(self) -> None:
        """Ask for new keys; one that is asked for already, or not to be had, leaves those there are."""
        if self._refresh is None or not self._refreshing.acquire(blocking=False):
            return
        try:
            self._asked = time.monotonic()
            found = _public_keys(self._refresh())
            if not found:
                raise ValueError("there is no Ed25519 key among them")
            self._keys, self._refreshed = found, time.monotonic()
        except Exception as error:
            # Whatever is wrong over there: people who are inside stay inside.
            _log.warning("the keys of the waiting room could not be read: %r", error)
        finally:
            self._asked = time.monotonic()
            self._refreshing.release()


def _public_keys(document: Keys) -> dict[str, Ed25519PublicKey]:
    """The keys of a JWK Set that are of the one kind used here."""
    keys: dict[str, Ed25519PublicKey] = {}
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError("these are not public keys: a JSON object with a list of 'keys' is")
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519":
            continue
        kid, x = entry.get("kid"), entry.get("x")
        usable = entry.get("use", "sig") == "sig" and entry.get("alg", "EdDSA") == "EdDSA"
        if usable and isinstance(kid, str) and isinstance(x, str):
            keys[kid] = Ed25519PublicKey.from_public_bytes(_bytes_of(x))
    return keys


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what was signed, and the signature: nothing of it is proven yet."""
    if len(token) > LONGEST_PASS:
        raise InvalidPass("too_large")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidPass("malformed")
    try:
        header, claims = (json.loads(_bytes_of(part)) for part in parts[:2])
        signature = _bytes_of(parts[2])
    except (ValueError, RecursionError):
        raise InvalidPass("malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise InvalidPass("malformed")
    return header, claims, f"{parts[0]}.{parts[1]}".encode("ascii"), signature


def _bytes_of(text: str) -> bytes:
    """Base64url without padding; the one way of writing it, so that no two texts are the same pass."""
    if not _SEGMENT.fullmatch(text):
        raise ValueError("not base64url")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
        raise ValueError("not the usual base64url")
    return data


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request as the gateway looks at it. ``path`` and ``query`` are as they came, percent-encoded."""

    method: str
    path: str
    query: str
    accept: str
    cookies: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""


class _Gateway:
    """Keeps a site behind a waiting room.

    Args:
        app: the site.
        verifier: of the room that guards it.
        waiting_room_url: the room's page, such as ``https://coupons.example.org/gate/SALE``.
        exempt_prefixes: paths that need no pass, such as ``/static``; whole segments are compared.
        cookie_name: the cookie in which the pass is kept.
        single_use: whether a pass that one browser has taken over lets no other in by its link. Each process
            remembers for itself.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        verifier: PassVerifier,
        waiting_room_url: str,
        *,
        exempt_prefixes: Iterable[str] = (),
        cookie_name: str = PARAMETER,
        single_use: bool = True,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._cookie_name = cookie_name
        self._waiting_room_url = waiting_room_url
        self._exempt = tuple(prefix.rstrip("/") for prefix in exempt_prefixes)
        self._single_use = single_use
        self._taken: dict[str, tuple[float, int]] = {}
        self._prune_at = 1024
        self._taking = threading.Lock()
        if any(not prefix.startswith("/") for prefix in self._exempt):
            raise ValueError("a prefix of paths begins with / and has something behind it")

    def _is_exempt(self, path: str) -> bool:
        """Whether a path needs no pass. One that climbs up may end elsewhere than it begins."""
        if ".." in re.split(r"[/\\]", path):
            return False
        return any(path == prefix or path.startswith(prefix + "/") for prefix in self._exempt)

    def _decide(self, visit: _Visit) -> SitePass | _Answer:
        """Let in, with this pass; or answer so."""
        held = self._held(visit.cookies)
        is_safe = visit.method in ("GET", "HEAD")
        if is_safe and (brought := _parameter_values(visit.query)):
            return self._take_over(visit, brought[-1], held)
        if held is not None:
            return held
        if is_safe and "text/html" in visit.accept.lower():
            return self._to_the_room(visit)
        return self._problem()

    def _held(self, cookies: Sequence[str]) -> SitePass | None:
        for token in cookies[:4]:
            try:
                return self._verifier.verify(token)
            except InvalidPass:
                continue
        return None

    def _take_over(self, visit: _Visit, token: str, held: SitePass | None) -> _Answer:
        answer = _redirect(self._address(visit))
        try:
            brought = self._verifier.verify(token)
            if self._single_use and (held is None or held.id != brought.id):
                self._take(brought)
        except InvalidPass as invalid:
            if held is not None:
                return answer
            return self._to_the_room(visit, refused=None if invalid.reason == "expired" else invalid.reason)
        answer.headers.append(("set-cookie", self._cookie(token, brought)))
        return answer

    def _take(self, brought: SitePass) -> None:
        now = self._verifier.clock()
        with self._taking:
            taken = self._taken.setdefault(brought.id, (now, brought.expires_at))
            if now - taken[0] > _RETRY_SECONDS:
                raise InvalidPass("used")
            if len(self._taken) >= self._prune_at:
                # A little later than they end, as clocks differ.
                self._taken = {name: one for name, one in self._taken.items() if one[1] + 60 > now}
                self._prune_at = max(1024, 2 * len(self._taken))

    def _cookie(self, token: str, brought: SitePass) -> str:
        seconds = max(1, int(brought.expires_at - self._verifier.clock()))
        secure = "; Secure" if self._verifier.audience.startswith("https://") else ""
        return f"{self._cookie_name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    def _address(self, visit: _Visit) -> str:
        """Where the visitor is, without the pass. The host is the site's own, whatever the request says."""
        query = "&".join(part for part in visit.query.split("&") if not _is_parameter(part))
        path = visit.path if visit.path.startswith("/") else f"/{visit.path}"
        return self._verifier.audience + path + (f"?{query}" if query else "")

    def _to_the_room(self, visit: _Visit, refused: str | None = None) -> _Answer:
        # Whoever holds a pass in the room and brings one that does not let in here would be sent to and fro
        # without an end. So the room is not told where to return to.
        name, value = ("return", self._address(visit)) if refused is None else ("refused", refused)
        mark = "&" if "?" in self._waiting_room_url else "?"
        return _redirect(f"{self._waiting_room_url}{mark}{name}={quote(value, safe='')}")

    def _problem(self) -> _Answer:
        problem = {
            "title": "Forbidden",
            "status": 403,
            "reason": "pass_required",
            "detail": "Please wait in line first; you are let in when it is your turn.",
            "waiting_room": self._waiting_room_url,
        }
        body = json.dumps(problem).encode()
        headers = [("content-type", "application/problem+json"), ("content-length", str(len(body)))]
        return _Answer(403, [*headers, ("cache-control", "no-store")], body)


def _redirect(address: str) -> _Answer:
    return _Answer(303, [("location", address), ("content-length", "0"), ("cache-control", "no-store")])


def _is_parameter(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]) == PARAMETER


def _parameter_values(query: str) -> list[str]:
    return [unquote_plus(part.partition("=")[2]) for part in query.split("&") if _is_parameter(part)]


def _cookie_values(headers: Iterable[str], name: str) -> list[str]:
    """The values of a cookie. Read by hand: one odd cookie of somebody else's must not hide it."""
    pairs = (pair.strip().partition("=") for header in headers for pair in header.split(";"))
    return [value.strip('"') for key, _, value in pairs if key == name]


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ASGIGateway(_Gateway):
    """Middleware for an ASGI site (Starlette, FastAPI, Litestar, Quart, Django); arguments as of ``_Gateway``.

    What is let in has its ``SitePass`` in ``scope["tearline.pass"]``.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in ("http", "websocket") or self._is_exempt(_plain_path(scope)):
            await self._app(scope, receive, send)
            return
        visit = _visit_of_scope(scope, self._cookie_name)
        tokens = [*visit.cookies, *_parameter_values(visit.query)]
        if any(self._verifier.is_refresh_due(token) for token in tokens):
            # Asking for keys takes its time: nobody else's request waits for it.
            await asyncio.to_thread(self._verifier.refresh)
        decision = self._decide(visit)
        if isinstance(decision, SitePass):
            scope["tearline.pass"] = decision
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(name.encode(), value.encode()) for name, value in decision.headers]
            await send({"type": "http.response.start", "status": decision.status, "headers": headers})
            body = b"" if visit.method == "HEAD" else decision.body
            await send({"type": "http.response.body", "body": body})


def _plain_path(scope: Scope) -> str:
    """The whole path: older servers leave out what the application is mounted at."""
    root, path = str(scope.get("root_path", "")), str(scope["path"])
    return path if f"{path}/".startswith(f"{root}/") else root + path


def _visit_of_scope(scope: Scope, cookie_name: str) -> _Visit:
    headers: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
    plain = _plain_path(scope)
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw and plain == scope["path"] else quote(plain)
    return _Visit(
        # A handshake has no method; it is no navigation either.
        method=scope.get("method", "CONNECT"),
        path=path if path.startswith("/") and _is_plain(path) else quote(plain),
        query=_tidy(scope.get("query_string", b"").decode("latin-1")),
        accept=",".join(headers.get(b"accept", [])),
        cookies=_cookie_values(headers.get(b"cookie", []), cookie_name),
    )


class WSGIGateway(_Gateway):
    """Middleware for a WSGI site (Django, Flask); arguments as of ``_Gateway``.

    What is let in has its ``SitePass`` in ``environ["tearline.pass"]``.
    """

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1") or b"/"
        if not self._is_exempt(path.decode("utf-8", "replace")):
            visit = _Visit(
                method=environ["REQUEST_METHOD"],
                path=quote(path),
                query=_tidy(environ.get("QUERY_STRING", "")),
                accept=environ.get("HTTP_ACCEPT", ""),
                cookies=_cookie_values([environ.get("HTTP_COOKIE", "")], self._cookie_name),
            )
            decision = self._decide(visit)
            if isinstance(decision, _Answer):
                status = HTTPStatus(decision.status)
                start_response(f"{status.value} {status.phrase}", decision.headers)
                return [] if visit.method == "HEAD" else [decision.body]
            environ["tearline.pass"] = decision
        body: Iterable[bytes] = self._app(environ, start_response)
        return body


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _tidy(query: str) -> str:
    """A query as it may stand in a header, whatever was sent."""
    return query if _is_plain(query) else quote(query, safe="%&=+/?:@!$'()*,;~-._")
