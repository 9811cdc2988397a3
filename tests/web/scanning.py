"""Pictures of codes as pages draw them, put on a bitmap and read as a scanner would."""

from __future__ import annotations

import re

import numpy
import zxingcpp

_ENLARGED = 4


def read_picture(svg: str) -> tuple[str, str]:
    """Symbology and text of the one code that an inline picture holds; the reader is not told which to expect."""
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    assert size is not None, svg[:200]
    width, height = int(size[1]), int(size[2])
    picture = numpy.full((height, width), 255, dtype=numpy.uint8)
    if 'class="barcode-picture"' in svg:
        for x, wide in re.findall(r"M(\d+) 0h(\d+)v", svg.rpartition('fill="#000"')[2]):
            picture[:, int(x) : int(x) + int(wide)] = 0
    else:
        _draw_strokes(picture, svg)
    enlarged = picture.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)
    kinds = [zxingcpp.BarcodeFormat.QRCode] if "qr-picture" in svg else list(_LINEAR)
    # Aligned and alone: a reader that looks for codes anywhere now and then sees a second one in the first.
    found = zxingcpp.read_barcodes(enlarged, formats=kinds, is_pure=True)
    assert len(found) == 1, [one.text for one in found]
    return found[0].format.name.removesuffix("Std"), str(found[0].text)


def pictures_in(page: str) -> list[str]:
    """The inline pictures of codes on a page."""
    return re.findall(r'<svg[^>]*class="(?:barcode|qr)-picture".*?</svg>', page, re.S)


# Codabar, which nobody draws here, is now and then seen in a Code 39; of its kinds, six digits read as a Code 32.
_LINEAR = (zxingcpp.BarcodeFormat.Code128, zxingcpp.BarcodeFormat.Code39Std, zxingcpp.BarcodeFormat.EAN13)


def _draw_strokes(picture: numpy.ndarray, svg: str) -> None:
    """Strokes of segno, one module high."""
    path = re.findall(r' d="([^"]+)"', svg)[-1]
    x, y = 0.0, 0.0
    for command, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", path):
        if command == "h":
            picture[int(y), int(x) : int(x + float(first))] = 0
            x += float(first)
        else:
            x, y = (float(first), float(second)) if command == "M" else (x + float(first), y + float(second))
