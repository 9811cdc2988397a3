"""The board of a waiting room: what happens in it now, what happened lately, and what can be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.rooms import MAXIMUM_ACTIVE
from tearline.i18n import _, translate
from tearline.i18n.formats import number, time_of_day
from tearline.waitingroom import actions, reads
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.room_form import MAX_ACTIVE, PER_MINUTE
from tearline.web.console.room_steps import next_moment, steps_of
from tearline.web.console.rooms import STATE_KINDS, STATE_NAMES
from tearline.web.console.support import save, show
from tearline.web.ui.forms import BoundForm, Form
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

DIAL_FORM = Form(MAX_ACTIVE, PER_MINUTE)

SPANS = {"quarter": timedelta(minutes=15), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_POINTS = 120


@get("/rooms/{room_id:uuid}")
async def show_room(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[str]:
    """The board."""
    return await _page(request, services, actor, room_id)


@post("/rooms/{room_id:uuid}")
async def turn_dial(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[Any]:
    """Turn the dial as the form says."""
    actor.require("rooms.write")
    form = _read_dial(await DIAL_FORM.read(request))
    turned = await save(
        services,
        form,
        lambda tx: actions.turn_dial(tx, actor, room_id, **form.values, now=services.now()),
    )
    if turned is None:
        return await _page(request, services, actor, room_id, form)
    flash, shown = _("The dial stands at %(n)s now."), number(form.values["max_active"], language_of(request))
    return redirect(request, f"/console/rooms/{room_id}", flash=flash, n=shown)


@get("/rooms/{room_id:uuid}/now")
async def room_now(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[str]:
    """The numbers alone, for the board to refresh itself.

    When something else than the numbers has changed since the page was last told, the buttons and the dial
    come with them.
    """
    actor.require("rooms.read")
    async with services.database.connection() as connection:
        board = await reads.board(connection, room_id)
        is_changed = request.query_params.get("seen", _mark(board)) != _mark(board)
        turns = await reads.dial_turns(connection, room_id) if is_changed else []
    return show(
        request,
        "room_now.html",
        is_changed=is_changed,
        turns=turns,
        **_context(request, board, services.now()),
    )


@get("/rooms/{room_id:uuid}/plots")
async def room_plots(
    request: AnyRequest, services: GivenServices, actor: GivenActor, room_id: FromPath[UUID]
) -> Response[str]:
    """The plots alone, for the board to refresh itself."""
    actor.require("rooms.read")
    async with services.database.connection() as connection:
        board = await reads.board(connection, room_id)
        plots = await _plots(request, connection, board, services.now())
    return show(request, "room_plots.html", time_zone=board.draft.time_zone, **plots)


async def _page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    room_id: UUID,
    dial_form: BoundForm | None = None,
) -> Response[str]:
    actor.require("rooms.read")
    now = services.now()
    async with services.database.connection() as connection:
        board = await reads.board(connection, room_id)
        context = {
            **_context(request, board, now, dial_form),
            **await _plots(request, connection, board, now),
            "turns": await reads.dial_turns(connection, room_id),
            "bypasses": await reads.bypasses(connection, room_id),
            "campaigns": await _guarded(connection, board),
            "deeds": await trail(connection, actor, [str(room_id)]),
        }
    return show(
        request,
        "room.html",
        status_code=200 if dial_form is None else dial_form.status_code,
        address=f"{services.settings.public_url}/gate/{board.draft.code}",
        **context,
        **words(),
    )


def _context(
    request: AnyRequest, board: reads.Board, now: datetime, dial_form: BoundForm | None = None
) -> dict[str, Any]:
    """What the parts that are refreshed need."""
    draft, language = board.draft, language_of(request)
    return {
        "board": board,
        "draft": draft,
        "here": f"/console/rooms/{board.id}",
        "mark": _mark(board),
        "steps": steps_of(board.state),
        "moment": next_moment(board, now),
        "state_names": STATE_NAMES,
        "state_kinds": STATE_KINDS,
        "rate": rate_words(board, language),
        "draining": drain_words(board, language),
        "dial_form": dial_form
        or DIAL_FORM.blank({"max_active": draft.max_active, "per_minute": draft.per_minute}),
        "slider": slider_for(draft.max_active),
        "seen_at": now,
        "time_zone": draft.time_zone,
    }


def _mark(board: reads.Board) -> str:
    """Changes when something else than the live numbers does."""
    return f"{board.version}-{board.round}-{board.state}-{int(board.is_paused)}"


async def _guarded(connection: AsyncConnection, board: reads.Board) -> list[Any]:
    rows = await connection.execute(
        select(Campaign.id, Campaign.code, Campaign.names)
        .where(Campaign.id.in_(board.draft.campaign_ids))
        .order_by(Campaign.starts_at)
    )
    return list(rows)


# The dial


@dataclass(frozen=True, slots=True)
class Slider:
    """A range input: from 0 to ``maximum`` in steps, standing at the step nearest to the dial."""

    maximum: int
    step: int
    value: int


def slider_for(max_active: int) -> Slider:
    """A slider that reaches to about twice the dial."""
    wanted, maximum = min(MAXIMUM_ACTIVE, max(100, 2 * max_active)), 100
    factors = (2, 2.5, 2)
    position = 0
    while maximum < wanted:
        maximum = int(maximum * factors[position % 3])
        position += 1
    step = max(1, maximum // 200)
    return Slider(maximum, step, (max_active + step // 2) // step * step)


def _read_dial(form: BoundForm) -> BoundForm:
    """The form as it is meant: without a script slider and number do not follow each other; the moved one counts."""
    texts = form.inputs
    slider = texts.first("slider")
    is_number_touched = texts.first("max_active").strip() != texts.first("was")
    if is_number_touched or slider == texts.first("slider_was") or not slider:
        return form
    return DIAL_FORM.parse({**texts.texts, "max_active": [slider]})


# Words and plots


def rate_words(board: reads.Board, language: str) -> str:
    """How many are called in a minute, as a range; a dash while that is unknown."""
    if not board.slow_per_minute or not board.fast_per_minute:
        return "–"
    return _range(board.slow_per_minute, board.fast_per_minute, language)


def drain_words(board: reads.Board, language: str) -> str:
    """How long until everyone who waits has been called, as a range; a dash while that is unknown."""
    if board.draining is None or board.waiting == 0:
        return "–"
    least, most = (max(1, ceil(one / timedelta(minutes=1))) for one in board.draining)
    if most < 120:
        return translate(language, _("%(n)s min"), n=_range(least, most, language))
    return translate(language, _("%(n)s h"), n=_range(round(least / 60, 1), round(most / 60, 1), language))


def _range(least: float, most: float, language: str) -> str:
    shown = [round(one) if one >= 10 else round(one, 1) for one in (least, most)]
    return "–".join(dict.fromkeys(number(one, language) for one in shown))


async def _plots(
    request: AnyRequest, connection: AsyncConnection, board: reads.Board, now: datetime
) -> dict[str, Any]:
    """The numbers over a span: inside beside the dial, waiting, stock."""
    language = language_of(request)
    span = request.query_params.get("span", "hour")
    span = span if span in SPANS else "hour"
    samples = await reads.samples(connection, board.id, now - SPANS[span], most=_POINTS)

    def at(some: Sequence[Any]) -> list[str]:
        return [time_of_day(sample.at, language, board.draft.time_zone) for sample in some]

    def line(label: str, name: str, some: Sequence[Any]) -> tuple[str, list[int]]:
        return translate(language, label), [getattr(sample, name) for sample in some]

    # A room that guards no campaign has no stock, and one may have begun to later.
    stocked = [sample for sample in samples if sample.stock_left is not None]
    return {
        "span": span,
        "categories": at(samples),
        "inside_lines": [line(_("Inside"), "inside", samples), line(_("Dial"), "max_active", samples)],
        "waiting_lines": [line(_("Waiting"), "waiting", samples)],
        "stock_categories": at(stocked),
        "stock_lines": [line(_("Stock left"), "stock_left", stocked)],
    }


HANDLERS = [show_room, turn_dial, room_now, room_plots]
