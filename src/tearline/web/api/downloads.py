"""Files in and out of the API: their bodies are no JSON, and pass through as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.response import Stream

from tearline.web.ui.exports import XLSX_MEDIA_TYPE, attachment

CSV = "text/csv"
XLSX = XLSX_MEDIA_TYPE
PDF = "application/pdf"
BYTES = "application/octet-stream"


async def download(chunks: AsyncIterator[bytes], media_type: str, file_name: str) -> Stream:
    """A file as an answer. It is begun before the answer is, so that a refusal is answered as such."""
    first = await anext(chunks, b"")

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return Stream(all_chunks(), media_type=media_type, headers=attachment(file_name))


def _binary() -> OpenAPIMediaType:
    return OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))


@dataclass
class CsvDownload(Operation):
    """The documentation of an operation that answers a CSV file."""

    def __post_init__(self) -> None:
        """Say so."""
        _answer_of(self).content = {CSV: _binary()}


@dataclass
class SheetDownload(Operation):
    """The documentation of an operation that answers a CSV or an Excel file."""

    def __post_init__(self) -> None:
        """Say so."""
        _answer_of(self).content = {CSV: _binary(), XLSX: _binary()}


@dataclass
class StatementDownload(Operation):
    """The documentation of an operation that answers JSON, an Excel file or a PDF."""

    def __post_init__(self) -> None:
        """Say so."""
        _answer_of(self).content = {**(_answer_of(self).content or {}), XLSX: _binary(), PDF: _binary()}


@dataclass
class FileUpload(Operation):
    """The documentation of an operation whose body is a file as it is."""

    def __post_init__(self) -> None:
        """Say so."""
        self.request_body = RequestBody(
            content={BYTES: _binary()}, description="The file, as it is.", required=True
        )


def _answer_of(operation: Operation) -> OpenAPIResponse:
    answer = (operation.responses or {})["200"]
    assert isinstance(answer, OpenAPIResponse)
    return answer
