"""Drawn barcodes and QR codes are read as a scanner reads them, and say exactly the code."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tearline.web.ui.barcodes import MOST_MODULES, code_svg
from tests.web.scanning import read_picture

VISIBLE = st.characters(min_codepoint=33, max_codepoint=126)
DIGITS = "0123456789"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@given(st.text(VISIBLE, min_size=1, max_size=24) | st.text(DIGITS, min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
@example("491111E1311415BAA466")
@example("99")
@example("99A77A408731A4A2734284")
@example("9996")
def test_code_128_says_any_code(code: str) -> None:
    drawn = code_svg(code, "code128", "Code")
    assert drawn is not None
    assert read_picture(drawn) == ("Code128", code)


@given(st.text(DIGITS + CAPITALS + "-. $/+%", min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
@example("LA-D1G$QQ")
@example("000000")
def test_code_39_says_what_it_can_carry_or_nothing(code: str) -> None:
    drawn = code_svg(code, "code39", "Code")
    if drawn is None:
        assert any(f"{sign}{letter}" in code for sign in "$/+%" for letter in CAPITALS)
    else:
        assert read_picture(drawn) == ("Code39", code)


def test_an_ean_says_its_thirteen_digits() -> None:
    drawn = code_svg("4006381333931", "ean13", "Code")
    assert drawn is not None and read_picture(drawn) == ("EAN13", "4006381333931")


@given(st.text(VISIBLE, min_size=1, max_size=64))
@settings(max_examples=30, deadline=None)
def test_a_qr_code_says_any_code(code: str) -> None:
    drawn = code_svg(code, "qr", "Code")
    assert drawn is not None and read_picture(drawn) == ("QRCode", code)


@pytest.mark.parametrize(
    ("code", "symbology"),
    [
        ("491111E1311415BAA466", "text"),
        ("abc", "code39"),
        ("A_B", "code39"),
        ("X" * 40, "code39"),
        ("Ä1", "code128"),
        ("4006381333932", "ean13"),
        ("400638133393", "ean13"),
        ("40063813339310", "ean13"),
        ("491111E131141", "ean13"),
        ("٤٠٠٦٣٨١٣٣٣٩٣١", "ean13"),
    ],
)
def test_what_a_symbology_cannot_carry_has_no_picture(code: str, symbology: str) -> None:
    assert code_svg(code, symbology, "Code") is None


def test_no_picture_is_too_fine_for_a_phone() -> None:
    longest = max(size for size in range(1, 65) if code_svg("A" * size, "code128", "Code"))
    assert 11 * (longest + 3) <= MOST_MODULES + 11
    assert longest >= 30


@pytest.mark.parametrize("symbology", ["code128", "code39", "ean13"])
def test_bars_have_a_quiet_zone_on_either_side(symbology: str) -> None:
    drawn = code_svg("4006381333931", symbology, "Code")
    assert drawn is not None
    paper, *bars = [(int(x), int(wide)) for x, wide in re.findall(r"M(\d+) 0h(\d+)v", drawn)]
    first, (last, wide) = bars[0][0], bars[-1]
    assert (first, paper[1] - last - wide) == (11, 11)


def test_a_title_stands_as_text() -> None:
    drawn = code_svg("123", "code128", "<b>")
    assert drawn is not None and "<title>&lt;b&gt;</title>" in drawn
