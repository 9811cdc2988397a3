"""Questions about pools of partner codes.

A partner's unsold codes are worth money to whoever reads them: only those with ``codes.read`` get to see one, and
of a merchant's staff and keys only that merchant's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, false, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.pools import LONGEST_CODE, CodeRule
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.db import LocalisedText
from tearline.merchants.model import AnySelect, Merchant
from tearline.offers.model import Offer
from tearline.pools.model import CodeFile, CodePool, HandBack, PartnerCode
from tearline.pools.stored import rule_from

IS_LOW = func.coalesce(CodePool.available < CodePool.low_stock, false())
"""Whether fewer codes are available than staff want to be warned at."""
LATEST_FILES = 10
MOST_FOUND = 50


@dataclass(frozen=True, slots=True)
class FileView:
    """An upload and what became of it; the fields are those of ``model.CodeFile``."""

    id: UUID
    pool_id: UUID
    name: str
    size_bytes: int
    state: str
    problem: str | None
    source: str
    by_name: str
    rows: int
    added: int
    duplicate: int
    held: int
    invalid: int
    created_at: datetime
    seen_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool: its counts by state of its codes, its rule, its latest files.

    Attributes:
        rule: None until the first file was confirmed.
        size: codes ever added; the sum of the five counts.
        latest_files: the newest first.
        is_low: fewer codes are available than staff want to be warned at.
    """

    id: UUID
    offer_id: UUID
    offer_code: str
    offer_names: LocalisedText
    merchant_id: UUID
    merchant_names: LocalisedText
    symbology: str
    rule: CodeRule | None
    low_stock: int | None
    size: int
    available: int
    reserved: int
    sold: int
    withdrawn: int
    void: int
    version: int
    created_at: datetime
    updated_at: datetime
    is_low: bool
    latest_files: tuple[FileView, ...]


@dataclass(frozen=True, slots=True)
class FoundCode:
    """A partner's code that somebody looked up; of one that was sold, to whom and with which order."""

    code: str
    state: str
    pool_id: UUID
    position: int
    offer_id: UUID
    offer_names: LocalisedText
    merchant_id: UUID
    merchant_names: LocalisedText
    member_id: UUID | None
    coupon_id: UUID | None
    order_id: UUID | None


_FILE_COLUMNS = tuple(getattr(CodeFile, name) for name in FileView.__slots__)


def pools(actor: Actor) -> AnySelect:
    """All pools that the actor may see, with their offers' and merchants' names and ``is_low``; not yet sorted.

    The caller filters, sorts and pages it.
    """
    actor.require("codes.read")
    statement = (
        select(
            CodePool,
            Offer.code.label("offer_code"),
            Offer.names.label("offer_names"),
            Merchant.names.label("merchant_names"),
            IS_LOW.label("is_low"),
        )
        .join(Offer, Offer.id == CodePool.offer_id)
        .join(Merchant, Merchant.id == CodePool.merchant_id)
    )
    return _own(statement, actor)


async def pool(connection: AsyncConnection, actor: Actor, pool_id: UUID) -> PoolView:
    """One pool; ``not_found`` when there is none, or it is another merchant's."""
    found = await _one(connection, actor, CodePool.id == pool_id)
    if found is None:
        raise Refusal("not_found")
    return found


async def pool_of_offer(connection: AsyncConnection, actor: Actor, offer_id: UUID) -> PoolView | None:
    """The pool of an offer; None when its codes come from us, or when the actor may not see the pool."""
    return await _one(connection, actor, CodePool.offer_id == offer_id)


async def _one(connection: AsyncConnection, actor: Actor, which: ColumnElement[bool]) -> PoolView | None:
    row = (await connection.execute(pools(actor).where(which))).one_or_none()
    if row is None:
        return None
    latest = files(actor, row.id).order_by(CodeFile.id.desc()).limit(LATEST_FILES)
    latest_files = tuple(file_view(one) for one in await connection.execute(latest))
    values = {name: getattr(row, name) for name in PoolView.__slots__ if name not in ("rule", "latest_files")}
    return PoolView(rule=rule_from(row.rule), latest_files=latest_files, **values)


def files(actor: Actor, pool_id: UUID) -> AnySelect:
    """The files of a pool, with the columns of ``FileView``; not yet sorted."""
    actor.require("codes.read")
    statement = (
        select(*_FILE_COLUMNS)
        .join(CodePool, CodePool.id == CodeFile.pool_id)
        .where(CodeFile.pool_id == pool_id)
    )
    return _own(statement, actor)


def file_view(row: Row[Any]) -> FileView:
    """A row of ``files`` as its view."""
    return FileView(**row._mapping)


async def file_of(connection: AsyncConnection, actor: Actor, file_id: UUID) -> tuple[FileView, UUID]:
    """One file, and the id of the merchant whose codes it holds; ``not_found`` when it is another's."""
    actor.require("codes.read")
    statement = (
        select(*_FILE_COLUMNS, CodePool.merchant_id)
        .join(CodePool, CodePool.id == CodeFile.pool_id)
        .where(CodeFile.id == file_id)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    actor.require_merchant(row.merchant_id)
    return FileView(*row[:-1]), row.merchant_id


def hand_backs(actor: Actor, pool_id: UUID) -> AnySelect:
    """What was handed back of a pool, with the columns of ``HandBack``; not yet sorted."""
    actor.require("codes.read")
    statement = (
        select(HandBack.__table__)
        .join(CodePool, CodePool.id == HandBack.pool_id)
        .where(HandBack.pool_id == pool_id)
    )
    return _own(statement, actor)


async def find_codes(connection: AsyncConnection, actor: Actor, text: str) -> list[FoundCode]:
    """All codes that read like this, of whichever partners the actor may see, sold ones first.

    Partners may well have the same code: then there are several. Whoever lacks ``codes.read`` but has
    ``sales.read`` finds codes that were sold, and does not learn whether an unsold one exists.
    """
    may_see_unsold = "codes.read" in actor.permissions
    if not may_see_unsold:
        actor.require("sales.read")
    code = text.strip()
    if not code or len(code) > LONGEST_CODE or not is_storable(code):
        return []
    statement = (
        select(
            PartnerCode.code,
            PartnerCode.state,
            PartnerCode.pool_id,
            PartnerCode.position,
            CodePool.offer_id,
            Offer.names.label("offer_names"),
            PartnerCode.merchant_id,
            Merchant.names.label("merchant_names"),
            PartnerCode.member_id,
            PartnerCode.coupon_id,
            PartnerCode.order_id,
        )
        .join(CodePool, CodePool.id == PartnerCode.pool_id)
        .join(Offer, Offer.id == CodePool.offer_id)
        .join(Merchant, Merchant.id == PartnerCode.merchant_id)
        .where(PartnerCode.code.in_({code, code.upper()}))
        .order_by((PartnerCode.state == "sold").desc(), PartnerCode.code, Merchant.code)
        .limit(MOST_FOUND)
    )
    if not may_see_unsold:
        statement = statement.where(PartnerCode.coupon_id.is_not(None))
    return [FoundCode(**row._mapping) for row in await connection.execute(_own(statement, actor))]


def _own(statement: AnySelect, actor: Actor) -> AnySelect:
    """Of a merchant's staff and keys only what is that merchant's; of the operator's everything."""
    return (
        statement if actor.merchant_id is None else statement.where(CodePool.merchant_id == actor.merchant_id)
    )
