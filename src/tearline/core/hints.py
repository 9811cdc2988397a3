"""Near misses: 'spend 50 more and save 30'; and what of a wallet a cart can use, as a picker of coupons shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from tearline.core.cart import Candidate, Cart, Right, Skipped, candidates
from tearline.core.money import share_of
from tearline.core.offers import AmountOff, Gift, PercentOff
from tearline.core.pricing import (
    Quote,
    State,
    amount_of,
    apply,
    apply_all,
    combine,
    discount_on,
    goes_by_sums,
    in_turn,
    threshold_of,
    why_nothing,
)

MOST_HINTS = 5
MOST_WORK, LINES_COPIED = 2_000, 8
"""How many lines are priced for hints, some 2 µs each; to copy eight takes as long."""
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hint:
    """A threshold of a right that the cart does not reach yet.

    Attributes:
        missing: minor units that have to be added to the lines in its scope: at list prices, or after what
            earlier layers take off where that is what its minimum spend is compared with.
        saving: what the right takes off when exactly so much is added; 0 for a gift.
        instead_of: what those rights take off now that would give way to it; 0 in a qualification.
    """

    right: Right
    missing: int
    saving: int
    instead_of: int = 0


@dataclass(frozen=True, slots=True)
class Usable:
    """A right that applies by itself, and how many minor units it takes off then."""

    right: Right
    saving: int


@dataclass(frozen=True, slots=True)
class Qualification:
    """What of some rights a cart can use, each looked at alone, in the order in which a picker shows them.

    Attributes:
        usable: what saves most first; of equals what runs out soonest, then the oldest.
        nearly: what only its minimum spend keeps from applying, the nearest first.
        unusable: the others.
    """

    usable: tuple[Usable, ...]
    nearly: tuple[Hint, ...]
    unusable: tuple[Skipped, ...]


def hints(cart: Cart, rights: Sequence[Right], quote: Quote, now: datetime) -> tuple[Hint, ...]:
    """The nearest thresholds that are worth reaching, the nearest first, at most ``MOST_HINTS``.

    A threshold is the minimum spend of a right that doesn't reach it, or a further step of one that does. It is
    worth reaching when the right takes off more there than all rights of the quote do now that do not combine with
    it: the one in its place, or itself at its present step. A gift is, where nothing has to give way to it. Each
    right gives one hint, of the first of its thresholds that is worth it, and each offer one.

    No cart can hold a server up: only so many lines are priced for hints, those of the nearest first; on a cart that
    takes more there may be fewer hints.

    Args:
        rights: those that the quote was made of.
    """
    found, _skipped = candidates(cart, rights, now)
    taken = {one.right.key: one.amount for one in quote.applied}
    applied = [candidate for candidate in found if candidate.right.key in taken]
    after = _After(cart)
    nearest: dict[str, Hint] = {}
    for at_least, candidate in _by_distance(found):
        if after.is_worn_out or len(_nearer(nearest.values(), at_least)) >= MOST_HINTS:
            break
        right = candidate.right
        staying: list[Candidate] = []
        giving_way: list[Candidate] = []
        for one in applied:
            (staying if combine(one.right, right) else giving_way).append(one)
        instead_of = sum(taken[one.right.key] for one in giving_way)
        is_gift = isinstance(right.benefit, Gift)
        if giving_way if is_gift else _at_most(cart, candidate) <= instead_of:
            continue
        earlier = [one for one in staying if one.right.slot < right.slot]
        left_with = None
        if right.rules.threshold_base == "list_price" and earlier:
            left_with = partial(after.left_with, candidate, earlier)
        state = after.state(earlier, is_shipping=right.is_of_shipping)
        for hint in _thresholds(cart, candidate, state, left_with):
            if hint.saving > instead_of or is_gift:
                nearest.setdefault(right.offer, replace(hint, instead_of=instead_of))
                break
    return tuple(sorted(nearest.values(), key=_distance)[:MOST_HINTS])


def qualify(cart: Cart, rights: Sequence[Right], now: datetime) -> Qualification:
    """What each right would do if it were the only one."""
    found, unusable = candidates(cart, rights, now)
    usable: list[Usable] = []
    nearly: list[Hint] = []
    start = State.of(cart)
    for candidate in found:
        saving = amount_of(cart, start, candidate)
        if saving is not None:
            usable.append(Usable(candidate.right, saving))
            continue
        why = why_nothing(start, candidate)
        hint = next(_thresholds(cart, candidate, start), None)
        if hint is not None and why.missing is not None:
            nearly.append(hint)
        else:
            unusable.append(why)
    return Qualification(
        tuple(sorted(usable, key=lambda one: (-one.saving, _precedence(one.right)))),
        tuple(sorted(nearly, key=_distance)),
        tuple(unusable),
    )


def _precedence(right: Right) -> tuple[datetime, datetime, str]:
    """Which of rights that save the same is used first, as in :mod:`tearline.core.choosing`."""
    return right.valid_until or _NEVER, right.issued_at or _NEVER, right.key


def _distance(hint: Hint) -> tuple[int, int, tuple[datetime, datetime, str]]:
    return hint.missing, -hint.saving, _precedence(hint.right)


def _nearer(some: Iterable[Hint], missing: int) -> list[Hint]:
    return [one for one in some if one.missing < missing]


def _by_distance(found: Iterable[Candidate]) -> list[tuple[int, Candidate]]:
    """Those that may have a threshold above what is spent with what is missing at the least, the nearest first."""
    some = []
    for candidate in found:
        right, spent = candidate.right, candidate.list_total
        if right.rules.threshold_base == "list_price":
            step = next(_steps(right, spent), None)
            if step is not None:
                some.append((step - spent, candidate))
        else:
            # What is left then is no more than the list prices, and may lie below any of its steps.
            some.append((max(0, right.minimum_spend - spent), candidate))
    return sorted(some, key=lambda one: (one[0], _precedence(one[1].right)))


def _at_most(cart: Cart, candidate: Candidate) -> int:
    """More than a right takes off at any of its thresholds it does not take off."""
    right, benefit = candidate.right, candidate.right.benefit
    if isinstance(benefit, AmountOff):
        times = 1
        if benefit.every and right.minimum_spend:
            times = candidate.list_total // right.minimum_spend + 1
            times = times if benefit.times is None else min(times, benefit.times)
        return max(benefit.amount * times, *(step.amount for step in benefit.steps), 0)
    if isinstance(benefit, PercentOff):
        # Its one threshold is the minimum, and more than that is not spent there.
        off = share_of(right.minimum_spend, benefit.basis_points)
        return off if benefit.cap is None else min(off, benefit.cap)
    return candidate.list_total + sum(parcel.amount for parcel in cart.parcels)


class _After:
    """What is left to pay when a right's turn comes: after those that apply before it.

    Attributes:
        is_worn_out: whether more lines have been priced than is reasonable.
    """

    def __init__(self, cart: Cart) -> None:
        self._cart = cart
        self._work = 0
        self._known: dict[tuple[str, ...], State] = {}

    @property
    def is_worn_out(self) -> bool:
        return self._work >= MOST_WORK

    def state(self, earlier: Sequence[Candidate], *, is_shipping: bool) -> State:
        """The cart after some rights, and before shipping after points."""
        key = *(one.right.key for one in earlier), str(is_shipping)
        if key not in self._known:
            self._known[key] = self._applied(self._cart, earlier, is_shipping=is_shipping)
        return self._known[key]

    def _applied(self, cart: Cart, earlier: Sequence[Candidate], *, is_shipping: bool) -> State:
        self._work += len(cart.lines) // LINES_COPIED + sum(len(one.lines) for one in earlier)
        if is_shipping:
            self._work += len(cart.lines)
            return apply_all(cart, earlier)[0]
        state = State.of(cart)
        for candidate in in_turn(earlier):
            apply(cart, state, candidate)
        return state

    def left_with(self, candidate: Candidate, earlier: Sequence[Candidate], missing: int) -> int:
        """What the lines in a right's scope cost when its turn comes, where so much is added at list prices.

        It is added beside the line that earlier rights lower most, such as by half.
        """
        lines, state = self._cart.lines, self.state(earlier, is_shipping=False)
        beside = min(
            candidate.lines,
            key=lambda one: (state.totals[one] / (lines[one].unit_price * lines[one].quantity or 1), one),
        )
        added = len(lines)
        more = replace(lines[beside], key="", product="", unit_price=missing, quantity=1)
        grown = [
            replace(one, lines=(*one.lines, added), list_total=one.list_total + missing)
            if beside in one.lines
            else one
            for one in earlier
        ]
        after = self._applied(replace(self._cart, lines=(*lines, more)), grown, is_shipping=False)
        return after.left_of((*candidate.lines, added))


def _thresholds(
    cart: Cart, candidate: Candidate, state: State, left_with: Callable[[int], int] | None = None
) -> Iterator[Hint]:
    """The thresholds of a right above what is spent, and what it takes off at each; those of nothing left out.

    Args:
        state: what is left to pay when its turn comes.
        left_with: what the lines in its scope would still cost if so much were added at list prices, where that
            is not as much more.
    """
    right = candidate.right
    left = state.left_of(candidate.lines)
    spent = threshold_of(candidate, left)
    for threshold in _steps(right, spent):
        missing = threshold - spent
        if not goes_by_sums(candidate):
            # What they take off does not depend on what is added.
            saving = amount_of(cart, state, replace(candidate, right=replace(right, minimum_spend=0))) or 0
        else:
            more = left_with(missing) if left_with else left + missing
            saving = discount_on(replace(candidate, list_total=candidate.list_total + missing), more)
        if saving or isinstance(right.benefit, Gift):
            yield Hint(right, missing, saving)


def _steps(right: Right, spent: int) -> Iterator[int]:
    """From what sums on a right gives more than it does for what is spent: of 'for every' the next one alone."""
    benefit, minimum = right.benefit, right.minimum_spend
    if spent < minimum:
        yield minimum
    if not isinstance(benefit, AmountOff):
        return
    if benefit.every and minimum and spent >= minimum:
        times = spent // minimum + 1
        if benefit.times is None or times <= benefit.times:
            yield times * minimum
    for step in benefit.steps:
        if spent < step.threshold:
            yield step.threshold
