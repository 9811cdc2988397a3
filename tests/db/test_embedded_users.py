"""The embedded PostgreSQL as root, who may not run it, and as a normal user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tearline.db import embedded_binaries, embedded_cluster
from tearline.db.embedded import EmbeddedServer, EmbeddedServerError
from tearline.db.embedded_account import clean_environment
from tests.db.test_embedded import SOURCE, execute, only_linux, small_server, value_of

IS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not IS_ROOT, reason="root's change of user needs root")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for one server; whatever the test leaves in it is stopped and deleted."""
    base = Path(tempfile.mkdtemp(prefix="tearline-embedded-"))
    base.chmod(0o755)
    yield base / "postgresql"
    EmbeddedServer(base / "postgresql").erase()
    shutil.rmtree(base)


@only_root
def test_root_runs_it_as_another_user_and_lets_only_that_user_through(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    with small_server(directory) as server:
        assert server.data_directory == directory / "data"
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert directory.stat().st_mode & 0o007 == 0


@only_root
def test_root_below_a_closed_directory_keeps_data_and_programs_within_reach(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_root = directory.parent / "state"
    monkeypatch.setattr(embedded_cluster, "STATE_ROOT", state_root)
    monkeypatch.setattr(embedded_binaries, "STATE_ROOT", state_root)
    closed = directory.parent / "closed"
    closed.mkdir(mode=0o700)
    package = embedded_binaries._packaged_directory().parents[1]
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, closed / source.name, ignore=shutil.ignore_patterns("include", "*.a"))
    inside, told = closed / "checkout" / "postgresql", list[str]()
    binaries = closed / package.name / "pginstall" / "bin"

    with small_server(inside, binaries=binaries, report=told.append) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        assert state_root in server.data_directory.parents
        assert state_root in Path(f"/proc/{server.pid}/exe").readlink().parents
        assert any("cannot reach" in sentence for sentence in told)
    with small_server(inside, binaries=binaries) as server:
        assert value_of(server.url, "SELECT number FROM kept") == 7

    # Whoever deletes the directory starts over; the data that were kept elsewhere are set aside.
    shutil.rmtree(inside)
    with small_server(inside) as server:
        assert value_of(server.url, "SELECT to_regclass('kept') IS NULL") is True
        assert len(list(state_root.glob("*-set-aside-*"))) == 1
        home = server.data_directory.parent
        server.erase()
        assert not home.exists()

    with small_server(inside) as server:
        # Moved away at one stroke: of what is deleted under it, a server deletes some itself.
        home = server.data_directory.parent
        gone = home.rename(home.with_name("gone"))
    shutil.rmtree(gone)
    with pytest.raises(EmbeddedServerError, match="which is gone"):
        small_server(inside).start()
    EmbeddedServer(inside).erase()


@only_linux
def test_a_normal_user_needs_none_of_this(directory: Path) -> None:
    options: dict[str, object] = {}
    python = sys.executable
    if IS_ROOT:
        nobody = pwd.getpwnam("nobody")
        options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        python = _python_of_everybody(options)
        directory.mkdir()
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    command = [
        python, "-c",
        "import os, sys\nfrom pathlib import Path\nfrom tearline.db.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(Path(sys.argv[1]), settings={'shared_buffers': '16MB'}, report=print)\n"
        "server.start(); server.restart()\n"
        "print(os.stat(f'/proc/{server.pid}').st_uid == os.getuid() != 0, server.data_directory)\n"
        "server.stop()", str(directory),
    ]  # fmt: skip

    def run() -> tuple[str, str]:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_import_environment(),
            **options,
        )  # type: ignore[call-overload]
        return done.stdout.strip(), done.stderr

    assert run() == (f"True {directory}/data", "")
    if IS_ROOT:
        # Root takes such data over as their owner, and leaves nothing that the owner could not use.
        with small_server(directory) as server:
            assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert run() == (f"True {directory}/data", "")


def _import_environment() -> dict[str, str]:
    site_packages = Path(psycopg.__file__).parents[1]
    return {**clean_environment(), "PYTHONPATH": f"{SOURCE}:{site_packages}", "PYTHONDONTWRITEBYTECODE": "1"}


def _python_of_everybody(options: dict[str, object]) -> str:
    """A Python of our version that an unprivileged user can run with our packages."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/local/bin/python{version}", f"/usr/bin/python{version}"):
        try:
            tried = subprocess.run(
                [python, "-c", "import tearline.db.embedded"],
                capture_output=True, check=False, cwd="/", env=_import_environment(), **options,
            )  # type: ignore[call-overload]  # fmt: skip
        except OSError:
            continue
        if tried.returncode == 0:
            return python
    pytest.skip(f"no Python {version} within reach of user nobody can import the application")
