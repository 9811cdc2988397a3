"""A whole installation to measure: the embedded PostgreSQL, and Tearline's own server processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from tearline.db.embedded import EmbeddedServer
from tearline.db.migrate import upgrade

SECRET_KEY = "bench-secret-key-that-is-long-enough-000"


class Postgres:
    """The embedded server as it is shipped, in a directory of its own; its settings can be changed by a restart."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.server = EmbeddedServer(directory)
        self.server.start()

    def restart(self, settings: dict[str, str]) -> None:
        """Start again with these settings, on the same data and port."""
        self.server.stop()
        self.server = EmbeddedServer(self._directory, port=self.server.port, settings=settings)
        self.server.start()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that is removed with all its data afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="tearline-bench-"))
    running = Postgres(directory)
    try:
        yield running
    finally:
        running.server.erase()
        shutil.rmtree(directory, ignore_errors=True)


def make_database(running: Postgres, name: str) -> str:
    """A migrated database; returns its address."""
    with psycopg.connect(running.server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = running.server.url.rsplit("/", 1)[0] + "/" + name
    upgrade(url)
    return url


@contextmanager
def slow_flush(running: Postgres) -> Iterator[None]:
    """Adds 2 ms to each flush, as on an ordinary disk, by PostgreSQL's own commit_delay."""
    running.restart({"commit_delay": "2000", "commit_siblings": "0"})
    try:
        yield
    finally:
        running.restart({})


@dataclass
class Web:
    """Running server processes and where they listen."""

    url: str
    process: subprocess.Popen[bytes]

    def memory_mb(self) -> list[float]:
        """Unique set size of each process, in MB; the supervising one last."""
        parent = psutil.Process(self.process.pid)
        return [
            round(one.memory_full_info().uss / 1e6, 1) for one in [*parent.children(recursive=True), parent]
        ]


@contextmanager
def web(
    database_url: str, processes: int = 1, *, kind: str = "serve", settings: Mapping[str, str] | None = None
) -> Iterator[Web]:
    """``tearline serve``, or another ``kind`` of server such as ``gate``, on a database and ready to answer.

    Args:
        settings: further ones, by the names of their variables.
    """
    port = _free_port()
    environment = {
        **os.environ,
        "TEARLINE_DATABASE_URL": database_url,
        "TEARLINE_SECRET_KEY": SECRET_KEY,
        "TEARLINE_PORT": str(port),
        "TEARLINE_PROCESSES": str(processes),
        "TEARLINE_LOG_LEVEL": "warning",
        **(settings or {}),
    }
    command = [str(Path(sys.executable).with_name("tearline")), kind]
    with _running(command, environment, port, "/readyz") as running:
        yield running


@contextmanager
def yardstick(name: str, **environment: str) -> Iterator[Web]:
    """One of ``bench.yardsticks`` on a server of the same settings, ready to answer."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.yardsticks", name, str(port)]
    with _running(command, {**os.environ, **environment}, port, "/") as running:
        yield running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str], port: int, ready: str) -> Iterator[Web]:
    process = subprocess.Popen(command, env=environment)
    running = Web(f"http://127.0.0.1:{port}", process)
    try:
        _await_ready(running, ready)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _await_ready(running: Web, path: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(running.url + path, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if running.process.poll() is not None:
                raise RuntimeError("the server did not start") from None
            time.sleep(0.1)
    raise TimeoutError("the server is not ready")
