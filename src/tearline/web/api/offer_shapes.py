"""Bodies and answers about offers; an offer's scope, rules and validity have the forms of ``offers.stored``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tearline.core import offers as core
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.offers.stored import (
    CartRulesForm,
    ScopeForm,
    ValidityForm,
    cart_rules_of,
    scope_of,
)
from tearline.web.api.benefit_shapes import BenefitAnswer, BenefitBody, benefit_answer
from tearline.web.api.shapes import (
    Answer,
    BasisPoints,
    Body,
    Code,
    Count,
    Currency,
    Money,
    ShortText,
    Texts,
    Version,
)

WayOfRedeeming: TypeAlias = Literal["cashier", "till", "checkout"]
Benefit: TypeAlias = Annotated[
    BenefitBody, Meta(description="What it gives. Amounts in it are minor units of the offer's currency.")
]
Ways: TypeAlias = Annotated[list[WayOfRedeeming], Meta(min_length=1, max_length=3)]
StoreIds: TypeAlias = Annotated[
    list[UUID], Meta(max_length=1000, description="Empty: every store of its merchants.")
]
Automatic: TypeAlias = Annotated[
    bool,
    Meta(description="A promotion of the merchant: it applies to carts by itself, and is not given out."),
]
Image: TypeAlias = Annotated[str, Meta(max_length=500)]


class Funding(msgspec.Struct, forbid_unknown_fields=True):
    """Who bears the discount, in hundredths of a percent; the two sum to 10,000."""

    platform_basis_points: BasisPoints
    merchant_basis_points: BasisPoints


class OfferAnswer(Answer):
    """One entry of the coupon library."""

    id: UUID
    code: str
    merchant_id: UUID | None
    issuer: Literal["platform", "merchant"]
    names: Texts
    summaries: Texts
    terms: Texts
    image: str | None
    benefit: BenefitAnswer
    currency: Currency
    minimum_spend: Money
    scope: ScopeForm
    cart_rules: CartRulesForm
    funding: Funding
    validity: ValidityForm
    time_zone: str
    issue_limit: int | None
    issued: int
    limit_per_member: int | None
    redeem_by: list[WayOfRedeeming]
    store_ids: list[UUID]
    automatic: bool
    state: Literal["draft", "active", "archived"]
    version: int
    created_at: datetime
    updated_at: datetime


class NewOffer(Body):
    """An offer to be put into the library, as a draft."""

    code: Code
    issuer: Literal["platform", "merchant"]
    names: Texts
    benefit: Benefit
    currency: Currency
    funding: Funding
    validity: ValidityForm
    time_zone: ShortText
    merchant_id: UUID | None = None
    summaries: Texts = msgspec.field(default_factory=dict)
    terms: Texts = msgspec.field(default_factory=dict)
    image: Image | None = None
    minimum_spend: Money | None = None
    scope: ScopeForm = ScopeForm()
    cart_rules: CartRulesForm = CartRulesForm()
    issue_limit: Count | None = None
    limit_per_member: Count | None = None
    redeem_by: Ways = msgspec.field(default_factory=lambda: ["cashier", "till", "checkout"])
    store_ids: StoreIds = msgspec.field(default_factory=list)
    automatic: Automatic = False


class OfferChange(Body):
    """What to change of an offer. Once coupons are out, what their holders were promised stays."""

    version: Version
    code: Code | UnsetType = UNSET
    issuer: Literal["platform", "merchant"] | UnsetType = UNSET
    names: Texts | UnsetType = UNSET
    benefit: Benefit | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    funding: Funding | UnsetType = UNSET
    validity: ValidityForm | UnsetType = UNSET
    time_zone: ShortText | UnsetType = UNSET
    merchant_id: UUID | UnsetType | None = UNSET
    summaries: Texts | UnsetType = UNSET
    terms: Texts | UnsetType = UNSET
    image: Image | UnsetType | None = UNSET
    minimum_spend: Money | UnsetType | None = UNSET
    scope: ScopeForm | UnsetType = UNSET
    cart_rules: CartRulesForm | UnsetType = UNSET
    issue_limit: Count | UnsetType | None = UNSET
    limit_per_member: Count | UnsetType | None = UNSET
    redeem_by: Ways | UnsetType = UNSET
    store_ids: StoreIds | UnsetType = UNSET
    automatic: Automatic | UnsetType = UNSET


def new_draft(body: NewOffer) -> core.OfferDraft:
    """The draft that a body describes."""
    values = _core_values(body.given())
    draft = core.OfferDraft(**values)
    _check_currency(body.minimum_spend, draft)
    return draft


def changed_draft(before: core.OfferDraft, change: OfferChange) -> core.OfferDraft:
    """The draft with what was sent in place of what was."""
    given = change.given()
    del given["version"]
    draft = replace(before, **_core_values(given))
    _check_currency(change.minimum_spend, draft)
    return draft


def _core_values(given: dict[str, Any]) -> dict[str, Any]:
    converters: dict[str, Callable[[Any], Any]] = {
        "benefit": lambda form: form.value(),
        "validity": lambda form: form.value(),
        "scope": scope_of,
        "cart_rules": cart_rules_of,
        "funding": lambda form: core.Funding(form.platform_basis_points, form.merchant_basis_points),
        "minimum_spend": lambda money: money.amount if money is not None else 0,
        "redeem_by": tuple,
        "store_ids": tuple,
    }
    return {name: converters[name](value) if name in converters else value for name, value in given.items()}


def _check_currency(minimum_spend: Money | UnsetType | None, draft: core.OfferDraft) -> None:
    if isinstance(minimum_spend, Money) and minimum_spend.currency != draft.currency:
        sentence = _("This must be in the currency of the offer.")
        raise Refusal("invalid", fields={"minimum_spend.currency": sentence})


def offer_answer(row: Any) -> OfferAnswer:
    """The answer for a row with every column of ``offer``."""
    platform_share = row.funding_platform_basis_points
    values = {
        **row._mapping,
        "benefit": benefit_answer(row.benefit),
        "minimum_spend": {"amount": row.minimum_spend, "currency": row.currency},
        "funding": {
            "platform_basis_points": platform_share,
            "merchant_basis_points": core.WHOLE_BASIS_POINTS - platform_share,
        },
    }
    return msgspec.convert(values, OfferAnswer)
