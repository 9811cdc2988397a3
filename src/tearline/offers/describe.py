"""An offer in words, in four languages: what stands on the ticket's stub, its conditions, when and where.

Offers come as rows: anything with the columns named in :class:`DescribedOffer` will do, such as a row of
``offers.reads`` or of a wallet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import get_day_names

from tearline.core import offers as core
from tearline.i18n import localised, translate
from tearline.i18n.formats import currency_symbol, date_time, day, locale_of, money, money_number, number
from tearline.offers import stored

_INSTANT = timedelta(microseconds=1)


class DescribedOffer(Protocol):
    """The columns of an offer that are needed to say what it gives."""

    @property
    def benefit(self) -> Mapping[str, Any]:
        """As stored."""

    @property
    def currency(self) -> str:
        """ISO 4217."""

    @property
    def minimum_spend(self) -> int:
        """Minor units."""


class TimedOffer(Protocol):
    """The columns of an offer that are needed to say when it can be used."""

    @property
    def validity(self) -> Mapping[str, Any]:
        """As stored."""

    @property
    def time_zone(self) -> str:
        """Name of the zone."""


class Stub(NamedTuple):
    """What stands on a ticket's stub: ``HK$`` small and raised, ``50`` big, ``over 300`` below."""

    prefix: str
    big: str
    small: str


def stub_value(offer: DescribedOffer, language: str) -> Stub:
    """The ticket's stub, such as ``("HK$", "50", "over 300")`` or ``("", "8 折", "最多減 HK$80")``."""
    benefit = stored.benefit_from(offer.benefit)
    currency = offer.currency
    symbol = currency_symbol(currency, language)
    over = _over(money(offer.minimum_spend, currency, language), language) if offer.minimum_spend else ""
    match benefit:
        case core.AmountOff():
            # The currency stands in front of the value already, so the line below does without.
            best = benefit.steps[-1] if benefit.steps else core.Step(offer.minimum_spend, benefit.amount)
            threshold = money_number(best.threshold, currency, language)
            if benefit.every:
                small = translate(language, "every %(amount)s", amount=threshold)
            else:
                small = _over(threshold, language) if best.threshold else translate(language, "any purchase")
            return Stub(symbol, money_number(best.amount, currency, language), small)
        case core.PercentOff():
            small = _up_to(benefit.cap, currency, language) or over
            if not small and not _is_chinese(language) and benefit.basis_points < core.WHOLE_BASIS_POINTS:
                # Translators: stands below a percentage: 20% / off.
                small = translate(language, "off")
            return Stub("", percent_off_words(benefit.basis_points, language), small)
        case core.FixedPrice():
            return Stub(
                symbol, money_number(benefit.price, currency, language), translate(language, "special price")
            )
        case core.FreeShipping():
            small = _up_to(benefit.cap, currency, language) or over
            return Stub("", translate(language, "Free shipping"), small)
        case core.Gift():
            return Stub("", translate(language, "Gift"), over)


def value_text(benefit: core.Benefit, currency: str, language: str) -> str:
    """The benefit in one line without its conditions: ``HK$50 off``, ``8 折``, ``Gift: a coffee``."""
    match benefit:
        case core.AmountOff():
            amount = benefit.steps[-1].amount if benefit.steps else benefit.amount
            shown = money(amount, currency, language)
            if benefit.steps:
                return translate(language, "Up to %(amount)s off", amount=shown)
            return translate(language, "%(amount)s off", amount=shown)
        case core.PercentOff():
            words = percent_off_words(benefit.basis_points, language)
            if _is_chinese(language) or benefit.basis_points == core.WHOLE_BASIS_POINTS:
                return words
            # Translators: %(percentage)s is such as 20%. Chinese doesn't use this sentence.
            return translate(language, "%(percentage)s off", percentage=words)
        case core.FixedPrice():
            return translate(
                language, "Special price %(amount)s", amount=money(benefit.price, currency, language)
            )
        case core.FreeShipping():
            return translate(language, "Free shipping")
        case core.Gift():
            return translate(language, "Gift: %(gift)s", gift=localised(benefit.descriptions, language))


def percent_off_words(basis_points: int, language: str) -> str:
    """A percentage off as the language says it: ``20%``; in Chinese what is still paid: ``8 折``, ``75 折``.

    Nothing left to pay is 'Free'.
    """
    if basis_points == core.WHOLE_BASIS_POINTS:
        return translate(language, "Free")
    if not _is_chinese(language):
        return f"{number(Decimal(basis_points) / 100, language)}%"
    paid = core.WHOLE_BASIS_POINTS - basis_points
    if paid % 1000 == 0:
        return f"{paid // 1000} 折"
    # 25 % off is 75 折 in Hong Kong and Taiwan, 7.5 折 on the mainland; finer ones are tenths everywhere.
    if paid % 100 == 0 and paid > 1000 and language == "zh-Hant":
        return f"{paid // 100} 折"
    return f"{number(Decimal(paid) / 1000, language)} 折"


def condition_text(offer: DescribedOffer, language: str) -> str:
    """The conditions in one or two sentences: minimum spend, steps, cap; ``""`` when there are none."""
    benefit = stored.benefit_from(offer.benefit)
    currency = offer.currency

    def shown(amount: int) -> str:
        return money(amount, currency, language)

    sentences: list[str] = []
    if isinstance(benefit, core.AmountOff) and benefit.steps:
        steps = (core.Step(offer.minimum_spend, benefit.amount), *benefit.steps)
        parts = [
            translate(
                language,
                "%(amount)s off over %(threshold)s",
                amount=shown(step.amount),
                threshold=shown(step.threshold),
            )
            for step in steps
        ]
        sentences.append(_joined(parts, language))
    elif isinstance(benefit, core.AmountOff) and benefit.every:
        sentences.append(
            translate(
                language,
                "%(amount)s off for every %(threshold)s spent",
                amount=shown(benefit.amount),
                threshold=shown(offer.minimum_spend),
            )
        )
        if benefit.times is not None:
            sentences.append(
                translate(language, "at most %(times)s times", times=number(benefit.times, language))
            )
    elif offer.minimum_spend:
        sentences.append(translate(language, "Minimum spend %(amount)s", amount=shown(offer.minimum_spend)))
    elif isinstance(benefit, core.AmountOff | core.PercentOff):
        sentences.append(translate(language, "No minimum spend"))
    if isinstance(benefit, core.PercentOff | core.FreeShipping) and benefit.cap is not None:
        sentences.append(translate(language, "at most %(amount)s off", amount=shown(benefit.cap)))
    if isinstance(benefit, core.FixedPrice) and benefit.units > 1:
        sentences.append(
            translate(language, "up to %(units)s of them", units=number(benefit.units, language))
        )
    return " · ".join(sentences)


def validity_text(
    offer: TimedOffer, language: str, coupon_window: tuple[datetime, datetime] | None = None
) -> str:
    """When it can be used: the coupon's own window if there is one, else the offer's rule; then the hours.

    Args:
        coupon_window: ``(valid_from, valid_until)`` of an issued coupon.
    """
    validity = stored.validity_from(offer.validity)
    if coupon_window is None and isinstance(validity.period, core.FixedWindow):
        coupon_window = (validity.period.starts_at, validity.period.ends_at)
    if coupon_window is not None:
        period_text = window_text(*coupon_window, language, offer.time_zone)
    else:
        assert isinstance(validity.period, core.DaysAfterClaim)
        period_text = _days_after_claim_text(validity.period, language)
    hours = hours_text(validity, language)
    return f"{period_text} · {hours}" if hours else period_text


def window_text(valid_from: datetime, valid_until: datetime, language: str, time_zone: str) -> str:
    """A window in days, or to the minute where it doesn't begin or end with a day."""
    from_text = _edge_text(valid_from, valid_from, language, time_zone)
    # A window that ends with a day is known by its last day, not by the midnight after it.
    return f"{from_text} – {until_text(valid_until, language, time_zone)}"


def until_text(valid_until: datetime, language: str, time_zone: str) -> str:
    """The last day of a window, or its end to the minute where it doesn't end with a day."""
    return _edge_text(valid_until, valid_until - _INSTANT, language, time_zone)


def hours_text(validity: core.Validity, language: str) -> str:
    """Weekdays and hours: ``Mon–Thu, 14:00–18:00``; ``""`` when it's always."""
    parts: list[str] = []
    if validity.weekdays and len(validity.weekdays) < 7:
        parts.extend(_weekday_runs(sorted(validity.weekdays), language))
    parts.extend(f"{_clock(hours.from_minute)}–{_clock(hours.to_minute)}" for hours in validity.hours)
    return _joined(parts, language)


def where_text(
    language: str,
    *,
    merchant_names: Sequence[Mapping[str, str]],
    store_names: Sequence[Mapping[str, str]],
    store_ids: Sequence[UUID],
) -> str:
    """Where it can be used: the stores that it's limited to, else all of the merchants'.

    Args:
        merchant_names: of the offer's merchant, or of those in the scope; empty for every merchant.
        store_names: of the stores in ``store_ids``, in the same or any order.
        store_ids: the offer's; empty for all stores.
    """
    merchants = [localised(names, language) for names in merchant_names]
    if store_ids:
        stores = [localised(names, language) for names in store_names]
        return _joined(stores, language)
    if not merchants:
        return translate(language, "All merchants")
    if len(merchants) == 1:
        return translate(language, "All stores of %(merchant)s", merchant=merchants[0])
    return _joined(merchants, language)


def _is_chinese(language: str) -> bool:
    return language.startswith("zh")


def _joined(parts: Sequence[str], language: str) -> str:
    return ("、" if _is_chinese(language) else ", ").join(parts)


def _over(amount: str, language: str) -> str:
    # Translators: stands below the value on a ticket's stub: HK$50 / over 300.
    return translate(language, "over %(amount)s", amount=amount)


def _up_to(cap: int | None, currency: str, language: str) -> str:
    return (
        "" if cap is None else translate(language, "up to %(amount)s", amount=money(cap, currency, language))
    )


def _days_after_claim_text(period: core.DaysAfterClaim, language: str) -> str:
    if period.starts_after_days:
        text = translate(
            language,
            "From %(first)s to %(last)s days after you get it",
            first=period.starts_after_days,
            last=period.starts_after_days + period.days,
        )
    elif period.days == 0:
        text = translate(language, "On the day you get it")
    else:
        text = translate(language, "Until %(days)s days after you get it", days=period.days)
    if period.last_day is not None:
        text += " · " + translate(language, "not after %(day)s", day=day(period.last_day, language, "UTC"))
    return text


def _edge_text(edge: datetime, shown: datetime, language: str, time_zone: str) -> str:
    local = edge.astimezone(ZoneInfo(time_zone))
    is_start_of_day = core.start_of_day(local.date(), time_zone) == edge
    return day(shown, language, time_zone) if is_start_of_day else date_time(edge, language, time_zone)


def _weekday_runs(weekdays: Sequence[int], language: str) -> list[str]:
    names = get_day_names("abbreviated", locale=locale_of(language))
    runs: list[list[int]] = []
    for weekday in weekdays:
        if runs and runs[-1][-1] == weekday - 1:
            runs[-1].append(weekday)
        else:
            runs.append([weekday])
    texts: list[str] = []
    for run in runs:
        first, last = names[run[0] - 1], names[run[-1] - 1]
        texts.append(
            f"{first}–{last}" if len(run) > 2 else _joined([names[weekday - 1] for weekday in run], language)
        )
    return texts


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
