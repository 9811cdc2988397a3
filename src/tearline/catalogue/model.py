"""The catalogue: what shops sell, as far as offers and carts need to know it.

Keys are the shops' own names, unique in the whole installation: offers name products, categories and brands by them,
and an offer of the platform does so across merchants.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
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
    )
