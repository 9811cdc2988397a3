"""Signed tokens: only what was sealed with a known key for this purpose opens."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.sealing import Seal, TextSeal

PAYLOAD = Struct(">16sIQ")
VALUES = (b"sixteen bytes ok", 7, 2**63)
OLD_KEY, NEW_KEY, STRANGE_KEY = b"o" * 32, b"n" * 32, b"s" * 32
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def seal(*keys: bytes, version: str = "x1", purpose: bytes = b"a purpose", payload: Struct = PAYLOAD) -> Seal:
    return Seal(version, purpose, keys or (NEW_KEY,), payload)


SEAL = seal()
TOKEN = SEAL.sealed(*VALUES)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_what_was_sealed_opens(name: bytes, number: int, large: int) -> None:
    assert SEAL.opened(SEAL.sealed(name, number, large)) == (name, number, large)


@pytest.mark.parametrize("form", [">B", ">H", ">3s", ">16s", ">16sI", ">16sIQ", ">16sIq16sQQ"])
def test_payloads_of_any_length_open(form: str) -> None:
    payload = Struct(form)
    values = payload.unpack(bytes(range(payload.size)))
    one = seal(payload=payload)
    assert one.opened(one.sealed(*values)) == values


def test_no_character_can_be_changed() -> None:
    for position, character in enumerate(TOKEN):
        for other in ALPHABET + ".=+/ é":
            if other != character:
                assert SEAL.opened(TOKEN[:position] + other + TOKEN[position + 1 :]) is None


def test_nothing_can_be_cut_off_put_on_or_moved() -> None:
    for length in range(len(TOKEN)):
        assert SEAL.opened(TOKEN[:length]) is None
        assert SEAL.opened(TOKEN[length + 1 :]) is None
    for more in ("A", "=", ".", " ", "\n", "\0", TOKEN):
        assert SEAL.opened(TOKEN + more) is None
        assert SEAL.opened(more + TOKEN) is None
    parts = TOKEN.split(".")
    for index in range(1, 4):
        assert SEAL.opened(".".join(parts[index:] + parts[:index])) is None


def test_the_second_writing_of_a_character_is_not_taken() -> None:
    """The last character of a signature has bits that decode to nothing: they must be zero all the same."""
    last = ALPHABET.index(TOKEN[-1])
    for other in range(last + 1, last + 4):
        alike = TOKEN[:-1] + ALPHABET[other]
        assert urlsafe_b64decode(alike.split(".")[3] + "=") == urlsafe_b64decode(TOKEN.split(".")[3] + "=")
        assert SEAL.opened(alike) is None


@given(st.text(max_size=120) | st.text(ALPHABET + ".", min_size=len(TOKEN), max_size=len(TOKEN)))
def test_anything_at_all_can_be_brought(token: str) -> None:
    assert SEAL.opened(token) is None


def test_a_payload_of_ones_own_needs_a_signature() -> None:
    version, key_id, payload, signature = TOKEN.split(".")
    own = urlsafe_b64encode(PAYLOAD.pack(VALUES[0], 8, VALUES[2])).rstrip(b"=").decode()
    assert len(own) == len(payload)
    assert SEAL.opened(f"{version}.{key_id}.{own}.{signature}") is None
    # A signature of one payload under another, both ours.
    other = SEAL.sealed(VALUES[0], 8, VALUES[2]).split(".")
    assert SEAL.opened(f"{version}.{key_id}.{payload}.{other[3]}") is None


def test_another_purpose_or_version_does_not_open_it() -> None:
    assert seal(purpose=b"another purpose").opened(TOKEN) is None
    assert seal(version="x2").opened(TOKEN) is None
    assert SEAL.opened("x1" + seal(version="x2").sealed(*VALUES)[2:]) is None
    assert seal(purpose=b"another purpose").sealed(*VALUES).split(".")[1] != TOKEN.split(".")[1]
    # Even with the key id of the right purpose.
    version, key_id, *_ = TOKEN.split(".")
    _, _, payload, signature = seal(purpose=b"another purpose").sealed(*VALUES).split(".")
    assert SEAL.opened(f"{version}.{key_id}.{payload}.{signature}") is None


def test_keys_rotate_and_are_dropped() -> None:
    old = seal(OLD_KEY).sealed(*VALUES)
    rotated = seal(NEW_KEY, OLD_KEY)
    assert rotated.opened(old) == VALUES
    assert rotated.sealed(*VALUES) == TOKEN
    assert seal(OLD_KEY).opened(TOKEN) is None
    assert seal(NEW_KEY).opened(old) is None
    assert seal(STRANGE_KEY).opened(TOKEN) is None
    # The id of a known key does not make another key's signature good.
    assert (
        SEAL.opened(".".join([*TOKEN.split(".")[:2], *seal(STRANGE_KEY).sealed(*VALUES).split(".")[2:]]))
        is None
    )


def test_the_key_cannot_be_read_from_its_id() -> None:
    key_id = TOKEN.split(".")[1]
    assert len(key_id) == 8
    assert key_id not in (urlsafe_b64encode(NEW_KEY[:6]).decode(), NEW_KEY[:8].decode())


@pytest.mark.parametrize("keys", [(), (b"too short",), (NEW_KEY, b"k" * 31)])
def test_weak_keys_are_refused(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Seal("x1", b"a purpose", keys, PAYLOAD)


def text_seal(*keys: bytes, version: str = "c1", purpose: bytes = b"a cart", most: int = 200) -> TextSeal:
    return TextSeal(version, purpose, keys or (NEW_KEY,), most)


@given(data=st.binary(max_size=60))
def test_texts_come_back_as_they_were(data: bytes) -> None:
    token = text_seal().sealed(data)
    assert token is not None
    assert text_seal(NEW_KEY, OLD_KEY).opened(token) == data
    assert text_seal(OLD_KEY, NEW_KEY).opened(token) == data


@given(data=st.binary(min_size=1, max_size=60), place=st.integers(min_value=0), character=st.characters())
def test_texts_that_were_changed_do_not_open(data: bytes, place: int, character: str) -> None:
    token = text_seal().sealed(data) or ""
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    assert changed == token or text_seal().opened(changed) is None


def test_texts_of_others_do_not_open() -> None:
    token = text_seal().sealed(b"two teas") or ""
    for other in (
        text_seal(OLD_KEY),
        text_seal(version="c2"),
        text_seal(purpose=b"another"),
        text_seal(most=len(token) - 1),
    ):
        assert other.opened(token) is None
    for nonsense in ("", ".", "..", "c1.", "c1..", token + ".", f"{token}{token}", "é" * 20):
        assert text_seal().opened(nonsense) is None
    assert text_seal(most=20).sealed(b"two teas") is None
    with pytest.raises(ValueError, match="at least one key"):
        text_seal(b"short")
