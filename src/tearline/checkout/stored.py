"""The JSON of frozen orders and of what refunds have left of them, to and from the values of ``core``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from tearline.checkout.requests import CartRequest
from tearline.core.orders import FrozenLine, FrozenOrder, FrozenRight
from tearline.core.refunds import Refund, Remaining
from tearline.offers.stored import BenefitForm, CartRulesForm, benefit_json, cart_rules_json, cart_rules_of


class _RightForm(msgspec.Struct, frozen=True):
    """``core.orders.FrozenRight``, whose benefit and rules have the forms of offers."""

    key: str
    offer_id: UUID
    issuer: str
    merchant_id: UUID | None
    is_promotion: bool
    benefit: BenefitForm
    minimum_spend: int
    rules: CartRulesForm
    platform_basis_points: int
    lines: tuple[int, ...]

    def value(self) -> FrozenRight:
        """The value that the rules work with."""
        return FrozenRight(
            self.key, self.offer_id, self.issuer, self.merchant_id, self.is_promotion, self.benefit.value(),
            self.minimum_spend, cart_rules_of(self.rules), self.platform_basis_points, self.lines,
        )  # fmt: skip


class _OrderForm(msgspec.Struct, frozen=True):
    """``core.orders.FrozenOrder``."""

    currency: str
    prices_include_tax: bool
    lines: tuple[FrozenLine, ...]
    parcels: tuple[FrozenLine, ...]
    rights: tuple[_RightForm, ...]


def order_json(order: FrozenOrder) -> dict[str, Any]:
    """The stored form of a frozen order."""
    rights = [
        {
            **_builtins({name: getattr(right, name) for name in _PLAIN}),
            "benefit": benefit_json(right.benefit),
            "rules": cart_rules_json(right.rules),
        }
        for right in order.rights
    ]
    return {
        "currency": order.currency,
        "prices_include_tax": order.prices_include_tax,
        "lines": _builtins(order.lines),
        "parcels": _builtins(order.parcels),
        "rights": rights,
    }


_PLAIN = (
    "key", "offer_id", "issuer", "merchant_id", "is_promotion", "minimum_spend", "platform_basis_points", "lines",
)  # fmt: skip


def order_from(stored: Mapping[str, Any]) -> FrozenOrder:
    """The frozen order of a stored form."""
    form = msgspec.convert(stored, type=_OrderForm)
    return FrozenOrder(
        form.currency,
        form.prices_include_tax,
        form.lines,
        form.parcels,
        tuple(right.value() for right in form.rights),
    )


def remaining_json(remaining: Remaining) -> dict[str, Any]:
    """The stored form of what is left."""
    built: dict[str, Any] = _builtins(remaining)
    return built


def remaining_from(stored: Mapping[str, Any]) -> Remaining:
    """What is left, of its stored form."""
    return msgspec.convert(stored, type=Remaining)


def refund_json(refund: Refund) -> dict[str, Any]:
    """The stored form of a refund."""
    built: dict[str, Any] = _builtins(refund)
    return built


def refund_from(stored: Mapping[str, Any]) -> Refund:
    """The refund of a stored form."""
    return msgspec.convert(stored, type=Refund)


def fingerprint_of(request: CartRequest) -> bytes:
    """What tells one cart from another under the same key: SHA-256 of all that it says."""
    return hashlib.sha256(msgspec.json.encode(request)).digest()


def _builtins(value: object) -> Any:
    # Through JSON, so that what is about to be stored equals what will be read: lists, not tuples.
    return msgspec.json.decode(msgspec.json.encode(value))
