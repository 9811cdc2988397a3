"""The sale desk's statements: few, set-wise, and sent in two round trips a batch."""

from __future__ import annotations

# Read under the locks. The first statement takes the sale's lock; under READ COMMITTED each later one sees all that
# was committed before it was granted. Look-ups of a table that grows stand in LATERAL subqueries with a LIMIT,
# which can only be answered by one index look-up for each row.

LOCK_CAMPAIGN = "SELECT version FROM campaign WHERE id = %s FOR NO KEY UPDATE"

ITEMS = "SELECT id, quantity, reserved, sold FROM sale_item WHERE campaign_id = %s"
"""Guarded by the sale's lock, which whoever changes an item holds."""

LOCK_POOLS = """
SELECT offer_id, id, available, next_position, size FROM code_pool
WHERE offer_id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

LOCK_OFFERS = """
SELECT id, version, state = 'active', issue_limit - issued
FROM offer WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

RESERVED_ELSEWHERE = """
SELECT offer_id, sum(reserved)::bigint FROM sale_item
WHERE offer_id = ANY(%s::uuid[]) AND campaign_id <> %s GROUP BY offer_id
"""
"""Of offers with an issue limit: what other sales have reserved. Guarded by the offers' locks."""

LOCK_ORDERS = """
SELECT made.member_id, made.id, made.number, made.item_id, made.offer_id, made.pool_id, made.quantity, made.amount,
       made.commission, made.state, made.positions, made.reserved_until
FROM (
    SELECT DISTINCT member_id, id FROM unnest(%s::uuid[], %s::uuid[]) AS asked (member_id, id)
    ORDER BY member_id, id
) AS asked
CROSS JOIN LATERAL (
    SELECT * FROM voucher_order
    WHERE voucher_order.member_id = asked.member_id AND voucher_order.id = asked.id
    ORDER BY id LIMIT 1 FOR NO KEY UPDATE
) AS made
WHERE made.campaign_id = %s
"""
"""The sale is asked for outside: inside, its index would do as well while there are few orders, and then no more."""

LOCK_PAYMENTS = """
SELECT id, order_id, state FROM payment WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

MEMBERS = """
SELECT id, epoch, state = 'active', phone, language, plan, tier, groups, tags
FROM member WHERE id = ANY(%s::uuid[])
"""

PURCHASES = """
SELECT member_id, item_id, bought FROM purchase
WHERE member_id = ANY(%s::uuid[]) AND item_id = ANY(%s::uuid[])
"""

HOLDINGS = """
SELECT member_id, offer_id, issued FROM offer_holding
WHERE member_id = ANY(%s::uuid[]) AND offer_id = ANY(%s::uuid[])
UNION ALL
SELECT member_id, offer_id, quantity FROM voucher_order
WHERE member_id = ANY(%s::uuid[]) AND offer_id = ANY(%s::uuid[]) AND state || '' = 'reserved'
"""
"""Of offers with a limit per member: what members were issued, and what they are buying. The state is disguised, so
that these members' orders are looked at, and not everybody's that are reserved, which have an index of their own."""

REPLAYS = """
SELECT asked.ordinal, made.id, made.number, made.campaign_id, made.item_id, made.quantity, made.amount, made.currency,
       made.state, made.reserved_until
FROM unnest(%s::uuid[], %s::text[]) WITH ORDINALITY AS asked (member_id, idempotency_key, ordinal)
CROSS JOIN LATERAL (
    SELECT * FROM voucher_order
    WHERE voucher_order.member_id = asked.member_id AND voucher_order.idempotency_key = asked.idempotency_key
    LIMIT 1
) AS made
"""

RETURNED = """
SELECT asked.offer_id, free.position
FROM unnest(%s::uuid[], %s::int[]) AS asked (offer_id, wanted)
CROSS JOIN LATERAL (SELECT id FROM code_pool WHERE code_pool.offer_id = asked.offer_id LIMIT 1) AS pool
CROSS JOIN LATERAL (
    SELECT position FROM returned_code WHERE returned_code.pool_id = pool.id ORDER BY position LIMIT asked.wanted
) AS free
"""

FRESH = """
SELECT asked.offer_id, free.position
FROM unnest(%s::uuid[], %s::int[]) AS asked (offer_id, wanted)
CROSS JOIN LATERAL (
    SELECT id, next_position + %s::bigint AS since, next_position + %s::bigint AS before
    FROM code_pool WHERE code_pool.offer_id = asked.offer_id LIMIT 1
) AS pool
CROSS JOIN LATERAL (
    SELECT position FROM partner_code
    WHERE partner_code.pool_id = pool.id AND state = 'available'
          AND position >= pool.since AND position < pool.before
    ORDER BY position LIMIT asked.wanted
) AS free
"""
"""Codes that were never given out, within a stretch that is counted from the pool's next position: so the cost
does not depend on the pool's size, whatever plan is chosen."""

BOUGHT_COUPONS = """
SELECT order_id, id FROM coupon WHERE member_id = ANY(%s::uuid[]) AND order_id = ANY(%s::uuid[]) ORDER BY id
"""

# Write what was decided.

INSERT_ORDERS = """
INSERT INTO voucher_order (campaign_id, created_at, state, reserved_until, member_id, id, number, item_id, offer_id,
                           merchant_id, pool_id, quantity, unit_price, face_value, amount, commission, currency,
                           idempotency_key, positions)
SELECT %s, %s, 'reserved', %s, member_id, id, number, item_id, offer_id, merchant_id, pool_id, quantity, unit_price,
       face_value, amount, commission, currency, idempotency_key, positions::int[]
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[])
     AS taken (member_id, id, number, item_id, offer_id, merchant_id, pool_id, quantity, unit_price, face_value,
               amount, commission, currency, idempotency_key, positions)
"""

INSERT_LOOKUPS = """
INSERT INTO order_lookup (order_id, number, member_id) SELECT * FROM unnest(%s::uuid[], %s::text[], %s::uuid[])
"""
"""A number that was drawn before breaks the batch, which is run again with others."""

CHANGE_ORDERS = """
UPDATE voucher_order
SET state = decided.state, positions = decided.positions::int[],
    paid_at = CASE WHEN decided.state = 'paid' THEN %s::timestamptz ELSE paid_at END,
    released_at = CASE WHEN decided.reason IS NULL THEN released_at ELSE %s::timestamptz END,
    release_reason = coalesce(decided.reason, release_reason)
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[])
     AS decided (member_id, id, state, reason, positions)
WHERE voucher_order.member_id = decided.member_id AND voucher_order.id = decided.id
"""

CHANGE_CODES = """
UPDATE partner_code
SET state = decided.state, order_id = decided.order_id, member_id = decided.member_id,
    coupon_id = decided.coupon_id
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::uuid[], %s::uuid[], %s::uuid[])
     AS decided (pool_id, position, state, order_id, member_id, coupon_id)
WHERE partner_code.pool_id = decided.pool_id AND partner_code.position = decided.position
"""

TAKE_RETURNED = """
DELETE FROM returned_code USING unnest(%s::uuid[], %s::int[]) AS taken (pool_id, position)
WHERE returned_code.pool_id = taken.pool_id AND returned_code.position = taken.position
"""

GIVE_BACK = """
INSERT INTO returned_code (pool_id, position) SELECT * FROM unnest(%s::uuid[], %s::int[])
"""

CHANGE_PURCHASES = """
INSERT INTO purchase (campaign_id, member_id, item_id, bought)
SELECT %s, member_id, item_id, bought FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[])
     AS decided (member_id, item_id, bought)
ON CONFLICT (member_id, item_id) DO UPDATE SET bought = excluded.bought
"""

COUNT_ITEMS = """
UPDATE sale_item SET reserved = sale_item.reserved + decided.reserved, sold = sale_item.sold + decided.sold
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS decided (id, reserved, sold) WHERE sale_item.id = decided.id
"""

COUNT_POOLS = """
UPDATE code_pool
SET available = code_pool.available + decided.available, reserved = code_pool.reserved + decided.reserved,
    sold = code_pool.sold + decided.sold, next_position = decided.next_position
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
     AS decided (id, available, reserved, sold, next_position)
WHERE code_pool.id = decided.id
"""

COUNT_OFFERS = """
UPDATE offer SET issued = offer.issued + sold.issued
FROM unnest(%s::uuid[], %s::bigint[]) AS sold (id, issued) WHERE offer.id = sold.id
"""

COUNT_HOLDINGS = """
INSERT INTO offer_holding AS held (member_id, offer_id, issued)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[])
ON CONFLICT (member_id, offer_id) DO UPDATE SET issued = held.issued + excluded.issued
"""

COUNT_HOUR = """
INSERT INTO sale_hour AS held (hour, campaign_id, item_id, vouchers, revenue, commission)
SELECT %s, %s, sold.* FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[]) AS sold
ON CONFLICT (item_id, hour) DO UPDATE SET vouchers = held.vouchers + excluded.vouchers,
    revenue = held.revenue + excluded.revenue, commission = held.commission + excluded.commission
"""

INSERT_COUPONS = """
INSERT INTO coupon (campaign_id, issued_at, changed_at, member_id, id, offer_id, order_id, code, state, valid_from,
                    valid_until)
SELECT %s, %s, %s, sold.* FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[],
                                      %s::timestamptz[], %s::timestamptz[]) AS sold
"""

INSERT_CODES = """
INSERT INTO coupon_code (code, member_id, coupon_id) SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[])
"""

INSERT_VOUCHERS = """
INSERT INTO voucher (member_id, coupon_id, order_id, pool_id, position, merchant_id, code)
SELECT sold.*, partner.merchant_id, partner.code
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::int[])
     AS sold (member_id, coupon_id, order_id, pool_id, position)
CROSS JOIN LATERAL (
    SELECT merchant_id, code FROM partner_code
    WHERE partner_code.pool_id = sold.pool_id AND partner_code.position = sold.position LIMIT 1
) AS partner
"""

CHANGE_PAYMENTS = """
UPDATE payment
SET state = decided.state, charge = coalesce(decided.charge, payment.charge), changed_at = %s,
    refund_after = CASE WHEN decided.state = 'refund_due' THEN %s::timestamptz END
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS decided (id, state, charge)
WHERE payment.id = decided.id
"""

INSERT_NOTICES = """
INSERT INTO notice (channel, next_attempt_at, created_at, expires_at, id, recipient, language, template, values)
SELECT %s, %s, %s, %s, id, recipient, language, template, values::jsonb
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[])
     AS told (id, recipient, language, template, values)
"""
