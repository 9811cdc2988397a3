"""What hot endpoints share: a plain ASGI handler that reads a bounded body, works, and answers JSON or a problem.

No framework's per-request work, and yet the same validation and the same problem documents as everywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from litestar.types import HTTPScope, Receive, Send

from tearline.web.bodies import Disconnected, read_body, require_json
from tearline.web.limits import STANDING_KEY, Standing
from tearline.web.problems import REQUEST_ID_KEY, problem_answer

Headers: TypeAlias = dict[bytes, bytes]
Answer: TypeAlias = tuple[int, Iterable[tuple[str, str]], Any]
"""Status, headers, and what becomes the body as JSON; None for no body."""

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class HotHandler:
    """One hot endpoint."""

    method: str
    route: str
    """Its path as the metrics and the OpenAPI document name it."""
    work: Callable[[HTTPScope, Headers, bytes], Awaitable[Answer]]
    limit_bytes: int = 0
    """Of the body; 0 for an endpoint that takes none."""

    async def answer(
        self, scope: HTTPScope, receive: Receive, send: Send, answer_headers: Iterable[tuple[bytes, bytes]]
    ) -> int:
        """Answer one request, whatever it holds; gives the status, 0 when the client went away.

        Args:
            answer_headers: what every answer carries.
        """
        headers = dict(scope["headers"])
        content_type = "application/json"
        extra_headers: Iterable[tuple[str, str]]
        try:
            body = b""
            if self.limit_bytes:
                require_json(text_of(headers, b"content-type"))
                body = await read_body(scope["headers"], receive, self.limit_bytes)
            status, extra_headers, answer = await self.work(scope, headers, body)
            answer_body = b"" if answer is None else _encoder.encode(answer)
        except Disconnected:
            return 0
        except Exception as error:
            status, problem_headers, answer_body = problem_answer(
                error,
                accept_language=text_of(headers, b"accept-language"),
                request_id=str(scope.get(REQUEST_ID_KEY, "")),
            )
            content_type = problem_headers.pop("content-type")
            extra_headers = problem_headers.items()
        standing: Standing | None = scope.get(STANDING_KEY)  # type: ignore[assignment]
        if standing is not None:
            extra_headers = (*extra_headers, *standing.headers().items())
        sent_headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(answer_body)).encode()),
            *answer_headers,
            *((name.encode(), value.encode()) for name, value in extra_headers),
        ]
        await send({"type": "http.response.start", "status": status, "headers": sent_headers})
        await send({"type": "http.response.body", "body": answer_body, "more_body": False})
        return status


Lane: TypeAlias = Sequence[Callable[[str, str], HotHandler | None]]
"""For a method and a path, the hot endpoint or None; asked one after the other."""


def text_of(headers: Headers, name: bytes) -> str:
    """A header's value; empty when it is not there."""
    return headers.get(name, b"").decode("latin-1")
