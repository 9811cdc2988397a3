"""What may be asked about sales: the public page, members' orders, the operator's lists, vouchers by code, figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.dialects import postgresql

from tearline.campaigns.model import Campaign
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor, command_actor
from tearline.coupons.model import Coupon
from tearline.db import Database, new_id, transaction
from tearline.sales import reads
from tearline.sales.desk import SaleDesk
from tearline.sales.figures import sale_figures, sale_hours
from tearline.sales.model import Voucher, VoucherOrder
from tests.sale_worlds import FACE_VALUE, PRICE, begin_payment, make_sale, order, settle

pytestmark = pytest.mark.anyio

OPERATOR = command_actor("operator")
HOUR = timedelta(hours=1)


async def test_a_sales_page_says_what_is_left(database: Database) -> None:
    sale = await make_sale(
        database, codes=(10, None), item={"quantity": 8}, offer={"issue_limit": 9, "currency": "THB"}
    )
    desk = SaleDesk(database)
    await order(desk, sale, 0, 3)
    await settle(database, desk, sale, 1, await order(desk, sale, 1, 2))
    now = datetime.now(UTC)
    async with database.connection() as connection:
        page = await reads.sale_page(connection, " vouchers-1 ", now)
        pages = await reads.sale_pages(connection, now)
        stock = await reads.guarded_stock(connection, [sale.campaign_id])
        bought = await reads.bought_by(connection, sale.members[0], sale.campaign_id)
    assert pages == [page]
    first, second = page.items
    assert (first.price, first.face_value, first.currency) == (PRICE, FACE_VALUE, "THB")
    assert (first.reserved, first.sold, first.left, first.pool_id) == (3, 2, 3, sale.pools[0])
    assert (second.left, second.pool_id) == (8, None)
    assert (page.left, page.is_open, page.window) == (11, True, "running")
    assert (stock.left, stock.claimed) == (11, 5)
    assert bought == {sale.items[0]: 3}
    async with transaction(database) as tx:
        await tx.execute(update(Campaign).values(state="draft"))
    async with database.connection() as connection:
        with pytest.raises(Refusal):
            await reads.sale_page(connection, sale.code, now)
        assert (await reads.guarded_stock(connection, [sale.campaign_id])).left == 0


async def test_no_more_is_left_than_the_offers_issue_limit(database: Database) -> None:
    sale = await make_sale(database, codes=(10,), offer={"issue_limit": 4})
    await order(SaleDesk(database), sale, 0)
    async with database.connection() as connection:
        page = await reads.sale_page(connection, sale.code, datetime.now(UTC))
    assert page.left == 3


async def test_a_member_sees_their_own_orders_only(database: Database) -> None:
    sale = await make_sale(database)
    desk = SaleDesk(database)
    first, second = await order(desk, sale, 0, 2), await order(desk, sale, 0)
    payment_id = await begin_payment(database, sale, 0, first)
    async with database.connection() as connection:
        view = await reads.order_of(connection, sale.members[0], first.order_id)
    assert (view.state, view.payment_id, view.payment_state) == ("reserved", payment_id, "begun")
    assert (view.campaign_code, view.offer_names, view.coupon_ids) == (sale.code, {"en": "HK$50 off"}, ())
    settled = await settle(database, desk, sale, 0, first, payment_id)
    async with database.connection() as connection:
        view = await reads.order_of(connection, sale.members[0], first.order_id)
        listed = await reads.member_orders(connection, sale.members[0])
        with pytest.raises(Refusal):
            await reads.order_of(connection, sale.members[1], first.order_id)
        assert await reads.member_orders(connection, sale.members[1]) == []
        assert await reads.member_of_order(connection, first.order_id) == sale.members[0]
    assert (view.state, list(view.coupon_ids)) == ("paid", settled.coupon_ids)
    assert [one.id for one in listed] == [second.order_id, first.order_id]


async def test_orders_are_listed_to_the_operator_and_to_their_merchant(database: Database) -> None:
    sale = await make_sale(database)
    taken = await order(SaleDesk(database), sale)
    ours = Actor("staff", new_id(), "Mei", PERMISSIONS["manager"], sale.merchant_id)
    theirs = Actor("staff", new_id(), "Rex", PERMISSIONS["manager"], new_id())
    cashier = Actor("staff", new_id(), "Cai", PERMISSIONS["cashier"], sale.merchant_id)
    async with database.connection() as connection:
        [row] = await connection.execute(reads.orders(OPERATOR, campaign_id=sale.campaign_id))
        assert (row.number, row.member_phone) == (taken.number, "+85260000000")
        [row] = await connection.execute(reads.orders(ours))
        assert (row.number, row.member_phone) == (taken.number, None)
        assert (await connection.execute(reads.orders(theirs))).all() == []
        [row] = await reads.find_orders(connection, OPERATOR, f" {taken.number.lower()} ")
        assert row.id == taken.order_id
        assert await reads.find_orders(connection, theirs, taken.number) == []
    with pytest.raises(Refusal):
        reads.orders(cashier)


async def test_a_voucher_is_found_by_either_code_and_by_its_order(database: Database) -> None:
    sale = await make_sale(database, codes=(10, None))
    desk = SaleDesk(database)
    first, second = await order(desk, sale, 0, 2), await order(desk, sale, 1, item=1)
    await order(desk, sale, 2)
    await settle(database, desk, sale, 0, first)
    await settle(database, desk, sale, 1, second)
    theirs = Actor("staff", new_id(), "Rex", PERMISSIONS["manager"], new_id())
    async with database.connection() as connection:
        vouchers = (await connection.execute(select(Voucher).order_by(Voucher.position))).all()
        coupons = {row.id: row for row in await connection.execute(select(Coupon))}
        for voucher in vouchers:
            ours = coupons[voucher.coupon_id].code
            for text in (voucher.code, f" {voucher.code} ", ours, ours.lower(), f"{ours[:5]}-{ours[5:]}"):
                [found] = await reads.find_voucher(connection, OPERATOR, text)
                assert (found.coupon_id, found.partner_code, found.code, found.state) == (
                    voucher.coupon_id,
                    voucher.code,
                    ours,
                    "sold",
                )
                assert (found.number, found.member_id) == (first.number, sale.members[0])
                assert await reads.find_voucher(connection, theirs, text) == []
        assert len(await reads.find_voucher(connection, OPERATOR, first.number)) == 2
        [of_ours] = await reads.find_voucher(connection, OPERATOR, second.number)
        assert (of_ours.partner_code, of_ours.state) == (None, "open")
        # A code that is still reserved is no voucher yet.
        for text in ("0" * 19 + "2", "", "nothing", "x" * 300, "\0"):
            assert await reads.find_voucher(connection, OPERATOR, text) == []


async def test_the_figures_of_a_sale_add_up(database: Database) -> None:
    sale = await make_sale(database, codes=(100, None))
    now = datetime.now(UTC).replace(minute=30)
    for hours, quantity, item in ((26, 4, 0), (3, 3, 0), (3, 2, 1), (0, 5, 0)):
        desk = SaleDesk(database, clock=lambda hours=hours: now - hours * HOUR)
        await settle(database, desk, sale, 0, await order(desk, sale, 0, quantity, item=item))
    await order(SaleDesk(database, clock=lambda: now), sale, 1, 8)
    async with database.connection() as connection:
        figures = await sale_figures(connection, OPERATOR, sale.campaign_id, now)
        hours = await sale_hours(connection, figures, now)
    first, second = figures.items
    assert (first.uploaded, first.available, first.reserved, first.sold, first.left) == (100, 80, 8, 12, 80)
    assert (second.uploaded, second.sold) == (None, 2)
    assert first.revenue == 12 * PRICE
    assert first.payable == first.revenue - first.commission
    assert (figures.sold, figures.reserved) == (14, 8)
    assert figures.money["THB"][0] == 14 * PRICE == sum(hour.revenue for hour in hours)
    by_hour = {hour.hour.astimezone(UTC): hour.vouchers for hour in hours if hour.vouchers}
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    assert by_hour == {this_hour - 26 * HOUR: 4, this_hour - 3 * HOUR: 5, this_hour: 5}
    # Eight were sold within the last day, eighty are left: ten more days.
    assert first.sold_out_at == now + timedelta(days=10)
    manager = Actor("staff", new_id(), "Rex", PERMISSIONS["manager"], new_id())
    async with database.connection() as connection:
        with pytest.raises(Refusal):
            await sale_figures(connection, manager, sale.campaign_id, now)


MANY_ORDERS = """
INSERT INTO voucher_order (member_id, id, number, campaign_id, item_id, offer_id, merchant_id, quantity, unit_price,
    face_value, amount, commission, currency, state, positions, idempotency_key, reserved_until, created_at)
SELECT member_id, gen_random_uuid(), number || n, campaign_id, item_id, offer_id, merchant_id, quantity, unit_price,
    face_value, amount, commission, currency, 'released', positions, idempotency_key || n, reserved_until,
    created_at - n * interval '1 second'
FROM voucher_order, generate_series(1, 3000) n
"""


async def test_the_newest_of_all_orders_are_found_without_sorting_them(database: Database) -> None:
    sale = await make_sale(database, codes=(1,))
    await order(SaleDesk(database), sale, 0)
    newest = reads.orders(OPERATOR).order_by(VoucherOrder.created_at.desc(), VoucherOrder.id.desc()).limit(51)
    async with transaction(database) as tx:
        await tx.execute(text(MANY_ORDERS))
        await tx.execute(text("ANALYZE voucher_order"))
        question = newest.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        plan = "\n".join((await tx.exec_driver_sql(f"EXPLAIN {question}")).scalars())
    assert "ix_voucher_order_created_at" in plan, plan
    assert "Seq Scan on voucher_order" not in plan
