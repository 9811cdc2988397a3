"""The demo's sale: dining vouchers with the codes of a restaurant group that insists on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.cli.demo.definitions import Made, Report, art, at_ten
from tearline.cli.demo.people import Person
from tearline.cli.demo.shapes import TIME_ZONE, dollars, texts
from tearline.core.campaigns import CampaignDraft
from tearline.core.pools import learn_rule
from tearline.core.roles import Actor
from tearline.core.sales import PAYMENT_LASTS, SaleItemDraft
from tearline.db import Database, transaction
from tearline.pools.actions import create_pool
from tearline.pools.files import receive_file
from tearline.pools.importing import import_file
from tearline.sales.actions import add_item, create_sale, go_live
from tearline.sales.desk import SaleDesk
from tearline.sales.model import VoucherOrder
from tearline.sales.payment_rows import add_payment, learn_reference

CAMPAIGN = "KHLONG-VOUCHERS"
OFFER = "KK-500"
CODES = 1_200
BUYERS = 140
UNPAID_SHARE = 0.06
"""Of the buyers: ordered, and did not pay."""
DAYS_AGO = 3
_CODE_CHARACTERS = "0123456789ABCDEF"


async def make_sale(tx: AsyncConnection, actor: Actor, made: Made, now: datetime) -> tuple[UUID, UUID]:
    """Make the pool and the sale, not live yet; answers the pool's id and the item's."""
    pool_id = await create_pool(tx, actor, made.offers[OFFER], symbology="code128", low_stock=200, now=now)
    draft = CampaignDraft(
        code=CAMPAIGN,
        names=texts("Khlong Kitchen vouchers", "運河小館禮券", "运河小馆礼券", "บัตรกำนัลครัวริมคลอง"),
        descriptions=texts(
            "Five hundred dollars of dinner for four hundred and fifty. Use it at any of the three kitchens.",
            "四百五十元換五百元晚餐，三間分店通用。",
            "四百五十元换五百元晚餐，三家分店通用。",
            "มื้อเย็นมูลค่าห้าร้อยในราคาสี่ร้อยห้าสิบ ใช้ได้ทั้งสามสาขา",
        ),
        rules=texts(
            "Up to six vouchers for each member. A voucher is used whole; no change is given.",
            "每位會員限購六張。禮券須一次用完，不設找贖。",
            "每位会员限购六张。礼券须一次用完，不设找零。",
            "สมาชิกซื้อได้ไม่เกินท่านละหกใบ ใช้เต็มจำนวนในครั้งเดียว ไม่มีเงินทอน",
        ),
        image=art("lantern"),
        edge="teal",
        time_zone=TIME_ZONE,
        starts_at=at_ten(now, -DAYS_AGO),
        ends_at=at_ten(now, 5),
    )
    sale_id = await create_sale(tx, actor, draft, now - timedelta(days=DAYS_AGO + 1))
    item_id = await add_item(
        tx,
        actor,
        sale_id,
        SaleItemDraft(
            offer_id=made.offers[OFFER],
            price=dollars(450),
            face_value=dollars(500),
            limit_per_member=6,
            limit_per_order=4,
            commission_basis_points=800,
        ),
        now=now - timedelta(days=DAYS_AGO + 1),
    )
    await go_live(tx, actor, sale_id, now=now - timedelta(days=DAYS_AGO + 1))
    return pool_id, item_id


async def sell(
    database: Database,
    actor: Actor,
    pool_id: UUID,
    item_id: UUID,
    people: Sequence[Person],
    random: Random,
    now: datetime,
    report: Report,
) -> None:
    """Bring the partner's codes, and what was ordered and paid since the sale began.

    Through the same import and the same desk as on any other day, at the times of the demo's past.
    """
    codes = ["".join(random.choices(_CODE_CHARACTERS, k=20)) for _ in range(CODES)]
    begun = at_ten(now, -DAYS_AGO)

    async def file() -> AsyncIterator[bytes]:
        yield ("\r\n".join(["code", *codes]) + "\r\n").encode()

    uploaded = begun - timedelta(hours=18)
    file_id = await receive_file(
        database, actor, pool_id, "khlong-vouchers.csv", file(), source="command", now=uploaded
    )
    await import_file(
        database, actor, file_id, rule=learn_rule(codes), column=0, has_heading=True, clock=lambda: uploaded
    )
    active = [person for person in people if person.state == "active"]
    buyers = random.sample(active, BUYERS)
    span = (now - begun).total_seconds() - 3600
    moments = sorted(begun + timedelta(seconds=random.betavariate(1, 2.2) * span) for _ in buyers)
    clock = begun
    desk = SaleDesk(database, clock=lambda: clock, notice_channel=None)
    for number, (moment, buyer) in enumerate(zip(moments, buyers, strict=True)):
        report("A sale of vouchers", number, BUYERS)
        clock = moment
        quantity = random.choices((1, 2, 4), weights=(6, 5, 2))[0]
        order = await desk.order(CAMPAIGN, item_id, buyer.id, 1, quantity, f"demo-{number}")
        if random.random() < UNPAID_SHARE:
            await desk.release(CAMPAIGN, buyer.id, order.order_id, "expired")
            continue
        async with transaction(database) as tx:
            row = (
                await tx.execute(select(VoucherOrder.__table__).where(VoucherOrder.id == order.order_id))
            ).one()
            payment_id = await add_payment(tx, row, "test", moment + PAYMENT_LASTS, moment)
            await learn_reference(tx, payment_id, f"demo-{order.number}", "/wallet", moment)
        clock = moment + timedelta(seconds=random.uniform(20, 200))
        await desk.settle(CAMPAIGN, buyer.id, order.order_id, payment_id, f"demo-{order.number}")
    report("A sale of vouchers", BUYERS, BUYERS)
    await desk.drain()
