"""The claim desk's statements: few, set-wise, and sent in two round trips a batch."""

from __future__ import annotations

# Read under the lock. The first statement takes the lock; under READ COMMITTED each later one sees all
# that was committed before it was granted.

LOCK_CAMPAIGN = "SELECT version FROM campaign WHERE id = %s FOR NO KEY UPDATE"

PRIZES = "SELECT id, inventory - claimed FROM prize WHERE campaign_id = %s"

LOCK_OFFERS = """
SELECT id, version, issue_limit - issued, limit_per_member, state = 'active'
FROM offer WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

MEMBERS = (
    "SELECT id, epoch, state = 'active', plan, tier, groups, tags FROM member WHERE id = ANY(%s::uuid[])"
)

PARTICIPATION = """
SELECT member_id, prize_id, claimed, day, claimed_on_day
FROM participation WHERE campaign_id = %s AND member_id = ANY(%s::uuid[])
"""

HOLDINGS = """
SELECT member_id, offer_id, issued FROM offer_holding
WHERE member_id = ANY(%s::uuid[]) AND offer_id = ANY(%s::uuid[])
"""

# LATERAL with a LIMIT can only be answered by one look-up for each key; a plain join could be planned, while the
# table is still empty, as a walk through all of it, and that plan would be kept.
REPLAYS = """
SELECT asked.ordinal, made.id, made.campaign_id, made.prize_id, made.claimed_at
FROM unnest(%s::uuid[], %s::text[]) WITH ORDINALITY AS asked (member_id, idempotency_key, ordinal)
CROSS JOIN LATERAL (
    SELECT id, campaign_id, prize_id, claimed_at FROM claim
    WHERE claim.member_id = asked.member_id AND claim.idempotency_key = asked.idempotency_key LIMIT 1
) AS made
"""

REPLAYED_COUPONS = """
SELECT coupon.claim_id, coupon.id, coupon.offer_id, coupon.code, coupon.valid_from, coupon.valid_until
FROM coupon WHERE member_id = ANY(%s::uuid[]) AND claim_id = ANY(%s::uuid[]) ORDER BY id
"""

# Write what was granted.

INSERT_CLAIMS = """
INSERT INTO claim (member_id, id, campaign_id, prize_id, idempotency_key, claimed_at)
SELECT member_id, id, %s, prize_id, idempotency_key, %s
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[]) AS granted (member_id, id, prize_id, idempotency_key)
"""

INSERT_COUPONS = """
INSERT INTO coupon (member_id, id, offer_id, campaign_id, claim_id, code, state, valid_from, valid_until,
                    issued_at, changed_at)
SELECT member_id, id, offer_id, %s, claim_id, code, 'open', valid_from, valid_until, %s, %s
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[])
     AS issued (member_id, id, offer_id, claim_id, code, valid_from, valid_until)
"""

INSERT_CODES = """
INSERT INTO coupon_code (code, member_id, coupon_id)
SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[])
"""

COUNT_PARTICIPATION = """
INSERT INTO participation AS held (member_id, campaign_id, prize_id, claimed, day, claimed_on_day)
SELECT member_id, %s, prize_id, claimed, %s, claimed
FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[]) AS granted (member_id, prize_id, claimed)
ON CONFLICT (member_id, campaign_id, prize_id) DO UPDATE SET
    claimed = held.claimed + excluded.claimed,
    day = excluded.day,
    claimed_on_day = excluded.claimed_on_day + CASE WHEN held.day = excluded.day THEN held.claimed_on_day ELSE 0 END
"""

COUNT_HOLDINGS = """
INSERT INTO offer_holding AS held (member_id, offer_id, issued)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[])
ON CONFLICT (member_id, offer_id) DO UPDATE SET issued = held.issued + excluded.issued
"""

COUNT_PRIZES = """
UPDATE prize SET claimed = prize.claimed + granted.claimed
FROM unnest(%s::uuid[], %s::bigint[]) AS granted (id, claimed) WHERE prize.id = granted.id
"""

COUNT_OFFERS = """
UPDATE offer SET issued = offer.issued + granted.issued
FROM unnest(%s::uuid[], %s::bigint[]) AS granted (id, issued) WHERE offer.id = granted.id
"""

COUNT_HOUR = """
INSERT INTO claim_hour AS held (prize_id, hour, campaign_id, claims)
SELECT prize_id, %s, %s, claims FROM unnest(%s::uuid[], %s::bigint[]) AS granted (prize_id, claims)
ON CONFLICT (prize_id, hour) DO UPDATE SET claims = held.claims + excluded.claims
"""
