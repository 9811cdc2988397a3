"""What a batch of the sale desk works on: its requests, and what they change, in memory until it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import msgspec

from tearline.core.sales import Buyer, ItemStock
from tearline.core.taking import Pool
from tearline.db import new_id
from tearline.sales.definitions import ItemDefinition


class OrderAnswer(msgspec.Struct, frozen=True):
    """An order that was taken. ``replayed`` is True when an earlier request with the same key had it taken."""

    order_id: UUID
    number: str
    campaign_id: UUID
    item_id: UUID
    quantity: int
    amount: int
    currency: str
    state: str
    reserved_until: datetime
    replayed: bool


class Settled(msgspec.Struct, frozen=True):
    """What became of a payment: ``paid`` when its order is delivered, ``refund_due`` when it goes back."""

    state: str
    coupon_ids: list[UUID]
    replayed: bool


class Released(msgspec.Struct, frozen=True):
    """The state of an order that was to be released: ``released``, or what it was already."""

    state: str
    replayed: bool


@dataclass(slots=True)
class OrderRequest:
    """A member wants vouchers of an item."""

    member_id: UUID
    epoch: int
    item_id: UUID
    quantity: int
    idempotency_key: str
    deadline: float
    order_id: UUID = field(default_factory=new_id)
    """Chosen once, so that a batch that is run again knows its own orders from others' replays."""


@dataclass(slots=True)
class SettleRequest:
    """An order's payment has succeeded."""

    member_id: UUID
    order_id: UUID
    payment_id: UUID
    charge: str | None
    deadline: float


@dataclass(slots=True)
class ReleaseRequest:
    """An order will not be paid."""

    member_id: UUID
    order_id: UUID
    reason: str
    deadline: float


Request: TypeAlias = OrderRequest | SettleRequest | ReleaseRequest
Answer: TypeAlias = OrderAnswer | Settled | Released


@dataclass(slots=True)
class Order:
    """An order that was there before the batch, as the batch changes it."""

    member_id: UUID
    id: UUID
    number: str
    item_id: UUID
    offer_id: UUID
    pool_id: UUID | None
    quantity: int
    amount: int
    commission: int
    state: str
    positions: list[int]
    reserved_until: datetime
    release_reason: str | None = None
    """Given when this batch released it."""
    coupon_ids: list[UUID] = field(default_factory=list)
    is_changed: bool = False


@dataclass(slots=True)
class Payment:
    """A payment, as the batch changes it."""

    id: UUID
    order_id: UUID
    state: str
    charge: str | None = None
    is_changed: bool = False


@dataclass(slots=True)
class Item:
    """An item's counts, and by how much the batch changes them."""

    definition: ItemDefinition
    quantity: int | None
    reserved: int
    sold: int
    more_reserved: int = 0
    more_sold: int = 0

    def count(self, *, reserved: int = 0, sold: int = 0) -> None:
        """Change the counts."""
        self.more_reserved += reserved
        self.more_sold += sold

    @property
    def quantity_left(self) -> int | None:
        """How many of the item's own quantity are neither sold nor being bought."""
        if self.quantity is None:
            return None
        return self.quantity - self.reserved - self.sold - self.more_reserved - self.more_sold


@dataclass(slots=True)
class Offer:
    """An offer as far as selling it depends on it now.

    Attributes:
        issue_left: of its issue limit, not counting what is reserved; None without one.
        reserved_elsewhere: reserved by other sales.
    """

    is_active: bool
    issue_left: int | None
    reserved_elsewhere: int = 0


@dataclass(slots=True)
class Member:
    """A member, and where a message reaches them."""

    buyer: Buyer
    phone: str
    language: str


@dataclass(slots=True)
class State:
    """All that a batch has loaded under its locks."""

    items: dict[UUID, Item]
    pools: dict[UUID, Pool]
    """By offer."""
    offers: dict[UUID, Offer]
    orders: dict[tuple[UUID, UUID], Order]
    payments: dict[UUID, Payment]
    members: dict[UUID, Member]
    replays: dict[int, OrderAnswer]
    """Orders that were taken before with the same key, by position in the batch."""

    def stock_of(self, item: Item, now: datetime) -> ItemStock:
        """What is left of an item at this point of the batch."""
        definition = item.definition
        offer = self.offers[definition.offer_id]
        pool = self.pools.get(definition.offer_id)
        issue_left = offer.issue_left
        if issue_left is not None:
            issue_left -= offer.reserved_elsewhere + item.reserved + item.more_reserved
        return ItemStock(
            quantity_left=item.quantity_left,
            codes_left=None if pool is None else pool.left,
            issue_left=issue_left,
            can_be_issued=offer.is_active and definition.is_of_use(now),
        )


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that the batch takes."""

    request: OrderRequest
    item: Item
    pool_id: UUID | None
    positions: list[int]
    answer: OrderAnswer


@dataclass(slots=True)
class Decided:
    """What a batch writes, besides what it changed in its ``State``."""

    taken: list[NewOrder] = field(default_factory=list)
    sold: list[Order] = field(default_factory=list)
    refused: list[Order] = field(default_factory=list)
    """Orders whose payment goes back since nothing was left."""
