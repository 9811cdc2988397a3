"""Carts for shops and tills: priced, qualified, ordered, paid, cancelled and refunded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout import actions, reads, refunding
from tearline.checkout.loading import Loaded
from tearline.checkout.model import CartOrder
from tearline.checkout.quoting import PricedCart, qualify_cart, quote_cart
from tearline.checkout.requests import CartRequest
from tearline.core import codes as core_codes
from tearline.core.refunds import Wish
from tearline.core.refusal import Refusal
from tearline.core.roles import Actor
from tearline.db.patience import patiently
from tearline.db.statement import AnyConnection
from tearline.i18n import _, negotiate
from tearline.members.phones import parse_phone
from tearline.members.reads import member_by_id, member_by_phone, member_in_session
from tearline.web.access import GivenServices
from tearline.web.api.cart_answers import (
    order_answer,
    order_row,
    qualification_answer,
    quote_answer,
    refund_answer,
)
from tearline.web.api.cart_bodies import CartBody, CartOrderBody, PaymentBody, RefundBody, check_choice
from tearline.web.api.cart_shapes import (
    CartOrderAnswer,
    CartOrderRow,
    OrderState,
    QualificationAnswer,
    QuoteAnswer,
    RefundAnswer,
)
from tearline.web.api.shapes import Page
from tearline.web.api.support import (
    AnyRequest,
    GivenCursor,
    GivenKey,
    GivenLimit,
    IdempotencyKey,
    page,
    problems,
    write,
)
from tearline.web.services import Services

CART_LIMIT_BYTES = 2 * 1024 * 1024
_PATIENCE_SECONDS = 2.0
"""How long a quote may wait for the database to come back."""
_CART_REASONS = ("cart_too_large", "invalid_phone", "unsupported_country", "session_ended", "member_blocked")
_COUPON_REASONS = (
    "code_not_recognised", "not_applicable", "other_store", "not_valid_now", "not_valid_yet", "expired",
    "held_elsewhere", "already_redeemed", "coupon_void", "nothing_in_scope", "excluded_lines", "first_order_only",
    "other_currency", "minimum_not_reached", "not_combinable", "nothing_left",
)  # fmt: skip
"""Why a coupon that an order names can't be used."""


async def make_quote(services: Services, actor: Actor, body: CartBody, language: str) -> QuoteAnswer:
    """A quote's answer, its reasons in ``language``. The hot lane and Litestar share it."""
    now = services.now()

    async def read() -> tuple[CartRequest, PricedCart]:
        async with services.database.hot_reading() as connection:
            wanted = await _request(connection, services, actor, body, now)
            return wanted, await quote_cart(
                connection, wanted, services.cart_offers, now, merchant_id=actor.merchant_id
            )

    # Only reads, so it can be done again when the server closed the connection.
    wanted, cart = await patiently(read, time.monotonic() + _PATIENCE_SECONDS, what="quote")
    await _count_guesses(services, actor, wanted.member_id, _unknown(cart.loaded))
    return quote_answer(cart, language)


@post(
    "/quotes",
    status_code=200,
    request_max_body_size=CART_LIMIT_BYTES,
    responses=problems(*_CART_REASONS, has_body=True),
)
async def create_quote(
    request: AnyRequest, services: GivenServices, actor: GivenKey, data: JSONBody[CartBody]
) -> QuoteAnswer:
    """Price a cart: the best discounts, to the unit and to who pays, and why others don't apply. Nothing is kept."""
    return await make_quote(services, actor, data, _language(request))


@post(
    "/qualifications",
    status_code=200,
    request_max_body_size=CART_LIMIT_BYTES,
    responses=problems(*_CART_REASONS, has_body=True),
)
async def create_qualification(
    request: AnyRequest, services: GivenServices, actor: GivenKey, data: JSONBody[CartBody]
) -> QualificationAnswer:
    """What a member can use in a cart, what nearly, and what not and why: for a picker of coupons."""
    now = services.now()
    async with services.database.connection() as connection:
        wanted = await _request(connection, services, actor, data, now)
        loaded, found = await qualify_cart(
            connection, wanted, services.cart_offers, now, merchant_id=actor.merchant_id
        )
    await _count_guesses(services, actor, wanted.member_id, _unknown(loaded))
    return qualification_answer(loaded, found, _language(request))


@post(
    "/orders",
    request_max_body_size=CART_LIMIT_BYTES,
    responses=problems(
        *_CART_REASONS, *_COUPON_REASONS, "price_changed", "idempotency_key_reused", has_body=True
    ),
)
async def create_cart_order(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    data: JSONBody[CartOrderBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[CartOrderAnswer]:
    """Order a cart at its price now: its coupons are held until it is paid, cancelled, or out of time."""
    member_id: UUID | None = None

    async def work(tx: AsyncConnection) -> CartOrderAnswer:
        nonlocal member_id
        now = services.now()
        wanted = await _request(tx, services, actor, data, now)
        member_id = wanted.member_id
        placed = await actions.place_order(
            tx,
            wanted,
            services.cart_offers,
            now,
            merchant_id=actor.merchant_id,
            expected_total=data.expected_total,
            hold_lasts=timedelta(seconds=data.hold_seconds),
            reference=data.reference,
        )
        return order_answer(await reads.order_by_number(tx, actor, placed.number, now))

    try:
        return await write(request, actor, work, status=201)
    except Refusal as refusal:
        if refusal.reason == "code_not_recognised":
            await _count_guesses(services, actor, member_id, refusal.details["coupons"])
        raise


@get("/orders", responses=problems())
async def list_cart_orders(
    services: GivenServices,
    actor: GivenKey,
    order_state: Annotated[OrderState | None, QueryParameter(name="state")] = None,
    reference: Annotated[
        str | None,
        QueryParameter(
            name="reference", description="Only those of this name of the shop's.", max_length=200
        ),
    ] = None,
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[CartOrderRow]:
    """Orders of carts; a merchant's key sees those of its own shop."""
    now = services.now()
    statement = reads.orders_list(actor, now)
    if order_state is not None:
        statement = statement.where(reads.is_in_state(order_state, now))
    if reference is not None:
        statement = statement.where(CartOrder.reference == reference)
    async with services.database.connection() as connection:
        return await page(connection, statement, CartOrder.id, order_row, cursor=cursor, limit=limit)


@get("/orders/{number:str}", responses=problems())
async def get_cart_order(services: GivenServices, actor: GivenKey, number: FromPath[str]) -> CartOrderAnswer:
    """One order of a cart, with its prices as they were frozen and all refunds."""
    actor.require("orders.read")
    async with services.database.connection() as connection:
        return order_answer(await reads.order_by_number(connection, actor, number, services.now()))


@post(
    "/orders/{number:str}/pay",
    status_code=200,
    responses=problems(
        "order_cancelled",
        "order_paid",
        "coupon_taken",
        "expired",
        "first_order_only",
        "idempotency_key_reused",
        has_body=True,
    ),
)
async def pay_cart_order(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    number: FromPath[str],
    data: JSONBody[PaymentBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[CartOrderAnswer]:
    """Say that an order is paid: its coupons are used. Saying so again changes nothing."""
    actor.require("checkout")

    async def work(tx: AsyncConnection) -> CartOrderAnswer:
        now = services.now()
        await actions.pay_order(
            tx,
            actor,
            number,
            now,
            collected_by=data.collected_by,
            payment_reference=data.payment_reference,
        )
        return order_answer(await reads.order_by_number(tx, actor, number, now))

    return await write(request, actor, work)


@post(
    "/orders/{number:str}/cancel",
    status_code=200,
    responses=problems("order_paid", "idempotency_key_reused"),
)
async def cancel_cart_order(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    number: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[CartOrderAnswer]:
    """Give up an order that is not paid: its coupons are open again at once."""
    actor.require("checkout")

    async def work(tx: AsyncConnection) -> CartOrderAnswer:
        now = services.now()
        await actions.cancel_order(tx, actor, number, now)
        return order_answer(await reads.order_by_number(tx, actor, number, now))

    return await write(request, actor, work)


@post(
    "/orders/{number:str}/refunds",
    responses=problems(
        "order_not_paid", "nothing_to_refund", "refund_too_large", "idempotency_key_reused", has_body=True
    ),
)
async def create_refund(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenKey,
    number: FromPath[str],
    data: JSONBody[RefundBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[RefundAnswer]:
    """Refund units of a paid order at exactly what they cost: the money is yours to pay back, the rest is done."""
    actor.require("orders.refund")
    keys = [line.key for line in data.lines]
    if len(set(keys)) < len(keys):
        raise Refusal("invalid", fields={"lines": _("Name each line once.")})

    async def work(tx: AsyncConnection) -> RefundAnswer:
        now = services.now()
        wish = Wish({line.key: line.quantity for line in data.lines}, tuple(data.shipping), data.everything)
        refund_id = await refunding.refund_order(tx, actor, number, wish, now, reason=data.reason)
        order = await reads.order_with_refund(tx, actor, number, refund_id, now)
        return refund_answer(order, order.refunds[0])

    return await write(request, actor, work, status=201)


@get("/orders/{number:str}/refunds", responses=problems())
async def list_refunds(services: GivenServices, actor: GivenKey, number: FromPath[str]) -> Page[RefundAnswer]:
    """The refunds of an order, the first one first; they all come in one page."""
    actor.require("orders.read")
    async with services.database.connection() as connection:
        order = await reads.order_by_number(connection, actor, number, services.now())
    return Page(items=[refund_answer(order, one) for one in order.refunds], next_cursor=None)


async def _request(
    connection: AnyConnection, services: Services, actor: Actor, body: CartBody, now: datetime
) -> CartRequest:
    """The cart that a body asks for, its member found out.

    Raises:
        Refusal: ``not_allowed``; ``invalid``, ``not_found`` or ``session_ended`` for the member;
            ``too_many_attempts`` for somebody who tries codes.
    """
    actor.require("checkout")
    check_choice(body)
    member_id = await _member_id(connection, services, actor, body, now)
    if body.codes:
        await services.code_guard.check(_caller(actor), member_id)
    found = (core_codes.normalise(code) for code in body.codes)
    return body.request(member_id, tuple(dict.fromkeys(found)))


async def _member_id(
    connection: AnyConnection, services: Services, actor: Actor, body: CartBody, now: datetime
) -> UUID | None:
    who = body.member
    if who is None:
        return None
    if [who.id, who.phone, who.token].count(None) != 2:
        raise Refusal("invalid", fields={"member": _("Give one of id, phone and token.")})
    if who.token is not None:
        identity = services.member_tokens.verify(who.token, now)
        return (await member_in_session(connection, identity)).id
    if actor.merchant_id is not None:
        # Whose wallet it is must not be guessed: the member has to be there.
        raise Refusal("invalid", fields={"member.token": _("Give the member's own token.")})
    if who.phone is not None:
        number = parse_phone(who.phone, default_region=services.settings.default_region)
        member = await member_by_phone(connection, number.e164)
    else:
        assert who.id is not None
        member = await member_by_id(connection, who.id)
    if member is None:
        raise Refusal("invalid", fields={"member": _("There is no such member.")})
    return member.id


def _unknown(loaded: Loaded) -> list[str]:
    return [one.key for one in loaded.unusable if one.reason == "code_not_recognised"]


async def _count_guesses(
    services: Services, actor: Actor, member_id: UUID | None, unknown: Sequence[str]
) -> None:
    # Counted after the look-up, and answered without what it found when it was one too many. What can be no code is
    # no guess: a mistyped one is told by its check character. Nor are ids: a shop may have old ones.
    wrong = sum(core_codes.is_well_formed(one) for one in unknown)
    await services.code_guard.count_wrong(_caller(actor), member_id, wrong)


def _caller(actor: Actor) -> str:
    return f"{actor.kind}:{actor.id}"


def _language(request: AnyRequest) -> str:
    return negotiate(accept_language=request.headers.get("accept-language"))


HANDLERS: list[Any] = [
    create_quote, create_qualification, create_cart_order, list_cart_orders, get_cart_order, pay_cart_order,
    cancel_cart_order, create_refund, list_refunds,
]  # fmt: skip
