"""Texts that people type: which characters and lengths are accepted, and localised ones by language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


LANGUAGE_TAGS = ("en", "zh-Hant", "zh-Hans", "th")

_IMAGE = re.compile(r"art/[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_ALLOWED_CONTROLS = frozenset("\n\r\t")


def is_storable(text: str) -> bool:
    """False for text that PostgreSQL or a page can't carry: control characters and lone surrogates."""
    if text.isprintable():  # as most is
        return True
    return all(
        character in _ALLOWED_CONTROLS or unicodedata.category(character) not in ("Cc", "Cs")
        for character in text
    )


def check_text(text: str, *, maximum: int, required: bool = True) -> str | None:
    """What is wrong with a text, as an English sentence, or None; ``maximum`` counts characters."""
    if required and not text.strip():
        return _("This is needed.")
    if len(text) > maximum:
        return _("This is too long.")
    if not is_storable(text):
        return _("This contains characters that cannot be stored.")
    return None


def check_localised(
    field: str, texts: Mapping[str, str], *, maximum: int, english_required: bool
) -> dict[str, str]:
    """What is wrong with a localised text: ``FIELD.LANGUAGE`` to an English sentence; empty when all is well.

    A text that exists in any language must exist in English, which every other language falls back to.
    """
    problems: dict[str, str] = {}
    for tag, text in texts.items():
        if tag not in LANGUAGE_TAGS:
            problems[field] = _("There are texts in English, Traditional and Simplified Chinese and Thai.")
        elif problem := check_text(text, maximum=maximum, required=False):
            problems[f"{field}.{tag}"] = problem
    has_any = any(text.strip() for text in texts.values())
    if (english_required or has_any) and not texts.get("en", "").strip():
        problems.setdefault(f"{field}.en", _("The English text is needed; other languages fall back to it."))
    return problems


def without_blanks(texts: Mapping[str, str]) -> dict[str, str]:
    """The localised text as it's stored: trimmed, languages without a text left out."""
    return {tag: text.strip() for tag, text in texts.items() if text.strip()}


def check_image(image: str | None) -> str | None:
    """What is wrong with the name of an image: only the installation's own are shown.

    Pages load no pictures from other sites (their Content-Security-Policy forbids it): a member who looks at a
    coupon tells nobody else.
    """
    if image is not None and (len(image) > 500 or not _IMAGE.fullmatch(image)):
        return _("Choose one of this installation's own pictures, by its name, such as art/tea.svg.")
    return None
