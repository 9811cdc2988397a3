"""Pricing a cart with given rights, layer by layer, and splitting every discount over units and over who pays.

The rules, each of which ``docs/pricing.md`` shows with numbers:

- Rights lower prices in the order of their slots: merchant promotions, merchant coupons, platform coupons, points,
  shipping; within a layer by stacking group, those without a group first. Each takes its part of what is left.
- The minimum spend is compared with the list prices of the lines in scope, or with what is left of them, as the
  offer says.
- A share is rounded once, over all units together, half a minor unit and more upwards. Nothing becomes cheaper
  than nothing.
- A discount is split over the units in proportion to what each still costs (:mod:`tearline.core.allocation`), the
  platform's share of it likewise over what each unit got.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tearline.core.allocation import Runs, allocate, subtract, total_of
from tearline.core.cart import Candidate, Cart, Right, Skipped, candidates
from tearline.core.money import share_of
from tearline.core.offers import AmountOff, FixedPrice, FreeShipping, Gift, PercentOff


@dataclass(frozen=True, slots=True)
class Share:
    """What one right takes off one line, or off one parcel's shipping.

    Attributes:
        position: of the line or the parcel in the cart.
        units: off each unit of the line, in order; a parcel is one unit.
        platform: the platform's part of each unit's discount; the merchant bears the rest.
    """

    position: int
    units: Runs
    platform: Runs

    @property
    def amount(self) -> int:
        """Minor units off the line."""
        return total_of(self.units)

    @property
    def platform_amount(self) -> int:
        """What the platform bears of it."""
        return total_of(self.platform)


@dataclass(frozen=True, slots=True)
class Applied:
    """A right that lowered prices, or brought a gift.

    Attributes:
        lines, parcels: its shares; only those of more than nothing.
        amount: minor units off in all.
        scope: positions of the lines in its scope, whether or not it takes anything off them.
    """

    right: Right
    lines: tuple[Share, ...]
    parcels: tuple[Share, ...]
    amount: int
    scope: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line after all discounts: what each of its units costs, in order."""

    key: str
    units: Runs
    list_total: int
    total: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced cart.

    Attributes:
        applied: the rights that apply, in the order in which they did.
        skipped: the others, each with its reason.
        points: minor units that points take off, all of them borne by the platform; ``points_lines`` their shares.
        shipping: what shipping still costs, parcel by parcel.
        is_best: False when the search for the best combination gave up at its limit; what it answers is good
            and correct all the same, but another combination might save more.
    """

    lines: tuple[PricedLine, ...]
    shipping: tuple[int, ...]
    applied: tuple[Applied, ...]
    skipped: tuple[Skipped, ...]
    points: int = 0
    points_lines: tuple[Share, ...] = ()
    is_best: bool = True

    @property
    def saving(self) -> int:
        """What rights take off, points apart."""
        return sum(one.amount for one in self.applied)

    @property
    def total(self) -> int:
        """What is to be paid."""
        return sum(line.total for line in self.lines) + sum(self.shipping)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one right took off, by position of the line or the parcel, and in all."""

    candidate: Candidate
    lines: dict[int, Runs]
    parcels: dict[int, int]
    amount: int


@dataclass(slots=True)
class State:
    """What is left to pay while rights are applied: by line and by parcel."""

    lines: list[Runs]
    totals: list[int]
    parcels: list[int]
    taken: list[Taken] = field(default_factory=list)
    points: int = 0
    points_lines: tuple[Share, ...] = ()

    @classmethod
    def of(cls, cart: Cart) -> State:
        """Nothing applied yet."""
        return cls(
            [((line.unit_price, line.quantity),) for line in cart.lines],
            [line.unit_price * line.quantity for line in cart.lines],
            [parcel.amount for parcel in cart.parcels],
        )

    def copy(self) -> State:
        """The same, to go on from in another way."""
        lines, totals, parcels = self.lines.copy(), self.totals.copy(), self.parcels.copy()
        return State(lines, totals, parcels, self.taken.copy(), self.points, self.points_lines)

    @property
    def saved(self) -> int:
        """Minor units that rights have taken off."""
        return sum(one.amount for one in self.taken)

    def left_of(self, lines: Iterable[int]) -> int:
        """What some lines still cost."""
        return sum(map(self.totals.__getitem__, lines))

    def take(self, taken: Taken) -> None:
        """Take a discount off."""
        for position, units in taken.lines.items():
            self.take_off_line(position, units)
        for position, amount in taken.parcels.items():
            self.parcels[position] -= amount
        self.taken.append(taken)

    def take_off_line(self, position: int, units: Runs) -> None:
        """Take so much off each unit of a line."""
        self.totals[position] -= total_of(units)
        self.lines[position] = subtract(self.lines[position], units)


def threshold_of(candidate: Candidate, left: int) -> int:
    """What the minimum spend is compared with, where ``left`` is what the lines in scope still cost."""
    return left if candidate.right.rules.threshold_base == "after_earlier" else candidate.list_total


def amount_off(benefit: AmountOff, minimum_spend: int, spent: int) -> int:
    """What an amount off comes to when so much is spent; 0 below the minimum."""
    if spent < minimum_spend:
        return 0
    if benefit.every and minimum_spend:
        times = spent // minimum_spend
        return benefit.amount * (times if benefit.times is None else min(times, benefit.times))
    amount = benefit.amount
    for step in benefit.steps:
        if spent >= step.threshold:
            amount = step.amount
    return amount


def discount_on(candidate: Candidate, left: int) -> int:
    """What a right of the kinds that go by sums takes off lines that still cost ``left``."""
    right = candidate.right
    spent = threshold_of(candidate, left)
    if spent < right.minimum_spend:
        return 0
    benefit = right.benefit
    if isinstance(benefit, AmountOff):
        return min(amount_off(benefit, right.minimum_spend, spent), left)
    assert isinstance(benefit, PercentOff)
    off = share_of(left, benefit.basis_points)
    return off if benefit.cap is None else min(off, benefit.cap)


def apply(cart: Cart, state: State, candidate: Candidate) -> bool:
    """Let a right lower what is left; False, and nothing done, when it would take nothing off."""
    taken = discount(cart, state, candidate)
    if taken is None:
        return False
    state.take(taken)
    return True


def discount(cart: Cart, state: State, candidate: Candidate) -> Taken | None:
    """What a right would take off what is left; None when it is nothing."""
    right, benefit = candidate.right, candidate.right.benefit
    left = state.left_of(candidate.lines)
    if threshold_of(candidate, left) < right.minimum_spend:
        return None
    if isinstance(benefit, Gift):
        return Taken(candidate, {}, {}, 0)
    if isinstance(benefit, FreeShipping):
        weights = [((state.parcels[position], 1),) for position in candidate.parcels]
        whole = sum(total_of(one) for one in weights)
        off = whole if benefit.cap is None else min(whole, benefit.cap)
        parts = allocate(off, weights)
        shares = {position: part[0][0] for position, part in zip(candidate.parcels, parts, strict=True)}
        return Taken(candidate, {}, shares, off) if off else None
    if isinstance(benefit, FixedPrice):
        found = _fixed_price(cart, state, candidate, benefit)
        return Taken(candidate, found, {}, sum(map(total_of, found.values()))) if found else None
    off = discount_on(candidate, left)
    if off == 0:
        return None
    split = allocate(off, [state.lines[position] for position in candidate.lines])
    return Taken(candidate, dict(zip(candidate.lines, split, strict=True)), {}, off)


def amount_of(cart: Cart, state: State, candidate: Candidate) -> int | None:
    """How much a right would take off what is left, without splitting it; None where it would not apply."""
    if goes_by_sums(candidate):
        return discount_on(candidate, state.left_of(candidate.lines)) or None
    taken = discount(cart, state, candidate)
    return None if taken is None else taken.amount


def goes_by_sums(candidate: Candidate) -> bool:
    """Whether what a right takes off depends only on what the lines in its scope cost together."""
    return isinstance(candidate.right.benefit, AmountOff | PercentOff)


def _fixed_price(cart: Cart, state: State, candidate: Candidate, benefit: FixedPrice) -> dict[int, Runs]:
    """The dearest units of the product come down to the price, as many as the offer says."""
    dear = [
        (amount, position, place, count)
        for position in candidate.lines
        if cart.lines[position].product == benefit.product
        for place, (amount, count) in enumerate(state.lines[position])
        if amount > benefit.price
    ]
    left = benefit.units
    chosen: dict[tuple[int, int], int] = {}
    for _amount, position, place, count in sorted(dear, key=lambda one: -one[0]):
        if left == 0:
            break
        chosen[position, place] = taken = min(count, left)
        left -= taken
    parts: dict[int, Runs] = {}
    for position in dict.fromkeys(position for position, _place in chosen):
        runs: list[tuple[int, int]] = []
        for place, (amount, count) in enumerate(state.lines[position]):
            taken = chosen.get((position, place), 0)
            if taken:
                runs.append((amount - benefit.price, taken))
            if count > taken:
                runs.append((0, count - taken))
        parts[position] = tuple(runs)
    return parts


def in_turn(some: Iterable[Candidate]) -> list[Candidate]:
    """Rights in the order in which they lower prices."""
    return sorted(some, key=lambda one: (one.right.slot, one.right.key))


def settle(
    cart: Cart, chosen: Sequence[Candidate], skipped: Sequence[Skipped], *, is_best: bool = True
) -> Quote:
    """The quote for rights that combine; one of them that takes nothing off is skipped with its reason."""
    state, passed = apply_all(cart, chosen)
    return Quote(
        lines=tuple(
            PricedLine(line.key, units, line.unit_price * line.quantity, total)
            for line, units, total in zip(cart.lines, state.lines, state.totals, strict=True)
        ),
        shipping=tuple(state.parcels),
        applied=tuple(_applied(one) for one in state.taken),
        skipped=(*skipped, *passed),
        points=state.points,
        points_lines=state.points_lines,
        is_best=is_best,
    )


def apply_all(cart: Cart, chosen: Iterable[Candidate]) -> tuple[State, list[Skipped]]:
    """Let rights that combine lower prices in their turn; also those of them that take nothing off."""
    state, passed = State.of(cart), []
    order = in_turn(chosen)
    shipping = [one for one in order if one.right.is_of_shipping]
    for candidate in order[: len(order) - len(shipping)]:
        if not apply(cart, state, candidate):
            passed.append(why_nothing(state, candidate))
    take_points(cart, state)
    for candidate in shipping:
        if not apply(cart, state, candidate):
            passed.append(why_nothing(state, candidate))
    return state, passed


def why_nothing(state: State, candidate: Candidate) -> Skipped:
    """Why a right takes nothing off what is left."""
    right = candidate.right
    spent = threshold_of(candidate, state.left_of(candidate.lines))
    if spent < right.minimum_spend:
        return Skipped(right, "minimum_not_reached", right.minimum_spend - spent)
    return Skipped(right, "nothing_left")


def price(cart: Cart, rights: Sequence[Right], now: datetime) -> Quote:
    """Price a cart with the rights that the caller asks for, in whatever order they are named.

    Of two that do not combine the one named first applies.
    """
    found, skipped = candidates(cart, rights, now)
    chosen: list[Candidate] = []
    for candidate in found:
        if all(combine(candidate.right, other.right) for other in chosen):
            chosen.append(candidate)
        else:
            skipped.append(Skipped(candidate.right, "not_combinable"))
    return settle(cart, chosen, skipped)


def combine(one: Right, other: Right) -> bool:
    """Whether two rights may apply to the same cart."""
    if one.slot == other.slot or one.offer == other.offer:
        return False
    # A promotion is nobody's coupon: one that is exclusive combines with no coupon, an exclusive coupon with it.
    return not (
        (one.rules.exclusive and not other.is_promotion) or (other.rules.exclusive and not one.is_promotion)
    )


def take_points(cart: Cart, state: State) -> None:
    """Let points lower what is left of the lines that may be touched."""
    positions = [position for position, line in enumerate(cart.lines) if line.is_discountable]
    points = min(cart.points, state.left_of(positions))
    if points <= 0:
        return
    split = allocate(points, [state.lines[position] for position in positions])
    shares = []
    for position, units in zip(positions, split, strict=True):
        state.take_off_line(position, units)
        if total_of(units):
            shares.append(Share(position, units, units))
    state.points, state.points_lines = points, tuple(shares)


def _applied(taken: Taken) -> Applied:
    right = taken.candidate.right
    units = [*taken.lines.values(), *(((amount, 1),) for amount in taken.parcels.values())]
    platform = allocate(share_of(taken.amount, right.funding.platform_basis_points), units)
    shares = [
        Share(position, parts, borne)
        for position, parts, borne in zip([*taken.lines, *taken.parcels], units, platform, strict=True)
    ]
    lines, parcels = shares[: len(taken.lines)], shares[len(taken.lines) :]
    return Applied(
        right,
        tuple(one for one in lines if one.amount),
        tuple(one for one in parcels if one.amount),
        taken.amount,
        taken.candidate.lines,
    )
