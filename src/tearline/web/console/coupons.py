"""Finding a coupon by its code, a partner's code or an order's number; and all that the console knows of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.reads import claim_by_name
from tearline.core.codes import display
from tearline.core.refusal import REASONS, Refusal
from tearline.core.roles import Actor
from tearline.coupons import reads
from tearline.i18n import _
from tearline.members.phones import display_phone
from tearline.members.reads import member_by_id
from tearline.offers.describe import validity_text
from tearline.pools.reads import FoundCode, find_codes
from tearline.sales import reads as sales
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.code_pools import CODE_STATE_KINDS, CODE_STATE_NAMES
from tearline.web.console.audit import trail, words
from tearline.web.console.member_page import FOLDER_NAMES, VOIDABLE
from tearline.web.console.support import show
from tearline.web.console.tickets import face_of
from tearline.web.sale_words import (
    COUPON_STATE_KINDS,
    COUPON_STATE_NAMES,
    ORDER_STATE_KINDS,
    ORDER_STATE_NAMES,
)
from tearline.web.ui.forms import BoundForm, Form, Text
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

FIND_FORM = Form(
    Text(
        "code",
        _("Code"),
        maximum_length=64,
        help=_("A coupon's code, a partner's code exactly as it is written, or the number of an order."),
    )
)
FOLDER_KINDS = {"usable": "good", "held": "accent", "used": "", "expired": "warn", "void": "bad"}


@get("/coupons")
async def find_page(request: AnyRequest, actor: GivenActor) -> Response[str]:
    """Asks for a code."""
    actor.require("redemptions.read")
    return _find_page(request, FIND_FORM.blank())


@post("/coupons")
async def find_coupon(request: AnyRequest, services: GivenServices, actor: GivenActor) -> Response[Any]:
    """Go to what has a code or number; where that is several things, show them all.

    A code, which is worth money, never stands in an address.
    """
    actor.require("redemptions.read")
    form = await FIND_FORM.read(request)
    if not form.is_valid:
        return _find_page(request, form)
    async with services.database.connection() as connection:
        found = await _find(connection, actor, form.values["code"])
    if (only := found.only_page()) is not None:
        return redirect(request, only)
    if found.is_empty:
        is_misread = found.problem == "code_misread"
        form.add_error(
            "code", REASONS["code_misread"].sentence if is_misread else _("No coupon has this code.")
        )
        return _find_page(request, form)
    return show(
        request,
        "coupons.html",
        form=form,
        found=found,
        display=display,
        coupon_state_names=COUPON_STATE_NAMES,
        coupon_state_kinds=COUPON_STATE_KINDS,
        code_state_names=CODE_STATE_NAMES,
        code_state_kinds=CODE_STATE_KINDS,
        order_state_names=ORDER_STATE_NAMES,
        order_state_kinds=ORDER_STATE_KINDS,
    )


@get("/coupons/{member_id:uuid}/{coupon_id:uuid}")
async def show_coupon(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    member_id: FromPath[UUID],
    coupon_id: FromPath[UUID],
) -> Response[str]:
    """What the coupon gives, whose it is, where it came from, and what was done with it."""
    async with services.database.connection() as connection:
        found = await reads.coupon_for_staff(connection, actor, member_id, coupon_id, services.now())
        claim = (
            await claim_by_name(connection, actor, member_id, found.coupon.claim_id)
            if found.coupon.claim_id is not None
            else None
        )
        member = await member_by_id(connection, member_id) if "members.read" in actor.permissions else None
        voucher = None
        if found.coupon.order_id is not None and "sales.read" in actor.permissions:
            bought = await sales.vouchers_of_order(connection, actor, member_id, found.coupon.order_id)
            voucher = next((one for one in bought if one.coupon_id == coupon_id), None)
        deeds = await trail(connection, actor, [str(coupon_id)])
    return show(
        request,
        "coupon.html",
        coupon=found.coupon,
        code=display(found.coupon.code),
        drawn=face_of(found.coupon.ticket, language_of(request)),
        validity=validity_text(
            found.coupon.ticket, language_of(request), (found.coupon.valid_from, found.coupon.valid_until)
        ),
        folder_names=FOLDER_NAMES,
        folder_kinds=FOLDER_KINDS,
        member_id=member_id,
        member=member,
        phone=display_phone(member.phone) if member is not None else "",
        claim=claim,
        voucher=voucher,
        redemptions=found.redemptions,
        # What the partner's scanners take can't be cancelled here.
        is_voidable=found.coupon.folder in VOIDABLE and found.coupon.state != "sold",
        deeds=deeds,
        **words(),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What has a code or number.

    Attributes:
        coupon: the member and the id of the coupon that was given out under this code of ours, if one was.
        vouchers: sold coupons, by either of their codes or by their order's number.
        codes: partners' codes that are no vouchers: not sold, reserved, handed back.
        orders: by their number, those without vouchers.
        problem: why no code of ours was looked up, or None.
    """

    coupon: tuple[UUID, UUID] | None
    vouchers: Sequence[sales.FoundVoucher]
    codes: Sequence[FoundCode]
    orders: Sequence[Any]
    problem: str | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.coupon or self.vouchers or self.codes or self.orders)

    def only_page(self) -> str | None:
        """The page of the one thing found; None when there are several, or it has no page."""
        pages = [f"/console/coupons/{one.member_id}/{one.coupon_id}" for one in self.vouchers]
        pages += [f"/console/orders/{one.id}" for one in self.orders]
        if self.coupon is not None:
            pages.append("/console/coupons/{}/{}".format(*self.coupon))
        return pages[0] if len(pages) == 1 and not self.codes else None


async def _find(connection: AsyncConnection, actor: Actor, text: str) -> Found:
    coupon, problem = None, None
    try:
        coupon = await reads.find_by_code(connection, actor, text)
    except Refusal as refusal:
        problem = refusal.reason
    vouchers: Sequence[sales.FoundVoucher] = []
    orders: Sequence[Any] = []
    if "sales.read" in actor.permissions:
        vouchers = await sales.find_voucher(connection, actor, text)
        delivered = {one.order_id for one in vouchers}
        orders = [one for one in await sales.find_orders(connection, actor, text) if one.id not in delivered]
    codes: Sequence[FoundCode] = []
    if actor.permissions & {"codes.read", "sales.read"}:
        listed = {one.coupon_id for one in vouchers}
        codes = [one for one in await find_codes(connection, actor, text) if one.coupon_id not in listed]
    if coupon is not None and coupon[1] in {one.coupon_id for one in vouchers}:
        coupon = None
    return Found(coupon, vouchers, codes, orders, problem)


def _find_page(request: AnyRequest, form: BoundForm) -> Response[str]:
    return show(request, "coupons.html", status_code=form.status_code, form=form, found=None)


HANDLERS = [find_page, find_coupon, show_coupon]
