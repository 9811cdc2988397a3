"""Who may do what: roles of staff, scopes of API keys, and the actor of every write."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tearline.core.refusal import Refusal

PERMISSIONS: dict[str, frozenset[str]] = {
    # Operator
    "owner": frozenset(
        {
            "console", "staff.manage", "keys.manage", "merchants.read", "merchants.write", "offers.read",
            "offers.write", "campaigns.read", "campaigns.write", "members.read", "members.write", "figures.read",
            "audit.read", "redemptions.read", "coupons.void", "rooms.read", "rooms.write", "codes.read",
            "codes.write", "sales.read", "catalogue.read", "catalogue.write", "orders.read", "orders.refund",
            "settlement.read", "settlement.write",
        }
    ),
    "editor": frozenset(
        {
            "console", "merchants.read", "merchants.write", "offers.read", "offers.write", "campaigns.read",
            "campaigns.write", "members.read", "figures.read", "redemptions.read", "rooms.read", "rooms.write",
            "codes.read", "codes.write", "sales.read", "catalogue.read", "catalogue.write", "orders.read",
        }
    ),
    "finance": frozenset(
        {
            "console", "merchants.read", "offers.read", "campaigns.read", "figures.read", "redemptions.read",
            "rooms.read", "sales.read", "catalogue.read", "orders.read", "orders.refund", "settlement.read",
            "settlement.write",
        }
    ),
    "auditor": frozenset(
        {
            "console", "merchants.read", "offers.read", "campaigns.read", "members.read", "figures.read",
            "audit.read", "redemptions.read", "rooms.read", "sales.read", "catalogue.read", "orders.read",
            "settlement.read",
        }
    ),
    # Merchant
    "manager": frozenset(
        {
            "counter", "redeem", "reverse", "reverse.late", "redemptions.read", "offers.read", "merchants.read",
            "codes.read", "codes.write", "sales.read", "catalogue.read", "catalogue.write", "orders.read",
            "settlement.read",
        }
    ),
    "cashier": frozenset({"counter", "redeem", "reverse"}),
}  # fmt: skip
"""What each role of staff may do."""

OPERATOR_ROLES = ("owner", "editor", "finance", "auditor")
MERCHANT_ROLES = ("manager", "cashier")

KEY_SCOPES: dict[str, frozenset[str]] = {
    "operator": frozenset(
        {
            "merchants.read", "merchants.write", "offers.read", "offers.write", "campaigns.read",
            "campaigns.write", "members.read", "members.write", "figures.read", "redemptions.read", "audit.read",
            "coupons.void", "rooms.read", "rooms.write", "codes.read", "codes.write", "sales.read",
            "catalogue.read", "catalogue.write", "checkout", "orders.read", "orders.refund", "settlement.read",
            "settlement.write",
        }
    ),
    "merchant": frozenset(
        {
            "redeem", "reverse", "redemptions.read", "offers.read", "merchants.read", "codes.read", "codes.write",
            "sales.read", "catalogue.read", "catalogue.write", "checkout", "orders.read", "orders.refund",
            "settlement.read",
        }
    ),
}  # fmt: skip
"""The scopes that an API key of the operator, or of a merchant, can be given."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who performs a write: a staff member, an API key, the command line, or the system itself.

    ``merchant_id`` is None for the operator's side; otherwise everything that the actor sees or does
    must belong to that merchant.
    """

    kind: str
    id: UUID | None
    name: str
    permissions: frozenset[str]
    merchant_id: UUID | None = None
    store_id: UUID | None = None

    def require(self, permission: str) -> None:
        """Refuse with ``not_allowed`` unless the actor has this permission."""
        if permission not in self.permissions:
            raise Refusal("not_allowed")

    def require_merchant(self, merchant_id: UUID | None) -> None:
        """Refuse with ``not_found`` when this is another merchant's: nobody learns what is not theirs."""
        if self.merchant_id is not None and self.merchant_id != merchant_id:
            raise Refusal("not_found")


def command_actor(name: str) -> Actor:
    """The actor of the tearline command, run by whoever has the machine."""
    return Actor(kind="command", id=None, name=name, permissions=frozenset().union(*PERMISSIONS.values()))


SYSTEM = Actor(kind="system", id=None, name="system", permissions=frozenset().union(*PERMISSIONS.values()))
"""The actor of scheduled work."""
