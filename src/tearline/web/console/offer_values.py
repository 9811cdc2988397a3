"""The way between what the form of an offer holds and ``core.offers.OfferDraft``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from tearline.core import offers as core

PREVIEW_VALUES: dict[str, Any] = {
    "names": {},
    "code": "",
    "currency": "HKD",
    "time_zone": "Asia/Hong_Kong",
    "issuer": "platform",
    "funding_platform": core.WHOLE_BASIS_POINTS,
    "funding_merchant": 0,
    "validity.weekdays": (),
    "validity.hours": (),
}
"""Stands for what is not typed yet, so that a ticket can be drawn of the rest."""

SCOPE_LISTS = ("products", "categories", "brands")
"""Lists of catalogue keys in a scope, by which lines are picked."""


def values_of(draft: core.OfferDraft) -> dict[str, Any]:
    """What the form shows of a draft."""
    validity = draft.validity
    values: dict[str, Any] = {
        name: getattr(draft, name)
        for name in (
            "names", "code", "summaries", "terms", "image", "currency", "time_zone", "issuer", "issue_limit",
            "limit_per_member", "redeem_by", "store_ids",
        )
    }  # fmt: skip
    values["automatic"] = draft.automatic
    values["minimum_spend"] = draft.minimum_spend or None
    values["benefit"] = {"kind": draft.benefit.kind, **_slots(draft.benefit)}
    if isinstance(draft.benefit, core.AmountOff):
        values["benefit"]["steps"] = [_slots(step) for step in draft.benefit.steps]
    values["funding_platform"] = draft.funding.platform_basis_points
    values["funding_merchant"] = draft.funding.merchant_basis_points
    values["validity"] = {"kind": validity.period.kind, **_slots(validity.period)}
    values["validity.weekdays"] = validity.weekdays
    values["validity.hours"] = [
        {"from": _clock(hours.from_minute), "to": _clock(hours.to_minute)} for hours in validity.hours
    ]
    for side in ("includes", "excludes"):
        selection = getattr(draft.scope, side)
        for name in (*SCOPE_LISTS, "merchants"):
            values[f"scope.{side}.{name}"] = getattr(selection, name)
    for name, value in _slots(draft.cart_rules).items():
        values[f"cart_rules.{name}"] = value
    return values


def draft_from(
    values: dict[str, Any], merchant_id: UUID | None, before: core.OfferDraft | None = None
) -> core.OfferDraft:
    """The draft that the form's values describe; what was not taken stays as it was ``before``."""
    parts: dict[str, Any] = {
        name: values[name]
        for name in (
            "names", "code", "summaries", "terms", "image", "currency", "time_zone", "issuer", "issue_limit",
            "limit_per_member", "automatic",
        )
        if name in values
    }  # fmt: skip
    if "minimum_spend" in values:
        parts["minimum_spend"] = values["minimum_spend"] or 0
    if "benefit" in values:
        parts["benefit"] = benefit_from(values["benefit"])
    if "funding_platform" in values and "funding_merchant" in values:
        parts["funding"] = core.Funding(values["funding_platform"], values["funding_merchant"])
    if "validity" in values and "validity.hours" in values and "validity.weekdays" in values:
        parts["validity"] = _validity(values)
    if "redeem_by" in values:
        parts["redeem_by"] = tuple(values["redeem_by"])
    if "store_ids" in values:
        parts["store_ids"] = tuple(UUID(one) for one in values["store_ids"])
    if "scope.includes.products" in values:
        parts["scope"] = core.Scope(_selection(values, "includes"), _selection(values, "excludes"))
    if "cart_rules.refund_coupon" in values:
        names = core.CartRules.__dataclass_fields__
        parts["cart_rules"] = core.CartRules(**{name: values[f"cart_rules.{name}"] for name in names})
    if before is not None:
        return replace(before, **parts, merchant_id=merchant_id)
    return core.OfferDraft(**parts, merchant_id=merchant_id)


def benefit_from(value: dict[str, Any]) -> core.Benefit:
    """The benefit of the form's variant."""
    given = {name: part for name, part in value.items() if name != "kind"}
    match value["kind"]:
        case "amount_off":
            given["steps"] = tuple(core.Step(**step) for step in given["steps"])
        case "free_shipping":
            given["regions"] = tuple(given["regions"])
    return core.BENEFIT_KINDS[value["kind"]](**given)


def _validity(values: dict[str, Any]) -> core.Validity:
    given = {name: part for name, part in values["validity"].items() if name != "kind"}
    is_fixed = values["validity"]["kind"] == core.FixedWindow.kind
    period: core.Period = core.FixedWindow(**given) if is_fixed else core.DaysAfterClaim(**given)
    hours = tuple(core.Hours(_minute(part["from"]), _minute(part["to"])) for part in values["validity.hours"])
    return core.Validity(period, tuple(int(one) for one in values["validity.weekdays"]), hours)


def _selection(values: dict[str, Any], side: str) -> core.Selection:
    merchants = tuple(UUID(one) for one in values.get(f"scope.{side}.merchants", ()))
    return core.Selection(
        **{name: tuple(values[f"scope.{side}.{name}"]) for name in SCOPE_LISTS}, merchants=merchants
    )


def _slots(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__dataclass_fields__ if name != "kind"}


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(clock: str) -> int:
    hour, _colon, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)
