"""What holds of every priced cart: sums, bounds, who pays, and that the best combination is the best.

Each is tried on ten thousand carts, and a cart that is made is used for several; ``PRICING_EXAMPLES=1000000`` tries a
million. A cart is made from a number, which a failure names. (Hypothesis would shrink what fails, but takes ten times
as long to make one.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations
from random import Random

from tearline.core.allocation import Runs, aligned, allocate, subtract, total_of
from tearline.core.cart import SHIPPING_PROMOTIONS, Candidate, Cart, CartLine, Right, candidates
from tearline.core.choosing import choose
from tearline.core.offers import Gift, PercentOff, Selection
from tearline.core.pricing import Quote, apply_all, combine, price
from tests.core.carts import NOW, any_cart, any_rights, right

EXAMPLES = int(os.environ.get("PRICING_EXAMPLES", "10000"))


def on_many(test: Callable[[Random], None]) -> Callable[[], None]:
    """Try something with many numbers' dice."""

    def tried() -> None:
        for number in range(EXAMPLES):
            try:
                test(Random(number))
            except AssertionError as error:
                raise AssertionError(f"number {number}") from error

    tried.__name__, tried.__doc__ = test.__name__, test.__doc__
    return tried


def units_of(runs: Runs) -> list[int]:
    return [amount for amount, count in runs for _ in range(count)]


@on_many
def test_parts_sum_to_the_whole_and_none_is_out_of_bounds(dice: Random) -> None:
    most = dice.choice((3, 500))
    weights = [
        tuple((dice.randint(0, most), dice.randint(1, 5)) for _ in range(dice.randint(0, 3)))
        for _ in range(dice.randint(0, 5))
    ]
    whole = sum(total_of(one) for one in weights)
    total = dice.randint(0, whole)
    parts = allocate(total, weights)
    assert sum(total_of(one) for one in parts) == total
    flat = [unit for one in parts for unit in units_of(one)]
    of = [unit for one in weights for unit in units_of(one)]
    assert len(flat) == len(of)
    assert all(0 <= part <= weight for part, weight in zip(flat, of, strict=True))
    # Nobody is further than one minor unit from the exact share.
    assert all(
        abs(part * whole - total * weight) < max(whole, 1) for part, weight in zip(flat, of, strict=True)
    )
    single = allocate(total, [((unit, 1),) for unit in of])
    assert [one[0][0] for one in single] == flat, "the same as if each unit stood alone"
    left = [units_of(subtract(one, part)) for one, part in zip(weights, parts, strict=True)]
    assert [unit for one in left for unit in one] == [a - b for a, b in zip(of, flat, strict=True)]


def check(cart: Cart, quote: Quote) -> None:
    """Everything that a quote must add up to."""
    off = [[0] * line.quantity for line in cart.lines]
    for applied in quote.applied:
        funding = applied.right.funding
        assert applied.amount == sum(share.amount for share in (*applied.lines, *applied.parcels))
        borne = sum(share.platform_amount for share in (*applied.lines, *applied.parcels))
        assert abs(borne * 10_000 - applied.amount * funding.platform_basis_points) <= 5_000
        for share in applied.lines:
            assert all(count > 0 for _amount, count in (*share.units, *share.platform))
            for _whole, part, _count in aligned(share.units, share.platform):
                assert 0 <= part <= _whole
            for place, unit in enumerate(units_of(share.units)):
                off[share.position][place] += unit
    for share in quote.points_lines:
        for place, unit in enumerate(units_of(share.units)):
            off[share.position][place] += unit
    for line, priced, taken in zip(cart.lines, quote.lines, off, strict=True):
        assert units_of(priced.units) == [line.unit_price - unit for unit in taken]
        assert all(0 <= unit <= line.unit_price for unit in taken)
        assert priced.total == sum(units_of(priced.units))
        assert line.is_discountable or not any(taken)
    asked = sum(line.unit_price * line.quantity for line in cart.lines) + sum(
        one.amount for one in cart.parcels
    )
    assert quote.total + quote.saving + quote.points == asked
    assert all(0 <= left <= parcel.amount for left, parcel in zip(quote.shipping, cart.parcels, strict=True))


@on_many
def test_a_quote_adds_up_and_the_best_is_the_best(dice: Random) -> None:
    cart, some = any_cart(dice), any_rights(dice)
    given, quote = price(cart, some, NOW), choose(cart, some, NOW)
    for one in (given, quote):
        check(cart, one)
        named = [of.right.key for of in (*one.applied, *one.skipped)]
        assert sorted(named) == sorted(of.key for of in some), "each right applies, or says why not"
    assert quote.is_best
    assert [one.right.key for one in quote.applied] == best_by_trying_all(cart, some)
    for candidate in candidates(cart, some, NOW)[0]:
        touched = [place for place, line in enumerate(cart.lines) if touches(candidate.right, line)]
        assert list(candidate.lines) == touched


def touches(of: Right, line: CartLine) -> bool:
    """Whether a line is in a right's scope, by looking at nothing else."""
    included, excluded = of.scope.includes, of.scope.excludes
    return (
        line.is_discountable
        and of.merchant_id in (None, line.merchant_id)
        and (included.is_empty or has(included, line))
        and not has(excluded, line)
    )


def has(selection: Selection, line: CartLine) -> bool:
    return (
        line.product in selection.products
        or line.merchant_id in selection.merchants
        or line.brand in selection.brands
        or any(category in selection.categories for category in line.categories)
    )


def best_by_trying_all(cart: Cart, some: list[Right]) -> list[str]:
    """The keys of the best combination, in the order in which they apply: every one is tried."""
    found, _skipped = candidates(cart, some, NOW)
    chosen = [one for one in found if one.right.layer != SHIPPING_PROMOTIONS]
    best: tuple[tuple[object, ...], list[str]] = ((0, 0, 0, 0, [], []), [])
    for count in range(len(chosen) + 1):
        for combination in combinations(chosen, count):
            if not all(combine(one.right, other.right) for one, other in combinations(combination, 2)):
                continue
            for promotions in promotions_of_shipping(cart, found, combination):
                state, passed = apply_all(cart, (*combination, *promotions))
                if passed:
                    continue
                coupons = sum(not one.right.is_promotion for one in combination)
                gifts = sum(isinstance(one.right.benefit, Gift) for one in combination)
                known, after = (
                    sorted(precedence(cart, one) for one in some) for some in (combination, promotions)
                )
                cost = -state.saved, -gifts, coupons, count, known, after
                if cost < best[0]:
                    best = cost, [taken.candidate.right.key for taken in state.taken]
    return best[1]


def promotions_of_shipping(
    cart: Cart, found: list[Candidate], others: tuple[Candidate, ...]
) -> list[list[Candidate]]:
    """Those that apply beside others, of each place what saves most: with those that are exclusive, and without."""
    ways = []
    for is_exclusive in ((False,), (False, True)):
        taken: list[Candidate] = []
        able = [
            one
            for one in found
            if one.right.layer == SHIPPING_PROMOTIONS
            and one.right.rules.exclusive in is_exclusive
            and all(combine(one.right, other.right) for other in others)
        ]
        for place in sorted({one.right.slot for one in able}):
            tried = []
            for one in able:
                if one.right.slot == place and not any(
                    one.right.offer == other.right.offer for other in taken
                ):
                    before, _passed = apply_all(cart, (*goods_of(others), *taken))
                    state, passed = apply_all(cart, (*goods_of(others), *taken, one))
                    if not passed:
                        tried.append((before.saved - state.saved, precedence(cart, one), one))
            if tried:
                taken.append(min(tried, key=lambda one: one[:2])[2])
        ways.append(taken)
    return ways


def goods_of(some: tuple[Candidate, ...]) -> list[Candidate]:
    return [one for one in some if not one.right.is_of_shipping]


def precedence(cart: Cart, candidate: Candidate) -> tuple[float, int, float, str]:
    """What of equals is used first: runs out soonest, saves least alone, is oldest."""
    of = candidate.right
    alone, _passed = apply_all(replace(cart, points=0), [candidate])
    until = of.valid_until.timestamp() if of.valid_until else float("inf")
    issued = of.issued_at.timestamp() if of.issued_at else float("inf")
    return until, alone.saved, issued, of.key


@on_many
def test_what_does_not_matter_changes_nothing(dice: Random) -> None:
    cart, some = any_cart(dice), any_rights(dice, 3)
    quote = choose(cart, some, NOW)
    assert_the_same_of_single_units(cart, some, quote)
    assert_the_same_in_any_order(cart, some, quote, dice)
    assert_the_same_beside_what_cannot_be_used(cart, some, quote)


def keys_of(quote: Quote) -> list[str]:
    return [one.right.key for one in quote.applied]


def assert_the_same_of_single_units(cart: Cart, some: list[Right], quote: Quote) -> None:
    single = choose(replace(cart, lines=tuple(split(cart.lines))), some, NOW)
    assert keys_of(quote) == keys_of(single)
    assert [unit for one in quote.lines for unit in units_of(one.units)] == [
        one.total for one in single.lines
    ]


def split(lines: Iterable[CartLine]) -> Iterable[CartLine]:
    for one in lines:
        for place in range(one.quantity):
            yield replace(one, key=f"{one.key}.{place}", quantity=1)


def assert_the_same_in_any_order(cart: Cart, some: list[Right], quote: Quote, dice: Random) -> None:
    lines, shuffled = list(cart.lines), list(some)
    dice.shuffle(lines)
    dice.shuffle(shuffled)
    other = choose(replace(cart, lines=tuple(lines)), shuffled, NOW)
    assert (quote.saving, quote.total, keys_of(quote)) == (other.saving, other.total, keys_of(other))


def assert_the_same_beside_what_cannot_be_used(cart: Cart, some: list[Right], quote: Quote) -> None:
    unusable = right("unusable", PercentOff(10_000), minimum_spend=10**9)
    other = choose(cart, [unusable, *some], NOW)
    assert (quote.lines, quote.shipping, quote.applied) == (other.lines, other.shipping, other.applied)
    assert unusable in [skipped.right for skipped in other.skipped]
