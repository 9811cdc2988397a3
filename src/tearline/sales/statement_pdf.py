"""A partner's statement as a document to print."""

from __future__ import annotations

from collections.abc import Iterator

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from tearline.i18n import localised
from tearline.i18n.formats import major_units, minor_digits
from tearline.sales.statements import DAY_HEADINGS, Statement, Totals, head_of, headings


def as_pdf(drawn: Statement) -> bytes:
    """The statement as a document, in English: the days and the totals. The orders stand in the workbook."""
    pdf = FPDF(format="A4")
    pdf.set_title(f"Statement {drawn.merchant_code}")
    pdf.set_creator("Tearline")
    # The same document whenever it is asked for.
    pdf.set_creation_date(drawn.ends_at)
    pdf.set_margins(16, 16)
    pdf.set_auto_page_break(auto=True, margin=16)
    pdf.add_page()
    pdf.set_font("helvetica", "B", 18)
    pdf.cell(0, 10, "Statement", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_font("helvetica", "", 10)
    for label, value in head_of(drawn, "en"):
        pdf.cell(38, 6, label)
        pdf.cell(0, 6, _latin(value), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    pdf.set_font("helvetica", "", 9)
    widths = (24, 32, 46, 14, 16, 24, 24, 24)
    aligned = ("LEFT", "LEFT", "LEFT", "RIGHT", "RIGHT", "RIGHT", "RIGHT", "RIGHT")
    with pdf.table(
        col_widths=widths,
        text_align=aligned,
        headings_style=FontFace(emphasis="BOLD", fill_color=(240, 236, 228)),
        line_height=5.5,
        borders_layout="HORIZONTAL_LINES",
    ) as table:
        table.row(list(headings(DAY_HEADINGS, "en")))
        for cells in _printed(drawn):
            table.row(cells)
        table.row(
            ["Total", "", "", *_printed_totals(drawn.totals, drawn.currency)], style=FontFace(emphasis="BOLD")
        )
    return bytes(pdf.output())


def _printed(drawn: Statement) -> Iterator[list[str]]:
    for line in drawn.lines:
        name = _latin(localised(line.offer_names, "en"))
        yield [
            line.day.isoformat(),
            line.offer_code,
            name,
            *_printed_totals(line.totals, drawn.currency),
        ]


def _printed_totals(totals: Totals, currency: str) -> list[str]:
    amounts = (totals.amount, totals.commission, totals.payable)
    digits = minor_digits(currency)
    return [
        f"{totals.orders:,}",
        f"{totals.vouchers:,}",
        *(f"{major_units(value, currency):,.{digits}f}" for value in amounts),
    ]


def _latin(text: str) -> str:
    """As the document's own fonts can print it: signs beyond Latin-1 become question marks."""
    return text.encode("latin-1", "replace").decode("latin-1")
