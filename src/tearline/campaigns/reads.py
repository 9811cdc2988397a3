"""Questions about campaigns: the console's lists and forms, and what a member may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from tearline.campaigns.model import Campaign, Claim, Participation, Prize, PrizeOffer
from tearline.core import campaigns as core
from tearline.core.audience import Audience, audience_from_json
from tearline.core.passwords import password_key
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db import LocalisedText
from tearline.offers.reads import Ticket, tickets
from tearline.waitingroom.controller import Stock

# The console


def campaigns_list(actor: Actor) -> Select[Any]:
    """All campaigns as the console lists them, not yet ordered: with prizes, inventory and claims summed."""
    actor.require("campaigns.read")
    actor.require_merchant(None)
    stock = (
        select(
            Prize.campaign_id,
            func.count().label("prizes"),
            func.sum(Prize.inventory).label("inventory"),
            func.sum(Prize.claimed).label("claimed"),
        )
        .group_by(Prize.campaign_id)
        .subquery()
    )
    columns: tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...] = (
        Campaign.id,
        Campaign.code,
        Campaign.kind,
        Campaign.names,
        Campaign.edge,
        Campaign.state,
        Campaign.time_zone,
        Campaign.starts_at,
        Campaign.ends_at,
        Campaign.version,
        Campaign.created_at,
        Campaign.updated_at,
        func.coalesce(stock.c.prizes, 0).label("prizes"),
        func.coalesce(stock.c.inventory, 0).label("inventory"),
        func.coalesce(stock.c.claimed, 0).label("claimed"),
    )
    return select(*columns).outerjoin(stock, stock.c.campaign_id == Campaign.id)


@dataclass(frozen=True, slots=True)
class BundlePart:
    """An offer of a prize's bundle and how many coupons of it a claim issues."""

    ticket: Ticket
    quantity: int


@dataclass(frozen=True, slots=True)
class PrizeDetail:
    """A prize with all that belongs to it."""

    id: UUID
    position: int
    names: LocalisedText
    password: str
    inventory: int
    claimed: int
    limit_per_member: int | None
    bundle: tuple[BundlePart, ...]

    @property
    def left(self) -> int:
        """How many can still be claimed."""
        return self.inventory - self.claimed

    @property
    def draft(self) -> core.PrizeDraft:
        """What a person decided about it; ``dataclasses.replace`` it to change a part."""
        bundle = {part.ticket.offer_id: part.quantity for part in self.bundle}
        return core.PrizeDraft(self.names, self.password, self.inventory, bundle, self.limit_per_member)


@dataclass(frozen=True, slots=True)
class CampaignDetail:
    """A campaign with its prizes."""

    id: UUID
    kind: str
    state: str
    version: int
    created_at: datetime
    updated_at: datetime
    draft: core.CampaignDraft
    prizes: tuple[PrizeDetail, ...]

    @property
    def editable(self) -> frozenset[str]:
        """The fields that can be edited in its present state."""
        return core.EDITABLE[self.state]


async def campaign(connection: AsyncConnection, actor: Actor, campaign_id: UUID) -> CampaignDetail:
    """One campaign with all its parts, for its page in the console."""
    actor.require("campaigns.read")
    actor.require_merchant(None)
    row = (
        await connection.execute(select(Campaign.__table__).where(Campaign.id == campaign_id))
    ).one_or_none()
    if row is None:
        raise Refusal("not_found")
    prizes = await connection.execute(
        select(Prize.__table__).where(Prize.campaign_id == campaign_id).order_by(Prize.position)
    )
    bundles = await _bundles(connection, campaign_id)
    return CampaignDetail(
        id=row.id,
        kind=row.kind,
        state=row.state,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        draft=campaign_draft_of(row),
        prizes=tuple(
            PrizeDetail(
                id=prize.id,
                position=prize.position,
                names=prize.names,
                password=prize.password,
                inventory=prize.inventory,
                claimed=prize.claimed,
                limit_per_member=prize.limit_per_member,
                bundle=tuple(bundles.get(prize.id, ())),
            )
            for prize in prizes
        ),
    )


def campaign_draft_of(row: Row[Any]) -> core.CampaignDraft:
    """What a person decided about the campaign in this row."""
    return core.CampaignDraft(
        code=row.code,
        names=row.names,
        time_zone=row.time_zone,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        descriptions=row.descriptions,
        rules=row.rules,
        image=row.image,
        edge=row.edge,
        audience=audience_from_json(row.audience),
        limit_per_member=row.limit_per_member,
        limit_per_member_per_day=row.limit_per_member_per_day,
    )


async def campaign_id_of(connection: AsyncConnection, code: str) -> UUID:
    """The campaign of a code, in whatever letter case; refused as ``not_found``."""
    found = await connection.scalar(select(Campaign.id).where(Campaign.code == code.strip().upper()))
    if found is None:
        raise Refusal("not_found")
    return found


async def campaigns_with_offer(connection: AsyncConnection, offer_id: UUID) -> list[Row[Any]]:
    """Campaigns that aren't archived and give this offer: ``id, code, names, state``, newest first."""
    return list(
        await connection.execute(
            select(Campaign.id, Campaign.code, Campaign.names, Campaign.state)
            .join(Prize, Prize.campaign_id == Campaign.id)
            .join(PrizeOffer, PrizeOffer.prize_id == Prize.id)
            .where(PrizeOffer.offer_id == offer_id, Campaign.state != "archived")
            .distinct()
            .order_by(Campaign.id.desc())
        )
    )


# Members


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """What anyone may see of a campaign: no prizes, since each is behind its password."""

    id: UUID
    code: str
    names: LocalisedText
    descriptions: LocalisedText
    rules: LocalisedText
    image: str | None
    edge: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    is_paused: bool
    window: core.WindowState
    inventory: int
    left: int
    """Over all prizes."""
    limit_per_member: int | None
    limit_per_member_per_day: int | None
    audience: Audience

    @property
    def is_open(self) -> bool:
        """Whether a claim can succeed now."""
        return self.window == "running" and not self.is_paused and self.left > 0


async def campaign_page(connection: AsyncConnection, code: str, now: datetime) -> CampaignPage:
    """The public side of a campaign; drafts and archived ones are ``not_found``."""
    query = _public_campaigns().where(Campaign.code == code.strip().upper())
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return _page(row, now)


async def campaign_pages(
    connection: AsyncConnection, now: datetime, *, maximum: int = 50
) -> list[CampaignPage]:
    """Campaigns that run or are still to come, those that end or start soonest first."""
    query = _public_campaigns().where(Campaign.ends_at > now)
    pages = [_page(row, now) for row in await connection.execute(query.limit(maximum))]
    return sorted(pages, key=lambda page: (page.window != "running", page.starts_at, page.ends_at))


@dataclass(frozen=True, slots=True)
class Standing:
    """How often one member has claimed in a campaign: in all, and on the day that ``now`` falls on there."""

    claimed: int
    claimed_today: int


async def member_standing(
    connection: AsyncConnection, page: CampaignPage, member_id: UUID, now: datetime
) -> Standing:
    """How far a member has used up the campaign's limits."""
    today = now.astimezone(ZoneInfo(page.time_zone)).date()
    query = select(
        func.coalesce(func.sum(Participation.claimed), 0),
        func.coalesce(func.sum(Participation.claimed_on_day).filter(Participation.day == today), 0),
    ).where(Participation.member_id == member_id, Participation.campaign_id == page.id)
    claimed, claimed_today = (await connection.execute(query)).one()
    return Standing(int(claimed), int(claimed_today))


@dataclass(frozen=True, slots=True)
class MemberClaim:
    """A claim as its member sees it."""

    id: UUID
    claimed_at: datetime
    prize_names: LocalisedText
    campaign_code: str
    campaign_names: LocalisedText
    campaign_state: str
    time_zone: str


async def member_claim(connection: AsyncConnection, member_id: UUID, claim_id: UUID) -> MemberClaim:
    """One claim of this member; ``not_found``, also for a claim of somebody else."""
    query = (
        select(
            Claim.id,
            Claim.claimed_at,
            Prize.names,
            Campaign.code,
            Campaign.names,
            Campaign.state,
            Campaign.time_zone,
        )
        .join(Prize, Prize.id == Claim.prize_id)
        .join(Campaign, Campaign.id == Claim.campaign_id)
        .where(Claim.member_id == member_id, Claim.id == claim_id)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return MemberClaim(*row)


async def claims_of_member(
    connection: AsyncConnection, actor: Actor, member_id: UUID, *, maximum: int = 50
) -> list[Row[Any]]:
    """A member's last claims for the operator's staff, newest first: with campaign and prize by name."""
    actor.require("members.read")
    actor.require_merchant(None)
    query = _claims_by_name().where(Claim.member_id == member_id)
    query = query.order_by(Claim.claimed_at.desc(), Claim.id.desc()).limit(maximum)
    return list(await connection.execute(query))


async def claim_by_name(
    connection: AsyncConnection, actor: Actor, member_id: UUID, claim_id: UUID
) -> Row[Any] | None:
    """One claim for the operator's staff, as in ``claims_of_member``; None when there is none."""
    actor.require("campaigns.read")
    actor.require_merchant(None)
    query = _claims_by_name().where(Claim.member_id == member_id, Claim.id == claim_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row


def _claims_by_name() -> Select[Any]:
    columns: tuple[Any, ...] = (
        Claim.id,
        Claim.claimed_at,
        Claim.campaign_id,
        Campaign.code.label("campaign_code"),
        Campaign.names.label("campaign_names"),
        Prize.names.label("prize_names"),
    )
    return (
        select(*columns)
        .select_from(Claim)
        .join(Campaign, Campaign.id == Claim.campaign_id)
        .join(Prize, Prize.id == Claim.prize_id)
    )


@dataclass(frozen=True, slots=True)
class OpenedPrize:
    """What a password opens, as a member may see it."""

    id: UUID
    names: LocalisedText
    left: int
    bundle: tuple[BundlePart, ...]


async def prize_for_password(
    connection: AsyncConnection, campaign_id: UUID, password: str
) -> OpenedPrize | None:
    """The prize that a password opens, or None; the caller throttles guesses."""
    query = select(Prize.id).where(
        Prize.campaign_id == campaign_id, Prize.password_key == password_key(password)
    )
    prize_id = await connection.scalar(query)
    return None if prize_id is None else await opened_prize(connection, prize_id)


async def opened_prize(connection: AsyncConnection, prize_id: UUID) -> OpenedPrize:
    """A prize that a member has opened, with the tickets of its bundle."""
    prize = (await connection.execute(select(Prize.__table__).where(Prize.id == prize_id))).one_or_none()
    if prize is None:
        raise Refusal("not_found")
    bundles = await _bundles(connection, prize.campaign_id, prize_id)
    return OpenedPrize(
        prize.id, prize.names, prize.inventory - prize.claimed, tuple(bundles.get(prize_id, ()))
    )


def _public_campaigns() -> Select[Any]:
    return (
        select(
            Campaign.__table__,
            func.coalesce(func.sum(Prize.inventory), 0).label("inventory"),
            func.coalesce(func.sum(Prize.inventory - Prize.claimed), 0).label("left"),
        )
        .outerjoin(Prize, Prize.campaign_id == Campaign.id)
        # What a sale has to show is told by ``sales.reads``.
        .where(Campaign.kind == "password", Campaign.state.in_(("live", "paused")))
        .group_by(Campaign.id)
        .order_by(Campaign.ends_at)
    )


def _page(row: Row[Any], now: datetime) -> CampaignPage:
    return CampaignPage(
        id=row.id,
        code=row.code,
        names=row.names,
        descriptions=row.descriptions,
        rules=row.rules,
        image=row.image,
        edge=row.edge,
        time_zone=row.time_zone,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        is_paused=row.state == "paused",
        window=core.window_state(row.starts_at, row.ends_at, now),
        inventory=int(row.inventory),
        left=int(row.left),
        limit_per_member=row.limit_per_member,
        limit_per_member_per_day=row.limit_per_member_per_day,
        audience=audience_from_json(row.audience),
    )


async def _bundles(
    connection: AsyncConnection, campaign_id: UUID, prize_id: UUID | None = None
) -> dict[UUID, list[BundlePart]]:
    """The bundles of a campaign's prizes, or of one of them, each by offer id."""
    query = (
        select(PrizeOffer.prize_id, PrizeOffer.offer_id, PrizeOffer.quantity)
        .join(Prize, Prize.id == PrizeOffer.prize_id)
        .where(Prize.campaign_id == campaign_id)
        .order_by(PrizeOffer.offer_id)
    )
    if prize_id is not None:
        query = query.where(Prize.id == prize_id)
    rows = list(await connection.execute(query))
    drawn = await tickets(connection, {row.offer_id for row in rows})
    bundles: dict[UUID, list[BundlePart]] = {}
    for row in rows:
        bundles.setdefault(row.prize_id, []).append(BundlePart(drawn[row.offer_id], row.quantity))
    return bundles


async def is_claim_known(connection: AsyncConnection, member_id: UUID, idempotency_key: str) -> bool:
    """Whether this member has made a claim with this key."""
    query = select(Claim.id).where(Claim.member_id == member_id, Claim.idempotency_key == idempotency_key)
    return (await connection.execute(query)).one_or_none() is not None


async def guarded_stock(connection: AsyncConnection, campaign_ids: Sequence[UUID]) -> Stock:
    """What these campaigns still have to give, as a waiting room counts it; only live ones give any."""
    left = func.sum(Prize.inventory - Prize.claimed).filter(Campaign.state == "live")
    query = (
        select(func.coalesce(left, 0), func.coalesce(func.sum(Prize.claimed), 0))
        .join(Campaign, Campaign.id == Prize.campaign_id)
        .where(Prize.campaign_id.in_(campaign_ids))
    )
    stock_left, claimed = (await connection.execute(query)).one()
    return Stock(left=int(stock_left), claimed=int(claimed))
