"""What holds of every order and of whatever is given back of it, in whatever steps and by whatever policies.

Each is tried on ten thousand orders, as in :mod:`tests.core.test_cart_properties`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from tearline.core.allocation import Runs, subtract, total_of
from tearline.core.offers import AmountOff, FreeShipping
from tearline.core.orders import POINTS, FrozenLine, FrozenOrder
from tearline.core.pricing import amount_off
from tearline.core.redemption import No
from tearline.core.refunds import EVERYTHING, Left, Refund, Remaining, Wish, refund
from tearline.core.settlement import payment_entries, refund_entries
from tearline.core.tax import tax_of
from tests.core.orders import any_order, any_wish, given_back, sums_of, units_of
from tests.core.test_cart_properties import on_many


def parts_of(order: FrozenOrder) -> list[FrozenLine]:
    return [*order.lines, *order.parcels]


def left_of(remaining: Remaining) -> list[Left]:
    return [*remaining.lines, *remaining.parcels]


@on_many
def test_what_is_given_back_adds_up(dice: Random) -> None:
    """Refunds in any steps, until nothing is left."""
    order = any_order(dice)
    check_order(order)
    remaining = Remaining.of(order)
    entries = payment_entries(order)
    refunds: list[Refund] = []
    while not remaining.is_empty:
        wish = any_wish(dice, order, remaining)
        answer = refund(order, remaining, wish)
        if isinstance(answer, No):
            assert answer.reason == "nothing_to_refund"
            assert not any(wish.lines.values()) and not wish.parcels
            continue
        one, then = answer
        check_refund(order, one, remaining, then)
        check_what_is_left(order, then)
        check_policy(order, one, then)
        entries += refund_entries(order, one)
        refunds.append(one)
        remaining = then
    assert refund(order, remaining, EVERYTHING) == No("nothing_to_refund")
    assert sum(one.amount for one in refunds) == order.total
    assert sum(one.tax for one in refunds) == order.tax
    assert sum(one.points for one in refunds) == order.points
    undone = [position for one in refunds for position in one.undone]
    assert sorted(undone) == list(range(len(order.rights))), "each right is undone, once"
    assert not any(sums_of(entries).values()), "nothing is left on any account"
    by_line: Counter[tuple[object, ...]] = Counter()
    for entry in entries:
        by_line[entry.merchant_id, entry.account, entry.line_key, entry.offer_id] += entry.amount
    assert not any(by_line.values()), "nor of any line or offer"
    check_keep(dice, order)


def check_order(order: FrozenOrder) -> None:
    """The frozen parts sum to what is to be paid."""
    for part in parts_of(order):
        check_units(part, Left(part.quantity, part.units, part.tax, part.shares))
        rate, is_included = part.tax_basis_points, order.prices_include_tax
        assert total_of(part.tax) == tax_of(part.total, rate, is_included=is_included)
    assert order.list_total - order.discount - order.points == order.total - (
        0 if order.prices_include_tax else order.tax
    )


def check_units(part: FrozenLine, left: Left) -> None:
    """Each unit costs what its discounts leave of its price, and its tax is a part of that, or as much again."""
    costs, tax = units_of(left.units), units_of(left.tax)
    off = [0] * left.quantity
    for share in left.shares:
        for place, (whole, borne) in enumerate(
            zip(units_of(share.units), units_of(share.platform), strict=True)
        ):
            assert 0 <= borne <= whole
            off[place] += whole
    assert costs == [part.unit_price - taken for taken in off]
    assert all(0 <= tax_each <= cost for tax_each, cost in zip(tax, costs, strict=True))


def check_what_is_left(order: FrozenOrder, remaining: Remaining) -> None:
    for part, left in zip(parts_of(order), left_of(remaining), strict=True):
        check_units(part, left)


def check_refund(order: FrozenOrder, one: Refund, before: Remaining, then: Remaining) -> None:
    """A refund pays what its units cost, less what makes the others dearer, and discounts only shrink."""
    paid = tax = dearer = points = 0
    for was, now in zip(left_of(before), left_of(then), strict=True):
        count = was.quantity - now.quantity
        paid += sum(units_of(was.units)[:count])
        tax += sum(units_of(was.tax)[:count])
        dearer += total_of(now.units) - sum(units_of(was.units)[count:])
        tax -= total_of(now.tax) - sum(units_of(was.tax)[count:])
        for share, shrunk in zip(was.shares, now.shares, strict=True):
            assert share.right == shrunk.right
            points += sum(units_of(share.units)[:count]) if share.right == POINTS else 0
            merchants = [subtract(some.units, some.platform) for some in (share, shrunk)]
            for earlier, later in ((share.platform, shrunk.platform), merchants):
                assert all(a >= b for a, b in zip(units_of(earlier)[count:], units_of(later), strict=True))
    assert dearer == one.reclaimed >= 0
    assert one.tax == tax and one.points == points
    assert one.amount == paid - dearer + (0 if order.prices_include_tax else tax)
    assert one.amount >= 0
    for parts, of in ((one.lines, order.lines), (one.parcels, order.parcels)):
        for part in parts:
            assert part.list_amount == of[part.position].unit_price * part.quantity
            assert part.quantity or part.reclaimed, "nothing is named that does not change"
            assert all(share.amount > 0 for share in part.reversed)


def check_policy(order: FrozenOrder, one: Refund, then: Remaining) -> None:
    """What a right still takes off is what it would give now, but for what the refund could not pay for."""
    if all(right.rules.refund_below_threshold == "keep" for right in order.rights):
        assert one.reclaimed == 0
    # Tax on top, rounded line by line, may keep the last minor units from being taken back.
    could_pay = one.amount > (0 if order.prices_include_tax else len(parts_of(order)))
    for position, right in enumerate(order.rights):
        standing = sum(
            total_of(share.units)
            for left in left_of(then)
            for share in left.shares
            if share.right == position
        )
        if right.rules.refund_below_threshold == "recompute" and could_pay:
            assert standing <= worth(order, then, position, standing)


def worth(order: FrozenOrder, then: Remaining, position: int, standing: int) -> int:
    """What a right is worth to what is left, reckoned unit by unit."""
    right = order.rights[position]
    spent = cost = 0
    for place in right.lines:
        line, left = order.lines[place], then.lines[place]
        spent += line.unit_price * left.quantity
        cost += line.unit_price * left.quantity
        for share in left.shares:
            is_shipping = isinstance(right.benefit, FreeShipping)
            if is_shipping or share.right in range(position):
                cost -= sum(units_of(share.units))
    base = cost if right.rules.threshold_base == "after_earlier" else spent
    if isinstance(right.benefit, AmountOff):
        return min(cost, amount_off(right.benefit, right.minimum_spend, base))
    return standing if base >= right.minimum_spend else 0


def check_keep(dice: Random, order: FrozenOrder) -> None:
    """Where nothing is taken back, units give back what they cost, one by one or all at once, and not one more."""
    keep = replace(
        order,
        rights=tuple(
            replace(right, rules=replace(right.rules, refund_below_threshold="keep"))
            for right in order.rights
        ),
    )
    remaining = Remaining.of(keep)
    ahead = {line.key: costs_of(order, line) for line in order.lines}
    units = [line.key for line in order.lines for _ in range(line.quantity)]
    for key in dice.sample(units, min(3, len(units))):
        one, remaining = given_back(keep, remaining, Wish({key: 1}))
        assert one.amount == ahead[key].pop(0)
        left = len(ahead[key])
        too_large = refund(keep, remaining, Wish({key: left + 1}))
        assert too_large == No("refund_too_large", {"line": key, "left": str(left)})
    if not remaining.is_empty:
        one, remaining = given_back(keep, remaining, EVERYTHING)
        shipping = sum(sum(costs_of(order, parcel)) for parcel in order.parcels)
        assert one.amount == shipping + sum(sum(costs) for costs in ahead.values())


def costs_of(order: FrozenOrder, line: FrozenLine) -> list[int]:
    """What each unit costs with tax."""
    on_top: Runs = ((0, line.quantity),) if order.prices_include_tax else line.tax
    return [cost + tax for cost, tax in zip(units_of(line.units), units_of(on_top), strict=True)]
