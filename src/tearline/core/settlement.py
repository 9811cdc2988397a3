"""Who owes whom: double entry, one posting for each line and each parcel, between the platform and its merchant.

Debits are positive, credits negative, and each posting sums to zero. A payment says where the merchant's claim, its
list value, is to come from: from the customer, from the platform, which bears its part of the discounts and all
points, and from the merchant itself, which bears the rest. A refund is the mirror of that for what is given back, so
that an order given back wholly leaves nothing on any account.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tearline.core.allocation import total_of
from tearline.core.orders import POINTS, FrozenLine, FrozenOrder
from tearline.core.refunds import Refund, RefundPart, Reversed

CUSTOMER, PLATFORM, MERCHANT_DISCOUNT, MERCHANT = "customer", "platform", "merchant_discount", "merchant"
ACCOUNTS = (CUSTOMER, PLATFORM, MERCHANT_DISCOUNT, MERCHANT)
"""What customers pay; what the platform bears; what the merchant bears; what the merchant sold, tax on top."""

BOOKED_WITHIN = timedelta(minutes=10)
"""How long after its moment a booking may still be on its way into the books: much longer than any takes. It is booked
with the moment at which it was begun, and is there for others only when it is committed. Pages, papers and the API say
that it is ten minutes."""


def is_final(ends_at: datetime, now: datetime) -> bool:
    """Whether nothing is added any more to a period that ends then."""
    return now >= ends_at + BOOKED_WITHIN


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a posting.

    Attributes:
        posting: counts the postings of one payment, refund or adjustment, from 0.
        account: one of ``ACCOUNTS``.
        merchant_id: between whom and the platform the posting is.
        amount: minor units, not zero; debits are positive.
        line_key: of the order; None for shipping and adjustments.
        offer_id: of a discount; None for points and for what is no discount.
    """

    posting: int
    account: str
    merchant_id: UUID
    amount: int
    line_key: str | None = None
    offer_id: UUID | None = None


def payment_entries(order: FrozenOrder) -> list[Entry]:
    """The postings of an order that is paid: line by line, then parcel by parcel."""
    entries: list[Entry] = []
    for posting, part in enumerate((*order.lines, *order.parcels)):
        tax_on_top = 0 if order.prices_include_tax else total_of(part.tax)
        discounts = [
            Reversed(share.right, total_of(share.platform), total_of(share.units) - total_of(share.platform))
            for share in part.shares
        ]
        entries += _posting(
            order, posting, part, part.total + tax_on_top, discounts, part.list_total + tax_on_top, sign=1
        )
    return entries


def refund_entries(order: FrozenOrder, refund: Refund) -> list[Entry]:
    """The postings of a refund: of each line and parcel that it changes."""
    changed: list[tuple[FrozenLine, RefundPart]] = [
        *((order.lines[part.position], part) for part in refund.lines),
        *((order.parcels[part.position], part) for part in refund.parcels),
    ]
    entries: list[Entry] = []
    for posting, (of, part) in enumerate(changed):
        tax_on_top = 0 if order.prices_include_tax else part.tax
        entries += _posting(
            order, posting, of, part.amount, part.reversed, part.list_amount + tax_on_top, sign=-1
        )
    return entries


def adjustment_entries(merchant_id: UUID, amount: int) -> list[Entry]:
    """The posting of a correction: the platform owes the merchant so much more, or less where it is below zero."""
    sides = [(PLATFORM, amount), (MERCHANT, -amount)]
    return [Entry(0, account, merchant_id, side) for account, side in sides if side]


def payable(sums: Mapping[str, int], collected_by: str | None) -> int:
    """What the platform owes a merchant; the merchant owes it where this is below zero.

    Args:
        sums: by account, of the merchant's entries for which one collected the money.
        collected_by: ``platform`` or ``merchant``: who took the customers' money; None for adjustments.
    """
    collected = sums.get(CUSTOMER, 0) if collected_by == "platform" else 0
    return sums.get(PLATFORM, 0) + collected


def _posting(
    order: FrozenOrder,
    posting: int,
    part: FrozenLine,
    paid: int,
    discounts: Iterable[Reversed],
    sold: int,
    *,
    sign: int,
) -> Iterator[Entry]:
    """The entries of one line or parcel, those of zero left out.

    Args:
        sign: 1 for a payment, -1 for a refund.
    """
    sides: list[tuple[str, int, UUID | None]] = [(CUSTOMER, paid, None)]
    for one in discounts:
        offer_id = None if one.right == POINTS else order.rights[one.right].offer_id
        sides += [(PLATFORM, one.platform, offer_id), (MERCHANT_DISCOUNT, one.merchant, offer_id)]
    sides.append((MERCHANT, -sold, None))
    assert sum(amount for _account, amount, _offer_id in sides) == 0, "each posting balances"
    for account, amount, offer_id in sides:
        if amount:
            yield Entry(posting, account, part.merchant_id, sign * amount, part.key or None, offer_id)
