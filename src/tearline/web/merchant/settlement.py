"""What a manager sees of the merchant's settlement with the platform: the statement, and its files."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from tearline.checkout.statements import adjustments_of
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.merchant.support import GivenHere, merchant_of, show
from tearline.web.settling import merchant_settlement, merchant_settlement_file, settlement_words


@get("/settlement")
async def settlement_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """The merchant's own settlement; of the last thirty days unless others are asked for."""
    actor.require("settlement.read")
    wanted, drawn = await merchant_settlement(request, services, actor, merchant_of(actor))
    async with services.database.connection() as connection:
        adjustments = await adjustments_of(connection, actor, merchant_of(actor))
    return show(
        request,
        "settlement.html",
        status_code=wanted.period.form.status_code,
        section="business",
        tab="settlement",
        asked=wanted,
        months=wanted.period.months(services.now()),
        drawn=drawn,
        adjustments=adjustments,
        **settlement_words(),
    )


@get("/settlement/file")
async def settlement_download(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[bytes]:
    """It as the workbook with every entry, or as the document."""
    actor.require("settlement.read")
    return await merchant_settlement_file(request, services, actor, merchant_of(actor))


HANDLERS = [settlement_page, settlement_download]
