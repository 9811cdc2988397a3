"""A partner's statement of a period, whoever's face shows it: what was sold, the commission, and what is payable."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from litestar import Response

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.sales.statements import Statement, currencies_of, statement, statement_file
from tearline.web.access import AnyRequest
from tearline.web.periods import Period, period_of
from tearline.web.services import Services
from tearline.web.settling import file_answer
from tearline.web.ui.page import language_of, settings_of


async def voucher_statements(
    request: AnyRequest, services: Services, actor: Actor, merchant_id: UUID
) -> tuple[Period, Sequence[Statement]]:
    """The period that an address asks for, or else the last month, and a statement of it for each currency.

    There are none where the period can't be used; its form says why.
    """
    actor.require("sales.read")
    zone = settings_of(request).time_zone
    period = period_of(request, services.now(), zone)
    if not period.is_valid:
        return period, []
    bounds = period.bounds
    try:
        async with services.database.connection() as connection:
            return period, [
                await statement(connection, actor, merchant_id, currency, *bounds, zone)
                for currency in await currencies_of(connection, actor, merchant_id, *bounds)
            ]
    except Refusal as refusal:
        if refusal.reason in ("not_found", "not_allowed"):
            raise
        period.form.add_refusal(refusal, {"ends_at": "to"})
        return period, []


async def voucher_statement_file(
    request: AnyRequest, services: Services, actor: Actor, merchant_id: UUID
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
    return file_answer(name, content, is_excel=is_excel)
