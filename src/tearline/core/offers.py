"""What an offer is: its benefit, scope, funding, validity and manners in a cart, as plain values.

Money is an integer of minor units of the offer's currency. Shares and percentages are **basis points**,
hundredths of a percent: 10,000 is the whole. A percentage is always what is taken *off*: 2,000 means
20 % off, which Chinese writes 8 折.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar, Literal, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

WHOLE_BASIS_POINTS = 10_000


# Benefits


@dataclass(frozen=True, slots=True)
class Step:
    """A further step of a full reduction: from ``threshold`` spent on, ``amount`` is off instead."""

    threshold: int
    amount: int


@dataclass(frozen=True, slots=True)
class AmountOff:
    """An amount off once the offer's minimum spend is reached; with ``minimum_spend`` 0, off anything.

    Attributes:
        amount: off at the minimum spend, which is the first step.
        steps: further steps, thresholds and amounts both rising.
        every: ``amount`` is off for *every* full ``minimum_spend``; excludes steps.
        times: with ``every``, for how many multiples at most; None for no end.
    """

    kind: ClassVar[str] = "amount_off"
    amount: int
    steps: tuple[Step, ...] = ()
    every: bool = False
    times: int | None = None


@dataclass(frozen=True, slots=True)
class PercentOff:
    """A share of the price off, at most ``cap``; 10,000 basis points with a cap is 'free up to'."""

    kind: ClassVar[str] = "percent_off"
    basis_points: int
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class FixedPrice:
    """One product for a price; ``product`` is its key in the catalogue, ``units`` how many of it at most."""

    kind: ClassVar[str] = "fixed_price"
    price: int
    product: str
    units: int = 1


@dataclass(frozen=True, slots=True)
class FreeShipping:
    """Shipping free, up to ``cap`` when there is one, to ``regions`` (all when empty)."""

    kind: ClassVar[str] = "free_shipping"
    cap: int | None = None
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gift:
    """Something for free, said in words by language; ``product`` is its key in the catalogue, if any."""

    kind: ClassVar[str] = "gift"
    descriptions: Mapping[str, str]
    product: str | None = None


Benefit: TypeAlias = AmountOff | PercentOff | FixedPrice | FreeShipping | Gift
BENEFIT_KINDS: dict[str, type[Benefit]] = {
    benefit.kind: benefit for benefit in (AmountOff, PercentOff, FixedPrice, FreeShipping, Gift)
}


# Scope, funding, manners in a cart


@dataclass(frozen=True, slots=True)
class Selection:
    """Lines of a cart, picked by catalogue keys; a line is picked when *any* of the lists has it."""

    products: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    merchants: tuple[UUID, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when nothing is picked."""
        return not (self.products or self.categories or self.brands or self.merchants)


@dataclass(frozen=True, slots=True)
class Scope:
    """What an offer applies to: all of ``includes`` (everything when empty) but nothing of ``excludes``."""

    includes: Selection = Selection()
    excludes: Selection = Selection()


@dataclass(frozen=True, slots=True)
class Funding:
    """Who bears the discount, in basis points; the two sum to 10,000."""

    platform_basis_points: int
    merchant_basis_points: int


@dataclass(frozen=True, slots=True)
class CartRules:
    """How the offer behaves in a cart.

    Attributes:
        excluded_lines: ``skip`` leaves lines outside the scope at their price; ``block`` refuses the coupon
            for an order that holds one.
        threshold_base: what the minimum spend is compared with: ``list_price``, or ``after_earlier`` layers.
        exclusive: combines with no other coupon.
        stacking_group: coupons of different groups combine; within a group, one. None: the issuer's usual.
        first_order_only: only for a member's first order.
        refund_coupon: on refund the coupon is given back while still valid (``return``), given anew with
            ``reissue_days`` (``reissue``), or lost (``forfeit``).
        refund_below_threshold: whether falling below the threshold by a partial refund changes the discount
            of what remains (``recompute``) or not (``keep``).
    """

    excluded_lines: Literal["skip", "block"] = "skip"
    threshold_base: Literal["list_price", "after_earlier"] = "list_price"
    exclusive: bool = False
    stacking_group: str | None = None
    first_order_only: bool = False
    refund_coupon: Literal["return", "reissue", "forfeit"] = "return"
    reissue_days: int | None = None
    refund_below_threshold: Literal["keep", "recompute"] = "keep"


# Validity


@dataclass(frozen=True, slots=True)
class FixedWindow:
    """Valid from ``starts_at`` until just before ``ends_at``, whenever the coupon was claimed."""

    kind: ClassVar[str] = "fixed"
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class DaysAfterClaim:
    """Valid for some days from the claim, counted in days of the offer's time zone.

    The claim's own day is day 0. A coupon is valid from the moment of the claim until the end of day
    ``days``: 0 is 'today only', 7 is 'today and the seven days after'. With ``starts_after_days`` the whole
    count moves: valid from the beginning of that day, until the end of day ``starts_after_days + days``.
    Never after the end of ``last_day``.
    """

    kind: ClassVar[str] = "days_after_claim"
    days: int
    starts_after_days: int = 0
    last_day: date | None = None


Period: TypeAlias = FixedWindow | DaysAfterClaim


@dataclass(frozen=True, slots=True)
class Hours:
    """Part of a day, in minutes after local midnight, from ``from_minute`` until just before ``to_minute``.

    ``to_minute`` at or below ``from_minute`` crosses midnight: 22:00–02:00 is ``Hours(1320, 120)``. The hours
    after midnight belong to the day on which they began. The end of the day is 1440.
    """

    from_minute: int
    to_minute: int


@dataclass(frozen=True, slots=True)
class Validity:
    """When a coupon can be used: a period, on some ISO weekdays (1 Monday to 7 Sunday), at some hours.

    Empty ``weekdays`` means every day, empty ``hours`` the whole day.
    """

    period: Period
    weekdays: tuple[int, ...] = ()
    hours: tuple[Hours, ...] = ()


def start_of_day(day: date, time_zone: str) -> datetime:
    """The first instant of a day in a time zone, in UTC, also where clocks change at midnight."""
    # In a gap, fold 0 takes the offset before the change, which names the very instant of the change; where
    # midnight comes twice, fold 0 names the first.
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def coupon_window(validity: Validity, time_zone: str, claimed_at: datetime) -> tuple[datetime, datetime]:
    """From when until just before when a coupon claimed at ``claimed_at`` is valid, both in UTC.

    The end is never before the beginning; an empty window means that it can no longer be used at all (see
    :func:`can_be_issued`).
    """
    period = validity.period
    if isinstance(period, FixedWindow):
        return period.starts_at.astimezone(UTC), period.ends_at.astimezone(UTC)
    claim_day = claimed_at.astimezone(ZoneInfo(time_zone)).date()
    first_day = claim_day + timedelta(days=period.starts_after_days)
    starts_at_once = period.starts_after_days == 0
    valid_from = claimed_at.astimezone(UTC) if starts_at_once else start_of_day(first_day, time_zone)
    last_day = first_day + timedelta(days=period.days)
    if period.last_day is not None:
        last_day = min(last_day, period.last_day)
    valid_until = start_of_day(last_day + timedelta(days=1), time_zone)
    return valid_from, max(valid_from, valid_until)


def can_be_issued(validity: Validity, time_zone: str, now: datetime) -> bool:
    """False when a coupon issued now could never be used, because the offer's last day has passed."""
    valid_from, valid_until = coupon_window(validity, time_zone, now)
    return max(valid_from, now) < valid_until


def usable_at(validity: Validity, time_zone: str, now: datetime) -> bool:
    """Whether weekdays and hours allow use now; the coupon's own window is checked apart.

    Clock times are those that a clock on the wall shows, so a change of daylight saving time moves nothing.
    """
    if not validity.weekdays and not validity.hours:  # as of most
        return True
    local = now.astimezone(ZoneInfo(time_zone))
    minute = local.hour * 60 + local.minute
    weekday = local.isoweekday()
    weekday_before = 7 if weekday == 1 else weekday - 1
    days = validity.weekdays or (1, 2, 3, 4, 5, 6, 7)
    for hours in validity.hours or (Hours(0, 24 * 60),):
        crosses_midnight = hours.to_minute <= hours.from_minute
        if weekday in days and hours.from_minute <= minute and (crosses_midnight or minute < hours.to_minute):
            return True
        if crosses_midnight and weekday_before in days and minute < hours.to_minute:
            return True
    return False


# The offer as a whole


@dataclass(frozen=True, slots=True)
class OfferDraft:
    """Everything about an offer that a person decides; what the library keeps besides is bookkeeping.

    Attributes:
        code: unique in the library: upper case letters, digits and hyphens.
        merchant_id: whose offer it is; None for one of the platform, usable at the merchants of its scope.
        issuer: ``platform`` or ``merchant``.
        names, summaries, terms: by language.
        minimum_spend: minor units; 0 for none.
        time_zone: in which days, weekdays and hours are counted.
        issue_limit: how many coupons may be issued in all; None for no limit.
        limit_per_member: how many one member may ever be issued; None for no limit.
        redeem_by: ways of redeeming that are allowed: ``cashier``, ``till``, ``checkout`` (an order of a cart).
        store_ids: where it can be used at a counter; empty for all stores of its merchants.
        automatic: a promotion of the merchant: it lowers the prices of carts by itself, and no coupons of it
            are given out.
    """

    code: str
    issuer: str
    names: Mapping[str, str]
    benefit: Benefit
    currency: str
    funding: Funding
    validity: Validity
    time_zone: str
    merchant_id: UUID | None = None
    summaries: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    minimum_spend: int = 0
    scope: Scope = Scope()
    cart_rules: CartRules = CartRules()
    issue_limit: int | None = None
    limit_per_member: int | None = None
    redeem_by: tuple[str, ...] = ("cashier", "till", "checkout")
    store_ids: tuple[UUID, ...] = ()
    automatic: bool = False


ISSUERS = ("platform", "merchant")
WAYS_OF_REDEEMING = ("cashier", "till", "checkout")
CHECKOUT = "checkout"
"""The way of redeeming that an order of a cart is."""

EDITABLE_ONCE_ISSUED = frozenset(
    {"names", "summaries", "terms", "image", "issue_limit", "limit_per_member", "redeem_by", "store_ids"}
)
"""What may still change when coupons are out; the rest is what their holders were promised."""


def usable_at_merchant(offer_merchant_id: UUID | None, scope: Scope, merchant_id: UUID) -> bool:
    """Whether an offer is usable at a merchant: its own; for an offer of the platform, those of its scope."""
    if offer_merchant_id is not None:
        return offer_merchant_id == merchant_id
    included = scope.includes.merchants
    return (not included or merchant_id in included) and merchant_id not in scope.excludes.merchants
