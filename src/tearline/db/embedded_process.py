"""Processes of the embedded server: our child, and the server that an earlier run may have left behind.

No process is ever signalled on the word of a file. A pid may have been given to a stranger since, so the
process is held by a pidfd first, then verified to be PostgreSQL on our data directory, then signalled
through that pidfd.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from tearline.db.embedded_account import Account, EmbeddedServerError

_PROC = Path("/proc")
FAST_STOP_SECONDS = 30.0
IMMEDIATE_STOP_SECONDS = 15.0
ORPHAN_SECONDS = 5.0


@dataclass(frozen=True)
class ProcessIdentity:
    """What tells one process from every other, also from a later one with the same pid."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True)
class ServerTraces:
    """By what a process is known to be a part of our server."""

    data: Path
    account: Account
    configuration_file: Path
    cluster_name: str


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of a running process; None when it has ended, or where there is no ``/proc``."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    is_ended = fields[0] in "ZX"
    return None if is_ended else ProcessIdentity(pid, int(fields[19]), boot_id)


def _is_postgres_of_user(pid: int, account: Account) -> bool:
    try:
        status = (_PROC / str(pid) / "status").read_text(errors="replace").splitlines()
    except OSError:
        return False
    values = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    return (
        values.get("Name") == "postgres"
        and values.get("Uid", "").split() == [str(account.uid)] * 4
        and values.get("State", "Z")[0] not in "ZX"
    )


def _command_line(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def _works_in(pid: int, directory: Path) -> bool | None:
    """Whether the process works in this directory, as every PostgreSQL process does in its data directory.
    None when the system does not let us see."""
    try:
        return (_PROC / str(pid) / "cwd").samefile(directory)
    except PermissionError:
        return None
    except OSError:
        return False


def is_main_process(pid: int, traces: ServerTraces) -> bool:
    """True when the process, named by ``postmaster.pid``, is a PostgreSQL on our data, whoever started it."""
    if not _is_postgres_of_user(pid, traces.account):
        return False
    works_here = _works_in(pid, traces.data)
    if works_here is not None:
        return works_here
    arguments = _command_line(pid)
    return ("-D", str(traces.data)) in pairwise(arguments)


def _is_worker_process(pid: int, traces: ServerTraces) -> bool:
    title = _command_line(pid)[:1]
    if not title or not title[0].startswith("postgres: ") or not _is_postgres_of_user(pid, traces.account):
        return False
    works_here = _works_in(pid, traces.data)
    return title[0].startswith(f"postgres: {traces.cluster_name}:") if works_here is None else works_here


def stop_leftovers(
    traces: ServerTraces, recorded: ProcessIdentity | None, report: Callable[[str], None]
) -> int | None:
    """End what an earlier run has left of our server.

    Returns:
        The pid in a ``postmaster.pid`` that names no process of ours, so is stale; None when there is none.

    Raises:
        EmbeddedServerError: a server that we did not start runs on our data, or ours does not stop.
    """
    pid = read_pid_file(traces.data)
    if sys.platform != "linux":
        return None  # PostgreSQL itself refuses to start beside a process that may be its like
    if pid is not None and is_main_process(pid, traces):
        is_ours = f"config_file={traces.configuration_file}" in _command_line(pid)
        is_another_start = recorded is not None and recorded.pid == pid and recorded != identity_of(pid)
        if not is_ours or is_another_start:
            raise EmbeddedServerError(
                f"A PostgreSQL that Tearline did not start (process {pid}) runs on {traces.data}. "
                "Stop it first."
            )
        report(f"Stopping the PostgreSQL that an earlier run has left behind (process {pid}).")
        stops = ((signal.SIGINT, FAST_STOP_SECONDS), (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS))
        if not _stop_verified(pid, lambda one: is_main_process(one, traces), stops):
            raise EmbeddedServerError(
                f"The PostgreSQL left behind by an earlier run (process {pid}) does not stop."
            )
    _stop_orphans(traces, report)
    stale_pid = read_pid_file(traces.data)
    if stale_pid is None:
        # A machine's crash may leave the file empty, over which PostgreSQL would stumble.
        (traces.data / "postmaster.pid").unlink(missing_ok=True)
    return stale_pid


def _stop_orphans(traces: ServerTraces, report: Callable[[str], None]) -> None:
    """End workers whose main process was killed: they hold the shared memory, which prevents every start.

    Most notice by themselves at once; one in a long computation does not.
    """
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    for pid in pids:
        if not _is_worker_process(pid, traces):
            continue
        stops = ((None, 1.0), (signal.SIGQUIT, ORPHAN_SECONDS), (signal.SIGKILL, ORPHAN_SECONDS))
        if not _stop_verified(pid, lambda one: _is_worker_process(one, traces), stops):
            report(f"A worker of an earlier PostgreSQL (process {pid}) does not stop.")


def _stop_verified(
    pid: int, is_ours: Callable[[int], bool], stops: tuple[tuple[signal.Signals | None, float], ...]
) -> bool:
    """Send the signals in turn, each with its seconds to take effect; True when the process has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        end = select.poll()
        end.register(handle, select.POLLIN)
        for number, seconds in stops:
            # The handle keeps meaning the same process; once that is ours, it cannot become a stranger.
            if not is_ours(pid):
                return bool(end.poll(0)) or identity_of(pid) is None
            if number is not None:
                signal.pidfd_send_signal(handle, number)
            if end.poll(seconds * 1000):
                return True
        return False
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)


def _pid_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def read_pid_file(data: Path) -> int | None:
    """The pid in the data directory's ``postmaster.pid``; None without a file or when it holds no pid."""
    lines = _pid_file_lines(data)
    return int(lines[0]) if lines and lines[0].strip().isdecimal() and int(lines[0]) > 0 else None


def is_ready(data: Path, pid: int) -> bool:
    """True once the server with this pid has written that it takes connections."""
    lines = _pid_file_lines(data)
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


class ServerProcess:
    """The server's main process as our direct child, in a session of its own so that a terminal's Ctrl-C
    reaches only us.

    It is started and awaited by a thread that lives as long as it does: Linux ends a process that is tied
    to its parent when the *thread* that started it ends, so that thread must not be the caller's.
    """

    def __init__(self, command: list[str], environment: dict[str, str], log: BinaryIO) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._started = threading.Event()
        self._ended = threading.Event()
        self._reaping = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        threading.Thread(target=self._run, name="embedded-postgresql", daemon=True).start()
        self._started.wait()
        if self._error is not None:
            raise EmbeddedServerError(f"PostgreSQL could not be started: {self._error}") from self._error

    def _run(self) -> None:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                cwd="/",
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            self._error = error
            self._ended.set()
            self._started.set()
            return
        self._process = process
        self._started.set()
        # Reaped only with the lock held: until then the pid stays its own, out of a stranger's reach.
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        while not self._is_reaped(process):
            time.sleep(0.05)
        self._ended.set()

    def _is_reaped(self, process: subprocess.Popen[bytes]) -> bool:
        with self._reaping:
            return process.poll() is not None

    @property
    def pid(self) -> int:
        """The pid of the main process."""
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        """True until the main process has ended."""
        return not self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; True when it has come."""
        return self._ended.wait(seconds)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        with self._reaping:
            if self._process is not None and self._process.returncode is None:
                os.kill(self._process.pid, number)

    def stop(self) -> None:
        """Fast stop, after 30 s immediate stop, at last kill; returns when the process has ended."""
        for number, seconds in (
            (signal.SIGINT, FAST_STOP_SECONDS),
            (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, IMMEDIATE_STOP_SECONDS),
        ):
            self.send(number)
            if self.wait(seconds):
                return
        raise EmbeddedServerError(f"PostgreSQL (process {self.pid}) does not end, not even when killed.")
