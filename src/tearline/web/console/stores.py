"""The stores of a merchant: the form, closing and opening again. Their list stands on the merchant's page."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.i18n import _
from tearline.merchants import actions, reads
from tearline.merchants.actions import LONGEST_ADDRESS, LONGEST_CODE, LONGEST_NAME
from tearline.merchants.model import AnyRow, Store
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import act, save, show
from tearline.web.ui.forms import BoundForm, Form, Localised, Text
from tearline.web.ui.lists import Column, ListDefinition
from tearline.web.ui.rendering import redirect

STATE_NAMES = {"active": _("Open"), "closed": _("Closed")}

STORES = ListDefinition(
    id_column=Store.id,
    columns=[
        Column("names", _("Store"), kind="localised", sort=Store.code, under="code", under_label=_("Code")),
        Column("district", _("District"), sort=Store.district, is_nullable=True),
        Column("addresses", _("Address"), kind="localised"),
        Column("phone", _("Telephone")),
        Column(
            "state",
            _("State"),
            kind="tag",
            labels=STATE_NAMES,
            tag_kinds={"active": "good"},
            sort=Store.state,
        ),
        Column("actions", "", is_exported=False),
    ],
    default_sort="names",
)

STORE_FORM = Form(
    Localised("names", _("Name"), maximum_length=LONGEST_NAME),
    Text(
        "code",
        _("Code"),
        maximum_length=LONGEST_CODE,
        help=_("Capitals, digits and hyphens, such as K-1; unique within the merchant."),
    ),
    Localised("addresses", _("Address"), is_required=False, maximum_length=LONGEST_ADDRESS),
    Text("district", _("District"), is_required=False, maximum_length=80),
    Text("phone", _("Telephone"), is_required=False, input_type="tel", maximum_length=30),
)


@get("/merchants/{merchant_id:uuid}/stores/new")
async def new_store(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """The empty form."""
    actor.require("merchants.write")
    async with services.database.connection() as connection:
        merchant = await reads.merchant_by_id(connection, actor, merchant_id)
    return _form_page(request, STORE_FORM.blank(), merchant)


@post("/merchants/{merchant_id:uuid}/stores/new")
async def create_store(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Open the store of the form."""
    actor.require("merchants.write")
    async with services.database.connection() as connection:
        merchant = await reads.merchant_by_id(connection, actor, merchant_id)
    form = await STORE_FORM.read(request)
    made = await save(
        services,
        form,
        lambda tx: actions.create_store(tx, actor, merchant_id, **form.values, now=services.now()),
    )
    if made is None:
        return _form_page(request, form, merchant)
    return redirect(request, f"/console/merchants/{merchant_id}", flash=_("The store is open."))


@get("/stores/{store_id:uuid}")
async def edit_store(
    request: AnyRequest, services: GivenServices, actor: GivenActor, store_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is known."""
    actor.require("merchants.write")
    store, merchant = await _store(services, actor, store_id)
    return _form_page(request, STORE_FORM.blank(store._asdict()), merchant, store)


@post("/stores/{store_id:uuid}")
async def update_store(
    request: AnyRequest, services: GivenServices, actor: GivenActor, store_id: FromPath[UUID]
) -> Response[Any]:
    """Change the store as the form says."""
    actor.require("merchants.write")
    store, merchant = await _store(services, actor, store_id)
    form = await STORE_FORM.read(request)

    saved = await save(
        services, form, lambda tx: actions.update_store(tx, actor, store_id, services.now(), **form.values)
    )
    if saved is None:
        return _form_page(request, form, merchant, store)
    return redirect(request, f"/console/merchants/{merchant.id}", flash=_("Saved."))


@post("/stores/{store_id:uuid}/close")
async def close_store(
    request: AnyRequest, services: GivenServices, actor: GivenActor, store_id: FromPath[UUID]
) -> Response[Any]:
    """Nothing is redeemed there any more."""
    store, _merchant = await _store(services, actor, store_id)
    return await act(
        request,
        services,
        f"/console/merchants/{store.merchant_id}",
        lambda tx: actions.close_store(tx, actor, store_id, services.now()),
        _("The store is closed: nothing is redeemed there any more."),
    )


@post("/stores/{store_id:uuid}/reopen")
async def reopen_store(
    request: AnyRequest, services: GivenServices, actor: GivenActor, store_id: FromPath[UUID]
) -> Response[Any]:
    """Open it again."""
    store, _merchant = await _store(services, actor, store_id)
    return await act(
        request,
        services,
        f"/console/merchants/{store.merchant_id}",
        lambda tx: actions.reopen_store(tx, actor, store_id, services.now()),
        _("The store is open again."),
    )


async def _store(services: GivenServices, actor: GivenActor, store_id: UUID) -> tuple[AnyRow, AnyRow]:
    async with services.database.connection() as connection:
        store = await reads.store_by_id(connection, actor, store_id)
        return store, await reads.merchant_by_id(connection, actor, store.merchant_id)


def _form_page(request: AnyRequest, form: BoundForm, merchant: AnyRow, store: Any = None) -> Response[str]:
    return show(
        request, "store_form.html", status_code=form.status_code, form=form, merchant=merchant, store=store
    )


HANDLERS = [new_store, create_store, edit_store, update_store, close_store, reopen_store]
