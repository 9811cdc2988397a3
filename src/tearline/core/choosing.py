"""The best combination of the rights that a member holds, found exactly.

What is best: the combination that saves most; of equals the one with most gifts, then the one that uses fewest
coupons, then the one of fewest rights, then the one whose rights run out soonest, save least by themselves, and are
oldest.

How it is found. Merchants are apart from one another: what a merchant's own rights save depends on its own lines
alone. So each merchant's combinations (**options**) are priced once, each leaving its lines at some prices. What
the platform's coupons then save depends on the options only through what the lines in their scope still cost, and
is never more than at higher prices. That bounds every partial choice from above, and what cannot reach the best
found so far is dropped. The search begins with what saves most by itself, which on ordinary carts is at once the
answer.

No cart can hold a server up: the search has a limit. Where it is reached, the best found so far is answered, and the
quote says that another combination might save more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import TypeAlias

from tearline.core.cart import PLATFORM_COUPONS, SHIPPING, Candidate, Cart, Right, Skipped, Slot, candidates
from tearline.core.offers import WHOLE_BASIS_POINTS, AmountOff, Gift, PercentOff
from tearline.core.pricing import Quote, State, apply, apply_all, discount_on, settle, why_nothing

MOST_STEPS = 3_000
"""Partial choices that are priced before the search answers the best so far."""
_NEVER = datetime.max.replace(tzinfo=UTC)

Choice: TypeAlias = tuple[Candidate, ...]
"""Rights that combine."""
Cost: TypeAlias = tuple[int, int, int, int, list[tuple[datetime, int, datetime, str]]]
"""How bad a combination is: the least is the best."""


def choose(cart: Cart, rights: Sequence[Right], now: datetime) -> Quote:
    """Price a cart with the best combination of some rights; the others are skipped, each with its reason."""
    found, skipped = candidates(cart, rights, now)
    search = _Search(cart)
    usable = []
    for candidate in found:
        saved = saved_by(cart, candidate)
        if saved is None:
            skipped.append(why_nothing(State.of(cart), candidate))
        else:
            search.alone[candidate.right.key] = saved
            usable.append(candidate)
    distinct = _one_of_each_offer(usable, search)
    for world in _worlds(distinct):
        search.look_at(world)
    quote = settle(cart, search.best, (), is_best=search.is_proven)
    taken = {one.right.key for one in quote.applied}
    skipped += [Skipped(one.right, "not_combinable") for one in usable if one.right.key not in taken]
    return replace(quote, skipped=tuple(skipped))


def _one_of_each_offer(usable: Iterable[Candidate], search: _Search) -> list[Candidate]:
    """Coupons of one offer are alike but for the order in which they are used up."""
    first: dict[str, Candidate] = {}
    for candidate in usable:
        other = first.setdefault(candidate.right.offer, candidate)
        if search.precedence(candidate) < search.precedence(other):
            first[candidate.right.offer] = candidate
    return list(first.values())


def _worlds(some: Sequence[Candidate]) -> list[list[Candidate]]:
    """Sets of rights that hold no exclusive one besides what it combines with: the best lies in one of them."""
    plain = [one for one in some if not one.right.rules.exclusive]
    promotions = [one for one in some if one.right.is_promotion]
    # Exclusive promotions combine with one another, but with no coupon.
    worlds = [plain, promotions]
    for exclusive in some:
        if exclusive.right.rules.exclusive and not exclusive.right.is_promotion:
            worlds.append([exclusive, *(one for one in plain if one.right.is_promotion)])
    return worlds


@dataclass(slots=True)
class _Option:
    """A combination of one merchant's own rights, and how it leaves the cart's lines."""

    choice: Choice
    saved: int
    state: State


class _Search:
    """The best combination found so far.

    Attributes:
        alone: what each right saves by itself, by its key: never less than what it saves among others.
        is_proven: nothing can save more.
    """

    def __init__(self, cart: Cart) -> None:
        self.cart = cart
        self.alone: dict[str, int] = {}
        self.best: Choice = ()
        self.is_proven = True
        self._cost: Cost = (0, 0, 0, 0, [])
        self._steps = 0

    def precedence(self, candidate: Candidate) -> tuple[datetime, int, datetime, str]:
        """Which of equals is used first: the least."""
        right = candidate.right
        alone = self.alone[right.key]
        return right.valid_until or _NEVER, alone, right.issued_at or _NEVER, right.key

    def look_at(self, world: Sequence[Candidate]) -> None:
        """Look for something better among rights of which no two exclude one another but by their slots."""
        merchants: dict[str, list[Candidate]] = defaultdict(list)
        platform, shipping = [], []
        for candidate in world:
            layer, _group, merchant = candidate.right.slot
            if layer == SHIPPING:
                shipping.append(candidate)
            elif layer == PLATFORM_COUPONS:
                platform.append(candidate)
            else:
                merchants[merchant].append(candidate)
        options = [self._options(rights) for rights in merchants.values()]
        shippings = self._options(shipping)
        if all(_is_apart(one) for one in shipping):
            # What shipping saves is the same whatever else is chosen.
            shippings = [min(shippings, key=lambda one: self._cost_of(one.choice, one.saved))]
        for choice in self._choices(platform):
            _Walk(self, options, choice, shippings, is_apart=len(shippings) == 1).begin()

    def _choices(self, some: Iterable[Candidate]) -> list[Choice]:
        """All ways of taking one or none for each slot, those that may save most first."""
        slots: dict[Slot, list[Candidate]] = defaultdict(list)
        for candidate in some:
            slots[candidate.right.slot].append(candidate)
        choices: list[Choice] = [()]
        for _slot, rights in sorted(slots.items()):
            choices = [(*choice, *more) for choice in choices for more in [(), *((one,) for one in rights)]]
            if len(choices) > MOST_STEPS:
                choices = self._greatest(choices)
        return sorted(choices, key=lambda choice: -self.saved_alone(choice))

    def _greatest(self, choices: list[Choice]) -> list[Choice]:
        self.is_proven = False
        return sorted(choices, key=lambda choice: -self.saved_alone(choice))[: MOST_STEPS // 10]

    def _options(self, some: Iterable[Candidate]) -> list[_Option]:
        """The combinations of one merchant's own rights, the one that saves most first."""
        options = []
        for choice in self._choices(some):
            state = State.of(self.cart)
            if all(apply(self.cart, state, candidate) for candidate in choice):
                options.append(_Option(choice, state.saved, state))
        return sorted(options, key=lambda one: -one.saved)

    def saved_alone(self, choice: Choice) -> int:
        """What rights would save if each were the only one: together they do not save more."""
        return sum(self.alone[one.right.key] for one in choice)

    def may_go_on(self, bound: int) -> bool:
        """Whether a choice that saves ``bound`` at the most is worth a step."""
        if bound < -self._cost[0]:
            return False
        self._steps += 1
        if self._steps <= MOST_STEPS:
            return True
        if bound > -self._cost[0]:
            self.is_proven = False
        return False

    def offer(self, choice: Choice, saved: int) -> None:
        """A whole combination: kept when it is the best so far."""
        if saved < -self._cost[0]:
            return
        cost = self._cost_of(choice, saved)
        if cost < self._cost:
            self._cost, self.best = cost, choice

    def _cost_of(self, choice: Choice, saved: int) -> Cost:
        gifts = sum(isinstance(one.right.benefit, Gift) for one in choice)
        coupons = sum(not one.right.is_promotion for one in choice)
        return -saved, -gifts, coupons, len(choice), sorted(self.precedence(one) for one in choice)


def _is_apart(candidate: Candidate) -> bool:
    right = candidate.right
    return right.minimum_spend == 0 or right.rules.threshold_base == "list_price"


class _Walk:
    """The search through the merchants' options, for one choice of the platform's coupons.

    Args:
        shippings: what there is to choose of for shipping.
        is_apart: what shipping saves does not depend on anything else; there is one choice then.
    """

    def __init__(
        self,
        search: _Search,
        options: Sequence[list[_Option]],
        platform: Choice,
        shippings: Sequence[_Option],
        *,
        is_apart: bool,
    ) -> None:
        self._search = search
        self._options = options
        self._platform = platform
        self._shippings = shippings
        self._only = platform[0] if len(platform) == 1 and _goes_by_sums(platform[0]) else None
        self._is_quick = is_apart and (not platform or self._only is not None)
        self._shipping_most = max(one.saved for one in shippings)
        self._platform_most = search.saved_alone(platform)
        # What the merchants from a position on save at the most.
        self._most = _sums_from_the_end([max(option.saved for option in some) for some in options], 0)
        if self._only is not None:
            self._weigh(self._only)

    def _weigh(self, only: Candidate) -> None:
        """What the lines in the coupon's scope still cost, by option; and at the most from each position on."""
        scope = set(only.lines)
        own = [
            scope & {line for option in some for one in option.choice for line in one.lines}
            for some in self._options
        ]
        self._spent = [
            [option.state.left_of(lines) for option in some]
            for some, lines in zip(self._options, own, strict=True)
        ]
        rest = State.of(self._search.cart).left_of(scope.difference(*own))
        self._left = _sums_from_the_end([max(spent) for spent in self._spent], rest)
        self._together: list[int] | None = None
        if isinstance(only.right.benefit, PercentOff):
            # Of a share of what is left: what the merchants save and it, times 10,000.
            self._share = only.right.benefit.basis_points
            best = [
                max(
                    WHOLE_BASIS_POINTS * option.saved + self._share * cost
                    for option, cost in zip(some, spent, strict=True)
                )
                for some, spent in zip(self._options, self._spent, strict=True)
            ]
            self._together = _sums_from_the_end(best, self._share * rest)

    def begin(self) -> None:
        """Look at everything that may be better than what is known."""
        self._go_on(0, (), 0, 0)

    def _bound(self, position: int, saved: int, spent: int) -> int:
        """What can be saved at the most, once the merchants before a position have saved so much."""
        most = saved + self._shipping_most
        if self._only is None:
            return most + self._most[position] + self._platform_most
        bound = self._most[position] + discount_on(self._only, spent + self._left[position])
        if self._together is not None:
            # One more, for what rounding may add.
            together = (self._together[position] + self._share * spent) // WHOLE_BASIS_POINTS + 1
            bound = min(bound, together)
        return most + bound

    def _go_on(self, position: int, taken: tuple[_Option, ...], saved: int, spent: int) -> None:
        if not self._search.may_go_on(self._bound(position, saved, spent)):
            return
        if position == len(self._options):
            self._finish(taken, saved, spent)
            return
        for number, option in enumerate(self._options[position]):
            more = 0 if self._only is None else self._spent[position][number]
            self._go_on(position + 1, (*taken, option), saved + option.saved, spent + more)

    def _finish(self, taken: tuple[_Option, ...], saved: int, spent: int) -> None:
        goods = (*(one for option in taken for one in option.choice), *self._platform)
        for shipping in self._shippings:
            choice = (*goods, *shipping.choice)
            if self._is_quick:
                off = 0 if self._only is None else discount_on(self._only, spent + self._left[-1])
                self._search.offer(choice, saved + off + shipping.saved)
                continue
            state, passed = apply_all(self._search.cart, choice)
            if not passed:
                self._search.offer(choice, state.saved)


def _sums_from_the_end(values: Sequence[int], last: int) -> list[int]:
    """For each position, and the one after the last, the sum of the values from there on and of ``last``."""
    return list(accumulate(reversed(values), initial=last))[::-1]


def saved_by(cart: Cart, candidate: Candidate) -> int | None:
    """What a right saves by itself; None when it does not apply."""
    if _goes_by_sums(candidate):
        return discount_on(candidate, candidate.list_total) or None
    state = State.of(cart)
    return state.saved if apply(cart, state, candidate) else None


def _goes_by_sums(candidate: Candidate) -> bool:
    return isinstance(candidate.right.benefit, AmountOff | PercentOff)
