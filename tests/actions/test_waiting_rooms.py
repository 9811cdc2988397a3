"""A waiting room on a real database: the draw, the door, the controller, and what the operator does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from tearline.core import draw
from tearline.core.refusal import Refusal
from tearline.core.roles import PERMISSIONS, Actor
from tearline.db import Database, new_id, transaction
from tearline.merchants.model import AuditEntry
from tearline.waitingroom import actions, reads
from tearline.waitingroom.controller import Stock, rooms_to_control
from tearline.waitingroom.joins import Solution
from tearline.waitingroom.model import RoomCall, RoomEntry, RoomSample
from tearline.waitingroom.tokens import Pass, Ticket
from tearline.waitingroom.watch import RoomWatch
from tests.rooms import ACTOR, CODE, START, Hall, make_room, room_draft

pytestmark = pytest.mark.anyio


async def hall_of(database: Database, state: str = "queueing", **changes: Any) -> Hall:
    return Hall(database, await make_room(database, START, state, **changes))


async def test_those_who_gather_get_the_places_of_the_draw(database: Database) -> None:
    hall = await hall_of(database, "gathering", max_active=3)
    early = await hall.join(8)
    assert [ticket.number for ticket in early] == list(range(8))
    assert await hall.enter(early[0]) == "not_called"
    await hall.move("queueing")
    late = await hall.join(1)
    await hall.tick()
    state = await hall.state()
    assert (state.gathered, state.joined, state.called) == (8, 9, 3)
    places = [draw.place(state.seed, number, 8) for number in range(8)]
    answers = [await hall.enter(ticket) for ticket in early]
    assert {place for place, answer in zip(places, answers, strict=True) if isinstance(answer, Pass)} == {
        0,
        1,
        2,
    }
    assert {answer for answer in answers if not isinstance(answer, Pass)} == {"not_called"}
    assert late[0].number == 8


async def test_a_pass_lasts_as_long_as_the_room_says_and_no_longer(database: Database) -> None:
    hall = await hall_of(database, max_active=1, session_seconds=90)
    first, second = await hall.join(2)
    await hall.tick()
    held = await hall.enter(first)
    assert isinstance(held, Pass)
    assert held.expires_at - held.entered_at == timedelta(seconds=90)
    await hall.pass_time(80)
    again = await hall.enter(first)
    assert again == held, "activity does not prolong it"
    assert await hall.enter(second) == "not_called"
    await hall.pass_time(11)
    assert await hall.enter(first) == "pass_ended"
    assert isinstance(await hall.enter(second), Pass)


async def test_a_copied_ticket_enters_once(database: Database) -> None:
    hall = await hall_of(database)
    (ticket,) = await hall.join(1)
    await hall.tick()
    assert isinstance(await hall.enter(ticket, "mine"), Pass)
    assert await hall.enter(ticket, "a copy") == "ticket_used"


async def test_a_pass_serves_the_first_member_who_uses_it(database: Database) -> None:
    hall = await hall_of(database)
    (ticket,) = await hall.join(1)
    await hall.tick()
    held = await hall.enter(ticket)
    assert isinstance(held, Pass)
    mine, other = new_id(), new_id()
    bound = await hall.door.bind(held, mine)
    assert bound.member_id == mine
    assert await hall.door.bind(held, mine) == bound
    with pytest.raises(Refusal, match="pass_taken"):
        await hall.door.bind(held, other)
    assert await hall.enter(ticket, member_id=other) == bound, "an exchange again changes nobody's pass"


async def test_leaving_frees_the_place_at_once_and_ends_the_pass(database: Database) -> None:
    hall = await hall_of(database, max_active=1)
    first, second = await hall.join(2)
    await hall.tick()
    held = await hall.enter(first)
    assert isinstance(held, Pass)
    await hall.door.leave(held)
    await hall.door.leave(held)
    assert (await hall.state()).inside == 0
    await hall.pass_time(1)
    assert isinstance(await hall.enter(second), Pass)
    assert await hall.enter(first) == "pass_ended"
    watch = RoomWatch(database)
    await watch.refresh(hall.now)
    assert watch.has_left(hall.room_id, held.round, held.place)


async def test_whoever_does_not_come_in_time_frees_the_place(database: Database) -> None:
    hall = await hall_of(database, max_active=1, grace_seconds=20)
    first, second = await hall.join(2)
    await hall.tick()
    await hall.pass_time(19)
    assert (await hall.state()).called == 1
    await hall.pass_time(1)
    state = await hall.state()
    assert (state.called, state.lapsed, state.no_shows) == (2, 1, 1)
    assert await hall.enter(first) == "turn_missed"
    assert isinstance(await hall.enter(second), Pass)


@pytest.mark.parametrize(("is_full", "answer"), [(False, "in"), (True, "room_full")])
async def test_a_room_may_let_the_late_in(database: Database, is_full: bool, answer: str) -> None:
    hall = await hall_of(database, max_active=1, grace_seconds=20, late_may_enter=True)
    late, *others = await hall.join(3)
    await hall.tick()
    await hall.pass_time(21)
    if is_full:
        for other in others:
            await hall.enter(other)
        await hall.set_state(inside=2)
    outcome = await hall.enter(late)
    assert outcome == answer if is_full else isinstance(outcome, Pass)


async def test_the_door_holds_the_limit_and_lets_in_who_waits_there(database: Database) -> None:
    hall = await hall_of(database, max_active=2)
    tickets = await hall.join(6)
    await hall.tick()
    # Everyone is called, as if the estimate had been far off.
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE room_call SET size = 6"))
        await tx.execute(text("UPDATE room_state SET called = 6"))
    outcomes = [await hall.enter(ticket) for ticket in tickets]
    inside = [outcome for outcome in outcomes if isinstance(outcome, Pass)]
    assert (len(inside), outcomes.count("room_full")) == (3, 3)
    state = await hall.state()
    assert (state.inside, state.at_door) == (3, 3)
    await hall.door.leave(inside[0])
    waiting = tickets[outcomes.index("room_full")]
    assert isinstance(await hall.enter(waiting), Pass)
    state = await hall.state()
    assert (state.inside, state.at_door) == (3, 2)
    # Those who are not seen at the door any more have gone.
    await hall.pass_time(61)
    assert (await hall.state()).at_door == 0


async def test_an_open_room_begins_to_queue_when_it_is_full(database: Database) -> None:
    hall = await hall_of(database, "open", max_active=3)
    early = await hall.join(3)
    assert all([isinstance(await hall.enter(ticket), Pass) for ticket in early])
    more = await hall.join(4)
    await hall.tick()
    state = await hall.state()
    assert (state.state, state.called) == ("queueing", 3)
    assert await hall.enter(more[0]) == "not_called"
    held = await hall.enter(early[1])
    assert isinstance(held, Pass)
    await hall.door.leave(held)
    await hall.pass_time(1)
    assert isinstance(await hall.enter(more[0]), Pass)


async def test_an_open_room_can_be_made_to_queue_by_hand(database: Database) -> None:
    hall = await hall_of(database, "open", max_active=5)
    early = await hall.join(3)
    await hall.enter(early[2])
    await hall.move("queueing")
    (late,) = await hall.join(1)
    assert await hall.enter(late) == "not_called"
    assert isinstance(await hall.enter(early[0]), Pass), "who came before is not sent to the end"
    await hall.pass_time(1)
    assert isinstance(await hall.enter(late), Pass)
    await _audit_is_clean(database)


async def test_the_dial_is_the_number_of_people_inside(database: Database) -> None:
    hall = await hall_of(database, max_active=0)
    tickets = await hall.join(20)
    await hall.pass_time(3)
    assert (await hall.state()).called == 0
    async with transaction(database) as tx:
        await actions.turn_dial(tx, ACTOR, hall.room_id, max_active=5, per_minute=None, now=hall.now)
    await hall.pass_time(1)
    assert (await hall.state()).called == 5
    for ticket in tickets[:5]:
        await hall.enter(ticket)
    async with transaction(database) as tx:
        await actions.turn_dial(tx, ACTOR, hall.room_id, max_active=2, per_minute=None, now=hall.now)
    await hall.pass_time(2)
    state = await hall.state()
    assert (state.called, state.inside) == (5, 5), "nobody is thrown out"


async def test_the_rate_bounds_the_calls_of_a_minute(database: Database) -> None:
    hall = await hall_of(database, max_active=1000, per_minute=60)
    await hall.join(200)
    await hall.pass_time(60)
    assert 58 <= (await hall.state()).called <= 62


async def test_a_paused_room_calls_nobody_and_keeps_everybody(database: Database) -> None:
    hall = await hall_of(database, max_active=1)
    first, second = await hall.join(2)
    await hall.tick()
    async with transaction(database) as tx:
        await actions.pause_room(tx, ACTOR, hall.room_id, is_paused=True, now=hall.now)
    held = await hall.enter(first)
    assert isinstance(held, Pass), "who was called comes in"
    await hall.door.leave(held)
    await hall.pass_time(5)
    assert await hall.enter(second) == "not_called"
    async with transaction(database) as tx:
        await actions.pause_room(tx, ACTOR, hall.room_id, is_paused=False, now=hall.now)
    await hall.pass_time(1)
    assert isinstance(await hall.enter(second), Pass)


async def test_the_schedule_gathers_starts_and_ends(database: Database) -> None:
    hour = timedelta(hours=1)
    hall = await hall_of(
        database, "closed", gathers_at=START + hour, starts_at=START + 2 * hour, ends_at=START + 3 * hour
    )
    with pytest.raises(Refusal, match="room_closed"):
        await hall.join(1)
    seen = []
    for moment in (1, 2, 3):
        hall.now = START + moment * hour
        await hall.tick()
        seen.append((await hall.state()).state)
        if moment < 3:
            await hall.join(1)
    assert seen == ["gathering", "queueing", "ended"]
    with pytest.raises(Refusal, match="room_ended"):
        await hall.join(1)


async def test_tickets_of_an_earlier_round_are_worth_nothing(database: Database) -> None:
    hall = await hall_of(database)
    (old,) = await hall.join(1)
    await hall.move("ended")
    await hall.move("gathering")
    await hall.move("queueing")
    (new,) = await hall.join(1)
    await hall.tick()
    assert (new.round, new.number) == (2, 0)
    assert await hall.enter(old) == "wrong_ticket"
    assert await hall.enter(Ticket(hall.room_id, 2, 7)) == "wrong_ticket"
    assert isinstance(await hall.enter(new), Pass)


async def test_each_proof_of_work_is_good_for_one_ticket(database: Database) -> None:
    hall = await hall_of(database)
    solution = Solution(b"d" * 32, START + timedelta(minutes=5))
    answers = await asyncio.gather(
        *(hall.joins.join(hall.room_id, solution) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, Ticket) for answer in answers) == 1
    assert (await hall.state()).joined == 1
    with pytest.raises(Refusal, match="wrong_proof"):
        await hall.joins.join(hall.room_id, solution)


async def test_a_bypass_link_leads_past_the_line(database: Database) -> None:
    hall = await hall_of(database, max_active=0)
    async with transaction(database) as tx:
        token = await actions.create_bypass(
            tx,
            ACTOR,
            hall.room_id,
            name="Wheelchair users",
            uses=1,
            expires_at=START + timedelta(days=1),
            now=START,
        )

    async def enter(key: str, with_token: str = token) -> Pass:
        async with transaction(database) as tx:
            return await actions.enter_by_bypass(tx, hall.room_id, with_token, key, hall.now)

    held = await enter("a")
    assert await enter("a") == held
    for key, wrong in (("b", token), ("a", "another")):
        with pytest.raises(Refusal, match="wrong_bypass"):
            await enter(key, wrong)
    assert (await hall.state()).inside == 1
    bound = await hall.door.bind(held, new_id())
    await hall.door.leave(bound)
    assert (await hall.state()).inside == 0
    with pytest.raises(Refusal, match="pass_ended"):
        await enter("a")


async def test_the_stock_tells_whom_it_will_reach(database: Database) -> None:
    campaign = await _campaign(database)
    hall = await hall_of(database, max_active=10, campaign_ids=[campaign])
    tickets = await hall.join(30)
    hall.stock = Stock(left=20, claimed=100)
    await hall.tick()
    document = await _document(database, hall)
    assert document["stock"] == {"left": 20, "reaches": 30}
    # Ten come and take one each.
    for ticket in tickets[:10]:
        await hall.enter(ticket)
    hall.stock = Stock(left=10, claimed=110)
    await hall.tick()
    state = await hall.state()
    assert (state.stock_left, state.stock_taken) == (10, 10)
    hall.stock = Stock(left=0, claimed=120)
    await hall.tick()
    assert (await _document(database, hall))["stock"] == {"left": 0, "reaches": 10}


async def test_the_public_document_keeps_the_seed_until_the_start(database: Database) -> None:
    hall = await hall_of(database, "gathering")
    await hall.join(2)
    before = await _document(database, hall)
    assert before["draw"]["seed"] is None
    await hall.move("queueing")
    after = await _document(database, hall)
    assert draw.commitment(bytes.fromhex(after["draw"]["seed"])) == before["draw"]["commitment"]
    assert after["draw"]["commitment"] == before["draw"]["commitment"]


async def test_rates_are_withheld_until_they_have_been_measured(database: Database) -> None:
    hall = await hall_of(database, max_active=100, per_minute=30, session_seconds=60)
    await hall.join(500)
    await hall.pass_time(50)
    assert (await _document(database, hall))["per_minute"] is None
    await hall.pass_time(60)
    slow, fast = (await _document(database, hall))["per_minute"]
    assert 25 <= slow <= fast <= 35
    board = await _board(database, hall)
    assert board.draining is not None
    assert board.draining[0] <= board.draining[1]


async def test_a_lease_is_one_controllers_until_it_is_dead(database: Database) -> None:
    hall = await hall_of(database)
    one, other = uuid4(), uuid4()

    async def lease(controller: UUID) -> list[UUID]:
        async with transaction(database) as tx:
            return await rooms_to_control(tx, controller)

    assert await lease(one) == [hall.room_id]
    assert await lease(other) == []
    assert await lease(one) == [hall.room_id]
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE room_state SET controller_until = now() - interval '1 second'"))
    assert await lease(other) == [hall.room_id]
    assert await lease(one) == []


async def test_two_controllers_call_no_more_than_one(database: Database) -> None:
    hall = await hall_of(database, max_active=1000, per_minute=600)
    await hall.join(300)
    await hall.tick()
    before = (await hall.state()).called
    hall.now += timedelta(seconds=1)
    await asyncio.gather(hall.tick(), hall.tick(), hall.tick())
    assert (await hall.state()).called - before <= 11


async def test_what_is_sampled_is_what_was(database: Database) -> None:
    hall = await hall_of(database, max_active=2)
    for ticket in await hall.join(5):
        await hall.enter(ticket)
    await hall.pass_time(11)
    async with database.connection() as connection:
        rows = await reads.samples(connection, hall.room_id, START)
        assert 2 <= len(rows) <= 4
        assert {row.waiting for row in rows} == {3}
        assert await connection.scalar(select(func.count()).select_from(RoomSample)) == len(rows)


async def test_every_act_is_in_the_audit_log(database: Database) -> None:
    hall = await hall_of(database, "closed")
    async with transaction(database) as tx:
        await actions.tell(tx, ACTOR, hall.room_id, {"en": "Soon"}, START)
        await actions.move_room(tx, ACTOR, hall.room_id, "queueing", START)
        await actions.pause_room(tx, ACTOR, hall.room_id, is_paused=True, now=START)
        await actions.turn_dial(tx, ACTOR, hall.room_id, max_active=4, per_minute=9, now=START)
    async with database.connection() as connection:
        entries = await connection.execute(select(AuditEntry.action).order_by(AuditEntry.id))
        assert list(entries.scalars()) == [
            "room.created", "room.told", "room.moved", "room.paused", "room.dial_turned",
        ]  # fmt: skip


async def test_a_room_can_be_changed_while_people_wait(database: Database) -> None:
    hall = await hall_of(database)
    draft = room_draft(names={"en": "Another"}, session_seconds=600)
    async with transaction(database) as tx:
        assert await actions.update_room(tx, ACTOR, hall.room_id, draft, version=1, now=START) == 2
        with pytest.raises(Refusal, match="changed_meanwhile"):
            await actions.update_room(tx, ACTOR, hall.room_id, draft, version=1, now=START)
        with pytest.raises(Refusal, match="not_editable"):
            await actions.update_room(tx, ACTOR, hall.room_id, room_draft(code="NEW"), version=2, now=START)


async def test_a_campaign_has_one_room(database: Database) -> None:
    campaign = await _campaign(database)
    await make_room(database, START, campaign_ids=[campaign])
    with pytest.raises(Refusal, match="already_taken") as refused:
        await make_room(database, START, code="HALL-2", campaign_ids=[campaign])
    assert list(refused.value.fields) == ["campaign_ids"]
    with pytest.raises(Refusal, match="already_taken") as refused:
        await make_room(database, START)
    assert list(refused.value.fields) == ["code"]


async def test_only_some_roles_may(database: Database) -> None:
    auditor = Actor(kind="staff", id=new_id(), name="A", permissions=PERMISSIONS["auditor"])
    async with transaction(database) as tx:
        with pytest.raises(Refusal, match="not_allowed"):
            await actions.create_room(tx, auditor, room_draft(), START)


async def test_nothing_is_stored_for_those_who_wait(database: Database) -> None:
    hall = await hall_of(database, max_active=1)
    await asyncio.gather(*(hall.joins.join(hall.room_id) for _ in range(500)))
    await hall.tick()
    assert (await hall.state()).joined == 500
    async with database.connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(RoomEntry)) == 0
        assert await connection.scalar(select(func.count()).select_from(RoomCall)) == 1


async def _audit_is_clean(database: Database) -> None:
    from tearline.insight.audit import run_audit

    async with database.connection() as connection:
        assert [(one.name, one.examples) for one in await run_audit(connection) if one.breaches] == []


async def _campaign(database: Database) -> UUID:
    from tests.worlds import make_world

    return (await make_world(database)).campaign_id


async def _document(database: Database, hall: Hall) -> Any:
    import msgspec

    watch = RoomWatch(database)
    await watch.refresh(hall.now)
    return msgspec.json.decode(watch.room(CODE).document)


async def _board(database: Database, hall: Hall) -> reads.Board:
    async with database.connection() as connection:
        return await reads.board(connection, hall.room_id)
