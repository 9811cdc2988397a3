"""Currencies: which are known, and how many decimals each has. Amounts are integers of minor units."""

from __future__ import annotations

CURRENCY_EXPONENTS: dict[str, int] = {
    "AUD": 2, "BHD": 3, "BND": 2, "CAD": 2, "CHF": 2, "CNY": 2, "DKK": 2, "EUR": 2, "GBP": 2, "HKD": 2,
    "IDR": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KHR": 2, "KRW": 0, "KWD": 3, "LAK": 2, "MMK": 2,
    "MOP": 2, "MYR": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PHP": 2, "SEK": 2, "SGD": 2, "THB": 2, "TND": 3,
    "TWD": 2, "USD": 2, "VND": 0,
}  # fmt: skip
"""Decimal digits of each known ISO 4217 currency: 50.50 HKD is 5050, 50 JPY is 50, 1.500 KWD is 1500."""

MAXIMUM_AMOUNT = 10**12
"""The largest amount that is accepted anywhere, in minor units: ten thousand million Hong Kong dollars."""


def share_of(amount: int, basis_points: int) -> int:
    """A share of an amount, both in whole numbers: half a minor unit and more is rounded up."""
    return (amount * basis_points + 5_000) // 10_000


def half_up(amount: int, divisor: int) -> int:
    """An amount, not below zero, divided by something: half a minor unit and more is rounded up."""
    return (2 * amount + divisor) // (2 * divisor)
