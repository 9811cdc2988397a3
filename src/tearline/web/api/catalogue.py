"""The catalogue: what shops sell, put as often as they like, by bodies and by files.

A merchant's key sees and puts that merchant's products; categories and brands are the operator's.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from litestar import Response, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from sqlalchemy import Select, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.catalogue import actions, files, reads
from tearline.catalogue.model import Brand, Category, Counts, Product
from tearline.core.catalogue import LONGEST_KEY, is_key
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.i18n import _
from tearline.web.access import GivenServices, rest_of_path
from tearline.web.api.catalogue_shapes import (
    BrandAnswer,
    BrandsBody,
    CategoriesBody,
    CategoryAnswer,
    CountsAnswer,
    ProductAnswer,
    ProductsBody,
    ProductState,
    ProductsToWithdraw,
    brand_answer,
    category_answer,
    product_answer,
)
from tearline.web.api.downloads import CSV, CsvDownload, FileUpload, download
from tearline.web.api.shapes import Page
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    Shape,
    check_picture,
    problems,
    write,
)
from tearline.web.services import Services
from tearline.web.ui.cursors import BadCursor, Cursor
from tearline.web.ui.filters import localised_columns

PUT_LIMIT_BYTES = 4 * 1024 * 1024
"""A thousand rows with names in four languages."""
_SORT = "key"

Kind: TypeAlias = Literal["products", "categories", "brands"]
FileName = Annotated[
    str, QueryParameter(name="name", description="What the file is called.", min_length=1, max_length=200)
]
GivenText = Annotated[
    str | None,
    QueryParameter(name="q", description="Only what has this in its key or a name.", max_length=200),
]
_PUT_PROBLEMS = problems(has_body=True)


@put(
    "/catalogue/products",
    request_max_body_size=PUT_LIMIT_BYTES,
    responses=problems("already_taken", has_body=True),
)
async def put_products(
    request: AnyRequest, services: GivenServices, actor: GivenKey, data: JSONBody[ProductsBody]
) -> Response[CountsAnswer]:
    """Make and change products, all of a call or none; the same again changes nothing."""

    async def work(tx: AsyncConnection) -> CountsAnswer:
        for place, product in enumerate(data.items):
            _check_picture_of(place, product.image)
        try:
            return _counts(
                await actions.put_products(tx, actor, [row.item() for row in data.items], services.now())
            )
        except Refusal as refusal:
            # Here the currency stands within the price.
            refusal.fields = {
                path.removesuffix(".currency") + ".price.currency"
                if path.endswith(".currency")
                else path: sentence
                for path, sentence in refusal.fields.items()
            }
            raise

    return await write(request, actor, work)


@put("/catalogue/categories", request_max_body_size=PUT_LIMIT_BYTES, responses=_PUT_PROBLEMS)
async def put_categories(
    request: AnyRequest, services: GivenServices, actor: GivenKey, data: JSONBody[CategoriesBody]
) -> Response[CountsAnswer]:
    """Make, change and move categories, all of a call or none; a parent may come in the same call."""

    async def work(tx: AsyncConnection) -> CountsAnswer:
        items = [row.item() for row in data.items]
        return _counts(await actions.put_categories(tx, actor, items, services.now()))

    return await write(request, actor, work)


@put("/catalogue/brands", request_max_body_size=PUT_LIMIT_BYTES, responses=_PUT_PROBLEMS)
async def put_brands(
    request: AnyRequest, services: GivenServices, actor: GivenKey, data: JSONBody[BrandsBody]
) -> Response[CountsAnswer]:
    """Make and change brands, all of a call or none."""

    async def work(tx: AsyncConnection) -> CountsAnswer:
        items = [row.item() for row in data.items]
        return _counts(await actions.put_brands(tx, actor, items, services.now()))

    return await write(request, actor, work)


@post(
    "/catalogue/products/withdraw",
    status_code=200,
    request_max_body_size=PUT_LIMIT_BYTES,
    responses=problems("idempotency_key_reused", has_body=True),
)
async def withdraw_products(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[ProductsToWithdraw],
    idempotency_key: IdempotencyKey = None,
) -> Response[CountsAnswer]:
    """Say that products are no longer sold; put them again to sell them again."""

    async def work(tx: AsyncConnection) -> CountsAnswer:
        return _counts(await actions.withdraw_products(tx, actor, data.keys, services.now()))

    return await write(request, actor, work)


@get("/catalogue/products", responses=problems())
async def list_products(
    services: GivenServices,
    actor: GivenKey,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
    merchant_id: Annotated[UUID | None, QueryParameter(name="merchant_id")] = None,
    category: Annotated[
        str | None,
        QueryParameter(name="category", description="What lies in it, however deep.", max_length=LONGEST_KEY),
    ] = None,
    brand: Annotated[str | None, QueryParameter(name="brand", max_length=LONGEST_KEY)] = None,
    product_state: Annotated[ProductState | None, QueryParameter(name="state")] = None,
    text: GivenText = None,
) -> Page[ProductAnswer]:
    """Products in the order of their keys; a merchant's key sees that merchant's."""
    for key in (category, brand):
        if key is not None and not is_key(key):
            return Page(items=[], next_cursor=None)
    statement = reads.product_list(actor, category=category)
    for column, wanted in (
        (Product.merchant_id, merchant_id),
        (Product.brand_key, brand),
        (Product.state, product_state),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    return await _page(
        services, _narrowed(statement, Product, text), Product.key, product_answer, cursor, limit
    )


@get("/catalogue/products/{key:path}", responses=problems())
async def get_product(
    request: AnyRequest, services: GivenServices, actor: GivenKey, key: FromPath[str]
) -> ProductAnswer:
    """One product. One whose key is `file` or `withdraw`, or begins with that and a slash, is found in the list."""
    key = rest_of_path(request, "/api/v1/catalogue/products/")
    async with services.database.connection() as connection:
        return product_answer(await reads.product_by_key(connection, actor, key))


@get("/catalogue/categories", responses=problems())
async def list_categories(
    services: GivenServices,
    actor: GivenKey,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
    text: GivenText = None,
) -> Page[CategoryAnswer]:
    """Categories in the order of their keys, each with its path."""
    statement = _narrowed(reads.category_list(actor), Category, text)
    return await _page(services, statement, Category.key, category_answer, cursor, limit)


@get("/catalogue/brands", responses=problems())
async def list_brands(
    services: GivenServices,
    actor: GivenKey,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
    text: GivenText = None,
) -> Page[BrandAnswer]:
    """Brands in the order of their keys."""
    statement = _narrowed(reads.brand_list(actor), Brand, text)
    return await _page(services, statement, Brand.key, brand_answer, cursor, limit)


# Files


@get("/catalogue/templates/{kind:str}", operation_class=CsvDownload, responses=problems())
async def get_template(actor: GivenKey, kind: FromPath[str]) -> Stream:
    """A CSV file of `products`, `categories` or `brands` with the columns that are read, and an example."""
    if kind not in files.KINDS:
        raise Refusal("not_found")
    content = files.template_csv(kind, actor)

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    return await download(chunks(), CSV, f"{kind}.csv")


_FILE: dict[str, Any] = {
    "status_code": 200,
    "operation_class": FileUpload,
    "request_max_body_size": files.MOST_BYTES + 1,
}
_FILE_PROBLEMS = problems("too_large", "unreadable_file")


@post("/catalogue/products/file", **_FILE, responses=_FILE_PROBLEMS)
async def put_products_file(
    request: AnyRequest, services: GivenServices, actor: GivenKey, name: FileName
) -> CountsAnswer:
    """Put the products of a CSV or Excel file, all or none.

    When rows are in the way, the answer is `invalid`: `fields` names the first hundred of them, such as
    `rows.17.price`, numbered as a spreadsheet shows them, blank rows counted; `refused` says how many there are, of
    how many `rows`.
    """
    return await _put_file(request, services, actor, "products", name)


@post("/catalogue/categories/file", **_FILE, responses=_FILE_PROBLEMS)
async def put_categories_file(
    request: AnyRequest, services: GivenServices, actor: GivenKey, name: FileName
) -> CountsAnswer:
    """Put the categories of a CSV or Excel file, all or none; refused rows are told as those of products."""
    return await _put_file(request, services, actor, "categories", name)


@post("/catalogue/brands/file", **_FILE, responses=_FILE_PROBLEMS)
async def put_brands_file(
    request: AnyRequest, services: GivenServices, actor: GivenKey, name: FileName
) -> CountsAnswer:
    """Put the brands of a CSV or Excel file, all or none; refused rows are told as those of products."""
    return await _put_file(request, services, actor, "brands", name)


async def _put_file(
    request: AnyRequest, services: Services, actor: Actor, kind: Kind, name: str
) -> CountsAnswer:
    actor.require("catalogue.write")
    if not is_storable(name):
        raise Refusal("malformed")
    with tempfile.TemporaryDirectory(prefix="tearline-catalogue-") as directory:
        # The reader of XLSX goes by the name's ending; the others do not look at it.
        path = Path(directory) / "catalogue.xlsx"
        await files.stored(request.stream(), path)
        outcome = await files.import_file(services.database, actor, kind, path, name, services.now())
    if outcome.counts is not None:
        return _counts(outcome.counts)
    fields = {
        f"rows.{row.number}.{column}" if row.number else f"columns.{column}": sentence
        for row in outcome.examples
        for column, sentence in row.problems.items()
    }
    raise Refusal("invalid", fields=fields, rows=outcome.rows, refused=outcome.refused)


def _counts(counts: Counts) -> CountsAnswer:
    return CountsAnswer(added=counts.added, changed=counts.changed, unchanged=counts.unchanged)


def _check_picture_of(place: int, image: str | None) -> None:
    try:
        check_picture(image)
    except Refusal as refusal:
        raise Refusal("invalid", fields={f"items.{place}.image": refusal.fields["image"]}) from None


def _narrowed(statement: Select[Any], table: Any, text: str | None) -> Select[Any]:
    if text is None:
        return statement
    columns = [table.key, *localised_columns(table.names)]
    return statement.where(or_(*(column.icontains(text, autoescape=True) for column in columns)))


async def _page(
    services: Services,
    statement: Select[Any],
    key_column: Any,
    answer: Callable[[Any], Shape],
    cursor: str | None,
    limit: int,
) -> Page[Shape]:
    """One page of a list in the order of its keys."""
    if cursor is not None:
        try:
            place = Cursor.decode(cursor, _SORT, id_type=str)
        except BadCursor:
            raise Refusal("invalid", fields={"cursor": _("This is not a cursor of this list.")}) from None
        statement = statement.where(key_column > place.row_id)
    async with services.database.connection() as connection:
        rows = (await connection.execute(statement.order_by(key_column).limit(limit + 1))).all()
    next_cursor = Cursor(_SORT, None, rows[limit - 1].key).encode() if len(rows) > limit else None
    return Page(items=[answer(row) for row in rows[:limit]], next_cursor=next_cursor)


HANDLERS: list[Any] = [
    put_products, put_categories, put_brands, withdraw_products, list_products, get_product, list_categories,
    list_brands, get_template,
    put_products_file, put_categories_file, put_brands_file,
]  # fmt: skip
