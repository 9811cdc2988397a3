"""The JSON of an offer's parts, to and from the values of ``core.offers``.

The same forms stand in the database's columns and in the API's bodies. They are strict: an unknown field, a
missing one or one of another type is refused, with the place where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec

from tearline.core import offers as core

# Limits on everything: a stored form is never larger than a person could mean.
ShortText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Keys: TypeAlias = Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=1000)]
SafeInteger: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all stored forms."""


class StepForm(_Form, frozen=True):
    """``core.offers.Step``."""

    threshold: SafeInteger
    amount: SafeInteger


class AmountOffForm(_Form, frozen=True, tag_field="kind", tag="amount_off"):
    """``core.offers.AmountOff``."""

    amount: SafeInteger
    steps: Annotated[tuple[StepForm, ...], msgspec.Meta(max_length=20)] = ()
    every: bool = False
    times: SafeInteger | None = None

    def value(self) -> core.Benefit:
        """The value that the rules work with."""
        steps = tuple(core.Step(step.threshold, step.amount) for step in self.steps)
        return core.AmountOff(self.amount, steps, self.every, self.times)


class PercentOffForm(_Form, frozen=True, tag_field="kind", tag="percent_off"):
    """``core.offers.PercentOff``."""

    basis_points: SafeInteger
    cap: SafeInteger | None = None

    def value(self) -> core.Benefit:
        """The value that the rules work with."""
        return core.PercentOff(self.basis_points, self.cap)


class FixedPriceForm(_Form, frozen=True, tag_field="kind", tag="fixed_price"):
    """``core.offers.FixedPrice``."""

    price: SafeInteger
    product: Annotated[str, msgspec.Meta(max_length=200)]
    units: SafeInteger = 1

    def value(self) -> core.Benefit:
        """The value that the rules work with."""
        return core.FixedPrice(self.price, self.product, self.units)


class FreeShippingForm(_Form, frozen=True, tag_field="kind", tag="free_shipping"):
    """``core.offers.FreeShipping``."""

    cap: SafeInteger | None = None
    regions: Keys = ()

    def value(self) -> core.Benefit:
        """The value that the rules work with."""
        return core.FreeShipping(self.cap, self.regions)


class GiftForm(_Form, frozen=True, tag_field="kind", tag="gift"):
    """``core.offers.Gift``."""

    descriptions: dict[str, str]
    product: ShortText | None = None

    def value(self) -> core.Benefit:
        """The value that the rules work with."""
        return core.Gift(self.descriptions, self.product)


BenefitForm: TypeAlias = AmountOffForm | PercentOffForm | FixedPriceForm | FreeShippingForm | GiftForm


class SelectionForm(_Form, frozen=True):
    """``core.offers.Selection``."""

    products: Keys = ()
    categories: Keys = ()
    brands: Keys = ()
    merchants: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=1000)] = ()


class ScopeForm(_Form, frozen=True):
    """``core.offers.Scope``."""

    includes: SelectionForm = SelectionForm()
    excludes: SelectionForm = SelectionForm()


class CartRulesForm(_Form, frozen=True):
    """``core.offers.CartRules``."""

    excluded_lines: Literal["skip", "block"] = "skip"
    threshold_base: Literal["list_price", "after_earlier"] = "list_price"
    exclusive: bool = False
    stacking_group: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] | None = None
    first_order_only: bool = False
    refund_coupon: Literal["return", "reissue", "forfeit"] = "return"
    reissue_days: SafeInteger | None = None
    refund_below_threshold: Literal["keep", "recompute"] = "keep"


class FixedWindowForm(_Form, frozen=True, tag_field="kind", tag="fixed"):
    """``core.offers.FixedWindow``."""

    starts_at: Annotated[datetime, msgspec.Meta(tz=True)]
    ends_at: Annotated[datetime, msgspec.Meta(tz=True)]

    def value(self) -> core.Period:
        """The value that the rules work with."""
        return core.FixedWindow(self.starts_at, self.ends_at)


class DaysAfterClaimForm(_Form, frozen=True, tag_field="kind", tag="days_after_claim"):
    """``core.offers.DaysAfterClaim``."""

    days: SafeInteger
    starts_after_days: SafeInteger = 0
    last_day: date | None = None

    def value(self) -> core.Period:
        """The value that the rules work with."""
        return core.DaysAfterClaim(self.days, self.starts_after_days, self.last_day)


class HoursForm(_Form, frozen=True):
    """``core.offers.Hours``."""

    from_minute: SafeInteger
    to_minute: SafeInteger


class ValidityForm(_Form, frozen=True):
    """``core.offers.Validity``."""

    period: FixedWindowForm | DaysAfterClaimForm
    weekdays: Annotated[tuple[SafeInteger, ...], msgspec.Meta(max_length=7)] = ()
    hours: Annotated[tuple[HoursForm, ...], msgspec.Meta(max_length=12)] = ()

    def value(self) -> core.Validity:
        """The value that the rules work with."""
        hours = tuple(core.Hours(part.from_minute, part.to_minute) for part in self.hours)
        return core.Validity(self.period.value(), self.weekdays, hours)


def benefit_from(stored: Mapping[str, Any]) -> core.Benefit:
    """The benefit of a stored form; ``msgspec.ValidationError`` says where it's wrong."""
    form: BenefitForm = msgspec.convert(stored, type=BenefitForm)
    return form.value()


def scope_from(stored: Mapping[str, Any]) -> core.Scope:
    """The scope of a stored form."""
    return scope_of(msgspec.convert(stored, type=ScopeForm))


def scope_of(form: ScopeForm) -> core.Scope:
    """The value of a scope's form."""
    return msgspec.convert(form, type=core.Scope, from_attributes=True)


def cart_rules_from(stored: Mapping[str, Any]) -> core.CartRules:
    """The cart rules of a stored form."""
    return cart_rules_of(msgspec.convert(stored, type=CartRulesForm))


def cart_rules_of(form: CartRulesForm) -> core.CartRules:
    """The value of the cart rules' form."""
    return msgspec.convert(form, type=core.CartRules, from_attributes=True)


def validity_from(stored: Mapping[str, Any]) -> core.Validity:
    """The validity of a stored form."""
    return msgspec.convert(stored, type=ValidityForm).value()


def benefit_json(benefit: core.Benefit) -> dict[str, Any]:
    """The stored form of a benefit."""
    return {"kind": benefit.kind, **_builtins(benefit)}


def scope_json(scope: core.Scope) -> dict[str, Any]:
    """The stored form of a scope; ``{}`` for everything."""
    return {} if scope == core.Scope() else _builtins(scope)


def cart_rules_json(rules: core.CartRules) -> dict[str, Any]:
    """The stored form of cart rules."""
    return _builtins(rules)


def validity_json(validity: core.Validity) -> dict[str, Any]:
    """The stored form of a validity."""
    stored = _builtins(validity)
    stored["period"] = {"kind": validity.period.kind, **_builtins(validity.period)}
    return stored


def _builtins(value: object) -> dict[str, Any]:
    # Through JSON, so that what is about to be stored equals what will be read: lists, not tuples.
    built: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return built
