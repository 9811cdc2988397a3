"""The files of the embedded server: where they are, how they are made, and its configuration."""

from __future__ import annotations

import ctypes
import hashlib
import json
import locale
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tearline.db.embedded_account import STATE_ROOT, Account, EmbeddedServerError, account_for
from tearline.db.embedded_binaries import Binaries
from tearline.db.embedded_process import ProcessIdentity

ROLE = "tearline"
DATABASE = "tearline"
_POINTER = "data-location"

DEFAULT_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "512MB",
    "max_connections": "200",
    "checkpoint_timeout": "15min",
    "max_wal_size": "4GB",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_startup_progress_interval": "5s",
    "default_text_search_config": "pg_catalog.simple",
}
"""What the server runs with unless the caller says otherwise: a small machine, nothing lost in a crash."""

RESERVED_SETTINGS = frozenset(
    {
        "cluster_name", "config_file", "data_directory", "hba_file", "ident_file", "external_pid_file",
        "listen_addresses", "port", "unix_socket_directories", "password_encryption", "log_destination",
        "logging_collector", "lc_messages",
    }
)  # fmt: skip
"""Settings on which the supervision itself rests."""

_HOST_ACCESS = f"""\
# Written at every start. Nobody but the one role, from this machine, with its password.
host all {ROLE} 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class ServerState:
    """What is remembered from one start to the next."""

    port: int | None = None
    process: ProcessIdentity | None = None


class Cluster:
    """The files of one embedded server.

    ``directory`` is the caller's and keeps password, log, lock and state. ``home`` keeps data and
    configuration; it is the same directory, unless the user that PostgreSQL runs as cannot get there.
    """

    def __init__(self, directory: Path) -> None:
        directory = directory.resolve()
        self.directory = directory
        self.pointer = directory / _POINTER
        self.password_file = directory / "password"
        self.state_file = directory / "server.json"
        self.log_file = directory / "postgres.log"
        self.lock_file = directory / "server.lock"
        self.home = directory

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.home / "data"

    @property
    def configuration_file(self) -> Path:
        """PostgreSQL's configuration, outside the data: root writes it, the server may only read it."""
        return self.home / "postgresql.conf"

    @property
    def access_file(self) -> Path:
        """Who may connect from where."""
        return self.home / "pg_hba.conf"

    @property
    def name(self) -> str:
        """Name of the server in process titles; distinct for each data directory."""
        return f"tearline-{_digest(self.data)}"

    def locate(self) -> None:
        """Find out where an earlier start has put the data."""
        try:
            self.home = Path(self.pointer.read_text().strip())
        except FileNotFoundError:
            self.home = self.directory

    def settle(self, report: Callable[[str], None]) -> Account:
        """Decide where the data are and as which user the server runs; makes the home, not yet the data.

        Raises:
            EmbeddedServerError: the data are gone from where they were kept, or out of our reach.
        """
        self.locate()
        if not self.home.is_dir():
            raise EmbeddedServerError(
                f"The data of {self.directory} were kept in {self.home}, which is gone. "
                f"Bring it back, or delete {self.pointer} to start over with an empty database."
            )
        account = account_for(self.data)
        if not account.is_switched or account.can_reach(self.home):
            return account
        if self.home.stat().st_uid == 0 and account.can_reach(self.home.parent):
            # Only the directory itself is closed, and it is root's: let that one user through, nobody else.
            os.chown(self.home, 0, account.gid)
            self.home.chmod(self.home.stat().st_mode | 0o010)
            return account
        if self.data.exists() or self.home != self.directory:
            raise EmbeddedServerError(
                f"User {account.name}, under which root runs PostgreSQL here, cannot reach {self.home}."
            )
        self.home = STATE_ROOT / _digest(self.directory)
        if self.data.exists():
            # Its directory was deleted and made anew: the old data are not asked for, but not ours to delete.
            aside = self.home.with_name(f"{self.home.name}-set-aside-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            self.home.rename(aside)
            report(
                f"Earlier data of {self.directory} were set aside in {aside}; delete them when not needed."
            )
        self.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not account.can_reach(self.home):
            raise EmbeddedServerError(
                f"User {account.name}, under which root runs PostgreSQL, can reach neither {self.directory} "
                f"nor {self.home}."
            )
        write_file(self.pointer, f"{self.home}\n", 0o644)
        report(f"User {account.name} cannot reach {self.directory}; the data are kept in {self.home}.")
        return account

    def read_state(self) -> ServerState:
        """What the last start remembered; nothing when there was none or the file is damaged."""
        try:
            values = json.loads(self.state_file.read_text())
            process = values["process"]
            return ServerState(values["port"], ProcessIdentity(**process) if process else None)
        except (OSError, ValueError, KeyError, TypeError):
            return ServerState()

    def write_state(self, state: ServerState) -> None:
        """Remember for the next start."""
        write_file(self.state_file, json.dumps(asdict(state)), 0o600)

    def password(self) -> str:
        """The role's password."""
        return self.password_file.read_text().strip()

    def prepare(self, binaries: Binaries, account: Account, environment: dict[str, str]) -> None:
        """Make the data directory, role, database and password, as far as they are not there yet.

        Raises:
            EmbeddedServerError: the data are of another major version, or a program of PostgreSQL fails.
        """
        version_file = self.data / "PG_VERSION"
        if version_file.exists():
            found = version_file.read_text().strip()
            if found != str(binaries.major_version):
                raise EmbeddedServerError(
                    f"The data in {self.data} are PostgreSQL {found}'s, the programs in {binaries.directory} "
                    f"are version {binaries.version}: use programs of version {found}, "
                    "or move the data by pg_dump."
                )
            if not self.password_file.exists():
                self._set_password(
                    lambda sql: _run_alone(sql, self.data, binaries, account, environment),
                    f"ALTER ROLE {ROLE}",
                )
        elif self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedServerError(f"{self.data} is not empty and holds no PostgreSQL data: move it away.")
        else:
            self._initialise(binaries, account, environment)

    def _initialise(self, binaries: Binaries, account: Account, environment: dict[str, str]) -> None:
        # Made under another name and renamed when complete: an interrupted start leaves nothing half done.
        draft = self.home / "data.new"
        if draft.exists():
            shutil.rmtree(draft)
        draft.mkdir(mode=0o700)
        if account.is_switched:
            os.chown(draft, account.uid, account.gid)
        options = [
            "--username=postgres", "--auth=reject", "--encoding=UTF8", "--data-checksums",
            "--locale=C", f"--lc-ctype={_character_locale()}", "--text-search-config=simple",
        ]  # fmt: skip
        if binaries.major_version >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        made = account.run(binaries.program("initdb"), *options, f"--pgdata={draft}", environment=environment)
        if made.returncode != 0:
            raise EmbeddedServerError(f"initdb failed:\n{_last_lines(made.stdout)}")
        # No superuser can sign in from outside. Our role makes databases, watches, and orders checkpoints.
        self._set_password(
            lambda sql: _run_alone(
                f"{sql}\nGRANT pg_monitor, pg_checkpoint TO {ROLE}\n"
                f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n",
                draft, binaries, account, environment,
            ),
            f"CREATE ROLE {ROLE} LOGIN CREATEDB",
        )  # fmt: skip
        if self.data.exists():
            self.data.rmdir()
        draft.rename(self.data)

    def _set_password(self, run: Callable[[str], None], statement: str) -> None:
        password = secrets.token_urlsafe(24)
        run(f"{statement} PASSWORD '{password}'\n")
        write_file(self.password_file, password, 0o600)

    def write_configuration(
        self, settings: Mapping[str, str], binaries: Binaries, account: Account, environment: dict[str, str]
    ) -> None:
        """Write the configuration of this start: the defaults, then the caller's settings."""
        chosen = dict(DEFAULT_SETTINGS)
        if "wal_compression" not in settings and _accepts_lz4(self.data, binaries, account, environment):
            chosen["wal_compression"] = "lz4"
        chosen.update(settings)
        lines = [f"{name} = '{_quoted(value)}'" for name, value in chosen.items()]
        write_file(self.configuration_file, "# Written at every start.\n" + "\n".join(lines) + "\n", 0o644)
        write_file(self.access_file, _HOST_ACCESS, 0o644)

    def server_arguments(self, port: int) -> list[str]:
        """The server's arguments; what must hold is given here, where no configuration can override it."""
        fixed = {
            "config_file": str(self.configuration_file),
            "hba_file": str(self.access_file),
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "cluster_name": self.name,
            "log_destination": "stderr",
            "logging_collector": "off",
            "lc_messages": "C",
        }
        return [
            "-D",
            str(self.data),
            *(word for name, value in fixed.items() for word in ("-c", f"{name}={value}")),
        ]

    def erase(self) -> None:
        """Delete everything that this server has made, also the data kept elsewhere."""
        if self.home != self.directory:
            shutil.rmtree(self.home, ignore_errors=True)
        for folder in ("data", "data.new"):
            if (self.home / folder).exists():
                shutil.rmtree(self.home / folder)
        for path in (
            self.configuration_file, self.access_file, self.pointer, self.password_file, self.state_file,
            self.log_file, self.log_file.with_suffix(".log.1"),
        ):  # fmt: skip
            path.unlink(missing_ok=True)
        self.home = self.directory


def write_file(path: Path, text: str, mode: int) -> None:
    """Replace a file at once and durably: a crash leaves the old or the new one, never half."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        give_to_owner_of(path.parent, file.fileno())
        os.fsync(file.fileno())
    draft.replace(path)


def give_to_owner_of(directory: Path, descriptor: int) -> None:
    """As root in another user's directory, give that user the file, so that its next start can write it."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _run_alone(
    sql: str, data: Path, binaries: Binaries, account: Account, environment: dict[str, str]
) -> None:
    """Run statements, one a line, in PostgreSQL's single-user mode: before anybody can connect."""
    done = account.run(
        binaries.program("postgres"), "--single", "-D", str(data), "-c", "exit_on_error=on",
        "-c", "log_statement=none", "-c", "log_min_error_statement=panic",
        "-c", "password_encryption=scram-sha-256", "postgres",
        standard_input=sql, environment=environment,
    )  # fmt: skip
    if done.returncode != 0:
        raise EmbeddedServerError(f"PostgreSQL could not prepare its database:\n{_last_lines(done.stdout)}")


def _accepts_lz4(data: Path, binaries: Binaries, account: Account, environment: dict[str, str]) -> bool:
    asked = account.run(
        binaries.program("postgres"), "-D", str(data), "-c", "wal_compression=lz4", "-C", "wal_compression",
        environment=environment,
    )  # fmt: skip
    return asked.returncode == 0


def _character_locale() -> str:
    """The C library's locale for telling letters from signs: C.UTF-8 where it has it, since plain C knows
    no letter beyond ASCII, so that word and trigram searches would pass over Chinese and Thai text."""
    library = ctypes.CDLL(None)
    library.newlocale.restype = ctypes.c_void_p
    found = library.newlocale(1 << locale.LC_CTYPE, b"C.UTF-8", None)
    if not found:
        return "C"
    library.freelocale(ctypes.c_void_p(found))
    return "C.UTF-8"


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
