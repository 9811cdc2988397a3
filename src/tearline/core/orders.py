"""An order's frozen prices: what each unit of each line costs, and who bore which part of what was taken off.

A quote is frozen when its cart is ordered. Whatever follows goes by that and nothing else: payment, refunds,
settlement. Nothing is ever reckoned anew from percentages, which would come to something else once units are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tearline.core.allocation import Runs, total_of
from tearline.core.offers import Benefit, CartRules

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
    """

    key: str
    product: str
    merchant_id: UUID
    unit_price: int
    quantity: int
    units: Runs
    tax: Runs
    shares: tuple[FrozenShare, ...]

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
        return shown if self.prices_include_tax else shown + sum(total_of(part.tax) for part in parts)
