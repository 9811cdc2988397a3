"""Answers about carts. All amounts are whole minor units of the cart's one currency."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from tearline.web.api.shapes import Answer, Texts

OrderState: TypeAlias = Literal["open", "paid", "cancelled", "expired"]
Layer: TypeAlias = Literal[
    "merchant_promotions", "merchant_coupons", "platform_coupons", "points", "shipping"
]
LAYERS: tuple[Layer, ...] = (
    "merchant_promotions", "merchant_coupons", "platform_coupons", "points", "shipping", "shipping",
)  # fmt: skip


class UnitParts(Answer):
    """Some units of a line that are alike."""

    count: int
    pays: int
    """What each costs after all discounts, as shown."""
    tax: int
    """Of each."""


class DiscountUnits(Answer):
    """What a discount takes off some units that are alike."""

    count: int
    amount: int
    platform: int
    """What the platform bears of it; the merchant bears the rest."""


class LineDiscount(Answer):
    """What one coupon, one promotion, or the points take off a line."""

    applied: int | None
    """Position in `applied`; null for points."""
    amount: int
    platform: int
    merchant: int
    units: list[DiscountUnits]


class PricedLineAnswer(Answer):
    """A line after all discounts."""

    key: str
    product: str
    merchant_id: UUID
    unit_price: int
    quantity: int
    list_total: int
    discount: int
    total: int
    """As shown: with the tax in it, or without."""
    tax: int
    units: list[UnitParts]
    discounts: list[LineDiscount]


class ParcelAnswer(Answer):
    """Shipping after all discounts."""

    merchant_id: UUID
    list_total: int
    total: int
    tax: int
    discounts: list[LineDiscount]


class AppliedAnswer(Answer):
    """A coupon or a promotion that applies."""

    coupon_id: UUID | None
    """Null for a promotion."""
    code: str | None
    """A merchant's key is told those that it has sent."""
    offer_id: UUID
    offer_names: Texts
    issuer: Literal["platform", "merchant"]
    merchant_id: UUID | None
    layer: Layer
    amount: int
    platform: int
    merchant: int


class SkippedAnswer(Answer):
    """A coupon or a promotion that does not apply, and why."""

    coupon_id: UUID | None
    code: str | None
    """As it was asked for, where there is no coupon by it."""
    offer_id: UUID | None
    offer_names: Texts | None
    reason: str
    detail: str
    """The reason in words."""
    missing: int | None
    """Of `minimum_not_reached`: how much more would do."""


class HintAnswer(Answer):
    """'Spend so much more and save so much'."""

    coupon_id: UUID | None
    offer_id: UUID
    offer_names: Texts
    missing: int
    saving: int
    instead_of: int
    """What that would replace takes off now."""


class PricesAnswer(Answer):
    """What a cart costs, to the unit and to who pays."""

    currency: str
    prices_include_tax: bool
    list_total: int
    """Lines and shipping before any discount, as shown."""
    discount: int
    points: int
    tax: int
    total: int
    """What is to be paid, tax included."""
    lines: list[PricedLineAnswer]
    shipping: list[ParcelAnswer]


class QuoteAnswer(PricesAnswer):
    """A priced cart, with a reason for everything that does not apply."""

    is_best: bool
    """False where another combination might save more: the search came to its limit, or the wallet holds more than the
    200 coupons that a cart looks at."""
    applied: list[AppliedAnswer]
    skipped: list[SkippedAnswer]
    hints: list[HintAnswer]


class UsableAnswer(Answer):
    """A coupon or a promotion that the cart can use, looked at alone."""

    coupon_id: UUID | None
    code: str | None
    offer_id: UUID
    offer_names: Texts
    layer: Layer
    saving: int
    valid_until: datetime | None


class QualificationAnswer(Answer):
    """What may be used in a cart: what saves most first, then what is nearly usable, then what is not and why."""

    currency: str
    usable: list[UsableAnswer]
    nearly: list[HintAnswer]
    unusable: list[SkippedAnswer]


class OrderAppliedAnswer(Answer):
    """A coupon or a promotion that an order uses."""

    coupon_id: UUID | None
    code: str | None
    """Null for a merchant's key."""
    offer_id: UUID
    offer_code: str
    offer_names: Texts
    amount: int
    platform: int
    merchant: int
    outcome: Literal["returned", "reissued", "forfeited"] | None
    """What a refund made of the coupon; null while it is used."""


class RefundPartAnswer(Answer):
    """What a refund does to one line or one parcel."""

    key: str | None
    """Of the line; null for shipping."""
    merchant_id: UUID
    quantity: int
    amount: int
    tax: int
    reclaimed: int
    """What was taken back because discounts of what remains shrank."""


class RefundAnswer(Answer):
    """A refund of an order."""

    id: UUID
    amount: int
    points: int
    tax: int
    reclaimed: int
    currency: str
    reason: str | None
    by_name: str
    created_at: datetime
    lines: list[RefundPartAnswer]
    shipping: list[RefundPartAnswer]


class CartOrderAnswer(PricesAnswer):
    """An order of a cart."""

    number: str
    state: OrderState
    member_id: UUID | None
    merchant_id: UUID | None
    """Whose shop took it; null for the operator's."""
    reference: str | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    collected_by: Literal["platform", "merchant"] | None
    payment_reference: str | None
    applied: list[OrderAppliedAnswer]
    refunded: int
    refundable: dict[str, int]
    """Units of each line that can still be given back."""
    refundable_shipping: list[UUID]
    """The merchants whose shipping can still be given back."""
    refunds: list[RefundAnswer]


class CartOrderRow(Answer):
    """An order of a cart in a list."""

    id: UUID
    number: str
    state: OrderState
    member_id: UUID | None
    merchant_id: UUID | None
    reference: str | None
    currency: str
    list_total: int
    discount: int
    points: int
    tax: int
    total: int
    refunded: int
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    collected_by: Literal["platform", "merchant"] | None
