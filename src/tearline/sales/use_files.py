"""Uses that a partner reports as a file: a row for each, with the code, when, and where."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.db import Database, transaction
from tearline.pools import sheets
from tearline.sales.uses import CLOCK_SKEW, LONGEST_PLACE, MOST_REPORTS, Outcome, ReportedUse, report_uses

MOST_ROWS = 200_000
MOST_BYTES = 20 * 1024 * 1024
_EXAMPLES = 50


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A row that did not turn a voucher to redeemed, by its number in the file, blank rows and a heading counted;
    ``outcome`` may also be ``invalid``."""

    number: int
    code: str
    outcome: Outcome | str


@dataclass(frozen=True, slots=True)
class UseReport:
    """What became of a file: how many rows had which outcome, and some of those that want looking at."""

    counts: dict[str, int]
    examples: list[ReportRow]


async def report_file(
    database: Database,
    actor: Actor,
    merchant_id: UUID,
    path: Path,
    name: str,
    time_zone: str,
    now: datetime,
) -> UseReport:
    """Take a partner's file of uses, CSV or XLSX; the same file again changes nothing.

    The columns are the code, when it was used (``2026-12-31 18:05``, empty for now), and where. A first row
    without a digit in its first cell is a heading. Ten thousand rows are taken in a transaction, so a file that
    is cut off can simply be sent again.

    Args:
        name: the file's name where it came from.
        time_zone: of times that do not name one.

    Raises:
        Refusal: ``not_allowed``, ``not_found``, ``unreadable_file``, ``too_large``.
    """
    actor.require("codes.write")
    actor.require_merchant(merchant_id)
    rows = await asyncio.to_thread(_read, path, name, time_zone, now)
    outcomes: list[Outcome | str] = ["invalid"] * len(rows)
    good = [position for position, row in enumerate(rows) if row.use is not None]
    for start in range(0, len(good), MOST_REPORTS):
        positions = good[start : start + MOST_REPORTS]
        uses = [use for position in positions if (use := rows[position].use) is not None]
        async with transaction(database) as tx:
            found = await report_uses(tx, actor, merchant_id, uses, now)
        for position, outcome in zip(positions, found, strict=True):
            outcomes[position] = outcome
    examples = [
        ReportRow(row.number, row.code, outcome)
        for row, outcome in zip(rows, outcomes, strict=True)
        if outcome not in ("used", "already")
    ]
    return UseReport(dict(Counter(outcomes)), examples[:_EXAMPLES])


class _Row(NamedTuple):
    number: int
    code: str
    use: ReportedUse | None


def _read(path: Path, name: str, time_zone: str, now: datetime) -> list[_Row]:
    zone = ZoneInfo(time_zone)
    found: list[_Row] = []
    is_first = True
    for number, cells in sheets.numbered_rows(path, sheets.recognise(path, name, has_columns=True)):
        code, when, where = ([cell.strip() for cell in cells] + ["", "", ""])[:3]
        if is_first:
            is_first = False
            if not any(character.isdigit() for character in code):
                continue
        if len(found) >= MOST_ROWS:
            raise Refusal("too_large")
        moment = _moment(when, zone) if when else now
        is_good = (
            bool(code)
            and is_storable(code)
            and moment is not None
            and moment <= now + CLOCK_SKEW
            and len(where) <= LONGEST_PLACE
            and is_storable(where)
        )
        use = ReportedUse(code, moment, where) if is_good and moment is not None else None
        found.append(_Row(number, code, use))
    return found


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
