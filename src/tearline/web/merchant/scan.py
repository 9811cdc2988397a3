"""The counter itself: scan or type a code, see what the coupon gives, redeem it or let it go.

Scanning prepares: the coupon is kept for this counter for a few minutes, and the browser is sent to the
preparation's own page, which can be loaded again at will. From there it is redeemed with a request number
that follows from the preparation, so that a double click, a reload or a second tab redeems once.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core import codes, rotating
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.coupons.counter import CounterAnswer
from tearline.coupons.desk import Look
from tearline.coupons.reads import Preparation, preparation, use_at_merchant
from tearline.i18n import _, localised, translate
from tearline.i18n.formats import date_time, time_of_day
from tearline.merchants.sessions import SessionActor
from tearline.offers.describe import hours_text, until_text, where_text
from tearline.offers.reads import Ticket, tickets, where_names
from tearline.offers.stored import validity_from
from tearline.web.access import AnyRequest, GivenActor, GivenServices, GivenSession
from tearline.web.merchant.support import (
    GivenHere,
    is_store_gone,
    new_number,
    number_of_hold,
    show,
    store_needed,
)
from tearline.web.merchant.tickets import VERIFIED_NAMES, counter_ticket
from tearline.web.merchant.verdicts import verdict_of
from tearline.web.problems import problem_headers
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.ui.page import language_of, settings_of
from tearline.web.ui.rendering import redirect

_WAY = "cashier"
_LONGEST_TEXT_CHARACTERS = 200
_WELL_FORMED_NUMBER = re.compile(r"[0-9A-Z-]{8,40}")


@get("/")
async def scan_page(
    request: AnyRequest, session: GivenSession, actor: GivenActor, here: GivenHere
) -> Response[Any]:
    """The camera, and the box for typing."""
    actor.require("redeem")
    if session.store_id is None:
        return store_needed()
    return _scan_page(request)


@post("/", status_code=200)
async def scan(
    request: AnyRequest,
    services: GivenServices,
    session: GivenSession,
    actor: GivenActor,
    here: GivenHere,
) -> Response[Any]:
    """Prepare the coupon of a scanned or typed code."""
    if session.store_id is None:
        return store_needed()
    form = await readable_form(request)
    text = _text(form.get("code")).strip()[:_LONGEST_TEXT_CHARACTERS]
    if not text:
        return _scan_page(request, problem=_("Scan a coupon, or type its code."))
    number = _text(form.get("request"))
    try:
        answer = await _prepare(services, actor, session.store_id, text, number)
    except Refusal as refusal:
        if is_store_gone(refusal):
            return _store_closed(request)
        return await _refused(request, services, session, refusal, text=text)
    return Redirect(f"/merchant/prepared/{answer.hold_id}", status_code=303)


@get("/prepared/{hold_id:uuid}")
async def prepared_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    here: GivenHere,
    hold_id: FromPath[UUID],
) -> Response[Any]:
    """What the coupon gives, and the two buttons."""
    language = language_of(request)
    async with services.database.connection() as connection:
        kept = await preparation(connection, actor, hold_id, services.now())
        if not kept.is_in_force:
            return await _over(request, connection, actor, kept)
        coupon = kept.coupon
        ticket = await counter_ticket(
            connection,
            coupon.ticket,
            language,
            code=coupon.code,
            window=(coupon.valid_from, coupon.valid_until),
            edge=here.merchant_edge,
        )
    return show(
        request,
        "prepared.html",
        section="scan",
        ticket=ticket,
        verified=kept.verified,
        verified_name=translate(language, VERIFIED_NAMES[kept.verified]),
        held_until=coupon.held_until,
        request_number=number_of_hold(hold_id),
    )


@post("/prepared/{hold_id:uuid}", status_code=200)
async def decide(
    request: AnyRequest,
    services: GivenServices,
    session: GivenSession,
    here: GivenHere,
    hold_id: FromPath[UUID],
) -> Response[Any]:
    """Redeem what was prepared, or let it go."""
    actor = session.actor
    if session.store_id is None:
        return store_needed(f"/merchant/prepared/{hold_id}")
    form = await readable_form(request)
    async with services.database.connection() as connection:
        await preparation(connection, actor, hold_id, services.now())
    desk = services.redemption_desk
    try:
        if form.get("action") == "release":
            await desk.release(actor, session.store_id, f"{hold_id}-release", way=_WAY, hold_id=hold_id)
            return redirect(request, "/merchant", flash=_("Cancelled. The coupon can be used again."))
        number = number_of_hold(hold_id)
        answer = await desk.redeem(actor, session.store_id, number, way=_WAY, hold_id=hold_id)
    except Refusal as refusal:
        if form.get("action") == "release" and refusal.reason == "hold_expired":
            return Redirect("/merchant", status_code=303)
        if is_store_gone(refusal):
            return _store_closed(request)
        return await _refused(request, services, session, refusal, hold_id=hold_id)
    return Redirect(f"/merchant/redemptions/{answer.redemption_id}?done=1", status_code=303)


async def _prepare(
    services: Services, actor: Actor, store_id: UUID, text: str, page_number: str
) -> CounterAnswer:
    """Prepare with a number that follows from the page's own and from what was scanned on it."""
    desk = services.redemption_desk
    number = new_number()
    if _WELL_FORMED_NUMBER.fullmatch(page_number):
        code = rotating.code_of(text) or codes.normalise(text)
        mark = hashlib.sha256(f"{store_id} {code}".encode()).hexdigest()[:16]
        number = f"{page_number}.{mark}"
    answer = await desk.prepare(actor, store_id, text, number, way=_WAY)
    if answer.replayed and answer.hold_id is not None:
        async with services.database.connection() as connection:
            kept = await preparation(connection, actor, answer.hold_id, services.now())
        if not kept.is_in_force:
            # Back in the browser's history, and the same coupon once more: meant anew.
            answer = await desk.prepare(actor, store_id, text, new_number(), way=_WAY)
    return answer


async def _over(
    request: AnyRequest, connection: AsyncConnection, actor: Actor, kept: Preparation
) -> Response[Any]:
    """A preparation that is no more: on to its redemption, or a word that it was kept too long."""
    assert actor.merchant_id is not None
    if kept.coupon.folder == "used":
        use = await use_at_merchant(connection, actor.merchant_id, kept.coupon.code)
        if use is not None and (use.store_id == actor.store_id or use.staff_id == actor.id):
            return Redirect(f"/merchant/redemptions/{use.redemption_id}", status_code=303)
    refusal = Refusal("hold_expired")
    verdict = verdict_of(refusal, language_of(request))
    return show(request, "verdict.html", status_code=refusal.status, section="scan", verdict=verdict)


async def _refused(
    request: AnyRequest,
    services: Services,
    session: SessionActor,
    refusal: Refusal,
    *,
    text: str = "",
    hold_id: UUID | None = None,
) -> Response[Any]:
    """The large answer to a coupon that can't be redeemed; with the coupon, where it may be told about."""
    language = language_of(request)
    look = await _look(services, session, text) if text else None
    drawn, known, use_path = None, "", ""
    if look is not None:
        async with services.database.connection() as connection:
            ticket = (await tickets(connection, [look.offer_id]))[look.offer_id]
            drawn = await counter_ticket(
                connection, ticket, language, code=look.code, window=(look.valid_from, look.valid_until)
            )
            known, use_path = await _known(
                request, connection, session, refusal=refusal, look=look, ticket=ticket
            )
    response = show(
        request,
        "verdict.html",
        status_code=refusal.status,
        section="scan",
        verdict=verdict_of(refusal, language, known),
        ticket=drawn,
        use_path=use_path,
        retry_text=text if refusal.reason == "unavailable" else "",
        retry_path=f"/merchant/prepared/{hold_id}" if refusal.reason == "unavailable" and hold_id else "",
        request_number=new_number(),
    )
    response.headers.update(problem_headers(refusal, language))
    return response


async def _look(services: Services, session: SessionActor, text: str) -> Look | None:
    assert session.store_id is not None
    try:
        return await services.redemption_desk.look(session.actor, session.store_id, text, way=_WAY)
    except Refusal:
        return None


async def _known(
    request: AnyRequest,
    connection: AsyncConnection,
    session: SessionActor,
    *,
    refusal: Refusal,
    look: Look,
    ticket: Ticket,
) -> tuple[str, str]:
    """What can be said beyond the reason, and where to see more of it."""
    language, zone = language_of(request), settings_of(request).time_zone
    details: dict[str, Any] = look.refusal.details if look.refusal is not None else {}

    def say(sentence: str, **values: str) -> str:
        return translate(language, sentence, **values)

    match refusal.reason:
        case "already_redeemed":
            assert session.staff.merchant_id is not None
            use = await use_at_merchant(connection, session.staff.merchant_id, look.code)
            if use is None:
                return say(_("It was used at another merchant.")), ""
            values = {
                "when": date_time(use.redeemed_at, language, zone),
                "store": localised(use.store_names, language),
            }
            if use.store_id is None:
                path = f"/merchant/redemptions/{use.redemption_id}" if session.staff.role == "manager" else ""
                return say(_("Used on %(when)s in an online order."), when=values["when"]), path
            is_seen = session.staff.role == "manager" or use.store_id == session.store_id
            path = f"/merchant/redemptions/{use.redemption_id}" if is_seen else ""
            if use.staff_name is None:
                return say(_("Used on %(when)s at %(store)s."), **values), path
            return say(_("Used on %(when)s at %(store)s by %(staff)s."), **values, staff=use.staff_name), path
        case "expired":
            until = until_text(look.valid_until, language, ticket.time_zone)
            return say(_("It could be used until %(when)s."), when=until), ""
        case "not_valid_yet":
            when = date_time(look.valid_from, language, ticket.time_zone)
            return say(_("It can be used from %(when)s on."), when=when), ""
        case "not_valid_now":
            hours = hours_text(validity_from(ticket.validity), language)
            return say(_("It can be used: %(hours)s."), hours=hours), ""
        case "other_store":
            merchants, stores = await where_names(connection, ticket)
            places = where_text(
                language, merchant_names=merchants, store_names=stores, store_ids=ticket.store_ids
            )
            return say(_("It can be used at: %(places)s."), places=places), ""
        case "held_elsewhere" if "held_until" in details:
            until = time_of_day(datetime.fromisoformat(details["held_until"]), language, zone)
            sentence = _("Another counter or an online order keeps this coupon until %(time)s at the latest.")
            return say(sentence, time=until), ""
        case _:
            return "", ""


def _scan_page(request: AnyRequest, *, problem: str = "") -> Response[str]:
    return show(
        request,
        "scan.html",
        status_code=422 if problem else 200,
        section="scan",
        problem=problem,
        request_number=new_number(),
    )


def _store_closed(request: AnyRequest) -> Response[Any]:
    return redirect(request, "/merchant/store", flash=_("Your store is closed. Choose another."), kind="warn")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


HANDLERS = [scan_page, scan, prepared_page, decide]
