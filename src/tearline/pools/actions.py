"""Changes to pools of partner codes, other than by files: see ``importing`` and ``handback`` for those.

A pool's row is the lock of whoever takes codes or changes their states; sales lock the same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.pools import LONGEST_CODE, can_have_pool, check_pool
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.db import new_id
from tearline.i18n import _
from tearline.merchants.audit import changes, record_audit
from tearline.offers.model import Offer
from tearline.pools.model import CodePool, PartnerCode, ReturnedCode

MOST_VOIDED = 1_000
"""Codes that one call of ``void_codes`` can name."""


async def create_pool(
    tx: AsyncConnection,
    actor: Actor,
    offer_id: UUID,
    *,
    symbology: str = "text",
    low_stock: int | None = None,
    now: datetime,
) -> UUID:
    """Give an offer a pool, so that its codes are the partner's from now on; answers the pool's id.

    Args:
        low_stock: warn staff when fewer codes than this are available; None for never.

    Raises:
        Refusal: ``invalid`` for an offer of no one merchant, or by field; ``not_editable`` when coupons of the
            offer have been issued, it is archived or applies to carts by itself; ``conflict`` when it has a pool.
    """
    actor.require("codes.write")
    statement = select(Offer.merchant_id, Offer.issued, Offer.state, Offer.automatic).where(
        Offer.id == offer_id
    )
    offer = (await tx.execute(statement.with_for_update(key_share=True))).one_or_none()
    if offer is None:
        raise Refusal("not_found")
    actor.require_merchant(offer.merchant_id)
    if offer.merchant_id is None:
        raise Refusal(
            "invalid", fields={"offer": _("Only an offer of one merchant can have a partner's codes.")}
        )
    if not can_have_pool(offer.merchant_id, offer.issued, offer.state, is_automatic=offer.automatic):
        raise Refusal("not_editable")
    if problems := check_pool(symbology, low_stock):
        raise Refusal("invalid", fields=problems)
    values = {
        "offer_id": offer_id,
        "merchant_id": offer.merchant_id,
        "symbology": symbology,
        "low_stock": low_stock,
    }
    pool_id = new_id()
    inserted = await tx.execute(
        insert(CodePool)
        .values(id=pool_id, created_at=now, updated_at=now, **values)
        .on_conflict_do_nothing(index_elements=[CodePool.offer_id])
        .returning(CodePool.id)
    )
    if inserted.one_or_none() is None:
        raise Refusal("conflict")
    # Tells the claim desks, which keep offers in memory, that this one is no longer given out by them.
    await tx.execute(
        update(Offer).where(Offer.id == offer_id).values(version=Offer.version + 1, updated_at=now)
    )
    await record_audit(
        tx, actor, "code_pool.created", "code_pool", pool_id, None, values, now, merchant_id=offer.merchant_id
    )
    return pool_id


async def update_pool(
    tx: AsyncConnection,
    actor: Actor,
    pool_id: UUID,
    *,
    symbology: str,
    low_stock: int | None,
    version: int,
    now: datetime,
) -> int:
    """Change how codes are shown and when staff are warned; answers the pool's new version.

    Raises:
        Refusal: ``changed_meanwhile`` when the person saw another version; ``invalid`` by field.
    """
    actor.require("codes.write")
    row = await locked_pool(tx, actor, pool_id)
    if row.version != version:
        raise Refusal("changed_meanwhile", version=row.version)
    if problems := check_pool(symbology, low_stock):
        raise Refusal("invalid", fields=problems)
    before, after = changes(row._asdict(), {"symbology": symbology, "low_stock": low_stock})
    if not after:
        return version
    await change_pool(tx, row, {**after, "version": version + 1}, now)
    await record_audit(
        tx, actor, "code_pool.changed", "code_pool", pool_id, before, after, now, merchant_id=row.merchant_id
    )
    return version + 1


async def void_codes(
    tx: AsyncConnection, actor: Actor, pool_id: UUID, codes: Sequence[str], now: datetime
) -> int:
    """Cancel codes for good, such as those that the partner says are wrong; answers how many.

    Only codes that are available can be: of the others nothing is changed. The log says which by their
    positions, since not everybody who reads it may see codes.
    """
    actor.require("codes.write")
    if len(codes) > MOST_VOIDED:
        raise Refusal("too_large")
    row = await locked_pool(tx, actor, pool_id)
    wanted = {code.strip() for code in codes if len(code) <= LONGEST_CODE and is_storable(code)}
    statement = (
        update(PartnerCode)
        .where(
            PartnerCode.code.in_(wanted),
            PartnerCode.merchant_id == row.merchant_id,
            PartnerCode.pool_id == pool_id,
            PartnerCode.state == "available",
        )
        .values(state="void")
        .returning(PartnerCode.position)
    )
    positions = sorted((await tx.execute(statement)).scalars())
    if not positions:
        return 0
    returned = [(pool_id, position) for position in positions if position < row.next_position]
    await tx.execute(
        delete(ReturnedCode).where(tuple_(ReturnedCode.pool_id, ReturnedCode.position).in_(returned))
    )
    count = len(positions)
    await change_pool(tx, row, {"available": row.available - count, "void": row.void + count}, now)
    await record_audit(
        tx, actor, "code_pool.codes_voided", "code_pool", pool_id, None,
        {"codes": count, "positions": positions}, now, merchant_id=row.merchant_id,
    )  # fmt: skip
    return count


async def locked_pool(tx: AsyncConnection, actor: Actor, pool_id: UUID) -> Row[Any]:
    """The pool's row with its lock held; ``not_found`` when there is none, or it is another merchant's."""
    statement = select(CodePool.__table__).where(CodePool.id == pool_id).with_for_update(key_share=True)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    actor.require_merchant(row.merchant_id)
    return row


async def change_pool(tx: AsyncConnection, row: Row[Any], values: Mapping[str, Any], now: datetime) -> None:
    """Write to a pool whose lock is held.

    Counts change without a new version: that is for what a person edits.
    """
    await tx.execute(update(CodePool).where(CodePool.id == row.id).values(updated_at=now, **values))
