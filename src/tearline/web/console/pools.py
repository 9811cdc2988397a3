"""Pools of partners' codes: their list, and the form that gives an offer one and changes it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.pools import SYMBOLOGIES, can_have_pool
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.merchants.model import Merchant
from tearline.offers import reads as offers
from tearline.pools import actions, reads
from tearline.pools.model import CodePool
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.code_pools import SYMBOLOGY_NAMES, count_columns, offer_column, offer_filter, stock_filter
from tearline.web.console.support import FACE, merchant_choices, save, show, version_in
from tearline.web.ui.forms import BoundForm, Choice, Form, Number
from tearline.web.ui.lists import ChoiceFilter, Column, ListDefinition
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

POOL_FORM = Form(
    Choice(
        "symbology",
        _("How the partner reads a code"),
        choices=[(name, SYMBOLOGY_NAMES[name]) for name in SYMBOLOGIES],
        default="text",
        is_open=True,
        help=_("Members see the code as text in any case, and as a picture for this kind of scanner."),
    ),
    Number(
        "low_stock",
        _("Warn below"),
        is_required=False,
        minimum=1,
        maximum=10**9,
        unit=_("codes"),
        help=_("Staff are warned when fewer are left. Empty: never."),
    ),
)


def _definition(merchants: list[tuple[str, str]]) -> ListDefinition:
    owners = {value: CodePool.merchant_id == UUID(value) for value, _name in merchants}
    return ListDefinition(
        id_column=CodePool.id,
        columns=[
            offer_column(FACE),
            Column("merchant_names", _("Merchant"), kind="localised", sort=Merchant.code),
            *count_columns(),
        ],
        filters=[
            offer_filter(),
            ChoiceFilter("merchant", _("Merchant"), merchants, conditions=owners),
            stock_filter(),
        ],
        default_sort="-updated_at",
    )


@get("/pools")
async def list_pools(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every pool."""
    async with services.database.connection() as connection:
        definition = _definition(await merchant_choices(connection, language_of(request)))
        statement = reads.pools(actor)
        listing = await definition.page(request, statement, connection, export_path="/console/pools/export")
    return show(request, "pools.html", listing=listing)


@get("/pools/export")
async def export_pools(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = reads.pools(actor)
    async with services.database.connection() as connection:
        definition = _definition(await merchant_choices(connection, language_of(request)))
    file_format = request.query_params.get("format", "csv")
    return definition.export(
        request, statement, services.database.engine.connect, file_format, file_name="code-pools"
    )


@get("/offers/{offer_id:uuid}/pool")
async def new_pool(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[Any]:
    """The empty form; when the offer has a pool already, that pool's page."""
    async with services.database.connection() as connection:
        present = await reads.pool_of_offer(connection, actor, offer_id)
        if present is not None:
            return redirect(request, f"/console/pools/{present.id}")
        offer = await _offer_without_coupons(connection, actor, offer_id)
    return _form_page(request, POOL_FORM.blank(), offer=offer)


@post("/offers/{offer_id:uuid}/pool")
async def create_pool(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[Any]:
    """Give the offer a pool."""
    async with services.database.connection() as connection:
        offer = await _offer_without_coupons(connection, actor, offer_id)
    form = await POOL_FORM.read(request)
    made = await save(
        services,
        form,
        lambda tx: actions.create_pool(tx, actor, offer_id, **form.values, now=services.now()),
    )
    if made is None:
        return _form_page(request, form, offer=offer)
    return redirect(request, f"/console/pools/{made}", flash=_("The pool is there. Upload its codes next."))


@get("/pools/{pool_id:uuid}/edit")
async def edit_pool(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is known."""
    actor.require("codes.write")
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
    form = POOL_FORM.blank({"symbology": pool.symbology, "low_stock": pool.low_stock})
    return _form_page(request, form, pool=pool, version=pool.version)


@post("/pools/{pool_id:uuid}/edit")
async def update_pool(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[Any]:
    """Change the pool as the form says."""
    actor.require("codes.write")
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
    form = await POOL_FORM.read(request)
    version = version_in(form)
    saved = await save(
        services,
        form,
        lambda tx: actions.update_pool(
            tx, actor, pool_id, **form.values, version=version, now=services.now()
        ),
    )
    if saved is None:
        return _form_page(request, form, pool=pool, version=version)
    return redirect(request, f"/console/pools/{pool_id}", flash=_("Saved."))


async def _offer_without_coupons(connection: AsyncConnection, actor: GivenActor, offer_id: UUID) -> Row[Any]:
    actor.require("codes.write")
    offer = await offers.offer_row(connection, actor, offer_id)
    if not can_have_pool(offer.merchant_id, offer.issued, offer.state, is_automatic=offer.automatic):
        raise Refusal("not_editable")
    return offer


def _form_page(
    request: AnyRequest,
    form: BoundForm,
    *,
    offer: Row[Any] | None = None,
    pool: reads.PoolView | None = None,
    version: int = 0,
) -> Response[str]:
    return show(
        request,
        "pool_form.html",
        status_code=form.status_code,
        form=form,
        offer=offer,
        pool=pool,
        version=version,
    )


HANDLERS = [list_pools, export_pools, new_pool, create_pool, edit_pool, update_pool]
