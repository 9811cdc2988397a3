"""Rules of campaigns other than claiming: states, what may be edited in each, and what makes no sense."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from tearline.core.audience import MARK_KINDS, Audience
from tearline.core.offer_checks import (
    CODE_PATTERN,
    CODE_SENTENCE,
    COUNT_SENTENCE,
    MAXIMUM_COUNT,
    TIME_ZONE_SENTENCE,
    check_window,
    is_limit,
    is_time_zone,
)
from tearline.core.passwords import MAXIMUM_LENGTH, password_key
from tearline.core.texts import check_image, check_localised, check_text


def _(message: str) -> str:
    """Marks a sentence for translation; the face that shows it translates."""
    return message


KINDS = ("password", "sale")
MAXIMUM_PRIZES = 5
MAXIMUM_OFFERS_PER_PRIZE = 20
MAXIMUM_QUANTITY = 20

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "draft": frozenset({"live", "archived"}),
    "live": frozenset({"paused", "archived"}),
    "paused": frozenset({"live", "archived"}),
    "archived": frozenset(),
}
"""To which states a campaign can go from each. Nothing goes back to draft, or comes back from archived."""

CAMPAIGN_FIELDS = frozenset(
    {
        "code", "names", "descriptions", "rules", "image", "edge", "time_zone", "starts_at", "ends_at",
        "audience", "limit_per_member", "limit_per_member_per_day",
    }
)  # fmt: skip
PRIZE_FIELDS = frozenset(
    {"prize.names", "prize.password", "prize.inventory", "prize.limit_per_member", "prize.bundle"}
)

_WHILE_LIVE = frozenset(
    {
        "names", "descriptions", "rules", "image", "edge", "starts_at", "ends_at", "limit_per_member",
        "limit_per_member_per_day", "prize.names", "prize.inventory", "prize.limit_per_member",
    }
)  # fmt: skip

EDITABLE: Mapping[str, frozenset[str]] = {
    "draft": CAMPAIGN_FIELDS | PRIZE_FIELDS | {"prize.add", "prize.remove"},
    # While members can claim, what they were told may be worded better and given more of, not taken back.
    "live": _WHILE_LIVE,
    # Nobody can claim, so doors and audience may move as well; what a prize holds may not.
    "paused": _WHILE_LIVE | {"audience", "prize.password", "prize.add"},
    "archived": frozenset(),
}
"""What may still be edited in each state; ``prize.add`` and ``prize.remove`` stand for whole prizes.

Two fields have a further rule outside draft, see ``forbidden_edits``: ``starts_at`` moves only until the
campaign has started, and ``ends_at`` moves only later. An inventory is only raised, whatever the state, once
the campaign has left draft.
"""


EVERYONE = Audience()


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """Everything about a campaign that a person decides, other than its prizes."""

    code: str
    names: Mapping[str, str]
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    descriptions: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    edge: str = "vermilion"
    audience: Audience = EVERYONE
    limit_per_member: int | None = None
    limit_per_member_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class PrizeDraft:
    """Everything about a prize that a person decides.

    Attributes:
        password: as typed; compared by ``core.passwords.password_key``.
        inventory: how many may be claimed in all.
        bundle: offers, and how many coupons of each a claim issues.
        limit_per_member: how often one member may claim it; None for no limit.
    """

    names: Mapping[str, str]
    password: str
    inventory: int
    bundle: Mapping[UUID, int]
    limit_per_member: int | None = None


WindowState = Literal["scheduled", "running", "ended"]


def window_state(starts_at: datetime, ends_at: datetime, now: datetime) -> WindowState:
    """Where ``now`` lies in a half-open window. Derived whenever it's asked, never stored."""
    if now < starts_at:
        return "scheduled"
    return "running" if now < ends_at else "ended"


def forbidden_edits(state: str, before: CampaignDraft, after: CampaignDraft, now: datetime) -> dict[str, str]:
    """The changed fields that can't be changed in this state, each with its sentence."""
    changed = {name for name in CAMPAIGN_FIELDS if getattr(before, name) != getattr(after, name)}
    problems = {
        name: _("This can no longer be changed in its present state.") for name in changed - EDITABLE[state]
    }
    if state != "draft":
        if "starts_at" in changed and now >= before.starts_at:
            problems["starts_at"] = _("The campaign has started, so its start can no longer be moved.")
        if "ends_at" in changed and after.ends_at < before.ends_at:
            problems["ends_at"] = _("The end can only be moved later.")
    return problems


def check_campaign(draft: CampaignDraft) -> dict[str, str]:
    """What is wrong with a campaign: field to English sentence; empty when all is well."""
    problems: dict[str, str] = {}
    if not CODE_PATTERN.fullmatch(draft.code):
        problems["code"] = CODE_SENTENCE
    problems |= check_localised("names", draft.names, maximum=120, english_required=True)
    problems |= check_localised("descriptions", draft.descriptions, maximum=2000, english_required=False)
    problems |= check_localised("rules", draft.rules, maximum=10_000, english_required=False)
    if problem := check_image(draft.image):
        problems["image"] = problem
    if not (draft.edge.isascii() and draft.edge.isalpha() and draft.edge.islower() and len(draft.edge) <= 20):
        problems["edge"] = _("Choose a colour of the palette.")
    if not is_time_zone(draft.time_zone):
        problems["time_zone"] = TIME_ZONE_SENTENCE
    problems |= check_window("starts_at", draft.starts_at, "ends_at", draft.ends_at)
    problems |= check_audience(draft.audience)
    for name, limit in (
        ("limit_per_member", draft.limit_per_member),
        ("limit_per_member_per_day", draft.limit_per_member_per_day),
    ):
        if not is_limit(limit):
            problems[name] = COUNT_SENTENCE
    return problems


def check_audience(audience: Audience) -> dict[str, str]:
    """What is wrong with an audience, such as a rule that nobody can meet."""
    problems: dict[str, str] = {}
    for name, marks in (
        ("any_of", audience.any_of),
        ("all_of", audience.all_of),
        ("none_of", audience.none_of),
    ):
        if len(marks) > 100:
            problems[f"audience.{name}"] = _("At most 100 plans, tiers, groups and tags fit in one rule.")
        for mark in marks:
            kind, _colon, key = mark.partition(":")
            if kind not in MARK_KINDS or not key or check_text(mark, maximum=120):
                problems[f"audience.{name}"] = _("Write plan:…, tier:…/…, group:… or tag:….")
    if audience.none_of & audience.all_of or (audience.any_of and audience.any_of <= audience.none_of):
        problems["audience.none_of"] = _("Nobody can be in this audience: it asks for what it rules out.")
    return problems


def check_prize(
    draft: PrizeDraft, *, other_password_keys: Collection[str], known_offer_ids: Collection[UUID]
) -> dict[str, str]:
    """What is wrong with a prize: field to English sentence; empty when all is well.

    Args:
        other_password_keys: of the campaign's other prizes.
        known_offer_ids: those offers of the bundle that exist and aren't archived.
    """
    problems = check_localised("names", draft.names, maximum=120, english_required=True)
    key = password_key(draft.password)
    if not key:
        problems["password"] = _("This is needed.")
    elif len(key) > MAXIMUM_LENGTH or (check_text(draft.password, maximum=4 * MAXIMUM_LENGTH)):
        problems["password"] = _("Use up to 64 letters, digits and signs.")
    elif key in other_password_keys:
        problems["password"] = _("Another prize of this campaign has this password.")
    if not 1 <= draft.inventory <= MAXIMUM_COUNT:
        problems["inventory"] = _("Give a whole number above zero.")
    if not is_limit(draft.limit_per_member):
        problems["limit_per_member"] = COUNT_SENTENCE
    if not draft.bundle:
        problems["bundle"] = _("Choose at least one offer.")
    elif len(draft.bundle) > MAXIMUM_OFFERS_PER_PRIZE:
        problems["bundle"] = _("A prize holds at most 20 different offers.")
    elif any(not 1 <= quantity <= MAXIMUM_QUANTITY for quantity in draft.bundle.values()):
        problems["bundle"] = _("A claim issues between 1 and 20 coupons of each offer.")
    elif any(offer_id not in known_offer_ids for offer_id in draft.bundle):
        problems["bundle"] = _("One of these offers does not exist or is archived.")
    return problems
