"""One step of a rehearsal: a round of the room at one setting of the dial, its visitors, and what was seen."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import psutil
from sqlalchemy import select, text

from tearline.cli.rehearsal.dial import Processor, Step
from tearline.cli.rehearsal.plan import Plan
from tearline.cli.rehearsal.protocol import Gathered, Script, Seen
from tearline.cli.rehearsal.stage import ACTOR, Scene, Web
from tearline.cli.screen import CommandError
from tearline.db import Database, transaction
from tearline.waitingroom.actions import move_room, turn_dial
from tearline.waitingroom.model import RoomState

_LOOK_SECONDS = 1.0
_START_SECONDS = 60.0
_LAST_WORDS_SECONDS = 30.0
_BACKENDS = text(
    "SELECT array_agg(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND (client_addr IS NULL OR client_addr <<= '127.0.0.0/8' "
    "OR client_addr = '::1')"
)
_decode = msgspec.json.Decoder(Gathered | Seen).decode


@dataclass(frozen=True, slots=True)
class Moment:
    """The room at one second: ``seconds`` since the rehearsal's first step began."""

    seconds: float
    dial: int
    inside: int
    waiting: int


@dataclass(slots=True)
class Stage:
    """Where steps are played.

    Attributes:
        tell: is told after each look how far the step has come, of how many seconds, and the room's moment.
        moments: the room, second by second, over all steps.
    """

    database: Database
    scene: Scene
    web: Web
    plan: Plan
    tokens_path: Path
    log_path: Path
    tell: Callable[[float, float, Moment], None]
    moments: list[Moment] = field(default_factory=list)
    _began: float | None = None
    _tokens_used: int = 0

    async def play(self, dial: int) -> Step:
        """A new round with the dial at ``dial``, and what it has shown.

        Raises:
            CommandError: the visitors' process has failed.
        """
        if self._began is None:
            self._began = time.monotonic()
        plan = self.plan
        async with transaction(self.database) as tx:
            now = datetime.now(UTC)
            await turn_dial(tx, ACTOR, self.scene.room_id, max_active=dial, per_minute=None, now=now)
            first = "gathering" if plan.shape == "burst" else "queueing"
            await move_room(tx, ACTOR, self.scene.room_id, first, now)
        script = Script(plan, self.web.url, str(self.tokens_path), self._tokens_used)
        self._tokens_used += plan.people
        with self.log_path.open("ab") as log:
            visitors = await _start_visitors(script, log.fileno())
        try:
            await self._hear(visitors, Gathered, _START_SECONDS + plan.gather_seconds)
            if plan.shape == "burst":
                await self._move("queueing")
            step = await self._watch(dial, visitors)
        finally:
            if visitors.returncode is None:
                visitors.kill()
                await visitors.wait()
        await self._move("ended")
        return step

    async def _watch(self, dial: int, visitors: Process) -> Step:
        """Look on until the step is over."""
        plan, began = self.plan, time.monotonic()
        over_seconds = plan.settle_seconds + plan.step_seconds
        heard = asyncio.create_task(self._hear(visitors, Seen, over_seconds + _LAST_WORDS_SECONDS))
        looks: list[Moment] = []
        usage: _Usage | None = None
        try:
            while not heard.done():
                elapsed = time.monotonic() - began
                moment = await self._look(dial)
                self.tell(min(elapsed, over_seconds), over_seconds, moment)
                if elapsed >= plan.settle_seconds:
                    usage = usage or _Usage(self.web.process_ids, await self._backends())
                    if elapsed < over_seconds:
                        looks.append(moment)
                        usage.look()
                await asyncio.wait({heard}, timeout=min(_LOOK_SECONDS, plan.step_seconds / 8))
            seen = heard.result()
        finally:
            heard.cancel()
        assert isinstance(seen, Seen)
        return _step(dial, seen, looks, usage)

    async def _look(self, dial: int) -> Moment:
        async with self.database.connection() as connection:
            row = (
                await connection.execute(
                    select(RoomState.inside, RoomState.joined, RoomState.called).where(
                        RoomState.room_id == self.scene.room_id
                    )
                )
            ).one()
        assert self._began is not None
        moment = Moment(time.monotonic() - self._began, dial, row.inside, row.joined - row.called)
        self.moments.append(moment)
        return moment

    async def _backends(self) -> list[int]:
        async with self.database.connection() as connection:
            return list((await connection.scalar(_BACKENDS)) or [])

    async def _move(self, target: str) -> None:
        async with transaction(self.database) as tx:
            await move_room(tx, ACTOR, self.scene.room_id, target, datetime.now(UTC))

    async def _hear(self, visitors: Process, kind: type[Gathered | Seen], seconds: float) -> Any:
        """The next message of the visitors, which is of this kind."""
        assert visitors.stdout is not None
        try:
            line = await asyncio.wait_for(visitors.stdout.readline(), seconds)
        except TimeoutError:
            line = b""
        if not line:
            said = self.log_path.read_text("utf-8", "replace").strip().splitlines()
            words = f" They said last: {said[-1]}" if said else ""
            raise CommandError(f"The simulated visitors have failed.{words}")
        message = _decode(line)
        assert isinstance(message, kind)
        return message


async def _start_visitors(script: Script, log: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tearline.cli.rehearsal.visitors",
        str(os.getpid()),
        msgspec.json.encode(script).decode(),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=log,
        start_new_session=True,  # a terminal's Ctrl-C reaches only us
    )


class _Usage:
    """How much of the processors is taken, from its making to the last look."""

    def __init__(self, web: Sequence[int], database: Sequence[int]) -> None:
        self._web = _processes(web)
        # A server at the other end of a tunnel looks near; its processes are not ours.
        self._database = [
            process for process in _processes(database) if process.name().startswith("postgres")
        ]
        self._began = time.monotonic()
        self._before = _seconds_of(self._web), _seconds_of(self._database), _machine()
        self._after = self._before
        self._looked = self._began

    def look(self) -> None:
        """Note what was taken up to now."""
        self._after = _seconds_of(self._web), _seconds_of(self._database), _machine()
        self._looked = time.monotonic()

    def processor(self, generator: float) -> Processor:
        """The shares over the whole time."""
        seconds = max(self._looked - self._began, 1e-3)
        web, database = (
            max(0.0, after - before) / seconds
            for after, before in zip(self._after[:2], self._before[:2], strict=True)
        )
        busy, whole = (after - before for after, before in zip(self._after[2], self._before[2], strict=True))
        machine, cores = (busy / whole if whole else 0.0), psutil.cpu_count() or 1
        if not self._database:
            return Processor(web, None, generator, machine, None, cores)
        others = max(0.0, machine * cores - web - database - generator)
        return Processor(web, database, generator, machine, others, cores)


def _processes(ids: Sequence[int]) -> list[psutil.Process]:
    found = []
    for id_ in ids:
        with _gone_is_gone():
            process = psutil.Process(id_)
            process.cpu_times()
            found.append(process)
    return found


def _seconds_of(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with _gone_is_gone():
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _machine() -> tuple[float, float]:
    """Seconds that all cores together were busy, and all of them."""
    times = psutil.cpu_times()
    whole = float(sum(times[:8]))  # what comes after is counted in the first ones already
    return whole - times.idle - getattr(times, "iowait", 0.0), whole


@contextmanager
def _gone_is_gone() -> Iterator[None]:
    try:
        yield
    except psutil.Error:
        return


def _step(dial: int, seen: Seen, looks: Sequence[Moment], usage: _Usage | None) -> Step:
    return Step(
        dial=dial,
        inside=fmean(look.inside for look in looks) if looks else 0.0,
        waiting=fmean(look.waiting for look in looks) if looks else 0.0,
        served=seen.served,
        line=seen.line,
        requests_per_second=seen.served_per_second,
        line_per_second=seen.line_per_second,
        claims_per_second=seen.outcomes.get("claimed", 0) / seen.seconds,
        processor=usage.processor(seen.generator) if usage else Processor(0.0, None, seen.generator, 0.0),
        outcomes=seen.outcomes,
        errors=seen.errors,
    )
