"""The pages that are made from code: ``python -m tests.docs.made`` writes ``docs/reasons.md`` and ``docs/cli.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from tearline.cli.app import app
from tearline.core.refusal import REASONS
from tearline.web.problems import INTERNAL_ERROR, INTERNAL_SENTENCE

DOCS = Path(__file__).parents[2] / "docs"
_MARKUP = re.compile(r"\[/?(?:bold|dim|red|green|cyan)?\]")


def reasons_page() -> str:
    """The text of ``docs/reasons.md``."""
    lines = [
        "# Reasons",
        "",
        "Every expected 'no' of Tearline has a reason. The API answers it as a problem document (RFC 9457) with the",
        "`reason`, this HTTP status, and the sentence in the reader's language as `detail`; a page shows the sentence.",
        "This page is made from `src/tearline/core/refusal.py` by `python -m tests.docs.made`.",
        "",
        "`%(…)s` is filled from the refusal's details, which are members of the problem document too. `invalid` and",
        "its like have `fields`: what is wrong with which field.",
        "",
        "| reason | status | sentence |",
        "|---|---|---|",
    ]
    lines += [f"| `{name}` | {reason.status} | {reason.sentence} |" for name, reason in REASONS.items()]
    lines += [
        "",
        f"A fault of ours is no refusal. It is answered 500 with `{INTERNAL_ERROR}`: “{INTERNAL_SENTENCE}”",
    ]
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name, such as ``tearline staff create``."""

    def below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            for key, one in inner.items():
                yield from below(f"{name} {key}", one)

    yield from below("tearline", typer.main.get_command(app))


def cli_page() -> str:
    """The text of ``docs/cli.md``."""
    lines = [
        "# Commands",
        "",
        "In a checkout the command is `.venv/bin/tearline`. Each has `--help`. Settings are environment variables, see",
        "[settings](settings.md). What is expected to go wrong is one sentence on standard error, and exit status 2.",
        "This page is made from `src/tearline/cli/app.py` by `python -m tests.docs.made`.",
    ]
    for name, command in commands():
        paragraphs = [" ".join(part.split()) for part in _plain(command.help or "").split("\n\n")]
        lines += ["", f"## `{name}`"]
        for paragraph in paragraphs:
            lines += ["", paragraph]
        options = [one for one in command.params if one.name != "help"]
        if options:
            lines += ["", "| option | meaning |", "|---|---|"]
            lines += [f"| {_names(one)} | {_plain(one.help or '')}{_required(one)} |" for one in options]
        examples = [
            text.strip()
            for text in _plain(command.epilog or "").split("\n\n")
            if text.strip() and text.strip() != "Examples:"
        ]
        lines += ["", "```bash", *(text.removeprefix("Example: ") for text in examples), "```"]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return _MARKUP.sub("", text)


def _names(option: Any) -> str:
    return ", ".join(f"`{name}`" for name in option.opts)


def _required(option: Any) -> str:
    return " Required." if option.required else ""


if __name__ == "__main__":
    (DOCS / "reasons.md").write_text(reasons_page(), "utf-8")
    (DOCS / "cli.md").write_text(cli_page(), "utf-8")
