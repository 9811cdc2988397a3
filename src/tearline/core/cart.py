"""A cart and the rights to a discount in it, as values; which lines each right touches.

Prices are integers of minor units of the cart's one currency, as the shop shows them: with tax included, or
without. A discount lowers what is shown; tax is reckoned afterwards, from what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from tearline.core.offers import Benefit, CartRules, FixedPrice, FreeShipping, Funding, Scope, Selection

MERCHANT_PROMOTIONS, MERCHANT_COUPONS, PLATFORM_COUPONS, POINTS, SHIPPING = range(5)
"""The layers, in the order in which they lower prices."""
EVERYTHING, USUAL_RULES = Scope(), CartRules()


@dataclass(frozen=True, slots=True)
class CartLine:
    """Some units of one product.

    Attributes:
        key: the caller's name of the line, unique in the cart.
        unit_price: minor units, as shown.
        categories: the product's own and all that it lies in, so that a tree needs no looking up.
        is_discountable: False for what no coupon may touch, such as a gift card.
        tax_basis_points: the tax on it, in hundredths of a percent.
    """

    key: str
    product: str
    merchant_id: UUID
    unit_price: int
    quantity: int = 1
    categories: tuple[str, ...] = ()
    brand: str | None = None
    is_discountable: bool = True
    tax_basis_points: int = 0


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one merchant asks for sending its part of the cart, and the tax on that, as of a line."""

    merchant_id: UUID
    amount: int
    tax_basis_points: int = 0


@dataclass(frozen=True, slots=True)
class Cart:
    """What a member is about to buy.

    Attributes:
        region: where it is sent, as offers of free shipping name it.
        points: minor units that the member pays with points.
        is_first_order: whether the member has never ordered.
        prices_include_tax: whether what is shown has the tax in it already.
    """

    currency: str
    lines: tuple[CartLine, ...]
    parcels: tuple[Parcel, ...] = ()
    region: str | None = None
    points: int = 0
    is_first_order: bool = False
    prices_include_tax: bool = True


@dataclass(frozen=True, slots=True)
class Right:
    """Something that may lower the price: a coupon, or a merchant's promotion, which nobody has to hold.

    Attributes:
        key: the caller's name of it, such as the coupon's id.
        offer: of which coupons are alike; a cart has use for one of them.
        issuer: ``platform`` or ``merchant``.
        merchant_id: whose it is; None for the platform's.
        valid_from, valid_until: None for no bound.
        issued_at: of equals the oldest is used first.
    """

    key: str
    offer: str
    issuer: str
    currency: str
    benefit: Benefit
    funding: Funding
    merchant_id: UUID | None = None
    minimum_spend: int = 0
    scope: Scope = EVERYTHING
    rules: CartRules = USUAL_RULES
    is_promotion: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    issued_at: datetime | None = None

    @property
    def layer(self) -> int:
        """When its turn is."""
        if isinstance(self.benefit, FreeShipping):
            return SHIPPING
        if self.issuer == "platform":
            return PLATFORM_COUPONS
        return MERCHANT_PROMOTIONS if self.is_promotion else MERCHANT_COUPONS

    @property
    def slot(self) -> Slot:
        """The place that it takes: of rights to the same place, one applies.

        Each merchant has places of its own; for the platform's coupons and for shipping there is one of each.
        """
        layer = self.layer
        merchant = str(self.merchant_id) if layer in (MERCHANT_PROMOTIONS, MERCHANT_COUPONS) else ""
        return layer, self.rules.stacking_group or "", merchant


Slot: TypeAlias = tuple[int, str, str]
"""Layer, stacking group, merchant; in this order rights lower prices."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A right that does not apply, and why.

    Attributes:
        reason: a reason code.
        missing: of ``minimum_not_reached``, how many minor units more would do.
    """

    right: Right
    reason: str
    missing: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A right that may apply, with what it touches.

    Attributes:
        lines: positions of the cart's lines in its scope.
        parcels: positions of the parcels that it makes cheaper.
        list_total: what the lines in its scope cost before any discount.
    """

    right: Right
    lines: tuple[int, ...]
    parcels: tuple[int, ...]
    list_total: int


def candidates(cart: Cart, rights: Sequence[Right], now: datetime) -> tuple[list[Candidate], list[Skipped]]:
    """The rights that could apply, looked at alone and with a minimum spend still to be seen; and the others."""
    found, skipped = [], []
    for right in rights:
        candidate = _candidate(cart, right, now)
        if isinstance(candidate, Candidate):
            found.append(candidate)
        else:
            skipped.append(candidate)
    return found, skipped


def _candidate(cart: Cart, right: Right, now: datetime) -> Candidate | Skipped:
    if right.valid_from is not None and now < right.valid_from:
        return Skipped(right, "not_valid_yet")
    if right.valid_until is not None and now >= right.valid_until:
        return Skipped(right, "expired")
    if right.currency != cart.currency:
        return Skipped(right, "other_currency")
    if right.rules.first_order_only and not cart.is_first_order:
        return Skipped(right, "first_order_only")
    own = [
        position
        for position, line in enumerate(cart.lines)
        if right.merchant_id is None or line.merchant_id == right.merchant_id
    ]
    lines = tuple(position for position in own if touches(right, cart.lines[position]))
    if right.rules.excluded_lines == "block" and len(lines) < len(own):
        return Skipped(right, "excluded_lines")
    parcels = _parcels(cart, right)
    if not lines or (isinstance(right.benefit, FreeShipping) and not parcels):
        return Skipped(right, "nothing_in_scope")
    if isinstance(right.benefit, FixedPrice) and not any(
        cart.lines[position].product == right.benefit.product for position in lines
    ):
        return Skipped(right, "nothing_in_scope")
    total = sum(cart.lines[position].unit_price * cart.lines[position].quantity for position in lines)
    return Candidate(right, lines, parcels, total)


def touches(right: Right, line: CartLine) -> bool:
    """Whether a line is in a right's scope."""
    if not line.is_discountable or (right.merchant_id is not None and line.merchant_id != right.merchant_id):
        return False
    scope = right.scope
    return (scope.includes.is_empty or _has(scope.includes, line)) and not _has(scope.excludes, line)


def _has(selection: Selection, line: CartLine) -> bool:
    return (
        line.product in selection.products
        or line.merchant_id in selection.merchants
        or (line.brand is not None and line.brand in selection.brands)
        or any(category in selection.categories for category in line.categories)
    )


def _parcels(cart: Cart, right: Right) -> tuple[int, ...]:
    benefit = right.benefit
    if not isinstance(benefit, FreeShipping) or (benefit.regions and cart.region not in benefit.regions):
        return ()
    return tuple(
        position
        for position, parcel in enumerate(cart.parcels)
        if parcel.amount and (right.merchant_id is None or parcel.merchant_id == right.merchant_id)
    )
