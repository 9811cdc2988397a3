"""The redemption desk's statements: few, set-wise, and sent in two round trips a batch."""

from __future__ import annotations

# Look-ups stand in LATERAL subqueries with a LIMIT, which can only be answered by one index look-up for each row; a
# plain join could be planned, while the tables are still empty, as a walk through all of an index, and that
# plan would be kept.

_COUPONS = """
SELECT coupon.member_id, coupon.id, coupon.code, coupon.offer_id, coupon.campaign_id, coupon.state,
       coupon.valid_from, coupon.valid_until, coupon.changed_at, coupon.hold_id, coupon.held_until,
       offer.version
FROM (SELECT member_id, coupon_id FROM coupon_code WHERE code = ANY(%s::text[])
      UNION
      SELECT member_id, coupon_id FROM coupon_hold WHERE id = ANY(%s::uuid[])
      UNION
      SELECT found.member_id, redeemed.coupon_id
      FROM redemption_lookup AS found
      CROSS JOIN LATERAL (
          SELECT coupon_id FROM redemption
          WHERE redemption.member_id = found.member_id AND redemption.id = found.redemption_id LIMIT 1
      ) AS redeemed
      WHERE found.redemption_id = ANY(%s::uuid[])
      ORDER BY member_id, coupon_id) AS asked
CROSS JOIN LATERAL (
    SELECT * FROM coupon WHERE coupon.member_id = asked.member_id AND coupon.id = asked.coupon_id LIMIT 1 {locked}
) AS coupon
CROSS JOIN LATERAL (SELECT version FROM offer WHERE offer.id = coupon.offer_id LIMIT 1) AS offer
"""

LOCK_COUPONS = _COUPONS.format(locked="FOR NO KEY UPDATE")
"""Takes all locks of the batch in the order of member and coupon, whoever asks: two desks can't wait for each
other. Under READ COMMITTED each later statement sees all that was committed before the locks were granted.
"""

READ_COUPONS = _COUPONS.format(locked="")

REDEMPTIONS = """
SELECT redeemed.id, redeemed.coupon_id, redeemed.store_id, redeemed.verified, redeemed.merchant_id,
       redeemed.redeemed_at,
       EXISTS (SELECT 1 FROM reversal
               WHERE reversal.member_id = found.member_id AND reversal.redemption_id = found.redemption_id)
FROM redemption_lookup AS found
CROSS JOIN LATERAL (
    SELECT * FROM redemption
    WHERE redemption.member_id = found.member_id AND redemption.id = found.redemption_id LIMIT 1
) AS redeemed
WHERE found.redemption_id = ANY(%s::uuid[])
"""

FIRST_ANSWERS = """
SELECT asked.merchant_id, asked.request_number, first.fingerprint, first.answer::text
FROM unnest(%s::uuid[], %s::text[]) AS asked (merchant_id, request_number)
CROSS JOIN LATERAL (
    SELECT fingerprint, answer FROM till_request
    WHERE till_request.merchant_id = asked.merchant_id AND till_request.request_number = asked.request_number
    LIMIT 1
) AS first
"""

STORES = """
SELECT store.id, store.merchant_id, store.state = 'active', merchant.state = 'active'
FROM store JOIN merchant ON merchant.id = store.merchant_id WHERE store.id = ANY(%s::uuid[])
"""

OFFERS = """
SELECT id, version, merchant_id, scope, validity, time_zone, redeem_by, store_ids
FROM offer WHERE id = ANY(%s::uuid[])
"""

HOLDS = """
SELECT id, coupon_id, merchant_id, store_id, staff_id, verified, order_id
FROM coupon_hold WHERE id = ANY(%s::uuid[])
"""

# Write what was decided.

CHANGE_COUPONS = """
UPDATE coupon
SET changed_at = %s, state = decided.state, hold_id = decided.hold_id, held_until = decided.held_until
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::timestamptz[])
     AS decided (member_id, id, state, hold_id, held_until)
WHERE coupon.member_id = decided.member_id AND coupon.id = decided.id
"""

INSERT_HOLDS = """
INSERT INTO coupon_hold (held_at, id, member_id, coupon_id, merchant_id, store_id, staff_id, api_key_id,
                         verified)
SELECT %s, decided.* FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
                                 %s::uuid[], %s::text[]) AS decided
"""

INSERT_REDEMPTIONS = """
INSERT INTO redemption (redeemed_at, id, member_id, coupon_id, offer_id, campaign_id, merchant_id, store_id,
                        staff_id, api_key_id, request_number, way, verified)
SELECT %s, decided.* FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
                                 %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[],
                                 %s::text[]) AS decided
"""

INSERT_LOOKUPS = """
INSERT INTO redemption_lookup (redemption_id, member_id, merchant_id)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[])
"""

INSERT_REVERSALS = """
INSERT INTO reversal (reversed_at, id, redemption_id, member_id, coupon_id, merchant_id, staff_id, api_key_id,
                      request_number, reason)
SELECT %s, decided.* FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
                                 %s::uuid[], %s::text[], %s::text[]) AS decided
"""

INSERT_ANSWERS = """
INSERT INTO till_request (created_at, merchant_id, request_number, fingerprint, answer)
SELECT %s, merchant_id, request_number, decode(fingerprint, 'hex'), answer::jsonb
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[])
     AS decided (merchant_id, request_number, fingerprint, answer)
"""
"""In the order of their keys. A number that was used meanwhile breaks the batch, which is run again."""
