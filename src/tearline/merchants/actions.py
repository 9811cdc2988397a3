"""Merchants and their stores: making, changing, suspending and closing them. Nothing is ever deleted.

Each change locks the row before it looks at it; unique codes are held by their constraints. A suspended
merchant's staff and keys are let in nowhere until it is resumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.palette import EDGES
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import check_image, check_localised, check_text, without_blanks
from tearline.db import new_id, violated_constraint
from tearline.i18n import _
from tearline.merchants.audit import changes, record_audit
from tearline.merchants.model import AnyRow, Merchant, Store

MERCHANT_KINDS = ("retail", "dining", "theme_park", "attraction", "service")

LONGEST_CODE = 40
LONGEST_NAME = 120
LONGEST_DESCRIPTION = 4_000
LONGEST_ADDRESS = 300

_MERCHANT_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_STORE_CODE = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")
_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{2,28}")


class MerchantChange(TypedDict, total=False):
    """What can be changed of a merchant; what is left out stays."""

    code: str
    names: dict[str, str]
    descriptions: dict[str, str]
    kind: str
    edge: str
    image: str | None


class StoreChange(TypedDict, total=False):
    """What can be changed of a store; what is left out stays."""

    code: str
    names: dict[str, str]
    addresses: dict[str, str]
    district: str | None
    phone: str | None


async def create_merchant(
    tx: AsyncConnection,
    actor: Actor,
    *,
    code: str,
    names: dict[str, str],
    kind: str,
    descriptions: dict[str, str] | None = None,
    edge: str = "teal",
    image: str | None = None,
    now: datetime,
) -> UUID:
    """Make a merchant.

    Raises:
        Refusal: ``not_allowed``; ``invalid`` or ``already_taken``, with the fields.
    """
    _require_operator(actor)
    merchant = _clean_merchant(
        {
            "code": code, "names": names, "descriptions": descriptions or {}, "kind": kind, "edge": edge,
            "image": image,
        }
    )  # fmt: skip
    merchant_id = new_id()
    try:
        await tx.execute(insert(Merchant).values(id=merchant_id, state="active", created_at=now, **merchant))
    except IntegrityError as error:
        raise _code_taken(error, "uq_merchant_code") from error
    await record_audit(
        tx, actor, "merchant.created", "merchant", merchant_id, None, merchant, now, merchant_id=merchant_id
    )
    return merchant_id


async def update_merchant(
    tx: AsyncConnection, actor: Actor, merchant_id: UUID, now: datetime, **change: Unpack[MerchantChange]
) -> None:
    """Change a merchant.

    Raises:
        Refusal: ``not_allowed``; ``not_found``; ``invalid`` or ``already_taken``, with the fields.
    """
    _require_operator(actor)
    held = dict((await _lock(tx, Merchant, merchant_id))._mapping)
    cleaned = _clean_merchant({name: change.get(name, held[name]) for name in MerchantChange.__annotations__})
    before, after = changes(held, cleaned)
    if not after:
        return
    try:
        await tx.execute(update(Merchant).where(Merchant.id == merchant_id).values(**after))
    except IntegrityError as error:
        raise _code_taken(error, "uq_merchant_code") from error
    await record_audit(
        tx, actor, "merchant.updated", "merchant", merchant_id, before, after, now, merchant_id=merchant_id
    )


async def suspend_merchant(tx: AsyncConnection, actor: Actor, merchant_id: UUID, now: datetime) -> None:
    """Let the merchant's staff and keys in nowhere, until it is resumed. A repeat changes nothing."""
    _require_operator(actor)
    await _set_merchant_state(tx, actor, merchant_id, "suspended", now)


async def resume_merchant(tx: AsyncConnection, actor: Actor, merchant_id: UUID, now: datetime) -> None:
    """Let a suspended merchant go on. A repeat changes nothing."""
    _require_operator(actor)
    await _set_merchant_state(tx, actor, merchant_id, "active", now)


async def create_store(
    tx: AsyncConnection,
    actor: Actor,
    merchant_id: UUID,
    *,
    code: str,
    names: dict[str, str],
    addresses: dict[str, str] | None = None,
    district: str | None = None,
    phone: str | None = None,
    now: datetime,
) -> UUID:
    """Open a store of a merchant.

    Raises:
        Refusal: ``not_allowed``; ``not_found``; ``invalid`` or ``already_taken``, with the fields.
    """
    _require_operator(actor)
    if await tx.scalar(select(Merchant.id).where(Merchant.id == merchant_id)) is None:
        raise Refusal("not_found")
    store = _clean_store(
        {"code": code, "names": names, "addresses": addresses or {}, "district": district, "phone": phone}
    )
    store_id = new_id()
    try:
        await tx.execute(
            insert(Store).values(
                id=store_id, merchant_id=merchant_id, state="active", created_at=now, **store
            )
        )
    except IntegrityError as error:
        raise _code_taken(error, "uq_store_merchant_id_code") from error
    await record_audit(
        tx, actor, "store.created", "store", store_id, None, store, now, merchant_id=merchant_id
    )
    return store_id


async def update_store(
    tx: AsyncConnection, actor: Actor, store_id: UUID, now: datetime, **change: Unpack[StoreChange]
) -> None:
    """Change a store.

    Raises:
        Refusal: ``not_allowed``; ``not_found``; ``invalid`` or ``already_taken``, with the fields.
    """
    _require_operator(actor)
    held = dict((await _lock(tx, Store, store_id))._mapping)
    cleaned = _clean_store({name: change.get(name, held[name]) for name in StoreChange.__annotations__})
    before, after = changes(held, cleaned)
    if not after:
        return
    try:
        await tx.execute(update(Store).where(Store.id == store_id).values(**after))
    except IntegrityError as error:
        raise _code_taken(error, "uq_store_merchant_id_code") from error
    await record_audit(
        tx, actor, "store.updated", "store", store_id, before, after, now, merchant_id=held["merchant_id"]
    )


async def close_store(tx: AsyncConnection, actor: Actor, store_id: UUID, now: datetime) -> None:
    """Close a store: nothing is redeemed there any more. A repeat changes nothing."""
    _require_operator(actor)
    await _set_store_state(tx, actor, store_id, "closed", now)


async def reopen_store(tx: AsyncConnection, actor: Actor, store_id: UUID, now: datetime) -> None:
    """Open a closed store again. A repeat changes nothing."""
    _require_operator(actor)
    await _set_store_state(tx, actor, store_id, "active", now)


def _require_operator(actor: Actor) -> None:
    actor.require("merchants.write")
    if actor.merchant_id is not None:
        raise Refusal("not_allowed")


async def _lock(tx: AsyncConnection, table: type[Merchant] | type[Store], id_: UUID) -> AnyRow:
    row = (await tx.execute(select(table).where(table.id == id_).with_for_update())).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return row


async def _set_merchant_state(
    tx: AsyncConnection, actor: Actor, merchant_id: UUID, state: str, now: datetime
) -> None:
    merchant = await _lock(tx, Merchant, merchant_id)
    if merchant.state == state:
        return
    await tx.execute(update(Merchant).where(Merchant.id == merchant_id).values(state=state))
    action = "merchant.resumed" if state == "active" else "merchant.suspended"
    before, after = {"state": merchant.state}, {"state": state}
    await record_audit(
        tx, actor, action, "merchant", merchant_id, before, after, now, merchant_id=merchant_id
    )


async def _set_store_state(
    tx: AsyncConnection, actor: Actor, store_id: UUID, state: str, now: datetime
) -> None:
    store = await _lock(tx, Store, store_id)
    if store.state == state:
        return
    await tx.execute(update(Store).where(Store.id == store_id).values(state=state))
    action = "store.reopened" if state == "active" else "store.closed"
    before, after = {"state": store.state}, {"state": state}
    await record_audit(
        tx, actor, action, "store", store_id, before, after, now, merchant_id=store.merchant_id
    )


def _clean_merchant(merchant: Mapping[str, Any]) -> dict[str, Any]:
    """The merchant as it is stored, or a refusal that names every wrong field."""
    code = merchant["code"].strip().lower()
    wrong = {
        **_check_code(code, _MERCHANT_CODE),
        **check_localised("names", merchant["names"], maximum=LONGEST_NAME, english_required=True),
        **check_localised(
            "descriptions", merchant["descriptions"], maximum=LONGEST_DESCRIPTION, english_required=False
        ),
    }
    if merchant["kind"] not in MERCHANT_KINDS:
        wrong["kind"] = _("Choose one of the kinds: retail, dining, theme park, attraction or service.")
    if merchant["edge"] not in EDGES:
        wrong["edge"] = _("Choose a colour of the palette.")
    if problem := check_image(merchant["image"]):
        wrong["image"] = problem
    if wrong:
        raise Refusal("invalid", fields=wrong)
    return {
        **merchant,
        "code": code,
        "names": without_blanks(merchant["names"]),
        "descriptions": without_blanks(merchant["descriptions"]),
    }


def _clean_store(store: Mapping[str, Any]) -> dict[str, Any]:
    """The store as it is stored, or a refusal that names every wrong field."""
    code = store["code"].strip().upper()
    district, phone = ((store[name] or "").strip() or None for name in ("district", "phone"))
    wrong = {
        **_check_code(code, _STORE_CODE),
        **check_localised("names", store["names"], maximum=LONGEST_NAME, english_required=True),
        **check_localised("addresses", store["addresses"], maximum=LONGEST_ADDRESS, english_required=False),
    }
    if district is not None and (problem := check_text(district, maximum=60)):
        wrong["district"] = problem
    if phone is not None and not _PHONE.fullmatch(phone):
        wrong["phone"] = _("This is not a phone number.")
    if wrong:
        raise Refusal("invalid", fields=wrong)
    return {
        "code": code,
        "names": without_blanks(store["names"]),
        "addresses": without_blanks(store["addresses"]),
        "district": district,
        "phone": phone,
    }


def _check_code(code: str, pattern: re.Pattern[str]) -> dict[str, str]:
    if len(code) > LONGEST_CODE or not pattern.fullmatch(code):
        return {"code": _("Use up to 40 letters from A to Z, digits, and single hyphens between them.")}
    return {}


def _code_taken(error: IntegrityError, constraint: str) -> Exception:
    if violated_constraint(error) == constraint:
        return Refusal("already_taken", fields={"code": _("Another one has this code already.")})
    return error
