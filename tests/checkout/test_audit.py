"""The audit's checks of carts: each finds the breach that it is there for."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tearline.checkout.actions import pay_order, place_order
from tearline.checkout.entries import adjust
from tearline.checkout.refunding import refund_order
from tearline.core.refunds import EVERYTHING, Wish
from tearline.core.roles import SYSTEM
from tearline.db import Database, transaction
from tearline.insight.audit import run_audit
from tearline.insight.audit_carts import CART_CHECKS
from tests.cart_worlds import CartWorld, make_cart_world

pytestmark = pytest.mark.anyio

SUMS = "each posting of settlement sums to zero, between one merchant and the platform"
PAID = "what is booked as paid for an order is its total, and nothing is booked for an order that is not paid"
REFUNDED = (
    "an order's refunds, and what is booked as paid back, are what it says was refunded, within its total"
)
NOTHING_LEFT = "an order that was given back wholly leaves nothing on any account"
USED = "a paid order has used its coupons, until a refund gave them back"
REDEEMED = "every redemption at a checkout is of an order that used the coupon"
HELD = "a coupon that an order keeps has the hold of that order, which is not paid"
FOUND = "every order of a cart is found by its number"
ONCE = "a coupon is used by one order at the most"

OF = "(SELECT id FROM cart_order WHERE reference = '{}')"
STANDING, GIVEN_BACK, OPEN = OF.format("standing"), OF.format("given back"), OF.format("open")
BREACHES = [
    (SUMS, "UPDATE settlement_entry SET amount = amount + 1 WHERE account = 'platform' AND kind = 'payment'"),
    (
        SUMS,
        "UPDATE settlement_entry SET amount = amount + 1 WHERE account = 'platform' AND kind = 'adjustment'",
    ),
    (SUMS, "UPDATE settlement_entry SET currency = 'THB' WHERE account = 'customer'"),
    (SUMS, "UPDATE settlement_entry SET merchant_id = gen_random_uuid() WHERE account = 'merchant'"),
    (SUMS, "UPDATE settlement_entry SET occurred_at = now() WHERE account = 'merchant'"),
    (PAID, f"DELETE FROM settlement_entry WHERE order_id = {STANDING}"),
    (PAID, f"UPDATE cart_order SET total = total + 1 WHERE id = {STANDING}"),
    (PAID, f"UPDATE settlement_entry SET order_id = {OPEN} WHERE order_id = {STANDING}"),
    (PAID, f"UPDATE settlement_entry SET collected_by = 'merchant' WHERE order_id = {STANDING}"),
    (REFUNDED, f"UPDATE cart_order SET refunded = refunded - 1 WHERE id = {STANDING}"),
    (REFUNDED, f"UPDATE cart_refund SET amount = amount + 1 WHERE order_id = {STANDING}"),
    (REFUNDED, "UPDATE cart_refund SET order_id = gen_random_uuid()"),
    (REFUNDED, "DELETE FROM settlement_entry WHERE kind = 'refund'"),
    (REFUNDED, f"UPDATE cart_order SET total = refunded - 1 WHERE id = {STANDING}"),
    (NOTHING_LEFT, f"DELETE FROM settlement_entry WHERE kind = 'refund' AND order_id = {GIVEN_BACK}"),
    (
        NOTHING_LEFT,
        f"UPDATE settlement_entry SET account = 'merchant_discount' WHERE account = 'platform' AND kind = 'refund'"
        f" AND order_id = {GIVEN_BACK}",
    ),
    (USED, "UPDATE redemption SET order_id = gen_random_uuid()"),
    (USED, f"UPDATE cart_order_coupon SET redemption_id = NULL WHERE order_id = {STANDING}"),
    (USED, f"UPDATE cart_order_coupon SET outcome = 'returned' WHERE order_id = {STANDING}"),
    (USED, f"UPDATE cart_order_coupon SET outcome = NULL WHERE order_id = {GIVEN_BACK}"),
    (USED, f"UPDATE cart_order_coupon SET outcome = 'forfeited' WHERE order_id = {OPEN}"),
    (USED, "UPDATE coupon SET state = 'open' WHERE state = 'redeemed'"),
    (USED, "UPDATE cart_order_coupon SET order_id = gen_random_uuid()"),
    (REDEEMED, "DELETE FROM cart_order_coupon"),
    (REDEEMED, f"UPDATE redemption SET order_id = {OPEN}"),
    (HELD, "UPDATE coupon_hold SET order_id = gen_random_uuid()"),
    (HELD, f"DELETE FROM cart_order_coupon WHERE order_id = {OPEN}"),
    (HELD, f"UPDATE cart_order SET state = 'cancelled' WHERE id = {OPEN}"),
    (FOUND, "DELETE FROM cart_order_lookup"),
    (FOUND, "UPDATE cart_order_lookup SET number = number || 'X'"),
    (FOUND, f"DELETE FROM cart_order WHERE id = {OPEN}"),
    (
        ONCE,
        "INSERT INTO cart_order_coupon (member_id, order_id, coupon_id, holder_id, hold_id, redemption_id)"
        f" SELECT member_id, {GIVEN_BACK}, coupon_id, holder_id, hold_id, redemption_id FROM cart_order_coupon"
        f" WHERE order_id = {STANDING}",
    ),
]


def test_every_check_has_a_breach() -> None:
    assert {name for name, _ in BREACHES} == set(CART_CHECKS)


async def test_each_check_finds_its_breach(database: Database) -> None:
    """Orders that stand in part, were given back, and are open; then one thing after another is broken."""
    world = await make_cart_world(database)
    offer_id = await world.offer(funding_platform_basis_points=5_000)
    await ordered(world, offer_id, "standing", Wish(lines={"a": 1}))
    await ordered(world, offer_id, "given back", EVERYTHING)
    await ordered(world, offer_id, "open", None)
    async with transaction(database) as tx:
        await adjust(tx, SYSTEM, world.books, 500, "HKD", "A correction", world.now)
    await world.audited()
    async with transaction(database) as tx:
        await tx.execute(text("ALTER TABLE cart_order DROP CONSTRAINT ck_cart_order_refunded"))
    for name, breach in BREACHES:
        async with database.connection() as connection:
            # Everything that the breach touches is looked at and taken back within one transaction.
            changed = await connection.execute(text(breach))
            assert changed.rowcount, breach
            found = await connection.execute(text(CART_CHECKS[name]))
            assert found.first() is not None, (name, breach)
            await connection.rollback()
    async with database.connection() as connection:
        assert set(CART_CHECKS) <= {finding.name for finding in await run_audit(connection)}


async def ordered(world: CartWorld, offer_id: object, reference: str, wish: Wish | None) -> None:
    """An order of two bowls with a coupon; paid and given back as wished, or left open."""
    await world.coupon(offer_id)  # type: ignore[arg-type]
    async with transaction(world.database) as tx:
        cart = world.cart(world.line("a", 10_000, 2))
        number = (await place_order(tx, cart, world.book, world.now, reference=reference)).number
        if wish is not None:
            await pay_order(tx, SYSTEM, number, world.now, collected_by="platform")
            await refund_order(tx, SYSTEM, number, wish, world.now)
