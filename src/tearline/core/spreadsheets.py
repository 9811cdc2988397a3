"""Texts on their way into a spreadsheet, and CSV.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula. Such texts, which a member
may have typed as a name, get an apostrophe before them (OWASP, CSV injection). Phone numbers, a plus and nothing
but digits, stay as they are: run, they are worth themselves.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

CSV_MARK = "\ufeff".encode()
"""At the beginning of a CSV file in UTF-8, so that spreadsheets recognise it."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_PHONE_NUMBER = re.compile(r"\+[0-9]{3,15}")


def neutralised(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would run it as a formula."""
    is_harmless = not text.startswith(_FORMULA_STARTS) or _PHONE_NUMBER.fullmatch(text) is not None
    return text if is_harmless else f"'{text}"


def csv_lines(rows: Iterable[Sequence[str | int]]) -> bytes:
    """Rows as a piece of a CSV file in UTF-8, their texts neutralised."""
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows(
        [neutralised(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return lines.getvalue().encode()
