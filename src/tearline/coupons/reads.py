"""Questions about issued coupons: a member's wallet, a merchant's redemptions, a coupon by its code.

The state that is shown is the one that counts now: a coupon past its time is expired and a hold past its
time is none, whether or not the sweeper has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core import codes
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.coupons.model import Coupon, CouponCode, CouponHold, Redemption, Reversal
from tearline.coupons.rotation import coupon_secret
from tearline.db import LocalisedText
from tearline.merchants.model import ApiKey, Merchant, Staff, Store
from tearline.offers.model import Offer
from tearline.offers.reads import TICKET_COLUMNS, Ticket

FOLDERS = ("usable", "upcoming", "held", "used", "expired", "void")
"""The parts of a wallet; every coupon is in exactly one."""


def effective_state(now: datetime) -> ColumnElement[str]:
    """``core.redemption.effective_state`` as SQL."""
    is_over = and_(Coupon.state == "held", Coupon.held_until <= now)
    is_open = or_(Coupon.state == "open", is_over)
    return case(
        (and_(is_open, Coupon.valid_until <= now), "expired"),
        (is_over, "open"),
        else_=Coupon.state,
    )


def _folder(now: datetime) -> ColumnElement[str]:
    state = effective_state(now)
    return case(
        (state == "redeemed", "used"),
        (and_(state == "sold", Coupon.valid_until <= now), "expired"),
        (and_(state.in_(["open", "sold"]), Coupon.valid_from > now), "upcoming"),
        (state.in_(["open", "sold"]), "usable"),
        else_=state,
    )


@dataclass(frozen=True, slots=True)
class WalletCoupon:
    """One coupon of a member, with what it gives.

    Attributes:
        folder: one of ``FOLDERS``.
        state: as it counts now.
        changed_at: when it was redeemed, voided, held: whatever the state came from.
    """

    id: UUID
    code: str
    folder: str
    state: str
    valid_from: datetime
    valid_until: datetime
    issued_at: datetime
    changed_at: datetime
    held_until: datetime | None
    campaign_id: UUID | None
    claim_id: UUID | None
    order_id: UUID | None
    """The order that it was bought with."""
    held_for_order_id: UUID | None
    """The order of a cart that it is kept for; None when no order keeps it now."""
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Page:
    """Some coupons of a wallet, and where the next page begins; None when these are the last."""

    coupons: list[WalletCoupon]
    next_after: tuple[datetime, UUID] | None


async def wallet(
    connection: AsyncConnection,
    member_id: UUID,
    folder: str,
    now: datetime,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 20,
) -> Page:
    """One folder of a member's wallet, a page of it.

    What can still be used comes in the order in which it ends, the next to end first; what is over comes
    newest first.

    Args:
        after: ``next_after`` of the page before.
    """
    if folder not in FOLDERS:
        raise Refusal("not_found")
    is_ahead = folder in ("usable", "upcoming", "held")
    moment = Coupon.valid_until if is_ahead or folder == "expired" else Coupon.changed_at
    place = tuple_(moment, Coupon.id)
    query = _coupons(now).where(Coupon.member_id == member_id, _folder(now) == folder)
    if after is not None:
        beyond = tuple_(literal(after[0]), literal(after[1]))
        query = query.where(place > beyond if is_ahead else place < beyond)
    order = (moment.asc(), Coupon.id.asc()) if is_ahead else (moment.desc(), Coupon.id.desc())
    query = query.add_columns(moment.label("moment")).order_by(*order).limit(limit + 1)
    rows = (await connection.execute(query)).all()
    next_after = (rows[limit - 1].moment, rows[limit - 1].coupon_id) if len(rows) > limit else None
    return Page([_wallet_coupon(row) for row in rows[:limit]], next_after)


async def wallet_counts(connection: AsyncConnection, member_id: UUID, now: datetime) -> dict[str, int]:
    """How many coupons each folder of a member's wallet holds; every folder is named."""
    folder = _folder(now).label("folder")
    query = select(folder, func.count().label("coupons")).where(Coupon.member_id == member_id)
    query = query.group_by(folder)
    counts = {row.folder: row.coupons for row in await connection.execute(query)}
    return {name: counts.get(name, 0) for name in FOLDERS}


async def member_coupon(
    connection: AsyncConnection, member_id: UUID, coupon_id: UUID, secret_key: bytes, now: datetime
) -> tuple[WalletCoupon, bytes]:
    """One coupon of this member, and the secret that its phone makes the rotating QR code with.

    Raises:
        Refusal: ``not_found``, also for a coupon of somebody else.
    """
    query = _coupons(now).where(Coupon.member_id == member_id, Coupon.id == coupon_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return _wallet_coupon(row), coupon_secret(secret_key, coupon_id)


async def claim_coupons(
    connection: AsyncConnection, member_id: UUID, claim_id: UUID, now: datetime
) -> list[WalletCoupon]:
    """The coupons that one claim of this member issued, in the order of their offers."""
    query = (
        _coupons(now)
        .where(Coupon.member_id == member_id, Coupon.claim_id == claim_id)
        .order_by(Coupon.offer_id, Coupon.id)
    )
    return [_wallet_coupon(row) for row in await connection.execute(query)]


async def order_coupons(
    connection: AsyncConnection, member_id: UUID, order_id: UUID, now: datetime
) -> list[WalletCoupon]:
    """The coupons that a paid order of this member has brought, in the order of their issue."""
    query = _coupons(now).where(Coupon.member_id == member_id, Coupon.order_id == order_id)
    return [_wallet_coupon(row) for row in await connection.execute(query.order_by(Coupon.id))]


@dataclass(frozen=True, slots=True)
class Use:
    """When and where a coupon was used.

    Attributes:
        store_names: None for an order of a cart.
        merchant_names: None for a coupon of the platform that an order used.
        order_id: the order of a cart that used it; None for a counter.
        request_number: the counter's, or the number of that order.
    """

    redeemed_at: datetime
    store_names: LocalisedText | None
    merchant_names: LocalisedText | None
    order_id: UUID | None
    request_number: str


async def use_of(connection: AsyncConnection, member_id: UUID, coupon_id: UUID) -> Use | None:
    """The redemption of this member's coupon that stands, or None when there is none or it was undone."""
    query = (
        select(
            Redemption.redeemed_at,
            Store.names,
            Merchant.names,
            Redemption.order_id,
            Redemption.request_number,
        )
        .outerjoin(Store, Store.id == Redemption.store_id)
        .outerjoin(Merchant, Merchant.id == Redemption.merchant_id)
        .outerjoin(
            Reversal,
            and_(Reversal.member_id == Redemption.member_id, Reversal.redemption_id == Redemption.id),
        )
        .where(Redemption.member_id == member_id, Redemption.coupon_id == coupon_id, Reversal.id.is_(None))
        .order_by(Redemption.redeemed_at.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Use(*row)


@dataclass(frozen=True, slots=True)
class UseHere:
    """When, where and by whom a coupon was used at one merchant; without a store in an online order."""

    redemption_id: UUID
    redeemed_at: datetime
    store_id: UUID | None
    store_names: LocalisedText | None
    staff_id: UUID | None
    staff_name: str | None
    """None for a till, and for an order."""


async def use_at_merchant(connection: AsyncConnection, merchant_id: UUID, code: str) -> UseHere | None:
    """The redemption of a coupon, by its code, that stands at this merchant; None when there is none."""
    query = (
        select(
            Redemption.id, Redemption.redeemed_at, Redemption.store_id, Store.names, Redemption.staff_id, Staff.name
        )
        .select_from(CouponCode)
        .join(
            Redemption,
            and_(Redemption.member_id == CouponCode.member_id, Redemption.coupon_id == CouponCode.coupon_id),
        )
        .outerjoin(Store, Store.id == Redemption.store_id)
        .outerjoin(Staff, Staff.id == Redemption.staff_id)
        .outerjoin(
            Reversal,
            and_(Reversal.member_id == Redemption.member_id, Reversal.redemption_id == Redemption.id),
        )
        .where(CouponCode.code == code, Redemption.merchant_id == merchant_id, Reversal.id.is_(None))
        .order_by(Redemption.redeemed_at.desc())
        .limit(1)
    )  # fmt: skip
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else UseHere(*row)


@dataclass(frozen=True, slots=True)
class Preparation:
    """A coupon that was kept for a counter.

    Attributes:
        verified: how it was read: ``rotating`` or ``code``.
        is_in_force: False once it was redeemed, released, taken over or kept too long.
    """

    hold_id: UUID
    verified: str
    coupon: WalletCoupon
    is_in_force: bool


async def preparation(connection: AsyncConnection, actor: Actor, hold_id: UUID, now: datetime) -> Preparation:
    """A preparation made by this actor or at their store.

    Raises:
        Refusal: ``not_found``, also for anybody else's, and for an order's, which is no preparation.
    """
    statement = select(CouponHold.__table__).where(CouponHold.id == hold_id, CouponHold.order_id.is_(None))
    hold = (await connection.execute(statement)).one_or_none()
    if hold is None or hold.merchant_id != actor.merchant_id:
        raise Refusal("not_found")
    if hold.staff_id != actor.id and hold.store_id != actor.store_id:
        raise Refusal("not_found")
    query = (
        _coupons(now)
        .add_columns(Coupon.hold_id)
        .where(Coupon.member_id == hold.member_id, Coupon.id == hold.coupon_id)
    )
    row = (await connection.execute(query)).one()
    is_in_force = row.coupon_state == "held" and row.hold_id == hold_id
    return Preparation(hold_id, hold.verified, _wallet_coupon(row), is_in_force)


def redemptions_list(actor: Actor) -> Select[Any]:
    """Redemptions with their reversals, not yet ordered; a merchant's actor sees the merchant's own only,
    a cashier those of their store. Those that orders made have no store, and no merchant either when the
    coupon was the platform's.

    To narrow further: ``Redemption.redeemed_at`` for a day, ``Redemption.store_id``, ``Redemption.staff_id``,
    ``Reversal.id`` (NULL when it stands). Order by ``Redemption.redeemed_at.desc(), Redemption.id.desc()``.
    """
    if actor.merchant_id is None:
        actor.require("redemptions.read")
    query = (
        select(
            Redemption.id.label("redemption_id"),
            Redemption.redeemed_at,
            Redemption.coupon_id,
            Coupon.code,
            Redemption.offer_id,
            Offer.names.label("offer_names"),
            Offer.benefit,
            Offer.currency,
            Redemption.campaign_id,
            Redemption.merchant_id,
            Redemption.store_id,
            Store.names.label("store_names"),
            Redemption.staff_id,
            Staff.name.label("staff_name"),
            Redemption.api_key_id,
            ApiKey.name.label("api_key_name"),
            Redemption.way,
            Redemption.verified,
            Redemption.request_number,
            Redemption.order_id,
            Reversal.id.label("reversal_id"),
            Reversal.reversed_at,
            Reversal.reason.label("reversal_reason"),
        )
        .select_from(Redemption)
        .join(Coupon, and_(Coupon.member_id == Redemption.member_id, Coupon.id == Redemption.coupon_id))
        .join(Offer, Offer.id == Redemption.offer_id)
        .outerjoin(Store, Store.id == Redemption.store_id)
        .outerjoin(Staff, Staff.id == Redemption.staff_id)
        .outerjoin(ApiKey, ApiKey.id == Redemption.api_key_id)
        .outerjoin(
            Reversal,
            and_(Reversal.member_id == Redemption.member_id, Reversal.redemption_id == Redemption.id),
        )
    )
    if actor.merchant_id is None:
        return query
    query = query.where(Redemption.merchant_id == actor.merchant_id)
    if "redemptions.read" in actor.permissions:
        return query
    # A cashier sees what was done at their store, or by themselves: enough to undo a slip.
    actor.require("counter")
    if actor.store_id is not None:
        return query.where(Redemption.store_id == actor.store_id)
    return query.where(Redemption.staff_id == actor.id)


async def redemption(connection: AsyncConnection, actor: Actor, redemption_id: UUID) -> Row[Any]:
    """One redemption as in ``redemptions_list``; refused as ``not_found`` when the actor may not see it."""
    query = redemptions_list(actor).where(Redemption.id == redemption_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    return row


@dataclass(frozen=True, slots=True)
class FoundCoupon:
    """A coupon as the operator's staff see it, with all that was done with it, newest first."""

    member_id: UUID
    coupon: WalletCoupon
    redemptions: Sequence[Row[Any]]


async def find_by_code(connection: AsyncConnection, actor: Actor, typed: str) -> tuple[UUID, UUID]:
    """The member and the id of the coupon of a code, typed in any manner, for the operator's staff.

    Raises:
        Refusal: ``code_misread`` for a typing mistake, ``not_found``.
    """
    actor.require("redemptions.read")
    actor.require_merchant(None)
    code = codes.normalise(typed)
    if not codes.is_well_formed(code):
        raise Refusal("code_misread")
    query = select(CouponCode.member_id, CouponCode.coupon_id).where(CouponCode.code == code)
    owner = (await connection.execute(query)).one_or_none()
    if owner is None:
        raise Refusal("not_found")
    return owner.member_id, owner.coupon_id


async def coupon_for_staff(
    connection: AsyncConnection, actor: Actor, member_id: UUID, coupon_id: UUID, now: datetime
) -> FoundCoupon:
    """One coupon of anybody's, for the operator's staff.

    Raises:
        Refusal: ``not_found``.
    """
    actor.require("redemptions.read")
    actor.require_merchant(None)
    query = _coupons(now).where(Coupon.member_id == member_id, Coupon.id == coupon_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal("not_found")
    done = (
        redemptions_list(actor)
        .where(Redemption.member_id == member_id, Redemption.coupon_id == coupon_id)
        .order_by(Redemption.redeemed_at.desc())
    )
    return FoundCoupon(member_id, _wallet_coupon(row), (await connection.execute(done)).all())


def _coupons(now: datetime) -> Select[Any]:
    columns: tuple[Any, ...] = (
        Coupon.id.label("coupon_id"),
        Coupon.code.label("coupon_code"),
        _folder(now).label("folder"),
        effective_state(now).label("coupon_state"),
        Coupon.valid_from,
        Coupon.valid_until,
        Coupon.issued_at,
        Coupon.changed_at,
        Coupon.held_until,
        Coupon.campaign_id,
        Coupon.claim_id,
        Coupon.order_id,
        CouponHold.order_id.label("held_for_order_id"),
    )
    return (
        select(*columns, *TICKET_COLUMNS)
        .select_from(Coupon)
        .join(Offer, Offer.id == Coupon.offer_id)
        .outerjoin(Merchant, Merchant.id == Offer.merchant_id)
        .outerjoin(CouponHold, CouponHold.id == Coupon.hold_id)
    )


_TICKET_FIELDS = tuple(Ticket.__dataclass_fields__)


def _wallet_coupon(row: Row[Any]) -> WalletCoupon:
    values = row._mapping
    return WalletCoupon(
        id=row.coupon_id,
        code=row.coupon_code,
        folder=row.folder,
        state=row.coupon_state,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        issued_at=row.issued_at,
        changed_at=row.changed_at,
        held_until=row.held_until if row.coupon_state == "held" else None,
        campaign_id=row.campaign_id,
        claim_id=row.claim_id,
        order_id=row.order_id,
        held_for_order_id=row.held_for_order_id if row.coupon_state == "held" else None,
        ticket=Ticket(**{name: values[name] for name in _TICKET_FIELDS}),
    )
