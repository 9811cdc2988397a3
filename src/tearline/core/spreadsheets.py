"""Texts on their way into a spreadsheet.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula. Such texts, which a member
may have typed as a name, get an apostrophe before them (OWASP, CSV injection). Phone numbers, a plus and nothing
but digits, stay as they are: run, they are worth themselves.
"""

from __future__ import annotations

import re

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_PHONE_NUMBER = re.compile(r"\+[0-9]{3,15}")


def neutralised(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would run it as a formula."""
    is_harmless = not text.startswith(_FORMULA_STARTS) or _PHONE_NUMBER.fullmatch(text) is not None
    return text if is_harmless else f"'{text}"
