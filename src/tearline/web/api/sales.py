"""What a sale sells, for the operator's keys; how it goes, and statements, for partners' keys as well."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.offer_checks import is_time_zone
from tearline.core.offers import start_of_day
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.i18n import _
from tearline.sales import actions, reads
from tearline.sales.figures import sale_figures, sale_hours
from tearline.sales.statements import statement, statement_file
from tearline.web.access import GivenServices
from tearline.web.api.campaign_shapes import CampaignAnswer
from tearline.web.api.campaigns import answer_of, campaign_id_of
from tearline.web.api.downloads import PDF, XLSX, StatementDownload
from tearline.web.api.sale_shapes import (
    ItemAnswer,
    ItemChange,
    NewItem,
    QuantityRaise,
    SaleFiguresAnswer,
    StatementAnswer,
    changed_item_draft,
    item_answer,
    new_item_draft,
    sale_figures_answer,
    statement_answer,
)
from tearline.web.api.support import AnyRequest, GivenKey, IdempotencyKey, problems, write
from tearline.web.ui.exports import attachment

_ITEM_REASONS = ("changed_meanwhile", "not_editable", "idempotency_key_reused")
_ITEM_PROBLEMS = problems(*_ITEM_REASONS, "inventory_lowered", has_body=True)
_FIRST_YEAR, _LAST_YEAR = 2000, 2200
"""Of statements: beyond, times can't be reckoned with."""


@post("/campaigns/{code:str}/items", responses=_ITEM_PROBLEMS)
async def add_item(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[NewItem],
    idempotency_key: IdempotencyKey = None,
) -> Response[ItemAnswer]:
    """Add a voucher to a sale, with its price and limits."""

    async def work(tx: AsyncConnection) -> ItemAnswer:
        actor.require("campaigns.write")
        campaign_id = await campaign_id_of(tx, code)
        item_id = await actions.add_item(tx, actor, campaign_id, new_item_draft(data), now=services.now())
        return await _item(tx, campaign_id, item_id)

    return await write(request, actor, work, status=201)


@patch("/campaigns/{code:str}/items/{item_id:uuid}", responses=_ITEM_PROBLEMS)
async def update_item(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    item_id: FromPath[UUID],
    data: JSONBody[ItemChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[ItemAnswer]:
    """Change a voucher on sale; what is left out stays. Orders that were taken keep their price."""

    async def work(tx: AsyncConnection) -> ItemAnswer:
        campaign_id, before = await _item_of(tx, actor, code, item_id)
        draft = changed_item_draft(before.draft, data)
        await actions.update_item(tx, actor, item_id, draft, version=data.version, now=services.now())
        return await _item(tx, campaign_id, item_id)

    return await write(request, actor, work)


@delete("/campaigns/{code:str}/items/{item_id:uuid}", status_code=200, responses=problems(*_ITEM_REASONS))
async def remove_item(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    item_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Take a voucher out of a draft; answers the sale."""

    async def work(tx: AsyncConnection) -> CampaignAnswer:
        campaign_id, _before = await _item_of(tx, actor, code, item_id)
        await actions.remove_item(tx, actor, item_id, now=services.now())
        return await answer_of(tx, actor, campaign_id)

    return await write(request, actor, work)


@post("/campaigns/{code:str}/items/{item_id:uuid}/quantity", status_code=200, responses=_ITEM_PROBLEMS)
async def raise_quantity(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    item_id: FromPath[UUID],
    data: JSONBody[QuantityRaise],
    idempotency_key: IdempotencyKey = None,
) -> Response[ItemAnswer]:
    """Raise how many may be sold, also while members are buying; a repeat changes nothing."""

    async def work(tx: AsyncConnection) -> ItemAnswer:
        campaign_id, _before = await _item_of(tx, actor, code, item_id)
        await actions.raise_quantity(tx, actor, item_id, data.to, services.now(), expected=data.expected)
        return await _item(tx, campaign_id, item_id)

    return await write(request, actor, work)


@get("/campaigns/{code:str}/sales", responses=problems())
async def get_sale_figures(
    services: GivenServices, actor: GivenKey, code: FromPath[str]
) -> SaleFiguresAnswer:
    """A sale in numbers: codes, revenue and its shares, and by hour; a merchant's key sees its own vouchers."""
    actor.require("sales.read")
    async with services.database.connection() as connection:
        campaign_id, now = await campaign_id_of(connection, code), services.now()
        figures = await sale_figures(connection, actor, campaign_id, now)
        return sale_figures_answer(figures, await sale_hours(connection, figures, now))


@get(
    "/merchants/{merchant_id:uuid}/statements",
    operation_class=StatementDownload,
    responses=problems(),
)
async def get_statement(
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    currency: Annotated[str, QueryParameter(name="currency", description="ISO 4217.", pattern="^[A-Z]{3}$")],
    first_day: Annotated[date, QueryParameter(name="from", description="The first day.")],
    day_after: Annotated[date, QueryParameter(name="to", description="The day after the last one.")],
    time_zone: Annotated[
        str | None,
        QueryParameter(
            name="time_zone", description="That the days are of; else the installation's.", max_length=100
        ),
    ] = None,
    file_format: Annotated[Literal["json", "xlsx", "pdf"], QueryParameter(name="format")] = "json",
) -> Response[StatementAnswer]:
    """What a partner sold in a period, the commission, and what is payable, in one currency."""
    actor.require("sales.read")
    zone = services.settings.time_zone if time_zone is None else time_zone
    _refuse_nonsense(zone, first_day, day_after)
    bounds = (start_of_day(first_day, zone), start_of_day(day_after, zone))
    if file_format == "json":
        async with services.database.connection() as connection:
            drawn = await statement(connection, actor, merchant_id, currency, *bounds, zone)
        return Response(statement_answer(drawn))
    name, content = await statement_file(
        services.database, actor, merchant_id, currency, *bounds, zone, kind=file_format, language="en"
    )
    media_type = XLSX if file_format == "xlsx" else PDF
    return Response(content, media_type=media_type, headers=attachment(name))  # type: ignore[arg-type]


def _refuse_nonsense(zone: str, first_day: date, day_after: date) -> None:
    problems_found: dict[str, str] = {}
    if not is_time_zone(zone):
        problems_found["time_zone"] = _("This is not a time zone.")
    for name, day in (("from", first_day), ("to", day_after)):
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            problems_found[name] = _("This day is too far away.")
    if problems_found:
        raise Refusal("invalid", fields=problems_found)


async def _item_of(
    connection: AsyncConnection, actor: Actor, code: str, item_id: UUID
) -> tuple[UUID, reads.ItemView]:
    actor.require("campaigns.write")
    campaign_id = await campaign_id_of(connection, code)
    for item in await reads.items_of(connection, campaign_id):
        if item.id == item_id:
            return campaign_id, item
    raise Refusal("not_found")


async def _item(connection: AsyncConnection, campaign_id: UUID, item_id: UUID) -> ItemAnswer:
    items = await reads.items_of(connection, campaign_id)
    return next(item_answer(item) for item in items if item.id == item_id)


HANDLERS: list[Any] = [
    add_item, update_item, remove_item, raise_quantity, get_sale_figures, get_statement,
]  # fmt: skip
