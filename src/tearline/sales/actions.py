"""Changes to sales and to what they sell.

A sale is a campaign: what all campaigns have (names, window, audience, pausing) is changed by
``campaigns.actions``. Every action here locks the campaign's row before anything else and raises its version;
the sale desk takes the same lock. Where offers matter as well they're locked after it, by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.changes import (
    NOT_EDITABLE_SENTENCE,
    locked_campaign,
    make_campaign,
    move_campaign,
    raise_version,
    require_campaigns,
)
from tearline.core.campaigns import CampaignDraft
from tearline.core.offer_checks import MAXIMUM_COUNT
from tearline.core.offers import can_be_issued
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.sales import ITEM_EDITABLE, MAXIMUM_ITEMS, SaleItemDraft, check_item
from tearline.db import new_id
from tearline.i18n import _
from tearline.merchants.audit import changes, record_audit
from tearline.offers import stored
from tearline.offers.model import Offer
from tearline.pools.model import CodePool
from tearline.sales.model import SaleItem
from tearline.sales.reads import item_draft_of

SALE = "sale"
_FIELDS = tuple(field.name for field in fields(SaleItemDraft))


async def create_sale(tx: AsyncConnection, actor: Actor, draft: CampaignDraft, now: datetime) -> UUID:
    """Make a sale, as a draft without items; answers its id. The draft's window is the selling period.

    Raises:
        Refusal: ``invalid`` with what makes no sense by field, ``already_taken`` for the code.
    """
    return await make_campaign(tx, actor, draft, SALE, now)


async def go_live(
    tx: AsyncConnection, actor: Actor, campaign_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Open a draft to members from its window's start on; answers its new version.

    Raises:
        Refusal: ``not_editable`` unless it's a draft; ``invalid`` with what is missing: an item, an offer
            that isn't active or can't be issued any more, a selling period that is over.
    """
    row = await locked_campaign(tx, actor, campaign_id, version, kind=SALE)
    if row.state != "draft":
        raise Refusal("not_editable")
    return await _open(tx, actor, row, action="campaign.went_live", now=now)


async def resume(
    tx: AsyncConnection, actor: Actor, campaign_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Open a paused sale again; checked as in ``go_live``."""
    row = await locked_campaign(tx, actor, campaign_id, version, kind=SALE)
    if row.state != "paused":
        raise Refusal("not_editable")
    return await _open(tx, actor, row, action="campaign.resumed", now=now)


# Items


async def add_item(
    tx: AsyncConnection,
    actor: Actor,
    campaign_id: UUID,
    draft: SaleItemDraft,
    *,
    version: int | None = None,
    now: datetime,
) -> UUID:
    """Add a voucher to a sale, priced in its offer's currency; answers the item's id. A sale has at most five.

    Raises:
        Refusal: ``not_editable`` outside draft and pause, ``invalid``.
    """
    row = await locked_campaign(tx, actor, campaign_id, version, kind=SALE)
    _require_editable(row.state, {"add"})
    items = await _items(tx, campaign_id)
    if len(items) >= MAXIMUM_ITEMS:
        raise Refusal("invalid", fields={"items": _("A sale has at most five vouchers.")})
    if draft.offer_id in {item.offer_id for item in items}:
        raise Refusal("invalid", fields={"offer_id": _("This sale has this offer already.")})
    currency = await _checked(tx, draft, row.state)
    item_id = new_id()
    position = max((item.position for item in items), default=0) + 1
    values = {**asdict(draft), "currency": currency}
    await tx.execute(
        insert(SaleItem).values(id=item_id, campaign_id=campaign_id, position=position, **values)
    )
    await raise_version(tx, row, now)
    after = {**values, "campaign_id": campaign_id}
    await record_audit(tx, actor, "sale_item.added", "sale_item", item_id, None, after, now)
    return item_id


async def update_item(
    tx: AsyncConnection,
    actor: Actor,
    item_id: UUID,
    draft: SaleItemDraft,
    *,
    version: int | None = None,
    now: datetime,
) -> int:
    """Replace what was decided about an item, as far as ``ITEM_EDITABLE`` lets; answers the sale's version.

    Orders that were taken keep their price. Outside draft the quantity can only be raised.

    Raises:
        Refusal: ``changed_meanwhile``, ``not_editable`` (by field), ``inventory_lowered``, ``invalid``.
    """
    row, items, item = await _locked_item(tx, actor, item_id, version)
    before = item_draft_of(item)
    changed = {name for name in _FIELDS if getattr(draft, name) != getattr(before, name)}
    if not changed:
        return int(row.version)
    _require_editable(row.state, changed)
    if row.state != "draft" and _is_lower(draft.quantity, item):
        raise _lowered(item)
    if draft.offer_id in {other.offer_id for other in items if other.id != item_id}:
        raise Refusal("invalid", fields={"offer_id": _("This sale has this offer already.")})
    currency = await _checked(tx, draft, row.state if "offer_id" in changed else None)
    values = {**asdict(draft), "currency": currency}
    await tx.execute(update(SaleItem).where(SaleItem.id == item_id).values(**values))
    was, now_is = changes(dict(item._mapping), values)
    await record_audit(tx, actor, "sale_item.changed", "sale_item", item_id, was, now_is, now)
    return await raise_version(tx, row, now)


async def remove_item(
    tx: AsyncConnection, actor: Actor, item_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Take an item out of a draft; answers the sale's new version."""
    row, _others, item = await _locked_item(tx, actor, item_id, version)
    _require_editable(row.state, {"remove"})
    await tx.execute(delete(SaleItem).where(SaleItem.id == item_id))
    was = {**asdict(item_draft_of(item)), "campaign_id": row.id}
    await record_audit(tx, actor, "sale_item.removed", "sale_item", item_id, was, None, now)
    return await raise_version(tx, row, now)


async def raise_quantity(
    tx: AsyncConnection,
    actor: Actor,
    item_id: UUID,
    to: int | None,
    now: datetime,
    *,
    expected: int | None = None,
) -> int | None:
    """Raise how many may be sold of an item to ``to``, also while members are buying it; answers the quantity.

    Repeating it changes nothing, so a lost answer can be asked for again.

    Args:
        to: None for as many as the pool holds.
        expected: the quantity that the person saw, when it matters that nobody else has raised it since.

    Raises:
        Refusal: ``inventory_lowered``, ``changed_meanwhile``, ``invalid``, ``not_editable`` when archived.
    """
    row, _others, item = await _locked_item(tx, actor, item_id, None)
    _require_editable(row.state, {"quantity"})
    if to == item.quantity:
        return to
    if expected is not None and expected != item.quantity:
        raise Refusal("changed_meanwhile", quantity=item.quantity)
    if _is_lower(to, item):
        raise _lowered(item)
    if to is None and not await _has_pool(tx, item.offer_id):
        sentence = _("Say how many may be sold: this offer's codes come from us, without end.")
        raise Refusal("invalid", fields={"quantity": sentence})
    if to is not None and to > MAXIMUM_COUNT:
        raise Refusal("invalid", fields={"quantity": _("This is more than can be sold.")})
    await tx.execute(update(SaleItem).where(SaleItem.id == item_id).values(quantity=to))
    await raise_version(tx, row, now)
    was, now_is = {"quantity": item.quantity}, {"quantity": to}
    await record_audit(tx, actor, "sale_item.quantity_raised", "sale_item", item_id, was, now_is, now)
    return to


# Pieces


async def _items(tx: AsyncConnection, campaign_id: UUID) -> list[Row[Any]]:
    statement = select(SaleItem.__table__).where(SaleItem.campaign_id == campaign_id)
    return list(await tx.execute(statement.order_by(SaleItem.position)))


async def _locked_item(
    tx: AsyncConnection, actor: Actor, item_id: UUID, version: int | None
) -> tuple[Row[Any], list[Row[Any]], Row[Any]]:
    """The sale's row, locked, all its items, and this one."""
    require_campaigns(actor)
    # Read without a lock: an item never changes its sale.
    campaign_id = await tx.scalar(select(SaleItem.campaign_id).where(SaleItem.id == item_id))
    if campaign_id is None:
        raise Refusal("not_found")
    row = await locked_campaign(tx, actor, campaign_id, version, kind=SALE)
    items = await _items(tx, campaign_id)
    for item in items:
        if item.id == item_id:
            return row, items, item
    # It was removed before the sale's lock was ours.
    raise Refusal("not_found")


def _require_editable(state: str, edits: set[str]) -> None:
    forbidden = edits - ITEM_EDITABLE[state]
    if forbidden:
        raise Refusal("not_editable", fields=dict.fromkeys(forbidden, NOT_EDITABLE_SENTENCE))


def _is_lower(quantity: int | None, item: Row[Any]) -> bool:
    if quantity is None:
        return False
    lowest: int = item.reserved + item.sold if item.quantity is None else item.quantity
    return quantity < lowest


def _lowered(item: Row[Any]) -> Refusal:
    at_least: int = item.reserved + item.sold if item.quantity is None else item.quantity
    sentence = _("The inventory can only be raised.")
    return Refusal("inventory_lowered", fields={"quantity": sentence}, inventory=at_least)


async def _checked(tx: AsyncConnection, draft: SaleItemDraft, state: str | None) -> str:
    """Refuse a draft that makes no sense; answers its offer's currency.

    Args:
        state: of the sale, when the offer is chosen anew: it must then fit the sale.
    """
    statement = select(Offer.state, Offer.currency, Offer.automatic).where(Offer.id == draft.offer_id)
    offer = (await tx.execute(statement.with_for_update(read=True))).one_or_none()
    wanted = {"draft": ("draft", "active"), None: ("draft", "active", "archived")}.get(state, ("active",))
    if offer is None or offer.state not in wanted:
        problems = {"offer_id": _("Choose an offer that is active.")}
        raise Refusal("invalid", fields=problems)
    if offer.automatic:
        sentence = _("This offer applies to carts by itself, so there is nothing to sell.")
        raise Refusal("invalid", fields={"offer_id": sentence})
    problems = check_item(draft, has_pool=await _has_pool(tx, draft.offer_id))
    if problems:
        raise Refusal("invalid", fields=problems)
    currency: str = offer.currency
    return currency


async def _has_pool(tx: AsyncConnection, offer_id: UUID) -> bool:
    found: bool | None = await tx.scalar(select(exists().where(CodePool.offer_id == offer_id)))
    return bool(found)


async def _open(tx: AsyncConnection, actor: Actor, row: Row[Any], *, action: str, now: datetime) -> int:
    problems: dict[str, str] = {}
    if now >= row.ends_at:
        problems["ends_at"] = _("The selling period is over already.")
    items = await _items(tx, row.id)
    if not items:
        problems["items"] = _("Add at least one voucher first.")
    problems |= await _offer_problems(tx, items, max(now, row.starts_at))
    if problems:
        raise Refusal("invalid", fields=problems)
    return await move_campaign(tx, actor, row, "live", action=action, now=now)


async def _offer_problems(
    tx: AsyncConnection, items: Sequence[Row[Any]], first_sale: datetime
) -> dict[str, str]:
    """Why items couldn't be sold because of their offers, by field; locks the offers, so it stays so."""
    statement = select(Offer.__table__).where(Offer.id.in_([item.offer_id for item in items]))
    found = await tx.execute(statement.order_by(Offer.id).with_for_update(read=True))
    offers = {offer.id: offer for offer in found}
    problems: dict[str, str] = {}
    for position, item in enumerate(items):
        offer, field = offers[item.offer_id], f"items.{position}.offer_id"
        if offer.state != "active":
            problems[field] = _("This voucher's offer is not active.")
        elif not can_be_issued(stored.validity_from(offer.validity), offer.time_zone, first_sale):
            problems[field] = _("This voucher's offer will have expired when the sale starts.")
        elif offer.currency != item.currency:
            problems[field] = _("The offer's currency has changed. Give the voucher's price again.")
    return problems
