"""Orders with a member's token; for keys their lists, vouchers by code, and the uses that partners report."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.members.reads import member_in_session
from tearline.members.tokens import MemberIdentity
from tearline.sales import reads
from tearline.sales.model import VoucherOrder
from tearline.sales.uses import report_uses
from tearline.web import ordering
from tearline.web.access import GivenServices
from tearline.web.api.campaigns import campaign_id_of
from tearline.web.api.claims import REPLAYED_HEADERS, ClaimKey, PassToken
from tearline.web.api.sale_shapes import (
    FoundVouchers,
    NewOrder,
    NewPayment,
    OrderAnswer,
    OrderRow,
    UseOutcomes,
    UseReports,
    order_answer,
    order_row,
    voucher_answer,
)
from tearline.web.api.shapes import Page
from tearline.web.api.support import (
    AnyRequest,
    GivenBearer,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    page,
    problems,
    write,
)
from tearline.web.services import Services

_REPORT_LIMIT_BYTES = 4 * 1024 * 1024
_ORDER_PROBLEMS = problems(
    "idempotency_key_missing", "idempotency_key_reused", "not_started", "ended", "paused", "not_in_audience",
    "order_too_large", "purchase_limit_reached", "offer_member_limit_reached", "sold_out", "fewer_left",
    "pass_required", "pass_ended", "pass_taken",
    has_body=True, caller="member",
)  # fmt: skip


@post(
    "/campaigns/{code:str}/orders",
    responses={
        **_ORDER_PROBLEMS,
        200: ResponseSpec(
            OrderAnswer, generate_examples=False, description="The order of this key, as it stands now."
        ),
    },
)
async def create_order(
    services: GivenServices,
    member: GivenBearer,
    code: FromPath[str],
    data: JSONBody[NewOrder],
    idempotency_key: ClaimKey = None,
    pass_token: PassToken = None,
) -> Response[OrderAnswer]:
    """Reserve vouchers, all of them or none; the member pays them at `payment_address` before `reserved_until`."""
    if not idempotency_key:
        raise Refusal("idempotency_key_missing")
    answer = await ordering.order(
        services, member, code.upper(), data.item_id, data.quantity, idempotency_key, pass_token
    )
    # The order stands: should the payment service not answer, the member asks for the payment again.
    with suppress(Refusal):
        await ordering.payment_address(services, member.member_id, answer.order_id, data.language)
    made = await _answer(services, member.member_id, answer.order_id)
    headers = REPLAYED_HEADERS if answer.replayed else {}
    return Response(made, status_code=200 if answer.replayed else 201, headers=headers)


@get("/voucher-orders/{order_id:uuid}", responses=problems(caller="member"))
async def get_order(services: GivenServices, member: GivenBearer, order_id: FromPath[UUID]) -> OrderAnswer:
    """One order of the member: how it stands, where it is paid, and what it has brought."""
    member_id = await _member_id(services, member)
    found = await ordering.newest(services, member_id, order_id)
    return order_answer(found, services.settings.public_url)


@post(
    "/voucher-orders/{order_id:uuid}/payment",
    status_code=200,
    responses=problems("order_paid", "order_released", "payment_unavailable", has_body=True, caller="member"),
)
async def begin_payment(
    services: GivenServices, member: GivenBearer, order_id: FromPath[UUID], data: JSONBody[NewPayment]
) -> Response[OrderAnswer]:
    """Have the payment of an order begun, when the payment service did not answer before."""
    member_id = await _member_id(services, member)
    await ordering.payment_address(services, member_id, order_id, data.language)
    return Response(await _answer(services, member_id, order_id))


@post(
    "/voucher-orders/{order_id:uuid}/cancel",
    status_code=200,
    responses=problems("order_paid", caller="member"),
)
async def cancel_order(
    services: GivenServices, member: GivenBearer, order_id: FromPath[UUID]
) -> Response[OrderAnswer]:
    """Give up an order that is not paid; its vouchers are others' to buy at once."""
    member_id = await _member_id(services, member)
    await ordering.cancel(services, member_id, order_id)
    return Response(await _answer(services, member_id, order_id))


@get("/voucher-orders", responses=problems())
async def list_orders(
    services: GivenServices,
    actor: GivenKey,
    number: Annotated[
        str | None, QueryParameter(name="number", description="Only the order of this number.", max_length=40)
    ] = None,
    campaign: Annotated[
        str | None,
        QueryParameter(name="campaign", description="Only orders of the sale with this code.", max_length=64),
    ] = None,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[OrderRow]:
    """Orders in whatever state; a merchant's key sees those of its vouchers, without phone numbers."""
    actor.require("sales.read")
    async with services.database.connection() as connection:
        campaign_id = None if campaign is None else await campaign_id_of(connection, campaign)
        if number is not None:
            found = await reads.find_orders(connection, actor, number)
            rows = [row for row in found if campaign_id in (None, row.campaign_id)]
            return Page(items=[order_row(row) for row in rows], next_cursor=None)
        statement = reads.orders(actor, campaign_id=campaign_id)
        return await page(connection, statement, VoucherOrder.id, order_row, cursor=cursor, limit=limit)


@get("/vouchers", responses=problems())
async def find_vouchers(
    services: GivenServices,
    actor: GivenKey,
    code: Annotated[
        str,
        QueryParameter(
            name="code",
            description="The partner's code, our own, or an order's number.",
            min_length=1,
            max_length=200,
        ),
    ],
) -> FoundVouchers:
    """Sold vouchers by either of their codes or by their order; all of them where partners have the same code."""
    async with services.database.connection() as connection:
        found = await reads.find_voucher(connection, actor, code)
    return FoundVouchers(items=[voucher_answer(one) for one in found])


@post(
    "/voucher-uses",
    status_code=200,
    request_max_body_size=_REPORT_LIMIT_BYTES,
    responses=problems("idempotency_key_reused", has_body=True),
)
async def report_voucher_uses(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[UseReports],
    idempotency_key: IdempotencyKey = None,
) -> Response[UseOutcomes]:
    """Report uses of a partner's codes in its own system: their vouchers are redeemed. Again and in any order."""

    async def work(tx: AsyncConnection) -> UseOutcomes:
        merchant_id = data.merchant_id or actor.merchant_id
        actor.require("codes.write")
        if merchant_id is None:
            raise Refusal("invalid", fields={"merchant_id": _("Say whose codes these are.")})
        outcomes = await report_uses(tx, actor, merchant_id, data.values(), services.now())
        return UseOutcomes(outcomes=outcomes)

    return await write(request, actor, work)


async def _member_id(services: Services, member: MemberIdentity) -> UUID:
    async with services.database.connection() as connection:
        return (await member_in_session(connection, member)).id


async def _answer(services: Services, member_id: UUID, order_id: UUID) -> OrderAnswer:
    async with services.database.connection() as connection:
        found = await reads.order_of(connection, member_id, order_id)
    return order_answer(found, services.settings.public_url)


HANDLERS: list[Any] = [
    create_order, get_order, begin_payment, cancel_order, list_orders, find_vouchers, report_voucher_uses,
]  # fmt: skip
