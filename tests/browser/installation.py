"""An installation as it runs in earnest: a web process and a worker, started as ``tearline serve`` starts them."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tearline.cli.supervisor import listen
from tests.callers import SECRET

_START_SECONDS = 60


@contextmanager
def installation(database_url: str) -> Iterator[str]:
    """A running installation in demo mode, its messages kept in the outbox; the address it answers at."""
    (listening,) = listen("127.0.0.1", 0, 1)
    port = listening.getsockname()[1]
    environment = {
        **os.environ,
        "TEARLINE_DEMO": "true",
        "TEARLINE_DATABASE_URL": database_url,
        "TEARLINE_SECRET_KEY": SECRET,
        "TEARLINE_PORT": str(port),
        "TEARLINE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "TEARLINE_LOG_LEVEL": "warning",
        "TEARLINE_LOG_FORMAT": "console",
    }
    with (
        listening,
        _child("serve", (listening.fileno(),), environment) as web,
        _child("work", (), environment) as worker,
    ):
        for ready in (web, worker):
            _wait_for(ready)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _child(kind: str, inherited: Sequence[int], environment: dict[str, str]) -> Iterator[int]:
    """A child process; the descriptor on which it says that it is ready."""
    ready, says_ready = os.pipe()
    descriptors = [*inherited, says_ready]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "tearline.cli.children", str(os.getpid()), kind,
            *(str(descriptor) for descriptor in descriptors),
        ],
        env=environment,
        pass_fds=descriptors,
    )  # fmt: skip
    os.close(says_ready)
    try:
        yield ready
    finally:
        os.close(ready)
        # Pages that still poll would be waited for; what is lost here, the next start would mend.
        process.kill()
        process.wait()


def _wait_for(ready: int) -> None:
    readable, _, _ = select.select([ready], [], [], _START_SECONDS)
    assert readable and os.read(ready, 16), "a process of the installation has not started"
