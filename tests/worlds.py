"""Small worlds for tests that need a campaign and members in the database, written with plain inserts.

The domain's own actions have tests of their own; these rows stand apart from them, so that a test of the
desk does not fail for a form's reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.model import Campaign, Prize, PrizeOffer
from tearline.core.passwords import password_key
from tearline.db import Database, new_id, transaction
from tearline.members.model import Member, MemberPhone
from tearline.merchants.model import Merchant, Store
from tearline.offers.model import Offer

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
CLAIMED = "claimed"


@dataclass
class World:
    """What was made: ids to claim, redeem and look at."""

    campaign_id: UUID
    campaign_code: str
    merchant_id: UUID
    store_id: UUID
    offers: list[UUID] = field(default_factory=list)
    prizes: list[UUID] = field(default_factory=list)
    members: list[UUID] = field(default_factory=list)


def offer_row(offer_id: UUID, merchant_id: UUID, **changes: Any) -> dict[str, Any]:
    """An active offer of HK$50 off, valid around ``NOW`` for long."""
    return {
        "id": offer_id,
        "code": f"OFFER-{offer_id.hex[-8:].upper()}",
        "merchant_id": merchant_id,
        "issuer": "merchant",
        "names": {"en": "HK$50 off"},
        "benefit_kind": "amount_off",
        "currency": "HKD",
        "benefit": {"kind": "amount_off", "amount": 5000},
        "minimum_spend": 30000,
        "funding_platform_basis_points": 0,
        "validity": {
            "period": {
                "kind": "fixed",
                "starts_at": "2026-01-01T00:00:00Z",
                "ends_at": "2036-01-01T00:00:00Z",
            }
        },
        "time_zone": "Asia/Hong_Kong",
        "redeem_by": ["cashier", "till"],
        "state": "active",
        "created_at": NOW,
        "updated_at": NOW,
        **changes,
    }


async def make_members(tx: AsyncConnection, count: int, **changes: Any) -> list[UUID]:
    """Members with distinct phone numbers."""
    ids = [new_id() for _ in range(count)]
    rows = [
        {"id": id_, "phone": f"+8526{position:07d}", "created_at": NOW, **changes}
        for position, id_ in enumerate(ids)
    ]
    await tx.execute(insert(Member), rows)
    await tx.execute(insert(MemberPhone), [{"phone": row["phone"], "member_id": row["id"]} for row in rows])
    return ids


async def make_world(
    database: Database,
    *,
    members: int = 4,
    inventories: tuple[int, ...] = (10,),
    bundle: tuple[int, ...] = (1, 1),
    campaign: dict[str, Any] | None = None,
    prize: dict[str, Any] | None = None,
    offer: dict[str, Any] | None = None,
) -> World:
    """A live password campaign; prize number *i* is opened by ``PASSWORD<i>``, its bundle over the offers.

    Args:
        inventories: one for each prize.
        bundle: coupons per claim of each offer, as many offers as numbers.
        campaign, prize, offer: columns that differ from the plain ones.
    """
    world = World(new_id(), "WINTER-1", new_id(), new_id())
    now = datetime.now(UTC)
    async with transaction(database) as tx:
        await tx.execute(
            insert(Merchant).values(
                id=world.merchant_id,
                code="harbour",
                names={"en": "Harbour Books"},
                kind="retail",
                created_at=NOW,
            )
        )
        await tx.execute(
            insert(Store).values(
                id=world.store_id,
                merchant_id=world.merchant_id,
                code="central",
                names={"en": "Central"},
                created_at=NOW,
            )
        )
        for _ in bundle:
            world.offers.append(new_id())
            await tx.execute(
                insert(Offer).values(offer_row(world.offers[-1], world.merchant_id, **(offer or {})))
            )
        values = {
            "id": world.campaign_id,
            "code": world.campaign_code,
            "kind": "password",
            "names": {"en": "Winter in the City"},
            "state": "live",
            "time_zone": "Asia/Hong_Kong",
            "starts_at": now - timedelta(days=400),
            "ends_at": now + timedelta(days=400),
            "created_at": NOW,
            "updated_at": NOW,
            **(campaign or {}),
        }
        await tx.execute(insert(Campaign).values(values))
        for position, inventory in enumerate(inventories):
            world.prizes.append(new_id())
            password = f"PASSWORD{position}"
            prize_values = {
                "id": world.prizes[-1],
                "campaign_id": world.campaign_id,
                "position": position,
                "names": {"en": f"Gift {position}"},
                "password": password,
                "password_key": password_key(password),
                "inventory": inventory,
                **(prize or {}),
            }
            await tx.execute(insert(Prize).values(prize_values))
            rows = [
                {"prize_id": world.prizes[-1], "offer_id": offer_id, "quantity": quantity}
                for offer_id, quantity in zip(world.offers, bundle, strict=True)
            ]
            await tx.execute(insert(PrizeOffer), rows)
        if members:
            world.members = await make_members(tx, members)
    return world


async def copy_campaign(tx: AsyncConnection, code: str) -> None:
    """Another campaign with the prizes, passwords and offers of the only one there is."""
    columns = "kind, names, state, time_zone, starts_at, ends_at, created_at, updated_at"
    await tx.execute(
        text(
            f"INSERT INTO campaign (id, code, {columns}) SELECT gen_random_uuid(), :code, {columns} FROM campaign"
        ),
        {"code": code},
    )
    await tx.execute(
        text("""
            INSERT INTO prize (id, campaign_id, position, names, password, password_key, inventory)
            SELECT gen_random_uuid(), campaign.id, position, prize.names, password, password_key, inventory
            FROM prize, campaign WHERE campaign.code = :code"""),
        {"code": code},
    )
    await tx.execute(
        text("""
            INSERT INTO prize_offer (prize_id, offer_id, quantity)
            SELECT copied.id, offer_id, quantity FROM prize_offer
            JOIN prize ON prize.id = prize_offer.prize_id
            JOIN prize AS copied ON copied.password_key = prize.password_key AND copied.id <> prize.id"""),
    )
