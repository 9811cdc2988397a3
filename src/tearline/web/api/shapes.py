"""The bodies and answers of the API, as msgspec structs: they are decoded, checked and documented from here.

What a value must be beyond its type, such as a percentage below 100, is decided by the actions, which answer
``invalid`` with the field.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tearline.offers.stored import ValidityForm
from tearline.web.api.benefit_shapes import BenefitAnswer

Texts: TypeAlias = Annotated[
    dict[str, str],
    Meta(description="Text by language: `en` always, `zh-Hant`, `zh-Hans` and `th` where there is one."),
]
Code: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
ShortText: TypeAlias = Annotated[str, Meta(max_length=200)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2_000_000_000)]
BasisPoints: TypeAlias = Annotated[int, Meta(ge=0, le=10_000)]
Version: TypeAlias = Annotated[
    int, Meta(ge=1, le=2**53, description="Of what you saw; refused when it has moved on.")
]
Currency: TypeAlias = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]
MerchantKind: TypeAlias = Literal["retail", "dining", "theme_park", "attraction", "service"]
LanguageTag: TypeAlias = Literal["en", "zh-Hant", "zh-Hans", "th"]
Symbology: TypeAlias = Literal["text", "qr", "code128", "code39", "ean13"]

Item = TypeVar("Item")


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a client sends. A field that is not known is refused, so that a slip of the pen is noticed."""

    def given(self) -> dict[str, Any]:
        """The fields that were sent; in a change, what is left out stays as it is."""
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in values if value is not UNSET}


class Answer(msgspec.Struct, kw_only=True):
    """What the API answers."""


class Page(msgspec.Struct, Generic[Item], kw_only=True):
    """A part of a list, newest first."""

    items: list[Item]
    next_cursor: str | None
    """Give it as `cursor` to get the rows after these; null at the end."""


class Money(msgspec.Struct, forbid_unknown_fields=True):
    """An amount in whole minor units, such as cents, of an ISO 4217 currency."""

    amount: Annotated[int, Meta(ge=0, le=2**53)]
    currency: Currency


class Problem(Answer):
    """A problem document (RFC 9457). `reason` is for programs, `detail` for people, in the language asked for."""

    type: str
    title: str
    status: int
    reason: str
    detail: str
    instance: str
    fields: dict[str, str] | UnsetType = UNSET
    """What is wrong with which field, by its dotted path."""


# Merchants and stores


class MerchantAnswer(Answer):
    """A business on the platform."""

    id: UUID
    code: str
    names: Texts
    descriptions: Texts
    kind: MerchantKind
    edge: str
    image: str | None
    state: Literal["active", "suspended"]
    created_at: datetime


class NewMerchant(Body):
    """A merchant to be made."""

    code: Code
    names: Texts
    kind: MerchantKind
    descriptions: Texts | None = None
    edge: ShortText = "teal"
    image: Annotated[str, Meta(max_length=500)] | None = None


class MerchantChange(Body):
    """What to change of a merchant."""

    code: Code | UnsetType = UNSET
    names: Texts | UnsetType = UNSET
    descriptions: Texts | UnsetType = UNSET
    kind: MerchantKind | UnsetType = UNSET
    edge: ShortText | UnsetType = UNSET
    image: Annotated[str, Meta(max_length=500)] | UnsetType | None = UNSET


class StoreAnswer(Answer):
    """One of a merchant's places of sale."""

    id: UUID
    merchant_id: UUID
    code: str
    names: Texts
    addresses: Texts
    district: str | None
    phone: str | None
    state: Literal["active", "closed"]
    created_at: datetime


class NewStore(Body):
    """A store to be opened."""

    code: Code
    names: Texts
    addresses: Texts | None = None
    district: ShortText | None = None
    phone: ShortText | None = None


class StoreChange(Body):
    """What to change of a store."""

    code: Code | UnsetType = UNSET
    names: Texts | UnsetType = UNSET
    addresses: Texts | UnsetType = UNSET
    district: ShortText | UnsetType | None = UNSET
    phone: ShortText | UnsetType | None = UNSET


# Members


class MemberAnswer(Answer):
    """A person who holds coupons."""

    id: UUID
    phone: str
    """E.164."""
    name: str | None
    language: str
    plan: str | None
    tier: str | None
    groups: list[str]
    tags: list[str]
    state: Literal["active", "blocked"]
    created_at: datetime
    last_signed_in_at: datetime | None


class MemberChange(Body):
    """What to change of a member. A change of plan without a tier leaves the member without one."""

    name: ShortText | UnsetType | None = UNSET
    language: LanguageTag | UnsetType = UNSET
    plan: ShortText | UnsetType | None = UNSET
    tier: ShortText | UnsetType | None = UNSET
    groups: Annotated[list[ShortText], Meta(max_length=200)] | UnsetType = UNSET
    tags: Annotated[list[ShortText], Meta(max_length=200)] | UnsetType = UNSET


class CodeRequest(Body):
    """Ask for a one-time code."""

    phone: Annotated[str, Meta(min_length=3, max_length=40)]
    channel: Literal["sms", "whatsapp", "voice"]
    language: LanguageTag = "en"


class CodeOnItsWay(Answer):
    """A code has been queued for sending."""

    sign_in_id: UUID
    phone: str
    channel: str
    resend_after_seconds: int
    expires_at: datetime


class CodeEntry(Body):
    """Enter a one-time code."""

    sign_in_id: UUID
    code: Annotated[str, Meta(min_length=1, max_length=20)]
    language: LanguageTag = "en"


class MemberToken(Answer):
    """A session: send the token as `Authorization: Bearer …`."""

    token: str
    token_type: Literal["Bearer"]
    expires_at: datetime
    member_id: UUID
    is_new_member: bool


# Claims


class ClaimBody(Body):
    """A claim in a password campaign."""

    password: Annotated[str, Meta(min_length=1, max_length=200, description="As the member typed it.")]


# Tills

RequestNumber: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="Chosen by the till, unique within the merchant: a repeat with it gets the first answer.",
    ),
]
ScannedText: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=200, description="What was scanned, or the code as somebody typed it.")
]


class NewPreparation(Body):
    """Keep a coupon for this till for a few minutes."""

    store_id: UUID
    code: ScannedText
    request_number: RequestNumber


class NewRedemption(Body):
    """Use a coupon: that of a preparation (`hold_id`), or in one step by its `code`; exactly one of the two."""

    store_id: UUID
    request_number: RequestNumber
    code: ScannedText | None = None
    hold_id: UUID | None = None


class NewRelease(Body):
    """Give a preparation up: the coupon is open again at once."""

    store_id: UUID
    hold_id: UUID
    request_number: RequestNumber


class NewReversal(Body):
    """Undo a redemption."""

    request_number: RequestNumber
    reason: Annotated[str, Meta(max_length=500)] | None = None


class RedemptionAnswer(Answer):
    """A redemption as a list shows it.

    An order of a cart (way `checkout`) has no store; when it used a coupon of the platform, perhaps at several
    merchants, it has no merchant either.
    """

    id: UUID
    redeemed_at: datetime
    coupon_id: UUID
    code: str
    offer_id: UUID
    offer_names: Texts
    campaign_id: UUID | None
    merchant_id: UUID | None
    store_id: UUID | None
    store_names: Texts | None
    staff_id: UUID | None
    api_key_id: UUID | None
    way: Literal["cashier", "till", "checkout"]
    order_id: UUID | None
    verified: Literal["rotating", "code", "order"]
    request_number: str
    reversal_id: UUID | None
    reversed_at: datetime | None
    reversal_reason: str | None


# The wallet


class TicketAnswer(Answer):
    """What a coupon gives, as far as its holder is told."""

    offer_id: UUID
    code: str
    names: Texts
    summaries: Texts
    terms: Texts
    image: str | None
    benefit: BenefitAnswer
    currency: Currency
    minimum_spend: Money
    validity: ValidityForm
    time_zone: str
    store_ids: list[UUID]
    merchant_id: UUID | None
    merchant_names: Texts | None


class WalletCouponAnswer(Answer):
    """A coupon in a member's wallet."""

    id: UUID
    code: str
    folder: str
    state: str
    valid_from: datetime
    valid_until: datetime
    issued_at: datetime
    changed_at: datetime
    held_until: datetime | None
    campaign_id: UUID | None
    claim_id: UUID | None
    order_id: UUID | None
    """The order that it was bought with."""
    held_for_order_id: UUID | None
    """The order of a cart that keeps it, while that is not paid."""
    ticket: TicketAnswer


class Rotation(Answer):
    """What the member's phone makes the coupon's changing QR code from; see `core/rotating.py` for the text."""

    secret: str
    """Base64, 20 bytes."""
    step_seconds: int


class PartnersCodeAnswer(Answer):
    """A partner's code, to be shown to the partner's scanner."""

    text: str
    symbology: Symbology


class CouponAnswer(Answer):
    """One coupon of a member's wallet, with what is shown at the counter."""

    coupon: WalletCouponAnswer
    rotation: Rotation | None
    """What its changing QR code is made from; null for a voucher with a partner's code."""
    partners_code: PartnersCodeAnswer | None
    """Null for coupons with a code of ours, and once the voucher is over."""
