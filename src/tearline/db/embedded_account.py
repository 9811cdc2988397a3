"""The system user under which the embedded PostgreSQL runs, and where that user can go.

PostgreSQL refuses to run as root. Started by root, its programs run as an unprivileged user instead;
what that user cannot reach (a checkout below ``/root``) is kept below ``/var/lib/tearline``.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STATE_ROOT = Path("/var/lib/tearline")
"""Where root keeps data and binaries that the unprivileged user could not reach in their own place."""

_EXEC_SCRIPT = Path(__file__).with_name("embedded_exec.py")


class EmbeddedServerError(RuntimeError):
    """The embedded server cannot do what was asked; the message is written for the person at the terminal."""


@dataclass(frozen=True)
class Account:
    """The user that PostgreSQL's programs run as."""

    uid: int
    gid: int
    name: str
    is_switched: bool
    """True when we are root and the programs run as somebody else."""

    def command(self, program: Path | str, *arguments: str) -> list[str]:
        """The command line that runs a program as this user; the program ends when our process ends."""
        uid, gid = (str(self.uid), str(self.gid)) if self.is_switched else ("-", "-")
        return [
            sys.executable, "-I", "-S", str(_EXEC_SCRIPT), str(os.getpid()), uid, gid,
            str(program), *arguments,
        ]  # fmt: skip

    def run(
        self,
        program: Path | str,
        *arguments: str,
        standard_input: str = "",
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this user to its end; its output and errors come back as one text."""
        return subprocess.run(
            self.command(program, *arguments),
            input=standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env=clean_environment() | (environment or {}),
            start_new_session=True,
            check=False,
        )

    def can_reach(self, *paths: Path) -> bool:
        """True when this user can enter the directories and read the files.

        Asked of the system, not computed: access lists and mounts have their say too.
        """
        question = (
            'for path do { [ -d "$path" ] && cd "$path"; } || [ -f "$path" -a -r "$path" ] || exit 1; done'
        )
        return self.run("/bin/sh", "-c", question, "sh", *map(str, paths)).returncode == 0


def clean_environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs: none of the caller's ``PG…`` variables, English messages."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/"}


def current_account() -> Account:
    """The user that we are."""
    return _account_of(os.geteuid(), os.getegid(), is_switched=False)


def unprivileged_account() -> Account:
    """The user that root's server runs as: ``postgres`` where there is one, else ``nobody``."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, name, is_switched=True)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and this machine has neither a user 'postgres' nor 'nobody'."
    )


def account_for(data: Path) -> Account:
    """The user for a data directory: whoever owns it; for a new one ourselves or, as root, a fixed user.

    Raises:
        EmbeddedServerError: the data are another user's and we are not root.
    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"The data in {data} belong to user {_name(owner.st_uid)}; start as that user or as root."
            )
        return current_account()
    if owner is not None and owner.st_uid != 0:
        return _account_of(owner.st_uid, owner.st_gid, is_switched=True)
    return unprivileged_account()


def _account_of(uid: int, gid: int, *, is_switched: bool) -> Account:
    return Account(uid, gid, _name(uid), is_switched)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
