"""Pools of partners' codes: made and changed, filled from files, and handed back.

A merchant's key sees and fills that merchant's pools alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.pools import check_rule
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.pools import actions, files, handback, outcomes, reads
from tearline.pools.model import CodeFile, CodePool, HandBack
from tearline.sales.closing import hand_back_unsold
from tearline.web.access import GivenServices
from tearline.web.api.downloads import CSV, XLSX, CsvDownload, FileUpload, SheetDownload, download
from tearline.web.api.pool_shapes import (
    CodesToVoid,
    FileAnswer,
    FileDetail,
    HandBackAnswer,
    NewImport,
    NewPool,
    PoolAnswer,
    PoolChange,
    PoolRow,
    PreviewAnswer,
    VoidedAnswer,
    file_answer,
    file_detail,
    hand_back_answer,
    pool_answer,
    pool_row,
    preview_answer,
)
from tearline.web.api.shapes import Page
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    page,
    problems,
    write,
)
from tearline.web.code_imports import begin_import
from tearline.web.services import Services

_FILE_PROBLEMS = problems("file_not_ready", "too_large", "unreadable_file")
FileName = Annotated[
    str, QueryParameter(name="name", description="What the file is called.", min_length=1, max_length=200)
]
SheetFormat = Annotated[Literal["csv", "xlsx"], QueryParameter(name="format")]


@get("/pools", responses=problems())
async def list_pools(
    services: GivenServices, actor: GivenKey, cursor: GivenCursor = None, limit: GivenLimit = 50
) -> Page[PoolRow]:
    """Pools of codes; a merchant's key sees that merchant's."""
    statement = reads.pools(actor)
    async with services.database.connection() as connection:
        return await page(connection, statement, CodePool.id, pool_row, cursor=cursor, limit=limit)


@post("/pools", responses=problems("conflict", "not_editable", "idempotency_key_reused", has_body=True))
async def create_pool(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[NewPool],
    idempotency_key: IdempotencyKey = None,
) -> Response[PoolAnswer]:
    """Give an offer of one merchant, of which nothing has been issued, a pool for the merchant's own codes."""

    async def work(tx: AsyncConnection) -> PoolAnswer:
        pool_id = await actions.create_pool(
            tx,
            actor,
            data.offer_id,
            symbology=data.symbology,
            low_stock=data.low_stock,
            now=services.now(),
        )
        return pool_answer(await reads.pool(tx, actor, pool_id))

    return await write(request, actor, work, status=201)


@get("/pools/{pool_id:uuid}", responses=problems())
async def get_pool(services: GivenServices, actor: GivenKey, pool_id: FromPath[UUID]) -> PoolAnswer:
    """A pool with its counts and its rule."""
    async with services.database.connection() as connection:
        return pool_answer(await reads.pool(connection, actor, pool_id))


@patch(
    "/pools/{pool_id:uuid}", responses=problems("changed_meanwhile", "idempotency_key_reused", has_body=True)
)
async def update_pool(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    data: JSONBody[PoolChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[PoolAnswer]:
    """Change how codes are shown, or when staff are warned; what is left out stays."""

    async def work(tx: AsyncConnection) -> PoolAnswer:
        before = await reads.pool(tx, actor, pool_id)
        values = {"symbology": before.symbology, "low_stock": before.low_stock, **data.given()}
        await actions.update_pool(tx, actor, pool_id, **values, now=services.now())
        return pool_answer(await reads.pool(tx, actor, pool_id))

    return await write(request, actor, work)


@post(
    "/pools/{pool_id:uuid}/void",
    status_code=200,
    responses=problems("idempotency_key_reused", has_body=True),
)
async def void_codes(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    data: JSONBody[CodesToVoid],
    idempotency_key: IdempotencyKey = None,
) -> Response[VoidedAnswer]:
    """Cancel codes of the pool that nobody has bought, such as those that the partner says are wrong."""

    async def work(tx: AsyncConnection) -> VoidedAnswer:
        return VoidedAnswer(voided=await actions.void_codes(tx, actor, pool_id, data.codes, services.now()))

    return await write(request, actor, work)


# Files


@get("/pools/{pool_id:uuid}/files", responses=problems())
async def list_files(
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[FileAnswer]:
    """The pool's files, and what became of each."""
    async with services.database.connection() as connection:
        await reads.pool(connection, actor, pool_id)
        statement = reads.files(actor, pool_id)
        return await page(connection, statement, CodeFile.id, file_answer, cursor=cursor, limit=limit)


@post(
    "/pools/{pool_id:uuid}/files",
    operation_class=FileUpload,
    request_max_body_size=files.MOST_BYTES + 1,
    responses=problems("too_large", "unreadable_file", "file_not_ready"),
)
async def upload_file(
    request: AnyRequest, services: GivenServices, actor: GivenKey, pool_id: FromPath[UUID], name: FileName
) -> Response[FileDetail]:
    """Send a CSV, TXT or XLSX file of codes, as it is. Nothing is added before it is imported."""
    if not is_storable(name):
        raise Refusal("malformed")
    file_id = await files.receive_file(
        services.database, actor, pool_id, name, request.stream(), source="api", now=services.now()
    )
    return Response(await _detail(services, actor, pool_id, file_id), status_code=201)


@get("/pools/{pool_id:uuid}/files/{file_id:uuid}", responses=problems())
async def get_file(
    services: GivenServices, actor: GivenKey, pool_id: FromPath[UUID], file_id: FromPath[UUID]
) -> FileDetail:
    """A file: how far its import is, and what came of it, with examples."""
    return await _detail(services, actor, pool_id, file_id)


@get("/pools/{pool_id:uuid}/files/{file_id:uuid}/preview", responses=_FILE_PROBLEMS)
async def preview_file(
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
    column: Annotated[
        int | None,
        QueryParameter(name="column", description="Another column than the suggested one.", ge=0, le=1000),
    ] = None,
    has_heading: Annotated[bool | None, QueryParameter(name="has_heading")] = None,
) -> PreviewAnswer:
    """What an uploaded file seems to hold: how to read it, and the rule that its codes follow."""
    async with services.database.connection() as connection:
        await _of_pool(connection, actor, pool_id, file_id)
        seen = await files.preview(connection, actor, file_id, column=column, has_heading=has_heading)
    return preview_answer(seen)


@post(
    "/pools/{pool_id:uuid}/files/{file_id:uuid}/import",
    status_code=202,
    responses=problems("file_not_ready", "unreadable_file", has_body=True),
)
async def import_file(
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
    data: JSONBody[NewImport],
) -> Response[FileDetail]:
    """Begin to add the file's codes, all or nothing; ask for the file until it is `imported` or `failed`."""
    actor.require("codes.write")
    await _require_of_pool(services, actor, pool_id, file_id)
    if wrong := check_rule(data.rule.value()):
        raise Refusal("invalid", fields={f"rule.{name}": sentence for name, sentence in wrong.items()})
    await begin_import(
        services,
        actor,
        file_id,
        rule=data.rule.value(),
        column=data.column,
        has_heading=data.has_heading,
    )
    return Response(await _detail(services, actor, pool_id, file_id), status_code=202)


@post(
    "/pools/{pool_id:uuid}/files/{file_id:uuid}/discard",
    status_code=200,
    responses=problems("file_not_ready", "idempotency_key_reused"),
)
async def discard_file(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    file_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[FileAnswer]:
    """Throw away a file that was not imported."""

    async def work(tx: AsyncConnection) -> FileAnswer:
        await _of_pool(tx, actor, pool_id, file_id)
        await files.discard_file(tx, actor, file_id, services.now())
        return file_answer(await _of_pool(tx, actor, pool_id, file_id))

    return await write(request, actor, work)


@get(
    "/pools/{pool_id:uuid}/files/{file_id:uuid}/outcomes",
    operation_class=CsvDownload,
    responses=problems("file_not_ready"),
)
async def get_outcomes(
    services: GivenServices, actor: GivenKey, pool_id: FromPath[UUID], file_id: FromPath[UUID]
) -> Stream:
    """What became of every row of an imported file, as CSV."""
    await _require_of_pool(services, actor, pool_id, file_id)
    chunks = outcomes.outcomes_csv(services.database, actor, file_id, now=services.now())
    return await download(chunks, CSV, f"outcomes-{file_id}.csv")


# Handing back


@get("/pools/{pool_id:uuid}/hand-backs", responses=problems())
async def list_hand_backs(
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[HandBackAnswer]:
    """What was handed back of a pool."""
    async with services.database.connection() as connection:
        await reads.pool(connection, actor, pool_id)
        statement = reads.hand_backs(actor, pool_id)
        return await page(connection, statement, HandBack.id, hand_back_answer, cursor=cursor, limit=limit)


@post(
    "/pools/{pool_id:uuid}/hand-backs",
    responses=problems("orders_open", "nothing_to_hand_back", "sale_running", "idempotency_key_reused"),
)
async def hand_back(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[HandBackAnswer]:
    """Withdraw every unsold code for good, once the selling period is over; then fetch the file."""

    async def work(tx: AsyncConnection) -> HandBackAnswer:
        hand_back_id = await hand_back_unsold(tx, actor, pool_id, services.now())
        statement = reads.hand_backs(actor, pool_id).where(HandBack.id == hand_back_id)
        return hand_back_answer((await tx.execute(statement)).one())

    return await write(request, actor, work, status=201)


@get(
    "/pools/{pool_id:uuid}/hand-backs/{hand_back_id:uuid}/file",
    operation_class=SheetDownload,
    responses=problems(),
)
async def get_hand_back_file(
    services: GivenServices,
    actor: GivenKey,
    pool_id: FromPath[UUID],
    hand_back_id: FromPath[UUID],
    file_format: SheetFormat = "csv",
) -> Stream:
    """The file of a hand-back, the same every time: who, when, how many, and the codes."""
    statement = reads.hand_backs(actor, pool_id).where(HandBack.id == hand_back_id)
    async with services.database.connection() as connection:
        if (await connection.execute(statement)).one_or_none() is None:
            raise Refusal("not_found")
    chunks = handback.hand_back_file(services.database, actor, hand_back_id, file_format, services.now())
    media_type = XLSX if file_format == "xlsx" else CSV
    return await download(chunks, media_type, f"unsold-{hand_back_id}.{file_format}")


async def _of_pool(connection: AsyncConnection, actor: Actor, pool_id: UUID, file_id: UUID) -> reads.FileView:
    file, _merchant_id = await reads.file_of(connection, actor, file_id)
    if file.pool_id != pool_id:
        raise Refusal("not_found")
    return file


async def _require_of_pool(services: Services, actor: Actor, pool_id: UUID, file_id: UUID) -> None:
    async with services.database.connection() as connection:
        await _of_pool(connection, actor, pool_id, file_id)


async def _detail(services: Services, actor: Actor, pool_id: UUID, file_id: UUID) -> FileDetail:
    async with services.database.connection() as connection:
        file = await _of_pool(connection, actor, pool_id, file_id)
        summary = None
        if file.state == "imported":
            summary = await outcomes.summary(connection, actor, file_id)
    return file_detail(file, summary)


HANDLERS: list[Any] = [
    list_pools, create_pool, get_pool, update_pool, void_codes, list_files, upload_file, get_file, preview_file,
    import_file, discard_file, get_outcomes, list_hand_backs, hand_back, get_hand_back_file,
]  # fmt: skip
