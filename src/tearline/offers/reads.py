"""Questions about the coupon library."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core import offers as core
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db import LocalisedText
from tearline.merchants.model import Merchant, Store
from tearline.offers import stored
from tearline.offers.model import Offer


@dataclass(frozen=True, slots=True)
class Ticket:
    """An offer as it's drawn: enough for ``offers.describe`` and the look of its ticket."""

    offer_id: UUID
    code: str
    names: LocalisedText
    summaries: LocalisedText
    terms: LocalisedText
    image: str | None
    benefit: dict[str, Any]
    benefit_kind: str
    currency: str
    minimum_spend: int
    scope: dict[str, Any]
    validity: dict[str, Any]
    time_zone: str
    store_ids: list[UUID]
    merchant_id: UUID | None
    merchant_names: LocalisedText | None
    """None for an offer of the platform that isn't one merchant's."""
    merchant_edge: str | None
    state: str


TICKET_COLUMNS = (
    Offer.id.label("offer_id"),
    Offer.code,
    Offer.names,
    Offer.summaries,
    Offer.terms,
    Offer.image,
    Offer.benefit,
    Offer.benefit_kind,
    Offer.currency,
    Offer.minimum_spend,
    Offer.scope,
    Offer.validity,
    Offer.time_zone,
    Offer.store_ids,
    Offer.merchant_id,
    Merchant.names.label("merchant_names"),
    Merchant.edge.label("merchant_edge"),
    Offer.state,
)
"""The columns of a ``Ticket``, from offer left-joined to merchant."""


def tickets_query() -> Select[Any]:
    """All offers as tickets, to narrow further: ``Ticket(**row._mapping)``."""
    return select(*TICKET_COLUMNS).outerjoin(Merchant, Merchant.id == Offer.merchant_id)


async def tickets(connection: AsyncConnection, offer_ids: Collection[UUID]) -> dict[UUID, Ticket]:
    """The tickets of some offers by offer id, whatever their state."""
    rows = await connection.execute(tickets_query().where(Offer.id.in_(offer_ids)))
    return {row.offer_id: Ticket(**row._mapping) for row in rows}


def offers_list(actor: Actor) -> Select[Any]:
    """The library as the console lists it, not yet ordered; a merchant's staff see their own offers only."""
    actor.require("offers.read")
    query = tickets_query().add_columns(
        Offer.issuer,
        Offer.issued,
        Offer.issue_limit,
        Offer.limit_per_member,
        Offer.funding_platform_basis_points,
        Offer.automatic,
        Offer.version,
        Offer.created_at,
        Offer.updated_at,
    )
    return query if actor.merchant_id is None else query.where(Offer.merchant_id == actor.merchant_id)


async def offer_row(connection: AsyncConnection, actor: Actor, offer_id: UUID) -> Row[Any]:
    """One offer with every column; refused as ``not_found`` when it's another merchant's."""
    actor.require("offers.read")
    row = (await connection.execute(select(Offer.__table__).where(Offer.id == offer_id))).one_or_none()
    if row is None:
        raise Refusal("not_found")
    actor.require_merchant(row.merchant_id)
    return row


def draft_of(row: Row[Any]) -> core.OfferDraft:
    """What a person decided about the offer in this row; ``dataclasses.replace`` it to change a part."""
    platform_share = row.funding_platform_basis_points
    return core.OfferDraft(
        code=row.code,
        issuer=row.issuer,
        names=row.names,
        benefit=stored.benefit_from(row.benefit),
        currency=row.currency,
        funding=core.Funding(platform_share, core.WHOLE_BASIS_POINTS - platform_share),
        validity=stored.validity_from(row.validity),
        time_zone=row.time_zone,
        merchant_id=row.merchant_id,
        summaries=row.summaries,
        terms=row.terms,
        image=row.image,
        minimum_spend=row.minimum_spend,
        scope=stored.scope_from(row.scope),
        cart_rules=stored.cart_rules_from(row.cart_rules),
        issue_limit=row.issue_limit,
        limit_per_member=row.limit_per_member,
        redeem_by=tuple(row.redeem_by),
        store_ids=tuple(row.store_ids),
        automatic=row.automatic,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A store where an offer can be used."""

    store_id: UUID
    names: LocalisedText
    addresses: LocalisedText
    district: str | None
    phone: str | None
    merchant_id: UUID
    merchant_names: LocalisedText


async def places(
    connection: AsyncConnection, ticket: Ticket | Row[Any], *, maximum: int = 200
) -> list[Place]:
    """The open stores where an offer can be used, by merchant and store code.

    Args:
        ticket: anything with the offer's ``merchant_id``, ``scope`` and ``store_ids``.
        maximum: no more stores than this are answered.
    """
    query = (
        select(
            Store.id.label("store_id"),
            Store.names,
            Store.addresses,
            Store.district,
            Store.phone,
            Store.merchant_id,
            Merchant.names.label("merchant_names"),
        )
        .join(Merchant, Merchant.id == Store.merchant_id)
        .where(Store.state == "active", Merchant.state == "active")
        .order_by(Merchant.code, Store.code)
        .limit(maximum)
    )
    if ticket.store_ids:
        query = query.where(Store.id.in_(ticket.store_ids))
    elif ticket.merchant_id is not None:
        query = query.where(Store.merchant_id == ticket.merchant_id)
    else:
        scope = stored.scope_from(ticket.scope)
        if scope.includes.merchants:
            query = query.where(Store.merchant_id.in_(scope.includes.merchants))
        if scope.excludes.merchants:
            query = query.where(Store.merchant_id.not_in(scope.excludes.merchants))
    return [Place(**row._mapping) for row in await connection.execute(query)]


async def where_names(
    connection: AsyncConnection, ticket: Ticket | Row[Any]
) -> tuple[Sequence[LocalisedText], Sequence[LocalisedText]]:
    """The names that ``describe.where_text`` wants: of the merchants, and of the stores it's limited to."""
    store_names: list[LocalisedText] = []
    if ticket.store_ids:
        stores = select(Store.names).where(Store.id.in_(ticket.store_ids)).order_by(Store.code)
        store_names = list((await connection.execute(stores)).scalars())
    merchant_ids: tuple[UUID, ...] = (
        (ticket.merchant_id,)
        if ticket.merchant_id is not None
        else stored.scope_from(ticket.scope).includes.merchants
    )
    merchants = select(Merchant.names).where(Merchant.id.in_(merchant_ids)).order_by(Merchant.code)
    return list((await connection.execute(merchants)).scalars()), store_names


async def usable_offers(connection: AsyncConnection, now: datetime) -> list[Ticket]:
    """Active offers that could still be issued now, by code: what a campaign's bundle can be made of."""
    query = tickets_query().where(Offer.state == "active", ~Offer.automatic).order_by(Offer.code)
    rows = await connection.execute(query)
    found = [Ticket(**row._mapping) for row in rows]
    return [
        ticket
        for ticket in found
        if core.can_be_issued(stored.validity_from(ticket.validity), ticket.time_zone, now)
    ]
