"""A paper as a document to print, in any of the four languages. Import it late: it takes half a second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from tearline.i18n import translate
from tearline.i18n.formats import major_units, minor_digits
from tearline.sales.papers import Amount, Cell, Paper, Table, headings

_FONTS = Path(__file__).parents[1] / "fonts"
_FIRST_CHINESE = "\u2e80"
"""From here on the characters are ideographs and what goes with them."""
_THAI = re.compile("[\u0e01-\u0e5b]")


def as_pdf(paper: Paper, tables: Sequence[Table]) -> bytes:
    """The paper's head and some tables; of several, each has its heading."""
    title = translate(paper.language, paper.title)
    tables = [replace(table, rows=tuple(table.rows)) for table in tables]
    pdf = FPDF(format="A4")
    pdf.add_font("thai", "", _FONTS / "NotoSansThai_400Regular.ttf")
    pdf.add_font("thai", "B", _FONTS / "NotoSansThai_700Bold.ttf")
    # The marks of Thai stand above one another, where shaping puts them. It loses text where a font falls back on
    # another, though (fpdf2's issue 1772), and marks that lie a little close are better than a name without its end.
    is_mixed = any(_is_mixed(text) for text in _texts(paper, tables))
    pdf.set_text_shaping(use_shaping_engine=not is_mixed)
    if is_mixed:
        pdf.set_fallback_fonts(["thai"], exact_match=False)
    pdf.set_title(f"{title} {paper.subject}")
    pdf.set_creator("Tearline")
    # The same document whenever it is asked for.
    pdf.set_creation_date(paper.dated)
    pdf.set_margins(16, 16)
    pdf.set_auto_page_break(auto=True, margin=16)
    pdf.add_page()
    pdf.set_font(*_font(pdf, title, "B"), 18)
    pdf.cell(0, 10, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for label, value in paper.head:
        pdf.set_font(*_font(pdf, label), 10)
        pdf.cell(38, 6, label)
        pdf.set_font(*_font(pdf, value), 10)
        pdf.multi_cell(0, 6, value, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for table in tables:
        pdf.ln(4)
        if len(tables) > 1:
            name = translate(paper.language, table.name)
            pdf.set_font(*_font(pdf, name, "B"), 12)
            pdf.cell(0, 8, name, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        _draw(pdf, paper, table)
    return bytes(pdf.output())


def _draw(pdf: FPDF, paper: Paper, table: Table) -> None:
    pdf.set_font("thai", "", 8)
    with pdf.table(
        col_widths=tuple(column.share for column in table.columns),
        text_align=tuple("RIGHT" if column.is_number else "LEFT" for column in table.columns),
        headings_style=FontFace(fill_color=(240, 236, 228)),
        line_height=5.5,
        borders_layout="HORIZONTAL_LINES",
    ) as drawn:

        def add_row(cells: Sequence[Cell], emphasis: str = "") -> None:
            row = drawn.row()
            for cell in cells:
                text = _printed(cell, paper)
                row.cell(text, style=FontFace(*_font(pdf, text, emphasis)))

        add_row(list(headings(table.columns, paper.language)), "B")
        for cells in table.rows:
            add_row(cells)
        if table.total is not None:
            add_row(table.total, "B")


def _texts(paper: Paper, tables: Sequence[Table]) -> Iterator[str]:
    """What people wrote into the paper: names, in whatever language."""
    for _label, value in paper.head:
        yield value
    for table in tables:
        for cells in table.rows:
            yield from (cell for cell in cells if isinstance(cell, str))


def _is_chinese(text: str) -> bool:
    return any(character >= _FIRST_CHINESE for character in text)


def _is_mixed(text: str) -> bool:
    """Whether no single font has all of the text."""
    return _is_chinese(text) and _THAI.search(text) is not None


def _font(pdf: FPDF, text: str, emphasis: str = "") -> tuple[str, str]:
    """Family and style that a text is set in."""
    if not _is_chinese(text):
        # It has Latin letters, too.
        return "thai", emphasis
    # Thirty thousand characters are slow to read: only where there is something to set in them, and in one weight.
    if "chinese" not in pdf.fonts:
        pdf.add_font("chinese", "", _FONTS / "NotoSansSC_400Regular.ttf")
    return "chinese", ""


def _printed(cell: Cell, paper: Paper) -> str:
    match cell:
        case None:
            return ""
        case Amount():
            digits = minor_digits(paper.currency)
            return f"{major_units(cell.minor_units, paper.currency):,.{digits}f}"
        case datetime():
            return f"{cell.astimezone(ZoneInfo(paper.time_zone)):%Y-%m-%d %H:%M}"
        case date():
            return cell.isoformat()
        case int():
            return f"{cell:,}"
    return cell
