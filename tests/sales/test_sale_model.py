"""Random histories of uploading, ordering, paying, failing, expiring, handing back and topping up.

Every step goes through the same desks and actions as the faces, commits for real, and is predicted by ``Model``: the
outcome, or the exact reason for the 'no'. The model keeps nothing but the orders and the codes, and counts them
anew for every question. After every step the database is held to it, and the audit finds nothing.

``TEARLINE_EXAMPLES=1000 pytest tests/sales/test_sale_model.py`` looks further. When it fails, hypothesis prints the
history in steps, and a line that can be put above ``Machine`` to run that history again.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
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
from sqlalchemy import delete, select, text

from tearline.core.pools import CodeRule
from tearline.core.refusal import Refusal
from tearline.core.roles import command_actor
from tearline.core.sales import RESERVATION_LASTS
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import CHECKS, run_audit
from tearline.jobs.orders import release_expired
from tearline.pools.files import receive_file
from tearline.pools.handback import hand_back
from tearline.pools.importing import import_file
from tearline.pools.model import PartnerCode
from tearline.sales.actions import raise_quantity
from tearline.sales.desk import OrderAnswer, SaleDesk
from tearline.sales.model import Voucher, VoucherOrder
from tearline.tables import metadata
from tests.sale_worlds import Sale, begin_payment, make_sale

Value = TypeVar("Value")

EXAMPLES = int(os.environ.get("TEARLINE_EXAMPLES", "8"))
PROFILE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    backend="hypothesis-urandom",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
OPERATOR = command_actor("test")
RULE = CodeRule(shortest=5, longest=5, alphabet="upper_digits")
MEMBERS = 3
PER_ORDER = 4


@dataclass
class Ordered:
    """An order and what has happened to it."""

    answer: OrderAnswer
    member: int
    quantity: int
    key: str
    until: datetime
    state: str = "reserved"
    payments: list[UUID] = field(default_factory=list)
    """Those that have succeeded, the one that counted first."""


@dataclass
class Model:
    """Everything that has happened, and what follows from it."""

    quantity: int | None
    limit_per_member: int | None
    codes: set[str] = field(default_factory=set)
    withdrawn: int = 0
    orders: list[Ordered] = field(default_factory=list)

    def count(self, *states: str, member: int | None = None) -> int:
        """Vouchers of all orders, or of one member's, that are in one of these states."""
        return sum(
            one.quantity for one in self.orders if one.state in states and member in (None, one.member)
        )

    @property
    def available(self) -> int:
        """Codes that nobody has and nobody was given."""
        return len(self.codes) - self.withdrawn - self.count("reserved", "paid")

    @property
    def left(self) -> int:
        """How many can be ordered."""
        if self.quantity is None:
            return self.available
        return min(self.available, self.quantity - self.count("reserved", "paid"))

    def order(self, member: int, quantity: int) -> str:
        """``reserved``, or the reason why not."""
        mine = self.count("reserved", "paid", member=member)
        if quantity > PER_ORDER:
            return "order_too_large"
        if self.limit_per_member is not None and mine + quantity > self.limit_per_member:
            return "purchase_limit_reached" if mine >= self.limit_per_member else "order_too_large"
        if self.left < quantity:
            return "fewer_left" if self.left else "sold_out"
        return "reserved"

    def settle(self, one: Ordered) -> str:
        """What a payment that has succeeded makes of an order."""
        if one.state == "reserved" or (one.state == "released" and self.left >= one.quantity):
            return "paid"
        return "refund_due"

    def hand_back(self) -> str:
        """``handed_back``, or the reason why not."""
        if self.count("reserved"):
            return "orders_open"
        return "handed_back" if self.available else "nothing_to_hand_back"


BREACHED = text(
    " UNION ALL ".join(f"SELECT $${name}$$ WHERE EXISTS ({statement})" for name, statement in CHECKS.items())
)
"""The whole audit in one question: the names of the checks that find anything."""

newest = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])
orders = st.tuples(st.integers(0, MEMBERS - 1), st.sampled_from([1, 1, 2, 2, 3, 4, 5]))
processes = st.integers(0, 1)
limits = st.sampled_from([None, None, 5, 9])


class SaleLife(RuleBasedStateMachine):
    """One sale of one partner's vouchers, three members, and two processes that sell."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime.now(UTC)
        self.numbers = iter(range(10_000))
        self.turns = cycle(range(MEMBERS))
        self.desks = [SaleDesk(self.database, clock=self.clock) for _ in range(2)]

    def clock(self) -> datetime:
        return self.now

    def wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        return self.runner.run(work)

    @initialize(quantity=limits, limit=st.sampled_from([None, None, 4, 6]), codes=st.integers(3, 9))
    def begin(self, quantity: int | None, limit: int | None, codes: int) -> None:
        self.model = Model(quantity, limit)
        self.wait(self._begin(quantity, limit))
        self._upload([f"A{number:04d}" for number in range(codes)])

    async def _begin(self, quantity: int | None, limit: int | None) -> None:
        async with transaction(self.database) as tx:
            for table in reversed(metadata.sorted_tables):
                await tx.execute(delete(table))
        item = {"quantity": quantity, "limit_per_member": limit, "limit_per_order": PER_ORDER}
        self.sale: Sale = await make_sale(self.database, codes=(0,), members=MEMBERS, item=item)
        # Once a desk has its queue, what is asked at once is decided in the order it was asked.
        for desk in self.desks:
            with pytest.raises(Refusal):
                await desk.order(self.sale.code, self.sale.items[0], new_id(), 1, 1, "opens the queue")

    # The partner

    @rule(first=st.integers(0, 30), count=st.integers(1, 4))
    def top_up(self, first: int, count: int) -> None:
        """Some of these codes may well be there already."""
        self._upload([f"A{number:04d}" for number in range(first, first + count)])

    def _upload(self, codes: list[str]) -> None:
        async def content() -> AsyncIterator[bytes]:
            yield "\n".join([*codes, codes[0]]).encode()

        async def upload() -> tuple[int, int, int]:
            assert self.sale.pools[0] is not None
            place = (self.database, OPERATOR, self.sale.pools[0])
            file_id = await receive_file(*place, "codes.txt", content(), source="console", now=self.now)
            done = await import_file(
                self.database, OPERATOR, file_id, rule=RULE, column=0, has_heading=False, clock=self.clock
            )
            return done.added, done.duplicate, done.held

        fresh = set(codes) - self.model.codes
        assert self.wait(upload()) == (len(fresh), 1, len(codes) - len(fresh))
        self.model.codes |= fresh

    @rule()
    def hand_back(self) -> None:
        async def act() -> None:
            async with transaction(self.database) as tx:
                assert self.sale.pools[0] is not None
                await hand_back(tx, OPERATOR, self.sale.pools[0], campaign_id=None, now=self.now)

        expected = self.model.hand_back()
        assert self._word(act(), "handed_back") == expected
        if expected == "handed_back":
            self.model.withdrawn += self.model.available

    @rule(by=st.integers(-1, 3))
    def raise_quantity(self, by: int) -> None:
        if self.model.quantity is None:
            return
        to = max(1, self.model.quantity + by)

        async def act() -> None:
            async with transaction(self.database) as tx:
                await raise_quantity(tx, OPERATOR, self.sale.items[0], to, self.now)

        expected = "raised" if to >= self.model.quantity else "inventory_lowered"
        assert self._word(act(), "raised") == expected
        self.model.quantity = max(to, self.model.quantity)

    # Members

    @rule(tries=st.lists(orders, min_size=1, max_size=4), process=processes)
    def order_all_at_once(self, tries: list[tuple[int, int]], process: int) -> None:
        desk = self.desks[process]
        keys = [f"key-{next(self.numbers)}" for _ in tries]
        outcomes = self._all_at_once(
            [
                desk.order(self.sale.code, self.sale.items[0], self.sale.members[member], 1, quantity, key)
                for (member, quantity), key in zip(tries, keys, strict=True)
            ]
        )
        for (member, quantity), key, outcome in zip(tries, keys, outcomes, strict=True):
            assert _outcome(outcome) == self.model.order(member, quantity)
            if isinstance(outcome, OrderAnswer):
                assert outcome.reserved_until == self.now + RESERVATION_LASTS
                taken = Ordered(outcome, member, quantity, key, outcome.reserved_until)
                self.model.orders.append(taken)

    @precondition(lambda self: self.model.orders)
    @rule(which=newest, process=processes)
    def order_again(self, which: int, process: int) -> None:
        """The member's phone repeats an order whose answer it did not get."""
        one = self._pick(which)
        item_id, member_id = self.sale.items[0], self.sale.members[one.member]
        work = self.desks[process].order(self.sale.code, item_id, member_id, 1, one.quantity, one.key)
        answer = self.wait(_awaited(work))
        assert answer.replayed
        assert (answer.order_id, answer.number) == (one.answer.order_id, one.answer.number)
        assert answer.state == one.state

    # What becomes of payments. News comes more than once, late, and from more than one process.

    @precondition(lambda self: self.model.orders)
    @rule(which=newest, process=processes, times=st.sampled_from([1, 1, 2]))
    def pay(self, which: int, process: int, times: int) -> None:
        one = self._pick(which)
        expected = self.model.settle(one)
        payment_id = self.wait(begin_payment(self.database, self.sale, one.member, one.answer))
        outcomes = self._all_at_once([self._settle(one, payment_id, process) for _ in range(times)])
        assert [outcome.state for outcome in outcomes] == [expected] * times
        assert [outcome.replayed for outcome in outcomes] == [False, True][:times]
        if expected == "paid":
            assert len(set(outcomes[0].coupon_ids)) == one.quantity
        if one.state in ("reserved", "released"):
            one.state = expected
        one.payments.append(payment_id)

    @precondition(lambda self: any(one.payments for one in self.model.orders))
    @rule(which=newest, process=processes)
    def pay_again(self, which: int, process: int) -> None:
        """The provider repeats its news of an order's first payment."""
        paid = [one for one in self.model.orders if one.payments]
        one = paid[-1 - which % len(paid)]
        again = self.wait(_awaited(self._settle(one, one.payments[0], process)))
        assert (again.state, again.replayed) == (one.state, True)

    @precondition(lambda self: self.model.orders)
    @rule(which=newest, process=processes, why=st.sampled_from(["failed", "cancelled", "expired"]))
    def fail(self, which: int, process: int, why: str) -> None:
        one = self._pick(which)
        work = self.desks[process].release(
            self.sale.code, self.sale.members[one.member], one.answer.order_id, why
        )
        released = self.wait(_awaited(work))
        assert released.replayed == (one.state != "reserved")
        if one.state == "reserved":
            one.state = "released"
        assert released.state == one.state

    @precondition(lambda self: self.model.count("reserved"))
    @rule(minutes=st.sampled_from([5, 20, 35, 60]), process=processes)
    def expire(self, minutes: int, process: int) -> None:
        """Time passes, and the worker sweeps."""
        self.now += timedelta(minutes=minutes)
        over = [one for one in self.model.orders if one.state == "reserved" and one.until <= self.now]
        assert self.wait(release_expired(self.database, self.desks[process], self.now)) == len(over)
        for one in over:
            one.state = "released"

    @precondition(lambda self: self.model.count("reserved"))
    @rule(which=newest, process=processes)
    def pay_while_it_is_released(self, which: int, process: int) -> None:
        """One batch releases an order, lets somebody else order, and hears that the first has been paid."""
        held = [one for one in self.model.orders if one.state == "reserved"]
        one = held[-1 - which % len(held)]
        payment_id = self.wait(begin_payment(self.database, self.sale, one.member, one.answer))
        member, desk, key = next(self.turns), self.desks[process], f"key-{next(self.numbers)}"
        released, other, settled = self._all_at_once(
            [
                desk.release(self.sale.code, self.sale.members[one.member], one.answer.order_id, "failed"),
                desk.order(self.sale.code, self.sale.items[0], self.sale.members[member], 1, 1, key),
                self._settle(one, payment_id, process),
            ]
        )
        assert (released.state, released.replayed) == ("released", False)
        one.state = "released"
        assert _outcome(other) == self.model.order(member, 1)
        if isinstance(other, OrderAnswer):
            self.model.orders.append(Ordered(other, member, 1, key, other.reserved_until))
        assert settled.state == self.model.settle(one)
        one.state = settled.state
        one.payments.append(payment_id)

    # Pieces

    def _pick(self, which: int) -> Ordered:
        return self.model.orders[-1 - which % len(self.model.orders)]

    def _settle(self, one: Ordered, payment_id: UUID, process: int) -> Awaitable[Any]:
        member_id = self.sale.members[one.member]
        return self.desks[process].settle(
            self.sale.code, member_id, one.answer.order_id, payment_id, "charge"
        )

    def _all_at_once(self, works: Sequence[Awaitable[Any]]) -> list[Any]:
        async def gathered() -> list[Any]:
            return await asyncio.gather(*works, return_exceptions=True)

        outcomes = self.wait(gathered())
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
                raise outcome
        return outcomes

    def _word(self, work: Coroutine[Any, Any, None], done: str) -> str:
        try:
            self.wait(work)
        except Refusal as refusal:
            return refusal.reason
        return done

    # What holds after every step

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        self.wait(self._check())

    async def _check(self) -> None:
        async with self.database.connection() as connection:
            assert (await connection.execute(BREACHED)).scalars().all() == []
            codes = (await connection.execute(select(PartnerCode.code, PartnerCode.state))).all()
            states = (await connection.execute(select(VoucherOrder.id, VoucherOrder.state))).all()
            vouchers = (await connection.execute(select(Voucher.member_id, Voucher.code))).all()
        model = self.model
        assert {code for code, _state in codes} == model.codes
        assert Counter(state for _code, state in codes) == Counter(
            available=model.available,
            reserved=model.count("reserved"),
            sold=model.count("paid"),
            withdrawn=model.withdrawn,
        )
        assert dict(states) == {one.answer.order_id: one.state for one in model.orders}
        # Never one code to two buyers, and each has as many as they paid for.
        assert len({code for _member, code in vouchers}) == len(vouchers)
        assert Counter(member for member, _code in vouchers) == Counter(
            {member_id: model.count("paid", member=n) for n, member_id in enumerate(self.sale.members)}
        )

    def teardown(self) -> None:
        self.wait(self._finish())

    async def _finish(self) -> None:
        async with self.database.connection() as connection:
            assert [finding for finding in await run_audit(connection) if finding.breaches] == []


async def _awaited(work: Awaitable[Value]) -> Value:
    return await work


def _outcome(outcome: Any) -> str:
    """An outcome in the model's words."""
    return outcome.reason if isinstance(outcome, Refusal) else str(outcome.state)


@pytest.mark.timeout(400 + 8 * EXAMPLES)  # shrinking a failure may take five minutes
def test_every_history_goes_as_the_model_says(database_url: str) -> None:
    with asyncio.Runner() as loop_runner:

        class Machine(SaleLife):
            runner = loop_runner
            database = Database(database_url)

        try:
            run_state_machine_as_test(Machine, settings=PROFILE)
        finally:
            loop_runner.run(Machine.database.close())
