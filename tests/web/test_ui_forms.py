"""Forms: what was typed is read, refused with a reason beside it, and shown again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tearline.core.refusal import Refusal
from tearline.i18n import formats
from tearline.web.ui import forms
from tearline.web.ui.page import Page
from tearline.web.ui.rendering import environment, render_text

FORM = forms.Form(
    forms.Text("code", "Code", pattern="[A-Z0-9-]+"),
    forms.Choice("currency", "Currency", choices=[("HKD", "HKD"), ("JPY", "JPY")]),
    forms.Section(
        "More",
        forms.Localised("names", "Name"),
        forms.Money("spend", "Minimum spend", currency_field="currency", is_required=False),
        forms.DateTime("starts_at", "Starts", time_zone="Asia/Hong_Kong", is_required=False),
        forms.Rows(
            "prizes",
            "Prizes",
            fields=[
                forms.Text("password", "Password"),
                forms.Rows(
                    "bundle",
                    "Bundle",
                    fields=[forms.Text("offer", "Offer"), forms.Number("quantity", "Times")],
                ),
            ],
            maximum_rows=5,
        ),
    ),
)
TYPED = {
    "code": ["BOOKS-50"],
    "currency": ["HKD"],
    "names.en": [" Books "],
    "names.th": ["หนังสือ"],
    "spend": ["1,250.50"],
    "starts_at": ["2026-11-22T20:00"],
    "prizes-count": ["2"],
    "prizes-0-password": ["WINTER"],
    "prizes-0-bundle-count": ["1"],
    "prizes-0-bundle-0-offer": ["A"],
    "prizes-0-bundle-0-quantity": ["2"],
    "prizes-1-password": [""],
}


def shown(form: forms.BoundForm) -> str:
    return environment_text("{{ ui.form(form, 'Save') }}", form=form)


def environment_text(source: str, **values: Any) -> str:
    from tearline.web.ui.page import current_page

    token = current_page.set(Page())
    try:
        return environment().from_string(source).render(**values)
    finally:
        current_page.reset(token)


def test_a_good_form_gives_values() -> None:
    form = FORM.parse(TYPED)
    assert form.is_valid, form.problems
    assert form.values == {
        "code": "BOOKS-50",
        "currency": "HKD",
        "names": {"en": "Books", "th": "หนังสือ"},
        "spend": 125050,
        "starts_at": datetime(2026, 11, 22, 12, tzinfo=UTC),
        "prizes": [{"password": "WINTER", "bundle": [{"offer": "A", "quantity": 2}]}],
    }


def test_what_it_shows_it_reads_again() -> None:
    values = FORM.parse(TYPED).values
    again = FORM.parse(FORM.blank(values).inputs.texts)
    assert again.values == values


def test_what_is_wrong_stands_beside_its_input_and_what_was_typed_stays() -> None:
    form = FORM.parse(
        {**TYPED, "code": ["<b>books"], "currency": ["JPY"], "prizes-0-bundle-0-quantity": ["many"]}
    )
    assert not form.is_valid
    assert form.status_code == 422
    assert set(form.problems) == {"code", "spend", "prizes-0-bundle-0-quantity"}
    page = shown(form)
    assert 'value="&lt;b&gt;books"' in page
    assert "<b>books" not in page
    assert 'href="#field-prizes-0-bundle-0-quantity">Times: Enter a whole number.' in page
    assert "JPY has 0 decimals." in page
    assert page.count('aria-invalid="true"') == 3


def test_asking_for_another_row_keeps_everything_and_complains_of_nothing() -> None:
    form = FORM.parse({**TYPED, "code": [""], "_add": ["prizes-0-bundle"]})
    assert not form.is_valid
    assert form.status_code == 200
    page = shown(form)
    assert 'name="prizes-0-bundle-1-offer"' in page
    assert 'value="WINTER"' in page
    assert "error" not in page


def test_rows_have_a_limit() -> None:
    form = FORM.parse({**TYPED, "prizes-count": ["9999"], "_add": ["prizes"]})
    assert len(form["prizes"].rows) == 5
    assert not form["prizes"].can_add_row


def test_a_refusal_is_shown_where_it_belongs() -> None:
    form = FORM.parse(TYPED)
    form.add_refusal(
        Refusal(
            "invalid",
            fields={"prizes.0.password": "Taken.", "benefit.minimum": "Too much.", "window": "Odd."},
        ),
        names={"benefit.minimum": "spend"},
    )
    assert {name: [one.message for one in all_] for name, all_ in form.problems.items()} == {
        "prizes-0-password": ["Taken."],
        "spend": ["Too much."],
        "": ["Odd."],
    }
    whole = FORM.parse(TYPED)
    whole.add_refusal(Refusal("already_taken"))
    assert not whole.is_valid
    assert "This is already in use" in shown(whole)


def test_read_only_fields_are_never_taken_from_a_post() -> None:
    form = forms.Form(forms.Text("code", "Code", is_read_only=True), forms.Text("name", "Name"))
    read = form.parse({"code": ["FORGED"], "name": ["x"]}, shown={"code": "REAL"})
    assert read.values == {"name": "x"}
    assert read["code"].value == "REAL"


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        (forms.Money("x", "X"), "50", 5000),
        (forms.Money("x", "X"), "49.9", 4990),
        (forms.Money("x", "X"), "１００", 10000),
        (forms.Money("x", "X", currency="JPY"), "500", 500),
        (forms.Money("x", "X", currency="KWD"), "1.234", 1234),
        (forms.Money("x", "X"), "1.005", None),
        (forms.Money("x", "X"), "-1", None),
        (forms.Money("x", "X"), "1e5", None),
        (forms.Money("x", "X"), "NaN", None),
        (forms.Percent("x", "X"), "12.5", 1250),
        (forms.Percent("x", "X"), "12.5 %", 1250),
        (forms.Percent("x", "X"), "100.01", None),
        (forms.Percent("x", "X"), "0.001", None),
        (forms.Number("x", "X", minimum=1), "1,000", 1000),
        (forms.Number("x", "X", minimum=1), "0", None),
        (forms.Number("x", "X"), "9" * 40, None),
        (forms.Day("x", "X"), "2026-12-31", date(2026, 12, 31)),
        (forms.Day("x", "X"), "31/12/2026", None),
        (
            forms.DateTime("x", "X", time_zone="Asia/Bangkok"),
            "2026-12-31 18:00",
            datetime(2026, 12, 31, 11, tzinfo=UTC),
        ),
        (forms.DateTime("x", "X"), "0001-01-01T00:00", None),
        (forms.DateTime("x", "X", time_zone="Europe/Berlin"), "2026-03-29T02:30", None),
        (forms.Choice("x", "X", choices=[("a", "A")]), "b", None),
        (forms.Text("x", "X", maximum_length=3), "four", None),
        (forms.Text("x", "X"), " a\x00b ", "ab"),
        (forms.Text("x", "X"), "   ", None),
        (forms.Checkbox("x", "X", is_required=True), "", None),
    ],
)
def test_fields(field: forms.Field, typed: str, value: object) -> None:
    form = forms.Form(field).parse({"x": [typed]})
    if value is None:
        assert form.problems
        assert not form.values
    else:
        assert form.values == {"x": value}


@given(minor_units=st.integers(0, 10**12), currency=st.sampled_from(["HKD", "JPY", "KWD"]))
def test_money_survives_being_shown(minor_units: int, currency: str) -> None:
    field = forms.Money("x", "X", currency=currency)
    assert field.read(forms.Inputs(field.write(minor_units, "x")), "x").value == minor_units


@given(st.dictionaries(st.sampled_from([*TYPED, "_add"]), st.lists(st.text(), max_size=3)))
def test_whatever_is_posted_is_answered(typed: dict[str, list[str]]) -> None:
    form = FORM.parse({**TYPED, **typed})
    assert form.is_valid or form.problems or form.is_adding_row
    shown(form)


def test_amounts_and_times_as_people_write_them() -> None:
    at = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
    assert formats.money(125050, "HKD", "en") == "HK$1,250.50"
    assert formats.money(5000, "THB", "th") == "฿50"
    assert formats.money(500, "JPY", "zh-Hant").endswith("500")
    assert formats.date_time(at, "en", "Asia/Hong_Kong") == "22 Nov 2026 20:05"
    assert formats.date_time(at, "zh-Hant", "Asia/Hong_Kong") == "2026年11月22日 20:05"
    assert "2026" in formats.date_time(at, "th", "Asia/Bangkok")
    assert formats.window(at, at.replace(hour=13), "en", "Asia/Hong_Kong") == "22 Nov 2026 20:05 – 21:05"
    assert formats.percent(0.124, "en") == "12.4%"


def test_the_gallery_shows_every_kind_of_field() -> None:
    from tearline.web.ui import gallery

    page = Page(path="/dev/ui", language="zh-Hant")
    context = gallery.gallery_context(page, datetime(2026, 11, 22, tzinfo=UTC))
    text = render_text(gallery.TEMPLATE, page, context)
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick=" not in text
    wrong = render_text("gallery_errors.html", page, context)
    assert wrong.count('aria-invalid="true"') >= 8
