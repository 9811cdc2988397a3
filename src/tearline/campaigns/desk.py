"""The claim desk: claims of one campaign are decided and committed in groups.

A batch is one transaction. It locks the campaign's row, reads what the decisions depend on, lets
``core.claiming`` decide claim by claim in the order of arrival, writes what was granted, and commits;
only then does anyone get an answer. Every claim carries an idempotency key, so a batch whose commit is in
doubt (the server went away) is simply run again: what was committed is found as a replay.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from tearline.campaigns import desk_sql as sql
from tearline.campaigns.definitions import Definition, load_definition
from tearline.core.audience import marks_of
from tearline.core.claiming import MemberCounts, OfferStock, PrizeRules, Stock, decide
from tearline.core.codes import make_codes
from tearline.core.keys import KEY_SENTENCE, is_good_key
from tearline.core.offers import can_be_issued, coupon_window
from tearline.core.passwords import MAXIMUM_LENGTH, password_key
from tearline.core.refusal import Refusal
from tearline.db import Database, new_id
from tearline.db.arrays import array, ids, quoted_array
from tearline.db.desks import DefinitionQueues, StaleDefinition
from tearline.db.engine import HotConnection


class IssuedCoupon(msgspec.Struct, frozen=True):
    """A coupon as the claim's answer names it."""

    id: UUID
    offer_id: UUID
    code: str
    valid_from: datetime
    valid_until: datetime


class ClaimAnswer(msgspec.Struct, frozen=True):
    """A granted claim. ``replayed`` is True when an earlier request with the same key had it granted."""

    claim_id: UUID
    campaign_id: UUID
    prize_id: UUID
    claimed_at: datetime
    replayed: bool
    coupons: list[IssuedCoupon]


@dataclass(slots=True)
class _Request:
    member_id: UUID
    epoch: int
    password_key: str
    idempotency_key: str
    deadline: float
    claim_id: UUID = field(default_factory=new_id)
    """Chosen once, so that a batch that is run again knows its own claims from others' replays."""


@dataclass(slots=True)
class _Granted:
    request: _Request
    prize: PrizeRules
    answer: ClaimAnswer


# A code that was drawn before is drawn again; a key that was used at the same moment in another campaign is found
# as used when the batch is run again.
_COLLISIONS = ("pk_coupon_code", "uq_claim_member_id_idempotency_key")


class ClaimDesk:
    """Takes claims of all campaigns, for one process; several processes may run one each.

    Args:
        clock: the present time, aware.
        patience_seconds: how long a claim may wait for the database to come back before it is answered
            with ``unavailable``.
        maximum_waiting: claims of one campaign that may wait; one more is ``unavailable``.
        observe_batch: told the size of each committed batch and the seconds it took.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_seconds: float = 10.0,
        maximum_batch: int = 256,
        maximum_waiting: int = 20_000,
        observe_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._queues: DefinitionQueues[Definition, _Request, ClaimAnswer] = DefinitionQueues(
            database,
            load_definition,
            self._run_batch,
            what="claims",
            observe=observe_batch,
            collisions=_COLLISIONS,
            maximum_batch=maximum_batch,
            maximum_waiting=maximum_waiting,
        )

    async def claim(
        self, campaign_code: str, member_id: UUID, epoch: int, password: str, idempotency_key: str
    ) -> ClaimAnswer:
        """Claim the prize that a password opens, all of its bundle or nothing.

        Args:
            member_id, epoch: from the member's verified token.
            idempotency_key: the same key always means the same claim of this member.

        Raises:
            Refusal: with a reason of ``core.claiming``, ``not_found`` for an unknown campaign,
                ``idempotency_key_reused``, or ``unavailable`` when the database stays away; a client
                that repeats an ``unavailable`` claim with its key can not be given it twice.
        """
        if not is_good_key(idempotency_key):
            raise Refusal("invalid", fields={"idempotency_key": KEY_SENTENCE})
        if len(password) > 4 * MAXIMUM_LENGTH:
            raise Refusal("wrong_password")
        deadline = time.monotonic() + self._patience_seconds
        request = _Request(member_id, epoch, password_key(password), idempotency_key, deadline)
        return await self._queues.submit(campaign_code, request)

    async def drain(self) -> None:
        """Wait until every claim taken so far has been answered."""
        await self._queues.drain()

    async def _run_batch(
        self, definition: Definition, batch: Sequence[_Request]
    ) -> list[ClaimAnswer | BaseException]:
        now = self._clock()
        pool = await self._database.hot_pool()
        # In the pipeline BEGIN travels with the reads, and COMMIT with the writes: two round trips in all.
        async with pool.connection() as connection, connection.pipeline(), connection.transaction():
            stock, members, replays = await _load_state(connection, definition, batch, now)
            answers, granted = _decide_all(definition, stock, members, replays, batch, now)
            if granted:
                await _write(connection, definition, stock, granted, now)
        return answers


async def _load_state(
    connection: HotConnection, definition: Definition, batch: Sequence[_Request], now: datetime
) -> tuple[Stock, dict[UUID, MemberCounts], dict[int, ClaimAnswer]]:
    """Take the locks and read all that the decisions depend on, in one round trip.

    Returns:
        The stock, the members by id, and the claims that were made before, by position in the batch.
    """
    rules = definition.rules
    member_ids = ids({request.member_id for request in batch})
    offer_ids = ids(definition.offers)
    campaign = await connection.execute(sql.LOCK_CAMPAIGN, (rules.id,))
    prizes = await connection.execute(sql.PRIZES, (rules.id,))
    offers = await connection.execute(sql.LOCK_OFFERS, (offer_ids,))
    people = await connection.execute(sql.MEMBERS, (member_ids,))
    participation = await connection.execute(sql.PARTICIPATION, (rules.id, member_ids))
    asked = (
        ids(request.member_id for request in batch),
        quoted_array(request.idempotency_key for request in batch),
    )
    replays = await connection.execute(sql.REPLAYS, asked)
    version = await campaign.fetchone()
    if version is None or version[0] != definition.version:
        raise StaleDefinition
    stock = Stock(prizes=dict(await prizes.fetchall()), offers={})
    for offer_id, offer_version, left, limit_per_member, is_active in await offers.fetchall():
        offer = definition.offers[offer_id]
        if offer.version != offer_version:
            raise StaleDefinition
        usable = is_active and not offer.has_pool and can_be_issued(offer.validity, offer.time_zone, now)
        stock.offers[offer_id] = OfferStock(left, limit_per_member, usable)
    needs_marks = not rules.audience.is_everyone
    members = {
        row[0]: MemberCounts(row[1], row[2], marks_of(*row[3:]) if needs_marks else frozenset())
        for row in await people.fetchall()
    }
    today = now.astimezone(definition.time_zone).date()
    for member_id, prize_id, claimed, day, claimed_on_day in await participation.fetchall():
        member = members.get(member_id)
        if member is not None:
            member.claimed[prize_id] = claimed
            if day == today:
                member.claimed_today += claimed_on_day
    limited = [offer_id for offer_id, offer in stock.offers.items() if offer.limit_per_member is not None]
    if limited:
        holdings = await connection.execute(sql.HOLDINGS, (member_ids, ids(limited)))
        for member_id, offer_id, issued in await holdings.fetchall():
            if member_id in members:
                members[member_id].holdings[offer_id] = issued
    return stock, members, await _load_replays(connection, batch, await replays.fetchall())


async def _load_replays(
    connection: HotConnection,
    batch: Sequence[_Request],
    found: Sequence[tuple[int, UUID, UUID, UUID, datetime]],
) -> dict[int, ClaimAnswer]:
    """The first answers of claims that were already made, by position in the batch."""
    if not found:
        return {}
    coupons: dict[UUID, list[IssuedCoupon]] = {}
    rows = await connection.execute(
        sql.REPLAYED_COUPONS,
        (
            ids({batch[ordinal - 1].member_id for ordinal, *_ in found}),
            ids({claim_id for _, claim_id, *_ in found}),
        ),
    )
    for claim_id, *coupon in await rows.fetchall():
        coupons.setdefault(claim_id, []).append(IssuedCoupon(*coupon))
    return {
        ordinal - 1: ClaimAnswer(
            claim_id=claim_id,
            campaign_id=campaign_id,
            prize_id=prize_id,
            claimed_at=claimed_at,
            replayed=batch[ordinal - 1].claim_id != claim_id,
            coupons=coupons.get(claim_id, []),
        )
        for ordinal, claim_id, campaign_id, prize_id, claimed_at in found
    }


def _decide_all(
    definition: Definition,
    stock: Stock,
    members: dict[UUID, MemberCounts],
    replays: dict[int, ClaimAnswer],
    batch: Sequence[_Request],
    now: datetime,
) -> tuple[list[ClaimAnswer | BaseException], list[_Granted]]:
    rules = definition.rules
    answers: list[ClaimAnswer | BaseException] = []
    granted: list[_Granted] = []
    made_here: dict[tuple[UUID, str], ClaimAnswer] = {}
    windows = {
        offer_id: coupon_window(offer.validity, offer.time_zone, now)
        for offer_id, offer in definition.offers.items()
    }
    for position, request in enumerate(batch):
        first = replays.get(position) or made_here.get((request.member_id, request.idempotency_key))
        member = members.get(request.member_id)
        if first is not None:
            # Only a valid session is shown what it was given.
            if member is None or member.epoch != request.epoch:
                answers.append(Refusal("session_ended"))
            else:
                answers.append(_replay(definition, request, first, is_own=position in replays))
            continue
        outcome = decide(rules, stock, member, request.epoch, request.password_key, now)
        if isinstance(outcome, str):
            answers.append(Refusal(outcome))
            continue
        answer = ClaimAnswer(request.claim_id, rules.id, outcome.id, now, False, [])
        made_here[request.member_id, request.idempotency_key] = answer
        granted.append(_Granted(request, outcome, answer))
        answers.append(answer)
    _issue(granted, windows)
    return answers, granted


def _replay(
    definition: Definition, request: _Request, first: ClaimAnswer, *, is_own: bool
) -> ClaimAnswer | Refusal:
    """The first answer again, unless the key is used for another campaign or another of its passwords."""
    prize = definition.rules.prizes.get(request.password_key)
    if first.campaign_id != definition.rules.id or (prize is not None and prize.id != first.prize_id):
        return Refusal("idempotency_key_reused")
    # A claim of this very batch has no coupons yet; the copy shares the list that they will be put into.
    return first if is_own else msgspec.structs.replace(first, replayed=True)


def _issue(granted: list[_Granted], windows: dict[UUID, tuple[datetime, datetime]]) -> None:
    """Make the coupons of all that was granted; the randomness of their codes is drawn at once."""
    bundles = [[id_ for id_, quantity in one.prize.bundle for _ in range(quantity)] for one in granted]
    codes = iter(make_codes(sum(map(len, bundles)), secrets.token_bytes))
    for one, bundle in zip(granted, bundles, strict=True):
        for offer_id in bundle:
            one.answer.coupons.append(IssuedCoupon(new_id(), offer_id, next(codes), *windows[offer_id]))


async def _write(
    connection: HotConnection, definition: Definition, stock: Stock, granted: list[_Granted], now: datetime
) -> None:
    """Write all that was granted; the transaction's commit follows in the same round trip."""
    campaign_id = definition.rules.id
    issued = [
        (one.request.member_id, one.answer.claim_id, coupon)
        for one in granted
        for coupon in one.answer.coupons
    ]
    member_ids = ids(member_id for member_id, _, _ in issued)
    coupon_ids = ids(coupon.id for _, _, coupon in issued)
    codes = array(coupon.code for _, _, coupon in issued)
    claims = (
        ids(one.request.member_id for one in granted),
        ids(one.answer.claim_id for one in granted),
        ids(one.prize.id for one in granted),
        quoted_array(one.request.idempotency_key for one in granted),
    )
    # Coupons of one offer share their window within a batch.
    one_of_each = {coupon.offer_id: coupon for _, _, coupon in issued}
    windows = {
        offer_id: (coupon.valid_from.isoformat(), coupon.valid_until.isoformat())
        for offer_id, coupon in one_of_each.items()
    }
    coupons = (
        member_ids,
        coupon_ids,
        ids(coupon.offer_id for _, _, coupon in issued),
        ids(claim_id for _, claim_id, _ in issued),
        codes,
        array(windows[coupon.offer_id][0] for _, _, coupon in issued),
        array(windows[coupon.offer_id][1] for _, _, coupon in issued),
    )
    await connection.execute(sql.INSERT_CLAIMS, (campaign_id, now, *claims))
    await connection.execute(sql.INSERT_COUPONS, (campaign_id, now, now, *coupons))
    await connection.execute(sql.INSERT_CODES, (codes, member_ids, coupon_ids))
    await _count(connection, definition, granted, now)
    holdings = Counter(
        (member_id, coupon.offer_id)
        for member_id, _, coupon in issued
        if stock.offers[coupon.offer_id].limit_per_member is not None
    )
    if holdings:
        await connection.execute(sql.COUNT_HOLDINGS, _pairs(holdings))


async def _count(
    connection: HotConnection, definition: Definition, granted: list[_Granted], now: datetime
) -> None:
    """Raise the counters that limits, stock and figures are read from."""
    campaign_id = definition.rules.id
    today = now.astimezone(definition.time_zone).date()
    hour = now.replace(minute=0, second=0, microsecond=0)
    by_member = Counter((one.request.member_id, one.prize.id) for one in granted)
    by_prize = Counter(one.prize.id for one in granted)
    by_offer = Counter(coupon.offer_id for one in granted for coupon in one.answer.coupons)
    prizes = (ids(by_prize), array(by_prize.values()))
    await connection.execute(sql.COUNT_PARTICIPATION, (campaign_id, today, *_pairs(by_member)))
    await connection.execute(sql.COUNT_PRIZES, prizes)
    await connection.execute(sql.COUNT_OFFERS, (ids(by_offer), array(by_offer.values())))
    await connection.execute(sql.COUNT_HOUR, (hour, campaign_id, *prizes))


def _pairs(counts: Counter[tuple[UUID, UUID]]) -> tuple[str, str, str]:
    """Counts by pair of ids as three arrays."""
    return (
        ids(first for first, _ in counts),
        ids(second for _, second in counts),
        array(counts.values()),
    )
