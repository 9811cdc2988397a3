"""Random histories of claiming, redeeming, undoing, voiding and expiring, against a model that recounts.

Every step goes through the same desks and actions as the faces, commits for real, and is predicted by
``lifecycle.Model``: the outcome, or the exact reason for the 'no'. After every step the database is held to
the model and to the laws of conservation; at the end of each history the audit finds nothing.

``TEARLINE_EXAMPLES=1000 pytest tests/actions/test_lifecycle_model.py`` looks further. When it fails, hypothesis
prints the history in steps, and a line that can be put above ``Machine`` to run that history again.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Coroutine, Sequence
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any, TypeVar

import msgspec
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
from sqlalchemy import func, select

from tearline.campaigns.actions import pause, raise_inventory, resume
from tearline.campaigns.desk import ClaimAnswer, ClaimDesk
from tearline.campaigns.model import Claim, Prize
from tearline.core.refusal import Refusal
from tearline.coupons import reads
from tearline.coupons.actions import expire_due, release_holds, void_coupon
from tearline.coupons.counter import CounterAnswer
from tearline.coupons.desk import RedemptionDesk
from tearline.coupons.model import Coupon as CouponRow
from tearline.db import Database, new_id, transaction
from tearline.insight.audit import run_audit
from tearline.members.actions import sign_out_everywhere
from tearline.offers.model import Offer
from tearline.web.limits import CallerLimit, Limit, Limiter
from tests.actions.lifecycle import (
    BUNDLES,
    HOLD_LASTS,
    REVERSIBLE_FOR,
    Answered,
    Claimed,
    Coupon,
    Model,
    Moved,
    Prepared,
    Raised,
    Redeemed,
    Released,
    Request,
    Reversed,
    SignedOut,
    Swept,
    Terms,
    Voided,
)
from tests.actions.lifecycle_world import (
    MEMBERS,
    MOMENT,
    OPERATOR,
    PASSWORDS,
    START,
    Ask,
    Try,
    asks,
    make_place,
    newest,
    people,
    processes,
    some_terms,
    tries,
)
from tests.counters import KEYS

Value = TypeVar("Value")

EXAMPLES = int(os.environ.get("TEARLINE_EXAMPLES", "25"))
PROFILE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    # Each history is drawn afresh. The usual backend spends most of so few examples on variants of one another.
    backend="hypothesis-urandom",
    # A history is slow to make beside what hypothesis is used to; explaining would run hundreds more.
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


class Lifecycle(RuleBasedStateMachine):
    """One campaign of two prizes, three members, and the counters of two merchants."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.fresh = 0
        self.turns = cycle(range(MEMBERS))
        limiter = CallerLimit(Limiter(), Limit("failed-lookups", 1_000_000, 600))
        self.claim_desks = [ClaimDesk(self.database, clock=self.clock) for _ in range(2)]
        self.counters = [RedemptionDesk(self.database, KEYS, limiter, clock=self.clock) for _ in range(2)]

    def clock(self) -> datetime:
        return self.now

    def wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        return self.runner.run(work)

    def unused(self) -> str:
        """A key or number that nobody has used."""
        self.fresh += 1
        return f"fresh-{self.fresh}"

    # Every history begins with claims: hypothesis leaves some rules out of each, and without a coupon most
    # others would have nothing to do.
    @initialize(terms=some_terms, tries=st.lists(tries, min_size=2, max_size=4))
    def begin(self, terms: Terms, tries: list[Try]) -> None:
        self.model = Model(terms)
        self.wait(self._begin(terms))
        self._try(tries, 0)

    async def _begin(self, terms: Terms) -> None:
        self.place = await make_place(self.database, terms)
        self.world = self.place.world
        # Once a desk has its queue, claims that are made at once are decided in the order they were made.
        for desk in self.claim_desks:
            with pytest.raises(Refusal):
                await desk.claim(self.world.campaign_code, new_id(), 1, "password0", "opens the queue")

    # Claiming

    @rule(tries=st.lists(tries, min_size=1, max_size=4), process=processes)
    def claim_all_at_once(self, tries: list[Try], process: int) -> None:
        self._try(tries, process)

    def _try(self, tries: list[Try], process: int) -> None:
        keyed = [(one, self.unused() if one.key is None else f"key-{one.key}") for one in tries]
        self._claim(keyed, process)

    @precondition(lambda self: self.model.of(Claimed))
    @rule(which=newest, process=processes)
    def claim_again(self, which: int, process: int) -> None:
        """The member's phone repeats a claim whose answer it did not get."""
        made = _newest(self.model.of(Claimed), which)
        password = list(PASSWORDS)[made.prize]
        self._claim([(Try(made.member, password), made.key)], process)

    def _claim(self, keyed: list[tuple[Try, str]], process: int) -> None:
        desk = self.claim_desks[process]
        epochs = [self.model.epoch(one.member) - one.is_signed_out for one, _key in keyed]
        outcomes = self.wait(
            _all_at_once(
                [
                    desk.claim(
                        self.world.campaign_code, self.world.members[one.member], epoch, one.password, key
                    )
                    for (one, key), epoch in zip(keyed, epochs, strict=True)
                ]
            )
        )
        for (one, key), epoch, outcome in zip(keyed, epochs, outcomes, strict=True):
            prize = PASSWORDS[one.password]
            expected = self.model.claim(one.member, epoch, prize, key, self.now)
            assert _word(outcome, "claimed") == expected
            if expected == "replayed":
                first = next(made for made in self.model.claims(member=one.member) if made.key == key)
                assert outcome == msgspec.structs.replace(first.answer, replayed=True)
            elif expected == "claimed":
                assert prize is not None
                self._note_claim(one.member, key, prize, outcome)

    def _note_claim(self, member: int, key: str, prize: int, answer: ClaimAnswer) -> None:
        assert (answer.campaign_id, answer.prize_id, answer.claimed_at) == (
            self.world.campaign_id,
            self.world.prizes[prize],
            self.now,
        )
        coupons = tuple(
            Coupon(
                coupon.id,
                member,
                self.world.offers.index(coupon.offer_id),
                coupon.code,
                *self.model.window(self.world.offers.index(coupon.offer_id), self.now),
            )
            for coupon in answer.coupons
        )
        assert Counter(coupon.offer for coupon in coupons) == BUNDLES[prize]
        assert [(coupon.valid_from, coupon.valid_until) for coupon in answer.coupons] == [
            (coupon.valid_from, coupon.valid_until) for coupon in coupons
        ]
        self.model.history.append(Claimed(self.now, member, key, prize, answer, coupons))

    # The counter

    @precondition(lambda self: self.model.coupons())
    @rule(asks=st.lists(asks, min_size=2, max_size=5), process=processes)
    def at_counters_all_at_once(self, asks: list[Ask], process: int) -> None:
        self._ask([self._request(ask) for ask in asks], process)

    @precondition(lambda self: self.model.of(Answered))
    @rule(which=newest, process=processes)
    def ask_again(self, which: int, process: int) -> None:
        """A till repeats a request whose answer it did not get."""
        self._ask([_newest(self.model.of(Answered), which).request], process)

    @precondition(lambda self: self.model.coupons())
    @rule(who=people, which=newest, minutes=st.sampled_from([0, 0, 1, 5]), process=processes)
    def visit(self, who: str, which: int, minutes: int, process: int) -> None:
        """A coupon is prepared, and some time later redeemed."""
        self._ask([self._request(Ask("prepare", who, which))], process)
        self.now += timedelta(minutes=minutes)
        self._ask([self._request(Ask("redeem_hold", who))], process)

    def _request(self, ask: Ask) -> Request:
        """What is sent; where there is nothing yet to redeem or to undo, that is done first."""
        number = self.unused() if ask.number is None else f"number-{ask.number}"
        store = 2 if ask.who == "rival" else ask.store
        holds = [made.hold for made in self.model.of(Prepared)]
        redemptions = [made.redemption for made in self.model.of(Redeemed)]
        if ask.action in ("redeem_hold", "release") and holds:
            action = ask.action.removesuffix("_hold")
            return Request(action, ask.who, store, _newest(holds, ask.which), "hold", number)
        if ask.action == "reverse" and redemptions:
            return Request("reverse", ask.who, None, _newest(redemptions, ask.which), "redemption", number)
        action = "redeem" if ask.action in ("redeem", "reverse") else "prepare"
        coupon = _newest(self.model.coupons(), ask.which)
        return Request(action, ask.who, store, coupon.id, "coupon", number)

    def _ask(self, requests: list[Request], process: int) -> None:
        desk = self.counters[process]
        outcomes = self.wait(_all_at_once([self._send(desk, request) for request in requests]))
        for request, outcome in zip(requests, outcomes, strict=True):
            expected = self.model.at_counter(request, self.now)
            assert _word(outcome, getattr(outcome, "action", "")) == expected
            first = self.model.first_answer(request)
            if expected == "replayed":
                assert first is not None
                assert outcome == msgspec.structs.replace(first.answer, replayed=True)
            elif isinstance(outcome, CounterAnswer):
                self._note_answer(request, outcome)

    def _send(self, desk: RedemptionDesk, request: Request) -> Awaitable[CounterAnswer]:
        actor, number = self.place.actors[request.who], request.number
        if request.action == "reverse":
            return desk.reverse(actor, request.target, number)
        assert request.store is not None
        where = (actor, self.place.stores[request.store])
        way = "cashier" if actor.kind == "staff" else "till"
        if request.action == "release":
            return desk.release(*where, number, way=way, hold_id=request.target)
        if request.by == "hold":
            return desk.redeem(*where, number, way=way, hold_id=request.target)
        code = next(coupon.code for coupon in self.model.coupons() if coupon.id == request.target)
        if request.action == "prepare":
            return desk.prepare(*where, code, number, way=way)
        return desk.redeem(*where, number, way=way, text=code)

    def _note_answer(self, request: Request, answer: CounterAnswer) -> None:
        coupon = self.model.coupon_of(request)
        assert coupon is not None
        happened = self.model.history.append
        if answer.action == "prepared":
            until = min(self.now + HOLD_LASTS, coupon.valid_until)
            assert answer.hold_id is not None and answer.held_until == until
            happened(Prepared(self.now, coupon.id, answer.hold_id, until, request.who, request.store))
        elif answer.action == "redeemed":
            assert answer.redemption_id is not None
            assert answer.reversible_until == self.now + REVERSIBLE_FOR[request.who]
            happened(Redeemed(self.now, coupon.id, answer.redemption_id))
        elif answer.action == "reversed":
            assert answer.redemption_id == request.target
            happened(Reversed(self.now, coupon.id, request.target))
        else:
            happened(Released(self.now, coupon.id))
        happened(Answered(request, answer))
        assert (answer.coupon_id, answer.at, answer.state) == (
            coupon.id,
            self.now,
            self.model.state(coupon, self.now),
        )

    # The operator, and the member's other phone

    @precondition(lambda self: self.model.coupons())
    @rule(which=newest)
    def void(self, which: int) -> None:
        coupon = _newest(self.model.coupons(), which)
        member_id = self.world.members[coupon.member]

        async def act() -> None:
            async with transaction(self.database) as tx:
                await void_coupon(tx, OPERATOR, member_id, coupon.id, reason="By mistake", now=self.now)

        if self._does(act(), "voided", self.model.void(coupon, self.now)):
            self.model.history.append(Voided(self.now, coupon.id))

    @rule(is_resumed=st.sampled_from([True, True, False]))
    def pause_or_resume(self, is_resumed: bool) -> None:
        change = resume if is_resumed else pause

        async def act() -> None:
            async with transaction(self.database) as tx:
                await change(tx, OPERATOR, self.world.campaign_id, now=self.now)

        expected = self.model.resume(self.now) if is_resumed else self.model.pause()
        if self._does(act(), "resumed" if is_resumed else "paused", expected):
            self.model.history.append(Moved("live" if is_resumed else "paused"))

    @rule(prize=st.integers(0, 1), by=st.integers(-1, 3))
    def raise_inventory(self, prize: int, by: int) -> None:
        to = self.model.inventory(prize) + by

        async def act() -> None:
            async with transaction(self.database) as tx:
                assert await raise_inventory(tx, OPERATOR, self.world.prizes[prize], to, self.now) == to

        if self._does(act(), "raised", "inventory_lowered" if by < 0 else "raised"):
            self.model.history.append(Raised(prize, to))

    @rule(member=st.integers(0, MEMBERS - 1), is_signed_out=st.booleans())
    def sign_out_everywhere(self, member: int, is_signed_out: bool) -> None:
        epoch = self.model.epoch(member) - is_signed_out

        async def act() -> None:
            async with transaction(self.database) as tx:
                await sign_out_everywhere(tx, self.world.members[member], epoch)

        if self._does(act(), "signed out", "session_ended" if is_signed_out else "signed out"):
            self.model.history.append(SignedOut(member))

    def _does(self, act: Coroutine[Any, Any, None], word: str, expected: str) -> bool:
        """Whether it was done, as expected."""
        (outcome,) = self.wait(_all_at_once([act]))
        assert _word(outcome, word) == expected
        return outcome is None

    # Time

    @rule(minutes=st.sampled_from([1, 4, 5, 30, 61]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(which=st.sampled_from([0, 0, 0, 1, 2]), is_just_before=st.booleans())
    def time_passes_to_where_something_changes(self, which: int, is_just_before: bool) -> None:
        moments = self.model.moments(self.now)
        moment = moments[min(which, len(moments) - 1)]
        self.now = max(self.now, moment - MOMENT if is_just_before else moment)

    @rule(limit=st.integers(1, 3))
    def sweep(self, limit: int) -> None:
        self.wait(self._sweep(limit))
        self.model.history.append(Swept(self.now))

    async def _sweep(self, limit: int) -> None:
        for step in (expire_due, release_holds):
            swept = limit
            while swept == limit:
                async with transaction(self.database) as tx:
                    swept = await step(tx, self.now, limit)
        async with self.database.connection() as connection:
            counting = reads.effective_state(self.now)
            unswept = await connection.execute(select(CouponRow.id).where(CouponRow.state != counting))
            assert unswept.all() == []

    # What holds after every step

    @invariant()
    def the_database_agrees_with_the_history(self) -> None:
        self.wait(self._compare())

    async def _compare(self) -> None:
        model, now = self.model, self.now
        async with self.database.connection() as connection:
            query = select(
                CouponRow.id,
                CouponRow.offer_id,
                CouponRow.state,
                reads.effective_state(now).label("counting"),
            )
            rows = (await connection.execute(query)).all()
            offers = dict((await connection.execute(select(Offer.id, Offer.issued))).all())
            made = select(func.count()).where(Claim.prize_id == Prize.id).scalar_subquery()
            prizes = (await connection.execute(select(Prize.id, Prize.claimed, Prize.inventory, made))).all()
            # One wallet a step, in turn; all of them at the end.
            member = next(self.turns)
            folders = await reads.wallet_counts(connection, self.world.members[member], now)
        assert {row.id: row.counting for row in rows} == {
            coupon.id: model.state(coupon, now) for coupon in model.coupons()
        }
        for position, offer_id in enumerate(self.world.offers):
            states = Counter(row.state for row in rows if row.offer_id == offer_id)
            kept = sum(states[state] for state in ("open", "held", "redeemed", "expired", "void"))
            assert offers[offer_id] == kept == len(model.coupons(offer=position))
        for prize_id, claimed, inventory, claims in prizes:
            position = self.world.prizes.index(prize_id)
            assert claimed == claims == len(model.claims(prize=position)) <= inventory
            assert inventory == model.inventory(position)
        expected = Counter(model.folder(coupon, now) for coupon in model.coupons(member=member))
        assert {folder: count for folder, count in folders.items() if count} == expected

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.wait(self._finish())

    async def _finish(self) -> None:
        async with self.database.connection() as connection:
            assert [finding for finding in await run_audit(connection) if finding.breaches] == []
        async with self.database.connection() as connection:
            for member, member_id in enumerate(self.world.members):
                for folder in reads.FOLDERS:
                    page = await reads.wallet(connection, member_id, folder, self.now, limit=1000)
                    assert {coupon.id for coupon in page.coupons} == {
                        coupon.id
                        for coupon in self.model.coupons(member=member)
                        if self.model.folder(coupon, self.now) == folder
                    }


async def _all_at_once(calls: Sequence[Awaitable[Any]]) -> list[Any]:
    """What each call answered, or its refusal; anything else that went wrong is raised."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
            raise outcome
    return outcomes


def _word(outcome: Any, done: str) -> str:
    """An outcome in the model's words."""
    if isinstance(outcome, Refusal):
        return outcome.reason
    return "replayed" if getattr(outcome, "replayed", False) else done


def _newest(things: Sequence[Value], which: int) -> Value:
    return things[-1 - which % len(things)]


@pytest.mark.timeout(400 + 4 * EXAMPLES)  # shrinking a failure may take five minutes
def test_every_history_goes_as_the_model_says(database_url: str) -> None:
    with asyncio.Runner() as loop_runner:

        class Machine(Lifecycle):
            runner = loop_runner
            database = Database(database_url)

        try:
            run_state_machine_as_test(Machine, settings=PROFILE)
        finally:
            loop_runner.run(Machine.database.close())
