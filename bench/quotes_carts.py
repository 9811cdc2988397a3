"""Carts to be priced: ordinary ones of any size, and ones built to hold an engine up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from tearline.core.cart import Cart, CartLine, Parcel, Right
from tearline.core.offers import (
    AmountOff,
    Benefit,
    CartRules,
    FixedPrice,
    FreeShipping,
    Funding,
    Gift,
    PercentOff,
    Scope,
    Selection,
)

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
CATEGORIES = ("food", "print", "drink", "garden")
MOST_LINES, MOST_RIGHTS, MOST_UNITS = 500, 200, 9_999
"""What an adversarial cart has of everything."""
LEFT = CartRules(threshold_base="after_earlier")
Case: TypeAlias = tuple[Cart, list[Right]]


def ordinary(lines: int, coupons: int) -> Case:
    """A cart of three merchants, and a member's coupons of the platform and of those merchants in turn.

    Every second coupon takes an amount off from a minimum spend, every second a percentage; every third is for
    one category only. All of them can be used with this cart by themselves.
    """
    cart = Cart(
        "HKD",
        tuple(
            CartLine(
                f"line-{place}",
                f"product-{place}",
                _merchant(place % 3),
                990 + place * 7_370 % 24_000,
                1 + place % 3,
                (CATEGORIES[place % len(CATEGORIES)],),
            )
            for place in range(lines)
        ),
        tuple(Parcel(_merchant(number), 3_000) for number in range(3)),
    )
    return cart, [_ordinary_coupon(place) for place in range(coupons)]


def _ordinary_coupon(place: int) -> Right:
    merchant = None if place % 4 == 0 else _merchant(place % 4 - 1)
    scope = Scope(Selection(categories=CATEGORIES[: 1 + place % 4])) if place % 3 == 2 else Scope()
    if place % 2:
        return coupon(place, PercentOff(500 + 100 * (place % 13)), merchant, scope=scope)
    return coupon(place, AmountOff(300 + 70 * place), merchant, minimum_spend=1_000 + 40 * place, scope=scope)


def coupon(
    place: int,
    benefit: Benefit,
    merchant: UUID | None = None,
    *,
    minimum_spend: int = 0,
    scope: Scope | None = None,
    rules: CartRules | None = None,
) -> Right:
    """A coupon of an offer of its own, paid for by its issuer."""
    return Right(
        f"coupon-{place}",
        f"offer-{place}",
        "platform" if merchant is None else "merchant",
        "HKD",
        benefit,
        Funding(10_000, 0) if merchant is None else Funding(3_333, 6_667),
        merchant,
        minimum_spend,
        scope or Scope(),
        rules or CartRules(),
    )


# Carts built to hold an engine up


def adversarial() -> dict[str, Case]:
    """Carts of 500 lines and 200 rights, each built against another part of a search, by what it does."""
    return {name: (_large(merchants), list(rights)) for name, (merchants, rights) in _ATTACKS.items()}


def _merchant(number: int) -> UUID:
    return UUID(int=number + 1)


def _large(merchants: int) -> Cart:
    """Prices that share no divisor, in quantities that split into runs wherever a remainder falls."""
    return Cart(
        "HKD",
        tuple(
            CartLine(
                f"line-{place}",
                f"product-{place % 40}",
                _merchant(place % merchants),
                1_009 + place * 7_919 % 89_989,
                MOST_UNITS - place,
                (CATEGORIES[place % 4], f"half-{place % 2}", f"fifth-{place % 5}"),
            )
            for place in range(MOST_LINES)
        ),
        tuple(Parcel(_merchant(number), 1_009 + 31 * number) for number in range(merchants)),
        points=12_345_677,
    )


_WHOLE = sum(line.unit_price * line.quantity for line in _large(1).lines)
"""What a large cart costs; it has some thousand million cents."""

_NOWHERE = tuple(f"none-{number}" for number in range(500))


def _many(make: Callable[[int], Right], count: int = MOST_RIGHTS) -> Iterable[Right]:
    return (make(place) for place in range(count))


def _group(name: object, base: CartRules = LEFT) -> CartRules:
    return CartRules(threshold_base=base.threshold_base, stacking_group=str(name))


def _half(place: int) -> Scope:
    return Scope(Selection(categories=(f"half-{place % 2}", f"fifth-{place % 5}")))


def _product(place: int) -> str:
    return f"product-{place % 40}"


_ATTACKS: dict[str, tuple[int, Iterable[Right]]] = {
    "each in a stacking group of its own": (
        1,
        _many(lambda i: coupon(i, AmountOff(100_003 + i), scope=_half(i), rules=_group(i))),
    ),
    "twenty groups of ten, minimums after earlier layers": (
        1,
        _many(
            lambda i: coupon(
                i, AmountOff(1_000_003 + i), minimum_spend=_WHOLE - 3_000_000 * (i % 10), rules=_group(i % 20),
            )
        ),
    ),
    "fifty merchants with near-equal options": (
        50,
        _many(
            lambda i: coupon(i, AmountOff(1_000_000 + i % 7), _merchant(i % 49))
            if i < 180
            else coupon(i, PercentOff(3_000 + i), minimum_spend=_WHOLE - 49_000_100 + i, rules=LEFT)
        ),
    ),
    "a hundred merchants, each with a coupon worth the platform's own": (
        100,
        _many(
            lambda i: coupon(i, AmountOff(5_000_000), _merchant(i))
            if i < 100
            else coupon(i, AmountOff(250_000_000 + i), minimum_spend=_WHOLE - 251_234_567 + i, rules=LEFT)
        ),
    ),
    "free shipping that asks for what is left": (
        20,
        _many(
            lambda i: coupon(i, AmountOff(1_000_000 + i % 9), _merchant(i % 20))
            if i < 120
            else coupon(
                i, FreeShipping(5_000 + i), minimum_spend=_WHOLE - 30_000_000 + i * 7, rules=_group(i % 8)
            )
        ),
    ),
    "fixed prices on overlapping products": (
        1,
        _many(
            lambda i: coupon(i, FixedPrice(1_000 + i % 7, _product(i), 5_000 + i), rules=_group(i % 12))
        ),
    ),
    "free shipping in groups of its own": (
        100,
        _many(
            lambda i: coupon(
                i, FreeShipping(1_000 + i), None if i % 2 else _merchant(i % 100), rules=_group(i // 2 % 50),
                minimum_spend=1,
            )
        ),
    ),
    "gifts in every group": (
        2,
        _many(lambda i: coupon(i, Gift({"en": "A bag"}), _merchant(i % 2) if i % 3 else None, rules=_group(i % 15))),
    ),
    "percentages with caps, in groups, over overlapping scopes": (
        4,
        _many(
            lambda i: coupon(
                i, PercentOff(100 + 37 * i, 9_000_000 + i), None if i % 2 else _merchant(i // 2 % 4),
                scope=_half(i), rules=_group(i // 8 % 6),
            )
        ),
    ),
    "all of them exclusive": (
        10,
        _many(
            lambda i: coupon(
                i, PercentOff(4_000 + i, 90_000_000 + i % 3), _merchant(i % 10) if i % 2 else None,
                rules=CartRules(exclusive=True, threshold_base="after_earlier"), minimum_spend=1,
            )
        ),
    ),
    "exclusive coupons beside promotions": (
        50,
        _many(
            lambda i: replace(
                coupon(i, PercentOff(1_000 + i), _merchant(i % 50), rules=_group(i // 50)), is_promotion=True
            )
            if i < 100
            else coupon(
                i, PercentOff(4_000, 90_000_000 + i % 3), _merchant(i % 50) if i % 2 else None,
                rules=CartRules(exclusive=True, threshold_base="after_earlier"), minimum_spend=1,
            )
        ),
    ),
    "long scopes": (
        10,
        _many(
            lambda i: coupon(
                i, AmountOff(1_000_000 + i), _merchant(i % 10) if i % 3 else None,
                scope=Scope(
                    Selection(products=(*_NOWHERE, _product(i), _product(i + 7))),
                    Selection(categories=_NOWHERE),
                ),
            )
        ),
    ),
    "a hundred and fifty coupons of the platform, each for other lines": (
        3,
        _many(
            lambda i: coupon(i, AmountOff(3_000_000 + i), scope=Scope(excludes=Selection(products=(_product(i),))))
            if i < 150
            else coupon(i, AmountOff(3_000_000 + i % 11), _merchant(i % 3), rules=_group(i % 3))
        ),
    ),
}  # fmt: skip
