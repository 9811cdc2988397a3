"""Bodies and answers about campaigns and their prizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tearline.campaigns.reads import CampaignDetail, CampaignPage, PrizeDetail
from tearline.core import campaigns as core
from tearline.core.audience import Audience
from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.sales.reads import ItemView, SalePage
from tearline.web.api.sale_shapes import ItemAnswer, ItemOnSale, item_answer, item_on_sale
from tearline.web.api.shapes import Answer, Body, Code, Count, Instant, ShortText, Texts, Version

Marks: TypeAlias = Annotated[
    list[ShortText],
    Meta(max_length=100, description="`plan:city`, `tier:city/gold`, `group:hotel`, `tag:foodie`."),
]
Image: TypeAlias = Annotated[str, Meta(max_length=500)]
CampaignKind: TypeAlias = Literal["password", "sale"]
CampaignState: TypeAlias = Literal["draft", "live", "paused", "archived"]


class AudienceForm(msgspec.Struct, forbid_unknown_fields=True):
    """Who it is for: all rules must hold; empty ones hold for everyone."""

    any_of: Marks = msgspec.field(default_factory=list)
    all_of: Marks = msgspec.field(default_factory=list)
    none_of: Marks = msgspec.field(default_factory=list)

    def value(self) -> Audience:
        """The value that the rules work with."""
        return Audience(frozenset(self.any_of), frozenset(self.all_of), frozenset(self.none_of))


class BundlePart(msgspec.Struct, forbid_unknown_fields=True):
    """An offer of a prize's bundle, and how many coupons of it a claim issues."""

    offer_id: UUID
    quantity: Annotated[int, Meta(ge=1, le=20)]


Bundle: TypeAlias = Annotated[list[BundlePart], Meta(min_length=1, max_length=20)]


class PrizeAnswer(Answer):
    """A prize, opened by its password."""

    id: UUID
    position: int
    names: Texts
    password: str
    inventory: int
    claimed: int
    limit_per_member: int | None
    bundle: list[BundlePart]


class CampaignAnswer(Answer):
    """A campaign as its operator sees it: one of passwords has prizes, a sale has items."""

    id: UUID
    code: str
    kind: CampaignKind
    names: Texts
    descriptions: Texts
    rules: Texts
    image: str | None
    edge: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    audience: AudienceForm
    limit_per_member: int | None
    limit_per_member_per_day: int | None
    state: CampaignState
    version: int
    prizes: list[PrizeAnswer]
    items: list[ItemAnswer]
    editable: list[str]
    """The fields that can be changed in its present state."""
    created_at: datetime
    updated_at: datetime


class CampaignRow(Answer):
    """A campaign in the operator's list."""

    id: UUID
    code: str
    kind: CampaignKind
    names: Texts
    state: CampaignState
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    version: int
    prizes: int
    inventory: int
    claimed: int
    created_at: datetime
    updated_at: datetime


class CampaignPageAnswer(Answer):
    """A campaign as anyone may see it: no prizes, since each is behind its password, but what a sale sells."""

    id: UUID
    code: str
    kind: CampaignKind
    names: Texts
    descriptions: Texts
    rules: Texts
    image: str | None
    edge: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    window: Literal["scheduled", "running", "ended"]
    is_paused: bool
    is_open: bool
    """Whether a claim, or an order, can succeed now."""
    inventory: int
    left: int
    limit_per_member: int | None
    limit_per_member_per_day: int | None
    items: list[ItemOnSale]
    """What a sale sells."""


class NewCampaign(Body):
    """A campaign to be made, as a draft without prizes or items. Of a sale, the items have the limits."""

    code: Code
    names: Texts
    time_zone: ShortText
    starts_at: Instant
    ends_at: Instant
    kind: CampaignKind = "password"
    descriptions: Texts = msgspec.field(default_factory=dict)
    rules: Texts = msgspec.field(default_factory=dict)
    image: Image | None = None
    edge: ShortText = "vermilion"
    audience: AudienceForm = msgspec.field(default_factory=AudienceForm)
    limit_per_member: Count | None = None
    limit_per_member_per_day: Count | None = None


class CampaignChange(Body):
    """What to change of a campaign; `editable` says what can be in its present state."""

    version: Version
    code: Code | UnsetType = UNSET
    names: Texts | UnsetType = UNSET
    time_zone: ShortText | UnsetType = UNSET
    starts_at: Instant | UnsetType = UNSET
    ends_at: Instant | UnsetType = UNSET
    descriptions: Texts | UnsetType = UNSET
    rules: Texts | UnsetType = UNSET
    image: Image | UnsetType | None = UNSET
    edge: ShortText | UnsetType = UNSET
    audience: AudienceForm | UnsetType = UNSET
    limit_per_member: Count | UnsetType | None = UNSET
    limit_per_member_per_day: Count | UnsetType | None = UNSET


class NewPrize(Body):
    """A prize to be added; a campaign has at most five."""

    names: Texts
    password: Annotated[str, Meta(min_length=1, max_length=256)]
    inventory: Count
    bundle: Bundle
    limit_per_member: Count | None = None


class PrizeChange(Body):
    """What to change of a prize."""

    version: Annotated[int, Meta(ge=1, le=2**53, description="Of its campaign, as you saw it.")]
    names: Texts | UnsetType = UNSET
    password: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    inventory: Count | UnsetType = UNSET
    bundle: Bundle | UnsetType = UNSET
    limit_per_member: Count | UnsetType | None = UNSET


class InventoryRaise(Body):
    """Raise a prize's inventory, also while members are claiming it."""

    to: Count
    expected: Count | None = None
    """The inventory that you saw, when it matters that nobody else has raised it since."""


class InventoryAnswer(Answer):
    """A prize's inventory now."""

    prize_id: UUID
    inventory: int


def new_campaign_draft(body: NewCampaign) -> core.CampaignDraft:
    """The draft that a body describes."""
    given = body.given()
    if given.pop("kind") == "sale":
        problems = {
            name: _("Of a sale, each voucher has its own limit.")
            for name in ("limit_per_member", "limit_per_member_per_day")
            if given[name] is not None
        }
        if problems:
            raise Refusal("invalid", fields=problems)
    return core.CampaignDraft(**{**given, "audience": body.audience.value()})


def changed_campaign_draft(before: core.CampaignDraft, change: CampaignChange) -> core.CampaignDraft:
    """The draft with what was sent in place of what was."""
    given = change.given()
    del given["version"]
    if isinstance(change.audience, AudienceForm):
        given["audience"] = change.audience.value()
    return replace(before, **given)


def new_prize_draft(body: NewPrize) -> core.PrizeDraft:
    """The draft that a body describes."""
    return core.PrizeDraft(**{**body.given(), "bundle": _bundle(body.bundle)})


def changed_prize_draft(before: core.PrizeDraft, change: PrizeChange) -> core.PrizeDraft:
    """The draft with what was sent in place of what was."""
    given = change.given()
    del given["version"]
    if isinstance(change.bundle, list):
        given["bundle"] = _bundle(change.bundle)
    return replace(before, **given)


def _bundle(parts: list[BundlePart]) -> dict[UUID, int]:
    bundle = {part.offer_id: part.quantity for part in parts}
    if len(bundle) != len(parts):
        raise Refusal("invalid", fields={"bundle": _("An offer is in the bundle twice.")})
    return bundle


def prize_answer(prize: PrizeDetail) -> PrizeAnswer:
    """A prize as its operator sees it."""
    return PrizeAnswer(
        id=prize.id,
        position=prize.position,
        names=prize.names,
        password=prize.password,
        inventory=prize.inventory,
        claimed=prize.claimed,
        limit_per_member=prize.limit_per_member,
        bundle=[BundlePart(part.ticket.offer_id, part.quantity) for part in prize.bundle],
    )


def campaign_answer(detail: CampaignDetail, items: Sequence[ItemView]) -> CampaignAnswer:
    """A campaign as its operator sees it.

    Args:
        items: of a sale.
    """
    draft = detail.draft
    values: dict[str, Any] = {name: getattr(draft, name) for name in core.CAMPAIGN_FIELDS - {"audience"}}
    audience = draft.audience
    return CampaignAnswer(
        **values,
        audience=AudienceForm(sorted(audience.any_of), sorted(audience.all_of), sorted(audience.none_of)),
        id=detail.id,
        kind=detail.kind,  # type: ignore[arg-type]
        state=detail.state,  # type: ignore[arg-type]
        version=detail.version,
        prizes=[prize_answer(prize) for prize in detail.prizes],
        items=[item_answer(item) for item in items],
        editable=sorted(detail.editable),
        created_at=detail.created_at,
        updated_at=detail.updated_at,
    )


def campaign_page_answer(page: CampaignPage | SalePage) -> CampaignPageAnswer:
    """A campaign as anyone may see it."""
    names = set(CampaignPageAnswer.__struct_fields__)
    if isinstance(page, CampaignPage):
        values: dict[str, Any] = {name: getattr(page, name) for name in names - {"kind", "items"}}
        return CampaignPageAnswer(**values, kind="password", items=[])
    of_claims = {"inventory", "limit_per_member", "limit_per_member_per_day"}
    values = {name: getattr(page, name) for name in names - {"kind", "items"} - of_claims}
    return CampaignPageAnswer(
        **values,
        kind="sale",
        inventory=sum(item.left + item.reserved + item.sold for item in page.items),
        limit_per_member=None,
        limit_per_member_per_day=None,
        items=[item_on_sale(item) for item in page.items],
    )
