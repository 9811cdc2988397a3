"""Writes the demo's past: the same rows as the claim desk and the redemption desk write, by COPY."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Prize
from tearline.cli.demo.claims import MadeClaim
from tearline.cli.demo.members import copy_rows
from tearline.cli.demo.redemptions import MadeRedemption, MadeReversal, MadeUses
from tearline.cli.demo.shapes import TIME_ZONE
from tearline.offers.model import Offer

_SIGNED_IN = text("""
UPDATE member SET last_signed_in_at = made.last
FROM (SELECT member_id, max(claimed_at) AS last FROM claim GROUP BY member_id) AS made
WHERE member.id = made.member_id
""")
"""Whoever claimed had signed in."""


async def write_claims(tx: AsyncConnection, claims: Sequence[MadeClaim]) -> None:
    """Write claims with their coupons, and every counter that counts them."""
    await copy_rows(
        tx,
        "claim",
        ("member_id", "id", "campaign_id", "prize_id", "idempotency_key", "claimed_at"),
        ((c.member_id, c.id, c.campaign_id, c.prize_id, f"demo-{c.id}", c.claimed_at) for c in claims),
    )
    coupons = [coupon for claim in claims for coupon in claim.coupons]
    await copy_rows(
        tx,
        "coupon",
        (
            "member_id", "id", "offer_id", "campaign_id", "claim_id", "code", "state", "valid_from",
            "valid_until", "issued_at", "changed_at",
        ),
        (
            (
                c.member_id, c.id, c.offer_id, c.campaign_id, c.claim_id, c.code, c.state, c.valid_from,
                c.valid_until, c.issued_at, c.changed_at or c.issued_at,
            )
            for c in coupons
        ),
    )  # fmt: skip
    await copy_rows(
        tx, "coupon_code", ("code", "member_id", "coupon_id"), ((c.code, c.member_id, c.id) for c in coupons)
    )
    await _write_participation(tx, claims)
    await _write_hours(tx, claims)
    await tx.execute(_SIGNED_IN)
    prizes = Counter(claim.prize_id for claim in claims)
    await tx.execute(
        update(Prize).where(Prize.id == bindparam("prize")).values(claimed=bindparam("count")),
        [{"prize": prize_id, "count": count} for prize_id, count in prizes.items()],
    )
    offers = Counter(coupon.offer_id for coupon in coupons)
    await tx.execute(
        update(Offer).where(Offer.id == bindparam("offer")).values(issued=bindparam("count")),
        [{"offer": offer_id, "count": count} for offer_id, count in offers.items()],
    )
    limited = set(await tx.scalars(select(Offer.id).where(Offer.limit_per_member.is_not(None))))
    holdings = Counter((c.member_id, c.offer_id) for c in coupons if c.offer_id in limited)
    await copy_rows(
        tx,
        "offer_holding",
        ("member_id", "offer_id", "issued"),
        ((member_id, offer_id, issued) for (member_id, offer_id), issued in holdings.items()),
    )


async def _write_participation(tx: AsyncConnection, claims: Sequence[MadeClaim]) -> None:
    zone = ZoneInfo(TIME_ZONE)
    days: dict[tuple[UUID, UUID, UUID], list[date]] = defaultdict(list)
    for claim in claims:
        day = claim.claimed_at.astimezone(zone).date()
        days[claim.member_id, claim.campaign_id, claim.prize_id].append(day)
    await copy_rows(
        tx,
        "participation",
        ("member_id", "campaign_id", "prize_id", "claimed", "day", "claimed_on_day"),
        ((*key, len(made), max(made), made.count(max(made))) for key, made in days.items()),
    )


async def _write_hours(tx: AsyncConnection, claims: Sequence[MadeClaim]) -> None:
    hours: Counter[tuple[UUID, UUID, datetime]] = Counter(
        (claim.prize_id, claim.campaign_id, claim.claimed_at.replace(minute=0, second=0, microsecond=0))
        for claim in claims
    )
    await copy_rows(
        tx,
        "claim_hour",
        ("prize_id", "campaign_id", "hour", "claims"),
        ((*key, claims) for key, claims in hours.items()),
    )


async def write_uses(tx: AsyncConnection, uses: MadeUses) -> None:
    """Write redemptions, reversals and the answers that their tills got."""
    await copy_rows(
        tx,
        "redemption",
        (
            "member_id", "id", "coupon_id", "offer_id", "campaign_id", "merchant_id", "store_id", "staff_id",
            "api_key_id", "request_number", "way", "verified", "redeemed_at",
        ),
        (
            (
                r.coupon.member_id, r.id, r.coupon.id, r.coupon.offer_id, r.coupon.campaign_id, r.merchant_id,
                r.store_id, r.staff_id, r.api_key_id, r.request.request_number, r.request.way,
                r.answer.verified, r.at,
            )
            for r in uses.redemptions
        ),
    )  # fmt: skip
    await copy_rows(
        tx,
        "redemption_lookup",
        ("redemption_id", "member_id", "merchant_id"),
        ((r.id, r.coupon.member_id, r.merchant_id) for r in uses.redemptions),
    )
    await copy_rows(
        tx,
        "reversal",
        (
            "member_id", "redemption_id", "id", "coupon_id", "merchant_id", "staff_id", "api_key_id",
            "request_number", "reason", "reversed_at",
        ),
        (
            (
                v.redemption.coupon.member_id, v.redemption.id, v.id, v.redemption.coupon.id,
                v.redemption.merchant_id, v.redemption.staff_id, v.redemption.api_key_id,
                v.request.request_number, v.reason, v.at,
            )
            for v in uses.reversals
        ),
    )  # fmt: skip
    answered: list[MadeRedemption | MadeReversal] = [*uses.redemptions, *uses.reversals]
    await copy_rows(
        tx,
        "till_request",
        ("merchant_id", "request_number", "fingerprint", "answer", "created_at"),
        (
            (
                use.request.merchant_id,
                use.request.request_number,
                bytes.fromhex(use.request.fingerprint()),
                msgspec.json.encode(use.answer).decode(),
                use.at,
            )
            for use in answered
        ),
    )
