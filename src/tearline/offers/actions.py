"""Changes to the coupon library.

Each action locks the offer's row first and decides under that lock; claims count ``issued`` up under the same
one, so 'nothing has been issued yet' is true when it's relied on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core import offers as core
from tearline.core.offer_checks import check_offer
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import without_blanks
from tearline.db import new_id, violated_constraint
from tearline.i18n import _
from tearline.merchants.audit import changes, record_audit
from tearline.merchants.model import Merchant, Store
from tearline.offers import stored
from tearline.offers.model import Offer
from tearline.offers.reads import draft_of

CODE_TAKEN_SENTENCE = _("This code is already in use; choose another.")

# Who gives an offer a pool, puts it into a prize or sells it holds a lock of the offer's row, which is ours here.
_HAS_POOL = text("SELECT true FROM code_pool WHERE offer_id = :offer")
_IS_GIVEN_OUT = text(
    "SELECT EXISTS (SELECT 1 FROM prize_offer WHERE offer_id = :offer)"
    " OR EXISTS (SELECT 1 FROM sale_item WHERE offer_id = :offer)"
    " OR EXISTS (SELECT 1 FROM code_pool WHERE offer_id = :offer)"
)


async def create_offer(tx: AsyncConnection, actor: Actor, draft: core.OfferDraft, now: datetime) -> UUID:
    """Put a new offer into the library, as a draft; answers its id.

    Raises:
        Refusal: ``invalid`` with what makes no sense by field, ``already_taken`` for the code.
    """
    actor.require("offers.write")
    draft = _tidied(draft)
    await _refuse_nonsense(tx, actor, draft)
    offer_id = new_id()
    columns = _columns(draft)
    inserted = await tx.execute(
        insert(Offer)
        .values(id=offer_id, created_at=now, updated_at=now, **columns)
        .on_conflict_do_nothing(index_elements=[Offer.code])
        .returning(Offer.id)
    )
    if inserted.one_or_none() is None:
        raise Refusal("already_taken", fields={"code": CODE_TAKEN_SENTENCE})
    await record_audit(
        tx, actor, "offer.created", "offer", offer_id, None, columns, now, merchant_id=draft.merchant_id
    )
    return offer_id


async def update_offer(
    tx: AsyncConnection, actor: Actor, offer_id: UUID, draft: core.OfferDraft, *, version: int, now: datetime
) -> int:
    """Replace what was decided about an offer; answers its new version.

    An archived offer can't be changed. Once coupons have been issued, only ``EDITABLE_ONCE_ISSUED`` can:
    the rest is what their holders were promised. The issue limit can't go below what is issued. A limit per
    member can be set only before the first coupon, since holdings are counted for offers that have one; it
    can be changed or removed at any time, and removing it is then final. What a prize, a sale or a pool has
    cannot become a promotion that applies by itself.

    Args:
        version: of the offer that the person saw.

    Raises:
        Refusal: ``changed_meanwhile``, ``not_editable`` (by field), ``invalid``, ``already_taken``.
    """
    actor.require("offers.write")
    row = await _locked(tx, actor, offer_id, version)
    if row.state == "archived":
        raise Refusal("not_editable")
    before = draft_of(row)
    draft = _tidied(draft)
    changed = {
        field.name for field in fields(draft) if getattr(draft, field.name) != getattr(before, field.name)
    }
    if not changed:
        return version
    if row.issued > 0:
        _refuse_broken_promises(before, draft, changed)
    if "merchant_id" in changed and await tx.scalar(_HAS_POOL, {"offer": offer_id}):
        sentence = _("The codes of this offer are its merchant's, so this can no longer be changed.")
        raise Refusal("not_editable", fields={"merchant_id": sentence})
    if draft.automatic and "automatic" in changed and await tx.scalar(_IS_GIVEN_OUT, {"offer": offer_id}):
        sentence = _("A campaign, a sale or a pool of codes has this offer, so it cannot apply by itself.")
        raise Refusal("not_editable", fields={"automatic": sentence})
    await _refuse_nonsense(tx, actor, draft, issued=row.issued)
    await _write(tx, actor, row, _columns(draft), action="offer.changed", now=now)
    return version + 1


async def activate_offer(
    tx: AsyncConnection, actor: Actor, offer_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Make a draft ready to be given out by campaigns; answers its new version.

    Raises:
        Refusal: ``not_editable`` unless it's a draft, ``invalid`` when it could never be used any more.
    """
    actor.require("offers.write")
    row = await _locked(tx, actor, offer_id, version)
    if row.state != "draft":
        raise Refusal("not_editable")
    if not core.can_be_issued(stored.validity_from(row.validity), row.time_zone, now):
        field = (
            "validity.ends_at"
            if row.validity["period"]["kind"] == core.FixedWindow.kind
            else "validity.last_day"
        )
        raise Refusal("invalid", fields={field: _("This is in the past, so the coupon could never be used.")})
    await _write(tx, actor, row, {"state": "active"}, action="offer.activated", now=now)
    return int(row.version) + 1


async def archive_offer(
    tx: AsyncConnection, actor: Actor, offer_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Take an offer out of use: nothing is issued any more, and issued coupons stay good. Final.

    Raises:
        Refusal: ``not_editable`` when it's archived already.
    """
    actor.require("offers.write")
    row = await _locked(tx, actor, offer_id, version)
    if row.state == "archived":
        raise Refusal("not_editable")
    await _write(tx, actor, row, {"state": "archived"}, action="offer.archived", now=now)
    return int(row.version) + 1


async def _locked(tx: AsyncConnection, actor: Actor, offer_id: UUID, version: int | None) -> Row[Any]:
    statement = select(Offer.__table__).where(Offer.id == offer_id).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    actor.require_merchant(row.merchant_id)
    if version is not None and row.version != version:
        raise Refusal("changed_meanwhile", version=row.version)
    return row


async def _write(
    tx: AsyncConnection, actor: Actor, row: Row[Any], values: Mapping[str, Any], *, action: str, now: datetime
) -> None:
    statement = (
        update(Offer).where(Offer.id == row.id).values(version=row.version + 1, updated_at=now, **values)
    )
    try:
        async with tx.begin_nested():
            await tx.execute(statement)
    except IntegrityError as error:
        if violated_constraint(error) == "uq_offer_code":
            raise Refusal("already_taken", fields={"code": CODE_TAKEN_SENTENCE}) from error
        raise
    before, after = changes(dict(row._mapping), values)
    merchant_id = values.get("merchant_id", row.merchant_id)
    await record_audit(tx, actor, action, "offer", row.id, before, after, now, merchant_id=merchant_id)


def _refuse_broken_promises(before: core.OfferDraft, draft: core.OfferDraft, changed: set[str]) -> None:
    problems = {
        name: _("Coupons have been issued, so this can no longer be changed.")
        for name in changed - core.EDITABLE_ONCE_ISSUED
    }
    if before.limit_per_member is None and draft.limit_per_member is not None:
        problems["limit_per_member"] = _(
            "A limit per member can only be set before the first coupon is issued."
        )
    if problems:
        raise Refusal("not_editable", fields=problems)


async def _refuse_nonsense(
    tx: AsyncConnection, actor: Actor, draft: core.OfferDraft, issued: int = 0
) -> None:
    actor.require_merchant(draft.merchant_id)
    merchant_ids = {*draft.scope.includes.merchants, *draft.scope.excludes.merchants}
    if draft.merchant_id is not None:
        merchant_ids.add(draft.merchant_id)
    known_merchants = await tx.execute(select(Merchant.id).where(Merchant.id.in_(merchant_ids)))
    known_stores = await tx.execute(select(Store.id, Store.merchant_id).where(Store.id.in_(draft.store_ids)))
    problems = check_offer(
        draft,
        known_merchant_ids=set(known_merchants.scalars()),
        store_merchants={store.id: store.merchant_id for store in known_stores},
    )
    if draft.issue_limit is not None and draft.issue_limit < issued:
        problems.setdefault("issue_limit", _("More than this have been issued already."))
    if problems:
        raise Refusal("invalid", fields=problems)


def _tidied(draft: core.OfferDraft) -> core.OfferDraft:
    """The draft without what means nothing: outer blanks, empty texts, letter case of the code."""
    return replace(
        draft,
        code=draft.code.strip().upper(),
        names=without_blanks(draft.names),
        summaries=without_blanks(draft.summaries),
        terms=without_blanks(draft.terms),
        image=draft.image or None,
    )


def _columns(draft: core.OfferDraft) -> dict[str, Any]:
    columns = {field.name: getattr(draft, field.name) for field in fields(draft)}
    del columns["funding"]
    return {
        **columns,
        "benefit_kind": draft.benefit.kind,
        "benefit": stored.benefit_json(draft.benefit),
        "scope": stored.scope_json(draft.scope),
        "cart_rules": stored.cart_rules_json(draft.cart_rules),
        "validity": stored.validity_json(draft.validity),
        "funding_platform_basis_points": draft.funding.platform_basis_points,
        "redeem_by": list(draft.redeem_by),
        "store_ids": list(draft.store_ids),
        "names": dict(draft.names),
        "summaries": dict(draft.summaries),
        "terms": dict(draft.terms),
    }
