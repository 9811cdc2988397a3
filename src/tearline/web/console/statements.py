"""A partner's statement of a period in the console; to read and as a file."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath

from tearline.merchants.reads import merchant_by_id
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show
from tearline.web.voucher_statements import voucher_statement_file, voucher_statements


@get("/merchants/{merchant_id:uuid}/statement")
async def show_statement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """The statements of a period, one for each currency; of the last month unless another one is asked for."""
    actor.require("sales.read")
    async with services.database.connection() as connection:
        merchant = await merchant_by_id(connection, actor, merchant_id)
    period, drawn = await voucher_statements(request, services, actor, merchant_id)
    return show(
        request,
        "statement.html",
        status_code=period.form.status_code,
        merchant=merchant,
        period=period,
        drawn=drawn,
    )


@get("/merchants/{merchant_id:uuid}/statement/file")
async def download_statement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[bytes]:
    """One statement as XLSX, with every order, or as PDF."""
    return await voucher_statement_file(request, services, actor, merchant_id)


HANDLERS = [show_statement, download_statement]
