"""The secret of each coupon, from which its rotating QR code is made; see ``core.rotating``."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

SECRET_LENGTH_BYTES = 20


def coupon_secret(key: bytes, coupon_id: UUID) -> bytes:
    """The coupon's own secret, derived from the server's key, so that none has to be stored.

    The member's phone learns it and can compute the code offline; it tells nothing about other coupons.
    """
    return hmac.digest(key, b"tearline coupon " + coupon_id.bytes, hashlib.sha256)[:SECRET_LENGTH_BYTES]
