"""The queue of messages: withdrawn, behind, forgotten, and what looking at it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql

from tearline.db import Database, first_id_of, new_id, transaction
from tearline.notices.model import Notice
from tearline.notices.queue import forget_notices, old_notices, withdraw
from tearline.notices.reads import QueueWatch, queue_state, waiting_statement
from tests.actions.notices_support import notice, put

pytestmark = pytest.mark.anyio


async def write_history(database: Database, now: datetime) -> None:
    """Thousands of notices that were sent."""
    history = [
        {
            "id": new_id(), "channel": "sms", "recipient": "+85251234567", "language": "en",
            "template": "sign_in_code", "values": {}, "state": "sent", "next_attempt_at": now,
            "created_at": now, "expires_at": now,
        }
        for _ in range(5000)
    ]  # fmt: skip
    async with transaction(database) as tx:
        await tx.execute(insert(Notice), history)


async def test_a_message_can_be_withdrawn_until_somebody_sends_it(database: Database) -> None:
    first, second = await put(database, 2)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE notice SET state = 'sending' WHERE id = :id"), {"id": second})
        assert await withdraw(tx, first)
        assert not await withdraw(tx, second)
    row = await notice(database, first)
    assert (row.state, row.error, row.values) == ("failed", "withdrawn", {})


async def test_an_unknown_channel_or_template_is_our_own_mistake(database: Database) -> None:
    with pytest.raises(ValueError, match="pigeon"):
        await put(database, channel="pigeon")


async def test_a_queue_that_nobody_serves_says_it_is_behind(database: Database) -> None:
    now = datetime.now(UTC)
    await put(database, 2, now=now - timedelta(seconds=20))
    await put(database, channel="voice", now=now)
    await put(database, channel="whatsapp", now=now - timedelta(seconds=400))
    async with database.connection() as connection:
        states = await queue_state(connection, now)
    assert (states["sms"].waiting, round(states["sms"].oldest_seconds), states["sms"].behind) == (2, 20, True)
    assert (states["voice"].waiting, states["voice"].behind) == (1, False)
    # What has expired waits for nothing.
    assert (states["whatsapp"].waiting, states["whatsapp"].behind) == (0, False)


async def test_one_recipient_in_trouble_does_not_put_a_channel_behind(database: Database) -> None:
    now = datetime.now(UTC)
    ids = await put(database, 3, now=now - timedelta(seconds=20))
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE notice SET attempts = 1"))
        await tx.execute(text("UPDATE notice SET state = 'sent' WHERE id = :id"), {"id": ids[0]})
        assert not (await queue_state(tx, now))["sms"].behind
        await tx.execute(text("UPDATE notice SET state = 'queued'"))
        assert (await queue_state(tx, now))["sms"].behind


async def test_the_queues_state_costs_nothing_of_what_was_ever_sent(database: Database) -> None:
    now = datetime.now(UTC)
    await write_history(database, now)
    await put(database, 3)
    async with transaction(database) as tx:
        await tx.execute(text("ANALYZE notice"))
        question = waiting_statement(now, 15).compile(
            dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
        )
        plan = (await tx.exec_driver_sql(f"EXPLAIN {question}")).scalars()
        assert "Seq Scan" not in "\n".join(plan)


async def test_many_pages_ask_the_database_once(database: Database) -> None:
    now = datetime.now(UTC)
    watch = QueueWatch(database, max_age_seconds=2)
    assert (await watch.states(now))["sms"].waiting == 0
    await put(database, now=now)
    assert {(await watch.states(now))["sms"].waiting for _ in range(5)} == {0}
    assert (await watch.states(now + timedelta(seconds=2)))["sms"].waiting == 1


async def test_old_notices_are_forgotten(database: Database) -> None:
    now = datetime.now(UTC)
    old = await put(database, 4)
    await put(database, 1)
    month_ago = now - timedelta(days=30)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE notice SET state = 'sent' WHERE id <> :id"), {"id": old[0]})
        # As if made at the edge: the last moment that is too old, and the first that is not.
        for position, moment in enumerate(
            (
                month_ago - timedelta(days=9),
                month_ago - timedelta(milliseconds=1),
                month_ago - timedelta(days=1),
            )
        ):
            await tx.execute(
                text("UPDATE notice SET id = :made, created_at = :at WHERE id = :id"),
                {"made": first_id_of(moment), "at": moment, "id": old[position]},
            )
        await tx.execute(
            text("UPDATE notice SET id = :made WHERE id = :id"),
            {"made": first_id_of(month_ago), "id": old[3]},
        )
        # The first of them was never sent, and stays.
        assert await forget_notices(tx, created_before=month_ago, most=1) == 1
        assert await forget_notices(tx, created_before=month_ago) == 1
        assert await forget_notices(tx, created_before=month_ago) == 0
        assert await tx.scalar(text("SELECT count(*) FROM notice")) == 3


async def test_forgetting_walks_past_no_notice_that_is_kept(database: Database) -> None:
    now = datetime.now(UTC)
    await write_history(database, now)
    async with transaction(database) as tx:
        await tx.execute(text("ANALYZE notice"))
        question = old_notices(now - timedelta(days=30), 1000).compile(
            dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
        )
        plan = "\n".join((await tx.exec_driver_sql(f"EXPLAIN {question}")).scalars())
    assert "Index Cond: (id <" in plan, plan
