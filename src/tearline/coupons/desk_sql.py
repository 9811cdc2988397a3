"""The redemption desk's statements: few, set-wise, and sent in two pipelines a batch."""

from __future__ import annotations

# The hot lane's connections forbid whole-table plans, yet a join may still walk an index from end to end. A plan
# that found this cheap while the tables were small must not be kept until they have grown, so each batch is
# planned anew, with the sizes of the day; that costs a millisecond a batch.
SETTINGS = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"

READ_COUPONS = """
SELECT coupon.member_id, coupon.id, coupon.code, coupon.offer_id, coupon.campaign_id, coupon.state,
       coupon.valid_from, coupon.valid_until, coupon.changed_at, coupon.hold_id, coupon.held_until,
       offer.version
FROM (SELECT member_id, coupon_id FROM coupon_code WHERE code = ANY(%s::text[])
      UNION
      SELECT member_id, coupon_id FROM coupon_hold WHERE id = ANY(%s::uuid[])
      UNION
      SELECT redemption.member_id, redemption.coupon_id FROM redemption_lookup
      JOIN redemption ON redemption.member_id = redemption_lookup.member_id
                     AND redemption.id = redemption_lookup.redemption_id
      WHERE redemption_lookup.redemption_id = ANY(%s::uuid[])) AS asked
JOIN coupon ON coupon.member_id = asked.member_id AND coupon.id = asked.coupon_id
JOIN offer ON offer.id = coupon.offer_id
"""

LOCK_COUPONS = READ_COUPONS + "ORDER BY coupon.member_id, coupon.id FOR NO KEY UPDATE OF coupon"
"""Takes all locks of the batch in one order, whoever asks: two desks can't wait for each other.

Under READ COMMITTED each later statement sees all that was committed before the locks were granted.
"""

REDEMPTIONS = """
SELECT redemption.id, redemption.coupon_id, redemption.store_id, redemption.verified,
       redemption.merchant_id, redemption.redeemed_at, reversal.id IS NOT NULL
FROM redemption_lookup
JOIN redemption ON redemption.member_id = redemption_lookup.member_id
               AND redemption.id = redemption_lookup.redemption_id
LEFT JOIN reversal ON reversal.member_id = redemption.member_id AND reversal.redemption_id = redemption.id
WHERE redemption_lookup.redemption_id = ANY(%s::uuid[])
"""

FIRST_ANSWERS = """
SELECT till_request.merchant_id, till_request.request_number, till_request.fingerprint,
       till_request.answer::text
FROM unnest(%s::uuid[], %s::text[]) AS asked (merchant_id, request_number)
JOIN till_request ON till_request.merchant_id = asked.merchant_id
                 AND till_request.request_number = asked.request_number
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
SELECT id, coupon_id, merchant_id, store_id, staff_id, verified
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
