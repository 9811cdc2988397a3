"""What is done with a waiting room by a button or a small form: states, pause, message, links past the line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.rooms import STATES
from tearline.i18n import _
from tearline.waitingroom import actions, reads
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.room_form import MESSAGES
from tearline.web.console.room_steps import MOVED
from tearline.web.console.support import act, save, show
from tearline.web.ui.forms import BoundForm, DateTime, Form, Number, Text
from tearline.web.ui.rendering import redirect

MESSAGE_FORM = Form(MESSAGES)
_USUAL_LIFE = timedelta(days=7)


@post("/rooms/{room_id:uuid}/states/{target:str}")
async def move(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    room_id: FromPath[UUID],
    target: FromPath[str],
) -> Response[Any]:
    """Bring the room to another state."""
    if target not in STATES:
        raise Refusal("not_found")
    return await act(
        request,
        services,
        f"/console/rooms/{room_id}",
        lambda tx: actions.move_room(tx, actor, room_id, target, services.now()),
        MOVED[target],
    )


@post("/rooms/{room_id:uuid}/pause")
async def pause(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[Any]:
    """Call nobody further for the time being."""
    flash = _("Nobody further is called until you resume.")
    return await _pause(request, services, actor, room_id, True, flash)


@post("/rooms/{room_id:uuid}/resume")
async def resume(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[Any]:
    """Call people again."""
    return await _pause(request, services, actor, room_id, False, _("People are called again."))


async def _pause(
    request: AnyRequest,
    services: GivenServices,
    actor: Actor,
    room_id: UUID,
    is_paused: bool,
    flash: str,
) -> Response[Any]:
    return await act(
        request,
        services,
        f"/console/rooms/{room_id}",
        lambda tx: actions.pause_room(tx, actor, room_id, is_paused=is_paused, now=services.now()),
        flash,
    )


@get("/rooms/{room_id:uuid}/message")
async def message_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is said now."""
    board = await _board(services, actor, room_id)
    return _message_page(request, MESSAGE_FORM.blank({"messages": board.draft.messages}), board)


@post("/rooms/{room_id:uuid}/message")
async def tell(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[Any]:
    """Tell those who wait what the form says."""
    board = await _board(services, actor, room_id)
    form = await MESSAGE_FORM.read(request)
    told = await save(
        services,
        form,
        lambda tx: actions.tell(tx, actor, room_id, form.values["messages"], services.now()),
    )
    if told is None:
        return _message_page(request, form, board)
    is_said = bool(form.values["messages"])
    flash = _("Whoever waits reads it within seconds.") if is_said else _("The message is taken back.")
    return redirect(request, f"/console/rooms/{room_id}", flash=flash)


@get("/rooms/{room_id:uuid}/links/new")
async def new_link(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[str]:
    """The empty form of a link past the line."""
    board = await _board(services, actor, room_id)
    expires_at = (services.now() + _USUAL_LIFE).replace(second=0, microsecond=0)
    return _link_page(request, _link_form(board).blank({"expires_at": expires_at}), board)


@post("/rooms/{room_id:uuid}/links/new")
async def create_link(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[Any]:
    """Make the link and show it, this once."""
    board = await _board(services, actor, room_id)
    form = await _link_form(board).read(request)
    token = await save(
        services,
        form,
        lambda tx: actions.create_bypass(tx, actor, room_id, **form.values, now=services.now()),
    )
    if token is None:
        return _link_page(request, form, board)
    link = f"{services.settings.public_url}/gate/{board.draft.code}/bypass/{token}"
    # Not a redirect: the link would have to be kept somewhere to be shown after one.
    return show(request, "room_link_made.html", board=board, link=link, name=form.values["name"])


@post("/rooms/{room_id:uuid}/links/{bypass_id:uuid}/withdraw")
async def withdraw_link(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    room_id: FromPath[UUID],
    bypass_id: FromPath[UUID],
) -> Response[Any]:
    """Make a link lead nowhere."""
    return await act(
        request,
        services,
        f"/console/rooms/{room_id}#links",
        lambda tx: actions.withdraw_bypass(tx, actor, room_id, bypass_id, services.now()),
        _("The link leads nowhere any more."),
    )


async def _board(services: GivenServices, actor: Actor, room_id: UUID) -> reads.Board:
    actor.require("rooms.write")
    async with services.database.connection() as connection:
        return await reads.board(connection, room_id)


def _link_form(board: reads.Board) -> Form:
    return Form(
        Text(
            "name",
            _("Whom it is for"),
            maximum_length=120,
            help=_("Such as 'Stage crew' or a person's name."),
        ),
        Number("uses", _("How many may enter by it"), minimum=1, maximum=actions.MOST_BYPASS_USES, default=1),
        DateTime("expires_at", _("Good until"), time_zone=board.draft.time_zone),
    )


def _message_page(request: AnyRequest, form: BoundForm, board: reads.Board) -> Response[str]:
    return show(request, "room_message.html", status_code=form.status_code, form=form, board=board)


def _link_page(request: AnyRequest, form: BoundForm, board: reads.Board) -> Response[str]:
    return show(request, "room_link.html", status_code=form.status_code, form=form, board=board)


HANDLERS = [move, pause, resume, message_page, tell, new_link, create_link, withdraw_link]
