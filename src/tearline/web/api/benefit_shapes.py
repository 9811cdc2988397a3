"""The benefit of an offer in bodies and answers: the stored forms, with both conventions for a percentage.

What is stored is always what is taken off. A body may say instead what is still paid, as Chinese does: 8 折 is
80 % paid, 20 % off. An answer says both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tearline.core import offers as core
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.offers.stored import AmountOffForm, FixedPriceForm, FreeShippingForm, GiftForm, SafeInteger

_TAKEN_OFF = "What is taken off, in hundredths of a percent: 2000 is 20 % off."
_PAID = "What is paid, in hundredths of a percent: 8000 is 8 折, which is 20 % off."

PayBasisPoints: TypeAlias = Annotated[int, Meta(ge=0, lt=core.WHOLE_BASIS_POINTS, description=_PAID)]


class PercentOffBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="percent_off"
):
    """A share of the price off, said with exactly one of `basis_points` and `pay_basis_points`."""

    basis_points: Annotated[SafeInteger, Meta(description=_TAKEN_OFF)] | UnsetType = UNSET
    pay_basis_points: PayBasisPoints | UnsetType = UNSET
    cap: SafeInteger | None = None

    def value(self) -> core.Benefit:
        """The value that the rules work with.

        Raises:
            Refusal: ``invalid`` with both, or neither.
        """
        off, paid = self.basis_points, self.pay_basis_points
        if isinstance(off, int) and isinstance(paid, UnsetType):
            return core.PercentOff(off, self.cap)
        if isinstance(paid, int) and isinstance(off, UnsetType):
            return core.PercentOff(core.WHOLE_BASIS_POINTS - paid, self.cap)
        sentence = _("Say either what is taken off or what is paid, not both.")
        raise Refusal("invalid", fields={"benefit.basis_points": sentence})


class PercentOffAnswer(msgspec.Struct, frozen=True, tag_field="kind", tag="percent_off"):
    """A share of the price off, in both conventions, which sum to 10,000."""

    basis_points: Annotated[int, Meta(description=_TAKEN_OFF)]
    pay_basis_points: Annotated[int, Meta(description=_PAID)]
    cap: int | None = None


BenefitBody: TypeAlias = AmountOffForm | PercentOffBody | FixedPriceForm | FreeShippingForm | GiftForm
BenefitAnswer: TypeAlias = AmountOffForm | PercentOffAnswer | FixedPriceForm | FreeShippingForm | GiftForm


def benefit_answer(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored benefit as an answer has it."""
    if stored["kind"] != core.PercentOff.kind:
        return dict(stored)
    return {**stored, "pay_basis_points": core.WHOLE_BASIS_POINTS - stored["basis_points"]}
