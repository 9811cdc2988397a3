"""The sale desk: orders of one sale, their payments and their releases are decided and committed in groups.

A batch is one transaction. It locks the sale's row, then its pools, its offers, the orders and the payments
that it is about, each by id; reads what the decisions depend on; lets ``core.sales`` decide request by
request in the order of arrival; writes what was decided, and commits; only then does anyone get an answer.
Every request may come again: an order has its idempotency key, and what became of a payment or a release
stands on the order. So a batch whose commit is in doubt (the server went away) is simply run again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from tearline.core.keys import KEY_SENTENCE, is_good_key
from tearline.core.refusal import Refusal
from tearline.core.sales import MAXIMUM_PER_ORDER
from tearline.db import Database, is_connection_lost, is_retryable, violated_constraint
from tearline.db.groupcommit import GroupCommit
from tearline.i18n import _
from tearline.sales.definitions import Definition, load_definition
from tearline.sales.desk_batch import Batch, write
from tearline.sales.desk_load import StaleDefinition, load
from tearline.sales.desk_state import (
    Answer,
    OrderAnswer,
    OrderRequest,
    Released,
    ReleaseRequest,
    Request,
    Settled,
    SettleRequest,
)

__all__ = ["OrderAnswer", "Released", "SaleDesk", "Settled"]

log = structlog.get_logger()

RELEASE_REASONS = ("expired", "failed", "cancelled")
# A number or code that was drawn before is drawn again; a key that was used at the same moment in another sale is
# found as used when the batch is run again.
_COLLISIONS = ("pk_coupon_code", "uq_order_lookup_number", "uq_voucher_order_member_id_idempotency_key")


class SaleDesk:
    """Takes the orders of all sales, for one process; several processes may run one each.

    Args:
        clock: the present time, aware.
        patience_seconds: how long a request may wait for the database to come back before it is answered
            with ``unavailable``.
        observe_batch: told the size of each committed batch and the seconds it took.
        notice_channel: by which members are told that their vouchers are there; None for not at all.
        wallet_address: where members find their vouchers, as that message says.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_seconds: float = 10.0,
        maximum_batch: int = 256,
        observe_batch: Callable[[int, float], None] = lambda size, seconds: None,
        notice_channel: str | None = "sms",
        wallet_address: str = "/wallet",
    ) -> None:
        self._database = database
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._maximum_batch = maximum_batch
        self._observe_batch = observe_batch
        self.notice_channel = notice_channel
        self._wallet_address = wallet_address
        self._definitions: dict[str, Definition] = {}
        self._queues: dict[str, GroupCommit[Request, Answer]] = {}
        self._opening: dict[str, asyncio.Task[GroupCommit[Request, Answer]]] = {}

    async def order(
        self,
        campaign_code: str,
        item_id: UUID,
        member_id: UUID,
        epoch: int,
        quantity: int,
        idempotency_key: str,
    ) -> OrderAnswer:
        """Reserve vouchers of an item, all of them or none, until they are paid or ``reserved_until`` has come.

        Args:
            member_id, epoch: from the member's verified token.
            idempotency_key: the same key always means the same order of this member.

        Raises:
            Refusal: with a reason of ``core.sales``; ``not_found`` for an unknown sale or item; ``invalid``;
                ``idempotency_key_reused``; or ``unavailable`` when the database stays away: repeated with its
                key, the order can't be taken twice.
        """
        problems: dict[str, str] = {}
        if not is_good_key(idempotency_key):
            problems["idempotency_key"] = KEY_SENTENCE
        if quantity < 1:
            problems["quantity"] = _("Give a whole number above zero.")
        if problems:
            raise Refusal("invalid", fields=problems)
        if quantity > MAXIMUM_PER_ORDER:
            raise Refusal("order_too_large", most=MAXIMUM_PER_ORDER)
        request = OrderRequest(member_id, epoch, item_id, quantity, idempotency_key, self._deadline())
        answer = await self._submit(campaign_code, request)
        assert isinstance(answer, OrderAnswer)
        return answer

    async def settle(
        self, campaign_code: str, member_id: UUID, order_id: UUID, payment_id: UUID, charge: str | None
    ) -> Settled:
        """Deliver an order, now that a payment of it has succeeded; late, twice or out of order is all right.

        What can't be delivered any more, and what was paid once too often, becomes ``refund_due``.

        Args:
            charge: the provider's name for what was paid.

        Raises:
            Refusal: ``not_found`` for an order that isn't this member's in this sale, or a payment that isn't
                the order's; ``unavailable``.
        """
        request = SettleRequest(member_id, order_id, payment_id, charge, self._deadline())
        answer = await self._submit(campaign_code, request)
        assert isinstance(answer, Settled)
        return answer

    async def release(self, campaign_code: str, member_id: UUID, order_id: UUID, reason: str) -> Released:
        """Give back what a reserved order keeps; an order in another state is left as it is.

        Args:
            reason: ``expired``, ``failed`` or ``cancelled``.

        Raises:
            Refusal: ``not_found``, ``unavailable``.
        """
        if reason not in RELEASE_REASONS:
            raise ValueError(f"no such reason: {reason!r}")
        request = ReleaseRequest(member_id, order_id, reason, self._deadline())
        answer = await self._submit(campaign_code, request)
        assert isinstance(answer, Released)
        return answer

    async def drain(self) -> None:
        """Wait until every request taken so far has been answered."""
        for queue in list(self._queues.values()):
            await queue.drain()

    def _deadline(self) -> float:
        return time.monotonic() + self._patience_seconds

    async def _submit(self, code: str, request: Request) -> Answer:
        queue = self._queues.get(code) or await self._queue_of(code)
        try:
            return await queue.submit(request)
        except OverflowError:
            raise Refusal("unavailable") from None

    async def _queue_of(self, code: str) -> GroupCommit[Request, Answer]:
        # A rush on a fresh process: the first request loads the sale, the others wait for that.
        opening = self._opening.get(code)
        if opening is None:
            opening = self._opening[code] = asyncio.create_task(self._open_queue(code))
            opening.add_done_callback(lambda _task: self._opening.pop(code, None))
        return await asyncio.shield(opening)

    async def _open_queue(self, code: str) -> GroupCommit[Request, Answer]:
        if await self._load(code) is None:
            raise Refusal("not_found")

        async def process(batch: Sequence[Request]) -> Sequence[Answer | BaseException]:
            return await self._process(code, batch)

        queue = self._queues[code] = GroupCommit(process, maximum_batch=self._maximum_batch)
        return queue

    async def _load(self, code: str) -> Definition | None:
        try:
            async with self._database.connection() as connection:
                definition = await load_definition(connection, code)
        except Exception as error:
            if is_connection_lost(error):
                raise Refusal("unavailable") from error
            raise
        if definition is not None:
            self._definitions[code] = definition
        return definition

    async def _process(self, code: str, batch: Sequence[Request]) -> Sequence[Answer | BaseException]:
        """Run a batch until it is committed or its patience is at an end."""
        started = time.monotonic()
        pause_seconds = 0.02
        while True:
            try:
                answers = await self._run_batch(self._definitions[code], batch)
            except StaleDefinition:
                if await self._load(code) is None:
                    return [Refusal("not_found")] * len(batch)
            except Exception as error:
                if not _may_run_again(error):
                    return await self._one_by_one(code, batch, error)
                if time.monotonic() + pause_seconds > min(request.deadline for request in batch):
                    log.warning("sales_unavailable", campaign=code, requests=len(batch), error=str(error))
                    return [Refusal("unavailable") for _request in batch]
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, 0.5)
            else:
                self._observe_batch(len(batch), time.monotonic() - started)
                return answers

    async def _one_by_one(
        self, code: str, batch: Sequence[Request], error: Exception
    ) -> Sequence[Answer | BaseException]:
        """When a batch can't be committed as a whole: one bad request must not fail the others."""
        if len(batch) == 1:
            return [error]
        log.error("sale_batch_failed", campaign=code, requests=len(batch), exc_info=error)
        outcomes: list[Answer | BaseException] = []
        for request in batch:
            outcomes.extend(await self._process(code, [request]))
        return outcomes

    async def _run_batch(self, definition: Definition, batch: Sequence[Request]) -> Sequence[Any]:
        pool = await self._database.hot_pool()
        # In the pipeline BEGIN travels with the reads, and COMMIT with the writes: two round trips in all.
        async with pool.connection() as connection, connection.pipeline(), connection.transaction():
            state = await load(connection, definition, batch)
            now = self._clock()
            made = Batch(definition, state, now)
            answers = made.decide(batch)
            await write(
                connection,
                definition,
                state,
                made.decided,
                now,
                notice_channel=self.notice_channel,
                wallet_address=self._wallet_address,
            )
        return answers


def _may_run_again(error: Exception) -> bool:
    """True when the same batch may succeed in a moment: nothing of it was written, or all of it is found."""
    return is_retryable(error) or is_connection_lost(error) or violated_constraint(error) in _COLLISIONS
