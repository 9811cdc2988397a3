"""The vouchers of a sale: the form, taking one out of a draft, and raising how many may be sold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import and_, or_

from tearline.campaigns import reads as campaigns
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.sales import ITEM_EDITABLE, MAXIMUM_PER_ORDER, SaleItemDraft
from tearline.i18n import _, localised
from tearline.offers.model import Offer
from tearline.offers.reads import Ticket, tickets_query
from tearline.sales import actions, reads
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import act, save, show, version_in
from tearline.web.services import Services
from tearline.web.ui.forms import BoundForm, Choice, Field, Form, Money, Number, Percent, Section, read_only
from tearline.web.ui.page import language_of, settings_of
from tearline.web.ui.rendering import redirect

FIELD_NAMES = {"commission_basis_points": "commission", "offer_id": "offer", "items": ""}
"""Where the draft's names differ from the form's."""
QUANTITY = Number(
    "quantity",
    _("How many may be sold"),
    is_required=False,
    minimum=1,
    help=_("Empty: as many as the partner's pool holds, also after a top-up. It can only be raised later."),
)
QUANTITY_FORM = Form(QUANTITY)


def item_form(offers: list[tuple[str, str]], currency: str, frozen: frozenset[str] = frozenset()) -> Form:
    """The form of one voucher.

    Args:
        offers: those that can be sold: id and words.
        currency: in which the amounts are typed.
        frozen: fields that are shown without being taken.
    """

    def fields(*ours: Field) -> list[Field]:
        return [read_only(one) if one.name in frozen else one for one in ours]

    return Form(
        Section(_("The voucher"), *fields(Choice("offer", _("Offer"), choices=offers))),
        Section(
            _("Price"),
            *fields(
                Money("price", _("Price"), currency=currency, minimum_minor_units=1,
                      help=_("What a member pays for one, in the offer's currency.")),
                Money("face_value", _("Face value"), currency=currency, minimum_minor_units=1,
                      help=_("What it is worth at the merchant.")),
                Percent("commission", _("Commission of the platform"), default=0,
                        help=_("Of the price; the rest is payable to the merchant.")),
            ),
        ),
        Section(
            _("How many"),
            *fields(
                QUANTITY,
                Number("limit_per_order", _("At most in one order"), minimum=1, maximum=MAXIMUM_PER_ORDER, default=5),
                Number("limit_per_member", _("At most for one member"), is_required=False, minimum=1,
                       help=_("Empty: no limit.")),
            ),
        ),
    )  # fmt: skip


@get("/campaigns/{campaign_id:uuid}/items/new")
async def new_item(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The empty form."""
    sale, items = await _load(services, actor, campaign_id)
    offers = await _offers(services, sale, items)
    form = item_form(_choices(request, offers), settings_of(request).currency)
    return _form_page(request, form.blank(), sale, None, sale.version)


@post("/campaigns/{campaign_id:uuid}/items/new")
async def add_item(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Add the voucher of the form."""
    sale, items = await _load(services, actor, campaign_id)
    form = await _read(request, await _offers(services, sale, items))
    version = version_in(form)
    made = await save(
        services,
        form,
        lambda tx: actions.add_item(
            tx, actor, campaign_id, _draft(form.values), version=version, now=services.now()
        ),
        FIELD_NAMES,
    )
    if made is None:
        return _form_page(request, form, sale, None, version)
    return redirect(request, f"/console/campaigns/{campaign_id}#items", flash=_("The voucher is added."))


@get("/campaigns/{campaign_id:uuid}/items/{item_id:uuid}")
async def edit_item(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    item_id: FromPath[UUID],
) -> Response[str]:
    """The form with what is known."""
    sale, items = await _load(services, actor, campaign_id)
    item = _pick(items, item_id)
    offers = await _offers(services, sale, items)
    form = item_form(_choices(request, offers), item.currency, _frozen(sale)).blank(_values(item.draft))
    return _form_page(request, form, sale, item, sale.version)


@post("/campaigns/{campaign_id:uuid}/items/{item_id:uuid}")
async def update_item(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    item_id: FromPath[UUID],
) -> Response[Any]:
    """Change the voucher as the form says."""
    sale, items = await _load(services, actor, campaign_id)
    item = _pick(items, item_id)
    form = await _read(request, await _offers(services, sale, items), item, _frozen(sale))
    version = version_in(form)
    saved = await save(
        services,
        form,
        lambda tx: actions.update_item(
            tx, actor, item_id, _draft(form.values, item.draft), version=version, now=services.now()
        ),
        FIELD_NAMES,
    )
    if saved is None:
        return _form_page(request, form, sale, item, version)
    return redirect(request, f"/console/campaigns/{campaign_id}#items", flash=_("Saved."))


@post("/campaigns/{campaign_id:uuid}/items/{item_id:uuid}/remove")
async def remove_item(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    item_id: FromPath[UUID],
) -> Response[Any]:
    """Take the voucher out of a draft."""
    return await act(
        request,
        services,
        f"/console/campaigns/{campaign_id}#items",
        lambda tx: actions.remove_item(tx, actor, item_id, now=services.now()),
        _("The voucher is taken out."),
    )


@get("/campaigns/{campaign_id:uuid}/items/{item_id:uuid}/quantity")
async def quantity_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    item_id: FromPath[UUID],
) -> Response[str]:
    """The form that raises how many may be sold."""
    sale, items = await _load(services, actor, campaign_id)
    item = _pick(items, item_id)
    return _quantity_page(request, QUANTITY_FORM.blank({"quantity": item.draft.quantity}), sale, item)


@post("/campaigns/{campaign_id:uuid}/items/{item_id:uuid}/quantity")
async def raise_quantity(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    item_id: FromPath[UUID],
) -> Response[Any]:
    """Raise how many may be sold, also while members are buying."""
    sale, items = await _load(services, actor, campaign_id)
    item = _pick(items, item_id)
    form = await QUANTITY_FORM.read(request)
    raised = await save(
        services,
        form,
        lambda tx: actions.raise_quantity(tx, actor, item_id, form.values["quantity"], services.now()),
    )
    if raised is None:
        return _quantity_page(request, form, sale, item)
    return redirect(request, f"/console/campaigns/{campaign_id}#items", flash=_("More can be sold now."))


async def _load(
    services: Services, actor: Actor, campaign_id: UUID
) -> tuple[campaigns.CampaignDetail, list[reads.ItemView]]:
    actor.require("campaigns.write")
    async with services.database.connection() as connection:
        sale = await campaigns.campaign(connection, actor, campaign_id)
        if sale.kind != "sale":
            raise Refusal("not_found")
        return sale, await reads.items_of(connection, campaign_id)


async def _offers(
    services: Services, sale: campaigns.CampaignDetail, items: list[reads.ItemView]
) -> list[Ticket]:
    """Offers that can be sold: active ones, drafts while the sale is one, and those that it sells.

    Never a promotion that applies by itself.
    """
    states = ("draft", "active") if sale.state == "draft" else ("active",)
    held = {item.draft.offer_id for item in items}
    is_fit = and_(Offer.state.in_(states), ~Offer.automatic)
    query = tickets_query().where(or_(is_fit, Offer.id.in_(held))).order_by(Offer.code)
    async with services.database.connection() as connection:
        return [Ticket(**row._mapping) for row in await connection.execute(query)]


def _choices(request: AnyRequest, offers: list[Ticket]) -> list[tuple[str, str]]:
    language = language_of(request)
    return [
        (str(offer.offer_id), f"{offer.code} – {localised(offer.names, language)} ({offer.currency})")
        for offer in offers
    ]


async def _read(
    request: AnyRequest,
    offers: list[Ticket],
    item: reads.ItemView | None = None,
    frozen: frozenset[str] = frozenset(),
) -> BoundForm:
    """The form as it was sent, its amounts in the currency of the offer that it names."""
    currency = settings_of(request).currency if item is None else item.currency
    shown = None if item is None else _values(item.draft)
    choices = _choices(request, offers)
    form = await item_form(choices, currency, frozen).read(request, shown=shown)
    for offer in offers:
        if str(offer.offer_id) == form.values.get("offer") and offer.currency != currency:
            return item_form(choices, offer.currency, frozen).parse(form.inputs.texts, shown=shown)
    return form


def _pick(items: list[reads.ItemView], item_id: UUID) -> reads.ItemView:
    for item in items:
        if item.id == item_id:
            return item
    raise Refusal("not_found")


def _frozen(sale: campaigns.CampaignDetail) -> frozenset[str]:
    fields = frozenset(SaleItemDraft.__dataclass_fields__) - ITEM_EDITABLE[sale.state]
    return frozenset(FIELD_NAMES.get(name, name) for name in fields)


def _values(draft: SaleItemDraft) -> dict[str, Any]:
    known = {FIELD_NAMES.get(name, name): getattr(draft, name) for name in draft.__dataclass_fields__}
    return {**known, "offer": str(draft.offer_id)}


def _draft(values: dict[str, Any], before: SaleItemDraft | None = None) -> SaleItemDraft:
    """The draft that the form's values describe; what was not taken stays as it was ``before``."""
    own_names = {shown: name for name, shown in FIELD_NAMES.items() if shown}
    parts = {own_names.get(name, name): value for name, value in values.items()}
    if "offer_id" in parts:
        parts["offer_id"] = UUID(parts["offer_id"])
    known = {} if before is None else {name: getattr(before, name) for name in before.__dataclass_fields__}
    return SaleItemDraft(**{**known, **parts})


def _form_page(
    request: AnyRequest,
    form: BoundForm,
    sale: campaigns.CampaignDetail,
    item: reads.ItemView | None,
    version: int,
) -> Response[str]:
    return show(
        request,
        "sale_item_form.html",
        status_code=form.status_code,
        form=form,
        sale=sale,
        item=item,
        version=version,
    )


def _quantity_page(
    request: AnyRequest, form: BoundForm, sale: campaigns.CampaignDetail, item: reads.ItemView
) -> Response[str]:
    return show(
        request, "sale_item_quantity.html", status_code=form.status_code, form=form, sale=sale, item=item
    )


HANDLERS = [new_item, add_item, edit_item, update_item, remove_item, quantity_page, raise_quantity]
