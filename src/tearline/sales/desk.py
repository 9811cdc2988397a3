"""The sale desk: orders of one sale, their payments and their releases are decided and committed in groups.

A batch is one transaction. It locks the sale's row, then its pools, its offers, the orders and the payments
that it is about, each by id; reads what the decisions depend on; lets ``core.sales`` decide request by
request in the order of arrival; writes what was decided, and commits; only then does anyone get an answer.
Every request may come again: an order has its idempotency key, and what became of a payment or a release
stands on the order. So a batch whose commit is in doubt (the server went away) is simply run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tearline.core.keys import KEY_SENTENCE, is_good_key
from tearline.core.refusal import Refusal
from tearline.core.sales import MAXIMUM_PER_ORDER
from tearline.db import Database
from tearline.db.desks import DefinitionQueues
from tearline.i18n import _
from tearline.sales.definitions import Definition, load_definition
from tearline.sales.desk_batch import Batch, write
from tearline.sales.desk_load import load
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
        self.notice_channel = notice_channel
        self._wallet_address = wallet_address
        self._queues: DefinitionQueues[Definition, Request, Answer] = DefinitionQueues(
            database,
            load_definition,
            self._run_batch,
            what="sales",
            observe=observe_batch,
            collisions=_COLLISIONS,
            maximum_batch=maximum_batch,
        )

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
        answer = await self._queues.submit(campaign_code, request)
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
        answer = await self._queues.submit(campaign_code, request)
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
        answer = await self._queues.submit(campaign_code, request)
        assert isinstance(answer, Released)
        return answer

    async def drain(self) -> None:
        """Wait until every request taken so far has been answered."""
        await self._queues.drain()

    def _deadline(self) -> float:
        return time.monotonic() + self._patience_seconds

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
