"""The worked examples of docs/pricing.md: each row is priced, and must come to what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tearline.core.cart import Cart, CartLine, Parcel, Right
from tearline.core.choosing import choose
from tearline.core.offers import AmountOff, CartRules, FixedPrice, FreeShipping, Funding, PercentOff, Step
from tests.core.carts import BOOKS, NOODLES, NOW, TEA, right

PAGE = Path(__file__).parents[2] / "docs" / "pricing.md"
ROWS = [
    [cell.strip() for cell in found.strip("|\n").split("|")]
    for found in PAGE.read_text("utf-8").splitlines()
    if re.match(r"\| \d+ \|", found)
]
MERCHANTS = {"N": NOODLES, "B": BOOKS, "T": TEA}
MONEY = r"(\d+\.\d\d)"


def cents(text: str) -> int:
    return int(text.replace(".", ""))


def cart_of(text: str) -> Cart:
    """A cart as the page writes it."""
    lines, parcels, points = [], [], 0
    for number, part in enumerate(text.split("; ")):
        if found := re.fullmatch(rf"(\w): (\d+) × {MONEY}( \(no coupons\))?", part):
            lines.append(
                CartLine(
                    f"{number}", "unit", MERCHANTS[found[1]], cents(found[3]), int(found[2]),
                    is_discountable=not found[4],
                )
            )  # fmt: skip
        elif found := re.fullmatch(rf"shipping (\w): {MONEY}", part):
            parcels.append(Parcel(MERCHANTS[found[1]], cents(found[2])))
        else:
            found = re.fullmatch(rf"points {MONEY}", part)
            assert found, part
            points = cents(found[1])
    return Cart("HKD", tuple(lines), tuple(parcels), points=points)


def benefit_of(text: str) -> tuple[Any, int]:
    """A benefit as the page writes it, and its minimum spend."""
    if found := re.fullmatch(rf"(\d+) % off(?:, at most {MONEY})?", text):
        return PercentOff(int(found[1]) * 100, cents(found[2]) if found[2] else None), 0
    if found := re.fullmatch(rf"free shipping(?:, at most {MONEY})?", text):
        return FreeShipping(cents(found[1]) if found[1] else None), 0
    if found := re.fullmatch(rf"(\d+) unit for {MONEY}", text):
        return FixedPrice(cents(found[2]), "unit", int(found[1])), 0
    if found := re.fullmatch(rf"{MONEY} off for every {MONEY}(?:, at most (\d+) times)?", text):
        times = int(found[3]) if found[3] else None
        return AmountOff(cents(found[1]), every=True, times=times), cents(found[2])
    found = re.fullmatch(rf"{MONEY} off(?: from {MONEY}(?:, {MONEY} from {MONEY})?)?", text)
    assert found, text
    steps = (Step(cents(found[4]), cents(found[3])),) if found[3] else ()
    return AmountOff(cents(found[1]), steps), cents(found[2]) if found[2] else 0


def rights_of(text: str) -> list[Right]:
    """Rights as the page writes them."""
    rights = []
    for number, part in enumerate(text.split("; ")):
        found = re.fullmatch(r"(\w): (.+?)(?: \((.+)\))?", part)
        assert found, part
        benefit, minimum_spend = benefit_of(found[2])
        manner = found[3] or ""
        rules = CartRules(
            threshold_base="after_earlier" if manner == "after earlier layers" else "list_price",
            exclusive=manner == "exclusive",
            stacking_group=manner.removeprefix("group ") if manner.startswith("group ") else None,
        )
        shared = {"funding": Funding(5_000, 5_000)} if manner == "half each" else {}
        merchant = MERCHANTS.get(found[1])
        rights.append(
            right(f"{number}", benefit, merchant, minimum_spend=minimum_spend, rules=rules, **shared)
        )
    return rights


def test_there_are_examples() -> None:
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, len(ROWS) + 1)]
    assert len(ROWS) >= 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_worked_example(row: list[str]) -> None:
    _number, cart, rights, units, platform, total = row
    quote = choose(cart_of(cart), rights_of(rights), NOW)
    assert [amount for line in quote.lines for amount, count in line.units for _ in range(count)] == [
        cents(one) for one in units.split(", ")
    ]
    borne = sum(share.platform_amount for one in quote.applied for share in (*one.lines, *one.parcels))
    assert borne + quote.points == cents(platform)
    assert quote.total == cents(total)
