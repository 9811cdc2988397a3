"""Bare ASGI applications to set the gate beside: ``python -m bench.yardsticks NAME PORT``.

They run as Tearline's own processes do, by ``tearline.cli.children.serve``: the same server, the same settings.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from psycopg_pool import AsyncConnectionPool

BACKLOG = 2048


class Hello:
    """Says hello, and nothing else."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await live(receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello", "more_body": False})


class Numbers:
    """Gives every request a number: one statement, one commit, from a pool of connections.

    ``BENCH_DATABASE_URL``, ``BENCH_STATEMENT`` and ``BENCH_POOL`` say where, what and how many.
    """

    def __init__(self) -> None:
        self._statement = os.environ["BENCH_STATEMENT"].encode()
        size = int(os.environ["BENCH_POOL"])
        self._pool = AsyncConnectionPool(
            os.environ["BENCH_DATABASE_URL"],
            min_size=size,
            max_size=size,
            open=False,
            kwargs={"autocommit": True, "prepare_threshold": 1},
        )

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await live(receive, send, self._pool.open, self._pool.close)
            return
        await receive()
        async with self._pool.connection() as connection:
            row = await (await connection.execute(self._statement)).fetchone()
        assert row is not None
        body = b'{"number":%d}' % row[0]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def live(receive: Any, send: Any, *work: Any) -> None:
    """Startup and shutdown of a bare application, each with its piece of work, if any."""
    for position, name in enumerate(("startup", "shutdown")):
        await receive()
        if work:
            await work[position]()
        await send({"type": f"lifespan.{name}.complete"})


def main(name: str, port: str) -> None:
    """Serve one of them until told to stop."""
    from tearline.cli.children import serve

    listening = socket.create_server(("127.0.0.1", int(port)), backlog=BACKLOG)
    ready = os.open(os.devnull, os.O_WRONLY)
    serve(f"bench.yardsticks:{name}", listening.detach(), ready)


if __name__ == "__main__":
    main(*sys.argv[1:])
