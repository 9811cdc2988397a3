"""Taxes of a priced cart, reckoned after all discounts from what is left of each line.

Tax is rounded once per line, and once per parcel, half a minor unit and more upwards; the line's tax is then split
over its units in proportion to what each costs, so that units' taxes sum to the line's exactly, and what costs
nothing bears none. Rates are hundredths of a percent, from 0 to 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from tearline.core.allocation import Runs, allocate, total_of
from tearline.core.cart import Cart
from tearline.core.money import half_up
from tearline.core.offers import WHOLE_BASIS_POINTS
from tearline.core.pricing import Quote


@dataclass(frozen=True, slots=True)
class Taxes:
    """The tax of each unit, line by line and parcel by parcel, in the order of the cart's.

    Attributes:
        total: minor units; within what is to be paid where prices include tax, else on top of it.
    """

    lines: tuple[Runs, ...]
    parcels: tuple[Runs, ...]
    total: int


def tax_of(amount: int, basis_points: int, *, is_included: bool) -> int:
    """The tax that an amount contains, or that is added to it; half a minor unit and more is rounded up."""
    whole = WHOLE_BASIS_POINTS + basis_points if is_included else WHOLE_BASIS_POINTS
    return half_up(amount * basis_points, whole)


def tax_of_units(units: Runs, basis_points: int, *, is_included: bool) -> Runs:
    """The tax of each unit of a line: the line's, split in proportion to what each unit costs."""
    return allocate(tax_of(total_of(units), basis_points, is_included=is_included), [units])[0]


def taxes(cart: Cart, quote: Quote) -> Taxes:
    """The taxes of a cart that is priced."""
    is_included = cart.prices_include_tax
    lines = tuple(
        tax_of_units(priced.units, line.tax_basis_points, is_included=is_included)
        for line, priced in zip(cart.lines, quote.lines, strict=True)
    )
    parcels = tuple(
        tax_of_units(((cost, 1),), parcel.tax_basis_points, is_included=is_included)
        for parcel, cost in zip(cart.parcels, quote.shipping, strict=True)
    )
    return Taxes(lines, parcels, sum(total_of(one) for one in (*lines, *parcels)))
