"""Idempotency keys: what a client may repeat a request by."""

from __future__ import annotations


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


MAXIMUM_KEY_LENGTH = 128
"""Characters of a key."""
KEY_SENTENCE = _("Use 1 to 128 visible ASCII characters.")


def is_good_key(key: str) -> bool:
    """Whether this can be a key: short, visible ASCII."""
    return 0 < len(key) <= MAXIMUM_KEY_LENGTH and key.isascii() and key.isprintable()
