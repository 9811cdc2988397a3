"""Campaigns: their list, and the form that makes and changes one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import func, select

from tearline.campaigns import actions, reads
from tearline.campaigns.model import Campaign, Prize
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.members.reads import count_audience
from tearline.sales.actions import create_sale
from tearline.sales.figures import stock_of_sales
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.campaign_form import (
    Marks,
    audience_from,
    campaign_form,
    draft_from,
    frozen_fields,
    load_marks,
    values_of,
)
from tearline.web.console.support import save, show, version_in
from tearline.web.sale_words import CAMPAIGN_STATE_KINDS, CAMPAIGN_STATE_NAMES, shown_state
from tearline.web.ui.forms import BoundForm
from tearline.web.ui.lists import (
    ChoiceFilter,
    Column,
    DayFilter,
    ListDefinition,
    TextFilter,
    localised_columns,
)
from tearline.web.ui.page import language_of, settings_of
from tearline.web.ui.rendering import redirect

KIND_NAMES = {"password": _("Password"), "sale": _("Sale")}

_CLAIMED = (
    select(func.coalesce(func.sum(Prize.claimed), 0))
    .where(Prize.campaign_id == Campaign.id)
    .scalar_subquery()
)

CAMPAIGNS = ListDefinition(
    id_column=Campaign.id,
    columns=[
        Column("names", _("Campaign"), kind="localised", sort=Campaign.code, under="code", under_label=_("Code"),
               href="/console/campaigns/{id}"),
        Column("state", _("State"), kind="tag", labels=CAMPAIGN_STATE_NAMES, tag_kinds=CAMPAIGN_STATE_KINDS,
               sort=Campaign.state),
        Column("kind", _("Kind"), kind="tag", labels=KIND_NAMES, sort=Campaign.kind),
        Column("starts_at", _("Starts"), kind="date_time", sort=Campaign.starts_at),
        Column("ends_at", _("Ends"), kind="date_time", sort=Campaign.ends_at),
        Column("claimed", _("Claims"), kind="number", sort=_CLAIMED),
        Column("inventory", _("Stock"), kind="number"),
    ],
    filters=[
        TextFilter("q", _("Name or code"), [Campaign.code, *localised_columns(Campaign.names)]),
        ChoiceFilter(
            "state",
            _("State"),
            [(state, CAMPAIGN_STATE_NAMES[state]) for state in ("draft", "live", "paused", "archived")],
            Campaign.state,
        ),
        ChoiceFilter("kind", _("Kind"), list(KIND_NAMES.items()), Campaign.kind),
        DayFilter("starts", _("Starts"), Campaign.starts_at),
    ],
    default_sort="-starts_at",
)  # fmt: skip


@get("/campaigns")
async def list_campaigns(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every campaign."""
    now = services.now()
    async with services.database.connection() as connection:
        listing = await CAMPAIGNS.page(
            request, reads.campaigns_list(actor), connection, export_path="/console/campaigns/export"
        )
        stocks = await stock_of_sales(connection, [row.id for row in listing.rows if row.kind == "sale"])
    states = {row.id: shown_state(row.state, row.starts_at, row.ends_at, now) for row in listing.rows}
    return show(
        request,
        "campaigns.html",
        listing=listing,
        states=states,
        stocks=stocks,
        state_names=CAMPAIGN_STATE_NAMES,
        state_kinds=CAMPAIGN_STATE_KINDS,
    )


@get("/campaigns/export")
async def export_campaigns(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = reads.campaigns_list(actor)
    file_format = request.query_params.get("format", "csv")
    return CAMPAIGNS.export(
        request, statement, services.database.engine.connect, file_format, file_name="campaigns"
    )


@get("/campaigns/new")
async def new_campaign(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form."""
    return await _new(request, services, actor, "password")


@get("/sales/new")
async def new_sale(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form of a sale."""
    return await _new(request, services, actor, "sale")


@post("/sales/new")
async def make_sale(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the sale of the form, as a draft; its vouchers follow."""
    flash = _("The sale is there, as a draft. Add its vouchers next.")
    return await _make(request, services, actor, "sale", create_sale, flash)


@post("/campaigns/new")
async def create_campaign(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the campaign of the form, as a draft; its prizes follow."""
    flash = _("The campaign is there, as a draft. Add its prizes next.")
    return await _make(request, services, actor, "password", actions.create_campaign, flash)


@post("/campaigns/audience")
async def count_members(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """How many members the audience in the form has at present."""
    actor.require("campaigns.write")
    marks = await _marks(request, services)
    form = await campaign_form(marks).read(request)
    return show(request, "audience_count.html", count=await _count(services, form))


@get("/campaigns/{campaign_id:uuid}/edit")
async def edit_campaign(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is known; what can't be edited in its state is shown, but not taken."""
    actor.require("campaigns.write")
    campaign, marks = await _load(request, services, actor, campaign_id)
    form = _form_of(campaign, marks, services).blank(values_of(campaign.draft))
    return await _form_page(request, services, form, marks, campaign, campaign.version)


@post("/campaigns/{campaign_id:uuid}/edit")
async def update_campaign(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Change the campaign as the form says."""
    actor.require("campaigns.write")
    campaign, marks = await _load(request, services, actor, campaign_id)
    form = await _form_of(campaign, marks, services).read(request, shown=values_of(campaign.draft))
    version = version_in(form)
    saved = await save(
        services,
        form,
        lambda tx: actions.update_campaign(
            tx,
            actor,
            campaign_id,
            draft_from(form.values, campaign.draft),
            version=version,
            now=services.now(),
        ),
    )
    if saved is None:
        return await _form_page(request, services, form, marks, campaign, version)
    return redirect(request, f"/console/campaigns/{campaign_id}", flash=_("Saved."))


async def _new(request: AnyRequest, services: GivenServices, actor: GivenActor, kind: str) -> Response[str]:
    actor.require("campaigns.write")
    marks = await _marks(request, services)
    form = campaign_form(marks, time_zone=settings_of(request).time_zone, is_sale=kind == "sale").blank()
    return await _form_page(request, services, form, marks, kind=kind)


async def _make(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    kind: str,
    create: Callable[..., Awaitable[UUID]],
    flash: str,
) -> Response[Any]:
    actor.require("campaigns.write")
    marks = await _marks(request, services)
    unread = campaign_form(marks, time_zone=settings_of(request).time_zone, is_sale=kind == "sale")
    form = await unread.read(request)
    made = await save(services, form, lambda tx: create(tx, actor, draft_from(form.values), services.now()))
    if made is None:
        return await _form_page(request, services, form, marks, kind=kind)
    return redirect(request, f"/console/campaigns/{made}", flash=flash)


async def _marks(request: AnyRequest, services: GivenServices) -> Marks:
    async with services.database.connection() as connection:
        return await load_marks(connection, language_of(request))


async def _load(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: UUID
) -> tuple[reads.CampaignDetail, Marks]:
    async with services.database.connection() as connection:
        campaign = await reads.campaign(connection, actor, campaign_id)
        if campaign.state == "archived":
            raise Refusal("not_editable")
        return campaign, await load_marks(connection, language_of(request))


def _form_of(campaign: reads.CampaignDetail, marks: Marks, services: GivenServices) -> Any:
    draft = campaign.draft
    return campaign_form(
        marks,
        audience=draft.audience,
        image=draft.image,
        time_zone=draft.time_zone,
        frozen=frozen_fields(campaign.state, draft, services.now()),
        is_sale=campaign.kind == "sale",
    )


async def _count(services: GivenServices, form: BoundForm) -> int:
    values = form.values if form.is_posted else form.form.parse(form.inputs.texts).values
    async with services.database.connection() as connection:
        return await count_audience(connection, audience_from(values))


async def _form_page(
    request: AnyRequest,
    services: GivenServices,
    form: BoundForm,
    marks: Marks,
    campaign: reads.CampaignDetail | None = None,
    version: int = 0,
    kind: str = "password",
) -> Response[str]:
    here = f"/console/campaigns/{campaign.id}" if campaign is not None else "/console/campaigns"
    is_audience_open = campaign is None or "audience" in campaign.editable
    return show(
        request,
        "campaign_form.html",
        status_code=form.status_code,
        form=form,
        campaign=campaign,
        kind=kind if campaign is None else campaign.kind,
        version=version,
        cancel_href=here,
        tags=marks.tags,
        count=await _count(services, form) if is_audience_open else None,
        state_names=CAMPAIGN_STATE_NAMES,
    )


HANDLERS = [
    list_campaigns,
    export_campaigns,
    new_campaign,
    create_campaign,
    new_sale,
    make_sale,
    count_members,
    edit_campaign,
    update_campaign,
]
