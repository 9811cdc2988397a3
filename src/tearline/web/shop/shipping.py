"""What the market asks for shipping: each merchant sends its part of the cart, for a fee that depends on where to."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from tearline.checkout.requests import ParcelRequest
from tearline.i18n import _
from tearline.i18n.formats import minor_digits

NEAREST = "HK"
REGIONS = {NEAREST: _("Hong Kong"), "HK-ISLANDS": _("Outlying islands")}
"""Where things are sent, as offers of free shipping name it, with the sentence for people."""
_FEES = {NEAREST: 30, "HK-ISLANDS": 60}
"""Of one merchant's parcel, in whole units of the currency."""


def fee(region: str, currency: str) -> int:
    """What one merchant asks for sending its part, in minor units."""
    return int(_FEES[region] * 10 ** minor_digits(currency))


def parcels(merchant_ids: Iterable[UUID], region: str, currency: str) -> tuple[ParcelRequest, ...]:
    """A parcel of each merchant, in the order in which they are met."""
    amount = fee(region, currency)
    return tuple(ParcelRequest(merchant_id, amount) for merchant_id in dict.fromkeys(merchant_ids))
