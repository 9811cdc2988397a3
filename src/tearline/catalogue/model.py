"""The catalogue: what shops sell, as far as offers and carts need to know it.

Keys are the shops' own names, unique in the whole installation: offers name products, categories and brands by them,
and an offer of the platform does so across merchants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tearline.db import Base, LocalisedText


class Category(Base):
    """A category; they form trees."""

    __tablename__ = "category"
    key: Mapped[str] = mapped_column(primary_key=True)
    parent_key: Mapped[str | None] = mapped_column(ForeignKey("category.key"), index=True)
    path: Mapped[list[str]]
    """Its own key, then those of all that it lies in, from the nearest to the outermost."""
    names: Mapped[LocalisedText]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Brand(Base):
    """A brand."""

    __tablename__ = "brand"
    key: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[LocalisedText]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Product(Base):
    """Something that one merchant sells."""

    __tablename__ = "product"
    key: Mapped[str] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    names: Mapped[LocalisedText]
    price: Mapped[int]
    """Minor units of ``currency``, as the shop shows it; a cart may say another price."""
    currency: Mapped[str]
    tax_basis_points: Mapped[int]
    """The tax on it, in hundredths of a percent."""
    category_key: Mapped[str | None] = mapped_column(ForeignKey("category.key"), index=True)
    brand_key: Mapped[str | None] = mapped_column(ForeignKey("brand.key"), index=True)
    is_discountable: Mapped[bool]
    """False for what no coupon may touch, such as a gift card."""
    image: Mapped[str | None]
    state: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("state IN ('active','withdrawn')", name="state"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("tax_basis_points BETWEEN 0 AND 10000", name="tax"),
        Index("ix_product_merchant_id", "merchant_id", "key"),
        # The order in which the console lists them.
        Index("ix_product_name", text("(names ->> 'en')"), "key"),
    )


# What a shop says of its entries. Each is the whole entry: what is left out is as written here, not as it was.


@dataclass(frozen=True, slots=True)
class CategoryItem:
    """A category as it is to be; ``parent_key`` is None for an outermost one."""

    key: str
    names: Mapping[str, str]
    parent_key: str | None = None


@dataclass(frozen=True, slots=True)
class BrandItem:
    """A brand as it is to be."""

    key: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProductItem:
    """A product as it is to be.

    Attributes:
        price: minor units of ``currency``.
        merchant_id: None for the actor's own merchant.
        tax_basis_points: the tax on it, in hundredths of a percent.
    """

    key: str
    names: Mapping[str, str]
    price: int
    currency: str
    merchant_id: UUID | None = None
    tax_basis_points: int = 0
    category_key: str | None = None
    brand_key: str | None = None
    is_discountable: bool = True
    image: str | None = None
    state: str = "active"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows of a call."""

    added: int
    changed: int
    unchanged: int
