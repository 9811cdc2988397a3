"""Joining a line: numbers are given out in groups, each group by one statement, durably.

Nothing is stored for a visitor: the number goes into a signed ticket. A group whose commit is in doubt is
numbered again; numbers that were skipped so are like visitors who never come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from tearline.core.refusal import Refusal
from tearline.core.rooms import JOINABLE
from tearline.db import Database
from tearline.db.desks import Queues, run_batch
from tearline.waitingroom.tokens import Ticket

MAXIMUM_GROUP = 4096

_JOIN = """
UPDATE room_state SET joined = joined + %s
WHERE room_id = %s AND state IN ('gathering', 'open', 'queueing')
RETURNING round, joined
"""
_STATE = "SELECT state FROM room_state WHERE room_id = %s"
_USE_SOLUTIONS = """
INSERT INTO room_solution (digest, expires_at)
SELECT * FROM unnest(%s::bytea[], %s::timestamptz[]) ON CONFLICT DO NOTHING RETURNING digest
"""


@dataclass(frozen=True, slots=True)
class Solution:
    """A proof of work that a visitor joins with; each is good for once.

    Attributes:
        digest: what tells it from all others.
        expires_at: after that it would not be accepted anyway, and needs no remembering.
    """

    digest: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Join:
    solution: Solution | None
    deadline: float


class JoinDesk:
    """Gives out tickets of all rooms, for one process; several processes may run one each.

    Args:
        patience_seconds: how long a visitor may wait for the database to come back before being answered
            with ``unavailable``.
        observe_batch: told the size of each committed group and the seconds it took.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_seconds: float = 5.0,
        observe_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._observe_batch = observe_batch
        self._queues: Queues[UUID, _Join, Ticket] = Queues(
            self._process, maximum_batch=MAXIMUM_GROUP, maximum_waiting=100_000
        )

    async def join(self, room_id: UUID, solution: Solution | None = None) -> Ticket:
        """A ticket with the next number of the room's present round.

        Args:
            room_id: of a room that exists.

        Raises:
            Refusal: ``room_closed``, ``room_ended``, ``wrong_proof`` when the solution was used before,
                ``unavailable``.
        """
        join = _Join(solution, time.monotonic() + self._patience_seconds)
        return await self._queues.submit(room_id, join)

    async def drain(self) -> None:
        """Wait until everyone who asked so far has been answered."""
        await self._queues.drain()

    async def _process(self, room_id: UUID, batch: Sequence[_Join]) -> Sequence[Ticket | BaseException]:
        return await run_batch(
            lambda joins: self._number(room_id, joins), batch, what="joins", observe=self._observe_batch
        )

    async def _number(self, room_id: UUID, batch: Sequence[_Join]) -> Sequence[Ticket | BaseException]:
        pool = await self._database.hot_pool()
        async with pool.connection() as connection:
            solutions = {join.solution.digest: join.solution for join in batch if join.solution is not None}
            if not solutions:
                row = await (await connection.execute(_JOIN, (len(batch), room_id))).fetchone()
                fresh: set[bytes] = set()
            else:
                async with connection.transaction():
                    used = await connection.execute(
                        _USE_SOLUTIONS,
                        (list(solutions), [solution.expires_at for solution in solutions.values()]),
                    )
                    fresh = {digest for (digest,) in await used.fetchall()}
                    numbers = len(fresh) + sum(join.solution is None for join in batch)
                    row = await (await connection.execute(_JOIN, (numbers, room_id))).fetchone()
            if row is None:
                state = await (await connection.execute(_STATE, (room_id,))).fetchone()
                # Whoever opens the room between the two statements has the visitor ask once more.
                reason = "unavailable" if state is None or state[0] in JOINABLE else f"room_{state[0]}"
                return [Refusal(reason) for _join in batch]
        round_, joined = row
        return _tickets(room_id, batch, round_, joined, fresh)


def _tickets(
    room_id: UUID, batch: Sequence[_Join], round_: int, joined: int, fresh: set[bytes]
) -> Sequence[Ticket | BaseException]:
    """Tickets in the order of asking, up to number ``joined - 1``; a solution serves the first who brings it."""
    is_served: list[bool] = []
    for join in batch:
        digest = None if join.solution is None else join.solution.digest
        is_served.append(digest is None or digest in fresh)
        fresh.discard(digest or b"")
    number = joined - sum(is_served)
    answers: list[Ticket | BaseException] = []
    for served in is_served:
        if served:
            answers.append(Ticket(room_id, round_, number))
            number += 1
        else:
            answers.append(Refusal("wrong_proof"))
    return answers
