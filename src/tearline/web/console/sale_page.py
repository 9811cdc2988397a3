"""A sale's page: what can be done about it, its figures, what it sells, its trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath

from tearline.campaigns import reads as campaigns
from tearline.core.campaigns import TRANSITIONS
from tearline.core.roles import Actor
from tearline.core.sales import ITEM_EDITABLE, MAXIMUM_ITEMS
from tearline.i18n import _, localised, translate
from tearline.i18n.formats import date_time, day
from tearline.sales.alerts import pool_alerts
from tearline.sales.figures import HourOfSales, SaleFigures, sale_figures, sale_hours
from tearline.waitingroom.reads import guards
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.campaign_form import audience_words, load_marks
from tearline.web.console.support import show
from tearline.web.console.tickets import face_of
from tearline.web.sale_words import CAMPAIGN_STATE_KINDS, CAMPAIGN_STATE_NAMES, shown_state
from tearline.web.services import Services
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render

SHOWN_HOURS = 48


async def show_sale(
    request: AnyRequest, services: Services, actor: Actor, sale: campaigns.CampaignDetail
) -> Response[str]:
    """The page."""
    now, language, draft = services.now(), language_of(request), sale.draft
    async with services.database.connection() as connection:
        figures = await sale_figures(connection, actor, sale.id, now)
        hours = await sale_hours(connection, figures, now)
        alerts = []
        if "codes.read" in actor.permissions:
            alerts = await pool_alerts(connection, now, campaign_id=sale.id)
        marks = await load_marks(connection, language)
        subjects = [str(sale.id), *(str(one.item.id) for one in figures.items)]
        deeds = await trail(connection, actor, subjects)
        guard = (await guards(connection)).get(sale.id)
    return show(
        request,
        "sale.html",
        sale=sale,
        draft=draft,
        figures=figures,
        alerts=alerts,
        shown=shown_state(sale.state, draft.starts_at, draft.ends_at, now),
        steps=TRANSITIONS[sale.state],
        item_edits=ITEM_EDITABLE[sale.state],
        maximum_items=MAXIMUM_ITEMS,
        audience=audience_words(draft.audience, marks, language),
        faces={one.item.id: face_of(one.item.ticket, language) for one in figures.items},
        deeds=deeds,
        guard=guard,
        is_live=sale.state == "live" and draft.starts_at <= now < draft.ends_at,
        is_public=sale.state in ("live", "paused"),
        state_names=CAMPAIGN_STATE_NAMES,
        state_kinds=CAMPAIGN_STATE_KINDS,
        seen_at=now,
        **_plot(request, figures, hours),
        **words(),
    )


@get("/campaigns/{campaign_id:uuid}/sold")
async def sale_now(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The figures alone, for the page to refresh itself."""
    now = services.now()
    async with services.database.connection() as connection:
        figures = await sale_figures(connection, actor, campaign_id, now)
    return render(request, "sale_now.html", figures=figures, seen_at=now, time_zone=figures.time_zone)


@get("/campaigns/{campaign_id:uuid}/sold/plot")
async def sale_plot(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The plot alone, likewise."""
    now = services.now()
    async with services.database.connection() as connection:
        figures = await sale_figures(connection, actor, campaign_id, now)
        hours = await sale_hours(connection, figures, now)
    return show(request, "sale_plot.html", **_plot(request, figures, hours))


def _plot(request: AnyRequest, figures: SaleFigures, hours: Sequence[HourOfSales]) -> dict[str, Any]:
    """Vouchers by hour over the last two days, or by day over the last weeks."""
    language = language_of(request)
    is_by_day = request.query_params.get("by") == "day"
    buckets: dict[Any, list[HourOfSales]] = {}
    for hour in hours if is_by_day else hours[-SHOWN_HOURS:]:
        buckets.setdefault(hour.hour.date() if is_by_day else hour.hour, []).append(hour)
    shown = day if is_by_day else date_time
    sold = [
        (
            localised(one.item.ticket.names, language),
            [sum(hour.vouchers_by_item[one.item.id] for hour in some) for some in buckets.values()],
        )
        for one in figures.items
    ]
    return {
        "categories": [shown(key, language, figures.time_zone) for key in buckets],
        "sold": sold,
        "plot_title": translate(
            language, _("Vouchers sold by day") if is_by_day else _("Vouchers sold by hour")
        ),
        "is_by_day": is_by_day,
    }


HANDLERS = [sale_now, sale_plot]
