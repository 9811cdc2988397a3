"""What was redeemed: the list with its totals, one redemption, and undoing it."""

from __future__ import annotations

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream
from sqlalchemy import Row, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.coupons.model import Redemption, Reversal
from tearline.coupons.reads import redemption, redemptions_list
from tearline.i18n import _, localised, translate
from tearline.merchants.reads import colleague_names, open_stores
from tearline.offers.model import Offer
from tearline.offers.reads import tickets
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.merchant.support import GivenHere, new_number, reversal_window, show
from tearline.web.merchant.tickets import VERIFIED_NAMES, counter_ticket
from tearline.web.merchant.verdicts import verdict_of
from tearline.web.problems import problem_headers
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.ui.lists import ChoiceFilter, Column, DayFilter, Filter, ListDefinition
from tearline.web.ui.page import Page, language_of, page_of, settings_of
from tearline.web.ui.rendering import redirect

_OFFERS_IN_TOTALS = 20
_STATE = case((Reversal.id.is_(None), "stands"), else_="undone")
_STATE_NAMES = {"stands": _("Redeemed"), "undone": _("Undone")}
_LONGEST_REASON_CHARACTERS = 500
_ONLINE = "online"


@get("/redemptions")
async def redemptions_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """The list, of today unless the address names other days, and what it adds up to."""
    if not {"on_from", "on_to"} & request.query_params.keys():
        today = services.now().astimezone(ZoneInfo(settings_of(request).time_zone)).date()
        return Redirect(page_of(request).url_with(on_from=f"{today}", on_to=f"{today}"), status_code=303)
    statement = _statement(actor)
    async with services.database.connection() as connection:
        definition = await _definition(connection, actor, language_of(request))
        listing = await definition.page(
            request, statement, connection, export_path="/merchant/redemptions/export"
        )
        totals = await _totals(connection, definition.filtered(page_of(request), statement))
    return show(
        request,
        "redemptions.html",
        section="redemptions",
        listing=listing,
        totals=totals[:_OFFERS_IN_TOTALS],
        has_more_totals=len(totals) > _OFFERS_IN_TOTALS,
        redeemed=sum(row.redeemed for row in totals),
        undone=sum(row.undone for row in totals),
        is_one_day=_is_one_day(page_of(request)),
    )


@get("/redemptions/export")
async def export(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = _statement(actor)
    async with services.database.connection() as connection:
        definition = await _definition(connection, actor, language_of(request))
    file_format = request.query_params.get("format", "csv")
    return definition.export(
        request, statement, services.database.engine.connect, file_format, file_name="redemptions"
    )


@get("/redemptions/{redemption_id:uuid}")
async def redemption_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    here: GivenHere,
    redemption_id: FromPath[UUID],
) -> Response[Any]:
    """One redemption; right after it, the answer that it is done."""
    return await _page(request, services, actor, redemption_id, edge=here.merchant_edge)


@post("/redemptions/{redemption_id:uuid}", status_code=200)
async def undo(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    here: GivenHere,
    redemption_id: FromPath[UUID],
) -> Response[Any]:
    """Undo one redemption."""
    form = await readable_form(request)
    number, reason = form.get("request"), form.get("reason")
    if not (isinstance(number, str) and 8 <= len(number) <= 40 and isinstance(reason, str | None)):
        raise Refusal("malformed")
    async with services.database.connection() as connection:
        # A cashier may undo what they see: their own store's.
        await redemption(connection, actor, redemption_id)
    shortened = (reason or "").strip()[:_LONGEST_REASON_CHARACTERS] or None
    try:
        await services.redemption_desk.reverse(actor, redemption_id, f"{number}-undo", reason=shortened)
    except Refusal as refusal:
        return await _page(request, services, actor, redemption_id, edge=here.merchant_edge, refusal=refusal)
    return redirect(request, f"/merchant/redemptions/{redemption_id}?undone=1")


async def _page(
    request: AnyRequest,
    services: Services,
    actor: Actor,
    redemption_id: UUID,
    *,
    edge: str,
    refusal: Refusal | None = None,
) -> Response[Any]:
    language = language_of(request)
    async with services.database.connection() as connection:
        row = await redemption(connection, actor, redemption_id)
        ticket = (await tickets(connection, [row.offer_id]))[row.offer_id]
        drawn = await counter_ticket(connection, ticket, language, code=row.code, edge=edge, is_done=True)
    undo_until = row.redeemed_at + reversal_window(actor)
    response = show(
        request,
        "redemption.html",
        status_code=200 if refusal is None else refusal.status,
        section="scan" if "done" in request.query_params else "redemptions",
        row=row,
        ticket=drawn,
        verified_name=translate(language, VERIFIED_NAMES[row.verified]),
        is_just_done=_is_just(request, "done") and row.reversal_id is None,
        is_just_undone=_is_just(request, "undone") and row.reversal_id is not None,
        # What an order used is given back when that order is refunded, and never at a counter.
        can_undo="reverse" in actor.permissions
        and row.order_id is None
        and row.reversal_id is None
        and services.now() < undo_until,
        undo_until=undo_until,
        verdict=None if refusal is None else verdict_of(refusal, language),
        request_number=new_number(),
    )
    if refusal is not None:
        response.headers.update(problem_headers(refusal, language))
    return response


def _is_just(request: AnyRequest, name: str) -> bool:
    return request.method == "GET" and request.query_params.get(name) == "1"


def _is_one_day(page: Page) -> bool:
    query = dict(page.query)
    return bool(query.get("on_from")) and query.get("on_from") == query.get("on_to")


def _statement(actor: Actor) -> Select[Any]:
    return redemptions_list(actor).add_columns(Redemption.id.label("id"), _STATE.label("state"))


async def _definition(connection: AsyncConnection, actor: Actor, language: str) -> ListDefinition:
    """The list's columns and filters; choices of store and person only where there are several."""
    assert actor.merchant_id is not None
    stores: list[tuple[str, str]] = []
    people: list[tuple[UUID, str]] = []
    if "redemptions.read" in actor.permissions:
        stores = [
            (str(store.id), localised(store.names, language))
            for store in await open_stores(connection, actor.merchant_id)
        ]
        people = await colleague_names(connection, actor.merchant_id)
    filters: list[Filter] = [DayFilter("on", _("Day"), Redemption.redeemed_at)]
    if len(stores) > 1:
        conditions = {value: Redemption.store_id == UUID(value) for value, _name in stores}
        choices = [*stores, (_ONLINE, _("Online order"))]
        conditions[_ONLINE] = Redemption.store_id.is_(None)
        filters.append(ChoiceFilter("store", _("Store"), choices, conditions=conditions))
    if len(people) > 1:
        choices = [(str(id_), name) for id_, name in people]
        by_person = {str(id_): Redemption.staff_id == id_ for id_, _name in people}
        filters.append(ChoiceFilter("staff", _("Staff"), choices, conditions=by_person))
    filters.append(
        ChoiceFilter(
            "state",
            _("State"),
            list(_STATE_NAMES.items()),
            conditions={"stands": Reversal.id.is_(None), "undone": Reversal.id.is_not(None)},
        )
    )
    columns = [
        Column(
            "redeemed_at",
            _("Time"),
            kind="date_time",
            sort=Redemption.redeemed_at,
            href="/merchant/redemptions/{id}",
        ),
        Column("offer_names", _("Offer"), kind="localised", under="code"),
        Column("staff_name", _("Staff")),
        Column(
            "state",
            _("State"),
            kind="tag",
            labels=_STATE_NAMES,
            tag_kinds={"stands": "good", "undone": "warn"},
        ),
        Column("request_number", _("Request number"), kind="code"),
    ]
    if len(stores) > 1:
        columns.insert(2, Column("store_names", _("Store"), kind="localised", blank=_("Online order")))
    return ListDefinition(
        id_column=Redemption.id, columns=columns, filters=filters, default_sort="-redeemed_at"
    )


async def _totals(connection: AsyncConnection, narrowed: Select[Any]) -> list[Row[Any]]:
    """How often each offer was redeemed and undone in what the list shows, the most frequent first."""
    shown = narrowed.order_by(None).subquery()
    redeemed = func.count().filter(shown.c.reversal_id.is_(None)).label("redeemed")
    by_offer = (
        select(shown.c.offer_id, redeemed, func.count(shown.c.reversal_id).label("undone"))
        .group_by(shown.c.offer_id)
        .subquery()
    )
    query = (
        select(Offer.names, by_offer.c.redeemed, by_offer.c.undone)
        .join(Offer, Offer.id == by_offer.c.offer_id)
        .order_by(by_offer.c.redeemed.desc(), Offer.code)
    )
    return list((await connection.execute(query)).all())


HANDLERS = [redemptions_page, export, redemption_page, undo]
