"""What a manager sees of the merchant: its offers, stores and staff, to read. The operator changes them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream

from tearline.core.roles import Actor
from tearline.i18n import _, translate
from tearline.merchants.model import AnySelect, Staff, Store
from tearline.merchants.reads import colleagues, store_list
from tearline.offers.describe import value_text
from tearline.offers.model import Offer
from tearline.offers.reads import Ticket, offer_row, offers_list, tickets
from tearline.offers.stored import benefit_from
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.merchant.support import ROLE_NAMES, GivenHere, show
from tearline.web.merchant.tickets import counter_ticket
from tearline.web.ui.lists import ChoiceFilter, Column, ListDefinition, TextFilter, localised_columns
from tearline.web.ui.page import language_of

OFFER_STATES = {"draft": _("Draft"), "active": _("Active"), "archived": _("Archived")}
_STATE_KINDS = {"active": "good", "draft": "warn"}

OFFERS = ListDefinition(
    id_column=Offer.id,
    columns=[
        Column(
            "names", _("Offer"), kind="localised", sort=Offer.code, href="/merchant/offers/{id}", under="code"
        ),
        Column("gives", _("Gives"), is_exported=False),
        Column("state", _("State"), kind="tag", labels=OFFER_STATES, tag_kinds=_STATE_KINDS),
        Column("issued", _("Given out"), kind="number", sort=Offer.issued),
        Column("issue_limit", _("Limit"), kind="number", sort=Offer.issue_limit, is_nullable=True),
    ],
    filters=[
        TextFilter("q", _("Name or code"), [Offer.code, *localised_columns(Offer.names)]),
        ChoiceFilter("state", _("State"), list(OFFER_STATES.items()), Offer.state),
    ],
    default_sort="names",
)
_SHOP_STATES = {"active": _("Open"), "closed": _("Closed")}
STORES = ListDefinition(
    id_column=Store.id,
    columns=[
        Column("names", _("Store"), kind="localised", sort=Store.code, under="code"),
        Column("addresses", _("Address"), kind="localised"),
        Column("phone", _("Phone")),
        Column("state", _("State"), kind="tag", labels=_SHOP_STATES, tag_kinds={"active": "good"}),
    ],
    filters=[TextFilter("q", _("Name or code"), [Store.code, *localised_columns(Store.names)])],
    default_sort="names",
)
_STAFF_STATES = {"active": _("Active"), "disabled": _("Disabled")}
TEAM = ListDefinition(
    id_column=Staff.id,
    columns=[
        Column("name", _("Full name"), sort=Staff.name, under="email"),
        Column("role", _("Role"), kind="tag", labels=ROLE_NAMES),
        Column("store_names", _("Store"), kind="localised"),
        Column("has_totp", _("Two-step sign-in"), kind="yes_no"),
        Column("state", _("State"), kind="tag", labels=_STAFF_STATES, tag_kinds={"active": "good"}),
    ],
    filters=[TextFilter("q", _("Name or e-mail address"), [Staff.name, Staff.email])],
    default_sort="name",
)


@get("/offers")
async def offers_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """The merchant's own offers."""
    language = language_of(request)
    async with services.database.connection() as connection:
        listing = await OFFERS.page(
            request, _offers(actor), connection, export_path="/merchant/offers/export"
        )
    gives = {row.id: value_text(benefit_from(row.benefit), row.currency, language) for row in listing.rows}
    return show(request, "offers.html", section="business", tab="offers", listing=listing, gives=gives)


@get("/offers/export")
async def export_offers(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list of offers as a file."""
    file_format = request.query_params.get("format", "csv")
    return OFFERS.export(
        request, _offers(actor), services.database.engine.connect, file_format, file_name="offers"
    )


@get("/offers/{offer_id:uuid}")
async def offer_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    here: GivenHere,
    offer_id: FromPath[UUID],
) -> Response[Any]:
    """One of the merchant's offers."""
    language = language_of(request)
    async with services.database.connection() as connection:
        row = await offer_row(connection, actor, offer_id)
        ticket: Ticket = (await tickets(connection, [offer_id]))[offer_id]
        drawn = await counter_ticket(connection, ticket, language)
    return show(
        request,
        "offer.html",
        section="business",
        row=row,
        ticket=drawn,
        state_name=translate(language, OFFER_STATES[row.state]),
        state_kind=_STATE_KINDS.get(row.state, ""),
    )


@get("/stores")
async def stores_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """The merchant's own stores."""
    async with services.database.connection() as connection:
        listing = await STORES.page(request, store_list(actor, actor.merchant_id), connection)
    return show(request, "stores.html", section="business", tab="stores", listing=listing)


@get("/team")
async def team_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """Who works for the merchant."""
    async with services.database.connection() as connection:
        listing = await TEAM.page(request, colleagues(actor), connection)
    return show(request, "team.html", section="business", tab="team", listing=listing)


def _offers(actor: Actor) -> AnySelect:
    return offers_list(actor).add_columns(Offer.id.label("id"))


HANDLERS = [offers_page, export_offers, offer_page, stores_page, team_page]
