"""Staff of the operator and of merchants: their lists, and the form that makes an account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import MERCHANT_ROLES, OPERATOR_ROLES
from tearline.i18n import _, localised
from tearline.merchants import reads, staff
from tearline.merchants.model import AnyRow, Staff
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import LANGUAGE_CHOICES, ROLE_NAMES, save, show, uuid_or_none
from tearline.web.ui.forms import BoundForm, Choice, Field, Form, Secret, Text
from tearline.web.ui.lists import ChoiceFilter, Column, ListDefinition, TextFilter
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

STATE_NAMES = {"active": _("Active"), "disabled": _("Disabled")}
STATE_KINDS = {"active": "good", "disabled": "bad"}
ROLE_HELP = {
    "owner": _("Everything, with staff and keys."),
    "editor": _("Merchants, offers and campaigns; sees members."),
    "finance": _("Sees offers, campaigns, figures and redemptions."),
    "auditor": _("Sees everything with the audit log; changes nothing."),
    "manager": _("The counter, the merchant's offers and redemptions."),
    "cashier": _("The counter alone."),
}

STAFF = ListDefinition(
    id_column=Staff.id,
    columns=[
        Column(
            "name",
            _("Full name"),
            sort=Staff.name,
            href="/console/staff/{id}",
            under="email",
            under_label=_("E-mail address"),
        ),
        Column("role", _("Role"), kind="tag", labels=ROLE_NAMES, sort=Staff.role),
        Column("state", _("State"), kind="tag", labels=STATE_NAMES, tag_kinds=STATE_KINDS, sort=Staff.state),
        Column("has_totp", _("Second factor"), kind="yes_no"),
        Column("created_at", _("Since"), kind="date", sort=Staff.created_at),
    ],
    filters=[
        TextFilter("q", _("Name or e-mail"), [Staff.name, Staff.email]),
        ChoiceFilter("state", _("State"), list(STATE_NAMES.items()), Staff.state),
    ],
    default_sort="name",
)


def role_field(merchant_id: UUID | None) -> Choice:
    """The roles of one side, each with what it may do."""
    roles = OPERATOR_ROLES if merchant_id is None else MERCHANT_ROLES
    return Choice("role", _("Role"), choices=[(role, ROLE_NAMES[role]) for role in roles], is_open=True)


def store_field(stores: list[AnyRow], language: str) -> Choice:
    """Where someone works; nobody's store lets them choose at sign-in."""
    return Choice(
        "store_id",
        _("Store"),
        is_required=False,
        choices=[(str(store.id), localised(store.names, language)) for store in stores],
        help=_("Leave it empty for someone who works at several: the store is chosen at sign-in."),
    )


async def details(connection: AsyncConnection, merchant_id: UUID | None, language: str) -> list[Field]:
    """The fields that can be changed later: name, role, store, language."""
    fields: list[Field] = [Text("name", _("Full name"), maximum_length=100), role_field(merchant_id)]
    if merchant_id is not None:
        fields.append(store_field(await reads.open_stores(connection, merchant_id), language))
    fields.append(Choice("language", _("Language"), choices=LANGUAGE_CHOICES, default="en"))
    return fields


def with_store(values: dict[str, Any]) -> dict[str, Any]:
    """The form's values as the actions want them."""
    return {**values, "store_id": uuid_or_none(values["store_id"])} if "store_id" in values else values


@get("/staff")
async def list_staff(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The operator's own staff."""
    statement = staff.staff_list(actor).where(Staff.merchant_id.is_(None))
    async with services.database.connection() as connection:
        listing = await STAFF.page(request, statement, connection, export_path="/console/staff/export")
    return show(request, "staff.html", listing=listing, merchant=None)


@get("/staff/export")
async def export_staff(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = staff.staff_list(actor).where(Staff.merchant_id.is_(None))
    file_format = request.query_params.get("format", "csv")
    return STAFF.export(request, statement, services.database.engine.connect, file_format, file_name="staff")


@get("/merchants/{merchant_id:uuid}/staff")
async def list_merchant_staff(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """A merchant's staff."""
    statement = staff.staff_list(actor).where(Staff.merchant_id == merchant_id)
    async with services.database.connection() as connection:
        merchant = await reads.merchant_by_id(connection, actor, merchant_id)
        listing = await STAFF.page(request, statement, connection)
    return show(request, "staff.html", listing=listing, merchant=merchant)


@get("/staff/new")
async def new_staff(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form for one of the operator's staff."""
    return await _new(request, services, actor, None)


@post("/staff/new")
async def create_staff(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the account of the form."""
    return await _create(request, services, actor, None)


@get("/merchants/{merchant_id:uuid}/staff/new")
async def new_merchant_staff(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[str]:
    """The empty form for one of a merchant's staff."""
    return await _new(request, services, actor, merchant_id)


@post("/merchants/{merchant_id:uuid}/staff/new")
async def create_merchant_staff(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Make the account of the form."""
    return await _create(request, services, actor, merchant_id)


async def _form(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: UUID | None
) -> tuple[Form, AnyRow | None]:
    actor.require("staff.manage")
    async with services.database.connection() as connection:
        merchant = None if merchant_id is None else await reads.merchant_by_id(connection, actor, merchant_id)
        fields = await details(connection, merchant_id, language_of(request))
    form = Form(
        Text(
            "email", _("E-mail address"), input_type="email", maximum_length=254, help=_("Signs in with it.")
        ),
        Secret(
            "password",
            _("First password"),
            autocomplete="new-password",
            help=_("At least 10 characters. Hand it over in person; it can be changed after sign-in."),
        ),
        *fields,
    )
    return form, merchant


async def _new(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: UUID | None
) -> Response[str]:
    form, merchant = await _form(request, services, actor, merchant_id)
    return _form_page(request, form.blank(), merchant)


async def _create(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: UUID | None
) -> Response[Any]:
    plain, merchant = await _form(request, services, actor, merchant_id)
    form = await plain.read(request)
    made = await save(
        services,
        form,
        lambda tx: staff.create_staff(
            tx, actor, **with_store(form.values), merchant_id=merchant_id, now=services.now()
        ),
    )
    if made is None:
        return _form_page(request, form, merchant)
    return redirect(request, f"/console/staff/{made}", flash=_("The account is there."))


def _form_page(request: AnyRequest, form: BoundForm, merchant: AnyRow | None) -> Response[str]:
    return show(
        request,
        "staff_form.html",
        status_code=form.status_code,
        form=form,
        merchant=merchant,
        role_help=ROLE_HELP,
        roles=OPERATOR_ROLES if merchant is None else MERCHANT_ROLES,
    )


HANDLERS = [
    list_staff,
    export_staff,
    new_staff,
    create_staff,
    list_merchant_staff,
    new_merchant_staff,
    create_merchant_staff,
]
