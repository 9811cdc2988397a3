"""A pool's page: how many codes stand how, its uploads, and handing back what was not sold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.i18n import _
from tearline.sales.closing import hand_back_unsold
from tearline.web import code_pools
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.coupons import FIND_FORM
from tearline.web.console.support import act, show
from tearline.web.ui.page import language_of


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


HANDLERS = [show_pool, hand_back]
