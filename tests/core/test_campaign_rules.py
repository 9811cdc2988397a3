"""States, what can be edited in each, and what is refused in a campaign."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tearline.core import campaigns as core
from tearline.core.audience import Audience

NOW = datetime(2026, 6, 10, tzinfo=UTC)
DAY = timedelta(days=1)
OFFER = uuid4()


def draft(**changes: Any) -> core.CampaignDraft:
    plain = core.CampaignDraft(
        code="SUMMER-26",
        names={"en": "Summer"},
        time_zone="Asia/Hong_Kong",
        starts_at=NOW - DAY,
        ends_at=NOW + DAY,
    )
    return replace(plain, **changes)


def prize(**changes: Any) -> core.PrizeDraft:
    return replace(core.PrizeDraft({"en": "A gift"}, "Dragon Boat", 100, {OFFER: 1}), **changes)


def test_the_window_is_half_open() -> None:
    assert core.window_state(NOW, NOW + DAY, NOW - timedelta(microseconds=1)) == "scheduled"
    assert core.window_state(NOW, NOW + DAY, NOW) == "running"
    assert core.window_state(NOW, NOW + DAY, NOW + DAY) == "ended"


def test_nothing_leads_back() -> None:
    assert core.TRANSITIONS["archived"] == frozenset()
    assert all("draft" not in targets for targets in core.TRANSITIONS.values())


def test_the_table_of_edits_names_every_field_and_no_other() -> None:
    assert {field.name for field in fields(core.CampaignDraft)} == core.CAMPAIGN_FIELDS
    assert {f"prize.{field.name}" for field in fields(core.PrizeDraft)} == core.PRIZE_FIELDS
    everything = core.CAMPAIGN_FIELDS | core.PRIZE_FIELDS | {"prize.add", "prize.remove"}
    assert core.EDITABLE["draft"] == everything
    assert core.EDITABLE["live"] < core.EDITABLE["paused"] < everything
    assert core.EDITABLE["archived"] == frozenset()


@pytest.mark.parametrize(
    ("state", "changes", "forbidden"),
    [
        ("draft", {"code": "X", "time_zone": "UTC", "ends_at": NOW}, set()),
        ("live", {"names": {"en": "Late summer"}, "limit_per_member": 3, "ends_at": NOW + 2 * DAY}, set()),
        ("live", {"code": "X"}, {"code"}),
        ("live", {"time_zone": "UTC"}, {"time_zone"}),
        ("live", {"ends_at": NOW + DAY / 2}, {"ends_at"}),
        ("live", {"starts_at": NOW - 2 * DAY}, {"starts_at"}),
        ("live", {"audience": Audience(any_of=frozenset({"tag:tea"}))}, {"audience"}),
        ("paused", {"audience": Audience(any_of=frozenset({"tag:tea"}))}, set()),
        ("paused", {"time_zone": "UTC"}, {"time_zone"}),
        ("archived", {"names": {"en": "Over"}}, {"names"}),
    ],
)
def test_what_can_be_edited(state: str, changes: dict[str, Any], forbidden: set[str]) -> None:
    assert set(core.forbidden_edits(state, draft(), draft(**changes), NOW)) == forbidden


def test_the_start_moves_only_until_it_has_come() -> None:
    before = draft(starts_at=NOW + DAY / 2)
    assert core.forbidden_edits("live", before, draft(starts_at=NOW + DAY / 4), NOW) == {}
    assert set(core.forbidden_edits("live", before, draft(starts_at=NOW), NOW + DAY / 2)) == {"starts_at"}


def test_a_sensible_campaign_has_no_problems() -> None:
    assert core.check_campaign(draft()) == {}
    audience = Audience(
        frozenset({"plan:city", "tier:city/gold"}), frozenset({"tag:tea"}), frozenset({"group:staff"})
    )
    assert core.check_campaign(draft(audience=audience, limit_per_member=2, limit_per_member_per_day=1)) == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "summer 26"}, "code"),
        ({"code": "SUMMER_26"}, "code"),
        ({"code": "-SUMMER"}, "code"),
        ({"code": "S" * 41}, "code"),
        ({"names": {"zh-Hant": "夏"}}, "names.en"),
        ({"rules": {"th": "กติกา"}}, "rules.en"),
        ({"image": "ftp://x"}, "image"),
        ({"edge": 'red" onclick'}, "edge"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"ends_at": NOW - DAY}, "ends_at"),
        ({"starts_at": datetime(1, 1, 1, tzinfo=UTC)}, "starts_at"),
        ({"limit_per_member": 0}, "limit_per_member"),
        ({"limit_per_member_per_day": -1}, "limit_per_member_per_day"),
        ({"audience": Audience(any_of=frozenset({"colour:red"}))}, "audience.any_of"),
        ({"audience": Audience(all_of=frozenset({"tag:"}))}, "audience.all_of"),
        (
            {"audience": Audience(all_of=frozenset({"tag:a"}), none_of=frozenset({"tag:a"}))},
            "audience.none_of",
        ),
        (
            {"audience": Audience(any_of=frozenset({"tag:a"}), none_of=frozenset({"tag:a"}))},
            "audience.none_of",
        ),
    ],
)
def test_nonsense_in_a_campaign(changes: dict[str, Any], field: str) -> None:
    assert set(core.check_campaign(draft(**changes))) == {field}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"names": {}}, "names.en"),
        ({"password": "  "}, "password"),
        ({"password": "x" * 65}, "password"),
        ({"password": "nothing\x00"}, "password"),
        ({"password": " ＤＲＡＧＯＮ "}, "password"),
        ({"inventory": 0}, "inventory"),
        ({"inventory": 10**12}, "inventory"),
        ({"limit_per_member": 0}, "limit_per_member"),
        ({"bundle": {}}, "bundle"),
        ({"bundle": {OFFER: 0}}, "bundle"),
        ({"bundle": {OFFER: 21}}, "bundle"),
        ({"bundle": {UUID(int=1): 1}}, "bundle"),
    ],
)
def test_nonsense_in_a_prize(changes: dict[str, Any], field: str) -> None:
    def check(checked: core.PrizeDraft) -> dict[str, str]:
        return core.check_prize(checked, other_password_keys={"dragon"}, known_offer_ids={OFFER})

    assert check(prize()) == {}
    assert set(check(prize(**changes))) == {field}
