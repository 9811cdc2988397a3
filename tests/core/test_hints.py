"""Near misses, and what of a wallet a cart can use."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from bench.quotes_carts import MOST_LINES, adversarial
from tearline.core import hints as near
from tearline.core.cart import Cart, Parcel, Right, candidates
from tearline.core.choosing import MOST_TOUCHED, choose
from tearline.core.hints import MOST_HINTS, Hint, Usable, hints, qualify
from tearline.core.offers import (
    AmountOff,
    CartRules,
    FixedPrice,
    FreeShipping,
    Gift,
    PercentOff,
    Step,
)
from tearline.core.pricing import State, amount_of, combine, price
from tests.core.carts import BOOKS, NOODLES, NOW, any_cart, any_rights, cart, line, right
from tests.core.test_cart_properties import on_many

ATTACKS = adversarial()
A_BOWL = line("bowl", 8_000)
LEFT = CartRules(threshold_base="after_earlier")


def hinted(of: Cart, *rights: Right) -> list[tuple[str, int, int, int]]:
    """Key, what is missing, what it would save, instead of what."""
    found = hints(of, rights, choose(of, rights, NOW), NOW)
    return [(one.right.key, one.missing, one.saving, one.instead_of) for one in found]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (right("a", AmountOff(3_000), minimum_spend=10_000), (2_000, 3_000, 0)),
        (right("a", AmountOff(3_000), minimum_spend=8_000), None),
        (right("a", PercentOff(1_500), minimum_spend=10_000), (2_000, 1_500, 0)),
        (right("a", PercentOff(1_500, 1_000), minimum_spend=10_000), (2_000, 1_000, 0)),
        (right("a", PercentOff(1_500), minimum_spend=10_000, rules=LEFT), (2_000, 1_500, 0)),
        (right("a", FixedPrice(1_000, "bowl"), minimum_spend=8_001), (1, 7_000, 0)),
        (right("a", FixedPrice(9_000, "bowl"), minimum_spend=8_001), None),
        (right("a", FreeShipping(700), minimum_spend=9_000), (1_000, 700, 0)),
        (right("a", Gift({"en": "A bag"}), minimum_spend=9_000), (1_000, 0, 0)),
        (right("a", AmountOff(1_000, (Step(9_000, 2_000),)), minimum_spend=10), (1_000, 2_000, 1_000)),
        (right("a", AmountOff(1_000, (Step(8_000, 2_000),)), minimum_spend=10), None),
        (right("a", AmountOff(500, every=True), minimum_spend=5_000), (2_000, 1_000, 500)),
        (right("a", AmountOff(500, every=True), minimum_spend=8_000), (8_000, 1_000, 500)),
        (right("a", AmountOff(500, every=True, times=2), minimum_spend=5_000), (2_000, 1_000, 500)),
        (right("a", AmountOff(500, every=True, times=1), minimum_spend=5_000), None),
        (right("a", AmountOff(500), NOODLES, minimum_spend=9_000, currency="THB"), None),
        (right("a", AmountOff(500), BOOKS, minimum_spend=9_000), None),
    ],
)
def test_the_next_threshold_of_a_right(one: Right, expected: tuple[int, int, int] | None) -> None:
    of = cart(A_BOWL, parcels=(Parcel(NOODLES, 1_200),))
    assert hinted(of, one) == ([("a", *expected)] if expected else [])


def test_a_hint_saves_more_than_what_gives_way_to_it() -> None:
    in_hand = right("hand", AmountOff(2_000), NOODLES)
    near = right("near", AmountOff(2_001), NOODLES, minimum_spend=9_000)
    assert hinted(cart(A_BOWL), in_hand, near) == [("near", 1_000, 2_001, 2_000)]
    as_good = right("near", AmountOff(2_000), NOODLES, minimum_spend=9_000)
    assert hinted(cart(A_BOWL), in_hand, as_good) == []
    elsewhere = right("near", AmountOff(10), minimum_spend=9_000)
    assert hinted(cart(A_BOWL), in_hand, elsewhere) == [("near", 1_000, 10, 0)]


def test_a_gift_has_nothing_give_way_to_it() -> None:
    gift = right("gift", Gift({"en": "A bag"}), NOODLES, minimum_spend=9_000)
    assert hinted(cart(A_BOWL), right("hand", AmountOff(1), NOODLES), gift) == []
    assert hinted(cart(A_BOWL), right("hand", AmountOff(1)), gift) == [("gift", 1_000, 0, 0)]


def test_everything_gives_way_to_an_exclusive_coupon() -> None:
    some = [right("a", AmountOff(2_000), NOODLES), right("b", AmountOff(1_000))]
    for amount, expected in ((3_000, []), (3_001, [("alone", 1_000, 3_001, 3_000)])):
        alone = right("alone", AmountOff(amount), minimum_spend=9_000, rules=CartRules(exclusive=True))
        assert hinted(cart(A_BOWL), *some, alone) == expected


def test_what_gives_way_takes_nothing_off_any_more() -> None:
    """Without the 20 off, half of 80 and 10."""
    alone = right("alone", PercentOff(5_000), minimum_spend=9_000, rules=CartRules(exclusive=True))
    some = [right("hand", AmountOff(2_000), NOODLES), alone]
    assert hinted(cart(A_BOWL), *some) == [("alone", 1_000, 4_500, 2_000)]


def test_what_comes_later_leaves_a_hint_as_it_is() -> None:
    some = [right("later", AmountOff(2_000)), right("near", PercentOff(1_000), NOODLES, minimum_spend=9_000)]
    assert hinted(cart(A_BOWL), *some) == [("near", 1_000, 900, 0)]


def test_free_shipping_is_hinted_besides_other_savings() -> None:
    of = cart(A_BOWL, parcels=(Parcel(NOODLES, 1_200),))
    some = [right("hand", AmountOff(2_000)), right("free", FreeShipping(), minimum_spend=9_000)]
    assert hinted(of, *some) == [("free", 1_000, 1_200, 0)]


@pytest.mark.parametrize(
    "better",
    [
        right("better", AmountOff(900), minimum_spend=8_000),
        right("better", AmountOff(100, (Step(8_000, 900),)), minimum_spend=10),
        right("better", AmountOff(900, every=True, times=1), minimum_spend=4_000),
        right("better", FixedPrice(10, "bowl"), minimum_spend=8_000),
    ],
)
def test_what_applies_already_is_no_near_miss(better: Right) -> None:
    """Whoever asks for the worse of two coupons is not told to spend more for the better one."""
    some = [right("asked for", AmountOff(500)), better]
    assert hints(cart(A_BOWL), some, price(cart(A_BOWL), some, NOW), NOW) == ()


def test_the_first_threshold_that_is_worth_it_is_named() -> None:
    in_hand = right("hand", AmountOff(2_000), NOODLES)
    steps = AmountOff(1_000, (Step(10_000, 1_500), Step(12_000, 2_500), Step(14_000, 4_000)))
    near = right("near", steps, NOODLES, minimum_spend=9_000)
    assert hinted(cart(A_BOWL), in_hand, near) == [("near", 4_000, 2_500, 2_000)]


def test_a_minimum_after_earlier_layers_is_of_what_they_leave() -> None:
    """20 off the noodles leave 60: to 75 it is 15, of which and of the 60 a tenth is off."""
    some = [
        right("a", AmountOff(2_000), NOODLES),
        right("b", PercentOff(1_000), minimum_spend=7_500, rules=LEFT),
    ]
    assert hinted(cart(A_BOWL), *some) == [("b", 1_500, 750, 0)]
    at_list = [some[0], right("b", PercentOff(1_000), minimum_spend=9_000)]
    assert hinted(cart(A_BOWL), *at_list) == [("b", 1_000, 700, 0)], "a tenth of 60 and 10"


def test_a_step_below_the_list_prices_may_be_near_after_earlier_layers() -> None:
    """20 off leave 60: the step at 70 is nearer than the one at 200, and than any other coupon's."""
    steps = AmountOff(100, (Step(7_000, 900), Step(20_000, 1_000)))
    some = [right("a", AmountOff(2_000), NOODLES), right("b", steps, rules=LEFT)]
    assert hinted(cart(A_BOWL), *some) == [("b", 1_000, 900, 100)]
    far = [
        right(f"{number}", AmountOff(50), minimum_spend=9_500, rules=CartRules(stacking_group=f"{number}"))
        for number in range(5)
    ]
    assert hinted(cart(A_BOWL), *some, *far)[0] == ("b", 1_000, 900, 100)
    alone = right("b", AmountOff(100, (Step(7_000, 900),)), rules=LEFT)
    assert hinted(cart(A_BOWL), some[0], alone) == [("b", 1_000, 900, 100)]


def test_points_count_as_earlier_for_shipping_alone() -> None:
    of = cart(A_BOWL, parcels=(Parcel(NOODLES, 1_200),), points=500)
    some = [
        right("free", FreeShipping(), minimum_spend=8_000, rules=LEFT),
        right("b", AmountOff(100), minimum_spend=8_100, rules=LEFT),
    ]
    # 5.00 of points and, where it applies, 1.00 off leave 75.00.
    assert hinted(of, *some) == [("b", 100, 100, 0), ("free", 500, 1_200, 0)]


def test_the_nearest_come_first_and_then_those_that_save_most() -> None:
    some = [
        right(
            f"{number}",
            AmountOff(100 + number % 3),
            minimum_spend=8_000 + 100 * (number // 3),
            rules=CartRules(stacking_group=f"{number}"),
        )
        for number in range(3, 12)
    ]
    assert [key for key, *_more in hinted(cart(A_BOWL), *some)] == ["5", "4", "3", "8", "7"]
    assert MOST_HINTS == 5


def test_each_offer_gives_one_hint_of_the_coupon_that_runs_out_first() -> None:
    some = [
        right("late", AmountOff(100), offer="one", minimum_spend=9_000, valid_until=NOW + timedelta(days=2)),
        right("soon", AmountOff(100), offer="one", minimum_spend=9_000, valid_until=NOW + timedelta(days=1)),
    ]
    assert hinted(cart(A_BOWL), *some) == [("soon", 1_000, 100, 0)]


def test_a_picker_shows_what_is_usable_then_what_is_near_then_the_rest() -> None:
    some = [
        right("other", AmountOff(100), currency="THB"),
        right("far", AmountOff(900), minimum_spend=9_500),
        right("near", AmountOff(500), minimum_spend=9_000),
        right("near, more", AmountOff(600), minimum_spend=9_000),
        right("useless", FixedPrice(9_000, "bowl"), minimum_spend=9_000),
        right("cheap enough", FixedPrice(9_000, "bowl")),
        right("gift", Gift({"en": "A bag"})),
        right("little", AmountOff(100)),
        right("was first", AmountOff(700), issued_at=NOW - timedelta(days=2)),
        right("came later", AmountOff(700), issued_at=NOW - timedelta(days=1)),
        right("soon", AmountOff(700), valid_until=NOW + timedelta(days=1)),
        right("most", AmountOff(800, (Step(9_000, 5_000),))),
        right("gone", AmountOff(100), valid_until=NOW),
    ]
    found = qualify(cart(A_BOWL), some, NOW)
    assert [(one.right.key, one.saving) for one in found.usable] == [
        ("most", 800), ("soon", 700), ("was first", 700), ("came later", 700), ("little", 100), ("gift", 0),
    ]  # fmt: skip
    assert isinstance(found.usable[0], Usable)
    assert found.nearly == (
        Hint(some[3], 1_000, 600, instead_of=0), Hint(some[2], 1_000, 500), Hint(some[1], 1_500, 900),
    )  # fmt: skip
    assert [(one.right.key, one.reason, one.missing) for one in found.unusable] == [
        ("other", "other_currency", None),
        ("gone", "expired", None),
        ("useless", "minimum_not_reached", 1_000),
        ("cheap enough", "nothing_left", None),
    ]


def test_what_leaves_nothing_to_take_off_is_not_near() -> None:
    steps = right("a", AmountOff(100, (Step(1_000, 500),)))
    found = qualify(cart(line("sample", 0)), [steps], NOW)
    assert [one.reason for one in found.unusable] == ["nothing_left"]
    assert found.nearly == ()


class Watched(near._After):
    """Lets a test see how many lines were priced."""

    made: list[Watched]

    def __init__(self, of: Cart) -> None:
        super().__init__(of)
        self.made.append(self)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_cart_holds_up_the_hints(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of, some = ATTACKS[name]
    quote = choose(of, some, NOW)
    Watched.made = []
    monkeypatch.setattr(near, "_After", Watched)
    hints(of, some, quote, NOW)
    (one,) = Watched.made
    # The last right that is looked at may have two more thresholds, each after everything that applies.
    assert one._work <= near.MOST_WORK + 3 * (MOST_TOUCHED + 2 * MOST_LINES)


@on_many
def test_a_hint_keeps_its_word(dice: Random) -> None:
    """With exactly what is missing the right takes off what was said, and with one less it takes off less."""
    of, some = any_cart(dice, 3), any_rights(dice, 3)
    found = qualify(of, some, NOW)
    assert len(found.usable) + len(found.nearly) + len(found.unusable) == len(some)
    for hint in found.nearly:
        if isinstance(hint.right.benefit, FixedPrice):
            continue
        (candidate,), _skipped = candidates(of, [hint.right], NOW)
        like = of.lines[candidate.lines[0]]
        for missing, saving in ((hint.missing, hint.saving), (hint.missing - 1, None)):
            more = replace(like, key="more", unit_price=missing, quantity=1)
            (richer,), _skipped = candidates(replace(of, lines=(*of.lines, more)), [hint.right], NOW)
            grown = replace(of, lines=(*of.lines, more))
            assert amount_of(grown, State.of(grown), richer) == saving


@on_many
def test_what_a_quote_promises_comes_true(dice: Random) -> None:
    """Who buys more of some product in scope, for what is missing, has the right take off what was said."""
    of, some = any_cart(dice, 4), any_rights(dice, 5)
    quote = choose(of, some, NOW)
    for hint in hints(of, some, quote, NOW):
        others = [one.right for one in quote.applied if combine(one.right, hint.right)]
        kinds = [one.benefit for one in (hint.right, *others)]
        if hint.right.rules.threshold_base != "list_price" or any(
            isinstance(kind, FixedPrice) for kind in kinds
        ):
            continue
        (candidate,), _skipped = candidates(of, [hint.right], NOW)
        found = []
        for place in candidate.lines:
            more = replace(of.lines[place], key="more", unit_price=hint.missing, quantity=1)
            applied = price(replace(of, lines=(*of.lines, more)), [hint.right, *others], NOW).applied
            found += [one.amount for one in applied if one.right == hint.right]
        assert hint.saving in found
