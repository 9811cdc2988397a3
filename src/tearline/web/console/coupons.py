"""Finding a coupon by its code, and all that the console knows of one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from tearline.campaigns.reads import claim_by_name
from tearline.core.codes import display
from tearline.core.refusal import Refusal
from tearline.coupons import reads
from tearline.i18n import _
from tearline.members.phones import display_phone
from tearline.members.reads import member_by_id
from tearline.offers.describe import validity_text
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.member_page import FOLDER_NAMES, VOIDABLE
from tearline.web.console.support import show
from tearline.web.console.tickets import face_of
from tearline.web.ui.forms import BoundForm, Form, Text
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

FIND_FORM = Form(
    Text(
        "code",
        _("Code of the coupon"),
        maximum_length=60,
        help=_("As it stands below the QR code. Capitals, spaces and dashes do not matter."),
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
    """Go to the coupon of a code. The code itself, which is worth money, never stands in an address."""
    actor.require("redemptions.read")
    form = await FIND_FORM.read(request)
    if form.is_valid:
        try:
            async with services.database.connection() as connection:
                member_id, coupon_id = await reads.find_by_code(connection, actor, form.values["code"])
            return redirect(request, f"/console/coupons/{member_id}/{coupon_id}")
        except Refusal as refusal:
            is_unknown = refusal.reason == "not_found"
            form.add_error("code", _("No coupon has this code.") if is_unknown else refusal.sentence)
    return _find_page(request, form)


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
        redemptions=found.redemptions,
        is_voidable=found.coupon.folder in VOIDABLE,
        deeds=deeds,
        **words(),
    )


def _find_page(request: AnyRequest, form: BoundForm) -> Response[str]:
    return show(request, "coupons.html", status_code=form.status_code, form=form)


HANDLERS = [find_page, find_coupon, show_coupon]
