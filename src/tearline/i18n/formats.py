"""How values are shown to people: money, numbers and times, in a language and a time zone.

Formatting happens on the server alone. A browser would write Thai years in the Buddhist era and Babel
does not, so that mixing both would show two years for one day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date as babel_date
from babel.dates import format_datetime as babel_datetime
from babel.dates import get_timezone_name
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_symbol

from tearline.core.money import CURRENCY_EXPONENTS
from tearline.i18n import DEFAULT_LANGUAGE, LANGUAGES

# The currency's own short sign is what a price tag in that place says; Babel would write "฿" or "$" for
# the home locale only and "THB" elsewhere.
_SYMBOLS = {"HKD": "HK$", "TWD": "NT$", "CNY": "¥", "THB": "฿", "USD": "US$", "SGD": "S$", "MOP": "MOP$"}


@cache
def locale_of(language: str) -> Locale:
    """Babel's locale of one of our languages; Hong Kong's conventions for Traditional Chinese."""
    if language == "zh-Hant":
        return Locale.parse("zh_Hant_HK")
    known = LANGUAGES.get(language, LANGUAGES[DEFAULT_LANGUAGE])
    return Locale.parse("en_GB" if known.tag == "en" else known.locale)


def minor_digits(currency: str) -> int:
    """How many decimal digits the currency has: 2 for HKD, 0 for JPY."""
    return CURRENCY_EXPONENTS.get(currency, 2)


def major_units(minor_units: int, currency: str) -> Decimal:
    """The amount in the currency's main unit: 5050 of HKD is 50.50."""
    return Decimal(minor_units).scaleb(-minor_digits(currency))


def currency_symbol(currency: str, language: str) -> str:
    """The short sign of a currency, such as ``HK$``."""
    return _SYMBOLS.get(currency) or get_currency_symbol(currency, locale=locale_of(language))


def money_number(minor_units: int, currency: str, language: str) -> str:
    """The amount without its currency; whole amounts without decimals: ``50``, ``1,250.50``."""
    amount = major_units(minor_units, currency)
    digits = 0 if amount == amount.to_integral_value() else minor_digits(currency)
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    return format_decimal(amount, format=pattern, locale=locale_of(language))


def money(minor_units: int, currency: str, language: str) -> str:
    """The amount with its currency's sign: ``HK$50``, ``HK$1,250.50``."""
    amount = major_units(minor_units, currency)
    digits = 0 if amount == amount.to_integral_value() else minor_digits(currency)
    # ¤ is replaced by Babel; our own sign goes in its place, quoted as literal text.
    symbol = currency_symbol(currency, language).replace("'", "''")
    pattern = f"'{symbol}'#,##0" + ("." + "0" * digits if digits else "")
    return format_currency(
        amount, currency, format=pattern, locale=locale_of(language), currency_digits=False
    )


def number(value: int | float | Decimal, language: str) -> str:
    """A number with its thousands separated."""
    return format_decimal(value, locale=locale_of(language))


def percent(fraction: float | Decimal, language: str) -> str:
    """A fraction as a percentage with at most one decimal: 0.124 is ``12.4%``."""
    return format_percent(fraction, format="#,##0.#%", locale=locale_of(language))


def date_time(value: datetime, language: str, time_zone: str) -> str:
    """Day and time to the minute in ``time_zone``, without naming it."""
    return babel_datetime(
        value,
        "d MMM y HH:mm" if language in ("en", "th") else "y年M月d日 HH:mm",
        tzinfo=ZoneInfo(time_zone),
        locale=locale_of(language),
    )


def day(value: date | datetime, language: str, time_zone: str) -> str:
    """The day; of a time, the day that it falls on in ``time_zone``."""
    local_day = value.astimezone(ZoneInfo(time_zone)).date() if isinstance(value, datetime) else value
    return babel_date(
        local_day, "d MMM y" if language in ("en", "th") else "y年M月d日", locale=locale_of(language)
    )


def time_of_day(value: datetime, language: str, time_zone: str) -> str:
    """Hours and minutes in ``time_zone``: ``18:05``."""
    return babel_datetime(value, "HH:mm", tzinfo=ZoneInfo(time_zone), locale=locale_of(language))


def window(start: datetime, end: datetime | None, language: str, time_zone: str) -> str:
    """From when to when, the day said once if both fall on the same one."""
    first = date_time(start, language, time_zone)
    if end is None:
        return first
    is_same_day = day(start, language, time_zone) == day(end, language, time_zone)
    last = time_of_day(end, language, time_zone) if is_same_day else date_time(end, language, time_zone)
    return f"{first} – {last}"


def listed(words: Iterable[str], language: str) -> str:
    """Words one after the other, with the language's comma between them."""
    return ("、" if language.startswith("zh") else ", ").join(words)


def time_zone_name(time_zone: str, language: str) -> str:
    """A name for the zone that people know: ``Hong Kong time``."""
    return get_timezone_name(ZoneInfo(time_zone), width="long", locale=locale_of(language))
