"""Phone numbers: from what people type to E.164."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import phonenumbers

from tearline.core.refusal import Refusal

# The longest E.164 number has 15 digits; nobody types thrice that.
_LONGEST_INPUT = 50


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A valid number."""

    e164: str
    country_prefix: int
    """The country calling code, such as 852."""
    region: str | None
    """ISO 3166, such as HK; None for numbers of no country (satellite and the like)."""


def parse_phone(text: str, *, default_region: str, regions: Set[str] = frozenset()) -> PhoneNumber:
    """The number that ``text`` stands for.

    Args:
        default_region: assumed when no country code is given.
        regions: accepted countries (ISO 3166); empty for all.

    Raises:
        Refusal: ``invalid_phone``, or ``unsupported_country``.
    """
    if len(text) > _LONGEST_INPUT:
        raise Refusal("invalid_phone")
    try:
        number = phonenumbers.parse(text, default_region)
    except phonenumbers.NumberParseException:
        raise Refusal("invalid_phone") from None
    # An extension cannot be sent a message or dialled through.
    if not phonenumbers.is_valid_number(number) or number.extension or number.country_code is None:
        raise Refusal("invalid_phone")
    region = phonenumbers.region_code_for_number(number)
    if regions and region not in regions:
        raise Refusal("unsupported_country")
    return PhoneNumber(
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), number.country_code, region
    )


def display_phone(e164: str) -> str:
    """The number with the spaces that people expect, such as ``+852 5123 4567``."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def mask_phone(e164: str) -> str:
    """The number with its middle hidden, for pages that others may see: ``+852 •••• 4567``."""
    try:
        prefix = f"+{phonenumbers.parse(e164).country_code} "
    except phonenumbers.NumberParseException:
        prefix = ""
    return f"{prefix}•••• {e164[-4:]}"
