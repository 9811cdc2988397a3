"""Handing unsold codes back to their partner: they can't be sold from then on, and the file lists them for ever.

The codes are withdrawn and the hand-back is written down in one transaction under the pool's lock. The file is made
from the withdrawn rows whenever it is downloaded; they never change again, and the digest says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import xlsxwriter
from sqlalchemy import Row, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.spreadsheets import CSV_MARK, csv_lines, neutralised
from tearline.db import Database, new_id, transaction
from tearline.merchants.audit import record_audit
from tearline.merchants.model import Merchant
from tearline.offers.model import Offer
from tearline.pools.actions import change_pool, locked_pool
from tearline.pools.model import CodePool, HandBack, PartnerCode, ReturnedCode
from tearline.pools.reads import hand_backs

__all__ = ["HandBackKind", "hand_back", "hand_back_file", "hand_backs"]

HandBackKind = Literal["csv", "xlsx"]

_FETCHED_ROWS = 5_000
_ROWS_PER_SHEET = 1_000_000
_CHUNK_BYTES = 64 * 1024


async def hand_back(
    tx: AsyncConnection, actor: Actor, pool_id: UUID, *, campaign_id: UUID | None, now: datetime
) -> UUID:
    """Withdraw all codes that are available, for good; answers the hand-back's id, whose file lists them.

    Args:
        campaign_id: the sale after which they are handed back, if it is one.

    Raises:
        Refusal: ``orders_open`` while codes are in orders that are being paid; ``nothing_to_hand_back``.
    """
    actor.require("codes.write")
    pool = await locked_pool(tx, actor, pool_id)
    if pool.reserved:
        raise Refusal("orders_open", codes=pool.reserved)
    if not pool.available:
        raise Refusal("nothing_to_hand_back")
    hand_back_id = new_id()
    withdrawn = await tx.execute(
        text("""
            WITH withdrawn AS (
                UPDATE partner_code SET state = 'withdrawn', hand_back_id = :hand_back_id
                WHERE pool_id = :pool_id AND state = 'available'
                RETURNING position, code
            )
            SELECT count(*) AS codes,
                   sha256(convert_to(string_agg(code || chr(10), '' ORDER BY position), 'UTF8')) AS digest
            FROM withdrawn"""),
        {"hand_back_id": hand_back_id, "pool_id": pool_id},
    )
    made = withdrawn.one()
    if made.codes != pool.available:
        raise RuntimeError(f"pool {pool_id} counts {pool.available} codes available and has {made.codes}")
    await tx.execute(delete(ReturnedCode).where(ReturnedCode.pool_id == pool_id))
    counts = {"available": 0, "withdrawn": pool.withdrawn + made.codes, "next_position": pool.size}
    await change_pool(tx, pool, counts, now)
    await tx.execute(
        insert(HandBack).values(
            id=hand_back_id,
            pool_id=pool_id,
            campaign_id=campaign_id,
            codes=made.codes,
            digest=made.digest,
            by_name=actor.name,
            made_at=now,
        )
    )
    after = {"codes": made.codes, "hand_back_id": hand_back_id, "campaign_id": campaign_id}
    await record_audit(
        tx, actor, "code_pool.handed_back", "code_pool", pool_id, None, after, now,
        merchant_id=pool.merchant_id,
    )  # fmt: skip
    return hand_back_id


@dataclass(frozen=True, slots=True)
class _HandedBack:
    """What the file says besides the codes."""

    id: UUID
    pool_id: UUID
    codes: int
    digest: bytes
    by_name: str
    made_at: datetime
    offer_code: str
    merchant: str

    def lines(self) -> list[tuple[str, str]]:
        """Who handed back how many codes of what, and when."""
        return [
            ("Hand-back", str(self.id)),
            ("Partner", self.merchant),
            ("Offer", self.offer_code),
            ("Handed back by", self.by_name),
            ("Handed back at", self.made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
            ("Codes", str(self.codes)),
            ("SHA-256 of the codes", self.digest.hex()),
        ]


async def hand_back_file(
    database: Database, actor: Actor, hand_back_id: UUID, kind: HandBackKind, now: datetime
) -> AsyncIterator[bytes]:
    """The file of a hand-back, the same bytes every time: who, when and how many, and then the codes.

    Before the first byte, the download is put down in the audit log and the hand-back is marked as fetched.

    Raises:
        Refusal: ``not_found`` when there is none, or it is another merchant's.
        RuntimeError: the codes are not those that were handed back.
    """
    actor.require("codes.read")
    async with transaction(database) as tx:
        row = await _locked(tx, actor, hand_back_id)
        if row.fetched_at is None:
            await tx.execute(update(HandBack).where(HandBack.id == hand_back_id).values(fetched_at=now))
        await record_audit(
            tx, actor, "code_pool.hand_back_exported", "code_pool", row.pool_id, None,
            {"hand_back_id": hand_back_id, "codes": row.codes, "format": kind}, now, merchant_id=row.merchant_id,
        )  # fmt: skip
    about = _HandedBack(
        row.id, row.pool_id, row.codes, row.digest, row.by_name, row.made_at, row.offer_code, row.names["en"]
    )
    pages = _pages(database, about)
    async for chunk in _csv(about, pages) if kind == "csv" else _xlsx(about, pages):
        yield chunk


async def _locked(tx: AsyncConnection, actor: Actor, hand_back_id: UUID) -> Row[Any]:
    statement = (
        select(HandBack.__table__, CodePool.merchant_id, Offer.code.label("offer_code"), Merchant.names)
        .join(CodePool, CodePool.id == HandBack.pool_id)
        .join(Offer, Offer.id == CodePool.offer_id)
        .join(Merchant, Merchant.id == CodePool.merchant_id)
        .where(HandBack.id == hand_back_id)
        .with_for_update(key_share=True, of=HandBack)
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    actor.require_merchant(row.merchant_id)
    return row


async def _pages(database: Database, about: _HandedBack) -> AsyncIterator[Sequence[str]]:
    """The codes in their order, some thousands at a time."""
    digest = hashlib.sha256()
    statement = (
        select(PartnerCode.code)
        .where(PartnerCode.pool_id == about.pool_id, PartnerCode.hand_back_id == about.id)
        .order_by(PartnerCode.position)
    )
    async with database.connection() as connection, connection.stream_scalars(statement) as codes:
        async for page in codes.partitions(_FETCHED_ROWS):
            digest.update("".join([f"{code}\n" for code in page]).encode())
            yield page
    if digest.digest() != about.digest:
        raise RuntimeError(f"the codes of hand-back {about.id} have changed")


async def _csv(about: _HandedBack, pages: AsyncIterator[Sequence[str]]) -> AsyncIterator[bytes]:
    yield CSV_MARK + csv_lines([*about.lines(), (), ("Code",)])
    async for page in pages:
        yield csv_lines((code,) for code in page)


async def _xlsx(about: _HandedBack, pages: AsyncIterator[Sequence[str]]) -> AsyncIterator[bytes]:
    """Built on disk and then sent. The codes are texts, so that a spreadsheet leaves them as they are."""
    with tempfile.TemporaryDirectory(prefix="tearline-export-") as directory:
        path = Path(directory) / "codes.xlsx"
        options = {"constant_memory": True, "tmpdir": directory, "strings_to_formulas": False}
        workbook = xlsxwriter.Workbook(path, options)
        # The same bytes every time: no date but the hand-back's.
        workbook.set_properties({"created": about.made_at.astimezone(UTC).replace(tzinfo=None)})
        bold, as_text = workbook.add_format({"bold": True}), workbook.add_format({"num_format": "@"})
        sheet, next_row = None, 0

        def write(codes: Sequence[str]) -> None:
            nonlocal sheet, next_row
            for code in codes:
                if sheet is None or next_row > _ROWS_PER_SHEET:
                    sheet, next_row = workbook.add_worksheet(), 1
                    sheet.freeze_panes(1, 0)
                    sheet.set_column(0, 0, 40, as_text)
                    sheet.write_string(0, 0, "Code", bold)
                sheet.write_string(next_row, 0, neutralised(code), as_text)
                next_row += 1

        async for page in pages:
            await asyncio.to_thread(write, page)
        head = workbook.add_worksheet("About")
        head.set_column(0, 0, 24)
        head.set_column(1, 1, 70)
        for number, (label, value) in enumerate(about.lines()):
            head.write_string(number, 0, label, bold)
            head.write_string(number, 1, neutralised(value))
        await asyncio.to_thread(workbook.close)
        with path.open("rb") as built:
            while chunk := await asyncio.to_thread(built.read, _CHUNK_BYTES):
                yield chunk
