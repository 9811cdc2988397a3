"""``tearline catalogue``: what it puts, and what it says of rows that are in the way."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

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
