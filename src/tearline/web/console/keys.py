"""API keys: their list, making one (it's shown once), and revoking."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.core.roles import KEY_SCOPES
from tearline.i18n import _
from tearline.merchants import keys
from tearline.merchants.model import ApiKey, Merchant
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import act, merchant_choices, save, show, uuid_or_none
from tearline.web.ui.forms import BoundForm, Choice, Choices, Form, Text, Variant
from tearline.web.ui.lists import ChoiceFilter, Column, ListDefinition, TextFilter
from tearline.web.ui.page import language_of

SCOPE_NAMES = {
    "merchants.read": _("See merchants and stores"),
    "merchants.write": _("Change merchants and stores"),
    "offers.read": _("See the coupon library"),
    "offers.write": _("Change the coupon library"),
    "campaigns.read": _("See campaigns"),
    "campaigns.write": _("Change campaigns"),
    "rooms.read": _("See waiting rooms"),
    "rooms.write": _("Run waiting rooms"),
    "members.read": _("See members"),
    "members.write": _("Change members"),
    "figures.read": _("See figures"),
    "redemptions.read": _("See redemptions"),
    "audit.read": _("See the audit log"),
    "codes.read": _("See partners' codes"),
    "codes.write": _("Change partners' codes"),
    "sales.read": _("See sales and their orders"),
    "catalogue.read": _("See the catalogue"),
    "catalogue.write": _("Change the catalogue"),
    "checkout": _("Price carts and take their orders"),
    "orders.read": _("See orders of carts"),
    "orders.refund": _("Refund orders of carts"),
    "settlement.read": _("See the settlement"),
    "settlement.write": _("Adjust the settlement"),
    "coupons.void": _("Cancel coupons"),
    "redeem": _("Redeem coupons"),
    "reverse": _("Undo redemptions"),
}

KEYS = ListDefinition(
    id_column=ApiKey.id,
    columns=[
        Column("name", _("Name"), sort=ApiKey.name, under="prefix", under_label=_("Beginning")),
        Column("merchant_names", _("Merchant"), kind="localised", sort=Merchant.code, is_nullable=True),
        Column("scopes", _("Permissions")),
        Column("last_used_at", _("Last used"), kind="date_time", sort=ApiKey.last_used_at, is_nullable=True),
        Column("created_at", _("Since"), kind="date", sort=ApiKey.created_at),
        Column("revoked_at", _("Revoked"), kind="date", sort=ApiKey.revoked_at, is_nullable=True),
        Column("actions", "", is_exported=False),
    ],
    filters=[
        TextFilter("q", _("Name or beginning"), [ApiKey.name, ApiKey.prefix]),
        ChoiceFilter(
            "state",
            _("State"),
            [("active", _("In use")), ("revoked", _("Revoked"))],
            conditions={"active": ApiKey.revoked_at.is_(None), "revoked": ApiKey.revoked_at.is_not(None)},
        ),
    ],
    default_sort="-created_at",
)


@get("/keys")
async def list_keys(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every key, without what it is."""
    async with services.database.connection() as connection:
        listing = await KEYS.page(request, keys.key_list(actor), connection)
    return show(request, "keys.html", listing=listing, scope_names=SCOPE_NAMES)


@get("/keys/new")
async def new_key(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form."""
    form = await _form(request, services, actor)
    return _form_page(request, form.blank())


@post("/keys/new")
async def create_key(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the key and show it, this once."""
    form = await (await _form(request, services, actor)).read(request)
    owner = form.values.get("owner") or {}
    made = await save(
        services,
        form,
        lambda tx: keys.create_key(
            tx,
            actor,
            name=form.values["name"],
            scopes=owner["scopes"],
            merchant_id=uuid_or_none(owner.get("merchant_id")),
            now=services.now(),
        ),
        names=lambda path: f"owner.{path}" if path in ("scopes", "merchant_id") else path,
    )
    if made is None:
        return _form_page(request, form)
    # Not a redirect: the key would have to be kept somewhere to be shown after one.
    return show(request, "key_made.html", key=made.key, name=form.values["name"])


@post("/keys/{key_id:uuid}/revoke")
async def revoke_key(
    request: AnyRequest, services: GivenServices, actor: GivenActor, key_id: FromPath[UUID]
) -> Response[Any]:
    """End a key for good."""
    return await act(
        request,
        services,
        "/console/keys",
        lambda tx: keys.revoke_key(tx, actor, key_id, services.now()),
        _("The key is revoked; within seconds it opens nothing any more."),
    )


async def _form(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Form:
    actor.require("keys.manage")
    async with services.database.connection() as connection:
        merchants = await merchant_choices(connection, language_of(request))
    operator, merchant = ([(scope, SCOPE_NAMES[scope]) for scope in SCOPE_NAMES if scope in KEY_SCOPES[side]]
                          for side in ("operator", "merchant"))  # fmt: skip
    return Form(
        Text(
            "name",
            _("Name"),
            maximum_length=100,
            help=_("Which system will use it, such as 'Till, Central'."),
        ),
        Variant(
            "owner",
            _("Whose key it is"),
            kinds=[
                ("operator", _("The operator's"), [Choices("scopes", _("What it may do"), choices=operator)]),
                (
                    "merchant",
                    _("A merchant's"),
                    [
                        Choice("merchant_id", _("Merchant"), choices=merchants),
                        Choices("scopes", _("What it may do"), choices=merchant),
                    ],
                ),
            ],
        ),
    )


def _form_page(request: AnyRequest, form: BoundForm) -> Response[str]:
    return show(request, "key_form.html", status_code=form.status_code, form=form)


HANDLERS = [list_keys, new_key, create_key, revoke_key]
