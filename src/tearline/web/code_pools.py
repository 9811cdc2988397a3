"""Pools of partners' codes as staff see them, the operator's and the partner's own: words, bar, and hand-backs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.i18n import _, localised
from tearline.offers.model import Offer
from tearline.pools import handback, reads
from tearline.pools.files import MOST_BYTES
from tearline.pools.model import CodePool, HandBack
from tearline.sales.model import SaleItem
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.code_rule import rule_words
from tearline.web.faces import Face, GivenFace
from tearline.web.ui.exports import attached
from tearline.web.ui.lists import ChoiceFilter, Column, TextFilter, localised_columns

SYMBOLOGY_NAMES = {
    "text": _("Text: typed in or read aloud"),
    "qr": _("QR code"),
    "code128": _("Barcode Code 128"),
    "code39": _("Barcode Code 39"),
    "ean13": _("Barcode EAN-13"),
}
FILE_STATE_NAMES = {
    "uploading": _("Being uploaded"),
    "uploaded": _("Waits for you"),
    "importing": _("Being imported"),
    "imported": _("Imported"),
    "failed": _("Failed"),
    "discarded": _("Discarded"),
}
FILE_STATE_KINDS = {"uploaded": "accent", "importing": "accent", "imported": "good", "failed": "bad"}
SOURCE_NAMES = {
    "console": _("Console"),
    "merchant": _("Merchant"),
    "api": _("API"),
    "command": _("Command line"),
}
CODE_STATE_NAMES = {
    "available": _("Unsold"),
    "reserved": _("Reserved"),
    "sold": _("Sold"),
    "withdrawn": _("Handed back"),
    "void": _("Cancelled"),
}
CODE_STATE_KINDS = {"available": "good", "reserved": "accent", "withdrawn": "warn", "void": "bad"}
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


def offer_column(face: Face) -> Column:
    """The first column of a list of pools: whose codes they are, with a link to the pool."""
    return Column(
        "offer_names", _("Offer"), kind="localised", sort=Offer.code, under="offer_code", under_label=_("Code"),
        href=face.path("pools/{id}"),
    )  # fmt: skip


def count_columns() -> list[Column]:
    """How many codes stand how, as columns of a list of pools."""
    return [
        Column("symbology", _("Shown as"), kind="tag", labels=SYMBOLOGY_NAMES, sort=CodePool.symbology),
        Column("size", _("Uploaded"), kind="number", sort=CodePool.size),
        Column("available", _("Left"), kind="number", sort=CodePool.available),
        Column("reserved", _("Reserved"), kind="number", sort=CodePool.reserved),
        Column("sold", _("Sold"), kind="number", sort=CodePool.sold),
        Column("withdrawn", _("Handed back"), kind="number", sort=CodePool.withdrawn),
        Column("updated_at", _("Changed"), kind="date_time", sort=CodePool.updated_at),
    ]


def offer_filter() -> TextFilter:
    """Finds pools by their offer."""
    return TextFilter("q", _("Name or code of the offer"), [Offer.code, *localised_columns(Offer.names)])


def stock_filter() -> ChoiceFilter:
    """Finds pools by how many codes are left."""
    return ChoiceFilter(
        "stock",
        _("Stock"),
        [("low", _("Running out")), ("empty", _("Empty")), ("some", _("Codes left"))],
        conditions={
            "low": reads.IS_LOW,
            "empty": CodePool.available == 0,
            "some": CodePool.available > 0,
        },
    )


@dataclass(frozen=True, slots=True)
class PoolPage:
    """What a pool's page tells in every face.

    Attributes:
        sales: those that sell its offer, the last to end first.
        handed: what was handed back of it, the last one first.
    """

    pool: reads.PoolView
    sales: Sequence[Row[Any]]
    handed: Sequence[Row[Any]]

    def words(self, language: str) -> dict[str, Any]:
        """What its template needs."""
        return {
            "pool": self.pool,
            "bar": bar_of(self.pool),
            "rule": "" if self.pool.rule is None else rule_words(self.pool.rule, language),
            "most_bytes": MOST_BYTES,
            "sales": self.sales,
            "handed": self.handed,
            "hand_back_names": {one.id: localised(one.names, language) for one in self.sales},
            "symbology_names": SYMBOLOGY_NAMES,
            "file_state_names": FILE_STATE_NAMES,
            "file_state_kinds": FILE_STATE_KINDS,
            "source_names": SOURCE_NAMES,
        }


async def pool_page(connection: AsyncConnection, actor: Actor, pool_id: UUID) -> PoolPage:
    """A pool that the actor may see."""
    pool = await reads.pool(connection, actor, pool_id)
    returns = reads.hand_backs(actor, pool_id).order_by(HandBack.made_at.desc())
    return PoolPage(pool, await sales_of(connection, pool.offer_id), list(await connection.execute(returns)))


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


def last_end(sales: Sequence[Row[Any]], now: datetime) -> datetime | None:
    """When the last of the sales that can still sell comes to its end; None when none can."""
    return max(
        (one.ends_at for one in sales if one.state in ("live", "paused") and one.ends_at > now), default=None
    )


@get("/pools/{pool_id:uuid}/now")
async def pool_now(
    request: AnyRequest, services: GivenServices, actor: GivenActor, face: GivenFace, pool_id: FromPath[UUID]
) -> Response[str]:
    """The numbers alone, for the page to refresh itself."""
    async with services.database.connection() as connection:
        pool = await reads.pool(connection, actor, pool_id)
    return face.show(request, "codes/now.html", pool=pool, bar=bar_of(pool), seen_at=services.now())


@get("/pools/{pool_id:uuid}/hand-backs/{hand_back_id:uuid}")
async def fetch_hand_back(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    face: GivenFace,
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


HANDLERS = [pool_now, fetch_hand_back]
