"""Sales of vouchers: what may be set about them, and whether an order may be taken, decided under the lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from tearline.core.codes import ALPHABET
from tearline.core.money import share_of
from tearline.core.offer_checks import COUNT_SENTENCE, MAXIMUM_COUNT, is_limit


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


MAXIMUM_ITEMS = 5
MAXIMUM_PER_ORDER = 20
MAXIMUM_PRICE = 10**12

ORDER_STATES = ("reserved", "paid", "released", "refund_due", "refunded")
ORDER_TRANSITIONS: Mapping[str, frozenset[str]] = {
    "reserved": frozenset({"paid", "released", "refund_due"}),
    # Paid after all: delivered when there is still something to deliver, else the money goes back.
    "released": frozenset({"paid", "refund_due"}),
    "paid": frozenset(),
    "refund_due": frozenset({"refunded"}),
    # A bank may send a refund back days later; then it is made again.
    "refunded": frozenset({"refund_due"}),
}
"""To which states an order can go from each."""

_TERMS = frozenset(
    {"price", "face_value", "quantity", "limit_per_member", "limit_per_order", "commission_basis_points"}
)
ITEM_EDITABLE: Mapping[str, frozenset[str]] = {
    "draft": _TERMS | {"offer_id", "add", "remove"},
    # While members are buying, what they were shown may be given more of; its price stays.
    "live": frozenset({"quantity", "limit_per_member", "limit_per_order"}),
    "paused": _TERMS | {"add"},
    "archived": frozenset(),
}
"""What may still be edited of an item in each state of its sale; ``add`` and ``remove`` stand for whole items."""

RESERVATION_LASTS = timedelta(minutes=35)
"""How long an order keeps its codes. Stripe's Checkout lives 30 minutes at least, and its news may be late."""
PAYMENT_LASTS = timedelta(minutes=30)
"""How long a payment that was begun can be made."""


@dataclass(frozen=True, slots=True)
class SaleItemDraft:
    """One voucher that a sale sells, as far as a person decides.

    Attributes:
        price, face_value: minor units of the offer's currency, for one voucher. The face value is what it
            is worth at the merchant.
        quantity: how many may be sold in all; None for as many as the pool holds.
        limit_per_member: how many one member may buy of it; None for no limit.
        limit_per_order: how many one order may have.
        commission_basis_points: the platform's share of the price, in hundredths of a percent.
    """

    offer_id: UUID
    price: int
    face_value: int
    quantity: int | None = None
    limit_per_member: int | None = None
    limit_per_order: int = 5
    commission_basis_points: int = 0


def check_item(draft: SaleItemDraft, *, has_pool: bool) -> dict[str, str]:
    """What is wrong with an item: field to English sentence; empty when all is well.

    Args:
        has_pool: whether the offer's codes come from a pool, so that the pool bounds the quantity.
    """
    problems: dict[str, str] = {}
    if not 1 <= draft.price <= MAXIMUM_PRICE:
        problems["price"] = _("Give a price above zero.")
    if not 1 <= draft.face_value <= MAXIMUM_PRICE:
        problems["face_value"] = _("Say what the voucher is worth at the merchant.")
    elif draft.price > draft.face_value:
        problems["price"] = _("The price is above what the voucher is worth.")
    if draft.quantity is None:
        if not has_pool:
            problems["quantity"] = _(
                "Say how many may be sold: this offer's codes come from us, without end."
            )
    elif not 1 <= draft.quantity <= MAXIMUM_COUNT:
        problems["quantity"] = _("Give a whole number above zero.")
    if not is_limit(draft.limit_per_member):
        problems["limit_per_member"] = COUNT_SENTENCE
    if not 1 <= draft.limit_per_order <= MAXIMUM_PER_ORDER:
        problems["limit_per_order"] = _("An order has between 1 and 20 vouchers.")
    if not 0 <= draft.commission_basis_points <= 10_000:
        problems["commission_basis_points"] = _("Give a share between 0 and 100 %.")
    return problems


def commission_of(amount: int, basis_points: int) -> int:
    """The platform's commission on an amount, in minor units: half a unit and more is rounded up."""
    return share_of(amount, basis_points)


@dataclass(frozen=True, slots=True)
class ItemRules:
    """An item as far as taking an order depends on it.

    Attributes:
        offer_limit_per_member: how many coupons of the offer one member may ever be issued, bought or claimed.
    """

    id: UUID
    limit_per_member: int | None
    limit_per_order: int
    offer_limit_per_member: int | None = None


def left_of(*bounds: int | None) -> int | None:
    """What several bounds leave together, none below zero; None when there is no bound."""
    known = [bound for bound in bounds if bound is not None]
    return max(0, min(known)) if known else None


@dataclass(slots=True)
class ItemStock:
    """What is left of an item, as the decisions of one batch use it up.

    Attributes:
        quantity_left: of the item's own quantity; None when it has none.
        codes_left: in the item's pool; None when its codes come from us.
        issue_left: of the offer's own issue limit; None without one.
    """

    quantity_left: int | None
    codes_left: int | None
    issue_left: int | None
    can_be_issued: bool

    @property
    def left(self) -> int | None:
        """How many can still be ordered; None for no end."""
        return left_of(self.quantity_left, self.codes_left, self.issue_left)

    def take(self, quantity: int) -> None:
        """Use some of it up."""
        for name in ("quantity_left", "codes_left", "issue_left"):
            left = getattr(self, name)
            if left is not None:
                setattr(self, name, left - quantity)


@dataclass(slots=True)
class Buyer:
    """A member as far as an order depends on them, as the decisions of one batch change it.

    Attributes:
        bought: of each item, vouchers bought or being bought.
        held: of each item whose offer has a limit per member, coupons of that offer issued or being bought.
    """

    epoch: int
    is_active: bool
    is_in_audience: bool
    bought: dict[UUID, int] = field(default_factory=dict)
    held: dict[UUID, int] = field(default_factory=dict)

    def add(self, item_id: UUID, quantity: int) -> None:
        """Count vouchers of an item, or count them no more when the quantity is below zero."""
        self.bought[item_id] = self.bought.get(item_id, 0) + quantity
        self.held[item_id] = self.held.get(item_id, 0) + quantity


@dataclass(frozen=True, slots=True)
class No:
    """Why an order is not taken: a reason of ``core.refusal``, and what the member may be told besides."""

    reason: str
    details: Mapping[str, int] = field(default_factory=dict)


def decide_order(
    rules: ItemRules,
    stock: ItemStock,
    buyer: Buyer | None,
    epoch: int,
    quantity: int,
    *,
    state: str,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
) -> No | None:
    """Whether an order may be taken; None for yes, and then stock and buyer are charged with it.

    The order of the reasons: who asks, whether the sale is on, what the member may, what is left.
    """
    if buyer is None or buyer.epoch != epoch:
        return No("session_ended")
    if not buyer.is_active:
        return No("member_blocked")
    if state == "draft" or now < starts_at:
        return No("not_started")
    if state == "archived" or now >= ends_at:
        return No("ended")
    if state == "paused":
        return No("paused")
    if not buyer.is_in_audience:
        return No("not_in_audience")
    if quantity > rules.limit_per_order:
        return No("order_too_large", {"most": rules.limit_per_order})
    bought = buyer.bought.get(rules.id, 0)
    if rules.limit_per_member is not None and bought + quantity > rules.limit_per_member:
        most = max(0, rules.limit_per_member - bought)
        return (
            No("purchase_limit_reached", {"most": most})
            if most == 0
            else No("order_too_large", {"most": most})
        )
    held, most_held = buyer.held.get(rules.id, 0), rules.offer_limit_per_member
    if most_held is not None and held + quantity > most_held:
        return No("offer_member_limit_reached")
    left = stock.left
    if not stock.can_be_issued or left == 0:
        return No("sold_out")
    if left is not None and left < quantity:
        return No("fewer_left", {"left": left})
    stock.take(quantity)
    buyer.add(rules.id, quantity)
    return None


NUMBER_LENGTH = 10


def order_number(random: bytes) -> str:
    """An order's number for people, out of ten bytes that nobody can predict: ten characters of base32."""
    return "".join(ALPHABET[byte & 31] for byte in random[:NUMBER_LENGTH])


def delivers_in_time(is_of_use: bool, issue_left: int | None, quantity: int) -> bool:
    """Whether an order that was reserved is delivered, now that it is paid: whatever the sale's own state is.

    Args:
        is_of_use: whether a voucher that is paid now can be used at all.
        issue_left: of the offer's issue limit, which may have been used up elsewhere or lowered; None without one.
    """
    return is_of_use and (issue_left is None or issue_left >= quantity)


def delivers_late(stock: ItemStock, quantity: int) -> bool:
    """Whether an order that was released is delivered after all, now that it is paid."""
    return stock.can_be_issued and (stock.left is None or stock.left >= quantity)


def expected_sold_out(left: int, sold_lately: int, lately: timedelta, now: datetime) -> datetime | None:
    """When the last one will be sold if sales go on as they lately did; None when nothing was sold.

    Args:
        sold_lately: within the time ``lately`` before ``now``.
    """
    if left <= 0:
        return now
    if sold_lately <= 0:
        return None
    seconds = left * lately.total_seconds() / sold_lately
    return now + timedelta(seconds=seconds) if seconds <= FARTHEST.total_seconds() else None


FARTHEST = timedelta(days=3650)
"""Beyond this nothing sensible can be said of the future."""
