"""The waiting page, and its forms for browsers without scripts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.core.rooms import JOINABLE
from tearline.i18n import _, ngettext_unfilled, translate
from tearline.i18n.formats import number
from tearline.web.access import AnyRequest, address_of, services_of
from tearline.web.gate.hot import limit_joins
from tearline.web.gate.standing import STATE_OF_REFUSAL, Standing, standing_of, wait_text
from tearline.web.gate.support import (
    Visit,
    entered,
    key_of,
    looks_of,
    member_id_of,
    set_all,
    visit_of,
)
from tearline.web.problems import problem_headers, sentence_of
from tearline.web.security import expired_cookie, readable_form
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render, text_in
from tearline.web.visits import (
    dropped_cookies,
    pass_cookie_name,
    ticket_cookie,
    ticket_cookie_name,
    visitor_cookie,
)

_SHORTEST_REFRESH_SECONDS = 5
"""A page that is loaded again as a whole is read anew, too: not as often as a script asks."""
_LONGEST_PROOF_CHARACTERS = 4_000

_TEXTS = {
    "ahead_none": _("You are next."),
    "wait_unknown": _("The estimate appears once the line has been moving for a minute."),
    "wait_moment": _("less than a minute"),
    "wait_range": _("%(low)s to %(high)s minutes"),
    "wait_hours": _("about %(n)s hours"),
    "wait_hours_range": _("%(low)s to %(high)s hours"),
    "arrival": _("Arrival no. %(n)s"),
    "title_place": _("No. %(n)s in line"),
    "title_turn": _("It is your turn!"),
    "announce_waiting": _("You are number %(n)s in line."),
    "announce_turn": _("It is your turn. You are going in."),
    "announce_missed": _("Your turn has passed."),
    "announce_short": _("The gifts will probably not reach your place."),
    "no_check": _("This browser cannot do the small check that this line asks for. Please use another one."),
}
_COUNTED = {
    "ahead": ("%(n)s person ahead of you", "%(n)s people ahead of you"),
    "wait_minutes": ("about %(n)s minute", "about %(n)s minutes"),
    "stock": ("%(n)s gift left", "%(n)s gifts left"),
    "gathered": ("%(n)s person is here so far", "%(n)s people are here so far"),
}


@get("/{code:str}")
async def waiting_page(request: AnyRequest, code: FromPath[str]) -> Response[str] | Redirect:
    """Where somebody stands in line."""
    visit = visit_of(request, code)
    if code != visit.room.code:
        # The scripts' addresses and cookies go by the code as it is written.
        return Redirect(visit.address(), status_code=303)
    return await _page(request, visit)


@post("/{code:str}")
async def act(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """Join the line, join it again, or enter; what a script does by itself, as forms."""
    visit = visit_of(request, code)
    form = await readable_form(request)
    step = str(form.get("step", ""))
    try:
        if step == "enter":
            return await _enter(request, visit)
        if step == "again":
            return await _join_again(request, visit)
        if step == "join":
            return await _join(request, visit, str(form.get("proof", ""))[:_LONGEST_PROOF_CHARACTERS])
    except Refusal as refusal:
        if refusal.reason == "wrong_ticket":
            response = await _page(request, _without_ticket(visit), refusal)
            response.set_cookie(_expired(request, ticket_cookie_name(visit.room.code)))
            return response
        return await _page(request, visit, refusal)
    raise Refusal("malformed")


async def _enter(request: AnyRequest, visit: Visit) -> Redirect:
    if visit.held is None and visit.ticket is None:
        return Redirect(visit.address(), status_code=303)
    key = key_of(visit)
    held = visit.held
    if held is None and visit.ticket is not None:
        desk = services_of(request).door_desk
        held = await desk.exchange(visit.ticket, key, member_id_of(request))
    assert held is not None, "whoever has neither has been sent back"
    return entered(request, visit, held, key)


async def _join(request: AnyRequest, visit: Visit, proof: str = "") -> Redirect:
    response = Redirect(visit.address(), status_code=303, headers={"cache-control": "no-store"})
    if visit.ticket is not None and visit.ticket.round == visit.room.round:
        return response
    await _give_ticket(request, visit, response, proof)
    return response


async def _join_again(request: AnyRequest, visit: Visit) -> Redirect:
    """A new place, at the end of the line: the old ticket is worth nothing any more, or the person wants no other."""
    services = services_of(request)
    response = Redirect(visit.address(), status_code=303, headers={"cache-control": "no-store"})
    if visit.room.proof_of_work:
        # The script joins with a proof of work, as on the first visit.
        set_all(response, dropped_cookies(visit.room.code, secure=services.settings.cookies_are_secure))
    else:
        await _give_ticket(request, visit, response)
        response.set_cookie(_expired(request, pass_cookie_name(visit.room.code)))
    if visit.held is not None:
        await services.door_desk.leave(visit.held)
    return response


async def _give_ticket(request: AnyRequest, visit: Visit, response: Redirect, proof: str = "") -> None:
    services, room = services_of(request), visit.room
    if room.state not in JOINABLE:
        raise Refusal(f"room_{room.state}")
    await limit_joins(services, room, address_of(request))
    solution = services.puzzles.check(proof, room.code) if room.proof_of_work else None
    ticket = await services.join_desk.join(room.id, solution)
    secure = services.settings.cookies_are_secure
    response.set_cookie(ticket_cookie(room.code, services.room_tokens.ticket(ticket), secure=secure))
    if visit.key is None:
        response.set_cookie(visitor_cookie(key_of(visit), secure=secure))


async def _page(request: AnyRequest, visit: Visit, refusal: Refusal | None = None) -> Response[str]:
    room, language = visit.room, language_of(request)
    standing = standing_of(room, visit.ticket, visit.held, refusal.reason if refusal else None)
    headers = {} if refusal is None else problem_headers(refusal, language)
    is_told = refusal is not None and refusal.reason not in STATE_OF_REFUSAL
    return render(
        request,
        "gate/waiting.html",
        status_code=200 if refusal is None else refusal.status,
        headers=headers,
        time_zone=room.time_zone,
        now=services_of(request).now(),
        room=room,
        visit=visit,
        standing=standing,
        look=await looks_of(request).of(request, visit),
        message=text_in(room.messages, language) if room.messages else "",
        wait=wait_text(standing.wait, language) if standing.wait else None,
        problem=sentence_of(refusal, language) if refusal is not None and is_told else None,
        refresh_seconds=_refresh_seconds(standing),
        texts=_texts(language),
        number_text=_number_text(standing, language),
    )


def _number_text(standing: Standing, language: str) -> str:
    return "…" if standing.place is None else number(standing.place + 1, language)


def _refresh_seconds(standing: Standing) -> int:
    """How soon a browser without scripts asks again: well within the time that a called place stays free."""
    grace_seconds = int(standing.document["grace_seconds"])
    return min(max(_SHORTEST_REFRESH_SECONDS, standing.poll_seconds), max(5, grace_seconds // 3))


def _texts(language: str) -> dict[str, str]:
    """What the script says, with ``#name`` where it fills in."""

    def open_placeholders(text: str) -> str:
        for name in ("n", "low", "high"):
            text = text.replace(f"%({name})s", f"#{name}")
        return text

    texts = {name: open_placeholders(translate(language, text)) for name, text in _TEXTS.items()}
    for name, (one, many) in _COUNTED.items():
        texts[f"{name}_one"] = open_placeholders(ngettext_unfilled(language, one, many, 1))
        texts[f"{name}_many"] = open_placeholders(ngettext_unfilled(language, one, many, 2))
    return texts


def _without_ticket(visit: Visit) -> Visit:
    return replace(visit, ticket=None)


def _expired(request: AnyRequest, name: str) -> Any:
    return expired_cookie(name, secure=services_of(request).settings.cookies_are_secure)


HANDLERS = [waiting_page, act]
