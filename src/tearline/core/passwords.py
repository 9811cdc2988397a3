"""How a campaign's passwords are compared."""

from __future__ import annotations

import unicodedata

MAXIMUM_LENGTH = 64
"""Characters of a password after normalisation; a longer one matches nothing."""


def password_key(text: str) -> str:
    """The form in which passwords are compared: NFKC, outer white space removed, case folded.

    Case folding can undo NFKC ('ͅ' and some ligatures), so the result is normalised again; this makes the
    function idempotent, as Unicode's NFKC_Casefold is.
    """
    key = text
    for _ in range(3):
        key = unicodedata.normalize("NFKC", key.strip().casefold())
    return key.strip()
