"""Pools of partner codes: what a code looks like, what becomes of each row of an import, and a code's states.

A partner uploads its own codes for one offer. What they look like is a rule, learned from the first rows and
confirmed by a person; it catches what spreadsheets do to codes, which would otherwise be found at the
partner's scanner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


LONGEST_CODE = 64
MOST_ROWS = 2_000_000
"""Rows in one import at the most."""
SAMPLE_ROWS = 1_000
"""From how many rows a rule is learned."""

STATES = ("available", "reserved", "sold", "withdrawn", "void")
TRANSITIONS: Mapping[str, frozenset[str]] = {
    "available": frozenset({"reserved", "withdrawn", "void"}),
    "reserved": frozenset({"available", "sold"}),
    "sold": frozenset({"void"}),
    "withdrawn": frozenset(),
    "void": frozenset(),
}
"""To which states a partner's code can go from each. What was handed back or voided stays so."""

SYMBOLOGIES = ("text", "qr", "code128", "code39", "ean13")
"""How a partner's scanner reads the code; ``text`` for reading it aloud or typing it."""

OUTCOMES = ("added", "duplicate", "held", "invalid")
"""What becomes of a row: ``duplicate`` of an earlier row of the file, ``held`` by this partner's pools already."""

ALPHABETS: Mapping[str, str] = {
    "digits": "0-9",
    "upper": "A-Z",
    "upper_digits": "0-9A-Z",
    "letters_digits": "0-9A-Za-z",
    "visible": "!-~",
}
"""Sets of characters, each as the inside of a regular expression's class; the narrowest come first."""


@dataclass(frozen=True, slots=True)
class CodeRule:
    """What a pool's codes look like.

    Attributes:
        shortest, longest: in characters.
        alphabet: a key of ``ALPHABETS``.
        extra: characters besides the alphabet's, such as ``-``.
        pattern: a regular expression that the whole code matches, in place of all the others; or None.
    """

    shortest: int
    longest: int
    alphabet: str = "visible"
    extra: str = ""
    pattern: str | None = None
