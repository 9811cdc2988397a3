"""Conservation, checked on a live database: nothing given out twice, nothing lost, every counter right.

Each check is one statement that returns the rows in breach. All run in one REPEATABLE READ snapshot, so
that a busy system does not look broken because it moved between two checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.insight.audit_carts import CART_CHECKS
from tearline.insight.audit_sales import SALES_CHECKS

EXAMPLES_PER_FINDING = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: how many breaches there are, and a few of them."""

    name: str
    breaches: int
    examples: list[str]
    seconds: float


CHECKS: dict[str, str] = {
    "a prize's claims are within its inventory and counted right": """
        SELECT prize.id, prize.inventory, prize.claimed, coalesce(made.claims, 0)
        FROM prize LEFT JOIN (SELECT prize_id, count(*) AS claims FROM claim GROUP BY prize_id) made
             ON made.prize_id = prize.id
        WHERE prize.claimed <> coalesce(made.claims, 0) OR prize.claimed > prize.inventory
    """,
    "a member's participation counts the member's claims": """
        SELECT coalesce(p.member_id, c.member_id), coalesce(p.prize_id, c.prize_id), p.claimed, c.claims
        FROM participation p
        FULL JOIN (SELECT member_id, prize_id, count(*) AS claims FROM claim GROUP BY member_id, prize_id) c
             ON c.member_id = p.member_id AND c.prize_id = p.prize_id
        WHERE p.claimed IS DISTINCT FROM c.claims
    """,
    "claims by hour count the claims": """
        SELECT coalesce(h.prize_id, c.prize_id), h.claims, c.claims
        FROM (SELECT prize_id, sum(claims) AS claims FROM claim_hour GROUP BY prize_id) h
        FULL JOIN (SELECT prize_id, count(*) AS claims FROM claim GROUP BY prize_id) c ON c.prize_id = h.prize_id
        WHERE h.claims IS DISTINCT FROM c.claims
    """,
    "every claim issued its whole bundle": """
        WITH bundle AS (SELECT prize_id, sum(quantity) AS coupons FROM prize_offer GROUP BY prize_id),
        issued AS (SELECT member_id, claim_id, count(*) AS coupons FROM coupon
                   WHERE claim_id IS NOT NULL GROUP BY member_id, claim_id)
        SELECT coalesce(claim.id, issued.claim_id), bundle.coupons, issued.coupons
        FROM claim JOIN bundle ON bundle.prize_id = claim.prize_id
        FULL JOIN issued ON issued.member_id = claim.member_id AND issued.claim_id = claim.id
        WHERE issued.coupons IS DISTINCT FROM bundle.coupons
    """,
    "an offer's issued = open + sold + held + redeemed + expired + void": """
        SELECT offer.id, offer.code, offer.issued, coalesce(c.coupons, 0), offer.issue_limit
        FROM offer LEFT JOIN (SELECT offer_id, count(*) AS coupons FROM coupon GROUP BY offer_id) c
             ON c.offer_id = offer.id
        WHERE offer.issued <> coalesce(c.coupons, 0) OR offer.issued > offer.issue_limit
    """,
    "a member's holding of a limited offer counts the member's coupons": """
        SELECT coalesce(h.member_id, c.member_id), coalesce(h.offer_id, c.offer_id), h.issued, c.coupons
        FROM (SELECT h.* FROM offer_holding h JOIN offer o ON o.id = h.offer_id
              WHERE o.limit_per_member IS NOT NULL) h
        FULL JOIN (SELECT coupon.member_id, coupon.offer_id, count(*) AS coupons FROM coupon
                   JOIN offer ON offer.id = coupon.offer_id WHERE offer.limit_per_member IS NOT NULL
                   GROUP BY coupon.member_id, coupon.offer_id) c
             ON c.member_id = h.member_id AND c.offer_id = h.offer_id
        WHERE h.issued IS DISTINCT FROM c.coupons
    """,
    "every coupon is found by its code": """
        SELECT coupon.id, coupon.code, k.code FROM coupon
        FULL JOIN coupon_code k ON k.code = coupon.code
        WHERE k.coupon_id IS DISTINCT FROM coupon.id OR k.member_id IS DISTINCT FROM coupon.member_id
    """,
    "a coupon is redeemed exactly when one redemption of it stands, or its partner reported its use": """
        WITH standing AS (
            SELECT r.member_id, r.coupon_id, count(*) AS redemptions FROM redemption r
            LEFT JOIN reversal v ON v.member_id = r.member_id AND v.redemption_id = r.id
            WHERE v.id IS NULL GROUP BY r.member_id, r.coupon_id
            UNION ALL
            SELECT member_id, coupon_id, 1 FROM voucher WHERE used_at IS NOT NULL)
        SELECT coalesce(coupon.id, s.coupon_id), coupon.state, s.redemptions
        FROM (SELECT * FROM coupon WHERE state = 'redeemed') coupon
        FULL JOIN standing s ON s.member_id = coupon.member_id AND s.coupon_id = coupon.id
        WHERE s.redemptions IS DISTINCT FROM 1 OR coupon.id IS NULL
    """,
    "every redemption at a counter is found by its id": """
        SELECT coalesce(r.id, k.redemption_id) FROM (SELECT * FROM redemption WHERE way <> 'checkout') r
        FULL JOIN redemption_lookup k ON k.redemption_id = r.id
        WHERE k.member_id IS DISTINCT FROM r.member_id OR k.merchant_id IS DISTINCT FROM r.merchant_id
    """,
    "every reversal undoes a redemption of the same coupon": """
        SELECT v.id FROM reversal v
        LEFT JOIN redemption r ON r.member_id = v.member_id AND r.id = v.redemption_id
        WHERE r.coupon_id IS DISTINCT FROM v.coupon_id OR v.reversed_at < r.redeemed_at
    """,
    "a phone number belongs to one member": """
        SELECT coalesce(member.id, k.member_id) FROM member FULL JOIN member_phone k ON k.phone = member.phone
        WHERE k.member_id IS DISTINCT FROM member.id
    """,
    "a waiting room counts those inside and those at the door right": """
        SELECT s.room_id, s.inside, s.at_door, e.inside, e.at_door
        FROM room_state s
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE entered_at IS NOT NULL) AS inside,
                   count(*) FILTER (WHERE entered_at IS NULL) AS at_door
            FROM room_entry e WHERE e.room_id = s.room_id AND e.round = s.round AND e.ended_at IS NULL) e
        WHERE s.inside <> e.inside OR s.at_door <> e.at_door
    """,
    "a waiting room's calls follow one another without a gap": """
        SELECT c.room_id, c.round, c.first, c.before
        FROM (SELECT room_id, round, first, lag(first + size, 1, 0::bigint)
                     OVER (PARTITION BY room_id ORDER BY first) AS before
              FROM room_call JOIN room_state USING (room_id, round)) c
        WHERE c.first <> c.before
        UNION ALL
        SELECT s.room_id, s.round, s.called, coalesce(sum(c.size), 0)
        FROM room_state s LEFT JOIN room_call c ON c.room_id = s.room_id AND c.round = s.round
        GROUP BY s.room_id HAVING s.called <> coalesce(sum(c.size), 0)
    """,
    "nobody entered a waiting room whose place was never called": """
        SELECT e.room_id, e.round, e.place FROM room_entry e
        JOIN room_state s ON s.room_id = e.room_id AND s.round = e.round
        WHERE e.place >= s.joined OR (s.state = 'queueing' AND e.place >= s.called)
    """,
    **SALES_CHECKS,
    **CART_CHECKS,
}


async def run_audit(
    connection: AsyncConnection, report: Callable[[str, int, int], None] = lambda name, done, total: None
) -> list[Finding]:
    """Run every check in one snapshot.

    Args:
        report: told the name of each check before it runs, with how many are done of how many.
    """
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    findings = []
    for done, (name, statement) in enumerate(CHECKS.items()):
        report(name, done, len(CHECKS))
        started = time.perf_counter()
        counted = text(
            f"SELECT count(*) OVER (), breach.* FROM ({statement}) AS breach LIMIT {EXAMPLES_PER_FINDING}"  # noqa: S608
        )
        rows = (await connection.execute(counted)).all()
        examples = [" · ".join(str(value) for value in row[1:]) for row in rows]
        findings.append(Finding(name, rows[0][0] if rows else 0, examples, time.perf_counter() - started))
    report("", len(CHECKS), len(CHECKS))
    return findings
