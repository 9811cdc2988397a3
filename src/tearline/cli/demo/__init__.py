"""The demo's data: an invented festive campaign in Hong Kong, with members and some days of history.

``seed`` fills an empty database in one transaction, and then sells vouchers and takes orders of carts as on any day. It
is the same every time, but for the day on which it runs. Times are counted back and forth from that day, so
that one campaign is always running.
"""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from sqlalchemy import select, text

from tearline.cli.demo.cart_orders import order_carts
from tearline.cli.demo.claims import expire, make_claims
from tearline.cli.demo.definitions import Report, make_definitions
from tearline.cli.demo.history import write_claims, write_uses
from tearline.cli.demo.ids import id_maker
from tearline.cli.demo.members import write_members
from tearline.cli.demo.people import DEMO_PHONE, make_people
from tearline.cli.demo.redemptions import make_uses
from tearline.cli.demo.rooms import make_rooms
from tearline.cli.demo.sales import make_sale, sell
from tearline.cli.demo.staff_data import DEMO_PASSWORD
from tearline.core.roles import command_actor
from tearline.db import Database, transaction
from tearline.merchants.model import Merchant

__all__ = ["SIGN_INS", "seed"]

RANDOM_SEED = 20_261_122

SIGN_INS: tuple[tuple[str, str, str, str], ...] = (
    ("Shop", "/", DEMO_PHONE, "the code is shown at /dev/outbox"),
    ("Shop, campaign", "/c/WINTER-CITY", "any member", "password WINTER2026, NIGHT MARKET or GIFTS4ALL"),
    ("Shop, a sale", "/c/KHLONG-VOUCHERS", "any member", "pays with the test provider"),
    ("Console, owner", "/console", "owner@tearline.example", DEMO_PASSWORD),
    ("Console, editor", "/console", "editor@tearline.example", DEMO_PASSWORD),
    ("Console, finance", "/console", "finance@tearline.example", DEMO_PASSWORD),
    ("Console, auditor", "/console", "auditor@tearline.example", DEMO_PASSWORD),
    ("Counter, manager", "/merchant", "manager@basket-lane.example", DEMO_PASSWORD),
    ("Partner, manager", "/merchant/pools", "manager@khlong-kitchen.example", DEMO_PASSWORD),
    ("Counter, cashier", "/merchant", "cashier@basket-lane.example", DEMO_PASSWORD),
    ("Counter, cashier", "/merchant", "cashier@third-tram.example", DEMO_PASSWORD),
)
"""Where to go in the demo and how to get in: face, path, user, password or how to come by it."""


async def seed(database: Database, report: Report) -> dict[str, str]:
    """Fill an empty database with the demo's data; does nothing when there are merchants already.

    Args:
        report: told each step's name, how much of it is done and of how much.

    Returns:
        The API keys that were made, by name: they can be read only now.
    """
    now = datetime.now(UTC)
    # Reproducible on purpose: nothing here protects anything.
    random = Random(RANDOM_SEED)  # noqa: S311
    new_id = id_maker(random)
    async with transaction(database) as tx:
        # Two starts at the same moment must not both find an empty database.
        await tx.execute(text("LOCK TABLE merchant IN SHARE ROW EXCLUSIVE MODE"))
        if await tx.scalar(select(Merchant.id).limit(1)) is not None:
            return {}
        made = await make_definitions(tx, command_actor("tearline demo"), now, report)
        report("Members", 0, 1)
        members = make_people(random, now, new_id)
        await write_members(tx, members)
        report("Members", 1, 1)
        report("History", 0, 4)
        claims = await make_claims(tx, random, members, now, new_id)
        report("History", 1, 4)
        coupons = [coupon for claim in claims for coupon in claim.coupons]
        uses = await make_uses(tx, random, coupons, made, now=now, new_id=new_id)
        expire(coupons, now)
        report("History", 2, 4)
        await write_claims(tx, claims)
        report("History", 3, 4)
        await write_uses(tx, uses)
        report("History", 4, 4)
        report("A waiting room", 0, 1)
        await make_rooms(tx, command_actor("tearline demo"), made, random, now)
        report("A waiting room", 1, 1)
        pool_id, item_id = await make_sale(tx, command_actor("tearline demo"), made, now)
    await sell(database, command_actor("tearline demo"), pool_id, item_id, members, random, now, report)
    await order_carts(database, command_actor("tearline demo"), made, members, random, now, report)
    async with database.engine.connect() as connection:
        # So that the first pages are planned with the sizes of the tables in mind.
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))
    return made.keys
