"""The best combination of the rights that a member holds, found exactly.

What is best: the combination that saves most; of equals the one with most gifts, then the one that uses fewest
coupons, then the one of fewest rights, then the one whose rights run out soonest, save least by themselves, and are
oldest. A merchant's free shipping that nobody has to hold a coupon for is not chosen: it applies to its parcel
before any coupon does, since no combination is worse for it.

How it is found. Merchants are apart from one another: what a merchant's own rights save depends on its own lines
alone. So each merchant's combinations (**options**) are priced once, each leaving its lines at some prices. What
the platform's coupons then save depends on the options only through what the lines in their scope still cost, and
is never more than at higher prices. That bounds every partial choice from above, and what cannot reach the best
found so far is dropped (:mod:`tearline.core.combining`). The search begins with what saves most by itself, which on
ordinary carts is at once the answer.

No cart can hold a server up: a search may do so much **work** and no more, counted in lines priced, so that the
same cart gets the same answer on any machine. Where it is used up, the best found so far is answered, and the quote
says that another combination might save more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import nlargest
from operator import attrgetter, itemgetter

from tearline.core.cart import (
    PLATFORM_COUPONS,
    SHIPPING_COUPONS,
    SHIPPING_PROMOTIONS,
    Candidate,
    Cart,
    Right,
    Skipped,
    Slot,
    candidates,
)
from tearline.core.combining import (
    LINES_SUMMED,
    Best,
    Choice,
    Field,
    Option,
    Options,
    Shipping,
    Walk,
    is_apart,
    take_promotions,
    touched_by,
)
from tearline.core.pricing import Quote, State, amount_of, apply, goes_by_sums, settle, why_nothing

MOST_TOUCHED = 3_000
"""How many lines the rights of one combination may touch, each right's for themselves: ten rights on 300 lines each.

What a quote costs besides the search grows with that, for it says what each right takes off each line.
"""
MOST_CHOICES, FEW_CHOICES = 3_000, 16
"""How many combinations of the platform's coupons are looked at; where there would be more, how many of those for
the first places are gone on with."""


def choose(cart: Cart, rights: Sequence[Right], now: datetime) -> Quote:
    """Price a cart with the best combination of some rights; the others are skipped, each with its reason."""
    found, skipped = candidates(cart, rights, now)
    start = State.of(cart)
    alone: dict[str, int] = {}
    usable = []
    for candidate in found:
        saved = amount_of(cart, start, candidate)
        if saved is None:
            skipped.append(why_nothing(start, candidate))
        else:
            alone[candidate.right.key] = saved
            usable.append(candidate)
    best = Best(alone)
    _Search(cart, start, best).look_among(_one_of_each_offer(usable, best))
    quote = settle(cart, best.choice, (), is_best=best.is_proven)
    taken = {one.right.key for one in quote.applied}
    skipped += [Skipped(one.right, "not_combinable") for one in usable if one.right.key not in taken]
    return replace(quote, skipped=tuple(skipped))


def _one_of_each_offer(usable: Iterable[Candidate], best: Best) -> list[Candidate]:
    """Coupons of one offer are alike but for the order in which they are used up."""
    first: dict[str, Candidate] = {}
    for candidate in usable:
        other = first.setdefault(candidate.right.offer, candidate)
        if best.precedence(candidate) < best.precedence(other):
            first[candidate.right.offer] = candidate
    return list(first.values())


def _worlds(some: Sequence[Candidate]) -> list[list[Candidate]]:
    """Sets of rights that hold no exclusive one besides what it combines with: the best lies in one of them.

    Rights for the same place stay in their order, which begins with what saves most.
    """
    plain = [one for one in some if not one.right.rules.exclusive]
    exclusive = [one for one in some if one.right.rules.exclusive]
    worlds = [plain] if plain else []
    if any(one.right.is_promotion for one in exclusive):
        # They combine with one another and with other promotions, but with no coupon.
        worlds.append([one for one in some if one.right.is_promotion])
    promotions = [one for one in plain if one.right.is_promotion]
    worlds += [[one, *promotions] for one in exclusive if not one.right.is_promotion]
    return worlds


class _Search:
    """The way through a cart's rights to the best of their combinations."""

    def __init__(self, cart: Cart, start: State, best: Best) -> None:
        self._cart = cart
        self._start = start
        self._best = best
        self._slots: dict[str, Slot] = {}
        self._known: dict[tuple[str, ...], Options] = {}

    def look_among(self, some: Sequence[Candidate]) -> None:
        """Find the best combination of some rights, of which no two are of one offer."""
        alone = self._best.alone
        self._slots = {one.right.key: one.right.slot for one in some}
        some = sorted(some, key=lambda one: -alone[one.right.key])
        for candidate in some:
            if not candidate.right.is_of_shipping:
                self._best.offer((candidate,), alone[candidate.right.key])
        worlds = []
        for world in _worlds(some):
            slots = self._by_slot(world)
            worlds.append((sum(alone[rights[0].right.key] for rights in slots.values()), slots))
        for most, slots in sorted(worlds, key=itemgetter(0), reverse=True):
            self._best.allot(1)
            if self._best.may_go_on(most, 1 + len(slots)):
                self._look_at(self._within_reach(slots))

    def _by_slot(self, world: Iterable[Candidate]) -> dict[Slot, list[Candidate]]:
        """Rights by their places, in the order of their turns."""
        slots: dict[Slot, list[Candidate]] = defaultdict(list)
        for candidate in world:
            slots[self._slots[candidate.right.key]].append(candidate)
        return dict(sorted(slots.items()))

    def _within_reach(self, slots: dict[Slot, list[Candidate]]) -> dict[Slot, list[Candidate]]:
        """Without the places of least worth, where a right for each place would touch too many lines."""
        if touched_by(one for rights in slots.values() for one in rights) <= MOST_TOUCHED:
            return slots
        touched, kept = 0, set()
        for slot, rights in sorted(slots.items(), key=lambda one: -self._best.alone[one[1][0].right.key]):
            touched += max(len(one.lines) for one in rights)
            if touched > MOST_TOUCHED:
                self._best.is_proven = False
                break
            kept.add(slot)
        return {slot: rights for slot, rights in slots.items() if slot in kept}

    def _look_at(self, slots: Mapping[Slot, list[Candidate]]) -> None:
        """Look for something better among rights of which no two exclude one another but by their slots."""
        merchants: dict[str, list[list[Candidate]]] = defaultdict(list)
        platform, promotions, shipping = [], [], []
        for (layer, _group, merchant), rights in slots.items():
            if layer == SHIPPING_COUPONS:
                shipping.append(rights)
            elif layer == SHIPPING_PROMOTIONS:
                promotions.append(rights)
            elif layer == PLATFORM_COUPONS:
                platform.append(rights)
            else:
                merchants[merchant].append(rights)
        options = []
        for place, some in enumerate(merchants.values()):
            self._best.allot(len(merchants) - place + 1)
            options.append(self._options(some))
        self._best.allot(2)
        field = Field(self._cart, self._start, self._best, options, self._shipping(promotions, shipping))
        for alone, choice in self._choices(platform):
            self._best.allot(2)
            if self._best.may_go_on(alone + field.most, 1 + field.size):
                Walk(self._best, field, choice).begin()

    def _shipping(
        self, promotions: Sequence[Sequence[Candidate]], coupons: Sequence[Sequence[Candidate]]
    ) -> Shipping:
        """What promotions and coupons may take off the parcels."""
        is_known = all(is_apart(one) for rights in (*promotions, *coupons) for one in rights)
        start = self._start.copy()
        taken = take_promotions(self._cart, start, promotions, self._best)
        saved, start.taken = start.saved, []
        if is_known:
            options = self._options(coupons, start, taken).some[:1]
        else:
            # Some of them may depend on what the goods cost in the end: this is what they save at the most.
            options = self._options(coupons, self._start).some
        most = min(saved + options[0].saved, sum(self._start.parcels))
        return Shipping(promotions, taken, options, most, is_known)

    def _choices(self, slots: Iterable[Sequence[Candidate]]) -> list[tuple[int, Choice]]:
        """All ways of taking one or none for each slot with what they may save, those that may save most first."""
        choices: list[tuple[int, Choice]] = [(0, ())]
        for rights in slots:
            if len(choices) * (len(rights) + 1) > MOST_CHOICES:
                self._best.is_proven = False
                choices = nlargest(FEW_CHOICES, choices, key=itemgetter(0))
            more = [(self._best.alone[one.right.key], (one,)) for one in rights]
            choices = [
                (saved + another, (*choice, *added))
                for saved, choice in choices
                for another, added in [*more, (0, ())]
            ]
        return sorted(choices, key=itemgetter(0), reverse=True)

    def _options(
        self, slots: Sequence[Sequence[Candidate]], start: State | None = None, before: Choice = ()
    ) -> Options:
        """The combinations of one merchant's own rights, or of coupons for shipping, the best first.

        Args:
            start: what they are applied to, which is as the cart is but for what went ``before``.
        """
        key = tuple(one.right.key for rights in (before, *slots) for one in rights)
        if key not in self._known:
            some: list[Option] = []
            self._add(some, slots, (), start or self._start)
            if some[-1].choice:  # there was no work left for more
                some.append(self._option((), 0))
            lines = frozenset(line for rights in slots for one in rights for line in one.lines)
            self._known[key] = Options(sorted(some, key=attrgetter("cost")), lines)
        return self._known[key]

    def _add(
        self, some: list[Option], slots: Sequence[Sequence[Candidate]], choice: Choice, state: State
    ) -> None:
        """Go on from a choice and what it leaves in every way, at first in that which saves most by itself."""
        if not slots:
            some.append(self._option(choice, state.saved))
            return
        for candidate in slots[0]:
            lines = len(candidate.lines)
            is_summed = len(slots) == 1 and goes_by_sums(candidate)
            # The first is priced whatever it takes, so that there is something good.
            if some and not self._best.may_do(1 + lines // LINES_SUMMED if is_summed else lines):
                return
            saved = amount_of(self._cart, state, candidate)
            if saved is None:
                continue
            if len(slots) == 1:
                some.append(self._option((*choice, candidate), state.saved + saved))
                continue
            after = state.copy()
            apply(self._cart, after, candidate)
            self._add(some, slots[1:], (*choice, candidate), after)
        self._add(some, slots[1:], choice, state)

    def _option(self, choice: Choice, saved: int) -> Option:
        return Option(choice, saved, self._best.cost_of(choice, saved))
