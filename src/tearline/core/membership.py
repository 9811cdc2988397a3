"""Rules for what is said of a member: codes of plans, tiers and groups, and free tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

CODE_SHAPE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
LONGEST_TAG = 40
MOST_TAGS = 50
LONGEST_NAME = 100


def is_code(text: str) -> bool:
    """Whether this can name a plan, tier or group: lower-case letters, digits, ``-`` and ``_``, at most 40.

    A colon is not among them: ``plan:tier`` names a tier from outside its plan.
    """
    return CODE_SHAPE.fullmatch(text) is not None


def normalise_tag(text: str) -> str:
    """A tag as it is kept and compared: NFKC, one space between words, case folded."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalise_tags(texts: Iterable[str]) -> list[str]:
    """Tags as they are kept: each once, in order of the alphabet, empty ones dropped."""
    return sorted({tag for text in texts if (tag := normalise_tag(text))})


def tags_problem(tags: list[str]) -> str | None:
    """An English sentence when normalised tags are too many or too long, else None."""
    if len(tags) > MOST_TAGS:
        return f"At most {MOST_TAGS} tags."
    if any(len(tag) > LONGEST_TAG for tag in tags):
        return f"A tag has at most {LONGEST_TAG} characters."
    return None
