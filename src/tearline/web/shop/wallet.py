"""The member's wallet, and each coupon with what it takes to use it at a counter."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

import segno
from litestar import Response, get
from litestar.params import FromPath, FromQuery
from markupsafe import Markup

from tearline.core import codes
from tearline.core.refusal import Refusal
from tearline.coupons.reads import FOLDERS, WalletCoupon, member_coupon, use_of, wallet, wallet_counts
from tearline.i18n import _, translate
from tearline.i18n.formats import time_zone_name
from tearline.offers.describe import condition_text, validity_text, value_text, where_text
from tearline.offers.reads import Place, places, where_names
from tearline.offers.stored import benefit_from
from tearline.sales.showing import bought_voucher
from tearline.web.access import AnyRequest, GivenMember, GivenServices
from tearline.web.shop.support import signed_in_member
from tearline.web.shop.tickets import FOLDER_NAMES, coupon_face
from tearline.web.ui.assets import picture_url
from tearline.web.ui.cursors import BadCursor, Cursor
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render, text_in

_ALWAYS_SHOWN = ("usable", "used", "expired")
_SORT = "wallet"


@get("/wallet")
async def wallet_page(request: AnyRequest, services: GivenServices, member: GivenMember) -> Response[str]:
    """One folder of the wallet, a page of it."""
    now, language = services.now(), language_of(request)
    folder = request.query_params.get("folder", "usable")
    if folder not in FOLDERS:
        raise Refusal("not_found")
    after = _place(request.query_params.get("after"))
    async with services.database.connection() as connection:
        row = await signed_in_member(connection, request, member)
        counts = await wallet_counts(connection, row.id, now)
        page = await wallet(connection, row.id, folder, now, after=after)
    next_href = None
    if page.next_after is not None:
        next_href = f"/wallet?folder={folder}&after={Cursor(_SORT, *page.next_after).encode()}"
    return render(
        request,
        "shop/wallet.html",
        folder=folder,
        tabs=[
            (f"/wallet?folder={name}", FOLDER_NAMES[name], counts[name], name == folder)
            for name in FOLDERS
            if name in _ALWAYS_SHOWN or counts[name] or name == folder
        ],
        tickets=[coupon_face(coupon, language, now) for coupon in page.coupons],
        is_first_page=after is None,
        next_href=next_href,
    )


@get("/wallet/{coupon_id:uuid}")
async def coupon_page(
    request: AnyRequest, services: GivenServices, member: GivenMember, coupon_id: FromPath[UUID]
) -> Response[str]:
    """One coupon, large, with its QR code."""
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        row = await signed_in_member(connection, request, member)
        key = services.settings.secret_keys[0]
        coupon, secret = await member_coupon(connection, row.id, coupon_id, key, now)
        use = await use_of(connection, row.id, coupon_id) if coupon.folder == "used" else None
        bought = await bought_voucher(connection, row.id, coupon_id, now) if coupon.order_id else None
        where = await places(connection, coupon.ticket)
        merchant_names, store_names = await where_names(connection, coupon.ticket)
    ticket = coupon.ticket
    where_in_words = where_text(
        language, merchant_names=merchant_names, store_names=store_names, store_ids=ticket.store_ids
    )
    return render(
        request,
        "shop/coupon.html",
        time_zone=ticket.time_zone,
        coupon=coupon,
        ticket_face=coupon_face(coupon, language, now, is_large=True),
        bought=bought,
        use=use,
        use_store=text_in(use.store_names, language) if use else None,
        use_merchant=text_in(use.merchant_names, language) if use else None,
        code=codes.display(coupon.code),
        secret=base64.urlsafe_b64encode(secret).decode().rstrip("="),
        server_time=now,
        name=text_in(ticket.names, language),
        summary=text_in(ticket.summaries, language),
        terms=text_in(ticket.terms, language),
        picture=picture_url(ticket.image),
        value=value_text(benefit_from(ticket.benefit), ticket.currency, language),
        condition=condition_text(ticket, language),
        validity=_validity(coupon, language),
        where=where_in_words,
        places=_by_merchant(where, language),
    )


@get("/wallet/{coupon_id:uuid}/ticket")
async def coupon_ticket(
    request: AnyRequest,
    services: GivenServices,
    member: GivenMember,
    coupon_id: FromPath[UUID],
    shown: FromQuery[str] = "",
) -> Response[str]:
    """The ticket again, torn, once the coupon that a page shows has been used; 204 while nothing has changed.

    Asked every few seconds by the page that shows the QR code, so that the member sees what the cashier did.
    """
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        row = await signed_in_member(connection, request, member)
        coupon, _secret = await member_coupon(
            connection, row.id, coupon_id, services.settings.secret_keys[0], now
        )
    if coupon.folder == shown:
        return Response("", status_code=204, headers={"cache-control": "no-store"})
    return render(
        request,
        "shop/coupon_ticket.html",
        coupon=coupon,
        ticket_face=coupon_face(coupon, language, now, is_large=True),
    )


@get("/wallet/{coupon_id:uuid}/qr.svg")
async def coupon_picture(
    request: AnyRequest, services: GivenServices, member: GivenMember, coupon_id: FromPath[UUID]
) -> Response[bytes]:
    """The plain code as a QR code, for a browser without scripts: it does not rotate."""
    async with services.database.connection() as connection:
        row = await signed_in_member(connection, request, member)
        coupon, _secret = await member_coupon(
            connection, row.id, coupon_id, services.settings.secret_keys[0], services.now()
        )
    if coupon.folder not in ("usable", "held") or coupon.state == "sold":
        raise Refusal("not_found")
    drawn = io.BytesIO()
    segno.make(coupon.code, error="m", micro=False).save(
        drawn, kind="svg", scale=8, dark="#000", light="#fff"
    )
    return Response(
        drawn.getvalue(),
        media_type="image/svg+xml",
        headers={"cache-control": "no-store", "content-disposition": "inline"},
    )


def _validity(coupon: WalletCoupon, language: str) -> str:
    ticket = coupon.ticket
    words = validity_text(ticket, language, (coupon.valid_from, coupon.valid_until))
    zone = time_zone_name(ticket.time_zone, language)
    return translate(language, _("%(validity)s (%(zone)s)"), validity=words, zone=zone)


@dataclass(frozen=True, slots=True)
class _PlaceShown:
    name: Markup
    address: Markup
    phone: str | None


def _by_merchant(where: list[Place], language: str) -> list[tuple[Markup, list[_PlaceShown]]]:
    return [
        (
            text_in(group[0].merchant_names, language),
            [
                _PlaceShown(text_in(one.names, language), text_in(one.addresses, language), one.phone)
                for one in group
            ],
        )
        for group in (list(members) for _id, members in groupby(where, key=lambda place: place.merchant_id))
    ]


def _place(text: str | None) -> tuple[datetime, UUID] | None:
    if not text:
        return None
    try:
        cursor = Cursor.decode(text, _SORT, datetime, UUID)
    except BadCursor:
        raise Refusal("malformed") from None
    return (cursor.value, cursor.row_id)


HANDLERS = [wallet_page, coupon_page, coupon_ticket, coupon_picture]
