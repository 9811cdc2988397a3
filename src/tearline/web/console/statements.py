"""A partner's statement of a period: what was sold, the commission, what is payable; to read and as a file."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath

from tearline.core.refusal import Refusal
from tearline.merchants.reads import merchant_by_id
from tearline.sales.statements import currencies_of, statement, statement_file
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show
from tearline.web.periods import period_of
from tearline.web.ui.exports import XLSX_MEDIA_TYPE, attachment
from tearline.web.ui.page import language_of, settings_of


@get("/merchants/{merchant_id:uuid}/statement")
async def show_statement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """The statements of a period, one for each currency; of the last month unless another one is asked for."""
    actor.require("sales.read")
    zone = settings_of(request).time_zone
    period = period_of(request, services.now(), zone)
    async with services.database.connection() as connection:
        merchant = await merchant_by_id(connection, actor, merchant_id)
        drawn = []
        if period.is_valid:
            bounds = period.bounds
            try:
                drawn = [
                    await statement(connection, actor, merchant_id, currency, *bounds, zone)
                    for currency in await currencies_of(connection, actor, merchant_id, *bounds)
                ]
            except Refusal as refusal:
                period.form.add_refusal(refusal, {"ends_at": "to"})
    return show(
        request,
        "statement.html",
        status_code=period.form.status_code,
        merchant=merchant,
        form=period.form,
        drawn=drawn,
        period=period.query,
    )


@get("/merchants/{merchant_id:uuid}/statement/file")
async def download_statement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[bytes]:
    """One statement as XLSX, with every order, or as PDF."""
    actor.require("sales.read")
    zone = settings_of(request).time_zone
    period = period_of(request, services.now(), zone)
    currency = request.query_params.get("currency", "")
    if not period.is_valid:
        raise Refusal("malformed")
    bounds = period.bounds
    async with services.database.connection() as connection:
        if currency not in await currencies_of(connection, actor, merchant_id, *bounds):
            raise Refusal("not_found")
    is_excel = request.query_params.get("format") == "xlsx"
    name, content = await statement_file(
        services.database,
        actor,
        merchant_id,
        currency,
        *bounds,
        zone,
        kind="xlsx" if is_excel else "pdf",
        language=language_of(request),
    )
    media_type = XLSX_MEDIA_TYPE if is_excel else "application/pdf"
    return Response(content, media_type=media_type, headers=attachment(name))


HANDLERS = [show_statement, download_statement]
