"""What products belong to: the tree of categories, the brands, and their forms."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue import actions, reads
from tearline.catalogue.model import Brand, BrandItem, CategoryItem, Product
from tearline.core.catalogue import LONGEST_NAME
from tearline.core.roles import Actor
from tearline.i18n import _, localised
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.catalogue import category_choices, key_field, refuse_known, row_field, seen_in
from tearline.web.console.support import save, show
from tearline.web.services import Services
from tearline.web.ui.forms import BoundForm, Choice, Form, Localised
from tearline.web.ui.lists import Column, ListDefinition, TextFilter, localised_columns
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

CATEGORIES, BRANDS = "/console/catalogue/categories", "/console/catalogue/brands"

_SOLD = (
    select(func.count()).where(Product.brand_key == Brand.key, Product.state == "active").scalar_subquery()
)
BRAND_LIST = ListDefinition(
    id_column=Brand.key,
    columns=[
        Column("names", _("Brand"), kind="localised", sort=Brand.names["en"].as_string(), under="key",
               under_label=_("Key"), href="/console/catalogue/brands/edit?key={key}"),
        Column("products", _("Products"), kind="number", sort=_SOLD, href="/console/catalogue?brand={key}"),
        Column("updated_at", _("Changed"), kind="date", sort=Brand.updated_at),
    ],
    filters=[TextFilter("q", _("Name or key"), [Brand.key, *localised_columns(Brand.names)])],
    default_sort="names",
)  # fmt: skip


# Categories


@get("/catalogue/categories")
async def show_categories(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The tree."""
    actor.require("catalogue.read")
    async with services.database.connection() as connection:
        nodes = await reads.category_tree(connection)
        products = await reads.products_within(connection, nodes)
    return show(request, "catalogue_categories.html", nodes=nodes, products=products)


@get("/catalogue/categories/new")
async def new_category(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form; the address may say in which category it is to lie."""
    actor.require("catalogue.write")
    form = await _category_form(request, services)
    return _page(request, form.blank({"parent_key": request.query_params.get("parent", "")}), _NEW_CATEGORY)


@post("/catalogue/categories/new")
async def create_category(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the category of the form."""
    actor.require("catalogue.write")
    form = await (await _category_form(request, services)).read(request)

    async def work(tx: AsyncConnection) -> None:
        refuse_known(await actions.put_categories(tx, actor, [CategoryItem(**form.values)], services.now()))

    if await save(services, form, work, names=row_field) is None:
        return _page(request, form, _NEW_CATEGORY)
    return redirect(request, CATEGORIES, flash=_("The category is there."))


@get("/catalogue/categories/edit")
async def edit_category(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The form with what is known."""
    category, form = await _asked_category(request, services, actor)
    return _page(request, form.blank(category._asdict()), _EDIT_CATEGORY, category, category.updated_at)


@post("/catalogue/categories/edit")
async def update_category(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Change the category, or move it with all that lies in it."""
    category, plain = await _asked_category(request, services, actor)
    form = await plain.read(request, shown=category._asdict())
    seen_at = seen_in(form)
    item = {"key": category.key, **form.values}
    saved = await save(
        services,
        form,
        lambda tx: actions.put_categories(tx, actor, [CategoryItem(**item)], services.now(), seen_at=seen_at),
        names=row_field,
    )
    if saved is None:
        return _page(request, form, _EDIT_CATEGORY, category, seen_at)
    return redirect(request, CATEGORIES, flash=_("Saved."))


async def _category_form(request: AnyRequest, services: Services, category: Any = None) -> Form:
    language = language_of(request)
    async with services.database.connection() as connection:
        choices = await category_choices(connection, language)
        if category is not None:
            # It cannot lie in itself, nor in what lies in it.
            within = {node.key for node in await reads.category_tree(connection) if category.key in node.path}
            choices = [choice for choice in choices if choice[0] not in within]
    return Form(
        Localised("names", _("Name"), maximum_length=LONGEST_NAME),
        key_field(is_new=category is None),
        Choice("parent_key", _("Lies in"), is_required=False, choices=choices,
               help=_("Nothing chosen: an outermost category. What lies in it moves along.")),
    )  # fmt: skip


async def _asked_category(request: AnyRequest, services: Services, actor: Actor) -> tuple[Any, Form]:
    actor.require("catalogue.write")
    async with services.database.connection() as connection:
        category = await reads.category_by_key(connection, request.query_params.get("key", ""))
    return category, await _category_form(request, services, category)


# Brands


@get("/catalogue/brands")
async def list_brands(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every brand."""
    statement = reads.brand_list(actor).add_columns(Brand.key.label("id"))
    async with services.database.connection() as connection:
        listing = await BRAND_LIST.page(request, statement, connection)
    return show(request, "catalogue_brands.html", listing=listing)


@get("/catalogue/brands/new")
async def new_brand(request: AnyRequest, actor: GivenActor) -> Response[str]:
    """The empty form."""
    actor.require("catalogue.write")
    return _page(request, _brand_form(is_new=True).blank(), _NEW_BRAND)


@post("/catalogue/brands/new")
async def create_brand(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the brand of the form."""
    actor.require("catalogue.write")
    form = await _brand_form(is_new=True).read(request)

    async def work(tx: AsyncConnection) -> None:
        refuse_known(await actions.put_brands(tx, actor, [BrandItem(**form.values)], services.now()))

    if await save(services, form, work, names=row_field) is None:
        return _page(request, form, _NEW_BRAND)
    return redirect(request, BRANDS, flash=_("The brand is there."))


@get("/catalogue/brands/edit")
async def edit_brand(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The form with what is known."""
    brand = await _asked_brand(request, services, actor)
    form = _brand_form(is_new=False).blank(brand._asdict())
    return _page(request, form, _EDIT_BRAND, brand, brand.updated_at)


@post("/catalogue/brands/edit")
async def update_brand(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Change the brand as the form says."""
    brand = await _asked_brand(request, services, actor)
    form = await _brand_form(is_new=False).read(request, shown=brand._asdict())
    seen_at = seen_in(form)
    item = {"key": brand.key, **form.values}
    saved = await save(
        services,
        form,
        lambda tx: actions.put_brands(tx, actor, [BrandItem(**item)], services.now(), seen_at=seen_at),
        names=row_field,
    )
    if saved is None:
        return _page(request, form, _EDIT_BRAND, brand, seen_at)
    return redirect(request, BRANDS, flash=_("Saved."))


def _brand_form(*, is_new: bool) -> Form:
    return Form(Localised("names", _("Name"), maximum_length=LONGEST_NAME), key_field(is_new=is_new))


async def _asked_brand(request: AnyRequest, services: Services, actor: Actor) -> Any:
    actor.require("catalogue.write")
    async with services.database.connection() as connection:
        return await reads.brand_by_key(connection, request.query_params.get("key", ""))


_NEW_CATEGORY = (CATEGORIES, _("Categories"), _("A new category"))
_EDIT_CATEGORY = (CATEGORIES, _("Categories"), "")
_NEW_BRAND = (BRANDS, _("Brands"), _("A new brand"))
_EDIT_BRAND = (BRANDS, _("Brands"), "")


def _page(
    request: AnyRequest,
    form: BoundForm,
    place: tuple[str, str, str],
    entry: Any = None,
    seen_at: datetime | None = None,
) -> Response[str]:
    home, home_label, title = place
    return show(
        request,
        "catalogue_group.html",
        status_code=form.status_code,
        form=form,
        home=home,
        home_label=home_label,
        title_text=title,
        action=f"{home}/edit?key={quote(entry.key, safe='')}" if entry is not None else "",
        version=seen_at and seen_at.isoformat(),
        name=localised(entry.names, language_of(request)) if entry is not None else "",
    )


HANDLERS: list[Any] = [
    show_categories, new_category, create_category, edit_category, update_category, list_brands, new_brand,
    create_brand, edit_brand, update_brand,
]  # fmt: skip
