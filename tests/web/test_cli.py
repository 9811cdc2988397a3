"""The tearline command: what it says, what it makes, what it refuses, and how its processes live and die."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from typer.testing import CliRunner

from tearline.cli.app import app
from tearline.db.embedded import EmbeddedServer

COMMANDS = (
    [], ["demo"], ["serve"], ["worker"], ["migrate"], ["audit"], ["rehearse"],
    ["staff"], ["staff", "create"], ["key"], ["key", "create"],
)  # fmt: skip
PASSWORD = "a calm little password"
PATIENCE_SECONDS = 60


def environment(directory: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEARLINE_")}
    return {
        **kept,
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "TEARLINE_DATA_DIRECTORY": str(directory / "data"),
        **settings,
    }


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from tearline.cli import main; main()", *arguments]


def run(
    directory: Path, *arguments: str, typed: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(*arguments),
        env=environment(directory, **settings),
        cwd=directory,
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@contextmanager
def running(directory: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A command that stays; whatever of it is left at the end is killed."""
    with (directory / "output").open("a") as output:
        process = subprocess.Popen(
            command_line(*arguments),
            env=environment(directory, **settings),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def wait_for_output(directory: Path, process: subprocess.Popen[str], text: str) -> str:
    """What a running command has printed, once this is in it."""
    said = directory / "output"
    wait_until(lambda: text in said.read_text() or process.poll() is not None, f"it does not say {text!r}")
    output = said.read_text()
    assert text in output, output
    return output


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def children_of(process: subprocess.Popen[str], kind: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if kind in words or (words and Path(words[0]).name == kind):
            found.append(child)
    return found


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def asked_for_health(port: int) -> int:
    """How often the processes were asked for their health, by their own count."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    counted = re.findall(r'^tearline_requests_total\{[^}]*route="/healthz"[^}]*\} (\S+)$', text, re.MULTILINE)
    return sum(int(float(count)) for count in counted)


@pytest.fixture
def production(database_url: str) -> dict[str, str]:
    """Settings of an installation with a database of its own."""
    return {"TEARLINE_DATABASE_URL": database_url, "TEARLINE_SECRET_KEY": "k" * 40}


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "tearline")
def test_every_command_explains_itself_and_shows_an_example(words: list[str]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"], prog_name="tearline", env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert f"Usage: tearline {' '.join([*words, ''])}[OPTIONS]" in done.stdout
    is_group = words in ([], ["staff"], ["key"])
    assert is_group or "Example" in done.stdout


def test_the_first_help_names_all_commands(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    for name in ("demo", "serve", "worker", "migrate", "audit", "rehearse", "staff", "key"):
        assert re.search(rf"^│ {name} +\S.*│$", done.stdout, re.MULTILINE), name
    assert run(tmp_path, "--version").stdout.startswith("tearline ")


def test_staff_create_makes_an_account_and_says_where_it_signs_in(
    tmp_path: Path, production: dict[str, str], database_url: str
) -> None:
    arguments = ("staff", "create", "--email", "Mei@example.org", "--name", "Mei", "--role", "owner")
    done = run(tmp_path, *arguments, "--password-file", "-", typed=f"{PASSWORD}\n", **production)
    assert (done.returncode, done.stdout) == (0, "") and "/console" in done.stderr, done.stderr
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT email, role, password_hash FROM staff").fetchone()
        acts = connection.execute("SELECT actor_kind, action, after::text FROM audit_entry").fetchall()
    assert row is not None and row[:2] == ("mei@example.org", "owner") and PASSWORD not in row[2]
    assert [act[:2] for act in acts] == [("command", "staff.created")] and PASSWORD not in acts[0][2]

    again = run(tmp_path, *arguments, "--password-file", "-", typed=f"{PASSWORD}\n", **production)
    assert again.returncode == 2 and "already signs in with this address" in again.stderr
    short = run(tmp_path, *arguments, "--password-file", "-", typed="short\n", **production)
    assert short.returncode == 2 and "at least 10 characters" in short.stderr
    assert "Traceback" not in again.stderr + short.stderr


def test_a_generated_password_is_all_that_is_printed(tmp_path: Path, production: dict[str, str]) -> None:
    arguments = ("staff", "create", "--email", "a@example.org", "--name", "A", "--role", "auditor")
    done = run(tmp_path, *arguments, "--generate-password", **production)
    assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}\n", done.stdout), done.stderr
    missing = run(tmp_path, *arguments, "--merchant", "nobody", "--generate-password", **production)
    assert missing.returncode == 2 and "no merchant with the code 'nobody'" in missing.stderr


def test_key_create_prints_the_key_once_and_nothing_else(
    tmp_path: Path, production: dict[str, str], database_url: str
) -> None:
    done = run(
        tmp_path,
        "key",
        "create",
        "--name",
        "Shop",
        "--scope",
        "offers.read",
        "--scope",
        "campaigns.read",
        **production,
    )
    assert re.fullmatch(r"tl_[\w-]{43}\n", done.stdout), done.stderr
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT name, scopes, prefix FROM api_key").fetchone()
    assert row == ("Shop", ["campaigns.read", "offers.read"], done.stdout[:8])
    wrong = run(tmp_path, "key", "create", "--name", "X", "--scope", "staff.manage", **production)
    assert wrong.returncode == 2 and "is no scope" in wrong.stderr and "offers.read" in wrong.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"TEARLINE_PORT": "eighty"}, "TEARLINE_PORT is wrong"),
        ({"TEARLINE_PORTS": "80"}, "TEARLINE_PORTS is not a setting"),
        ({"TEARLINE_SECRET_KEY": ""}, "TEARLINE_SECRET_KEY is required"),
        ({"TEARLINE_SECRET_KEY": "short"}, "TEARLINE_SECRET_KEY is wrong"),
        ({"TEARLINE_DATABASE_URL": "mysql://x"}, "TEARLINE_DATABASE_URL is wrong"),
        ({"TEARLINE_DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z"}, "The database cannot be reached"),
        ({"TEARLINE_HOST": "no such host"}, "is not an address of this machine"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    port = {"TEARLINE_PORT": str(free_port())}
    done = run(tmp_path, "serve", **{"TEARLINE_SECRET_KEY": "k" * 40, **port, **settings})
    assert done.returncode == 2 and sentence in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 2


def test_a_database_that_lacks_migrations_is_migrated_once_and_not_served_before(
    tmp_path: Path, server: EmbeddedServer
) -> None:
    name = f"empty_{os.getpid()}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = server.url.rsplit("/", 1)[0] + "/" + name
    settings = {"TEARLINE_DATABASE_URL": url, "TEARLINE_SECRET_KEY": "k" * 40}
    try:
        early = run(tmp_path, "serve", "--port", str(free_port()), **settings)
        assert early.returncode == 2 and "Run: tearline migrate" in early.stderr
        done = run(tmp_path, "migrate", TEARLINE_DATABASE_URL=url)
        assert done.returncode == 0 and re.search(r"\d+ migrations? done", done.stderr), done.stderr
        assert "up to date" in run(tmp_path, "migrate", TEARLINE_DATABASE_URL=url).stderr
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
        ahead = run(tmp_path, "migrate", TEARLINE_DATABASE_URL=url)
        assert ahead.returncode == 2 and "does not know" in ahead.stderr and "Traceback" not in ahead.stderr
    finally:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_audit_tells_by_its_exit_status_whether_the_books_balance(
    tmp_path: Path, production: dict[str, str], database_url: str
) -> None:
    done = run(tmp_path, "audit", **production)
    assert done.returncode == 0 and "checks hold" in done.stdout, done.stderr
    with psycopg.connect(database_url) as connection:
        # A claim that nobody counted, of a prize that is not there.
        connection.execute(
            "INSERT INTO claim (member_id, id, campaign_id, prize_id, idempotency_key, claimed_at) VALUES "
            "(gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'k', now())"
        )
    done = run(tmp_path, "audit", **production)
    assert done.returncode == 1 and "found breaches" in done.stdout, done.stderr


def test_serve_mends_a_dead_process_refuses_nobody_and_stops_cleanly(
    tmp_path: Path, production: dict[str, str]
) -> None:
    port = free_port()
    with running(tmp_path, "serve", "--port", str(port), "--processes", "2", **production) as serving:
        wait_for_output(tmp_path, serving, "Serving at")
        first = children_of(serving, "serve")
        assert len(first) == 2 and all(answers(port) for _ in range(8))
        # Whichever process is asked, it tells of all.
        assert {asked_for_health(port) for _ in range(8)} == {8}
        [metrics] = {Path(child.environ()["PROMETHEUS_MULTIPROC_DIR"]) for child in first}
        assert metrics.is_dir()

        second = run(tmp_path, "serve", "--port", str(port), **production)
        assert second.returncode == 2 and "--port" in second.stderr and "Traceback" not in second.stderr

        first[0].kill()
        # Connections that come meanwhile wait for the process that takes its place.
        assert all(answers(port) for _ in range(12))
        wait_until(lambda: len(children_of(serving, "serve")) == 2, "the dead process was not replaced")
        assert "has died (SIGKILL); starting it again" in (tmp_path / "output").read_text()

        children = children_of(serving, "serve")
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(PATIENCE_SECONDS) == 0
        assert not any(is_alive(child) for child in children)
        assert not metrics.exists()
    assert not answers(port)


def test_web_processes_end_with_a_killed_parent(tmp_path: Path, production: dict[str, str]) -> None:
    port = free_port()
    with running(tmp_path, "serve", "--port", str(port), **production) as serving:
        wait_for_output(tmp_path, serving, "Serving at")
        children = children_of(serving, "serve")
        serving.kill()
        wait_until(lambda: not any(is_alive(child) for child in children), "a child outlives its parent")


def test_the_demo_comes_up_seeded_recovers_from_kills_and_stops_with_its_database(tmp_path: Path) -> None:
    port = free_port()
    # Never anybody's real database, whatever the environment says.
    elsewhere = {"TEARLINE_DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z"}
    with running(tmp_path, "demo", "--port", str(port), **elsewhere) as demo:
        output = wait_for_output(tmp_path, demo, "the next start is quick")
        assert f"http://127.0.0.1:{port}/console" in output and "owner@tearline.example" in output
        assert answers(port)
        secret = tmp_path / "data" / "secret_key"
        assert secret.stat().st_mode & 0o777 == 0o600
        assert len(children_of(demo, "serve")) == 2 and len(children_of(demo, "work")) == 1

        [worker] = children_of(demo, "work")
        main_process = next(
            one
            for one in children_of(demo, "postgres")
            if one.ppid() not in {c.pid for c in children_of(demo, "postgres")}
        )
        worker.kill()
        main_process.kill()
        wait_until(
            lambda: "PostgreSQL has died; starting it again" in (tmp_path / "output").read_text(),
            "no mending",
        )
        wait_until(
            lambda: httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200,
            "no reconnection",
        )
        wait_until(lambda: len(children_of(demo, "work")) == 1, "the worker was not replaced")

        owned = run(tmp_path, "audit")
        assert owned.returncode == 0 and "checks hold" in owned.stdout, owned.stderr

        everything = psutil.Process(demo.pid).children(recursive=True)
        demo.kill()
        wait_until(lambda: not any(is_alive(one) for one in everything), "something outlives a killed demo")

    (tmp_path / "output").unlink()
    with running(tmp_path, "demo", "--port", str(port)) as demo:
        output = wait_for_output(tmp_path, demo, "the next start is quick")
        assert "Keys for the API" in output and "tl_" in output and secret.exists()
        everything = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE_SECONDS) == 0
        assert not any(is_alive(one) for one in everything)
    # Run by root, the data may lie where the database's own user can reach them: outside this directory.
    EmbeddedServer(tmp_path / "data" / "postgres").erase()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
