"""Kills in the middle of a storm of orders of carts: what was answered stands, and nothing happens twice.

Two real processes that order, pay, cancel and refund, and an embedded PostgreSQL of the test's own. Shops do what
they should: they repeat what they asked, with the same key, until they are answered.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tearline.db import Database
from tearline.db.embedded import EmbeddedServer
from tests.cart_worlds import CartWorld, make_cart_world
from tests.checkout.ordering import code_of
from tests.faults.test_kills import own_server
from tests.faults.test_sale_kills import Seller, talk

__all__ = ["own_server"]

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

CLIENTS = 12
ORDERS = 90
KILL_AFTER = 30
TOTAL = 3 * 3_001 - 2_000


@dataclass
class Storm:
    """Shops that order with a coupon, and then pay, refund some, or give up; each step until it is answered."""

    sellers: list[Seller]
    world: CartWorld
    codes: list[str]
    orders: dict[int, str] = field(default_factory=dict)
    """By number, once answered."""
    ended: dict[int, str] = field(default_factory=dict)
    """``paid`` or ``cancelled``, once answered."""
    refunds: dict[int, str] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    repeats: int = 0

    async def run(self) -> None:
        self._numbers = iter(range(ORDERS))
        await asyncio.gather(*(self._client(client) for client in range(CLIENTS)))

    async def reached(self, count: int) -> None:
        while len(self.refunds) < count:
            await asyncio.sleep(0.005)

    async def _client(self, client: int) -> None:
        for number in self._numbers:
            await self.order(number, client)
            act = "cancel" if number % 6 == 5 else "pay"
            said = await self.ask(client, act, number=self.orders[number])
            self._note(self.ended, number, said["state"])
            if act == "pay":
                await self.refund(number, client)

    async def order(self, number: int, client: int) -> dict[str, Any]:
        member = self.world.members[number % len(self.world.members)]
        said = await self.ask(
            client, "order", member=str(member), merchant=str(self.world.noodles), code=self.codes[number],
            key=f"storm-{number}",
        )  # fmt: skip
        self._note(self.orders, number, said["number"])
        return said

    async def refund(self, number: int, client: int) -> None:
        units = 3 if number % 4 == 0 else 1
        said = await self.ask(client, "refund", number=self.orders[number], units=units, key="back")
        self._note(self.refunds, number, said["refund"])

    def _note(self, answers: dict[int, str], number: int, answer: str) -> None:
        if answers.setdefault(number, answer) != answer:
            self.contradictions.append(f"{number}: {answers[number]} and then {answer}")

    async def ask(self, client: int, act: str, **values: Any) -> dict[str, Any]:
        """Ask until there is an answer, of whichever process answers."""
        line = json.dumps({"act": act, **values}) + "\n"
        for turn in range(10_000):
            seller = self.sellers[(client + turn) % len(self.sellers)]
            said = await talk(seller.socket, line)
            if said is not None and said.get("refused") != "unavailable":
                assert "refused" not in said, said
                return said
            self.repeats += 1
            await asyncio.sleep(0.02)
        raise TimeoutError


def written(url: str) -> tuple[dict[int, str], dict[int, str], dict[int, str]]:
    """Orders, what ended them, and refunds, as the database has them."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("""
            SELECT o.idempotency_key, o.number, o.state, r.id::text FROM cart_order o
            LEFT JOIN cart_refund r ON r.member_id = o.member_id AND r.order_id = o.id""").fetchall()
    found = [(int(key.removeprefix("storm-")), number, state, refund) for key, number, state, refund in rows]
    assert len({one[0] for one in found}) == len(found), "one order and one refund for each key"
    return (
        {place: number for place, number, _state, _refund in found},
        {place: state for place, _number, state, _refund in found if state != "open"},
        {place: refund for place, _number, _state, refund in found if refund},
    )


async def test_the_processes_that_sell_carts_are_killed(own_server: EmbeddedServer, tmp_path: Path) -> None:
    async with Database(own_server.url) as database:
        world = await make_cart_world(database, members=8)
        offer = await world.offer(funding_platform_basis_points=5_000)
        coupons = [await world.coupon(offer, world.members[number % 8]) for number in range(ORDERS)]
        sellers = [
            Seller(own_server.url, tmp_path, number, "tests.faults.cart_seller") for number in range(2)
        ]
        for seller in sellers:
            seller.start()
        try:
            raging = Storm(sellers, world, [await code_of(world, coupon) for coupon in coupons])
            running = asyncio.create_task(raging.run())
            await raging.reached(KILL_AFTER)
            for seller in sellers:
                seller.kill()
            answered = dict(raging.orders), dict(raging.ended), dict(raging.refunds)
            for said, stands in zip(answered, written(own_server.url), strict=True):
                assert said.items() <= stands.items()
            assert len(raging.refunds) < ORDERS // 2, "the kill came too late to mean anything"
            for seller in sellers:
                seller.start()
            await running
            assert raging.repeats, "nobody noticed the kill"
            assert (raging.orders, raging.ended, raging.refunds) == written(own_server.url)
            # Repeats by key get the first answer, and do nothing.
            for number in range(0, ORDERS, 10):
                assert (await raging.order(number, number))["replayed"]
                if raging.ended[number] == "paid":
                    await raging.refund(number, number)
            assert raging.contradictions == []
        finally:
            for seller in sellers:
                seller.kill()
        paid = [number for number, state in raging.ended.items() if state == "paid"]
        whole = [number for number in paid if number % 4 == 0]
        assert await world.one("SELECT count(*) FROM redemption") == len(paid)
        assert await world.one("SELECT count(*) FROM reversal") == len(whole)
        refunded = len(whole) * TOTAL + (len(paid) - len(whole)) * (3_001 - 667)
        assert await world.one("SELECT sum(refunded) FROM cart_order") == refunded
        states = await world.rows("SELECT state, count(*) FROM coupon GROUP BY 1")
        assert {row[0]: row[1] for row in states} == {
            "redeemed": len(paid) - len(whole), "open": len(whole) + ORDERS - len(paid),
        }  # fmt: skip
        await world.audited()
