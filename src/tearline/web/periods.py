"""The period that a page of figures is about: whole days, which the address says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tearline.core.offers import start_of_day
from tearline.i18n import _
from tearline.web.access import AnyRequest
from tearline.web.ui.forms import BoundForm, Day, Form

PERIOD_FORM = Form(Day("from", _("First day")), Day("to", _("Last day")))
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
"""Beyond, times can't be reckoned with."""


@dataclass(frozen=True)
class Period:
    """The days that were asked for, as a form that shows them, or says what is wrong with them."""

    form: BoundForm
    time_zone: str

    @property
    def is_valid(self) -> bool:
        """Whether the days can be used."""
        return self.form.is_valid

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """From when until just before when."""
        return (
            start_of_day(self.form.values["from"], self.time_zone),
            start_of_day(self.form.values["to"] + timedelta(days=1), self.time_zone),
        )

    def months(self, now: datetime) -> list[dict[str, str]]:
        """What addresses say to be about this month, and about the last one."""
        today = now.astimezone(ZoneInfo(self.time_zone)).date()
        first = today.replace(day=1)
        before = first - timedelta(days=1)
        return [
            {"from": first.isoformat(), "to": today.isoformat()},
            {"from": before.replace(day=1).isoformat(), "to": before.isoformat()},
        ]

    @property
    def query(self) -> dict[str, str]:
        """What an address says to be about the same days."""
        return {
            name: self.form.values[name].isoformat() for name in ("from", "to") if name in self.form.values
        }


def period_of(
    request: AnyRequest, now: datetime, time_zone: str, *, recent_days: int | None = None
) -> Period:
    """The days that the address asks for, or else the last month's.

    Args:
        recent_days: so many days up to today, instead of the last month's.
    """
    asked = {name: [text] for name in ("from", "to") if (text := request.query_params.get(name))}
    if not asked:
        today = now.astimezone(ZoneInfo(time_zone)).date()
        last = today.replace(day=1) - timedelta(days=1)
        first = last.replace(day=1)
        if recent_days is not None:
            first, last = today - timedelta(days=recent_days - 1), today
        asked = {"from": [first.isoformat()], "to": [last.isoformat()]}
    form = PERIOD_FORM.parse(asked)
    for name, day in form.values.items():
        if not _FIRST_DAY <= day <= _LAST_DAY:
            form.add_error(name, _("Enter a day, such as 2026-12-31."))
    if form.is_valid and form.values["to"] < form.values["from"]:
        form.add_error("to", _("The last day lies before the first."))
    return Period(form, time_zone)
