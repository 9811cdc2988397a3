"""The language of the tables of docs/pricing.md: carts, rights and refunds as the page writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tearline.core.cart import Cart, CartLine, Parcel, Right
from tearline.core.money import CURRENCY_EXPONENTS
from tearline.core.offers import (
    AmountOff,
    FixedPrice,
    FreeShipping,
    Funding,
    Gift,
    PercentOff,
    Selection,
    Step,
)
from tearline.core.refunds import Wish
from tests.core.carts import BOOKS, NOODLES, NOW, TEA, right

PAGE = Path(__file__).parents[2] / "docs" / "pricing.md"
MERCHANTS = {"N": NOODLES, "B": BOOKS, "T": TEA}
MONEY = r"(\d+(?:\.\d+)?)"
NOTHING = "–"
VALID_FOR = timedelta(days=10)
"""Every coupon of the page runs out so long after it is used."""


def tables() -> dict[str, list[list[str]]]:
    """The rows of numbered examples, by the heading under which they stand."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for written in PAGE.read_text("utf-8").splitlines():
        if written.startswith("#"):
            heading = written.lstrip("# ")
        elif re.match(r"\| \d+ \|", written):
            found.setdefault(heading, []).append([cell.strip() for cell in written.strip("|").split("|")])
    return found


@dataclass(frozen=True)
class Language:
    """How amounts are written: in which currency."""

    currency: str = "HKD"

    def amount(self, text: str) -> int:
        """Minor units."""
        negative, digits = text.startswith("−"), text.removeprefix("−")
        exponent = CURRENCY_EXPONENTS[self.currency]
        assert len(digits.partition(".")[2]) == exponent, f"{text} has {exponent} decimals"
        return int(digits.replace(".", "")) * (-1 if negative else 1)

    def amounts(self, text: str) -> list[int]:
        """What several units cost: ``25.00, 2 × 30.00``."""
        found: list[int] = []
        for part in text.split(", "):
            count, _times, each = part.rpartition(" × ")
            found += [self.amount(each)] * int(count or 1)
        return found

    def cart(self, text: str) -> Cart:
        """A cart: ``N: 2 × 30.00 (brand Lok); shipping N: 12.00; points 5.00; to HK; first order``."""
        cart = Cart(self.currency, ())
        for part in text.split("; "):
            if found := re.fullmatch(rf"(?:(\d+) lines of )?(\w): (\d+) × {MONEY}(?: \((.+)\))?", part):
                for _ in range(int(found[1] or 1)):
                    line = self._line(f"{len(cart.lines) + 1}", found[2], found[3], found[4], found[5])
                    cart = replace(cart, lines=(*cart.lines, line))
            elif found := re.fullmatch(rf"shipping (\w): {MONEY}(?: \(tax (\d+) %\))?", part):
                parcel = Parcel(MERCHANTS[found[1]], self.amount(found[2]), int(found[3] or 0) * 100)
                cart = replace(cart, parcels=(*cart.parcels, parcel))
            elif found := re.fullmatch(rf"points {MONEY}", part):
                cart = replace(cart, points=self.amount(found[1]))
            elif part == "first order":
                cart = replace(cart, is_first_order=True)
            elif part == "tax on top":
                cart = replace(cart, prices_include_tax=False)
            else:
                found = re.fullmatch(r"to (\w\w)", part)
                assert found, part
                cart = replace(cart, region=found[1])
        return cart

    def _line(self, key: str, merchant: str, quantity: str, price: str, manners: str | None) -> CartLine:
        line = CartLine(key, "unit", MERCHANTS[merchant], self.amount(price), int(quantity))
        for manner in _manners(manners):
            if manner == "no coupons":
                line = replace(line, is_discountable=False)
                continue
            kind, _space, value = manner.partition(" ")
            if kind == "tax":
                line = replace(line, tax_basis_points=round(float(value.removesuffix(" %")) * 100))
            elif kind == "category":
                line = replace(line, categories=(*line.categories, value))
            else:
                assert kind in ("product", "brand"), manner
                line = replace(line, **{kind: value})  # type: ignore[arg-type]
        return line

    def rights(self, text: str) -> list[Right]:
        """Rights: ``N: 10.00 off from 50.00 (exclusive, on brand Lok); N promotion: 5 % off``."""
        return [
            self._right(number, part)
            for number, part in enumerate(text.split("; "), 1)
            if part not in ("", NOTHING)
        ]

    def _right(self, number: int, text: str) -> Right:
        found = re.fullmatch(r"(\w)( promotion)?: (.+?)(?: \((.+)\))?", text)
        assert found, text
        benefit, minimum_spend = self._benefit(found[3])
        one = right(
            f"{number}",
            benefit,
            MERCHANTS.get(found[1]),
            minimum_spend=minimum_spend,
            is_promotion=bool(found[2]),
            offer=str(UUID(int=number)),
            currency=self.currency,
            valid_until=NOW + VALID_FOR,
        )
        for manner in _manners(found[4]):
            one = _with_manner(one, manner)
        return one

    def _benefit(self, text: str) -> tuple[Any, int]:
        """A benefit, and its minimum spend."""
        amount = self.amount
        if found := re.fullmatch(rf"(.+) from {MONEY}", text):
            first, minimum = found[1], amount(found[2])
            # Of several steps the last one stands at the end.
            steps = re.fullmatch(rf"{MONEY} off from {MONEY}, {MONEY}", first)
            if steps:
                return AmountOff(amount(steps[1]), (Step(minimum, amount(steps[3])),)), amount(steps[2])
            return self._benefit(first)[0], minimum
        if found := re.fullmatch(rf"{MONEY} % off(?:, at most {MONEY})?", text):
            return PercentOff(round(float(found[1]) * 100), amount(found[2]) if found[2] else None), 0
        if found := re.fullmatch(rf"free up to {MONEY}", text):
            return PercentOff(10_000, amount(found[1])), 0
        if found := re.fullmatch(rf"free shipping(?:, at most {MONEY})?", text):
            return FreeShipping(amount(found[1]) if found[1] else None), 0
        if found := re.fullmatch(rf"(\d+) (\w+) for {MONEY}", text):
            return FixedPrice(amount(found[3]), found[2], int(found[1])), 0
        if found := re.fullmatch(rf"{MONEY} off for every {MONEY}(?:, at most (\d+) times)?", text):
            times = int(found[3]) if found[3] else None
            return AmountOff(amount(found[1]), every=True, times=times), amount(found[2])
        if text == "a gift":
            return Gift({"en": "A bag"}), 0
        found = re.fullmatch(rf"{MONEY} off", text)
        assert found, text
        return AmountOff(amount(found[1])), 0


def _manners(text: str | None) -> list[str]:
    """What stands in brackets."""
    return text.split(", ") if text else []


def _with_manner(one: Right, manner: str) -> Right:
    """A right with one thing that the page says of it in brackets."""
    rules, scope = one.rules, one.scope
    if manner in ("exclusive", "first order only"):
        return replace(one, rules=replace(rules, **{manner.replace(" ", "_"): True}))
    if manner == "after earlier layers":
        return replace(one, rules=replace(rules, threshold_base="after_earlier"))
    if manner == "half each":
        return replace(one, funding=Funding(5_000, 5_000))
    if manner in ("keep", "recompute"):
        return replace(one, rules=replace(rules, refund_below_threshold=manner))
    if manner == "forfeit":
        return replace(one, rules=replace(rules, refund_coupon="forfeit"))
    if found := re.fullmatch(r"reissue for (\d+) days", manner):
        return replace(one, rules=replace(rules, refund_coupon="reissue", reissue_days=int(found[1])))
    if found := re.fullmatch(r"group (\w)", manner):
        return replace(one, rules=replace(rules, stacking_group=found[1]))
    if found := re.fullmatch(r"to (\w\w)", manner):
        return replace(one, benefit=replace(one.benefit, regions=(found[1],)))
    found = re.fullmatch(r"(on|not on|blocked by) (?:(product|category|brand) (\w+)|merchant (\w))", manner)
    assert found, manner
    lists = {"product": "products", "category": "categories", "brand": "brands"}
    picked = (
        Selection(merchants=(MERCHANTS[found[4]],))
        if found[4]
        else Selection(**{lists[found[2]]: (found[3],)})
    )
    if found[1] == "blocked by":
        rules = replace(rules, excluded_lines="block")
    scope = replace(scope, includes=picked) if found[1] == "on" else replace(scope, excludes=picked)
    return replace(one, rules=rules, scope=scope)


@dataclass(frozen=True)
class Returning:
    """What one refund gives back, and how many days after the order."""

    wish: Wish
    days: int


def refund_steps(text: str) -> list[Returning]:
    """Refunds one after another: ``1 × 2nd, shipping N; 20 days later: everything``."""
    steps = []
    for written in text.split("; "):
        found = re.fullmatch(r"(?:(\d+) days later: )?(.+)", written)
        assert found
        days = int(found[1] or 1)
        if found[2] == "everything":
            steps.append(Returning(Wish(everything=True), days))
            continue
        lines: dict[str, int] = {}
        parcels: list[UUID] = []
        for part in found[2].split(", "):
            if one := re.fullmatch(r"(\d+) × (\d+)(?:st|nd|rd|th)", part):
                lines[one[2]] = int(one[1])
            else:
                one = re.fullmatch(r"shipping (\w)", part)
                assert one, part
                parcels.append(MERCHANTS[one[1]])
        steps.append(Returning(Wish(lines, tuple(parcels)), days))
    return steps
