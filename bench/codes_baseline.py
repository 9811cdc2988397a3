"""The yardstick of selling: the same orders and payments, one at a time, as stored functions of PostgreSQL.

They do what the sale desk does, with the same tables, locks and checks, in one statement each: the quickest way to
sell without committing in groups.
"""

from __future__ import annotations

import psycopg

ORDER_ONE = """
CREATE OR REPLACE FUNCTION bench_order(asked_campaign uuid, asked_item uuid, asked_member uuid, asked_key text,
                                       asked_quantity int)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    the_campaign campaign; the_member member; the_item sale_item; the_pool code_pool; the_offer offer;
    already bigint; positions int[]; fresh int[]; made uuid := gen_random_uuid(); made_number text := '';
    alphabet text := '0123456789ABCDEFGHJKMNPQRSTVWXYZ'; random_bytes bytea := uuid_send(gen_random_uuid());
BEGIN
    SELECT * INTO the_campaign FROM campaign WHERE id = asked_campaign FOR NO KEY UPDATE;
    SELECT * INTO the_item FROM sale_item WHERE id = asked_item;
    SELECT * INTO the_pool FROM code_pool WHERE offer_id = the_item.offer_id FOR NO KEY UPDATE;
    SELECT * INTO the_offer FROM offer WHERE id = the_item.offer_id FOR NO KEY UPDATE;
    SELECT * INTO the_member FROM member WHERE id = asked_member;
    IF NOT FOUND OR the_member.state <> 'active' OR the_member.epoch <> 1 THEN RETURN 'session_ended'; END IF;
    IF EXISTS (SELECT 1 FROM voucher_order WHERE member_id = asked_member AND idempotency_key = asked_key) THEN
        RETURN 'replayed';
    END IF;
    IF the_campaign.state <> 'live' THEN RETURN 'paused'; END IF;
    IF now() < the_campaign.starts_at OR now() >= the_campaign.ends_at THEN RETURN 'ended'; END IF;
    IF asked_quantity > the_item.limit_per_order THEN RETURN 'order_too_large'; END IF;
    SELECT bought INTO already FROM purchase WHERE member_id = asked_member AND item_id = asked_item;
    IF coalesce(already, 0) + asked_quantity > the_item.limit_per_member THEN
        RETURN 'purchase_limit_reached';
    END IF;
    IF the_offer.state <> 'active' OR the_pool.available < asked_quantity
       OR the_item.reserved + the_item.sold + asked_quantity > the_item.quantity THEN
        RETURN 'sold_out';
    END IF;
    SELECT array_agg(position) INTO positions FROM (
        SELECT position FROM returned_code WHERE pool_id = the_pool.id ORDER BY position LIMIT asked_quantity
    ) AS free;
    IF positions IS NOT NULL THEN
        DELETE FROM returned_code WHERE pool_id = the_pool.id AND position = ANY (positions);
    END IF;
    IF coalesce(cardinality(positions), 0) < asked_quantity THEN
        SELECT array_agg(position) INTO fresh FROM (
            SELECT position FROM partner_code
            WHERE pool_id = the_pool.id AND state = 'available' AND position >= the_pool.next_position
                  AND position < the_pool.next_position + asked_quantity + 64
            ORDER BY position LIMIT asked_quantity - coalesce(cardinality(positions), 0)
        ) AS free;
        positions := coalesce(positions, '{}') || fresh;
    END IF;
    UPDATE partner_code SET state = 'reserved', order_id = made, member_id = asked_member
    WHERE pool_id = the_pool.id AND position = ANY (positions);
    FOR place IN 0..9 LOOP
        made_number := made_number || substr(alphabet, 1 + get_byte(random_bytes, place) % 32, 1);
    END LOOP;
    INSERT INTO voucher_order (member_id, id, number, campaign_id, item_id, offer_id, merchant_id, pool_id, quantity,
                               unit_price, face_value, amount, commission, currency, state, positions,
                               idempotency_key, reserved_until, created_at)
    VALUES (asked_member, made, made_number, asked_campaign, asked_item, the_offer.id, the_offer.merchant_id,
            the_pool.id, asked_quantity, the_item.price, the_item.face_value, the_item.price * asked_quantity,
            (the_item.price * asked_quantity * the_item.commission_basis_points + 5000) / 10000,
            the_item.currency, 'reserved', positions, asked_key, now() + interval '35 minutes', now());
    INSERT INTO order_lookup (order_id, number, member_id) VALUES (made, made_number, asked_member);
    INSERT INTO purchase AS held (member_id, item_id, campaign_id, bought)
    VALUES (asked_member, asked_item, asked_campaign, asked_quantity)
    ON CONFLICT (member_id, item_id) DO UPDATE SET bought = held.bought + excluded.bought;
    UPDATE sale_item SET reserved = reserved + asked_quantity WHERE id = asked_item;
    UPDATE code_pool SET available = available - asked_quantity, reserved = reserved + asked_quantity,
                         next_position = greatest(next_position, coalesce(fresh[cardinality(fresh)] + 1, 0))
    WHERE id = the_pool.id;
    RETURN 'reserved';
END $$
"""

SETTLE_ONE = """
CREATE OR REPLACE FUNCTION bench_settle(asked_campaign uuid, asked_member uuid, asked_order uuid, asked_payment uuid)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    the_order voucher_order; the_payment payment; the_offer offer; the_member member; made_coupon uuid; made_code text;
    place int; alphabet text := '0123456789ABCDEFGHJKMNPQRSTVWXYZ'; random_bytes bytea;
BEGIN
    PERFORM 1 FROM campaign WHERE id = asked_campaign FOR NO KEY UPDATE;
    SELECT * INTO the_order FROM voucher_order WHERE member_id = asked_member AND id = asked_order;
    PERFORM 1 FROM code_pool WHERE id = the_order.pool_id FOR NO KEY UPDATE;
    SELECT * INTO the_offer FROM offer WHERE id = the_order.offer_id FOR NO KEY UPDATE;
    SELECT * INTO the_order FROM voucher_order WHERE member_id = asked_member AND id = asked_order FOR NO KEY UPDATE;
    SELECT * INTO the_payment FROM payment WHERE id = asked_payment FOR NO KEY UPDATE;
    SELECT * INTO the_member FROM member WHERE id = asked_member;
    IF the_payment.order_id <> the_order.id OR the_payment.state = 'paid' THEN RETURN 'replayed'; END IF;
    IF the_order.state <> 'reserved' THEN RETURN 'late'; END IF;
    FOREACH place IN ARRAY the_order.positions LOOP
        made_coupon := gen_random_uuid();
        made_code := '';
        random_bytes := uuid_send(gen_random_uuid());
        FOR character IN 0..13 LOOP
            made_code := made_code || substr(alphabet, 1 + get_byte(random_bytes, character) % 32, 1);
        END LOOP;
        INSERT INTO coupon (member_id, id, offer_id, campaign_id, order_id, code, state, valid_from, valid_until,
                            issued_at, changed_at)
        VALUES (asked_member, made_coupon, the_offer.id, asked_campaign, asked_order, made_code, 'sold',
                (the_offer.validity->'period'->>'starts_at')::timestamptz,
                (the_offer.validity->'period'->>'ends_at')::timestamptz, now(), now());
        INSERT INTO coupon_code (code, member_id, coupon_id) VALUES (made_code, asked_member, made_coupon);
        INSERT INTO voucher (member_id, coupon_id, order_id, pool_id, position, merchant_id, code)
        SELECT asked_member, made_coupon, asked_order, pool_id, position, merchant_id, code
        FROM partner_code WHERE pool_id = the_order.pool_id AND position = place;
        UPDATE partner_code SET state = 'sold', coupon_id = made_coupon
        WHERE pool_id = the_order.pool_id AND position = place;
    END LOOP;
    UPDATE voucher_order SET state = 'paid', paid_at = now() WHERE member_id = asked_member AND id = asked_order;
    UPDATE payment SET state = 'paid', charge = 'charge', changed_at = now() WHERE id = asked_payment;
    UPDATE sale_item SET reserved = reserved - the_order.quantity, sold = sold + the_order.quantity
    WHERE id = the_order.item_id;
    UPDATE code_pool SET reserved = reserved - the_order.quantity, sold = sold + the_order.quantity
    WHERE id = the_order.pool_id;
    UPDATE offer SET issued = issued + the_order.quantity WHERE id = the_offer.id;
    INSERT INTO sale_hour AS held (item_id, hour, campaign_id, vouchers, revenue, commission)
    VALUES (the_order.item_id, date_trunc('hour', now()), asked_campaign, the_order.quantity, the_order.amount,
            the_order.commission)
    ON CONFLICT (item_id, hour) DO UPDATE SET vouchers = held.vouchers + excluded.vouchers,
        revenue = held.revenue + excluded.revenue, commission = held.commission + excluded.commission;
    INSERT INTO notice (id, channel, recipient, language, template, values, next_attempt_at, created_at, expires_at)
    VALUES (gen_random_uuid(), 'sms', the_member.phone, the_member.language, 'vouchers_delivered',
            jsonb_build_object('number', the_order.number, 'quantity', the_order.quantity, 'address', '/wallet'),
            now(), now(), now() + interval '1 day');
    RETURN 'paid';
END $$
"""

BEGIN_PAYMENTS = """
INSERT INTO payment (id, order_id, member_id, provider, reference, amount, currency, state, created_at, changed_at,
                     expires_at, refund_tries)
SELECT gen_random_uuid(), o.id, o.member_id, 'test', o.id::text, o.amount, o.currency, 'begun', now(), now(),
       now() + interval '30 minutes', 0
FROM voucher_order o WHERE o.state = 'reserved' AND NOT EXISTS (SELECT 1 FROM payment WHERE payment.order_id = o.id)
"""
"""A payment for each order that has none; made outside the measured time, for the desk and the yardstick alike."""


def prepare_sales(database_url: str) -> None:
    """Create the functions, and number the members so that pgbench can pick one at random."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(ORDER_ONE)
        connection.execute(SETTLE_ONE)
        connection.execute(
            "CREATE TABLE bench_member AS SELECT row_number() OVER (ORDER BY id) AS number, id FROM member"
        )
        connection.execute("ALTER TABLE bench_member ADD PRIMARY KEY (number)")
        connection.execute("CREATE SEQUENCE bench_next")
        connection.execute(
            "CREATE TABLE bench_due (number bigint PRIMARY KEY, member_id uuid, order_id uuid, payment_id uuid)"
        )


def begin_payments(database_url: str) -> None:
    """Begin the payments of all reserved orders, and number them for ``settle_statement``."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(BEGIN_PAYMENTS)
        connection.execute("TRUNCATE bench_due")
        connection.execute("ALTER SEQUENCE bench_next RESTART")
        connection.execute(
            "INSERT INTO bench_due SELECT row_number() OVER (), member_id, order_id, id FROM payment"
            " WHERE state = 'begun'"
        )
        connection.execute("VACUUM ANALYZE bench_due, payment, voucher_order")


def order_statement(campaign_id: object, item_id: object, members: int, run: str) -> str:
    """pgbench's script for one order of a random member with a key of its own."""
    return (
        f"\\set n random(1, {members})\n\\set key random(1, 9000000000000000)\n"
        f"SELECT 1 / (bench_order('{campaign_id}', '{item_id}', (SELECT id FROM bench_member WHERE number = :n),"
        f" '{run}-' || :key, 1) = 'reserved')::int;\n"
    )


def settle_statement(campaign_id: object) -> str:
    """pgbench's script for the next payment of ``bench_due``."""
    return (
        "SELECT nextval('bench_next') AS n \\gset\n"
        f"SELECT 1 / (bench_settle('{campaign_id}', member_id, order_id, payment_id) = 'paid')::int"
        " FROM bench_due WHERE number = :n;\n"
    )
