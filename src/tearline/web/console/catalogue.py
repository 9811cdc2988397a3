"""The catalogue: the list of products, and the form of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue import actions, reads
from tearline.catalogue.model import Brand, Category, Counts, Product, ProductItem
from tearline.core.catalogue import LONGEST_KEY, LONGEST_NAME
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.i18n import _, localised
from tearline.merchants.model import Merchant
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import CURRENCIES, merchant_choices, picture_field, save, show
from tearline.web.services import Services
from tearline.web.ui.forms import (
    BoundForm,
    Checkbox,
    Choice,
    Form,
    Localised,
    Money,
    Percent,
    Section,
    Text,
    read_only,
)
from tearline.web.ui.lists import ChoiceFilter, Column, ListDefinition, TextFilter, localised_columns
from tearline.web.ui.page import language_of, settings_of
from tearline.web.ui.rendering import redirect

HOME = "/console/catalogue"
STATE_NAMES = {"active": _("For sale"), "withdrawn": _("Withdrawn")}
STATE_KINDS = {"active": "good", "withdrawn": ""}
KEY_HELP = _(
    "The shop's own name for it, without spaces. Offers and carts name it so. It cannot be changed later."
)
TAKEN_SENTENCE = _("This key is already in use; choose another.")

Choices = list[tuple[str, str]]


def key_field(*, is_new: bool) -> Text:
    """The field of an entry's key; only a new one is asked for it."""
    field = Text("key", _("Key"), maximum_length=LONGEST_KEY, pattern="[!-~]+", help=KEY_HELP)
    return field if is_new else read_only(field)  # type: ignore[return-value]


def row_field(path: str) -> str:
    """The form's name for a field of the action's only item: ``items.0.names.en`` is ``names.en``."""
    return path.removeprefix("items.0.")


def seen_in(form: BoundForm) -> datetime:
    """When what the person saw of an entry was last changed, from the form's hidden input; tampered with, never."""
    try:
        return datetime.fromisoformat(form.inputs.first("version")).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def refuse_known(counts: Counts) -> None:
    """Of a new entry: refuse a key that is in use, which would change what has it."""
    if counts.added == 0:
        raise Refusal("already_taken", fields={"items.0.key": TAKEN_SENTENCE})


async def category_choices(connection: AsyncConnection, language: str) -> Choices:
    """Every category, what lies in another after it and further in."""
    return [
        (node.key, "\u2003" * node.depth + localised(node.names, language))
        for node in await reads.category_tree(connection)
    ]


async def brand_choices(connection: AsyncConnection, language: str) -> Choices:
    """Every brand by its name."""
    return [(key, localised(names, language)) for key, names in await reads.brands(connection)]


async def _definition(connection: AsyncConnection, language: str) -> ListDefinition:
    merchants = await merchant_choices(connection, language)
    categories = await category_choices(connection, language)
    return ListDefinition(
        id_column=Product.key,
        columns=[
            Column("names", _("Product"), kind="localised", sort=Product.names["en"].as_string(), under="key",
                   under_label=_("Key"), href="/console/catalogue/products/edit?key={key}"),
            Column("price", _("Price"), kind="money", currency_key="currency", sort=Product.price),
            Column("merchant_names", _("Merchant"), kind="localised", sort=Merchant.code),
            Column("category_names", _("Category"), kind="localised", sort=Product.category_key, is_nullable=True,
                   under="category_key"),
            Column("brand_names", _("Brand"), kind="localised", sort=Product.brand_key, is_nullable=True),
            Column("state", _("State"), kind="tag", labels=STATE_NAMES, tag_kinds=STATE_KINDS, sort=Product.state),
            Column("updated_at", _("Changed"), kind="date", sort=Product.updated_at),
        ],
        filters=[
            TextFilter("q", _("Name or key"), [Product.key, *localised_columns(Product.names)]),
            ChoiceFilter(
                "merchant", _("Merchant"), merchants,
                conditions={value: Product.merchant_id == UUID(value) for value, _name in merchants},
            ),
            ChoiceFilter(
                "category", _("Category"), categories,
                conditions={key: Category.path.contains([key]) for key, _name in categories},
            ),
            ChoiceFilter("brand", _("Brand"), await brand_choices(connection, language), Brand.key),
            ChoiceFilter("state", _("State"), list(STATE_NAMES.items()), Product.state),
        ],
        default_sort="names",
    )  # fmt: skip


@get("/catalogue")
async def list_products(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every product."""
    statement = _with_id(actor)
    async with services.database.connection() as connection:
        definition = await _definition(connection, language_of(request))
        listing = await definition.page(request, statement, connection, export_path=f"{HOME}/export")
    return show(request, "catalogue.html", listing=listing)


@get("/catalogue/export")
async def export_products(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    statement = _with_id(actor)
    async with services.database.connection() as connection:
        definition = await _definition(connection, language_of(request))
    file_format = request.query_params.get("format", "csv")
    return definition.export(
        request, statement, services.database.engine.connect, file_format, file_name="products"
    )


@get("/catalogue/products/new")
async def new_product(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form."""
    actor.require("catalogue.write")
    form = (await _form(request, services)).blank({"currency": settings_of(request).currency})
    return _form_page(request, form)


@post("/catalogue/products/new")
async def create_product(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Put the product of the form into the catalogue."""
    actor.require("catalogue.write")
    form = await (await _form(request, services)).read(request)

    async def work(tx: AsyncConnection) -> None:
        refuse_known(await actions.put_products(tx, actor, [_item(form.values)], services.now()))

    if await save(services, form, work, names=row_field) is None:
        return _form_page(request, form)
    return redirect(request, HOME, flash=_("The product is in the catalogue."))


@get("/catalogue/products/edit")
async def edit_product(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The form with what is known; key and merchant stay."""
    actor.require("catalogue.write")
    product = await _asked(request, services, actor)
    form = (await _form(request, services, product)).blank(_values(product))
    return _form_page(request, form, product, product.updated_at)


@post("/catalogue/products/edit")
async def update_product(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Change the product as the form says."""
    actor.require("catalogue.write")
    product = await _asked(request, services, actor)
    form = await (await _form(request, services, product)).read(request, shown=_values(product))
    seen_at = seen_in(form)
    saved = await save(
        services,
        form,
        lambda tx: actions.put_products(
            tx, actor, [_item({**_values(product), **form.values})], services.now(), seen_at=seen_at
        ),
        names=row_field,
    )
    if saved is None:
        return _form_page(request, form, product, seen_at)
    return redirect(request, HOME, flash=_("Saved."))


def _with_id(actor: Actor) -> Any:
    return reads.product_list(actor).add_columns(Product.key.label("id"))


async def _asked(request: AnyRequest, services: Services, actor: Actor) -> Any:
    async with services.database.connection() as connection:
        return await reads.product_by_key(connection, actor, request.query_params.get("key", ""))


async def _form(request: AnyRequest, services: Services, product: Any = None) -> Form:
    language = language_of(request)
    async with services.database.connection() as connection:
        merchants = await merchant_choices(connection, language)
        categories = await category_choices(connection, language)
        brands = await brand_choices(connection, language)
    whose = Choice("merchant_id", _("Merchant"), choices=merchants)
    currencies = [*CURRENCIES]
    if product is not None and product.currency not in dict(currencies):
        currencies.append((product.currency, product.currency))
    return Form(
        Section(
            _("The product"),
            Localised("names", _("Name"), maximum_length=LONGEST_NAME),
            key_field(is_new=product is None),
            whose if product is None else read_only(whose),
            Choice("state", _("State"), choices=list(STATE_NAMES.items()), default="active"),
        ),
        Section(
            _("Price"),
            Choice("currency", _("Currency"), choices=currencies),
            Money("price", _("Price"), currency_field="currency",
                  help=_("As the shop shows it; a cart may say another.")),
            Percent("tax_basis_points", _("Tax"), default=0),
            Checkbox("is_discountable", _("Coupons may make it cheaper"), default=True,
                     help=_("Not for gift cards and the like.")),
        ),
        Section(
            _("Where it belongs"),
            Choice("category_key", _("Category"), is_required=False, choices=categories),
            Choice("brand_key", _("Brand"), is_required=False, choices=brands),
            picture_field("image", _("Picture"), None if product is None else product.image),
        ),
    )  # fmt: skip


def _values(product: Any) -> dict[str, Any]:
    values = {name: getattr(product, name) for name in ProductItem.__slots__}
    return {**values, "merchant_id": str(product.merchant_id)}


def _item(values: dict[str, Any]) -> ProductItem:
    return ProductItem(**{**values, "merchant_id": UUID(values["merchant_id"])})


def _form_page(
    request: AnyRequest, form: BoundForm, product: Any = None, seen_at: datetime | None = None
) -> Response[str]:
    return show(
        request,
        "catalogue_product.html",
        status_code=form.status_code,
        form=form,
        product=product,
        version=seen_at and seen_at.isoformat(),
    )


HANDLERS: list[Any] = [
    list_products, export_products, new_product, create_product, edit_product, update_product,
]  # fmt: skip
