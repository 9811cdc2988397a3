"""What a till does, with a merchant's API key: prepare, redeem, release, reverse, and the list of redemptions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from tearline.core.roles import Actor
from tearline.coupons import reads
from tearline.coupons.counter import CounterAnswer
from tearline.coupons.model import Redemption
from tearline.web.access import GivenServices
from tearline.web.api.shapes import (
    NewPreparation,
    NewRedemption,
    NewRelease,
    NewReversal,
    Page,
    RedemptionAnswer,
)
from tearline.web.api.support import GivenCursor, GivenKey, GivenLimit, place_of, problems
from tearline.web.services import Services
from tearline.web.ui.cursors import Cursor, beyond, ordering

_SORT = "-redeemed_at"
_REDEEMED_AT, _ID = Redemption.__table__.c.redeemed_at, Redemption.__table__.c.id
_WAY = "till"
_COUNTER_REASONS = (
    "code_not_recognised", "code_misread", "screenshot", "other_merchant", "other_store", "not_applicable",
    "not_valid_yet", "not_valid_now", "expired", "already_redeemed", "held_elsewhere", "coupon_void",
    "idempotency_key_reused",
)  # fmt: skip
_REPLAY = {
    200: ResponseSpec(
        CounterAnswer, generate_examples=False, description="The first answer to this request number, again."
    )
}
REPLAYED_HEADERS = {"idempotency-replayed": "true"}

Done = tuple[int, dict[str, str], CounterAnswer]


def _done(answer: CounterAnswer) -> Done:
    return (200, REPLAYED_HEADERS, answer) if answer.replayed else (201, {}, answer)


async def make_preparation(services: Services, actor: Actor, body: NewPreparation) -> Done:
    """A preparation's answer. The hot lane and Litestar share it."""
    desk = services.redemption_desk
    return _done(await desk.prepare(actor, body.store_id, body.code, body.request_number, way=_WAY))


async def make_redemption(services: Services, actor: Actor, body: NewRedemption) -> Done:
    """A redemption's answer. The hot lane and Litestar share it."""
    return _done(
        await services.redemption_desk.redeem(
            actor, body.store_id, body.request_number, way=_WAY, text=body.code, hold_id=body.hold_id
        )
    )


@post("/redemptions/prepare", responses={**problems(*_COUNTER_REASONS, has_body=True), **_REPLAY})
async def prepare(
    services: GivenServices, actor: GivenKey, data: JSONBody[NewPreparation]
) -> Response[CounterAnswer]:
    """Keep a coupon for this till for a few minutes."""
    return _response(await make_preparation(services, actor, data))


@post("/redemptions", responses={**problems(*_COUNTER_REASONS, "hold_expired", has_body=True), **_REPLAY})
async def redeem(
    services: GivenServices, actor: GivenKey, data: JSONBody[NewRedemption]
) -> Response[CounterAnswer]:
    """Use a coupon."""
    return _response(await make_redemption(services, actor, data))


@post(
    "/redemptions/release",
    responses={**problems(*_COUNTER_REASONS, "hold_expired", has_body=True), **_REPLAY},
)
async def release(
    services: GivenServices, actor: GivenKey, data: JSONBody[NewRelease]
) -> Response[CounterAnswer]:
    """Give a preparation up."""
    answer = await services.redemption_desk.release(
        actor, data.store_id, data.request_number, way=_WAY, hold_id=data.hold_id
    )
    return _response(_done(answer))


@post(
    "/redemptions/{redemption_id:uuid}/reversal",
    responses={
        **problems("already_reversed", "reversal_too_late", "idempotency_key_reused", has_body=True),
        **_REPLAY,
    },
)
async def reverse(
    services: GivenServices, actor: GivenKey, redemption_id: FromPath[UUID], data: JSONBody[NewReversal]
) -> Response[CounterAnswer]:
    """Undo a redemption: the coupon is open again, or expired when its time is over."""
    answer = await services.redemption_desk.reverse(
        actor, redemption_id, data.request_number, reason=data.reason
    )
    return _response(_done(answer))


@get("/redemptions", responses=problems())
async def list_redemptions(
    services: GivenServices,
    actor: GivenKey,
    store_id: Annotated[UUID | None, QueryParameter(name="store_id")] = None,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[RedemptionAnswer]:
    """Redemptions with their reversals, newest first; a merchant's key sees that merchant's."""
    actor.require("redemptions.read")
    statement = reads.redemptions_list(actor)
    if store_id is not None:
        statement = statement.where(Redemption.store_id == store_id)
    if cursor is not None:
        place = place_of(cursor, _SORT, datetime)
        statement = statement.where(beyond(place, _REDEEMED_AT, _ID, descending=True, nullable=False))
    order = ordering(_REDEEMED_AT, _ID, descending=True, nullable=False)
    async with services.database.connection() as connection:
        rows = (await connection.execute(statement.order_by(*order).limit(limit + 1))).all()
    shown = rows[:limit]
    has_more = len(rows) > limit
    last = Cursor(_SORT, shown[-1].redeemed_at, shown[-1].redemption_id).encode() if has_more else None
    return Page(items=[_redemption(row) for row in shown], next_cursor=last)


@get("/redemptions/{redemption_id:uuid}", responses=problems())
async def get_redemption(
    services: GivenServices, actor: GivenKey, redemption_id: FromPath[UUID]
) -> RedemptionAnswer:
    """One redemption."""
    actor.require("redemptions.read")
    async with services.database.connection() as connection:
        return _redemption(await reads.redemption(connection, actor, redemption_id))


def _redemption(row: Any) -> RedemptionAnswer:
    return msgspec.convert({**row._mapping, "id": row.redemption_id}, RedemptionAnswer)


def _response(done: Done) -> Response[CounterAnswer]:
    status, headers, answer = done
    return Response(answer, status_code=status, headers=headers)


HANDLERS: list[Any] = [prepare, redeem, release, reverse, list_redemptions, get_redemption]
