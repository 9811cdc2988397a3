"""Near misses: 'spend 50 more and save 30'; and what of a wallet a cart can use, as a picker of coupons shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tearline.core.cart import SHIPPING, Candidate, Cart, Right, Skipped, candidates
from tearline.core.offers import AmountOff, Gift, PercentOff
from tearline.core.pricing import (
    Quote,
    State,
    amount_of,
    apply,
    apply_all,
    combine,
    discount_on,
    in_turn,
    threshold_of,
    why_nothing,
)

MOST_HINTS = 5
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

    Args:
        rights: those that the quote was made of.
    """
    found, _skipped = candidates(cart, rights, now)
    taken = {one.right.key: one.amount for one in quote.applied}
    applied = [candidate for candidate in found if candidate.right.key in taken]
    nearest: dict[str, Hint] = {}
    for candidate in sorted(found, key=lambda one: _precedence(one.right)):
        right = candidate.right
        if right.rules.threshold_base == "list_price" and not any(_steps(right, candidate.list_total)):
            continue
        staying: list[Candidate] = []
        giving_way: list[Candidate] = []
        for one in applied:
            (staying if combine(one.right, right) else giving_way).append(one)
        instead_of = sum(taken[one.right.key] for one in giving_way)
        state = _before(cart, staying, right)
        for hint in _thresholds(cart, candidate, state):
            if hint.saving > instead_of or (isinstance(right.benefit, Gift) and not giving_way):
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


def _before(cart: Cart, applied: Sequence[Candidate], right: Right) -> State:
    """What is left to pay when a right's turn comes."""
    earlier = [one for one in applied if one.right.slot < right.slot]
    if right.layer == SHIPPING:
        return apply_all(cart, earlier)[0]
    state = State.of(cart)
    for candidate in in_turn(earlier):
        apply(cart, state, candidate)
    return state


def _thresholds(cart: Cart, candidate: Candidate, state: State) -> Iterator[Hint]:
    """The thresholds of a right above what is spent, and what it takes off at each; those of nothing left out."""
    right = candidate.right
    spent = threshold_of(candidate, state.left_of(candidate.lines))
    for threshold in _steps(right, spent):
        missing = threshold - spent
        saving = _saving_with(cart, candidate, state, missing)
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


def _saving_with(cart: Cart, candidate: Candidate, state: State, missing: int) -> int:
    """What a right takes off when so much is added to the lines in its scope."""
    right = candidate.right
    if isinstance(right.benefit, AmountOff | PercentOff):
        richer = replace(candidate, list_total=candidate.list_total + missing)
        return discount_on(richer, state.left_of(candidate.lines) + missing)
    # What the others take off does not depend on what is added.
    return amount_of(cart, state, replace(candidate, right=replace(right, minimum_spend=0))) or 0
