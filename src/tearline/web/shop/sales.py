"""A sale's page: its vouchers as tickets with their prices, and the orders that are placed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.i18n.formats import money
from tearline.members.tokens import MemberIdentity
from tearline.offers.describe import Stub, condition_text, stub_value, validity_text, where_text
from tearline.offers.reads import where_names
from tearline.sales.reads import ItemView, bought_by, sale_page
from tearline.web import ordering
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop.cards import card_of
from tearline.web.shop.inside import (
    Inside,
    on_from,
    pass_token,
    session_if_any,
    to_room,
)
from tearline.web.shop.orders import start_payment
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
    with_query,
)
from tearline.web.ui.assets import picture_url
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render, text_in

KEPT_ORDER_COOKIE = "tearline_order"
"""Keeps what a visitor chose while they sign in or wait in line."""

_KEPT_SECONDS = 900
_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants to buy, as far as they have said it."""

    item_id: str = ""
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class ItemFace:
    """A voucher as the sale's page shows it.

    Attributes:
        percent_off: how far the price is below what the voucher is worth; 0 when it isn't.
        most: how many this member can put into one order; 0 when none are left, or they have had their share.
        chosen: the quantity that is selected in the form.
    """

    item: ItemView
    stub: Stub
    title: Markup
    name: Markup
    summary: Markup
    terms: Markup
    picture: str | None
    edge: str
    condition: str
    validity: str
    where: str
    price: str
    face_value: str
    percent_off: int
    most: int
    chosen: int

    @property
    def quantities(self) -> range:
        """What the form offers."""
        return range(1, self.most + 1)


async def show_sale(
    request: AnyRequest, services: Services, visitor: MemberIdentity | None, code: str, inside: Inside | None
) -> Response[str]:
    """The sale's page, with what a visitor chose before signing in."""
    kept = read_note(request, KEPT_ORDER_COOKIE)
    choice = Choice()
    if kept.get("code") == code:
        choice = Choice(str(kept.get("item", "")), _quantity_in(kept.get("quantity")) or 1)
    return await _sale_page(request, services, visitor, code, choice, inside=inside)


@get("/c/{code:str}/orders")
async def orders_by_address(request: AnyRequest, code: FromPath[str]) -> Redirect:
    """Where a refused order's page stands in the browser's address line, such as for its language links."""
    return Redirect(with_query(request, f"/c/{code}"), status_code=303)


@post("/c/{code:str}/orders")
async def make_order(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor, code: FromPath[str]
) -> Response[Any]:
    """Reserve vouchers and go on to the order's page; a refusal is told beside the voucher."""
    form = await readable_form(request)
    campaign_code, form_key = code.strip().upper(), form_key_in(form)
    quantity = _quantity_in(form.get("quantity"))
    choice = Choice(str(form.get("item", "")), quantity or 1)
    if visitor is None:
        return _sign_in_first(request, campaign_code, choice)
    try:
        item_id = UUID(choice.item_id)
    except ValueError:
        raise Refusal("not_found") from None
    try:
        if quantity is None:
            raise Refusal("invalid", fields={"quantity": _("Choose how many.")})
        answer = await ordering.order(
            services,
            visitor,
            campaign_code,
            item_id,
            quantity,
            choice_key(form_key, f"{item_id}\n{quantity}"),
            pass_token(request, services, campaign_code),
        )
    except Refusal as refusal:
        if refusal.reason in ("not_signed_in", "session_ended"):
            return _sign_in_first(request, campaign_code, choice)
        if refusal.reason in ("pass_required", "pass_ended"):
            waiting = to_room(request, services, campaign_code, refusal)
            return _keep(request, waiting, campaign_code, choice)
        if refusal.reason == "not_found":
            raise
        return await _sale_page(
            request, services, visitor, campaign_code, choice, form_key=form_key, refusal=refusal
        )
    # Should the provider not answer, the order's page offers to try again.
    await start_payment(request, services, visitor.member_id, answer.order_id)
    address = f"/orders/{answer.order_id}"
    response = on_from(request, services, campaign_code, address)
    forget_note(request, response, KEPT_ORDER_COOKIE, path="/c")
    return response


async def _sale_page(
    request: AnyRequest,
    services: Services,
    identity: MemberIdentity | None,
    code: str,
    choice: Choice,
    *,
    form_key: str = "",
    refusal: Refusal | None = None,
    inside: Inside | None = None,
) -> Response[str]:
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        page = await sale_page(connection, code, now)
        member = await known_member(connection, identity)
        bought = {} if member is None else await bought_by(connection, member.id, page.id)
        faces = [
            await _face(connection, item, language, bought.get(item.id, 0), choice) for item in page.items
        ]
    return render(
        request,
        "shop/sale.html",
        status_code=200 if refusal is None else refusal.status,
        headers=page_headers(refusal, language),
        time_zone=page.time_zone,
        card=card_of(page, language),
        faces=faces,
        inside=inside or session_if_any(request, services, page.code),
        is_place_taken=refusal is not None and refusal.reason == "pass_taken",
        rules=text_in(page.rules, language),
        member=member,
        bought=sum(bought.values()),
        is_in_audience=member is None or page.audience.includes(member.marks),
        is_back_from_sign_in=bool(choice.item_id) and refusal is None and member is not None,
        choice=choice,
        form_key=form_key or new_form_key(),
        problem=None if refusal is None else field_text(refusal, "quantity", language),
        sign_in_path=sign_in_path(f"/c/{page.code}"),
    )


async def _face(
    connection: AsyncConnection, item: ItemView, language: str, bought: int, choice: Choice
) -> ItemFace:
    ticket, limits = item.ticket, item.draft
    merchant_names, store_names = await where_names(connection, ticket)
    most = min(item.left, limits.limit_per_order)
    if limits.limit_per_member is not None:
        most = min(most, max(0, limits.limit_per_member - bought))
    name = text_in(ticket.names, language)
    return ItemFace(
        item=item,
        stub=stub_value(ticket, language),
        title=text_in(ticket.merchant_names, language) if ticket.merchant_names else name,
        name=name,
        summary=text_in(ticket.summaries, language),
        terms=text_in(ticket.terms, language),
        picture=picture_url(ticket.image),
        edge=ticket.merchant_edge or "vermilion",
        condition=condition_text(ticket, language),
        validity=validity_text(ticket, language),
        where=where_text(
            language, merchant_names=merchant_names, store_names=store_names, store_ids=ticket.store_ids
        ),
        price=money(item.price, item.currency, language),
        face_value=money(item.face_value, item.currency, language),
        percent_off=_WHOLE * (item.face_value - item.price) // item.face_value,
        most=most,
        chosen=min(choice.quantity, most) if choice.item_id == str(item.id) else 1,
    )


def _quantity_in(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and 1 <= len(text) <= 4 else None


def _sign_in_first(request: AnyRequest, campaign_code: str, choice: Choice) -> Redirect:
    response = Redirect(sign_in_path(f"/c/{campaign_code}"), status_code=303)
    return _keep(request, response, campaign_code, choice)


def _keep(request: AnyRequest, response: Redirect, campaign_code: str, choice: Choice) -> Redirect:
    values: dict[str, str | int] = {
        "code": campaign_code,
        "item": choice.item_id[:36],
        "quantity": choice.quantity,
    }
    response.set_cookie(note_cookie(request, KEPT_ORDER_COOKIE, values, path="/c", seconds=_KEPT_SECONDS))
    return response


HANDLERS = [orders_by_address, make_order]
