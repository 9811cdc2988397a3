"""Who a campaign is for: by plan, tier, group and tag, combined."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

MARK_KINDS = ("plan", "tier", "group", "tag")
"""What a mark can be: ``plan:city``, ``tier:city/gold``, ``group:hotel``, ``tag:foodie``."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Rules over a member's marks, all of which must hold; an empty rule holds for everyone.

    Attributes:
        any_of: the member has at least one of these.
        all_of: the member has every one of these.
        none_of: the member has not one of these.
    """

    any_of: frozenset[str] = frozenset()
    all_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()

    @property
    def is_everyone(self) -> bool:
        """True when no rule is set."""
        return not (self.any_of or self.all_of or self.none_of)

    def includes(self, marks: AbstractSet[str]) -> bool:
        """True when a member with these marks belongs to the audience."""
        if self.any_of and self.any_of.isdisjoint(marks):
            return False
        return self.all_of <= marks and self.none_of.isdisjoint(marks)


EVERYONE = Audience()


def marks_of(
    plan: str | None, tier: str | None, groups: list[str] | tuple[str, ...], tags: list[str] | tuple[str, ...]
) -> frozenset[str]:
    """All marks of a member."""
    marks = {f"group:{group}" for group in groups} | {f"tag:{tag}" for tag in tags}
    if plan is not None:
        marks.add(f"plan:{plan}")
        if tier is not None:
            marks.add(f"tier:{plan}/{tier}")
    return frozenset(marks)


def audience_from_json(stored: dict[str, list[str]]) -> Audience:
    """The audience in a campaign's ``audience`` column: ``{"any_of": [...], "all_of": [...], "none_of": [...]}``."""
    return Audience(
        any_of=frozenset(stored.get("any_of", ())),
        all_of=frozenset(stored.get("all_of", ())),
        none_of=frozenset(stored.get("none_of", ())),
    )


def audience_to_json(audience: Audience) -> dict[str, list[str]]:
    """The reverse of ``audience_from_json``; rules that are empty are left out."""
    rules = {"any_of": audience.any_of, "all_of": audience.all_of, "none_of": audience.none_of}
    return {name: sorted(marks) for name, marks in rules.items() if marks}
