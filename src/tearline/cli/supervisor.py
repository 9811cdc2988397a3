"""Child processes: started, waited for until ready, started again when they die, stopped together."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from types import FrameType

from tearline.cli.screen import CommandError, errors

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
STOP_SECONDS = 25.0
START_SECONDS = 60.0
DEATHS_TOLERATED = 5
DEATHS_WITHIN_SECONDS = 60.0
_BIND_SECONDS = 2.0
_BACKLOG = 2048
_LOOK_EVERY_SECONDS = 1.0


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Listening sockets on one address, one for each web process.

    They are bound here and kept open here, so that a connection that comes while a process is being started
    again waits for it, and is not refused. One socket for each lets the kernel spread connections evenly
    (with one shared socket, the process that wakes first takes them all).

    Raises:
        CommandError: the address is taken, or not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CommandError(f"{host} is not an address of this machine: {error.strerror}.") from error
    is_spread = count > 1 and sys.platform == "linux"
    deadline = time.monotonic() + _BIND_SECONDS
    while True:
        sockets: list[socket.socket] = []
        try:
            # Alone first: two programs that both share ports would otherwise not notice one another.
            with socket.socket(family, kind, protocol) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind(address)
            for _ in range(count if is_spread else 1):
                one = socket.socket(family, kind, protocol)
                sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if is_spread:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                one.bind(address)
                one.listen(_BACKLOG)
            return sockets if is_spread else sockets * count
        except OSError as error:
            for one in sockets:
                one.close()
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"Port {port} on {host} cannot be used: {error.strerror}. Stop the program that uses it, "
                    "or choose another port with --port."
                ) from error
            time.sleep(0.1)


@dataclass
class Child:
    """One child process, over its restarts.

    Args:
        name: how it is called in messages.
        arguments: what ``tearline.cli.children`` is told: the kind, then the descriptors it inherits.
        descriptors: what it inherits.
    """

    name: str
    arguments: Sequence[str]
    descriptors: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    ready: int | None = None
    """The end on which it says that it is ready; None once it has."""
    start_again_at: float = 0.0
    deaths: deque[float] = field(default_factory=deque)


class Supervisor:
    """Keeps children running until it is told to stop; belongs to the main thread.

    Args:
        environment: of the children, over this process's own.
        look: is called every second; raises ``CommandError`` when something else has gone wrong.
    """

    def __init__(
        self,
        children: Sequence[Child],
        environment: Mapping[str, str],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = children
        self._environment = {**os.environ, **environment}
        self._look = look
        self._stop_requests = 0
        self._wake_reader, self._wake_writer = os.pipe()
        for descriptor in (self._wake_reader, self._wake_writer):
            os.set_blocking(descriptor, False)

    def run(self, when_ready: Callable[[], None] = lambda: None) -> None:
        """Start the children, tell when all are ready, and keep them running until SIGINT, SIGTERM or SIGHUP.

        Raises:
            CommandError: a child does not come up, or keeps dying; the others have been stopped by then.
        """
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._request_stop) for number in numbers}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        wake_before = signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        try:
            for child in self._children:
                self._start(child)
            if self._await_ready():
                when_ready()
                while not self._stop_requests:
                    self._wait(_LOOK_EVERY_SECONDS)
                    self._look()
                    self._mend()
        finally:
            self._stop()
            signal.set_wakeup_fd(wake_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requests += 1

    def _start(self, child: Child) -> None:
        child.ready, child_ready = os.pipe()
        command = [sys.executable, "-m", "tearline.cli.children", str(os.getpid()), *child.arguments]
        child.process = subprocess.Popen(
            [*command, str(child_ready)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            pass_fds=(*child.descriptors, child_ready),
            start_new_session=True,  # a terminal's Ctrl-C reaches only us, and we stop them in order
        )
        os.close(child_ready)

    def _await_ready(self) -> bool:
        """Wait until every child is ready; False when told to stop before."""
        deadline = time.monotonic() + START_SECONDS
        for child in self._children:
            while child.ready is not None:
                if self._stop_requests:
                    return False
                if time.monotonic() > deadline:
                    raise CommandError(f"The {child.name} process does not come up.")
                readable, _, _ = select.select([child.ready, self._wake_reader], [], [], 1.0)
                self._drain_wake()
                if child.ready in readable:
                    said = os.read(child.ready, 16)
                    os.close(child.ready)
                    child.ready = None
                    if not said:
                        raise CommandError(f"The {child.name} process ended while it was starting.")
        return True

    def _mend(self) -> None:
        """Start again what has died; give up on what keeps dying."""
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None and not self._stop_requests:
                self._bury(child, now)
            if child.process is None and now >= child.start_again_at and not self._stop_requests:
                self._start(child)

    def _bury(self, child: Child, now: float) -> None:
        assert child.process is not None
        status = child.process.returncode
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        child.process = None
        _close_ready(child)
        while child.deaths and child.deaths[0] < now - DEATHS_WITHIN_SECONDS:
            child.deaths.popleft()
        child.deaths.append(now)
        if len(child.deaths) >= DEATHS_TOLERATED:
            raise CommandError(
                f"The {child.name} process has died {len(child.deaths)} times within a minute (last: {how}); "
                "everything is being stopped."
            )
        # The first time at once, then after a pause that grows.
        child.start_again_at = now + 2.0 ** (len(child.deaths) - 1) - 1.0
        errors.print(
            f"[yellow]The {child.name} process has died ({how}); starting it again.[/]", highlight=False
        )

    def _stop(self) -> None:
        """Ask every child to stop, and end those that have not after a while, or at a second Ctrl-C."""
        requests_before = self._stop_requests
        running = [child for child in self._children if child.process is not None]
        for child in running:
            _close_ready(child)
            assert child.process is not None
            child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(child.process is not None and child.process.poll() is None for child in running):
            if time.monotonic() > deadline or self._stop_requests > max(1, requests_before):
                for child in running:
                    assert child.process is not None
                    child.process.kill()
                    child.process.wait()
                break
            self._wait(0.1)

    def _wait(self, seconds: float) -> None:
        select.select([self._wake_reader], [], [], seconds)
        self._drain_wake()

    def _drain_wake(self) -> None:
        try:
            while os.read(self._wake_reader, 512):
                pass
        except BlockingIOError:
            return


def _close_ready(child: Child) -> None:
    if child.ready is not None:
        os.close(child.ready)
        child.ready = None


@contextmanager
def metrics_environment(processes: int) -> Iterator[dict[str, str]]:
    """What web processes are told so that the numbers of any one are those of all; nothing for one alone.

    They count into files of a fresh directory, which goes when they have stopped. One that the environment
    names already is left as it is.
    """
    if processes == 1 or METRICS_VARIABLE in os.environ:
        yield {}
        return
    with TemporaryDirectory(prefix="tearline-metrics-", ignore_cleanup_errors=True) as directory:
        yield {METRICS_VARIABLE: directory}


def web_children(sockets: Sequence[socket.socket], *, is_gate: bool = False) -> list[Child]:
    """One web process for each listening socket; of the gate alone, or of everything."""
    name, kind = ("gate", "gate") if is_gate else ("web", "serve")
    return [
        Child(
            name=name if len(sockets) == 1 else f"{name} {number}",
            arguments=(kind, str(one.fileno())),
            descriptors=(one.fileno(),),
        )
        for number, one in enumerate(sockets, 1)
    ]


def worker_child() -> Child:
    """The process that does queued and scheduled work."""
    return Child(name="worker", arguments=("work",))
