"""Merchants: their list, their page, and the form."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import func, select

from tearline.i18n import _, localised
from tearline.merchants import actions, reads
from tearline.merchants.actions import LONGEST_CODE, LONGEST_DESCRIPTION, LONGEST_NAME
from tearline.merchants.model import Merchant, Store
from tearline.offers.model import Offer
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.stores import STORES
from tearline.web.console.support import EDGE_CHOICES, act, picture_field, save, show
from tearline.web.ui.assets import picture_url
from tearline.web.ui.forms import BoundForm, Choice, Form, Localised, Section, Text
from tearline.web.ui.lists import ChoiceFilter, Column, ListDefinition, TextFilter, localised_columns
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

KIND_NAMES = {
    "retail": _("Retail"),
    "dining": _("Dining"),
    "theme_park": _("Theme park"),
    "attraction": _("Attraction"),
    "service": _("Service"),
}
STATE_NAMES = {"active": _("Active"), "suspended": _("Suspended")}
STATE_KINDS = {"active": "good", "suspended": "bad"}

_OPEN_STORES = (
    select(func.count()).where(Store.merchant_id == Merchant.id, Store.state == "active").scalar_subquery()
)

MERCHANTS = ListDefinition(
    id_column=Merchant.id,
    columns=[
        Column("names", _("Merchant"), kind="localised", sort=Merchant.code, under="code", under_label=_("Code"),
               href="/console/merchants/{id}"),
        Column("kind", _("Kind"), labels=KIND_NAMES, kind="tag", sort=Merchant.kind),
        Column("state", _("State"), kind="tag", labels=STATE_NAMES, tag_kinds=STATE_KINDS, sort=Merchant.state),
        Column("stores", _("Stores"), kind="number", sort=_OPEN_STORES),
        Column("created_at", _("Since"), kind="date", sort=Merchant.created_at),
    ],
    filters=[
        TextFilter("q", _("Name or code"), [Merchant.code, *localised_columns(Merchant.names)]),
        ChoiceFilter("kind", _("Kind"), list(KIND_NAMES.items()), Merchant.kind),
        ChoiceFilter("state", _("State"), list(STATE_NAMES.items()), Merchant.state),
    ],
    default_sort="names",
)  # fmt: skip


def merchant_form(image: str | None = None) -> Form:
    """The form of a merchant."""
    return Form(
        Section(
            _("The merchant"),
            Localised("names", _("Name"), maximum_length=LONGEST_NAME),
            Text(
                "code",
                _("Code"),
                maximum_length=LONGEST_CODE,
                help=_("Lower case letters, digits and hyphens; stands in addresses and files."),
            ),
            Choice("kind", _("Kind"), choices=list(KIND_NAMES.items()), default="retail"),
        ),
        Section(
            _("How it looks"),
            Choice("edge", _("Colour along the ticket's edge"), choices=EDGE_CHOICES, default="teal"),
            Localised(
                "descriptions",
                _("Description"),
                is_long=True,
                is_required=False,
                maximum_length=LONGEST_DESCRIPTION,
            ),
            picture_field("image", _("Picture"), image),
        ),
    )


@get("/merchants")
async def list_merchants(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every merchant."""
    async with services.database.connection() as connection:
        listing = await MERCHANTS.page(
            request, reads.merchant_list(actor), connection, export_path="/console/merchants/export"
        )
    return show(request, "merchants.html", listing=listing)


@get("/merchants/export")
async def export_merchants(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    file_format = request.query_params.get("format", "csv")
    statement = reads.merchant_list(actor)
    return MERCHANTS.export(
        request, statement, services.database.engine.connect, file_format, file_name="merchants"
    )


@get("/merchants/new")
async def new_merchant(request: AnyRequest, actor: GivenActor) -> Response[str]:
    """The empty form."""
    actor.require("merchants.write")
    return _form_page(request, merchant_form().blank())


@post("/merchants/new")
async def create_merchant(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the merchant of the form."""
    actor.require("merchants.write")
    form = await merchant_form().read(request)
    made = await save(
        services, form, lambda tx: actions.create_merchant(tx, actor, **form.values, now=services.now())
    )
    if made is None:
        return _form_page(request, form)
    return redirect(
        request, f"/console/merchants/{made}", flash=_("The merchant is there. Add its stores next.")
    )


@get("/merchants/{merchant_id:uuid}")
async def show_merchant(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """A merchant with its stores."""
    async with services.database.connection() as connection:
        merchant = await reads.merchant_by_id(connection, actor, merchant_id)
        stores = await STORES.page(request, reads.store_list(actor, merchant_id), connection)
        offers = await connection.scalar(
            select(func.count()).select_from(Offer).where(Offer.merchant_id == merchant_id)
        )
    return show(
        request,
        "merchant.html",
        merchant=merchant,
        stores=stores,
        offers=offers,
        picture=picture_url(merchant.image),
        kind_names=KIND_NAMES,
        edge_names=dict(EDGE_CHOICES),
        state_names=STATE_NAMES,
        state_kinds=STATE_KINDS,
    )


@get("/merchants/{merchant_id:uuid}/edit")
async def edit_merchant(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is known."""
    actor.require("merchants.write")
    async with services.database.connection() as connection:
        merchant = await reads.merchant_by_id(connection, actor, merchant_id)
    return _form_page(request, merchant_form(merchant.image).blank(merchant._asdict()), merchant)


@post("/merchants/{merchant_id:uuid}/edit")
async def update_merchant(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Change the merchant as the form says."""
    actor.require("merchants.write")
    async with services.database.connection() as connection:
        merchant = await reads.merchant_by_id(connection, actor, merchant_id)
    form = await merchant_form(merchant.image).read(request)

    saved = await save(
        services,
        form,
        lambda tx: actions.update_merchant(tx, actor, merchant_id, services.now(), **form.values),
    )
    if saved is None:
        return _form_page(request, form, merchant)
    return redirect(request, f"/console/merchants/{merchant_id}", flash=_("Saved."))


@post("/merchants/{merchant_id:uuid}/suspend")
async def suspend_merchant(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Let its staff and keys in nowhere."""
    return await act(
        request,
        services,
        f"/console/merchants/{merchant_id}",
        lambda tx: actions.suspend_merchant(tx, actor, merchant_id, services.now()),
        _("The merchant is suspended: its staff and keys are let in nowhere."),
    )


@post("/merchants/{merchant_id:uuid}/resume")
async def resume_merchant(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Let it go on."""
    return await act(
        request,
        services,
        f"/console/merchants/{merchant_id}",
        lambda tx: actions.resume_merchant(tx, actor, merchant_id, services.now()),
        _("The merchant can go on."),
    )


def _form_page(request: AnyRequest, form: BoundForm, merchant: Any = None) -> Response[str]:
    name = localised(merchant.names, language_of(request)) if merchant is not None else ""
    cancel = f"/console/merchants/{merchant.id}" if merchant is not None else "/console/merchants"
    return show(
        request, "merchant_form.html", status_code=form.status_code, form=form, name=name, cancel_href=cancel
    )


HANDLERS = [
    list_merchants,
    export_merchants,
    new_merchant,
    create_merchant,
    show_merchant,
    edit_merchant,
    update_merchant,
    suspend_merchant,
    resume_merchant,
]
