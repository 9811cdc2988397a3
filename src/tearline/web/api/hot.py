"""The hot lane of the API: claims, redemptions and quotes as plain ASGI handlers, see ``web.hot``.

What they do stands in ``claims.py``, ``redemptions.py`` and ``carts.py``, beside the handlers that put them into the
OpenAPI document.
"""

from __future__ import annotations

import msgspec
from litestar.types import HTTPScope

from tearline.i18n import negotiate
from tearline.web.api.cart_bodies import CartBody
from tearline.web.api.carts import CART_LIMIT_BYTES, make_quote
from tearline.web.api.claims import make_claim
from tearline.web.api.redemptions import make_preparation, make_redemption
from tearline.web.api.shapes import ClaimBody, NewPreparation, NewRedemption
from tearline.web.api.support import counted_actor, key_actor, member_identity
from tearline.web.bodies import decode
from tearline.web.hot import Answer, Headers, HotHandler, text_of
from tearline.web.security import client_address
from tearline.web.services import Services

_CAMPAIGNS = "/api/v1/campaigns/"
_CLAIMS = "/claims"
_claim_body = msgspec.json.Decoder(ClaimBody)
_preparation_body = msgspec.json.Decoder(NewPreparation)
_redemption_body = msgspec.json.Decoder(NewRedemption)
_cart_body = msgspec.json.Decoder(CartBody)


class HotLane:
    """The hot endpoints of one process.

    Args:
        services: the process's services.
        body_limit_bytes: a larger body is refused unread; a cart's has a limit of its own.
    """

    def __init__(self, services: Services, body_limit_bytes: int) -> None:
        self._services = services
        self._networks = services.settings.proxy_networks
        self._claim = HotHandler(
            "POST", "/api/v1/campaigns/{code}/claims", self._answer_claim, body_limit_bytes
        )
        self._by_path = {
            one.route: one
            for one in (
                HotHandler("POST", "/api/v1/redemptions", self._answer_redemption, body_limit_bytes),
                HotHandler("POST", "/api/v1/redemptions/prepare", self._answer_preparation, body_limit_bytes),
                HotHandler("POST", "/api/v1/quotes", self._answer_quote, CART_LIMIT_BYTES),
            )
        }

    def handler(self, method: str, path: str) -> HotHandler | None:
        """The hot endpoint of this method and path, or None for Litestar's."""
        if method != "POST":
            return None
        if path.endswith(_CLAIMS) and path.startswith(_CAMPAIGNS):
            code = path[len(_CAMPAIGNS) : -len(_CLAIMS)]
            # A code that no campaign can have is left to Litestar, which refuses what no text can hold.
            return self._claim if code.isascii() and code.replace("-", "").isalnum() else None
        return self._by_path.get(path)

    async def _answer_claim(self, scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        member = member_identity(self._services, text_of(headers, b"authorization"))
        status, extra_headers, answer = await make_claim(
            self._services,
            member,
            code=scope["path"][len(_CAMPAIGNS) : -len(_CLAIMS)],
            key=text_of(headers, b"idempotency-key"),
            pass_token=text_of(headers, b"tearline-pass"),
            body=decode(_claim_body, body),
            address=client_address(scope, self._networks),
        )
        return status, extra_headers.items(), answer

    async def _answer_redemption(self, _scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        actor = await key_actor(self._services, text_of(headers, b"authorization"))
        status, extra_headers, answer = await make_redemption(
            self._services, actor, decode(_redemption_body, body)
        )
        return status, extra_headers.items(), answer

    async def _answer_preparation(self, _scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        actor = await key_actor(self._services, text_of(headers, b"authorization"))
        status, extra_headers, answer = await make_preparation(
            self._services, actor, decode(_preparation_body, body)
        )
        return status, extra_headers.items(), answer

    async def _answer_quote(self, scope: HTTPScope, headers: Headers, body: bytes) -> Answer:
        # As for Litestar's handlers, the body is looked at first.
        cart = decode(_cart_body, body)
        actor = await counted_actor(self._services, scope, text_of(headers, b"authorization"))
        language = negotiate(accept_language=text_of(headers, b"accept-language"))
        return 200, (), await make_quote(self._services, actor, cart, language)
