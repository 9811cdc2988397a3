"""The picker of coupons: the best combination first, then what can be used, nearly can, and cannot, each with why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.response import Redirect
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.checkout.loading import Loaded, Unusable
from tearline.checkout.quoting import PricedCart, priced, qualify_cart, quote_cart
from tearline.checkout.requests import CartRequest
from tearline.core import codes
from tearline.core.cart import Right
from tearline.core.hints import Qualification
from tearline.core.refusal import Refusal
from tearline.db import LocalisedText
from tearline.i18n import _, translate
from tearline.i18n.formats import money
from tearline.members.tokens import MemberIdentity
from tearline.web.access import AnyRequest, GivenServices, GivenVisitor, address_of
from tearline.web.limits import CallerLimit, Limit
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop.basket import Basket, basket_cookie, basket_of, on_with
from tearline.web.shop.market_cart import CART
from tearline.web.shop.market_faces import (
    CouponFace,
    Entry,
    coupon_faces,
    one_of_each_offer,
    reason_text,
)
from tearline.web.shop.market_pricing import request_of, shopper, sold_in
from tearline.web.shop.support import page_headers, refusal_text
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import redirect, render, text_in

PICKER = "/market/cart/coupons"
_NO_ROOM = _("This cart is so full that it has no room for these coupons. Choose fewer of them.")
_GUESSING_SECONDS = 600
_MOST_SENT = 60


@dataclass(frozen=True, slots=True)
class Slot:
    """Coupons of which one can be used.

    Attributes:
        heading: whose they are.
        name: of the form's field.
    """

    heading: str | Markup
    name: str
    coupons: tuple[CouponFace, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a choice of coupons comes to.

    Attributes:
        keys: of those that apply.
        skipped: of those chosen that do not apply, why, by key.
    """

    cart: PricedCart
    keys: frozenset[str]
    skipped: dict[str, str]


@dataclass(frozen=True, slots=True)
class Picker:
    """Everything that the picker's page is made of.

    Attributes:
        best: the best choice; ``chosen``: the one that the cart has, or that is being tried.
    """

    basket: Basket
    request: CartRequest
    loaded: Loaded
    qualified: Qualification
    best: Choice
    chosen: Choice
    member_id: UUID


@get(PICKER)
async def coupons_page(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[Any]:
    """The picker."""
    return await _page(request, services, visitor)


@post(PICKER)
async def choose_coupons(
    request: AnyRequest, services: GivenServices, visitor: GivenVisitor
) -> Response[Any]:
    """Use the coupons that are chosen, or the best ones."""
    form = await readable_form(request)
    if "best" in form:
        return on_with(request, basket_of(request).with_best(), CART)
    async with services.database.connection() as connection:
        picker = await _picker(connection, request, services, visitor, _keys_in(form))
    if picker is None:
        return Redirect(CART, status_code=303)
    try:
        return on_with(request, _basket_of_choice(picker, _keys_in(form)), CART)
    except Refusal:
        return redirect(request, PICKER, flash=_NO_ROOM, kind="bad")


@post("/market/cart/coupons/total")
async def try_coupons(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[Any]:
    """What the ticked coupons come to, while they are being ticked: a part of the picker."""
    language = language_of(request)
    keys = _keys_in(await readable_form(request))
    async with services.database.connection() as connection:
        picker = await _picker(connection, request, services, visitor, keys)
    if picker is None:
        return Response("", status_code=204, headers={"hx-redirect": CART, "cache-control": "no-store"})
    return render(request, "shop/market_coupons_total.html", is_part=True, **_sums(picker, language))


@post("/market/cart/code")
async def enter_code(request: AnyRequest, services: GivenServices, visitor: GivenVisitor) -> Response[Any]:
    """Put a coupon into the cart by its code; wrong ones are counted, for each member and each address."""
    typed = str((await readable_form(request)).get("code", ""))[:200]
    language = language_of(request)
    try:
        basket, sentence = await _with_code(request, services, visitor, codes.normalise(typed), language)
    except Refusal as refusal:
        return await _page(request, services, visitor, typed=typed, refusal=refusal)
    try:
        cookie = basket_cookie(request, basket)
    except Refusal:
        return redirect(request, PICKER, flash=_NO_ROOM, kind="bad")
    response = redirect(request, PICKER, flash="%(text)s", text=sentence)
    response.cookies.append(cookie)
    return response


@get("/market/cart/code")
async def code_by_address(request: AnyRequest) -> Redirect:
    """Where the page of a refused code stands in the browser's address line, such as for its language links."""
    return Redirect(PICKER, status_code=303)


async def _with_code(
    request: AnyRequest, services: Services, visitor: MemberIdentity | None, code: str, language: str
) -> tuple[Basket, str]:
    """The cart with a code, and what it does in it, in words."""
    now, basket = services.now(), basket_of(request)
    async with services.database.connection() as connection:
        member = await shopper(connection, visitor, PICKER)
        settings = services.settings
        guards = (
            (Limit("cart-codes", settings.wrong_passwords_per_member, _GUESSING_SECONDS), str(member.id)),
            (
                Limit("cart-codes-address", settings.wrong_passwords_per_address, _GUESSING_SECONDS),
                address_of(request),
            ),
        )
        for limit, key in guards:
            await CallerLimit(services.limiter, limit).check(key)
        if not codes.is_well_formed(code):
            raise Refusal("code_misread")
        _products, sold = await sold_in(connection, services, basket)
        if not sold:
            raise Refusal("nothing_in_scope")
        with_it = basket.with_code(code)
        asked = request_of(with_it, sold, settings.currency, member.id)
        cart = await quote_cart(connection, asked, services.cart_offers, now)
    for one in cart.loaded.unusable:
        if one.key == code:
            for limit, key in guards:
                await services.limiter.note(limit, key)
            raise Refusal("code_not_recognised")
        if one.coupon is not None and one.coupon.code == code:
            raise Refusal(one.reason)
    (found,) = (key for key, coupon in cart.loaded.coupons.items() if coupon.code == code)
    for applied in cart.quote.applied:
        if applied.right.key == found:
            saving = money(applied.amount, asked.currency, language)
            return with_it, translate(language, _("The coupon is used: it saves %(saving)s."), saving=saving)
    why = next(one for one in cart.quote.skipped if one.right.key == found)
    if why.reason not in ("not_combinable", "minimum_not_reached", "nothing_left"):
        raise Refusal(why.reason)
    return with_it, reason_text(why.reason, language)


async def _page(
    request: AnyRequest,
    services: Services,
    visitor: MemberIdentity | None,
    *,
    typed: str = "",
    refusal: Refusal | None = None,
) -> Response[Any]:
    now, language = services.now(), language_of(request)
    async with services.database.connection() as connection:
        picker = await _picker(connection, request, services, visitor)
        if picker is None:
            return Redirect(CART, status_code=303)
        loaded, qualified = picker.loaded, picker.qualified
        wanted = picker.chosen.keys | picker.best.keys
        usable = await _faces(connection, loaded, _coupons(qualified.usable), wanted, language, now)
        nearly = await _faces(connection, loaded, _coupons(qualified.nearly), wanted, language, now)
        not_here: list[Entry] = [one for one in loaded.unusable if one.offer is not None]
        unusable = await _faces(
            connection, loaded, [*not_here, *_coupons(qualified.unusable)], wanted, language, now
        )
        merchants = await _merchant_names(connection, services, picker)
    return render(
        request,
        "shop/market_coupons.html",
        status_code=200 if refusal is None else refusal.status,
        headers=page_headers(refusal, language),
        basket=picker.basket,
        slots=_slots(picker, usable, merchants, language),
        nearly=nearly,
        unusable=unusable,
        best_keys=picker.best.keys,
        is_part=False,
        typed=typed,
        problem=None if refusal is None else refusal_text(refusal, language),
        **_sums(picker, language),
    )


async def _picker(
    connection: AsyncConnection,
    request: AnyRequest,
    services: Services,
    visitor: MemberIdentity | None,
    tried: Sequence[str] | None = None,
) -> Picker | None:
    """The picker's cart; None when there is nothing in it.

    Args:
        tried: keys of coupons to look at in place of those that the cart has.
    """
    now, basket = services.now(), basket_of(request)
    member = await shopper(connection, visitor, PICKER)
    _products, sold = await sold_in(connection, services, basket)
    if not sold:
        return None
    asked = request_of(basket.with_best(), sold, services.settings.currency, member.id)
    loaded, qualified = await qualify_cart(connection, asked, services.cart_offers, now)
    best = _choice(priced(asked, loaded, now), ())
    if tried is None and not basket.is_given:
        return Picker(basket, asked, loaded, qualified, best, best, member.id)
    keys = list(tried) if tried is not None else _keys_of(basket, loaded)
    own = [key for key in keys if key in loaded.coupons]
    named = replace(asked, choose="given", codes=(), coupon_ids=tuple(UUID(key) for key in own))
    only = replace(loaded, rights=tuple(one for one in loaded.rights if one.is_promotion or one.key in own))
    return Picker(basket, asked, loaded, qualified, best, _choice(priced(named, only, now), own), member.id)


def _choice(cart: PricedCart, wanted: Sequence[str]) -> Choice:
    applied = frozenset(one.right.key for one in cart.quote.applied if not one.right.is_promotion)
    skipped = {one.right.key: one.reason for one in cart.quote.skipped if one.right.key in wanted}
    return Choice(cart, applied, skipped)


def _keys_of(basket: Basket, loaded: Loaded) -> list[str]:
    """The coupons that the cart names, in the order in which they were chosen."""
    by_code = {coupon.code: key for key, coupon in loaded.coupons.items()}
    named = [*(by_code.get(code, "") for code in basket.codes), *map(str, basket.coupon_ids)]
    return [key for key in dict.fromkeys(named) if key]


def _basket_of_choice(picker: Picker, keys: Sequence[str]) -> Basket:
    """The cart with the chosen coupons; somebody else's go by their code, which is all that the member has of them."""
    coupons = [picker.loaded.coupons[key] for key in keys if key in picker.loaded.coupons]
    own = [one.id for one in coupons if one.holder_id == picker.member_id]
    return picker.basket.with_coupons(own, [one.code for one in coupons if one.holder_id != picker.member_id])


def _keys_in(form: FormMultiDict) -> list[str]:
    """The coupons that are ticked, whatever their slot's field is called."""
    # In the order of the page: the form's own order of fields is that of a set.
    names = sorted({name for name in form if name.startswith("slot-")}, key=lambda name: (len(name), name))
    sent = [str(value) for name in names for value in form.getall(name)][:_MOST_SENT]
    return [key for key in dict.fromkeys(sent) if key]


def _coupons(entries: Iterable[Entry]) -> list[Entry]:
    """Without the merchants' own promotions, which nobody chooses."""
    return [one for one in entries if isinstance(one, Unusable) or not one.right.is_promotion]


async def _faces(
    connection: AsyncConnection,
    loaded: Loaded,
    entries: Sequence[Entry],
    wanted: Iterable[str],
    language: str,
    now: Any,
) -> list[CouponFace]:
    kept = one_of_each_offer(entries, wanted)
    faces = await coupon_faces(connection, loaded, [entry for entry, _others in kept], language, now)
    return [replace(face, others=others) for face, (_entry, others) in zip(faces, kept, strict=True)]


def _slots(
    picker: Picker, usable: Sequence[CouponFace], merchants: dict[UUID, LocalisedText], language: str
) -> list[Slot]:
    rights = {one.right.key: one.right for one in picker.qualified.usable}
    by_slot: dict[Any, list[CouponFace]] = {}
    for face in usable:
        by_slot.setdefault(rights[face.key].slot, []).append(face)

    def heading(right: Right) -> str | Markup:
        if right.is_of_shipping:
            return translate(language, _("Shipping"))
        if right.merchant_id is None:
            return translate(language, _("Coupons of the platform"))
        return text_in(merchants.get(right.merchant_id), language)

    return [
        Slot(heading(rights[faces[0].key]), f"slot-{number}", tuple(faces))
        for number, (_slot, faces) in enumerate(sorted(by_slot.items()))
    ]


async def _merchant_names(
    connection: AsyncConnection, services: Services, picker: Picker
) -> dict[UUID, LocalisedText]:
    products, _sold = await sold_in(connection, services, picker.basket)
    return {product.merchant_id: product.merchant_names for product in products.values()}


def _sums(picker: Picker, language: str) -> dict[str, Any]:
    """What the choice and the best come to, in words."""
    currency = picker.request.currency

    def saved(choice: Choice) -> int:
        return sum(one.amount for one in choice.cart.quote.applied if not one.right.is_promotion)

    return {
        "chosen_keys": picker.chosen.keys,
        "total": money(picker.chosen.cart.total, currency, language),
        "saving": money(saved(picker.chosen), currency, language) if saved(picker.chosen) else "",
        "best_saving": money(saved(picker.best), currency, language) if saved(picker.best) else "",
        # Another combination that comes to the same is as good.
        "is_best_chosen": picker.chosen.cart.total <= picker.best.cart.total,
        "conflicts": [
            (
                text_in(picker.loaded.offers[picker.loaded.coupons[key].offer_id].names, language),
                reason_text(reason, language),
            )
            for key, reason in picker.chosen.skipped.items()
        ],
    }


HANDLERS = [coupons_page, choose_coupons, try_coupons, enter_code, code_by_address]
