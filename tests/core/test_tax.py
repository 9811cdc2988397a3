"""Tax after discounts: rounded once per line, split over its units, within prices or on top."""

from __future__ import annotations

import pytest

from tearline.core.allocation import total_of
from tearline.core.cart import Parcel
from tearline.core.choosing import choose
from tearline.core.offers import AmountOff, FreeShipping
from tearline.core.orders import freeze
from tearline.core.tax import tax_of, tax_of_units, taxes
from tests.core.carts import BOOKS, NOODLES, NOW, cart, line, right
from tests.core.orders import order_of, units_of


@pytest.mark.parametrize(
    ("amount", "basis_points", "on_top", "included"),
    [
        (10_000, 2_000, 2_000, 1_667),
        (12_000, 2_000, 2_400, 2_000),
        (10, 500, 1, 0),
        (9, 500, 0, 0),
        (11, 500, 1, 1),
        (10, 2_500, 3, 2),
        (3, 10_000, 3, 2),
        (1, 10_000, 1, 1),
        (1, 9_999, 1, 0),
        (999, 825, 82, 76),
        (999, 0, 0, 0),
        (0, 2_000, 0, 0),
    ],
)
def test_half_a_minor_unit_is_rounded_up(amount: int, basis_points: int, on_top: int, included: int) -> None:
    assert tax_of(amount, basis_points, is_included=False) == on_top
    assert tax_of(amount, basis_points, is_included=True) == included


def test_a_line_is_rounded_once_and_its_tax_split_over_its_units() -> None:
    """Three of 0.33 at 5 % are 0.05 of tax, not three times 0.02."""
    assert tax_of_units(((33, 3),), 500, is_included=False) == ((2, 2), (1, 1))
    assert units_of(tax_of_units(((0, 1), (50, 2)), 1_000, is_included=False)) == [0, 5, 5]


def test_a_tax_of_the_whole_price_is_split_too() -> None:
    assert tax_of_units(((7, 2), (3, 1)), 10_000, is_included=False) == ((7, 2), (3, 1))


def test_tax_is_of_what_discounts_leave() -> None:
    of = cart(
        line("bowl", 6_000, 2, tax_basis_points=2_000),
        line("novel", 1_000, merchant=BOOKS),
        parcels=(Parcel(BOOKS, 900, 1_000), Parcel(NOODLES, 1_200, 1_000)),
        prices_include_tax=False,
    )
    rights = [right("a", AmountOff(3_000), NOODLES), right("b", FreeShipping(1_000))]
    found = taxes(of, choose(of, rights, NOW))
    assert found.lines == (((900, 2),), ((0, 1),))
    # 10.00 off 21.00 of shipping: 4.71 and 6.29 are left.
    assert [total_of(one) for one in found.parcels] == [47, 63]
    assert found.total == 1_910


def test_tax_stands_in_the_order_line_by_line() -> None:
    of = cart(
        line("bowl", 6_000, 2, tax_basis_points=2_000), parcels=(Parcel(NOODLES, 1_100, 1_000),), points=600
    )
    order = order_of(of, right("a", AmountOff(2_400)))
    assert (order.lines[0].tax, order.lines[0].tax_basis_points) == (((750, 2),), 2_000)
    assert (order.parcels[0].tax, order.parcels[0].tax_basis_points) == (((100, 1),), 1_000)
    assert (order.total, order.tax, order.points, order.discount) == (10_100, 1_600, 600, 2_400)
    assert order.list_total == 13_100
    on_top = freeze(
        cart(*of.lines, parcels=of.parcels, prices_include_tax=False),
        choose(of, [], NOW),
    )
    assert on_top.total == 12_500 + 2_280 + 110


def test_what_names_no_tax_bears_none() -> None:
    bought = cart(line("piano", 9_000_000), parcels=(Parcel(NOODLES, 900_000),), prices_include_tax=False)
    assert freeze(bought, choose(bought, [], NOW)).tax == 0
