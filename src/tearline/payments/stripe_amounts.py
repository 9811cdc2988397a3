"""Amounts as Stripe writes them: https://docs.stripe.com/currencies, minor units with a few exceptions."""

from __future__ import annotations

from tearline.core.money import CURRENCY_EXPONENTS
from tearline.payments.provider import PaymentFailure

EXPONENTS = {**CURRENCY_EXPONENTS, "ISK": 2}
"""Decimals that Stripe counts with: ISK has none, yet is written as if it had two, which must be zeros."""


def to_stripe(amount: int, currency: str) -> int:
    """An amount of our minor units as Stripe takes it.

    Raises:
        PaymentFailure: for a currency with three decimals and an amount whose last one is not zero, which
            Stripe can't charge. It isn't rounded: the member pays what they were shown, or nothing.
    """
    if currency not in EXPONENTS:
        raise PaymentFailure(f"the currency {currency} is not known")
    if EXPONENTS[currency] == 3 and amount % 10:
        raise PaymentFailure(f"an amount in {currency} must end in 0")
    return amount * _factor(currency)


def from_stripe(amount: int | None, currency: str | None) -> tuple[int | None, str | None]:
    """An amount of Stripe's in our minor units, and its currency in capitals; None for what can't be ours."""
    if amount is None or currency is None:
        return None, None
    code = currency.upper()
    if code not in EXPONENTS:
        return None, code
    whole, rest = divmod(amount, _factor(code))
    return (whole if not rest else None), code


def _factor(currency: str) -> int:
    return int(10 ** (EXPONENTS[currency] - CURRENCY_EXPONENTS[currency]))
