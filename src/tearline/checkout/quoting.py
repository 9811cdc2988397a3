"""Pricing a cart as it was sent: the best of the coupons, or those that were named, with a reason for all others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from tearline.checkout.loading import Loaded, load
from tearline.checkout.offers import OfferBook
from tearline.checkout.requests import CartRequest, check
from tearline.core.cart import Right, candidates
from tearline.core.choosing import choose
from tearline.core.hints import Hint, Qualification, hints, qualify
from tearline.core.pricing import Quote, State, amount_of, price
from tearline.core.tax import Taxes, taxes
from tearline.db.statement import AnyConnection


@dataclass(frozen=True, slots=True)
class PricedCart:
    """A cart with its quote, the tax on what is left, and what would save more."""

    loaded: Loaded
    quote: Quote
    taxes: Taxes
    hints: tuple[Hint, ...] = ()

    @property
    def total(self) -> int:
        """What is to be paid, tax included."""
        on_top = 0 if self.loaded.cart.prices_include_tax else self.taxes.total
        return self.quote.total + on_top


async def quote_cart(
    connection: AnyConnection,
    request: CartRequest,
    book: OfferBook,
    now: datetime,
    *,
    merchant_id: UUID | None = None,
) -> PricedCart:
    """Price a cart; nothing is changed or kept.

    Raises:
        Refusal: ``cart_too_large``, ``invalid``.
    """
    check(request)
    loaded = await load(connection, request, book, now, merchant_id=merchant_id)
    return priced(request, loaded, now, with_hints=True)


def priced(request: CartRequest, loaded: Loaded, now: datetime, *, with_hints: bool = False) -> PricedCart:
    """The quote of a loaded cart."""
    cart, rights = loaded.cart, loaded.rights
    if request.choose == "given":
        quote = price(cart, _in_order(request, loaded, now), now)
    else:
        quote = choose(cart, rights, now)
        # A coupon that was not looked at may belong to the best combination.
        quote = replace(quote, is_best=quote.is_best and loaded.is_whole_wallet)
    found = hints(cart, rights, quote, now) if with_hints else ()
    return PricedCart(loaded, quote, taxes(cart, quote), found)


def _in_order(request: CartRequest, loaded: Loaded, now: datetime) -> list[Right]:
    """The named coupons as they were named, then the promotions, which have to go with them, the best first."""
    places = {code: place for place, code in enumerate((*request.codes, *map(str, request.coupon_ids)))}

    def place_of(right: Right) -> int:
        coupon = loaded.coupons[right.key]
        return min(places.get(coupon.code, len(places)), places.get(right.key, len(places)))

    named = sorted((one for one in loaded.rights if not one.is_promotion), key=place_of)
    promotions, _skipped = candidates(loaded.cart, [one for one in loaded.rights if one.is_promotion], now)
    start = State.of(loaded.cart)
    promotions.sort(key=lambda one: -(amount_of(loaded.cart, start, one) or 0))
    return [*named, *(one.right for one in promotions)]


async def qualify_cart(
    connection: AnyConnection,
    request: CartRequest,
    book: OfferBook,
    now: datetime,
    *,
    merchant_id: UUID | None = None,
) -> tuple[Loaded, Qualification]:
    """What may be used in a cart, what nearly, and what not and why; as a person picks from.

    Raises:
        Refusal: as ``quote_cart``.
    """
    check(request)
    loaded = await load(connection, request, book, now, merchant_id=merchant_id)
    return loaded, qualify(loaded.cart, loaded.rights, now)
