"""Waiting rooms: their list, and the form that makes and changes one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream

from tearline.core.roles import Actor
from tearline.i18n import _
from tearline.waitingroom import actions, reads
from tearline.waitingroom.model import Room, RoomState
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.room_form import FIELD_NAMES, campaign_choices, draft_from, room_form, values_of
from tearline.web.console.support import save, show, version_in
from tearline.web.ui.forms import BoundForm, Form
from tearline.web.ui.lists import (
    ChoiceFilter,
    Column,
    DayFilter,
    ListDefinition,
    TextFilter,
    localised_columns,
)
from tearline.web.ui.page import language_of, settings_of
from tearline.web.ui.rendering import redirect

STATE_NAMES = {
    "closed": _("Not open yet"),
    "gathering": _("Gathering"),
    "open": _("Open, no queue"),
    "queueing": _("Queueing"),
    "ended": _("Ended"),
}
STATE_KINDS = {"gathering": "accent", "open": "good", "queueing": "good"}

ROOMS = ListDefinition(
    id_column=Room.id,
    columns=[
        Column("names", _("Waiting room"), kind="localised", sort=Room.code, under="code", under_label=_("Code"),
               href="/console/rooms/{id}"),
        Column("state", _("State"), kind="tag", labels=STATE_NAMES, tag_kinds=STATE_KINDS, sort=RoomState.state),
        Column("starts_at", _("Start"), kind="date_time", sort=Room.starts_at, is_nullable=True),
        Column("inside", _("Inside"), kind="number", sort=RoomState.inside),
        Column("max_active", _("Dial"), kind="number", sort=Room.max_active),
        Column("waiting", _("Waiting"), kind="number", sort=reads.WAITING),
        Column("stock_left", _("Stock left"), kind="number", sort=RoomState.stock_left, is_nullable=True),
    ],
    filters=[
        TextFilter("q", _("Name or code"), [Room.code, *localised_columns(Room.names)]),
        ChoiceFilter("state", _("State"), list(STATE_NAMES.items()), RoomState.state),
        DayFilter("starts", _("Start"), Room.starts_at),
    ],
)  # fmt: skip


@get("/rooms")
async def list_rooms(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """Every waiting room."""
    actor.require("rooms.read")
    async with services.database.connection() as connection:
        listing = await ROOMS.page(request, reads.rooms(), connection, export_path="/console/rooms/export")
    return show(request, "rooms.html", listing=listing)


@get("/rooms/export")
async def export_rooms(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    actor.require("rooms.read")
    file_format = request.query_params.get("format", "csv")
    return ROOMS.export(
        request, reads.rooms(), services.database.engine.connect, file_format, file_name="waiting-rooms"
    )


@get("/rooms/new")
async def new_room(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[str]:
    """The empty form."""
    actor.require("rooms.write")
    return _form_page(request, (await _new_form(request, services)).blank())


@post("/rooms/new")
async def create_room(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Make the room of the form, closed."""
    actor.require("rooms.write")
    form = await (await _new_form(request, services)).read(request)
    made = await save(
        services,
        form,
        lambda tx: actions.create_room(tx, actor, draft_from(form.values), services.now()),
        FIELD_NAMES,
    )
    if made is None:
        return _form_page(request, form)
    return redirect(request, f"/console/rooms/{made}", flash=_("The waiting room is there, closed for now."))


@get("/rooms/{room_id:uuid}/edit")
async def edit_room(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is known."""
    board, form = await _load(request, services, actor, room_id)
    return _form_page(request, form.blank(values_of(board.draft)), board, board.version)


@post("/rooms/{room_id:uuid}/edit")
async def update_room(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[Any]:
    """Change the room as the form says."""
    board, unread = await _load(request, services, actor, room_id)
    form = await unread.read(request, shown=values_of(board.draft))
    version = version_in(form)
    saved = await save(
        services,
        form,
        lambda tx: actions.update_room(
            tx, actor, room_id, draft_from(form.values, board.draft), version=version, now=services.now()
        ),
        FIELD_NAMES,
    )
    if saved is None:
        return _form_page(request, form, board, version)
    return redirect(request, f"/console/rooms/{room_id}", flash=_("Saved."))


async def _new_form(request: AnyRequest, services: GivenServices) -> Form:
    async with services.database.connection() as connection:
        campaigns = await campaign_choices(connection, language_of(request))
    return room_form(campaigns, time_zone=settings_of(request).time_zone)


async def _load(
    request: AnyRequest, services: GivenServices, actor: Actor, room_id: UUID
) -> tuple[reads.Board, Form]:
    actor.require("rooms.write")
    async with services.database.connection() as connection:
        board = await reads.board(connection, room_id)
        campaigns = await campaign_choices(
            connection, language_of(request), board.draft.campaign_ids, room_id
        )
    form = room_form(
        campaigns,
        time_zone=board.draft.time_zone,
        is_code_frozen=board.state not in ("closed", "ended"),
    )
    return board, form


def _form_page(
    request: AnyRequest, form: BoundForm, board: reads.Board | None = None, version: int = 0
) -> Response[str]:
    return show(
        request,
        "room_form.html",
        status_code=form.status_code,
        form=form,
        board=board,
        version=version,
        cancel_href="/console/rooms" if board is None else f"/console/rooms/{board.id}",
    )


HANDLERS = [list_rooms, export_rooms, new_room, create_room, edit_room, update_room]
