"""What the command prints, and how an expected failure reads."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

output = Console()
"""Answers go here; progress and errors do not, so that a script can read them."""

errors = Console(stderr=True)


class CommandError(Exception):
    """The command can't do what was asked; the message is one sentence for a person."""


def sentence_of(error: BaseException) -> str | None:
    """What an expected failure says, ready to print; None for what only a traceback explains."""
    # Imported once something went wrong: the database's driver would make every --help wait a second.
    from sqlalchemy.exc import DBAPIError

    from tearline.config import SettingsError
    from tearline.core.refusal import Refusal
    from tearline.db import is_connection_lost
    from tearline.db.embedded import EmbeddedServerError
    from tearline.db.migrate import UnknownSchemaError

    if isinstance(error, SettingsError):
        return "\n  ".join(escape(line) for line in str(error).splitlines())
    if isinstance(error, EmbeddedServerError | CommandError | UnknownSchemaError):
        return escape(str(error))
    if isinstance(error, Refusal):
        return escape(" ".join(error.fields.values()) or error.sentence % error.details)
    if is_connection_lost(error):
        cause = error.orig if isinstance(error, DBAPIError) else error
        first_line = str(cause).strip().splitlines()[0] if str(cause).strip() else ""
        return f"The database cannot be reached: {escape(first_line)}"
    return None
