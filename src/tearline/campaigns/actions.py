"""Changes to campaigns and their prizes.

Every action locks the campaign's row before anything else and raises its version: claims take the same lock,
and a claim desk that sees another version loads the definition again. Where offers matter as well they're
locked after the campaign, by id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.changes import (
    NOT_EDITABLE_SENTENCE,
    campaign_columns,
    change_campaign,
    locked_campaign,
    make_campaign,
    move_campaign,
    raise_version,
    require_campaigns,
    tidied,
)
from tearline.campaigns.model import Prize, PrizeOffer
from tearline.campaigns.reads import campaign_draft_of
from tearline.core import campaigns as core
from tearline.core.offer_checks import MAXIMUM_COUNT
from tearline.core.offers import can_be_issued
from tearline.core.passwords import password_key
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import without_blanks
from tearline.db import new_id
from tearline.i18n import _
from tearline.merchants.audit import changes, record_audit
from tearline.offers import stored
from tearline.offers.model import Offer
from tearline.pools.model import CodePool

CLAIMABLE_LATER = ("draft", "active")
ANY_STATE = ("draft", "active", "archived")
POOLED_SENTENCE = _("The codes of one of these offers come from its partner: they are sold, not given out.")
AUTOMATIC_SENTENCE = _("One of these offers applies to carts by itself, so no coupons of it are given out.")


# Campaigns


async def create_campaign(
    tx: AsyncConnection, actor: Actor, draft: core.CampaignDraft, now: datetime
) -> UUID:
    """Make a password campaign, as a draft without prizes; answers its id.

    Raises:
        Refusal: ``invalid`` with what makes no sense by field, ``already_taken`` for the code.
    """
    return await make_campaign(tx, actor, draft, "password", now)


async def update_campaign(
    tx: AsyncConnection,
    actor: Actor,
    campaign_id: UUID,
    draft: core.CampaignDraft,
    *,
    version: int,
    now: datetime,
) -> int:
    """Replace what was decided about a campaign, as far as ``EDITABLE`` lets; answers its new version.

    Args:
        version: of the campaign that the person saw.

    Raises:
        Refusal: ``changed_meanwhile``, ``not_editable`` (by field), ``invalid``, ``already_taken``.
    """
    row = await locked_campaign(tx, actor, campaign_id, version)
    before = campaign_draft_of(row)
    draft = tidied(draft)
    if draft == before:
        return version
    if problems := core.forbidden_edits(row.state, before, draft, now):
        raise Refusal("not_editable", fields=problems)
    if problems := core.check_campaign(draft):
        raise Refusal("invalid", fields=problems)
    return await change_campaign(tx, actor, row, campaign_columns(draft), action="campaign.changed", now=now)


async def go_live(
    tx: AsyncConnection, actor: Actor, campaign_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Open a draft to members from its window's start on; answers its new version.

    Raises:
        Refusal: ``not_editable`` unless it's a draft; ``invalid`` with what is missing: a prize, an offer
            that isn't active or can't be issued any more, a window that is over.
    """
    row = await locked_campaign(tx, actor, campaign_id, version, kind="password")
    if row.state != "draft":
        raise Refusal("not_editable")
    return await _open(tx, actor, row, action="campaign.went_live", now=now)


async def resume(
    tx: AsyncConnection, actor: Actor, campaign_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Open a paused campaign again; checked as in ``go_live``."""
    row = await locked_campaign(tx, actor, campaign_id, version, kind="password")
    if row.state != "paused":
        raise Refusal("not_editable")
    return await _open(tx, actor, row, action="campaign.resumed", now=now)


async def pause(
    tx: AsyncConnection, actor: Actor, campaign_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Stop claims for the time being; what has been claimed stays good. Answers the new version."""
    row = await locked_campaign(tx, actor, campaign_id, version)
    return await move_campaign(tx, actor, row, "paused", action="campaign.paused", now=now)


async def archive(
    tx: AsyncConnection, actor: Actor, campaign_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Put a campaign away for good; what has been claimed stays good. Answers the new version."""
    row = await locked_campaign(tx, actor, campaign_id, version)
    return await move_campaign(tx, actor, row, "archived", action="campaign.archived", now=now)


# Prizes


async def add_prize(
    tx: AsyncConnection,
    actor: Actor,
    campaign_id: UUID,
    draft: core.PrizeDraft,
    *,
    version: int | None = None,
    now: datetime,
) -> UUID:
    """Add a prize with its password and bundle; answers its id. A campaign has at most five.

    Raises:
        Refusal: ``not_editable`` outside draft and pause, ``invalid``.
    """
    row = await locked_campaign(tx, actor, campaign_id, version, kind="password")
    _require_editable(row.state, {"prize.add"})
    prizes = await _prizes(tx, campaign_id)
    if len(prizes) >= core.MAXIMUM_PRIZES:
        raise Refusal("invalid", fields={"prizes": _("A campaign has at most five prizes.")})
    draft = replace(draft, names=without_blanks(draft.names))
    await _refuse_nonsense(
        tx,
        draft,
        [prize.password_key for prize in prizes],
        offer_states=CLAIMABLE_LATER if row.state == "draft" else ("active",),
    )
    prize_id = new_id()
    columns = _prize_columns(draft)
    position = max((prize.position for prize in prizes), default=0) + 1
    await tx.execute(insert(Prize).values(id=prize_id, campaign_id=campaign_id, position=position, **columns))
    await _write_bundle(tx, prize_id, draft.bundle)
    await raise_version(tx, row, now)
    after = {**columns, "campaign_id": campaign_id, "bundle": _readable(draft.bundle)}
    await record_audit(tx, actor, "prize.added", "prize", prize_id, None, after, now)
    return prize_id


async def update_prize(
    tx: AsyncConnection,
    actor: Actor,
    prize_id: UUID,
    draft: core.PrizeDraft,
    *,
    version: int | None = None,
    now: datetime,
) -> int:
    """Replace what was decided about a prize, as far as ``EDITABLE`` lets; answers the campaign's version.

    Raises:
        Refusal: ``changed_meanwhile``, ``not_editable`` (by field), ``inventory_lowered``, ``invalid``.
    """
    row = await locked_campaign(tx, actor, await _campaign_of(tx, actor, prize_id), version, kind="password")
    prizes = await _prizes(tx, row.id)
    prize = _pick(prizes, prize_id)
    draft = replace(draft, names=without_blanks(draft.names))
    before = await _prize_draft(tx, prize)
    changed = {
        field.name for field in fields(draft) if getattr(draft, field.name) != getattr(before, field.name)
    }
    if not changed:
        return int(row.version)
    _require_editable(row.state, {f"prize.{name}" for name in changed})
    if row.state != "draft" and draft.inventory < before.inventory:
        raise _inventory_lowered(before.inventory)
    others = [other.password_key for other in prizes if other.id != prize_id]
    await _refuse_nonsense(
        tx, draft, others, offer_states=CLAIMABLE_LATER if "bundle" in changed else ANY_STATE
    )
    columns = _prize_columns(draft)
    await tx.execute(update(Prize).where(Prize.id == prize_id).values(**columns))
    if "bundle" in changed:
        await tx.execute(delete(PrizeOffer).where(PrizeOffer.prize_id == prize_id))
        await _write_bundle(tx, prize_id, draft.bundle)
    was, now_is = changes(
        {**dict(prize._mapping), "bundle": _readable(before.bundle)},
        {**columns, "bundle": _readable(draft.bundle)},
    )
    await record_audit(tx, actor, "prize.changed", "prize", prize_id, was, now_is, now)
    return await raise_version(tx, row, now)


async def remove_prize(
    tx: AsyncConnection, actor: Actor, prize_id: UUID, *, version: int | None = None, now: datetime
) -> int:
    """Take a prize out of a draft; answers the campaign's new version."""
    row = await locked_campaign(tx, actor, await _campaign_of(tx, actor, prize_id), version, kind="password")
    _require_editable(row.state, {"prize.remove"})
    prize = _pick(await _prizes(tx, row.id), prize_id)
    before = await _prize_draft(tx, prize)
    await tx.execute(delete(PrizeOffer).where(PrizeOffer.prize_id == prize_id))
    await tx.execute(delete(Prize).where(Prize.id == prize_id))
    was = {**_prize_columns(before), "campaign_id": row.id, "bundle": _readable(before.bundle)}
    await record_audit(tx, actor, "prize.removed", "prize", prize_id, was, None, now)
    return await raise_version(tx, row, now)


async def raise_inventory(
    tx: AsyncConnection, actor: Actor, prize_id: UUID, to: int, now: datetime, *, expected: int | None = None
) -> int:
    """Raise a prize's inventory to ``to``, also while members are claiming it; answers the inventory.

    Repeating it changes nothing, so a lost answer can be asked for again.

    Args:
        expected: the inventory that the person saw, when it matters that nobody else has raised it since.

    Raises:
        Refusal: ``inventory_lowered``, ``changed_meanwhile``, ``invalid``, ``not_editable`` when archived.
    """
    row = await locked_campaign(tx, actor, await _campaign_of(tx, actor, prize_id), None, kind="password")
    _require_editable(row.state, {"prize.inventory"})
    prize = _pick(await _prizes(tx, row.id), prize_id)
    if to == prize.inventory:
        return to
    if expected is not None and expected != prize.inventory:
        raise Refusal("changed_meanwhile", inventory=prize.inventory)
    if to < prize.inventory:
        raise _inventory_lowered(prize.inventory)
    if to > MAXIMUM_COUNT:
        raise Refusal("invalid", fields={"inventory": _("This is more than can be given out.")})
    await tx.execute(update(Prize).where(Prize.id == prize_id).values(inventory=to))
    await raise_version(tx, row, now)
    was, now_is = {"inventory": prize.inventory}, {"inventory": to}
    await record_audit(tx, actor, "prize.inventory_raised", "prize", prize_id, was, now_is, now)
    return to


# Pieces


async def _campaign_of(tx: AsyncConnection, actor: Actor, prize_id: UUID) -> UUID:
    """Whose prize it is, read without a lock: a prize never changes its campaign."""
    require_campaigns(actor)
    found = await tx.scalar(select(Prize.campaign_id).where(Prize.id == prize_id))
    if found is None:
        raise Refusal("not_found")
    return found


async def _prizes(tx: AsyncConnection, campaign_id: UUID) -> list[Row[Any]]:
    statement = select(Prize.__table__).where(Prize.campaign_id == campaign_id).order_by(Prize.position)
    return list(await tx.execute(statement))


def _pick(prizes: list[Row[Any]], prize_id: UUID) -> Row[Any]:
    """The prize of this id; it may have been removed before the campaign's lock was ours."""
    for prize in prizes:
        if prize.id == prize_id:
            return prize
    raise Refusal("not_found")


async def _prize_draft(tx: AsyncConnection, prize: Row[Any]) -> core.PrizeDraft:
    bundle = await tx.execute(
        select(PrizeOffer.offer_id, PrizeOffer.quantity).where(PrizeOffer.prize_id == prize.id)
    )
    return core.PrizeDraft(
        names=prize.names,
        password=prize.password,
        inventory=prize.inventory,
        bundle={row.offer_id: row.quantity for row in bundle},
        limit_per_member=prize.limit_per_member,
    )


async def _write_bundle(tx: AsyncConnection, prize_id: UUID, bundle: Mapping[UUID, int]) -> None:
    await tx.execute(
        insert(PrizeOffer),
        [
            {"prize_id": prize_id, "offer_id": offer_id, "quantity": bundle[offer_id]}
            for offer_id in sorted(bundle)
        ],
    )


async def _refuse_nonsense(
    tx: AsyncConnection,
    draft: core.PrizeDraft,
    other_password_keys: list[str],
    *,
    offer_states: Sequence[str],
) -> None:
    found = await tx.execute(
        select(Offer.id, Offer.automatic)
        .where(Offer.id.in_(list(draft.bundle)), Offer.state.in_(offer_states))
        # None of them can become a promotion that applies by itself while the bundle is being written.
        .order_by(Offer.id)
        .with_for_update(read=True)
    )
    is_automatic = {row.id: row.automatic for row in found}
    problems = core.check_prize(
        draft, other_password_keys=other_password_keys, known_offer_ids=is_automatic.keys()
    )
    if "bundle" not in problems and any(is_automatic.values()):
        problems["bundle"] = AUTOMATIC_SENTENCE
    if "bundle" not in problems and await _with_pool(tx, draft.bundle):
        problems["bundle"] = POOLED_SENTENCE
    if problems:
        raise Refusal("invalid", fields=problems)


def _require_editable(state: str, edits: set[str]) -> None:
    forbidden = edits - core.EDITABLE[state]
    if forbidden:
        names = {edit.removeprefix("prize.") for edit in forbidden}
        raise Refusal("not_editable", fields=dict.fromkeys(names, NOT_EDITABLE_SENTENCE))


def _inventory_lowered(inventory: int) -> Refusal:
    sentence = _("The inventory can only be raised.")
    return Refusal("inventory_lowered", fields={"inventory": sentence}, inventory=inventory)


async def _open(tx: AsyncConnection, actor: Actor, row: Row[Any], *, action: str, now: datetime) -> int:
    problems: dict[str, str] = {}
    if now >= row.ends_at:
        problems["ends_at"] = _("The window is over already.")
    prizes = await _prizes(tx, row.id)
    if not prizes:
        problems["prizes"] = _("Add at least one prize first.")
    sentences = await _bundle_problems(tx, row.id, max(now, row.starts_at))
    for position, prize in enumerate(prizes):
        if prize.id in sentences:
            problems[f"prizes.{position}.bundle"] = sentences[prize.id]
    if problems:
        raise Refusal("invalid", fields=problems)
    return await move_campaign(tx, actor, row, "live", action=action, now=now)


async def _bundle_problems(tx: AsyncConnection, campaign_id: UUID, first_claim: datetime) -> dict[UUID, str]:
    """Why prizes couldn't be claimed because of their offers, by prize; locks the offers, so it stays so."""
    bundles = await tx.execute(
        select(Offer.__table__, PrizeOffer.quantity, PrizeOffer.prize_id)
        .join(PrizeOffer, PrizeOffer.offer_id == Offer.id)
        .join(Prize, Prize.id == PrizeOffer.prize_id)
        .where(Prize.campaign_id == campaign_id)
        # All in one go, by id: claims of other campaigns lock the same offers in this order.
        .order_by(Offer.id)
        .with_for_update(of=Offer, read=True)
    )
    offers = list(bundles)
    # Asked once the locks are ours: whoever gives an offer a pool holds the same ones.
    pooled = await _with_pool(tx, {offer.id for offer in offers})
    problems: dict[UUID, str] = {}
    for offer in offers:
        if offer.state != "active":
            problems[offer.prize_id] = _("One of this prize's offers is not active.")
        elif not can_be_issued(stored.validity_from(offer.validity), offer.time_zone, first_claim):
            problems[offer.prize_id] = _(
                "One of this prize's offers will have expired when the campaign starts."
            )
        elif offer.limit_per_member is not None and offer.limit_per_member < offer.quantity:
            problems[offer.prize_id] = _("A claim issues more of one offer than a member may hold.")
        elif offer.id in pooled:
            problems[offer.prize_id] = POOLED_SENTENCE
    return problems


async def _with_pool(tx: AsyncConnection, offer_ids: Collection[UUID]) -> set[UUID]:
    """Those of the offers whose codes come from a pool."""
    return set(await tx.scalars(select(CodePool.offer_id).where(CodePool.offer_id.in_(list(offer_ids)))))


def _readable(bundle: Mapping[UUID, int]) -> dict[str, int]:
    return {str(offer_id): bundle[offer_id] for offer_id in sorted(bundle)}


def _prize_columns(draft: core.PrizeDraft) -> dict[str, Any]:
    return {
        "names": dict(draft.names),
        "password": draft.password.strip(),
        "password_key": password_key(draft.password),
        "inventory": draft.inventory,
        "limit_per_member": draft.limit_per_member,
    }
