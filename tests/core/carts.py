"""Carts and rights for tests of pricing: plain ones by name, and any by the throw of dice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from tearline.core.cart import Cart, CartLine, Parcel, Right
from tearline.core.offers import (
    AmountOff,
    CartRules,
    FixedPrice,
    FreeShipping,
    Funding,
    Gift,
    PercentOff,
    Scope,
    Selection,
    Step,
)

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
NOODLES, BOOKS, TEA = (UUID(int=number) for number in (1, 2, 3))
MERCHANTS = (NOODLES, BOOKS, TEA)
PRODUCTS = ("bowl", "novel", "oolong", "cup")
CATEGORIES = ("food", "print", "drink")
BRANDS = ("Lok", "Mei")


def line(key: str, price: int, quantity: int = 1, merchant: UUID = NOODLES, **more: Any) -> CartLine:
    """A line of one product; of the noodle shop unless said otherwise."""
    return CartLine(key, more.pop("product", key), merchant, price, quantity, **more)


def cart(*lines: CartLine, **more: Any) -> Cart:
    """A cart in Hong Kong dollars."""
    return Cart("HKD", lines, **more)


def right(key: str, benefit: Any, merchant: UUID | None = None, **more: Any) -> Right:
    """A coupon: a merchant's, which that merchant pays for, or the platform's, which the platform does."""
    funding = Funding(10_000, 0) if merchant is None else Funding(0, 10_000)
    plain = {
        "key": key,
        "offer": f"offer of {key}",
        "issuer": "platform" if merchant is None else "merchant",
        "currency": "HKD",
        "benefit": benefit,
        "funding": funding,
        "merchant_id": merchant,
    }
    return Right(**{**plain, **more})


def some_of(dice: Random, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """None, one or two of them."""
    return tuple(dice.sample(values, dice.choice((0, 0, 1, 2))))


def any_selection(dice: Random) -> Selection:
    return Selection(
        some_of(dice, PRODUCTS), some_of(dice, CATEGORIES), some_of(dice, BRANDS), some_of(dice, MERCHANTS)
    )


def any_amount_off(dice: Random) -> AmountOff:
    amount = dice.randint(1, 4_000)
    if dice.random() < 0.4:
        return AmountOff(amount, every=True, times=dice.choice((None, 1, 3)))
    thresholds = sorted(dice.sample(range(1, 20_000), dice.choice((0, 1, 2))))
    return AmountOff(
        amount, tuple(Step(threshold, amount + 7 * place) for place, threshold in enumerate(thresholds, 1))
    )


def any_benefit(dice: Random) -> Any:
    return dice.choice(
        (
            any_amount_off(dice),
            any_amount_off(dice),
            PercentOff(dice.choice((1, 1_000, 3_333, 10_000, dice.randint(1, 10_000)))),
            PercentOff(dice.randint(1, 10_000), dice.randint(1, 3_000)),
            FixedPrice(dice.randint(0, 1_000), dice.choice(PRODUCTS), dice.randint(1, 4)),
            FreeShipping(dice.choice((None, dice.randint(1, 4_000))), dice.choice(((), ("HK",), ("TH",)))),
            Gift({"en": "A bag"}),
        )
    )


def any_rules(dice: Random) -> CartRules:
    return CartRules(
        excluded_lines="block" if dice.random() < 0.2 else "skip",
        threshold_base=dice.choice(("list_price", "after_earlier")),
        exclusive=dice.random() < 0.2,
        stacking_group=dice.choice((None, None, "a", "b")),
        first_order_only=dice.random() < 0.2,
    )


def any_cart(dice: Random, most_lines: int = 5) -> Cart:
    """Any cart of few lines."""
    lines = tuple(
        CartLine(
            str(place),
            dice.choice(PRODUCTS),
            dice.choice(MERCHANTS),
            dice.randint(0, dice.choice((12, 9_999))),
            dice.randint(1, 4),
            some_of(dice, CATEGORIES),
            dice.choice((None, *BRANDS)),
            dice.random() < 0.8,
        )
        for place in range(dice.randint(1, most_lines))
    )
    merchants = dict.fromkeys(one.merchant_id for one in lines)
    return Cart(
        "HKD",
        lines,
        tuple(Parcel(one, dice.choice((0, dice.randint(0, 3_000)))) for one in merchants),
        dice.choice(("HK", "TH", None)),
        dice.choice((0, 0, 500)),
        dice.random() < 0.5,
    )


def any_rights(dice: Random, most: int = 6) -> list[Right]:
    """Any coupons and promotions, some of them of one offer, not all of them usable."""
    found = [_any_right(dice, f"r{place}") for place in range(dice.randint(0, most))]
    if len(found) > 1 and dice.random() < 0.3:
        alike = dice.choice(found)
        found.append(replace(alike, key="again", valid_until=None))
    return found


def _any_right(dice: Random, key: str) -> Right:
    merchant, benefit = dice.choice((None, None, *MERCHANTS)), any_benefit(dice)
    share = dice.choice((0, 3_333, 5_000, 10_000))
    is_promotion = merchant is not None and dice.random() < 0.3
    return right(
        key,
        benefit,
        merchant,
        minimum_spend=dice.choice((0, 0, 100, 5_000, 15_000)),
        scope=dice.choice((Scope(), Scope(any_selection(dice), any_selection(dice)))),
        rules=any_rules(dice),
        funding=Funding(share, 10_000 - share),
        is_promotion=is_promotion,
        valid_until=dice.choice((None, *(NOW + timedelta(days=days) for days in (-1, 0, 1, 2, 2, 3)))),
        issued_at=dice.choice((None, *(NOW - timedelta(days=days) for days in (0, 1, 1, 3)))),
    )
