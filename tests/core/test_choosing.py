"""The search for the best combination has limits: what it answers there, and what it does to get there."""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import Literal

import pytest

from bench.quotes_carts import MOST_LINES, MOST_RIGHTS, Case, adversarial, ordinary
from tearline.core import choosing, combining
from tearline.core.cart import Cart, Parcel, Right, candidates
from tearline.core.choosing import MOST_TOUCHED, choose
from tearline.core.combining import MOST_WORK, Best
from tearline.core.offers import AmountOff, CartRules, FreeShipping, PercentOff, Scope, Selection
from tearline.core.pricing import apply_all, combine
from tests.core.carts import BOOKS, NOODLES, NOW, any_cart, any_rights, cart, line, right
from tests.core.test_cart_properties import best_by_trying_all, check

ATTACKS = adversarial()


@pytest.mark.parametrize(
    "limits",
    [
        {"MOST_WORK": 0},
        {"MOST_WORK": 20},
        {"MOST_TOUCHED": 6},
        {"MOST_CHOICES": 3, "FEW_CHOICES": 1},
        {"MOST_WORK": 40, "MOST_TOUCHED": 9, "MOST_CHOICES": 4, "FEW_CHOICES": 2},
    ],
    ids=str,
)
def test_at_a_limit_the_answer_is_sound(limits: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It adds up, is no worse than any coupon by itself, and is called the best only where it is."""
    for name, limit in limits.items():
        monkeypatch.setattr(combining if name == "MOST_WORK" else choosing, name, limit)
    given_up = 0
    for number in range(700):
        dice = Random(number)
        of, some = any_cart(dice), any_rights(dice, 8)
        quote = choose(of, some, NOW)
        check(of, quote)
        rights = [one.right for one in quote.applied]
        assert all(combine(one, other) for one, other in combinations(rights, 2)), number
        # What free shipping saves by itself, points may take away.
        alone = [choose(of, [one], NOW).saving for one in some if not one.is_of_shipping]
        best = saving_of(of, some, best_by_trying_all(of, some))
        assert max(alone, default=0) <= quote.saving <= best, number
        assert quote.saving == best or not quote.is_best, number
        given_up += not quote.is_best
    assert given_up, "the limits are reached"


def saving_of(of: Cart, some: list[Right], keys: list[str]) -> int:
    """What the rights of some keys save."""
    found, _skipped = candidates(of, some, NOW)
    state, _passed = apply_all(of, [one for one in found if one.right.key in keys])
    return state.saved


class Watched(Best):
    """Lets a test see how much was done."""

    made: list[Best]

    def __init__(self, alone: dict[str, int]) -> None:
        super().__init__(alone)
        self.made.append(self)


def work_for(case: Case, monkeypatch: pytest.MonkeyPatch) -> int:
    """The work that a search does, which is counted and so the same on any machine."""
    Watched.made = []
    monkeypatch.setattr(choosing, "Best", Watched)
    choose(*case, NOW)
    (one,) = Watched.made
    return one.work


@pytest.mark.parametrize("name", ATTACKS)
def test_no_cart_holds_a_search_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of, some = ATTACKS[name]
    assert (len(of.lines), len(some)) == (MOST_LINES, MOST_RIGHTS)
    # One combination may be under way when the work is used up.
    assert work_for((of, some), monkeypatch) <= MOST_WORK + MOST_TOUCHED + MOST_LINES


@pytest.mark.parametrize(("lines", "coupons"), [(5, 10), (20, 10), (100, 50), (500, 200)])
def test_ordinary_carts_are_far_from_the_limit(
    lines: int, coupons: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = ordinary(lines, coupons)
    assert choose(*case, NOW).is_best
    assert work_for(case, monkeypatch) < MOST_WORK / 4


def test_free_shipping_in_many_groups_that_does_not_apply_is_no_obstacle() -> None:
    """There are more ways of combining them than are looked at, and none of those that save most is possible."""
    left = [CartRules(threshold_base="after_earlier", stacking_group=str(group)) for group in range(8)]
    some = [right("off", AmountOff(3_000), NOODLES)]
    some += [
        right(f"free{place}", FreeShipping(100 + place), minimum_spend=4_000, rules=left[place % 8])
        for place in range(80)
    ]
    of = cart(line("bowl", 5_000), parcels=(Parcel(NOODLES, 200),))
    quote = choose(of, some, NOW)
    assert ([one.right.key for one in quote.applied], quote.saving) == (["off"], 3_000)


def test_platform_coupons_in_groups_over_the_same_lines_are_reckoned_in_turn() -> None:
    groups = [CartRules(stacking_group=name) for name in "abc"]
    some = [
        right("amount", AmountOff(1_000), rules=groups[0]),
        right("tenth", PercentOff(1_000), rules=groups[1]),
        right("half", PercentOff(5_000, 2_000), rules=groups[2]),
        right("own", AmountOff(1_000), BOOKS),
    ]
    of = cart(line("bowl", 6_000), line("novel", 5_000, merchant=BOOKS))
    quote = choose(of, some, NOW)
    assert [(one.right.key, one.amount) for one in quote.applied] == [
        ("own", 1_000), ("amount", 1_000), ("tenth", 900), ("half", 2_000),
    ]  # fmt: skip
    assert quote.is_best


def test_platform_coupons_over_different_lines_are_priced_line_by_line() -> None:
    """Half of the novel is the most by itself, but less than 33 off once the first coupon has made it cheaper."""
    groups = [CartRules(stacking_group=name) for name in "ab"]
    some = [
        right("amount", AmountOff(1_000), rules=groups[0]),
        right("half", PercentOff(5_000), rules=groups[1], scope=Scope(Selection(products=("novel",)))),
        right("more", AmountOff(3_300), rules=groups[1]),
    ]
    quote = choose(cart(line("bowl", 3_000), line("novel", 7_000)), some, NOW)
    assert ([one.right.key for one in quote.applied], quote.saving) == (["amount", "more"], 4_300)


@pytest.mark.parametrize(("threshold_base", "saving"), [("after_earlier", 500), ("list_price", 1_200)])
def test_points_are_taken_before_free_shipping_asks_for_what_is_left(
    threshold_base: Literal["after_earlier", "list_price"], saving: int
) -> None:
    of = cart(line("bowl", 5_000), parcels=(Parcel(NOODLES, 1_200),), points=2_000)
    rules = CartRules(threshold_base=threshold_base)
    some = [right("free", FreeShipping(), minimum_spend=4_000, rules=rules), right("less", FreeShipping(500))]
    quote = choose(of, some, NOW)
    assert (quote.saving, quote.points, quote.total) == (saving, 2_000, 4_200 - saving)


def test_where_a_combination_would_touch_too_many_lines_what_is_worth_most_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choosing, "MOST_TOUCHED", 2)
    amounts = {"a": 1_000, "b": 5_000, "c": 4_000}
    some = [right(name, AmountOff(amount), rules=in_group(name)) for name, amount in amounts.items()]
    quote = choose(cart(line("bowl", 10_000)), some, NOW)
    assert ([one.right.key for one in quote.applied], quote.is_best) == (["b", "c"], False)


@pytest.mark.parametrize(("limit", "saving"), [(2, 5_000), (MOST_WORK, 7_500)])
def test_a_merchants_combinations_that_are_not_looked_at_are_owned_up_to(
    limit: int, saving: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What saves most by itself leaves too little for the other group's coupon; two lesser ones save more."""
    monkeypatch.setattr(combining, "MOST_WORK", limit)
    some = [
        right("most", AmountOff(5_000), NOODLES, rules=in_group("a")),
        right("less", AmountOff(3_000), NOODLES, rules=in_group("a")),
        right("then", AmountOff(4_500), NOODLES, rules=in_group("b"), minimum_spend=6_000),
    ]
    quote = choose(cart(line("bowl", 10_000)), some, NOW)
    assert (quote.saving, quote.is_best) == (saving, limit == MOST_WORK)


def in_group(name: str) -> CartRules:
    return CartRules(stacking_group=name, threshold_base="after_earlier")
