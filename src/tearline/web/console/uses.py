"""Uses that a partner reports as a file: taken, and summed up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.core.roles import Actor
from tearline.merchants.model import AnyRow
from tearline.merchants.reads import merchant_by_id
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.support import show
from tearline.web.services import Services
from tearline.web.use_reports import TAKES_USES, Taken, take_use_file


@get("/merchants/{merchant_id:uuid}/uses")
async def uses_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Where a partner's file of uses is uploaded."""
    return _page(request, await _merchant(services, actor, merchant_id), Taken())


@post("/merchants/{merchant_id:uuid}/uses", **TAKES_USES)
async def take_uses(
    request: AnyRequest, services: GivenServices, actor: GivenActor, merchant_id: FromPath[UUID]
) -> Response[Any]:
    """Take the file, and say what became of its rows."""
    merchant = await _merchant(services, actor, merchant_id)
    return _page(request, merchant, await take_use_file(request, services, actor, merchant_id))


async def _merchant(services: Services, actor: Actor, merchant_id: UUID) -> AnyRow:
    actor.require("codes.write")
    async with services.database.connection() as connection:
        return await merchant_by_id(connection, actor, merchant_id)


def _page(request: AnyRequest, merchant: AnyRow, taken: Taken) -> Response[str]:
    return show(request, "uses.html", status_code=taken.status_code, merchant=merchant, **taken.words())


HANDLERS = [uses_page, take_uses]
