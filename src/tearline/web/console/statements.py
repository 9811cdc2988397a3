"""A partner's statement of a period: what was sold, the commission, what is payable; to read and as a file."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Response, get
from litestar.params import FromPath

from tearline.core.offers import start_of_day
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.merchants.reads import merchant_by_id
from tearline.sales.statements import currencies_of, statement, statement_file
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show
from tearline.web.ui.exports import XLSX_MEDIA_TYPE, attachment
from tearline.web.ui.forms import BoundForm, Day, Form
from tearline.web.ui.page import language_of, settings_of

PERIOD_FORM = Form(Day("from", _("First day")), Day("to", _("Last day")))
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
"""Beyond, times can't be reckoned with."""


@get("/merchants/{merchant_id:uuid}/statement")
async def show_statement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """The statements of a period, one for each currency; of the last month unless another one is asked for."""
    actor.require("sales.read")
    zone = settings_of(request).time_zone
    form = _period(request, services.now(), zone)
    async with services.database.connection() as connection:
        merchant = await merchant_by_id(connection, actor, merchant_id)
        drawn = []
        if form.is_valid:
            bounds = _bounds(form, zone)
            try:
                drawn = [
                    await statement(connection, actor, merchant_id, currency, *bounds, zone)
                    for currency in await currencies_of(connection, actor, merchant_id, *bounds)
                ]
            except Refusal as refusal:
                form.add_refusal(refusal, {"ends_at": "to"})
    period = {name: form.values[name].isoformat() for name in ("from", "to") if name in form.values}
    return show(
        request,
        "statement.html",
        status_code=form.status_code,
        merchant=merchant,
        form=form,
        drawn=drawn,
        period=period,
    )


@get("/merchants/{merchant_id:uuid}/statement/file")
async def download_statement(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[bytes]:
    """One statement as XLSX, with every order, or as PDF."""
    actor.require("sales.read")
    zone = settings_of(request).time_zone
    form = _period(request, services.now(), zone)
    currency = request.query_params.get("currency", "")
    if not form.is_valid:
        raise Refusal("malformed")
    bounds = _bounds(form, zone)
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


def _period(request: AnyRequest, now: datetime, zone: str) -> BoundForm:
    """The days that the address asks for, or else the last month's."""
    asked = {name: [text] for name in ("from", "to") if (text := request.query_params.get(name))}
    if not asked:
        last = now.astimezone(ZoneInfo(zone)).date().replace(day=1) - timedelta(days=1)
        asked = {"from": [last.replace(day=1).isoformat()], "to": [last.isoformat()]}
    form = PERIOD_FORM.parse(asked)
    for name, day in form.values.items():
        if not _FIRST_DAY <= day <= _LAST_DAY:
            form.add_error(name, _("Enter a day, such as 2026-12-31."))
    if form.is_valid and form.values["to"] < form.values["from"]:
        form.add_error("to", _("The last day lies before the first."))
    return form


def _bounds(form: BoundForm, zone: str) -> tuple[datetime, datetime]:
    return (
        start_of_day(form.values["from"], zone),
        start_of_day(form.values["to"] + timedelta(days=1), zone),
    )


HANDLERS = [show_statement, download_statement]
