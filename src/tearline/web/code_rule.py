"""What a pool's codes look like, in words and as a form: learned from a file, and confirmed by a person."""

from __future__ import annotations

from typing import Any

from tearline.core.pools import LONGEST_CODE, LONGEST_EXTRA, LONGEST_PATTERN, CodeRule
from tearline.i18n import _, translate
from tearline.web.ui.forms import Checkbox, Choice, Form, Number, Section, Text, Variant

ALPHABET_NAMES = {
    "digits": _("Digits"),
    "upper": _("Capital letters"),
    "upper_digits": _("Capital letters and digits"),
    "letters_digits": _("Capital and small letters, and digits"),
    "visible": _("Any letters, digits and signs"),
}
RULE_FIELDS = {name: f"rule.{name}" for name in ("shortest", "longest", "alphabet", "extra", "pattern")}
"""Where the rule's own names stand in the form."""


def import_form(columns: list[tuple[str, str]]) -> Form:
    """How a file is to be read, and what its codes look like.

    Args:
        columns: those that can hold the codes: number from 0, and words.
    """
    return Form(
        Section(
            _("Where the codes are"),
            Choice("column", _("Column with the codes"), choices=columns, is_open=len(columns) <= 6),
            Checkbox("has_heading", _("The first row is a heading")),
        ),
        Section(
            _("What a code looks like"),
            Variant(
                "rule",
                _("Rule"),
                kinds=[
                    (
                        "signs",
                        _("Length and characters"),
                        [
                            Number("shortest", _("Shortest"), minimum=1, maximum=LONGEST_CODE, unit=_("characters")),
                            Number("longest", _("Longest"), minimum=1, maximum=LONGEST_CODE, unit=_("characters")),
                            Choice("alphabet", _("Characters"), choices=list(ALPHABET_NAMES.items())),
                            Text("extra", _("And these signs"), is_required=False, maximum_length=LONGEST_EXTRA,
                                 help=_("Such as - or /, one after the other.")),
                        ],
                    ),
                    (
                        "pattern",
                        _("Pattern"),
                        [
                            Text("pattern", _("Pattern"), maximum_length=LONGEST_PATTERN,
                                 help=_("Such as [A-Z]{3}-[0-9]{8}: characters, sets and counts; alternatives are "
                                        "parted by |.")),
                        ],
                    ),
                ],
            ),
            note=_("Learned from the first rows. A row that does not follow it is left out and named in the outcome."),
        ),
    )  # fmt: skip


def values_of(rule: CodeRule) -> dict[str, Any]:
    """What the form shows of a rule."""
    if rule.pattern is not None:
        return {"kind": "pattern", "pattern": rule.pattern}
    names = ("shortest", "longest", "alphabet", "extra")
    return {"kind": "signs", **{name: getattr(rule, name) for name in names}}


def rule_from(values: dict[str, Any]) -> CodeRule:
    """The rule that the form's values describe."""
    if values["kind"] == "pattern":
        return CodeRule(1, LONGEST_CODE, pattern=values["pattern"])
    return CodeRule(values["shortest"], values["longest"], values["alphabet"], values["extra"] or "")


def rule_words(rule: CodeRule, language: str) -> str:
    """A rule as a sentence."""
    if rule.pattern is not None:
        return translate(language, _("Codes follow the pattern %(pattern)s."), pattern=rule.pattern)
    alphabet = translate(language, ALPHABET_NAMES[rule.alphabet])
    if rule.extra:
        alphabet = translate(
            language, _("%(alphabet)s and the signs %(signs)s"), alphabet=alphabet, signs=" ".join(rule.extra)
        )
    if rule.shortest == rule.longest:
        return translate(
            language, _("%(n)s characters: %(alphabet)s."), n=rule.shortest, alphabet=_low(alphabet)
        )
    return translate(
        language,
        _("%(least)s to %(most)s characters: %(alphabet)s."),
        least=rule.shortest,
        most=rule.longest,
        alphabet=_low(alphabet),
    )


def _low(text: str) -> str:
    return text[:1].lower() + text[1:]
