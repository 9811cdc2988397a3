"""Settlement: who owes whom for the orders of carts. A merchant's key sees its own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.entries import adjust
from tearline.checkout.model import SettlementEntry
from tearline.checkout.statement_files import settlement_file
from tearline.checkout.statements import (
    entries_list,
    merchant_of_settlement,
    read_only,
    settlement,
    settlement_of_all,
)
from tearline.core.offer_checks import is_time_zone
from tearline.core.refusal import Refusal
from tearline.core.settlement import is_final
from tearline.i18n import _
from tearline.web.access import GivenServices
from tearline.web.api.downloads import PDF, XLSX, StatementDownload
from tearline.web.api.settlement_shapes import (
    AdjustmentAnswer,
    EntryKind,
    NewAdjustment,
    SettlementAnswer,
    SettlementEntryAnswer,
    SettlementOverview,
    entry_answer,
    overview_answer,
    settlement_answer,
)
from tearline.web.api.shapes import Page
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    page,
    problems,
    write,
)
from tearline.web.ui.exports import attachment

_FIRST_YEAR, _LAST_YEAR = 2000, 2200
"""Beyond, times can't be reckoned with."""

GivenCurrency: TypeAlias = Annotated[
    str, QueryParameter(name="currency", description="ISO 4217.", pattern="^[A-Z]{3}$")
]
GivenStart: TypeAlias = Annotated[
    datetime, QueryParameter(name="from", description="The period's start, with an offset (RFC 3339).")
]
GivenEnd: TypeAlias = Annotated[
    datetime, QueryParameter(name="to", description="Its end, which is not part of it.")
]


@get("/settlement", responses=problems())
async def get_settlement_overview(
    services: GivenServices,
    actor: GivenKey,
    currency: GivenCurrency,
    starts_at: GivenStart,
    ends_at: GivenEnd,
) -> SettlementOverview:
    """What each merchant and the platform owe each other for a period, in one currency; a row for each merchant."""
    _refuse_nonsense(starts_at, ends_at)
    now = services.now()
    async with services.database.connection() as connection:
        await read_only(connection)
        found = await settlement_of_all(connection, actor, currency, starts_at, ends_at)
    return overview_answer(found, currency, starts_at, ends_at, is_final=is_final(ends_at, now))


@get(
    "/merchants/{merchant_id:uuid}/settlement",
    operation_class=StatementDownload,
    responses=problems(),
)
async def get_settlement(
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    currency: GivenCurrency,
    starts_at: GivenStart,
    ends_at: GivenEnd,
    time_zone: Annotated[
        str | None,
        QueryParameter(
            name="time_zone", description="That the days are of; else the installation's.", max_length=100
        ),
    ] = None,
    file_format: Annotated[Literal["json", "xlsx", "pdf"], QueryParameter(name="format")] = "json",
) -> Response[SettlementAnswer]:
    """A merchant's settlement in one currency: its sums, by day and by offer; as a workbook with every entry."""
    zone = services.settings.time_zone if time_zone is None else time_zone
    _refuse_nonsense(starts_at, ends_at, zone)
    wanted = (merchant_id, currency, starts_at, ends_at, zone, services.now())
    if file_format == "json":
        async with services.database.connection() as connection:
            await read_only(connection)
            drawn = await settlement(connection, actor, *wanted)
        return Response(settlement_answer(drawn))
    name, content = await settlement_file(services.database, actor, *wanted, kind=file_format, language="en")
    media_type = XLSX if file_format == "xlsx" else PDF
    return Response(content, media_type=media_type, headers=attachment(name))  # type: ignore[arg-type]


@get("/merchants/{merchant_id:uuid}/settlement/entries", responses=problems())
async def list_settlement_entries(
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    currency: Annotated[
        str | None,
        QueryParameter(name="currency", description="Only of this currency.", pattern="^[A-Z]{3}$"),
    ] = None,
    starts_at: Annotated[
        datetime | None, QueryParameter(name="from", description="Only of this time and later.")
    ] = None,
    ends_at: Annotated[
        datetime | None, QueryParameter(name="to", description="Only of before this time.")
    ] = None,
    kind: Annotated[
        EntryKind | None, QueryParameter(name="kind", description="Only payments, refunds or adjustments.")
    ] = None,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[SettlementEntryAnswer]:
    """The single entries, the last written first: of each line of each order who owes what, and of adjustments."""
    _refuse_nonsense(starts_at, ends_at)
    statement = entries_list(actor, merchant_id)
    if currency is not None:
        statement = statement.where(SettlementEntry.currency == currency)
    if starts_at is not None:
        statement = statement.where(SettlementEntry.occurred_at >= starts_at)
    if ends_at is not None:
        statement = statement.where(SettlementEntry.occurred_at < ends_at)
    if kind is not None:
        statement = statement.where(SettlementEntry.kind == kind)
    async with services.database.connection() as connection:
        await merchant_of_settlement(connection, actor, merchant_id)
        return await page(connection, statement, SettlementEntry.id, entry_answer, cursor=cursor, limit=limit)


@post(
    "/merchants/{merchant_id:uuid}/settlement/adjustments",
    responses=problems("idempotency_key_reused", has_body=True),
)
async def create_settlement_adjustment(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    data: JSONBody[NewAdjustment],
    idempotency_key: IdempotencyKey = None,
) -> Response[AdjustmentAnswer]:
    """Correct what platform and merchant owe each other, by a posting of its own; for the operator's keys."""

    async def work(tx: AsyncConnection) -> AdjustmentAnswer:
        now = services.now()
        posting_id = await adjust(tx, actor, merchant_id, data.amount, data.currency, data.note, now)
        return AdjustmentAnswer(
            posting_id=posting_id,
            merchant_id=merchant_id,
            amount=data.amount,
            currency=data.currency,
            note=data.note.strip(),
            by_name=actor.name,
            occurred_at=now,
        )

    return await write(request, actor, work, status=201)


def _refuse_nonsense(
    starts_at: datetime | None, ends_at: datetime | None, time_zone: str | None = None
) -> None:
    wrong: dict[str, str] = {}
    for name, moment in (("from", starts_at), ("to", ends_at)):
        if moment is None:
            continue
        if moment.tzinfo is None:
            wrong[name] = _("Say the time with its offset from UTC, such as 2026-03-01T00:00:00+08:00.")
        elif not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            wrong[name] = _("This day is too far away.")
    if not wrong and starts_at is not None and ends_at is not None and starts_at >= ends_at:
        wrong["to"] = _("The end must lie after the start.")
    if time_zone is not None and not is_time_zone(time_zone):
        wrong["time_zone"] = _("This is not a time zone.")
    if wrong:
        raise Refusal("invalid", fields=wrong)


HANDLERS: list[Any] = [
    get_settlement_overview, get_settlement, list_settlement_entries, create_settlement_adjustment,
]  # fmt: skip
