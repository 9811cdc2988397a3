"""The audit's checks of pools and sales: each finds the breach that it is there for."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tearline.db import Database, transaction
from tearline.insight.audit import run_audit
from tearline.insight.audit_sales import SALES_CHECKS
from tearline.sales.desk import SaleDesk
from tests.sale_worlds import assert_clean, make_sale, order, settle

pytestmark = pytest.mark.anyio

BREACHES = [
    ("a pool counts its codes right", "UPDATE code_pool SET available = available - 1, void = void + 1"),
    ("a pool counts its codes right", "UPDATE partner_code SET position = 99 WHERE position = 11"),
    (
        "a pool's codes that came back are those available before its next position",
        "DELETE FROM returned_code WHERE position = 4",
    ),
    (
        "a pool's codes that came back are those available before its next position",
        "INSERT INTO returned_code SELECT pool_id, 11 FROM partner_code LIMIT 1",
    ),
    ("no code from a pool's next position on was ever given out", "UPDATE code_pool SET next_position = 2"),
    (
        "every code that is reserved or sold belongs to one order, and every order has its codes",
        "UPDATE partner_code SET order_id = gen_random_uuid() WHERE position = 2",
    ),
    (
        "every code that is reserved or sold belongs to one order, and every order has its codes",
        "UPDATE voucher_order SET positions = '{0,0}' WHERE positions = '{0,1}'",
    ),
    (
        "every code that is reserved or sold belongs to one order, and every order has its codes",
        "UPDATE partner_code SET order_id = (SELECT id FROM voucher_order LIMIT 1) WHERE position = 11",
    ),
    ("a paid order has its coupons, and no other order has any", "UPDATE coupon SET order_id = NULL"),
    (
        "a paid order has its coupons, and no other order has any",
        "UPDATE coupon SET order_id = (SELECT id FROM voucher_order WHERE state = 'reserved')",
    ),
    (
        "a sold code, its voucher and its coupon name one another",
        "UPDATE voucher SET code = code || 'X' WHERE position = 0",
    ),
    ("a sold code, its voucher and its coupon name one another", "DELETE FROM voucher WHERE position = 0"),
    ("a sold code, its voucher and its coupon name one another", "UPDATE coupon SET state = 'open'"),
    ("only a voucher with a partner's code is sold", "DELETE FROM voucher WHERE position = 0"),
    ("an item counts its orders right, within its quantity", "UPDATE sale_item SET reserved = reserved + 1"),
    ("an item counts its orders right, within its quantity", "UPDATE sale_item SET sold = sold - 1"),
    ("an item counts its orders right, within its quantity", "UPDATE sale_item SET quantity = 3"),
    ("a member's purchases count the member's orders", "UPDATE purchase SET bought = bought + 1"),
    ("a member's purchases count the member's orders", "DELETE FROM purchase"),
    (
        "sales by hour count the paid orders, their revenue and commission",
        "UPDATE sale_hour SET commission = commission + 1",
    ),
    (
        "sales by hour count the paid orders, their revenue and commission",
        "UPDATE sale_hour SET hour = hour - interval '1 hour'",
    ),
    (
        "an order's amount is its price times its quantity, and its commission is a part of it",
        "UPDATE voucher_order SET amount = amount + 1 WHERE state = 'reserved'",
    ),
    (
        "an order's amount is its price times its quantity, and its commission is a part of it",
        "UPDATE voucher_order SET commission = amount + 1",
    ),
    ("every order is found by its number", "UPDATE order_lookup SET number = number || 'X'"),
    ("every order is found by its number", "DELETE FROM order_lookup"),
    ("a paid order has one payment, and no other order keeps money", "UPDATE payment SET state = 'failed'"),
    (
        "a paid order has one payment, and no other order keeps money",
        "UPDATE payment SET amount = amount - 1",
    ),
    (
        "a paid order has one payment, and no other order keeps money",
        "UPDATE payment SET order_id = (SELECT id FROM voucher_order WHERE state = 'reserved')",
    ),
]


def test_every_check_has_a_breach() -> None:
    assert {name for name, _ in BREACHES} == set(SALES_CHECKS)


async def test_each_check_finds_its_breach(database: Database) -> None:
    """A pool with codes sold, reserved, returned and never given out; then one thing after another is broken."""
    sale = await make_sale(database, codes=(12,), members=3)
    desk = SaleDesk(database)
    paid, _reserved = await order(desk, sale, 0, 2), await order(desk, sale, 1, 2)
    returned = await order(desk, sale, 2, 3)
    await settle(database, desk, sale, 0, paid)
    await desk.release(sale.code, sale.members[2], returned.order_id, "failed")
    await assert_clean(database)
    async with transaction(database) as tx:
        for constraint in ("ck_sale_item_counts", "ck_sale_item_quantity"):
            await tx.execute(text(f"ALTER TABLE sale_item DROP CONSTRAINT {constraint}"))
    for name, breach in BREACHES:
        async with database.connection() as connection:
            # Everything that the breach touches is looked at and taken back within one transaction.
            await connection.execute(text(breach))
            found = await connection.execute(text(SALES_CHECKS[name]))
            assert found.first() is not None, (name, breach)
            await connection.rollback()
    async with database.connection() as connection:
        assert set(SALES_CHECKS) <= {finding.name for finding in await run_audit(connection)}
