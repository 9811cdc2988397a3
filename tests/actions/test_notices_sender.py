"""The sender over a real queue: retries, failover, circuits, leases, and never too late."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import text
from werkzeug import Request, Response

from tearline.core.delivery import FailureKind
from tearline.db import Database, transaction
from tearline.notices.circuit import Circuit
from tearline.notices.messages import Message, ProviderFailure, Sent
from tearline.notices.outcomes import Outcome, write_outcomes
from tearline.notices.providers import HttpGateway, Outbox, TwilioSms
from tearline.notices.reads import outbox
from tearline.notices.sender import NoticeSender, SenderTimes
from tests.actions.notices_support import FAST, SOON, Recorder, notice, put, sending, until, until_done

pytestmark = pytest.mark.anyio


async def test_what_is_queued_is_sent_once_committed_and_its_code_forgotten(database: Database) -> None:
    recorder = Recorder()
    async with sending(database, [recorder]):
        (id_,) = await put(database)
        (row,) = await until_done(database, [id_])
    assert (row.state, row.provider, row.provider_reference, row.attempts) == (
        "sent",
        "recorder",
        "recorder-1",
        1,
    )
    assert row.values == {}
    assert row.sent_at is not None
    assert row.error is None


async def test_every_channel_has_its_own_providers(database: Database) -> None:
    sms, voice = Recorder("sms-provider"), Recorder("voice-provider")
    async with sending(database, {"sms": [sms], "voice": [voice], "whatsapp": []}):
        (by_voice,) = await put(database, channel="voice")
        (by_sms,) = await put(database)
        await until_done(database, [by_voice, by_sms])
    assert (sms.sent, voice.sent) == ([by_sms], [by_voice])


async def test_the_outbox_shows_what_was_sent(database: Database) -> None:
    async with sending(database, [Outbox()]):
        ids = await put(database, 3)
        await until_done(database, ids)
    async with database.connection() as connection:
        messages = await outbox(connection, limit=2)
    assert [message.id for message in messages] == [ids[2], ids[1]]
    assert messages[0].text.startswith("012345 is your sign-in code")


async def test_a_temporary_failure_is_tried_again(database: Database, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/send").respond_with_data("", status=503)
    httpserver.expect_ordered_request("/send").respond_with_json({"id": "m1"})
    async with sending(database, [HttpGateway(httpserver.url_for("/send"))]):
        (id_,) = await put(database)
        (row,) = await until_done(database, [id_])
    assert (row.state, row.attempts, row.provider_reference) == ("sent", 2, "m1")
    keys = {request.headers["Idempotency-Key"] for request, _ in httpserver.log}
    assert keys == {str(id_)}


async def test_a_provider_that_fails_is_followed_by_the_next_and_its_circuit_opens(
    database: Database, httpserver: HTTPServer
) -> None:
    sid = "AC" + "0" * 32
    httpserver.expect_request(f"/2010-04-01/Accounts/{sid}/Messages.json").respond_with_json(
        {"code": 20500, "message": "Internal Server Error"}, status=500
    )
    httpserver.expect_request("/send").respond_with_json({"id": "g"})
    first = TwilioSms(sid, "token", "+15005550006", base_url=httpserver.url_for(""))
    second = HttpGateway(httpserver.url_for("/send"))
    circuit = lambda: Circuit(opens_after=4, open_seconds=60)  # noqa: E731
    async with sending(database, [first, second], new_circuit=circuit) as sender:
        (id_,) = await put(database)
        (row,) = await until_done(database, [id_])
        assert (row.state, row.provider, row.attempts) == ("sent", "gateway", 3)
        (other,) = await put(database)
        await until_done(database, [other])
        assert sender.circuits() == {("sms", "twilio"): "open", ("sms", "gateway"): "closed"}
        asked = len(httpserver.log)
        (third,) = await put(database)
        (row,) = await until_done(database, [third])
    # The open circuit is not asked at all.
    assert (row.provider, row.attempts, len(httpserver.log)) == ("gateway", 1, asked + 1)


async def test_an_unreachable_number_fails_at_once(database: Database, httpserver: HTTPServer) -> None:
    sid = "AC" + "0" * 32
    httpserver.expect_request(f"/2010-04-01/Accounts/{sid}/Messages.json").respond_with_json(
        {"code": 21211, "message": "Invalid 'To' Phone Number"}, status=400
    )
    spare = Recorder("spare")
    first = TwilioSms(sid, "token", "+15005550006", base_url=httpserver.url_for(""))
    async with sending(database, [first, spare]) as sender:
        (id_,) = await put(database)
        (row,) = await until_done(database, [id_])
        assert sender.circuits()["sms", "twilio"] == "closed"
    assert (row.state, row.attempts, row.values, spare.sent) == ("failed", 1, {}, [])
    assert "21211" in row.error


async def test_wrong_credentials_open_the_circuit_and_the_next_provider_steps_in(database: Database) -> None:
    first, second = Recorder("first"), Recorder("second")
    first.failure = ProviderFailure(FailureKind.CREDENTIALS, "code 20003")
    async with sending(database, [first, second]) as sender:
        (id_,) = await put(database)
        (row,) = await until_done(database, [id_])
        assert sender.circuits()["sms", "first"] == "open"
    assert (row.state, row.provider, len(first.sent)) == ("sent", "second", 1)


async def test_a_throttling_provider_is_left_alone_while_another_helps(
    database: Database, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/send").respond_with_response(
        Response("{}", status=429, headers={"Retry-After": "60"})
    )
    helper = Recorder("helper")
    async with sending(database, [HttpGateway(httpserver.url_for("/send")), helper]):
        (one,) = await put(database)
        await until_done(database, [one])
        (two,) = await put(database)
        await until_done(database, [two])
    assert helper.sent == [one, two]
    assert len(httpserver.log) == 1


async def test_a_lone_provider_that_recovers_gets_what_waited(database: Database) -> None:
    provider = Recorder()
    provider.failures = [ProviderFailure(FailureKind.CREDENTIALS, "no money")]
    quick_circuit = lambda: Circuit(open_seconds=0.05)  # noqa: E731
    async with sending(database, [provider], new_circuit=quick_circuit) as sender:
        ids = await put(database, 3)
        rows = await until_done(database, ids)
        assert sender.circuits()["sms", "recorder"] == "closed"
    assert {row.state for row in rows} == {"sent"}


async def test_a_message_is_given_up_after_its_last_attempt(database: Database) -> None:
    provider = Recorder()
    provider.failure = ProviderFailure(FailureKind.TEMPORARY, "HTTP 500")
    lenient = lambda: Circuit(opens_after=1000)  # noqa: E731
    async with sending(database, [provider], new_circuit=lenient):
        (id_,) = await put(database)
        (row,) = await until_done(database, [id_])
    assert (row.state, row.attempts, row.values) == ("failed", 4, {})
    assert row.error == "temporary: HTTP 500 (attempts)"


async def test_an_adapters_mistake_stops_nothing_else(database: Database) -> None:
    class Broken(Recorder):
        async def send(self, message: Message) -> Sent:
            raise KeyError("code")

    spare = Recorder("spare")
    async with sending(database, [Broken("broken"), spare]):
        ids = await put(database, 2)
        await until_done(database, ids)
    assert sorted(spare.sent) == sorted(ids)


async def test_nothing_is_sent_after_it_expired(database: Database) -> None:
    recorder = Recorder()
    (stale,) = await put(database, now=datetime.now(UTC) - timedelta(seconds=400))
    async with sending(database, [recorder]):
        (row,) = await until_done(database, [stale])
    assert (row.state, row.values, recorder.sent) == ("failed", {}, [])
    assert "expired" in row.error


async def test_a_provider_works_on_no_more_than_it_takes_at_once(database: Database) -> None:
    recorder = Recorder(most_at_once=3, answer_seconds=0.005)
    ids = await put(database, 30)
    async with sending(database, [recorder]):
        await until_done(database, ids)
    assert recorder.most_seen_at_once == 3
    assert sorted(recorder.sent) == sorted(ids)


async def test_several_senders_share_the_work_and_send_nothing_twice(
    database: Database, database_url: str
) -> None:
    ids = await put(database, 300)
    recorders = [Recorder(f"r{number}", answer_seconds=0.001) for number in range(3)]
    async with Database(database_url) as other, Database(database_url) as another:
        handles = [database, other, another]
        senders = [
            NoticeSender(handle, {"sms": [recorder]}, policy=SOON, times=FAST)
            for handle, recorder in zip(handles, recorders, strict=True)
        ]
        running = [asyncio.create_task(sender.run()) for sender in senders]
        await until_done(database, [])
        for sender in senders:
            sender.stop()
        await asyncio.gather(*running)
    sent = [id_ for recorder in recorders for id_ in recorder.sent]
    assert len(sent) == 300
    assert set(sent) == set(ids)
    assert all(recorder.sent for recorder in recorders)


async def test_stopping_finishes_what_was_begun(database: Database) -> None:
    recorder = Recorder(answer_seconds=0.2)
    async with sending(database, [recorder]) as sender:
        (id_,) = await put(database)

        async def begun() -> bool:
            return recorder.at_once == 1

        await until(begun)
        sender.stop()
    assert (await notice(database, id_)).state == "sent"


CHILD = """
import asyncio, sys
from tearline.db import Database
from tearline.notices.providers import HttpGateway
from tearline.notices.sender import NoticeSender
async def main():
    await NoticeSender(Database(sys.argv[1]), {"sms": [HttpGateway(sys.argv[2])]}).run()
asyncio.run(main())
"""


async def test_what_a_killed_sender_had_begun_is_sent_by_another(
    database: Database, database_url: str, httpserver: HTTPServer
) -> None:
    asked, release = threading.Event(), threading.Event()

    def hang(_request: Request) -> Response:
        asked.set()
        release.wait(20)
        return Response("{}")

    httpserver.expect_request("/hang").respond_with_handler(hang)
    (id_,) = await put(database)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, database_url, httpserver.url_for("/hang")
    )
    try:
        assert await asyncio.to_thread(asked.wait, 20)
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
        release.set()
    row = await notice(database, id_)
    assert (row.state, row.attempts) == ("sending", 1)

    recorder = Recorder()
    async with sending(database, [recorder]):
        await asyncio.sleep(0.1)
        # Not before the lease has ended: the other might be slow and not dead.
        assert recorder.sent == []
    later = SenderTimes(poll=0.01, send=5, lease=30, sweep=0.02)
    clock = lambda: datetime.now(UTC) + timedelta(seconds=61)  # noqa: E731
    async with sending(database, [recorder], times=later, clock=clock):
        (row,) = await until_done(database, [id_])
    assert (row.state, row.attempts, recorder.sent) == ("sent", 2, [id_])


async def test_a_sender_that_lost_its_lease_changes_nothing(database: Database) -> None:
    (id_,) = await put(database)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE notice SET state = 'sending', attempts = 2"))
        late = Outcome(id_, 1, "failed", 1, "first", error="too late")
        assert await write_outcomes(tx, [late]) == 0
        assert await write_outcomes(tx, [Outcome(id_, 2, "sent", 2, "second", reference="x")]) == 1
        # The same outcome again, after a commit whose answer was lost.
        assert await write_outcomes(tx, [Outcome(id_, 2, "sent", 2, "second", reference="x")]) == 0


async def test_a_lost_database_connection_is_only_a_pause(database: Database, database_url: str) -> None:
    recorder = Recorder(answer_seconds=0.05)
    async with Database(database_url) as own, sending(own, [recorder]):
        ids = await put(database, 5)
        await until_some_sent(recorder)
        async with transaction(database) as tx:
            await tx.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        rows = await until_done(database, ids)
        more = await put(database, 2)
        rows += await until_done(database, more)
    assert {row.state for row in rows} == {"sent"}
    assert sorted(recorder.sent) == sorted([*ids, *more])


async def until_some_sent(recorder: Recorder) -> None:
    async def some() -> bool:
        return bool(recorder.sent)

    await until(some)
