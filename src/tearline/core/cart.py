"""A cart and the rights to a discount in it, as values; which lines each right touches.

Prices are integers of minor units of the cart's one currency, as the shop shows them: with tax included, or
without. A discount lowers what is shown; tax is reckoned afterwards, from what is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TypeAlias
from uuid import UUID

from tearline.core.offers import Benefit, CartRules, FixedPrice, FreeShipping, Funding, Scope, Selection

MERCHANT_PROMOTIONS, MERCHANT_COUPONS, PLATFORM_COUPONS, POINTS, SHIPPING_PROMOTIONS, SHIPPING_COUPONS = (
    range(6)
)
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
        slot: the place that it takes: of rights to the same place, one applies. Each merchant has places of its own;
            for the platform's coupons and for those of shipping there is one each.
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
    slot: Slot = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once: a search compares places again and again.
        layer = self._layer()
        merchant = "" if layer in (PLATFORM_COUPONS, SHIPPING_COUPONS) else str(self.merchant_id)
        object.__setattr__(self, "slot", (layer, self.rules.stacking_group or "", merchant))

    @property
    def layer(self) -> int:
        """When its turn is."""
        return self.slot[0]

    def _layer(self) -> int:
        if isinstance(self.benefit, FreeShipping):
            return SHIPPING_PROMOTIONS if self.is_promotion else SHIPPING_COUPONS
        if self.issuer == "platform":
            return PLATFORM_COUPONS
        return MERCHANT_PROMOTIONS if self.is_promotion else MERCHANT_COUPONS

    @property
    def is_of_shipping(self) -> bool:
        """Whether it lowers what parcels cost, after everything else."""
        return self.layer >= SHIPPING_PROMOTIONS


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
        parcels: positions of the parcels that it makes cheaper: those that bring lines in its scope.
        list_total: what the lines in its scope cost before any discount.
    """

    right: Right
    lines: tuple[int, ...]
    parcels: tuple[int, ...]
    list_total: int


class _Lines:
    """Where a cart's lines are, by what offers pick them by, so that a right need not look at each of them."""

    def __init__(self, cart: Cart) -> None:
        self.totals = [line.unit_price * line.quantity for line in cart.lines]
        self._cart = cart
        self._by_merchant = defaultdict[object, list[int]](list)
        for position, line in enumerate(cart.lines):
            self._by_merchant[line.merchant_id].append(position)
        self._touchable: dict[UUID | None, tuple[int, ...]] = {}

    def count(self, merchant_id: UUID | None) -> int:
        """How many a merchant has, or with None the cart."""
        return len(self._of(merchant_id))

    def touchable(self, merchant_id: UUID | None) -> tuple[int, ...]:
        """The positions of those of a merchant, or with None of the cart, that coupons may touch."""
        if merchant_id not in self._touchable:
            lines = self._cart.lines
            own = self._of(merchant_id)
            self._touchable[merchant_id] = tuple(place for place in own if lines[place].is_discountable)
        return self._touchable[merchant_id]

    def _of(self, merchant_id: UUID | None) -> Sequence[int]:
        return range(len(self.totals)) if merchant_id is None else self._by_merchant.get(merchant_id, ())

    def picked(self, selection: Selection) -> set[int]:
        """The positions of those that a selection picks."""
        wanted = selection.products, selection.categories, selection.brands, selection.merchants
        found: set[int] = set()
        for keys, lines_by_key in zip(wanted, self._by_key, strict=True):
            for key in lines_by_key.keys() & keys:
                found.update(lines_by_key[key])
        return found

    @cached_property
    def _by_key(self) -> tuple[Mapping[object, list[int]], ...]:
        products, categories, brands = (defaultdict[object, list[int]](list) for _ in range(3))
        for position, line in enumerate(self._cart.lines):
            products[line.product].append(position)
            brands[line.brand].append(position)
            for category in line.categories:
                categories[category].append(position)
        return products, categories, brands, self._by_merchant


def candidates(cart: Cart, rights: Sequence[Right], now: datetime) -> tuple[list[Candidate], list[Skipped]]:
    """The rights that could apply, looked at alone and with a minimum spend still to be seen; and the others."""
    found, skipped = [], []
    lines = _Lines(cart)
    for right in rights:
        candidate = _candidate(cart, lines, right, now)
        if isinstance(candidate, Candidate):
            found.append(candidate)
        else:
            skipped.append(candidate)
    return found, skipped


def _candidate(cart: Cart, cart_lines: _Lines, right: Right, now: datetime) -> Candidate | Skipped:
    if right.valid_from is not None and now < right.valid_from:
        return Skipped(right, "not_valid_yet")
    if right.valid_until is not None and now >= right.valid_until:
        return Skipped(right, "expired")
    if right.currency != cart.currency:
        return Skipped(right, "other_currency")
    if right.rules.first_order_only and not cart.is_first_order:
        return Skipped(right, "first_order_only")
    lines = cart_lines.touchable(right.merchant_id)
    if not right.scope.includes.is_empty:
        included = cart_lines.picked(right.scope.includes)
        lines = tuple([position for position in lines if position in included])
    if not right.scope.excludes.is_empty:
        excluded = cart_lines.picked(right.scope.excludes)
        lines = tuple([position for position in lines if position not in excluded])
    if right.rules.excluded_lines == "block" and len(lines) < cart_lines.count(right.merchant_id):
        return Skipped(right, "excluded_lines")
    parcels = _parcels(cart, right, lines)
    if not lines or (isinstance(right.benefit, FreeShipping) and not parcels):
        return Skipped(right, "nothing_in_scope")
    if isinstance(right.benefit, FixedPrice) and not any(
        cart.lines[position].product == right.benefit.product for position in lines
    ):
        return Skipped(right, "nothing_in_scope")
    return Candidate(right, lines, parcels, sum(map(cart_lines.totals.__getitem__, lines)))


def _parcels(cart: Cart, right: Right, lines: Iterable[int]) -> tuple[int, ...]:
    benefit = right.benefit
    if not isinstance(benefit, FreeShipping) or (benefit.regions and cart.region not in benefit.regions):
        return ()
    senders = {cart.lines[position].merchant_id for position in lines}
    return tuple(
        position
        for position, parcel in enumerate(cart.parcels)
        if parcel.amount and parcel.merchant_id in senders
    )
