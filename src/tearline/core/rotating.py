"""The QR code of a coupon that changes every 30 seconds, so that a screenshot is soon worthless.

The text is ``TL1.<code>.<step>.<mac>``: the coupon's code, the number of the 30-second step in base 36, and
the first 10 characters (50 bits) of the Crockford base32 of HMAC-SHA256(secret, "<code>.<step>"). The member's
phone computes the same in ``frontend/js/rotating-payload.js``; the tests hold both to the same vectors.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime

STEP_SECONDS = 30
MAC_LENGTH = 10
PREFIX = "TL1"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
# Bounded lengths: whatever a camera reads gets here.
_SHAPE = re.compile(r"TL1\.([0-9A-Z]{1,40})\.([0-9a-z]{1,12})\.([0-9A-HJKMNP-TV-Z]{10})", re.ASCII)


def step_of(now: datetime) -> int:
    """The number of the 30-second step that ``now`` (an aware time) falls in."""
    return int(now.timestamp()) // STEP_SECONDS


def payload(code: str, secret: bytes, now: datetime) -> str:
    """The text that the coupon's QR code carries at ``now``."""
    step_text = _to_base36(step_of(now))
    return f"{PREFIX}.{code}.{step_text}.{_mac(code, step_text, secret)}"


def verify(text: str, secret: bytes, now: datetime, *, tolerance_steps: int = 1) -> bool:
    """Whether ``text`` was made with ``secret`` within ``tolerance_steps`` of ``now``, earlier or later.

    With one step of tolerance a code is good for at most 60 seconds after it was first shown, and a phone's
    clock may be half a minute off.
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        return False
    code, step_text, mac = match.groups()
    is_authentic = hmac.compare_digest(_mac(code, step_text, secret), mac)
    is_current = abs(int(step_text, 36) - step_of(now)) <= tolerance_steps
    return is_authentic and is_current


def code_of(text: str) -> str | None:
    """The coupon code inside a scanned text, genuine or not, or None when the text isn't one of ours."""
    match = _SHAPE.fullmatch(text.strip())
    return match.group(1) if match else None


def _mac(code: str, step_text: str, secret: bytes) -> str:
    digest = hmac.digest(secret, f"{code}.{step_text}".encode("ascii"), hashlib.sha256)
    bits = int.from_bytes(digest, "big")
    bit_count = len(digest) * 8
    return "".join(_CROCKFORD[(bits >> (bit_count - 5 * (index + 1))) & 31] for index in range(MAC_LENGTH))


def _to_base36(number: int) -> str:
    digits = ""
    while True:
        number, remainder = divmod(number, 36)
        digits = _BASE36[remainder] + digits
        if number == 0:
            return digits
