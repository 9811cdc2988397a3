"""A campaign's page with its password box, the claim itself, and the gift that it opened."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.campaigns.reads import CampaignPage, Standing, campaign_page, member_claim, member_standing
from tearline.core.passwords import MAXIMUM_LENGTH, password_key
from tearline.core.refusal import Refusal
from tearline.coupons.reads import claim_coupons
from tearline.i18n import _
from tearline.members.reads import MemberRow
from tearline.members.tokens import MemberIdentity
from tearline.web.access import AnyRequest, GivenMember, GivenServices, GivenVisitor, address_of
from tearline.web.claiming import claim
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop import sales
from tearline.web.shop.cards import card_of
from tearline.web.shop.inside import (
    REFUSALS,
    Inside,
    on_from,
    pass_token,
    session_if_any,
    session_of,
    to_room,
)
from tearline.web.shop.support import (
    choice_key,
    field_text,
    forget_note,
    form_key_in,
    known_member,
    new_form_key,
    note_cookie,
    page_headers,
    read_note,
    sign_in_path,
    signed_in_member,
    with_query,
)
from tearline.web.shop.tickets import coupon_face
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render, text_in

KEPT_GIFT_COOKIE = "tearline_gift"
"""Keeps what a visitor typed while they sign in; only their own browser ever sees it again."""

_KEPT_SECONDS = 900
# Four times what a password may have, as the desk counts before it normalises.
_LONGEST_TYPED_CHARACTERS = 4 * MAXIMUM_LENGTH


@get("/c/{code:str}")
async def show_campaign(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, code: FromPath[str]
) -> Response[str] | Redirect:
    """The campaign or sale, with what a visitor chose before signing in; behind a room, for those inside."""
    campaign_code = code.strip().upper()
    try:
        inside = session_of(request, services, campaign_code)
    except Refusal as refusal:
        if refusal.reason not in REFUSALS:
            raise
        return to_room(request, services, campaign_code, refusal)
    kept = read_note(request, KEPT_GIFT_COOKIE)
    password = str(kept.get("password", "")) if kept.get("code") == campaign_code else ""
    try:
        return await _campaign_page(request, services, visitor, code, password=password, inside=inside)
    except Refusal as refusal:
        if refusal.reason != "not_found":
            raise
    return await sales.show_sale(request, services, visitor, campaign_code, inside)


@get("/c/{code:str}/claims")
async def claims_by_address(request: AnyRequest, code: FromPath[str]) -> Redirect:
    """Where a refused claim's page stands in the browser's address line, such as for its language links."""
    return Redirect(with_query(request, f"/c/{code}"), status_code=303)


@post("/c/{code:str}/claims")
async def make_claim(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, code: FromPath[str]
) -> Response[str] | Redirect:
    """Open the gift of a password; a refusal is told on the campaign's page, which keeps what was typed."""
    form = await readable_form(request)
    password = str(form.get("password", ""))[:_LONGEST_TYPED_CHARACTERS]
    form_key = form_key_in(form)
    if visitor is None:
        return _sign_in_first(request, code, password)
    if not password.strip():
        refusal = Refusal("invalid", fields={"password": _("Type the password first.")})
        return await _campaign_page(request, services, visitor, code, password=password, refusal=refusal)
    campaign_code = code.strip().upper()
    try:
        answer = await claim(
            services,
            visitor,
            campaign_code,
            password,
            choice_key(form_key, password_key(password)),
            address_of(request),
            pass_token(request, services, campaign_code),
        )
    except Refusal as refusal:
        if refusal.reason in ("not_signed_in", "session_ended"):
            return _sign_in_first(request, code, password)
        if refusal.reason in ("pass_required", "pass_ended"):
            return _wait_first(request, services, campaign_code, password, refusal)
        if refusal.reason == "not_found":
            raise
        return await _campaign_page(
            request, services, visitor, code, password=password, form_key=form_key, refusal=refusal
        )
    address = f"/c/{campaign_code}/claims/{answer.claim_id}"
    response = on_from(request, services, campaign_code, address)
    forget_note(request, response, KEPT_GIFT_COOKIE, path="/c")
    return response


@get("/c/{code:str}/claims/{claim_id:uuid}")
async def show_claim(
    request: AnyRequest,
    services: GivenServices,
    member: GivenMember,
    code: FromPath[str],
    claim_id: FromPath[UUID],
) -> Response[str]:
    """The gift: the coupons of one claim of this member."""
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        row = await signed_in_member(connection, request, member)
        claimed = await member_claim(connection, row.id, claim_id)
        if claimed.campaign_code != code.strip().upper():
            raise Refusal("not_found")
        coupons = await claim_coupons(connection, row.id, claim_id, now)
    return render(
        request,
        "shop/claimed.html",
        time_zone=claimed.time_zone,
        claim=claimed,
        prize_name=text_in(claimed.prize_names, language),
        campaign_name=text_in(claimed.campaign_names, language),
        tickets=[coupon_face(coupon, language, now) for coupon in coupons],
        is_campaign_open=claimed.campaign_state in ("live", "paused"),
        inside=session_if_any(request, services, claimed.campaign_code),
    )


async def _campaign_page(
    request: AnyRequest,
    services: Services,
    identity: MemberIdentity | None,
    code: str,
    *,
    password: str,
    form_key: str = "",
    refusal: Refusal | None = None,
    inside: Inside | None = None,
) -> Response[str]:
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        page = await campaign_page(connection, code, now)
        member = await known_member(connection, identity)
        standing = await _standing(connection, page, member, now)
    return render(
        request,
        "shop/campaign.html",
        status_code=200 if refusal is None else refusal.status,
        headers=page_headers(refusal, language),
        time_zone=page.time_zone,
        card=card_of(page, language),
        inside=inside or session_if_any(request, services, page.code),
        is_place_taken=refusal is not None and refusal.reason == "pass_taken",
        rules=text_in(page.rules, language),
        member=member,
        standing=standing,
        left_for_member=_left_for_member(page, standing),
        left_today=_left_today(page, standing),
        is_in_audience=member is None or page.audience.includes(member.marks),
        password=password,
        is_back_from_sign_in=bool(password) and refusal is None and member is not None,
        form_key=form_key or new_form_key(),
        problem=None if refusal is None else field_text(refusal, "password", language),
        sign_in_path=sign_in_path(f"/c/{page.code}"),
    )


async def _standing(
    connection: AsyncConnection, page: CampaignPage, member: MemberRow | None, now: datetime
) -> Standing | None:
    if member is None:
        return None
    return await member_standing(connection, page, member.id, now)


def _left_for_member(page: CampaignPage, standing: Standing | None) -> int | None:
    if standing is None or page.limit_per_member is None:
        return None
    return max(0, page.limit_per_member - standing.claimed)


def _left_today(page: CampaignPage, standing: Standing | None) -> int | None:
    if standing is None or page.limit_per_member_per_day is None:
        return None
    left = max(0, page.limit_per_member_per_day - standing.claimed_today)
    over_all = _left_for_member(page, standing)
    return left if over_all is None else min(left, over_all)


def _sign_in_first(request: AnyRequest, code: str, password: str) -> Redirect:
    campaign_code = code.strip().upper()
    response = Redirect(sign_in_path(f"/c/{campaign_code}"), status_code=303)
    return _keep_gift(request, response, campaign_code, password)


def _wait_first(
    request: AnyRequest, services: Services, campaign_code: str, password: str, refusal: Refusal
) -> Redirect:
    return _keep_gift(request, to_room(request, services, campaign_code, refusal), campaign_code, password)


def _keep_gift(request: AnyRequest, response: Redirect, campaign_code: str, password: str) -> Redirect:
    if password:
        values = {"code": campaign_code, "password": password}
        response.set_cookie(note_cookie(request, KEPT_GIFT_COOKIE, values, path="/c", seconds=_KEPT_SECONDS))
    return response


HANDLERS = [show_campaign, claims_by_address, make_claim, show_claim]
