"""The ``tearline`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; what is expected to go wrong is one sentence on standard error, and exit status 2."""
    from tearline.cli.app import app
    from tearline.cli.screen import errors, sentence_of

    try:
        app(prog_name="tearline")
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        errors.print(f"[bold red]✗[/] {sentence}", highlight=False, soft_wrap=True)
        sys.exit(2)
