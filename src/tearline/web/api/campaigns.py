"""Campaigns: for the operator's keys the whole of them, for everyone the public side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns import actions, reads
from tearline.campaigns.model import Campaign
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.insight.reads import campaign_figures
from tearline.sales import actions as sale_actions
from tearline.sales import reads as sale_reads
from tearline.web.access import GivenServices
from tearline.web.api.campaign_shapes import (
    CampaignAnswer,
    CampaignChange,
    CampaignPageAnswer,
    CampaignRow,
    InventoryAnswer,
    InventoryRaise,
    NewCampaign,
    NewPrize,
    PrizeAnswer,
    PrizeChange,
    campaign_answer,
    campaign_page_answer,
    changed_campaign_draft,
    changed_prize_draft,
    new_campaign_draft,
    new_prize_draft,
    prize_answer,
)
from tearline.web.api.figure_shapes import FiguresAnswer, figures_answer
from tearline.web.api.shapes import Page
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    check_picture,
    page,
    problems,
    write,
)
from tearline.web.public_campaigns import public_page

_CHANGE_REASONS = ("changed_meanwhile", "not_editable", "idempotency_key_reused")
_CHANGE_PROBLEMS = problems(*_CHANGE_REASONS, "already_taken", has_body=True)
_PRIZE_PROBLEMS = problems(*_CHANGE_REASONS, "inventory_lowered", has_body=True)
_STATE_PROBLEMS = problems(*_CHANGE_REASONS)


async def campaign_id_of(connection: AsyncConnection, code: str) -> UUID:
    """The campaign of a code; refused as ``not_found``."""
    if not is_storable(code):
        raise Refusal("not_found")
    return await reads.campaign_id_of(connection, code)


async def answer_of(connection: AsyncConnection, actor: Actor, campaign_id: UUID) -> CampaignAnswer:
    """A campaign as the operator's keys see it."""
    detail = await reads.campaign(connection, actor, campaign_id)
    items = await sale_reads.items_of(connection, campaign_id) if detail.kind == "sale" else []
    return campaign_answer(detail, items)


@get("/campaigns", responses=problems())
async def list_campaigns(
    services: GivenServices, actor: GivenKey, cursor: GivenCursor = None, limit: GivenLimit = 50
) -> Page[CampaignRow]:
    """All campaigns."""
    statement = reads.campaigns_list(actor)
    async with services.database.connection() as connection:
        return await page(connection, statement, Campaign.id, _campaign_row, cursor=cursor, limit=limit)


def _campaign_row(row: Any) -> CampaignRow:
    values = {name: row._mapping[name] for name in CampaignRow.__struct_fields__}
    counts = {name: int(values[name]) for name in ("prizes", "inventory", "claimed")}
    return msgspec.convert({**values, **counts}, CampaignRow)


@post("/campaigns", responses=problems("already_taken", "idempotency_key_reused", has_body=True))
async def create_campaign(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[NewCampaign],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Make a campaign, as a draft without prizes; or a sale, as a draft without items."""

    async def work(tx: AsyncConnection) -> CampaignAnswer:
        check_picture(data.image)
        create = sale_actions.create_sale if data.kind == "sale" else actions.create_campaign
        campaign_id = await create(tx, actor, new_campaign_draft(data), services.now())
        return await answer_of(tx, actor, campaign_id)

    return await write(request, actor, work, status=201)


@get("/campaigns/{code:str}", security=[{}], responses=problems(caller="anyone"))
async def get_campaign_page(services: GivenServices, code: FromPath[str]) -> CampaignPageAnswer:
    """What anyone may see of a campaign; drafts and archived ones are not found."""
    if not is_storable(code):
        raise Refusal("not_found")
    async with services.database.connection() as connection:
        return campaign_page_answer(await public_page(connection, code, services.now()))


@get("/campaigns/{code:str}/definition", responses=problems())
async def get_campaign(services: GivenServices, actor: GivenKey, code: FromPath[str]) -> CampaignAnswer:
    """A campaign with its prizes and their passwords, or a sale with its items."""
    actor.require("campaigns.read")
    async with services.database.connection() as connection:
        return await answer_of(connection, actor, await campaign_id_of(connection, code))


@patch("/campaigns/{code:str}/definition", responses=_CHANGE_PROBLEMS)
async def update_campaign(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[CampaignChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Change a campaign; what is left out stays."""

    async def work(tx: AsyncConnection) -> CampaignAnswer:
        check_picture(data.image)
        actor.require("campaigns.write")
        campaign_id = await campaign_id_of(tx, code)
        before = (await reads.campaign(tx, actor, campaign_id)).draft
        draft = changed_campaign_draft(before, data)
        await actions.update_campaign(tx, actor, campaign_id, draft, version=data.version, now=services.now())
        return await answer_of(tx, actor, campaign_id)

    return await write(request, actor, work)


@post("/campaigns/{code:str}/live", status_code=200, responses=_STATE_PROBLEMS)
async def go_live(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Open a draft to members, from its window's start on."""
    return await _move(request, services, actor, code, actions.go_live, sale_actions.go_live)


@post("/campaigns/{code:str}/pause", status_code=200, responses=_STATE_PROBLEMS)
async def pause(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Stop claims for the time being; what has been claimed stays good."""
    return await _move(request, services, actor, code, actions.pause)


@post("/campaigns/{code:str}/resume", status_code=200, responses=_STATE_PROBLEMS)
async def resume(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Open a paused campaign again."""
    return await _move(request, services, actor, code, actions.resume, sale_actions.resume)


@post("/campaigns/{code:str}/archive", status_code=200, responses=_STATE_PROBLEMS)
async def archive(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Put a campaign away for good; what has been claimed stays good."""
    return await _move(request, services, actor, code, actions.archive)


async def _move(
    request: AnyRequest,
    services: GivenServices,
    actor: Actor,
    code: str,
    action: Callable[..., Awaitable[int]],
    action_of_sale: Callable[..., Awaitable[int]] | None = None,
) -> Response[CampaignAnswer]:
    async def work(tx: AsyncConnection) -> CampaignAnswer:
        actor.require("campaigns.write")
        campaign_id = await campaign_id_of(tx, code)
        move = action
        if action_of_sale is not None and (await reads.campaign(tx, actor, campaign_id)).kind == "sale":
            move = action_of_sale
        await move(tx, actor, campaign_id, now=services.now())
        return await answer_of(tx, actor, campaign_id)

    return await write(request, actor, work)


@get("/campaigns/{code:str}/figures", responses=problems())
async def get_figures(services: GivenServices, actor: GivenKey, code: FromPath[str]) -> FiguresAnswer:
    """A campaign in numbers: stock left, claims by hour and by prize, redemptions."""
    actor.require("figures.read")
    async with services.database.connection() as connection:
        campaign_id = await campaign_id_of(connection, code)
        return figures_answer(await campaign_figures(connection, actor, campaign_id, services.now()))


@post("/campaigns/{code:str}/prizes", responses=_PRIZE_PROBLEMS)
async def add_prize(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[NewPrize],
    idempotency_key: IdempotencyKey = None,
) -> Response[PrizeAnswer]:
    """Add a prize with its password and bundle."""

    async def work(tx: AsyncConnection) -> PrizeAnswer:
        actor.require("campaigns.write")
        campaign_id = await campaign_id_of(tx, code)
        prize_id = await actions.add_prize(tx, actor, campaign_id, new_prize_draft(data), now=services.now())
        return await _prize(tx, actor, campaign_id, prize_id)

    return await write(request, actor, work, status=201)


@patch("/campaigns/{code:str}/prizes/{prize_id:uuid}", responses=_PRIZE_PROBLEMS)
async def update_prize(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    prize_id: FromPath[UUID],
    data: JSONBody[PrizeChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[PrizeAnswer]:
    """Change a prize; what is left out stays."""

    async def work(tx: AsyncConnection) -> PrizeAnswer:
        campaign_id, before = await _prize_of(tx, actor, code, prize_id)
        draft = changed_prize_draft(before.draft, data)
        await actions.update_prize(tx, actor, prize_id, draft, version=data.version, now=services.now())
        return await _prize(tx, actor, campaign_id, prize_id)

    return await write(request, actor, work)


@delete("/campaigns/{code:str}/prizes/{prize_id:uuid}", status_code=200, responses=problems(*_CHANGE_REASONS))
async def remove_prize(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    prize_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[CampaignAnswer]:
    """Take a prize out of a draft; answers the campaign."""

    async def work(tx: AsyncConnection) -> CampaignAnswer:
        campaign_id, _prize = await _prize_of(tx, actor, code, prize_id)
        await actions.remove_prize(tx, actor, prize_id, now=services.now())
        return await answer_of(tx, actor, campaign_id)

    return await write(request, actor, work)


@post("/campaigns/{code:str}/prizes/{prize_id:uuid}/inventory", status_code=200, responses=_PRIZE_PROBLEMS)
async def raise_inventory(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    prize_id: FromPath[UUID],
    data: JSONBody[InventoryRaise],
    idempotency_key: IdempotencyKey = None,
) -> Response[InventoryAnswer]:
    """Raise a prize's inventory, also while members are claiming it; a repeat changes nothing."""

    async def work(tx: AsyncConnection) -> InventoryAnswer:
        await _prize_of(tx, actor, code, prize_id)
        inventory = await actions.raise_inventory(
            tx, actor, prize_id, data.to, services.now(), expected=data.expected
        )
        return InventoryAnswer(prize_id=prize_id, inventory=inventory)

    return await write(request, actor, work)


async def _prize_of(
    connection: AsyncConnection, actor: Actor, code: str, prize_id: UUID
) -> tuple[UUID, reads.PrizeDetail]:
    actor.require("campaigns.write")
    campaign_id = await campaign_id_of(connection, code)
    detail = await reads.campaign(connection, actor, campaign_id)
    for prize in detail.prizes:
        if prize.id == prize_id:
            return campaign_id, prize
    raise Refusal("not_found")


async def _prize(connection: AsyncConnection, actor: Actor, campaign_id: UUID, prize_id: UUID) -> PrizeAnswer:
    detail = await reads.campaign(connection, actor, campaign_id)
    return next(prize_answer(prize) for prize in detail.prizes if prize.id == prize_id)


HANDLERS: list[Any] = [
    list_campaigns, create_campaign, get_campaign_page, get_campaign, update_campaign, go_live, pause, resume, archive,
    get_figures, add_prize, update_prize, remove_prize, raise_inventory,
]  # fmt: skip
