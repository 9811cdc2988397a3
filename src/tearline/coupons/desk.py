"""The redemption desk: preparations, redemptions and reversals, decided and committed in groups.

A batch is one transaction. It locks its coupons in the order of member and coupon, reads what the decisions
depend on, lets ``core.redemption`` decide request by request in the order of arrival, writes what was
decided, and commits; only then does anyone get an answer. Every request carries a number, so a batch whose
commit is in doubt (the server went away) is simply run again: what was committed is found as done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from tearline.core import codes, rotating
from tearline.core.redemption import decide_prepare, effective_state
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.core.texts import is_storable
from tearline.coupons import desk_sql as sql
from tearline.coupons.counter import CounterAnswer, CounterRequest, Loaded
from tearline.coupons.desk_batch import OfferCache, counter_of, decide_all, find, granted, load, write
from tearline.db import Database, is_connection_lost
from tearline.db.desks import run_batch
from tearline.db.engine import HotConnection
from tearline.db.groupcommit import GroupCommit
from tearline.i18n import _

# Somebody used a request number of this batch at the same moment: now it is there to be seen.
_COLLISIONS = ("pk_till_request",)

MAXIMUM_NUMBER_LENGTH = 128
"""Characters of a request number."""

MAXIMUM_REASON_LENGTH = 500
WAYS = ("cashier", "till")

_REVEALING = frozenset({"code_not_recognised", "other_merchant", "screenshot", "not_found"})
"""What somebody who tries codes at random is answered."""


class FailedLookups(Protocol):
    """Counts, for each caller, codes that led to nothing; both raise ``too_many_attempts`` at the limit."""

    async def check(self, caller: str) -> None:
        """Refuse a caller who is at the limit, without counting."""

    async def hit(self, caller: str) -> None:
        """Count one more, and refuse when it is one too many."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a coupon gives and whether it could be redeemed here and now.

    Attributes:
        state: as it counts now, whether or not the sweeper has passed.
        verified: ``rotating`` or ``code``, see ``CounterAnswer``.
        refusal: why it can't be redeemed here and now; None when it can.
    """

    coupon_id: UUID
    code: str
    offer_id: UUID
    campaign_id: UUID | None
    state: str
    valid_from: datetime
    valid_until: datetime
    verified: str
    refusal: Refusal | None


class RedemptionDesk:
    """Takes the requests of all counters, for one process; several processes may run one each.

    Args:
        secret_keys: of the server; a coupon's rotating QR code may have been made with any of them.
        failed_lookups: keeps anybody from finding codes by trying.
        clock: the present time, aware.
        patience_seconds: how long a request may wait for the database to come back before it is answered
            with ``unavailable``.
        observe_batch: told the size of each committed batch and the seconds it took.
    """

    def __init__(
        self,
        database: Database,
        secret_keys: Sequence[bytes],
        failed_lookups: FailedLookups,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_seconds: float = 10.0,
        maximum_batch: int = 256,
        observe_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._database = database
        self._secret_keys = list(secret_keys)
        self._failed_lookups = failed_lookups
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._observe_batch = observe_batch
        self._offers: OfferCache = {}
        self._queue: GroupCommit[CounterRequest, CounterAnswer] = GroupCommit(
            self._process, maximum_batch=maximum_batch
        )

    async def look(self, actor: Actor, store_id: UUID, text: str, *, way: str) -> Look:
        """What a coupon gives, and whether it could be redeemed here and now; nothing is changed.

        Raises:
            Refusal: ``code_misread``, ``code_not_recognised``, ``other_merchant``, ``screenshot``: of such
                a coupon nothing is told.
        """
        request = _request("look", actor, "look", "redeem", way=way, store_id=store_id, text=text)
        caller = _caller(actor)
        await self._failed_lookups.check(caller)
        try:
            return await self._look(request)
        except Refusal as refusal:
            await self._count_failure(caller, refusal)
            raise
        except Exception as error:
            if is_connection_lost(error):
                raise Refusal("unavailable") from error
            raise

    async def prepare(
        self, actor: Actor, store_id: UUID, text: str, request_number: str, *, way: str
    ) -> CounterAnswer:
        """Keep a coupon for this counter for a few minutes.

        Args:
            store_id: one of the actor's merchant's.
            text: a scanned QR code, or a code typed in any manner.
            request_number: the same number of the same merchant always means the same request.
            way: ``cashier`` or ``till``.

        Raises:
            Refusal: with a reason of ``core.redemption``; ``code_misread``, ``code_not_recognised`` or
                ``screenshot``; ``idempotency_key_reused``; ``too_many_attempts``; or ``unavailable`` when the
                database stays away: the same request may then be made again with its number.
        """
        return await self._submit(
            _request("prepare", actor, request_number, "redeem", way=way, store_id=store_id, text=text)
        )

    async def redeem(
        self,
        actor: Actor,
        store_id: UUID,
        request_number: str,
        *,
        way: str,
        text: str | None = None,
        hold_id: UUID | None = None,
    ) -> CounterAnswer:
        """Use a coupon: that of a preparation (``hold_id``), or in one step by what was scanned or typed.

        Raises:
            Refusal: as ``prepare``; ``not_found`` for a hold that isn't this merchant's, ``hold_expired``.
        """
        return await self._submit(
            _request(
                "redeem",
                actor,
                request_number,
                "redeem",
                way=way,
                store_id=store_id,
                text=text,
                hold_id=hold_id,
            )
        )

    async def release(
        self, actor: Actor, store_id: UUID, request_number: str, *, way: str, hold_id: UUID
    ) -> CounterAnswer:
        """Give a preparation up: the coupon is open again at once."""
        return await self._submit(
            _request("release", actor, request_number, "redeem", way=way, store_id=store_id, hold_id=hold_id)
        )

    async def reverse(
        self, actor: Actor, redemption_id: UUID, request_number: str, *, reason: str | None = None
    ) -> CounterAnswer:
        """Undo a redemption: the coupon is open again, or expired when its time is over.

        Raises:
            Refusal: ``not_found`` for another merchant's redemption, ``already_reversed``,
                ``reversal_too_late``, and as ``prepare``.
        """
        return await self._submit(
            _request("reverse", actor, request_number, "reverse", redemption_id=redemption_id, reason=reason)
        )

    async def drain(self) -> None:
        """Wait until every request taken so far has been answered."""
        await self._queue.drain()

    async def _submit(self, request: CounterRequest) -> CounterAnswer:
        caller = _caller(request.actor)
        await self._failed_lookups.check(caller)
        request.deadline = time.monotonic() + self._patience_seconds
        try:
            return await self._queue.submit(request)
        except OverflowError:
            raise Refusal("unavailable") from None
        except Refusal as refusal:
            await self._count_failure(caller, refusal)
            raise

    async def _count_failure(self, caller: str, refusal: Refusal) -> None:
        # Counted after the look-up, and answered without what it found when it was one too many: so many
        # attempts at once learn no more than the limit allows.
        if refusal.reason in _REVEALING:
            await self._failed_lookups.hit(caller)

    async def _process(self, batch: Sequence[CounterRequest]) -> Sequence[CounterAnswer | BaseException]:
        return await run_batch(
            self._run_batch, batch, what="redemptions", observe=self._observe_batch, collisions=_COLLISIONS
        )

    async def _run_batch(self, batch: Sequence[CounterRequest]) -> list[CounterAnswer | BaseException]:
        pool = await self._database.hot_pool()
        # In the pipeline BEGIN travels with the reads, and COMMIT with the writes.
        async with pool.connection() as connection, connection.pipeline(), connection.transaction():
            loaded = await self._load(connection, batch)
            now = self._clock()
            answers, done = decide_all(loaded, batch, self._secret_keys, now)
            if done:
                await write(connection, loaded, done, now)
        return answers

    async def _load(self, connection: HotConnection, batch: Sequence[CounterRequest]) -> Loaded:
        return await load(connection, batch, self._offers, coupons_statement=sql.LOCK_COUPONS)

    async def _look(self, request: CounterRequest) -> Look:
        pool = await self._database.hot_pool()
        async with pool.connection() as connection, connection.pipeline(), connection.transaction():
            loaded = await load(connection, [request], self._offers, coupons_statement=sql.READ_COUPONS)
        now = self._clock()
        counter = counter_of(loaded, request)
        coupon, verified = find(loaded, request, self._secret_keys, now)
        refusal = None
        try:
            granted(decide_prepare(coupon.facts, coupon.offer, counter, now))
        except Refusal as reason:
            if reason.reason in _REVEALING:
                raise
            refusal = reason
        return Look(
            coupon.id,
            coupon.code,
            coupon.offer_id,
            coupon.campaign_id,
            effective_state(coupon.facts, now),
            coupon.facts.valid_from,
            coupon.facts.valid_until,
            verified,
            refusal,
        )


def _request(
    action: str,
    actor: Actor,
    request_number: str,
    permission: str,
    *,
    way: str = "till",
    text: str | None = None,
    reason: str | None = None,
    **values: Any,
) -> CounterRequest:
    """A request that is fit to share a batch with others: bounded, storable, of an actor who may ask."""
    actor.require(permission)
    if actor.merchant_id is None:
        raise Refusal("not_allowed")
    problems: dict[str, str] = {}
    if not (0 < len(request_number) <= MAXIMUM_NUMBER_LENGTH and _is_plain(request_number)):
        problems["request_number"] = _("Use 1 to 128 visible ASCII characters.")
    if way not in WAYS:
        problems["way"] = _("Choose cashier or till.")
    if reason is not None and (len(reason) > MAXIMUM_REASON_LENGTH or not is_storable(reason)):
        problems["reason"] = _("Use at most 500 characters, without control characters.")
    if action == "redeem" and (text is None) == (values.get("hold_id") is None):
        problems["code"] = _("Give either the coupon's code or the number of its preparation.")
    if actor.store_id is not None and values.get("store_id") not in (None, actor.store_id):
        problems["store_id"] = _("You are signed in at another store.")
    if problems:
        raise Refusal("invalid", fields=problems)
    code, scanned = (None, None) if text is None else _read(text)
    return CounterRequest(
        action,
        actor,
        actor.merchant_id,
        request_number,
        way=way,
        code=code,
        scanned=scanned,
        reason=reason,
        **values,
    )


def _read(text: str) -> tuple[str, str | None]:
    """The code in a text, and the whole text when it is a rotating QR code."""
    scanned_code = rotating.code_of(text)
    code = codes.normalise(text if scanned_code is None else scanned_code)
    if not codes.is_well_formed(code):
        raise Refusal("code_misread")
    return code, None if scanned_code is None else text.strip()


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _caller(actor: Actor) -> str:
    return f"{actor.kind}:{actor.id}"
