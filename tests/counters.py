"""What tests of the counter need: coupons that were really claimed, desks, and people who redeem."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from tearline.campaigns.desk import ClaimDesk
from tearline.core.refusal import Refusal
from tearline.core.roles import KEY_SCOPES, PERMISSIONS, Actor
from tearline.coupons.counter import CounterAnswer
from tearline.coupons.desk import RedemptionDesk
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.merchants.model import Merchant, Store
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


async def reason(awaitable: Awaitable[Any]) -> str:
    """Why something is refused; the test fails when it is not."""
    with pytest.raises(Refusal) as refused:
        await awaitable
    return refused.value.reason


class Counter:
    """One actor at one desk, numbering its requests."""

    def __init__(self, desk: RedemptionDesk, actor: Actor, store_id: UUID, way: str = "till") -> None:
        self.desk, self.actor, self.store_id, self.way = desk, actor, store_id, way

    async def prepare(self, text: str, number: str | None = None) -> CounterAnswer:
        number = number or new_id().hex
        return await self.desk.prepare(self.actor, self.store_id, text, number, way=self.way)

    async def redeem(self, number: str | None = None, **what: Any) -> CounterAnswer:
        number = number or new_id().hex
        return await self.desk.redeem(self.actor, self.store_id, number, way=self.way, **what)

    async def release(self, hold_id: UUID, number: str | None = None) -> CounterAnswer:
        number = number or new_id().hex
        return await self.desk.release(self.actor, self.store_id, number, way=self.way, hold_id=hold_id)

    async def reverse(self, redemption_id: UUID, number: str | None = None, **what: Any) -> CounterAnswer:
        return await self.desk.reverse(self.actor, redemption_id, number or new_id().hex, **what)


async def till_and_coupon(database: Database, **values: Any) -> tuple[World, Issued, Counter]:
    """A world with one coupon, and a till to redeem it at."""
    world, coupons = await world_with_coupons(database)
    return world, coupons[0], Counter(desk(database, **values), till(world), world.store_id)


async def other_merchant(database: Database) -> tuple[UUID, UUID]:
    """Another merchant, and its store."""
    merchant_id, store_id = new_id(), new_id()
    now = datetime.now(UTC)
    async with transaction(database) as tx:
        await tx.execute(
            insert(Merchant).values(
                id=merchant_id, code="rival", names={"en": "R"}, kind="dining", created_at=now
            )
        )
        await tx.execute(
            insert(Store).values(
                id=store_id, merchant_id=merchant_id, code="r", names={"en": "R"}, created_at=now
            )
        )
    return merchant_id, store_id
