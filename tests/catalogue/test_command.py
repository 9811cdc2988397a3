"""``tearline catalogue``: what it puts, and what it says of rows that are in the way."""

from __future__ import annotations

import csv
from pathlib import Path

import psycopg
import pytest
import xlsxwriter
from typer.testing import CliRunner, Result

from tearline.catalogue.files import _read
from tearline.cli.app import app
from tearline.cli.screen import CommandError


@pytest.fixture
def url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TEARLINE_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    return database_url


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["catalogue", *map(str, arguments)])


def test_a_template_can_be_put_as_it_is(url: str, tmp_path: Path) -> None:
    path = tmp_path / "categories.csv"
    assert run("template", path, "--kind", "categories").exit_code == 0
    assert isinstance(run("template", path).exception, CommandError)
    first = run("import", "--kind", "categories", path)
    assert first.exit_code == 0 and "2 added, 0 changed, 0 unchanged." in first.output
    assert "0 added, 0 changed, 2 unchanged." in run("import", "--kind", "categories", path).output
    with psycopg.connect(url) as connection:
        paths = connection.execute("SELECT path FROM category ORDER BY key").fetchall()
        actor = connection.execute("SELECT actor_kind FROM audit_entry").fetchone()
    assert paths == [(["food"],), (["tea", "food"],)] and actor == ("command",)


def test_rows_in_the_way_are_listed(url: str, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("key,name,price,currency\ngood,Good,1,HKD\ntwo words,Bad,x,HKD\n")
    refused = run("import", path)
    assert isinstance(refused.exception, CommandError)
    assert "1 of 2 rows are in the way" in str(refused.exception)
    for said in ("two words", "price", "This is not an amount in this currency"):
        assert said in refused.output, refused.output
    assert isinstance(run("import", tmp_path / "nothing.csv").exception, CommandError)


LINES = [
    "",
    "key,name,price,currency",
    'good,"Good,\nand on two lines",1,HKD',
    "",
    ",,,",
    "bad-6,Bad,x,HKD",
    "good-7,Good,1,HKD",
    "",
    "bad-9,Bad,1,XXX",
]
"""A file whose rows are not beside one another. A spreadsheet shows what is between quotes as one row."""


def _refused_rows(path: Path) -> list[tuple[int, str]]:
    read = _read("products", path, path.name, {})
    return [(row.number, row.key) for row in read.refused]


def test_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    expected = [(6, "bad-6"), (9, "bad-9")]
    for newline in ("\n", "\r\n"):
        path = tmp_path / "products.csv"
        path.write_bytes(newline.join(LINES).encode())
        assert _refused_rows(path) == expected
    path = tmp_path / "products.xlsx"
    workbook = xlsxwriter.Workbook(path)
    sheet = workbook.add_worksheet()
    for place, cells in enumerate(csv.reader(LINES)):
        sheet.write_row(place, 2, cells)
    workbook.close()
    assert _refused_rows(path) == expected


def test_what_an_action_refuses_has_its_row_too(url: str, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("key,name,price,currency\n\n\n\nlost,Lost,1,HKD\n")
    refused = run("import", path)
    assert "  5  lost  merchant  " in refused.output, refused.output
