"""The checks of carts' orders and settlement, each one statement that returns the rows in breach; run by
``insight.audit``."""

from __future__ import annotations

CART_CHECKS: dict[str, str] = {
    "each posting of settlement sums to zero, between one merchant and the platform": """
        SELECT posting_id, sum(amount), count(DISTINCT merchant_id), count(DISTINCT currency) FROM settlement_entry
        GROUP BY posting_id
        HAVING sum(amount) <> 0 OR count(DISTINCT merchant_id) > 1 OR count(DISTINCT currency) > 1
               OR count(DISTINCT occurred_at) > 1
    """,
    "what is booked as paid for an order is its total, and nothing is booked for an order that is not paid": """
        SELECT coalesce(o.id, e.order_id), o.total, e.paid
        FROM (SELECT * FROM cart_order WHERE state = 'paid') o
        FULL JOIN (
            SELECT member_id, order_id, currency, collected_by,
                   coalesce(sum(amount) FILTER (WHERE account = 'customer' AND kind = 'payment'), 0) AS paid
            FROM settlement_entry WHERE kind <> 'adjustment' GROUP BY 1, 2, 3, 4) e
             ON e.member_id = o.member_id AND e.order_id = o.id
        WHERE o.id IS NULL OR o.total <> coalesce(e.paid, 0)
              OR (e.order_id IS NOT NULL AND (e.currency, e.collected_by) IS DISTINCT FROM (o.currency, o.collected_by))
    """,
    "an order's refunds, and what is booked as paid back, are what it says was refunded, within its total": """
        SELECT coalesce(o.id, r.order_id), o.total, o.refunded, r.amount, e.amount
        FROM cart_order o
        FULL JOIN (SELECT member_id, order_id, sum(amount) AS amount FROM cart_refund GROUP BY 1, 2) r
             ON r.member_id = o.member_id AND r.order_id = o.id
        LEFT JOIN (SELECT member_id, order_id, -sum(amount) AS amount FROM settlement_entry
                   WHERE kind = 'refund' AND account = 'customer' GROUP BY 1, 2) e
             ON e.member_id = o.member_id AND e.order_id = o.id
        WHERE o.id IS NULL OR o.refunded <> coalesce(r.amount, 0) OR o.refunded <> coalesce(e.amount, 0)
              OR o.refunded > o.total
    """,
    "an order that was given back wholly leaves nothing on any account": """
        SELECT e.order_id, e.merchant_id, e.account, sum(e.amount)
        FROM cart_order o
        JOIN settlement_entry e ON e.order_id = o.id AND e.member_id = o.member_id
        WHERE o.state = 'paid'
              AND NOT jsonb_path_exists(o.remaining, '$.lines[*] ? (@.quantity > 0)')
              AND NOT jsonb_path_exists(o.remaining, '$.parcels[*] ? (@.quantity > 0)')
        GROUP BY e.order_id, e.merchant_id, e.account HAVING sum(e.amount) <> 0
    """,
    "a paid order has used its coupons, until a refund gave them back": """
        SELECT o.number, c.coupon_id, o.state, c.outcome, r.order_id, v.id
        FROM cart_order_coupon c
        LEFT JOIN cart_order o ON o.member_id = c.member_id AND o.id = c.order_id
        LEFT JOIN redemption r ON r.member_id = c.holder_id AND r.id = c.redemption_id
        LEFT JOIN reversal v ON v.member_id = c.holder_id AND v.redemption_id = c.redemption_id
        LEFT JOIN coupon ON coupon.member_id = c.holder_id AND coupon.id = c.coupon_id
        WHERE o.id IS NULL
              OR (o.state = 'paid') <> (c.redemption_id IS NOT NULL)
              OR (c.redemption_id IS NOT NULL
                  AND (r.order_id, r.coupon_id) IS DISTINCT FROM (c.order_id, c.coupon_id))
              OR (c.outcome IS NOT NULL AND o.state <> 'paid')
              OR (c.outcome IN ('returned', 'reissued')) IS TRUE <> (v.id IS NOT NULL)
              OR (o.state = 'paid' AND c.outcome IS NULL AND coupon.state IS DISTINCT FROM 'redeemed')
    """,
    "every redemption at a checkout is of an order that used the coupon": """
        SELECT r.id, r.order_id, r.coupon_id FROM redemption r
        LEFT JOIN cart_order_coupon c
             ON c.holder_id = r.member_id AND c.coupon_id = r.coupon_id AND c.redemption_id = r.id
        WHERE r.way = 'checkout' AND c.order_id IS DISTINCT FROM r.order_id
    """,
    "a coupon that an order keeps has the hold of that order, which is not paid": """
        SELECT coupon.id, coupon.hold_id, h.order_id, c.order_id, o.state
        FROM coupon
        LEFT JOIN coupon_hold h ON h.id = coupon.hold_id
        LEFT JOIN cart_order_coupon c
             ON c.holder_id = coupon.member_id AND c.coupon_id = coupon.id AND c.hold_id = coupon.hold_id
        LEFT JOIN cart_order o ON o.member_id = c.member_id AND o.id = c.order_id
        WHERE coupon.state = 'held' AND (h.order_id IS NOT NULL OR c.order_id IS NOT NULL)
              AND ((h.order_id, h.coupon_id) IS DISTINCT FROM (c.order_id, coupon.id)
                   OR o.state IS DISTINCT FROM 'open')
    """,
    "every order of a cart is found by its number": """
        SELECT coalesce(o.id, k.order_id), o.number, k.number FROM cart_order o
        FULL JOIN cart_order_lookup k ON k.member_id = o.member_id AND k.order_id = o.id
        WHERE k.number IS DISTINCT FROM o.number
    """,
    "a coupon is used by one order at the most": """
        SELECT c.holder_id, c.coupon_id, count(*) FROM cart_order_coupon c
        JOIN cart_order o ON o.member_id = c.member_id AND o.id = c.order_id
        WHERE o.state = 'paid' AND c.outcome IS NULL
        GROUP BY c.holder_id, c.coupon_id HAVING count(*) > 1
    """,
}
