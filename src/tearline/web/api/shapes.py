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

Texts: TypeAlias = Annotated[
    dict[str, str], Meta(description="Text by language: `en` always, `zh-Hant`, `zh-Hans` and `th` where there is one.")
]
Code: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
ShortText: TypeAlias = Annotated[str, Meta(max_length=200)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2_000_000_000)]
BasisPoints: TypeAlias = Annotated[int, Meta(ge=0, le=10_000)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=2**53, description="Of what you saw; refused when it has moved on.")]
Currency: TypeAlias = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]
MerchantKind: TypeAlias = Literal["retail", "dining", "theme_park", "attraction", "service"]
LanguageTag: TypeAlias = Literal["en", "zh-Hant", "zh-Hans", "th"]

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
    image: Annotated[str, Meta(max_length=500)] | None | UnsetType = UNSET


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
    district: ShortText | None | UnsetType = UNSET
    phone: ShortText | None | UnsetType = UNSET


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

    name: ShortText | None | UnsetType = UNSET
    language: LanguageTag | UnsetType = UNSET
    plan: ShortText | None | UnsetType = UNSET
    tier: ShortText | None | UnsetType = UNSET
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
