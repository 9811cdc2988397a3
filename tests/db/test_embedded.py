"""The embedded PostgreSQL: real servers in directories of their own, ended in every way that happens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tearline.db import embedded, embedded_binaries
from tearline.db.embedded import EmbeddedServer, EmbeddedServerError
from tearline.db.embedded_account import Account, account_for, clean_environment
from tearline.db.embedded_cluster import Cluster

SMALL = {"shared_buffers": "16MB", "max_connections": "20"}
SYSTEM_BINARIES = Path("/usr/lib/postgresql/15/bin")
SOURCE = Path(embedded.__file__).parents[2]
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="rests on Linux's /proc and prctl")

SUPERVISOR = """
import sys, time
from pathlib import Path
from tearline.db.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), settings={"shared_buffers": "16MB", "max_connections": "20"})
server.start()
print(server.pid, server.url, flush=True)
time.sleep(600)
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for one server; whatever the test leaves in it is stopped and deleted."""
    base = Path(tempfile.mkdtemp(prefix="tearline-embedded-"))
    base.chmod(0o755)
    yield base / "postgresql"
    EmbeddedServer(base / "postgresql").erase()
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """A stopped server's directory to copy, because initdb takes most of a first start."""
    base = Path(tempfile.mkdtemp(prefix="tearline-embedded-"))
    base.chmod(0o755)
    with small_server(base / "made"):
        pass
    yield base / "made"
    shutil.rmtree(base)


@pytest.fixture
def made(directory: Path, made_once: Path) -> Path:
    """A directory in which a server has run before."""
    subprocess.run(["cp", "-a", str(made_once), str(directory)], check=True)
    return directory


def small_server(directory: Path, **options: object) -> EmbeddedServer:
    return EmbeddedServer(directory, **{"settings": SMALL, **options})  # type: ignore[arg-type]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def value_of(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def eventually(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start_supervisor(directory: Path) -> tuple[subprocess.Popen[str], int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout is not None
    pid, url = process.stdout.readline().split()
    return process, int(pid), url


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def prepared(directory: Path) -> tuple[Cluster, Account, Path]:
    """A stopped server's files, the user it runs as, and its program."""
    cluster = Cluster(directory)
    cluster.locate()
    account = account_for(cluster.data)
    return cluster, account, embedded_binaries.find_binaries(None, account).program("postgres")


def write_stale_pid(data: Path, pid: int) -> None:
    owner = data.stat()
    (data / "postmaster.pid").write_text(f"{pid}\n{data}\n1700000000\n5432\n\n127.0.0.1\n  1 1\nready   \n")
    os.chown(data / "postmaster.pid", owner.st_uid, owner.st_gid)


def test_second_start_is_quick_and_keeps_data_port_and_password(directory: Path) -> None:
    with small_server(directory) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        first_url, first_pid = server.url, server.pid
        assert server.is_running()
        assert os.getsid(first_pid or 0) != os.getsid(0)  # a terminal's Ctrl-C passes it by
    assert not server.is_running()
    assert server.pid is None

    begun = time.monotonic()
    server.start()
    assert time.monotonic() - begun < 3
    assert server.url == first_url
    assert server.pid != first_pid
    server.restart()
    assert value_of(server.url, "SELECT number FROM kept") == 7
    server.stop()
    server.stop()


def test_settings_are_in_effect(made: Path) -> None:
    with EmbeddedServer(made, settings={**SMALL, "work_mem": "7MB"}) as server:
        expected = {
            "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
            "jit": "off", "max_wal_size": "4GB", "checkpoint_timeout": "15min", "server_encoding": "UTF8",
            "is_superuser": "off", "password_encryption": "scram-sha-256", "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "", "timezone": "UTC", "work_mem": "7MB", "max_connections": "20",
        }  # fmt: skip
        found = {name: value_of(server.url, f"SHOW {name}") for name in expected}
        collation = value_of(server.url, "SELECT datcollate FROM pg_database WHERE datname = 'tearline'")
        letters = value_of(server.url, "SELECT lower('ÉÑ') = 'éñ' AND '香港' ~ '^\\w+$'")
        assert found == expected
        assert collation == "C"
        assert letters is True
        assert value_of(server.url, "SELECT 'b' > 'Z'") is True  # ordered by code point


def test_nobody_enters_without_the_password(made: Path) -> None:
    with small_server(made) as server:
        password_file = made / "password"
        password = password_file.read_text()
        assert password_file.stat().st_mode & 0o777 == 0o600
        assert value_of(server.url, "SELECT current_user") == "tearline"
        for url in (
            server.url.replace(password, "wrong"),
            server.url.replace(f":{password}", ""),
            server.url.replace("//tearline:", "//postgres:"),
        ):
            with pytest.raises(
                psycopg.OperationalError, match=r"authentication failed|no password|no pg_hba"
            ):
                psycopg.connect(url, passfile="/dev/null")
        with socket.socket() as other_address:
            assert other_address.connect_ex(("127.0.0.2", server.port)) != 0
        assert password not in server.log_file.read_text()


def test_committed_rows_outlive_a_kill_of_the_server(made: Path) -> None:
    with small_server(made) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not server.is_running())
        server.start()
        assert server.pid != pid
        assert value_of(server.url, "SELECT count(*) FROM kept") == 1000


@only_linux
def test_a_worker_that_survives_its_server_does_not_prevent_the_next_start(made: Path) -> None:
    with small_server(made) as server:
        with closing(psycopg.connect(server.url)) as connection:
            worker = connection.info.backend_pid
            busy = threading.Thread(target=_compute_for_long, args=[connection], daemon=True)
            busy.start()
            running = f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {worker}"
            assert eventually(lambda: value_of(server.url, running) is True)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            assert eventually(lambda: not server.is_running())
            assert is_alive(worker)
            server.start()
            assert not is_alive(worker)
            busy.join(10)
        assert value_of(server.url, "SELECT 1") == 1


def _compute_for_long(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT count(*) FROM generate_series(1, 1000000000) AS a(n) WHERE n % 7 = 3")


@only_linux
def test_no_server_is_left_when_its_supervisor_is_killed(made: Path) -> None:
    supervisor, pid, url = start_supervisor(made)
    try:
        execute(url, "CREATE TABLE kept AS SELECT 7 AS number")
        with pytest.raises(EmbeddedServerError, match=f"in use by process {supervisor.pid}"):
            small_server(made).start()
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
        assert eventually(lambda: not is_alive(pid))
    finally:
        end(supervisor)
    with small_server(made) as server:
        assert value_of(server.url, "SELECT number FROM kept") == 7
        assert (
            "database system was shut down" in server.log_file.read_text().rpartition("starting Postgre")[2]
        )


@only_linux
def test_a_server_left_behind_is_stopped_by_the_next_start(made: Path) -> None:
    cluster, account, program = prepared(made)
    with (made / "orphan.log").open("wb") as log:
        orphan = subprocess.Popen(
            account.command(program, *cluster.server_arguments(cluster.read_state().port or 0)),
            stderr=log,
            env=clean_environment(),
        )
    try:
        assert eventually(lambda: "ready" in _pid_file(cluster))
        told: list[str] = []
        with small_server(made, report=told.append) as server:
            assert orphan.wait(10) == 0  # a fast stop, not a kill
            assert any(str(orphan.pid) in sentence for sentence in told)
            assert value_of(server.url, "SELECT 1") == 1
    finally:
        end(orphan)


@only_linux
def test_a_server_that_somebody_else_started_on_the_data_is_left_alone(made: Path) -> None:
    cluster, account, program = prepared(made)
    port = cluster.read_state().port
    arguments = ["-D", str(cluster.data), "-c", f"port={port}", "-c", "unix_socket_directories="]
    other = subprocess.Popen(
        account.command(program, *arguments), stderr=subprocess.DEVNULL, env=clean_environment()
    )
    try:
        assert eventually(lambda: "ready" in _pid_file(cluster))
        with pytest.raises(EmbeddedServerError, match=f"process {other.pid}"):
            small_server(made).start()
        assert other.poll() is None
    finally:
        other.send_signal(signal.SIGINT)
        other.wait()


def _pid_file(cluster: Cluster) -> str:
    path = cluster.data / "postmaster.pid"
    return path.read_text() if path.exists() else ""


@only_linux
@pytest.mark.parametrize("name", ["sleep", "postgres"])
def test_a_stale_pid_file_that_names_a_stranger_harms_nobody(made: Path, name: str) -> None:
    cluster, account, _ = prepared(made)
    program = made.parent / name
    shutil.copy(shutil.which("sleep") or "", program)
    program.chmod(0o755)
    stranger = subprocess.Popen(account.command(program, "600"))
    try:
        assert eventually(lambda: Path(f"/proc/{stranger.pid}/comm").read_text().strip() == name)
        write_stale_pid(cluster.data, stranger.pid)
        with small_server(made) as server:
            assert server.pid != stranger.pid
            assert value_of(server.url, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        end(stranger)


def test_an_empty_pid_file_is_no_obstacle(made: Path) -> None:
    cluster, _, _ = prepared(made)
    (cluster.data / "postmaster.pid").write_text("")
    with small_server(made) as server:
        assert value_of(server.url, "SELECT 1") == 1


def test_a_taken_port_is_avoided_or_named(made: Path) -> None:
    with small_server(made) as server:
        port = server.port
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(EmbeddedServerError, match=f"Port {port} .* is taken"):
            small_server(made, port=port).start()
        with small_server(made) as server:
            assert server.port != port
            assert value_of(server.url, "SELECT 1") == 1
    with small_server(made, port=port) as server:
        assert value_of(server.url, "SELECT inet_server_port()") == port


def test_two_starts_on_one_directory(made: Path) -> None:
    servers = [small_server(made) for _ in range(2)]
    refused: list[EmbeddedServerError] = []

    def start(server: EmbeddedServer) -> None:
        try:
            server.start()
        except EmbeddedServerError as error:
            refused.append(error)

    threads = [threading.Thread(target=start, args=[server]) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The threads that started have ended: the server must not end with them.
    (winner,) = [server for server in servers if server.is_running()]
    assert len(refused) == 1
    assert "in use by process" in str(refused[0])
    assert value_of(winner.url, "SELECT 1") == 1

    child = os.fork()
    if child == 0:
        winner.stop()  # in a fork: not its to stop
        os._exit(0)
    os.waitpid(child, 0)
    assert value_of(winner.url, "SELECT 1") == 1
    winner.stop()


def test_absent_and_old_programs_are_refused(directory: Path) -> None:
    empty = directory.parent / "empty"
    empty.mkdir()
    with pytest.raises(EmbeddedServerError, match="There is no PostgreSQL in"):
        EmbeddedServer(directory, binaries=empty).start()
    for name in ("postgres", "initdb"):
        (empty / name).write_text('#!/bin/sh\necho "postgres (PostgreSQL) 14.9 (Debian)"\n')
        (empty / name).chmod(0o755)
    with pytest.raises(EmbeddedServerError, match=r"is version 14\.9; Tearline needs version 15 or newer"):
        EmbeddedServer(directory, binaries=empty).start()
    assert not (directory / "data").exists()


@pytest.mark.skipif(not SYSTEM_BINARIES.is_dir(), reason=f"no PostgreSQL in {SYSTEM_BINARIES}")
def test_a_system_postgresql_works_too_and_versions_are_not_mixed(directory: Path) -> None:
    with small_server(directory, binaries=SYSTEM_BINARIES) as server:
        assert str(value_of(server.url, "SHOW server_version")).startswith("15.")
        assert value_of(server.url, "SHOW wal_compression") == "lz4"
        assert value_of(server.url, "SELECT lower('ÉÑ')") == "éñ"
    with pytest.raises(EmbeddedServerError, match=r"The data in .* are PostgreSQL 15's"):
        small_server(directory).start()


def test_a_failed_start_says_what_the_log_says_and_frees_the_directory(made: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"unrecognized configuration parameter.*no_such_setting"):
        EmbeddedServer(made, settings={**SMALL, "no_such_setting": "1"}).start()
    for settings in ({"listen_addresses": "*"}, {"work_mem\nport": "1"}, {"work_mem": "1MB\nport = 1"}):
        with pytest.raises(EmbeddedServerError):
            EmbeddedServer(made, settings=settings)
    (made / "postgres.log").write_bytes(b"x" * (embedded.LARGEST_LOG_BYTES + 1))
    with small_server(made) as server:
        assert value_of(server.url, "SELECT 1") == 1
        assert server.log_file.stat().st_size < 100_000


def test_a_lost_password_is_replaced(made: Path) -> None:
    with small_server(made) as server:
        old_url = server.url
    (made / "password").unlink()
    with small_server(made) as server:
        assert server.url != old_url
        assert value_of(server.url, "SELECT 1") == 1


def test_an_interrupted_first_start_is_begun_anew(directory: Path) -> None:
    (directory / "data.new").mkdir(parents=True)
    (directory / "data.new" / "PG_VERSION").write_text("18\n")
    with small_server(directory) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        server.erase()
        assert sorted(path.name for path in directory.iterdir()) == ["server.lock"]
        server.start()
        assert value_of(server.url, "SELECT to_regclass('kept') IS NULL") is True
