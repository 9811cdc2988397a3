"""Reading a request's body: bounded, JSON, of the shape that was asked for; anything else is a clear refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec
from litestar.types import Receive

from tearline.core.refusal import Refusal

Shape = TypeVar("Shape")
_WHERE = re.compile(r"(?s)(.*) - at `(?:key in )?\$\.?([^`]*)`")
_ESCAPED_NUL = b"\\u0000"


class Disconnected(Exception):  # noqa: N818 - nobody is left to answer
    """The client went away before its request was complete."""


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        Refusal: ``too_large``, before anything is read when the client says so itself.
        Disconnected: the client went away.
    """
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit_bytes:
            raise Refusal("too_large", limit_bytes=limit_bytes)
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > limit_bytes:
            raise Refusal("too_large", limit_bytes=limit_bytes)
        if not message.get("more_body", False):
            return body


def require_json(content_type: str) -> None:
    """Refuse a body that says it is something other than JSON."""
    if content_type and content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal("unsupported_media_type")


def decode(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    """The body as the shape that the decoder knows.

    Raises:
        Refusal: ``malformed`` when it is no JSON, or holds a NUL, which no text can; ``invalid`` with the
            field when it has another shape.
    """
    if _ESCAPED_NUL in body:
        raise Refusal("malformed")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refusal("invalid", fields=fields_of(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("malformed") from None


def fields_of(message: str) -> dict[str, str]:
    """msgspec's message as a field's dotted path and a sentence."""
    match = _WHERE.fullmatch(message)
    if match is None:
        unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
        missing = re.fullmatch(r"Object missing required field `(.*)`", message)
        named = unknown or missing
        return {named.group(1) if named else "body": message + "."}
    sentence, path = match.groups()
    return {path or "body": sentence + "."}
