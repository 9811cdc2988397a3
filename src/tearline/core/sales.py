"""Sales of vouchers: what may be set about them, and whether an order may be taken, decided under the lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

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
    "refunded": frozenset(),
}
"""To which states an order can go from each."""

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
    return (amount * basis_points + 5_000) // 10_000


@dataclass(frozen=True, slots=True)
class ItemRules:
    """An item as far as taking an order depends on it."""

    id: UUID
    limit_per_member: int | None
    limit_per_order: int


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
        known = [one for one in (self.quantity_left, self.codes_left, self.issue_left) if one is not None]
        return max(0, min(known)) if known else None

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
    """

    epoch: int
    is_active: bool
    is_in_audience: bool
    bought: dict[UUID, int] = field(default_factory=dict)


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
    left = stock.left
    if not stock.can_be_issued or left == 0:
        return No("sold_out")
    if left is not None and left < quantity:
        return No("fewer_left", {"left": left})
    stock.take(quantity)
    buyer.bought[rules.id] = bought + quantity
    return None
