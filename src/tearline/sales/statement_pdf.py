"""A partner's statement as a document to print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from tearline.i18n import _, localised, translate
from tearline.i18n.formats import major_units, minor_digits
from tearline.sales.statements import DAY_HEADINGS, Statement, Totals, head_of, headings

_FONTS = Path(__file__).parents[1] / "fonts"
_FIRST_CHINESE = 0x2E80
"""From here on the characters are ideographs and what goes with them."""


def as_pdf(drawn: Statement, language: str) -> bytes:
    """The statement as a document: the days and the totals. The orders stand in the workbook."""
    title = translate(language, _("Statement"))
    pdf = FPDF(format="A4")
    pdf.add_font("thai", "", _FONTS / "NotoSansThai_400Regular.ttf")
    pdf.add_font("thai", "B", _FONTS / "NotoSansThai_700Bold.ttf")
    # The marks of Thai stand above one another, where shaping puts them.
    pdf.set_text_shaping(use_shaping_engine=True)
    pdf.set_title(f"{title} {drawn.merchant_code}")
    pdf.set_creator("Tearline")
    # The same document whenever it is asked for.
    pdf.set_creation_date(drawn.ends_at)
    pdf.set_margins(16, 16)
    pdf.set_auto_page_break(auto=True, margin=16)
    pdf.add_page()
    pdf.set_font(*_font(pdf, title, "B"), 18)
    pdf.cell(0, 10, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for label, value in head_of(drawn, language):
        pdf.set_font(*_font(pdf, label), 10)
        pdf.cell(38, 6, label)
        pdf.set_font(*_font(pdf, value), 10)
        pdf.multi_cell(0, 6, value, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    pdf.set_font("thai", "", 8)
    with pdf.table(
        col_widths=(20, 28, 40, 18, 21, 24, 26, 27),
        text_align=("LEFT", "LEFT", "LEFT", "RIGHT", "RIGHT", "RIGHT", "RIGHT", "RIGHT"),
        headings_style=FontFace(fill_color=(240, 236, 228)),
        line_height=5.5,
        borders_layout="HORIZONTAL_LINES",
    ) as table:

        def add_row(cells: Iterable[str], emphasis: str = "") -> None:
            row = table.row()
            for text in cells:
                row.cell(text, style=FontFace(*_font(pdf, text, emphasis)))

        add_row(headings(DAY_HEADINGS, language), "B")
        for cells in _printed(drawn, language):
            add_row(cells)
        total = translate(language, _("Total"))
        add_row([total, "", "", *_printed_totals(drawn.totals, drawn.currency)], "B")
    return bytes(pdf.output())


def _font(pdf: FPDF, text: str, emphasis: str = "") -> tuple[str, str]:
    """Family and style that a text is set in; fpdf2's own falling back loses its place (its issue 1772)."""
    if not any(ord(character) >= _FIRST_CHINESE for character in text):
        # It has Latin letters, too.
        return "thai", emphasis
    # Thirty thousand characters are slow to read: only where there is something to set in them, and in one weight.
    if "chinese" not in pdf.fonts:
        pdf.add_font("chinese", "", _FONTS / "NotoSansSC_400Regular.ttf")
    return "chinese", ""


def _printed(drawn: Statement, language: str) -> Iterator[tuple[str, ...]]:
    for line in drawn.lines:
        name = localised(line.offer_names, language)
        yield line.day.isoformat(), line.offer_code, name, *_printed_totals(line.totals, drawn.currency)


def _printed_totals(totals: Totals, currency: str) -> list[str]:
    amounts = (totals.amount, totals.commission, totals.payable)
    digits = minor_digits(currency)
    return [
        f"{totals.orders:,}",
        f"{totals.vouchers:,}",
        *(f"{major_units(value, currency):,.{digits}f}" for value in amounts),
    ]
