"""What runs in a child process of ``serve`` and ``demo``: ``python -m tearline.cli.children PARENT KIND …``.

A child ends with its parent, however that ends: the kernel is asked to see to it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import sys

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 20
_BACKLOG = 2048


def tie_to_parent(parent: int, number: signal.Signals) -> None:
    """Have this signal sent to this process when its parent ends (Linux), or end now if it has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def serve(application: str, listening: int, ready: int) -> None:
    """Answer on an inherited listening socket, and write a line to ``ready`` once it does.

    Args:
        application: what makes it, as ``module:function``.
    """
    import uvicorn

    _allow_many_connections()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # What has been loaded by now stays: the collector need not walk it again and again. A rush makes many
            # objects that end with their request, which counting references frees; cycles can wait a little.
            gc.freeze()
            gc.set_threshold(20_000, 20, 20)
            gc.enable()
            os.write(ready, b"ready\n")
            os.close(ready)

    config = uvicorn.Config(
        application,
        factory=True,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application knows which proxies it trusts
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    Server(config).run(sockets=[socket.socket(fileno=listening)])


def _allow_many_connections() -> None:
    """Each connection takes a file: as many as the system lets, where it begins with few."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def work(ready: int) -> None:
    """Do what is queued and what is scheduled."""
    from tearline.config import load_settings
    from tearline.jobs.worker import run
    from tearline.web.logs import configure_logging

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    gc.freeze()
    gc.enable()
    os.write(ready, b"ready\n")
    os.close(ready)
    asyncio.run(run(settings))


def main(parent: str, kind: str, *descriptors: str) -> None:
    """Become the child of this kind."""
    from tearline.cli.screen import errors, sentence_of

    # A web process leaves nothing behind that a client's repeat does not mend; a worker finishes its job.
    tie_to_parent(int(parent), signal.SIGTERM if kind == "work" else signal.SIGKILL)
    # Nothing of what is loaded first is garbage: looking for it is an eighth of the time that a start takes.
    gc.disable()
    try:
        numbers = [int(descriptor) for descriptor in descriptors]
        if kind == "work":
            work(*numbers)
        else:
            serve(f"tearline.web.app:create_{'gate' if kind == 'gate' else 'app'}", *numbers)
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        errors.print(f"[bold red]✗[/] {sentence}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
