"""What the API says about the catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from tearline.catalogue.actions import MOST_ITEMS
from tearline.catalogue.model import BrandItem, CategoryItem, ProductItem
from tearline.core.catalogue import LONGEST_KEY
from tearline.web.api.shapes import Answer, BasisPoints, Body, Money, Texts

Key: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_KEY,
        pattern="^[!-~]+$",
        description="The shop's own name, visible ASCII without spaces; unique in the installation.",
    ),
]
ProductState: TypeAlias = Literal["active", "withdrawn"]


class CategoryBody(Body):
    """A category as it is to be."""

    key: Key
    names: Texts
    parent_key: Key | None = None
    """In which it lies; may be in the same call, before or after."""

    def item(self) -> CategoryItem:
        """The category as the action takes it."""
        return CategoryItem(self.key, self.names, self.parent_key)


class BrandBody(Body):
    """A brand as it is to be."""

    key: Key
    names: Texts

    def item(self) -> BrandItem:
        """The brand as the action takes it."""
        return BrandItem(self.key, self.names)


class ProductBody(Body):
    """A product as it is to be: what is left out is as written here, not as it was."""

    key: Key
    names: Texts
    price: Money
    merchant_id: UUID | None = None
    """Whose it is. A merchant's key need not say so; an operator's must."""
    tax_basis_points: BasisPoints = 0
    category_key: Key | None = None
    brand_key: Key | None = None
    is_discountable: bool = True
    """False for what no coupon may touch, such as a gift card."""
    image: Annotated[str, Meta(max_length=500)] | None = None
    state: ProductState = "active"

    def item(self) -> ProductItem:
        """The product as the action takes it."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        return ProductItem(**values | {"price": self.price.amount, "currency": self.price.currency})


class CategoriesBody(Body):
    """Categories to be put, all or none."""

    items: Annotated[list[CategoryBody], Meta(max_length=MOST_ITEMS)]


class BrandsBody(Body):
    """Brands to be put, all or none."""

    items: Annotated[list[BrandBody], Meta(max_length=MOST_ITEMS)]


class ProductsBody(Body):
    """Products to be put, all or none."""

    items: Annotated[list[ProductBody], Meta(max_length=MOST_ITEMS)]


class ProductsToWithdraw(Body):
    """Products that are no longer sold."""

    keys: Annotated[list[Key], Meta(max_length=MOST_ITEMS)]


class CountsAnswer(Answer):
    """What became of the rows that were sent."""

    added: int
    changed: int
    unchanged: int


class CategoryAnswer(Answer):
    """A category."""

    key: str
    parent_key: str | None
    path: list[str]
    """Its own key, then those of all that it lies in, from the nearest to the outermost."""
    names: Texts
    created_at: datetime
    updated_at: datetime


class BrandAnswer(Answer):
    """A brand."""

    key: str
    names: Texts
    created_at: datetime
    updated_at: datetime


class ProductAnswer(Answer):
    """Something that a merchant sells."""

    key: str
    merchant_id: UUID
    names: Texts
    price: Money
    tax_basis_points: int
    category_key: str | None
    category_path: list[str]
    """The category's key, then those of all that it lies in, from the nearest to the outermost."""
    brand_key: str | None
    is_discountable: bool
    image: str | None
    state: ProductState
    created_at: datetime
    updated_at: datetime


def category_answer(row: Any) -> CategoryAnswer:
    """A category as the API shows it."""
    return msgspec.convert(row, CategoryAnswer, from_attributes=True)


def brand_answer(row: Any) -> BrandAnswer:
    """A brand as the API shows it."""
    return msgspec.convert(row, BrandAnswer, from_attributes=True)


def product_answer(row: Any) -> ProductAnswer:
    """A product as the API shows it."""
    values = {
        **row._mapping,
        "price": Money(row.price, row.currency),
        "category_path": row.category_path or [],
    }
    return msgspec.convert(values, ProductAnswer)
