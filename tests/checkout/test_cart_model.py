"""Random histories of orders, payments, refunds, counters, cancelled coupons and time, against a simple model.

Every step goes through the same actions and desk as the faces, commits for real, and is predicted by ``Model``: the
outcome, or the exact reason for the 'no'. After every step the coupons and orders are as the model says, and the
audit of carts finds nothing; at the end of each history the whole audit.

``TEARLINE_EXAMPLES=1000 pytest tests/checkout/test_cart_model.py`` looks further.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text

from tearline.checkout.actions import HOLD_LASTS, cancel_order, pay_order, place_order
from tearline.checkout.model import CartOrder
from tearline.checkout.refunding import refund_order
from tearline.core.refunds import Wish
from tearline.core.refusal import Refusal
from tearline.core.roles import SYSTEM
from tearline.coupons.actions import expire_due, release_holds, void_coupon
from tearline.coupons.model import Coupon
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.insight.audit_carts import CART_CHECKS
from tearline.tables import metadata
from tests.cart_worlds import CartWorld, make_cart_world
from tests.checkout.ordering import code_of, counter
from tests.counters import Counter

Value = TypeVar("Value")
EXAMPLES = int(os.environ.get("TEARLINE_EXAMPLES", "12"))
PROFILE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    backend="hypothesis-urandom",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
PRICE, OFF, UNITS = 3_001, 2_000, 3
COUPONS = 3


@dataclass
class Held:
    """A coupon: who has it, and until when it is good."""

    id: UUID
    code: str
    until: datetime
    state: str = "open"
    """``open``, ``redeemed`` or ``void``; what time makes of it is reckoned."""
    order: int | None = None
    """Which order keeps it, or kept it last."""

    def is_kept(self, orders: list[Ordered], now: datetime) -> bool:
        """Whether an order keeps it now."""
        return self.state == "open" and self.order is not None and now < orders[self.order].until


@dataclass
class Ordered:
    """An order and what has happened to it."""

    number: str
    coupon: int | None
    until: datetime
    total: int
    state: str = "open"
    left: int = UNITS
    refunded: int = 0


@dataclass
class Model:
    """What has happened."""

    coupons: list[Held] = field(default_factory=list)
    orders: list[Ordered] = field(default_factory=list)

    def why_not(self, coupon: Held, now: datetime) -> str | None:
        """Why nobody can use a coupon now."""
        if coupon.state == "void":
            return "coupon_void"
        if coupon.state == "redeemed":
            return "already_redeemed"
        if coupon.is_kept(self.orders, now):
            return "held_elsewhere"
        return "expired" if now >= coupon.until else None

    def pay(self, which: int, now: datetime) -> str:
        """``paid``, or why not."""
        order = self.orders[which]
        if order.state != "open":
            return "paid" if order.state == "paid" else "order_cancelled"
        if order.coupon is None:
            return "paid"
        coupon = self.coupons[order.coupon]
        if coupon.state == "open" and coupon.order == which and now < order.until:
            return "paid"
        why = self.why_not(coupon, now)
        return {None: "paid", "expired": "expired"}.get(why, "coupon_taken")


whiches = st.sampled_from([0, 0, 0, 1, 1, 2, 3])


class CartLife(RuleBasedStateMachine):
    """One member's coupons, ordered with and without, and a counter beside."""

    runner: asyncio.Runner
    database: Database

    def wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        return self.runner.run(work)

    @initialize(days=st.lists(st.sampled_from([0.01, 0.01, 0.02, 2]), min_size=COUPONS, max_size=COUPONS))
    def begin(self, days: list[float]) -> None:
        self.model = Model()
        self.wait(self._begin(days))

    async def _begin(self, days: list[float]) -> None:
        async with transaction(self.database) as tx:
            names = ", ".join(table.name for table in metadata.sorted_tables)
            await tx.execute(text(f"TRUNCATE {names} CASCADE"))
        self.world: CartWorld = await make_cart_world(self.database)
        self.now = self.world.now
        offer = await self.world.offer(self.world.noodles, funding_platform_basis_points=3_333)
        for number in days:
            until = self.now + timedelta(days=number)
            id_ = await self.world.coupon(offer, valid_until=until)
            self.model.coupons.append(Held(id_, await code_of(self.world, id_), until))
        self.till: Counter = await counter(self.world)
        self.till.desk._clock = lambda: self.now

    @rule(which=st.integers(-1, COUPONS - 1), is_named=st.booleans())
    def order(self, which: int, is_named: bool) -> None:
        """With one coupon, named by code or id, or with none."""
        coupon = None if which < 0 else self.model.coupons[which]
        named: dict[str, Any] = {}
        if coupon is not None:
            named = {"codes": (coupon.code,)} if is_named else {"coupon_ids": (coupon.id,)}
        cart = self.world.cart(self.world.line("a", PRICE, UNITS), choose="given", **named)
        expected = (coupon and self.model.why_not(coupon, self.now)) or "ordered"
        number = self._done(self._place(cart), expected, "ordered")
        if number is None:
            return
        total = PRICE * UNITS - (OFF if coupon else 0)
        until = self.now + HOLD_LASTS
        if coupon:
            coupon.order = len(self.model.orders)
        self.model.orders.append(Ordered(number, which if coupon else None, until, total))

    async def _place(self, cart: Any) -> str:
        async with transaction(self.database) as tx:
            return (await place_order(tx, cart, self.world.book, self.now)).number

    @precondition(lambda self: self.model.orders)
    @rule(back=whiches)
    def pay(self, back: int) -> None:
        which, order = self._pick(back)
        expected = self.model.pay(which, self.now)
        work = self._in_one(pay_order, order.number, self.now, collected_by="platform")
        self._done(work, expected, "paid")
        if expected == "paid" and order.state == "open":
            order.state = "paid"
            if order.coupon is not None:
                coupon = self.model.coupons[order.coupon]
                coupon.state, coupon.order = "redeemed", which

    @precondition(lambda self: self.model.orders)
    @rule(back=whiches)
    def cancel(self, back: int) -> None:
        which, order = self._pick(back)
        expected = "order_paid" if order.state == "paid" else "cancelled"
        self._done(self._in_one(cancel_order, order.number, self.now), expected, "cancelled")
        if order.state != "open":
            return
        order.state = "cancelled"
        if order.coupon is not None and self.model.coupons[order.coupon].order == which:
            self.model.coupons[order.coupon].order = None

    @precondition(lambda self: any(one.state == "paid" for one in self.model.orders))
    @rule(back=whiches, units=st.integers(1, UNITS))
    def refund(self, back: int, units: int) -> None:
        some = [one for one in self.model.orders if one.state == "paid"]
        order = some[-1 - back % len(some)]
        expected = "refund_too_large" if units > order.left else "refunded"
        self._done(
            self._in_one(refund_order, order.number, Wish({"a": units}), self.now), expected, "refunded"
        )
        if expected != "refunded":
            return
        order.left -= units
        # 2,000 off 3 units: 667, 667, 666.
        shares = (667, 667, 666) if order.coupon is not None else (0, 0, 0)
        given = UNITS - order.left
        order.refunded = sum(PRICE - share for share in shares[:given])
        if order.left == 0 and order.coupon is not None:
            coupon = self.model.coupons[order.coupon]
            if self.now < coupon.until:
                coupon.state, coupon.order = "open", None

    @precondition(lambda self: self.model.orders)
    @rule(back=whiches)
    def refund_what_is_not_paid(self, back: int) -> None:
        _which, order = self._pick(back)
        if order.state != "paid":
            work = self._in_one(refund_order, order.number, Wish(everything=True), self.now)
            self._done(work, "order_not_paid", "refunded")

    @rule(which=st.integers(0, COUPONS - 1))
    def redeem_at_the_counter(self, which: int) -> None:
        coupon = self.model.coupons[which]
        expected = self.model.why_not(coupon, self.now) or "redeemed"
        self._done(self.till.redeem(new_id().hex, text=coupon.code), expected, "redeemed")
        if expected == "redeemed":
            coupon.state, coupon.order = "redeemed", None

    @rule(which=st.integers(0, COUPONS - 1))
    def void(self, which: int) -> None:
        coupon = self.model.coupons[which]
        # Who keeps it is no matter, not even that an order does so beyond its time.
        expected = "expired" if self.now >= coupon.until else "void"
        if coupon.state != "open":
            expected = str(self.model.why_not(coupon, self.now))
        work = self._in_one(void_coupon, self.world.member, coupon.id, reason="a mistake", now=self.now)
        self._done(work, expected, "void")
        if expected == "void":
            coupon.state = "void"

    @rule(minutes=st.sampled_from([1, 10, 15, 30, 1500]), is_swept=st.booleans())
    def time_passes(self, minutes: int, is_swept: bool) -> None:
        self.now += timedelta(minutes=minutes)
        if is_swept:
            self.wait(self._sweep())

    async def _sweep(self) -> None:
        async with transaction(self.database) as tx:
            await release_holds(tx, self.now, 100)
            await expire_due(tx, self.now, 100)

    # Pieces

    def _pick(self, back: int) -> tuple[int, Ordered]:
        which = len(self.model.orders) - 1 - back % len(self.model.orders)
        return which, self.model.orders[which]

    async def _in_one(self, action: Any, *arguments: Any, **more: Any) -> Any:
        async with transaction(self.database) as tx:
            return await action(tx, SYSTEM, *arguments, **more)

    def _done(self, work: Awaitable[Value], expected: str, done: str) -> Value | None:
        """What something answers; None for a refusal. Either has to be as expected."""

        async def outcome() -> Value:
            return await work

        try:
            answer = self.wait(outcome())
        except Refusal as refusal:
            assert refusal.reason == expected
            return None
        assert expected == done
        return answer

    # What holds after every step

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        self.wait(self._check())

    async def _check(self) -> None:
        async with self.database.connection() as connection:
            for check in CART_CHECKS.values():
                assert (await connection.execute(text(check))).all() == []
            orders = (
                await connection.execute(
                    select(CartOrder.number, CartOrder.state, CartOrder.total, CartOrder.refunded)
                )
            ).all()
            coupons = dict((await connection.execute(select(Coupon.id, Coupon.state))).all())
        model = self.model
        assert {tuple(row) for row in orders} == {
            (one.number, one.state, one.total, one.refunded) for one in model.orders
        }
        for one in model.coupons:
            state = coupons[one.id]
            if one.state != "open":
                assert state == one.state
            elif one.is_kept(model.orders, self.now):
                assert state == "held"
            else:
                # The worker may not have passed.
                assert state in ("open", "held", "expired")
                assert state != "expired" or self.now >= one.until

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.wait(self._audit())

    async def _audit(self) -> None:
        async with self.database.connection() as connection:
            assert [finding for finding in await run_audit(connection) if finding.breaches] == []


@pytest.mark.timeout(400 + 8 * EXAMPLES)  # shrinking a failure may take five minutes
def test_every_history_goes_as_the_model_says(database_url: str) -> None:
    with asyncio.Runner() as loop_runner:

        class Machine(CartLife):
            runner = loop_runner
            database = Database(database_url)

        try:
            run_state_machine_as_test(Machine, settings=PROFILE)
        finally:
            loop_runner.run(Machine.database.close())
