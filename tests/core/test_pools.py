"""What partner codes look like: rules that are learned, what spreadsheets do to codes, patterns that can't run away."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tearline.core.pools import (
    ALPHABETS,
    LONGEST_CODE,
    PROBLEMS,
    CodeRule,
    are_zeros_by_chance,
    check_rule,
    compiled,
    learn_rule,
    problem_of,
)

REFERENCE = "491111E1311415BAA466"
RULE = CodeRule(20, 20, "upper_digits")
DIGITS = CodeRule(20, 20, "digits")

lengths = st.integers(6, LONGEST_CODE)
alphabets = st.sampled_from(["digits", "upper", "upper_digits", "letters_digits"])


@st.composite
def code_lists(draw: st.DrawFn) -> tuple[str, int, list[str]]:
    """An alphabet, a length, and codes that use all of the alphabet between them."""
    alphabet, length = draw(alphabets), draw(st.integers(6, 30))
    characters = [chr(one) for one in range(33, 127) if re.fullmatch(f"[{ALPHABETS[alphabet]}]", chr(one))]
    seed = random.Random(draw(st.integers(0, 2**32)))
    codes = ["".join(seed.choices(characters, k=length)) for _ in range(200)]
    return alphabet, length, codes


@given(code_lists())
def test_a_rule_is_learned_from_codes_of_one_form(made: tuple[str, int, list[str]]) -> None:
    alphabet, length, codes = made
    rule = learn_rule(codes)
    assert (rule.shortest, rule.longest, rule.alphabet, rule.extra) == (length, length, alphabet, "")
    assert check_rule(rule) == {}
    wrong = {problem_of(code, rule) for code in codes} - {None}
    assert wrong <= {"digits_lost"}


@given(code_lists(), st.sampled_from(["4.91111E+19", "1,234,567", "=SUM(A1)", "#NAME?", "12345.0"]))
def test_a_few_broken_rows_do_not_spoil_the_rule(made: tuple[str, int, list[str]], broken: str) -> None:
    alphabet, length, codes = made
    rule = learn_rule([*codes, *[broken] * 30])
    assert (rule.shortest, rule.longest, rule.alphabet) == (length, length, alphabet)
    assert problem_of(broken, rule) in ("exponent", "separators", "formula", "decimals")


def test_signs_that_most_codes_have_belong_to_the_rule() -> None:
    rule = learn_rule([f"VIP-{number:04d}/{number % 7}" for number in range(500)])
    assert rule == CodeRule(10, 10, "upper_digits", "-/")
    assert problem_of("VIP-0001/1", rule) is None
    assert problem_of("VIP_0001/1", rule) == "characters"


def test_codes_of_several_lengths() -> None:
    codes = [f"AB{number:0{2 + number % 3}d}" for number in range(10, 90)]
    assert learn_rule(codes) == CodeRule(4, 6, "upper_digits")


def test_lost_zeros_do_not_widen_the_rule() -> None:
    """One code in ten begins with a zero, and one in a hundred with two."""
    generator = random.Random(1)
    lossy = [str(generator.randrange(10**12)) for _ in range(1000)]
    rule = learn_rule(lossy)
    assert rule == CodeRule(12, 12, "digits")
    assert {problem_of(code, rule) for code in lossy if len(code) < 12} == {"zeros_lost"}


def test_nothing_to_learn_from() -> None:
    assert learn_rule([]) == CodeRule(1, LONGEST_CODE)
    assert learn_rule(["", ""]) == CodeRule(1, LONGEST_CODE)
    only_broken = ["4.91111E+19"] * 3
    assert problem_of(only_broken[0], learn_rule(only_broken)) == "exponent"


@pytest.mark.parametrize(
    ("code", "rule", "problem"),
    [
        (REFERENCE, RULE, None),
        ("", RULE, "empty"),
        ("4.91111E+19", RULE, "exponent"),
        ("4,91111E+19", RULE, "exponent"),
        ("4.91111e+19", RULE, "exponent"),
        ("5E+19", RULE, "exponent"),
        ("49111113114150000000", RULE, "digits_lost"),
        ("49111113114150000000", DIGITS, "digits_lost"),
        ("49111113114150000001", DIGITS, None),
        ("4911", RULE, "zeros_lost"),
        ("4911", DIGITS, "zeros_lost"),
        ("491,111,131,141,500", RULE, "separators"),
        ("491 111 131", RULE, "separators"),
        ("491'111'131", RULE, "separators"),
        ("4911111311415.0", RULE, "decimals"),
        ("4911111311415,00", RULE, "decimals"),
        ("=A1", RULE, "formula"),
        ("#REF!", RULE, "formula"),
        ("########", RULE, "formula"),
        (REFERENCE[:-1], RULE, "too_short"),
        (REFERENCE + "A", RULE, "too_long"),
        (REFERENCE.lower(), RULE, "characters"),
        ("４９１１１１E1311415BAA466", RULE, "characters"),
        (REFERENCE[:-1] + "\n", RULE, "characters"),
        (REFERENCE + "\n", RULE, "characters"),
        # What the alphabet would allow is a trap all the same …
        ("4.91111E+19", CodeRule(1, 64, "visible"), "exponent"),
        ("1,234,567", CodeRule(1, 64, "visible"), "separators"),
        ("1234.00", CodeRule(1, 64, "digits", "."), "decimals"),
        ("1234.50", CodeRule(1, 64, "digits", "."), None),
        # … unless somebody has said how codes look.
        ("4.91111E+19", CodeRule(1, 64, pattern=r"[0-9.]{7}E\+[0-9]{2}"), None),
        ("4.91111E+1", CodeRule(1, 64, pattern=r"[0-9.]{7}E\+[0-9]{2}"), "exponent"),
        ("ABC", CodeRule(1, 64, pattern="[A-C]{4}"), "pattern"),
        ("A" * 65, CodeRule(1, 64, pattern=r"[A-C]{60,70}"), "too_long"),
        ("A B", CodeRule(1, 64, pattern=r"A.B"), "pattern"),
        # An exponent that is a code like any other.
        ("491111E13114", CodeRule(12, 12, "upper_digits"), None),
    ],
)
def test_problems(code: str, rule: CodeRule, problem: str | None) -> None:
    assert check_rule(rule) == {}
    assert problem_of(code, rule) == problem
    assert problem is None or problem in PROBLEMS


@given(
    st.text(st.characters(max_codepoint=127) | st.sampled_from("059AZaz"), max_size=20),
    st.builds(CodeRule, st.integers(1, 8), st.integers(8, 16), st.sampled_from([*ALPHABETS])),
)
def test_what_the_expression_matches_has_no_problem_and_nothing_else(code: str, rule: CodeRule) -> None:
    problem = problem_of(code, rule)
    assert (problem is None) == (compiled(rule).fullmatch(code) is not None)
    is_long_enough, is_short_enough = len(code) >= rule.shortest, len(code) <= rule.longest
    is_written_so = all(re.fullmatch(f"[{ALPHABETS[rule.alphabet]}]", one) for one in code)
    if problem is None:
        assert is_long_enough and is_short_enough and is_written_so
    elif problem in ("characters", "too_short", "too_long"):
        assert not (is_long_enough and is_short_enough and is_written_so)


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (CodeRule(0, 20), "shortest"),
        (CodeRule(21, 20), "longest"),
        (CodeRule(1, 65), "longest"),
        (CodeRule(1, 20, "runes"), "alphabet"),
        (CodeRule(1, 20, "digits", "-" * 11), "extra"),
        (CodeRule(1, 20, "digits", " "), "extra"),
        (CodeRule(1, 20, "digits", "A"), "extra"),
        (CodeRule(1, 20, pattern=""), "pattern"),
        (CodeRule(1, 20, pattern="(a+)+"), "pattern"),
        (CodeRule(1, 20, pattern="[A-Z]*"), "pattern"),
        (CodeRule(1, 20, pattern="[A-Z]+"), "pattern"),
        (CodeRule(1, 20, pattern="[Z-A]"), "pattern"),
        (CodeRule(1, 20, pattern="A{2}{3}"), "pattern"),
        (CodeRule(1, 20, pattern="A|"), "pattern"),
        (CodeRule(1, 20, pattern="a?b?c?d?"), "pattern"),
        (CodeRule(1, 20, pattern=r"\1"), "pattern"),
        (CodeRule(1, 20, pattern="^A$"), "pattern"),
        (CodeRule(1, 20, pattern="A" * 201), "pattern"),
        (CodeRule(1, 20, pattern="|".join("A" * 9)), "pattern"),
    ],
)
def test_rules_that_make_no_sense(rule: CodeRule, field: str) -> None:
    assert set(check_rule(rule)) == {field}


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        (r"[A-Z0-9]{20}", REFERENCE),
        (r"VIP-\d{8}|STD-\d{6}", "STD-123456"),
        (r"\[\d{3}\]\|x", "[123]|x"),
        (r"[^0-9]{2,4}-?\d{1,3}", "AB-12"),
        (r".{5}", "a+b=c"),
    ],
)
def test_patterns_that_do(pattern: str, code: str) -> None:
    rule = CodeRule(1, 1, pattern=pattern)
    assert check_rule(rule) == {}
    assert problem_of(code, rule) is None


@settings(max_examples=300)
@given(st.text("A[]{}0,9?|.\\d^-*+()", max_size=40))
def test_no_accepted_pattern_runs_away(pattern: str) -> None:
    rule = CodeRule(1, 1, pattern=pattern)
    if check_rule(rule):
        return
    started = time.process_time()
    problem_of("A" * 63 + "!", rule)
    problem_of("9" * 63 + "!", rule)
    assert time.process_time() - started < 0.1


def test_zeros_by_chance_and_zeros_by_a_spreadsheet() -> None:
    generator = random.Random(2)
    codes = [f"{generator.randrange(10**17):017d}" for _ in range(20_000)]
    rule = CodeRule(17, 17, "digits")
    found = sum(problem_of(code, rule) == "digits_lost" for code in codes)
    assert found > 100
    assert are_zeros_by_chance(found, len(codes), 17, rule)
    assert not are_zeros_by_chance(len(codes), len(codes), 17, rule)
    assert not are_zeros_by_chance(1, 1000, 20, CodeRule(20, 20, "digits"))
    assert are_zeros_by_chance(12, 1_000_000, 20, CodeRule(20, 20, "digits"))
    # With letters in the alphabet, digits alone and then zeros are no chance at all.
    assert not are_zeros_by_chance(1, 1_000_000, 20, RULE)
