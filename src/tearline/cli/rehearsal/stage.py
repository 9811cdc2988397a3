"""The stage of a rehearsal: a database of its own, a campaign with a waiting room, people, and web processes.

All of it goes when the rehearsal ends, however it ends. What a rehearsal that was killed has left behind is
dropped by the next one.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns import actions as campaign_actions
from tearline.cli.demo.members import copy_rows
from tearline.cli.rehearsal.plan import GRACE_SECONDS, Plan
from tearline.cli.rehearsal.protocol import CAMPAIGN_CODE, PASSWORD, ROOM_CODE
from tearline.cli.screen import CommandError
from tearline.cli.supervisor import START_SECONDS, listen, metrics_environment
from tearline.core.campaigns import CampaignDraft, PrizeDraft
from tearline.core.offers import AmountOff, DaysAfterClaim, Funding, OfferDraft, Validity
from tearline.core.roles import command_actor
from tearline.core.rooms import RoomDraft
from tearline.db import Database, new_id, transaction
from tearline.members.tokens import MemberTokens
from tearline.merchants.actions import create_merchant, create_store
from tearline.offers.actions import activate_offer, create_offer
from tearline.waitingroom.actions import create_room

ACTOR = command_actor("tearline rehearse")
_TIME_ZONE = "Asia/Hong_Kong"
_INVENTORY = 100_000_000
"""Never runs out: what is measured is how fast it goes."""
_LEAST_MEMBERS = 1_000
_MEMBERS_FOR_EACH = 4
_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtext('tearline rehearsal'))"
_DROP_TRIES = 100


@contextmanager
def rehearsal_database(url: str, now: datetime) -> Iterator[str]:
    """The address of a new, empty database beside the one at ``url``; dropped at the end, with whoever is in it.

    Raises:
        CommandError: another rehearsal is running, or the user may not create databases.
    """
    base = make_url(url).database or "tearline"
    name = f"{base[:40]}_rehearsal_{now:%Y%m%d%H%M%S}"
    with psycopg.connect(url, autocommit=True) as admin:
        # Two at once would measure one another. The lock goes with the connection, so a killed one keeps none.
        if admin.execute(_LOCK).fetchone() != (True,):
            raise CommandError("Another rehearsal is running on this database; wait until it is over.")
        for left_behind in _left_behind(admin, base):
            _drop(admin, left_behind)
        try:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise CommandError(
                "A rehearsal needs a database of its own, and the database user may not create one. "
                "Allow it for the rehearsal: ALTER ROLE … CREATEDB"
            ) from error
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            with _undisturbed():
                _drop(admin, name)


def _left_behind(admin: psycopg.Connection, base: str) -> list[str]:
    pattern = re.compile(re.escape(base[:40]) + r"_rehearsal_[0-9]{14}")
    rows = admin.execute("SELECT datname FROM pg_database").fetchall()
    return [name for (name,) in rows if pattern.fullmatch(name)]


def _drop(admin: psycopg.Connection, name: str) -> None:
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    for _attempt in range(_DROP_TRIES):
        try:
            admin.execute(statement)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
            # An autovacuum worker that is in it is nobody's whom we may end; it leaves when asked.
            time.sleep(0.1)
        else:
            return
    raise CommandError(f"The rehearsal's database {name} could not be dropped; drop it by hand.")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Clear away without being interrupted by another Ctrl-C."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Scene:
    """What was made: the room, and a token for each member."""

    room_id: UUID
    tokens: list[str]


async def fill(database: Database, plan: Plan, secret: str) -> Scene:
    """A merchant, an offer, a campaign with a password, the room that guards it, and members."""
    now = datetime.now(UTC)
    async with transaction(database) as tx:
        offer_id = await _make_offer(tx, now)
        campaign_id = await campaign_actions.create_campaign(
            tx,
            ACTOR,
            CampaignDraft(
                code=CAMPAIGN_CODE,
                names={"en": "Rehearsal"},
                time_zone=_TIME_ZONE,
                starts_at=now - timedelta(days=1),
                ends_at=now + timedelta(days=30),
            ),
            now - timedelta(days=2),
        )
        prize = PrizeDraft({"en": "Rehearsed prize"}, PASSWORD, _INVENTORY, {offer_id: 1})
        await campaign_actions.add_prize(tx, ACTOR, campaign_id, prize, now=now - timedelta(days=2))
        await campaign_actions.go_live(tx, ACTOR, campaign_id, now=now - timedelta(days=2))
        room = RoomDraft(
            code=ROOM_CODE,
            names={"en": "Rehearsal"},
            time_zone=_TIME_ZONE,
            max_active=1,
            session_seconds=plan.session_seconds,
            grace_seconds=GRACE_SECONDS,
            campaign_ids=(campaign_id,),
        )
        room_id = await create_room(tx, ACTOR, room, now)
        members = await _make_members(tx, max(_LEAST_MEMBERS, _MEMBERS_FOR_EACH * plan.people), now)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    signer = MemberTokens([secret.encode()])
    return Scene(room_id, [signer.issue(member_id, 1, now) for member_id in members])


async def _make_offer(tx: AsyncConnection, now: datetime) -> UUID:
    merchant_id = await create_merchant(
        tx, ACTOR, code="rehearsal", names={"en": "Rehearsal"}, kind="retail", now=now
    )
    await create_store(tx, ACTOR, merchant_id, code="rehearsal", names={"en": "Rehearsal"}, now=now)
    draft = OfferDraft(
        code="REHEARSAL",
        issuer="merchant",
        names={"en": "HK$50 off"},
        benefit=AmountOff(5000),
        currency="HKD",
        minimum_spend=30000,
        funding=Funding(0, 10_000),
        validity=Validity(DaysAfterClaim(30)),
        time_zone=_TIME_ZONE,
        merchant_id=merchant_id,
    )
    offer_id = await create_offer(tx, ACTOR, draft, now)
    await activate_offer(tx, ACTOR, offer_id, now=now)
    return offer_id


async def _make_members(tx: AsyncConnection, count: int, now: datetime) -> list[UUID]:
    ids = [new_id() for _ in range(count)]
    phones = [f"+8526{number:07d}" for number in range(count)]
    rows = ((id_, phone, now) for id_, phone in zip(ids, phones, strict=True))
    await copy_rows(tx, "member", ("id", "phone", "created_at"), rows)
    await copy_rows(tx, "member_phone", ("phone", "member_id"), zip(phones, ids, strict=True))
    return ids


@dataclass(frozen=True, slots=True)
class Web:
    """Web processes that answer."""

    url: str
    process_ids: tuple[int, ...]


@contextmanager
def web_processes(database_url: str, processes: int, secret: str, log: Path) -> Iterator[Web]:
    """This installation's web processes on a free loopback port, on the rehearsal's database.

    They have a secret of their own, send nothing, and keep their counts to themselves, so that nobody outside the
    rehearsal notices it. What they log goes into a file.

    Raises:
        CommandError: one does not come up, or has died meanwhile.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    sockets = listen("127.0.0.1", port, processes)
    running: list[subprocess.Popen[bytes]] = []
    with metrics_environment(processes) as metrics, log.open("wb") as output:
        environment = {
            **os.environ,
            **{f"TEARLINE_{name}": value for name, value in _quiet_settings(port, url).items()},
            "TEARLINE_DATABASE_URL": database_url,
            "TEARLINE_SECRET_KEY": secret,
            **metrics,
        }
        try:
            for one in sockets:
                running.append(_start_web(one, environment, output.fileno(), log))
            yield Web(url, tuple(process.pid for process in running))
            if any(process.poll() is not None for process in running):
                raise CommandError(f"A web process has died during the rehearsal.{_last_words(log)}")
        finally:
            with _undisturbed():
                for process in running:
                    _end(process)
                for one in sockets:
                    one.close()


def _quiet_settings(port: int, url: str) -> dict[str, str]:
    nothing = ("SMS_PROVIDERS", "WHATSAPP_PROVIDERS", "VOICE_PROVIDERS", "VALKEY_URL", "TRUSTED_PROXIES")
    return {
        "DEMO": "false",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": url,
        "LOG_LEVEL": "warning",
        **dict.fromkeys(nothing, ""),
    }


def _start_web(
    listening: socket.socket, environment: dict[str, str], output: int, log: Path
) -> subprocess.Popen[bytes]:
    ready, child_ready = os.pipe()
    arguments = [str(os.getpid()), "serve", str(listening.fileno()), str(child_ready)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tearline.cli.children", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=(listening.fileno(), child_ready),
        start_new_session=True,  # a terminal's Ctrl-C reaches only us
    )
    os.close(child_ready)
    # Ends by itself: the child says that it is ready, or its end of the pipe is closed with it.
    with os.fdopen(ready, "rb") as said:
        if not said.readline():
            _end(process)
            raise CommandError(f"A web process does not come up.{_last_words(log)}")
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(START_SECONDS / 6)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return f" It said last: {lines[-1]}" if lines else ""


def new_secret() -> str:
    """A secret that signs sessions in the rehearsal only."""
    return secrets.token_urlsafe(48)
