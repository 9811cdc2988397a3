"""``tearline codes``: what it says, what it asks, what it imports, what it refuses."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from tearline.cli import codes as command
from tearline.cli.app import app
from tearline.cli.screen import CommandError
from tearline.core.pools import CodeRule
from tearline.core.refusal import Refusal
from tearline.db import Database
from tests.pools.support import code_number, make_pool

CODES = [code_number(number) for number in range(30)]


@pytest.fixture
def offer_code(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The code of an offer that has a pool, in the database that the command works on."""
    monkeypatch.setenv("TEARLINE_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    asyncio.run(_make_pool(database_url))
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT code FROM offer").fetchone()
    assert row is not None
    return str(row[0])


async def _make_pool(url: str) -> None:
    async with Database(url) as database:
        await make_pool(database)


@pytest.fixture
def codes_file(tmp_path: Path) -> Path:
    path = tmp_path / "june.csv"
    rows = [f"{number},{code}" for number, code in enumerate([*CODES, CODES[3], "4.91111E+19"])]
    path.write_text("\n".join(["No.,Voucher code", *rows]))
    return path


def run(*arguments: str | Path, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["codes", *map(str, arguments)], input=typed)


def codes_in(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT code FROM partner_code ORDER BY position").fetchall()
    return [row[0] for row in rows]


def test_an_import_from_beginning_to_end(
    offer_code: str, codes_file: Path, database_url: str, tmp_path: Path
) -> None:
    outcomes = tmp_path / "outcomes.csv"
    result = run("import", offer_code.lower(), codes_file, "--yes", "--outcomes", outcomes)
    assert result.exit_code == 0, result.output
    assert codes_in(database_url) == CODES
    for line in (
        "CSV, utf-8, cells parted by ,; codes in column 2, headed 'Voucher code'.",
        "A code has 20 characters of 0-9A-Z.",
        "1 of the first 32 rows, such as row 32 ('4.91111E+19')",
    ):
        assert line in " ".join(result.stderr.split())
    answer = " ".join(result.stdout.split())
    assert "Added 30" in answer
    assert f"Duplicate in the file 1 row 31: {CODES[3]}" in answer
    with outcomes.open(encoding="utf-8-sig") as file:
        assert len(list(csv.reader(file))) == 33
    again = run("import", offer_code, codes_file, "--yes")
    assert "The same file has been imported before." in again.stderr
    assert "Already in this partner's pools 30" in " ".join(again.stdout.split())


def test_nothing_happens_unless_somebody_says_yes(
    offer_code: str, codes_file: Path, database_url: str
) -> None:
    result = run("import", offer_code, codes_file, typed="n\n")
    assert isinstance(result.exception, CommandError)
    assert codes_in(database_url) == []
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT state FROM code_file").fetchall() == [("discarded",)]
    assert run("import", offer_code, codes_file, typed="y\n").exit_code == 0
    assert codes_in(database_url) == CODES


def test_a_column_by_number_and_by_heading_and_a_pattern(
    offer_code: str, codes_file: Path, database_url: str
) -> None:
    assert run("import", offer_code, codes_file, "--yes", "--column", "voucher code").exit_code == 0
    assert len(codes_in(database_url)) == 30
    result = run("import", offer_code, codes_file, "--yes", "--column", "1", "--pattern", r"1\d")
    assert result.exit_code == 0, result.output
    assert codes_in(database_url)[30:] == [str(number) for number in range(10, 20)]
    assert "A code has the pattern 1\\d." in result.stderr
    for arguments in (("--column", "9"), ("--column", "nothing")):
        assert isinstance(run("import", offer_code, codes_file, "--yes", *arguments).exception, CommandError)
    wrong = run("import", offer_code, codes_file, "--yes", "--pattern", "(a+)+").exception
    assert isinstance(wrong, Refusal)
    assert set(wrong.fields) == {"pattern"}


def test_an_offer_without_a_pool_gets_one_if_asked(
    offer_code: str, codes_file: Path, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM code_pool")
    refused = run("import", offer_code, codes_file, "--yes")
    assert "--create" in str(refused.exception)
    assert run("import", offer_code, codes_file, "--yes", "--create").exit_code == 0
    assert codes_in(database_url) == CODES


def test_what_is_not_there(offer_code: str, tmp_path: Path, codes_file: Path) -> None:
    assert "no file" in str(run("import", offer_code, tmp_path / "nothing.csv").exception)
    assert "neither an offer" in str(run("import", "NOTHING", codes_file).exception)
    assert "neither an offer" in str(
        run("import", "00000000-0000-7000-8000-000000000000", codes_file).exception
    )


def test_templates(tmp_path: Path) -> None:
    for name, start in (("a.csv", b"\xef\xbb\xbfCode"), ("a.xlsx", b"PK")):
        assert run("template", tmp_path / name).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert isinstance(run("template", tmp_path / "a.csv").exception, CommandError)


def test_rules_in_words() -> None:
    assert command.rule_words(CodeRule(8, 12, "digits", "-")) == "8 to 12 characters of 0-9-"
    assert command.rule_words(CodeRule(1, 1, pattern="A{3}")) == "the pattern A{3}"
