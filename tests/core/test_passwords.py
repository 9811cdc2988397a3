"""Passwords compare after NFKC, trimming and case folding."""

from hypothesis import given
from hypothesis import strategies as st

from tearline.core.passwords import password_key


def test_what_people_type_on_different_keyboards_is_the_same_password() -> None:
    assert (
        password_key("  ＷＩＮＴＥＲ２０２６　") == password_key("winter2026") == password_key("Winter2026")
    )
    assert password_key("Straße") == password_key("STRASSE")
    assert password_key("聖誕快樂") != password_key("圣诞快乐")


@given(st.text())
def test_the_key_of_a_key_is_itself(text: str) -> None:
    assert password_key(password_key(text)) == password_key(text)


@given(st.text(), st.sampled_from([" ", "\t", "\n", "\u3000", "\u00a0"]))
def test_white_space_around_does_not_count(text: str, space: str) -> None:
    assert password_key(space + text + space) == password_key(text)
