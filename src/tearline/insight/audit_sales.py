"""The checks of pools and sales, each one statement that returns the rows in breach; run by ``insight.audit``."""

from __future__ import annotations

SALES_CHECKS: dict[str, str] = {
    "a pool counts its codes right": """
        SELECT coalesce(pool.id, c.pool_id), pool.size, c.size, pool.available, c.available, pool.reserved, c.reserved,
               pool.sold, c.sold, pool.withdrawn, c.withdrawn, pool.void, c.void
        FROM (SELECT * FROM code_pool WHERE size > 0) pool
        FULL JOIN (
            SELECT pool_id, count(*) AS size, max(position) AS last,
                   count(*) FILTER (WHERE state = 'available') AS available,
                   count(*) FILTER (WHERE state = 'reserved') AS reserved,
                   count(*) FILTER (WHERE state = 'sold') AS sold,
                   count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn,
                   count(*) FILTER (WHERE state = 'void') AS void
            FROM partner_code GROUP BY pool_id) c ON c.pool_id = pool.id
        WHERE (pool.size, pool.size - 1, pool.available, pool.reserved, pool.sold, pool.withdrawn, pool.void)
              IS DISTINCT FROM (c.size, c.last, c.available, c.reserved, c.sold, c.withdrawn, c.void)
    """,
    "a pool's codes that came back are those available before its next position": """
        SELECT coalesce(free.pool_id, r.pool_id), coalesce(free.position, r.position), free.position, r.position
        FROM (SELECT c.pool_id, c.position FROM partner_code c JOIN code_pool pool ON pool.id = c.pool_id
              WHERE c.state = 'available' AND c.position < pool.next_position) free
        FULL JOIN returned_code r ON r.pool_id = free.pool_id AND r.position = free.position
        WHERE free.pool_id IS NULL OR r.pool_id IS NULL
    """,
    "no code from a pool's next position on was ever given out": """
        SELECT c.pool_id, c.position, c.state FROM partner_code c JOIN code_pool pool ON pool.id = c.pool_id
        WHERE c.position >= pool.next_position AND c.state IN ('reserved', 'sold')
    """,
    "every code that is reserved or sold belongs to one order, and every order has its codes": """
        SELECT coalesce(o.id, c.order_id), o.state, c.pool_id, c.position, c.state
        FROM (SELECT id, member_id, pool_id, state, unnest(positions) AS position FROM voucher_order) o
        FULL JOIN (SELECT * FROM partner_code WHERE state IN ('reserved', 'sold') OR order_id IS NOT NULL) c
             ON c.pool_id = o.pool_id AND c.position = o.position
        WHERE c.order_id IS DISTINCT FROM o.id OR c.member_id IS DISTINCT FROM o.member_id
              OR NOT (o.state = 'reserved' AND c.state = 'reserved' OR o.state = 'paid' AND c.state IN ('sold', 'void'))
        UNION ALL
        SELECT id, state, pool_id, cardinality(positions), quantity::text FROM voucher_order
        WHERE cardinality(positions)
              <> CASE WHEN pool_id IS NOT NULL AND state IN ('reserved', 'paid') THEN quantity ELSE 0 END
    """,
    "a paid order has its coupons, and no other order has any": """
        SELECT coalesce(o.id, c.order_id), o.state, o.quantity, c.coupons
        FROM (SELECT * FROM voucher_order WHERE state = 'paid') o
        FULL JOIN (SELECT member_id, order_id, min(offer_id::text) AS offer_id, count(*) AS coupons FROM coupon
                   WHERE order_id IS NOT NULL GROUP BY member_id, order_id) c
             ON c.member_id = o.member_id AND c.order_id = o.id
        WHERE o.quantity IS DISTINCT FROM c.coupons OR o.offer_id::text IS DISTINCT FROM c.offer_id
    """,
    "a sold code, its voucher and its coupon name one another": """
        SELECT coalesce(c.coupon_id, v.coupon_id), c.pool_id, c.position, v.pool_id, v.position, coupon.state
        FROM (SELECT * FROM partner_code WHERE coupon_id IS NOT NULL) c
        FULL JOIN voucher v ON v.member_id = c.member_id AND v.coupon_id = c.coupon_id
        LEFT JOIN coupon ON coupon.member_id = v.member_id AND coupon.id = v.coupon_id
        WHERE (c.pool_id, c.position, c.code, c.merchant_id, c.order_id)
              IS DISTINCT FROM (v.pool_id, v.position, v.code, v.merchant_id, v.order_id)
              OR coupon.order_id IS DISTINCT FROM v.order_id OR coupon.state IN ('open', 'held')
    """,
    "only a voucher with a partner's code is sold": """
        SELECT coupon.id, coupon.state FROM coupon
        LEFT JOIN voucher v ON v.member_id = coupon.member_id AND v.coupon_id = coupon.id
        WHERE coupon.state = 'sold' AND v.coupon_id IS NULL
    """,
    "an item counts its orders right, within its quantity": """
        SELECT coalesce(item.id, o.item_id), item.quantity, item.reserved, o.reserved, item.sold, o.sold
        FROM sale_item item
        FULL JOIN (SELECT item_id, sum(quantity) FILTER (WHERE state = 'reserved') AS reserved,
                          sum(quantity) FILTER (WHERE state = 'paid') AS sold
                   FROM voucher_order GROUP BY item_id) o ON o.item_id = item.id
        WHERE item.reserved IS DISTINCT FROM coalesce(o.reserved, 0) OR item.sold IS DISTINCT FROM coalesce(o.sold, 0)
              OR item.reserved + item.sold > item.quantity
    """,
    "a member's purchases count the member's orders": """
        SELECT coalesce(p.member_id, o.member_id), coalesce(p.item_id, o.item_id), p.bought, o.quantity
        FROM (SELECT * FROM purchase WHERE bought > 0) p
        FULL JOIN (SELECT member_id, item_id, campaign_id, sum(quantity) AS quantity FROM voucher_order
                   WHERE state IN ('reserved', 'paid') GROUP BY member_id, item_id, campaign_id) o
             ON o.member_id = p.member_id AND o.item_id = p.item_id AND o.campaign_id = p.campaign_id
        WHERE p.bought IS DISTINCT FROM o.quantity
    """,
    "sales by hour count the paid orders, their revenue and commission": """
        SELECT coalesce(h.item_id, o.item_id), coalesce(h.hour, o.hour), h.vouchers, o.vouchers, h.revenue, o.revenue,
               h.commission, o.commission
        FROM sale_hour h
        FULL JOIN (SELECT item_id, date_trunc('hour', paid_at, 'UTC') AS hour, sum(quantity) AS vouchers,
                          sum(amount) AS revenue, sum(commission) AS commission
                   FROM voucher_order WHERE state = 'paid' GROUP BY 1, 2) o ON o.item_id = h.item_id AND o.hour = h.hour
        WHERE (h.vouchers, h.revenue, h.commission) IS DISTINCT FROM (o.vouchers, o.revenue, o.commission)
    """,
    "an order's amount is its price times its quantity, and its commission is a part of it": """
        SELECT id, quantity, unit_price, amount, commission FROM voucher_order
        WHERE amount <> unit_price * quantity OR commission NOT BETWEEN 0 AND amount
              OR (state = 'paid') <> (paid_at IS NOT NULL)
    """,
    "every order is found by its number": """
        SELECT coalesce(o.id, k.order_id), o.number, k.number FROM voucher_order o
        FULL JOIN order_lookup k ON k.order_id = o.id
        WHERE k.number IS DISTINCT FROM o.number OR k.member_id IS DISTINCT FROM o.member_id
    """,
    "a paid order has one payment, and no other order keeps money": """
        SELECT coalesce(o.id, p.order_id), o.state, p.paid, p.amount
        FROM (SELECT * FROM voucher_order WHERE state = 'paid') o
        FULL JOIN (SELECT member_id, order_id, count(*) AS paid, sum(amount) AS amount FROM payment
                   WHERE state = 'paid' GROUP BY member_id, order_id) p
             ON p.member_id = o.member_id AND p.order_id = o.id
        WHERE p.paid IS DISTINCT FROM 1 OR p.amount IS DISTINCT FROM o.amount
    """,
}
