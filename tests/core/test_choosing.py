"""The search for the best combination has limits: what it answers there, and what it does to get there."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from bench.quotes_carts import MOST_LINES, MOST_RIGHTS, Case, adversarial, ordinary
from tearline.core import choosing, combining
from tearline.core.cart import SHIPPING, Cart, Parcel, Right, candidates
from tearline.core.choosing import MOST_TOUCHED, choose
from tearline.core.combining import MOST_WORK, Best
from tearline.core.offers import AmountOff, CartRules, FreeShipping, PercentOff
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
        alone = [choose(of, [one], NOW).saving for one in some if one.layer != SHIPPING]
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
