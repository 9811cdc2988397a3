"""What makes no sense in an offer, field by field, as sentences for the person who typed it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from tearline.core.money import CURRENCY_EXPONENTS, MAXIMUM_AMOUNT
from tearline.core.offers import (
    CHECKOUT,
    ISSUERS,
    WAYS_OF_REDEEMING,
    WHOLE_BASIS_POINTS,
    AmountOff,
    Benefit,
    CartRules,
    FixedPrice,
    FixedWindow,
    FreeShipping,
    Funding,
    Gift,
    OfferDraft,
    PercentOff,
    Scope,
    Validity,
    usable_at_merchant,
)
from tearline.core.texts import check_image, check_localised, check_text


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


CODE_PATTERN = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{0,38}[A-Z0-9])?")
"""Codes of offers and campaigns: they stand in addresses and files."""
MAXIMUM_COUNT = 10**9
MAXIMUM_DAYS = 3650
EARLIEST_YEAR = 2000
LATEST_YEAR = 2200

CODE_SENTENCE = _("Use up to 40 upper case letters, digits and hyphens.")
AMOUNT_SENTENCE = _("Give an amount above zero, and not an absurdly large one.")
COUNT_SENTENCE = _("Give a whole number above zero, or leave it empty for no limit.")
TIME_ZONE_SENTENCE = _("This time zone is not known. Use a name such as Asia/Hong_Kong.")
DATE_SENTENCE = _("Choose a date between the years 2000 and 2200.")
WINDOW_SENTENCE = _("The window ends before it begins.")


def check_offer(
    draft: OfferDraft, *, known_merchant_ids: Collection[UUID], store_merchants: Mapping[UUID, UUID]
) -> dict[str, str]:
    """What is wrong with an offer: the dotted path of a field to an English sentence; empty when all is well.

    Args:
        known_merchant_ids: those that exist among the merchants that the draft names.
        store_merchants: whose each store is, for those that exist among the stores that the draft names.
    """
    problems: dict[str, str] = {}
    if not CODE_PATTERN.fullmatch(draft.code):
        problems["code"] = CODE_SENTENCE
    problems |= check_localised("names", draft.names, maximum=120, english_required=True)
    problems |= check_localised("summaries", draft.summaries, maximum=500, english_required=False)
    problems |= check_localised("terms", draft.terms, maximum=10_000, english_required=False)
    if problem := check_image(draft.image):
        problems["image"] = problem
    if draft.currency not in CURRENCY_EXPONENTS:
        problems["currency"] = _("This currency is not known. Use an ISO 4217 code such as HKD.")
    if not 0 <= draft.minimum_spend <= MAXIMUM_AMOUNT:
        problems["minimum_spend"] = _("The minimum spend cannot be negative, nor absurdly large.")
    problems |= _check_benefit(draft.benefit, draft.minimum_spend)
    problems |= _check_owner(draft, known_merchant_ids, store_merchants)
    problems |= _check_scope(draft.scope, draft.merchant_id, known_merchant_ids)
    problems |= _check_funding(draft.funding)
    problems |= _check_cart_rules(draft.cart_rules)
    if not is_time_zone(draft.time_zone):
        problems["time_zone"] = TIME_ZONE_SENTENCE
    problems |= _check_validity(draft.validity)
    for name, limit in (("issue_limit", draft.issue_limit), ("limit_per_member", draft.limit_per_member)):
        if not is_limit(limit):
            problems[name] = COUNT_SENTENCE
    ways = draft.redeem_by
    if not ways or len(set(ways)) != len(ways) or not set(ways) <= set(WAYS_OF_REDEEMING):
        problems["redeem_by"] = _(
            "Choose at least one way of redeeming: by a cashier, by a till, or in an online cart."
        )
    if draft.automatic:
        # What makes no sense anyway is said first.
        problems = _check_automatic(draft) | problems
    return problems


def _check_automatic(draft: OfferDraft) -> dict[str, str]:
    """What does not go with a promotion that applies by itself: nobody claims it, and only carts know of it."""
    problems: dict[str, str] = {}
    if draft.issuer != "merchant":
        problems["issuer"] = _("Only a merchant's own promotion can apply by itself.")
    if not isinstance(draft.validity.period, FixedWindow):
        problems["validity"] = _(
            "A promotion that applies by itself is never claimed: give it a fixed window."
        )
    for name, limit in (("issue_limit", draft.issue_limit), ("limit_per_member", draft.limit_per_member)):
        if limit is not None:
            problems[name] = _(
                "No coupons are given out of a promotion that applies by itself, so there is nothing to limit."
            )
    if CHECKOUT not in draft.redeem_by:
        problems["redeem_by"] = _(
            "A promotion that applies by itself does so in online carts: choose them too."
        )
    return problems


def is_limit(limit: int | None) -> bool:
    """Whether a limit is none at all, or a sensible count."""
    return limit is None or 1 <= limit <= MAXIMUM_COUNT


def is_time_zone(name: str) -> bool:
    """Whether a time zone of this name exists."""
    return name in _time_zones()


def is_sensible_date(day: date) -> bool:
    """False for years so far off that arithmetic on them may overflow."""
    return EARLIEST_YEAR <= day.year <= LATEST_YEAR


@cache
def _time_zones() -> frozenset[str]:
    # The set is read from the disk; it doesn't change while we run.
    return frozenset(available_timezones())


def _is_amount(amount: int) -> bool:
    return 1 <= amount <= MAXIMUM_AMOUNT


def _check_benefit(benefit: Benefit, minimum_spend: int) -> dict[str, str]:
    match benefit:
        case AmountOff():
            return _check_amount_off(benefit, minimum_spend)
        case PercentOff():
            problems = _check_cap(benefit.cap)
            if not 0 < benefit.basis_points <= WHOLE_BASIS_POINTS:
                problems["benefit.basis_points"] = _("A percentage off is above 0 and at most 100.")
            return problems
        case FixedPrice():
            return _check_fixed_price(benefit)
        case FreeShipping():
            return _check_cap(benefit.cap) | _check_keys("benefit.regions", benefit.regions)
        case Gift():
            return _check_gift(benefit)


def _check_cap(cap: int | None) -> dict[str, str]:
    return {} if cap is None or _is_amount(cap) else {"benefit.cap": AMOUNT_SENTENCE}


def _check_fixed_price(benefit: FixedPrice) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not 0 <= benefit.price <= MAXIMUM_AMOUNT:
        problems["benefit.price"] = _("The price cannot be negative, nor absurdly large.")
    if problem := check_text(benefit.product, maximum=200):
        problems["benefit.product"] = problem
    if not 1 <= benefit.units <= MAXIMUM_COUNT:
        problems["benefit.units"] = _("Give a whole number above zero.")
    return problems


def _check_gift(benefit: Gift) -> dict[str, str]:
    if not any(text.strip() for text in benefit.descriptions.values()):
        return {"benefit.descriptions.en": _("Say what the gift is.")}
    problems = check_localised(
        "benefit.descriptions", benefit.descriptions, maximum=200, english_required=True
    )
    if benefit.product is not None and (problem := check_text(benefit.product, maximum=200)):
        problems["benefit.product"] = problem
    return problems


def _check_amount_off(benefit: AmountOff, minimum_spend: int) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not _is_amount(benefit.amount):
        problems["benefit.amount"] = AMOUNT_SENTENCE
    elif 0 < minimum_spend < benefit.amount:
        problems["benefit.amount"] = _("The amount off is above the minimum spend.")
    if benefit.every and benefit.steps:
        problems["benefit.steps"] = _("Either steps or 'for every', not both.")
    if benefit.every and minimum_spend <= 0:
        problems["minimum_spend"] = _("'For every' needs a minimum spend to count.")
    if benefit.times is not None and not (benefit.every and 1 <= benefit.times <= MAXIMUM_COUNT):
        problems["benefit.times"] = _("A number of times above zero goes with 'for every' only.")
    threshold, amount = minimum_spend, benefit.amount
    for step in benefit.steps:
        if not (threshold < step.threshold <= MAXIMUM_AMOUNT and amount < step.amount):
            problems["benefit.steps"] = _("Each step needs a higher spend and amount than the one before.")
        elif step.amount > step.threshold:
            problems["benefit.steps"] = _("In a step, the amount off is above the spend that it asks for.")
        threshold, amount = step.threshold, step.amount
    return problems


def _check_keys(field: str, keys: Collection[str]) -> dict[str, str]:
    for key in keys:
        if problem := check_text(key, maximum=200):
            return {field: problem}
    return {}


def _check_owner(
    draft: OfferDraft, known_merchant_ids: Collection[UUID], store_merchants: Mapping[UUID, UUID]
) -> dict[str, str]:
    problems: dict[str, str] = {}
    if draft.issuer not in ISSUERS:
        problems["issuer"] = _("The issuer is the platform or a merchant.")
    if draft.merchant_id is None and draft.issuer == "merchant":
        problems["merchant_id"] = _("A merchant's offer needs its merchant.")
    elif draft.merchant_id is not None and draft.merchant_id not in known_merchant_ids:
        problems["merchant_id"] = _("This merchant does not exist.")
    if len(set(draft.store_ids)) != len(draft.store_ids):
        problems["store_ids"] = _("A store stands here twice.")
    for store_id in draft.store_ids:
        owner = store_merchants.get(store_id)
        if owner is None:
            problems["store_ids"] = _("One of these stores does not exist.")
        elif not usable_at_merchant(draft.merchant_id, draft.scope, owner):
            problems["store_ids"] = _("One of these stores belongs to another merchant.")
    return problems


def _check_scope(
    scope: Scope, merchant_id: UUID | None, known_merchant_ids: Collection[UUID]
) -> dict[str, str]:
    problems: dict[str, str] = {}
    for side, selection in (("includes", scope.includes), ("excludes", scope.excludes)):
        problems |= _check_keys(f"scope.{side}.products", selection.products)
        problems |= _check_keys(f"scope.{side}.categories", selection.categories)
        problems |= _check_keys(f"scope.{side}.brands", selection.brands)
        if any(merchant not in known_merchant_ids for merchant in selection.merchants):
            problems[f"scope.{side}.merchants"] = _("One of these merchants does not exist.")
        elif merchant_id is not None and any(merchant != merchant_id for merchant in selection.merchants):
            problems[f"scope.{side}.merchants"] = _("An offer of one merchant cannot name another.")
    includes, excludes = scope.includes, scope.excludes
    if (
        set(includes.products) & set(excludes.products)
        or set(includes.categories) & set(excludes.categories)
        or set(includes.brands) & set(excludes.brands)
        or set(includes.merchants) & set(excludes.merchants)
        or (merchant_id is not None and merchant_id in excludes.merchants)
    ):
        problems["scope.excludes"] = _("Something is both included and excluded.")
    return problems


def _check_funding(funding: Funding) -> dict[str, str]:
    shares = (funding.platform_basis_points, funding.merchant_basis_points)
    if any(not 0 <= share <= WHOLE_BASIS_POINTS for share in shares) or sum(shares) != WHOLE_BASIS_POINTS:
        return {"funding": _("The platform's and the merchant's shares must sum to 100 %.")}
    return {}


def _check_cart_rules(rules: CartRules) -> dict[str, str]:
    problems: dict[str, str] = {}
    if rules.stacking_group is not None and (problem := check_text(rules.stacking_group, maximum=40)):
        problems["cart_rules.stacking_group"] = problem
    if rules.exclusive and rules.stacking_group is not None:
        problems["cart_rules.exclusive"] = _("An exclusive offer combines with none: no stacking group.")
    needs_days = rules.refund_coupon == "reissue"
    has_days = rules.reissue_days is not None and 1 <= rules.reissue_days <= MAXIMUM_DAYS
    if needs_days != has_days or (rules.reissue_days is not None and not needs_days):
        problems["cart_rules.reissue_days"] = _("Give the days for which a coupon issued again is valid.")
    return problems


def _check_validity(validity: Validity) -> dict[str, str]:
    problems: dict[str, str] = {}
    period = validity.period
    if isinstance(period, FixedWindow):
        problems |= check_window("validity.starts_at", period.starts_at, "validity.ends_at", period.ends_at)
    else:
        if not 0 <= period.days <= MAXIMUM_DAYS:
            problems["validity.days"] = _("Give a number of days from 0 (the day of the claim) to 3650.")
        if not 0 <= period.starts_after_days <= MAXIMUM_DAYS:
            problems["validity.starts_after_days"] = _("Give a number of days from 0 (at once) to 3650.")
        if period.last_day is not None and not is_sensible_date(period.last_day):
            problems["validity.last_day"] = DATE_SENTENCE
    weekdays = validity.weekdays
    if len(set(weekdays)) != len(weekdays) or any(not 1 <= weekday <= 7 for weekday in weekdays):
        problems["validity.weekdays"] = _("Weekdays are 1 for Monday to 7 for Sunday, each once.")
    for hours in validity.hours:
        if not (0 <= hours.from_minute < 1440 and 0 <= hours.to_minute <= 1440):
            problems["validity.hours"] = _("Hours are between 00:00 and 24:00.")
        elif hours.from_minute == hours.to_minute:
            problems["validity.hours"] = _("These hours are empty; leave them out for the whole day.")
    return problems


def check_window(start_field: str, starts_at: datetime, end_field: str, ends_at: datetime) -> dict[str, str]:
    """What is wrong with a window of two aware times."""
    problems: dict[str, str] = {}
    for field, edge in ((start_field, starts_at), (end_field, ends_at)):
        if edge.tzinfo is None:
            problems[field] = _("This time needs its time zone.")
        elif not is_sensible_date(edge):
            problems[field] = DATE_SENTENCE
    if not problems and ends_at <= starts_at:
        problems[end_field] = WINDOW_SENTENCE
    return problems
