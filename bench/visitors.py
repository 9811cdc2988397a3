"""A crowd's HTTP: many visitors over a few hundred kept connections, as through a CDN or a proxy."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0
KEPT_SECONDS = 1.0
"""A connection that has been idle for longer is made anew: the server drops those idle for five seconds, and
what is sent at that very moment would be lost."""
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``etag`` is empty where there was none."""

    status: int
    body: bytes
    etag: bytes = b""


@dataclass
class Seen:
    """What a crowd saw of a server.

    Attributes:
        seconds: from asking to the whole answer, by what was asked for; waiting for a free connection counts.
        errors: answers of 500 and above, broken connections and timeouts, by what and how.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def milliseconds(self, what: str, share: float) -> float:
        """The time within which this share of the answers came."""
        ordered = sorted(self.seconds.get(what, [0.0]))
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3, 1)


class Client:
    """One server, and the connections to it.

    Args:
        seen: where times and errors are noted.
    """

    def __init__(self, url: str, connections: int, seen: Seen) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._connections = connections
        self._seen = seen
        self._all: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[asyncio.Future[_Connection]] = deque()

    async def open(self) -> None:
        """Make all connections."""
        for _ in range(self._connections):
            self._give_back(await self._connect())

    def close(self) -> None:
        """Drop all connections."""
        for one in self._all:
            one.close()

    async def ask(
        self, what: str, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer | None:
        """The answer; None when there was none, or one of 500 and above, which is noted as an error.

        Args:
            what: under which name its time is noted.
        """
        lines = [f"{method} {path} HTTP/1.1\r\nhost: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if method == "POST":
            lines.append(f"content-type: application/json\r\ncontent-length: {len(body)}")
        request = "\r\n".join(lines).encode() + _END + body
        started = time.perf_counter()
        connection = await self._take()
        try:
            if connection.is_stale:
                connection = await self._replace(connection)
            answer = await connection.ask(request)
        except OSError as error:
            self._seen.errors[f"{what}: {type(error).__name__}"] += 1
            self._give_back(await self._replace(connection))
            return None
        self._give_back(connection)
        self._seen.seconds.setdefault(what, []).append(time.perf_counter() - started)
        if answer.status >= 500:
            self._seen.errors[f"{what}: {answer.status}"] += 1
            return None
        return answer

    def give_up_the_overdue(self) -> None:
        """Break off what has had no answer for too long; to be called every second or so."""
        for one in list(self._all):
            one.give_up_when_overdue()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        self._all.add(connection)
        return connection

    async def _replace(self, connection: _Connection) -> _Connection:
        self._all.discard(connection)
        connection.close()
        return await self._connect()

    async def _take(self) -> _Connection:
        if self._idle:
            return self._idle.pop()
        waiter: asyncio.Future[_Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return await waiter

    def _give_back(self, connection: _Connection) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(connection)
        else:
            self._idle.append(connection)


class _Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[Answer] | None = None
        self._asked_at = 0.0
        self._answered_at = time.monotonic()
        self._is_lost = False

    @property
    def is_stale(self) -> bool:
        """Whether the server has dropped it or may do so soon."""
        return self._is_lost or time.monotonic() - self._answered_at > KEPT_SECONDS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_lost = True
        self._fail(ConnectionResetError())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes) -> Answer:
        if self._is_lost or self._transport is None:
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._asked_at = time.monotonic()
        self._buffer = b""
        self._transport.write(request)
        return await self._answer

    def give_up_when_overdue(self) -> None:
        if self._answer is not None and time.monotonic() - self._asked_at > TIMEOUT_SECONDS:
            self._fail(TimeoutError())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(_END)
        if not end or self._answer is None:
            return
        lines = head.lower().split(b"\r\n")
        values = dict(line.split(b": ", 1) for line in lines[1:])
        if len(body) < int(values.get(b"content-length", b"0")):
            return
        answer, self._answer = self._answer, None
        self._answered_at = time.monotonic()
        if not answer.done():
            answer.set_result(Answer(int(lines[0].split(b" ", 2)[1]), body, values.get(b"etag", b"")))

    def _fail(self, error: OSError) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
