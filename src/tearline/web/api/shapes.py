"""The bodies and answers of the API, as msgspec structs: they are decoded, checked and documented from here."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a client sends; a field that is not known is refused, so that a typing mistake is noticed."""


class ClaimBody(Body):
    """A claim in a password campaign."""

    password: Annotated[str, Meta(min_length=1, max_length=200, description="As the member typed it.")]
