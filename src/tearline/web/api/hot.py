"""The hot lane of the API: claims and redemptions as plain ASGI handlers, without a framework's per-request work.

They validate the same and answer the same problem documents as every other endpoint: what they do stands in
``claims.py`` and ``redemptions.py``, beside the handlers that put them into the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from litestar.types import HTTPScope, Receive, Send

from tearline.web.api.bodies import Disconnected, decode, read_body, require_json
from tearline.web.api.claims import make_claim
from tearline.web.api.redemptions import make_preparation, make_redemption
from tearline.web.api.shapes import ClaimBody, NewPreparation, NewRedemption
from tearline.web.api.support import key_actor, member_identity
from tearline.web.problems import REQUEST_ID_KEY, problem_answer
from tearline.web.security import client_address
from tearline.web.services import Services

_CAMPAIGNS = "/api/v1/campaigns/"
_CLAIMS = "/claims"
_REDEMPTIONS = "/api/v1/redemptions"
_PREPARE = "/api/v1/redemptions/prepare"
_encoder = msgspec.json.Encoder()
_claim_body = msgspec.json.Decoder(ClaimBody)
_preparation_body = msgspec.json.Decoder(NewPreparation)
_redemption_body = msgspec.json.Decoder(NewRedemption)

Headers: TypeAlias = dict[bytes, bytes]
Answer: TypeAlias = tuple[int, dict[str, str], Any]


@dataclass(frozen=True, slots=True)
class HotHandler:
    """One hot endpoint."""

    route: str
    """Its path as the metrics and the OpenAPI document name it."""
    work: Callable[[HTTPScope, Headers, bytes], Awaitable[Answer]]
    limit_bytes: int

    async def answer(
        self, scope: HTTPScope, receive: Receive, send: Send, answer_headers: Iterable[tuple[bytes, bytes]]
    ) -> int:
        """Answer one request, whatever it holds; gives the status, 0 when the client went away.

        Args:
            answer_headers: what every answer carries.
        """
        headers = dict(scope["headers"])
        content_type = "application/json"
        try:
            require_json(_text(headers, b"content-type"))
            body = await read_body(scope["headers"], receive, self.limit_bytes)
            status, extra_headers, answer = await self.work(scope, headers, body)
            answer_body = _encoder.encode(answer)
        except Disconnected:
            return 0
        except Exception as error:
            status, extra_headers, answer_body = problem_answer(
                error,
                accept_language=_text(headers, b"accept-language"),
                request_id=str(scope.get(REQUEST_ID_KEY, "")),
            )
            content_type = extra_headers.pop("content-type")
        sent_headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(answer_body)).encode()),
            *answer_headers,
        ]
        if extra_headers:
            sent_headers.extend((name.encode(), value.encode()) for name, value in extra_headers.items())
        await send({"type": "http.response.start", "status": status, "headers": sent_headers})
        await send({"type": "http.response.body", "body": answer_body, "more_body": False})
        return status


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
        self._redeem = HotHandler(_REDEMPTIONS, self._answer_redemption, body_limit_bytes)
        self._prepare = HotHandler(_PREPARE, self._answer_preparation, body_limit_bytes)

    def handler(self, method: str, path: str) -> HotHandler | None:
        """The hot endpoint of this method and path, or None for Litestar's."""
        if method != "POST":
            return None
        if path.endswith(_CLAIMS) and path.startswith(_CAMPAIGNS):
            code = path[len(_CAMPAIGNS) : -len(_CLAIMS)]
            # A code that no campaign can have is left to Litestar, which refuses what no text can hold.
            return self._claim if code.isascii() and code.replace("-", "").isalnum() else None
        if path == _REDEMPTIONS:
            return self._redeem
        return self._prepare if path == _PREPARE else None

    async def _answer_claim(self, scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        member = member_identity(self._services, _text(headers, b"authorization"))
        return await make_claim(
            self._services,
            member,
            code=scope["path"][len(_CAMPAIGNS) : -len(_CLAIMS)],
            key=_text(headers, b"idempotency-key"),
            body=decode(_claim_body, body),
            address=client_address(scope, self._networks),
        )

    async def _answer_redemption(self, _scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        actor = await key_actor(self._services, _text(headers, b"authorization"))
        return await make_redemption(self._services, actor, decode(_redemption_body, body))

    async def _answer_preparation(self, _scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        actor = await key_actor(self._services, _text(headers, b"authorization"))
        return await make_preparation(self._services, actor, decode(_preparation_body, body))


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")
