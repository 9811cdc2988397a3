"""The hot lane of the API: claims and redemptions as plain ASGI handlers, without a framework's per-request work.

They validate the same and answer the same problem documents as every other endpoint; the OpenAPI document
describes them in ``claims.py`` and ``redemptions.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from litestar.types import HTTPScope, Receive, Send

from tearline.core.refusal import Refusal
from tearline.members.tokens import MemberIdentity
from tearline.web.api.bodies import Disconnected, decode, read_body, require_json
from tearline.web.api.shapes import ClaimBody
from tearline.web.api.support import member_identity
from tearline.web.claiming import claim
from tearline.web.problems import REQUEST_ID_KEY, problem_answer
from tearline.web.security import client_address
from tearline.web.services import Services

_CAMPAIGNS = "/api/v1/campaigns/"
_CLAIMS = "/claims"
_JSON = {"content-type": "application/json"}
_REPLAYED = {**_JSON, "idempotency-replayed": "true"}
_encoder = msgspec.json.Encoder()
_claim_body = msgspec.json.Decoder(ClaimBody)

Answer: TypeAlias = tuple[int, dict[str, str], bytes]
Headers: TypeAlias = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class HotHandler:
    """One hot endpoint."""

    route: str
    """Its path as the metrics and the OpenAPI document name it."""
    work: Callable[[HTTPScope, Headers, bytes], Awaitable[Answer]]
    limit_bytes: int

    async def answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it holds."""
        headers = dict(scope["headers"])
        try:
            require_json(headers.get(b"content-type", b"").decode("latin-1"))
            body = await read_body(scope["headers"], receive, self.limit_bytes)
            status, answer_headers, answer_body = await self.work(scope, headers, body)
        except Disconnected:
            return
        except Exception as error:
            status, answer_headers, answer_body = problem_answer(
                error,
                accept_language=headers.get(b"accept-language", b"").decode("latin-1"),
                request_id=str(scope[REQUEST_ID_KEY]),  # type: ignore[literal-required]
            )
        sent_headers = [(name.encode(), value.encode()) for name, value in answer_headers.items()]
        sent_headers.append((b"content-length", str(len(answer_body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": sent_headers})
        await send({"type": "http.response.body", "body": answer_body, "more_body": False})


class HotLane:
    """The hot endpoints of one process.

    Args:
        services: the process's services.
        body_limit_bytes: a larger body is refused unread.
    """

    def __init__(self, services: Services, body_limit_bytes: int) -> None:
        self._services = services
        self._networks = services.settings.proxy_networks
        self._claim = HotHandler("/api/v1/campaigns/{code}/claims", self._answer_claim, body_limit_bytes)

    def handler(self, method: str, path: str) -> HotHandler | None:
        """The hot endpoint of this method and path, or None for Litestar's."""
        if method != "POST":
            return None
        if path.endswith(_CLAIMS) and path.startswith(_CAMPAIGNS):
            code = path[len(_CAMPAIGNS) : -len(_CLAIMS)]
            return self._claim if code and "/" not in code else None
        return None

    async def _answer_claim(self, scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        identity = member_identity(self._services, headers.get(b"authorization", b"").decode("latin-1"))
        key = headers.get(b"idempotency-key", b"").decode("latin-1")
        if not key:
            raise Refusal("idempotency_key_missing")
        asked = decode(_claim_body, body)
        code = scope["path"][len(_CAMPAIGNS) : -len(_CLAIMS)].upper()
        address = client_address(scope, self._networks)
        answer = await claim(self._services, identity, code, asked.password, key, address)
        return (
            (200, _REPLAYED, _encoder.encode(answer))
            if answer.replayed
            else (201, _JSON, _encoder.encode(answer))
        )
