"""Choosing the store at which one works for this session."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect

from tearline.db import transaction
from tearline.i18n import _, localised
from tearline.merchants.reads import open_stores
from tearline.merchants.sessions import choose_store
from tearline.web.access import AnyRequest, GivenServices, GivenSession
from tearline.web.merchant.sign_in import wanted_path
from tearline.web.merchant.support import GivenHere, may_choose_store, show
from tearline.web.security import readable_form
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect


@get("/store")
async def store_page(
    request: AnyRequest, services: GivenServices, session: GivenSession, here: GivenHere
) -> Response[Any]:
    """The open stores, one button each; who belongs to one store has nothing to choose."""
    if not may_choose_store(session):
        return Redirect("/merchant", status_code=303)
    assert session.staff.merchant_id is not None
    async with services.database.connection() as connection:
        stores = await open_stores(connection, session.staff.merchant_id)
    return show(
        request,
        "store.html",
        stores=stores,
        chosen_id=session.store_id,
        next_path=wanted_path(request),
    )


@post("/store")
async def choose(request: AnyRequest, services: GivenServices, session: GivenSession) -> Response[Any]:
    """Work at this store from now on."""
    form = await readable_form(request)
    try:
        store_id = UUID(str(form.get("store_id", "")))
    except ValueError:
        return redirect(request, "/merchant/store", flash=_("Choose a store."), kind="warn")
    async with transaction(services.database) as tx:
        await choose_store(tx, session, store_id, services.now())
        assert session.staff.merchant_id is not None
        stores = await open_stores(tx, session.staff.merchant_id)
    chosen = next(store for store in stores if store.id == store_id)
    name = localised(chosen.names, language_of(request))
    return redirect(request, wanted_path(request), flash=_("You are working at %(store)s."), store=name)


HANDLERS = [store_page, choose]
