"""The face for programs, at /api/v1: everything the console can do, and what tills and shop systems need."""

from __future__ import annotations

import re
from functools import cache

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from tearline.web.access import services_of
from tearline.web.api import (
    campaigns,
    carts,
    catalogue,
    claims,
    members,
    merchants,
    offers,
    payments,
    pools,
    redemptions,
    rooms,
    sales,
    settlement,
    voucher_orders,
)
from tearline.web.api.support import check_body, provide_actor, provide_member

_DESCRIPTION = """
Everything that the console can do, and what tills and shop systems need.

- **Who calls.** `Authorization: Bearer …` with an API key (`tl_…`) of the operator or of a merchant, whose scopes
  say what it may do; or with a member's token, which `POST /sign-in/tokens` gives.
- **Refusals** are problem documents (RFC 9457): `reason` is for programs, `detail` for people, in the language
  of `Accept-Language`. What is busy or throttled says so with `Retry-After`.
- **Repeats.** Give every POST and PATCH an `Idempotency-Key`: a repeat gets the first answer, marked with
  `Idempotency-Replayed: true`, and does nothing twice.
- **Lists** come in pages, newest first; `next_cursor` leads on.
- **Money** is an integer of minor units with its ISO 4217 currency; times are RFC 3339.
"""


def router() -> Router:
    """Everything below /api/v1."""
    return Router(
        "/api/v1",
        route_handlers=[openapi, *_HANDLERS],
        dependencies={"actor": Provide(provide_actor), "member": Provide(provide_member)},
        before_request=check_body,
        security=[{"bearer": []}],
    )


@cache
def openapi_document() -> bytes:
    """The OpenAPI document as JSON.

    Made by an application of its own: in the real one, Litestar's plugin would answer every unknown address
    below /api/v1 with a page.
    """
    describing = Litestar(
        [router()],
        dependencies={"services": Provide(services_of, sync_to_thread=False)},
        openapi_config=OpenAPIConfig(
            title="Tearline",
            version="1",
            description=_DESCRIPTION.strip(),
            use_handler_docstrings=True,
            components=Components(
                security_schemes={
                    "bearer": SecurityScheme(
                        type="http", scheme="bearer", description="An API key (`tl_…`), or a member's token."
                    )
                }
            ),
        ),
    )
    document = msgspec.json.encode(describing.openapi_schema.to_schema()).decode()
    # A page of merchants is called so, and not after the module that its rows stand in.
    return re.sub(r"Page_[\w.]*\.(\w+)_", r"\1Page", document).encode()


@get("/openapi.json", include_in_schema=False)
async def openapi() -> Response[bytes]:
    """The OpenAPI document."""
    return Response(openapi_document(), media_type="application/json")


_HANDLERS = [
    *merchants.HANDLERS,
    *offers.HANDLERS,
    *catalogue.HANDLERS,
    *pools.HANDLERS,
    *campaigns.HANDLERS,
    *sales.HANDLERS,
    *settlement.HANDLERS,
    *rooms.HANDLERS,
    *members.HANDLERS,
    *claims.HANDLERS,
    *voucher_orders.HANDLERS,
    *carts.HANDLERS,
    *redemptions.HANDLERS,
    *payments.HANDLERS,
]
