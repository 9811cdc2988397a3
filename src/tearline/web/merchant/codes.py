"""What a manager sees of the merchant's own codes: its pools, their uploads, and what was handed back of them.

Uploading and downloading are what the console has, too (``web.code_files``, ``web.code_pools``). Making a pool,
closing it and handing back are the operator's.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream

from tearline.pools import reads
from tearline.pools.model import CodePool
from tearline.sales.alerts import pool_alerts
from tearline.web import code_pools
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.merchant.support import FACE, GivenHere, merchant_of, show
from tearline.web.ui.lists import ListDefinition
from tearline.web.ui.page import language_of

POOLS = ListDefinition(
    id_column=CodePool.id,
    columns=[code_pools.offer_column(FACE), *code_pools.count_columns()],
    filters=[code_pools.offer_filter(), code_pools.stock_filter()],
    default_sort="-updated_at",
)


@get("/pools")
async def pools_page(
    request: AnyRequest, services: GivenServices, actor: GivenActor, here: GivenHere
) -> Response[str]:
    """The merchant's own pools, and what needs somebody about them."""
    statement = reads.pools(actor)
    async with services.database.connection() as connection:
        listing = await POOLS.page(request, statement, connection, export_path="/merchant/pools/export")
        alerts = await pool_alerts(connection, services.now(), merchant_id=merchant_of(actor))
    return show(request, "pools.html", section="vouchers", tab="codes", listing=listing, alerts=alerts)


@get("/pools/export")
async def export_pools(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Stream:
    """The list as a file."""
    file_format = request.query_params.get("format", "csv")
    return POOLS.export(
        request, reads.pools(actor), services.database.engine.connect, file_format, file_name="code-pools"
    )


@get("/pools/{pool_id:uuid}")
async def pool_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    here: GivenHere,
    pool_id: FromPath[UUID],
) -> Response[Any]:
    """One pool: how many codes stand how, its uploads, and the files of what was handed back."""
    async with services.database.connection() as connection:
        drawn = await code_pools.pool_page(connection, actor, pool_id)
    # What the operator is still preparing is not shown yet.
    words = drawn.words(language_of(request)) | {
        "sales": [one for one in drawn.sales if one.state != "draft"]
    }
    return show(
        request,
        "pool.html",
        section="vouchers",
        seen_at=services.now(),
        **words,
    )


HANDLERS = [pools_page, export_pools, pool_page]
