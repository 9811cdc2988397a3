"""Waiting rooms, for the operator's keys: what is decided about them, what happens in them, and their dial."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.waitingroom import actions, reads
from tearline.waitingroom.model import Room, RoomBypass
from tearline.web.access import GivenServices
from tearline.web.api.room_shapes import (
    BoardAnswer,
    BypassAnswer,
    BypassMade,
    DialTurn,
    NewBypass,
    NewRoom,
    RoomAnswer,
    RoomChange,
    RoomMessage,
    RoomMove,
    RoomRow,
    board_answer,
    bypass_answer,
    changed_room_draft,
    new_room_draft,
    room_answer,
    room_row,
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
from tearline.web.services import Services

_ACT_PROBLEMS = problems("idempotency_key_reused", has_body=True)
_MOVE_PROBLEMS = problems("not_editable", "idempotency_key_reused", has_body=True)
_CHANGE_PROBLEMS = problems(
    "changed_meanwhile", "not_editable", "already_taken", "idempotency_key_reused", has_body=True
)
_PAUSE_PROBLEMS = problems("not_editable", "idempotency_key_reused")

Act = Callable[[AsyncConnection, UUID], Awaitable[Any]]


@get("/rooms", responses=problems())
async def list_rooms(
    services: GivenServices, actor: GivenKey, cursor: GivenCursor = None, limit: GivenLimit = 50
) -> Page[RoomRow]:
    """All waiting rooms."""
    actor.require("rooms.read")
    async with services.database.connection() as connection:
        return await page(connection, reads.rooms(), Room.id, room_row, cursor=cursor, limit=limit)


@post("/rooms", responses=problems("already_taken", "idempotency_key_reused", has_body=True))
async def create_room(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[NewRoom],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Make a waiting room, closed."""

    async def work(tx: AsyncConnection) -> RoomAnswer:
        room_id = await actions.create_room(tx, actor, new_room_draft(data), services.now())
        return await _answer(tx, services, room_id)

    return await write(request, actor, work, status=201)


@get("/rooms/{code:str}", responses=problems())
async def get_room(services: GivenServices, actor: GivenKey, code: FromPath[str]) -> RoomAnswer:
    """A waiting room."""
    actor.require("rooms.read")
    async with services.database.connection() as connection:
        return await _answer(connection, services, await _room_id(connection, code))


@patch("/rooms/{code:str}", responses=_CHANGE_PROBLEMS)
async def update_room(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[RoomChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Change a waiting room; what is left out stays."""

    async def change(tx: AsyncConnection, room_id: UUID) -> None:
        draft = changed_room_draft((await reads.board(tx, room_id)).draft, data)
        await actions.update_room(tx, actor, room_id, draft, version=data.version, now=services.now())

    return await _act(request, services, actor, code, change)


@get("/rooms/{code:str}/board", responses=problems())
async def get_board(services: GivenServices, actor: GivenKey, code: FromPath[str]) -> BoardAnswer:
    """A waiting room in numbers: inside, waiting, called, no-shows, rate, stock, and the draw."""
    actor.require("rooms.read")
    async with services.database.connection() as connection:
        return board_answer(await reads.board(connection, await _room_id(connection, code)))


@post("/rooms/{code:str}/state", status_code=200, responses=_MOVE_PROBLEMS)
async def move_room(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[RoomMove],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Bring a waiting room to another state: gather, start, open, end or close it."""

    async def move(tx: AsyncConnection, room_id: UUID) -> None:
        await actions.move_room(tx, actor, room_id, data.state, services.now())

    return await _act(request, services, actor, code, move)


@post("/rooms/{code:str}/pause", status_code=200, responses=_PAUSE_PROBLEMS)
async def pause_room(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Call nobody further for the time being; those inside and those called go on."""

    async def pause(tx: AsyncConnection, room_id: UUID) -> None:
        await actions.pause_room(tx, actor, room_id, is_paused=True, now=services.now())

    return await _act(request, services, actor, code, pause)


@post("/rooms/{code:str}/resume", status_code=200, responses=_PAUSE_PROBLEMS)
async def resume_room(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Call people again."""

    async def resume(tx: AsyncConnection, room_id: UUID) -> None:
        await actions.pause_room(tx, actor, room_id, is_paused=False, now=services.now())

    return await _act(request, services, actor, code, resume)


@post("/rooms/{code:str}/dial", status_code=200, responses=_ACT_PROBLEMS)
async def turn_dial(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[DialTurn],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Set how many people may be inside at once, also while people wait; nobody inside is sent away."""

    async def turn(tx: AsyncConnection, room_id: UUID) -> None:
        await actions.turn_dial(
            tx,
            actor,
            room_id,
            max_active=data.max_active,
            per_minute=data.per_minute,
            now=services.now(),
        )

    return await _act(request, services, actor, code, turn)


@post("/rooms/{code:str}/message", status_code=200, responses=_ACT_PROBLEMS)
async def tell_room(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[RoomMessage],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Tell something to those who wait; they read it within seconds."""

    async def tell(tx: AsyncConnection, room_id: UUID) -> None:
        await actions.tell(tx, actor, room_id, data.messages, services.now())

    return await _act(request, services, actor, code, tell)


@get("/rooms/{code:str}/bypasses", responses=problems())
async def list_bypasses(
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[BypassAnswer]:
    """The links that lead past a room's line, without their secrets."""
    actor.require("rooms.read")
    async with services.database.connection() as connection:
        statement = reads.bypasses_list(await _room_id(connection, code))
        return await page(connection, statement, RoomBypass.id, bypass_answer, cursor=cursor, limit=limit)


@post("/rooms/{code:str}/bypasses", responses=_ACT_PROBLEMS)
async def create_bypass(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    data: JSONBody[NewBypass],
    idempotency_key: IdempotencyKey = None,
) -> Response[BypassMade]:
    """Make a link that leads past the line, for staff and for those who can't wait in one."""

    async def work(tx: AsyncConnection) -> BypassMade:
        actor.require("rooms.write")
        board = await reads.board(tx, await _room_id(tx, code))
        token = await actions.create_bypass(
            tx,
            actor,
            board.id,
            name=data.name,
            uses=data.uses,
            expires_at=data.expires_at,
            now=services.now(),
        )
        # The room is locked: the newest of its links is this one.
        newest = (await tx.execute(reads.bypasses_list(board.id).limit(1))).one()
        address = f"{services.settings.public_url}/gate/{board.draft.code}/bypass/{token}"
        return msgspec.convert({**newest._mapping, "address": address}, BypassMade)

    return await write(request, actor, work, status=201)


@delete(
    "/rooms/{code:str}/bypasses/{bypass_id:uuid}",
    status_code=200,
    responses=problems("idempotency_key_reused"),
)
async def withdraw_bypass(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    code: FromPath[str],
    bypass_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[RoomAnswer]:
    """Make a link lead nowhere; answers the room. Whoever has entered by it stays inside."""

    async def withdraw(tx: AsyncConnection, room_id: UUID) -> None:
        await actions.withdraw_bypass(tx, actor, room_id, bypass_id, services.now())

    return await _act(request, services, actor, code, withdraw)


async def _room_id(connection: AsyncConnection, code: str) -> UUID:
    if not is_storable(code):
        raise Refusal("not_found")
    return await reads.room_id_of(connection, code)


async def _answer(connection: AsyncConnection, services: Services, room_id: UUID) -> RoomAnswer:
    return room_answer(await reads.board(connection, room_id), services.settings.public_url)


async def _act(
    request: AnyRequest, services: Services, actor: Actor, code: str, act: Act
) -> Response[RoomAnswer]:
    async def work(tx: AsyncConnection) -> RoomAnswer:
        actor.require("rooms.write")
        room_id = await _room_id(tx, code)
        await act(tx, room_id)
        return await _answer(tx, services, room_id)

    return await write(request, actor, work)


HANDLERS: list[Any] = [
    list_rooms, create_room, get_room, update_room, get_board, move_room, pause_room, resume_room, turn_dial, tell_room,
    list_bypasses, create_bypass, withdraw_bypass,
]  # fmt: skip
