"""Bodies about carts. All amounts are whole minor units of the cart's one currency."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from tearline.checkout.actions import LONGEST_HOLD
from tearline.checkout.requests import (
    LONGEST_KEY,
    MOST_CATEGORIES,
    MOST_NAMED,
    MOST_QUANTITY,
    CartRequest,
    LineRequest,
    ParcelRequest,
)
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.web.api.shapes import BasisPoints, Body, Currency

Amount: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]
_LONGEST_HOLD_SECONDS = int(LONGEST_HOLD.total_seconds())


class CartMember(Body):
    """Who buys, in one of these ways. A merchant's key has to give the member's own token."""

    id: UUID | None = None
    phone: Annotated[str, Meta(max_length=40)] | None = None
    token: Annotated[str, Meta(max_length=300)] | None = None


class CartLineBody(Body):
    """A line. What it leaves out comes from the catalogue, where that knows the product."""

    key: Key
    """The caller's name of the line, unique in the cart."""
    product: Key
    quantity: Annotated[int, Meta(ge=1, le=MOST_QUANTITY)] = 1
    unit_price: Amount | None = None
    merchant_id: UUID | None = None
    categories: Annotated[list[Key], Meta(max_length=MOST_CATEGORIES)] | None = None
    """The product's own and all that it lies in."""
    brand: Key | None = None
    is_discountable: bool | None = None
    """False for what no coupon may touch."""
    tax_basis_points: BasisPoints | None = None


class ParcelBody(Body):
    """What one merchant asks for sending its part of the cart."""

    merchant_id: UUID
    amount: Amount
    tax_basis_points: BasisPoints = 0


class CartBody(Body):
    """A cart, and which coupons are thought of."""

    currency: Currency
    lines: Annotated[list[CartLineBody], Meta(min_length=1, max_length=1000)]
    shipping: Annotated[list[ParcelBody], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    region: Annotated[str, Meta(max_length=100)] | None = None
    """Where it is sent, as offers of free shipping name it."""
    store_id: UUID | None = None
    """Where it is bought, if in a store: some coupons are only good there."""
    points: Amount = 0
    """What the member pays with points; the cart says how much of it could be used."""
    prices_include_tax: bool = True
    member: CartMember | None = None
    """None for a guest."""
    codes: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=MOST_NAMED)] = msgspec.field(
        default_factory=list
    )
    """Coupons by their codes, typed in any manner, whoever holds them."""
    coupon_ids: Annotated[list[UUID], Meta(max_length=MOST_NAMED)] = msgspec.field(default_factory=list)
    """Of the member's coupons those to use, where the choice is `given`."""
    choose: Literal["best", "given"] = "best"
    """`best`: the best combination of the member's coupons and those named by code; `given`: those that are named."""

    def request(self, member_id: UUID | None, codes: tuple[str, ...]) -> CartRequest:
        """The cart as it is priced.

        Args:
            codes: normalised.
        """
        return CartRequest(
            currency=self.currency,
            lines=tuple(
                LineRequest(
                    line.key, line.product, line.quantity, line.unit_price, line.merchant_id,
                    None if line.categories is None else tuple(line.categories),
                    line.brand, line.is_discountable, line.tax_basis_points,
                )
                for line in self.lines
            ),
            parcels=tuple(ParcelRequest(one.merchant_id, one.amount, one.tax_basis_points) for one in self.shipping),
            region=self.region,
            store_id=self.store_id,
            points=self.points,
            prices_include_tax=self.prices_include_tax,
            member_id=member_id,
            codes=codes,
            coupon_ids=tuple(self.coupon_ids),
            choose=self.choose,
        )  # fmt: skip


class CartOrderBody(CartBody):
    """A cart to be ordered: its coupons are held until it is paid."""

    expected_total: Annotated[int, Meta(ge=0, le=2 * 10**12)] | None = None
    """What the member was shown; the order is refused when it comes to something else now."""
    hold_seconds: Annotated[int, Meta(ge=30, le=_LONGEST_HOLD_SECONDS)] = 900
    reference: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The shop's own name for the order."""


class PaymentBody(Body):
    """That an order was paid."""

    collected_by: Literal["platform", "merchant"]
    """Who has the money now: the platform, or each merchant that of its own lines."""
    payment_reference: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class RefundLine(Body):
    """Units of a line to be given back."""

    key: Key
    quantity: Annotated[int, Meta(ge=1, le=MOST_QUANTITY)]


class RefundBody(Body):
    """What is to be given back of a paid order: some units and shipping, or everything that is left."""

    lines: Annotated[list[RefundLine], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    shipping: Annotated[list[UUID], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    """The merchants whose shipping is given back."""
    everything: bool = False
    reason: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


def check_choice(body: CartBody) -> None:
    """Refuse ids of coupons where nobody is named whose they are."""
    if body.coupon_ids and body.member is None:
        raise Refusal("invalid", fields={"coupon_ids": _("Say whose coupons these are.")})
