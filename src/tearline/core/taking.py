"""Taking partner codes out of a pool and giving them back, by position, as one batch of decisions does it.

The pool's row is locked meanwhile. Codes before ``next_position`` were given out before; those of them that are free
again are known one by one and are given out first. Codes from there on follow one another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CodeChange:
    """What becomes of a code."""

    state: str
    order_id: UUID | None = None
    member_id: UUID | None = None
    coupon_id: UUID | None = None


@dataclass(slots=True)
class Pool:
    """A pool's free codes as far as the batch may need them, and what it does with its codes.

    Attributes:
        returned: free codes before ``next_position``; these are given out first.
        fresh: free codes from ``next_position`` on.
    """

    id: UUID
    available: int
    next_position: int
    size: int
    returned: deque[int] = field(default_factory=deque)
    fresh: deque[int] = field(default_factory=deque)
    more_available: int = 0
    more_reserved: int = 0
    more_sold: int = 0
    changes: dict[int, CodeChange] = field(default_factory=dict)
    taken_returned: set[int] = field(default_factory=set)
    given_back: set[int] = field(default_factory=set)

    @property
    def left(self) -> int:
        """How many codes are free."""
        return self.available + self.more_available

    def reserve(self, quantity: int, order_id: UUID, member_id: UUID) -> list[int]:
        """Take so many free codes for an order; answers their positions."""
        positions: list[int] = []
        for _ in range(quantity):
            if self.returned:
                position = self.returned.popleft()
                # What this very batch gave back was never in the table.
                if position in self.given_back:
                    self.given_back.discard(position)
                else:
                    self.taken_returned.add(position)
            else:
                position = self.fresh.popleft()
                self.next_position = position + 1
            self.changes[position] = CodeChange("reserved", order_id, member_id)
            positions.append(position)
        self.more_available -= quantity
        self.more_reserved += quantity
        return positions

    def give_back(self, positions: Sequence[int]) -> None:
        """Free the codes of an order that is not paid."""
        for position in positions:
            self.changes[position] = CodeChange("available")
            self.returned.append(position)
            # One that was taken out of the table by this batch simply stays there.
            if position in self.taken_returned:
                self.taken_returned.discard(position)
            else:
                self.given_back.add(position)
        self.more_available += len(positions)
        self.more_reserved -= len(positions)

    def sell(
        self, positions: Sequence[int], order_id: UUID, member_id: UUID, coupon_ids: Sequence[UUID]
    ) -> None:
        """Turn an order's reserved codes into its sold coupons, one each."""
        for position, coupon_id in zip(positions, coupon_ids, strict=True):
            self.changes[position] = CodeChange("sold", order_id, member_id, coupon_id)
        self.more_reserved -= len(positions)
        self.more_sold += len(positions)
