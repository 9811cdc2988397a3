"""A whole rehearsal in small, on a real server: what it says, what it writes, and that nothing of it is left."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tearline.db.embedded import EmbeddedServer
from tests.web.test_cli import command_line, environment, run, running, wait_for_output, wait_until

pytestmark = pytest.mark.timeout(150)


def rehearsal_databases(server: EmbeddedServer) -> list[str]:
    with psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE '%\\_rehearsal\\_%'")
        return [name for (name,) in rows.fetchall()]


def processes_of(parent: int) -> list[psutil.Process]:
    """Web processes and visitors: each is told the process that it belongs to."""
    kinds = ("tearline.cli.children", "tearline.cli.rehearsal.visitors")
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(parent) in words and any(kind in words for kind in kinds):
            found.append(process)
    return found


@pytest.fixture
def left_behind(server: EmbeddedServer, database_url: str) -> Iterator[str]:
    """A database that a killed rehearsal of this installation has left."""
    name = f"{database_url.rsplit('/', 1)[1]}_rehearsal_20200101000000"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield name
        admin.execute(f"DROP DATABASE IF EXISTS {name}")


def test_a_quick_rehearsal_from_beginning_to_end(
    server: EmbeddedServer, database_url: str, tmp_path: Path, left_behind: str
) -> None:
    with psycopg.connect(database_url) as connection:
        members_before = connection.execute("SELECT count(*) FROM member").fetchone()
    # Objective and patience are wide: this machine does other things, too, and they aren't what is tested here.
    done = subprocess.run(
        command_line("rehearse", "--quick", "--report", "out.html", "--stock", "600", "--p95-ms", "20000"),
        env=environment(tmp_path, TEARLINE_DATABASE_URL=database_url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sentence = re.fullmatch(
        r"Set max_active to (\d+); expect the stock to last (\d+ minutes?|less than a minute)\.\n",
        done.stdout,
    )
    assert sentence, done.stdout

    page = (tmp_path / "out.html").read_text("utf-8")
    assert done.stdout.strip() in page
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)
    response, rates, processors, people = map(json.loads, blocks)
    assert response["categories"][-1] == sentence[1]
    # A step of two seconds may see no claim where other things keep the machine busy.
    assert any(claims > 0 for claims in dict(rates["series"])["claims"])
    assert all(share > 0 for share in dict(processors["series"])["web processes"])
    allowed = max(dict(people["series"])["allowed inside"])
    assert 0 < max(dict(people["series"])["inside"]) <= allowed + 1
    claimed = re.search(r"Visitors who claimed</dt><dd>(\d+)</dd>", page)
    assert claimed and int(claimed[1]) > 0
    assert "What went wrong" not in page, done.stderr

    assert rehearsal_databases(server) == []
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM member").fetchone() == members_before


@pytest.mark.parametrize("is_in_background", [False, True])
def test_stopped_in_the_middle_it_clears_away(
    server: EmbeddedServer, database_url: str, tmp_path: Path, is_in_background: bool
) -> None:
    # What a shell starts with & inherits this.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_in_background else None
    with running(
        tmp_path, *("rehearse", "--people", "20", "--think-seconds", "1"), TEARLINE_DATABASE_URL=database_url
    ) as process:
        if is_in_background:
            signal.signal(signal.SIGINT, before)
        wait_for_output(tmp_path, process, "Rehearsing with 20 people")
        wait_until(lambda: len(processes_of(process.pid)) == 2, "no web process and visitors")
        assert len(rehearsal_databases(server)) == 1
        # It makes a Ctrl-C of it, so this is both.
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        assert process.returncode != 0
        assert processes_of(process.pid) == []
    assert rehearsal_databases(server) == []
    assert "Traceback" not in (tmp_path / "output").read_text()


def test_one_at_a_time(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('tearline rehearsal'))")
        done = run(tmp_path, "rehearse", "--quick", TEARLINE_DATABASE_URL=database_url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Another rehearsal is running" in done.stderr
