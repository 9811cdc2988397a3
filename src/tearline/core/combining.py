"""Combining what each merchant's own rights, the platform's coupons and shipping may save, and keeping the best.

A combination is reached merchant by merchant. Before each step stands a bound: what can still be saved at the most.
See :mod:`tearline.core.choosing` for what is best and why the bound holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from math import prod
from typing import TypeAlias

from tearline.core.cart import SHIPPING_PROMOTIONS, Candidate, Cart
from tearline.core.offers import WHOLE_BASIS_POINTS, Gift, PercentOff
from tearline.core.pricing import State, amount_of, apply, discount_on, goes_by_sums, in_turn, take_points

MOST_WORK = 6_000
"""How many lines a search may price, or do what takes as long: some 2 µs each."""
STEP, LINES_SUMMED = 2, 64
"""A step from merchant to merchant is as much work as two lines; a line, as to sum what 64 still cost."""
_NEVER = datetime.max.replace(tzinfo=UTC)

Choice: TypeAlias = tuple[Candidate, ...]
"""Rights that combine."""
Precedence: TypeAlias = tuple[datetime, int, datetime, str]
"""Which of equals is used first: the least."""
Cost: TypeAlias = tuple[int, int, int, int, list[Precedence], list[Precedence]]
"""How bad a combination is: the least is the best."""


class Best:
    """The best combination found so far, and how much may still be done to find a better one.

    Attributes:
        alone: what each right saves by itself, by its key: never less than what it saves among others.
        is_proven: nothing can save more.
        work: what has been done, in lines priced.
    """

    def __init__(self, alone: Mapping[str, int]) -> None:
        self.alone = alone
        self.choice: Choice = ()
        self.is_proven = True
        self.work = 0
        self._cost: Cost = (0, 0, 0, 0, [], [])
        self._limit = MOST_WORK

    @property
    def saved(self) -> int:
        """Minor units that it saves."""
        return -self._cost[0]

    def allot(self, parts: int) -> None:
        """Let what follows do one of so many parts of the work that is left, so that some is left for the rest."""
        self._limit = self.work + max(0, MOST_WORK - self.work) // parts

    def may_go_on(self, bound: int, work: int = 1) -> bool:
        """Whether something that saves ``bound`` at the most is worth some work, and whether any is left."""
        if bound < self.saved:
            return False
        if self.work < self._limit:
            self.work += work
            return True
        if bound > self.saved:
            self.is_proven = False
        return False

    def may_do(self, work: int) -> bool:
        """Whether there is some work left to do, whatever it may bring."""
        return self.may_go_on(self.saved + 1, work)

    def offer(self, choice: Choice, saved: int) -> None:
        """A whole combination: kept when it is the best so far."""
        if saved < self.saved:
            return
        cost = self.cost_of(choice, saved)
        if cost < self._cost:
            self._cost, self.choice = cost, choice

    def cost_of(self, choice: Choice, saved: int) -> Cost:
        """How bad it is. Promotions of shipping come last: they apply whatever is chosen."""
        chosen = [one for one in choice if one.right.layer != SHIPPING_PROMOTIONS]
        others = [one for one in choice if one.right.layer == SHIPPING_PROMOTIONS]
        gifts = sum(isinstance(one.right.benefit, Gift) for one in chosen)
        coupons = sum(not one.right.is_promotion for one in chosen)
        known, after = (sorted(self.precedence(one) for one in some) for some in (chosen, others))
        return -saved, -gifts, coupons, len(chosen), known, after

    def precedence(self, candidate: Candidate) -> Precedence:
        """Which of equals is used first: what runs out soonest, saves least by itself, is oldest."""
        right = candidate.right
        return right.valid_until or _NEVER, self.alone[right.key], right.issued_at or _NEVER, right.key

    def saved_alone(self, choice: Choice) -> int:
        """What rights would save if each were the only one: together they do not save more."""
        return sum(self.alone[one.right.key] for one in choice)


@dataclass(slots=True)
class Option:
    """A combination of one merchant's own rights, or of those for shipping.

    Attributes:
        state: how it leaves the cart; None as long as nobody has asked.
    """

    choice: Choice
    saved: int
    cost: Cost
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """All combinations of one merchant's own rights, the best first; the last may be to use none.

    Attributes:
        lines: what any of them touches.
    """

    some: Sequence[Option]
    lines: frozenset[int]


@dataclass(frozen=True, slots=True)
class Shipping:
    """What may be taken off the parcels.

    Attributes:
        promotions: of merchants, by their places.
        taken: those of them that apply to the cart as it is.
        coupons: the options for coupons, those that save most first; only the best where it ``is_known``.
        most: what can be saved at the most, and where it ``is_known`` is saved.
        is_known: whether it is the same whatever applies to the goods.
    """

    promotions: Sequence[Sequence[Candidate]]
    taken: Choice
    coupons: Sequence[Option]
    most: int
    is_known: bool


def take_promotions(
    cart: Cart, state: State, promotions: Sequence[Sequence[Candidate]], best: Best
) -> Choice:
    """Apply of each place the promotion that takes most off its parcel; those that do."""
    found = []
    for rights in promotions:
        amounts = [(amount_of(cart, state, one) or 0, one) for one in rights]
        amount, candidate = min(amounts, key=lambda one: (-one[0], best.precedence(one[1])))
        if amount:
            apply(cart, state, candidate)
            found.append(candidate)
    return tuple(found)


class Field:
    """What there is to choose of besides the platform's coupons.

    Args:
        merchants: of each merchant its options.
    """

    def __init__(
        self, cart: Cart, start: State, best: Best, merchants: Sequence[Options], shipping: Shipping
    ) -> None:
        self.cart = cart
        self.merchants = merchants
        self.shipping = shipping
        self.saved_from = sums_from_the_end([options.some[0].saved for options in merchants], 0)
        self.size = sum(len(options.some) for options in merchants)
        self._start = start
        self._best = best
        self._spent: dict[tuple[int, ...], tuple[list[list[int]], int]] = {}

    @property
    def most(self) -> int:
        """What can be saved at the most."""
        return self.saved_from[0] + self.shipping.most

    def spent(self, platform: Choice) -> tuple[list[list[int]], int]:
        """What the lines of the platform's coupons still cost, by merchant and option; and those no option touches.

        Of each merchant only those options are told of that may be part of something better. What the coupons save
        by themselves must be no more than when the same lines were asked for before.
        """
        lines = platform[0].lines if platform else ()
        if lines not in self._spent:
            scope = set(lines)
            if any(0 < len(scope & options.lines) < len(options.lines) for options in self.merchants):
                # Something good to compare with saves pricing most options line by line.
                self.price([options.some[0] for options in self.merchants], platform)
            most = self.most + self._best.saved_alone(platform)
            self._spent[lines] = (
                [self._left_by_option(options, scope & options.lines, most) for options in self.merchants],
                self._start.left_of(scope.difference(*(options.lines for options in self.merchants))),
            )
        return self._spent[lines]

    def _left_by_option(self, options: Options, inside: set[int], most: int) -> list[int]:
        """What those of a merchant's lines that are in scope still cost, where no combination saves above ``most``."""
        if not inside:
            return [0] * len(options.some)
        if len(inside) == len(options.lines):
            whole = self._start.left_of(inside)
            return [whole - option.saved for option in options.some]
        found: list[int] = []
        for option in options.some:
            bound = most - options.some[0].saved + option.saved
            # The first is priced whatever it takes, so that there is something good.
            if found and not self._best.may_go_on(bound, 1 + len(inside) // LINES_SUMMED):
                break
            found.append(self._state_of(option).left_of(inside))
        return found

    def price(self, taken: Sequence[Option], platform: Choice) -> None:
        """Price one option of each merchant with coupons of the platform in their turn, and every way of shipping."""
        best = self._best
        goods = (*(one for option in taken for one in option.choice), *platform)
        best.work += len(goods) + len(self.cart.lines) + touched_by(platform)
        state = self._start.copy()
        for options, option in zip(self.merchants, taken, strict=True):
            after = self._state_of(option)
            for line in options.lines:
                state.lines[line], state.totals[line] = after.lines[line], after.totals[line]
            state.taken += after.taken
        if not all(apply(self.cart, state, one) for one in platform):
            return
        if not self.shipping.is_known:
            take_points(self.cart, state)
        promotions = take_promotions(self.cart, state, self.shipping.promotions, best)
        best.work += touched_by(promotions)
        best.offer((*goods, *promotions), state.saved)
        for coupons in self.shipping.coupons:
            if state.saved + coupons.saved < best.saved:
                return
            after = state.copy()
            if all(apply(self.cart, after, one) for one in coupons.choice):
                best.offer((*goods, *promotions, *coupons.choice), after.saved)
            if not best.may_do(1 + touched_by(coupons.choice)):
                return

    def _state_of(self, option: Option) -> State:
        if option.state is None:
            self._best.work += touched_by(option.choice)
            option.state = self._start.copy()
            for candidate in option.choice:
                apply(self.cart, option.state, candidate)
        return option.state


class Walk:
    """The search through the merchants' options, for one choice of the platform's coupons.

    Where those go by sums of the same lines, and shipping is apart, a combination need not be priced line by line,
    and of a merchant's options only those count that no other betters.
    """

    def __init__(self, best: Best, field: Field, platform: Choice) -> None:
        self._best = best
        self._field = field
        self._platform = tuple(in_turn(platform))
        self._is_quick = field.shipping.is_known and _goes_by_one_sum(self._platform)
        spent, rest = field.spent(self._platform if self._is_quick else ())
        self._steps = [
            _undominated(options.some, some) if self._is_quick else [(option, 0) for option in options.some]
            for options, some in zip(field.merchants, spent, strict=True)
        ]
        # What the lines still cost at the most, from each merchant on.
        self._left = sums_from_the_end([max(some) for some in spent], rest)
        self._most_of_platform = best.saved_alone(platform)
        self._weigh(rest)

    def _weigh(self, rest: int) -> None:
        """Bound what merchants and platform save together: a share of what is left, an amount, and some rounding."""
        shares = [
            one.right.benefit.basis_points
            for one in self._platform
            if isinstance(one.right.benefit, PercentOff)
        ]
        amounts = tuple(one for one in self._platform if not isinstance(one.right.benefit, PercentOff))
        self._whole = prod(WHOLE_BASIS_POINTS for _share in shares)
        self._share = self._whole - prod(WHOLE_BASIS_POINTS - share for share in shares)
        self._amount = self._best.saved_alone(amounts) + len(shares)
        most = [
            max(self._whole * option.saved + self._share * left for option, left in steps)
            for steps in self._steps
        ]
        self._together = sums_from_the_end(most, self._share * rest)

    def begin(self) -> None:
        """Look at everything that may be better than what is known."""
        self._go_on(0, (), 0, 0)

    def _bound(self, position: int, saved: int, spent: int) -> int:
        """What can be saved at the most, once the merchants before a position have saved so much."""
        most = saved + self._field.shipping.most
        apart = self._field.saved_from[position]
        if not self._is_quick:
            return most + apart + self._most_of_platform
        together = self._amount + (self._together[position] + self._share * spent) // self._whole
        return most + min(apart + discounts_on(self._platform, spent + self._left[position]), together)

    def _go_on(self, position: int, taken: tuple[Option, ...], saved: int, spent: int) -> None:
        bound = self._bound(position, saved, spent)
        if bound < self._best.saved:
            return
        if position == len(self._steps):
            self._finish(taken, saved, spent)
            return
        for number, (option, left) in enumerate(self._steps[position]):
            # The first is gone on with whatever it takes, so that there is something good.
            if number and not self._best.may_go_on(bound, STEP):
                return
            self._go_on(position + 1, (*taken, option), saved + option.saved, spent + left)

    def _finish(self, taken: tuple[Option, ...], saved: int, spent: int) -> None:
        if not self._is_quick:
            self._field.price(taken, self._platform)
            return
        shipping = self._field.shipping
        goods = (*(one for option in taken for one in option.choice), *self._platform)
        choice = (*goods, *shipping.taken, *shipping.coupons[0].choice)
        off = discounts_on(self._platform, spent + self._left[-1])
        self._best.work += len(choice)
        self._best.offer(choice, saved + off + shipping.most)


def _undominated(some: Sequence[Option], spent: Sequence[int]) -> list[tuple[Option, int]]:
    """The options, best first, without those that leave no more to the platform than one before them."""
    found: list[tuple[Option, int]] = []
    for option, left in zip(some, spent, strict=False):
        if not found or left > found[-1][1]:
            found.append((option, left))
    return found


def _goes_by_one_sum(choice: Choice) -> bool:
    """Whether what rights take off in their turn depends only on what the same lines cost, and the less the less."""
    return all(goes_by_sums(one) for one in choice) and all(
        one.lines == choice[0].lines and is_apart(one) for one in choice[1:]
    )


def is_apart(candidate: Candidate) -> bool:
    """Whether a right applies whatever applied before it."""
    right = candidate.right
    return right.minimum_spend == 0 or right.rules.threshold_base == "list_price"


def discounts_on(choice: Choice, left: int) -> int:
    """What rights that go by one sum take off in their turn, where their lines still cost ``left``."""
    off = 0
    for candidate in choice:
        off += discount_on(candidate, left - off)
    return off


def touched_by(some: Iterable[Candidate]) -> int:
    """How many lines some rights touch, each counted for itself."""
    return sum(len(one.lines) for one in some)


def sums_from_the_end(values: Sequence[int], last: int) -> list[int]:
    """For each position, and the one after the last, the sum of the values from there on and of ``last``."""
    return list(accumulate(reversed(values), initial=last))[::-1]
