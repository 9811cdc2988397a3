"""Orders for tests: of a cart with rights, and any by the throw of dice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from uuid import UUID

from tearline.core.allocation import Runs
from tearline.core.cart import EVERYTHING, Cart, CartLine, Parcel, Right, candidates
from tearline.core.offers import CartRules, FreeShipping, Funding, Scope, Selection
from tearline.core.orders import FrozenOrder, freeze
from tearline.core.pricing import price
from tearline.core.refunds import Refund, Remaining, Wish, refund
from tearline.core.settlement import Entry
from tests.core.carts import BRANDS, MERCHANTS, NOW, PRODUCTS, any_benefit, right


def order_of(cart: Cart, *rights: Right) -> FrozenOrder:
    """The order of a cart with rights that combine; their offers get ids."""
    some = [replace(one, offer=str(UUID(int=number))) for number, one in enumerate(rights, 1)]
    quote = price(cart, some, NOW)
    assert len(quote.applied) == len(rights), quote.skipped
    return freeze(cart, quote)


def given_back(order: FrozenOrder, remaining: Remaining, wish: Wish) -> tuple[Refund, Remaining]:
    """A refund that succeeds."""
    answer = refund(order, remaining, wish)
    assert isinstance(answer, tuple), answer
    return answer


def units_of(runs: Runs) -> list[int]:
    """Each unit by itself."""
    return [amount for amount, count in runs for _ in range(count)]


def sums_of(entries: Iterable[Entry]) -> Counter[tuple[UUID, str]]:
    """What each account of each merchant comes to."""
    sums: Counter[tuple[UUID, str]] = Counter()
    for entry in entries:
        sums[entry.merchant_id, entry.account] += entry.amount
    return sums


def any_order(dice: Random) -> FrozenOrder:
    """Any order of few lines, with rights that mostly apply, to minimums that are often only just reached."""
    rates = (0, 0, 500, 2_000, 10_000)
    lines = tuple(
        CartLine(
            str(place),
            dice.choice(PRODUCTS),
            dice.choice(MERCHANTS[:2]),
            dice.randint(0, dice.choice((12, 9_999))),
            dice.randint(1, 4),
            brand=dice.choice(BRANDS),
            is_discountable=dice.random() < 0.9,
            tax_basis_points=dice.choice(rates),
        )
        for place in range(dice.randint(1, 4))
    )
    parcels = tuple(
        Parcel(merchant, dice.choice((0, dice.randint(0, 3_000))), dice.choice(rates))
        for merchant in dict.fromkeys(line.merchant_id for line in lines)
    )
    cart = Cart(
        "HKD",
        lines,
        parcels,
        points=dice.choice((0, 0, 500, 10_000)),
        prices_include_tax=dice.random() < 0.5,
    )
    some = [_any_right(dice, cart, number) for number in range(1, dice.randint(2, 5))]
    return freeze(cart, price(cart, some, NOW))


def _any_right(dice: Random, cart: Cart, number: int) -> Right:
    benefit, share = any_benefit(dice), dice.choice((0, 3_333, 10_000))
    plain = right(
        f"{number}",
        replace(benefit, regions=()) if isinstance(benefit, FreeShipping) else benefit,
        dice.choice((None, None, *MERCHANTS[:2])),
        offer=str(UUID(int=number)),
        funding=Funding(share, 10_000 - share),
        scope=dice.choice((EVERYTHING, Scope(excludes=Selection(brands=("Lok",))))),
        rules=CartRules(
            threshold_base=dice.choice(("list_price", "after_earlier")),
            stacking_group=dice.choice((None, "a")),
            refund_below_threshold=dice.choice(("keep", "recompute", "recompute", "recompute")),
        ),
    )
    found, _skipped = candidates(cart, [plain], NOW)
    cost = sum(one.list_total for one in found)
    return replace(plain, minimum_spend=cost * dice.choice((0, 1, 2, 3, 4)) // 4)


def any_wish(dice: Random, order: FrozenOrder, remaining: Remaining) -> Wish:
    """Some of what is left, or all of it."""
    if dice.random() < 0.1:
        return Wish(everything=True)
    left = list(zip(order.lines, remaining.lines, strict=True))
    lines = {line.key: dice.randint(0, one.quantity) for line, one in left if dice.random() < 0.5}
    parcels = [
        parcel.merchant_id
        for parcel, one in zip(order.parcels, remaining.parcels, strict=True)
        if one.quantity and dice.random() < 0.3
    ]
    return Wish(lines, tuple(parcels))
