"""A cart as a shop sends it, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tearline.core.money import CURRENCY_EXPONENTS, MAXIMUM_AMOUNT
from tearline.core.offers import WHOLE_BASIS_POINTS
from tearline.core.refusal import Refusal
from tearline.core.texts import is_storable
from tearline.i18n import _

MOST_LINES = 500
MOST_QUANTITY = 10_000
"""Units of one line."""
MOST_NAMED = 20
"""Codes, and coupons, that one cart names."""
LONGEST_KEY = 100
MOST_CATEGORIES = 50


@dataclass(frozen=True, slots=True)
class LineRequest:
    """A line as the shop sends it; what it does not say (None) is the catalogue's to say.

    Attributes:
        key: the shop's name of the line, unique in the cart.
        product: its key in the catalogue, or one that is not there.
        unit_price: minor units, as the shop shows it.
        categories: the product's own and all that it lies in.
    """

    key: str
    product: str
    quantity: int
    unit_price: int | None = None
    merchant_id: UUID | None = None
    categories: tuple[str, ...] | None = None
    brand: str | None = None
    is_discountable: bool | None = None
    tax_basis_points: int | None = None


@dataclass(frozen=True, slots=True)
class ParcelRequest:
    """What one merchant asks for sending its part."""

    merchant_id: UUID
    amount: int
    tax_basis_points: int = 0


@dataclass(frozen=True, slots=True)
class CartRequest:
    """A cart, who buys it, and which coupons are thought of.

    Attributes:
        member_id: None for a guest.
        codes: coupons by their codes, normalised and well formed, whoever holds them.
        coupon_ids: of the member's coupons those to use, where the choice is ``given``.
        choose: ``best``: the best of the member's coupons and of those named by code; ``given``: those that are named.
        store_id: where the cart is, if it is in a store.
        points: minor units that are paid with points.
    """

    currency: str
    lines: tuple[LineRequest, ...]
    parcels: tuple[ParcelRequest, ...] = ()
    region: str | None = None
    store_id: UUID | None = None
    points: int = 0
    prices_include_tax: bool = True
    member_id: UUID | None = None
    codes: tuple[str, ...] = ()
    coupon_ids: tuple[UUID, ...] = ()
    choose: str = "best"


def check(request: CartRequest) -> None:
    """Refuse what can be no cart: ``cart_too_large``, or ``invalid`` with what is wrong where."""
    if len(request.lines) > MOST_LINES:
        raise Refusal("cart_too_large", most=MOST_LINES)
    problems: dict[str, str] = {}
    if request.currency not in CURRENCY_EXPONENTS:
        problems["currency"] = _("We do not know this currency.")
    if not request.lines:
        problems["lines"] = _("A cart has at least one line.")
    seen: set[str] = set()
    for number, line in enumerate(request.lines):
        problems |= {f"lines.{number}.{name}": sentence for name, sentence in _of_line(line).items()}
        if line.key in seen:
            problems[f"lines.{number}.key"] = _("Another line has the same key.")
        seen.add(line.key)
    problems |= _of_parcels(request.parcels)
    if not 0 <= request.points <= MAXIMUM_AMOUNT:
        problems["points"] = _OUT_OF_RANGE
    if request.choose not in ("best", "given"):
        problems["choose"] = _("Choose best or given.")
    if max(len(request.codes), len(request.coupon_ids)) > MOST_NAMED:
        problems["coupons"] = _("These are too many coupons.")
    if problems:
        raise Refusal("invalid", fields=problems)


_OUT_OF_RANGE = _("This number is out of range.")


def _of_parcels(parcels: Sequence[ParcelRequest]) -> dict[str, str]:
    problems: dict[str, str] = {}
    seen: set[UUID] = set()
    for number, parcel in enumerate(parcels):
        if not 0 <= parcel.amount <= MAXIMUM_AMOUNT:
            problems[f"shipping.{number}.amount"] = _OUT_OF_RANGE
        if not 0 <= parcel.tax_basis_points <= WHOLE_BASIS_POINTS:
            problems[f"shipping.{number}.tax_basis_points"] = _OUT_OF_RANGE
        if parcel.merchant_id in seen:
            problems[f"shipping.{number}.merchant_id"] = _("Shipping of this merchant is given twice.")
        seen.add(parcel.merchant_id)
    return problems


def _of_line(line: LineRequest) -> Mapping[str, str]:
    problems: dict[str, str] = {}
    for name, text in (("key", line.key), ("product", line.product)):
        if not 0 < len(text) <= LONGEST_KEY or not is_storable(text):
            problems[name] = _("Use 1 to 100 characters.")
    if not 1 <= line.quantity <= MOST_QUANTITY:
        problems["quantity"] = _OUT_OF_RANGE
    if line.unit_price is not None and not 0 <= line.unit_price <= MAXIMUM_AMOUNT:
        problems["unit_price"] = _OUT_OF_RANGE
    if line.categories is not None and len(line.categories) > MOST_CATEGORIES:
        problems["categories"] = _("These are too many categories.")
    if line.tax_basis_points is not None and not 0 <= line.tax_basis_points <= WHOLE_BASIS_POINTS:
        problems["tax_basis_points"] = _OUT_OF_RANGE
    return problems
