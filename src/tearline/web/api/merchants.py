"""Merchants and their stores."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import Actor
from tearline.merchants import actions, reads
from tearline.merchants.model import Merchant, Store
from tearline.web.access import GivenServices
from tearline.web.api.shapes import (
    MerchantAnswer,
    MerchantChange,
    NewMerchant,
    NewStore,
    Page,
    StoreAnswer,
    StoreChange,
)
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    check_picture,
    page,
    problems,
    write,
)

_WRITE_PROBLEMS = problems("already_taken", "idempotency_key_reused", has_body=True)
_STATE_PROBLEMS = problems("idempotency_key_reused")


def _merchant(row: Any) -> MerchantAnswer:
    return msgspec.convert(row, MerchantAnswer, from_attributes=True)


def _store(row: Any) -> StoreAnswer:
    return msgspec.convert(row, StoreAnswer, from_attributes=True)


async def _merchant_answer(connection: AsyncConnection, actor: Actor, merchant_id: UUID) -> MerchantAnswer:
    return _merchant(await reads.merchant_by_id(connection, actor, merchant_id))


async def _store_answer(connection: AsyncConnection, actor: Actor, store_id: UUID) -> StoreAnswer:
    return _store(await reads.store_by_id(connection, actor, store_id))


@get("/merchants", responses=problems())
async def list_merchants(
    services: GivenServices, actor: GivenKey, cursor: GivenCursor = None, limit: GivenLimit = 50
) -> Page[MerchantAnswer]:
    """The merchants that the key may see."""
    async with services.database.connection() as connection:
        return await page(
            connection, reads.merchant_list(actor), Merchant.id, _merchant, cursor=cursor, limit=limit
        )


@post("/merchants", responses=_WRITE_PROBLEMS)
async def create_merchant(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[NewMerchant],
    idempotency_key: IdempotencyKey = None,
) -> Response[MerchantAnswer]:
    """Make a merchant."""

    async def work(tx: AsyncConnection) -> MerchantAnswer:
        check_picture(data.image)
        merchant_id = await actions.create_merchant(tx, actor, now=services.now(), **data.given())
        return await _merchant_answer(tx, actor, merchant_id)

    return await write(request, actor, work, status=201)


@get("/merchants/{merchant_id:uuid}", responses=problems())
async def get_merchant(
    services: GivenServices, actor: GivenKey, merchant_id: FromPath[UUID]
) -> MerchantAnswer:
    """One merchant."""
    async with services.database.connection() as connection:
        return await _merchant_answer(connection, actor, merchant_id)


@patch("/merchants/{merchant_id:uuid}", responses=_WRITE_PROBLEMS)
async def update_merchant(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    data: JSONBody[MerchantChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[MerchantAnswer]:
    """Change a merchant; what is left out stays."""

    async def work(tx: AsyncConnection) -> MerchantAnswer:
        check_picture(data.image)
        await actions.update_merchant(tx, actor, merchant_id, services.now(), **data.given())
        return await _merchant_answer(tx, actor, merchant_id)

    return await write(request, actor, work)


@post("/merchants/{merchant_id:uuid}/suspend", status_code=200, responses=_STATE_PROBLEMS)
async def suspend_merchant(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[MerchantAnswer]:
    """Let the merchant's staff and keys in nowhere, until it is resumed."""

    async def work(tx: AsyncConnection) -> MerchantAnswer:
        await actions.suspend_merchant(tx, actor, merchant_id, services.now())
        return await _merchant_answer(tx, actor, merchant_id)

    return await write(request, actor, work)


@post("/merchants/{merchant_id:uuid}/resume", status_code=200, responses=_STATE_PROBLEMS)
async def resume_merchant(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[MerchantAnswer]:
    """Let a suspended merchant go on."""

    async def work(tx: AsyncConnection) -> MerchantAnswer:
        await actions.resume_merchant(tx, actor, merchant_id, services.now())
        return await _merchant_answer(tx, actor, merchant_id)

    return await write(request, actor, work)


@get("/merchants/{merchant_id:uuid}/stores", responses=problems())
async def list_stores(
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[StoreAnswer]:
    """A merchant's stores."""
    async with services.database.connection() as connection:
        await reads.merchant_by_id(connection, actor, merchant_id)
        statement = reads.store_list(actor, merchant_id)
        return await page(connection, statement, Store.id, _store, cursor=cursor, limit=limit)


@post("/merchants/{merchant_id:uuid}/stores", responses=_WRITE_PROBLEMS)
async def create_store(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    merchant_id: FromPath[UUID],
    data: JSONBody[NewStore],
    idempotency_key: IdempotencyKey = None,
) -> Response[StoreAnswer]:
    """Open a store of a merchant."""

    async def work(tx: AsyncConnection) -> StoreAnswer:
        store_id = await actions.create_store(tx, actor, merchant_id, now=services.now(), **data.given())
        return await _store_answer(tx, actor, store_id)

    return await write(request, actor, work, status=201)


@get("/stores/{store_id:uuid}", responses=problems())
async def get_store(services: GivenServices, actor: GivenKey, store_id: FromPath[UUID]) -> StoreAnswer:
    """One store."""
    async with services.database.connection() as connection:
        return await _store_answer(connection, actor, store_id)


@patch("/stores/{store_id:uuid}", responses=_WRITE_PROBLEMS)
async def update_store(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    store_id: FromPath[UUID],
    data: JSONBody[StoreChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[StoreAnswer]:
    """Change a store; what is left out stays."""

    async def work(tx: AsyncConnection) -> StoreAnswer:
        await actions.update_store(tx, actor, store_id, services.now(), **data.given())
        return await _store_answer(tx, actor, store_id)

    return await write(request, actor, work)


@post("/stores/{store_id:uuid}/close", status_code=200, responses=_STATE_PROBLEMS)
async def close_store(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    store_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[StoreAnswer]:
    """Close a store: nothing is redeemed there any more."""

    async def work(tx: AsyncConnection) -> StoreAnswer:
        await actions.close_store(tx, actor, store_id, services.now())
        return await _store_answer(tx, actor, store_id)

    return await write(request, actor, work)


@post("/stores/{store_id:uuid}/reopen", status_code=200, responses=_STATE_PROBLEMS)
async def reopen_store(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    store_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[StoreAnswer]:
    """Open a closed store again."""

    async def work(tx: AsyncConnection) -> StoreAnswer:
        await actions.reopen_store(tx, actor, store_id, services.now())
        return await _store_answer(tx, actor, store_id)

    return await write(request, actor, work)


HANDLERS: list[Any] = [
    list_merchants, create_merchant, get_merchant, update_merchant, suspend_merchant, resume_merchant, list_stores,
    create_store, get_store, update_store, close_store, reopen_store,
]  # fmt: skip
