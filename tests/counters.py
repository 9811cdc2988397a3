"""What tests of the counter need: coupons that were really claimed, desks, and people who redeem."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tearline.campaigns.desk import ClaimDesk
from tearline.core.roles import KEY_SCOPES, PERMISSIONS, Actor
from tearline.coupons.desk import RedemptionDesk
from tearline.db import Database, new_id
from tearline.insight.audit import run_audit
from tearline.web.limits import CallerLimit, Limit, Limiter
from tests.worlds import World, make_world

KEYS = [b"the key that signs, 32 bytes long", b"an older key, which is accepted"]


@dataclass(frozen=True)
class Issued:
    """A coupon in a member's wallet."""

    id: UUID
    member_id: UUID
    code: str
    offer_id: UUID


async def world_with_coupons(
    database: Database, count: int = 1, **changes: Any
) -> tuple[World, list[Issued]]:
    """A world whose first member has claimed coupons of one offer."""
    world = await make_world(database, bundle=(count,), **changes)
    return world, await claim(database, world)


async def claim(database: Database, world: World, member: int = 0) -> list[Issued]:
    """What one more claim of a member issues."""
    member_id = world.members[member]
    answer = await ClaimDesk(database).claim(world.campaign_code, member_id, 1, "PASSWORD0", new_id().hex)
    return [Issued(coupon.id, member_id, coupon.code, coupon.offer_id) for coupon in answer.coupons]


def desk(
    database: Database, *, now: datetime | None = None, attempts: int = 10_000, **values: Any
) -> RedemptionDesk:
    """A redemption desk, its clock standing still at ``now`` if given."""
    limit = CallerLimit(Limiter(), Limit("failed-lookups", attempts, 600))
    clock = (lambda: datetime.now(UTC)) if now is None else (lambda: now)
    kind = values.pop("kind", RedemptionDesk)
    made: RedemptionDesk = kind(database, KEYS, limit, clock=clock, **values)
    return made


def till(world: World, *, merchant_id: UUID | None = None) -> Actor:
    """The API key of a merchant's till."""
    return Actor("key", new_id(), "Till 1", KEY_SCOPES["merchant"], merchant_id or world.merchant_id)


def person(world: World, role: str = "cashier", *, store_id: UUID | None = None) -> Actor:
    """A cashier or manager of the world's merchant."""
    return Actor("staff", new_id(), "Mei", PERMISSIONS[role], world.merchant_id, store_id)


async def assert_clean(database: Database) -> None:
    """The audit finds nothing."""
    async with database.connection() as connection:
        assert [finding for finding in await run_audit(connection) if finding.breaches] == []
