"""A pool's page: how many codes stand how, its uploads, cancelling codes, and handing back what was not sold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.core.pools import LONGEST_CODE
from tearline.core.roles import Actor
from tearline.i18n import _
from tearline.i18n.formats import number
from tearline.pools import actions, reads
from tearline.pools.actions import MOST_VOIDED
from tearline.sales.closing import hand_back_unsold
from tearline.web import code_pools
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.coupons import FIND_FORM
from tearline.web.console.support import act, save, show
from tearline.web.services import Services
from tearline.web.ui.forms import BoundForm, Form, LongText
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

VOID_FORM = Form(
    LongText("codes", _("Codes"), rows=8, maximum_length=MOST_VOIDED * (LONGEST_CODE + 2),
             help=_("One a line, exactly as the partner writes them; at most a thousand at once."))
)  # fmt: skip


@get("/pools/{pool_id:uuid}")
async def show_pool(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[str]:
    """The page."""
    now = services.now()
    async with services.database.connection() as connection:
        drawn = await code_pools.pool_page(connection, actor, pool_id)
        deeds = await trail(connection, actor, [str(pool_id)])
    return show(
        request,
        "pool.html",
        **drawn.words(language_of(request)),
        last_end=code_pools.last_end(drawn.sales, now),
        find_form=FIND_FORM.blank(),
        deeds=deeds,
        seen_at=now,
        **words(),
    )


@post("/pools/{pool_id:uuid}/hand-back")
async def hand_back(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[Any]:
    """Withdraw every code that was not sold, once the period of every sale of them is over."""
    flash = _("The unsold codes are withdrawn: none of them can be sold any more. Download the file below.")
    return await act(
        request,
        services,
        f"/console/pools/{pool_id}#hand-backs",
        lambda tx: hand_back_unsold(tx, actor, pool_id, services.now()),
        flash,
    )


@get("/pools/{pool_id:uuid}/void")
async def void_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[str]:
    """Asks for the codes that are to be cancelled."""
    return await _void_page(request, services, actor, pool_id, VOID_FORM.blank())


@post("/pools/{pool_id:uuid}/void")
async def void_codes(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[Any]:
    """Cancel those of the codes that are for sale, and say how many they were."""
    form = await VOID_FORM.read(request)
    codes = [line for line in form.values.get("codes", "").splitlines() if line.strip()]
    if len(codes) > MOST_VOIDED:
        form.add_error("codes", _("These are too many; at most %(n)s."), n=MOST_VOIDED)
    count = await save(
        services, form, lambda tx: actions.void_codes(tx, actor, pool_id, codes, services.now())
    )
    if count is None:
        return await _void_page(request, services, actor, pool_id, form)
    is_all = count == len(set(map(str.strip, codes)))
    return redirect(
        request,
        f"/console/pools/{pool_id}",
        flash=_("Cancelled codes: %(n)s.")
        if is_all
        else _("Cancelled codes: %(n)s. The others are not for sale here."),
        kind="good" if is_all else "warn",
        n=number(count, language_of(request)),
    )


async def _void_page(
    request: AnyRequest, services: Services, actor: Actor, pool_id: UUID, form: BoundForm
) -> Response[str]:
    actor.require("codes.write")
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
    return show(request, "codes_void.html", status_code=form.status_code, pool=pool, form=form)


HANDLERS = [show_pool, hand_back, void_page, void_codes]
