"""Claims and the wallet, with a member's token."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from tearline.campaigns.desk import ClaimAnswer
from tearline.core.refusal import Refusal
from tearline.core.rotating import STEP_SECONDS
from tearline.coupons import reads
from tearline.members.reads import member_in_session
from tearline.members.tokens import MemberIdentity
from tearline.sales.showing import bought_voucher
from tearline.web.access import GivenServices, address_of
from tearline.web.api.benefit_shapes import benefit_answer
from tearline.web.api.shapes import (
    ClaimBody,
    CouponAnswer,
    Money,
    Page,
    PartnersCodeAnswer,
    Rotation,
    TicketAnswer,
    WalletCouponAnswer,
)
from tearline.web.api.support import AnyRequest, GivenBearer, GivenCursor, GivenLimit, place_of, problems
from tearline.web.claiming import claim
from tearline.web.services import Services
from tearline.web.ui.cursors import Cursor

Folder = Literal["usable", "upcoming", "held", "used", "expired", "void"]
ClaimKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Required. 1 to 128 visible ASCII characters; a repeat with the same key gets the first answer.",
        max_length=128,
        required=True,
    ),
]
PassToken = Annotated[
    str | None,
    HeaderParameter(
        name="Tearline-Pass",
        description="The pass of the waiting room, for a campaign that one guards.",
        max_length=300,
    ),
]
REPLAYED_HEADERS = {"idempotency-replayed": "true"}
_CLAIM_PROBLEMS = problems(
    "idempotency_key_missing", "idempotency_key_reused", "not_started", "ended", "paused", "wrong_password",
    "not_in_audience", "member_limit_reached", "daily_limit_reached", "prize_limit_reached",
    "offer_member_limit_reached", "sold_out", "pass_required", "pass_ended", "pass_taken",
    has_body=True, caller="member",
)  # fmt: skip


async def make_claim(
    services: Services,
    member: MemberIdentity,
    *,
    code: str,
    key: str | None,
    pass_token: str | None,
    body: ClaimBody,
    address: str,
) -> tuple[int, dict[str, str], ClaimAnswer]:
    """A claim's answer: its status, its headers, and what was issued. The hot lane and Litestar share it."""
    if not key:
        raise Refusal("idempotency_key_missing")
    answer = await claim(services, member, code.upper(), body.password, key, address, pass_token)
    return (200, REPLAYED_HEADERS, answer) if answer.replayed else (201, {}, answer)


@post(
    "/campaigns/{code:str}/claims",
    responses={
        **_CLAIM_PROBLEMS,
        200: ResponseSpec(
            ClaimAnswer, generate_examples=False, description="The first answer to this key, again."
        ),
    },
)
async def create_claim(
    request: AnyRequest,
    services: GivenServices,
    member: GivenBearer,
    code: FromPath[str],
    data: JSONBody[ClaimBody],
    idempotency_key: ClaimKey = None,
    pass_token: PassToken = None,
) -> Response[ClaimAnswer]:
    """Claim the prize that a password opens: all of its coupons or nothing. Guessing is throttled."""
    status, headers, answer = await make_claim(
        services,
        member,
        code=code,
        key=idempotency_key,
        pass_token=pass_token,
        body=data,
        address=address_of(request),
    )
    return Response(answer, status_code=status, headers=headers)


@get("/wallet", responses=problems(caller="member"))
async def list_wallet(
    services: GivenServices,
    member: GivenBearer,
    folder: Annotated[Folder, QueryParameter(name="folder")] = "usable",
    cursor: GivenCursor = None,
    limit: GivenLimit = 50,
) -> Page[WalletCouponAnswer]:
    """One folder of the member's wallet; what can be used comes in the order in which it ends."""
    after: tuple[datetime, UUID] | None = None
    if cursor is not None:
        place = place_of(cursor, folder, datetime)
        after = (place.value, place.row_id)
    async with services.database.connection() as connection:
        row = await member_in_session(connection, member)
        found = await reads.wallet(connection, row.id, folder, services.now(), after=after, limit=limit)
    next_cursor = Cursor(folder, *found.next_after).encode() if found.next_after else None
    return Page(items=[_wallet_coupon(coupon) for coupon in found.coupons], next_cursor=next_cursor)


@get("/wallet/coupons/{coupon_id:uuid}", responses=problems(caller="member"))
async def get_coupon(services: GivenServices, member: GivenBearer, coupon_id: FromPath[UUID]) -> CouponAnswer:
    """One coupon of the member: what its changing QR code is made from, or its partner's code."""
    key, now = services.settings.secret_keys[0], services.now()
    async with services.database.connection() as connection:
        row = await member_in_session(connection, member)
        coupon, secret = await reads.member_coupon(connection, row.id, coupon_id, key, now)
        bought = await bought_voucher(connection, row.id, coupon_id, now) if coupon.order_id else None
    if bought is not None and bought.has_partner_code:
        shown = bought.shown
        code = None if shown is None else msgspec.convert(shown, PartnersCodeAnswer, from_attributes=True)
        return CouponAnswer(coupon=_wallet_coupon(coupon), rotation=None, partners_code=code)
    rotation = Rotation(secret=b64encode(secret).decode(), step_seconds=STEP_SECONDS)
    return CouponAnswer(coupon=_wallet_coupon(coupon), rotation=rotation, partners_code=None)


def _wallet_coupon(coupon: reads.WalletCoupon) -> WalletCouponAnswer:
    ticket = coupon.ticket
    fields = {name: getattr(ticket, name, None) for name in TicketAnswer.__struct_fields__}
    fields["benefit"] = benefit_answer(ticket.benefit)
    fields["minimum_spend"] = Money(ticket.minimum_spend, ticket.currency)
    values = {name: getattr(coupon, name) for name in WalletCouponAnswer.__struct_fields__}
    return msgspec.convert({**values, "ticket": msgspec.convert(fields, TicketAnswer)}, WalletCouponAnswer)


HANDLERS: list[Any] = [create_claim, list_wallet, get_coupon]
