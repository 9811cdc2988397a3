"""The coupon library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.roles import Actor
from tearline.offers import actions, reads
from tearline.offers.model import Offer
from tearline.web.access import GivenServices
from tearline.web.api.offer_shapes import (
    NewOffer,
    OfferAnswer,
    OfferChange,
    changed_draft,
    new_draft,
    offer_answer,
)
from tearline.web.api.shapes import Page
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    check_picture,
    page,
    problems,
    write,
)

_CHANGE_PROBLEMS = problems(
    "already_taken", "changed_meanwhile", "not_editable", "idempotency_key_reused", has_body=True
)
_STATE_PROBLEMS = problems("not_editable", "idempotency_key_reused")


async def _answer(connection: AsyncConnection, actor: Actor, offer_id: UUID) -> OfferAnswer:
    return offer_answer(await reads.offer_row(connection, actor, offer_id))


@get("/offers", responses=problems())
async def list_offers(
    services: GivenServices, actor: GivenKey, cursor: GivenCursor = None, limit: GivenLimit = 50
) -> Page[OfferAnswer]:
    """The library; a merchant's key sees that merchant's offers."""
    statement = reads.offers_list(actor).with_only_columns(*Offer.__table__.columns)
    async with services.database.connection() as connection:
        return await page(connection, statement, Offer.id, offer_answer, cursor=cursor, limit=limit)


@post("/offers", responses=problems("already_taken", "idempotency_key_reused", has_body=True))
async def create_offer(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[NewOffer],
    idempotency_key: IdempotencyKey = None,
) -> Response[OfferAnswer]:
    """Put a new offer into the library, as a draft."""

    async def work(tx: AsyncConnection) -> OfferAnswer:
        check_picture(data.image)
        offer_id = await actions.create_offer(tx, actor, new_draft(data), services.now())
        return await _answer(tx, actor, offer_id)

    return await write(request, actor, work, status=201)


@get("/offers/{offer_id:uuid}", responses=problems())
async def get_offer(services: GivenServices, actor: GivenKey, offer_id: FromPath[UUID]) -> OfferAnswer:
    """One offer."""
    async with services.database.connection() as connection:
        return await _answer(connection, actor, offer_id)


@patch("/offers/{offer_id:uuid}", responses=_CHANGE_PROBLEMS)
async def update_offer(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    offer_id: FromPath[UUID],
    data: JSONBody[OfferChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[OfferAnswer]:
    """Change an offer; what is left out stays."""

    async def work(tx: AsyncConnection) -> OfferAnswer:
        check_picture(data.image)
        before = reads.draft_of(await reads.offer_row(tx, actor, offer_id))
        draft = changed_draft(before, data)
        await actions.update_offer(tx, actor, offer_id, draft, version=data.version, now=services.now())
        return await _answer(tx, actor, offer_id)

    return await write(request, actor, work)


@post("/offers/{offer_id:uuid}/activate", status_code=200, responses=_STATE_PROBLEMS)
async def activate_offer(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    offer_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[OfferAnswer]:
    """Make a draft ready to be given out by campaigns."""
    return await _move(request, services, actor, offer_id, actions.activate_offer)


@post("/offers/{offer_id:uuid}/archive", status_code=200, responses=_STATE_PROBLEMS)
async def archive_offer(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    offer_id: FromPath[UUID],
    idempotency_key: IdempotencyKey = None,
) -> Response[OfferAnswer]:
    """Take an offer out of use for good; issued coupons stay good."""
    return await _move(request, services, actor, offer_id, actions.archive_offer)


async def _move(
    request: AnyRequest,
    services: GivenServices,
    actor: Actor,
    offer_id: UUID,
    action: Callable[..., Awaitable[int]],
) -> Response[OfferAnswer]:
    async def work(tx: AsyncConnection) -> OfferAnswer:
        await action(tx, actor, offer_id, now=services.now())
        return await _answer(tx, actor, offer_id)

    return await write(request, actor, work)


HANDLERS: list[Any] = [list_offers, create_offer, get_offer, update_offer, activate_offer, archive_offer]
