"""Files that are sent with a form, taken as they arrive: a form's parser would keep the whole of them.

A handler that reads its body this way has ``opt={READS_OWN_FORM: True}``, so that nobody parses the form before
it, and checks the form's token itself, with what ``web.security`` has for that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from tearline.core.refusal import Refusal

FORM_LIMIT_BYTES = 1024 * 1024
"""Terms in four languages are long, and a form's encoding makes three bytes of each of theirs nine."""

_MOST_PARTS = 20
_LONGEST_TEXT = 10_000


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a form, and what stood before it.

    Attributes:
        texts: the form's other inputs, as far as they came before the file.
        name: as the browser calls it; "" when none was chosen.
        chunks: its content. To be read once, and to its end: the rest of the request is behind it.
    """

    texts: dict[str, str]
    name: str
    chunks: AsyncIterator[bytes]


async def sent_file(request: Request[Any, Any, Any], field: str) -> SentFile:
    """The file that the form's input ``field`` sends.

    Raises:
        Refusal: ``malformed`` when this is no form with such a file, ``unsupported_media_type``.
    """
    content_type, options = request.content_type
    if content_type != RequestEncodingType.MULTI_PART:
        raise Refusal("unsupported_media_type")
    try:
        parts = _parts(request, options["boundary"].encode("latin-1"))
    except (KeyError, UnicodeEncodeError):
        raise Refusal("malformed") from None
    texts: dict[str, str] = {}
    name, typed = "", bytearray()
    async for part in parts:
        if isinstance(part, MultipartSegment):
            name, typed = part.name, bytearray()
            if part.name == field:
                return SentFile(texts, part.filename or "", _content(parts))
        elif part is None:
            texts[name] = typed.decode("utf-8", "replace")
        elif len(typed) + len(part) > _LONGEST_TEXT:
            raise Refusal("too_large")
        else:
            typed += part
    raise Refusal("malformed")


async def _parts(
    request: Request[Any, Any, Any], boundary: bytes
) -> AsyncIterator[MultipartSegment | bytes | None]:
    """The beginning of each part, its content piece by piece, and None at its end."""
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS) as parser:
            async for chunk in request.stream():
                for part in parser.parse(chunk):
                    yield part if part is None or isinstance(part, MultipartSegment) else bytes(part)
    except RequestEntityTooLarge:
        raise Refusal("too_large") from None
    except (MultipartError, ValueError, HTTPException):
        raise Refusal("malformed") from None


async def _content(parts: AsyncIterator[MultipartSegment | bytes | None]) -> AsyncIterator[bytes]:
    is_over = False
    # What comes behind the file is read, too: an answer before the request's end would cut it off.
    async for part in parts:
        if part is None:
            is_over = True
        elif isinstance(part, bytes) and not is_over:
            yield part
