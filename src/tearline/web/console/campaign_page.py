"""A campaign's page: its state and what can be done about it, its figures, its prizes, its trail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.campaigns import actions, reads
from tearline.core.campaigns import TRANSITIONS
from tearline.i18n import _, localised, translate
from tearline.i18n.formats import date_time, day
from tearline.insight.reads import CampaignFigures, campaign_figures
from tearline.sales import actions as sales
from tearline.waitingroom.reads import guards
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.campaign_form import audience_words, load_marks
from tearline.web.console.sale_page import show_sale
from tearline.web.console.support import act, show
from tearline.web.console.tickets import face_of
from tearline.web.sale_words import CAMPAIGN_STATE_KINDS, CAMPAIGN_STATE_NAMES, shown_state
from tearline.web.ui.page import language_of

SHOWN_HOURS = 48
Step = tuple[Callable[..., Awaitable[int]], str]
"""What is done about a campaign, and what is said of it then."""
Plot = dict[str, Any]


@get("/campaigns/{campaign_id:uuid}")
async def show_campaign(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The page."""
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        campaign = await reads.campaign(connection, actor, campaign_id)
    if campaign.kind == "sale":
        return await show_sale(request, services, actor, campaign)
    async with services.database.connection() as connection:
        figures = await campaign_figures(connection, actor, campaign_id, now)
        marks = await load_marks(connection, language)
        subjects = [str(campaign_id), *(str(prize.id) for prize in campaign.prizes)]
        deeds = await trail(connection, actor, subjects)
        guard = (await guards(connection)).get(campaign_id)
    draft = campaign.draft
    bundles = {
        prize.id: [(part.quantity, part.ticket, face_of(part.ticket, language)) for part in prize.bundle]
        for prize in campaign.prizes
    }
    return show(
        request,
        "campaign.html",
        campaign=campaign,
        draft=draft,
        figures=figures,
        shown=shown_state(campaign.state, draft.starts_at, draft.ends_at, now),
        steps=TRANSITIONS[campaign.state],
        audience=audience_words(draft.audience, marks, language),
        bundles=bundles,
        deeds=deeds,
        guard=guard,
        is_live=_is_live(campaign, now),
        is_public=campaign.state in ("live", "paused"),
        state_names=CAMPAIGN_STATE_NAMES,
        state_kinds=CAMPAIGN_STATE_KINDS,
        seen_at=now,
        **_plots(request, figures),
        **words(),
    )


@get("/campaigns/{campaign_id:uuid}/now")
async def campaign_now(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The figures alone, for the page to refresh itself."""
    now = services.now()
    async with services.database.connection() as connection:
        figures = await campaign_figures(connection, actor, campaign_id, now)
    return show(request, "campaign_now.html", figures=figures, seen_at=now, time_zone=figures.time_zone)


@get("/campaigns/{campaign_id:uuid}/plots")
async def campaign_plots(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The plots alone, for the page to refresh itself."""
    async with services.database.connection() as connection:
        figures = await campaign_figures(connection, actor, campaign_id, services.now())
    return show(request, "campaign_plots.html", figures=figures, **_plots(request, figures))


@post("/campaigns/{campaign_id:uuid}/live")
async def go_live(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Open a draft to members."""
    return await _step(
        request,
        services,
        actor,
        campaign_id,
        password=(actions.go_live, _("The campaign is live: members can claim from its start on.")),
        sale=(sales.go_live, _("The sale is live: members can buy from its start on.")),
    )


@post("/campaigns/{campaign_id:uuid}/pause")
async def pause(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Stop claims for the time being."""
    return await _step(
        request,
        services,
        actor,
        campaign_id,
        password=(actions.pause, _("The campaign is paused: nobody can claim until it is resumed.")),
        sale=(actions.pause, _("The sale is paused: nobody can order until it is resumed.")),
    )


@post("/campaigns/{campaign_id:uuid}/resume")
async def resume(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Let members claim again."""
    return await _step(
        request,
        services,
        actor,
        campaign_id,
        password=(actions.resume, _("The campaign goes on: members can claim again.")),
        sale=(sales.resume, _("The sale goes on: members can buy again.")),
    )


@post("/campaigns/{campaign_id:uuid}/archive")
async def archive(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Put a campaign away for good."""
    return await _step(
        request,
        services,
        actor,
        campaign_id,
        password=(actions.archive, _("The campaign is archived. Coupons that members hold stay good.")),
        sale=(actions.archive, _("The sale is archived. Vouchers that members bought stay good.")),
    )


async def _step(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: UUID,
    *,
    password: Step,
    sale: Step,
) -> Response[Any]:
    """Take the step of the campaign's kind, which never changes."""
    async with services.database.connection() as connection:
        kind = (await reads.campaign(connection, actor, campaign_id)).kind
    action, flash = sale if kind == "sale" else password
    return await act(
        request,
        services,
        f"/console/campaigns/{campaign_id}",
        lambda tx: action(tx, actor, campaign_id, now=services.now()),
        flash,
    )


def _is_live(campaign: reads.CampaignDetail, now: Any) -> bool:
    return campaign.state == "live" and campaign.draft.starts_at <= now < campaign.draft.ends_at


def _plots(request: AnyRequest, figures: CampaignFigures) -> dict[str, Any]:
    """Claims by prize and redemptions, over the last hours or over the days."""
    language = language_of(request)
    is_by_day = request.query_params.get("by") == "day"
    buckets: dict[Any, tuple[dict[UUID, int], int]] = {}
    for hour in figures.hours if is_by_day else figures.hours[-SHOWN_HOURS:]:
        key: Any = hour.hour.date() if is_by_day else hour.hour
        claims, redemptions = buckets.get(key, ({}, 0))
        claims = {prize: claims.get(prize, 0) + count for prize, count in hour.claims_by_prize.items()}
        buckets[key] = (claims, redemptions + hour.redemptions)
    categories = [_label(key, language, figures.time_zone) for key in buckets]
    claimed = [
        (
            localised(prize.names, language),
            [claims.get(prize.prize_id, 0) for claims, _used in buckets.values()],
        )
        for prize in figures.prizes
    ]
    used = [(translate(language, _("Redemptions")), [count for _claims, count in buckets.values()])]
    return {"categories": categories, "claimed": claimed, "used": used, "is_by_day": is_by_day}


def _label(key: Any, language: str, time_zone: str) -> str:
    return day(key, language, time_zone) if type(key) is date else date_time(key, language, time_zone)


HANDLERS = [show_campaign, campaign_now, campaign_plots, go_live, pause, resume, archive]
