"""The prizes of a campaign: the form, taking one out of a draft, and raising an inventory."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import and_, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns import actions, reads
from tearline.core import campaigns as core
from tearline.core.refusal import Refusal
from tearline.i18n import _, localised
from tearline.i18n.formats import number
from tearline.offers.model import Offer
from tearline.offers.reads import tickets_query
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import act, save, show, version_in
from tearline.web.ui.forms import BoundForm, Choice, Form, Localised, Number, Rows, Section, Text, read_only
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

INVENTORY_FORM = Form(Number("inventory", _("Inventory"), minimum=1, maximum=10**9))


def prize_form(offers: list[tuple[str, str]], frozen: frozenset[str] = frozenset()) -> Form:
    """The form of one prize; ``frozen`` fields are shown without being taken."""
    fields = [
        Localised("names", _("Name"), maximum_length=120),
        Text(
            "password",
            _("Campaign password"),
            maximum_length=256,
            help=_("Members type it. Letter case, width and outer blanks make no difference."),
        ),
        Number(
            "inventory",
            _("Inventory"),
            minimum=1,
            help=_("How many can be claimed. It can only be raised later."),
        ),
        Number(
            "limit_per_member",
            _("Claims of one member"),
            is_required=False,
            minimum=1,
            help=_("Empty: no limit of its own."),
        ),
    ]
    bundle = Rows(
        "bundle",
        _("Offers that a claim gives"),
        is_required=True,
        minimum_rows=1,
        maximum_rows=core.MAXIMUM_OFFERS_PER_PRIZE,
        fields=[
            Choice("offer", _("Offer"), choices=offers),
            Number("quantity", _("Coupons of it"), minimum=1, maximum=core.MAXIMUM_QUANTITY, default=1),
        ],
        add_label=_("Add another offer"),
    )
    shown = [read_only(field) if field.name in frozen else field for field in (*fields, bundle)]
    return Form(Section(_("The prize"), *shown[:4]), Section(_("The bundle"), shown[4]))


@get("/campaigns/{campaign_id:uuid}/prizes/new")
async def new_prize(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[str]:
    """The empty form."""
    campaign, offers = await _load(request, services, actor, campaign_id)
    return _form_page(request, prize_form(offers).blank(), campaign, None, campaign.version)


@post("/campaigns/{campaign_id:uuid}/prizes/new")
async def add_prize(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Add the prize of the form."""
    campaign, offers = await _load(request, services, actor, campaign_id)
    form = await prize_form(offers).read(request)
    _refuse_twice(form)
    version = version_in(form)
    made = await save(
        services,
        form,
        lambda tx: actions.add_prize(
            tx, actor, campaign_id, _draft(form.values), version=version, now=services.now()
        ),
    )
    if made is None:
        return _form_page(request, form, campaign, None, version)
    return redirect(request, f"/console/campaigns/{campaign_id}#prizes", flash=_("The prize is added."))


@get("/campaigns/{campaign_id:uuid}/prizes/{prize_id:uuid}")
async def edit_prize(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    prize_id: FromPath[UUID],
) -> Response[str]:
    """The form with what is known."""
    campaign, offers = await _load(request, services, actor, campaign_id)
    prize = _pick(campaign, prize_id)
    form = prize_form(offers, _frozen(campaign)).blank(_values(prize))
    return _form_page(request, form, campaign, prize, campaign.version)


@post("/campaigns/{campaign_id:uuid}/prizes/{prize_id:uuid}")
async def update_prize(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    prize_id: FromPath[UUID],
) -> Response[Any]:
    """Change the prize as the form says."""
    campaign, offers = await _load(request, services, actor, campaign_id)
    prize = _pick(campaign, prize_id)
    form = await prize_form(offers, _frozen(campaign)).read(request, shown=_values(prize))
    _refuse_twice(form)
    version = version_in(form)
    saved = await save(
        services,
        form,
        lambda tx: actions.update_prize(
            tx, actor, prize_id, _draft(form.values, prize.draft), version=version, now=services.now()
        ),
    )
    if saved is None:
        return _form_page(request, form, campaign, prize, version)
    return redirect(request, f"/console/campaigns/{campaign_id}#prizes", flash=_("Saved."))


@post("/campaigns/{campaign_id:uuid}/prizes/{prize_id:uuid}/remove")
async def remove_prize(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    prize_id: FromPath[UUID],
) -> Response[Any]:
    """Take the prize out of a draft."""
    return await act(
        request,
        services,
        f"/console/campaigns/{campaign_id}#prizes",
        lambda tx: actions.remove_prize(tx, actor, prize_id, now=services.now()),
        _("The prize is taken out."),
    )


@get("/campaigns/{campaign_id:uuid}/prizes/{prize_id:uuid}/inventory")
async def inventory_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    prize_id: FromPath[UUID],
) -> Response[str]:
    """The form on a page of its own, for browsers without scripts and for a refused one."""
    campaign, _offers = await _load(request, services, actor, campaign_id)
    prize = _pick(campaign, prize_id)
    return _inventory_page(request, INVENTORY_FORM.blank({"inventory": prize.inventory}), campaign, prize)


@post("/campaigns/{campaign_id:uuid}/prizes/{prize_id:uuid}/inventory")
async def raise_inventory(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    campaign_id: FromPath[UUID],
    prize_id: FromPath[UUID],
) -> Response[Any]:
    """Raise the inventory, also while members are claiming."""
    campaign, _offers = await _load(request, services, actor, campaign_id)
    prize = _pick(campaign, prize_id)
    form = await INVENTORY_FORM.read(request)
    raised = await save(
        services,
        form,
        lambda tx: actions.raise_inventory(tx, actor, prize_id, form.values["inventory"], services.now()),
    )
    if raised is None:
        return _inventory_page(request, form, campaign, prize)
    flash, shown = _("The inventory is %(n)s now."), number(raised, language_of(request))
    return redirect(request, f"/console/campaigns/{campaign_id}#prizes", flash=flash, n=shown)


async def _load(
    request: AnyRequest, services: GivenServices, actor: GivenActor, campaign_id: UUID
) -> tuple[reads.CampaignDetail, list[tuple[str, str]]]:
    actor.require("campaigns.write")
    async with services.database.connection() as connection:
        campaign = await reads.campaign(connection, actor, campaign_id)
        return campaign, await _offer_choices(connection, campaign, language_of(request))


async def _offer_choices(
    connection: AsyncConnection, campaign: reads.CampaignDetail, language: str
) -> list[tuple[str, str]]:
    """Offers that the bundle can hold: active ones, drafts while the campaign is one, and those it holds.

    Never a promotion that applies by itself.
    """
    states = ("draft", "active") if campaign.state == "draft" else ("active",)
    held = {part.ticket.offer_id for prize in campaign.prizes for part in prize.bundle}
    is_fit = and_(Offer.state.in_(states), ~Offer.automatic)
    query = tickets_query().where(or_(is_fit, Offer.id.in_(held))).order_by(Offer.code)
    return [
        (str(row.offer_id), f"{row.code} – {localised(row.names, language)}")
        for row in await connection.execute(query)
    ]


def _pick(campaign: reads.CampaignDetail, prize_id: UUID) -> reads.PrizeDetail:
    for prize in campaign.prizes:
        if prize.id == prize_id:
            return prize
    raise Refusal("not_found")


def _frozen(campaign: reads.CampaignDetail) -> frozenset[str]:
    return frozenset(name.removeprefix("prize.") for name in core.PRIZE_FIELDS - campaign.editable)


def _values(prize: reads.PrizeDetail) -> dict[str, Any]:
    return {
        "names": prize.names,
        "password": prize.password,
        "inventory": prize.inventory,
        "limit_per_member": prize.limit_per_member,
        "bundle": [{"offer": part.ticket.offer_id, "quantity": part.quantity} for part in prize.bundle],
    }


def _refuse_twice(form: BoundForm) -> None:
    chosen = [row["offer"] for row in form.values.get("bundle", ())]
    if len(set(chosen)) < len(chosen):
        form.add_error("bundle", _("An offer stands here twice; give it a quantity instead."))


def _draft(values: dict[str, Any], before: core.PrizeDraft | None = None) -> core.PrizeDraft:
    """The draft that the form's values describe; what was not taken stays as it was ``before``."""
    parts = dict(values)
    if "bundle" in parts:
        parts["bundle"] = {UUID(row["offer"]): row["quantity"] for row in parts["bundle"]}
    known = {} if before is None else {name: getattr(before, name) for name in before.__dataclass_fields__}
    return core.PrizeDraft(**{**known, **parts})


def _form_page(
    request: AnyRequest,
    form: BoundForm,
    campaign: reads.CampaignDetail,
    prize: reads.PrizeDetail | None,
    version: int,
) -> Response[str]:
    return show(
        request,
        "prize_form.html",
        status_code=form.status_code,
        form=form,
        campaign=campaign,
        prize=prize,
        version=version,
    )


def _inventory_page(
    request: AnyRequest, form: BoundForm, campaign: reads.CampaignDetail, prize: reads.PrizeDetail
) -> Response[str]:
    return show(
        request,
        "prize_inventory.html",
        status_code=form.status_code,
        form=form,
        campaign=campaign,
        prize=prize,
    )


HANDLERS = [new_prize, add_prize, edit_prize, update_prize, remove_prize, inventory_page, raise_inventory]
