"""A pool's page: how many codes stand how, its uploads, and handing back what was not sold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.refusal import Refusal
from tearline.i18n import _, localised
from tearline.pools import handback, reads
from tearline.pools.files import MOST_BYTES
from tearline.pools.model import HandBack
from tearline.sales.closing import hand_back_unsold
from tearline.sales.model import SaleItem
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.code_rule import rule_words
from tearline.web.console.coupons import FIND_FORM
from tearline.web.console.pools import SYMBOLOGY_NAMES
from tearline.web.console.support import act, show
from tearline.web.ui.exports import attached
from tearline.web.ui.page import language_of

FILE_STATE_NAMES = {
    "uploading": _("Being uploaded"),
    "uploaded": _("Waits for you"),
    "importing": _("Being imported"),
    "imported": _("Imported"),
    "failed": _("Failed"),
    "discarded": _("Discarded"),
}
FILE_STATE_KINDS = {"uploaded": "accent", "importing": "accent", "imported": "good", "failed": "bad"}
SOURCE_NAMES = {"console": _("Console"), "api": _("API"), "command": _("Command line")}
BAR = (
    ("sold", _("Sold")),
    ("reserved", _("Reserved")),
    ("available", _("Left")),
    ("withdrawn", _("Handed back")),
    ("void", _("Cancelled")),
)
"""The states of a pool's codes in the order of the bar, and what they are called."""
BAR_WIDTH = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """One colour of the bar: where it begins and how wide it is, of ``BAR_WIDTH``."""

    kind: str
    label: str
    count: int
    x: int
    width: int


def bar_of(pool: reads.PoolView) -> list[Part]:
    """The bar of a pool; even one code among millions is a visible sliver."""
    parts, x = [], 0
    for kind, label in BAR:
        count = getattr(pool, kind)
        width = max(4, round(BAR_WIDTH * count / pool.size)) if count else 0
        parts.append(Part(kind, label, count, min(x, BAR_WIDTH - width), width))
        x += width
    return parts


@get("/pools/{pool_id:uuid}")
async def show_pool(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[str]:
    """The page."""
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
        sales = await sales_of(connection, pool.offer_id)
        returns = reads.hand_backs(actor, pool_id).order_by(HandBack.made_at.desc())
        handed = list(await connection.execute(returns))
        deeds = await trail(connection, actor, [str(pool_id)])
    return show(
        request,
        "pool.html",
        pool=pool,
        bar=bar_of(pool),
        rule="" if pool.rule is None else rule_words(pool.rule, language),
        most_bytes=MOST_BYTES,
        sales=sales,
        last_end=last_end(sales, now),
        handed=handed,
        hand_back_names={one.id: localised(one.names, language) for one in sales},
        find_form=FIND_FORM.blank(),
        symbology_names=SYMBOLOGY_NAMES,
        file_state_names=FILE_STATE_NAMES,
        file_state_kinds=FILE_STATE_KINDS,
        source_names=SOURCE_NAMES,
        deeds=deeds,
        seen_at=now,
        **words(),
    )


@get("/pools/{pool_id:uuid}/now")
async def pool_now(
    request: AnyRequest, services: GivenServices, actor: GivenActor, pool_id: FromPath[UUID]
) -> Response[str]:
    """The numbers alone, for the page to refresh itself."""
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
    return show(request, "pool_now.html", pool=pool, bar=bar_of(pool), seen_at=services.now())


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


@get("/pools/{pool_id:uuid}/hand-backs/{hand_back_id:uuid}")
async def fetch_hand_back(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    pool_id: FromPath[UUID],
    hand_back_id: FromPath[UUID],
) -> Stream:
    """The file for the partner: the same one every time."""
    is_excel = request.query_params.get("format") == "xlsx"
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
        known = reads.hand_backs(actor, pool_id).where(HandBack.id == hand_back_id)
        found = (await connection.execute(known)).one_or_none()
    if found is None:
        raise Refusal("not_found")
    chunks = handback.hand_back_file(
        services.database, actor, hand_back_id, "xlsx" if is_excel else "csv", services.now()
    )
    stem = f"unsold-{pool.offer_code}-{found.made_at:%Y-%m-%d}"
    return attached(chunks, stem, is_excel=is_excel)


async def sales_of(connection: AsyncConnection, offer_id: UUID) -> list[Row[Any]]:
    """The sales that sell an offer, the last to end first."""
    query = (
        select(
            Campaign.id,
            Campaign.names,
            Campaign.state,
            Campaign.time_zone,
            Campaign.starts_at,
            Campaign.ends_at,
        )
        .join(SaleItem, SaleItem.campaign_id == Campaign.id)
        .where(SaleItem.offer_id == offer_id)
        .order_by(Campaign.ends_at.desc(), Campaign.id)
    )
    return list(await connection.execute(query))


def last_end(sales: list[Row[Any]], now: datetime) -> datetime | None:
    """When the last of the sales that can still sell comes to its end; None when none can."""
    return max(
        (one.ends_at for one in sales if one.state in ("live", "paused") and one.ends_at > now), default=None
    )


HANDLERS = [show_pool, pool_now, hand_back, fetch_hand_back]
