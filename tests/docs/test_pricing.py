"""The worked examples of docs/pricing.md: each row is reckoned, and must come to what the page says."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from tearline.core.allocation import Runs
from tearline.core.cart import Skipped
from tearline.core.choosing import choose
from tearline.core.hints import Hint, hints
from tearline.core.orders import FrozenOrder, freeze
from tearline.core.pricing import Quote
from tearline.core.refunds import Refund, Remaining, coupon_outcome, refund
from tearline.core.settlement import payable, payment_entries, refund_entries
from tearline.core.tax import taxes
from tests.core.carts import NOW
from tests.docs.examples import MERCHANTS, NOTHING, VALID_FOR, Language, Returning, refund_steps, tables

TABLES = tables()
DOLLARS = Language()
TIME_ZONE = "Asia/Hong_Kong"


def rows_of(heading: str) -> pytest.MarkDecorator:
    """Try something with every row of a table."""
    return pytest.mark.parametrize("row", TABLES[heading], ids=lambda row: row[0])


def units_of(runs: Runs) -> list[int]:
    return [amount for amount, count in runs for _ in range(count)]


def costs_of(quote: Quote) -> list[int]:
    return [unit for line in quote.lines for unit in units_of(line.units)]


def borne_by_platform(quote: Quote) -> int:
    borne = sum(share.platform_amount for one in quote.applied for share in (*one.lines, *one.parcels))
    return borne + quote.points


def ordinal(number: str) -> str:
    return number + {"1": "st", "2": "nd", "3": "rd"}.get(number, "th")


def test_there_are_examples() -> None:
    numbers = [row[0] for rows in TABLES.values() for row in rows]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert len(numbers) >= 60


@rows_of("Layers, minimums and splitting")
def test_prices(row: list[str]) -> None:
    _number, cart, rights, units, platform, total = row
    quote = choose(DOLLARS.cart(cart), DOLLARS.rights(rights), NOW)
    assert costs_of(quote) == DOLLARS.amounts(units)
    assert borne_by_platform(quote) == DOLLARS.amount(platform)
    assert quote.total == DOLLARS.amount(total)


def written(skipped: Skipped) -> str:
    """Why a right doesn't apply, as the page writes it."""
    missing = "" if skipped.missing is None else f" by {skipped.missing / 100:.2f}"
    return f"{ordinal(skipped.right.key)}: {skipped.reason.replace('_', ' ')}{missing}"


@rows_of("What a coupon is for")
def test_what_applies(row: list[str]) -> None:
    _number, cart, rights, units, skipped, total = row
    quote = choose(DOLLARS.cart(cart), DOLLARS.rights(rights), NOW)
    assert costs_of(quote) == DOLLARS.amounts(units)
    assert ("; ".join(sorted(written(one) for one in quote.skipped)) or NOTHING) == skipped
    assert quote.total == DOLLARS.amount(total)


@rows_of("Shipping")
def test_shipping(row: list[str]) -> None:
    _number, cart, rights, parcels, skipped, total = row
    quote = choose(DOLLARS.cart(cart), DOLLARS.rights(rights), NOW)
    assert list(quote.shipping) == DOLLARS.amounts(parcels)
    assert ("; ".join(sorted(written(one) for one in quote.skipped)) or NOTHING) == skipped
    assert quote.total == DOLLARS.amount(total)


@rows_of("Other currencies")
def test_currencies(row: list[str]) -> None:
    _number, currency, cart, rights, units, platform, total = row
    language = Language(currency)
    quote = choose(language.cart(cart), language.rights(rights), NOW)
    assert costs_of(quote) == language.amounts(units)
    assert borne_by_platform(quote) == language.amount(platform)
    assert quote.total == language.amount(total)


@rows_of("Tax")
def test_tax(row: list[str]) -> None:
    _number, cart, rights, units, tax, total = row
    of = DOLLARS.cart(cart)
    quote = choose(of, DOLLARS.rights(rights), NOW)
    found = taxes(of, quote)
    assert costs_of(quote) == DOLLARS.amounts(units)
    each = [unit for one in (*found.lines, *found.parcels) for unit in units_of(one)]
    assert each == DOLLARS.amounts(tax)
    order = freeze(of, quote)
    assert (order.total, order.tax, found.total) == (DOLLARS.amount(total), sum(each), sum(each))


def give_back(order: FrozenOrder, steps: list[Returning]) -> list[Refund]:
    """Refunds one after another."""
    remaining, found = Remaining.of(order), []
    for step in steps:
        answer = refund(order, remaining, step.wish)
        assert isinstance(answer, tuple), answer
        found.append(answer[0])
        remaining = answer[1]
    return found


def to_platform(one: Refund) -> int:
    """What the platform need not bear any more: of discounts and of points."""
    return sum(share.platform for part in (*one.lines, *one.parcels) for share in part.reversed)


def of_coupons(order: FrozenOrder, one: Refund, days: int) -> str:
    """What becomes of the coupons that a refund undoes, as the page writes it."""
    now = NOW + timedelta(days=days)
    found = []
    for position in one.undone:
        of = order.rights[position]
        outcome, _until = coupon_outcome(of.rules, NOW + VALID_FOR, now, TIME_ZONE)
        found.append(f"{ordinal(of.key)} {outcome}")
    return ", ".join(found) or NOTHING


@rows_of("Refunds")
def test_refunds(row: list[str]) -> None:
    _number, cart, rights, back, money, points, platform, coupons = row
    of, steps = DOLLARS.cart(cart), refund_steps(back)
    order = freeze(of, choose(of, DOLLARS.rights(rights), NOW))
    found = give_back(order, steps)
    assert [one.amount for one in found] == [DOLLARS.amount(text) for text in money.split("; ")]
    assert [one.points for one in found] == [DOLLARS.amount(text) for text in points.split("; ")]
    assert [to_platform(one) for one in found] == [DOLLARS.amount(text) for text in platform.split("; ")]
    becomes = [of_coupons(order, one, step.days) for one, step in zip(found, steps, strict=True)]
    assert becomes == coupons.split("; ")


@rows_of("Settlement")
def test_settlement(row: list[str]) -> None:
    _number, cart, rights, collected_by, back, owed = row
    of = DOLLARS.cart(cart)
    order = freeze(of, choose(of, DOLLARS.rights(rights), NOW))
    entries = payment_entries(order)
    if back != NOTHING:
        for one in give_back(order, refund_steps(back)):
            entries += refund_entries(order, one)
    letters = {merchant_id: letter for letter, merchant_id in MERCHANTS.items()}
    sums: dict[str, Counter[str]] = {letters[one.merchant_id]: Counter() for one in entries}
    for one in entries:
        sums[letters[one.merchant_id]][one.account] += one.amount
    collector = {"the platform": "platform", "the merchants": "merchant"}[collected_by]
    assert {letter: payable(by_account, collector) for letter, by_account in sums.items()} == {
        text[0]: DOLLARS.amount(text[3:]) for text in owed.split("; ")
    }


@rows_of("Near misses")
def test_hints(row: list[str]) -> None:
    _number, cart, rights, hinted = row
    of, some = DOLLARS.cart(cart), DOLLARS.rights(rights)
    found = hints(of, some, choose(of, some, NOW), NOW)
    assert ("; ".join(written_hint(one) for one in found) or NOTHING) == hinted


def written_hint(hint: Hint) -> str:
    """A hint as the page writes it."""
    gain = f"save {hint.saving / 100:.2f}" if hint.saving else "get the gift"
    instead = f" instead of {hint.instead_of / 100:.2f}" if hint.instead_of else ""
    return f"spend {hint.missing / 100:.2f} more and {gain}{instead} ({ordinal(hint.right.key)})"
