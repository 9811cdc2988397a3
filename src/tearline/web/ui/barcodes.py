"""Codes drawn as a scanner reads them: QR codes and barcodes, as inline pictures in black on white.

A picture is drawn only when a scanner reads exactly the code out of it; for any other there is the text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from itertools import groupby

import segno
from barcode import EAN13, Code39, Code128
from barcode.errors import BarcodeError
from markupsafe import Markup

MOST_MODULES = 420
"""Of the narrowest bars' width: with more, no camera tells them apart on a phone."""
_QUIET_MODULES = 11
_HEIGHT_SHARE = 0.3
_LEAST_HEIGHT = 60
# Scanners that are set so read these pairs as one sign of full ASCII: "+E" as "e".
_PAIRS_OF_FULL_ASCII = re.compile(r"[$/+%][A-Z]")
_SWITCH_TO_DIGITS = 99


def code_svg(text: str, symbology: str, title: str) -> Markup | None:
    """The code in a symbology of ``core.pools.SYMBOLOGIES``; None when it has no picture there.

    Args:
        title: what the picture is, for those who can't see it.
    """
    if symbology == "qr":
        return qr_svg(text, title)
    modules = _MODULES[symbology](text) if symbology in _MODULES else None
    return None if modules is None else _bars_svg(modules, title)


def qr_svg(text: str, title: str, *, border: int = 4) -> Markup:
    """A QR code as an inline picture in black on white, whatever the theme: scanners want that."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=False, nl=False, omitsize=True, border=border,
        dark="#000", light="#fff", title=title, svgclass="qr-picture", lineclass=None,
    )  # fmt: skip
    # segno escapes the title; everything else in the picture is its own.
    return Markup(drawn.getvalue().decode("utf-8").replace("<svg ", '<svg role="img" ', 1))  # noqa: S704


class _Code128(Code128):  # type: ignore[misc]
    """The library's, but for codes that begin with 99: it takes the two digits for its sign of the same number."""

    def _try_to_optimize(self, encoded: list[int]) -> list[int]:
        return encoded if encoded[1] == _SWITCH_TO_DIGITS else super()._try_to_optimize(encoded)


def _code128(text: str) -> str | None:
    return _built(lambda: _Code128(text).build())


def _code39(text: str) -> str | None:
    # The library would write small letters as capitals, and the scanner would read another code.
    if text != text.upper() or _PAIRS_OF_FULL_ASCII.search(text):
        return None
    return _built(lambda: Code39(text, add_checksum=False).build())


def _ean13(text: str) -> str | None:
    if len(text) != 13 or not (text.isascii() and text.isdigit()):
        return None
    drawn = EAN13(text)
    # A thirteenth digit that is no check digit would be drawn as the right one.
    return _built(drawn.build) if drawn.get_fullcode() == text else None


_MODULES: Mapping[str, Callable[[str], str | None]] = {
    "code128": _code128,
    "code39": _code39,
    "ean13": _ean13,
}


def _built(build: Callable[[], list[str]]) -> str | None:
    """The bars as ones and the gaps as zeros; None when the symbology has no such sign, or too many are needed."""
    try:
        modules = build()[0]
    except (BarcodeError, KeyError, RuntimeError):
        return None
    return modules if len(modules) <= MOST_MODULES else None


def _bars_svg(modules: str, title: str) -> Markup:
    width = len(modules) + 2 * _QUIET_MODULES
    height = max(_LEAST_HEIGHT, round(width * _HEIGHT_SHARE))
    strokes = []
    x = _QUIET_MODULES
    for kind, run in groupby(modules):
        wide = len(list(run))
        if kind == "1":
            strokes.append(f"M{x} 0h{wide}v{height}h-{wide}z")
        x += wide
    return Markup(
        '<svg class="barcode-picture" role="img" viewBox="0 0 {width} {height}"><title>{title}</title>'
        '<path fill="#fff" d="M0 0h{width}v{height}H0z"/><path fill="#000" d="{strokes}"/></svg>'
    ).format(width=width, height=height, title=title, strokes="".join(strokes))
