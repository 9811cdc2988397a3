"""Pools of partner codes: what a code looks like, how it is shown, and what becomes of each row of an import.

A partner uploads its own codes for one offer. What they look like is a rule, learned from the first rows and
confirmed by a person; it catches what spreadsheets do to codes, which would otherwise be found at the
partner's scanner.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


LONGEST_CODE = 64
MOST_ROWS = 2_000_000
"""Rows in one import at the most."""
SAMPLE_ROWS = 1_000
"""From how many rows a rule is learned."""
HIGHEST_LOW_STOCK = 10**9

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


PROBLEMS: Mapping[str, str] = {
    "empty": _("There is no code in this row."),
    "exponent": _(
        "A spreadsheet made a number of this code, such as 4.91111E+19, and most of its digits are lost. Format the"
        " column as text before the codes go into it, or use the template."
    ),
    "digits_lost": _(
        "A spreadsheet keeps 15 digits of a number: the others have become zeros. Format the column as text before"
        " the codes go into it, or use the template."
    ),
    "zeros_lost": _(
        "This is shorter than the other codes and has digits only: a spreadsheet has probably dropped the zeros that"
        " it began with. Format the column as text before the codes go into it, or use the template."
    ),
    "separators": _("A spreadsheet has put thousands separators into this code."),
    "decimals": _("A spreadsheet made a number of this code and has put decimals behind it."),
    "number": _(
        "This cell holds a number and not a text, so that zeros at its beginning would be lost. Format the column as"
        " text before the codes go into it, or use the template."
    ),
    "not_text": _(
        "This cell holds a date or a truth value and not a text: a spreadsheet has changed the code."
    ),
    "formula": _("This is a formula or an error of a spreadsheet, not a code."),
    "characters": _("This has characters that the pool's codes do not have."),
    "too_short": _("This is shorter than the pool's codes."),
    "too_long": _("This is longer than the pool's codes."),
    "pattern": _("This does not match the pool's pattern."),
}
"""Why a row is no code, by key: what the outcome keeps, and its English sentence."""

LONGEST_EXTRA = 10
LONGEST_PATTERN = 200
SPREADSHEET_DIGITS = 15
"""Digits of a number that a spreadsheet keeps."""

_SHARE_OF_ONE_LENGTH = 0.85
_SHARE_OF_A_LENGTH = 0.01
_SHARE_OF_ALPHABET = 0.98
_SHARE_OF_EXTRA = 0.5

# What a spreadsheet makes of a code. None of these can be told from a code if the codes may look like that, so a
# rule with a pattern of its own accepts them.
_EXPONENT = r"[+-]?[0-9][.,][0-9]+[Ee][+-]?[0-9]{1,3}"
_DIGITS_LOST = r"[0-9]{15}0+"
_SEPARATORS = r"[0-9]{1,3}(?:[,.' \u00a0\u202f][0-9]{3}){2,}(?:[.,]0+)?"
_DECIMALS = r"[0-9]+[.,]0+"
_FORMULA = r"[=@].*|#(?:NAME\?|REF!|VALUE!|DIV/0!|N/A|NUM!|NULL!|SPILL!|#+)"
_TRAPS = {
    "exponent": re.compile(_EXPONENT + r"|[0-9]+[Ee]\+[0-9]{1,3}"),
    "digits_lost": re.compile(_DIGITS_LOST),
    "decimals": re.compile(_DECIMALS),
    "separators": re.compile(_SEPARATORS + r"|[0-9]{1,3}(?:[,.][0-9]{3})+"),
    "formula": re.compile(_FORMULA),
}
# Those that are refused even where the alphabet would allow them, and a sign that each of them has.
_ALWAYS_TRAPS = ((_EXPONENT, ".,"), (_DECIMALS, ".,"), (_SEPARATORS, ",.'"))

# One character and how often; neither groups nor open ends, so that no pattern can run away.
_ATOM = r"(?:\\[dw]|\\[^0-9A-Za-z\s]|\[\^?(?:\\[dw]|\\[^0-9A-Za-z\s]|[^\\\[\]])+\]|\.|[^\\.^$*+?{}()|\[\]\s])"
_TIMES = r"(?:\{[0-9]{1,2}(?:,[0-9]{1,2})?\}|\?)"
_BRANCH = re.compile(f"(?:{_ATOM}{_TIMES}?)+")
_RANGE = re.compile(r"(?<!\\)\{[0-9]+,[0-9]+\}")
_OPTION = re.compile(r"(?<!\\)\?")
_MOST_BRANCHES = 8
_MOST_RANGES = 2
_MOST_OPTIONS = 3


def can_have_pool(merchant_id: UUID | None, issued: int, state: str, *, is_automatic: bool) -> bool:
    """Whether an offer that has no pool can still be given one.

    It is one merchant's, nothing of it was issued yet, and it does not apply by itself, without any codes.
    """
    return merchant_id is not None and issued == 0 and state != "archived" and not is_automatic


def check_pool(symbology: str, low_stock: int | None) -> dict[str, str]:
    """What is wrong with how a pool's codes are shown, and with when staff are warned: field to English sentence."""
    problems: dict[str, str] = {}
    if symbology not in SYMBOLOGIES:
        problems["symbology"] = _("Choose one of the ways of showing a code.")
    if low_stock is not None and not 1 <= low_stock <= HIGHEST_LOW_STOCK:
        problems["low_stock"] = _("Give a whole number above zero.")
    return problems


def check_rule(rule: CodeRule) -> dict[str, str]:
    """What is wrong with a rule: field to English sentence; empty when all is well."""
    problems: dict[str, str] = {}
    if rule.pattern is not None:
        if not _is_pattern(rule.pattern):
            problems["pattern"] = _(
                "Write a pattern of characters, sets such as [A-Z0-9] and counts such as {20}; alternatives are"
                " parted by |. Groups, * and + are not possible, and two counts may be ranges such as {8,12}."
            )
        return problems
    if not 1 <= rule.shortest <= LONGEST_CODE:
        problems["shortest"] = _("A code has between 1 and 64 characters.")
    if not 1 <= rule.longest <= LONGEST_CODE:
        problems["longest"] = _("A code has between 1 and 64 characters.")
    elif rule.longest < rule.shortest:
        problems["longest"] = _("This is below the shortest length.")
    if rule.alphabet not in ALPHABETS:
        problems["alphabet"] = _("Choose one of the alphabets.")
    if len(rule.extra) > LONGEST_EXTRA or not all(_is_extra(one) for one in rule.extra):
        problems["extra"] = _("Give up to 10 signs, such as - or /, without blanks.")
    return problems


def _is_pattern(pattern: str) -> bool:
    branches = re.split(r"(?<!\\)\|", pattern)
    if len(pattern) > LONGEST_PATTERN or len(branches) > _MOST_BRANCHES:
        return False
    if not all(
        _BRANCH.fullmatch(one)
        and one.isprintable()
        and len(_RANGE.findall(one)) <= _MOST_RANGES
        and len(_OPTION.findall(one)) <= _MOST_OPTIONS
        for one in branches
    ):
        return False
    try:
        re.compile(pattern, re.ASCII)
    except re.error:
        return False
    return True


def _is_extra(character: str) -> bool:
    return "!" <= character <= "~" and not character.isalnum()


@lru_cache(maxsize=64)
def compiled(rule: CodeRule) -> re.Pattern[str]:
    """The rule as one regular expression, to be matched with ``fullmatch``: what does match has no problem.

    The rule must be one that ``check_rule`` has nothing against.
    """
    if rule.pattern is not None:
        # Visible characters only, and no more than are stored, whatever the pattern says.
        return re.compile(f"(?=[!-~]{{1,{LONGEST_CODE}}}\\Z)(?:{rule.pattern})", re.ASCII)
    signs = rule.extra if rule.alphabet != "visible" else ".,'"
    traps = [trap for trap, needed in _ALWAYS_TRAPS if any(sign in needed for sign in signs)]
    if rule.longest > SPREADSHEET_DIGITS:
        traps.append(_DIGITS_LOST)
    refused = f"(?!(?:{'|'.join(traps)})\\Z)" if traps else ""
    return re.compile(f"{refused}[{_class_of(rule)}]{{{rule.shortest},{rule.longest}}}")


def _class_of(rule: CodeRule) -> str:
    return ALPHABETS[rule.alphabet] + "".join(f"\\{character}" for character in rule.extra)


def problem_of(code: str, rule: CodeRule) -> str | None:
    """Why this is no code by the rule: a key of ``PROBLEMS``, or None when it is one.

    What a spreadsheet does to codes is told apart first, because it needs another remedy: the file is at
    fault, not the code.
    """
    if not code:
        return "empty"
    if compiled(rule).fullmatch(code):
        return None
    for key, trap in _TRAPS.items():
        if trap.fullmatch(code):
            return key
    if rule.pattern is not None:
        return "pattern" if len(code) <= LONGEST_CODE else "too_long"
    if len(code) < rule.shortest and code.isascii() and code.isdigit():
        return "zeros_lost"
    if not re.fullmatch(f"[{_class_of(rule)}]*", code):
        return "characters"
    return "too_short" if len(code) < rule.shortest else "too_long"


def are_zeros_by_chance(found: int, codes: int, length: int, rule: CodeRule) -> bool:
    """Whether codes of digits that end in zeros after the 15th may well be what they seem.

    Among a million codes of 20 digits there are ten such by chance; when a spreadsheet was at work, all are.

    Args:
        found: codes of so many digits that are zeros from the 16th on.
        codes: all codes in the file.
        length: their number of digits.
    """
    if rule.alphabet != "digits" or rule.extra or not rule.shortest <= length <= rule.longest:
        return False
    expected = codes / 10.0 ** (length - SPREADSHEET_DIGITS)
    return found <= expected + 4 * math.sqrt(expected)


def learn_rule(codes: Sequence[str]) -> CodeRule:
    """What these codes look like, some broken ones among them notwithstanding; a person is to confirm it.

    Args:
        codes: a sample, without blanks around.
    """
    usable = [code for code in codes if code and not any(trap.fullmatch(code) for trap in _TRAPS.values())]
    usable = usable or [code for code in codes if code]
    if not usable:
        return CodeRule(1, LONGEST_CODE)
    alphabet, extra = _learned_alphabet(usable)
    letters = re.compile(f"[{_class_of(CodeRule(1, 1, alphabet, extra))}]+")
    lengths = Counter(min(len(code), LONGEST_CODE) for code in usable if letters.fullmatch(code))
    shortest, longest = _learned_lengths(lengths or Counter(min(len(code), LONGEST_CODE) for code in usable))
    return CodeRule(shortest, longest, alphabet, extra)


def _learned_alphabet(codes: Sequence[str]) -> tuple[str, str]:
    """The narrowest alphabet that nearly all are written in, and the signs that most have besides."""
    signs = Counter(sign for code in codes for sign in {one for one in code if _is_extra(one)})
    common = [sign for sign, count in signs.most_common(3) if count >= _SHARE_OF_EXTRA * len(codes)]
    extra = "".join(sorted(common))
    for alphabet in ALPHABETS:
        written = re.compile(f"[{_class_of(CodeRule(1, 1, alphabet, extra))}]+")
        if sum(written.fullmatch(code) is not None for code in codes) >= _SHARE_OF_ALPHABET * len(codes):
            return (alphabet, extra if alphabet != "visible" else "")
    return "visible", ""


def _learned_lengths(lengths: Counter[int]) -> tuple[int, int]:
    """One length when nearly all have it; else from the shortest to the longest, oddities left out."""
    total = lengths.total()
    length, count = lengths.most_common(1)[0]
    if count >= _SHARE_OF_ONE_LENGTH * total:
        return length, length
    usual = [length for length, count in lengths.items() if count >= _SHARE_OF_A_LENGTH * total]
    return (min(usual), max(usual)) if usual else (min(lengths), max(lengths))
