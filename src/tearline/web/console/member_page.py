"""One member: who it is, the coupons by state, claims and redemptions, and what staff can do about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.reads import claims_of_member
from tearline.core.codes import display
from tearline.core.refusal import Refusal
from tearline.coupons import actions as coupons
from tearline.coupons import reads as wallet
from tearline.coupons.model import Redemption
from tearline.i18n import _, translate
from tearline.members import actions, reads
from tearline.members.phones import display_phone
from tearline.offers.describe import until_text
from tearline.web.access import AnyRequest, GivenActor, GivenServices
from tearline.web.console.audit import trail, words
from tearline.web.console.members import (
    STATE_KINDS,
    STATE_NAMES,
    Cards,
    load_cards,
    member_change,
    member_fields,
    refused_names,
)
from tearline.web.console.support import act, save, show, uuid_or_none
from tearline.web.console.tickets import OfferFace, face_of
from tearline.web.ui.forms import BoundForm, Form, LongText, Text
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect

FOLDER_NAMES = {
    "usable": _("Usable"),
    "upcoming": _("Upcoming"),
    "held": _("In use"),
    "used": _("Used"),
    "expired": _("Expired"),
    "void": _("Cancelled"),
}
VOIDABLE = ("usable", "upcoming", "held")
PHONE_FORM = Form(
    Text("phone", _("New phone number"), input_type="tel", maximum_length=40,
         help=_("The sessions made with the old number end."))
)  # fmt: skip
VOID_FORM = Form(LongText("reason", _("Why"), rows=2, maximum_length=500, help=_("Stands in the audit log.")))


@get("/members/{member_id:uuid}")
async def show_member(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[str]:
    """The member's page, with one folder of the wallet."""
    actor.require("members.read")
    now, language = services.now(), language_of(request)
    folder = request.query_params.get("folder", "usable")
    folder = folder if folder in FOLDER_NAMES else "usable"
    async with services.database.connection() as connection:
        member = await _member(connection, member_id)
        cards = await load_cards(connection, language)
        counts = await wallet.wallet_counts(connection, member_id, now)
        page = await wallet.wallet(connection, member_id, folder, now, after=_place(request))
        claims = await claims_of_member(connection, actor, member_id)
        redemptions = await _redemptions(connection, actor, member_id)
        deeds = await trail(connection, actor, [str(member_id)])
    here = f"/console/members/{member_id}"
    next_href = ""
    if page.next_after is not None:
        moment, coupon_id = page.next_after
        next_href = (
            f"{here}?{urlencode({'folder': folder, 'after': f'{moment.isoformat()}_{coupon_id}'})}#wallet"
        )
    return show(
        request,
        "member.html",
        member=member,
        phone=display_phone(member.phone),
        card=cards.words(member.plan, member.tier),
        groups=cards.group_words(member.groups),
        counts=counts,
        folder=folder,
        folders=FOLDER_NAMES,
        coupons=[_drawn(coupon, language) for coupon in page.coupons],
        next_href=next_href,
        is_voidable=folder in VOIDABLE,
        claims=claims,
        redemptions=redemptions,
        deeds=deeds,
        state_names=STATE_NAMES,
        state_kinds=STATE_KINDS,
        **words(),
    )


@get("/members/{member_id:uuid}/edit")
async def edit_member(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[str]:
    """The form with what is known."""
    member, cards = await _load(request, services, actor, member_id)
    return _form_page(request, member, _form(member, cards).blank(_values(member)), PHONE_FORM.blank())


@post("/members/{member_id:uuid}/edit")
async def update_member(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[Any]:
    """Change the member as the form says."""
    member, cards = await _load(request, services, actor, member_id)
    form = await _form(member, cards).read(request)
    saved = await save(
        services,
        form,
        lambda tx: actions.update_member(
            tx, actor, member_id, now=services.now(), **member_change(form.values)
        ),
        names=refused_names,
    )
    if saved is None:
        return _form_page(request, member, form, PHONE_FORM.blank())
    return redirect(request, f"/console/members/{member_id}", flash=_("Saved."))


@post("/members/{member_id:uuid}/phone")
async def change_phone(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[Any]:
    """Give the member another phone number."""
    member, cards = await _load(request, services, actor, member_id)
    form = await PHONE_FORM.read(request)
    region = services.settings.default_region
    saved = await save(
        services,
        form,
        lambda tx: actions.change_phone(
            tx, actor, member_id, phone=form.values["phone"], default_region=region, now=services.now()
        ),
    )
    if saved is None:
        return _form_page(request, member, _form(member, cards).blank(_values(member)), form)
    return redirect(request, f"/console/members/{member_id}", flash=_("The phone number is changed."))


@get("/members/{member_id:uuid}/phone")
async def phone_by_address(
    request: AnyRequest, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[Any]:
    """Where a refused number's page stands in the address line, such as for its language links."""
    return redirect(request, f"/console/members/{member_id}/edit")


@post("/members/{member_id:uuid}/block")
async def block_member(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[Any]:
    """Suspend the member and end all sessions."""
    return await act(
        request,
        services,
        f"/console/members/{member_id}",
        lambda tx: actions.block_member(tx, actor, member_id, now=services.now()),
        _("The member is blocked."),
    )


@post("/members/{member_id:uuid}/unblock")
async def unblock_member(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[Any]:
    """Let the member sign in again."""
    return await act(
        request,
        services,
        f"/console/members/{member_id}",
        lambda tx: actions.unblock_member(tx, actor, member_id, now=services.now()),
        _("The member can sign in again."),
    )


@post("/members/{member_id:uuid}/end-sessions")
async def end_sessions(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: FromPath[UUID]
) -> Response[Any]:
    """Sign the member out everywhere."""
    return await act(
        request,
        services,
        f"/console/members/{member_id}",
        lambda tx: actions.end_sessions(tx, actor, member_id, now=services.now()),
        _("The member is signed out everywhere."),
    )


@get("/members/{member_id:uuid}/coupons/{coupon_id:uuid}/void")
async def void_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    member_id: FromPath[UUID],
    coupon_id: FromPath[UUID],
) -> Response[str]:
    """Asks why the coupon is to be cancelled."""
    return await _void_page(request, services, actor, member_id, coupon_id, VOID_FORM.blank())


@post("/members/{member_id:uuid}/coupons/{coupon_id:uuid}/void")
async def void_coupon(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    member_id: FromPath[UUID],
    coupon_id: FromPath[UUID],
) -> Response[Any]:
    """Cancel the coupon for good."""
    actor.require("coupons.void")
    form = await VOID_FORM.read(request)
    saved = await save(
        services,
        form,
        lambda tx: coupons.void_coupon(
            tx, actor, member_id, coupon_id, reason=form.values["reason"], now=services.now()
        ),
    )
    if saved is None:
        return await _void_page(request, services, actor, member_id, coupon_id, form)
    return redirect(
        request, f"/console/members/{member_id}?folder=void#wallet", flash=_("The coupon is cancelled.")
    )


def _drawn(coupon: wallet.WalletCoupon, language: str) -> tuple[wallet.WalletCoupon, OfferFace, str, str]:
    """A coupon with its ticket, its code to be read, and its last day in words."""
    last = until_text(coupon.valid_until, language, coupon.ticket.time_zone)
    until = translate(language, _("Until %(day)s"), day=last)
    return coupon, face_of(coupon.ticket, language), display(coupon.code), until


async def _member(connection: AsyncConnection, member_id: UUID) -> reads.MemberRow:
    member = await reads.member_by_id(connection, member_id)
    if member is None:
        raise Refusal("not_found")
    return member


async def _load(
    request: AnyRequest, services: GivenServices, actor: GivenActor, member_id: UUID
) -> tuple[reads.MemberRow, Cards]:
    actor.require("members.write")
    async with services.database.connection() as connection:
        return await _member(connection, member_id), await load_cards(connection, language_of(request))


async def _redemptions(connection: AsyncConnection, actor: GivenActor, member_id: UUID) -> list[Any]:
    query = wallet.redemptions_list(actor).where(Redemption.member_id == member_id)
    query = query.order_by(Redemption.redeemed_at.desc(), Redemption.id.desc()).limit(50)
    return list((await connection.execute(query)).all())


def _place(request: AnyRequest) -> tuple[datetime, UUID] | None:
    """Where a page of the wallet goes on; nonsense begins at the beginning."""
    moment, _separator, coupon_id = request.query_params.get("after", "").partition("_")
    found = uuid_or_none(coupon_id)
    try:
        return None if found is None else (datetime.fromisoformat(moment), found)
    except ValueError:
        return None


def _form(member: reads.MemberRow, cards: Cards) -> Form:
    return Form(*member_fields(cards, member.groups))


def _values(member: reads.MemberRow) -> dict[str, Any]:
    card = f"{member.plan}/{member.tier}" if member.tier else member.plan
    return {
        "name": member.name,
        "language": member.language,
        "card": card,
        "groups": member.groups,
        "tags": member.tags,
    }


def _form_page(
    request: AnyRequest, member: reads.MemberRow, form: BoundForm, phone_form: BoundForm
) -> Response[str]:
    return show(
        request,
        "member_edit.html",
        status_code=max(form.status_code, phone_form.status_code),
        member=member,
        phone=display_phone(member.phone),
        form=form,
        phone_form=phone_form,
    )


async def _void_page(
    request: AnyRequest,
    services: GivenServices,
    actor: GivenActor,
    member_id: UUID,
    coupon_id: UUID,
    form: BoundForm,
) -> Response[str]:
    actor.require("coupons.void")
    async with services.database.connection() as connection:
        member = await _member(connection, member_id)
        secret_key = services.settings.secret_keys[0]
        coupon, _secret = await wallet.member_coupon(
            connection, member_id, coupon_id, secret_key, services.now()
        )
    return show(
        request,
        "coupon_void.html",
        status_code=form.status_code,
        form=form,
        member=member,
        phone=display_phone(member.phone),
        coupon=coupon,
        code=display(coupon.code),
        drawn=face_of(coupon.ticket, language_of(request)),
    )


HANDLERS = [
    show_member,
    edit_member,
    update_member,
    change_phone,
    phone_by_address,
    block_member,
    unblock_member,
    end_sessions,
    void_page,
    void_coupon,
]
