"""Questions about merchants and stores. Whoever belongs to a merchant sees that merchant and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.db import LocalisedText
from tearline.merchants.model import AnyRow, AnySelect, Merchant, Staff, Store


def merchant_list(actor: Actor) -> AnySelect:
    """All merchants that the actor may see, with their number of open stores as ``stores``; not yet sorted.

    The caller filters, sorts and pages it.
    """
    actor.require("merchants.read")
    stores = (
        select(func.count())
        .where(Store.merchant_id == Merchant.id, Store.state == "active")
        .scalar_subquery()
        .label("stores")
    )
    statement = select(Merchant, stores)
    if actor.merchant_id is not None:
        statement = statement.where(Merchant.id == actor.merchant_id)
    return statement


def store_list(actor: Actor, merchant_id: UUID | None = None) -> AnySelect:
    """All stores that the actor may see, or those of one merchant; not yet sorted.

    With the columns of ``store`` come ``merchant_code`` and ``merchant_names``.
    """
    actor.require("merchants.read")
    statement = select(
        Store, Merchant.code.label("merchant_code"), Merchant.names.label("merchant_names")
    ).join(Merchant, Merchant.id == Store.merchant_id)
    if merchant_id is not None:
        actor.require_merchant(merchant_id)
        statement = statement.where(Store.merchant_id == merchant_id)
    elif actor.merchant_id is not None:
        statement = statement.where(Store.merchant_id == actor.merchant_id)
    return statement


async def merchant_by_id(connection: AsyncConnection, actor: Actor, merchant_id: UUID) -> AnyRow:
    """One merchant; ``not_found`` when there is none, or it is another's."""
    actor.require("merchants.read")
    actor.require_merchant(merchant_id)
    return await _one(connection, select(Merchant).where(Merchant.id == merchant_id))


async def merchant_by_code(connection: AsyncConnection, actor: Actor, code: str) -> AnyRow:
    """One merchant by its code; ``not_found`` when there is none, or it is another's."""
    actor.require("merchants.read")
    if not is_storable(code):
        raise Refusal("not_found")
    merchant = await _one(connection, select(Merchant).where(Merchant.code == code.strip().lower()))
    actor.require_merchant(merchant.id)
    return merchant


async def store_by_id(connection: AsyncConnection, actor: Actor, store_id: UUID) -> AnyRow:
    """One store; ``not_found`` when there is none, or it is another merchant's."""
    actor.require("merchants.read")
    store = await _one(connection, select(Store).where(Store.id == store_id))
    actor.require_merchant(store.merchant_id)
    return store


async def open_stores(connection: AsyncConnection, merchant_id: UUID) -> list[AnyRow]:
    """The open stores of a merchant by code: for a cashier's choice and for 'where can I use it'."""
    return list(
        (
            await connection.execute(
                select(Store)
                .where(Store.merchant_id == merchant_id, Store.state == "active")
                .order_by(Store.code)
            )
        ).all()
    )


@dataclass(frozen=True, slots=True)
class Counter:
    """Where somebody of a merchant's staff works; ``store_names`` is None until they have chosen a store."""

    merchant_names: LocalisedText
    merchant_edge: str
    store_names: LocalisedText | None


async def counter(connection: AsyncConnection, merchant_id: UUID, store_id: UUID | None) -> Counter:
    """The merchant and the store that the head of the counter's pages names."""
    is_the_store = and_(Store.id == store_id, Store.merchant_id == Merchant.id)
    statement = (
        select(Merchant.names, Merchant.edge, Store.names.label("store_names"))
        .outerjoin(Store, is_the_store)
        .where(Merchant.id == merchant_id)
    )
    return Counter(*await _one(connection, statement))


def colleagues(actor: Actor) -> AnySelect:
    """The staff of the actor's own merchant, to look at; never what signs in. Not yet sorted.

    Making and changing accounts is ``merchants.staff``'s, for those who have ``staff.manage``.
    """
    actor.require("merchants.read")
    return (
        select(
            Staff.id, Staff.name, Staff.email, Staff.role, Staff.state, Staff.store_id,
            Store.names.label("store_names"), Staff.totp_secret.is_not(None).label("has_totp"), Staff.created_at,
        )
        .outerjoin(Store, Store.id == Staff.store_id)
        .where(Staff.merchant_id == actor.merchant_id)
    )  # fmt: skip


async def colleague_names(connection: AsyncConnection, merchant_id: UUID) -> list[tuple[UUID, str]]:
    """Id and name of everyone who works or worked for a merchant, by name, for a filter."""
    statement = select(Staff.id, Staff.name).where(Staff.merchant_id == merchant_id).order_by(Staff.name)
    return [(row.id, row.name) for row in await connection.execute(statement)]


async def _one(connection: AsyncConnection, statement: AnySelect) -> AnyRow:
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return row
