"""The four languages of Tearline: their names, how one is chosen, and gettext.

Source strings are English sentences. Catalogues live in ``locales/<zh_Hant|zh_Hans|th>/LC_MESSAGES/``;
the compiled ``.mo`` are built, not committed (``python -m tearline.i18n.catalogues compile``). A language
without a compiled catalogue speaks English, so that nothing fails on a fresh checkout.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = [
    "DEFAULT_LANGUAGE",
    "LANGUAGES",
    "Language",
    "_",
    "language_of_tag",
    "localised",
    "nearest",
    "negotiate",
    "ngettext_unfilled",
    "translate",
    "translate_counted",
]

DOMAIN = "tearline"
LOCALES_DIRECTORY = Path(__file__).parent / "locales"


@dataclass(frozen=True)
class Language:
    """One language of the interface."""

    tag: str
    """The BCP 47 tag, as it stands in ``<html lang>``, in cookies and in localised text: ``zh-Hant``."""
    own_name: str
    """The language's name in itself."""
    locale: str
    """The locale's name for Babel, and the folder of its catalogue: ``zh_Hant``."""
    short_name: str
    """One or two characters for a narrow switcher."""


LANGUAGES: Mapping[str, Language] = {
    language.tag: language
    for language in (
        Language("en", "English", "en", "EN"),
        Language("zh-Hant", "繁體中文", "zh_Hant", "繁"),
        Language("zh-Hans", "简体中文", "zh_Hans", "简"),
        Language("th", "ไทย", "th", "ไทย"),
    )
}
DEFAULT_LANGUAGE = "en"

# Where a text is missing in one language, the reader gets the nearest one that exists.
_FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "en": ("zh-Hant", "zh-Hans", "th"),
    "zh-Hant": ("zh-Hans", "en", "th"),
    "zh-Hans": ("zh-Hant", "en", "th"),
    "th": ("en", "zh-Hant", "zh-Hans"),
}


def _(message: str) -> str:
    """Mark a string for extraction; it's translated where it is shown, by :func:`translate`."""
    return message


def language_of_tag(tag: str) -> str | None:
    """The language that a browser's tag such as ``zh-HK`` or ``en_GB`` stands for, or None."""
    parts = tag.strip().lower().replace("_", "-").split("-")
    if parts[0] == "zh":
        is_traditional = "hant" in parts or ("hans" not in parts and bool({"tw", "hk", "mo"} & set(parts)))
        return "zh-Hant" if is_traditional else "zh-Hans"
    return parts[0] if parts[0] in LANGUAGES else None


def negotiate(
    *, query: str | None = None, cookie: str | None = None, accept_language: str | None = None
) -> str:
    """Choose a language: what the address asks for, else the cookie, else the browser's list, else English."""
    for asked in (query, cookie):
        if asked and (language := language_of_tag(asked[:35])):
            return language
    ranked: list[tuple[float, int, str]] = []
    # A longer header than this is nobody's list of languages.
    for position, entry in enumerate((accept_language or "")[:1000].split(",")):
        tag, _separator, weight_text = entry.partition(";q=")
        try:
            weight = float(weight_text) if weight_text else 1.0
        except ValueError:
            continue
        language = language_of_tag(tag)
        if language and weight > 0:
            ranked.append((-weight, position, language))
    return min(ranked)[2] if ranked else DEFAULT_LANGUAGE


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    known = LANGUAGES.get(language)
    if known is None:
        return gettext.NullTranslations()
    path = LOCALES_DIRECTORY / known.locale / "LC_MESSAGES" / f"{DOMAIN}.mo"
    if not path.is_file():
        return gettext.NullTranslations()
    with path.open("rb") as compiled:
        return gettext.GNUTranslations(compiled)


def translate(language: str, message: str, **values: object) -> str:
    """``message`` in ``language``, its ``%(name)s`` placeholders filled with ``values``."""
    # gettext answers the empty string with the catalogue's header.
    text = _catalogue(language).gettext(message) if message else ""
    return text % values if values else text


def translate_counted(language: str, singular: str, plural: str, n: int, **values: object) -> str:
    """The form of a counted sentence that fits ``n``; ``%(n)s`` is filled along with ``values``."""
    return ngettext_unfilled(language, singular, plural, n) % {"n": n, **values}


def ngettext_unfilled(language: str, singular: str, plural: str, n: int) -> str:
    """As :func:`translate_counted`, its placeholders left for the caller to fill."""
    return _catalogue(language).ngettext(singular, plural, n)


def localised(texts: Mapping[str, str] | None, language: str) -> str:
    """The text of a localised dict in ``language``, or in the nearest language that has one, or ``""``."""
    return nearest(texts, language)[1]


def nearest(texts: Mapping[str, str] | None, language: str) -> tuple[str, str]:
    """As :func:`localised`, with the language that the text is really in before it."""
    for candidate in (language, *_FALLBACKS.get(language, ()), *(texts or ())):
        if text := (texts or {}).get(candidate):
            return candidate, text
    return language, ""
