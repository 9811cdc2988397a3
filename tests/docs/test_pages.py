"""The pages tell the truth: links lead somewhere, and what they name exists, and what exists is named."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from tearline.cli.app import app
from tearline.cli.demo import SIGN_INS
from tearline.cli.demo.merchants_data import MERCHANTS
from tearline.cli.demo.people import MEMBER_COUNT
from tearline.config import PREFIX, Settings
from tests.docs.made import cli_page, commands, reasons_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
SOURCE = ROOT / "src" / "tearline"

_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SETTING = re.compile(rf"{PREFIX}[A-Z_]+[A-Z]")

# Actions, in the sense of docs/locking.md, are functions that are handed a transaction or open one themselves.
_WRITING_FOLDERS = (
    "campaigns",
    "catalogue",
    "checkout",
    "coupons",
    "members",
    "merchants",
    "notices",
    "offers",
    "pools",
    "sales",
    "waitingroom",
)
_DESK_METHODS = ("prepare", "redeem", "release", "reverse", "look")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for match in _LINK.finditer(_FENCE.sub("", text_of(page))):
        target = match[1] or match[2]
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or not file.is_relative_to(ROOT):
            broken.append(target)
        elif anchor and anchor not in anchors_of(file):
            broken.append(f"{target} has no such heading")
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_the_machine_it_was_written_on(page: Path) -> None:
    assert not re.search(r"/(?:root|work|home|tmp)/", text_of(page))


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / unquote(target).partition("#")[0]).resolve()
        for page in PAGES
        for target in (match[1] or match[2] for match in _LINK.finditer(text_of(page)))
        if not target.startswith("http")
    }
    assert [name_of(page) for page in PAGES if page not in linked] == ["README.md"]


def test_settings_that_are_named_exist() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        assert set(_SETTING.findall(text_of(page))) <= known, name_of(page)
    assert known == set(_SETTING.findall(text_of(DOCS / "settings.md")))


@pytest.mark.parametrize(("file", "made"), [("reasons.md", reasons_page), ("cli.md", cli_page)])
def test_pages_made_from_code_are_the_ones_in_the_docs(file: str, made: object) -> None:
    assert callable(made)
    assert text_of(DOCS / file) == made(), "run: python -m tests.docs.made"


def shell_lines() -> Iterator[tuple[str, str]]:
    """Every line of a shell block, with its page; ``\\`` at a line's end joins it with the next."""
    for page in PAGES:
        for language, block in _FENCE.findall(text_of(page)):
            if language == "bash":
                for line in block.replace("\\\n", "").splitlines():
                    yield name_of(page), line.strip()


def test_commands_that_are_shown_exist_with_their_options() -> None:
    known = {name: {opt for one in command.params for opt in one.opts} for name, command in commands()}
    shown = 0
    for page, line in shell_lines():
        found = re.search(
            r"\btearline ((?:staff |key |codes |catalogue )?[a-z]+)(?P<options>.*)", line.partition(" #")[0]
        )
        if found is None or "://tearline:" in line.partition("tearline ")[0]:
            continue
        name = f"tearline {found[1]}"
        assert name in known, (page, line)
        options = set(re.findall(r"(?<=\s)--[a-z-]+", found["options"].partition("||")[0]))
        assert options <= known[name], (page, line)
        shown += 1
    assert shown >= len(known)


def test_commands_that_are_named_in_sentences_exist() -> None:
    known = {name for name, _ in commands()}
    groups = {name.rpartition(" ")[0] for name in known}
    for page in PAGES:
        for code in re.findall(r"`tearline ([a-z ]+?)`", text_of(page)):
            assert f"tearline {code}" in known | groups, (name_of(page), code)


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_help_says_what_the_page_says(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split()[1:], "--help"], env={"COLUMNS": "300", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    summary = text_of(DOCS / "cli.md").split(f"## `{name}`\n\n")[1].split("\n")[0]
    # What is shown may be wrapped; compare word by word.
    assert " ".join(summary.split()) in " ".join(re.sub(r"[│╭╰─╮╯]", " ", shown.stdout).split())


def test_make_targets_that_are_named_exist_and_all_are_documented() -> None:
    makefile = text_of(ROOT / "Makefile")
    targets = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    development = text_of(DOCS / "development.md")
    documented = set(re.findall(r"\| `make ([a-z]+)` \|", development))
    assert documented == targets
    for page in PAGES:
        prose = re.findall(r"`make ([a-z ]+?)(?: [A-Z]+=[^`]*)?`", text_of(page))
        for word in (word for words in prose for word in words.split()):
            assert word in targets, (name_of(page), word)
    for variable in re.findall(r"`([A-Z]+)='?[\w/ -]+'?`", development):
        assert f"$({variable})" in makefile, variable


@pytest.mark.parametrize("target", ["demo", "demo PORT=8100", "demo RESET=1", "test", "check", "bench"])
def test_make_knows_what_the_readme_shows(target: str) -> None:
    dry = subprocess.run(
        ["make", "--dry-run", *target.split()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert dry.returncode == 0, dry.stderr


def test_the_demos_sign_ins_are_those_of_the_readme() -> None:
    readme = text_of(ROOT / "README.md")
    for _who, path, user, secret in SIGN_INS:
        assert f"`{path}`" in readme
        if "@" in user:
            # All the operator's staff share a domain, so the others are shown by what stands before it.
            assert f"`{user}`" in readme or f"`{user.partition('@')[0]}@…`" in readme
            assert f"`{secret}`" in readme
        elif user.startswith("+"):
            assert user in readme.replace(" ", "")
        else:
            # A campaign, and the passwords of its prizes.
            for password in re.findall(r"[A-Z][A-Z0-9 ]{5,}", secret):
                assert f"`{password.strip()}`" in readme
    assert f"{len(MERCHANTS)} merchants" in readme
    assert f"{MEMBER_COUNT:,} members" in readme


def actions() -> Iterator[tuple[str, str]]:
    """Every public function that is handed ``tx``, and the methods that open transactions of their own."""
    for folder in _WRITING_FOLDERS:
        for file in sorted((SOURCE / folder).glob("*.py")):
            for node in ast.parse(text_of(file)).body:
                if not isinstance(node, ast.AsyncFunctionDef) or node.name.startswith("_"):
                    continue
                arguments = [argument.arg for argument in node.args.args]
                if "tx" in arguments or "transaction(" in ast.unparse(node):
                    yield f"{folder}/{file.name}", node.name


# Parts of other actions, whose row names what they are part of.
_PIECES = {"open_session", "count_failure", "coupons_of_order"}


def test_every_action_that_writes_has_its_row_in_locking() -> None:
    from tearline.coupons.desk import RedemptionDesk
    from tearline.merchants.sign_in import StaffSignIn
    from tearline.sales.desk import SaleDesk
    from tearline.waitingroom.doordesk import DoorDesk
    from tearline.waitingroom.joins import JoinDesk

    page = text_of(DOCS / "locking.md")
    named = set(re.findall(r"`(?:\w+\.)?(\w+)`", page))
    found = list(actions())
    assert len(found) > 40
    missing = [f"{file}: {name}" for file, name in found if name not in named | _PIECES]
    methods = {
        name
        for desk in (RedemptionDesk, StaffSignIn, DoorDesk, JoinDesk, SaleDesk)
        for name, _ in inspect.getmembers(desk, inspect.iscoroutinefunction)
        if not name.startswith("_") and name != "drain"
    }
    assert not missing
    assert methods <= named
    # And the other way round: the first column of each table names what exists.
    known = {name for _, name in found} | methods | set(_DESK_METHODS)
    for row in re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE):
        assert set(re.findall(r"`(?:\w+\.)?(\w+)`", row)) <= known, row


def test_what_the_glossary_names_is_in_the_code() -> None:
    source = "\n".join(text_of(file) for file in SOURCE.rglob("*.py"))
    rows = re.findall(r"^\|[^|]+\|[^|]+\|([^|]+)\|$", text_of(DOCS / "glossary.md"), re.MULTILINE)
    assert len(rows) > 60
    for row in rows:
        for name in re.findall(r"(?<!\[)`([A-Za-z_]+(?:\.\w+)?)`", row):
            for word in name.split("."):
                assert re.search(rf"\b{word}\b", source), row
