"""What the demo's data modules are written in: small records close to the words of a brief.

Amounts are whole Hong Kong dollars here, and days are counted from the day of the seeding; ``definitions``
turns both into what the domain's actions take.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tearline.core.offers import Benefit, CartRules, Hours, Selection

TIME_ZONE = "Asia/Hong_Kong"
CURRENCY = "HKD"

LANGUAGES = ("en", "zh-Hant", "zh-Hans", "th")

Texts = dict[str, str]


def texts(en: str, hant: str, hans: str, th: str) -> Texts:
    """One text in the four languages."""
    return {"en": en, "zh-Hant": hant, "zh-Hans": hans, "th": th}


def dollars(amount: int) -> int:
    """Hong Kong dollars in minor units."""
    return amount * 100


def from_to(first_hour: float, last_hour: float) -> tuple[Hours, ...]:
    """Hours of the day in which an offer can be used: ``from_to(14, 17.5)`` is 14:00 to 17:30."""
    return (Hours(int(first_hour * 60), int(last_hour * 60)),)


MONDAY_TO_THURSDAY = (1, 2, 3, 4)
MONDAY_TO_FRIDAY = (1, 2, 3, 4, 5)
WEEKEND = (6, 7)


@dataclass(frozen=True, slots=True)
class StoreSeed:
    """A store: where it is, by keys of ``places``; ``unit`` is the shop's own number in its building.

    ``names`` stays None for a branch that is called after its district.
    """

    code: str
    district: str
    street: str
    number: int
    unit: str | None = None
    names: Texts | None = None


@dataclass(frozen=True, slots=True)
class MerchantSeed:
    """A merchant with its stores; ``art`` names its illustration, ``edge`` its colour of the palette."""

    code: str
    kind: str
    edge: str
    art: str
    names: Texts
    descriptions: Texts
    stores: tuple[StoreSeed, ...]


@dataclass(frozen=True, slots=True)
class OfferSeed:
    """An offer.

    Attributes:
        merchant: code of its merchant; None for one of the platform.
        clauses: keys of ``clauses.CLAUSES``, one line of the terms each.
        minimum: minimum spend in dollars.
        days: valid so many days after the claim; or else
        window: valid from the first to the last of two days, counted from today, both included.
        platform_percent: the platform's share of the discount.
        stores: codes of the merchant's stores where it can be used; empty for all.
        merchants: for the platform's offers, codes of the merchants that take part.
        is_draft: stays in the library unpublished.
        is_automatic: a promotion that applies to carts by itself.
    """

    code: str
    merchant: str | None
    art: str
    benefit: Benefit
    names: Texts
    summaries: Texts
    clauses: tuple[str, ...]
    minimum: int = 0
    days: int | None = None
    window: tuple[int, int] | None = None
    weekdays: tuple[int, ...] = ()
    hours: tuple[Hours, ...] = ()
    platform_percent: int = 0
    issue_limit: int | None = None
    per_member: int | None = None
    redeem_by: tuple[str, ...] = ("cashier", "till", "checkout")
    stores: tuple[str, ...] = ()
    merchants: tuple[str, ...] = ()
    includes: Selection = field(default_factory=Selection)
    excludes: Selection = field(default_factory=Selection)
    cart_rules: CartRules = field(default_factory=CartRules)
    is_draft: bool = False
    is_automatic: bool = False


@dataclass(frozen=True, slots=True)
class PrizeSeed:
    """A prize of a password campaign: ``bundle`` holds offer codes with quantities."""

    names: Texts
    password: str
    bundle: tuple[tuple[str, int], ...]
    inventory: int
    per_member: int | None = 1


@dataclass(frozen=True, slots=True)
class CampaignSeed:
    """A password campaign; ``starts_day`` and ``ends_day`` count from today, each beginning at 10:00.

    ``claims`` is how many of its claims the history shall hold.
    """

    code: str
    art: str
    edge: str
    names: Texts
    descriptions: Texts
    rules: Texts
    starts_day: int
    ends_day: int
    state: str
    prizes: tuple[PrizeSeed, ...]
    any_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()
    per_member: int | None = None
    per_day: int | None = None
    claims: int = 0
