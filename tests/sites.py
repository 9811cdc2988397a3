"""Passes for other sites in tests: an installation, a site, and those who forge."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tearline.gateway import InvalidPass, PassVerifier
from tearline.waitingroom.site_passes import SitePasses
from tearline.waitingroom.tokens import Pass
from tests.callers import SECRET
from tests.rooms import CODE

ISSUER, SITE = "http://127.0.0.1:8000", "http://shop.example"
ROOM_URL = f"{ISSUER}/gate/{CODE}"
STRANGER = Ed25519PrivateKey.generate()
"""Somebody with a key of their own."""
NOW = datetime.now(UTC).replace(microsecond=0)
PAGE = {"accept": "text/html,*/*;q=0.8"}
PASSES = SitePasses([SECRET.encode()], ISSUER)
HELD = Pass(UUID(int=7), 1, 12, None, NOW, NOW + timedelta(minutes=30))


def token_of(held: Pass = HELD, *, room: str = CODE, site: str = SITE, passes: SitePasses = PASSES) -> str:
    return passes.signed(held, room, site, NOW)


def verifier(keys: Any = None, **changes: Any) -> PassVerifier:
    options = {"issuer": ISSUER, "audience": SITE, "room": CODE, "clock": NOW.timestamp, **changes}
    return PassVerifier(keys or json.loads(PASSES.document), **options)


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def part(token: str, number: int) -> dict[str, Any]:
    piece = token.split(".")[number]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    return found


def made(
    sign: Callable[[bytes], bytes], header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None
) -> str:
    """A token with changed parts, signed by whoever."""
    parts = [{**part(token_of(), 0), **(header or {})}, {**part(token_of(), 1), **(claims or {})}]
    signed = ".".join(text(json.dumps(one).encode()) for one in parts)
    return f"{signed}.{text(sign(signed.encode()))}"


def reason_of(token: str, **changes: Any) -> str:
    with pytest.raises(InvalidPass) as refused:
        verifier(**changes).verify(token)
    return refused.value.reason


async def site(scope: Any, receive: Any, send: Any) -> None:
    """A site that says who is in."""
    held = scope.get("tearline.pass")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"in: {held.id if held else 'anyone'}".encode()})


def returns_to(answer: httpx.Response) -> str:
    assert answer.status_code == 303
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == ROOM_URL
    return parse_qs(location.query)["return"][0]
