"""The form of a campaign: its fields with the audience, and the way to ``core.campaigns.CampaignDraft``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core import campaigns as core
from tearline.core.audience import Audience
from tearline.core.membership import normalise_tag
from tearline.i18n import _, localised, translate
from tearline.members import reads as members
from tearline.web.console.support import EDGE_CHOICES, TIME_ZONES, picture_field
from tearline.web.ui.forms import (
    Choice,
    Choices,
    DateTime,
    Field,
    Form,
    Lines,
    Localised,
    Number,
    Section,
    Text,
    read_only,
)

RULES = ("any_of", "all_of", "none_of")
RULE_NAMES = {
    "any_of": _("At least one of"),
    "all_of": _("All of"),
    "none_of": _("None of"),
}


@dataclass(frozen=True, slots=True)
class Marks:
    """What an audience can be made of: plans, tiers and groups with their names; tags are free words."""

    choices: Sequence[tuple[str, str]]
    tags: Sequence[str]
    """The most used ones, as suggestions."""

    def name_of(self, mark: str) -> str:
        """The words for a mark."""
        return dict(self.choices).get(mark) or mark.partition(":")[2]


async def load_marks(connection: AsyncConnection, language: str) -> Marks:
    """The marks that there are."""
    choices: list[tuple[str, str]] = []
    for plan in await members.plans(connection):
        name = localised(plan.names, language)
        choices.append((f"plan:{plan.code}", name))
        for tier in plan.tiers:
            choices.append((f"tier:{plan.code}/{tier.code}", f"{name} · {localised(tier.names, language)}"))
    for group in await members.groups(connection):
        name = localised(group.names, language)
        choices.append((f"group:{group.code}", translate(language, _("Group: %(name)s"), name=name)))
    return Marks(choices, await members.tags(connection, 12))


def campaign_form(
    marks: Marks,
    *,
    audience: Audience = core.EVERYONE,
    image: str | None = None,
    time_zone: str = "Asia/Hong_Kong",
    frozen: Collection[str] = (),
    is_sale: bool = False,
) -> Form:
    """The form of one campaign.

    Args:
        is_sale: whether it sells vouchers: how many a member may buy stands with each voucher then.
        audience, image, time_zone: of the campaign as it is.
        frozen: fields that can't be edited in its present state; they are shown without being taken.
    """

    def section(title: str, *ours: Field, note: str = "") -> Section:
        fields = [read_only(field) if _draft_field(field.name) in frozen else field for field in ours]
        return Section(title, *fields, note=note)

    limits = section(
        _("Limits"),
        Number("limit_per_member", _("Claims of one member in all"), is_required=False, minimum=1,
               help=_("Empty: no limit.")),
        Number("limit_per_member_per_day", _("Claims of one member on a day"), is_required=False, minimum=1,
               help=_("Empty: no limit.")),
    )  # fmt: skip
    zones = [*TIME_ZONES, *([] if time_zone in dict(TIME_ZONES) else [(time_zone, time_zone)])]
    return Form(
        section(
            _("Basics"),
            Localised("names", _("Name"), maximum_length=120),
            Text("code", _("Code"), maximum_length=40,
                 help=_("Capitals, digits and hyphens; stands in the campaign's address.")),
            Choice("edge", _("Colour"), choices=EDGE_CHOICES, default="vermilion"),
        ),
        section(
            _("Selling period") if is_sale else _("When"),
            DateTime("starts_at", _("Starts"), time_zone=time_zone, time_zone_field="time_zone"),
            DateTime("ends_at", _("Ends"), time_zone=time_zone, time_zone_field="time_zone"),
            Choice("time_zone", _("Time zone"), choices=zones, default=time_zone,
                   help="" if is_sale else _("The limit per day counts this zone's days.")),
            note=_("When the vouchers can be used is the offer's own validity.") if is_sale else "",
        ),
        section(
            _("For whom"),
            *(field for rule in RULES for field in _rule_fields(rule, marks, audience)),
            note=_("Nothing chosen: everyone. Rules of several kinds must all hold."),
        ),
        *([] if is_sale else [limits]),
        section(
            _("What members read"),
            picture_field("image", _("Picture"), image),
            Localised("descriptions", _("Description"), is_long=True, is_required=False, maximum_length=2000),
            Localised("rules", _("Rules"), is_long=True, rows=6, is_required=False, maximum_length=10_000),
        ),
    )  # fmt: skip


def values_of(draft: core.CampaignDraft) -> dict[str, Any]:
    """What the form shows of a draft."""
    names = core.CampaignDraft.__dataclass_fields__
    values = {name: getattr(draft, name) for name in names if name != "audience"}
    for rule in RULES:
        held = sorted(getattr(draft.audience, rule))
        values[f"audience.{rule}"] = [mark for mark in held if not mark.startswith("tag:")]
        values[f"audience.{rule}.tags"] = [
            mark.removeprefix("tag:") for mark in held if mark.startswith("tag:")
        ]
    return values


def draft_from(values: dict[str, Any], before: core.CampaignDraft | None = None) -> core.CampaignDraft:
    """The draft that the form's values describe; what was not taken stays as it was ``before``."""
    parts = {name: value for name, value in values.items() if not name.startswith("audience.")}
    if "audience.any_of" in values:
        parts["audience"] = audience_from(values)
    if before is None:
        return core.CampaignDraft(**parts)
    for name in ("starts_at", "ends_at"):
        # The form shows whole seconds: a time that came with a fraction must not move by being shown.
        if parts.get(name) == getattr(before, name).replace(microsecond=0):
            del parts[name]
    return replace(before, **parts)


def audience_from(values: dict[str, Any]) -> Audience:
    """The audience of the form's values; what could not be read asks nothing."""
    rules = {}
    for rule in RULES:
        tags = {f"tag:{normalise_tag(tag)}" for tag in values.get(f"audience.{rule}.tags") or ()}
        rules[rule] = frozenset(values.get(f"audience.{rule}") or ()) | tags
    return Audience(**rules)


def frozen_fields(state: str, before: core.CampaignDraft, now: datetime) -> frozenset[str]:
    """The fields that can't be edited in a state."""
    frozen = core.CAMPAIGN_FIELDS - core.EDITABLE[state]
    return frozen | {"starts_at"} if state != "draft" and now >= before.starts_at else frozen


def audience_words(audience: Audience, marks: Marks, language: str) -> list[tuple[str, str]]:
    """An audience as lines of a rule and what it names; none for everyone."""
    lines = []
    for rule in RULES:
        held = sorted(getattr(audience, rule))
        if held:
            names = ("、" if language.startswith("zh") else ", ").join(marks.name_of(mark) for mark in held)
            lines.append((translate(language, RULE_NAMES[rule]), names))
    return lines


def _rule_fields(rule: str, marks: Marks, audience: Audience) -> list[Field]:
    known = dict(marks.choices)
    held = [mark for mark in sorted(getattr(audience, rule)) if not mark.startswith("tag:")]
    choices = [*marks.choices, *((mark, mark) for mark in held if mark not in known)]
    labels = {
        "any_of": (_("At least one of these"), _("or one of these tags")),
        "all_of": (_("All of these"), _("and all of these tags")),
        "none_of": (_("None of these"), _("and none of these tags")),
    }[rule]
    return [
        Choices(f"audience.{rule}", labels[0], is_required=False, choices=choices),
        Lines(f"audience.{rule}.tags", labels[1], rows=2),
    ]


def _draft_field(name: str) -> str:
    return name.partition(".")[0]
