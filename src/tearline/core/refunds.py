"""Refunds of an ordered cart, by its frozen prices: exactly what the units cost, and who gets back what.

Units of a line are given back from its front. Each gives back what it cost, its points as points, its tax, and to
platform and merchant what they bore of its discounts. Nothing is split anew, so the last unit gives back what is
left, and nobody can give back more than was ordered.

What remains keeps its discounts, unless the offer says that falling below its minimum spend changes them. Then what
the right takes off the remaining units beyond what it would give them now is taken back out of the refund's money,
and the remaining units are dearer by that: giving them back later returns it. So whatever the steps and policies,
giving back everything returns exactly what was paid. Three rules go with it:

- Nothing is taken back beyond what the refund pays, nor ever given to the remaining units: their discounts only
  shrink.
- What is taken back is split over the remaining units, and over who bears it, in proportion to what each bears.
- It takes its tax along, by the rate of the line that becomes dearer: the refund holds so much less tax, and the
  dearer units so much more. Where what is given back is taxed at a lower rate than what becomes dearer, the tax in a
  refund may be below zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from tearline.core.allocation import Run, Runs, aligned, allocate, subtract, total_of
from tearline.core.money import half_up
from tearline.core.offers import AmountOff, CartRules, FreeShipping, Gift, start_of_day
from tearline.core.orders import POINTS, FrozenLine, FrozenOrder, FrozenShare
from tearline.core.pricing import amount_off
from tearline.core.redemption import No
from tearline.core.tax import tax_of

# What is asked for, what is left, and what is given back


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be given back.

    Attributes:
        lines: how many units, by the line's key; 0 is none.
        parcels: the merchants whose shipping is given back.
        everything: all that is left, whatever else is said.
    """

    lines: Mapping[str, int] = field(default_factory=dict)
    parcels: tuple[UUID, ...] = ()
    everything: bool = False


EVERYTHING = Wish(everything=True)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one line or parcel: the last ``quantity`` of its units.

    Attributes:
        units: what each has cost until now, as shown.
        tax: of each, within what it cost or on top.
        shares: what stands of each discount, and of points.
    """

    quantity: int
    units: Runs
    tax: Runs
    shares: tuple[FrozenShare, ...]


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of an order to be given back: its lines and its parcels, in the order's order."""

    lines: tuple[Left, ...]
    parcels: tuple[Left, ...]

    @classmethod
    def of(cls, order: FrozenOrder) -> Remaining:
        """All of an order; but for parcels that nobody asked anything for."""
        return cls(
            tuple(Left(line.quantity, line.units, line.tax, line.shares) for line in order.lines),
            tuple(
                Left(1, parcel.units, parcel.tax, parcel.shares) if parcel.unit_price else Left(0, (), (), ())
                for parcel in order.parcels
            ),
        )

    @property
    def is_empty(self) -> bool:
        """True when everything has been given back."""
        return not any(one.quantity for one in (*self.lines, *self.parcels))


@dataclass(frozen=True, slots=True)
class Reversed:
    """How much of a discount is undone, by who bore it.

    Attributes:
        right: position in the order's rights, or ``POINTS``, which the platform bears.
    """

    right: int
    platform: int
    merchant: int

    @property
    def amount(self) -> int:
        """Minor units of the discount."""
        return self.platform + self.merchant


@dataclass(frozen=True, slots=True)
class RefundPart:
    """What a refund does to one line, or one parcel.

    Attributes:
        position: of the line or the parcel in the order.
        quantity: how many units are given back; 0 where those that remain become dearer and nothing else happens.
        list_amount: what these units cost before any discount, as shown.
        amount: minor units paid back for them, tax on top included, less what is taken back for those that
            remain; may be below zero.
        tax: in the amount; may be below zero.
        reclaimed: what is taken back for the units that remain, as shown.
        reversed: of each discount, off the units given back and off those that remain.
    """

    position: int
    quantity: int
    list_amount: int
    amount: int
    tax: int
    reclaimed: int
    reversed: tuple[Reversed, ...]


@dataclass(frozen=True, slots=True)
class Refund:
    """What is given back.

    Attributes:
        amount: minor units of money, tax included; never below zero.
        points: minor units given back as points.
        tax: in the amount.
        reclaimed: what was taken out of the amount because discounts of what remains shrank, as shown.
        lines, parcels: those that it changes.
        undone: positions of the order's rights of which nothing stands any more since this refund: what becomes
            of their coupons says :func:`coupon_outcome`.
    """

    amount: int
    points: int
    tax: int
    reclaimed: int
    lines: tuple[RefundPart, ...]
    parcels: tuple[RefundPart, ...]
    undone: tuple[int, ...]


# Giving back


def refund(order: FrozenOrder, remaining: Remaining, wish: Wish) -> tuple[Refund, Remaining] | No:
    """What giving something back comes to, and what is left of the order then.

    Returns:
        Or why not: ``not_found`` where the order has no such line or parcel; ``refund_too_large`` where fewer
        units are ``left``; ``nothing_to_refund`` where nothing is left, or nothing is asked for.
    """
    counts = _counts(order, remaining, wish)
    if isinstance(counts, No):
        return counts
    first_parcel = len(order.lines)
    lines = _apart(order.lines, remaining.lines, counts[:first_parcel])
    parcels = _apart(order.parcels, remaining.parcels, counts[first_parcel:])
    _take_back(order, lines, parcels)
    then = Remaining(tuple(part.left for part in lines), tuple(part.left for part in parcels))
    is_included = order.prices_include_tax
    found_lines = tuple(_found(lines, is_included=is_included))
    found_parcels = tuple(_found(parcels, is_included=is_included))
    found = (*found_lines, *found_parcels)
    refunded = Refund(
        amount=sum(part.amount for part in found),
        points=sum(one.platform for part in found for one in part.reversed if one.right == POINTS),
        tax=sum(part.tax for part in found),
        reclaimed=sum(part.reclaimed for part in found),
        lines=found_lines,
        parcels=found_parcels,
        undone=tuple(
            position
            for position in range(len(order.rights))
            if _is_undone(order, then, position) and not _is_undone(order, remaining, position)
        ),
    )
    return refunded, then


def _counts(order: FrozenOrder, remaining: Remaining, wish: Wish) -> list[int] | No:
    """How many units of each line, then of each parcel, are to be given back."""
    left = [one.quantity for one in (*remaining.lines, *remaining.parcels)]
    if wish.everything:
        return left if any(left) else No("nothing_to_refund")
    counts = [0] * len(left)
    places = {line.key: place for place, line in enumerate(order.lines)}
    for key, count in wish.lines.items():
        assert count >= 0, "nobody takes back a refund"
        if key not in places:
            return No("not_found", {"line": key})
        if count > left[places[key]]:
            return No("refund_too_large", {"line": key, "left": str(left[places[key]])})
        counts[places[key]] = count
    for merchant_id in wish.parcels:
        own = [
            place
            for place, parcel in enumerate(order.parcels, len(order.lines))
            if parcel.merchant_id == merchant_id
        ]
        if not own:
            return No("not_found", {"merchant_id": str(merchant_id)})
        if not any(left[place] for place in own):
            return No("refund_too_large", {"merchant_id": str(merchant_id), "left": "0"})
        for place in own:
            counts[place] = left[place]
    return counts if any(counts) else No("nothing_to_refund")


@dataclass(slots=True)
class _Part:
    """One line or parcel while a refund is reckoned.

    Attributes:
        returned: the units that are given back.
        left: those that remain.
        reversed: what is taken back of the discounts of those that remain: right, platform, merchant.
        reclaimed_tax: the tax that goes with it.
    """

    frozen: FrozenLine
    returned: Left
    left: Left
    reversed: list[Reversed] = field(default_factory=list)
    reclaimed_tax: int = 0


def _apart(frozen: Sequence[FrozenLine], left: Sequence[Left], counts: Sequence[int]) -> list[_Part]:
    """Take the first units of what is left, so many of each."""
    return [
        _Part(of, _cut(some, 0, count), _cut(some, count, some.quantity - count))
        for of, some, count in zip(frozen, left, counts, strict=True)
    ]


def _cut(left: Left, skipped: int, count: int) -> Left:
    """So many of the units that are left, after the first ones."""
    if count == left.quantity:
        return left
    return Left(
        count,
        _units(left.units, skipped, count),
        _units(left.tax, skipped, count),
        tuple(
            FrozenShare(
                share.right, _units(share.units, skipped, count), _units(share.platform, skipped, count)
            )
            for share in left.shares
        ),
    )


def _units(runs: Runs, skipped: int, count: int) -> Runs:
    """So many units, after the first ones."""
    found: list[Run] = []
    for amount, units in runs:
        passed = min(units, skipped)
        taken = min(units - passed, count)
        skipped, count = skipped - passed, count - taken
        if taken:
            found.append((amount, taken))
    return tuple(found)


def _plus(runs: Runs, parts: Runs) -> Runs:
    """What each unit comes to with something more."""
    return tuple((amount + part, count) for amount, part, count in aligned(runs, parts))


def _found(parts: Sequence[_Part], *, is_included: bool) -> Iterator[RefundPart]:
    """What a refund does, to whom it does anything."""
    for position, part in enumerate(parts):
        returned = part.returned
        if not (returned.quantity or part.reversed):
            continue
        undone = [_reversed(share) for share in returned.shares] + part.reversed
        reclaimed = sum(one.amount for one in part.reversed)
        tax = total_of(returned.tax) - part.reclaimed_tax
        yield RefundPart(
            position,
            returned.quantity,
            list_amount=part.frozen.unit_price * returned.quantity,
            amount=total_of(returned.units) - reclaimed + (0 if is_included else tax),
            tax=tax,
            reclaimed=reclaimed,
            reversed=tuple(
                Reversed(
                    right,
                    sum(one.platform for one in undone if one.right == right),
                    sum(one.merchant for one in undone if one.right == right),
                )
                for right in dict.fromkeys(one.right for one in undone if one.amount)
            ),
        )


def _reversed(share: FrozenShare) -> Reversed:
    platform = total_of(share.platform)
    return Reversed(share.right, platform, total_of(share.units) - platform)


def _is_undone(order: FrozenOrder, remaining: Remaining, position: int) -> bool:
    """Whether nothing stands of a right: of its discount, or of the units that brought its gift."""
    right = order.rights[position]
    if isinstance(right.benefit, Gift):
        return not any(remaining.lines[place].quantity for place in right.lines)
    return not any(
        amount
        for left in (*remaining.lines, *remaining.parcels)
        for share in left.shares
        if share.right == position
        for amount, _count in share.units
    )


# Taking back what the remaining units are no longer worth


def _take_back(order: FrozenOrder, lines: Sequence[_Part], parcels: Sequence[_Part]) -> None:
    """Shrink the discounts that depend on a minimum spend which the remaining units no longer reach."""
    parts = (*lines, *parcels)
    is_included = order.prices_include_tax
    budget = sum(
        total_of(part.returned.units) + (0 if is_included else total_of(part.returned.tax)) for part in parts
    )
    for position, right in enumerate(order.rights):
        if right.rules.refund_below_threshold != "recompute":
            continue
        standing = [
            _Standing(part, share) for part in parts for share in part.left.shares if share.right == position
        ]
        whole = sum(total_of(one.share.units) for one in standing)
        surplus = whole - _worth_now(order, lines, position, whole)
        if surplus > 0:
            budget -= _shrink_within(budget, standing, min(surplus, budget), is_included=is_included)


def _shrink_within(budget: int, standing: Sequence[_Standing], amount: int, *, is_included: bool) -> int:
    """Shrink discounts by an amount, or by less where that and the tax on top come to more than the budget.

    Returns:
        What it came to.
    """
    while True:
        shrinking = _shrink(standing, amount, is_included=is_included)
        taken = amount + (0 if is_included else sum(one.tax for one in shrinking))
        if taken <= budget:
            for one in shrinking:
                one.apply()
            return taken
        # Tax is at most as much again, so half of what is too much is never more than enough.
        amount -= (taken - budget + 1) // 2


def _worth_now(order: FrozenOrder, lines: Sequence[_Part], position: int, standing: int) -> int:
    """What a right gives for the units that remain in its scope: by steps, or all that stands, or nothing."""
    right = order.rights[position]
    scope = [lines[place] for place in right.lines]
    list_total = sum(part.frozen.unit_price * part.left.quantity for part in scope)
    # What lowers lines comes before all that lowers shipping, points with it.
    is_last = isinstance(right.benefit, FreeShipping)
    cost = list_total - sum(
        total_of(share.units)
        for part in scope
        for share in part.left.shares
        if is_last or (share.right != POINTS and share.right < position)
    )
    spent = cost if right.rules.threshold_base == "after_earlier" else list_total
    if isinstance(right.benefit, AmountOff):
        return min(amount_off(right.benefit, right.minimum_spend, spent), cost)
    return standing if spent >= right.minimum_spend else 0


class _Standing(NamedTuple):
    """What stands of a right's discount on one line or parcel."""

    part: _Part
    share: FrozenShare


class _Shrinking(NamedTuple):
    """How a standing discount shrinks: the platform's and the merchant's part off each unit, and the tax."""

    standing: _Standing
    platform: Runs
    merchant: Runs
    tax: int

    def apply(self) -> None:
        """Make the remaining units dearer."""
        part, share = self.standing
        left, more = part.left, _plus(self.platform, self.merchant)
        if not total_of(more):
            return
        shrunk = FrozenShare(
            share.right, subtract(share.units, more), subtract(share.platform, self.platform)
        )
        part.left = replace(
            left,
            units=_plus(left.units, more),
            tax=_plus(left.tax, allocate(self.tax, [more])[0]),
            shares=tuple(shrunk if one.right == share.right else one for one in left.shares),
        )
        part.reversed.append(Reversed(share.right, total_of(self.platform), total_of(self.merchant)))
        part.reclaimed_tax += self.tax


def _shrink(standing: Sequence[_Standing], amount: int, *, is_included: bool) -> list[_Shrinking]:
    """Split what is taken back over who bears the discount and over units, in proportion to what stands."""
    platform = [one.share.platform for one in standing]
    merchant = [subtract(one.share.units, one.share.platform) for one in standing]
    whole = sum(total_of(one.share.units) for one in standing)
    borne = half_up(amount * sum(total_of(one) for one in platform), whole)
    return [
        _Shrinking(
            one,
            off_platform,
            off_merchant,
            tax_of(
                total_of(off_platform) + total_of(off_merchant),
                one.part.frozen.tax_basis_points,
                is_included=is_included,
            ),
        )
        for one, off_platform, off_merchant in zip(
            standing, allocate(borne, platform), allocate(amount - borne, merchant), strict=True
        )
    ]


# What becomes of the coupon


def coupon_outcome(
    rules: CartRules, valid_until: datetime, now: datetime, time_zone: str
) -> tuple[str, datetime | None]:
    """What becomes of a coupon whose discount is undone, as its offer says.

    Args:
        valid_until: until just before when the coupon could be used.
        time_zone: the offer's, in which days are counted.

    Returns:
        ``returned`` while it is still valid, ``reissued`` with its new end, or ``forfeited``. It is given anew
        until the end of the day that lies ``reissue_days`` after today, and never for shorter than before.
    """
    if rules.refund_coupon == "reissue":
        assert rules.reissue_days is not None, "who gives a coupon anew says for how long"
        today = now.astimezone(ZoneInfo(time_zone)).date()
        ends = start_of_day(today + timedelta(days=rules.reissue_days + 1), time_zone)
        return "reissued", max(ends, valid_until)
    if rules.refund_coupon == "return" and now < valid_until:
        return "returned", None
    return "forfeited", None
