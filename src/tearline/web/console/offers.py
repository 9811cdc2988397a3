"""The coupon library: its list, an offer's page, its form with a preview, activating and archiving."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.reads import campaigns_with_offer
from tearline.catalogue.reads import unknown_keys
from tearline.core import offers as core
from tearline.core.pools import can_have_pool
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.i18n import _, localised
from tearline.merchants.model import Merchant, Store
from tearline.merchants.reads import merchant_by_id
from tearline.offers import actions, reads
from tearline.offers.model import Offer
from tearline.pools.reads import pool_of_offer
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.offer_form import (
    BENEFIT_NAMES,
    ISSUER_NAMES,
    REFUSED_NAMES,
    WAY_NAMES,
    OfferPlace,
    offer_form,
)
from tearline.web.console.offer_values import PREVIEW_VALUES, draft_from, values_of
from tearline.web.console.support import (
    act,
    merchant_choices,
    save,
    show,
    uuid_or_none,
    version_in,
)
from tearline.web.console.tickets import OfferFace, face_of, face_of_draft
from tearline.web.ui.assets import picture_url
from tearline.web.ui.forms import BoundForm, Form
from tearline.web.ui.lists import ChoiceFilter, Column, ListDefinition, TextFilter, localised_columns
from tearline.web.ui.page import language_of, settings_of
from tearline.web.ui.rendering import redirect

STATE_NAMES = {"draft": _("Draft"), "active": _("Active"), "archived": _("Archived")}
STATE_KINDS = {"active": "good", "archived": "bad"}
_ISSUED_HELP = _("Coupons have been issued, so what their holders were promised can no longer be changed.")
_REACH_NAMES = {"given": _("Given out as coupons"), "automatic": _("Applies by itself")}
_ACTIVATED = (
    _("The offer is active: campaigns can give it out."),
    _("The offer is active: it applies to every online cart that fits."),
)
OWNER_STAYS = _("Coupons have been issued, so the offer stays whose it is.")
_FROZEN_ONCE_ISSUED = frozenset(core.OfferDraft.__dataclass_fields__) - core.EDITABLE_ONCE_ISSUED


def _definition(merchants: list[tuple[str, str]]) -> ListDefinition:
    owners = {value: Offer.merchant_id == UUID(value) for value, _name in merchants}
    return ListDefinition(
        id_column=Offer.id,
        columns=[
            Column("names", _("Offer"), kind="localised", sort=Offer.code, under="code", under_label=_("Code"),
                   href="/console/offers/{offer_id}"),
            Column("merchant_names", _("Merchant"), kind="localised", sort=Merchant.code, is_nullable=True),
            Column("benefit_kind", _("Benefit"), kind="tag", labels=BENEFIT_NAMES, sort=Offer.benefit_kind),
            Column("state", _("State"), kind="tag", labels=STATE_NAMES, tag_kinds=STATE_KINDS, sort=Offer.state),
            Column("issued", _("Issued"), kind="number", sort=Offer.issued),
            Column("issue_limit", _("Issue limit"), kind="number", sort=Offer.issue_limit, is_nullable=True),
            Column("updated_at", _("Changed"), kind="date", sort=Offer.updated_at),
        ],
        filters=[
            TextFilter("q", _("Name or code"), [Offer.code, *localised_columns(Offer.names)]),
            ChoiceFilter(
                "merchant",
                _("Merchant"),
                [("platform", _("The platform")), *merchants],
                conditions={"platform": Offer.merchant_id.is_(None), **owners},
            ),
            ChoiceFilter("kind", _("Benefit"), list(BENEFIT_NAMES.items()), Offer.benefit_kind),
            ChoiceFilter("state", _("State"), list(STATE_NAMES.items()), Offer.state),
            ChoiceFilter("reach", _("Reach"), list(_REACH_NAMES.items()), conditions={
                "given": ~Offer.automatic, "automatic": Offer.automatic.is_(True)}),
        ],
        default_sort="-updated_at",
    )  # fmt: skip


@get("/offers")
async def list_offers(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The library."""
    statement, language = reads.offers_list(actor), language_of(request)
    async with services.database.connection() as connection:
        definition = _definition(await merchant_choices(connection, language))
        listing = await definition.page(request, statement, connection, export_path="/console/offers/export")
    faces = {row.offer_id: face_of(row, language) for row in listing.rows}
    return show(request, "offers.html", listing=listing, faces=faces)


@get("/offers/export")
async def export_offers(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = reads.offers_list(actor)
    async with services.database.connection() as connection:
        definition = _definition(await merchant_choices(connection, language_of(request)))
    file_format = request.query_params.get("format", "csv")
    return definition.export(
        request, statement, services.database.engine.connect, file_format, file_name="offers"
    )


@get("/offers/new")
async def new_offer(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """First whose offer it is, since that says which stores and merchants there are to choose from; then the form."""
    actor.require("offers.write")
    language = language_of(request)
    async with services.database.connection() as connection:
        if "merchant" not in request.query_params:
            merchants = await merchant_choices(connection, language)
            return show(request, "offer_owner.html", merchants=merchants, offer=None)
        place = await _asked_place(connection, request, actor)
    settings = settings_of(request)
    form = offer_form(place, language, currency=settings.currency, time_zone=settings.time_zone)
    return await _form_page(request, services, form.blank(), place)


@post("/offers/new")
async def create_offer(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Put the offer of the form into the library, as a draft."""
    actor.require("offers.write")
    async with services.database.connection() as connection:
        place = await _asked_place(connection, request, actor)
    form = await offer_form(place, language_of(request)).read(request)
    made = await save(
        services,
        form,
        lambda tx: actions.create_offer(
            tx, actor, draft_from(form.values, place.merchant_id), services.now()
        ),
        names=REFUSED_NAMES,
    )
    if made is None:
        return await _form_page(request, services, form, place)
    return redirect(request, f"/console/offers/{made}", flash=_("The offer is in the library, as a draft."))


@post("/offers/preview")
async def preview(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The ticket of what stands in the form at the moment, as far as it can be told."""
    actor.require("offers.write")
    async with services.database.connection() as connection:
        if offer_id := uuid_or_none(request.query_params.get("offer")):
            row = await reads.offer_row(connection, actor, offer_id)
            place = await _place(connection, request, actor, _wanted_merchant(request, row))
            plain, before = _form_of(row, place, language_of(request)), reads.draft_of(row)
            form = await plain.read(request, shown=values_of(before))
        else:
            place, before = await _asked_place(connection, request, actor), None
            form = await offer_form(place, language_of(request)).read(request)
    return show(
        request,
        "offer_preview.html",
        drawn=await _preview_face(request, services, form, place, before),
        strangers=await _strangers(services, form.values),
    )


@get("/offers/{offer_id:uuid}")
async def show_offer(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[str]:
    """An offer in words, with what gives it out."""
    language = language_of(request)
    async with services.database.connection() as connection:
        row = await reads.offer_row(connection, actor, offer_id)
        ticket = (await reads.tickets(connection, [offer_id]))[offer_id]
        merchant_names, store_names = await reads.where_names(connection, ticket)
        campaigns = await campaigns_with_offer(connection, offer_id)
        may_see_codes = "codes.read" in actor.permissions
        pool = await pool_of_offer(connection, actor, offer_id) if may_see_codes else None
        deeds = await trail(connection, actor, [str(offer_id)])
    face = face_of(ticket, language, merchant_names=merchant_names, store_names=store_names)
    return show(
        request,
        "offer.html",
        offer=row,
        drawn=face,
        campaigns=campaigns,
        pool=pool,
        can_have_pool=can_have_pool(row.merchant_id, row.issued, row.state, is_automatic=row.automatic),
        deeds=deeds,
        live=[campaign for campaign in campaigns if campaign.state in ("live", "paused")],
        state_names=STATE_NAMES,
        state_kinds=STATE_KINDS,
        issuer_names=ISSUER_NAMES,
        way_names=WAY_NAMES,
        benefit_names=BENEFIT_NAMES,
        picture=picture_url(row.image),
        **words(),
    )


@get("/offers/{offer_id:uuid}/owner")
async def choose_owner(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[Any]:
    """Whose offer it is to become, while no coupon of it is out; then the form with that merchant's stores."""
    row, _present = await _editable(request, services, actor, offer_id)
    if row.issued > 0:
        return redirect(request, f"/console/offers/{offer_id}/edit", flash=OWNER_STAYS, kind="warn")
    async with services.database.connection() as connection:
        merchants = await merchant_choices(connection, language_of(request))
    return show(request, "offer_owner.html", merchants=merchants, offer=row)


@get("/offers/{offer_id:uuid}/edit")
async def edit_offer(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is known; what can no longer be changed is shown, but not taken."""
    row, place = await _editable(request, services, actor, offer_id)
    form = _form_of(row, place, language_of(request)).blank(values_of(reads.draft_of(row)))
    return await _form_page(request, services, form, place, row)


@post("/offers/{offer_id:uuid}/edit")
async def update_offer(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[Any]:
    """Change the offer as the form says."""
    row, place = await _editable(request, services, actor, offer_id)
    before = reads.draft_of(row)
    form = await _form_of(row, place, language_of(request)).read(request, shown=values_of(before))
    version = version_in(form)
    saved = await save(
        services,
        form,
        lambda tx: actions.update_offer(
            tx, actor, offer_id, draft_from(form.values, place.merchant_id, before), version=version,
            now=services.now(),
        ),
        names=REFUSED_NAMES,
    )  # fmt: skip
    if saved is None:
        return await _form_page(request, services, form, place, row, version=version)
    return redirect(request, f"/console/offers/{offer_id}", flash=_("Saved."))


@post("/offers/{offer_id:uuid}/activate")
async def activate_offer(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[Any]:
    """Make a draft ready to be given out, or to apply by itself."""
    async with services.database.connection() as connection:
        row = await reads.offer_row(connection, actor, offer_id)
    given, applied = _ACTIVATED
    return await act(
        request,
        services,
        f"/console/offers/{offer_id}",
        lambda tx: actions.activate_offer(tx, actor, offer_id, now=services.now()),
        applied if row.automatic else given,
    )


@post("/offers/{offer_id:uuid}/archive")
async def archive_offer(
    request: AnyRequest, services: GivenServices, actor: GivenActor, offer_id: FromPath[UUID]
) -> Response[Any]:
    """Take an offer out of use for good."""
    return await act(
        request,
        services,
        f"/console/offers/{offer_id}",
        lambda tx: actions.archive_offer(tx, actor, offer_id, now=services.now()),
        _("The offer is archived. Coupons that members hold stay good."),
    )


async def _editable(
    request: AnyRequest, services: GivenServices, actor: Actor, offer_id: UUID
) -> tuple[Any, OfferPlace]:
    actor.require("offers.write")
    async with services.database.connection() as connection:
        row = await reads.offer_row(connection, actor, offer_id)
        if row.state == "archived":
            raise Refusal("not_editable")
        return row, await _place(connection, request, actor, _wanted_merchant(request, row))


def _wanted_merchant(request: AnyRequest, row: Any) -> UUID | None:
    """Whose offer it is to become, by the address; once coupons are out it stays whose it is."""
    if "merchant" not in request.query_params or row.issued > 0:
        merchant_id: UUID | None = row.merchant_id
        return merchant_id
    return uuid_or_none(request.query_params["merchant"])


def _form_of(row: Any, place: OfferPlace, language: str) -> Form:
    frozen: frozenset[str] = frozenset()
    if row.issued > 0:
        # Holdings are counted only for offers that had a limit from the first coupon on.
        frozen = _FROZEN_ONCE_ISSUED | ({"limit_per_member"} if row.limit_per_member is None else frozenset())
    return offer_form(
        place, language, image=row.image, currency=row.currency, time_zone=row.time_zone, frozen=frozen
    )


async def _asked_place(connection: AsyncConnection, request: AnyRequest, actor: Actor) -> OfferPlace:
    return await _place(connection, request, actor, uuid_or_none(request.query_params.get("merchant")))


async def _place(
    connection: AsyncConnection, request: AnyRequest, actor: Actor, merchant_id: UUID | None
) -> OfferPlace:
    """Whose offer it is, with the stores and merchants to choose from."""
    language = language_of(request)
    stores = select(Store.id, Store.names, Merchant.names.label("merchant_names")).join(
        Merchant, Merchant.id == Store.merchant_id
    )
    if merchant_id is not None:
        await merchant_by_id(connection, actor, merchant_id)
        stores = stores.where(Store.merchant_id == merchant_id)
    rows = (await connection.execute(stores.order_by(Merchant.code, Store.code))).all()
    choices = []
    for row in rows:
        name = localised(row.names, language)
        owner = "" if merchant_id is not None else f"{localised(row.merchant_names, language)} – "
        choices.append((str(row.id), owner + name))
    merchants = [] if merchant_id is not None else await merchant_choices(connection, language)
    return OfferPlace(merchant_id, merchants, choices)


async def _form_page(
    request: AnyRequest,
    services: GivenServices,
    form: BoundForm,
    place: OfferPlace,
    row: Any = None,
    *,
    version: int | None = None,
) -> Response[str]:
    before = None if row is None else reads.draft_of(row)
    face = await _preview_face(request, services, form, place, before)
    owner = f"merchant={place.merchant_id or ''}"
    is_moving = row is not None and row.merchant_id != place.merchant_id
    query = f"?{owner}" if row is None else f"?offer={row.id}&{owner}"
    return show(
        request,
        "offer_form.html",
        status_code=form.status_code,
        form=form,
        offer=row,
        drawn=face,
        strangers=await _strangers(
            services, form.values if form.is_posted or before is None else values_of(before)
        ),
        version=version if version is not None else (row.version if row is not None else 0),
        preview_path=f"/console/offers/preview{query}",
        owner_names=await _owner_names(services, place),
        owner_stays=OWNER_STAYS,
        is_moving=is_moving,
        action=f"/console/offers/{row.id}/edit{f'?{owner}' if is_moving else ''}"
        if row is not None
        else f"/console/offers/new{query}",
        cancel_href=f"/console/offers/{row.id}" if row is not None else "/console/offers",
        frozen_help=_ISSUED_HELP if row is not None and row.issued > 0 else "",
    )


async def _strangers(services: GivenServices, values: dict[str, Any]) -> list[str]:
    """The keys that the form names and the catalogue does not know, at least not yet."""

    def named(kind: str) -> list[str]:
        lists = (values.get(f"scope.{side}.{kind}") or () for side in ("includes", "excludes"))
        return [key for keys in lists for key in keys]

    product = (values.get("benefit") or {}).get("product")
    async with services.database.connection() as connection:
        unknown = await unknown_keys(
            connection,
            products=named("products") + ([product] if product else []),
            categories=named("categories"),
            brands=named("brands"),
        )
    return [*unknown.products, *unknown.categories, *unknown.brands]


async def _owner_names(services: GivenServices, place: OfferPlace) -> dict[str, str] | None:
    """The merchant's names; None for the platform."""
    async with services.database.connection() as connection:
        query = select(Merchant.names).where(Merchant.id == place.merchant_id)
        names: dict[str, str] | None = await connection.scalar(query)
    return names


async def _preview_face(
    request: AnyRequest,
    services: GivenServices,
    form: BoundForm,
    place: OfferPlace,
    before: core.OfferDraft | None,
) -> OfferFace | None:
    """The ticket of the form's content; None while too little of it can be read."""
    values = form.values
    if not form.is_posted:
        # A form that was never sent holds its texts only; read them as if it were.
        shown = values_of(before) if before is not None else None
        values = form.form.parse(form.inputs.texts, shown=shown).values
    try:
        draft = draft_from(
            {**PREVIEW_VALUES, **values} if before is None else values, place.merchant_id, before
        )
    except (TypeError, KeyError):
        return None
    async with services.database.connection() as connection:
        owner = None
        if place.merchant_id is not None:
            query = select(Merchant.names, Merchant.edge).where(Merchant.id == place.merchant_id)
            owner = (await connection.execute(query)).one_or_none()
    return face_of_draft(draft, owner, language_of(request))


HANDLERS = [
    list_offers,
    export_offers,
    new_offer,
    create_offer,
    preview,
    show_offer,
    choose_owner,
    edit_offer,
    update_offer,
    activate_offer,
    archive_offer,
]
