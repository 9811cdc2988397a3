"""Languages: which one is spoken, and that the catalogues' tools see every string."""

from __future__ import annotations

import pytest

from tearline.i18n import localised, negotiate, translate, translate_counted
from tearline.i18n.catalogues import template_catalogue


@pytest.mark.parametrize(
    ("query", "cookie", "header", "language"),
    [
        (None, None, None, "en"),
        (None, None, "zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"),
        (None, None, "zh-HK", "zh-Hant"),
        (None, None, "zh-CN,zh;q=0.9", "zh-Hans"),
        (None, None, "zh", "zh-Hans"),
        (None, None, "zh-Hans-HK", "zh-Hans"),
        (None, None, "fr;q=0.9, th;q=0.5, en;q=0.4", "th"),
        (None, None, "en;q=0.2, th;q=0.9", "th"),
        (None, None, "th;q=0", "en"),
        (None, None, "*;q=x,,;;", "en"),
        (None, "th", "zh-TW", "th"),
        ("zh-Hant", "th", "en", "zh-Hant"),
        ("tlh", "th", "en", "th"),
    ],
)
def test_negotiation(query: str | None, cookie: str | None, header: str | None, language: str) -> None:
    assert negotiate(query=query, cookie=cookie, accept_language=header) == language


def test_a_missing_text_is_shown_in_the_nearest_language() -> None:
    assert localised({"en": "a", "zh-Hans": "b"}, "zh-Hant") == "b"
    assert localised({"en": "a", "zh-Hans": ""}, "th") == "a"
    assert localised({}, "en") == ""
    assert localised(None, "en") == ""


def test_english_needs_no_catalogue() -> None:
    assert translate("en", "Enter at least %(minimum)s.", minimum=5) == "Enter at least 5."
    assert translate_counted("en", "%(n)s entry", "%(n)s entries", 2) == "2 entries"
    assert translate("xx", "100%") == "100%"
    assert translate("th", "") == ""


def test_strings_of_code_and_templates_are_found() -> None:
    found = {message.id for message in template_catalogue()}
    assert "Enter a whole number." in found
    assert "Skip to the content" in found
    assert ("%(shown)s entry", "%(shown)s entries") in found
