"""The form of a waiting room: its fields, and the way to ``core.rooms.RoomDraft``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign
from tearline.core import rooms as core
from tearline.i18n import _, localised, translate
from tearline.waitingroom.reads import guards
from tearline.web.console.support import TIME_ZONES
from tearline.web.ui.forms import (
    Checkbox,
    Choice,
    Choices,
    DateTime,
    Form,
    Lines,
    Localised,
    Number,
    Section,
    Text,
    read_only,
)

MAX_ACTIVE = Number(
    "max_active",
    _("People inside at once"),
    maximum=core.MAXIMUM_ACTIVE,
    help=_("The dial. You can turn it at any time, also while people wait."),
)
PER_MINUTE = Number(
    "per_minute",
    _("Called in a minute at most"),
    is_required=False,
    minimum=1,
    maximum=10**9,
    help=_("Empty: as many as there is room for."),
)
MESSAGES = Localised(
    "messages",
    _("Message to those who wait"),
    is_long=True,
    rows=3,
    is_required=False,
    maximum_length=500,
    help=_("It stands on the waiting page within seconds. Leave it empty to say nothing."),
)
FIELD_NAMES = {"session_seconds": "session_minutes"}
"""Where the draft's names differ from the form's."""


def room_form(
    campaigns: Sequence[tuple[str, str]],
    *,
    time_zone: str = "Asia/Hong_Kong",
    is_code_frozen: bool = False,
) -> Form:
    """The form of one room.

    Args:
        campaigns: those that it can guard: id and words.
        time_zone: of the room as it is.
        is_code_frozen: whether people are using its address.
    """
    zones = [*TIME_ZONES, *([] if time_zone in dict(TIME_ZONES) else [(time_zone, time_zone)])]
    code = Text(
        "code",
        _("Code"),
        maximum_length=40,
        help=_("Capitals, digits and hyphens; stands in the room's address."),
    )
    return Form(
        Section(
            _("Basics"),
            Localised("names", _("Name"), maximum_length=120),
            read_only(code) if is_code_frozen else code,
        ),
        Section(
            _("What it guards"),
            Choices("campaign_ids", _("Campaigns"), is_required=False, choices=campaigns,
                    help=_("Nobody claims in them without having been let in.")),
            Lines("pages", _("Pages of this site"), maximum_lines=core.MAXIMUM_PAGES, rows=2,
                  help=_("Paths such as /wallet, one a line, each with all below it; / is the home page alone. "
                         "Guarded while the room can be joined; apps and tills are not held up.")),
            Lines("sites", _("Other sites"), maximum_lines=core.MAXIMUM_SITES, rows=2,
                  help=_("Addresses such as https://shop.example, one a line. They send visitors here and get "
                         "them back with a signed token.")),
        ),
        Section(
            _("When"),
            Choice("time_zone", _("Time zone"), choices=zones, default=time_zone),
            DateTime("gathers_at", _("Gathering begins"), is_required=False, time_zone=time_zone,
                     time_zone_field="time_zone",
                     help=_("From here on people can arrive; all who come before the start are equal.")),
            DateTime("starts_at", _("Start"), is_required=False, time_zone=time_zone,
                     time_zone_field="time_zone",
                     help=_("The order is drawn, and people are let in.")),
            DateTime("ends_at", _("End"), is_required=False, time_zone=time_zone, time_zone_field="time_zone",
                     help=_("Nobody else is let in.")),
            note=_("Leave empty what you would rather do by hand."),
        ),
        Section(
            _("Letting in"),
            replace(MAX_ACTIVE, default=1000),
            PER_MINUTE,
            Number("session_minutes", _("Time inside"), minimum=1, maximum=24 * 60, default=30,
                   unit=_("minutes"), help=_("From entering on; using the site does not extend it.")),
            Number("grace_seconds", _("Time to come in when called"), minimum=core.SHORTEST_GRACE_SECONDS,
                   maximum=core.LONGEST_GRACE_SECONDS, default=120, unit=_("seconds"),
                   help=_("Whoever has not come by then loses the turn.")),
            Checkbox("queues_when_full", _("Begin to queue when an open room is full"), default=True),
            Checkbox("late_may_enter", _("Let those in who come after their turn")),
            Checkbox("claim_ends_session", _("A claim ends the visit and frees the place")),
        ),
        Section(
            _("Against robots"),
            Checkbox("proof_of_work", _("Browsers solve a small puzzle before they join")),
            Number("joins_per_network", _("Joins in a minute from one network"), is_required=False, minimum=1,
                   maximum=10**9,
                   help=_("Empty: no limit. Offices and phone networks share addresses, so do not set it low.")),
            is_folded=True,
        ),
        Section(_("What the waiting read"), MESSAGES),
    )  # fmt: skip


async def campaign_choices(
    connection: AsyncConnection, language: str, held: Sequence[UUID] = (), room_id: UUID | None = None
) -> list[tuple[str, str]]:
    """Campaigns that a room can guard; one that another room guards says so.

    Args:
        held: guarded at present: they are there even when archived.
        room_id: the room that asks.
    """
    guarded = await guards(connection)
    rows = await connection.execute(
        select(Campaign.id, Campaign.code, Campaign.names)
        .where(or_(Campaign.state != "archived", Campaign.id.in_(held)))
        .order_by(Campaign.starts_at.desc(), Campaign.id)
    )
    choices = []
    for row in rows:
        words = f"{localised(row.names, language)} · {row.code}"
        guard = guarded.get(row.id)
        if guard is not None and guard.id != room_id:
            room = localised(guard.names, language)
            words = translate(language, _("%(campaign)s (guarded by %(room)s)"), campaign=words, room=room)
        choices.append((str(row.id), words))
    return choices


def values_of(draft: core.RoomDraft) -> dict[str, Any]:
    """What the form shows of a draft."""
    values = {name: getattr(draft, name) for name in core.RoomDraft.__dataclass_fields__}
    values["session_minutes"] = _minutes(draft.session_seconds)
    values["campaign_ids"] = [str(one) for one in draft.campaign_ids]
    return values


def draft_from(values: Mapping[str, Any], before: core.RoomDraft | None = None) -> core.RoomDraft:
    """The draft that the form's values describe; what was not taken stays as it was ``before``."""
    parts = dict(values)
    parts["campaign_ids"] = tuple(UUID(one) for one in parts["campaign_ids"])
    minutes = parts.pop("session_minutes")
    parts["session_seconds"] = minutes * 60
    if before is None:
        return core.RoomDraft(**parts)
    if minutes == _minutes(before.session_seconds):
        # The form shows whole minutes: a session of seconds must not change by being shown.
        del parts["session_seconds"]
    for name in ("gathers_at", "starts_at", "ends_at"):
        was = getattr(before, name)
        if was is not None and parts.get(name) == was.replace(microsecond=0):
            del parts[name]
    return replace(before, **parts)


def _minutes(seconds: int) -> int:
    return -(-seconds // 60)
