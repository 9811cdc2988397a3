"""An order's frozen prices: what each unit of each line costs, and who bore which part of what was taken off.

A quote is frozen when its cart is ordered. Whatever follows goes by that and nothing else: payment, refunds,
settlement. Nothing is ever reckoned anew from percentages, which would come to something else once units are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tearline.core.allocation import Runs, total_of
from tearline.core.cart import Cart
from tearline.core.offers import Benefit, CartRules
from tearline.core.pricing import Applied, Quote, Share
from tearline.core.tax import Taxes, taxes

POINTS = -1
"""Stands for points where a share names its right."""


@dataclass(frozen=True, slots=True)
class FrozenShare:
    """What one right, or points, took off one line or one parcel.

    Attributes:
        right: position in the order's rights, or ``POINTS``.
        units: off each unit, in order; a parcel is one unit.
        platform: the platform's part of each unit's discount; the merchant bears the rest.
    """

    right: int
    units: Runs
    platform: Runs


@dataclass(frozen=True, slots=True)
class FrozenLine:
    """One line, or one parcel, whose product is empty and whose quantity is 1.

    Attributes:
        unit_price: minor units as shown, before any discount.
        units: what each unit costs after all discounts, as shown, in order.
        tax: of each unit, within what it costs or on top of it.
        shares: in the order in which they were taken off.
        tax_basis_points: the rate of its tax, in hundredths of a percent.
    """

    key: str
    product: str
    merchant_id: UUID
    unit_price: int
    quantity: int
    units: Runs
    tax: Runs
    shares: tuple[FrozenShare, ...]
    tax_basis_points: int

    @property
    def list_total(self) -> int:
        """Minor units before any discount, as shown."""
        return self.unit_price * self.quantity

    @property
    def total(self) -> int:
        """Minor units after all discounts, as shown."""
        return total_of(self.units)


@dataclass(frozen=True, slots=True)
class FrozenRight:
    """A right that the order used.

    Attributes:
        key: the coupon's id, or that of the offer of a promotion.
        platform_basis_points: the platform's share of the discount; the merchants bear the rest.
        lines: positions of the lines in its scope: its minimum spend is compared with what they cost.
    """

    key: str
    offer_id: UUID
    issuer: str
    merchant_id: UUID | None
    is_promotion: bool
    benefit: Benefit
    minimum_spend: int
    rules: CartRules
    platform_basis_points: int
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FrozenOrder:
    """All of an order that never changes. ``rights`` stand in the order in which they were applied."""

    currency: str
    prices_include_tax: bool
    lines: tuple[FrozenLine, ...]
    parcels: tuple[FrozenLine, ...]
    rights: tuple[FrozenRight, ...]

    @property
    def total(self) -> int:
        """What is to be paid, tax included."""
        parts = (*self.lines, *self.parcels)
        shown = sum(part.total for part in parts)
        return shown if self.prices_include_tax else shown + self.tax

    @property
    def tax(self) -> int:
        """Minor units of tax, within the total."""
        return sum(total_of(part.tax) for part in (*self.lines, *self.parcels))

    @property
    def points(self) -> int:
        """Minor units that are paid with points, which the total does not hold."""
        return sum(
            total_of(share.units) for line in self.lines for share in line.shares if share.right == POINTS
        )

    @property
    def list_total(self) -> int:
        """Minor units of lines and shipping before any discount, as shown."""
        return sum(part.list_total for part in (*self.lines, *self.parcels))

    @property
    def discount(self) -> int:
        """Minor units that rights take off, points apart."""
        return sum(
            total_of(share.units)
            for part in (*self.lines, *self.parcels)
            for share in part.shares
            if share.right != POINTS
        )


def freeze(cart: Cart, quote: Quote, tax: Taxes | None = None) -> FrozenOrder:
    """The order of a priced cart.

    The rights' offers have to be ids written as text.

    Args:
        tax: that of the cart, where it is known already.
    """
    lines: list[list[FrozenShare]] = [[] for _ in cart.lines]
    parcels: list[list[FrozenShare]] = [[] for _ in cart.parcels]
    for position, applied in enumerate(quote.applied):
        _add(lines, position, applied.lines)
        _add(parcels, position, applied.parcels)
    # Points come after all that lowers lines: what comes after them lowers shipping, which they don't.
    _add(lines, POINTS, quote.points_lines)
    tax = tax or taxes(cart, quote)
    return FrozenOrder(
        cart.currency,
        cart.prices_include_tax,
        tuple(
            FrozenLine(
                line.key,
                line.product,
                line.merchant_id,
                line.unit_price,
                line.quantity,
                quote.lines[place].units,
                tax.lines[place],
                tuple(lines[place]),
                line.tax_basis_points,
            )
            for place, line in enumerate(cart.lines)
        ),
        tuple(
            FrozenLine(
                "",
                "",
                parcel.merchant_id,
                parcel.amount,
                1,
                ((quote.shipping[place], 1),),
                tax.parcels[place],
                tuple(parcels[place]),
                parcel.tax_basis_points,
            )
            for place, parcel in enumerate(cart.parcels)
        ),
        tuple(_frozen_right(applied) for applied in quote.applied),
    )


def _add(parts: list[list[FrozenShare]], position: int, shares: tuple[Share, ...]) -> None:
    """Note what a right took off each line, or each parcel."""
    for share in shares:
        parts[share.position].append(FrozenShare(position, share.units, share.platform))


def _frozen_right(applied: Applied) -> FrozenRight:
    right = applied.right
    return FrozenRight(
        right.key,
        UUID(right.offer),
        right.issuer,
        right.merchant_id,
        right.is_promotion,
        right.benefit,
        right.minimum_spend,
        right.rules,
        right.funding.platform_basis_points,
        applied.scope,
    )
