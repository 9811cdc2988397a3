"""What partners report about the use of their codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor, command_actor
from tearline.coupons.model import Coupon
from tearline.db import Database, new_id, transaction
from tearline.pools.actions import void_codes
from tearline.sales.desk import SaleDesk
from tearline.sales.model import Voucher
from tearline.sales.uses import ReportedUse, report_uses
from tests.pools.support import make_pool
from tests.sale_worlds import Sale, add_codes, assert_clean, make_sale, order, settle

pytestmark = pytest.mark.anyio

ACTOR = command_actor("tests")


async def bought(database: Database, quantity: int = 2) -> tuple[Sale, list[str]]:
    """A sale, and the partner's codes that a member has bought of it."""
    sale = await make_sale(database)
    desk = SaleDesk(database, notice_channel=None)
    await settle(database, desk, sale, 0, await order(desk, sale, 0, quantity))
    async with database.connection() as connection:
        codes = list(await connection.scalars(select(Voucher.code).order_by(Voucher.position)))
    return sale, codes


async def report(database: Database, sale: Sale, *uses: ReportedUse, actor: Actor = ACTOR) -> list[str]:
    async with transaction(database) as tx:
        return list(await report_uses(tx, actor, sale.merchant_id, uses, datetime.now(UTC)))


async def test_a_reported_use_turns_a_sold_voucher_to_redeemed(database: Database) -> None:
    sale, codes = await bought(database)
    used_at = datetime.now(UTC) - timedelta(minutes=3)
    unsold = "0" + "9".rjust(19, "0")
    outcomes = await report(
        database,
        sale,
        ReportedUse(codes[0], used_at, "Siam"),
        ReportedUse(codes[0], used_at),
        ReportedUse("NOT-THEIRS", used_at),
        ReportedUse(unsold, used_at),
    )
    assert outcomes == ["used", "already", "unknown", "not_sold"]
    assert await report(database, sale, ReportedUse(codes[0], used_at)) == ["already"]
    async with database.connection() as connection:
        states = await connection.execute(
            select(Voucher.code, Coupon.state, Voucher.used_at, Voucher.use_place).join(
                Coupon, (Coupon.member_id == Voucher.member_id) & (Coupon.id == Voucher.coupon_id)
            )
        )
        assert {tuple(row) for row in states} == {
            (codes[0], "redeemed", used_at, "Siam"),
            (codes[1], "sold", None, None),
        }
    await assert_clean(database)


async def test_another_partners_codes_are_unknown(database: Database) -> None:
    sale, codes = await bought(database)
    stranger = await make_pool(database)
    async with transaction(database) as tx:
        # Two that read like the ones that were sold, and two that only the other partner has.
        await add_codes(tx, stranger.pool_id, 2, prefix="0")
        await add_codes(tx, stranger.pool_id, 2, prefix="9")
    theirs = "9" + "2".rjust(19, "0")
    now = datetime.now(UTC)
    reported = (ReportedUse(codes[0], now), ReportedUse(codes[1], now), ReportedUse(theirs, now))
    assert await report(database, sale, *reported) == ["used", "used", "unknown"]


async def test_cancelled_codes_are_void_whether_they_were_sold_or_not(database: Database) -> None:
    sale, codes = await bought(database)
    assert sale.pools[0] is not None
    unsold, now = "0" + "9".rjust(19, "0"), datetime.now(UTC)
    async with transaction(database) as tx:
        assert await void_codes(tx, ACTOR, sale.pools[0], [unsold], now) == 1
        sold = select(Voucher.coupon_id).where(Voucher.code == codes[0])
        await tx.execute(update(Coupon).where(Coupon.id.in_(sold)).values(state="void"))
    reported = ReportedUse(unsold, now), ReportedUse(codes[0], now)
    assert await report(database, sale, *reported) == ["void", "void"]


async def test_nonsense_is_refused_whole(database: Database) -> None:
    sale, codes = await bought(database)
    now = datetime.now(UTC)
    with pytest.raises(Refusal, match="invalid") as refused:
        await report(
            database,
            sale,
            ReportedUse(codes[0], now),
            ReportedUse(codes[1], now + timedelta(hours=1)),
            ReportedUse("\x00", now),
            ReportedUse("1", now, "x" * 121),
        )
    assert set(refused.value.fields) == {"uses.1.used_at", "uses.2.code", "uses.3.place"}
    with pytest.raises(Refusal, match="invalid"):
        await report(database, sale)
    async with database.connection() as connection:
        assert set(await connection.scalars(select(Coupon.state))) == {"sold"}


async def test_only_the_partners_own_staff_report(database: Database) -> None:
    sale, codes = await bought(database)
    now = datetime.now(UTC)

    def manager(merchant_id: object) -> Actor:
        return Actor("staff", new_id(), "manager", PERMISSIONS["manager"], merchant_id)  # type: ignore[arg-type]

    with pytest.raises(Refusal, match="not_found"):
        await report(database, sale, ReportedUse(codes[0], now), actor=manager(new_id()))
    assert await report(database, sale, ReportedUse(codes[0], now), actor=manager(sale.merchant_id)) == [
        "used"
    ]
