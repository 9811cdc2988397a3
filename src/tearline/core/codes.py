"""Coupon codes: 13 random characters of Crockford's base32 (65 bits) and one check character.

The check character is that of ISO 7064 mod 37,36, which notices every single mistyped character and nearly
every swap of two neighbours. Its alphabet has 36 characters; a code whose check character would be one of
I, L, O and U, which Crockford leaves out, is drawn again, so that all 14 can be read aloud and typed alike.

Randomness comes from the caller: ``draw(n)`` gives ``n`` bytes from a source that nobody can predict, such
as ``secrets.token_bytes``.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import product

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_LENGTH = 13
CODE_LENGTH = RANDOM_LENGTH + 1

_CHECK_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MODULUS = 36
_SEED = 18
_PAIR_COUNT = 32 * 32
# Seven unsigned 16-bit numbers for each code: six pairs of characters, and the thirteenth.
_DRAWN = struct.Struct("<7H")
_MAXIMUM_TYPED_LENGTH = 200
_CONFUSABLE = str.maketrans({"O": "0", "I": "1", "L": "1"})


def make_codes(count: int, draw: Callable[[int], bytes]) -> list[str]:
    """``count`` new codes; about one microsecond each, since the claim desk makes thousands a second."""
    pairs, steps, single_steps, checks = _tables()
    codes: list[str] = []
    while len(codes) < count:
        wanted = count - len(codes)
        for drawn in _DRAWN.iter_unpack(draw(_DRAWN.size * wanted)):
            state = _SEED
            code = ""
            for number in drawn[:6]:
                pair = number & 1023
                state = steps[state][pair]
                code += pairs[pair]
            last = drawn[6] & 31
            check = checks[single_steps[state][last]]
            if check:
                codes.append(code + ALPHABET[last] + check)
    return codes


def make_code(draw: Callable[[int], bytes]) -> str:
    """One new code."""
    return make_codes(1, draw)[0]


def normalise(text: str) -> str:
    """A typed code as it is stored: upper case, without spaces and hyphens, O read as 0, I and L as 1.

    Full-width characters, as a Chinese keyboard may send them, count as their plain ones. What can't be part
    of a code stays in, so that :func:`is_well_formed` notices it.
    """
    if text.isascii() and text.isalnum():  # what a scanner reads; a quick way to the same end
        return text[:_MAXIMUM_TYPED_LENGTH].upper().translate(_CONFUSABLE)
    plain = unicodedata.normalize("NFKC", text[:_MAXIMUM_TYPED_LENGTH]).upper().translate(_CONFUSABLE)
    return "".join(
        character
        for character in plain
        if not character.isspace() and unicodedata.category(character) not in ("Pd", "Cf")
    )


def is_well_formed(code: str) -> bool:
    """Whether a normalised code has the right length, characters and check character."""
    if len(code) != CODE_LENGTH or any(character not in ALPHABET for character in code):
        return False
    return _check_character(code[:RANDOM_LENGTH]) == code[RANDOM_LENGTH]


def display(code: str) -> str:
    """A stored code in groups that can be read aloud: ``ABCDE-FGHJ-KMNPQ``."""
    return f"{code[:5]}-{code[5:9]}-{code[9:]}"


def _next_state(state: int, character: str) -> int:
    return ((state or _MODULUS) * 2 % (_MODULUS + 1) + _CHECK_ALPHABET.index(character)) % _MODULUS


def _check_of_state(state: int) -> str:
    return _CHECK_ALPHABET[(1 - (state or _MODULUS) * 2 % (_MODULUS + 1)) % _MODULUS]


def _check_character(body: str) -> str:
    state = _SEED
    for character in body:
        state = _next_state(state, character)
    return _check_of_state(state)


@cache
def _tables() -> tuple[list[str], list[bytes], list[bytes], list[str]]:
    """What makes ``make_codes`` fast: pairs of characters, and where each pair leads from each state.

    Returns:
        The 1,024 pairs, for each state the next one by pair and by single character, and for each state its
        check character, empty when Crockford leaves it out.
    """
    pairs = [first + second for first, second in product(ALPHABET, repeat=2)]
    states = range(_MODULUS)
    single_steps = [bytes(_next_state(state, character) for character in ALPHABET) for state in states]
    steps = [
        bytes(single_steps[single_steps[state][index // 32]][index % 32] for index in range(_PAIR_COUNT))
        for state in states
    ]
    checks = [check if check in ALPHABET else "" for check in map(_check_of_state, states)]
    return pairs, steps, single_steps, checks
