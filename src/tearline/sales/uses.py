"""What partners report about the use of their codes: only their own scanners see it.

A sold voucher becomes redeemed. Reports come one by one or as files, again and again and in any order: the
first one for a code counts, the others find it done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.coupons.model import Coupon
from tearline.i18n import _
from tearline.merchants.audit import record_audit
from tearline.pools.model import PartnerCode
from tearline.sales.model import Voucher

MOST_REPORTS = 10_000
"""In one request."""
LONGEST_PLACE = 120
CLOCK_SKEW = timedelta(minutes=10)

Outcome = Literal["used", "already", "unknown", "not_sold", "void"]


@dataclass(frozen=True, slots=True)
class ReportedUse:
    """One use.

    Attributes:
        code: the partner's.
        used_at: when, by the partner's clock.
        place: the partner's name for where, such as a branch; empty when it isn't said.
    """

    code: str
    used_at: datetime
    place: str = ""


async def report_uses(
    tx: AsyncConnection, actor: Actor, merchant_id: UUID, uses: Sequence[ReportedUse], now: datetime
) -> list[Outcome]:
    """Take a partner's report; answers what became of each use, in their order.

    ``used`` turned a sold voucher to redeemed; ``already`` was reported before; ``unknown`` is no code of this
    partner's; ``not_sold`` is one that nobody has bought (its use should worry the partner); ``void`` is one
    that was cancelled.

    Raises:
        Refusal: ``not_allowed``, ``not_found``, ``invalid`` with the positions that make no sense.
    """
    actor.require("codes.write")
    actor.require_merchant(merchant_id)
    _refuse_nonsense(uses, now)
    places = await tx.execute(
        select(PartnerCode.code, PartnerCode.state, PartnerCode.member_id, PartnerCode.coupon_id).where(
            PartnerCode.merchant_id == merchant_id, PartnerCode.code.in_({use.code for use in uses})
        )
    )
    known = {row.code: row for row in places}
    sold = sorted((row.member_id, row.coupon_id) for row in known.values() if row.coupon_id is not None)
    locked = await tx.execute(
        select(Coupon.member_id, Coupon.id, Coupon.state)
        .where(tuple_(Coupon.member_id, Coupon.id).in_(sold))
        .order_by(Coupon.member_id, Coupon.id)
        .with_for_update()
    )
    states = {(row.member_id, row.id): row.state for row in locked}
    outcomes: list[Outcome] = []
    redeemed: dict[tuple[UUID, UUID], ReportedUse] = {}
    for use in uses:
        row = known.get(use.code)
        if row is None:
            outcomes.append("unknown")
            continue
        key = (row.member_id, row.coupon_id)
        if key not in states:
            outcomes.append("void" if row.state == "void" else "not_sold")
            continue
        outcome = _OUTCOME_OF_STATE.get(states[key], "used")
        if outcome == "used":
            states[key] = "redeemed"
            redeemed[key] = use
        outcomes.append(outcome)
    if redeemed:
        await _redeem(tx, redeemed, now)
    counts: dict[str, int] = dict(Counter(outcomes))
    await record_audit(
        tx,
        actor,
        "voucher.uses_reported",
        "merchant",
        merchant_id,
        None,
        counts,
        now,
        merchant_id=merchant_id,
    )
    return outcomes


_OUTCOME_OF_STATE: dict[str, Outcome] = {"redeemed": "already", "void": "void"}


async def _redeem(tx: AsyncConnection, uses: Mapping[tuple[UUID, UUID], ReportedUse], now: datetime) -> None:
    rows = [
        {"of_member": member_id, "of_coupon": coupon_id, "at": use.used_at, "place": use.place or None}
        for (member_id, coupon_id), use in uses.items()
    ]
    await tx.execute(
        update(Coupon)
        .where(Coupon.member_id == bindparam("of_member"), Coupon.id == bindparam("of_coupon"))
        .values(state="redeemed", changed_at=now),
        rows,
    )
    await tx.execute(
        update(Voucher)
        .where(Voucher.member_id == bindparam("of_member"), Voucher.coupon_id == bindparam("of_coupon"))
        .values(used_at=bindparam("at"), use_reported_at=now, use_place=bindparam("place")),
        rows,
    )


def _refuse_nonsense(uses: Sequence[ReportedUse], now: datetime) -> None:
    problems: dict[str, str] = {}
    if not 1 <= len(uses) <= MOST_REPORTS:
        problems["uses"] = _("Report between 1 and 10,000 uses at a time.")
    for number, use in enumerate(uses):
        if use.used_at > now + CLOCK_SKEW:
            problems[f"uses.{number}.used_at"] = _("This is in the future.")
        if len(use.place) > LONGEST_PLACE or not is_storable(use.place):
            problems[f"uses.{number}.place"] = _("Use up to 120 characters.")
        if not is_storable(use.code):
            problems[f"uses.{number}.code"] = _("This is no code.")
    if problems:
        raise Refusal("invalid", fields=problems)
